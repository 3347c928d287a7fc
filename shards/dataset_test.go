package shards

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"

	"prep/internal/fault"
	"prep/internal/sample"
)

// sameRow compares a row that was read with the sample it was written from.
func sameRow(t *testing.T, s Schema, r Row, want *sample.Sample) {
	t.Helper()
	if r.Key != want.Key || r.Caption != want.Caption || !slices.Equal(r.Labels, want.Labels) || !slices.Equal(r.Captions, want.Captions) {
		t.Fatalf("row %q %q %q %q, want %q %q %q %q", r.Key, r.Caption, r.Labels, r.Captions, want.Key, want.Caption, want.Labels, want.Captions)
	}
	if got := r.Metrics(); !reflect.DeepEqual(got, want.Metrics) {
		t.Fatalf("%s: metrics %v, want %v", r.Key, got, want.Metrics)
	}
	for _, f := range s.Tensors {
		got, want := r.Tensor(f.Name), want.Tensor(f.Name)
		if got.Absent() != want.Absent() || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("%s: column %s differs", r.Key, f.Name)
		}
		if err := f.Check(got); err != nil {
			t.Fatal(err)
		}
	}
	if !r.Tensor("nosuch").Absent() {
		t.Fatal("a tensor of no column")
	}
}

func TestRoundTrip(t *testing.T) {
	for _, batchRows := range []int{1, 3, 8, 0} {
		dir, s := t.TempDir(), testSchema()
		m := buildDataset(t, dir, s, 3, 40, batchRows)
		d, err := Open(dir, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if d.Selection() != nil || d.Manifest().Digest != m.Digest || int64(d.Len()) != m.Counts.Written {
			t.Fatalf("%d rows, want %d", d.Len(), m.Counts.Written)
		}
		n := 0
		for i := range 120 {
			if o, _ := testOutcome(i); o != Written {
				continue
			}
			r, err := d.Row(n)
			if err != nil {
				t.Fatal(err)
			}
			want := testSample(s, i)
			sameRow(t, s, r, want)
			if d.Key(n) != want.Key {
				t.Fatalf("key %q, want %q", d.Key(n), want.Key)
			}
			for _, f := range append(s.Tensors[:len(s.Tensors):len(s.Tensors)], sample.TensorField{Name: "nosuch"}) {
				if got, want := d.Tensor(n, f.Name), r.Tensor(f.Name); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s: column %s alone differs from that of the row", want.DType, f.Name)
				}
			}
			for _, f := range s.Tensors {
				if d.Has(n, f.Name) == want.Tensor(f.Name).Absent() {
					t.Fatalf("%s: Has(%s) is %v", want.Key, f.Name, d.Has(n, f.Name))
				}
			}
			n++
		}
	}
}

func TestConcurrentReaders(t *testing.T) {
	dir, s := t.TempDir(), testSchema()
	buildDataset(t, dir, s, 2, 30, 4)
	d, err := Open(dir, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for k := range d.Len() {
				i := (k*7 + g) % d.Len()
				r, err := d.Row(i)
				if err != nil || r.Key != d.Key(i) || d.Has(i, "image") == r.Tensor("image").Absent() {
					t.Errorf("row %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// The same rows give the same bytes whatever the memory held before, and other batches give other bytes
// of the same rows.
func TestBytesAreDeterministic(t *testing.T) {
	a, b, c := t.TempDir(), t.TempDir(), t.TempDir()
	m1 := buildDataset(t, a, testSchema(), 2, 50, 8)
	m2 := buildDataset(t, b, testSchema(), 2, 50, 8)
	m3 := buildDataset(t, c, testSchema(), 2, 50, 9)
	if m1.Digest != m2.Digest {
		t.Error("the same rows gave other bytes")
	}
	if m1.Digest == m3.Digest || m1.Tasks[0].Shard.SHA256 == m3.Tasks[0].Shard.SHA256 {
		t.Error("other batches gave the same bytes")
	}
	if m1.Tasks[0].Ledger.SHA256 == "" || m1.Tasks[0].Ledger.Bytes == 0 {
		t.Error("no ledger")
	}
}

func TestSelection(t *testing.T) {
	dir, s := t.TempDir(), testSchema()
	m := buildDataset(t, dir, s, 3, 40, 8)
	if _, err := ReadSelection(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no selection: %v", err)
	}
	want := selectLoud(t, dir, m)
	got, err := ReadSelection(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kept != want.Kept || got.Kept == 0 || got.Kept == got.Samples || !reflect.DeepEqual(got.Shards, want.Shards) || got.Digest != want.Digest {
		t.Fatalf("read %+v, wrote %+v", got, want)
	}
	d, err := Open(dir, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all, err := Open(dir, OpenOptions{IgnoreSelection: true})
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	if int64(d.Len()) != got.Kept || int64(all.Len()) != m.Counts.Written {
		t.Fatalf("%d and %d rows, want %d and %d", d.Len(), all.Len(), got.Kept, m.Counts.Written)
	}
	n := 0
	for i := range all.Len() {
		r, _ := all.Row(i)
		if v, ok := r.Metrics().Number("audio_snr_db"); !ok || v < 0 {
			continue
		}
		if d.Key(n) != r.Key {
			t.Fatalf("kept row %d is %s, want %s", n, d.Key(n), r.Key)
		}
		n++
	}
	if n != d.Len() {
		t.Fatalf("%d rows kept, want %d", d.Len(), n)
	}

	// another manifest
	other := t.TempDir()
	buildDataset(t, other, s, 3, 41, 8)
	data, _ := os.ReadFile(filepath.Join(dir, SelectionName))
	if err := os.WriteFile(filepath.Join(other, SelectionName), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSelection(other); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("a selection of another manifest: %v", err)
	}
	if _, err := Open(other, OpenOptions{}); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("opened with a selection of another manifest: %v", err)
	}
}

func TestEmptyShard(t *testing.T) {
	dir := t.TempDir()
	s := testSchema()
	f, err := CommitFile(dir, func(w io.Writer) error {
		sw, err := NewWriter(w, s, WriterOptions{})
		if err != nil {
			return err
		}
		return sw.Close()
	}, ShardName(0))
	if err != nil {
		t.Fatal(err)
	}
	sh, err := openShard(filepath.Join(dir, f.Name), s, f.Bytes, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sh.close()
	if sh.rows != 0 {
		t.Fatalf("%d rows", sh.rows)
	}
	m := buildDataset(t, dir, s, 0, 1, 1)
	d, err := Open(dir, OpenOptions{})
	if err != nil || d.Len() != 0 || m.Counts.In != 0 {
		t.Fatalf("a data set of no tasks: %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	s := testSchema()
	w, err := NewWriter(io.Discard, s, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*sample.Sample){
		"no key":         func(x *sample.Sample) { x.Key = "" },
		"bad key":        func(x *sample.Sample) { x.Key = "a\xff" },
		"bad caption":    func(x *sample.Sample) { x.Caption, x.Captions = "a\xff", nil },
		"bad captions":   func(x *sample.Sample) { x.Captions = append(x.Captions, "a\xff") },
		"other captions": func(x *sample.Sample) { x.Captions = []string{"not the caption"} },
		"other shape":    func(x *sample.Sample) { x.Tensors[sample.Image].Shape = []int{3, 64} },
		"other type":     func(x *sample.Sample) { x.Tensors[sample.Image].DType = sample.Int32 },
		"short data":     func(x *sample.Sample) { x.Tensors[sample.Image].Data = x.Tensors[sample.Image].Data[1:] },
		"no such column": func(x *sample.Sample) { x.Tensors[sample.Thermal] = x.Tensors[sample.Image] },
		"no such metric": func(x *sample.Sample) { x.Metrics["new"] = 1.0 },
		"metric's type":  func(x *sample.Sample) { x.Metrics["text_chars"] = 1.0 },
		"huge caption":   func(x *sample.Sample) { x.Caption = string(make([]byte, maxStringBytes+1)) },
	} {
		x := testSample(s, 1)
		change(x)
		if err := w.Append(x); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	plain := testSchema()
	plain.Captions = false
	if w, err := NewWriter(io.Discard, plain, WriterOptions{}); err != nil || w.Append(testSample(s, 1)) == nil {
		t.Errorf("captions without a column for them: taken (%v)", err)
	}
	if err := w.Append(testSample(s, 1)); err != nil || w.Rows() != 1 {
		t.Errorf("a good sample after bad ones: %v, %d rows", err, w.Rows())
	}
	for name, s := range map[string]Schema{
		"reserved":    {Metrics: []sample.MetricField{{Name: "row"}}},
		"twice":       {Metrics: []sample.MetricField{{Name: "a"}, {Name: "a"}}},
		"no type":     {Tensors: []sample.TensorField{{Name: "image", Shape: []int{1}}}},
		"no shape":    {Tensors: []sample.TensorField{{Name: "image", DType: sample.Uint8}}},
		"zero":        {Tensors: []sample.TensorField{{Name: "image", DType: sample.Uint8, Shape: []int{3, 0}}}},
		"overflow":    {Tensors: []sample.TensorField{{Name: "image", DType: sample.Uint8, Shape: []int{1 << 30, 1 << 30, 1 << 30}}}},
		"too large":   {Tensors: []sample.TensorField{{Name: "image", DType: sample.Float32, Shape: []int{64 << 20}}}},
		"no modality": {Tensors: []sample.TensorField{{Name: "smell", DType: sample.Uint8, Shape: []int{3}}}},
	} {
		if _, err := NewWriter(io.Discard, s, WriterOptions{}); err == nil {
			t.Errorf("schema %s: taken", name)
		}
	}
}

// Batches of large rows are cut by bytes, so that readers with the usual limit of 256 MiB open them.
func TestLargeRowsSplitBatches(t *testing.T) {
	s := Schema{Tensors: []sample.TensorField{{Name: "video", DType: sample.Uint8, Shape: []int{50 << 20}}}}
	w, err := NewWriter(io.Discard, s, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.batchRows * s.rowBytes(); w.batchRows < 1 || got > 256<<20 {
		t.Errorf("%d rows of %d bytes", w.batchRows, s.rowBytes())
	}
}

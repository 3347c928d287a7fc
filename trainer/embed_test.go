package trainer

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio"

	"prep/internal/fault"
	"prep/internal/sample"
)

// goldenRows are the golden inputs of the modalities that shards hold as numbers, as rows of shards.
func goldenRows(t *testing.T) (rows memory, want map[string][]float32) {
	t.Helper()
	inputs, outputs := openNPZ(t, "model", "inputs.npz"), openNPZ(t, "model", "outputs.npz")
	want = map[string][]float32{}
	for key, m := range map[string]sample.Modality{"audio": sample.Audio, "audio_clips": sample.Audio, "imu": sample.IMU, "text": sample.Text} {
		x := goldenInput(t, inputs, key)
		shape := x.Shape().Dimensions[1:]
		dtype := sample.Float32
		var data []byte
		if m == sample.Text {
			dtype = sample.Int32
			for _, id := range tensors.MustCopyFlatData[int32](x) {
				data = binary.LittleEndian.AppendUint32(data, uint32(id))
			}
		} else {
			for _, v := range tensors.MustCopyFlatData[float32](x) {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
			}
		}
		if key == "audio" {
			shape = append([]int{1}, shape...)
		}
		out, dims := npzFloats(t, outputs, key+".output")
		n := x.Shape().Dimensions[0]
		for i := range n {
			s := &sample.Sample{Key: fmt.Sprintf("%s-%d", key, i)}
			s.Tensors[m] = sample.Tensor{DType: dtype, Shape: shape, Data: data[i*len(data)/n : (i+1)*len(data)/n]}
			rows = append(rows, s)
			want[s.Key] = out[i*dims[1] : (i+1)*dims[1]]
		}
	}
	return rows, want
}

// readVectors reads what Embed wrote, by key.
func readVectors(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tbl, err := pqarrow.ReadTable(context.Background(), f, parquet.NewReaderProperties(nil), pqarrow.ArrowReadProperties{}, arrowmemory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer tbl.Release()
	got := map[string][]float32{}
	r := array.NewTableReader(tbl, 0)
	defer r.Release()
	for r.Next() {
		rec := r.RecordBatch()
		keys, vectors := rec.Column(0).(*array.String), rec.Column(2).(*array.FixedSizeList)
		values := vectors.ListValues().(*array.Float32)
		for i := range keys.Len() {
			from, to := vectors.ValueOffsets(i)
			got[keys.Value(i)] = values.Float32Values()[from:to]
		}
	}
	return got
}

// Rows of shards embed to the reference outputs, whatever shares a batch with them.
func TestGoldenEmbed(t *testing.T) {
	m, _ := goldenConfig(t)
	rows, want := goldenRows(t)
	o := EmbedOptions{Weights: filepath.Join(goldenDir(), "model", "tiny.pth"), Model: m, Out: filepath.Join(t.TempDir(), "v.parquet"), Batch: 3, Scaled: true, Device: testDevice()}
	x, err := embedRows(context.Background(), o, rows)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]int{}
	for _, s := range rows {
		for m, x := range s.Tensors {
			if x.Data != nil {
				by[sample.Modality(m).String()]++
			}
		}
	}
	if x.Vectors != len(rows) || !maps.Equal(x.By, by) {
		t.Errorf("%+v, want %v", x, by)
	}
	for key, v := range readVectors(t, o.Out) {
		if d := maxDiff(v, want[key]) / l2(want[key]); !(d <= 2e-6) {
			t.Errorf("%s: off by %.3g of its length", key, d)
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("%d samples are not in the file", len(want))
	}

	// As an array: unit vectors, and the keys beside them.
	o.Out, o.Scaled, o.Modalities = filepath.Join(t.TempDir(), "v.npy"), false, []sample.Modality{sample.Text}
	if _, err := embedRows(context.Background(), o, rows); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := npyio.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var v []float32
	if err := r.Read(&v); err != nil || len(v) != by["text"]*m.Dim || r.Header.Descr.Shape[0] != by["text"] {
		t.Fatalf("%d values, %v: %v", len(v), r.Header, err)
	}
	for i := range by["text"] {
		if n := l2(v[i*m.Dim : (i+1)*m.Dim]); math.Abs(n-1) > 1e-6 {
			t.Errorf("row %d has length %g", i, n)
		}
	}
	keys, err := os.ReadFile(strings.TrimSuffix(o.Out, ".npy") + ".keys.txt")
	if err != nil || strings.Count(string(keys), "text-") != by["text"] {
		t.Errorf("keys %q: %v", keys, err)
	}
	o.Modalities, o.Out = nil, "v.npy"
	if _, err := embedRows(context.Background(), o, rows); fault.KindOf(err) != fault.Usage {
		t.Errorf("several modalities in an array: %v", err)
	}
}

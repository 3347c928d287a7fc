package shards

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"prep/internal/fault"
	"prep/internal/sample"
)

func verify(t *testing.T, dir string) *Report {
	t.Helper()
	rep, err := Verify(context.Background(), dir, VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// names reports whether a problem names the file.
func (r *Report) names(file string) bool {
	return slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.File == file })
}

// allFiles lists the files of a folder with slashes.
func allFiles(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestVerifyWhole(t *testing.T) {
	dir := t.TempDir()
	m := buildDataset(t, dir, testSchema(), 3, 40, 8)
	selectLoud(t, dir, m)
	var last, total int64
	rows := make(chan string, 1000)
	rep, err := Verify(context.Background(), dir, VerifyOptions{
		Progress: func(d, n int64) { last, total = d, n },
		CheckRow: func(column string, x sample.Tensor) string { rows <- column; return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Problems) > 0 || rep.Samples != m.Counts.Written {
		t.Fatalf("%d samples, problems %v", rep.Samples, rep.Problems)
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	d, err := Open(dir, OpenOptions{IgnoreSelection: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := 0
	for i := range d.Len() {
		for _, f := range d.Schema().Tensors {
			if d.Has(i, f.Name) {
				want++
			}
		}
	}
	if len(rows) != want {
		t.Errorf("%d tensors were checked, there are %d", len(rows), want)
	}
	rep, err = Verify(context.Background(), dir, VerifyOptions{CheckRow: func(column string, x sample.Tensor) string {
		if column == "text" {
			return "token 50000"
		}
		return ""
	}})
	if err != nil || !rep.names(m.Tasks[0].Shard.Name) || !strings.Contains(rep.Problems[0].What, "token 50000") {
		t.Errorf("a row out of range: %v %v", rep, err)
	}
}

// Any changed byte of any file is found, and the problem names the file.
func TestVerifyFindsEveryByte(t *testing.T) {
	dir := t.TempDir()
	m := buildDataset(t, dir, testSchema(), 2, 16, 8)
	selectLoud(t, dir, m)
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range allFiles(t, dir) {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := []int{0, 1, len(data) - 1, len(data) - 2, len(data) / 2}
		for range 40 {
			at = append(at, r.IntN(len(data)))
		}
		for _, k := range at {
			old := data[k]
			data[k] ^= byte(1 + r.IntN(255))
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			if rep := verify(t, dir); !rep.names(name) {
				t.Errorf("%s: byte %d changed from %#x to %#x is not found: %v", name, k, old, data[k], rep.Problems)
			}
			if d, err := Open(dir, OpenOptions{}); err == nil { // may or may not notice, must not crash
				for i := range d.Len() {
					if row, err := d.Row(i); err == nil {
						row.Metrics()
					}
					d.Key(i)
				}
				d.Close()
			}
			data[k] = old
		}
		// every sealed byte, exhaustively: the digest is what finds them
		if name == ManifestName || name == SelectionName {
			for k := range data {
				data[k] ^= 0x20
				var v any = new(Manifest)
				if name == SelectionName {
					v = new(Selection)
				}
				if unsealBytes(name, data, v) == nil {
					t.Errorf("%s: byte %d changed by 0x20 is not found", name, k)
				}
				data[k] ^= 0x20
			}
		}
		for _, cut := range []int{0, 1, len(data) / 2, len(data) - 1} {
			if err := os.WriteFile(path, data[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			if rep := verify(t, dir); !rep.names(name) {
				t.Errorf("%s: cut to %d bytes is not found: %v", name, cut, rep.Problems)
			}
			if d, err := Open(dir, OpenOptions{}); err == nil {
				d.Close()
				if strings.HasPrefix(name, "shard") || name == ManifestName || name == SelectionName {
					t.Errorf("%s: opened when cut to %d bytes", name, cut)
				}
			}
		}
		if err := os.WriteFile(path, append(slices.Clone(data), 0), 0o644); err != nil {
			t.Fatal(err)
		}
		if rep := verify(t, dir); !rep.names(name) {
			t.Errorf("%s: a byte more is not found: %v", name, rep.Problems)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if rep := verify(t, dir); !rep.names(name) && name != SelectionName {
			t.Errorf("%s: that it is gone is not found: %v", name, rep.Problems)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if rep := verify(t, dir); len(rep.Problems) > 0 {
		t.Errorf("mended, but %v", rep.Problems)
	}
}

func TestVerifyFindsSwapsAndStrangers(t *testing.T) {
	dir := t.TempDir()
	m := buildDataset(t, dir, testSchema(), 3, 16, 8)
	at := func(n string) string { return filepath.Join(dir, n) }
	a, b := m.Tasks[0].Shard.Name, m.Tasks[1].Shard.Name
	swap := func() {
		for _, p := range [][2]string{{a, "x"}, {b, a}, {"x", b}} {
			if err := os.Rename(at(p[0]), at(p[1])); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap()
	if rep := verify(t, dir); !rep.names(a) || !rep.names(b) {
		t.Errorf("swapped shards: %v", rep.Problems)
	}
	swap()
	for _, n := range []string{"shard-000009-0123456789abcdef.arrow", "ledger-x.parquet", "other.arrow"} {
		if err := os.WriteFile(at(n), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if rep := verify(t, dir); !rep.names(n) || len(rep.Problems) != 1 {
			t.Errorf("%s beside the others: %v", n, rep.Problems)
		}
		os.Remove(at(n))
	}
	if err := os.WriteFile(at("notes.txt"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if rep := verify(t, dir); len(rep.Problems) > 0 {
		t.Errorf("a file that is none of ours: %v", rep.Problems)
	}
	if _, err := Verify(context.Background(), at("nosuch"), VerifyOptions{}); fault.KindOf(err) != fault.Input {
		t.Errorf("no such folder: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Verify(ctx, dir, VerifyOptions{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// reseal writes the manifest again after change, as one would who made a folder wrongly but with right
// hashes: then only the comparison of contents finds it.
func reseal(t *testing.T, dir string, m *Manifest, change func(rows []LedgerRow)) {
	t.Helper()
	old := m.Tasks[0].Ledger.Name
	rows, err := ReadLedger(filepath.Join(dir, old))
	if err != nil {
		t.Fatal(err)
	}
	change(rows)
	os.Remove(filepath.Join(dir, old))
	m.Tasks[0].Ledger, err = CommitFile(dir, func(w io.Writer) error { return WriteLedger(w, m.Schema.Metrics, rows) }, LedgerName(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteManifest(dir, m); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyComparesLedgerAndShard(t *testing.T) {
	second := func(rows []LedgerRow) *LedgerRow {
		n := 0
		for i := range rows {
			if rows[i].Outcome == Written {
				if n++; n == 2 {
					return &rows[i]
				}
			}
		}
		return nil
	}
	for name, c := range map[string]struct {
		change func(rows []LedgerRow)
		what   string
	}{
		"nothing":      {func([]LedgerRow) {}, ""},
		"key":          {func(r []LedgerRow) { second(r).Key = "another" }, "which holds"},
		"row twice":    {func(r []LedgerRow) { second(r).Row = 0 }, "as another is"},
		"row beyond":   {func(r []LedgerRow) { second(r).Row = 1000 }, "is said to be row 1000 of"},
		"other shard":  {func(r []LedgerRow) { second(r).Shard = "shard-000001.arrow" }, "is said to be in"},
		"metric":       {func(r []LedgerRow) { second(r).Metrics["text_chars"] = int64(-5) }, "text_chars"},
		"metric gone":  {func(r []LedgerRow) { delete(second(r).Metrics, "text_chars") }, "text_chars"},
		"outcome":      {func(r []LedgerRow) { *second(r) = LedgerRow{Key: "x", Outcome: Failed, Reason: "y", Row: -1} }, "has no ledger row"},
		"counts":       {func(r []LedgerRow) { *second(r) = LedgerRow{Key: "x", Outcome: Failed, Reason: "y", Row: -1} }, "the manifest says"},
		"key twice":    {func(r []LedgerRow) { r[3].Key = r[10].Key }, "occurs in"},
		"other reason": {func(r []LedgerRow) { r[3].Reason = "unknown_snr" }, "rejected:unknown_snr"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			m := buildDataset(t, dir, testSchema(), 2, 16, 8)
			reseal(t, dir, m, c.change)
			rep := verify(t, dir)
			if c.what == "" {
				if len(rep.Problems) > 0 {
					t.Errorf("problems %v", rep.Problems)
				}
				return
			}
			if !slices.ContainsFunc(rep.Problems, func(p Problem) bool { return strings.Contains(p.What, c.what) }) {
				t.Errorf("want a problem that says %q, got %v", c.what, rep.Problems)
			}
		})
	}
}

// Damage in a shard of several MiB is located by block, byte range, and rows of the column.
func TestVerifyLocatesDamage(t *testing.T) {
	dir := t.TempDir()
	s := Schema{Tensors: []sample.TensorField{{Name: "image", DType: sample.Uint8, Shape: []int{3, 224, 224}}}, Metrics: testSchema().Metrics}
	m := buildDataset(t, dir, s, 1, 60, 16)
	shard := m.Tasks[0].Shard
	if len(shard.Blocks) < 4 {
		t.Fatalf("%d blocks", len(shard.Blocks))
	}
	f, err := os.OpenFile(filepath.Join(dir, shard.Name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flip := func(at int64) *Report { // changes a byte, verifies, and mends it
		t.Helper()
		var b [1]byte
		_, err := f.ReadAt(b[:], at)
		if err == nil {
			_, err = f.WriteAt([]byte{b[0] ^ 1}, at)
		}
		if err != nil {
			t.Fatal(err)
		}
		rep := verify(t, dir)
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		if len(rep.Problems) == 0 {
			t.Fatalf("byte %d changed, and not found", at)
		}
		return rep
	}
	// 150,528 bytes a row: block 2, from byte 2,097,152, begins within row 13; row 16 begins the second batch
	rep := flip(2<<20 + 12345)
	if len(rep.Problems) != 1 {
		t.Fatalf("problems %v", rep.Problems)
	}
	for _, want := range []string{"block 2 of 1 MiB (bytes 2097152 to 3145727)", "rows 13 to 15 of image, rows 16 to 20 of image"} {
		if !strings.Contains(rep.Problems[0].What, want) {
			t.Errorf("%q does not say %q", rep.Problems[0].What, want)
		}
	}
	// where the second batch's own description is damaged its rows cannot be placed, and the batch is named
	sh, err := openShard(filepath.Join(dir, shard.Name), s, shard.Bytes, -1)
	if err != nil {
		t.Fatal(err)
	}
	key := sh.batches[1].key.ends
	meta := int64(uintptr(unsafe.Pointer(unsafe.SliceData(key))) - uintptr(unsafe.Pointer(unsafe.SliceData(sh.bytes.data))))
	sh.close()
	found := false
	for at := meta - 600; at < meta; at += 8 {
		rep := flip(at)
		found = found || strings.Contains(rep.Problems[0].What, "batch 1")
	}
	if !found {
		t.Error("no damage to the second batch's description names the batch")
	}
	// and without a footer the bytes alone are known
	rep = flip(shard.Bytes - 1)
	if what := rep.Problems[0].What; !strings.HasSuffix(what, fmt.Sprintf("to %d)", shard.Bytes-1)) {
		t.Errorf("a damaged footer: %q", what)
	}
	if rep := verify(t, dir); len(rep.Problems) > 0 {
		t.Errorf("mended, but %v", rep.Problems)
	}
}

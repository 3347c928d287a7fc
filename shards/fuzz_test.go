package shards

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"prep/internal/sample"
)

// The readers meet any bytes with an error: no panic, and no allocation that the input's size does not
// account for.

func fuzzSchema() Schema {
	s := testSchema()
	s.Tensors = s.Tensors[1:3]
	return s
}

func shardBytes(t testing.TB, s Schema, rows, batchRows int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, s, WriterOptions{BatchRows: batchRows})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		x := testSample(s, i)
		x.Tensors[sample.Image], x.Tensors[sample.IMU] = sample.Tensor{}, sample.Tensor{}
		if err := w.Append(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzShard(f *testing.F) {
	s := fuzzSchema()
	f.Add(shardBytes(f, s, 0, 1))
	f.Add(shardBytes(f, s, 1, 1))
	f.Add(shardBytes(f, s, 5, 2))
	f.Add(shardBytes(f, Schema{}, 0, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkFooterShape(data)
		sh, err := parseShard(data, s)
		if err != nil {
			return
		}
		// what was opened can be read: every row gives a value or an error
		for i := range min(sh.rows, 1000) {
			if r, err := sh.row(i); err == nil {
				r.columns = map[string]int{"audio": 0, "text": 1}
				r.Metrics()
				for _, f := range s.Tensors {
					if err := f.Check(r.Tensor(f.Name)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if sh.rows > int64(len(data)) {
			t.Fatalf("%d rows in %d bytes", sh.rows, len(data))
		}
	})
}

// checkFooterShape also runs what only a damaged shard goes through.
func checkFooterShape(data []byte) {
	_ = guard(func() error { batchesAt(data, 0, int64(len(data))); return nil })
}

func FuzzLedger(f *testing.F) {
	fields := testSchema().Metrics
	for _, n := range []int{0, 1, 9} {
		var rows []LedgerRow
		for i := range n {
			x := testSample(testSchema(), i)
			rows = append(rows, LedgerRow{Key: x.Key, Outcome: Failed, Reason: "a", Source: []string{"b", "c"}[:i%3%2+i%2], Row: -1, Metrics: x.Metrics})
		}
		var b bytes.Buffer
		if err := WriteLedger(&b, fields, rows); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, _, err := parseLedger(data, 1000)
		if err == nil && len(rows) > 1000 {
			t.Fatalf("%d rows", len(rows))
		}
	})
}

func FuzzManifest(f *testing.F) {
	dir := f.TempDir()
	m := buildDataset(f, dir, testSchema(), 2, 9, 4)
	selectLoud(f, dir, m)
	for _, n := range []string{ManifestName, SelectionName} {
		data, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = unsealBytes("manifest", data, new(Manifest))
		// a digest is no secret: whoever means harm seals what they made
		var forged Manifest
		if json.Unmarshal(data, &forged) == nil && forged.check() == nil {
			var sel Selection
			if json.Unmarshal(data, &sel) == nil {
				_ = sel.check(&forged)
			}
		}
		var sel Selection
		if json.Unmarshal(data, &sel) == nil {
			sel.Manifest = m.Digest
			if sel.check(m) == nil {
				for i := range sel.Shards {
					for r := range sel.Shards[i].Rows {
						sel.Keeps(i, r)
					}
				}
			}
		}
	})
}

// A footer of a few kilobytes whose tables share their children describes a tree of 2^40 fields. The
// library would build it; the walk gives up.
func TestHostileFooter(t *testing.T) {
	good := shardBytes(t, fuzzSchema(), 1, 1)
	foot, start, err := footerOf(good)
	if err != nil || len(foot) == 0 {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	// root -> Footer{schema} -> Schema{fields: [F0, F0]}; Fi{children: [Fi+1, Fi+1]}; all offsets point forward
	var b []byte
	put := func(at int, target int) { le.PutUint32(b[at:], uint32(target-at)) }
	newTable := func(slot int) (tab, field int) {
		vt := len(b)
		b = le.AppendUint16(b, uint16(4+2*(slot+1)))
		b = le.AppendUint16(b, 8)
		for i := range slot + 1 {
			if i == slot {
				b = le.AppendUint16(b, 4)
			} else {
				b = le.AppendUint16(b, 0)
			}
		}
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		tab = len(b)
		b = le.AppendUint32(b, uint32(tab-vt))
		b = le.AppendUint32(b, 0)
		return tab, tab + 4
	}
	b = le.AppendUint32(b, 0)
	tab, field := newTable(1) // Footer.schema
	put(0, tab)
	tab, next := newTable(1) // Schema.fields
	put(field, tab)
	for range 40 {
		vec := len(b)
		put(next, vec)
		b = le.AppendUint32(b, 2)
		b = append(b, make([]byte, 8)...)
		tab, next = newTable(5) // Field.children
		put(vec+4, tab)
		put(vec+8, tab)
	}
	vec := len(b)
	put(next, vec)
	b = le.AppendUint32(b, 0)
	data := append([]byte(nil), good[:start]...)
	data = append(data, b...)
	data = le.AppendUint32(data, uint32(len(b)))
	data = append(data, arrowMagic...)
	if _, err := parseShard(data, fuzzSchema()); err == nil {
		t.Error("opened")
	}
	if err := checkFooter(data); err != errFooterTooLarge {
		t.Errorf("walked: %v", err)
	}
}

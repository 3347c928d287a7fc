package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"

	"prep/internal/fault"
	"prep/internal/sample"
)

// shard is one mapped shard file with its batches located. It is read-only: any number of goroutines may
// read rows.
type shard struct {
	schema  Schema
	bytes   *mapping
	batches []batch
	starts  []int64 // first row of each batch
	rows    int64
}

// batch points into the mapping: for every column what the file has, checked for size but not for content.
type batch struct {
	rows             int64
	key, caption     words
	labels, captions lists
	tensors          []figures
	metrics          []figures // by metric, zero for words
	metricWords      []words   // by metric, zero for figures
}

// figures is a column of fixed width; valid is nil when no row is null. In one of type null, whose width is 0,
// all are.
type figures struct {
	valid []byte
	data  []byte
	width int
}

func (c *figures) at(i int64) ([]byte, bool) {
	if c.width == 0 {
		return nil, false
	}
	if c.valid != nil && c.valid[i/8]>>(i%8)&1 == 0 {
		return nil, false
	}
	return c.data[i*int64(c.width) : (i+1)*int64(c.width) : (i+1)*int64(c.width)], true
}

// words is a column of strings.
type words struct {
	valid []byte
	ends  []byte // n+1 int32, or none when there are no rows
	data  []byte
}

func (c *words) at(i int64) (string, bool, error) {
	if c.valid != nil && c.valid[i/8]>>(i%8)&1 == 0 {
		return "", false, nil
	}
	a, b, err := span(c.ends, i, len(c.data))
	if err != nil {
		return "", false, err
	}
	if !utf8.Valid(c.data[a:b]) {
		return "", false, errors.New("a string is not UTF-8")
	}
	return string(c.data[a:b]), true, nil
}

// lists is a column of lists of strings, none of them null.
type lists struct {
	ends  []byte // n+1 int32; none where there is no such column
	items words
}

func (c *lists) at(i int64) ([]string, error) {
	if len(c.ends) == 0 {
		return nil, nil
	}
	first, last, err := span(c.ends, i, max(0, len(c.items.ends)/4-1))
	if err != nil {
		return nil, err
	}
	var list []string
	for k := first; k < last; k++ {
		s, _, err := c.items.at(int64(k))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// span reads the ends of entry i of a list, which must lie within most.
func span(ends []byte, i int64, most int) (int, int, error) {
	a := int32(binary.LittleEndian.Uint32(ends[i*4:]))
	b := int32(binary.LittleEndian.Uint32(ends[i*4+4:]))
	if a < 0 || b < a || int64(b) > int64(most) {
		return 0, 0, fmt.Errorf("an entry spans %d to %d of %d", a, b, most)
	}
	return int(a), int(b), nil
}

// openShard maps the file at path, which must have the size and rows given (rows < 0: any) and columns
// as s says. Row content is not read; hashes are Verify's business.
func openShard(path string, s Schema, size, rows int64) (*shard, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fault.Corruptf("shard", "%s: no regular file", path)
	}
	if size >= 0 && info.Size() != size {
		return nil, fault.Corruptf("shard", "%s: %d bytes, the manifest says %d; run prep validate", path, info.Size(), size)
	}
	if info.Size() == 0 || info.Size() > math.MaxInt {
		return nil, fault.Corruptf("shard", "%s: %d bytes are no shard", path, info.Size())
	}
	m, err := mapFile(f, info.Size())
	if err != nil {
		return nil, err
	}
	sh, err := parseShard(m.data, s)
	if err == nil && rows >= 0 && sh.rows != rows {
		err = fmt.Errorf("%d rows, the manifest says %d", sh.rows, rows)
	}
	if err != nil {
		return nil, errors.Join(fault.Corruptf("shard", "%s: %w", path, err), m.close())
	}
	sh.bytes = m
	return sh, nil
}

func (s *shard) close() error { return s.bytes.close() }

// guard runs f and turns a panic, and a page that is gone because the file was cut short under its
// mapping, into an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if a, ok := p.(interface{ Addr() uintptr }); ok {
				err = fmt.Errorf("cannot be read at address %#x: the file was cut short or its disk failed", a.Addr())
				return
			}
			err = fmt.Errorf("damaged Arrow file: %v", p)
		}
	}()
	return f()
}

// noMemory refuses every allocation: a mapped, uncompressed shard needs none, and a hostile one could
// ask for any amount.
type noMemory struct{}

func (noMemory) Allocate(n int) []byte {
	panic(errors.New("the shard wants memory to be read; is it compressed?"))
}
func (m noMemory) Reallocate(n int, _ []byte) []byte { return m.Allocate(n) }
func (noMemory) Free([]byte)                         {}

// maxMetadata bounds the Arrow metadata of one batch; a schema of maxColumns needs less.
const maxMetadata = 256 << 10

// parseShard locates the batches of an Arrow file in memory and checks that every column has the type of
// s and enough bytes for its rows.
func parseShard(data []byte, s Schema) (sh *shard, err error) {
	err = guard(func() error {
		if err := checkFooter(data); err != nil {
			return err
		}
		r, err := ipc.NewMappedFileReader(data, ipc.WithAllocator(noMemory{}), ipc.WithMetadataSizeLimit(maxMetadata))
		if err != nil {
			return err
		}
		defer r.Close()
		if r.NumDictionaries() > 0 {
			return errors.New("it has dictionaries")
		}
		want := arrow.NewSchema(s.arrowFields(), nil)
		got := r.Schema()
		if got.NumFields() != want.NumFields() {
			return fmt.Errorf("%d columns, the manifest says %d", got.NumFields(), want.NumFields())
		}
		for i, f := range got.Fields() {
			if w := want.Field(i); !f.Equal(w) {
				return fmt.Errorf("column %d is %v, the manifest says %v", i, f, w)
			}
		}
		sh = &shard{schema: s, bytes: &mapping{}}
		for i := range r.NumRecords() {
			rec, err := r.RecordBatchAt(i)
			if err != nil {
				return fmt.Errorf("batch %d: %w", i, err)
			}
			b, err := locate(rec, s)
			if err != nil {
				return fmt.Errorf("batch %d: %w", i, err)
			}
			sh.starts = append(sh.starts, sh.rows)
			sh.batches = append(sh.batches, b)
			sh.rows += b.rows
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sh, nil
}

// locate takes the columns of a batch apart. The batch needs no releasing: its buffers are the mapping's.
func locate(rec arrow.RecordBatch, s Schema) (batch, error) {
	b := batch{rows: rec.NumRows()}
	if b.rows <= 0 || b.rows > math.MaxInt32 {
		return b, fmt.Errorf("%d rows", b.rows)
	}
	fail := func(i int, err error) (batch, error) {
		return batch{}, fmt.Errorf("column %s: %w", rec.ColumnName(i), err)
	}
	var err error
	if b.key, err = locateWords(rec.Column(0).Data(), b.rows, false); err != nil {
		return fail(0, err)
	}
	if b.labels, err = locateLists(rec.Column(1).Data(), b.rows); err != nil {
		return fail(1, err)
	}
	if b.caption, err = locateWords(rec.Column(2).Data(), b.rows, true); err != nil {
		return fail(2, err)
	}
	col := 3
	if s.Captions {
		if b.captions, err = locateLists(rec.Column(col).Data(), b.rows); err != nil {
			return fail(col, err)
		}
		col++
	}
	for _, t := range s.Tensors {
		d := rec.Column(col).Data()
		c := figures{width: t.Bytes()}
		if t.DType == sample.Null {
			if int64(d.Len()) < b.rows {
				return fail(col, fmt.Errorf("%d rows, want %d", d.Len(), b.rows))
			}
			b.tensors = append(b.tensors, c)
			col++
			continue
		}
		if c.valid, err = validity(d, b.rows, true); err != nil {
			return fail(col, err)
		}
		child := d.Children()[0]
		n := b.rows * int64(t.Elements())
		if int64(child.Len()) < n {
			return fail(col, fmt.Errorf("%d elements, want %d", child.Len(), n))
		}
		if _, err = validity(child, n, false); err != nil {
			return fail(col, err)
		}
		if c.data, err = body(child, 1, b.rows*int64(c.width)); err != nil {
			return fail(col, err)
		}
		b.tensors = append(b.tensors, c)
		col++
	}
	b.metrics = make([]figures, len(s.Metrics))
	b.metricWords = make([]words, len(s.Metrics))
	for i, m := range s.Metrics {
		d := rec.Column(col).Data()
		if m.Kind == sample.Word {
			b.metricWords[i], err = locateWords(d, b.rows, true)
		} else {
			b.metrics[i].width = 8
			if b.metrics[i].valid, err = validity(d, b.rows, true); err == nil {
				b.metrics[i].data, err = body(d, 1, b.rows*8)
			}
		}
		if err != nil {
			return fail(col, err)
		}
		col++
	}
	return b, nil
}

// body returns buffer k of an array, at least n bytes of it.
func body(d arrow.ArrayData, k int, n int64) ([]byte, error) {
	var buf []byte
	if bs := d.Buffers(); k < len(bs) && bs[k] != nil {
		buf = bs[k].Bytes()
	}
	if d.Offset() != 0 || int64(len(buf)) < n {
		return nil, fmt.Errorf("%d bytes, want %d", len(buf), n)
	}
	return buf, nil
}

// validity returns the bitmap of an array of rows, nil when none is null.
func validity(d arrow.ArrayData, rows int64, nullable bool) ([]byte, error) {
	if int64(d.Len()) < rows {
		return nil, fmt.Errorf("%d rows, want %d", d.Len(), rows)
	}
	var bm *memory.Buffer
	if bs := d.Buffers(); len(bs) > 0 {
		bm = bs[0]
	}
	if d.NullN() == 0 || bm == nil || bm.Len() == 0 {
		if d.NullN() > 0 {
			return nil, errors.New("nulls without a bitmap")
		}
		return nil, nil
	}
	if !nullable {
		return nil, fmt.Errorf("%d nulls", d.NullN())
	}
	return body(d, 0, (rows+7)/8)
}

func locateLists(d arrow.ArrayData, rows int64) (lists, error) {
	var c lists
	_, err := validity(d, rows, false)
	if err != nil {
		return c, err
	}
	if c.ends, err = body(d, 1, (rows+1)*4); err != nil {
		return c, err
	}
	items := d.Children()[0]
	if c.items, err = locateWords(items, int64(items.Len()), false); err != nil {
		return c, err
	}
	c.items.ends = c.items.ends[:min(len(c.items.ends), (items.Len()+1)*4)]
	return c, nil
}

func locateWords(d arrow.ArrayData, rows int64, nullable bool) (w words, err error) {
	if w.valid, err = validity(d, rows, nullable); err != nil {
		return w, err
	}
	if rows > 0 {
		if w.ends, err = body(d, 1, (rows+1)*4); err != nil {
			return w, err
		}
	}
	w.data, err = body(d, 2, 0)
	return w, err
}

// find returns the batch of a row and the row within it.
func (s *shard) find(row int64) (*batch, int64) {
	lo, hi := 0, len(s.starts)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.starts[mid] <= row {
			lo = mid
		} else {
			hi = mid
		}
	}
	return &s.batches[lo], row - s.starts[lo]
}

// row reads everything of a row but its tensors, which stay where they are.
func (s *shard) row(row int64) (Row, error) {
	b, i := s.find(row)
	r := Row{shard: s, batch: b, index: i}
	var err error
	if r.Key, _, err = b.key.at(i); err != nil {
		return Row{}, fmt.Errorf("key: %w", err)
	}
	if r.Caption, _, err = b.caption.at(i); err != nil {
		return Row{}, fmt.Errorf("caption: %w", err)
	}
	if r.Labels, err = b.labels.at(i); err != nil {
		return Row{}, fmt.Errorf("labels: %w", err)
	}
	if r.Captions, err = b.captions.at(i); err != nil {
		return Row{}, fmt.Errorf("captions: %w", err)
	}
	return r, nil
}

// metrics reads the metrics of a row.
func (b *batch) metricsAt(s Schema, i int64) (sample.Metrics, error) {
	m := sample.Metrics{}
	for k, f := range s.Metrics {
		if f.Kind == sample.Word {
			v, there, err := b.metricWords[k].at(i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			if there {
				m[f.Name] = v
			}
			continue
		}
		raw, there := b.metrics[k].at(i)
		if !there {
			continue
		}
		v := binary.LittleEndian.Uint64(raw)
		if f.Kind == sample.Number {
			m[f.Name] = math.Float64frombits(v)
		} else {
			m[f.Name] = int64(v)
		}
	}
	return m, nil
}

// Arrow's footer is a flatbuffer: tables that point forward to others, which may share them. A few bytes
// can so describe a tree of any size, and the library would build it. checkFooter walks the schema first
// and gives up beyond what a schema of ours can have.
const (
	arrowMagic     = "ARROW1"
	maxFooter      = 16 << 20
	footerSchema   = 6 // vtable slots of org.apache.arrow.flatbuf.Footer, Schema, Field, KeyValue
	schemaFields   = 6
	schemaMetadata = 8
	fieldName      = 4
	fieldChildren  = 14
	fieldMetadata  = 16
	keyValueKey    = 4
	keyValueValue  = 6
)

// footerOf returns the footer's bytes and the offset at which they begin.
func footerOf(data []byte) ([]byte, int, error) {
	const tail = len(arrowMagic) + 4
	n := len(data)
	if n < 8+tail || string(data[:6]) != arrowMagic || string(data[n-6:]) != arrowMagic {
		return nil, 0, errors.New("no Arrow file: the magic is missing at its start or end")
	}
	size := int64(binary.LittleEndian.Uint32(data[n-tail:]))
	if size < 8 || size > maxFooter || size > int64(n-8-tail) {
		return nil, 0, fmt.Errorf("a footer of %d bytes in a file of %d", size, n)
	}
	start := n - tail - int(size)
	return data[start : n-tail], start, nil
}

// walk counts what a schema's tree holds; it gives up when the budget is spent.
type walk struct {
	fields, text int
}

var errFooterTooLarge = errors.New("the footer describes more than a shard's columns")

func checkFooter(data []byte) error {
	foot, _, err := footerOf(data)
	if err != nil {
		return err
	}
	root := flatbuffers.Table{Bytes: foot, Pos: flatbuffers.GetUOffsetT(foot)}
	w := walk{fields: 4 * maxColumns, text: 4 << 20}
	o := root.Offset(footerSchema)
	if o == 0 {
		return errors.New("the footer has no schema")
	}
	schema := flatbuffers.Table{Bytes: foot, Pos: root.Indirect(flatbuffers.UOffsetT(o) + root.Pos)}
	if err := w.children(schema, schemaFields, 0); err != nil {
		return err
	}
	return w.metadata(schema, schemaMetadata)
}

func (w *walk) children(t flatbuffers.Table, slot flatbuffers.VOffsetT, depth int) error {
	o := t.Offset(slot)
	if o == 0 {
		return nil
	}
	n := t.VectorLen(flatbuffers.UOffsetT(o))
	at := t.Vector(flatbuffers.UOffsetT(o))
	if n < 0 || n > w.fields || depth > 4 {
		return errFooterTooLarge
	}
	w.fields -= n
	for i := range n {
		f := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(i)*4)}
		if err := w.string(f, fieldName); err != nil {
			return err
		}
		if err := w.metadata(f, fieldMetadata); err != nil {
			return err
		}
		if err := w.children(f, fieldChildren, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) metadata(t flatbuffers.Table, slot flatbuffers.VOffsetT) error {
	o := t.Offset(slot)
	if o == 0 {
		return nil
	}
	n := t.VectorLen(flatbuffers.UOffsetT(o))
	at := t.Vector(flatbuffers.UOffsetT(o))
	if n < 0 || n > w.fields {
		return errFooterTooLarge
	}
	w.fields -= n
	for i := range n {
		kv := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(i)*4)}
		if err := errors.Join(w.string(kv, keyValueKey), w.string(kv, keyValueValue)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) string(t flatbuffers.Table, slot flatbuffers.VOffsetT) error {
	if o := t.Offset(slot); o != 0 {
		n := len(t.ByteVector(flatbuffers.UOffsetT(o) + t.Pos))
		if n > w.text {
			return errFooterTooLarge
		}
		w.text -= n
	}
	return nil
}

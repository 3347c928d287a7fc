package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"prep/internal/sample"
)

// DefaultBatchRows is the rows of a record batch: about 20 MB for picture, sound and text, so that one
// read of a disk fetches a good part and a writer's memory stays small.
const DefaultBatchRows = 64

const (
	// maxBatchBytes is what the tensors of one batch may take. arrow-go's readers refuse bodies over
	// 256 MiB by default, and the strings must fit beside.
	maxBatchBytes = 192 << 20
	// maxStringBytes is what keys, labels, captions and metrics of one batch may take, and of one row.
	maxStringBytes = 32 << 20
)

// WriterOptions are a writer's settings. They decide bytes.
type WriterOptions struct {
	// BatchRows is the most rows of a record batch; 0 means DefaultBatchRows. Batches of large rows are
	// shorter, so that none exceeds 256 MiB.
	BatchRows int
	// Metadata is written into the Arrow schema, sorted by key.
	Metadata map[string]string
}

// A Writer writes one shard: an Arrow IPC file, uncompressed. The same rows give the same bytes. Its
// memory is that of one batch. It is not safe for concurrent use.
//
// The tensors of a batch are gathered in one slab a column, in the layout of the file, and written from
// there: this costs one copy, where Arrow's builders take four times as long.
type Writer struct {
	w      *ipc.FileWriter
	schema Schema
	arrow  *arrow.Schema
	metric map[string]int

	batchRows int
	rows      int // in the batch
	strings   int // bytes in the batch
	total     int64
	err       error

	key, caption     stringColumn
	labels, captions listColumn
	tensorCols       []fixedColumn
	metricFixed      []fixedColumn  // by metric; unused for words
	metricWords      []stringColumn // by metric; unused for figures
}

// NewWriter returns a writer of shards of schema s to w. Tensor columns are found in a sample by their names,
// see sample.Sample.Tensor.
func NewWriter(w io.Writer, s Schema, o WriterOptions) (*Writer, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if o.BatchRows < 0 {
		return nil, fmt.Errorf("batches of %d rows", o.BatchRows)
	}
	sw := &Writer{schema: s, batchRows: o.BatchRows, metric: map[string]int{}}
	if sw.batchRows == 0 {
		sw.batchRows = DefaultBatchRows
	}
	if n := s.rowBytes(); n > 0 {
		sw.batchRows = max(1, min(sw.batchRows, maxBatchBytes/n))
	}
	for _, t := range s.Tensors {
		if _, err := sample.ParseModality(t.Name); err != nil && t.Name != sample.ColumnTexts {
			return nil, err
		}
		sw.tensorCols = append(sw.tensorCols, fixedColumn{width: t.Bytes()})
	}
	for i, m := range s.Metrics {
		sw.metric[m.Name] = i
	}
	sw.metricFixed = make([]fixedColumn, len(s.Metrics))
	sw.metricWords = make([]stringColumn, len(s.Metrics))
	for i := range sw.metricFixed {
		sw.metricFixed[i].width = 8
	}
	keys := slices.Sorted(maps.Keys(o.Metadata))
	values := make([]string, len(keys))
	for i, k := range keys {
		values[i] = o.Metadata[k]
		if !utf8.ValidString(k) || !utf8.ValidString(values[i]) {
			return nil, fmt.Errorf("schema metadata %q is not UTF-8", k)
		}
	}
	md := arrow.NewMetadata(keys, values)
	sw.arrow = arrow.NewSchema(s.arrowFields(), &md)
	fw, err := ipc.NewFileWriter(w, ipc.WithSchema(sw.arrow))
	if err != nil {
		return nil, err
	}
	sw.w = fw
	return sw, nil
}

// Append adds a row. The tensors are copied: s may be used again. After an error of the writer beneath
// every call fails; a sample that does not fit the schema leaves the writer as it was.
func (w *Writer) Append(s *sample.Sample) error {
	if w.err != nil {
		return w.err
	}
	size, err := w.check(s)
	if err != nil {
		return fmt.Errorf("sample %q: %w", s.Key, err)
	}
	if w.rows > 0 && w.strings+size > maxStringBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.strings += size
	w.key.add(s.Key, true)
	w.labels.add(s.Labels)
	w.caption.add(s.Caption, s.Caption != "")
	if w.schema.Captions {
		w.captions.add(s.Captions)
	}
	for i, f := range w.schema.Tensors {
		c := &w.tensorCols[i]
		if f.DType == sample.Null {
			continue
		}
		t := s.Tensor(f.Name)
		if c.data == nil {
			c.data = newSlab(w.batchRows * c.width)
		}
		c.add(t.Data, !t.Absent())
	}
	for i, f := range w.schema.Metrics {
		switch v := s.Metrics[f.Name].(type) {
		case float64:
			w.metricFixed[i].addUint64(math.Float64bits(v))
		case int64:
			w.metricFixed[i].addUint64(uint64(v))
		case string:
			w.metricWords[i].add(v, true)
		case nil:
			if f.Kind == sample.Word {
				w.metricWords[i].add("", false)
			} else {
				w.metricFixed[i].add(nil, false)
			}
		}
	}
	w.rows++
	if w.rows == w.batchRows {
		return w.flush()
	}
	return nil
}

// check reports how s does not fit the schema, and how many bytes its strings take.
func (w *Writer) check(s *sample.Sample) (size int, err error) {
	if s.Key == "" {
		return 0, errors.New("no key")
	}
	text := func(what, v string) {
		if !utf8.ValidString(v) && err == nil {
			err = fmt.Errorf("%s is not UTF-8", what)
		}
		size += len(v)
	}
	text("the key", s.Key)
	text("the caption", s.Caption)
	for _, l := range s.Labels {
		text("a label", l)
		size += 4
	}
	switch {
	case !w.schema.Captions && len(s.Captions) > 0:
		return 0, errors.New("the schema has no column for several captions")
	case len(s.Captions) > 0 && s.Captions[0] != s.Caption:
		return 0, errors.New("the caption is not the first of the captions")
	}
	for _, c := range s.Captions {
		text("a caption", c)
		size += 4
	}
	for name, t := range s.AllTensors() {
		f, ok := w.schema.Tensor(name)
		if !ok {
			return 0, fmt.Errorf("the schema has no column for %s", name)
		}
		if err := f.Check(t); err != nil {
			return 0, err
		}
	}
	for name, v := range s.Metrics {
		i, ok := w.metric[name]
		if !ok {
			return 0, fmt.Errorf("the schema has no metric %s", name)
		}
		if err := checkMetric(w.schema.Metrics[i], v); err != nil {
			return 0, err
		}
		if word, ok := v.(string); ok {
			text(name, word)
		}
	}
	if size > maxStringBytes {
		return 0, fmt.Errorf("its texts take %d bytes, more than %d", size, maxStringBytes)
	}
	return size, err
}

func checkMetric(f sample.MetricField, v any) error {
	ok := false
	switch v.(type) {
	case float64:
		ok = f.Kind == sample.Number
	case int64:
		ok = f.Kind == sample.Count
	case string:
		ok = f.Kind == sample.Word
	}
	if !ok {
		return fmt.Errorf("metric %s holds %s, got %T", f.Name, kindNames[f.Kind], v)
	}
	return nil
}

// Rows is the number of rows appended.
func (w *Writer) Rows() int64 { return w.total + int64(w.rows) }

// Close writes the last batch and the footer. It does not close the writer beneath. A shard without rows
// is a whole file too: a schema and no batch.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.err = errors.New("the shard is closed")
	for i := range w.tensorCols {
		releaseSlab(w.tensorCols[i].data)
		w.tensorCols[i].data = nil
	}
	return w.w.Close()
}

// slabs keeps the memory of tensor columns for the next shard: the system takes as long to give and clear new pages as
// the rows take to be copied there.
var slabs sync.Pool

// newSlab returns an empty slice of capacity n or more.
func newSlab(n int) []byte {
	if n >= leastSlab {
		if b, _ := slabs.Get().(*[]byte); b != nil && cap(*b) >= n {
			return (*b)[:0]
		}
	}
	return make([]byte, 0, n)
}

// leastSlab is the least that is kept: small ones would come up where a large one is wanted.
const leastSlab = 1 << 20

func releaseSlab(b []byte) {
	if cap(b) >= leastSlab {
		slabs.Put(&b)
	}
}

// flush writes the batch and empties the columns, whose memory is used again: the writer beneath has
// taken the bytes when it returns.
func (w *Writer) flush() error {
	if w.rows == 0 {
		return nil
	}
	cols := make([]arrow.Array, 0, len(w.arrow.Fields()))
	cols = append(cols, w.key.array(), w.labels.array(), w.caption.array())
	if w.schema.Captions {
		cols = append(cols, w.captions.array())
	}
	for i := range w.tensorCols {
		c := &w.tensorCols[i]
		if w.schema.Tensors[i].DType == sample.Null {
			cols = append(cols, array.NewNull(w.rows))
			continue
		}
		list := w.arrow.Field(len(cols)).Type.(*arrow.FixedSizeListType)
		child := array.NewData(list.Elem(), c.n*int(list.Len()), []*memory.Buffer{nil, memory.NewBufferBytes(c.data)}, nil, 0, 0)
		cols = append(cols, array.MakeFromData(array.NewData(list, c.n, []*memory.Buffer{c.validity()}, []arrow.ArrayData{child}, c.nulls, 0)))
	}
	for i, m := range w.schema.Metrics {
		if m.Kind == sample.Word {
			cols = append(cols, w.metricWords[i].array())
			continue
		}
		c := &w.metricFixed[i]
		cols = append(cols, array.MakeFromData(array.NewData(metricType(m.Kind), c.n, []*memory.Buffer{c.validity(), memory.NewBufferBytes(c.data)}, nil, c.nulls, 0)))
	}
	rec := array.NewRecordBatch(w.arrow, cols, int64(w.rows))
	w.err = w.w.Write(rec)
	w.total += int64(w.rows)
	w.rows, w.strings = 0, 0
	w.key.reset()
	w.labels.reset()
	w.caption.reset()
	w.captions.reset()
	for i := range w.tensorCols {
		w.tensorCols[i].reset()
	}
	for i := range w.metricFixed {
		w.metricFixed[i].reset()
		w.metricWords[i].reset()
	}
	return w.err
}

// nullable is the validity of a column's rows: bit i of the bitmap, least significant first, is set when
// row i is there.
type nullable struct {
	n, nulls int
	bitmap   []byte
}

func (c *nullable) mark(there bool) {
	if c.n%8 == 0 {
		c.bitmap = append(c.bitmap, 0)
	}
	if there {
		c.bitmap[c.n/8] |= 1 << (c.n % 8)
	} else {
		c.nulls++
	}
	c.n++
}

// validity is nil when no row is null, as Arrow has it.
func (c *nullable) validity() *memory.Buffer {
	if c.nulls == 0 {
		return nil
	}
	return memory.NewBufferBytes(c.bitmap)
}

// fixedColumn gathers rows of one width. Nulls are zeros: what lies under them is part of the bytes.
type fixedColumn struct {
	nullable
	width int
	data  []byte
}

func (c *fixedColumn) add(row []byte, there bool) {
	c.mark(there)
	if there {
		c.data = append(c.data, row...)
		return
	}
	c.data = slices.Grow(c.data, c.width)
	c.data = c.data[:len(c.data)+c.width]
	clear(c.data[len(c.data)-c.width:])
}

func (c *fixedColumn) addUint64(v uint64) {
	c.mark(true)
	c.data = binary.LittleEndian.AppendUint64(c.data, v)
}

func (c *fixedColumn) reset() {
	c.nullable = nullable{bitmap: c.bitmap[:0]}
	c.data = c.data[:0]
}

// stringColumn gathers UTF-8 strings: int32 offsets and the bytes one after the other.
type stringColumn struct {
	nullable
	ends []byte
	data []byte
}

func (c *stringColumn) add(s string, there bool) {
	c.mark(there)
	if len(c.ends) == 0 {
		c.ends = binary.LittleEndian.AppendUint32(c.ends, 0)
	}
	if there {
		c.data = append(c.data, s...)
	}
	c.ends = binary.LittleEndian.AppendUint32(c.ends, uint32(len(c.data)))
}

func (c *stringColumn) array() arrow.Array {
	return array.MakeFromData(array.NewData(arrow.BinaryTypes.String, c.n,
		[]*memory.Buffer{c.validity(), memory.NewBufferBytes(c.ends), memory.NewBufferBytes(c.data)}, nil, c.nulls, 0))
}

func (c *stringColumn) reset() {
	c.nullable = nullable{bitmap: c.bitmap[:0]}
	c.ends, c.data = c.ends[:0], c.data[:0]
}

// listColumn gathers lists of strings: int32 offsets into the strings, and the strings. No list is null.
type listColumn struct {
	rows  int
	ends  []byte
	items stringColumn
}

func (c *listColumn) add(list []string) {
	if len(c.ends) == 0 {
		c.ends = binary.LittleEndian.AppendUint32(c.ends, 0)
	}
	for _, s := range list {
		c.items.add(s, true)
	}
	c.ends = binary.LittleEndian.AppendUint32(c.ends, uint32(c.items.n))
	c.rows++
}

func (c *listColumn) array() arrow.Array {
	child := c.items.array()
	return array.MakeFromData(array.NewData(arrow.ListOf(arrow.BinaryTypes.String), c.rows,
		[]*memory.Buffer{nil, memory.NewBufferBytes(c.ends)}, []arrow.ArrayData{child.Data()}, 0, 0))
}

func (c *listColumn) reset() {
	c.rows, c.ends = 0, c.ends[:0]
	c.items.reset()
}

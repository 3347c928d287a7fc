package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	parquetfile "github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"prep/internal/fault"
)

// parquetRows is how many rows are decoded at a time.
const parquetRows = 4096

// readParquet reads the columns that mean something; others are not even decoded. Text may be UTF8,
// binary or dictionary columns, labels also a list column.
func (m *manifestReader) readParquet(ctx context.Context, f *os.File, each func(*entry) error) (err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics on some damaged files
			err = fault.Inputf("%s: no Parquet that can be read: %v", m.name, r)
		}
	}()
	pf, err := parquetfile.NewParquetReader(f)
	if err != nil {
		return fault.Inputf("%s: no Parquet that can be read: %w", m.name, err)
	}
	defer pf.Close()
	// What a writer of Arrow left in the metadata would be read with the sizes that it states, whatever they are.
	pf.MetaData().FileMetaData.KeyValueMetadata = nil
	r, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: parquetRows}, memory.DefaultAllocator)
	if err != nil {
		return fault.Inputf("%s: no Parquet that can be read: %w", m.name, err)
	}
	var columns []int
	var header []string
	for i := range r.Manifest.Fields {
		field := &r.Manifest.Fields[i]
		header = append(header, field.Field.Name)
		if _, ok := roleOf(field.Field.Name); !ok {
			m.unused[field.Field.Name] = true
			continue
		}
		columns = append(columns, leaves(field)...)
	}
	if !namesMaterial(header) {
		return fault.Inputf("%s: no column image, video, audio, text, caption or the like (%s)", m.name, has(header))
	}
	batches, err := r.GetRecordReader(ctx, columns, nil)
	if err != nil {
		return fault.Inputf("%s: %w", m.name, err)
	}
	defer batches.Release()
	row := 0
	for batches.Next() {
		b := batches.RecordBatch()
		for i := range int(b.NumRows()) {
			row++
			e := entry{line: row}
			for c := range int(b.NumCols()) {
				if err := m.setArrow(&e, b.ColumnName(c), b.Column(c), i); err != nil {
					return err
				}
			}
			if err := each(&e); err != nil {
				return err
			}
		}
	}
	if err := batches.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fault.Inputf("%s: after row %d: %w", m.name, row, err)
	}
	return nil
}

// leaves lists the primitive columns below a field.
func leaves(f *pqarrow.SchemaField) []int {
	if f.IsLeaf() {
		return []int{f.ColIndex}
	}
	var out []int
	for i := range f.Children {
		out = append(out, leaves(&f.Children[i])...)
	}
	return out
}

// setArrow takes cell i of a column.
func (m *manifestReader) setArrow(e *entry, column string, col arrow.Array, i int) error {
	if col.IsNull(i) {
		return nil
	}
	r, ok := roleOf(column)
	if !ok {
		return nil
	}
	if list, ok := col.(array.ListLike); ok && r == roleLabels {
		from, to := list.ValueOffsets(i)
		values := list.ListValues()
		for j := from; j < to; j++ {
			if values.IsNull(int(j)) {
				continue
			}
			v, err := cell(values, int(j))
			if err != nil {
				return fault.Inputf("%s: %s: %w", m.at(e), column, err)
			}
			e.labels = append(e.labels, v)
		}
		return nil
	}
	v, err := cell(col, i)
	if err != nil {
		return fault.Inputf("%s: %s: %w", m.at(e), column, err)
	}
	m.set(e, r, column, v)
	return nil
}

// cell writes a text or number.
func cell(col arrow.Array, i int) (string, error) {
	switch c := col.(type) {
	case *array.String:
		return utf8Cell([]byte(c.Value(i)))
	case *array.LargeString:
		return utf8Cell([]byte(c.Value(i)))
	case *array.Binary:
		return utf8Cell(c.Value(i))
	case *array.LargeBinary:
		return utf8Cell(c.Value(i))
	case *array.Dictionary:
		return cell(c.Dictionary(), c.GetValueIndex(i))
	case *array.Int8, *array.Int16, *array.Int32, *array.Int64, *array.Uint8, *array.Uint16, *array.Uint32, *array.Uint64,
		*array.Float16, *array.Float32, *array.Float64, *array.Decimal128, *array.Decimal256:
		return col.ValueStr(i), nil
	}
	return "", fmt.Errorf("a column of type %s; want text or numbers", col.DataType())
}

// utf8Cell copies a cell out of the batch's memory and checks it as a field of a table is.
func utf8Cell(b []byte) (string, error) {
	if len(b) > maxField {
		return "", fmt.Errorf("a value of %d bytes; want a path or a caption", len(b))
	}
	if utf8.Valid(b) {
		return string(b), nil
	}
	return decodeField(b)
}

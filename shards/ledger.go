package shards

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"prep/internal/fault"
	"prep/internal/sample"
)

// The outcomes of a sample: it is in a shard, a rule excluded it, or it could not be read.
const (
	Written  = "written"
	Rejected = "rejected"
	Failed   = "failed"
)

// LedgerRow says what became of one input sample.
type LedgerRow struct {
	Key     string
	Outcome string // Written, Rejected or Failed
	Reason  string // a token to group by; "" (null on disk) for a written one
	Detail  string // a sentence for a person; "" is null
	Source  []string
	Shard   string // the shard's file name when written, else "" (null)
	Row     int64  // the row in that shard from 0 when written, else -1 (null)
	Metrics sample.Metrics
}

const (
	maxSources    = 64      // of one sample
	maxLedgerRows = 1 << 20 // of one ledger, which is one task
	maxLedger     = 1 << 30 // bytes of a ledger file
)

// ledgerColumns come first in a ledger, before the metrics.
var ledgerColumns = []arrow.Field{
	{Name: "key", Type: arrow.BinaryTypes.String},
	{Name: "outcome", Type: arrow.BinaryTypes.String},
	{Name: "reason", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "detail", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "source", Type: arrow.ListOf(arrow.BinaryTypes.String)},
	{Name: "shard", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "row", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
}

// WriteLedger writes rows as Parquet: dictionaries and run lengths but no codec, so that the bytes depend
// on nothing but the rows. File names on disk may hold bytes that are not UTF-8; in source and detail
// they appear as \xNN, since a Parquet string cannot hold them.
func WriteLedger(w io.Writer, fields []sample.MetricField, rows []LedgerRow) error {
	if err := (Schema{Metrics: fields}).Check(); err != nil {
		return err
	}
	if len(rows) > maxLedgerRows {
		return fmt.Errorf("a ledger of %d rows; a task has at most %d", len(rows), maxLedgerRows)
	}
	columns := append([]arrow.Field(nil), ledgerColumns...)
	metric := map[string]sample.MetricField{}
	for _, f := range fields {
		columns = append(columns, arrow.Field{Name: f.Name, Type: metricType(f.Kind), Nullable: true})
		metric[f.Name] = f
	}
	schema := arrow.NewSchema(columns, nil)
	b := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	defer b.Release()
	word := func(column int, v string) {
		sb := b.Field(column).(*array.StringBuilder)
		if v == "" {
			sb.AppendNull()
		} else {
			sb.Append(v)
		}
	}
	for i := range rows {
		r := &rows[i]
		if err := r.check(metric); err != nil {
			return fmt.Errorf("ledger row %d (%q): %w", i, r.Key, err)
		}
		word(0, r.Key)
		word(1, r.Outcome)
		word(2, r.Reason)
		word(3, escapeInvalid(r.Detail))
		list := b.Field(4).(*array.ListBuilder)
		list.Append(true)
		for _, s := range r.Source {
			list.ValueBuilder().(*array.StringBuilder).Append(escapeInvalid(s))
		}
		word(5, r.Shard)
		if r.Row < 0 {
			b.Field(6).AppendNull()
		} else {
			b.Field(6).(*array.Int64Builder).Append(r.Row)
		}
		for k, f := range fields {
			c := b.Field(len(ledgerColumns) + k)
			switch v := r.Metrics[f.Name].(type) {
			case float64:
				c.(*array.Float64Builder).Append(v)
			case int64:
				c.(*array.Int64Builder).Append(v)
			case string:
				c.(*array.StringBuilder).Append(v)
			default:
				c.AppendNull()
			}
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	props := parquet.NewWriterProperties(
		parquet.WithCreatedBy("prep version 1.0.0"),
		parquet.WithCompression(compress.Codecs.Uncompressed),
		parquet.WithVersion(parquet.V2_LATEST),
		parquet.WithDictionaryDefault(true),
	)
	// The Parquet writer closes what it writes to when that can be closed; the caller's is not ours to close.
	fw, err := pqarrow.NewFileWriter(schema, struct{ io.Writer }{w}, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return err
	}
	if rec.NumRows() > 0 {
		if err := fw.Write(rec); err != nil {
			return err
		}
	}
	return fw.Close()
}

func (r *LedgerRow) check(metric map[string]sample.MetricField) error {
	switch {
	case r.Key == "":
		return errors.New("no key")
	case !utf8.ValidString(r.Key) || !utf8.ValidString(r.Reason):
		return errors.New("key or reason is not UTF-8")
	case r.Outcome == Written && (r.Shard == "" || r.Row < 0):
		return errors.New("written, but names no shard and row")
	case r.Outcome != Written && (r.Shard != "" || r.Row >= 0 || r.Reason == ""):
		return fmt.Errorf("%s, but names a shard or row, or no reason", r.Outcome)
	case r.Outcome != Written && r.Outcome != Rejected && r.Outcome != Failed:
		return fmt.Errorf("unknown outcome %q", r.Outcome)
	case len(r.Source) > maxSources:
		return fmt.Errorf("%d sources, at most %d", len(r.Source), maxSources)
	}
	for name, v := range r.Metrics {
		f, ok := metric[name]
		if !ok {
			return fmt.Errorf("the ledger has no metric %s", name)
		}
		if err := checkMetric(f, v); err != nil {
			return err
		}
		if s, ok := v.(string); ok && !utf8.ValidString(s) {
			return fmt.Errorf("metric %s is not UTF-8", name)
		}
	}
	return nil
}

// escapeInvalid writes bytes that are no UTF-8 as \xNN.
func escapeInvalid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// ReadLedger reads a ledger that WriteLedger wrote. A damaged one gives a fault.Corrupt error.
func ReadLedger(path string) ([]LedgerRow, error) {
	rows, _, err := readLedger(path, maxLedgerRows)
	return rows, err
}

// readLedger also returns the metrics' fields (name and kind). More than maxRows rows are an error.
func readLedger(path string, maxRows int64) ([]LedgerRow, []sample.MetricField, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLedger+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > maxLedger {
		return nil, nil, fault.Corruptf("ledger", "%s: larger than %d MiB", path, maxLedger>>20)
	}
	rows, fields, err := parseLedger(data, maxRows)
	if err != nil {
		return nil, nil, fault.Corruptf("ledger", "%s: %w", path, err)
	}
	return rows, fields, nil
}

// parseLedger reads the columns page by page and keeps one copy of each distinct string: neither a
// declared count nor a dictionary that is pointed at a million times makes it allocate beyond maxRows
// and the size of data.
func parseLedger(data []byte, maxRows int64) (rows []LedgerRow, fields []sample.MetricField, err error) {
	defer func() {
		if p := recover(); p != nil { // arrow-go panics on some damage
			rows, fields, err = nil, nil, fmt.Errorf("damaged Parquet: %v", p)
		}
	}()
	if err := checkParquetFooter(data); err != nil {
		return nil, nil, err
	}
	properties := parquet.NewReaderProperties(memory.DefaultAllocator)
	properties.MaxUncompressedPageSize = int64(len(data)) // pages are not compressed
	r, err := file.NewParquetReader(bytes.NewReader(data), file.WithReadProps(properties))
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	n := r.NumRows()
	if n < 0 || n > min(maxRows, maxLedgerRows) {
		return nil, nil, fmt.Errorf("it has %d rows, %d are possible", n, min(maxRows, maxLedgerRows))
	}
	// From the columns themselves: what a writer of Arrow leaves in the metadata (ARROW:schema) is not looked at,
	// for reading it allocates what it says.
	sc, err := pqarrow.FromParquet(r.MetaData().Schema, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	if sc.NumFields() < len(ledgerColumns) || sc.NumFields() > len(ledgerColumns)+maxColumns || r.MetaData().Schema.NumColumns() != sc.NumFields() {
		return nil, nil, fmt.Errorf("it has %d columns", sc.NumFields())
	}
	for i, want := range ledgerColumns {
		got := sc.Field(i)
		same := got.Type.ID() == want.Type.ID()
		if list, ok := got.Type.(*arrow.ListType); ok {
			same = same && list.Elem().ID() == arrow.STRING
		}
		if got.Name != want.Name || !same {
			return nil, nil, fmt.Errorf("column %d is %s %s, want %s %s", i, got.Name, got.Type, want.Name, want.Type)
		}
	}
	rows = make([]LedgerRow, n)
	for i := range rows {
		rows[i].Row = -1
	}
	names := map[string]bool{}
	for c := range sc.NumFields() {
		if c >= len(ledgerColumns) {
			f := sample.MetricField{Name: sc.Field(c).Name, Kind: sample.Word}
			switch sc.Field(c).Type.ID() {
			case arrow.FLOAT64:
				f.Kind = sample.Number
			case arrow.INT64:
				f.Kind = sample.Count
			}
			fields = append(fields, f)
		}
		if names[sc.Field(c).Name] {
			return nil, nil, fmt.Errorf("two columns %s", sc.Field(c).Name)
		}
		names[sc.Field(c).Name] = true
		if err := readLedgerColumn(r, c, sc.Field(c), rows); err != nil {
			return nil, nil, fmt.Errorf("column %s: %w", sc.Field(c).Name, err)
		}
	}
	return rows, fields, nil
}

// checkParquetFooter holds the file to what WriteLedger writes before the library sees it: the magic at
// both ends and a footer that lies within.
func checkParquetFooter(data []byte) error {
	const magic = "PAR1"
	n := len(data)
	if n < 12 || string(data[:4]) != magic || string(data[n-4:]) != magic {
		return errors.New("no Parquet file")
	}
	size := int64(data[n-8]) | int64(data[n-7])<<8 | int64(data[n-6])<<16 | int64(data[n-5])<<24
	if size > int64(n-12) {
		return fmt.Errorf("a footer of %d bytes in a file of %d", size, n)
	}
	return nil
}

func readLedgerColumn(r *file.Reader, c int, field arrow.Field, rows []LedgerRow) error {
	intern := map[string]string{}
	str := func(b []byte) string {
		if s, ok := intern[string(b)]; ok {
			return s
		}
		s := string(b)
		intern[s] = s
		return s
	}
	put := func(i int, v any) {
		switch c {
		case 0:
			rows[i].Key = v.(string)
		case 1:
			rows[i].Outcome = v.(string)
		case 2:
			rows[i].Reason = v.(string)
		case 3:
			rows[i].Detail = v.(string)
		case 5:
			rows[i].Shard = v.(string)
		case 6:
			rows[i].Row = v.(int64)
		default:
			if rows[i].Metrics == nil {
				rows[i].Metrics = sample.Metrics{}
			}
			rows[i].Metrics[field.Name] = v
		}
	}
	isList := field.Type.ID() == arrow.LIST
	desc := r.MetaData().Schema.Column(c)
	maxDef := desc.MaxDefinitionLevel()
	next := 0 // row
	for g := range r.NumRowGroups() {
		rg := r.RowGroup(g)
		meta, err := rg.MetaData().ColumnChunk(c)
		if err != nil {
			return err
		}
		if meta.Compression() != compress.Codecs.Uncompressed {
			return fmt.Errorf("compressed by %s", meta.Compression())
		}
		most := rg.NumRows()
		if isList {
			most = rg.NumRows() * maxSources
		}
		if rg.NumRows() < 0 || rg.NumRows() > int64(len(rows)-next) || meta.NumValues() > most || meta.NumValues() < rg.NumRows() {
			return fmt.Errorf("row group %d has %d rows and %d values", g, rg.NumRows(), meta.NumValues())
		}
		col, err := rg.Column(c)
		if err != nil {
			return err
		}
		end := next + int(rg.NumRows())
		const batch = 1024
		def, rep := make([]int16, batch), make([]int16, batch)
		row := next - 1
		// place hands the batch's values to their rows; levels that are not stored are 0 throughout
		place := func(levels int64, value func(k int) any) error {
			k := 0
			for l := range int(levels) {
				if !isList || rep[l] == 0 {
					row++
				}
				if row < next || row >= end {
					return fmt.Errorf("values for more than %d rows", end-next)
				}
				if maxDef > 0 && def[l] < maxDef {
					continue // null, or an empty list
				}
				v := value(k)
				k++
				if isList {
					if len(rows[row].Source) == maxSources {
						return fmt.Errorf("row %d has more than %d sources", row, maxSources)
					}
					rows[row].Source = append(rows[row].Source, v.(string))
				} else {
					put(row, v)
				}
			}
			return nil
		}
		switch col := col.(type) {
		case *file.ByteArrayColumnChunkReader:
			if id := field.Type.ID(); id != arrow.STRING && !isList {
				return fmt.Errorf("type %s", field.Type)
			}
			// within a page, since the bytes belong to the page
			err = readValues(col, col.ReadBatchInPage, def, rep, place, func(v parquet.ByteArray) any { return str(v) })
		case *file.Float64ColumnChunkReader:
			err = readValues(col, col.ReadBatch, def, rep, place, func(v float64) any { return v })
		case *file.Int64ColumnChunkReader:
			if field.Type.ID() != arrow.INT64 {
				return fmt.Errorf("type %s", field.Type)
			}
			err = readValues(col, col.ReadBatch, def, rep, place, func(v int64) any { return v })
		default:
			return fmt.Errorf("type %s", field.Type)
		}
		if err != nil {
			return err
		}
		if err := col.Err(); err != nil {
			return err
		}
		if row != end-1 {
			return fmt.Errorf("row group %d ends at row %d of %d", g, row+1-next, end-next)
		}
		next = end
	}
	if next != len(rows) {
		return fmt.Errorf("%d rows of %d", next, len(rows))
	}
	return nil
}

// readValues reads a column chunk in batches of len(def) levels and hands each batch to place.
func readValues[T any](col file.ColumnChunkReader, read func(int64, []T, []int16, []int16) (int64, int, error), def, rep []int16,
	place func(levels int64, value func(k int) any) error, value func(T) any) error {
	vals := make([]T, len(def))
	for col.HasNext() {
		levels, _, err := read(int64(len(def)), vals, def, rep)
		if err == nil && levels == 0 {
			err = errors.New("a page without values")
		}
		if err == nil {
			err = place(levels, func(k int) any { return value(vals[k]) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Package shards owns prep's on-disk format: Arrow shards, Parquet ledgers, the manifest that seals them
// and the selection that thins them out, with a writer, a reader and a verifier for each. docs/format.md
// is its other half; the two agree to the byte.
//
// It knows tensors and metrics by column name only. What a modality means, how a tensor comes to be and
// which values are in range is the callers' business, and so are plans, tasks and resuming: they find
// here the two ways of putting a file in place (CommitFile, LinkFile) and nothing about order or retries.
//
// Nothing that is read is trusted: a damaged or hostile folder yields errors, never a panic and never an
// allocation that a few bytes of input asked for.
package shards

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"prep/internal/sample"
)

// FormatVersion is the version of the folder that this program writes. It is raised when a reader of the
// version before could misread what is written; a reader refuses any other.
const FormatVersion = 1

// The columns that every shard has ahead of its tensors and metrics.
const (
	ColumnKey     = "key"
	ColumnLabels  = "labels"
	ColumnCaption = "caption"
	// ColumnCaptions is there when Schema.Captions says so.
	ColumnCaptions = "captions"
)

// Schema says which tensors and metrics the rows of a data set have, in the order of the columns. The column
// of a modality that no sample can have is better of type sample.Null than null throughout: Arrow lays nulls
// of a fixed shape out as zeros.
//
// With Captions the rows have a list of captions behind the caption, which is its first.
type Schema struct {
	Captions bool
	Tensors  []sample.TensorField
	Metrics  []sample.MetricField
}

// maxRowBytes bounds the tensors of one row, maxTensorRank the axes of one tensor and maxColumns their
// number: far beyond any use, and small enough that no product of sizes from a file overflows.
const (
	maxRowBytes   = 128 << 20
	maxTensorRank = 8
	maxColumns    = 1024
)

// Check reports what makes s no schema: an unknown type, an impossible shape, or a name that is empty,
// reserved or used twice.
func (s Schema) Check() error {
	if len(s.Tensors)+len(s.Metrics) > maxColumns {
		return fmt.Errorf("%d columns are more than %d", len(s.Tensors)+len(s.Metrics), maxColumns)
	}
	seen := map[string]bool{ColumnKey: true, ColumnLabels: true, ColumnCaption: true, ColumnCaptions: true,
		// the ledger's own, which share a namespace with the metrics
		"outcome": true, "reason": true, "detail": true, "source": true, "shard": true, "row": true}
	name := func(n string) error {
		if n == "" || !utf8.ValidString(n) || seen[n] {
			return fmt.Errorf("column name %q is empty, reserved or used twice", n)
		}
		seen[n] = true
		return nil
	}
	row := 0
	for _, t := range s.Tensors {
		if err := name(t.Name); err != nil {
			return err
		}
		if t.DType == sample.Null && len(t.Shape) == 0 {
			continue
		}
		if len(t.Shape) == 0 || len(t.Shape) > maxTensorRank || t.DType.Size() == 0 {
			return fmt.Errorf("column %s has type %q and shape %v", t.Name, t.DType, t.Shape)
		}
		n := t.DType.Size()
		for _, d := range t.Shape {
			if d < 1 || d > maxRowBytes || n > maxRowBytes/d {
				return fmt.Errorf("column %s: shape %v has no size of 1 byte to %d MiB", t.Name, t.Shape, maxRowBytes>>20)
			}
			n *= d
		}
		if row += n; row > maxRowBytes {
			return fmt.Errorf("a row of %s and the columns before it is larger than %d MiB", t.Name, maxRowBytes>>20)
		}
	}
	for _, m := range s.Metrics {
		if err := name(m.Name); err != nil {
			return err
		}
		if m.Kind > sample.Word {
			return fmt.Errorf("metric %s has unknown kind %d", m.Name, m.Kind)
		}
	}
	return nil
}

// rowBytes is what the tensors of one row occupy.
func (s Schema) rowBytes() int {
	n := 0
	for _, t := range s.Tensors {
		n += t.Bytes()
	}
	return n
}

// Tensor returns the field of a tensor column.
func (s Schema) Tensor(column string) (sample.TensorField, bool) {
	for _, t := range s.Tensors {
		if t.Name == column {
			return t, true
		}
	}
	return sample.TensorField{}, false
}

var kindNames = [...]string{sample.Number: "float64", sample.Count: "int64", sample.Word: "string"}

// metricJSON is a metric's field as the manifest has it.
type metricJSON struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Unit string `json:"unit,omitempty"`
	Doc  string `json:"doc,omitempty"`
}

type schemaJSON struct {
	Captions bool                 `json:"captions,omitempty"`
	Tensors  []sample.TensorField `json:"tensors"`
	Metrics  []metricJSON         `json:"metrics"`
}

// MarshalJSON writes {"captions", "tensors": [{"name", "dtype", "shape"}], "metrics": [{"name", "type", "unit", "doc"}]}, captions only
// where it is true.
func (s Schema) MarshalJSON() ([]byte, error) {
	out := schemaJSON{Captions: s.Captions, Tensors: s.Tensors, Metrics: make([]metricJSON, len(s.Metrics))}
	if out.Tensors == nil {
		out.Tensors = []sample.TensorField{}
	}
	for i, m := range s.Metrics {
		if int(m.Kind) >= len(kindNames) {
			return nil, fmt.Errorf("metric %s has unknown kind %d", m.Name, m.Kind)
		}
		out.Metrics[i] = metricJSON{m.Name, kindNames[m.Kind], m.Unit, m.Doc}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Schema) UnmarshalJSON(b []byte) error {
	var in schemaJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*s = Schema{Captions: in.Captions, Tensors: in.Tensors, Metrics: make([]sample.MetricField, len(in.Metrics))}
next:
	for i, m := range in.Metrics {
		for k, n := range kindNames {
			if m.Type == n {
				s.Metrics[i] = sample.MetricField{Name: m.Name, Kind: sample.FieldKind(k), Unit: m.Unit, Doc: m.Doc}
				continue next
			}
		}
		return fmt.Errorf("metric %s has unknown type %q", m.Name, m.Type)
	}
	return nil
}

// The keys by which an Arrow field says that it is of an extension type, and the canonical type that our
// tensors are of (Arrow columnar format, "Canonical extension types").
const (
	extensionNameKey     = "ARROW:extension:name"
	extensionMetadataKey = "ARROW:extension:metadata"
	fixedShapeTensor     = "arrow.fixed_shape_tensor"
)

// arrowFields are the columns as Arrow knows them. arrow-go has no fixed-shape tensor type; it is written
// as what it is on disk: a fixed-size list whose field names the extension and the shape.
func (s Schema) arrowFields() []arrow.Field {
	fields := []arrow.Field{
		{Name: ColumnKey, Type: arrow.BinaryTypes.String},
		{Name: ColumnLabels, Type: arrow.ListOf(arrow.BinaryTypes.String)},
		{Name: ColumnCaption, Type: arrow.BinaryTypes.String, Nullable: true},
	}
	if s.Captions {
		fields = append(fields, arrow.Field{Name: ColumnCaptions, Type: arrow.ListOf(arrow.BinaryTypes.String)})
	}
	for _, t := range s.Tensors {
		if t.DType == sample.Null {
			fields = append(fields, arrow.Field{Name: t.Name, Type: arrow.Null, Nullable: true})
			continue
		}
		var shape strings.Builder
		for i, d := range t.Shape {
			if i > 0 {
				shape.WriteByte(',')
			}
			shape.WriteString(strconv.Itoa(d))
		}
		fields = append(fields, arrow.Field{
			Name:     t.Name,
			Type:     arrow.FixedSizeListOf(int32(t.Elements()), elementType(t.DType)),
			Nullable: true,
			Metadata: arrow.NewMetadata(
				[]string{extensionMetadataKey, extensionNameKey},
				[]string{`{"shape":[` + shape.String() + `]}`, fixedShapeTensor}),
		})
	}
	for _, m := range s.Metrics {
		fields = append(fields, arrow.Field{Name: m.Name, Type: metricType(m.Kind), Nullable: true})
	}
	return fields
}

func elementType(d sample.DType) arrow.DataType {
	switch d {
	case sample.Uint8:
		return arrow.PrimitiveTypes.Uint8
	case sample.Int32:
		return arrow.PrimitiveTypes.Int32
	case sample.Float16:
		return arrow.FixedWidthTypes.Float16
	}
	return arrow.PrimitiveTypes.Float32
}

func metricType(k sample.FieldKind) arrow.DataType {
	switch k {
	case sample.Number:
		return arrow.PrimitiveTypes.Float64
	case sample.Count:
		return arrow.PrimitiveTypes.Int64
	}
	return arrow.BinaryTypes.String
}

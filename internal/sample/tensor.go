package sample

import "fmt"

// DType is the element type of a stored tensor.
type DType string

// The element types in use. Float16 is IEEE binary16. Null has no elements: the column of a modality that no
// sample of the data set has.
const (
	Null    DType = "null"
	Uint8   DType = "uint8"
	Int32   DType = "int32"
	Float16 DType = "float16"
	Float32 DType = "float32"
)

// Size returns the bytes of one element, 0 for Null and for an unknown type.
func (d DType) Size() int {
	switch d {
	case Uint8:
		return 1
	case Float16:
		return 2
	case Int32, Float32:
		return 4
	}
	return 0
}

// Tensor is a dense array in C order. Data is little-endian and len(Data) is the product of Shape times
// the element's size. The zero value means "absent".
type Tensor struct {
	DType DType
	Shape []int
	Data  []byte
}

// Absent reports whether the tensor is the zero value.
func (t Tensor) Absent() bool { return t.DType == "" }

// TensorField describes the tensors of one column: one type and shape for all rows. That of Null is empty, and
// only the absent tensor fits it.
type TensorField struct {
	Name  string `json:"name"`
	DType DType  `json:"dtype"`
	Shape []int  `json:"shape"`
}

// Elements is the product of the shape.
func (f TensorField) Elements() int {
	n := 1
	for _, d := range f.Shape {
		n *= d
	}
	return n
}

// Bytes is what one row occupies.
func (f TensorField) Bytes() int { return f.Elements() * f.DType.Size() }

// Check reports how t differs from the field, or nil. An absent tensor fits every field.
func (f TensorField) Check(t Tensor) error {
	if t.Absent() {
		return nil
	}
	if t.DType != f.DType || fmt.Sprint(t.Shape) != fmt.Sprint(f.Shape) {
		return fmt.Errorf("column %s holds %s%v, got %s%v", f.Name, f.DType, f.Shape, t.DType, t.Shape)
	}
	if len(t.Data) != f.Bytes() {
		return fmt.Errorf("column %s: %d bytes of data, want %d", f.Name, len(t.Data), f.Bytes())
	}
	return nil
}

// Package element knows the types of numbers that weight files hold and turns them into float32 and back.
// It owns no file format: safetensors and torchfile do.
package element

import (
	"encoding/binary"
	"fmt"
	"math"

	"prep/internal/fault"
)

// Type is a type of numbers, spelled as safetensors spells it.
type Type string

// The types. Complex numbers are known by size only.
const (
	F64  Type = "F64"
	F32  Type = "F32"
	F16  Type = "F16"
	BF16 Type = "BF16"
	I64  Type = "I64"
	I32  Type = "I32"
	I16  Type = "I16"
	I8   Type = "I8"
	U64  Type = "U64"
	U32  Type = "U32"
	U16  Type = "U16"
	U8   Type = "U8"
	Bool Type = "BOOL"
	C64  Type = "C64"
	C128 Type = "C128"
)

var known = map[Type]struct {
	size int
	name string // NumPy's and PyTorch's
}{
	F64: {8, "float64"}, F32: {4, "float32"}, F16: {2, "float16"}, BF16: {2, "bfloat16"},
	I64: {8, "int64"}, I32: {4, "int32"}, I16: {2, "int16"}, I8: {1, "int8"},
	U64: {8, "uint64"}, U32: {4, "uint32"}, U16: {2, "uint16"}, U8: {1, "uint8"}, Bool: {1, "bool"},
	C64: {8, "complex64"}, C128: {16, "complex128"},
}

// Size is the number of bytes of one element, 0 for a type that is not known.
func (t Type) Size() int { return known[t].size }

// String is the name that NumPy and PyTorch use, such as float32.
func (t Type) String() string {
	if k, ok := known[t]; ok {
		return k.name
	}
	return string(t)
}

// Floating reports whether elements are floating-point numbers, which Float32 can read.
func (t Type) Floating() bool { return t == F64 || t == F32 || t == F16 || t == BF16 }

// Parse finds the floating type of a name such as float16.
func Parse(name string) (Type, bool) {
	for _, t := range []Type{F32, F16, BF16, F64} {
		if t.String() == name {
			return t, true
		}
	}
	return "", false
}

// Tensor describes one tensor of a weight file.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int
}

// Elements is the product of the shape.
func (t Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Float32 reads len(dst) little-endian elements of a floating type. float64 is rounded.
func (t Type) Float32(dst []float32, src []byte) error {
	if len(src) != len(dst)*t.Size() {
		return fmt.Errorf("%d bytes for %d elements of %s", len(src), len(dst), t)
	}
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	case F16:
		for i := range dst {
			dst[i] = halfToFloat(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	default:
		return fmt.Errorf("%s is not floating point", t)
	}
	return nil
}

// Append writes v as little-endian elements of a floating type, rounded to nearest, ties to even. A finite
// value that rounds beyond the type's range becomes an infinity, as PyTorch's conversion makes it; Overflow
// tells beforehand.
func (t Type) Append(b []byte, v []float32) []byte {
	switch t {
	case F32:
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	case F64:
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(x)))
		}
	case F16:
		for _, x := range v {
			b = binary.LittleEndian.AppendUint16(b, floatToHalf(x))
		}
	case BF16:
		for _, x := range v {
			b = binary.LittleEndian.AppendUint16(b, floatToBrain(x))
		}
	default:
		panic("element: " + t.String() + " is not floating point")
	}
	return b
}

// Overflow returns the index of the first finite value that has no finite counterpart in the type, or -1.
func (t Type) Overflow(v []float32) int {
	bound := math.Inf(1)
	switch t {
	case F16:
		bound = 65520 // halfway between 65504, the largest, and the next power of two
	case BF16:
		bound = float64(math.Float32frombits(0x7f7f8000))
	}
	for i, x := range v {
		if a := math.Abs(float64(x)); a >= bound && !math.IsInf(a, 0) {
			return i
		}
	}
	return -1
}

// halfToFloat is exact (IEEE 754 binary16).
func halfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	case 0:
		v := float32(frac) / (1 << 24) // subnormal or zero
		return math.Float32frombits(math.Float32bits(v) | sign)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

func floatToHalf(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, abs := uint16(bits>>16)&0x8000, bits&0x7fffffff
	switch {
	case abs > 0x7f800000: // NaN stays one
		return sign | 0x7e00
	case abs >= 0x477ff000: // 65520 and above
		return sign | 0x7c00
	case abs < 0x38800000: // below 2^-14: subnormal, in units of 2^-24
		units := math.RoundToEven(float64(math.Float32frombits(abs)) * (1 << 24))
		return sign | uint16(units)
	}
	abs -= 112 << 23
	abs += 0xfff + abs>>13&1
	return sign | uint16(abs>>13)
}

func floatToBrain(x float32) uint16 {
	bits := math.Float32bits(x)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// A Source is a tensor that is to be written: its values come in order, in chunks, when its turn comes.
type Source struct {
	Tensor
	Values func(use func([]float32) error) error
}

// Bytes hands the source's elements to use as the little-endian bytes of its type, and checks their number.
func (s Source) Bytes(use func([]byte) error) error {
	var buf []byte
	n := 0
	err := s.Values(func(v []float32) error {
		for n += len(v); len(v) > 0; {
			part := v[:min(len(v), 1<<16)]
			v = v[len(part):]
			buf = s.Type.Append(buf[:0], part)
			if err := use(buf); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && n != s.Elements() {
		return fmt.Errorf("%s has %d values, its shape %v wants %d", s.Name, n, s.Shape, s.Elements())
	}
	return err
}

// Floats turns a tensor's bytes, which come in chunks of whole elements, into chunks of float32. Types that are not
// floating are refused.
func (t Tensor) Floats(bytes func(use func([]byte) error) error, use func([]float32) error) error {
	if !t.Type.Floating() {
		return fault.Corruptf("weights", "%q holds %s, not floating point", t.Name, t.Type)
	}
	var buf []float32
	return bytes(func(b []byte) error {
		n := len(b) / t.Type.Size()
		if cap(buf) < n {
			buf = make([]float32, n)
		}
		if err := t.Type.Float32(buf[:n], b); err != nil {
			return err
		}
		return use(buf[:n])
	})
}

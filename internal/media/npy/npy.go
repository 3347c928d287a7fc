// Package npy reads NumPy's NPY files (numpy/lib/format.py, versions 1.0 to 3.0): numbers and structures of
// numbers; object arrays, which are pickles, are never read. Nothing of a header is evaluated, and its sizes are
// held against the bytes that are there.
package npy

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"prep/internal/fault"
	"prep/internal/half"
)

// headerMax bounds the header of an NPY file: a structured type of dozens of named fields fits in one
// hundredth of it.
const headerMax = 1 << 16

// Field is one field of an NPY file's type: a plain array has one without a name.
type Field struct {
	Name   string
	Kind   byte // f, i, u or b, as in NumPy's type strings
	Size   int  // bytes of a number
	order  binary.ByteOrder
	Count  int // numbers of the field in an item: 3 for ('accel', '<f4', (3,))
	offset int // in an item
}

// Array is an NPY file after its header (numpy/lib/format.py, versions 1.0 to 3.0).
type Array struct {
	Fields  []Field
	item    int // bytes
	Fortran bool
	Shape   []int64
	Items   int64
	data    []byte
}

// Read reads the header and holds its sizes against the bytes that are there. Object arrays (pickles)
// are never read.
func Read(data []byte) (*Array, error) {
	if len(data) < 12 || string(data[:6]) != "\x93NUMPY" {
		return nil, fault.Corruptf("truncated", "NPY: the file is cut off within its header")
	}
	length, at := int64(binary.LittleEndian.Uint16(data[8:])), 10
	switch data[6] {
	case 1:
	case 2, 3:
		length, at = int64(binary.LittleEndian.Uint32(data[8:])), 12
	default:
		return nil, fault.Unsupportedf("unsupported_grid", "NPY: format version %d is not known", data[6])
	}
	switch {
	case length > headerMax:
		return nil, fault.Corruptf("corrupt_grid", "NPY: a header of %d bytes", length)
	case length > int64(len(data)-at):
		return nil, fault.Corruptf("truncated", "NPY: the file is cut off within its header")
	}
	a := &Array{data: data[at+int(length):]}
	h := header{text: string(data[at : at+int(length)])}
	if err := h.read(a); err != nil {
		return nil, err
	}
	a.Items = 1
	for _, d := range a.Shape {
		if d < 0 || d > 0 && a.Items > math.MaxInt64/64/d {
			return nil, fault.Corruptf("corrupt_grid", "NPY: the shape %v is none", a.Shape)
		}
		a.Items *= d
	}
	if a.Items > int64(len(a.data)/a.item) {
		return nil, fault.Corruptf("truncated", "NPY: %v items of %d bytes are more than the %d bytes that are there", a.Shape, a.item, len(a.data))
	}
	return a, nil
}

// Number reads Number i of field f of an item.
func (a *Array) Number(item int64, f *Field, i int) float64 {
	b := a.data[item*int64(a.item)+int64(f.offset+i*f.Size):][:f.Size]
	switch f.Kind {
	case 'f':
		switch f.Size {
		case 2:
			return float64(half.ToFloat32(f.order.Uint16(b)))
		case 4:
			return float64(math.Float32frombits(f.order.Uint32(b)))
		}
		return math.Float64frombits(f.order.Uint64(b))
	case 'i':
		switch f.Size {
		case 1:
			return float64(int8(b[0]))
		case 2:
			return float64(int16(f.order.Uint16(b)))
		case 4:
			return float64(int32(f.order.Uint32(b)))
		}
		return float64(int64(f.order.Uint64(b)))
	}
	switch f.Size {
	case 1:
		return float64(b[0])
	case 2:
		return float64(f.order.Uint16(b))
	case 4:
		return float64(f.order.Uint32(b))
	}
	return float64(f.order.Uint64(b))
}

// Plain reports that the items are single numbers.
func (a *Array) Plain() bool {
	return len(a.Fields) == 1 && a.Fields[0].Name == "" && a.Fields[0].Count == 1
}

// header reads the Python literal of a header, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
// Nothing is evaluated: what is not such a literal is refused.
type header struct {
	text string
	at   int
}

func (h *header) bad(what string) error {
	return fault.Corruptf("corrupt_grid", "NPY: the header is not understood at byte %d (%s)", h.at, what)
}

// next skips white space and commas and returns the byte there, 0 at the end.
func (h *header) next() byte {
	for h.at < len(h.text) && strings.IndexByte(" ,\t\r\n", h.text[h.at]) >= 0 {
		h.at++
	}
	if h.at == len(h.text) {
		return 0
	}
	return h.text[h.at]
}

// take steps over one byte if it is there.
func (h *header) take(c byte) bool {
	if h.next() != c {
		return false
	}
	h.at++
	return true
}

// quoted reads a string without escapes.
func (h *header) quoted() (string, error) {
	q := h.next()
	if q != '\'' && q != '"' {
		return "", h.bad("a string is expected")
	}
	end := strings.IndexByte(h.text[h.at+1:], q)
	if end < 0 || strings.IndexByte(h.text[h.at+1:h.at+1+end], '\\') >= 0 {
		return "", h.bad("a string is expected")
	}
	s := h.text[h.at+1 : h.at+1+end]
	h.at += end + 2
	return s, nil
}

// tuple reads (1, 2, 3), (4,) or ().
func (h *header) tuple() ([]int64, error) {
	if !h.take('(') {
		return nil, h.bad("a tuple is expected")
	}
	var out []int64
	for !h.take(')') {
		from := h.at
		for h.at < len(h.text) && h.text[h.at] >= '0' && h.text[h.at] <= '9' {
			h.at++
		}
		n, err := strconv.ParseInt(h.text[from:h.at], 10, 64)
		if err != nil || len(out) == 32 {
			return nil, h.bad("a size is expected")
		}
		h.take('L') // Python 2
		out = append(out, n)
	}
	return out, nil
}

func (h *header) read(a *Array) error {
	if !h.take('{') {
		return h.bad("a dictionary is expected")
	}
	var have [3]bool
	for !h.take('}') {
		key, err := h.quoted()
		if err != nil {
			return err
		}
		if !h.take(':') {
			return h.bad("a colon is expected")
		}
		switch key {
		case "descr":
			have[0] = true
			err = h.fields(a)
		case "fortran_order":
			have[1] = true
			switch {
			case h.next() == 'T' && strings.HasPrefix(h.text[h.at:], "True"):
				a.Fortran, h.at = true, h.at+4
			case h.next() == 'F' && strings.HasPrefix(h.text[h.at:], "False"):
				h.at += 5
			default:
				return h.bad("True or False is expected")
			}
		case "shape":
			have[2] = true
			a.Shape, err = h.tuple()
		default:
			return h.bad("an unknown key")
		}
		if err != nil {
			return err
		}
	}
	if have != [3]bool{true, true, true} {
		return h.bad("descr, fortran_order and shape are expected")
	}
	return nil
}

// fields reads the type: one string, or a list of (name, type) and (name, type, shape).
func (h *header) fields(a *Array) error {
	a.Fields, a.item = nil, 0
	if h.next() != '[' {
		s, err := h.quoted()
		if err != nil {
			return err
		}
		return h.field(a, "", s, 1, false)
	}
	h.at++
	for !h.take(']') {
		if !h.take('(') {
			return h.bad("a field is expected")
		}
		name, err := h.quoted()
		if err != nil {
			return err
		}
		kind, err := h.quoted()
		if err != nil {
			return fault.Unsupportedf("unsupported_grid", "NPY: the field %q holds fields of its own", name)
		}
		count := int64(1)
		if h.next() == '(' {
			shape, err := h.tuple()
			if err != nil {
				return err
			}
			for _, d := range shape {
				if d < 1 || d > 4096 || count*d > 4096 {
					return h.bad("a field's shape")
				}
				count *= d
			}
		}
		if !h.take(')') {
			return h.bad("the end of a field is expected")
		}
		if len(a.Fields) == 256 {
			return h.bad("more than 256 fields")
		}
		if err := h.field(a, name, kind, int(count), true); err != nil {
			return err
		}
	}
	if a.item == 0 {
		return h.bad("no fields")
	}
	return nil
}

// field adds a type string, as <f4, of the items themselves or of one field of a structure.
func (h *header) field(a *Array, name, descr string, count int, structured bool) error {
	f := Field{Name: name, Count: count, offset: a.item, order: binary.LittleEndian}
	s := descr
	if s != "" && strings.IndexByte("<>|=", s[0]) >= 0 {
		if s[0] == '>' {
			f.order = binary.BigEndian
		}
		s = s[1:]
	}
	if s == "" {
		return h.bad("a type is expected")
	}
	f.Kind = s[0]
	size, err := strconv.Atoi(s[1:])
	if err != nil || size < 1 || size > 1<<20 {
		return fault.Unsupportedf("unsupported_grid", "NPY: the type %q is not read; want numbers", descr)
	}
	f.Size = size
	numbers := map[byte]string{'f': "2 4 8", 'i': "1 2 4 8", 'u': "1 2 4 8", 'b': "1"}
	if allowed, ok := numbers[f.Kind]; !ok || !strings.Contains(" "+allowed+" ", " "+strconv.Itoa(size)+" ") {
		if name == "" && !structured {
			return fault.Unsupportedf("unsupported_grid", "NPY: the type %q is not read; want whole or floating-point numbers", descr)
		}
		if f.Kind == 'O' || f.Kind == 'V' && name != "" { // bytes without a name fill up to the next field
			return fault.Unsupportedf("unsupported_grid", "NPY: the field %q has the type %q, which is not read", name, descr)
		}
		if f.Kind == 'U' {
			f.Size *= 4 // characters
		}
		f.Kind = 0 // a field of text or time that is passed over
	}
	a.Fields = append(a.Fields, f)
	a.item += f.Size * count
	if a.item > 1<<24 {
		return h.bad("an item of more than 16 MiB")
	}
	return nil
}

// Is reports whether data begins as an NPY file does.
func Is(data []byte) bool { return bytes.HasPrefix(data, []byte("\x93NUMPY")) }

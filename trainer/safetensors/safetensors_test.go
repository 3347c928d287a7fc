package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/trainer/element"
)

func file(header string, values int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, values)...)
}

func open(b []byte) (*File, error) { return Open(bytes.NewReader(b), int64(len(b))) }

func source(name string, shape []int, v ...float32) element.Source {
	return element.Source{Tensor: element.Tensor{Name: name, Type: element.F32, Shape: shape}, Values: func(use func([]float32) error) error { return use(v) }}
}

// floats reads a whole tensor.
func floats(f *File, name string) (out []float32, err error) {
	err = f.Floats(name, func(v []float32) error { out = append(out, v...); return nil })
	return out, err
}

func TestRoundTrip(t *testing.T) {
	inf := float32(math.Inf(-1))
	in := []element.Source{
		source("b.weight", []int{2, 3}, 1, -2, 3, 0.1, inf, 1e-45),
		source("a scalar", nil, 7),
		source("empty \"quoted\"", []int{0, 4}),
	}
	var w, again bytes.Buffer
	if err := Write(&w, in, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	if err := Write(&again, in, map[string]string{"format": "pt"}); err != nil || !bytes.Equal(w.Bytes(), again.Bytes()) {
		t.Errorf("written twice: %v", err)
	}
	f, err := open(w.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if f.Metadata["format"] != "pt" || len(f.Tensors) != 3 || f.start%8 != 0 {
		t.Errorf("%+v", f)
	}
	for _, x := range in {
		got, err := floats(f, x.Name)
		var want []float32
		x.Values(func(v []float32) error { want = v; return nil })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", x.Name, got, err, want)
		}
		if i, ok := f.Lookup(x.Name); !ok || fmt.Sprint(i.Shape) != fmt.Sprint(append([]int{}, x.Shape...)) {
			t.Errorf("%s: %+v", x.Name, i)
		}
	}
	if _, err := floats(f, "c"); err == nil || !strings.Contains(err.Error(), `no tensor "c"`) {
		t.Errorf("got %v", err)
	}
	if err := Write(&w, []element.Source{source("x", []int{2}, 1)}, nil); err == nil {
		t.Error("a tensor with too few values was written")
	}
}

func TestOtherTypes(t *testing.T) {
	b := file(`{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]},`+
		`"i":{"dtype":"I64","shape":[],"data_offsets":[6,14]},"d":{"dtype":"F64","shape":[1],"data_offsets":[14,22]}}`, 0)
	b = append(b, 0x00, 0x3c, 0x01, 0x00) // 1 and the least subnormal, 2^-24
	b = append(b, 0xc0, 0x3f)             // 1.5
	b = binary.LittleEndian.AppendUint64(b, 5)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(0.25))
	f, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{"h": {1, 1.0 / (1 << 24)}, "b": {1.5}, "d": {0.25}} {
		if got, err := floats(f, name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", name, got, err, want)
		}
	}
	if _, err := floats(f, "i"); err == nil || !strings.Contains(err.Error(), "not floating point") {
		t.Errorf("got %v", err)
	}
}

func TestRefusals(t *testing.T) {
	one := `"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":          {nil, "too few"},
		"header beyond":  {binary.LittleEndian.AppendUint64(nil, 1<<40), "header of 1099511627776 bytes"},
		"no object":      {file(`[]`, 0), "does not begin"},
		"cut header":     {file(`{`+one, 4), "header"},
		"after the end":  {file(`{`+one+`}x`, 4), "after the header's end"},
		"twice":          {file(`{`+one+`,`+one+`}`, 4), `"x" occurs twice`},
		"cut values":     {file(`{`+one+`}`, 3), "cut short"},
		"more values":    {file(`{`+one+`}`, 5), "accounts for 4"},
		"hole":           {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "begins at 4 where 0"},
		"overlap":        {file(`{`+one+`,"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "begins at 0 where 4"},
		"unknown type":   {file(`{"x":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}`, 4), "unknown dtype"},
		"backwards":      {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "bad data_offsets"},
		"wrong size":     {file(`{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}`, 4), "takes 12 bytes"},
		"overflow":       {file(`{"x":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,4]}}`, 4), "too large"},
		"negative":       {file(`{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), `"x"`},
		"metadata twice": {file(`{"__metadata__":{},"__metadata__":{}}`, 0), "occurs twice"},
	} {
		if _, err := open(c.b); fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	var w bytes.Buffer
	if err := Write(&w, []element.Source{source("a", []int{2}, 1, 2), source("b", nil, 3)}, map[string]string{"format": "pt"}); err != nil {
		f.Fatal(err)
	}
	f.Add(w.Bytes())
	f.Add(file(`{"x":{"dtype":"F16","shape":[0,3],"data_offsets":[0,0]}}`, 0))
	f.Add(file(`{"__metadata__":{"a":"b"}}  `, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := open(b)
		if err != nil {
			return
		}
		sum := int64(0)
		for _, x := range s.Tensors {
			sum += x.Bytes
			if v, err := floats(s, x.Name); err == nil && len(v) != x.Elements() {
				t.Errorf("%s: %d values of %d", x.Name, len(v), x.Elements())
			}
		}
		if s.start+sum != int64(len(b)) {
			t.Errorf("tensors cover %d of %d bytes", s.start+sum, len(b))
		}
	})
}

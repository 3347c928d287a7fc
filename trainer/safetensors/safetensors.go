// Package safetensors reads and writes the safetensors format: eight bytes of header length, a JSON header
// of names, types, shapes and offsets, and the values (https://github.com/huggingface/safetensors). It
// knows nothing of models. Everything a header says is checked against the file before it is believed or
// allocated for: the format's own rules (offsets cover the data exactly, no overlap, no hole), a unique
// name for each tensor, and sizes that do not overflow.
package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"prep/internal/fault"
	"prep/trainer/element"
)

// MaxHeader is the longest header that the format allows, in bytes.
const MaxHeader = 100_000_000

// maxTensors bounds the number of tensors, far above any model.
const maxTensors = 1 << 20

// Info describes one tensor. Offset counts from the beginning of the values.
type Info struct {
	element.Tensor
	Offset int64
	Bytes  int64
}

// File is an open safetensors file. Its tensors are in the order of their offsets.
type File struct {
	Tensors  []Info
	Metadata map[string]string

	r     io.ReaderAt
	start int64 // where the values begin
	byKey map[string]int
}

// Open reads and checks the header of a file of the given size. Errors are of kind corrupt.
func Open(r io.ReaderAt, size int64) (*File, error) {
	if size < 8 {
		return nil, corruptf("%d bytes are too few for a header", size)
	}
	var b [8]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n > MaxHeader || int64(n) > size-8 {
		return nil, corruptf("header of %d bytes in a file of %d", n, size)
	}
	head := make([]byte, n)
	if _, err := r.ReadAt(head, 8); err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f := &File{r: r, start: 8 + int64(n), byKey: map[string]int{}}
	if err := f.parse(head); err != nil {
		return nil, err
	}
	return f, f.check(size - f.start)
}

func corruptf(format string, args ...any) error {
	return fault.Corruptf("safetensors", "safetensors: "+format, args...)
}

// parse walks the header token by token, because encoding/json lets a repeated name through.
func (f *File) parse(head []byte) error {
	if len(head) == 0 || head[0] != '{' {
		return corruptf("header does not begin with {")
	}
	dec := json.NewDecoder(bytes.NewReader(head))
	if _, err := dec.Token(); err != nil {
		return corruptf("header: %w", err)
	}
	seenMeta := false
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return corruptf("header: %w", err)
		}
		name := t.(string) // a key of an object
		if name == "__metadata__" {
			if seenMeta {
				return corruptf("__metadata__ occurs twice")
			}
			seenMeta = true
			if err := dec.Decode(&f.Metadata); err != nil {
				return corruptf("__metadata__: %w", err)
			}
			continue
		}
		var e struct {
			DType   element.Type `json:"dtype"`
			Shape   []uint64     `json:"shape"`
			Offsets []uint64     `json:"data_offsets"`
		}
		if err := dec.Decode(&e); err != nil {
			return corruptf("%q: %w", name, err)
		}
		size := e.DType.Size()
		switch {
		case size == 0:
			return corruptf("%q: unknown dtype %q", name, e.DType)
		case len(e.Offsets) != 2 || e.Offsets[0] > e.Offsets[1] || e.Offsets[1] > math.MaxInt64:
			return corruptf("%q: bad data_offsets %v", name, e.Offsets)
		case len(e.Shape) > 16:
			return corruptf("%q: %d dimensions", name, len(e.Shape))
		case len(f.Tensors) == maxTensors:
			return corruptf("more than %d tensors", maxTensors)
		}
		if _, twice := f.byKey[name]; twice {
			return corruptf("%q occurs twice", name)
		}
		info := Info{Tensor: element.Tensor{Name: name, Type: e.DType, Shape: make([]int, len(e.Shape))}, Offset: int64(e.Offsets[0]), Bytes: int64(e.Offsets[1] - e.Offsets[0])}
		n := uint64(size)
		for i, d := range e.Shape {
			if d > math.MaxInt32 || d > 0 && n > math.MaxInt64/d {
				return corruptf("%q: shape %v is too large", name, e.Shape)
			}
			n *= d
			info.Shape[i] = int(d)
		}
		if n != uint64(info.Bytes) {
			return corruptf("%q: %s%v takes %d bytes, data_offsets span %d", name, string(e.DType), e.Shape, n, info.Bytes)
		}
		f.byKey[name] = -1
		f.Tensors = append(f.Tensors, info)
	}
	if _, err := dec.Token(); err != nil {
		return corruptf("header: %w", err)
	}
	if rest := bytes.TrimLeft(head[dec.InputOffset():], " "); len(rest) > 0 {
		return corruptf("%d bytes after the header's end", len(rest))
	}
	return nil
}

// check holds the offsets to the format's rule: the tensors cover the values without hole or overlap.
func (f *File) check(values int64) error {
	slices.SortFunc(f.Tensors, func(a, b Info) int {
		if a.Offset != b.Offset {
			return int(max(-1, min(1, a.Offset-b.Offset)))
		}
		if a.Bytes != b.Bytes { // an empty tensor before its neighbour
			return int(max(-1, min(1, a.Bytes-b.Bytes)))
		}
		return strings.Compare(a.Name, b.Name)
	})
	end := int64(0)
	for i, t := range f.Tensors {
		if t.Offset != end {
			return corruptf("%q begins at %d where %d is due", t.Name, t.Offset, end)
		}
		end += t.Bytes
		if end > values {
			return corruptf("%q ends at %d, the file has %d bytes of values: it is cut short", t.Name, end, values)
		}
		f.byKey[t.Name] = i
	}
	if end != values {
		return corruptf("%d bytes of values, the header accounts for %d", values, end)
	}
	return nil
}

// Lookup returns the tensor of that name.
func (f *File) Lookup(name string) (Info, bool) {
	i, ok := f.byKey[name]
	if !ok {
		return Info{}, false
	}
	return f.Tensors[i], true
}

// Bytes hands the elements of a tensor to use, in order and in chunks of whole elements of at most 256 KiB.
func (f *File) Bytes(name string, use func([]byte) error) error {
	t, ok := f.Lookup(name)
	if !ok {
		return corruptf("no tensor %q", name)
	}
	r := io.NewSectionReader(f.r, f.start+t.Offset, t.Bytes)
	buf := make([]byte, min(t.Bytes, 1<<18))
	for left := t.Bytes; left > 0; {
		b := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return fmt.Errorf("safetensors: %q: %w", name, err)
		}
		if err := use(b); err != nil {
			return err
		}
		left -= int64(len(b))
	}
	return nil
}

// Floats hands the elements of a tensor of any floating type to use as float32, in order and in chunks.
func (f *File) Floats(name string, use func([]float32) error) error {
	t, ok := f.Lookup(name)
	if !ok {
		return corruptf("no tensor %q", name)
	}
	return t.Tensor.Floats(func(b func([]byte) error) error { return f.Bytes(name, b) }, use)
}

// Write writes the tensors in their order. The same tensors give the same bytes.
func Write(w io.Writer, tensors []element.Source, metadata map[string]string) error {
	var head bytes.Buffer
	head.WriteByte('{')
	meta, err := json.Marshal(metadata) // sorted by key
	if err != nil {
		return err
	}
	fmt.Fprintf(&head, `"__metadata__":%s`, meta)
	offset := int64(0)
	for _, t := range tensors {
		name, err := json.Marshal(t.Name)
		if err != nil {
			return err
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{} // a scalar is [], not null
		}
		dims, err := json.Marshal(shape)
		if err != nil {
			return err
		}
		n := int64(t.Elements()) * int64(t.Type.Size())
		fmt.Fprintf(&head, `,%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, string(t.Type), dims, offset, offset+n)
		offset += n
	}
	head.WriteByte('}')
	for head.Len()%8 != 0 { // values aligned, as the reference writer does
		head.WriteByte(' ')
	}
	bw := bufio.NewWriterSize(w, 1<<18)
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(head.Len()))
	bw.Write(b[:])
	bw.Write(head.Bytes())
	for _, t := range tensors {
		if err := t.Bytes(func(b []byte) error { _, err := bw.Write(b); return err }); err != nil {
			return err
		}
	}
	return bw.Flush()
}

// Sniff reports whether the first bytes of a file could be of this format.
func Sniff(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= MaxHeader
}

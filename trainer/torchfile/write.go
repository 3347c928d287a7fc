package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"prep/trainer/element"
)

// folder is the archive's folder, under the name that torch.save takes for a stream.
const folder = "archive"

// alignment is where storages begin in the file, in bytes, so that torch.load(mmap=True) can map them.
const alignment = 64

// Write writes the tensors as torch.save writes an OrderedDict of them: torch.load reads it with
// weights_only=True. The same tensors give the same bytes.
func Write(w io.Writer, tensors []element.Source) error {
	out := &offsetWriter{w: w}
	z := zip.NewWriter(out)
	write := func(name string, fill func(io.Writer) error) error {
		h := &zip.FileHeader{Name: folder + "/" + name, Method: zip.Store}
		if err := z.Flush(); err != nil {
			return err
		}
		h.Extra = out.padding(len(h.Name))
		e, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if err := fill(e); err != nil {
			return err
		}
		out.entries++
		return nil
	}
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	description, err := pickle(tensors)
	if err != nil {
		return err
	}
	for _, r := range []struct{ name, text string }{
		{"data.pkl", string(description)}, {".format_version", "1"}, {".storage_alignment", strconv.Itoa(alignment)}, {"byteorder", "little"},
	} {
		if err := write(r.name, text(r.text)); err != nil {
			return err
		}
	}
	for i, t := range tensors {
		err := write("data/"+strconv.Itoa(i), func(w io.Writer) error {
			return t.Bytes(func(b []byte) error { _, err := w.Write(b); return err })
		})
		if err != nil {
			return err
		}
	}
	if err := write("version", text("3\n")); err != nil {
		return err
	}
	return z.Close()
}

// An offsetWriter counts what is written.
type offsetWriter struct {
	w       io.Writer
	n       int64
	entries int
}

func (o *offsetWriter) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	o.n += int64(n)
	return n, err
}

// padding is an extra field that makes the data of the next record, with a name of that length, begin at a
// multiple of the alignment. PyTorch pads in the same way.
func (o *offsetWriter) padding(name int) []byte {
	const local, field, descriptor = 30, 4, 16 // a record's head, an extra field's head, what follows each record's data
	at := o.n + local + int64(name) + field
	if o.entries > 0 {
		at += descriptor // of the record before, which is written with the next head
	}
	n := int((alignment - at%alignment) % alignment)
	b := make([]byte, field+n)
	copy(b, "FB")
	binary.LittleEndian.PutUint16(b[2:], uint16(n))
	for i := range n {
		b[field+i] = 'Z'
	}
	return b
}

// pickle describes the tensors: an OrderedDict of calls of _rebuild_tensor_v2 on storages named by number.
func pickle(tensors []element.Source) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\x80\x02ccollections\nOrderedDict\n)R")
	number := func(n int64) {
		switch {
		case n >= 0 && n < 1<<8:
			b.Write([]byte{'K', byte(n)})
		case n >= 0 && n < 1<<16:
			b.Write(binary.LittleEndian.AppendUint16([]byte{'M'}, uint16(n)))
		case n >= 0 && n < 1<<31:
			b.Write(binary.LittleEndian.AppendUint32([]byte{'J'}, uint32(n)))
		default:
			b.Write(binary.LittleEndian.AppendUint64([]byte{0x8a, 8}, uint64(n)))
		}
	}
	text := func(s string) {
		b.Write(binary.LittleEndian.AppendUint32([]byte{'X'}, uint32(len(s))))
		b.WriteString(s)
	}
	numbers := func(v []int) {
		b.WriteByte('(')
		for _, n := range v {
			number(int64(n))
		}
		b.WriteByte('t')
	}
	b.WriteByte('(')
	for i, t := range tensors {
		class := ""
		for c, kind := range storages {
			if kind == t.Type {
				class = string(c)
			}
		}
		if class == "" {
			return nil, fmt.Errorf("torch file: %s: no storage holds %s", t.Name, t.Type)
		}
		text(t.Name)
		b.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
		text("storage")
		b.WriteString("ctorch\n" + class[len("torch."):] + "\n")
		text(strconv.Itoa(i))
		text("cpu")
		number(int64(t.Elements()))
		b.WriteString("tQ") // the storage
		number(0)           // its offset
		numbers(t.Shape)
		stride := make([]int, len(t.Shape))
		for i, n := len(stride)-1, 1; i >= 0; i-- {
			stride[i] = n
			n *= max(t.Shape[i], 1)
		}
		numbers(stride)
		b.WriteString("\x89ccollections\nOrderedDict\n)RtR") // no gradient, no hooks
	}
	b.WriteString("u.")
	return b.Bytes(), nil
}

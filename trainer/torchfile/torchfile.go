// Package torchfile reads and writes what torch.save writes (.pth, .pt, .bin): a zip archive with a pickle
// that describes tensors and one stored record for each storage, or, before PyTorch 1.6, a row of pickles
// and the storages behind them. It knows nothing of models.
//
// A pickle is a program. Here it runs on a machine that can only build data: the names it may use are those
// that PyTorch writes around tensors, and any other is refused by name before it could do anything. Sizes
// are checked against the file before they are believed; a record's CRC-32 is checked before its values are
// handed out, which torch.load does not do.
package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/big"
	"slices"
	"strings"
	"sync"

	"prep/internal/fault"
	"prep/trainer/element"
)

const (
	maxDims    = 16
	maxRecords = 1 << 20
)

// Info describes one tensor. Strides are in elements.
type Info struct {
	element.Tensor
	Strides []int
}

// File is an open file. It is safe for concurrent use.
type File struct {
	Tensors []Info
	// Notes say what was chosen on the way: under which key the state dict stood, which prefix was dropped,
	// what entries are no tensors.
	Notes []string

	r      io.ReaderAt
	byName map[string]int
	values []*tensorValue
	// unchecked is set where every CRC of the archive is left 0.
	unchecked bool
	data      map[string]*record // by storage key
}

// A record is where a storage's bytes lie.
type record struct {
	offset, size int64
	crc          uint32
	checked      bool // has a CRC

	once sync.Once
	err  error
}

// Open reads the description of the tensors of a file of the given size. Errors are of kind corrupt, or
// unsupported for what is whole and of another kind.
func Open(r io.ReaderAt, size int64) (*File, error) {
	var head [4]byte
	if size < 4 {
		return nil, corruptf("%d bytes are too few", size)
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("torch file: %w", err)
	}
	f := &File{r: r, byName: map[string]int{}, data: map[string]*record{}}
	var root any
	var err error
	if string(head[:]) == "PK\x03\x04" {
		root, err = f.openZip(size)
	} else {
		root, err = f.openOld(size)
	}
	if err != nil {
		return nil, err
	}
	return f, f.collect(root)
}

func corruptf(format string, args ...any) error {
	return fault.Corruptf("torch_file", "torch file: "+format, args...)
}

func unsupportedf(format string, args ...any) error {
	return fault.Unsupportedf("torch_file", "torch file: "+format, args...)
}

// pickleError words what went wrong in a pickle.
func pickleError(what string, err error) error {
	var refused *refusedName
	if errors.As(err, &refused) {
		return corruptf("%s: %w; if you trust the file, load it in PyTorch and save its state_dict() alone", what, err)
	}
	return corruptf("%s: %w", what, err)
}

// openZip finds the pickle and the records of a zip archive.
func (f *File) openZip(size int64) (any, error) {
	z, err := zip.NewReader(f.r, size)
	if err != nil {
		return nil, corruptf("it begins as a zip archive and has no end of one (%w): it is cut short, as by a broken download", err)
	}
	if len(z.File) > maxRecords {
		return nil, corruptf("more than %d records", maxRecords)
	}
	byName := map[string]*zip.File{}
	prefix := ""
	for _, e := range z.File {
		if _, twice := byName[e.Name]; twice {
			return nil, corruptf("record %q occurs twice", e.Name)
		}
		byName[e.Name] = e
		// All records stand in one folder, named after the file.
		if dir, ok := strings.CutSuffix(e.Name, "/data.pkl"); ok && !strings.Contains(dir, "/") {
			prefix = dir + "/"
		}
	}
	switch {
	case byName[prefix+"constants.pkl"] != nil:
		return nil, unsupportedf("it is a TorchScript program; save the model's state_dict() instead")
	case prefix == "":
		return nil, unsupportedf("it is a zip archive without a data.pkl, so torch.save did not write it")
	}
	if !slices.ContainsFunc(z.File, func(e *zip.File) bool { return e.CRC32 != 0 }) {
		f.unchecked = true
		f.Notes = append(f.Notes, "it was saved without checksums (set_crc32_options), so damage to its values cannot be seen")
	}
	if order := byName[prefix+"byteorder"]; order != nil {
		b, err := f.small(order, size, 16)
		if err != nil {
			return nil, err
		}
		if string(b) != "little" {
			return nil, unsupportedf("its byte order is %q; save it on a little-endian machine", b)
		}
	}
	b, err := f.small(byName[prefix+"data.pkl"], size, maxPickle)
	if err != nil {
		return nil, err
	}
	root, _, err := unpickle(b)
	if err != nil {
		return nil, pickleError("data.pkl", err)
	}
	for name, e := range byName {
		if key, ok := strings.CutPrefix(name, prefix+"data/"); ok {
			offset, err := f.stored(e, size)
			if err != nil {
				return nil, err
			}
			f.data[key] = &record{offset: offset, size: int64(e.UncompressedSize64), crc: e.CRC32, checked: !f.unchecked}
		}
	}
	return root, nil
}

// stored returns where a record's bytes begin, which must lie in the file as they are.
func (f *File) stored(e *zip.File, size int64) (int64, error) {
	switch {
	case e.Flags&1 != 0:
		return 0, unsupportedf("record %q is encrypted", e.Name)
	case e.Method != zip.Store:
		return 0, unsupportedf("record %q is compressed, which torch.save never does; unpack the archive and pack it again with zip -0", e.Name)
	case !e.Mode().IsRegular():
		return 0, corruptf("record %q is a link or a folder", e.Name)
	}
	offset, err := e.DataOffset()
	if err != nil {
		return 0, corruptf("record %q: %w", e.Name, err)
	}
	if e.UncompressedSize64 != e.CompressedSize64 || offset > size || e.UncompressedSize64 > uint64(size-offset) {
		return 0, corruptf("record %q of %d bytes at %d reaches beyond the file of %d", e.Name, e.UncompressedSize64, offset, size)
	}
	return offset, nil
}

// small reads a whole record of at most limit bytes and checks its CRC.
func (f *File) small(e *zip.File, size, limit int64) ([]byte, error) {
	offset, err := f.stored(e, size)
	if err != nil {
		return nil, err
	}
	if e.UncompressedSize64 > uint64(limit) {
		return nil, corruptf("record %q has %d bytes, at most %d are read", e.Name, e.UncompressedSize64, limit)
	}
	b := make([]byte, e.UncompressedSize64)
	if _, err := f.r.ReadAt(b, offset); err != nil {
		return nil, fmt.Errorf("torch file: %s: %w", e.Name, err)
	}
	if sum := crc32.ChecksumIEEE(b); sum != e.CRC32 && !f.unchecked {
		return nil, corruptf("record %q: its CRC-32 is %08x, the archive says %08x: the file is damaged", e.Name, sum, e.CRC32)
	}
	return b, nil
}

// The old format begins with this number and this version.
const (
	oldMagic   = "119547037146038801333356" // 0x1950a86a20f9469cfc6c
	oldVersion = 1001
)

// openOld reads the format before PyTorch 1.6: five pickles (magic number, version, the machine's sizes, the
// object, the storages' keys), then for each key a count of 8 bytes and the elements.
func (f *File) openOld(size int64) (any, error) {
	b := make([]byte, min(size, maxPickle))
	if _, err := f.r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("torch file: %w", err)
	}
	at := 0
	var kinds map[string]element.Type // of the storages; the sizes of their elements stand with the tensors
	next := func(what string) (any, error) {
		v, m, err := unpickle(b[at:])
		if err != nil {
			return nil, pickleError(what, err)
		}
		at += m.at
		if len(m.kinds) > 0 {
			kinds = m.kinds
		}
		return v, nil
	}
	if b[0] != 0x80 {
		return nil, unsupportedf("it is neither a zip archive nor a row of pickles, so torch.save did not write it")
	}
	magic, err := next("magic number")
	if err != nil {
		return nil, err
	}
	if n, ok := magic.(*big.Int); !ok || n.String() != oldMagic {
		return nil, unsupportedf("it is a pickle that torch.save did not write (%s)", describe(magic))
	}
	version, err := next("version")
	if err != nil {
		return nil, err
	}
	if version != any(int64(oldVersion)) {
		return nil, unsupportedf("version %s of the old format, %d is known", describe(version), oldVersion)
	}
	machine, err := next("machine")
	if err != nil {
		return nil, err
	}
	if d, ok := machine.(*dict); ok {
		if little, ok := d.get("little_endian"); ok && little != any(true) {
			return nil, unsupportedf("it was saved on a big-endian machine; save it on a little-endian one")
		}
	}
	root, err := next("object")
	if err != nil {
		return nil, err
	}
	keys, err := next("storage keys")
	if err != nil {
		return nil, err
	}
	l, ok := keys.(*list)
	if !ok || len(l.items) > maxRecords {
		return nil, corruptf("no list of storages behind the object")
	}
	place := int64(at)
	for _, k := range l.items {
		key, ok := k.(string)
		if !ok {
			return nil, corruptf("a storage's key is %s", describe(k))
		}
		kind, used := kinds[key]
		if !used || kind == "" {
			return nil, unsupportedf("storage %s belongs to no tensor, so its size is not known; save it with a PyTorch of 1.6 or later", key)
		}
		var n [8]byte
		if size-place < 8 {
			return nil, corruptf("it is cut short before storage %s", key)
		}
		if _, err := f.r.ReadAt(n[:], place); err != nil {
			return nil, fmt.Errorf("torch file: %w", err)
		}
		count, room := binary.LittleEndian.Uint64(n[:]), uint64(size-place-8)/uint64(kind.Size())
		if count > room {
			return nil, corruptf("storage %s of %d elements, the file has room for %d: it is cut short", key, count, room)
		}
		if f.data[key] != nil {
			return nil, corruptf("storage %s occurs twice", key)
		}
		f.data[key] = &record{offset: place + 8, size: int64(count) * int64(kind.Size())}
		place += 8 + int64(count)*int64(kind.Size())
	}
	return root, nil
}

// wrappers are the keys under which training programs put the state dict, in the order they are tried.
var wrappers = []string{"model", "state_dict", "model_state_dict", "module", "net", "weights", "params"}

// prefixes are what wrappers of a model put before every name: DistributedDataParallel, torch.compile,
// Lightning.
var prefixes = []string{"module.", "_orig_mod.", "model."}

// collect finds the state dict in what the pickle built and checks every tensor against its storage.
func (f *File) collect(root any) error {
	d, ok := root.(*dict)
	if !ok {
		return unsupportedf("it holds %s and no state dict", describe(root))
	}
	if countTensors(d) == 0 {
		found := ""
		for _, w := range wrappers {
			if v, ok := d.get(w); ok {
				if inner, ok := v.(*dict); ok && countTensors(inner) > 0 {
					d, found = inner, w
					break
				}
			}
		}
		if found == "" {
			return unsupportedf("it holds %s; a state dict is looked for there and under %s", describe(root), strings.Join(wrappers, ", "))
		}
		f.Notes = append(f.Notes, fmt.Sprintf("the weights stand under the key %q", found))
	}
	var others []string
	for i, k := range d.keys {
		name, ok := k.(string)
		t, isTensor := d.values[i].(*tensorValue)
		if !ok || !isTensor {
			others = append(others, describe(k))
			continue
		}
		if err := f.check(name, t); err != nil {
			return err
		}
		f.Tensors = append(f.Tensors, Info{element.Tensor{Name: name, Type: t.kind, Shape: t.shape}, t.strides})
		f.values = append(f.values, t)
	}
	if n := len(others); n > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d entries are no tensors and are left out: %s", n, strings.Join(others[:min(n, 5)], ", ")))
	}
	for again := true; again; {
		again = false
		for _, p := range prefixes {
			if len(f.Tensors) > 0 && !slices.ContainsFunc(f.Tensors, func(t Info) bool { return !strings.HasPrefix(t.Name, p) || len(t.Name) == len(p) }) {
				for i := range f.Tensors {
					f.Tensors[i].Name = f.Tensors[i].Name[len(p):]
				}
				f.Notes = append(f.Notes, fmt.Sprintf("every name begins with %q, which is dropped", p))
				again = true
			}
		}
	}
	for i, t := range f.Tensors {
		f.byName[t.Name] = i
	}
	return nil
}

func countTensors(d *dict) int {
	n := 0
	for _, v := range d.values {
		if _, ok := v.(*tensorValue); ok {
			n++
		}
	}
	return n
}

// check holds a tensor to its storage and the storage to its record.
func (f *File) check(name string, t *tensorValue) error {
	rec := f.data[t.store.key]
	if rec == nil {
		return corruptf("%q: its storage %s is not in the file", name, t.store.key)
	}
	size := int64(t.kind.Size())
	have := rec.size / size
	if t.store.kind != "" {
		// The pickle's count and the record must agree; a view of the old format is counted within its root.
		if int64(t.store.kind.Size())*t.store.n != rec.size {
			return corruptf("%q: storage %s holds %d bytes, its description says %d of %s", name, t.store.key, rec.size, t.store.n, t.store.kind)
		}
	}
	n, last := int64(1), t.store.base
	if t.offset > have || last > have {
		return corruptf("%q reaches beyond its storage of %d elements", name, have)
	}
	last += t.offset
	for i, d := range t.shape {
		if d > 0 && n > math.MaxInt64/int64(d)/16 {
			return corruptf("%q: shape %v is too large", name, t.shape)
		}
		n *= int64(d)
		if d > 0 {
			last += int64(d-1) * int64(t.strides[i]) // both below 2^31, at most 16 of them
			if last < 0 {
				return corruptf("%q: strides %v are too large", name, t.strides)
			}
		}
	}
	if n > 0 && last >= have {
		return corruptf("%q of shape %v, strides %v reaches element %d of a storage of %d", name, t.shape, t.strides, last, have)
	}
	return nil
}

// Lookup returns the tensor of that name.
func (f *File) Lookup(name string) (Info, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Info{}, false
	}
	return f.Tensors[i], true
}

// verify checks a record's CRC-32 once.
func (f *File) verify(key string, rec *record) error {
	rec.once.Do(func() {
		if !rec.checked {
			return
		}
		sum := crc32.NewIEEE()
		if _, err := io.CopyBuffer(sum, struct{ io.Reader }{io.NewSectionReader(f.r, rec.offset, rec.size)}, make([]byte, 1<<18)); err != nil {
			rec.err = fmt.Errorf("torch file: storage %s: %w", key, err)
			return
		}
		if sum.Sum32() != rec.crc {
			rec.err = corruptf("storage %s: its CRC-32 is %08x, the archive says %08x: the file is damaged", key, sum.Sum32(), rec.crc)
		}
	})
	return rec.err
}

// Bytes hands the elements of a tensor to use, in order and in chunks of whole elements of at most 256 KiB.
func (f *File) Bytes(name string, use func([]byte) error) error {
	i, ok := f.byName[name]
	if !ok {
		return corruptf("no tensor %q", name)
	}
	t := f.values[i]
	rec := f.data[t.store.key]
	if err := f.verify(t.store.key, rec); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	size, n := int64(t.kind.Size()), int64(f.Tensors[i].Elements())
	const chunk = 1 << 18
	first := t.store.base + t.offset
	if contiguous(t) {
		r := io.NewSectionReader(f.r, rec.offset+first*size, n*size)
		buf := make([]byte, min(n*size, chunk))
		for left := n * size; left > 0; {
			b := buf[:min(left, chunk)]
			if _, err := io.ReadFull(r, b); err != nil {
				return fmt.Errorf("torch file: %q: %w", name, err)
			}
			if err := use(b); err != nil {
				return err
			}
			left -= int64(len(b))
		}
		return nil
	}
	// A view is gathered from the part of the storage that it spans.
	span := int64(1)
	for i, d := range t.shape {
		span += int64(max(d-1, 0)) * int64(t.strides[i])
	}
	if n == 0 {
		return nil
	}
	whole := make([]byte, span*size)
	if _, err := f.r.ReadAt(whole, rec.offset+first*size); err != nil && !(errors.Is(err, io.EOF)) {
		return fmt.Errorf("torch file: %q: %w", name, err)
	}
	buf := make([]byte, 0, chunk)
	at := make([]int, len(t.shape))
	for place := int64(0); ; {
		buf = append(buf, whole[place*size:(place+1)*size]...)
		if len(buf)+int(size) > chunk {
			if err := use(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		axis := len(at) - 1
		for ; axis >= 0; axis-- {
			at[axis]++
			place += int64(t.strides[axis])
			if at[axis] < t.shape[axis] {
				break
			}
			place -= int64(at[axis]) * int64(t.strides[axis])
			at[axis] = 0
		}
		if axis < 0 {
			break
		}
	}
	if len(buf) == 0 {
		return nil
	}
	return use(buf)
}

// contiguous reports whether a tensor's elements lie in their storage in order.
func contiguous(t *tensorValue) bool {
	want := 1
	for i, d := range slices.Backward(t.shape) {
		if d == 0 {
			return true
		}
		if d != 1 && t.strides[i] != want {
			return false
		}
		want *= d
	}
	return true
}

// Floats hands the elements of a tensor of any floating type to use as float32, in order and in chunks.
func (f *File) Floats(name string, use func([]float32) error) error {
	t, ok := f.Lookup(name)
	if !ok {
		return corruptf("no tensor %q", name)
	}
	return t.Tensor.Floats(func(b func([]byte) error) error { return f.Bytes(name, b) }, use)
}

// Sniff reports whether the first bytes of a file could be of this format.
func Sniff(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || len(head) > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5
}

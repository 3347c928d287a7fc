package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/trainer/element"
)

func openBytes(b []byte) (*File, error) { return Open(bytes.NewReader(b), int64(len(b))) }

func source(name string, ty element.Type, shape []int, v ...float32) element.Source {
	return element.Source{Tensor: element.Tensor{Name: name, Type: ty, Shape: shape}, Values: func(use func([]float32) error) error { return use(v) }}
}

func written(t testing.TB, s ...element.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func floats(f *File, name string) (out []float32, err error) {
	err = f.Floats(name, func(v []float32) error { out = append(out, v...); return nil })
	return out, err
}

func TestRoundTrip(t *testing.T) {
	long := make([]float32, 200_003) // more than a chunk, and no multiple of one
	for i := range long {
		long[i] = float32(i)
	}
	in := []element.Source{
		source("b.weight", element.F32, []int{2, 3}, 1, -2, 3, 0.1, float32(math.Inf(-1)), 1e-45),
		source("half", element.F16, []int{2}, 1, 0.25),
		source("brain", element.BF16, []int{1, 2}, 1, -3),
		source("double", element.F64, []int{1}, 0.5),
		source("scalar", element.F32, nil, 7),
		source("empty", element.F32, []int{0, 4}),
		source("long", element.F32, []int{len(long)}, long...),
	}
	b := written(t, in...)
	if !bytes.Equal(b, written(t, in...)) {
		t.Error("written twice, other bytes")
	}
	f, err := openBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Tensors) != len(in) || len(f.Notes) != 0 {
		t.Errorf("%d tensors, notes %q", len(f.Tensors), f.Notes)
	}
	for i, s := range in {
		if x := f.Tensors[i]; x.Name != s.Name || x.Type != s.Type || !slices.Equal(x.Shape, s.Shape) {
			t.Errorf("%+v, want %+v", x, s.Tensor)
		}
		got, err := floats(f, s.Name)
		var want []float32
		s.Values(func(v []float32) error { want = v; return nil })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range z.File {
		if at, err := e.DataOffset(); err != nil || at%alignment != 0 {
			t.Errorf("%s begins at %d: %v", e.Name, at, err)
		}
	}
	if err := Write(&bytes.Buffer{}, []element.Source{source("x", element.F32, []int{2}, 1)}); err == nil {
		t.Error("a tensor with too few values was written")
	}
}

// archive makes a zip archive of stored records.
func archive(t testing.TB, records ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(records); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: records[i], Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(records[i+1]))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func short(s string) string { return fmt.Sprintf("X%c\x00\x00\x00%s", len(s), s) }

// oneTensor is a pickle of {"x": tensor} over storage "0" of four float32, with the arguments in between.
func oneTensor(offset, size, stride string) string {
	return "\x80\x02}" + short("x") + "ctorch._utils\n_rebuild_tensor_v2\n((" + short("storage") + "ctorch\nFloatStorage\n" +
		short("0") + short("cpu") + "K\x04tQ" + offset + size + stride + "\x89}tRs."
}

func TestRefusals(t *testing.T) {
	data := string(make([]byte, 16))
	with := func(pickle string) []byte { return archive(t, "a/data.pkl", pickle, "a/data/0", data) }
	good := with(oneTensor("K\x00", "K\x04\x85", "K\x01\x85"))
	if _, err := openBytes(good); err != nil {
		t.Fatal(err)
	}
	var compressed, linked, twice bytes.Buffer
	z := zip.NewWriter(&compressed)
	w, _ := z.Create("a/data/0")
	w.Write(make([]byte, 16))
	w, _ = z.CreateHeader(&zip.FileHeader{Name: "a/data.pkl", Method: zip.Store})
	w.Write([]byte(oneTensor("K\x00", "K\x04\x85", "K\x01\x85")))
	z.Close()
	z = zip.NewWriter(&linked)
	h := &zip.FileHeader{Name: "a/data/0", Method: zip.Store}
	h.SetMode(fs.ModeSymlink | 0o777)
	w, _ = z.CreateHeader(h)
	w.Write([]byte("/etc/hostname   "))
	w, _ = z.CreateHeader(&zip.FileHeader{Name: "a/data.pkl", Method: zip.Store})
	w.Write([]byte(oneTensor("K\x00", "K\x04\x85", "K\x01\x85")))
	z.Close()
	z = zip.NewWriter(&twice)
	for range 2 {
		w, _ = z.CreateHeader(&zip.FileHeader{Name: "a/data.pkl", Method: zip.Store})
		w.Write([]byte("\x80\x02}."))
	}
	z.Close()

	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":                 {nil, "too few"},
		"cut":                   {good[:len(good)*2/3], "cut short"},
		"no pickle":             {archive(t, "a/x", "y"), "without a data.pkl"},
		"TorchScript":           {archive(t, "a/data.pkl", "\x80\x02}.", "a/constants.pkl", ""), "TorchScript"},
		"record twice":          {twice.Bytes(), "occurs twice"},
		"compressed":            {compressed.Bytes(), "compressed"},
		"record is a link":      {linked.Bytes(), "a link"},
		"big-endian":            {archive(t, "a/data.pkl", "\x80\x02}.", "a/byteorder", "big"), "byte order"},
		"os.system":             {with("\x80\x02cos\nsystem\n" + short("true") + "\x85R."), `names "os.system", which is code`},
		"posix.system":          {with("\x80\x02cposix\nsystem\n."), `"posix.system"`},
		"eval":                  {with("\x80\x02c__builtin__\neval\n."), `"__builtin__.eval"`},
		"by the stack":          {with("\x80\x04\x8c\x02os\x8c\x06system\x93."), `"os.system"`},
		"a module":              {with("\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81."), `"torch.nn.modules.linear.Linear"`},
		"in a wrapper":          {with("\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nctorch\nTensor\n)}tR."), `"os.system"`},
		"makes an object":       {with("\x80\x02(ios\nsystem\n."), "not data"},
		"extension":             {with("\x80\x02\x82\x01."), "not data"},
		"a class is called":     {with("\x80\x02ctorch\nFloatStorage\n)R."), "no function"},
		"protocol 0":            {with("(dp0\n."), "not one that torch.save writes"},
		"no end":                {with("\x80\x02}"), "ends without its end mark"},
		"text beyond":           {with("\x80\x02X\xff\xff\xff\xff."), "4294967295 bytes are due"},
		"frame beyond":          {with("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff."), "a frame of"},
		"empty stack":           {with("\x80\x020."), "stack is empty"},
		"no mark":               {with("\x80\x02t."), "no mark"},
		"unknown memory":        {with("\x80\x02h\x07."), "nothing is remembered"},
		"name twice":            {with("\x80\x02}(" + short("x") + "N" + short("x") + "Nu."), `"x" occurs twice`},
		"no state dict":         {with("\x80\x02]."), "a list of 0 and no state dict"},
		"nothing in it":         {with("\x80\x02}" + short("epoch") + "K\x03s."), `a dictionary of 1 ("epoch")`},
		"offset beyond":         {with(oneTensor("K\x01", "K\x04\x85", "K\x01\x85")), "reaches element 4 of a storage of 4"},
		"stride beyond":         {with(oneTensor("K\x00", "K\x02K\x02\x86", "K\x03K\x01\x86")), "reaches element 4"},
		"negative stride":       {with(oneTensor("K\x00", "K\x04\x85", "J\xff\xff\xff\xff\x85")), "is not a length"},
		"huge":                  {with(oneTensor("K\x00", "(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7ft", "(K\x00K\x00K\x00t")), "too large"},
		"fewer strides":         {with(oneTensor("K\x00", "K\x02K\x02\x86", "K\x01\x85")), "2 sizes, 1 strides"},
		"no storage":            {archive(t, "a/data.pkl", oneTensor("K\x00", "K\x04\x85", "K\x01\x85")), "storage 0 is not in the file"},
		"short storage":         {archive(t, "a/data.pkl", oneTensor("K\x00", "K\x04\x85", "K\x01\x85"), "a/data/0", "1234"), "holds 4 bytes"},
		"path in the storage":   {archive(t, "a/data.pkl", strings.Replace(oneTensor("K\x00", "K\x04\x85", "K\x01\x85"), short("0"), short("../../x"), 1), "a/data/0", data), "is not in the file"},
		"a pickle of something": {[]byte("\x80\x02]."), "torch.save did not write"},
		"other bytes":           {[]byte("hello, world"), "torch.save did not write"},
	} {
		_, err := openBytes(c.b)
		if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	// What only shows when values are read.
	damaged := bytes.Clone(good)
	f, err := openBytes(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged[f.data["0"].offset]++
	if f, err = openBytes(damaged); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := floats(f, "x"); fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), "CRC-32") {
			t.Errorf("damaged values: %v", err)
		}
	}
}

// Repeating a call that copies is bounded like everything else.
func TestWorkIsBounded(t *testing.T) {
	p := "\x80\x02](" + strings.Repeat("]", 1000) + "eq\x000" + strings.Repeat("ccollections\nOrderedDict\nh\x00\x85R0", 5000) + "}."
	if _, _, err := unpickle([]byte(p)); err == nil {
		t.Error("an item that is no pair was taken")
	}
	p = "\x80\x02](" + strings.Repeat("NN\x86", 1000) + "eq\x000" + strings.Repeat("ccollections\nOrderedDict\nh\x00\x85R0", 5000) + "}."
	if _, _, err := unpickle([]byte(p)); err == nil || !strings.Contains(err.Error(), "operations") {
		t.Errorf("got %v", err)
	}
}

// The old format's views of a storage, whose place counts in elements of the root.
func TestOldFormatView(t *testing.T) {
	view := short("storage") + "ctorch\nFloatStorage\n" + short("0") + short("cpu") + "K\x06(" + short("v") + "K\x02K\x04ttQ"
	b := []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}" + short("little_endian") + "\x88s." +
		"\x80\x02}" + short("x") + "ctorch._utils\n_rebuild_tensor_v2\n((" + view + "K\x01K\x02\x85K\x01\x85\x89}tRs.\x80\x02]" + short("0") + "a.")
	b = binary.LittleEndian.AppendUint64(b, 6)
	for i := range 6 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(i)))
	}
	f, err := openBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := floats(f, "x"); err != nil || !slices.Equal(v, []float32{3, 4}) {
		t.Errorf("got %v %v, want [3 4]", v, err)
	}
	if _, err := openBytes(b[:len(b)-1]); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("cut: %v", err)
	}
}

// Whatever the bytes, a file is refused or gives as many values as it promises, from what it has.
func FuzzOpen(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "golden", "checkpoints", "*.pth"))
	if err != nil || len(paths) == 0 {
		f.Fatal("no checkpoints", err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(archive(f, "a/data.pkl", oneTensor("K\x00", "K\x02K\x02\x86", "K\x00K\x01\x86"), "a/data/0", string(make([]byte, 16))))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := openBytes(b)
		if err != nil {
			return
		}
		for _, x := range file.Tensors {
			if x.Elements() > 1<<20 {
				continue // strides of 0 repeat a value at no cost until somebody reads it
			}
			n := 0
			if err := file.Bytes(x.Name, func(b []byte) error { n += len(b); return nil }); err == nil && n != x.Elements()*x.Type.Size() {
				t.Errorf("%s: %d bytes for %d elements", x.Name, n, x.Elements())
			}
		}
	})
}

// The pickle machine alone, where a fuzzer gets further than through a zip archive.
func FuzzUnpickle(f *testing.F) {
	f.Add([]byte(oneTensor("K\x00", "K\x02K\x02\x86", "K\x02K\x01\x86")))
	f.Add([]byte("\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."))
	f.Add([]byte("\x80\x02ccollections\nOrderedDict\n](N\x88\x86eRq\x00h\x00b."))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, m, err := unpickle(b)
		if err == nil && m.at > len(b) {
			t.Errorf("read %d of %d bytes", m.at, len(b))
		}
		if err == nil {
			_ = describe(v)
		}
	})
}

package torchfile

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"prep/trainer/element"
)

func goldenDir() string {
	if d := os.Getenv("PREP_GOLDEN"); d != "" {
		return filepath.Join(d, "checkpoints")
	}
	return filepath.Join("..", "..", "testdata", "golden", "checkpoints")
}

// numbersOf decodes elements of any type.
func numbersOf(t *testing.T, ty element.Type, b []byte) []float64 {
	t.Helper()
	var out []float64
	for ; len(b) > 0; b = b[ty.Size():] {
		switch ty {
		case element.I64:
			out = append(out, float64(int64(binary.LittleEndian.Uint64(b))))
		case element.I32:
			out = append(out, float64(int32(binary.LittleEndian.Uint32(b))))
		case element.I16:
			out = append(out, float64(int16(binary.LittleEndian.Uint16(b))))
		case element.I8:
			out = append(out, float64(int8(b[0])))
		case element.U8, element.Bool:
			out = append(out, float64(b[0]))
		case element.F64:
			out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		default:
			var v [1]float32
			if err := ty.Float32(v[:], b[:ty.Size()]); err != nil {
				t.Fatal(err)
			}
			out = append(out, float64(v[0]))
		}
	}
	return out
}

// Every file gives the values that PyTorch gives, or is refused where it must be.
func TestGoldenCheckpoints(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(goldenDir(), "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	type want struct {
		DType  string            `json:"dtype"`
		Shape  []int             `json:"shape"`
		Stride []int             `json:"stride"`
		Values []json.RawMessage `json:"values"`
	}
	var cases map[string]struct {
		Note   string          `json:"note"`
		Expect map[string]want `json:"expect"`
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(goldenDir(), name))
			if err != nil {
				t.Fatal(err)
			}
			f, err := openBytes(b)
			values := map[string][]byte{}
			if err == nil {
				for _, x := range f.Tensors {
					v := []byte{}
					if e := f.Bytes(x.Name, func(b []byte) error { v = append(v, b...); return nil }); e != nil {
						err = e
					}
					values[x.Name] = v
				}
			}
			if c.Expect == nil {
				if err == nil {
					t.Fatalf("read, although: %s", c.Note)
				}
				t.Logf("%s: %v", c.Note, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Tensors) != len(c.Expect) {
				t.Errorf("%d tensors, want %d", len(f.Tensors), len(c.Expect))
			}
			for key, w := range c.Expect {
				x, ok := f.Lookup(key)
				if !ok {
					t.Errorf("%s is missing", key)
					continue
				}
				if x.Type.String() != w.DType || !slices.Equal(x.Shape, w.Shape) || !slices.Equal(x.Strides, w.Stride) {
					t.Errorf("%s: %s %v %v, want %s %v %v", key, x.Type, x.Shape, x.Strides, w.DType, w.Shape, w.Stride)
				}
				got := numbersOf(t, x.Type, values[key])
				if len(got) != len(w.Values) {
					t.Errorf("%s: %d values, want %d", key, len(got), len(w.Values))
					continue
				}
				for i, r := range w.Values {
					want := 0.0
					switch s := string(r); s {
					case "true":
						want = 1
					case "false":
					case "NaN", `"nan"`:
						want = math.NaN()
					default:
						if err := json.Unmarshal(r, &want); err != nil {
							t.Fatal(err)
						}
					}
					if got[i] != want && !(math.IsNaN(got[i]) && math.IsNaN(want)) {
						t.Errorf("%s[%d]: %v, want %v", key, i, got[i], want)
					}
				}
			}
		})
	}
}

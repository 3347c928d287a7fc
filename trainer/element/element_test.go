package element

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
)

// Every half and brain float survives the way to float32 and back, and equals a second implementation.
func TestEveryHalfFloat(t *testing.T) {
	for u := range 1 << 16 {
		var b [2]byte
		binary.LittleEndian.PutUint16(b[:], uint16(u))
		for _, ty := range []Type{F16, BF16} {
			var v [1]float32
			if err := ty.Float32(v[:], b[:]); err != nil {
				t.Fatal(err)
			}
			want := float16.FromBits(uint16(u)).Float32()
			if ty == BF16 {
				want = bfloat16.FromBits(uint16(u)).Float32()
			}
			if v[0] != want && !(math.IsNaN(float64(v[0])) && math.IsNaN(float64(want))) {
				t.Fatalf("%s %04x: %g, want %g", ty, u, v[0], want)
			}
			if back := ty.Append(nil, v[:]); !math.IsNaN(float64(want)) && string(back) != string(b[:]) {
				t.Fatalf("%s %04x comes back as %x", ty, u, back)
			}
		}
	}
}

// Rounding is to the nearest, ties to even: checked against the definition over the neighbours.
func TestRounding(t *testing.T) {
	for _, ty := range []Type{F16, BF16} {
		for u := uint16(0); u < 0x7bff && !(ty == BF16 && u >= 0x7f7f); u++ {
			pair := make([]float32, 2)
			b := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, u), u+1)
			if err := ty.Float32(pair, b); err != nil {
				t.Fatal(err)
			}
			low, high := float64(pair[0]), float64(pair[1])
			middle := float32((low + high) / 2) // exact: one more bit than the type has
			even := u + u&1
			for _, c := range []struct {
				x    float32
				want uint16
			}{{middle, even}, {math.Nextafter32(middle, 0), u}, {math.Nextafter32(middle, 2*middle+1), u + 1}} {
				if float64(c.x) <= low || float64(c.x) >= high {
					continue // too small a gap to stand in
				}
				if got := binary.LittleEndian.Uint16(ty.Append(nil, []float32{c.x})); got != c.want {
					t.Fatalf("%s: %g becomes %04x, want %04x", ty, c.x, got, c.want)
				}
			}
		}
	}
}

func TestOverflow(t *testing.T) {
	for _, c := range []struct {
		ty   Type
		x    float32
		over bool
	}{{F16, 65504, false}, {F16, 65519.99, false}, {F16, 65520, true}, {F16, -1e5, true}, {F16, float32(math.Inf(1)), false},
		{BF16, 3.38e38, false}, {BF16, math.MaxFloat32, true}, {F32, math.MaxFloat32, false}} {
		if got := c.ty.Overflow([]float32{0, c.x}) == 1; got != c.over {
			t.Errorf("%s %g: overflow %v, want %v", c.ty, c.x, got, c.over)
		}
		var v [1]float32
		if err := c.ty.Float32(v[:], c.ty.Append(nil, []float32{c.x})); err != nil {
			t.Fatal(err)
		}
		if inf := math.IsInf(float64(v[0]), 0) && !math.IsInf(float64(c.x), 0); inf != c.over {
			t.Errorf("%s %g becomes %g", c.ty, c.x, v[0])
		}
	}
}

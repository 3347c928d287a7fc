//go:build !scalar

package vision

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Every set of vector kernels against the plain one at sizes that no one chose.
func TestVectorKernelsEqualThePlainOnes(t *testing.T) {
	if len(vectors) == 0 {
		t.Skip("needs a processor with AVX2")
	}
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 80 {
		w, h, size := 1+r.IntN(700), 1+r.IntN(700), 1+r.IntN(256)
		if i%4 == 0 {
			w = 1 + r.IntN(12)
		}
		p := noise(w, h, 1+2*(i%3&1), uint64(i))
		nw, nh := ShortSide(w, h, size)
		across, down := bicubic(w, nw, cropOffset(nw, size), size), bicubic(h, nh, cropOffset(nh, size), size)
		want := make([]uint8, p.Channels*size*size)
		scalar.run(want, source{p, p.row}, across, down)
		for _, v := range vectors {
			got := make([]uint8, len(want))
			if !v.run(got, source{p, p.row}, across, down) {
				t.Fatalf("%s refused %d x %d to %d", v.name, w, h, size)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: %d x %d x %d to %d differs from the plain kernels", v.name, w, h, p.Channels, size)
			}
		}
	}
}

// A weight comes back from its digits, and one that does not fit is refused.
func TestDigitsOfWeights(t *testing.T) {
	for _, w := range []int32{0, 1, -1, 127, 128, -128, -129, 1 << 22, -(1 << 19), 4571234, 0x7f7f7f, -0x808080} {
		var d [3]uint32
		if !bytes3(d[:], 2, w) {
			t.Errorf("%d does not fit", w)
		}
		if got := int32(int8(d[0]>>16)) + int32(int8(d[1]>>16))<<8 + int32(int8(d[2]>>16))<<16; got != w {
			t.Errorf("%d came back as %d", w, got)
		}
	}
	for _, w := range []int32{0x7f7f80, -0x808081, 1 << 30} {
		if bytes3(make([]uint32, 3), 0, w) {
			t.Errorf("%d fits", w)
		}
	}
}

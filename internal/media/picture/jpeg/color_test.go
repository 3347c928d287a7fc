package jpeg

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Rows of every length up to 100 by the vector kernels and by the plain ones.
func TestFastRowsEqualThePlainOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	row := func(n int) []uint8 {
		b := make([]uint8, n)
		for i := range b {
			b[i] = uint8(r.Uint32())
			if r.IntN(4) == 0 {
				b[i] = uint8(255 * r.IntN(2))
			}
		}
		return b
	}
	for n := 1; n <= 100; n++ {
		rows := [][]uint8{row(n), row(n), row(n)}
		got, want := make([]uint8, 3*n), make([]uint8, 3*n)
		rowRGB(got, rows)
		plainRGB(want, rows[0], rows[1], rows[2])
		if !bytes.Equal(got, want) {
			t.Fatalf("colours of %d pixels differ", n)
		}
		near, far := rows[0], rows[1]
		sums := make([]uint16, n+2)
		got, want = make([]uint8, 2*n), make([]uint8, 2*n)
		fancyBoth(got, near, far, sums)
		for i := range near {
			sums[1+i] = 3*uint16(near[i]) + uint16(far[i])
		}
		sums[0], sums[n+1] = sums[1], sums[n]
		plainSpread(want, sums, 8, 7)
		if !bytes.Equal(got, want) {
			t.Fatalf("doubling of %d samples differs", n)
		}
		fancyAcross(got, near, sums)
		for i := range near {
			left, right := uint16(near[max(i-1, 0)]), uint16(near[min(i+1, n-1)])
			want[2*i], want[2*i+1] = uint8((3*uint16(near[i])+left+1)>>2), uint8((3*uint16(near[i])+right+2)>>2)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("doubling of %d samples across differs", n)
		}
	}
}

// All 16.7 million colours would be all that there are; every pair of chroma with a few lumas is enough.
func TestFastColoursAreAllRight(t *testing.T) {
	luma, cb, cr := make([]uint8, 256), make([]uint8, 256), make([]uint8, 256)
	got, want := make([]uint8, 768), make([]uint8, 768)
	for b := range 256 {
		for l := 0; l < 256; l += 15 {
			for i := range cr {
				luma[i], cb[i], cr[i] = uint8(l), uint8(b), uint8(i)
			}
			rowRGB(got, [][]uint8{luma, cb, cr})
			plainRGB(want, luma, cb, cr)
			if !bytes.Equal(got, want) {
				t.Fatalf("Cb %d, Y %d", b, l)
			}
		}
	}
}

package stereo

import (
	"slices"
	"testing"
)

// Every length at every alignment comes apart and together, as by the plain twins, and nothing beyond it is touched.
func TestBitEqual(t *testing.T) {
	for n := range 50 {
		for from := range 4 {
			pairs := make([]float32, 2*n+from)
			for i := range pairs {
				pairs[i] = float32(i + 1)
			}
			pairs = pairs[from:]
			l, r, pl, pr := make([]float32, n+1), make([]float32, n+1), make([]float32, n+1), make([]float32, n+1)
			Separate(l[:n], r, pairs)
			plainSeparate(pl[:n], pr, pairs)
			if !slices.Equal(l, pl) || !slices.Equal(r, pr) {
				t.Fatalf("%d pairs: %v, %v; plain %v, %v", n, l, r, pl, pr)
			}
			for i := range n {
				if l[i] != pairs[2*i] || r[i] != pairs[2*i+1] {
					t.Fatalf("pair %d of %d is %v, %v", i, n, l[i], r[i])
				}
			}
			back, plain := make([]float32, 2*n+1), make([]float32, 2*n+1)
			Interleave(back, l[:n], r)
			plainInterleave(plain, l[:n], r)
			if !slices.Equal(back, plain) || !slices.Equal(back[:2*n], pairs) || back[2*n] != 0 {
				t.Fatalf("%d pairs: %v, plain %v, want %v", n, back, plain, pairs)
			}
		}
	}
}

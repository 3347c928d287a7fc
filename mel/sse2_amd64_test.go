//go:build !scalar

package mel

import (
	"math"
	"testing"
)

// TestLogarithms4: all binades, what is below the floor, and what is not finite.
func TestLogarithms4(t *testing.T) {
	special := []float32{0, -1, logFloor, logFloor / 2, 1, math.MaxFloat32, 1e-45, float32(math.NaN()), -float32(math.NaN()), float32(math.Inf(1))} // sums of powers are never -Inf
	for _, scale := range []bank{{std: 1}, {mean: normMean, std: normStd}} {
		for bits := uint32(0); bits < 0x7fffffff-Bins*1009; bits += Bins * 1009 {
			var want [Bins]float32
			for i := range want {
				want[i] = math.Float32frombits(bits + uint32(i)*1009)
				if i%11 == 0 {
					want[i] = special[i/11%len(special)]
				}
			}
			got := want
			normalised(&want, scale.mean, scale.std)
			logarithms4(&got[0], &logConstants[0][0], Bins, scale.mean, scale.std)
			sameBits(t, "logarithms", got[:], want[:])
		}
	}
}

// The passes of the transform leave the same numbers, at other places.
func TestPasses4(t *testing.T) {
	x := noise(2 * maxHalf)
	var plain, lanes spectrum
	for i := range maxHalf {
		plain.re[i], plain.im[i] = x[2*i], x[2*i+1]
	}
	lanes = plain
	for _, base := range []int{0, quarter} {
		plain.passes(base, quarter)
		lanes.passes4(base)
	}
	for k := range maxHalf {
		i, j := position[k], position4[k]
		if plain.re[i] != lanes.re[j] || plain.im[i] != lanes.im[j] {
			t.Fatalf("point %d is %g %g, want %g %g", k, lanes.re[j], lanes.im[j], plain.re[i], plain.im[i])
		}
	}
}

//go:build goexperiment.simd && amd64

package filters

import (
	"math"
	"slices"
	"testing"
)

func needVector(t *testing.T) {
	if vector == nil {
		t.Skip("needs a processor with AVX2")
	}
}

func TestVectorSummaryIsBitEqual(t *testing.T) {
	needVector(t)
	for _, n := range []int{1, 63, 64, 65, 1000, 6400} {
		x := gauss(n, 0.3, uint64(n))
		for i := 0; i < n; i += 37 {
			x[i] = 0
		}
		blocks := (n + blockLength - 1) / blockLength
		plain, lanes := make([]blockFigures, blocks), make([]blockFigures, blocks)
		summarise(x, plain, 0)
		summarise(x, lanes, vector.summarise(x, lanes))
		if !slices.Equal(plain, lanes) {
			t.Fatalf("%d samples: %v, plain %v", n, lanes, plain)
		}
	}
}

func TestVectorWeightIsBitEqual(t *testing.T) {
	needVector(t)
	defer func(v *kernels) { vector = v }(vector)
	lanes := vector
	for _, rate := range []int{8000, 16000, 44100} {
		for _, steps := range []int{4, 7, 12} {
			x := gauss(steps*rate/10+17, 0.3, 4)
			clear(x[:100])
			w := newKWeight(rate)
			got, want := make([]float64, steps), make([]float64, steps)
			vector = lanes
			w.stepPowers(x, rate/10, got)
			vector = nil
			w.stepPowers(x, rate/10, want)
			for i := range got {
				if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
					t.Fatalf("%d Hz, step %d of %d: %v, plain %v", rate, i, steps, got[i], want[i])
				}
			}
		}
	}
}

package filters

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestDecibels(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200000 {
		x := math.Exp(700 * (2*r.Float64() - 1))
		if got, want := decibels(x), 10*math.Log10(x); math.Abs(got-want) > 1e-12*max(1, math.Abs(want)) {
			t.Fatalf("decibels(%g) is %v, want %v", x, got, want)
		}
	}
	for x, want := range map[float64]float64{1: 0, 10: 10, 0.5: -3.0102999566398120} {
		if got := decibels(x); math.Abs(got-want) > 1e-14 {
			t.Errorf("decibels(%g) is %v, want %v", x, got, want)
		}
	}
}

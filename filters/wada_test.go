package filters

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
)

// wadaG is ln E|z| - E ln|z| of z = s + v at an SNR in dB: s has a random sign and an amplitude of
// Gamma(0.4), v is Gaussian. The expectations over v are known in closed form:
//
//	E|s+v|    = v sqrt(2/pi) exp(-s^2/2v^2) + s erf(s/(v sqrt 2))
//	E ln|s+v| = ln v + (ln 2 + sum_j Poisson(j; s^2/2v^2) digamma(j + 1/2)) / 2
//
// and those over s are integrals over u = s^0.4, in which Gamma(0.4)'s density has no pole.
func wadaG(db float64) float64 {
	const shape = 0.4
	sigma := math.Sqrt(shape * (shape + 1) * math.Pow(10, -db/10))
	absolute := func(s float64) float64 {
		z := s / sigma
		return sigma*math.Sqrt(2/math.Pi)*math.Exp(-z*z/2) + s*math.Erf(z/math.Sqrt2)
	}
	logarithm := func(s float64) float64 {
		z := s / sigma
		if z > 25 { // the first terms of E ln(1 + v/s)
			r := 1 / (z * z)
			return math.Log(s) - r/2 - 3*r*r/4 - 5*r*r*r/2
		}
		half := z * z / 2
		digamma := -0.57721566490153286 - 2*math.Ln2 // of 1/2
		weight, sum := math.Exp(-half), 0.0
		for j := 0; j < int(half+40+12*math.Sqrt(half)); j++ {
			sum += weight * digamma
			digamma += 1 / (float64(j) + 0.5)
			weight *= half / float64(j+1)
		}
		return math.Log(sigma) + (math.Ln2+sum)/2
	}
	var one, all, logs float64
	// In pieces that grow from a thousandth of the noise's own scale.
	lower := 0.0
	for upper := 1e-3 * math.Pow(sigma, shape); lower < 6; upper *= 1.25 {
		over := func(f func(s float64) float64) float64 {
			return quad.Fixed(func(u float64) float64 {
				s := math.Pow(u, 1/shape)
				return math.Exp(-s) * f(s)
			}, lower, upper, 6, quad.Legendre{}, 0)
		}
		one += over(func(float64) float64 { return 1 })
		all += over(absolute)
		logs += over(logarithm)
		lower = upper
	}
	return math.Log(all/one) - logs/one
}

func TestWADATable(t *testing.T) {
	for i, got := range wadaTable {
		if want := wadaG(float64(wadaLow + i)); math.Abs(got-want) > 1e-6 {
			t.Errorf("%d dB: %.7f, computed %.7f", wadaLow+i, got, want)
		}
	}
	// Kim and Stern's published value at 10 dB.
	if got := wadaTable[10-wadaLow]; math.Abs(got-0.667508) > 3e-4 {
		t.Errorf("10 dB: %.6f, published 0.667508", got)
	}
}

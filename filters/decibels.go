package filters

import "math"

const (
	perNeper, perOctave = 10 / math.Ln10, 10 * math.Ln2 / math.Ln10
	halfSqrt2           = 0x3fe6a09e667f3bcd // sqrt(1/2) as bits
)

// artanh are the coefficients of artanh s / s in s squared, the highest first, after 1/19.
var artanh = [...]float64{1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1}

// decibels is 10 log10 of a positive normal power. The standard library's logarithm differs in its last bit
// between processors; here each product is rounded before it is added, so that stored values and what is
// decided by them are the same everywhere. Off by 3e-14 at most.
func decibels(power float64) float64 {
	bits := math.Float64bits(power) - halfSqrt2
	e := int64(bits) >> 52
	m := math.Float64frombits(bits&(1<<52-1) + halfSqrt2) // from sqrt(1/2) to sqrt(2)
	// ln m = 2 artanh s, s = (m-1)/(m+1), |s| < 0.172.
	s := (m - 1) / (m + 1)
	z := float64(s * s)
	y := 1.0 / 19
	for _, c := range artanh {
		y = float64(y*z) + c
	}
	return float64(perOctave*float64(e)) + float64(2*perNeper*float64(s*y))
}

// inDecibels replaces the powers by their decibels, after adding to each.
func inDecibels(v []float64, plus float64) {
	done := 0
	if vector != nil {
		done = vector.decibels(v, plus)
	}
	for i, p := range v[done:] {
		v[done+i] = decibels(p + plus)
	}
}

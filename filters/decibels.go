package filters

import "math"

// decibels is 10 log10 of a positive normal power. The standard library's logarithm differs in its last bit
// between processors; here each product is rounded before it is added, so that stored values and what is
// decided by them are the same everywhere. Off by 3e-14 at most.
func decibels(power float64) float64 {
	m, e := math.Frexp(power)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	// ln m = 2 artanh s, s = (m-1)/(m+1), |s| < 0.172.
	s := (m - 1) / (m + 1)
	z := float64(s * s)
	y := 1.0 / 19
	for _, c := range [...]float64{1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1} {
		y = float64(y*z) + c
	}
	const perNeper, perOctave = 10 / math.Ln10, 10 * math.Ln2 / math.Ln10
	return float64(perOctave*float64(e)) + float64(2*perNeper*float64(s*y))
}

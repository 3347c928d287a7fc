//go:build !amd64 || scalar

package jpeg

func (r *bits) coefficients(dc, ac *[1 << quickBits]uint32, block *[64]int16) {
	r.plainCoefficients(dc, ac, block)
}

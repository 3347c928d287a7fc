//go:build !scalar

package jpeg

// coefficients is plainCoefficients.
func (r *bits) coefficients(dc, ac *[1 << quickBits]uint32, block *[64]int16) {
	_ = r.buf[r.pos:][:most]
	coefficientsAMD64(r, dc, ac, block)
}

//go:noescape
func coefficientsAMD64(r *bits, dc, ac *[1 << quickBits]uint32, block *[64]int16)

//go:build !scalar

package vorbis

// The kernels of transform_amd64.s, four values at a time. Lengths are those of their plain twins; what is no
// multiple of four is left to these.

//go:noescape
func rotateIn4(re, im, x, cos, sin *float32, n int)

func rotateIn(re, im, x, cos, sin []float32) {
	half := len(x) / 2
	_, _, _, _ = re[half-1], im[half-1], cos[half-1], sin[half-1]
	rotateIn4(&re[0], &im[0], &x[0], &cos[0], &sin[0], len(x))
}

//go:noescape
func firstPass4(yr, yi, xr, xi, factors *float32, m int)

func firstPass(yr, yi, xr, xi, factors []float32) {
	n := len(xr)
	_, _, _, _ = yr[n-1], yi[n-1], xi[n-1], factors[n/4*6-1]
	firstPass4(&yr[0], &yi[0], &xr[0], &xi[0], &factors[0], n/4)
}

//go:noescape
func pass4(yr, yi, xr, xi, factors *float32, m, s int)

func pass(yr, yi, xr, xi, factors []float32, m, s int) {
	n := 4 * m * s
	_, _, _, _, _ = yr[n-1], yi[n-1], xr[n-1], xi[n-1], factors[24*m-1]
	pass4(&yr[0], &yi[0], &xr[0], &xi[0], &factors[0], m, s)
}

//go:noescape
func lastPass4x4(yr, yi, xr, xi *float32, s int)

func lastPass4(yr, yi, xr, xi []float32) {
	n := len(xr)
	_, _, _ = yr[n-1], yi[n-1], xi[n-1]
	lastPass4x4(&yr[0], &yi[0], &xr[0], &xi[0], n/4)
}

//go:noescape
func lastPass2x4(yr, yi, xr, xi *float32, s int)

func lastPass2(yr, yi, xr, xi []float32) {
	n := len(xr)
	_, _, _ = yr[n-1], yi[n-1], xi[n-1]
	lastPass2x4(&yr[0], &yi[0], &xr[0], &xi[0], n/2)
}

//go:noescape
func rotateOut4(y, re, im, cos, sin *float32, n int)

func rotateOut(y, re, im, cos, sin []float32) {
	half := len(y) / 2
	_, _, _, _ = re[half-1], im[half-1], cos[half-1], sin[half-1]
	rotateOut4(&y[0], &re[0], &im[0], &cos[0], &sin[0], len(y))
}

//go:noescape
func lap4(out, a, b, window *float32, n int)

func lap(out, a, b, window []float32) {
	n := len(out)
	_, _, _ = a[n/2-1], b[n/2-1], window[n-1]
	lap4(&out[0], &a[0], &b[0], &window[0], n)
}

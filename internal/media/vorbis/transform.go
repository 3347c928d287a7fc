package vorbis

import "math"

// The inverse MDCT of a block of 2n samples, n lines, is a DCT-IV of n, unfolded by its symmetries:
//
//	y[m] = sum x[k] cos(pi/n (m + 1/2) (k + 1/2))
//
// first half of the block:  y[n/2], ..., y[n-1], -y[n-1], ..., -y[n/2]
// second half:             -y[n/2-1], ..., -y[0], -y[0], ..., -y[n/2-1]
//
// which is why only the lower half of y is kept for the next block, and nothing is ever unfolded. The DCT-IV is a
// complex Fourier transform of half its length between two rotations:
//
//	t[j] = (x[2j] + i x[n-1-2j]) w[j],  w[j] = exp(-i pi (8j+1) / 8n)
//	T = FFT(t)
//	y[2j] = Re(T[j] w[j]),  y[n-1-2j] = -Im(T[j] w[j])
//
// The Fourier transform goes in passes of four points (and one of two) from one buffer to another, each of which puts
// its results in order (Stockham): four neighbours always take the same steps, so that each kernel has a twin that
// takes them in lanes, to the same bits.

// transform is the DCT-IV of n lines, n a power of two from 32 to 4096.
type transform struct {
	n        int
	cos, sin []float32 // w
	passes   [][]float32
	re, im   [2][]float32 // buffers
}

// factorsOf are the factors of a pass over groups of four points at distance m: of points p = 0 ... m-1, w^p, w^2p and
// w^3p for w = exp(-2 pi i / 4m), real and imaginary parts, each four times: of four p in turn where neighbours are
// points (in the first pass), otherwise of one p.
func factorsOf(m int, first bool) []float32 {
	factors := make([]float32, 24*m)
	for p := range m {
		for k := 1; k <= 3; k++ {
			s, c := math.Sincos(-2 * math.Pi * float64(k*p) / float64(4*m))
			at := 8 * (k - 1)
			if first {
				at += p/4*24 + p%4
				factors[at], factors[at+4] = float32(c), float32(s)
				continue
			}
			for lane := range 4 {
				factors[24*p+at+lane], factors[24*p+at+4+lane] = float32(c), float32(s)
			}
		}
	}
	if first {
		return factors[:6*m]
	}
	return factors
}

func newTransform(n int) *transform {
	half := n / 2
	t := &transform{n: n, cos: make([]float32, half), sin: make([]float32, half)}
	for j := range half {
		s, c := math.Sincos(-math.Pi * float64(8*j+1) / float64(8*n))
		t.cos[j], t.sin[j] = float32(c), float32(s)
	}
	for m := half / 4; m > 1; m /= 4 {
		t.passes = append(t.passes, factorsOf(m, m == half/4))
	}
	for i := range t.re {
		t.re[i], t.im[i] = make([]float32, half), make([]float32, half)
	}
	return t
}

// run writes the DCT-IV of x to y.
func (t *transform) run(y, x []float32) {
	half := t.n / 2
	ar, ai, br, bi := t.re[0][:half], t.im[0][:half], t.re[1][:half], t.im[1][:half]
	rotateIn(ar, ai, x[:t.n], t.cos, t.sin)
	m, s := half/4, 1
	for i, factors := range t.passes {
		if i == 0 {
			firstPass(br, bi, ar, ai, factors)
		} else {
			pass(br, bi, ar, ai, factors, m, s)
		}
		ar, ai, br, bi = br, bi, ar, ai
		m, s = m/4, 4*s
	}
	if m == 1 {
		lastPass4(br, bi, ar, ai)
	} else {
		lastPass2(br, bi, ar, ai)
	}
	rotateOut(y[:t.n], br, bi, t.cos, t.sin)
}

// plainRotateIn makes complex numbers of lines.
func plainRotateIn(re, im, x, cos, sin []float32) {
	n := len(x)
	re, im, cos, sin = re[:n/2], im[:n/2], cos[:n/2], sin[:n/2]
	for j := range re {
		a, b := x[2*j], x[n-1-2*j]
		c, s := cos[j], sin[j]
		re[j] = float32(a*c) - float32(b*s)
		im[j] = float32(a*s) + float32(b*c)
	}
}

// four are neighbours that take the same steps.
type four = [4]float32

// plainFirstPass is pass for neighbours at distance 1: groups of four points at a quarter's distance become
// neighbours.
func plainFirstPass(yr, yi, xr, xi, factors []float32) {
	m := len(xr) / 4
	for p := 0; p < m; p += 4 {
		ar, ai, br, bi := (*four)(xr[p:]), (*four)(xi[p:]), (*four)(xr[p+m:]), (*four)(xi[p+m:])
		cr, ci, dr, di := (*four)(xr[p+2*m:]), (*four)(xi[p+2*m:]), (*four)(xr[p+3*m:]), (*four)(xi[p+3*m:])
		w := (*[24]float32)(factors[6*p:])
		r, i := (*[16]float32)(yr[4*p:]), (*[16]float32)(yi[4*p:])
		for q := range 4 {
			sr, si, er, ei := ar[q]+cr[q], ai[q]+ci[q], ar[q]-cr[q], ai[q]-ci[q]
			tr, ti, fr, fi := br[q]+dr[q], bi[q]+di[q], br[q]-dr[q], bi[q]-di[q]
			r[4*q], i[4*q] = sr+tr, si+ti
			r[4*q+1], i[4*q+1] = times(er+fi, ei-fr, w[q], w[4+q])
			r[4*q+2], i[4*q+2] = times(sr-tr, si-ti, w[8+q], w[12+q])
			r[4*q+3], i[4*q+3] = times(er-fi, ei+fr, w[16+q], w[20+q])
		}
	}
}

// times multiplies two complex numbers.
func times(re, im, wr, wi float32) (float32, float32) {
	return float32(re*wr) - float32(im*wi), float32(re*wi) + float32(im*wr)
}

// plainPass does the butterflies of groups of four points at distance m, of each s neighbours, s a multiple of four.
func plainPass(yr, yi, xr, xi, factors []float32, m, s int) {
	for p := range m {
		w := (*[24]float32)(factors[24*p:])
		w1r, w1i, w2r, w2i, w3r, w3i := w[0], w[4], w[8], w[12], w[16], w[20]
		x, y := s*p, 4*s*p
		for end := x + s; x < end; x, y = x+4, y+4 {
			ar, ai, br, bi := (*four)(xr[x:]), (*four)(xi[x:]), (*four)(xr[x+s*m:]), (*four)(xi[x+s*m:])
			cr, ci, dr, di := (*four)(xr[x+2*s*m:]), (*four)(xi[x+2*s*m:]), (*four)(xr[x+3*s*m:]), (*four)(xi[x+3*s*m:])
			r0, i0, r1, i1 := (*four)(yr[y:]), (*four)(yi[y:]), (*four)(yr[y+s:]), (*four)(yi[y+s:])
			r2, i2, r3, i3 := (*four)(yr[y+2*s:]), (*four)(yi[y+2*s:]), (*four)(yr[y+3*s:]), (*four)(yi[y+3*s:])
			for q := range 4 {
				sr, si, er, ei := ar[q]+cr[q], ai[q]+ci[q], ar[q]-cr[q], ai[q]-ci[q]
				tr, ti, fr, fi := br[q]+dr[q], bi[q]+di[q], br[q]-dr[q], bi[q]-di[q]
				r0[q], i0[q] = sr+tr, si+ti
				r1[q], i1[q] = times(er+fi, ei-fr, w1r, w1i)
				r2[q], i2[q] = times(sr-tr, si-ti, w2r, w2i)
				r3[q], i3[q] = times(er-fi, ei+fr, w3r, w3i)
			}
		}
	}
}

// plainLastPass4 is the pass of a single group of four points, whose factors are 1.
func plainLastPass4(yr, yi, xr, xi []float32) {
	s := len(xr) / 4
	for x := 0; x < s; x += 4 {
		ar, ai, br, bi := (*four)(xr[x:]), (*four)(xi[x:]), (*four)(xr[x+s:]), (*four)(xi[x+s:])
		cr, ci, dr, di := (*four)(xr[x+2*s:]), (*four)(xi[x+2*s:]), (*four)(xr[x+3*s:]), (*four)(xi[x+3*s:])
		r0, i0, r1, i1 := (*four)(yr[x:]), (*four)(yi[x:]), (*four)(yr[x+s:]), (*four)(yi[x+s:])
		r2, i2, r3, i3 := (*four)(yr[x+2*s:]), (*four)(yi[x+2*s:]), (*four)(yr[x+3*s:]), (*four)(yi[x+3*s:])
		for q := range 4 {
			sr, si, er, ei := ar[q]+cr[q], ai[q]+ci[q], ar[q]-cr[q], ai[q]-ci[q]
			tr, ti, fr, fi := br[q]+dr[q], bi[q]+di[q], br[q]-dr[q], bi[q]-di[q]
			r0[q], i0[q] = sr+tr, si+ti
			r1[q], i1[q] = er+fi, ei-fr
			r2[q], i2[q] = sr-tr, si-ti
			r3[q], i3[q] = er-fi, ei+fr
		}
	}
}

// plainLastPass2 is the pass of a single pair of points.
func plainLastPass2(yr, yi, xr, xi []float32) {
	s := len(xr) / 2
	for x := 0; x < s; x += 4 {
		ar, ai, br, bi := (*four)(xr[x:]), (*four)(xi[x:]), (*four)(xr[x+s:]), (*four)(xi[x+s:])
		r0, i0, r1, i1 := (*four)(yr[x:]), (*four)(yi[x:]), (*four)(yr[x+s:]), (*four)(yi[x+s:])
		for q := range 4 {
			r0[q], i0[q] = ar[q]+br[q], ai[q]+bi[q]
			r1[q], i1[q] = ar[q]-br[q], ai[q]-bi[q]
		}
	}
}

// plainRotateOut makes the transform's values of complex numbers.
func plainRotateOut(y, re, im, cos, sin []float32) {
	n := len(y)
	re, im, cos, sin = re[:n/2], im[:n/2], cos[:n/2], sin[:n/2]
	for j := range re {
		r, i, c, s := re[j], im[j], cos[j], sin[j]
		y[2*j] = float32(r*c) - float32(i*s)
		y[n-1-2*j] = -(float32(r*s) + float32(i*c))
	}
}

// plainLap overlaps the second half of a block with the first half of the next: out has n samples, a are the first
// n/2 values of the earlier transform, b the last n/2 of the later, window has n values.
func plainLap(out, a, b, window []float32) {
	n := len(out)
	a, b, window = a[:n/2], b[:n/2], window[:n]
	for i := range b {
		v, up, down := a[n/2-1-i], window[i], window[n-1-i]
		out[i] = float32(b[i]*up) - float32(v*down)
		out[n-1-i] = -(float32(b[i]*down) + float32(v*up))
	}
}

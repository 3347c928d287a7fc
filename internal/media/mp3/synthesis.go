package mp3

import "math"

// The hybrid filter bank (ISO/IEC 11172-3, 2.4.3.4.9 and 2.4.3.2): aliases between the 32 subbands are taken
// back, an inverse MDCT makes 18 samples of each subband's 18 lines, overlapping with those before, and the
// polyphase synthesis makes 32 samples of one of each subband. Products are rounded before they are added, so that
// processors that fuse the two give the same samples.

// filterBank is one channel's memory.
type filterBank struct {
	overlap [32][18]float32
	// v holds the synthesis vectors of 64, the newest first: a granule's 18 and the 15 before, and room for two that
	// kernels make besides.
	v [(spare + 18 + 15) * 64]float32
}

// Kernels take four times at once, so that a granule has 20 of them, two of which are dropped.
const (
	times = 20
	spare = times - 18
)

// aliasing are the coefficients of the butterflies between subbands (table B.9).
var aliasing = func() (t [8][2]float32) {
	for i, c := range [8]float64{-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037} {
		r := math.Sqrt(1 + float64(c*c))
		t[i] = [2]float32{float32(1 / r), float32(c / r)}
	}
	return t
}()

// windows are the four shapes of 2.4.3.4.10.3, the third being of 12 values.
var windows = func() (t [4][36]float32) {
	long := func(i int) float32 { return float32(math.Sin(math.Pi / 36 * (float64(i) + 0.5))) }
	short := func(i int) float32 { return float32(math.Sin(math.Pi / 12 * (float64(i) + 0.5))) }
	for i := range 36 {
		t[0][i], t[1][i], t[3][i] = long(i), long(i), long(i)
	}
	for i := range 6 {
		t[1][18+i], t[1][24+i], t[1][30+i] = 1, short(6+i), 0
		t[3][i], t[3][6+i], t[3][12+i] = 0, short(i), 1
		t[2][i], t[2][6+i] = short(i), short(6+i)
	}
	return t
}()

// run makes 576 samples of the lines. Only the first nonzero lines can differ from 0.
func (b *filterBank) run(xr *[lines]float32, nonzero, blockType int, mixed bool, edges *bandEdges, out *[lines]float32) {
	longBands := 32 // subbands with long blocks
	if blockType == 2 {
		longBands = 0
		first := 0
		if mixed {
			longBands, first = 2, 3
		}
		nonzero = reorder(xr, nonzero, edges, first)
	}
	bands := (nonzero + 17) / 18
	if longBands > 0 && bands > 0 {
		top := min(bands, longBands-1)
		for sb := 1; sb <= top; sb++ {
			lower, upper := xr[18*sb-8:18*sb:18*sb], xr[18*sb:18*sb+8:18*sb+8]
			for i := range 8 {
				u, d := lower[7-i], upper[i]
				lower[7-i] = float32(u*aliasing[i][0]) - float32(d*aliasing[i][1])
				upper[i] = float32(d*aliasing[i][0]) + float32(u*aliasing[i][1])
			}
		}
		bands = max(bands, top+1)
	}
	var subband [32][times]float32
	for sb := range 32 {
		over, now := &b.overlap[sb], (*[18]float32)(subband[sb][:])
		if sb >= bands {
			*now, *over = *over, [18]float32{}
		} else {
			in := (*[18]float32)(xr[18*sb:])
			switch {
			case sb >= longBands:
				imdct12x3(in, over, now)
			case longBands < 32:
				imdct36(in, over, now, &windows[0])
			default:
				imdct36(in, over, now, &windows[blockType])
			}
		}
		if sb%2 == 1 { // frequency inversion
			for t := 1; t < 18; t += 2 {
				now[t] = -now[t]
			}
		}
	}
	copy(b.v[(spare+18)*64:], b.v[spare*64:])
	matrix(&subband, &b.v)
	window(&b.v, out)
}

// reorder sorts the lines of short blocks: from window after window in each band to one line of each window
// after the other. It returns up to where lines can differ from 0 now.
func reorder(xr *[lines]float32, nonzero int, edges *bandEdges, first int) int {
	var band [3 * 158]float32
	for b := first; b < 13; b++ {
		from, width := 3*edges.short[b], edges.short[b+1]-edges.short[b]
		if from >= nonzero {
			return nonzero
		}
		lines := xr[from : from+3*width]
		copy(band[:], lines)
		for i := range width {
			lines[3*i], lines[3*i+1], lines[3*i+2] = band[i], band[width+i], band[2*width+i]
		}
		if nonzero < from+3*width {
			return from + 3*width
		}
	}
	return nonzero
}

// dct4 is how the inverse MDCT of 2n lines is computed: it is a DCT-IV of n = 18 (or 6), unfolded by its
// symmetries, and that is a complex Fourier transform of half the length between two rotations:
//
//	t[j] = (x[2j] + i x[n-1-2j]) w[j],  w[j] = exp(-i pi (8j+1) / 8n)
//	T = FFT(t)
//	y[2j] = Re(T[j] w[j]),  y[n-1-2j] = -Im(T[j] w[j])
var (
	rotate9 = rotation(9)
	rotate3 = rotation(3)
)

func rotation(half int) (w [9][2]float32) {
	for j := range half {
		s, c := math.Sincos(-math.Pi * float64(8*j+1) / float64(16*half))
		w[j] = [2]float32{float32(c), float32(s)}
	}
	return w
}

const sin60 = 0.86602540378443864676

// fft3 is a Fourier transform of three complex numbers.
func fft3(ar, ai, br, bi, cr, ci float32) (xr, xi, yr, yi, zr, zi float32) {
	sr, si := br+cr, bi+ci
	dr, di := float32((bi-ci)*sin60), float32((cr-br)*sin60)
	mr, mi := ar-float32(sr/2), ai-float32(si/2)
	return ar + sr, ai + si, mr + dr, mi + di, mr - dr, mi - di
}

// twiddles of a transform of nine: exp(-2 pi i k / 9) for k = 1, 2, 4.
var twiddle9 = func() (t [3][2]float32) {
	for i, k := range [3]float64{1, 2, 4} {
		s, c := math.Sincos(-2 * math.Pi * k / 9)
		t[i] = [2]float32{float32(c), float32(s)}
	}
	return t
}()

// rotate multiplies a complex number by another.
func rotate(re, im float32, w *[2]float32) (float32, float32) {
	return float32(re*w[0]) - float32(im*w[1]), float32(re*w[1]) + float32(im*w[0])
}

// dct18 is the DCT-IV of 18, without loops: its values fit the registers in parts.
func dct18(x, y *[18]float32) {
	w := &rotate9
	// Nine as three times three.
	r0, i0 := rotate(x[0], x[17], &w[0])
	r3, i3 := rotate(x[6], x[11], &w[3])
	r6, i6 := rotate(x[12], x[5], &w[6])
	r0, i0, r3, i3, r6, i6 = fft3(r0, i0, r3, i3, r6, i6)
	r1, i1 := rotate(x[2], x[15], &w[1])
	r4, i4 := rotate(x[8], x[9], &w[4])
	r7, i7 := rotate(x[14], x[3], &w[7])
	r1, i1, r4, i4, r7, i7 = fft3(r1, i1, r4, i4, r7, i7)
	r2, i2 := rotate(x[4], x[13], &w[2])
	r5, i5 := rotate(x[10], x[7], &w[5])
	r8, i8 := rotate(x[16], x[1], &w[8])
	r2, i2, r5, i5, r8, i8 = fft3(r2, i2, r5, i5, r8, i8)
	r4, i4 = rotate(r4, i4, &twiddle9[0])
	r5, i5 = rotate(r5, i5, &twiddle9[1])
	r7, i7 = rotate(r7, i7, &twiddle9[1])
	r8, i8 = rotate(r8, i8, &twiddle9[2])
	// The first group has the outputs 0, 3 and 6, the second 1, 4 and 7, the third 2, 5 and 8.
	r0, i0, r1, i1, r2, i2 = fft3(r0, i0, r1, i1, r2, i2)
	y[0], y[17] = turned(r0, i0, &w[0])
	y[6], y[11] = turned(r1, i1, &w[3])
	y[12], y[5] = turned(r2, i2, &w[6])
	r3, i3, r4, i4, r5, i5 = fft3(r3, i3, r4, i4, r5, i5)
	y[2], y[15] = turned(r3, i3, &w[1])
	y[8], y[9] = turned(r4, i4, &w[4])
	y[14], y[3] = turned(r5, i5, &w[7])
	r6, i6, r7, i7, r8, i8 = fft3(r6, i6, r7, i7, r8, i8)
	y[4], y[13] = turned(r6, i6, &w[2])
	y[10], y[7] = turned(r7, i7, &w[5])
	y[16], y[1] = turned(r8, i8, &w[8])
}

// turned is rotate with the other sign of the imaginary part.
func turned(re, im float32, w *[2]float32) (float32, float32) {
	return float32(re*w[0]) - float32(im*w[1]), -(float32(re*w[1]) + float32(im*w[0]))
}

// imdct36 makes the 18 samples of a long block.
func imdct36(in, overlap, out *[18]float32, window *[36]float32) {
	var y [18]float32
	dct18(in, &y)
	for i := range 9 {
		a, b := y[9+i], y[8-i]
		out[i] = overlap[i] + float32(a*window[i])
		out[17-i] = overlap[17-i] - float32(a*window[17-i])
		overlap[i] = -b * window[18+i]
		overlap[17-i] = -b * window[35-i]
	}
}

// imdct12x3 makes the 18 samples of three short blocks, whose lines lie interleaved. Each fills 12 samples of
// 36, six after the one before, from the sixth on.
func imdct12x3(in, overlap, out *[18]float32) {
	var sum [36]float32
	window := &windows[2]
	for w := range 3 {
		var re, im [3]float32
		for j := range 3 {
			t := &rotate3[j]
			a, b := in[6*j+w], in[3*(5-2*j)+w]
			re[j], im[j] = float32(a*t[0])-float32(b*t[1]), float32(a*t[1])+float32(b*t[0])
		}
		re[0], im[0], re[1], im[1], re[2], im[2] = fft3(re[0], im[0], re[1], im[1], re[2], im[2])
		var y [6]float32
		for j := range 3 {
			t := &rotate3[j]
			r, i := re[j], im[j]
			y[2*j], y[5-2*j] = float32(r*t[0])-float32(i*t[1]), -(float32(r*t[1]) + float32(i*t[0]))
		}
		s := (*[12]float32)(sum[6+6*w:])
		for i := range 3 {
			a, b := y[3+i], y[2-i]
			s[i] += float32(a * window[i])
			s[5-i] -= float32(a * window[5-i])
			s[6+i] -= float32(b * window[6+i])
			s[11-i] -= float32(b * window[11-i])
		}
	}
	for i := range out {
		out[i] = overlap[i] + sum[i]
		overlap[i] = sum[18+i]
	}
}

// cosines are 1 / (2 cos((2k+1) pi / 2n)) for n = 32, 16, 8, 4, 2, one after the other.
var cosines = func() (t [31]float32) {
	at := 0
	for n := 32; n > 1; n /= 2 {
		for k := range n / 2 {
			t[at] = float32(1 / (2 * math.Cos(float64(2*k+1)*math.Pi/float64(2*n))))
			at++
		}
	}
	return t
}()

// dct32 is the DCT-II of 32, C[m] = sum x[k] cos(pi m (2k+1) / 64), by Lee's recursion: the even outputs are
// the half-length transform of x[k] + x[31-k]; with G that of (x[k] - x[31-k]) / (2 cos((2k+1) pi / 64)),
// the odd outputs are G[m] + G[m+1]. x is spoiled.
func dct32(x, c *[32]float32) {
	for k := range 16 {
		a, b := x[k], x[31-k]
		c[k], c[16+k] = a+b, float32((a-b)*cosines[k])
	}
	for h := 0; h < 32; h += 16 {
		in, out := (*[16]float32)(c[h:]), (*[16]float32)(x[h:])
		for k := range 8 {
			a, b := in[k], in[15-k]
			out[k], out[8+k] = a+b, float32((a-b)*cosines[16+k])
		}
	}
	for h := 0; h < 32; h += 8 {
		in := (*[8]float32)(x[h:])
		a0, a1, a2, a3 := in[0]+in[7], in[1]+in[6], in[2]+in[5], in[3]+in[4]
		b0, b1 := float32((in[0]-in[7])*cosines[24]), float32((in[1]-in[6])*cosines[25])
		b2, b3 := float32((in[2]-in[5])*cosines[26]), float32((in[3]-in[4])*cosines[27])
		s0, s1, s2, s3 := dct4(a0, a1, a2, a3)
		g0, g1, g2, g3 := dct4(b0, b1, b2, b3)
		in[0], in[2], in[4], in[6] = s0, s1, s2, s3
		in[1], in[3], in[5], in[7] = g0+g1, g1+g2, g2+g3, g3
	}
	for h := 0; h < 32; h += 16 {
		in, out := (*[16]float32)(x[h:]), (*[16]float32)(c[h:])
		for m := range 7 {
			out[2*m], out[2*m+1] = in[m], in[8+m]+in[9+m]
		}
		out[14], out[15] = in[7], in[15]
	}
	*x = *c
	for m := range 15 {
		c[2*m], c[2*m+1] = x[m], x[16+m]+x[17+m]
	}
	c[30], c[31] = x[15], x[31]
}

// dct4 is the DCT-II of four.
func dct4(x0, x1, x2, x3 float32) (c0, c1, c2, c3 float32) {
	a0, a1 := x0+x3, x1+x2
	b0, b1 := float32((x0-x3)*cosines[28]), float32((x1-x2)*cosines[29])
	s, g := float32((a0-a1)*cosines[30]), float32((b0-b1)*cosines[30])
	return a0 + a1, b0 + b1 + g, s, g
}

// vectors are those of a filter bank: that of time t begins at (spare + 17 - t) * 64.
type vectors = [(spare + 18 + 15) * 64]float32

// plainMatrix is the first step of the polyphase synthesis, V[i] = sum cos((16+i)(2k+1) pi / 64) x[k], at 18 times: a
// DCT and its symmetries.
func plainMatrix(subband *[32][times]float32, v *vectors) {
	for t := range 18 {
		var x, c [32]float32
		for k := range x {
			x[k] = subband[k][t]
		}
		dct32(&x, &c)
		v := (*[64]float32)(v[(spare+17-t)*64:])
		for i := range 16 {
			v[i] = c[16+i]
			v[48+i] = -c[i]
			v[32+i] = -c[16-i]
		}
		v[16] = 0
		for i := 17; i < 32; i++ {
			v[i] = -c[48-i]
		}
	}
}

// plainWindow is the second step, out[j] = sum U[j+32i] D[j+32i], the U gathered from the last 16 vectors. The samples
// j and 32-j are made of the same values, for an even i with the other sign.
func plainWindow(vs *vectors, out *[lines]float32) {
	d := &synthesisWindow
	for t := range 18 {
		v, out := (*[1024]float32)(vs[(spare+17-t)*64:]), (*[32]float32)(out[32*t:])
		for j := 1; j < 16; j++ {
			k := 32 - j
			v0, v1, v2, v3 := v[0+j], v[96+j], v[128+j], v[224+j]
			a := float32(v0*d[0][j]) + float32(v1*d[1][j]) + float32(v2*d[2][j]) + float32(v3*d[3][j])
			b := float32(v1*d[1][k]) - float32(v0*d[0][k]) - float32(v2*d[2][k]) + float32(v3*d[3][k])
			v0, v1, v2, v3 = v[256+j], v[352+j], v[384+j], v[480+j]
			a += float32(v0*d[4][j]) + float32(v1*d[5][j]) + float32(v2*d[6][j]) + float32(v3*d[7][j])
			b += float32(v1*d[5][k]) - float32(v0*d[4][k]) - float32(v2*d[6][k]) + float32(v3*d[7][k])
			v0, v1, v2, v3 = v[512+j], v[608+j], v[640+j], v[736+j]
			a += float32(v0*d[8][j]) + float32(v1*d[9][j]) + float32(v2*d[10][j]) + float32(v3*d[11][j])
			b += float32(v1*d[9][k]) - float32(v0*d[8][k]) - float32(v2*d[10][k]) + float32(v3*d[11][k])
			v0, v1, v2, v3 = v[768+j], v[864+j], v[896+j], v[992+j]
			a += float32(v0*d[12][j]) + float32(v1*d[13][j]) + float32(v2*d[14][j]) + float32(v3*d[15][j])
			b += float32(v1*d[13][k]) - float32(v0*d[12][k]) - float32(v2*d[14][k]) + float32(v3*d[15][k])
			out[j], out[k] = a, b
		}
		for j := 0; j <= 16; j += 16 {
			sum := float32(v[0+j]*d[0][j]) + float32(v[96+j]*d[1][j]) + float32(v[128+j]*d[2][j]) + float32(v[224+j]*d[3][j])
			sum += float32(v[256+j]*d[4][j]) + float32(v[352+j]*d[5][j]) + float32(v[384+j]*d[6][j]) + float32(v[480+j]*d[7][j])
			sum += float32(v[512+j]*d[8][j]) + float32(v[608+j]*d[9][j]) + float32(v[640+j]*d[10][j]) + float32(v[736+j]*d[11][j])
			sum += float32(v[768+j]*d[12][j]) + float32(v[864+j]*d[13][j]) + float32(v[896+j]*d[14][j]) + float32(v[992+j]*d[15][j])
			out[j] = sum
		}
	}
}

// synthesisWindow is D of table B.3, by i and j.
var synthesisWindow = func() (t [16][32]float32) {
	for j := range 32 {
		for i := range 16 {
			at := 32*i + j
			v := 0
			if at <= 256 {
				v = windowHalf[at]
			} else if v = windowHalf[512-at]; at%64 != 0 {
				v = -v
			}
			t[i][j] = float32(v) / (1 << 16)
		}
	}
	return t
}()

// windowHalf is the first half of table B.3 in units of 2^-16. The second half is its mirror image with the
// signs changed but at multiples of 64.
var windowHalf = [257]int{
	0, -1, -1, -1, -1, -1, -1, -2, -2, -2, -2, -3, -3, -4, -4, -5,
	-5, -6, -7, -7, -8, -9, -10, -11, -13, -14, -16, -17, -19, -21, -24, -26,
	-29, -31, -35, -38, -41, -45, -49, -53, -58, -63, -68, -73, -79, -85, -91, -97,
	-104, -111, -117, -125, -132, -139, -147, -154, -161, -169, -176, -183, -190, -196, -202, -208,
	213, 218, 222, 225, 227, 228, 228, 227, 224, 221, 215, 208, 200, 189, 177, 163,
	146, 127, 106, 83, 57, 29, -2, -36, -72, -111, -153, -197, -244, -294, -347, -401,
	-459, -519, -581, -645, -711, -779, -848, -919, -991, -1064, -1137, -1210, -1283, -1356, -1428, -1498,
	-1567, -1634, -1698, -1759, -1817, -1870, -1919, -1962, -2001, -2032, -2057, -2075, -2085, -2087, -2080, -2063,
	2037, 2000, 1952, 1893, 1822, 1739, 1644, 1535, 1414, 1280, 1131, 970, 794, 605, 402, 185,
	-45, -288, -545, -814, -1095, -1388, -1692, -2006, -2330, -2663, -3004, -3351, -3705, -4063, -4425, -4788,
	-5153, -5517, -5879, -6237, -6589, -6935, -7271, -7597, -7910, -8209, -8491, -8755, -8998, -9219, -9416, -9585,
	-9727, -9838, -9916, -9959, -9966, -9935, -9863, -9750, -9592, -9389, -9139, -8840, -8492, -8092, -7640, -7134,
	6574, 5959, 5288, 4561, 3776, 2935, 2037, 1082, 70, -998, -2122, -3300, -4533, -5818, -7154, -8540,
	-9975, -11455, -12980, -14548, -16155, -17799, -19478, -21189, -22929, -24694, -26482, -28289, -30112, -31947, -33791, -35640,
	-37489, -39336, -41176, -43006, -44821, -46617, -48390, -50137, -51853, -53534, -55178, -56778, -58333, -59838, -61289, -62684,
	-64019, -65290, -66494, -67629, -68692, -69679, -70590, -71420, -72169, -72835, -73415, -73908, -74313, -74630, -74856, -74992,
	75038,
}

package mel

import "math"

// SpectrumLength is the length of Spectrogram's frames in samples: 64 ms.
const SpectrumLength = 1024

const (
	maxHalf = SpectrumLength / 2 // complex points of the longest transform
	quarter = 256                // complex points that the radix-4 passes take
)

// rotation is a complex factor of absolute value 1.
type rotation struct{ re, im float32 }

func rotate(turns float64) rotation {
	sin, cos := math.Sincos(-2 * math.Pi * turns)
	return rotation{float32(cos), float32(sin)}
}

// unit holds exp(-2 pi i k / 1024), k = 0..511.
var unit = func() (w [maxHalf]rotation) {
	for k := range w {
		w[k] = rotate(float64(k) / SpectrumLength)
	}
	return w
}()

// twiddle holds exp(-2 pi i k p / 256) for p = 0..63 and k = 1, 2, 3.
var twiddle = func() (w [quarter / 4][3]rotation) {
	for p := range w {
		for k := range w[p] {
			w[p][k] = rotate(float64((k+1)*p) / quarter)
		}
	}
	return w
}()

// position says where the passes leave frequency k of a transform of 512 complex points; the first half of
// the even ones serves 256 points.
var position = func() (at [maxHalf]uint16) {
	for k := range at {
		q := k >> 1
		reversed := q&3<<6 | q>>2&3<<4 | q>>4&3<<2 | q>>6
		at[k] = uint16(k&1*quarter + reversed)
	}
	return at
}()

// turns are the factors of a pass: of butterfly p the second, third and fourth point's.
type turns[T [4]float32 | [16]float32 | [64]float32] struct{ r1, i1, r2, i2, r3, i3 T }

var (
	turns64 = turnsOf[[64]float32]()
	turns16 = turnsOf[[16]float32]()
	turns4  = turnsOf[[4]float32]()
)

func turnsOf[T [4]float32 | [16]float32 | [64]float32]() (f turns[T]) {
	for p := range len(f.r1) {
		w := &twiddle[p*(quarter/4/len(f.r1))]
		f.r1[p], f.i1[p] = w[0].re, w[0].im
		f.r2[p], f.i2[p] = w[1].re, w[1].im
		f.r3[p], f.i3[p] = w[2].re, w[2].im
	}
	return f
}

// conjugates says for k = 1, 2, ... where the passes leave frequencies k and -k, and holds exp(-2 pi i k / N).
type conjugates struct {
	at, mirror [maxHalf / 2]uint16
	re, im     [maxHalf / 2]float32
}

// conjugatesOf are those of a transform of half complex points, of which position holds the places.
func conjugatesOf(half int, position *[maxHalf]uint16) *conjugates {
	c, step := new(conjugates), maxHalf/half
	for n := range half / 2 {
		k := n + 1
		c.at[n], c.mirror[n] = position[k*step], position[(half-k)*step]
		c.re[n], c.im[n] = unit[k*step].re, unit[k*step].im
	}
	return c
}

var conjugates256, conjugates512 = conjugatesOf(quarter, &position), conjugatesOf(maxHalf, &position)

// spectrum is the scratch of one frame: pairs of samples as complex numbers, and the power of its bins.
type spectrum struct {
	re, im, power [maxHalf]float32
}

// transform computes power[k] = |sum_n x[n] exp(-2 pi i k n / N)|^2 for k = 0..N/2-1, with
// x[2n] = re[n], x[2n+1] = im[n] and N/2 = half, which is 256 or 512. The transform of N real numbers is one
// of half as many complex ones, in place by decimation in frequency, taken apart afterwards:
//
//	Z = FFT(re + i im);  X[k] = (Z[k] + Z*[-k])/2 - i/2 (Z[k] - Z*[-k]) exp(-2 pi i k / N)
//
// Every product is rounded before it is added: the vector kernels do the same steps in the same order, one
// frame in each lane, and give the same bits.
//
// Of a frame of the filter bank, which ends at complex point filled of 256, the first pass leaves out the zeros behind.
func (s *spectrum) transform(half, filled int) {
	if half == maxHalf {
		s.radix2()
		s.passes(quarter, quarter)
		s.passes(0, quarter)
		s.split(half, conjugates512)
		return
	}
	s.passes(0, filled)
	s.split(half, conjugates256)
}

// passes transforms the 256 points from base, of which those from filled on are 0.
func (s *spectrum) passes(base, filled int) {
	re, im := (*[quarter]float32)(s.re[base:]), (*[quarter]float32)(s.im[base:])
	radix4x64(re, im, &turns64, filled)
	radix4x16(re, im, &turns16)
	radix4x4(re, im, &turns4)
	radix4last(re, im)
}

// radix2 makes of 512 points two transforms of 256: of the even frequencies, and of the odd ones.
func (s *spectrum) radix2() {
	for p := range quarter {
		ar, ai, br, bi := s.re[p], s.im[p], s.re[p+quarter], s.im[p+quarter]
		w := unit[2*p]
		tr, ti := ar-br, ai-bi
		s.re[p], s.im[p] = ar+br, ai+bi
		s.re[p+quarter] = float32(tr*w.re) - float32(ti*w.im)
		s.im[p+quarter] = float32(tr*w.im) + float32(ti*w.re)
	}
}

// A butterfly of radix 4 takes points a, b, c and d, m apart, and leaves a+b+c+d, (a-ib-c+id) w1, (a-b+c-d) w2 and
// (a+ib-c-id) w3 in their places. Each pass has its own loop, in which the processor's few registers suffice and no
// index needs a check.

// radix4x64 does the pass over points 64 apart. Sums with a d that is 0 are not computed: only zeros may get another
// sign by it, which is lost when they are squared.
func radix4x64(re, im *[quarter]float32, w *turns[[64]float32], filled int) {
	whole := min(max(filled-3*64, 0), 64)
	for p := range whole {
		var ur, ui, er, ei, fr, fi float32
		re[p], ur, er, fr = fours(re[p], re[p+64], re[p+128], re[p+192])
		im[p], ui, ei, fi = fours(im[p], im[p+64], im[p+128], im[p+192])
		re[p+128], im[p+128] = turned(ur, ui, w.r2[p], w.i2[p])
		re[p+64], im[p+64] = turned(er+fi, ei-fr, w.r1[p], w.i1[p])
		re[p+192], im[p+192] = turned(er-fi, ei+fr, w.r3[p], w.i3[p])
	}
	for p := whole; p < 64; p++ {
		ar, cr, fr := re[p], re[p+128], re[p+64]
		sr, er := ar+cr, ar-cr
		re[p] = sr + fr
		ai, ci, fi := im[p], im[p+128], im[p+64]
		si, ei := ai+ci, ai-ci
		im[p] = si + fi
		re[p+128], im[p+128] = turned(sr-fr, si-fi, w.r2[p], w.i2[p])
		re[p+64], im[p+64] = turned(er+fi, ei-fr, w.r1[p], w.i1[p])
		re[p+192], im[p+192] = turned(er-fi, ei+fr, w.r3[p], w.i3[p])
	}
}

// radix4x16 does the pass over points 16 apart.
func radix4x16(re, im *[quarter]float32, w *turns[[16]float32]) {
	for at := 0; at < quarter; at += 64 {
		re, im := (*[64]float32)(re[at:]), (*[64]float32)(im[at:])
		for p := range 16 {
			var ur, ui, er, ei, fr, fi float32
			re[p], ur, er, fr = fours(re[p], re[p+16], re[p+32], re[p+48])
			im[p], ui, ei, fi = fours(im[p], im[p+16], im[p+32], im[p+48])
			re[p+32], im[p+32] = turned(ur, ui, w.r2[p], w.i2[p])
			re[p+16], im[p+16] = turned(er+fi, ei-fr, w.r1[p], w.i1[p])
			re[p+48], im[p+48] = turned(er-fi, ei+fr, w.r3[p], w.i3[p])
		}
	}
}

// radix4x4 does the pass over points 4 apart.
func radix4x4(re, im *[quarter]float32, w *turns[[4]float32]) {
	for at := 0; at < quarter; at += 16 {
		re, im := (*[16]float32)(re[at:]), (*[16]float32)(im[at:])
		for p := range 4 {
			var ur, ui, er, ei, fr, fi float32
			re[p], ur, er, fr = fours(re[p], re[p+4], re[p+8], re[p+12])
			im[p], ui, ei, fi = fours(im[p], im[p+4], im[p+8], im[p+12])
			re[p+8], im[p+8] = turned(ur, ui, w.r2[p], w.i2[p])
			re[p+4], im[p+4] = turned(er+fi, ei-fr, w.r1[p], w.i1[p])
			re[p+12], im[p+12] = turned(er-fi, ei+fr, w.r3[p], w.i3[p])
		}
	}
}

// radix4last does the pass over neighbouring points, whose factors are all 1.
func radix4last(re, im *[quarter]float32) {
	for at := 0; at < quarter; at += 4 {
		re, im := (*[4]float32)(re[at:]), (*[4]float32)(im[at:])
		var er, ei, fr, fi float32
		re[0], re[2], er, fr = fours(re[0], re[1], re[2], re[3])
		im[0], im[2], ei, fi = fours(im[0], im[1], im[2], im[3])
		re[1], im[1] = er+fi, ei-fr
		re[3], im[3] = er-fi, ei+fr
	}
}

// fours is what a butterfly makes of the real or the imaginary parts: (a+c) + (b+d), (a+c) - (b+d), a-c, b-d.
func fours(a, b, c, d float32) (sum, difference, e, f float32) {
	s, t := a+c, b+d
	return s + t, s - t, a - c, b - d
}

// turned is the product of complex numbers.
func turned(re, im, wr, wi float32) (float32, float32) {
	return float32(re*wr) - float32(im*wi), float32(re*wi) + float32(im*wr)
}

// split takes the transform of the real samples out of the complex one and squares it.
func (s *spectrum) split(half int, c *conjugates) {
	dc := s.re[0] + s.im[0]
	s.power[0] = float32(dc * dc)
	const mask = maxHalf - 1 // spares the bounds checks
	at, mirror, wre, wim, low, high := c.at[:half/2], c.mirror[:half/2], c.re[:half/2], c.im[:half/2], s.power[1:][:half/2], half
	for n, i := range at {
		i, j, wr, wi := i&mask, mirror[n]&mask, wre[n], wim[n]
		er, or := s.re[i]+s.re[j], s.re[i]-s.re[j]
		ei, oi := s.im[i]-s.im[j], s.im[i]+s.im[j]
		tr := float32(or*wi) + float32(oi*wr)
		ti := float32(oi*wi) - float32(or*wr)
		ar, ai := er+tr, ei+ti
		low[n] = 0.25 * (float32(ar*ar) + float32(ai*ai))
		br, bi := er-tr, ei-ti
		high--
		s.power[high&mask] = 0.25 * (float32(br*br) + float32(bi*bi))
	}
}

// SpectrumFrames is the number of whole frames of a spectrogram of n samples.
func SpectrumFrames(n, hop int) int {
	if n < SpectrumLength || hop < 1 {
		return 0
	}
	return 1 + (n-SpectrumLength)/hop
}

// Spectrogram computes |FFT(window * x)|^2 of frames of 1024 samples, hop apart and only whole ones. The
// result is bin-major, [512][frames]: the bins from 0 to just below half the rate. hop is at least 1.
func Spectrogram(wave []float32, window *[SpectrumLength]float32, hop int) (power []float32, frames int) {
	frames = SpectrumFrames(len(wave), hop)
	if frames == 0 {
		return nil, 0
	}
	return SpectrogramInto(nil, wave, window, hop, frames), frames
}

// SpectrogramInto is Spectrogram into the memory of dst, as far as it reaches: [512][stride], with stride at least
// the number of frames, which is at least 1. What lies between is undefined.
func SpectrogramInto(dst, wave []float32, window *[SpectrumLength]float32, hop, stride int) []float32 {
	frames := SpectrumFrames(len(wave), hop)
	power := sized(dst, maxHalf*stride)
	from := 0
	if vector != nil {
		from = vector.spectrogram(wave, window, hop, power, stride, frames)
	}
	spectrogram(wave, window, hop, power, stride, from, frames)
	return power
}

// spectrogram computes the frames from..frames-1.
func spectrogram(wave []float32, window *[SpectrumLength]float32, hop int, power []float32, stride, from, frames int) {
	var s spectrum
	for f := from; f < frames; f++ {
		s.frame((*[SpectrumLength]float32)(wave[f*hop:]), window)
		s.transform(maxHalf, maxHalf)
		for k, v := range s.power {
			power[k*stride+f] = v
		}
	}
}

// frame begins the transform of a frame of the spectrogram.
func (s *spectrum) frame(x, window *[SpectrumLength]float32) {
	for i := 0; i < SpectrumLength; i += 2 {
		s.re[i/2], s.im[i/2] = float32(x[i]*window[i]), float32(x[i+1]*window[i+1])
	}
}

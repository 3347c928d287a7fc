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
func (s *spectrum) transform(half int) {
	if half == maxHalf {
		s.radix2()
		s.radix4(quarter, 64, 1)
		s.radix4(quarter, 16, 4)
		s.radix4(quarter, 4, 16)
		s.radix4last(quarter)
	}
	s.radix4(0, 64, 1)
	s.radix4(0, 16, 4)
	s.radix4(0, 4, 16)
	s.radix4last(0)
	s.split(half, &position)
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

// radix4 does the pass of butterflies over points m = 64/step apart on the 256 points from base.
func (s *spectrum) radix4(base, m, step int) {
	const mask = maxHalf - 1 // spares the bounds checks
	for p := range m {
		w := twiddle[p*step&63]
		for i := base + p; i < base+quarter; i += 4 * m {
			i0, i1, i2, i3 := i&mask, (i+m)&mask, (i+2*m)&mask, (i+3*m)&mask
			ar, br, cr, dr := s.re[i0], s.re[i1], s.re[i2], s.re[i3]
			ai, bi, ci, di := s.im[i0], s.im[i1], s.im[i2], s.im[i3]
			sr, si, er, ei := ar+cr, ai+ci, ar-cr, ai-ci
			tr, ti, fr, fi := br+dr, bi+di, br-dr, bi-di
			s.re[i0], s.im[i0] = sr+tr, si+ti
			xr, xi := er+fi, ei-fr
			s.re[i1] = float32(xr*w[0].re) - float32(xi*w[0].im)
			s.im[i1] = float32(xr*w[0].im) + float32(xi*w[0].re)
			xr, xi = sr-tr, si-ti
			s.re[i2] = float32(xr*w[1].re) - float32(xi*w[1].im)
			s.im[i2] = float32(xr*w[1].im) + float32(xi*w[1].re)
			xr, xi = er-fi, ei+fr
			s.re[i3] = float32(xr*w[2].re) - float32(xi*w[2].im)
			s.im[i3] = float32(xr*w[2].im) + float32(xi*w[2].re)
		}
	}
}

// radix4last is the pass over neighbouring points, whose factors are all 1.
func (s *spectrum) radix4last(base int) {
	for i := base; i < base+quarter; i += 4 {
		re, im := (*[4]float32)(s.re[i:]), (*[4]float32)(s.im[i:])
		sr, si, er, ei := re[0]+re[2], im[0]+im[2], re[0]-re[2], im[0]-im[2]
		tr, ti, fr, fi := re[1]+re[3], im[1]+im[3], re[1]-re[3], im[1]-im[3]
		re[0], im[0] = sr+tr, si+ti
		re[1], im[1] = er+fi, ei-fr
		re[2], im[2] = sr-tr, si-ti
		re[3], im[3] = er-fi, ei+fr
	}
}

// split takes the transform of the real samples out of the complex one and squares it. position says where the
// passes have left the points.
func (s *spectrum) split(half int, position *[maxHalf]uint16) {
	dc := s.re[0] + s.im[0]
	s.power[0] = float32(dc * dc)
	const mask = maxHalf - 1
	step := maxHalf / half
	for k := 1; k <= half/2; k++ {
		i, j := position[k*step&mask]&mask, position[(half-k)*step&mask]&mask
		er, ei := s.re[i]+s.re[j], s.im[i]-s.im[j]
		or, oi := s.re[i]-s.re[j], s.im[i]+s.im[j]
		w := unit[k*step&mask]
		tr := float32(or*w.im) + float32(oi*w.re)
		ti := float32(oi*w.im) - float32(or*w.re)
		ar, ai, br, bi := er+tr, ei+ti, er-tr, ei-ti
		s.power[k&mask] = 0.25 * (float32(ar*ar) + float32(ai*ai))
		s.power[(half-k)&mask] = 0.25 * (float32(br*br) + float32(bi*bi))
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
		s.frame(wave[f*hop:], window)
		s.transform(maxHalf)
		for k, v := range s.power {
			power[k*stride+f] = v
		}
	}
}

// frame begins the transform of a frame of the spectrogram.
func (s *spectrum) frame(wave []float32, window *[SpectrumLength]float32) {
	x := (*[SpectrumLength]float32)(wave)
	for i := range maxHalf {
		s.re[i], s.im[i] = float32(x[2*i]*window[2*i]), float32(x[2*i+1]*window[2*i+1])
	}
}

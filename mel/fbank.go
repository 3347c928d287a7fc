package mel

import "math"

// window is the symmetric Hann window, 0.5 - 0.5 cos(2 pi i / 399): Kaldi's "hanning".
var window = func() (w [WindowLength]float32) {
	for i := range w {
		w[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/(WindowLength-1)))
	}
	return w
}()

// filter is one triangle of the bank: weights of consecutive FFT bins from first on.
type filter struct {
	first  int
	weight []float32
}

// filters is Kaldi's bank: triangles at equal distances on the mel scale 1127 ln(1 + f/700). With 128
// bins and 512 points filter 3 falls between two FFT bins and is empty: its value is the log's floor.
var filters = func() (bank [Bins]filter) {
	mel := func(f float64) float64 { return 1127 * math.Log(1+f/700) }
	low, high := mel(lowHz), mel(SampleRate/2)
	step := (high - low) / (Bins + 1)
	for b := range bank {
		left := low + float64(b)*step
		centre, right := left+step, left+2*step
		for i := range fftLength / 2 {
			m := mel(float64(i) * SampleRate / fftLength)
			w := min((m-left)/(centre-left), (right-m)/(right-centre))
			if w <= 0 {
				continue
			}
			if len(bank[b].weight) == 0 {
				bank[b].first = i
			}
			bank[b].weight = append(bank[b].weight, float32(w))
		}
	}
	return bank
}()

// Fbank computes Kaldi's log-mel filter bank of 16 kHz sound, as torchaudio.compliance.kaldi.fbank with
// ImageBind's arguments: 25 ms frames every 10 ms (only whole ones), the frame's own offset removed,
// pre-emphasis 0.97, Hann window, power spectrum of 512 points, 128 triangles, natural log with floor
// 1.19e-7. The result is mel-major, [128][frames], not normalised; frames is 0 below 400 samples.
func Fbank(wave []float32) (logmel []float32, frames int) {
	if len(wave) < WindowLength {
		return nil, 0
	}
	frames = 1 + (len(wave)-WindowLength)/HopLength
	logmel = make([]float32, Bins*frames)
	var s scratch
	for f := range frames {
		s.frame(wave[f*HopLength:][:WindowLength])
		for b := range Bins {
			logmel[b*frames+f] = s.bin(b)
		}
	}
	return logmel, frames
}

// scratch holds one frame on its way through the transform.
type scratch struct {
	a, b  [fftLength / 2]complex64
	power [fftLength / 2]float32
}

// frame computes the power spectrum of 400 samples.
//
//	y[i] = x[i] - mean(x);  z[i] = (y[i] - 0.97 y[i-1]) w[i], y[-1] = y[0];  P[k] = |FFT512(z)[k]|^2
//
// The real transform of 512 points is a complex one of 256 over pairs of samples, taken apart afterwards.
func (s *scratch) frame(x []float32) {
	var sum [4]float32
	for i := 0; i < WindowLength; i += 4 {
		for j := range sum {
			sum[j] += x[i+j]
		}
	}
	mean := ((sum[0] + sum[1]) + (sum[2] + sum[3])) * float32(1.0/WindowLength)
	before := x[0] - mean
	for i := range WindowLength / 2 {
		even, odd := x[2*i]-mean, x[2*i+1]-mean
		s.a[i] = complex(
			(even-float32(preEmphasis*before))*window[2*i],
			(odd-float32(preEmphasis*even))*window[2*i+1])
		before = odd
	}
	clear(s.a[WindowLength/2:])
	radix4(&s.a, &s.b, 1)
	radix4(&s.b, &s.a, 4)
	radix4(&s.a, &s.b, 16)
	radix4(&s.b, &s.a, 64)
	z := &s.a
	dc := real(z[0]) + imag(z[0])
	s.power[0] = dc * dc
	for k := 1; k <= fftLength/4; k++ {
		p, q := z[k], z[fftLength/2-k]
		er, ei := real(p)+real(q), imag(p)-imag(q)
		or, oi := real(p)-real(q), imag(p)+imag(q)
		w := split[k]
		tr := float32(or*imag(w)) + float32(oi*real(w))
		ti := float32(oi*imag(w)) - float32(or*real(w))
		ar, ai, br, bi := er+tr, ei+ti, er-tr, ei-ti
		s.power[k] = 0.25 * (float32(ar*ar) + float32(ai*ai))
		s.power[fftLength/2-k] = 0.25 * (float32(br*br) + float32(bi*bi))
	}
}

// bin is the log of filter b over the frame's power.
func (s *scratch) bin(b int) float32 {
	f := &filters[b]
	p := s.power[f.first:][:len(f.weight)]
	var sum float32
	for i, w := range f.weight {
		sum += float32(w * p[i])
	}
	return float32(math.Log(float64(max(sum, logFloor))))
}

// twiddle holds exp(-2 pi i k p / 256) for k = 1, 2, 3 and p = 0..63.
var twiddle = func() (w [64][3]complex64) {
	for p := range w {
		for k := range w[p] {
			sin, cos := math.Sincos(-2 * math.Pi * float64((k+1)*p) / 256)
			w[p][k] = complex(float32(cos), float32(sin))
		}
	}
	return w
}()

// split holds exp(-2 pi i k / 512) for k = 0..128.
var split = func() (w [fftLength/4 + 1]complex64) {
	for k := range w {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / fftLength)
		w[k] = complex(float32(cos), float32(sin))
	}
	return w
}()

// radix4 is one Stockham pass of the 256-point transform with the given stride.
func radix4(x, y *[fftLength / 2]complex64, stride int) {
	m := 64 / stride
	for p := range m {
		w := &twiddle[p*stride]
		for q := range stride {
			a, b := x[q+stride*p], x[q+stride*(p+m)]
			c, d := x[q+stride*(p+2*m)], x[q+stride*(p+3*m)]
			sum, diff := a+c, a-c
			sum2 := b + d
			turned := complex(-(imag(b) - imag(d)), real(b)-real(d)) // i (b - d)
			o := q + stride*4*p
			y[o] = sum + sum2
			y[o+stride] = times(diff-turned, w[0])
			y[o+2*stride] = times(sum-sum2, w[1])
			y[o+3*stride] = times(diff+turned, w[2])
		}
	}
}

// times multiplies with every product rounded, whatever the architecture would fuse.
func times(a, b complex64) complex64 {
	return complex(
		float32(real(a)*real(b))-float32(imag(a)*imag(b)),
		float32(real(a)*imag(b))+float32(imag(a)*real(b)))
}

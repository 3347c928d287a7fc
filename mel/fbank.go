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
// 1.19e-7. The result is mel-major, [128][frames], not normalised; frames is 0 below 400 samples. Frames
// with a sample that is not finite are not finite.
func Fbank(wave []float32) (logmel []float32, frames int) {
	if frames = frameCount(len(wave)); frames == 0 {
		return nil, 0
	}
	logmel = make([]float32, Bins*frames)
	fbank(wave, bank{dst: logmel, stride: frames, std: 1}, frames)
	return logmel, frames
}

// frameCount is the number of whole frames in n samples.
func frameCount(n int) int {
	if n < WindowLength {
		return 0
	}
	return 1 + (n-WindowLength)/HopLength
}

// bank says where the values of filter b and frame f go, dst[b*stride+f], and how they are normalised:
// (value - mean) / std.
type bank struct {
	dst       []float32
	stride    int
	mean, std float32
}

// fbank computes the first frames of wave.
func fbank(wave []float32, out bank, frames int) {
	offset := frameMeans(wave, frames)
	from := 0
	if vector != nil {
		from = vector.fbank(wave, offset, out, frames)
	}
	plainFbank(wave, offset, out, from, frames)
}

// meanBlock divides both the window and the hop, so that frames share the sums of blocks.
const meanBlock = 80

// frameMeans gives the mean of every frame, of sums over blocks of 80 samples in eight strands.
func frameMeans(wave []float32, frames int) []float32 {
	const perHop, perFrame = HopLength / meanBlock, WindowLength / meanBlock
	sums := make([]float32, (frames-1)*perHop+perFrame)
	from := 0
	if vector != nil {
		from = vector.blockSums(wave, sums)
	}
	plainBlockSums(wave, sums, from)
	means := sums[:frames] // frame f reads from 2f on, so that writing f is safe
	for f := range means {
		s := (*[perFrame]float32)(sums[f*perHop:])
		means[f] = (((s[0] + s[1]) + (s[2] + s[3])) + s[4]) * float32(1.0/WindowLength)
	}
	return means
}

// plainBlockSums sums the blocks from..len(sums)-1.
func plainBlockSums(wave, sums []float32, from int) {
	for b := from; b < len(sums); b++ {
		x := (*[meanBlock]float32)(wave[b*meanBlock:])
		var s [8]float32
		for i := 0; i < meanBlock; i += 8 {
			for j := range s {
				s[j] += x[i+j]
			}
		}
		sums[b] = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))
	}
}

// plainFbank computes the frames from..frames-1.
//
//	y[i] = x[i] - mean(x);  z[i] = (y[i] - 0.97 y[i-1]) w[i], y[-1] = y[0];  P[k] = |FFT512(z)[k]|^2
//	value[b] = ln(max(sum_k weight[b][k] P[k], floor))
func plainFbank(wave, offset []float32, out bank, from, frames int) {
	var s spectrum
	var values [Bins]float32
	for f := from; f < frames; f++ {
		s.take((*[WindowLength]float32)(wave[f*HopLength:]), offset[f])
		s.transform(fftLength / 2)
		s.filter(&values)
		normalised(&values, out.mean, out.std)
		for b, v := range values {
			out.dst[b*out.stride+f] = v
		}
	}
}

// take begins the transform of a frame: without its mean, with pre-emphasis, under the window, and zeros behind.
func (s *spectrum) take(x *[WindowLength]float32, mean float32) {
	before := x[0] - mean
	for i := range WindowLength / 2 {
		even, odd := x[2*i]-mean, x[2*i+1]-mean
		s.re[i] = float32((even - float32(preEmphasis*before)) * window[2*i])
		s.im[i] = float32((odd - float32(preEmphasis*even)) * window[2*i+1])
		before = odd
	}
	clear(s.re[WindowLength/2 : fftLength/2])
	clear(s.im[WindowLength/2 : fftLength/2])
}

// filter sums the power under every triangle.
func (s *spectrum) filter(sums *[Bins]float32) {
	for b := range filters {
		t := &filters[b]
		p := s.power[t.first:][:len(t.weight)]
		var sum float32
		for i, w := range t.weight {
			sum += float32(w * p[i])
		}
		sums[b] = sum
	}
}

// normalised replaces the sums by (ln(max(sum, floor)) - mean) / std.
func normalised(sums *[Bins]float32, mean, std float32) {
	for b, sum := range sums {
		sums[b] = (logarithm(max(sum, logFloor)) - mean) / std
	}
}

// The natural logarithm's polynomial on sqrt(1/2)..sqrt(2), from S. Moshier's Cephes library (logf), and ln 2
// in two parts.
const (
	logP0, logP1, logP2 = 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1
	logP3, logP4, logP5 = -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1
	logP6, logP7, logP8 = 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1
	ln2Low, ln2High     = -2.12194440e-4, 0.693359375
	// sqrt(1/2) as bits: taken off those of x it leaves the exponent of x over the nearest power of 2.
	halfSqrt2Bits = 0x3f3504f3
)

// logarithm is ln x for normal positive x, to 2 units in the last place; for others that are not finite it is
// not a number. Our own because the vector kernels must give the same bits.
func logarithm(x float32) float32 {
	bits := math.Float32bits(x) - halfSqrt2Bits
	exponent := float32(int32(bits) >> 23)
	m := math.Float32frombits(bits&0x7fffff+halfSqrt2Bits) - 1
	z := float32(m * m)
	y := float32(logP0*m) + logP1
	y = float32(y*m) + logP2
	y = float32(y*m) + logP3
	y = float32(y*m) + logP4
	y = float32(y*m) + logP5
	y = float32(y*m) + logP6
	y = float32(y*m) + logP7
	y = float32(y*m) + logP8
	y = float32(float32(y*m) * z)
	y += float32(exponent * ln2Low)
	y += float32(z * -0.5)
	y = float32(exponent*ln2High) + (m + y)
	return y + (x - x) // what is not finite stays so
}

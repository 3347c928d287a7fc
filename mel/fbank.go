package mel

import "math"

// window is the symmetric Hann window, 0.5 - 0.5 cos(2 pi i / 399): Kaldi's "hanning".
var window = func() (w [WindowLength]float32) {
	for i := range w {
		w[i] = float32(0.5 - float64(0.5*math.Cos(2*math.Pi*float64(i)/(WindowLength-1))))
	}
	return w
}()

// filter is one triangle of the bank: weights of consecutive FFT bins from first on.
type filter struct {
	first  int
	weight []float32
}

// melScale is Kaldi's.
func melScale(hz float64) float64 { return float64(1127 * math.Log(1+hz/700)) }

// triangle gives where on the mel scale filter b begins, peaks and ends.
func triangle(b int) (left, centre, right float64) {
	low, high := melScale(lowHz), melScale(SampleRate/2)
	step := (high - low) / (Bins + 1)
	left = low + float64(float64(b)*step)
	centre, right = left+step, left+float64(2*step)
	return left, centre, right
}

// melOf are the places of the FFT bins on the mel scale.
var melOf = func() (mel [fftLength / 2]float64) {
	for i := range mel {
		mel[i] = melScale(float64(i) * SampleRate / fftLength)
	}
	return mel
}()

// filters is Kaldi's bank: triangles at equal distances on the mel scale. With 128 bins and 512 points filter 3 falls
// between two FFT bins and is empty: its value is the log's floor.
var filters = func() (bank [Bins]filter) {
	for b := range bank {
		left, centre, right := triangle(b)
		for i, m := range melOf {
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

// sides has the same weights in the order of the FFT bins, from 1 on: each lies under the falling side of one filter
// and the rising side of the next. bins[b] of them lie between the peaks of filters b-1 and b.
var sides = func() (s struct {
	bins   [Bins + 1]int
	weight [fftLength/2 - 1]struct{ falling, rising float32 }
}) {
	b := 0
	for k := range s.weight {
		for b < Bins {
			if _, centre, _ := triangle(b); melOf[k+1] < centre {
				break
			}
			b++
		}
		s.bins[b]++
		weight := func(f *filter) float32 { return f.weight[k+1-f.first] }
		if b > 0 {
			s.weight[k].falling = weight(&filters[b-1])
		}
		if b < Bins {
			s.weight[k].rising = weight(&filters[b])
		}
	}
	return s
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
		var s0, s1, s2, s3, s4, s5, s6, s7 float32
		for i := 0; i < meanBlock; i += 8 {
			x := (*[8]float32)(x[i:])
			s0, s1, s2, s3 = s0+x[0], s1+x[1], s2+x[2], s3+x[3]
			s4, s5, s6, s7 = s4+x[4], s5+x[5], s6+x[6], s7+x[7]
		}
		sums[b] = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
	}
}

// abreast is how many frames share the weights of the filters, and are written together.
const abreast = 4

// plainFbank computes the frames from..frames-1.
//
//	y[i] = x[i] - mean(x);  z[i] = (y[i] - 0.97 y[i-1]) w[i], y[-1] = y[0];  P[k] = |FFT512(z)[k]|^2
//	value[b] = ln(max(sum_k weight[b][k] P[k], floor))
func plainFbank(wave, offset []float32, out bank, from, frames int) {
	var s [abreast]spectrum
	var values [abreast][Bins]float32
	for f := from; f < frames; f += abreast {
		n := min(frames-f, abreast)
		for i := range n {
			s[i].take((*[WindowLength]float32)(wave[(f+i)*HopLength:]), &window, offset[f+i])
			s[i].transform(fftLength/2, WindowLength/2)
		}
		filter4(&s, &values)
		for i := range n {
			normalised(&values[i], out.mean, out.std)
		}
		out.write(&values, f, n)
	}
}

// write puts n frames from f on to their places.
func (out *bank) write(values *[abreast][Bins]float32, f, n int) {
	if n == abreast {
		for b, at := 0, f; b < Bins; b, at = b+1, at+out.stride {
			*(*[abreast]float32)(out.dst[at:]) = [abreast]float32{values[0][b], values[1][b], values[2][b], values[3][b]}
		}
		return
	}
	for i := range n {
		for b, v := range values[i] {
			out.dst[b*out.stride+f+i] = v
		}
	}
}

// take begins the transform of a frame: without its mean, with pre-emphasis, under the window. The zeros behind are not
// written: the first pass knows of them.
func (s *spectrum) take(x, window *[WindowLength]float32, mean float32) {
	before := x[0] - mean
	for i := 0; i < WindowLength; i += 2 {
		even, odd := x[i]-mean, x[i+1]-mean
		s.re[i/2] = float32((even - float32(preEmphasis*before)) * window[i])
		s.im[i/2] = float32((odd - float32(preEmphasis*even)) * window[i+1])
		before = odd
	}
}

// filter4 sums the power under every triangle, of all frames: first what lies before its peak, then what lies behind.
func filter4(s *[abreast]spectrum, sums *[abreast][Bins]float32) {
	const bins = len(sides.weight)
	p0, p1, p2, p3 := (*[bins]float32)(s[0].power[1:]), (*[bins]float32)(s[1].power[1:]), (*[bins]float32)(s[2].power[1:]), (*[bins]float32)(s[3].power[1:])
	var falling0, falling1, falling2, falling3 float32
	k := 0
	for b, n := range sides.bins {
		var rising0, rising1, rising2, rising3 float32
		for end := min(k+n, bins); k < end; k++ {
			w := &sides.weight[k]
			falling0, rising0 = falling0+float32(w.falling*p0[k]), rising0+float32(w.rising*p0[k])
			falling1, rising1 = falling1+float32(w.falling*p1[k]), rising1+float32(w.rising*p1[k])
			falling2, rising2 = falling2+float32(w.falling*p2[k]), rising2+float32(w.rising*p2[k])
			falling3, rising3 = falling3+float32(w.falling*p3[k]), rising3+float32(w.rising*p3[k])
		}
		if b > 0 {
			sums[0][b-1], sums[1][b-1], sums[2][b-1], sums[3][b-1] = falling0, falling1, falling2, falling3
		}
		falling0, falling1, falling2, falling3 = rising0, rising1, rising2, rising3
	}
}

// normalised replaces the sums by (ln(max(sum, floor)) - mean) / std.
func normalised(sums *[Bins]float32, mean, std float32) {
	logarithms(sums, logFloorBits)
	if mean == 0 && std == 1 {
		return
	}
	// A product in double precision, within 2^-52, rounds to the quotient: no quotient of two float32 is closer than
	// 2^-49 of itself to the middle between two others. A division takes several times as long.
	scale := 1 / float64(std)
	for b, y := range sums {
		sums[b] = float32(float64(y-mean) * scale)
	}
}

// The natural logarithm's polynomial on sqrt(1/2)..sqrt(2), from S. Moshier's Cephes library (logf), and ln 2
// in two parts.
const (
	logP0, logP1, logP2 = 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1
	logP3, logP4, logP5 = -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1
	logP6, logP7, logP8 = 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1
	ln2Low, ln2High     = -2.12194440e-4, 0.693359375
	logFloorBits        = 0x34000000 // logFloor's: floats of a sign are in the order of their bits
	// sqrt(1/2) as bits: taken off those of x it leaves the exponent of x over the nearest power of 2.
	halfSqrt2Bits = 0x3f3504f3
)

// logarithms replaces sums of powers by ln(max(sum, floor)), to 2 units in the last place; those that are not finite by
// what is not a number. The floor is normal and positive, and given as its bits. The logarithm is our own because the
// vector kernels must give the same bits. A polynomial waits for each of its steps: four side by side keep the processor
// busy.
func logarithms(sums *[Bins]float32, floor int32) {
	var exponent, mantissa, y [Bins]float32
	for b, x := range sums {
		exponent[b], mantissa[b] = logParts(x, floor)
	}
	for b := 0; b < Bins; b += 4 {
		m := (*[4]float32)(mantissa[b:])
		m0, m1, m2, m3 := m[0], m[1], m[2], m[3]
		y0, y1, y2, y3 := horner(logP0, logP0, logP0, logP0, m0, m1, m2, m3, logP1)
		y0, y1, y2, y3 = horner(y0, y1, y2, y3, m0, m1, m2, m3, logP2)
		y0, y1, y2, y3 = horner(y0, y1, y2, y3, m0, m1, m2, m3, logP3)
		y0, y1, y2, y3 = horner(y0, y1, y2, y3, m0, m1, m2, m3, logP4)
		y0, y1, y2, y3 = horner(y0, y1, y2, y3, m0, m1, m2, m3, logP5)
		y0, y1, y2, y3 = horner(y0, y1, y2, y3, m0, m1, m2, m3, logP6)
		y0, y1, y2, y3 = horner(y0, y1, y2, y3, m0, m1, m2, m3, logP7)
		y0, y1, y2, y3 = horner(y0, y1, y2, y3, m0, m1, m2, m3, logP8)
		*(*[4]float32)(y[b:]) = [4]float32{y0, y1, y2, y3}
	}
	for b, x := range sums {
		m, y := mantissa[b], y[b]
		z := float32(m * m)
		y = float32(float32(y*m) * z)
		y += float32(exponent[b] * ln2Low)
		y += float32(z * -0.5)
		y = float32(exponent[b]*ln2High) + (m + y)
		sums[b] = y + (x - x) // what is not finite stays so
	}
}

// logParts gives the exponent of max(x, floor) over the nearest power of 2, and what is left of the number less 1.
func logParts(x float32, floor int32) (exponent, mantissa float32) {
	bits := max(int32(math.Float32bits(x)), floor) - halfSqrt2Bits
	return float32(bits >> 23), math.Float32frombits(uint32(bits)&0x7fffff+halfSqrt2Bits) - 1
}

// horner is a step of four polynomials.
func horner(y0, y1, y2, y3, m0, m1, m2, m3, p float32) (float32, float32, float32, float32) {
	return float32(y0*m0) + p, float32(y1*m1) + p, float32(y2*m2) + p, float32(y3*m3) + p
}

//go:build !scalar

package mel

import "math"

// sse2 are the kernels of every amd64 build: one frame at a time, four of its values in lanes.
var sse2 = &kernels{
	name: "sse2", blockSums: blockSums4, fbank: fbank4, spectrogram: spectrogram4, resample: resampleLanes,
}

// pass4 is the passes' butterflies for passes over points m apart, a multiple of 4.
//
//go:noescape
func pass4(re, im, factors *float32, m int)

// radix4last16 is radix4last, but for where it leaves the points: number 4i+j of every 16 at 4j+i.
//
//go:noescape
func radix4last16(re, im *float32)

// windowed is spectrum.take.
//
//go:noescape
func windowed(re, im, x, window *float32, mean, coefficient float32)

// sumBlocks is plainBlockSums for some blocks, at least one.
//
//go:noescape
func sumBlocks(sums, wave *float32, blocks int)

// logarithms4 is normalised, in place, for n values, a positive multiple of 4.
//
//go:noescape
func logarithms4(values, constants *float32, n int, mean, std float32)

// factors4 holds, for passes over points 64, 16 and 4 apart, the three factors of four butterflies at a time:
// real parts, imaginary parts.
var factors4 = func() (f [3][]float32) {
	for i, m := range [3]int{64, 16, 4} {
		for p := 0; p < m; p += 4 {
			for k := range 3 {
				for j := range 4 {
					f[i] = append(f[i], twiddle[(p+j)*(64/m)&63][k].re)
				}
				for j := range 4 {
					f[i] = append(f[i], twiddle[(p+j)*(64/m)&63][k].im)
				}
			}
		}
	}
	return f
}()

// position4 is position after radix4last16.
var position4 = func() (at [maxHalf]uint16) {
	for k, i := range position {
		at[k] = i&^15 | i&3<<2 | i>>2&3
	}
	return at
}()

var conjugates256x4, conjugates512x4 = conjugatesOf(quarter, &position4), conjugatesOf(maxHalf, &position4)

// logConstants are what logarithms4 reads, four times each.
var logConstants = func() (c [16][4]float32) {
	for i, v := range [16]float32{
		math.Float32frombits(halfSqrt2Bits), math.Float32frombits(0x7fffff), 1, logFloor, ln2Low, ln2High, -0.5,
		logP0, logP1, logP2, logP3, logP4, logP5, logP6, logP7, logP8,
	} {
		c[i] = [4]float32{v, v, v, v}
	}
	return c
}()

// transform4 is spectrum.transform.
func (s *spectrum) transform4(half int) {
	if half == maxHalf {
		s.radix2()
		s.passes4(quarter)
	}
	s.passes4(0)
	if half == maxHalf {
		s.split(half, conjugates512x4)
		return
	}
	s.split(half, conjugates256x4)
}

func (s *spectrum) passes4(base int) {
	re, im := &s.re[base], &s.im[base]
	pass4(re, im, &factors4[0][0], 64)
	pass4(re, im, &factors4[1][0], 16)
	pass4(re, im, &factors4[2][0], 4)
	radix4last16(re, im)
}

func blockSums4(wave, sums []float32) int {
	if len(sums) > 0 {
		_ = wave[len(sums)*meanBlock-1]
		sumBlocks(&sums[0], &wave[0], len(sums))
	}
	return len(sums)
}

func fbank4(wave, offset []float32, out bank, frames int) int {
	var s [abreast]spectrum
	var values [abreast][Bins]float32
	for f := 0; f < frames; f += abreast {
		n := min(frames-f, abreast)
		for i := range n {
			s := &s[i]
			x := (*[WindowLength]float32)(wave[(f+i)*HopLength:])
			windowed(&s.re[0], &s.im[0], &x[0], &window[0], offset[f+i], preEmphasis)
			clear(s.re[WindowLength/2 : fftLength/2])
			clear(s.im[WindowLength/2 : fftLength/2])
			s.transform4(fftLength / 2)
		}
		filter4(&s, &values)
		for i := range n {
			logarithms4(&values[i][0], &logConstants[0][0], Bins, out.mean, out.std)
		}
		out.write(&values, f, n)
	}
	return frames
}

func spectrogram4(wave []float32, window *[SpectrumLength]float32, hop int, power []float32, stride, frames int) int {
	var s spectrum
	for f := range frames {
		s.frame((*[SpectrumLength]float32)(wave[f*hop:]), window)
		s.transform4(maxHalf)
		for k, v := range s.power {
			power[k*stride+f] = v
		}
	}
	return frames
}

package filters

import "math"

// The gating of ITU-R BS.1770-4: blocks of 400 ms every 100 ms, those below -70 LUFS left out, then those 10
// LU below the mean of the rest.
const (
	gateAbsolute = -70.0 // LUFS
	gateRelative = -10.0 // LU
	loudSteps    = 4     // steps of 100 ms in a block
	loudOffset   = -0.691
	// segments are filtered side by side, each after a step of warming up: the longest memory of the filter
	// is that of two poles at 38 Hz, which has decayed by 1e-9 after 100 ms.
	segments = 4
)

// kWeight is the K-weighting at one rate: two second-order sections, a shelf of 4 dB above 1.7 kHz and a
// high-pass at 38 Hz. The analogue prototypes behind BS.1770's table for 48 kHz, as libebur128 and ffmpeg derive
// them for other rates.
type kWeight struct{ b0, b1, b2, a1, a2, c1, c2 float64 }

func newKWeight(rate int) kWeight {
	const (
		shelfHz, shelfDB, shelfQ = 1681.974450955533, 3.999843853973347, 0.7071752369554196
		passHz, passQ            = 38.13547087602444, 0.5003270373238773
	)
	k := math.Tan(math.Pi * shelfHz / float64(rate))
	vh := math.Pow(10, shelfDB/20)
	vb := math.Pow(vh, 0.4996667741545416)
	a0 := 1 + k/shelfQ + k*k
	w := kWeight{
		b0: (vh + vb*k/shelfQ + k*k) / a0, b1: 2 * (k*k - vh) / a0, b2: (vh - vb*k/shelfQ + k*k) / a0,
		a1: 2 * (k*k - 1) / a0, a2: (1 - k/shelfQ + k*k) / a0,
	}
	k = math.Tan(math.Pi * passHz / float64(rate))
	a0 = 1 + k/passQ + k*k
	w.c1, w.c2 = 2*(k*k-1)/a0, (1-k/passQ+k*k)/a0
	// To twelve digits, so that no processor's last bit of tan or pow is seen.
	for _, v := range []*float64{&w.b0, &w.b1, &w.b2, &w.a1, &w.a2, &w.c1, &w.c2} {
		*v = math.Round(*v*1e12) / 1e12
	}
	return w
}

// channelWeights are BS.1770's: surround channels count 1.41, the low-frequency channel not at all. The order is
// that of WAV and of ffmpeg's "5.0" and "5.1"; other layouts count each channel once.
func channelWeight(channel, channels int) float64 {
	switch {
	case channels == 5 && channel >= 3, channels == 6 && channel >= 4:
		return 1.41
	case channels == 6 && channel == 3:
		return 0
	}
	return 1
}

// loudness is the integrated loudness of EBU R 128 (ITU-R BS.1770-4) in LUFS. There is none of less than
// 400 ms, nor where every block is below the absolute gate, nor below 2 kHz.
func loudness(planes [][]float32, rate int) (lufs float64, ok bool) {
	step := rate / 10
	steps := len(planes[0]) / max(step, 1)
	if steps < loudSteps || rate < 4000 {
		return 0, false
	}
	w := newKWeight(rate)
	power := make([]float64, steps)
	one := make([]float64, steps)
	for i, x := range planes {
		weight := channelWeight(i, len(planes))
		if weight == 0 {
			continue
		}
		w.stepPowers(x, step, one)
		for j, p := range one {
			power[j] += float64(weight * p)
		}
	}
	blocks := make([]float64, steps-loudSteps+1)
	for i := range blocks {
		blocks[i] = (power[i] + power[i+1] + power[i+2] + power[i+3]) / float64(loudSteps*step)
	}
	above := func(gate float64) (mean float64) {
		n := 0
		for _, p := range blocks {
			if p > 0 && decibels(p)+loudOffset >= gate {
				mean += p
				n++
			}
		}
		return mean / float64(max(n, 1))
	}
	mean := above(gateAbsolute)
	if mean == 0 {
		return 0, false
	}
	mean = above(max(gateAbsolute, decibels(mean)+loudOffset+gateRelative))
	return decibels(mean) + loudOffset, true
}

// stepPowers gives the sum of squares of the weighted sound over each step of the given number of samples.
// The steps are filtered in four segments side by side; the remaining steps follow the last segment.
func (w kWeight) stepPowers(x []float32, step int, power []float64) {
	each := len(power) / segments // steps of a segment
	done := 0
	if each > 0 {
		if vector != nil {
			vector.weigh(w, x, step, each, power)
		} else {
			for s := range segments {
				w.plain(x, step, s*each, (s+1)*each, power)
			}
		}
		done = segments * each
	}
	w.plain(x, step, done, len(power), power)
}

// plain weighs the steps from..to-1, after warming up on the step before.
func (w kWeight) plain(x []float32, step, from, to int, power []float64) {
	var s1, s2, t1, t2 float64
	for i := max(from-1, 0); i < to; i++ {
		var sum float64
		for _, v := range x[i*step : (i+1)*step] {
			in := float64(v)
			y := float64(w.b0*in) + s1
			s1 = (float64(w.b1*in) + s2) - float64(w.a1*y)
			s2 = float64(w.b2*in) - float64(w.a2*y)
			z := y + t1
			t1 = (t2 - float64(2*y)) - float64(w.c1*z)
			t2 = y - float64(w.c2*z)
			sum += float64(z * z)
		}
		if i >= from {
			power[i] = sum
		}
	}
}

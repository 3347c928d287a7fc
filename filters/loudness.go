package filters

import "math"

// The gating of ITU-R BS.1770-4: blocks of 400 ms every 100 ms, those below -70 LUFS left out, then those 10
// LU below the mean of the rest.
const (
	gateAbsolute = -70.0 // LUFS
	gateRelative = -10.0 // LU
	loudSteps    = 4     // steps of 100 ms in a block
	loudOffset   = -0.691
	// Sound is filtered in this many segments side by side, each after a step of warming up: the longest memory of
	// the filter is that of two poles at 38 Hz, which has decayed by 1e-9 after 100 ms. Two channels share them.
	segments = 16
	// weighPiece is how many samples of a segment are filtered and squared at a time.
	weighPiece = 256
	// What dies away in the filter would become numbers so small that processors take hundreds of cycles for each:
	// the offset is added to the samples, for the filter to end at, and what is left is far below -200 dBFS.
	restless = 1e-15
)

// kWeight is the K-weighting at one rate: two second-order sections, a shelf of 4 dB above 1.7 kHz and a
// high-pass at 38 Hz. The analogue prototypes behind BS.1770's table for 48 kHz, as libebur128 and ffmpeg derive
// them for other rates, in forms whose rounding to float32 stays 120 dB below the sound:
//
//	y = x + s1;  s1' = (b1 x + s2) - a1 y;  s2' = b2 x - a2 y
//	z = y - t;   t' = (t + d u) + c z;      u' = u + z
//
// z is what the filter gives, without its factor. t is a low-pass of y, z what is not in it.
type kWeight struct {
	b1, b2, a1, a2, c, d float32
	gain                 float64 // the factor of the power
}

func newKWeight(rate int) kWeight {
	const (
		shelfHz, shelfDB, shelfQ = 1681.974450955533, 3.999843853973347, 0.7071752369554196
		passHz, passQ            = 38.13547087602444, 0.5003270373238773
	)
	k := math.Tan(math.Pi * shelfHz / float64(rate))
	vh := math.Pow(10, shelfDB/20)
	vb := math.Pow(vh, 0.4996667741545416)
	kk, kQ := float64(k*k), k/shelfQ
	a0 := 1 + kQ + kk
	b0 := (vh + float64(vb*k)/shelfQ + kk) / a0
	b1, b2 := 2*(kk-vh)/a0/b0, (vh-float64(vb*k)/shelfQ+kk)/a0/b0
	a1, a2 := 2*(kk-1)/a0, (1-kQ+kk)/a0
	// (1 - 1/z)^2 over 1 + c1/z + c2/z^2 with c = 2 + c1, d = 1 + c1 + c2.
	k = math.Tan(math.Pi * passHz / float64(rate))
	kk = float64(k * k)
	a0 = 1 + k/passQ + kk
	c, d := (2*k/passQ+float64(4*kk))/a0, 4*kk/a0
	// float32 also hides the last bits of tan and pow, in which processors differ.
	return kWeight{float32(b1), float32(b2), float32(a1), float32(a2), float32(c), float32(d), float64(float32(b0 * b0))}
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
	one, other := make([]float64, steps), make([]float64, steps)
	for i := 0; i < len(planes); i += 2 {
		pair := planes[i:min(i+2, len(planes))]
		w.stepPowers(pair, step, [2][]float64{one, other})
		for c := range pair {
			weight := w.gain * channelWeight(i+c, len(planes))
			for j, p := range [2][]float64{one, other}[c] {
				power[j] += float64(weight * p)
			}
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
	if mean == 0 || mean > math.MaxFloat32 { // silent, or beyond float32
		return 0, false
	}
	mean = above(max(gateAbsolute, decibels(mean)+loudOffset+gateRelative))
	return decibels(mean) + loudOffset, true
}

// weighing is the filter's memory with a segment in each lane, and the sums of squares of a piece.
type weighing struct{ s1, s2, t, u, sum [segments]float32 }

// stepPowers gives the sums of squares of one or two channels of weighted sound, less the filter's factor, over
// each step of the given number of samples. The segments are as long as each other; the last ones overlap.
func (w *kWeight) stepPowers(planes [][]float32, step int, power [2][]float64) {
	steps, lanes := len(power[0]), segments/len(planes) // lanes of a channel
	each := (steps + lanes - 1) / lanes
	first := func(s int) int { return min(s%lanes*each, steps-each) }
	var state weighing
	var sum [segments]float64
	var pieces [segments][]float32
	for i := -1; i < each; i++ {
		clear(sum[:])
		for from := 0; from < step; from += weighPiece {
			to := min(from+weighPiece, step)
			for s := range pieces {
				at := (first(s) + i) * step
				if at < 0 { // there is nothing to warm up on
					pieces[s] = silence[:to-from]
					continue
				}
				pieces[s] = planes[s/lanes][at+from : at+to]
			}
			w.weighPieces(&pieces, &state)
			for s, v := range state.sum {
				sum[s] += float64(v)
			}
		}
		if i >= 0 {
			for s, v := range sum {
				power[s/lanes][first(s)+i] = v
			}
		}
	}
}

var silence [weighPiece]float32

// plain weighs a piece of each segment, two at a time: a sum waits for the one before.
func (w *kWeight) plain(pieces *[segments][]float32, state *weighing) {
	b1, b2, a1, a2, c, d := w.b1, w.b2, w.a1, w.a2, w.c, w.d
	const half = segments / 2
	for i := range half {
		s1, s2, t, u := state.s1[i], state.s2[i], state.t[i], state.u[i]
		p1, p2, q, r := state.s1[i+half], state.s2[i+half], state.t[i+half], state.u[i+half]
		var sum, other float32
		y := pieces[i+half]
		for j, v := range pieces[i][:len(y)] {
			v += restless
			y1 := v + s1
			s1 = (float32(b1*v) + s2) - float32(a1*y1)
			s2 = float32(b2*v) - float32(a2*y1)
			z := y1 - t
			t = (t + float32(d*u)) + float32(c*z)
			u += z
			z += restless
			sum += float32(z * z)

			v = y[j] + restless
			y1 = v + p1
			p1 = (float32(b1*v) + p2) - float32(a1*y1)
			p2 = float32(b2*v) - float32(a2*y1)
			z = y1 - q
			q = (q + float32(d*r)) + float32(c*z)
			r += z
			z += restless
			other += float32(z * z)
		}
		state.s1[i], state.s2[i], state.t[i], state.u[i], state.sum[i] = s1, s2, t, u, sum
		i += half
		state.s1[i], state.s2[i], state.t[i], state.u[i], state.sum[i] = p1, p2, q, r, other
	}
}

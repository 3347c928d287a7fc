package mel

import "math/big"

// MeanMode says which mean is subtracted of a clip before its filter bank. Per-frame removal of the
// offset hides it except in frames that straddle an edge.
type MeanMode uint8

const (
	// MeanClip subtracts the clip's own mean, of the transformed channel, from a copy.
	MeanClip MeanMode = iota
	// MeanImageBind repeats the original: the mean over all channels of the clip is subtracted in place,
	// so that where clips overlap the next one sees samples that were shifted before.
	MeanImageBind
)

// ClipLimits gives the first and one-past-last sample of evenly spread 2 s clips at 16 kHz, as
// pytorchvideo's ConstantClipsPerVideoSampler with ImageBind's rounding: clip i begins at
// i*max(duration-2, 0)/(clips-1), in exact rational arithmetic on the duration as a double; limits are
// truncated. A single clip begins at 0. Sound shorter than 2 s gives equal clips of all there is.
func ClipLimits(samples, clips int) [][2]int {
	duration := new(big.Rat)
	duration.SetFloat64(float64(samples) / SampleRate)
	span := new(big.Rat).Sub(duration, big.NewRat(ClipSeconds, 1))
	if span.Sign() < 0 {
		span.SetInt64(0)
	}
	if clips > 1 {
		span.Quo(span, big.NewRat(int64(clips-1), 1))
	}
	// Fractions of doubles: 2.3 s, a little less as a double, gives 2399 and not 2400.
	rate := big.NewRat(SampleRate, 1)
	at := func(t *big.Rat) int {
		t = new(big.Rat).Mul(t, rate)
		return int(new(big.Int).Quo(t.Num(), t.Denom()).Int64())
	}
	out := make([][2]int, clips)
	for i := range out {
		start := new(big.Rat).Mul(span, big.NewRat(int64(i), 1))
		end := new(big.Rat).Add(start, big.NewRat(ClipSeconds, 1))
		out[i] = [2]int{min(at(start), samples), min(at(end), samples)}
	}
	return out
}

// Clips computes the tensor [clips,1,128,204] of a sound: wave is [channels][n] at 16 kHz with channels
// of equal length, and channel 0 is transformed. Frames beyond the clip are 0 before normalising, as the
// original pads. wave is not changed.
func Clips(wave [][]float32, clips int, mean MeanMode) []float32 {
	out := make([]float32, clips*Bins*Frames)
	if len(wave) == 0 {
		return out
	}
	n := len(wave[0])
	if mean == MeanImageBind {
		own := make([][]float32, len(wave))
		for i := range wave {
			own[i] = append([]float32(nil), wave[i][:n]...)
		}
		wave = own
	}
	for c, lim := range ClipLimits(n, clips) {
		var x []float32
		if mean == MeanImageBind {
			m := meanOf(wave, lim)
			for _, ch := range wave {
				for i := lim[0]; i < lim[1]; i++ {
					ch[i] -= m
				}
			}
			x = wave[0][lim[0]:lim[1]]
		} else {
			x = append(x, wave[0][lim[0]:lim[1]]...)
			m := meanOf([][]float32{wave[0]}, lim)
			for i := range x {
				x[i] -= m
			}
		}
		// What the frames leave is padding: 0 before normalising.
		dst := out[c*Bins*Frames:][:Bins*Frames]
		for i := range dst {
			dst[i] = (0 - float32(normMean)) / normStd
		}
		if frames := min(frameCount(len(x)), Frames); frames > 0 {
			fbank(x, bank{dst: dst, stride: Frames, mean: normMean, std: normStd}, frames)
		}
	}
	return out
}

// meanOf averages samples lim of all channels, summed in double.
func meanOf(wave [][]float32, lim [2]int) float32 {
	var sum float64
	for _, ch := range wave {
		for _, v := range ch[lim[0]:lim[1]] {
			sum += float64(v)
		}
	}
	n := len(wave) * (lim[1] - lim[0])
	if n == 0 {
		return 0
	}
	return float32(sum / float64(n))
}

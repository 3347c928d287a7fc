package mel

import (
	"math/big"
	"sync"
)

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
// truncated. A single clip begins at 0. Sound shorter than 2 s gives equal clips of all there is. No clips
// for fewer than one.
func ClipLimits(samples, clips int) [][2]int {
	limits := clipLimits(float64(samples)/SampleRate, clips)
	for i := range limits {
		limits[i] = [2]int{min(limits[i][0], samples), min(limits[i][1], samples)}
	}
	return limits
}

// clipLimits is ClipLimits for a duration in seconds, with limits that may lie behind its end.
func clipLimits(duration float64, clips int) [][2]int {
	if clips < 1 {
		return nil
	}
	span := new(big.Rat).SetFloat64(duration)
	span.Sub(span, big.NewRat(ClipSeconds, 1))
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
		out[i] = [2]int{at(start), at(end)}
	}
	return out
}

// Clips computes the tensor [clips,1,128,204] of a sound: wave is [channels][n] at 16 kHz with channels
// of equal length, and channel 0 is transformed. Frames beyond the clip are 0 before normalising, as the
// original pads. wave is not changed.
func Clips(wave [][]float32, clips int, mean MeanMode) []float32 {
	return ClipsInto(nil, wave, clips, mean)
}

// ClipsInto is Clips into the memory of dst, as far as it reaches.
func ClipsInto(dst []float32, wave [][]float32, clips int, mean MeanMode) []float32 {
	limits := ClipLimits(0, clips)
	if len(wave) > 0 {
		limits = ClipLimits(len(wave[0]), clips)
	}
	out := sized(dst, len(limits)*Bins*Frames)
	if mean == MeanImageBind {
		own := make([][]float32, len(wave))
		for i := range wave {
			own[i] = append([]float32(nil), wave[i]...)
		}
		wave = own
	}
	copied := clipMemory.Get().(*[]float32)
	defer clipMemory.Put(copied)
	for c, at := range limits {
		dst := out[c*Bins*Frames:][:Bins*Frames]
		frames := min(frameCount(at[1]-at[0]), Frames)
		pad(dst, frames)
		if frames == 0 {
			continue
		}
		var x []float32
		if mean == MeanImageBind {
			m := meanOf(wave, at)
			for _, channel := range wave {
				subtract(channel[at[0]:at[1]], channel[at[0]:at[1]], m)
			}
			x = wave[0][at[0]:at[1]]
		} else {
			*copied = sized(*copied, at[1]-at[0])
			x = *copied
			subtract(x, wave[0][at[0]:at[1]], meanOf(wave[:1], at))
		}
		fbank(x, bank{dst: dst, stride: Frames, mean: normMean, std: normStd}, frames)
	}
	return out
}

// clipMemory keeps the copy of a clip for the next one.
var clipMemory = sync.Pool{New: func() any { return new([]float32) }}

// pad fills the frames of a clip from the given one on.
func pad(clip []float32, from int) {
	const padding = (0 - float32(normMean)) / normStd
	for row := 0; row < len(clip); row += Frames {
		for i := row + from; i < row+Frames; i++ {
			clip[i] = padding
		}
	}
}

// subtract writes x less m to dst, which may be x.
func subtract(dst, x []float32, m float32) {
	n := subtractLanes(dst, x, m)
	plainSubtract(dst[n:], x[n:], m)
}

func plainSubtract(dst, x []float32, m float32) {
	for i, v := range x {
		dst[i] = v - m
	}
}

// meanOf averages the samples of all channels from at[0] to before at[1], in four strands of doubles.
func meanOf(wave [][]float32, at [2]int) float32 {
	var s [4]float64
	n := 0
	for _, channel := range wave {
		x := channel[at[0]:at[1]]
		n += len(x)
		plainStrands(&s, x[addStrands(&s, x):])
	}
	return float32(((s[0] + s[1]) + (s[2] + s[3])) / float64(n))
}

// plainStrands adds the values of x to four strands in turn, beginning with the first.
func plainStrands(s *[4]float64, x []float32) {
	for len(x) >= 4 {
		s[0] += float64(x[0])
		s[1] += float64(x[1])
		s[2] += float64(x[2])
		s[3] += float64(x[3])
		x = x[4:]
	}
	for i, v := range x {
		s[i] += float64(v)
	}
}

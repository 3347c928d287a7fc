package filters

import (
	"math"
	"slices"
	"sync"

	"prep/mel"
)

const (
	bandFrames = 128 // at most, spread evenly over the sound
	bandBins   = mel.SpectrumLength / 2
	bandSmooth = 4 // bins to each side
	// An edge is where the mean spectrum falls by edgeDrop within edgeWidth bins, to less than edgeDepth below its
	// peak, and stays there. Without an edge, the band ends where the spectrum falls to bandDepth below the peak, or to
	// what 16 bits leave: bandFloor dB of a full-scale sine.
	edgeDrop, edgeDepth = 15.0, 50.0
	edgeWidth           = 24
	edgeFoot            = 20.0 // dB below the plateau at which the band ends
	bandDepth           = 90.0
	bandFloor           = -118.0
)

// spectral keeps what was used before.
var spectral = sync.Pool{New: func() any { return new([]float32) }}

// bandwidth is the highest frequency in Hz that holds sound: a file made from 8 kHz telephone sound ends at
// 4 kHz whatever its rate, a 128 kbit/s MP3 at 16. Mean power spectrum of up to 128 Hann windows of 1024 samples.
// There is none of sound shorter than a window, or silent.
func bandwidth(x []float32, rate int) (hz float64, ok bool) {
	if len(x) < mel.SpectrumLength {
		return 0, false
	}
	step := max((len(x)-mel.SpectrumLength)/(bandFrames-1), mel.SpectrumLength/2)
	frames := mel.SpectrumFrames(len(x), step)
	memory := spectral.Get().(*[]float32)
	defer spectral.Put(memory)
	*memory = mel.SpectrogramInto(*memory, x, &hann, step, frames)
	power := *memory
	var level, raw [bandBins]float64 // level is smoothed, in dB
	for k := range raw {
		row := power[k*frames:][:frames]
		var s0, s1, s2, s3 float64 // a sum waits for the one before
		for len(row) >= 4 {
			s0, s1, s2, s3 = s0+float64(row[0]), s1+float64(row[1]), s2+float64(row[2]), s3+float64(row[3])
			row = row[4:]
		}
		for _, p := range row {
			s0 += float64(p)
		}
		raw[k] = ((s0 + s1) + (s2 + s3)) / float64(frames)
	}
	raw[0] = 0 // the offset
	highest := 0.0
	for k := range level {
		from, to := max(k-bandSmooth, 0), min(k+bandSmooth+1, bandBins)
		level[k] = sum(raw[from:to]) / float64(to-from)
		highest = max(highest, raw[k])
	}
	inDecibels(level[:], 1e-30)
	if highest < 1e-15 || math.IsInf(highest, 1) {
		return 0, false // silent, or beyond float32
	}
	peak := decibels(highest)
	highestFrom := level // the greatest from there on
	for k := bandBins - 2; k >= 0; k-- {
		highestFrom[k] = max(highestFrom[k], highestFrom[k+1])
	}
	width := float64(rate) / mel.SpectrumLength
	end := bandBins - 1
	for end > 0 && level[end] < max(peak-bandDepth, bandFloor) {
		end--
	}
	for k := min(end, bandBins-1-edgeWidth); k > 0; k-- {
		beyond := highestFrom[k+edgeWidth]
		if level[k]-beyond < edgeDrop || beyond > peak-edgeDepth {
			continue
		}
		// The last bin that is not far below the plateau.
		least := max(slices.Max(level[max(k-edgeWidth, 0):k+1])-edgeFoot, (level[k]+beyond)/2)
		last := min(k+edgeWidth, bandBins-1)
		for last > 0 && decibels(raw[last]+1e-30) < least {
			last--
		}
		return (float64(last) + 0.5) * width, true
	}
	if end >= bandBins-1-bandSmooth {
		return float64(rate) / 2, true
	}
	return float64(end) * width, true
}

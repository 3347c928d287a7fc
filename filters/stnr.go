package filters

import "slices"

// The histogram of NIST's Speech Quality Assurance package: 500 bins of a quarter dB, relative to one step
// of 16 bits.
const (
	levelBins        = 500
	levelLow         = -28.125
	levelStep        = 0.25
	levelFrame       = 320 // samples: 20 ms
	levelHop         = 160
	levelBox         = 31   // bins of the moving average, applied twice
	levelPeak        = 0.05 // of the highest: less is no peak
	speechPercentile = 0.95
)

// histogramSNR is our reading of NIST's STNR (Speech Quality Assurance package, stnr): the levels of 20 ms
// frames have one peak where there is only noise and another where there is speech. Noise is the first peak of
// the smoothed histogram, the signal the 95th percentile of the frames above it. With one peak the figure is
// the spread of that peak; without any it is unknown.
func histogramSNR(mono []float32, _ *blockLevels) SNR {
	e := SNR{Method: STNRMethod}
	if e.Unmeasured = unfit(mono); e.Unmeasured != "" {
		return e
	}
	var histogram [levelBins]float64
	levels := make([]float64, 0, (len(mono)-levelFrame)/levelHop+1)
	for at := 0; at+levelFrame <= len(mono); at += levelHop {
		var power float64
		for _, v := range mono[at : at+levelFrame] {
			power += float64(float64(v) * float64(v))
		}
		level := decibels(float64(power/levelFrame/(lsb*lsb)) + 1e-9)
		levels = append(levels, level)
		histogram[int(min(max((level-levelLow)/levelStep, 0), levelBins-1))]++
	}
	smoothed := histogram
	for i := range smoothed {
		three := [3]float64{histogram[max(i-1, 0)], histogram[i], histogram[min(i+1, levelBins-1)]}
		slices.Sort(three[:])
		smoothed[i] = three[1]
	}
	smoothed = box(box(smoothed))
	least := levelPeak * slices.Max(smoothed[:])
	for i := 1; i < levelBins-1; i++ {
		if !(smoothed[i] > smoothed[i-1] && smoothed[i] >= smoothed[i+1] && smoothed[i] > least) {
			continue
		}
		noise := levelLow + float64((float64(i)+0.5)*levelStep)
		above := slices.DeleteFunc(levels, func(v float64) bool { return v <= noise })
		if len(above) == 0 {
			break
		}
		slices.Sort(above)
		p := float64(speechPercentile * float64(len(above)-1))
		k := int(p)
		speech := above[k] + float64((p-float64(k))*(above[min(k+1, len(above)-1)]-above[k]))
		e.SNR, e.Measured = speech-noise, true
		return e
	}
	e.Unmeasured = "one_peak"
	return e
}

// box averages over 31 bins, 0 beyond the ends.
func box(h [levelBins]float64) (out [levelBins]float64) {
	for i := range out {
		for _, v := range h[max(i-levelBox/2, 0):min(i+levelBox/2+1, levelBins)] {
			out[i] += v / levelBox
		}
	}
	return out
}

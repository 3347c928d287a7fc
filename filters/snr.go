package filters

import "math"

// The estimators of the signal-to-noise ratio, by the names that the configuration and the metric
// audio_snr_method use. Other constants would be another name.
const (
	// FloorMethod is a noise floor in time and frequency, for any sound in steady noise.
	FloorMethod = "tf-floor-1"
	// LearnedMethod is boosted trees over figures of the clip, for noise that comes and goes too: the default.
	LearnedMethod = "learned-4"
	// WADAMethod is the waveform amplitude distribution of Kim and Stern (2008), for speech only.
	WADAMethod = "wada"
	// STNRMethod is the histogram of frame levels of NIST's Speech Quality Assurance package, for speech.
	STNRMethod = "nist-stnr"
)

// estimators is the registry: a function for each method.
var estimators = map[string]func(mono []float32, levels *blockLevels) SNR{
	FloorMethod:   floorSNR,
	LearnedMethod: learnedSNR,
	WADAMethod:    wadaSNR,
	STNRMethod:    histogramSNR,
}

// defaultLimit is the bound that decides between ok and unknown when no rule gives one, in dB.
const defaultLimit = 10.0

const (
	// White Gaussian noise has a texture of 0.75 dB; below 1.1 and without lasting peaks a clip is noise or
	// content that no blind method can tell from it.
	noiseTexture = 1.1
	noiseTonal   = 0.10
	// gatedShare is the share of digital silence from which what is left may be all content.
	gatedShare = 0.1
)

// SNR is a blind estimate of signal over noise, in dB. Noise is what is always there: the power that remains
// in every region of the spectrum when the content pauses in time or leaves room between its partials.
type SNR struct {
	Method string
	// Measured is false when there is no figure; Unmeasured says why.
	Measured   bool
	Unmeasured string // silent, too_short, too_quiet, one_peak, non_finite
	SNR        float64
	// What follows belongs to FloorMethod and LearnedMethod. Low and High are the least and greatest over three
	// floors; of LearnedMethod, they hold the truth in four of five cases. Optimistic is the value over the lowest
	// quantile's floor. Texture is in dB, Tonal, Zero and Padded are shares.
	Low, High, Optimistic float64
	Texture, Tonal, Zero  float64
	Padded                float64
	// NoiseOdds is LearnedMethod's alone: the log odds that there is nothing but noise, and a share of the score.
	NoiseOdds float64
}

// EstimateSNR estimates the signal-to-noise ratio of mono sound at 16 kHz without a clean reference. An
// unknown method is LearnedMethod.
func EstimateSNR(mono []float32, method string) SNR {
	var levels blockLevels
	levels.measure(mono)
	return estimateSNR(mono, &levels, method)
}

func estimateSNR(mono []float32, levels *blockLevels, method string) SNR {
	estimate := estimators[method]
	if estimate == nil {
		method, estimate = LearnedMethod, learnedSNR
	}
	if !levels.finite(mono) {
		return SNR{Method: method, Unmeasured: "non_finite"}
	}
	return estimate(mono, levels)
}

// Decide says whether the estimate can be held against a limit in dB: ok, unknown or invalid, and why.
func (e SNR) Decide(limit float64) (status, reason string) {
	switch {
	case e.Unmeasured == "non_finite":
		return "invalid", e.Unmeasured
	case !e.Measured || math.IsNaN(e.SNR):
		return "unknown", e.Unmeasured
	case e.SNR >= limit || !e.hasFloor():
		return "ok", ""
	case e.Method == LearnedMethod:
		if e.NoiseOdds > noiseOdds {
			return "unknown", "noise_like"
		}
		return "ok", ""
	case e.Optimistic >= limit:
		return "unknown", "ambiguous_floor"
	case e.Texture < noiseTexture && e.Tonal < noiseTonal:
		return "unknown", "noise_like"
	case e.Zero > gatedShare:
		return "unknown", "gated"
	}
	return "ok", ""
}

// hasFloor says whether the estimate rests on a noise floor and has its figures.
func (e SNR) hasFloor() bool { return e.Method == FloorMethod || e.Method == LearnedMethod }

package filters

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"

	"prep/internal/sample"
)

// Method names the estimator and its constants; another set of constants gets another name.
const Method = "tf-floor-1"

// defaultLimit is the bound that decides between ok and unknown when no rule gives one, in dB.
const defaultLimit = 10.0

const (
	rate   = 16000
	lsb    = 1.0 / 32768 // one step of 16 bits
	window = 1024
	hop    = 512
	// Bins kept: 15.6 to 7781 Hz.
	firstBin, endBin = 1, 499
	bins             = endBin - firstBin
	// smooth frames are averaged before the order statistics are taken.
	smooth = 3
	// A bin's floor is at most peak times the median of its neighbours, halfWidth (250 Hz) to each side:
	// a partial that lasts the whole clip is content, not noise.
	halfWidth = 16
	peak      = 1.5
	edgeRun   = 320   // samples of constant value at an end that count as padding: 20 ms
	minimum   = 8000  // samples
	minFrames = 12    // of the spectrogram
	quietest  = -80.0 // dB of the loudest frame: below, 16-bit steps are no longer small
	// activeMargin is ITU-T P.56's 15.9 dB.
	activeMargin = 38.904514499428066
	tiny         = 1e-14
	lowest       = -15.0
	highest      = 60.0
	// White Gaussian noise has a texture of 0.75 dB; below 1.1 and without lasting peaks a clip is noise or
	// content that no blind method can tell from it.
	noiseTexture = 1.1
	noiseTonal   = 0.10
	gatedShare   = 0.1
)

// The three floors: quantiles over time, and what the same sum gives on white Gaussian noise of unit
// power. The middle one is the value.
var floors = [3]struct{ quantile, bias float64 }{{0.05, 0.28}, {0.15, 0.445}, {0.50, 0.888}}

// bandEdges cut the spectrum into 13 bands for the texture, in bins of the transform.
var bandEdges = [14]int{2, 10, 19, 32, 48, 64, 90, 122, 160, 205, 256, 320, 397, 499}

// SNR is a blind estimate of signal over noise. Noise is what is always there: the power that remains in
// every region of the spectrum when the content pauses in time or leaves room between its partials.
type SNR struct {
	// Measured is false when there is no figure; Unmeasured says why.
	Measured   bool
	Unmeasured string // silent, too_short, too_quiet, non_finite
	SNR        float64
	// Low and High are the least and greatest over three floors, Optimistic that over the lowest quantile.
	Low, High, Optimistic float64
	Texture, Tonal, Zero  float64
	Padded                bool
}

// Decide says whether the estimate can be held against a limit in dB: ok, unknown or invalid, and why.
func (e SNR) Decide(limit float64) (status, reason string) {
	switch {
	case e.Unmeasured == "non_finite":
		return "invalid", e.Unmeasured
	case !e.Measured:
		return "unknown", e.Unmeasured
	case e.SNR >= limit:
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

// EstimateSNR estimates the signal-to-noise ratio of mono sound at 16 kHz without a clean reference: the
// active level (as ITU-T P.56's, in frames) over a floor found as a quantile over time in each frequency
// bin (after Stahl, Fischer and Bippus 2000), held down by the median over frequency. It tells steady noise;
// noise that comes and goes reads as signal.
func EstimateSNR(mono []float32) SNR {
	x := make([]float64, len(mono))
	for i, v := range mono {
		x[i] = float64(v)
		if math.IsNaN(x[i]) || math.IsInf(x[i], 0) {
			return SNR{Unmeasured: "non_finite"}
		}
	}
	var e SNR
	full := len(x)
	x = trimEnds(x)
	switch {
	case len(x) == 0 && full > 0:
		return SNR{Unmeasured: "silent"}
	case len(x) < minimum:
		return SNR{Unmeasured: "too_short", Padded: len(x) < full}
	}
	e.Padded = len(x) < full
	var mean float64
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for i := range x {
		x[i] -= mean
	}
	spectra, zero := spectrogram(x)
	e.Zero = zero
	if len(spectra) < minFrames {
		e.Unmeasured = "too_short"
		return e
	}
	power := make([]float64, len(spectra))
	for t, s := range spectra {
		for _, v := range s {
			power[t] += v
		}
	}
	if 10*math.Log10(slices.Max(power)+tiny) < quietest {
		e.Unmeasured = "too_quiet"
		return e
	}
	n := len(spectra) - smooth + 1
	bands := make([][]float64, n) // band levels in dB, for the texture
	columns := make([]float64, bins*n)
	for t := range n {
		a, b, c := spectra[t], spectra[t+1], spectra[t+2]
		level := make([]float64, len(bandEdges)-1)
		band := 0
		for f := range bins {
			v := (a[f] + b[f] + c[f]) / smooth
			columns[f*n+t] = v
			bin := f + firstBin
			for band < len(level) && bin >= bandEdges[band+1] {
				band++
			}
			if bin >= bandEdges[0] && band < len(level) {
				level[band] += v
			}
		}
		for i := range level {
			level[i] = 10 * math.Log10(level[i]+1e-12)
		}
		bands[t] = level
	}
	var q [3][]float64
	for i := range q {
		q[i] = make([]float64, bins)
	}
	for f := range bins {
		col := columns[f*n:][:n]
		slices.Sort(col)
		for i, fl := range floors {
			q[i][f] = quantile(col, fl.quantile)
		}
	}
	var values [3]float64
	for i, fl := range floors {
		med := runningMedian(q[i])
		var sum float64
		for f, v := range q[i] {
			sum += min(v, peak*med[f])
		}
		values[i] = activeOver(power, sum/fl.bias)
		if fl.quantile == 0.5 {
			var all, held float64
			for f, v := range q[i] {
				all += v
				held += min(v, 3*med[f])
			}
			e.Tonal = 1 - held/(all+tiny)
		}
	}
	e.Optimistic, e.SNR = values[0], values[1]
	e.Low, e.High = slices.Min(values[:]), slices.Max(values[:])
	e.Texture = texture(bands)
	e.Measured = true
	return e
}

// trimEnds removes a run of at least 20 ms within 1.5 steps of the first sample at the start, and of the
// last at the end. Nothing is left when no sample leaves the first one's band.
func trimEnds(x []float64) []float64 {
	if len(x) == 0 {
		return x
	}
	const band = 1.5 * lsb
	first := slices.IndexFunc(x, func(v float64) bool { return math.Abs(v-x[0]) > band })
	if first < 0 {
		return nil
	}
	last := len(x) - 1
	for last >= 0 && math.Abs(x[last]-x[len(x)-1]) <= band {
		last--
	}
	a, b := 0, len(x)
	if first >= edgeRun {
		a = first
	}
	if len(x)-1-last >= edgeRun {
		b = last + 1
	}
	if b < a {
		return nil
	}
	return x[a:b]
}

// spectrogram gives |FFT|^2 of Hann windows scaled so that a row's sum is its mean power; frames of digital
// silence are left out, and their share returned.
func spectrogram(x []float64) (rows [][]float64, zero float64) {
	var w [window]float64
	var energy float64
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/window)
		energy += w[i] * w[i]
	}
	fft := fourier.NewFFT(window)
	frame := make([]float64, window)
	var coeff []complex128
	count, silent := 0, 0
	for at := 0; at+window <= len(x); at += hop {
		count++
		part := x[at : at+window]
		if slices.Max(part)-slices.Min(part) <= 3*lsb {
			silent++
			continue
		}
		for i, v := range part {
			frame[i] = v * w[i]
		}
		coeff = fft.Coefficients(coeff, frame)
		row := make([]float64, bins)
		for f := range row {
			c := coeff[f+firstBin]
			row[f] = (real(c)*real(c) + imag(c)*imag(c)) / (energy * window / 2)
		}
		rows = append(rows, row)
	}
	if count == 0 {
		return nil, 0
	}
	return rows, float64(silent) / float64(count)
}

// quantile interpolates linearly at position q(n-1) of a sorted column.
func quantile(sorted []float64, q float64) float64 {
	p := q * float64(len(sorted)-1)
	i := int(p)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (p-float64(i))*(sorted[j]-sorted[i])
}

// runningMedian takes the median over up to 16 neighbours to each side, the window shrinking
// symmetrically at the edges so that a slope is not biased.
func runningMedian(t []float64) []float64 {
	out := make([]float64, len(t))
	var buf [2*halfWidth + 1]float64
	for i := range t {
		h := min(halfWidth, i, len(t)-1-i)
		w := buf[:copy(buf[:], t[i-h:i+h+1])]
		slices.Sort(w)
		out[i] = w[h]
	}
	return out
}

// activeOver is the active level of the frame powers over a noise power, in dB.
func activeOver(power []float64, noise float64) float64 {
	d := make([]float64, len(power))
	for i, p := range power {
		d[i] = max(p-noise, 0)
	}
	slices.SortFunc(d, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	active := d[0]
	var sum float64
	for i, v := range d {
		sum += v
		if c := sum / float64(i+1); v*activeMargin >= c {
			active = c
		}
	}
	v := 10 * math.Log10((active+tiny)/(noise+tiny))
	return min(max(v, lowest), highest)
}

// texture is the spread of band levels in dB that is not one spectrum times one loudness curve.
func texture(d [][]float64) float64 {
	centre := func() {
		for b := range d[0] {
			var mean float64
			for t := range d {
				mean += d[t][b]
			}
			mean /= float64(len(d))
			for t := range d {
				d[t][b] -= mean
			}
		}
	}
	centre()
	buf := make([]float64, len(d[0]))
	for _, row := range d {
		copy(buf, row)
		slices.Sort(buf)
		med := buf[len(buf)/2]
		for b := range row {
			row[b] -= med
		}
	}
	centre()
	var sum float64
	for _, row := range d {
		for _, v := range row {
			sum += v * v
		}
	}
	return math.Sqrt(sum / float64(len(d)*len(d[0])))
}

// measureLevel stores peak, offset and the share of clipped samples.
func measureLevel(x []float32, m sample.Metrics) {
	if len(x) == 0 {
		return
	}
	var most, sum float64
	clipped := 0
	for _, v := range x {
		f := float64(v)
		sum += f
		f = math.Abs(f)
		most = max(most, f)
		if f >= 0.999 {
			clipped++
		}
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return
	}
	m["audio_peak_db"] = 20 * math.Log10(max(most, 1e-7))
	m["audio_dc"] = sum / float64(len(x))
	m["audio_clipped_ratio"] = float64(clipped) / float64(len(x))
}

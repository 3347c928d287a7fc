package filters

import (
	"math"
	"slices"

	"prep/mel"
)

const (
	lsb = 1.0 / 32768 // one step of 16 bits
	hop = mel.SpectrumLength / 2
	// Bins kept: 15.6 to 7781 Hz.
	firstBin, endBin = 1, 499
	bins             = endBin - firstBin
	// smooth frames are averaged before the order statistics are taken.
	smooth = 3
	// A bin's floor is at most peak times the median of its neighbours, halfWidth (250 Hz) to each side:
	// a partial that lasts the whole clip is content, not noise.
	halfWidth = 16
	peak      = 1.5
	tonalPeak = 3.0
	edgeRun   = 320   // samples of constant value at an end that count as padding: 20 ms
	minimum   = 8000  // samples
	minFrames = 12    // of the spectrogram
	quietest  = -80.0 // dB of the loudest frame: below, 16-bit steps are no longer small
	// activeMargin is ITU-T P.56's 15.9 dB.
	activeMargin = 38.904514499428066
	tiny         = 1e-14
	lowest       = -15.0
	highest      = 60.0
	// loudest is where samples are scaled down first, so that their power stays within float32.
	loudest = 1e6
)

// The three floors: quantiles over time, and what the same sum gives on white Gaussian noise of unit
// power. The middle one is the value.
var floors = [3]struct{ quantile, bias float64 }{{0.05, 0.28}, {0.15, 0.445}, {0.50, 0.888}}

// bandEdges cut the spectrum into 13 bands for the texture, in bins of the transform.
var bandEdges = [bands + 1]int{2, 10, 19, 32, 48, 64, 90, 122, 160, 205, 256, 320, 397, 499}

const bands = 13

// hann is the periodic Hann window, scaled so that the power of a frame's bins sums to its mean power.
var hann = func() (w [mel.SpectrumLength]float32) {
	const n, energy = mel.SpectrumLength, 0.375 * mel.SpectrumLength // the sum of the squared window
	for i := range w {
		w[i] = float32((0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/n)) / math.Sqrt(energy*n/2))
	}
	return w
}()

// floorSNR is the estimator tf-floor-1: the active level (ITU-T P.56's, in frames) over a floor found as a
// quantile over time in each frequency bin (after Stahl, Fischer and Bippus, ICASSP 2000), held down by the
// median over frequency:
//
//	S[t,f]  power spectra of 64 ms every 32 ms, digital silence left out;  P[t] = sum_f S[t,f]
//	L[t,f]  mean of S over three frames;  T_q[f] = quantile q of L[.,f];  M_q = running median of T_q over f
//	N_q     = sum_f min(T_q, 1.5 M_q) / bias_q
//	SNR_q   = active level of max(P - N_q, 0) over N_q, in dB, -15 to 60;  the value is that of q = 0.15
//
// It tells steady noise, to 2 dB on mixtures; noise that comes and goes reads as signal. Spectra are float32,
// sums float64.
func floorSNR(mono []float32) SNR { return estimateFloor(mono, nil) }

// estimateFloor is floorSNR. It fills what the traits are made of where c is not nil.
func estimateFloor(mono []float32, c *clipFigures) SNR {
	x := trimEnds(mono)
	e := SNR{Method: FloorMethod, Padded: float64(len(mono)-len(x)) / float64(max(len(mono), 1))}
	switch {
	case len(x) == 0 && len(mono) > 0:
		e.Unmeasured = "silent"
		return e
	case len(x) < minimum:
		e.Unmeasured = "too_short"
		return e
	}
	y := centred(x)
	power, keep, zero := spectra(x, y)
	n := len(keep)
	e.Zero = zero
	if n < minFrames {
		e.Unmeasured = "too_short"
		return e
	}
	total := make([]float64, n)
	for f := range bins {
		for t, v := range power[f*n:][:n] {
			total[t] += float64(v)
		}
	}
	if decibels(slices.Max(total)+tiny) < quietest {
		e.Unmeasured = "too_quiet"
		return e
	}
	if c != nil {
		c.seconds, c.frame = float64(len(x))/mel.SampleRate, total
		c.cellFigures(power, n)
		c.waveFigures(y, keep)
	}
	rows := n - smooth + 1
	level := make([]float64, bands*rows)
	var quantiles [len(floors)][bins]float64
	order, scratch := make([]uint32, rows), make([]uint32, rows)
	band := 0
	for f := range bins {
		row := power[f*n:][:n]
		for t := range rows {
			row[t] = (row[t] + row[t+1] + row[t+2]) * float32(1.0/smooth)
		}
		row = row[:rows]
		if bin := f + firstBin; bin >= bandEdges[0] {
			for bin >= bandEdges[band+1] {
				band++
			}
			sum := level[band*rows:][:rows]
			for t, v := range row {
				sum[t] += float64(v)
			}
		}
		// Powers are not negative, so that their bits have their order.
		for t, v := range row {
			order[t] = math.Float32bits(v)
		}
		end := rows
		for i := len(floors) - 1; i >= 0; i-- { // what lies below a quantile holds the lower ones
			quantiles[i][f], end = quantile(order, scratch, end, floors[i].quantile)
		}
	}
	var values [len(floors)]float64
	var median [bins]float64
	for i, fl := range floors {
		q := &quantiles[i]
		runningMedian(&median, q)
		var sum, all, held float64
		for f, v := range q {
			sum += min(v, peak*median[f])
			all += v
			held += min(v, tonalPeak*median[f])
		}
		if c != nil && i == 1 {
			for f, v := range q {
				c.floor[f] = min(v, peak*median[f])
			}
		}
		values[i] = activeOver(total, sum/fl.bias)
		if fl.quantile == 0.5 {
			e.Tonal = 1 - held/(all+tiny)
		}
	}
	e.Optimistic, e.SNR = values[0], values[1]
	e.Low, e.High = slices.Min(values[:]), slices.Max(values[:])
	e.Texture = texture(level, rows)
	e.Measured = true
	if c != nil {
		c.quantile, c.pessimistic, c.estimate = quantiles, values[2], e
	}
	return e
}

// trimEnds removes a run of at least 20 ms within 1.5 steps of the first sample at the start, and of the
// last at the end. Nothing is left when no sample leaves the first one's band.
func trimEnds(x []float32) []float32 {
	if len(x) == 0 {
		return x
	}
	outside := func(v, of float32) bool { return math.Abs(float64(v)-float64(of)) > 1.5*lsb }
	first := 0
	for first < len(x) && !outside(x[first], x[0]) {
		first++
	}
	if first == len(x) {
		return nil
	}
	last := len(x) - 1 // some sample is outside: not all can be within one band of both ends' sample
	for last >= 0 && !outside(x[last], x[len(x)-1]) {
		last--
	}
	a, b := 0, len(x)
	if first >= edgeRun {
		a = first
	}
	if len(x)-1-last >= edgeRun {
		b = last + 1
	}
	return x[a:max(a, b)]
}

// centred is x less its mean. What is too loud for powers in float32 is scaled down first.
func centred(x []float32) []float32 {
	var sum, most float64
	for _, v := range x {
		sum += float64(v)
		if a := math.Abs(float64(v)); a > most {
			most = a
		}
	}
	mean, scale := sum/float64(len(x)), 1.0
	if most > loudest {
		scale = 1 / most
	}
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32((float64(v) - mean) * scale)
	}
	return y
}

// spectra gives the power of the kept bins, bin-major [bins][frames], of Hann windows over y, which is x less
// its mean. Frames of digital silence are left out: keep has the others, zero is the share of the silent ones.
func spectra(x, y []float32) (power []float32, keep []int, zero float64) {
	power, frames := mel.Spectrogram(y, &hann, hop)
	if frames == 0 {
		return nil, nil, 0
	}
	power = power[firstBin*frames : endBin*frames]
	// A frame is two hops.
	type span struct{ low, high float32 }
	spans := make([]span, frames+1)
	for i := range spans {
		part := x[i*hop:][:hop]
		s := span{part[0], part[0]}
		for _, v := range part {
			if v < s.low { // min and max take care of what is no number, at five times the cost
				s.low = v
			} else if v > s.high {
				s.high = v
			}
		}
		spans[i] = s
	}
	for t := range frames {
		a, b := spans[t], spans[t+1]
		if float64(max(a.high, b.high))-float64(min(a.low, b.low)) > 3*lsb {
			keep = append(keep, t)
		}
	}
	if len(keep) == frames {
		return power, keep, 0
	}
	for f := range bins {
		for i, t := range keep {
			power[f*len(keep)+i] = power[f*frames+t]
		}
	}
	return power[:bins*len(keep)], keep, 1 - float64(len(keep))/float64(frames)
}

// quantile interpolates linearly at position q(n-1) of the order statistics of the n floats whose bits v
// holds. Its first end elements, at least two, must be the smallest and include those needed. It reorders v, with
// the help of scratch of the same length; the new end
// bounds what includes the lower quantiles.
func quantile(v, scratch []uint32, end int, q float64) (float64, int) {
	p := q * float64(len(v)-1)
	i := int(p)
	selectRank(v[:end], scratch, i)
	low := float64(math.Float32frombits(v[i]))
	if i+1 >= end {
		return low, i + 1
	}
	high := float64(math.Float32frombits(slices.Min(v[i+1 : end])))
	return low + float64((p-float64(i))*(high-low)), i + 1
}

// selectRank reorders v so that v[k] is what it would be in sorted order, with nothing greater before it and
// nothing less after it: Hoare's FIND, with a partition into scratch that has no branch to mispredict. scratch
// is at least as long as v.
func selectRank(v, scratch []uint32, k int) {
	for len(v) > 12 {
		n := len(v)
		a, b, c := v[0], v[n/2], v[n-1]
		pivot := max(min(a, b), min(max(a, b), c))
		less := partition(v, scratch[:n], pivot)
		switch {
		case k < less:
			v = v[:less]
			continue
		case less == 0 && pivot < math.MaxUint32: // the pivot is the least: its equals come first
			less = partition(v, scratch[:n], pivot+1)
			if k < less {
				return
			}
		}
		v, k = v[less:], k-less
	}
	insertionSort(v)
}

// partition moves what is less than pivot to the front and says how many that is.
func partition(v, scratch []uint32, pivot uint32) int {
	front, back := 0, len(v)-1
	for _, x := range v {
		scratch[front] = x
		scratch[back] = x
		less := 0
		if x < pivot {
			less = 1
		}
		front += less
		back -= 1 - less
	}
	copy(v, scratch)
	return front
}

func insertionSort(v []uint32) {
	for i := 1; i < len(v); i++ {
		x, j := v[i], i
		for ; j > 0 && v[j-1] > x; j-- {
			v[j] = v[j-1]
		}
		v[j] = x
	}
}

// runningMedian takes the median over up to 16 neighbours to each side, the window shrinking symmetrically
// at the edges so that a slope is not biased.
func runningMedian(median, t *[bins]float64) {
	var sorted [2*halfWidth + 2]float64
	window := sorted[:0]
	low, high := 0, 0 // the window holds t[low:high]
	for i := range t {
		h := min(halfWidth, i, bins-1-i)
		for high <= i+h {
			at, _ := slices.BinarySearch(window, t[high])
			window = slices.Insert(window, at, t[high])
			high++
			if low < i-h {
				at, _ = slices.BinarySearch(window, t[low])
				window = slices.Delete(window, at, at+1)
				low++
			}
		}
		for low < i-h {
			at, _ := slices.BinarySearch(window, t[low])
			window = slices.Delete(window, at, at+1)
			low++
		}
		median[i] = window[h]
	}
}

// activeOver is the active level of the frame powers over a noise power, in dB: the mean over the k loudest
// frames, k the greatest for which the k-th is within the margin of that mean.
func activeOver(power []float64, noise float64) float64 {
	d := make([]float64, len(power))
	for i, p := range power {
		d[i] = max(p-noise, 0)
	}
	slices.Sort(d)
	active := d[len(d)-1]
	var sum float64
	for k := 1; k <= len(d); k++ {
		v := d[len(d)-k]
		sum += v
		if mean := sum / float64(k); v*activeMargin >= mean {
			active = mean
		}
	}
	v := decibels((active + tiny) / (noise + tiny))
	return min(max(v, lowest), highest)
}

// texture is the spread of band levels in dB that is not one spectrum times one loudness curve: the root mean
// square that is left when each band's mean over time and then each frame's median over the bands are taken
// away. level holds the bands' powers, [bands][rows], and is changed.
func texture(level []float64, rows int) float64 {
	for i, v := range level {
		level[i] = decibels(v + 1e-12)
	}
	centre := func() {
		for b := range bands {
			row := level[b*rows:][:rows]
			var mean float64
			for _, v := range row {
				mean += v
			}
			mean /= float64(rows)
			for t := range row {
				row[t] -= mean
			}
		}
	}
	centre()
	var frame [bands]float64
	for t := range rows {
		for b := range frame {
			frame[b] = level[b*rows+t]
		}
		slices.Sort(frame[:])
		for b := range bands {
			level[b*rows+t] -= frame[bands/2]
		}
	}
	centre()
	var sum float64
	for _, v := range level {
		sum += float64(v * v)
	}
	return math.Sqrt(sum / float64(len(level)))
}

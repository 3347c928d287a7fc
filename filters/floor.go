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
		w[i] = float32((0.5 - float64(0.5*math.Cos(2*math.Pi*float64(i)/n))) / math.Sqrt(energy*n/2))
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
func floorSNR(mono []float32, levels *blockLevels) SNR {
	c := figuring.Get().(*clipFigures)
	defer figuring.Put(c)
	return c.measure(mono, levels)
}

// measure is floorSNR. It fills what the traits are made of. levels are those of mono.
func (c *clipFigures) measure(mono []float32, levels *blockLevels) SNR {
	x := trimEnds(mono)
	e := SNR{Method: FloorMethod, Padded: float64(len(mono)-len(x)) / float64(max(len(mono), 1))}
	switch {
	case len(x) == 0 && len(mono) > 0:
		e.Unmeasured = "silent"
		return e
	case len(x) < minimum:
		e.Unmeasured = "too_short"
		return e
	case len(x) != len(mono):
		levels = &c.levels
		levels.measure(x)
	}
	c.centre(x, levels)
	e.Zero = c.spectra(levels)
	n := c.frames
	if n < minFrames {
		e.Unmeasured = "too_short"
		return e
	}
	c.cells()
	if decibels(slices.Max(c.frame[:n])+tiny) < quietest {
		e.Unmeasured = "too_quiet"
		return e
	}
	c.seconds = float64(len(x)) / mel.SampleRate
	c.bins()
	order := slices.Clone(c.frame[:n])
	slices.Sort(order)
	var values [len(floors)]float64
	var median [bins]float64
	for i, fl := range floors {
		q := &c.quantile[i]
		runningMedian(&median, q)
		var sum, all, held float64
		for f, v := range q {
			sum += min(v, peak*median[f])
			all += v
			held += min(v, tonalPeak*median[f])
		}
		if i == 1 {
			for f, v := range q {
				c.floor[f] = min(v, peak*median[f])
			}
		}
		values[i] = activeOver(order, sum/fl.bias)
		if fl.quantile == 0.5 {
			e.Tonal = 1 - held/(all+tiny)
		}
	}
	e.Optimistic, e.SNR = values[0], values[1]
	e.Low, e.High = slices.Min(values[:]), slices.Max(values[:])
	e.Texture = c.texture()
	e.Measured = true
	c.pessimistic, c.estimate = values[2], e
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

// centre fills wave with x less its mean, and what is summed over its samples. What is too loud for powers in
// float32 is scaled down first.
func (c *clipFigures) centre(x []float32, levels *blockLevels) {
	low, high, sum := levels.total()
	if most := max(-low, high); most > loudest {
		c.scaled = slices.Grow(c.scaled[:0], len(x))[:len(x)]
		for i, v := range x {
			c.scaled[i] = v / most
		}
		var scaled blockLevels
		scaled.measure(c.scaled)
		x = c.scaled
		_, _, sum = scaled.total()
	}
	mean := float32(sum / float64(len(x)))
	c.wave = slices.Grow(c.wave[:0], len(x))[:len(x)]
	blocks := len(x) / shortFrame
	for _, v := range []*[]float64{&c.short, &c.fourth, &c.crossed} {
		*v = slices.Grow((*v)[:0], blocks)[:blocks]
	}
	done := 0
	if vector != nil {
		done = vector.centre(c, x, mean)
	}
	c.plainCentre(x, mean, done)
}

// plainCentre does the short frames from the given one on, and what is left of the sound. Sums run in four strands,
// as the vector kernel's.
func (c *clipFigures) plainCentre(x []float32, mean float32, from int) {
	for i := from; i < len(c.short); i++ {
		part, out := (*[shortFrame]float32)(x[i*shortFrame:]), (*[shortFrame]float32)(c.wave[i*shortFrame:])
		var s0, s1, s2, s3, f0, f1, f2, f3 float64
		crossings := uint32(0)
		before := math.Float32bits(part[0] - mean)
		for j := 0; j < shortFrame; j += 4 {
			v0, v1, v2, v3 := part[j]-mean, part[j+1]-mean, part[j+2]-mean, part[j+3]-mean
			out[j], out[j+1], out[j+2], out[j+3] = v0, v1, v2, v3
			b0, b1, b2, b3 := math.Float32bits(v0), math.Float32bits(v1), math.Float32bits(v2), math.Float32bits(v3)
			crossings += (b0^before)>>31 + (b1^b0)>>31 + (b2^b1)>>31 + (b3^b2)>>31
			before = b3
			p0, p1 := float64(float64(v0)*float64(v0)), float64(float64(v1)*float64(v1)) // exact
			p2, p3 := float64(float64(v2)*float64(v2)), float64(float64(v3)*float64(v3))
			s0, s1, s2, s3 = s0+p0, s1+p1, s2+p2, s3+p3
			f0, f1, f2, f3 = f0+float64(p0*p0), f1+float64(p1*p1), f2+float64(p2*p2), f3+float64(p3*p3)
		}
		c.short[i], c.fourth[i], c.crossed[i] = (s0+s1)+(s2+s3), (f0+f1)+(f2+f3), float64(crossings)
	}
	for i := len(c.short) * shortFrame; i < len(x); i++ {
		c.wave[i] = x[i] - mean
	}
}

// spectra fills power with that of the kept bins, bin-major [bins][stride], of Hann windows over the wave. Frames of
// digital silence, by the levels of the sound, are left out: keep has the others, silent is the share of the
// silent ones. What lies between the frames and the stride is 0.
func (c *clipFigures) spectra(levels *blockLevels) (silent float64) {
	all := mel.SpectrumFrames(len(c.wave), hop)
	c.frames, c.keep = 0, c.keep[:0]
	if all == 0 {
		return 0
	}
	const each = mel.SpectrumLength / blockLength
	for t := range all {
		at := t * hop / blockLength
		if float64(slices.Max(levels.high[at:at+each]))-float64(slices.Min(levels.low[at:at+each])) > 3*lsb {
			c.keep = append(c.keep, t)
		}
	}
	n := len(c.keep)
	stride := (all + 7) / 8 * 8
	c.frames, c.stride = n, stride
	c.spectrum = mel.SpectrogramInto(c.spectrum, c.wave, &hann, hop, stride)
	c.power = c.spectrum[firstBin*stride : (endBin+1)*stride] // a row more, to read beyond the last
	for f := range bins {
		row := c.power[f*stride:][:stride]
		if n < all {
			for i, t := range c.keep {
				row[i] = row[t]
			}
		}
		clear(row[n:])
	}
	return 1 - float64(n)/float64(all)
}

// bins fills the means and the quantiles of the bins, of what is smoothed over three frames.
func (c *clipFigures) bins() {
	n, rows := c.frames, c.frames-smooth+1
	if vector != nil {
		c.column = slices.Grow(c.column[:0], n)[:n]
		for from := 0; from < bins; from += 8 {
			from = min(from, bins-8)
			vector.column(c, from)
			for i, fl := range floors {
				p := float64(fl.quantile * float64(rows-1))
				k := int(p)
				for j, low := range c.column[k] {
					low, high := float64(low), float64(c.column[k+1][j])
					c.quantile[i][from+j] = low + float64((p-float64(k))*(high-low))
				}
			}
		}
		return
	}
	order, scratch := make([]uint32, rows), make([]uint32, rows)
	for f := range bins {
		row := c.power[f*c.stride:][:n]
		var total float64
		for _, v := range row {
			total += float64(v)
		}
		c.mean[f] = total / float64(n)
		// Powers are not negative, so that their bits have their order.
		for t := range order {
			order[t] = math.Float32bits((row[t] + row[t+1] + row[t+2]) * float32(1.0/smooth))
		}
		end := rows
		for i := len(floors) - 1; i >= 0; i-- { // what lies below a quantile holds the lower ones
			c.quantile[i][f], end = quantile(order, scratch, end, floors[i].quantile)
		}
	}
}

// quantile interpolates linearly at position q(n-1) of the order statistics of the n floats whose bits v
// holds. Its first end elements, at least two, must be the smallest and include those needed. It reorders v, with
// the help of scratch of the same length; the new end
// bounds what includes the lower quantiles.
func quantile(v, scratch []uint32, end int, q float64) (float64, int) {
	p := float64(q * float64(len(v)-1))
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
	var window [2*halfWidth + 1]float64 // sorted
	for h := range halfWidth {
		for _, ends := range [2]int{h, bins - 1 - h} {
			w := window[:2*h+1]
			copy(w, t[ends-h:])
			sortFew(w)
			median[ends] = w[h]
		}
	}
	copy(window[:], t[:])
	sortFew(window[:])
	median[halfWidth] = window[halfWidth]
	for i := halfWidth + 1; i < bins-halfWidth; i++ {
		out, in := t[i-halfWidth-1], t[i+halfWidth]
		// What lies between the one that leaves and the one that comes moves by a place.
		k := 0
		for window[k] != out {
			k++
		}
		for ; k > 0 && window[k-1] > in; k-- {
			window[k] = window[k-1]
		}
		for ; k < len(window)-1 && window[k+1] < in; k++ {
			window[k] = window[k+1]
		}
		window[k] = in
		median[i] = window[halfWidth]
	}
}

func sortFew(v []float64) {
	for i := 1; i < len(v); i++ {
		x, j := v[i], i
		for ; j > 0 && v[j-1] > x; j-- {
			v[j] = v[j-1]
		}
		v[j] = x
	}
}

// activeOver is the active level of the frame powers, in ascending order, over a noise power, in dB: the mean over
// the k loudest frames, k the greatest for which the k-th is within the margin of that mean.
func activeOver(power []float64, noise float64) float64 {
	last := len(power) - 1
	active := max(power[last]-noise, 0)
	var sum float64
	for k := 1; k <= len(power); k++ {
		v := max(power[last+1-k]-noise, 0)
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
// away, of the bands' powers over three frames.
func (c *clipFigures) texture() float64 {
	rows := c.frames - smooth + 1
	c.level = slices.Grow(c.level[:0], bands*rows)[:bands*rows]
	level := c.level
	for b := range bands {
		p := c.band[b*c.stride:][:c.frames]
		out := level[b*rows:][:rows]
		for t := range out {
			out[t] = (p[t] + p[t+1] + p[t+2]) * (1.0 / smooth)
		}
	}
	inDecibels(level, 1e-12)
	centre := func() {
		for b := range bands {
			row := level[b*rows:][:rows]
			m := mean(row)
			for t := range row {
				row[t] -= m
			}
		}
	}
	centre()
	var frame [bands]float64
	for t := range rows {
		for b := range frame {
			frame[b] = level[b*rows+t]
		}
		sortFew(frame[:])
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

package filters

import (
	"math"
	"slices"
)

// shortFrame is the length of the short frames in samples: 4 ms, sixteen in a frame of the spectrogram.
const shortFrame = 64

// clipFigures is what the traits are made of. Frames are those of the spectrogram that are no digital
// silence.
type clipFigures struct {
	estimate    SNR
	pessimistic float64 // its value over the highest floor
	seconds     float64
	frame       []float64 // power of each frame
	noisy       []float64 // of each frame: mean over bins of |a-b|/(a+b), a and b two frames apart; 0.5 in Gaussian noise
	peaky       []float64 // the same with a and b two bins apart
	narrow      []float64 // of each frame: sum of squared bins over squared sum
	bands       []float64 // power of the bands, [bands][frames]
	noisyBand   [bands]float64
	short       []float64 // power of short frames, in order of time, of the sound without its padding
	crest       []float64 // of each frame: largest of its short frames over their mean
	kurtosis    []float64 // of each frame
	crossings   []float64 // of each frame: share of samples at which the sign changes
	whole       float64   // kurtosis of the sound
	quantile    [len(floors)][bins]float64
	mean        [bins]float64 // mean power of each bin
	floor       [bins]float64 // the middle floor
}

// traitBuilder collects the traits, which the trees of the model know by their place.
type traitBuilder struct {
	values []float32
	names  []string // nil when they are not wanted
}

func (b *traitBuilder) add(name string, v float64) {
	if b.names != nil {
		b.names = append(b.names, name)
	}
	b.values = append(b.values, float32(v))
}

// spread adds quantiles of v, which it reorders.
func (b *traitBuilder) spread(name string, v []float64, relative bool, qs ...float64) {
	slices.Sort(v)
	base := 0.0
	if relative {
		base = sortedQuantile(v, 0.95)
	}
	for _, q := range qs {
		label := name
		if b.names != nil {
			label = name + "_" + percent(q)
		}
		b.add(label, sortedQuantile(v, q)-base)
	}
}

// percent names a quantile, p005 for 0.05.
func percent(q float64) string {
	n := int(math.Round(q * 100))
	return string([]byte{'p', byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

func sortedQuantile(v []float64, q float64) float64 {
	p := q * float64(len(v)-1)
	i := int(p)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + float64((p-float64(i))*(v[i+1]-v[i]))
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(max(len(v), 1))
}

// moments gives standard deviation, skewness and excess kurtosis.
func moments(v []float64) (deviation, skew, kurtosis float64) {
	m := mean(v)
	var s2, s3, s4 float64
	for _, x := range v {
		d := x - m
		d2 := float64(d * d)
		s2 += d2
		s3 += float64(d2 * d)
		s4 += float64(d2 * d2)
	}
	n := float64(max(len(v), 1))
	s2, s3, s4 = s2/n, s3/n, s4/n
	if s2 < 1e-12 {
		return 0, 0, 0
	}
	deviation = math.Sqrt(s2)
	return deviation, s3 / float64(s2*deviation), s4/float64(s2*s2) - 3
}

// changes gives the mean absolute difference of values lag apart.
func changes(v []float64, lag int) float64 {
	if len(v) <= lag {
		return 0
	}
	var sum float64
	for i := lag; i < len(v); i++ {
		sum += math.Abs(v[i] - v[i-lag])
	}
	return sum / float64(len(v)-lag)
}

func correlation(a, b []float64) float64 {
	ma, mb := mean(a), mean(b)
	var aa, bb, ab float64
	for i := range a {
		x, y := a[i]-ma, b[i]-mb
		aa += float64(x * x)
		bb += float64(y * y)
		ab += float64(x * y)
	}
	return ab / math.Sqrt(float64(aa*bb)+1e-12)
}

// build computes the traits. It changes what c holds.
func (b *traitBuilder) build(c *clipFigures) {
	e := &c.estimate
	b.add("snr_05", e.Optimistic)
	b.add("snr_15", e.SNR)
	b.add("snr_50", c.pessimistic)
	b.add("texture", e.Texture)
	b.add("tonal", e.Tonal)
	b.add("zero", e.Zero)
	b.add("seconds", c.seconds)

	// Frames: how levels are spread, and whether the quiet ones sound like the loud ones.
	n := len(c.frame)
	level := make([]float64, n)
	for i, p := range c.frame {
		level[i] = decibels(p + tiny)
	}
	order := slices.Clone(level)
	slices.Sort(order)
	quietest, loudest := sortedQuantile(order, 0.2), sortedQuantile(order, 0.8)
	quiet, loud := make([]bool, n), make([]bool, n)
	for i, l := range level {
		quiet[i], loud[i] = l <= quietest, l >= loudest
	}
	b.add("loudness", order[n-1])
	b.add("softness", order[0])
	deviation, skew, kurtosis := moments(level)
	b.add("level_deviation", deviation)
	b.add("level_skew", skew)
	b.add("level_kurtosis", kurtosis)
	for _, lag := range []int{1, 2, 4, 8, 16, 32} {
		b.add("level_change", changes(level, lag))
	}
	var rises, falls, jumps float64
	steps := make([]float64, 0, n)
	for i := 1; i < n; i++ {
		d := level[i] - level[i-1]
		steps = append(steps, d)
		if d > 0 {
			rises++
		}
		if d > 10 {
			jumps++
		}
		if d < -6 {
			falls++
		}
	}
	b.add("rising", rises/float64(n))
	b.add("jumps", jumps/c.seconds)
	b.add("drops", falls/c.seconds)
	_, skew, _ = moments(steps)
	b.add("step_skew", skew)
	b.spread("step", steps, false, 0.02, 0.1, 0.9, 0.98)
	halves := func(name string, v []float64) {
		var q, l, nq, nl float64
		for i := range n {
			if quiet[i] {
				q += v[i]
				nq++
			}
			if loud[i] {
				l += v[i]
				nl++
			}
		}
		b.add(name+"_quiet", q/max(nq, 1))
		b.add(name+"_loud", l/max(nl, 1))
	}
	for i := range c.narrow {
		c.narrow[i] = decibels(c.narrow[i] + 1e-6)
		c.crest[i] = decibels(c.crest[i] + 1e-6)
	}
	for _, f := range []struct {
		name   string
		values []float64
	}{{"noisy", c.noisy}, {"peaky", c.peaky}, {"narrow", c.narrow}, {"crest", c.crest}, {"kurtosis", c.kurtosis}, {"crossings", c.crossings}} {
		halves(f.name, f.values)
		b.spread(f.name, f.values, false, 0.05, 0.5, 0.95)
	}
	b.spread("level", level, true, 0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1)
	b.add("whole_kurtosis", math.Sqrt(c.whole))

	// Bands: modulation, and whether they move together.
	var band [bands][]float64
	var quietBand, loudBand [bands]float64
	for i := range band {
		row := c.bands[i*n:][:n]
		for t, p := range row {
			if quiet[t] {
				quietBand[i] += p
			}
			if loud[t] {
				loudBand[i] += p
			}
			row[t] = decibels(p + 1e-12)
		}
		band[i] = row
	}
	for _, lag := range []int{1, 4, 16} {
		var sum, least, most float64
		least = math.Inf(1)
		for i := range band {
			v := changes(band[i], lag)
			sum += v
			least, most = min(least, v), max(most, v)
		}
		b.add("band_change", sum/bands)
		b.add("band_change_least", least)
		b.add("band_change_most", most)
	}
	var near, far float64
	for i := 0; i+1 < bands; i++ {
		near += correlation(band[i], band[i+1])
	}
	for i := 0; i+6 < bands; i++ {
		far += correlation(band[i], band[i+6])
	}
	b.add("together_near", near/(bands-1))
	b.add("together_far", far/(bands-6))
	var contrast []float64
	for i := range band {
		contrast = append(contrast, decibels(loudBand[i]+1e-12)-decibels(quietBand[i]+1e-12))
	}
	deviation, _, _ = moments(contrast)
	b.add("contrast_deviation", deviation)
	b.spread("contrast", contrast, false, 0.1, 0.5, 0.9)
	for i := range c.noisyBand {
		b.add("noisy_band", c.noisyBand[i])
	}
	var ranges []float64
	for i := range band {
		slices.Sort(band[i])
		ranges = append(ranges, sortedQuantile(band[i], 0.95)-sortedQuantile(band[i], 0.1))
		b.add("band_range", ranges[i])
	}
	b.spread("band_ranges", ranges, false, 0.1, 0.5, 0.9)

	// Bins: how far each lies above its own floor, and how steady that is.
	var over, steady, deep [bins]float64
	for f := range bins {
		over[f] = decibels(c.mean[f]+1e-14) - decibels(c.quantile[2][f]+1e-14)
		steady[f] = decibels(c.quantile[2][f]+1e-14) - decibels(c.quantile[1][f]+1e-14)
		deep[f] = decibels(c.quantile[1][f]+1e-14) - decibels(c.quantile[0][f]+1e-14)
	}
	b.spread("over", over[:], false, 0.05, 0.25, 0.5, 0.75, 0.95)
	b.spread("steady", steady[:], false, 0.05, 0.25, 0.5, 0.75, 0.95)
	b.spread("deep", deep[:], false, 0.05, 0.25, 0.5, 0.75, 0.95)
	var floorBand, meanBand [bands]float64
	for i := range bands {
		for f := bandEdges[i] - firstBin; f < bandEdges[i+1]-firstBin; f++ {
			floorBand[i] += c.floor[f]
			meanBand[i] += c.mean[f]
		}
	}
	floorAll, meanAll := sum(floorBand[:])+1e-14, sum(meanBand[:])+1e-14
	var flat float64
	for i := range bands {
		b.add("band_over", decibels(meanBand[i]+1e-14)-decibels(floorBand[i]+1e-14))
	}
	for i := range bands {
		share := decibels(floorBand[i]+1e-14) - decibels(floorAll)
		flat += share
		b.add("floor_share", share)
	}
	b.add("floor_flatness", flat/bands)
	flat = 0
	for i := range bands {
		flat += decibels(meanBand[i]+1e-14) - decibels(meanAll)
	}
	b.add("mean_flatness", flat/bands)
	var high float64
	for i := bands - 4; i < bands; i++ {
		high += meanBand[i]
	}
	b.add("high_share", decibels(high+1e-14)-decibels(meanAll))

	// Short frames: clicks and grain.
	short := c.short
	for i, p := range short {
		short[i] = decibels(p + 1e-12)
	}
	for _, lag := range []int{1, 2, 4, 8} {
		b.add("short_change", changes(short, lag))
	}
	_, skew, kurtosis = moments(short)
	b.add("short_skew", skew)
	b.add("short_kurtosis", kurtosis)
	b.spread("short", short, true, 0.02, 0.1, 0.25, 0.5, 0.75, 0.99, 1)
}

func sum(v []float64) float64 {
	var s float64
	for _, x := range v {
		s += x
	}
	return s
}

// cellFigures fills what is summed over the cells of the spectrogram, power [bins][n].
func (c *clipFigures) cellFigures(power []float32, n int) {
	c.noisy, c.peaky, c.narrow = make([]float64, n), make([]float64, n), make([]float64, n)
	c.bands = make([]float64, bands*n)
	band := 0
	var width [bands]int
	for f := range bins {
		row := power[f*n:][:n]
		var total float64
		for t, v := range row {
			p := float64(v)
			total += p
			c.narrow[t] += float64(p * p)
		}
		c.mean[f] = total / float64(n)
		bin := f + firstBin
		inBand := bin >= bandEdges[0]
		if inBand {
			for bin >= bandEdges[band+1] {
				band++
			}
			out := c.bands[band*n:][:n]
			for t, v := range row {
				out[t] += float64(v)
			}
		}
		if f%2 == 1 {
			continue
		}
		var noisy float64
		for t := 0; t+2 < n; t++ {
			a, d := row[t], row[t+2]
			r := float64(float32(math.Abs(float64(a-d))) / (a + d + 1e-20))
			noisy += r
			c.noisy[t] += r
		}
		if inBand {
			c.noisyBand[band] += noisy / float64(max(n-2, 1))
			width[band]++
		}
		if f+2 < bins {
			next := power[(f+2)*n:][:n]
			for t, a := range row {
				d := next[t]
				c.peaky[t] += float64(float32(math.Abs(float64(a-d))) / (a + d + 1e-20))
			}
		}
	}
	for i := range width {
		c.noisyBand[i] /= float64(max(width[i], 1))
	}
	const half = bins / 2
	for t := range n {
		c.noisy[t] /= half
		c.peaky[t] /= half - 1
		c.narrow[t] /= float64(c.frame[t]*c.frame[t]) + 1e-28
	}
	if n > 2 { // the last two frames have no later one
		c.noisy[n-1], c.noisy[n-2] = c.noisy[n-3], c.noisy[n-3]
	}
}

// waveFigures fills what is summed over samples. x is without its mean, keep names the frames of the
// spectrogram that count.
func (c *clipFigures) waveFigures(x []float32, keep []int) {
	count := len(x) / shortFrame
	c.short = make([]float64, count)
	fourth := make([]float64, count)
	cross := make([]float64, count)
	for i := range count {
		var s2, s4 float64
		crossings := 0
		part := x[i*shortFrame:][:shortFrame]
		before := part[0]
		for _, v := range part {
			p := float64(v) * float64(v)
			s2 += p
			s4 += float64(p * p)
			crossings += int((math.Float32bits(v) ^ math.Float32bits(before)) >> 31)
			before = v
		}
		c.short[i], fourth[i], cross[i] = s2, s4, float64(crossings)
	}
	c.whole = sum(fourth) * float64(count*shortFrame) / (float64(sum(c.short)*sum(c.short)) + 1e-28)
	const each = 2 * hop / shortFrame
	for _, t := range keep {
		var s2, s4, most, crossings float64
		for i := t * hop / shortFrame; i < t*hop/shortFrame+each; i++ {
			s2 += c.short[i]
			s4 += fourth[i]
			crossings += cross[i]
			most = max(most, c.short[i])
		}
		c.crest = append(c.crest, most*each/(s2+1e-20))
		c.kurtosis = append(c.kurtosis, math.Sqrt(s4*2*hop/(float64(s2*s2)+1e-28)))
		c.crossings = append(c.crossings, crossings/(2*hop))
	}
}

package filters

import (
	"math"
	"slices"
	"sync"
)

// shortFrame is the length of the short frames in samples: 4 ms, sixteen in a frame of the spectrogram.
const shortFrame = 64

// clipFigures is what the estimate and the traits are made of, and the memory in which that is done, which one clip
// leaves to another. Frames are those of the spectrogram that are no digital silence. What there is of each frame is
// as long as the stride.
type clipFigures struct {
	estimate    SNR
	pessimistic float64 // its value over the highest floor
	seconds     float64
	frame       []float64 // power of each frame
	noisy       []float64 // of each frame: mean over bins of |a-b|/(a+b), a and b two frames apart; 0.5 in Gaussian noise
	peaky       []float64 // the same with a and b two bins apart
	narrow      []float64 // of each frame: sum of squared bins over squared sum
	band        []float64 // power of the bands, [bands][stride]
	noisyBand   [bands]float64
	short       []float64 // power of short frames, in order of time, of the sound without its padding
	crest       []float64 // of each frame: largest of its short frames over their mean
	kurtosis    []float64 // of each frame
	crossings   []float64 // of each frame: share of samples at which the sign changes
	whole       float64   // kurtosis of the sound
	quantile    [len(floors)][bins]float64
	mean        [bins]float64 // mean power of each bin
	floor       [bins]float64 // the middle floor

	frames, stride int
	keep           []int     // the frames of the spectrogram that count
	wave           []float32 // the sound without its mean
	fourth         []float64 // of each short frame: sum of fourth powers
	crossed        []float64 // of each short frame: changes of sign
	spectrum       []float32
	power          []float32 // of the kept bins, [bins][stride]
	level          []float64 // of the texture
	noisyNow       []float64
	scaled         []float32
	levels         blockLevels
	column         [][8]float32
	gain           []float64 // loudness of the background of each frame
	columns        []float32
	transformed    []float32
}

// figuring keeps what was used before.
var figuring = sync.Pool{New: func() any { return new(clipFigures) }}

// traitBuilder collects the traits, which the trees of the model know by their place.
type traitBuilder struct {
	values []float32
	names  []string // nil when they are not wanted
	order  ordering
}

func (b *traitBuilder) add(name string, v float64) {
	if b.names != nil {
		b.names = append(b.names, name)
	}
	b.values = append(b.values, float32(v))
}

// spread adds quantiles of v, the least first.
func (b *traitBuilder) spread(name string, v []float64, relative bool, qs ...float64) {
	sorted := b.order.around(v, relative, qs)
	base := 0.0
	if relative {
		base = sortedQuantile(sorted, 0.95)
	}
	for _, q := range qs {
		label := name
		if b.names != nil {
			label = name + "_" + percent(q)
		}
		b.add(label, sortedQuantile(sorted, q)-base)
	}
}

// percent names a quantile, p005 for 0.05.
func percent(q float64) string {
	n := int(math.Round(q * 100))
	return string([]byte{'p', byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

// ordering is the memory in which values are sorted.
type ordering struct {
	count  []uint32 // of the values in each part
	wanted []bool
	spans  [][2]uint32 // of the wanted parts
	value  []float64
	scale  float64
	least  float64
}

// crowded is the most values that may fall into one of the parts.
const crowded = 32

// parts counts v, in which there are finite values only, into as many parts of equal width as there are values:
// count[k] becomes the number of those before part k. ok is false where it does not pay.
func (o *ordering) parts(v []float64) (ok bool) {
	if len(v) < 2 {
		return false
	}
	least, most := v[0], v[0]
	for _, x := range v {
		if x < least {
			least = x
		}
		if x > most {
			most = x
		}
	}
	o.least, o.scale = least, float64(len(v)-1)/(most-least)
	if !(o.scale > 0 && o.scale < math.MaxFloat32) { // all are equal, or next to it
		return false
	}
	o.count = slices.Grow(o.count[:0], len(v)+1)[:len(v)+1]
	clear(o.count)
	for _, x := range v {
		o.count[int((x-o.least)*o.scale)+1]++
	}
	if slices.Max(o.count) > crowded {
		return false
	}
	for i := 1; i < len(o.count); i++ {
		o.count[i] += o.count[i-1]
	}
	return true
}

// sort sorts v, in which there are finite values only: into parts, and then those that lie together.
func (o *ordering) sort(v []float64) {
	if !o.parts(v) {
		slices.Sort(v)
		return
	}
	o.value = append(o.value[:0], v...)
	for _, x := range o.value {
		at := &o.count[int((x-o.least)*o.scale)]
		v[*at] = x
		*at++
	}
	sortFew(v)
}

// around gives the values of v, finite ones only, in their order, but only those that sortedQuantile looks at for the
// quantiles, and for that of 0.95 where the others are relative to it. It is valid until the next call.
func (o *ordering) around(v []float64, relative bool, qs []float64) []float64 {
	if !o.parts(v) {
		o.value = append(o.value[:0], v...)
		slices.Sort(o.value)
		return o.value
	}
	o.wanted, o.spans = slices.Grow(o.wanted[:0], len(v))[:len(v)], o.spans[:0]
	clear(o.wanted)
	want := func(q float64) {
		first := int(q * float64(len(v)-1))
		for rank := first; rank <= min(first+1, len(v)-1); rank++ {
			next, _ := slices.BinarySearch(o.count, uint32(rank)+1) // the first part with more values before it
			if part := next - 1; !o.wanted[part] {
				o.wanted[part] = true
				o.spans = append(o.spans, [2]uint32{o.count[part], o.count[next]})
			}
		}
	}
	for _, q := range qs {
		want(q)
	}
	if relative {
		want(0.95)
	}
	o.value = slices.Grow(o.value[:0], len(v))[:len(v)]
	for _, x := range v {
		if k := int((x - o.least) * o.scale); o.wanted[k] {
			o.value[o.count[k]] = x
			o.count[k]++
		}
	}
	for _, span := range o.spans {
		sortFew(o.value[span[0]:span[1]])
	}
	return o.value
}

func sortedQuantile(v []float64, q float64) float64 {
	p := float64(q * float64(len(v)-1)) // rounded, or a whole rank is none where products are fused
	i := int(p)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + float64((p-float64(i))*(v[i+1]-v[i]))
}

func mean(v []float64) float64 { return sum(v) / float64(max(len(v), 1)) }

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
	later := v[lag:]
	n := float64(len(later))
	var s0, s1, s2, s3 float64 // a sum waits for the one before
	for len(later) >= 4 && len(v) >= 4 {
		s0 += math.Abs(later[0] - v[0])
		s1 += math.Abs(later[1] - v[1])
		s2 += math.Abs(later[2] - v[2])
		s3 += math.Abs(later[3] - v[3])
		later, v = later[4:], v[4:]
	}
	for i, x := range later {
		s0 += math.Abs(x - v[i])
	}
	return ((s0 + s1) + (s2 + s3)) / n
}

// correlation is that of two series without their means, whose sums of squares are given.
func correlation(a, b []float64, aa, bb float64) float64 {
	return product(a, b) / math.Sqrt(float64(aa*bb)+1e-12)
}

// product is the scalar product, in four strands.
func product(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		s0 += float64(a[0] * b[0])
		s1 += float64(a[1] * b[1])
		s2 += float64(a[2] * b[2])
		s3 += float64(a[3] * b[3])
		a, b = a[4:], b[4:]
	}
	for i := range a {
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
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
	c.waveFigures()
	c.gains()
	n := c.frames
	c.frame, c.noisy, c.peaky, c.narrow = c.frame[:n], c.noisy[:n], c.peaky[:n], c.narrow[:n]
	level := make([]float64, n)
	copy(level, c.frame)
	inDecibels(level, tiny)
	order := slices.Clone(level)
	b.order.sort(order)
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
	inDecibels(c.narrow, 1e-6)
	inDecibels(c.crest, 1e-6)
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
		row := c.band[i*c.stride:][:n]
		for t, p := range row {
			if quiet[t] {
				quietBand[i] += p
			}
			if loud[t] {
				loudBand[i] += p
			}
		}
		inDecibels(row, 1e-12)
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
	// What follows is of differences and ranges, for which means do not matter.
	var squares [bands]float64
	for i, row := range band {
		m := mean(row)
		for t := range row {
			row[t] -= m
		}
		squares[i] = product(row, row)
	}
	var near, far float64
	for i := 0; i+1 < bands; i++ {
		near += correlation(band[i], band[i+1], squares[i], squares[i+1])
	}
	for i := 0; i+6 < bands; i++ {
		far += correlation(band[i], band[i+6], squares[i], squares[i+6])
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
		sorted := b.order.around(band[i], true, []float64{0.1})
		ranges = append(ranges, sortedQuantile(sorted, 0.95)-sortedQuantile(sorted, 0.1))
		b.add("band_range", ranges[i])
	}
	b.spread("band_ranges", ranges, false, 0.1, 0.5, 0.9)

	// Bins: how far each lies above its own floor, and how steady that is.
	over, steady, deep, least := c.mean, c.quantile[2], c.quantile[1], c.quantile[0]
	for _, v := range []*[bins]float64{&over, &steady, &deep, &least} {
		inDecibels(v[:], 1e-14)
	}
	for f := range bins {
		over[f] -= steady[f]
		steady[f] -= deep[f]
		deep[f] -= least[f]
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
	inDecibels(short, 1e-12)
	for _, lag := range []int{1, 2, 4, 8} {
		b.add("short_change", changes(short, lag))
	}
	_, skew, kurtosis = moments(short)
	b.add("short_skew", skew)
	b.add("short_kurtosis", kurtosis)
	b.spread("short", short, true, 0.02, 0.1, 0.25, 0.5, 0.75, 0.99, 1)

	b.background(c.gain)
	b.spectraOfHalves(c, quiet, loud)
	b.modulated(c, &band)
	b.harmonicity(c, quiet, loud)
	b.onsets(c, &band)
}

// sum adds up in four strands.
func sum(v []float64) float64 {
	var s0, s1, s2, s3 float64
	for len(v) >= 4 {
		s0, s1, s2, s3 = s0+v[0], s1+v[1], s2+v[2], s3+v[3]
		v = v[4:]
	}
	for _, x := range v {
		s0 += x
	}
	return (s0 + s1) + (s2 + s3)
}

// zeroed is memory of n zeros: that of v if it is enough.
func zeroed(v []float64, n int) []float64 {
	v = slices.Grow(v[:0], n)[:n]
	clear(v)
	return v
}

// cells fills what is summed over the cells of the spectrogram.
func (c *clipFigures) cells() {
	n, stride := c.frames, c.stride
	for _, v := range []*[]float64{&c.frame, &c.noisy, &c.peaky, &c.narrow, &c.noisyNow} {
		*v = zeroed(*v, stride)
	}
	c.band = zeroed(c.band, (bands+1)*stride)
	kernel := (*clipFigures).plainCells
	if vector != nil {
		kernel = vector.cells
	}
	kernel(c, 0, bandEdges[0]-firstBin, c.band[bands*stride:]) // below the bands
	for t, v := range c.noisyNow {
		c.noisy[t] += v
	}
	for b := range bands {
		from, to := bandEdges[b]-firstBin, bandEdges[b+1]-firstBin
		kernel(c, from, to, c.band[b*stride:][:stride])
		var noisy float64
		for t, v := range c.noisyNow {
			c.noisy[t] += v
			if t+2 < n {
				noisy += v
			}
		}
		c.noisyBand[b] = noisy / (float64(max(n-2, 1)) * float64((to+1)/2-(from+1)/2))
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

// plainCells adds the bins from..to-1 to what there is of each frame; it sets band and noisyNow, which are theirs
// alone. noisyNow is of no use in the last two frames.
func (c *clipFigures) plainCells(from, to int, band []float64) {
	n := c.frames
	clear(c.noisyNow)
	frame, narrow, noisy, peaky := c.frame[:n], c.narrow[:n], c.noisyNow[:n], c.peaky[:n]
	band = band[:n]
	for f := from; f < to; f++ {
		row := c.power[f*c.stride:][:n+2]
		for t := range frame {
			p := float64(row[t])
			frame[t] += p
			narrow[t] += float64(p * p)
			band[t] += p
		}
		if f%2 == 1 {
			continue
		}
		for t := range noisy {
			a, d := row[t], row[t+2]
			noisy[t] += float64(float32(math.Abs(float64(a-d))) / (a + d + 1e-20))
		}
		if f+2 < bins {
			next := c.power[(f+2)*c.stride:][:n]
			for t, d := range next {
				a := row[t]
				peaky[t] += float64(float32(math.Abs(float64(a-d))) / (a + d + 1e-20))
			}
		}
	}
}

// waveFigures fills what there is of each frame's short frames.
func (c *clipFigures) waveFigures() {
	all := sum(c.short)
	c.whole = sum(c.fourth) * float64(len(c.short)*shortFrame) / (float64(all*all) + 1e-28)
	c.crest, c.kurtosis, c.crossings = c.crest[:0], c.kurtosis[:0], c.crossings[:0]
	const each = 2 * hop / shortFrame
	for _, t := range c.keep {
		var s2, s4, most, crossings float64
		for i := t * hop / shortFrame; i < t*hop/shortFrame+each; i++ {
			s2 += c.short[i]
			s4 += c.fourth[i]
			crossings += c.crossed[i]
			most = max(most, c.short[i])
		}
		c.crest = append(c.crest, most*each/(s2+1e-20))
		c.kurtosis = append(c.kurtosis, math.Sqrt(s4*2*hop/(float64(s2*s2)+1e-28)))
		c.crossings = append(c.crossings, crossings/(2*hop))
	}
}

package filters

import (
	"math"
	"slices"

	"prep/mel"
)

const (
	cepstrumLow = 40 // quefrencies of voices and instruments, in samples: 400 to 63 Hz
	cepstrumEnd = 255
	pitched     = 256 // bins of which cepstra are made: to 4 kHz
)

// modulations are the edges of the bands of the modulation spectra, in bins of transforms of 1024: of the levels of
// frames, 0.24 to 15.6 Hz, and of short frames, 2 to 125 Hz.
var modulations = [...]int{8, 16, 33, 66, 131, 262, 512}

// unit is the window of what has been windowed before.
var unit = func() (w [mel.SpectrumLength]float32) {
	for i := range w {
		w[i] = 1
	}
	return w
}()

// welch is the weight of element i of n under the parabola of Welch (1967).
func welch(i, n int) float64 {
	d := (float64(2*i+1) - float64(n)) / float64(n)
	return 1 - float64(d*d)
}

// pitchWindow is the window of the cepstra.
var pitchWindow = func() (w [pitched]float32) {
	for i := range w {
		w[i] = float32(welch(i, pitched))
	}
	return w
}()

// gains fills gain with how loud the background of each frame is: the median over the bands of their power over that of
// the floor.
func (c *clipFigures) gains() {
	var inverse [bands]float64
	for i := range bands {
		var floor float64
		for f := bandEdges[i] - firstBin; f < bandEdges[i+1]-firstBin; f++ {
			floor += c.floor[f]
		}
		inverse[i] = 1 / (floor + 1e-12)
	}
	c.gain = slices.Grow(c.gain[:0], c.frames)[:c.frames]
	for t := range c.gain {
		var ratio [bands]float64
		for i := range ratio {
			ratio[i] = c.band[i*c.stride+t] * inverse[i]
		}
		sortFew(ratio[:])
		c.gain[t] = max(ratio[bands/2], 1e-3)
	}
}

// background adds how the loudness of the background moves.
func (b *traitBuilder) background(gain []float64) {
	inDecibels(gain, 0)
	deviation, skew, _ := moments(gain)
	b.add("gain_deviation", deviation)
	b.add("gain_skew", skew)
	b.add("gain_change", changes(gain, 2))
	b.add("gain_change", changes(gain, 8))
	b.spread("gain", gain, true, 0.05, 0.5, 1)
}

// halves adds the means of v over the quiet and over the loud frames.
func (b *traitBuilder) halves(name string, v []float64, quiet, loud []bool) {
	var q, l, nq, nl float64
	for i, x := range v {
		if quiet[i] {
			q += x
			nq++
		}
		if loud[i] {
			l += x
			nl++
		}
	}
	b.add(name+"_quiet", q/max(nq, 1))
	b.add(name+"_loud", l/max(nl, 1))
}

// spectraOfHalves adds how the mean spectra of the loud and the quiet frames differ, bin by bin.
func (b *traitBuilder) spectraOfHalves(c *clipFigures, quiet, loud []bool) {
	var soft, strong []int
	for t := range c.frames {
		if quiet[t] {
			soft = append(soft, t)
		}
		if loud[t] {
			strong = append(strong, t)
		}
	}
	q, l := make([]float64, bins), make([]float64, bins)
	for f := range bins {
		row := c.power[f*c.stride:]
		q[f], l[f] = sumAt(row, soft), sumAt(row, strong)
	}
	inDecibels(q, 1e-13)
	inDecibels(l, 1e-13)
	b.add("fine_quiet", changes(q, 2))
	b.add("fine_loud", changes(l, 2))
	for f := range bins {
		l[f] -= q[f]
	}
	deviation, skew, kurtosis := moments(l)
	b.add("halves_deviation", deviation)
	b.add("halves_skew", skew)
	b.add("halves_kurtosis", kurtosis)
	b.add("halves_change", changes(l, 4))
	b.add("halves_change", changes(l, 24))
}

// sumAt adds up the values at some places in two strands.
func sumAt(v []float32, places []int) float64 {
	var s0, s1 float64
	for len(places) >= 2 {
		s0 += float64(v[places[0]])
		s1 += float64(v[places[1]])
		places = places[2:]
	}
	for _, t := range places {
		s0 += float64(v[t])
	}
	return s0 + s1
}

// modulation adds the shares of the modulation bands in the sum of the spectra of the columns, [512][stride], columns
// of them, and how far a single bin rises above it.
func (b *traitBuilder) modulation(name string, power []float32, columns, stride int) {
	var shares [len(modulations) - 1]float64
	var most, all float64
	for i := range shares {
		var band, top float64
		for k := modulations[i]; k < modulations[i+1]; k++ {
			var p float64
			for _, v := range power[k*stride:][:columns] {
				p += float64(v)
			}
			band += p
			top = max(top, p)
		}
		shares[i] = band
		all += band
		if i > 0 {
			most = max(most, top*float64(modulations[i+1]-modulations[i])/(band+1e-9))
		}
	}
	for _, s := range shares {
		b.add(name, s/(all+1e-9))
	}
	b.add(name+"_peak", most)
}

// modulated adds the modulation spectra of the bands, rows without their means, and of the short frames, both in dB.
func (b *traitBuilder) modulated(c *clipFigures, band *[bands][]float64) {
	const length = mel.SpectrumLength
	c.columns = slices.Grow(c.columns[:0], bands*length)[:bands*length]
	clear(c.columns)
	n := min(c.frames, length)
	from := (c.frames - n) / 2
	for t := range n {
		w := welch(t, n)
		for i := range band {
			c.columns[i*length+t] = float32(band[i][from+t] * w)
		}
	}
	const stride = (bands + 7) / 8 * 8
	c.transformed = mel.SpectrogramInto(c.transformed, c.columns, &unit, length, stride)
	b.modulation("modulation", c.transformed, bands, stride)

	short := c.short
	columns := max((len(short)-length/2)/(length/2), 1)
	m := mean(short)
	c.columns = slices.Grow(c.columns[:0], columns*length)[:columns*length]
	clear(c.columns)
	for i := range columns {
		part := short[i*length/2:]
		part = part[:min(len(part), length)]
		for t, v := range part {
			c.columns[i*length+t] = float32(float64((v - m) * welch(t, len(part))))
		}
	}
	c.transformed = mel.SpectrogramInto(c.transformed, c.columns, &unit, length, columns)
	b.modulation("roughness", c.transformed, columns, columns)
}

// harmonicity adds figures of the cepstra of pairs of frames, 64 ms apart: how far the highest quefrency of voices and
// instruments rises above the others, and whether both frames of a pair have the same. Of a long clip some 26 pairs are
// taken.
func (b *traitBuilder) harmonicity(c *clipFigures, quiet, loud []bool) {
	const length = mel.SpectrumLength
	apart := max(c.frames/26, 4)
	columns := 2 * ((c.frames-3)/apart + 1)
	at := func(i int) int { return i/2*apart + i%2*2 } // the frame of a column
	stride := (columns + 7) / 8 * 8
	c.columns = slices.Grow(c.columns[:0], columns*length)[:columns*length]
	clear(c.columns)
	for f := range pitched {
		w := pitchWindow[f]
		row := c.power[f*c.stride:]
		for i := range columns {
			// The bits of a float are its logarithm, in straight pieces: 1/256 of an octave is left.
			c.columns[i*length+f] = float32(float32(int32(math.Float32bits(row[at(i)]+1e-20)>>15)-127<<8) * (w / 256))
		}
	}
	for i := range columns { // without its mean, and nearly without its slope
		part := c.columns[i*length:][:pitched]
		var sum, weights float32
		for f, v := range part {
			sum += v
			weights += pitchWindow[f]
		}
		m := sum / weights
		for f := range part {
			part[f] -= float32(m * pitchWindow[f])
		}
	}
	c.transformed = mel.SpectrogramInto(c.transformed, c.columns, &unit, length, stride)
	high, place := make([]float64, columns), make([]int, columns)
	total := make([]float64, columns)
	for q := cepstrumLow; q < cepstrumEnd; q++ {
		for i, v := range c.transformed[q*stride:][:columns] {
			p := float64(v)
			total[i] += p
			if p > high[i] {
				high[i], place[i] = p, q
			}
		}
	}
	var envelope float64
	for q := 4; q < 24; q++ {
		for _, v := range c.transformed[q*stride:][:columns] {
			envelope += float64(v)
		}
	}
	all := sum(total)
	var stays, strong float64
	halfQuiet, halfLoud := make([]bool, columns), make([]bool, columns)
	for i := range high {
		high[i] = high[i] * (cepstrumEnd - cepstrumLow) / (total[i] + 1e-9)
		total[i] /= pitched
		halfQuiet[i], halfLoud[i] = quiet[at(i)], loud[at(i)]
		if i%2 == 1 {
			if d := place[i] - place[i-1]; 12*max(d, -d) <= place[i] {
				stays++
				if high[i] > 10 && high[i-1] > 10 {
					strong++
				}
			}
		}
	}
	b.add("pitch_stays", 2*stays/float64(columns))
	b.add("pitch_strong", 2*strong/float64(columns))
	b.halves("pitch", high, halfQuiet, halfLoud)
	b.spread("pitch", high, false, 0.1, 0.5, 0.9, 0.98)
	b.halves("ripple", total, halfQuiet, halfLoud)
	b.spread("ripple", total, false, 0.1, 0.5, 0.9)
	b.add("envelope", envelope/(all+1e-9))
}

// onsets adds how the levels of short frames, in dB, and of the bands rise and fall.
func (b *traitBuilder) onsets(c *clipFigures, band *[bands][]float64) {
	steps := make([]float64, 0, len(c.short))
	for _, lag := range []int{1, 2, 5, 12} {
		steps = steps[:0]
		var high, low float64
		for i, v := range c.short[lag:] {
			d := v - c.short[i]
			steps = append(steps, d)
			if d > 9 {
				high++
			}
			if d < -9 {
				low++
			}
		}
		_, skew, kurtosis := moments(steps)
		b.add("onset_skew", skew)
		b.add("onset_kurtosis", kurtosis)
		b.add("onset_rises", high/float64(len(steps)))
		b.add("onset_falls", low/float64(len(steps)))
	}
	var all, most float64
	for _, row := range band {
		steps = steps[:0]
		for t := 1; t < len(row); t++ {
			steps = append(steps, row[t]-row[t-1])
		}
		_, skew, _ := moments(steps)
		all += skew
		most = max(most, skew)
	}
	b.add("onset_bands", all/bands)
	b.add("onset_band", most)
}

package filters

import (
	"math"
	"math/bits"
	"slices"

	"prep/internal/sample"
)

const (
	clippedAt = 0.999
	// A flat top is a run of at least flatRun equal samples at a channel's own extreme, into and out of which
	// the wave comes steeply: its two ends make flatSteps steps of the sample format together. The crest of a
	// slow sine is flat too, and gently so.
	flatRun   = 3
	flatSteps = 5
	flatLeast = 0.01 // of full scale: below, 16-bit steps are no longer small

	silentFrame = 320  // samples: 20 ms
	silentPower = 1e-6 // -60 dBFS, full scale 1

	// zeroRunSeconds is the shortest run of zeros that counts as a hole.
	zeroRunSeconds = 0.01
)

// blockLength is the number of samples that one entry of blockLevels stands for.
const blockLength = 64

// blockLevels sums up sound in blocks of 64 samples: what has to be known of every sample, so that closer looks
// are only taken where something is. The last block may stand for fewer samples.
type blockLevels struct{ low, high, sum []float32 }

// measure computes them of x, in the memory of l, as far as it reaches.
func (l *blockLevels) measure(x []float32) {
	n := (len(x) + blockLength - 1) / blockLength
	for _, v := range []*[]float32{&l.low, &l.high, &l.sum} {
		*v = slices.Grow((*v)[:0], n)[:n]
	}
	done := 0
	if vector != nil {
		done = vector.summarise(x, l)
	}
	l.plain(x, done)
}

// plain fills the blocks from the given one on. Sums run in eight strands, as the vector kernel's. Floats are compared
// as integers of the same order, which takes no branches.
func (l *blockLevels) plain(x []float32, from int) {
	for i := from; i < len(l.sum); i++ {
		part := x[i*blockLength : min((i+1)*blockLength, len(x))]
		low, high := int32(math.MaxInt32), int32(math.MinInt32)
		for r := part; len(r) >= 4; r = r[4:] {
			v0, v1, v2, v3 := ordered(r[0]), ordered(r[1]), ordered(r[2]), ordered(r[3])
			low, high = min(low, v0, v1, v2, v3), max(high, v0, v1, v2, v3)
		}
		var s0, s1, s2, s3, s4, s5, s6, s7 float32
		for len(part) >= 8 {
			s0, s1, s2, s3 = s0+part[0], s1+part[1], s2+part[2], s3+part[3]
			s4, s5, s6, s7 = s4+part[4], s5+part[5], s6+part[6], s7+part[7]
			part = part[8:]
		}
		strand := [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
		for j, v := range part {
			low, high = min(low, ordered(v)), max(high, ordered(v))
			strand[j] += v
		}
		l.low[i], l.high[i], l.sum[i] = disordered(low), disordered(high), foldStrands(&strand)
	}
}

// ordered is an integer for each float, in their order.
func ordered(v float32) int32 {
	i := int32(math.Float32bits(v))
	return i ^ int32(uint32(i>>31)>>1)
}

// disordered is the float of what ordered gives.
func disordered(i int32) float32 {
	return math.Float32frombits(uint32(i ^ int32(uint32(i>>31)>>1)))
}

func foldStrands(s *[8]float32) float32 {
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))
}

// total gives the lowest and the highest sample, and the sum of all, which is not finite where a sample is not.
func (l *blockLevels) total() (low, high float32, sum float64) {
	low, high = l.low[0], l.high[0]
	for i, v := range l.sum {
		if l.low[i] < low {
			low = l.low[i]
		}
		if l.high[i] > high {
			high = l.high[i]
		}
		sum += float64(v)
	}
	return low, high, sum
}

// finite says whether all samples are, which are x.
func (l *blockLevels) finite(x []float32) bool {
	for i, sum := range l.sum {
		if sum-sum == 0 {
			continue
		}
		for _, v := range x[i*blockLength : min((i+1)*blockLength, len(x))] { // finite ones may have an infinite sum
			if v-v != 0 {
				return false
			}
		}
	}
	return true
}

// MeasureSource measures decoded sound before channels are mixed and rates converted: [channels][n] at rate
// Hz, full scale 1. Sound that is not finite has none of these metrics.
func MeasureSource(planes [][]float32, rate int) sample.Metrics {
	m := sample.Metrics{}
	if len(planes) == 0 || len(planes[0]) == 0 || rate <= 0 {
		return m
	}
	n := len(planes[0])
	channels := make([]channelLevels, len(planes))
	holes := make([]bool, n/blockLength) // whole blocks of zeros in all channels
	for i := range holes {
		holes[i] = true
	}
	var most, offset float64
	clipped := 0
	for i, x := range planes {
		c := &channels[i]
		c.measure(x)
		if c.sum-c.sum != 0 {
			return sample.Metrics{}
		}
		most = max(most, math.Abs(float64(c.low)), math.Abs(float64(c.high)))
		if dc := c.sum / float64(n); math.Abs(dc) > math.Abs(offset) {
			offset = dc
		}
		clipped += c.clipped(x)
		for b := range holes {
			if c.blocks.low[b] != 0 || c.blocks.high[b] != 0 {
				holes[b] = false
			}
		}
	}
	m["audio_peak_db"] = 2 * decibels(max(most, 1e-7))
	m["audio_dc"] = offset
	m["audio_clipped_ratio"] = float64(clipped) / float64(n*len(planes))
	longest, count := zeroRuns(planes, holes, int(math.Ceil(zeroRunSeconds*float64(rate))))
	m["audio_zero_run_s"] = float64(longest) / float64(rate)
	m["audio_zero_runs"] = int64(count)
	if v, ok := loudness(planes, rate); ok {
		m["audio_loudness_lufs"] = v
	}
	loud := 0
	for i := range channels {
		if channels[i].high-channels[i].low > channels[loud].high-channels[loud].low {
			loud = i
		}
	}
	if hz, ok := bandwidth(planes[loud], rate); ok {
		m["audio_bandwidth_hz"] = hz
	}
	return m
}

// channelLevels are the figures of one channel.
type channelLevels struct {
	low, high float32
	sum       float64
	blocks    blockLevels
}

func (c *channelLevels) measure(x []float32) {
	c.blocks.measure(x)
	c.low, c.high, c.sum = c.blocks.total()
}

// clipped counts the samples at 0.999 of full scale or beyond, and those in flat tops below it.
func (c *channelLevels) clipped(x []float32) int {
	count := 0
	high := flatTop{extreme: c.high, sign: 1, quantum: -1}
	low := flatTop{extreme: -c.low, sign: -1, quantum: -1}
	for b, top := range c.blocks.high {
		bottom := c.blocks.low[b]
		from, to := b*blockLength, min((b+1)*blockLength, len(x))
		if top >= clippedAt || bottom <= -clippedAt {
			for _, v := range x[from:to] {
				if v >= clippedAt || v <= -clippedAt {
					count++
				}
			}
		}
		if top == c.high {
			count += high.count(x, from, to)
		}
		if bottom == c.low {
			count += low.count(x, from, to)
		}
	}
	return count
}

// flatTop counts the samples of flat tops at one extreme of a channel.
type flatTop struct {
	extreme, sign float32
	quantum       float64 // the step of the sample format; negative: not looked up yet
	next          int     // samples before it are counted
}

// count looks at the runs that begin in x[from:to].
func (t *flatTop) count(x []float32, from, to int) int {
	if t.extreme >= clippedAt || t.extreme < flatLeast {
		return 0 // counted by their level, or too small to tell
	}
	count := 0
	for i := max(from, t.next); i < to; i++ {
		if x[i]*t.sign != t.extreme {
			continue
		}
		end := i + 1
		for end < len(x) && x[end] == x[i] {
			end++
		}
		if end-i >= flatRun {
			if t.quantum < 0 {
				t.quantum = quantumOf(x)
			}
			steps := 0.0
			if i > 0 {
				steps += float64(t.extreme) - float64(x[i-1]*t.sign)
			}
			if end < len(x) {
				steps += float64(t.extreme) - float64(x[end]*t.sign)
			}
			if steps >= flatSteps*t.quantum {
				count += end - i
			}
		}
		i, t.next = end, end
	}
	return count
}

// quantumOf is the step that all samples are multiples of, 1/128 for 8 bits; that of 16 bits where there is none
// as large.
func quantumOf(x []float32) float64 {
	used := uint32(1 << 15)
	for _, v := range x {
		w := v * (1 << 15)
		i := int32(w)
		if float32(i) != w {
			return lsb
		}
		if used |= uint32(i); used&1 != 0 {
			return lsb
		}
	}
	return lsb * float64(uint32(1)<<min(bits.TrailingZeros32(used), 8))
}

// zeroRuns finds the longest run of samples that are zero in all channels, and how many runs of at least
// least samples there are inside the sound, not at its ends. holes marks the blocks of zeros: shorter runs than two blocks may
// lie between them, so that the blocks beside are looked at too.
func zeroRuns(planes [][]float32, holes []bool, least int) (longest, inside int) {
	n := len(planes[0])
	zero := func(i int) bool {
		for _, x := range planes {
			if x[i] != 0 {
				return false
			}
		}
		return true
	}
	for b := 0; b < len(holes); b++ {
		if !holes[b] {
			continue
		}
		from, to := b*blockLength, (b+1)*blockLength
		for from > 0 && zero(from-1) {
			from--
		}
		for b+1 < len(holes) && holes[b+1] {
			b++
			to += blockLength
		}
		for to < n && zero(to) {
			to++
		}
		longest = max(longest, to-from)
		if to-from >= least && from > 0 && to < n {
			inside++
		}
	}
	return longest, inside
}

// silenceRatio is the share of 20 ms frames of mono sound at 16 kHz, whose levels are given, below -60 dBFS.
func silenceRatio(x []float32, levels *blockLevels) float64 {
	// A sample that makes a frame loud by itself, and one that all may reach in a silent one, with room for rounding.
	const loud, quiet = 0.01789 * 1.001, 0.001 * 0.999
	silent, frames := 0, 0
	for at := 0; at < len(x); at += silentFrame {
		frame := x[at:min(at+silentFrame, len(x))]
		frames++
		from, to := at/blockLength, (at+len(frame)+blockLength-1)/blockLength
		most := max(slices.Max(levels.high[from:to]), -slices.Min(levels.low[from:to]))
		switch {
		case most >= loud:
		case most <= quiet || powerOf(frame) < silentPower*float64(len(frame)):
			silent++
		}
	}
	return float64(silent) / float64(max(frames, 1))
}

func powerOf(x []float32) (power float64) {
	for _, v := range x {
		power += float64(float64(v) * float64(v)) // exact: two float32
	}
	return power
}

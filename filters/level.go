package filters

import (
	"math"
	"math/bits"

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

// blockLength is the number of samples that one blockFigures stands for.
const blockLength = 64

// blockFigures sums up 64 samples: what has to be known of every sample, so that closer looks are only
// taken where something is.
type blockFigures struct{ low, high, sum float32 }

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
		for b, f := range c.blocks[:len(holes)] {
			if f.low != 0 || f.high != 0 {
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
	blocks    []blockFigures // the last may stand for fewer samples
}

func (c *channelLevels) measure(x []float32) {
	c.blocks = make([]blockFigures, (len(x)+blockLength-1)/blockLength)
	done := 0
	if vector != nil {
		done = vector.summarise(x, c.blocks)
	}
	summarise(x, c.blocks, done)
	c.low, c.high = c.blocks[0].low, c.blocks[0].high
	for _, b := range c.blocks {
		if b.low < c.low {
			c.low = b.low
		}
		if b.high > c.high {
			c.high = b.high
		}
		c.sum += float64(b.sum)
	}
}

// summarise fills the blocks from the given one on. Sums run in eight strands, as the vector kernel's.
func summarise(x []float32, blocks []blockFigures, from int) {
	for i := from; i < len(blocks); i++ {
		part := x[i*blockLength : min((i+1)*blockLength, len(x))]
		f := blockFigures{low: part[0], high: part[0]}
		var strand [8]float32
		for j, v := range part {
			if v < f.low {
				f.low = v
			}
			if v > f.high {
				f.high = v
			}
			strand[j&7] += v
		}
		f.sum = foldStrands(&strand)
		blocks[i] = f
	}
}

func foldStrands(s *[8]float32) float32 {
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// clipped counts the samples at 0.999 of full scale or beyond, and those in flat tops below it.
func (c *channelLevels) clipped(x []float32) int {
	count := 0
	high := flatTop{extreme: c.high, sign: 1, quantum: -1}
	low := flatTop{extreme: -c.low, sign: -1, quantum: -1}
	for b, f := range c.blocks {
		from, to := b*blockLength, min((b+1)*blockLength, len(x))
		if f.high >= clippedAt || f.low <= -clippedAt {
			for _, v := range x[from:to] {
				if v >= clippedAt || v <= -clippedAt {
					count++
				}
			}
		}
		if f.high == c.high {
			count += high.count(x, from, to)
		}
		if f.low == c.low {
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

// silenceRatio is the share of 20 ms frames of mono sound at 16 kHz below -60 dBFS.
func silenceRatio(x []float32) float64 {
	silent, frames := 0, 0
	for at := 0; at < len(x); at += silentFrame {
		frame := x[at:min(at+silentFrame, len(x))]
		var power float64
		for _, v := range frame {
			power += float64(v) * float64(v) // exact: two float32
		}
		frames++
		if power < silentPower*float64(len(frame)) {
			silent++
		}
	}
	return float64(silent) / float64(max(frames, 1))
}

//go:build !scalar

package mel

import (
	"sync"

	"golang.org/x/sys/cpu"
)

// side is how many outputs of one phase are computed side by side: enough sums to keep the adders busy.
const side = 32

// tapsAt says where an output begins: its first row of input and its first weight, in bytes from the first ones.
type tapsAt struct{ row, kernel int32 }

// sumTaps computes an even number of outputs, a positive one, in all lanes: sums[i] = k[0]*y[0] + k[1]*y[1] + ... in
// this order, with the weights k and the rows y from at[i] on.
//
//go:noescape
func sumTaps(sums, in *[side]float32, kernel *float32, at *tapsAt, outputs, taps int)

// turnIn writes the samples of eight lanes, eight at a time, to rows: row r holds sample r of each.
//
//go:noescape
func turnIn(rows *[side]float32, lane int, from *[8]*float32, eights int)

// turnOut is turnIn the other way round.
//
//go:noescape
func turnOut(to *[8]*float32, rows *[side]float32, lane int, eights int)

// resampling is the scratch of resampleLanes, kept for the next one.
type resampling struct {
	rows [][side]float32
	at   []tapsAt
}

var resamplings = sync.Pool{New: func() any { return new(resampling) }}

// resampleLanes is polyphase.plain by AVX2: it gives each of 32 lanes a stretch of whole periods. A piece of all
// stretches at a time is turned so that samples of the same place lie together, and the outputs are turned back. The
// last stretch overlaps the one before.
func resampleLanes(p *polyphase, x, out []float32) int {
	const piece = 448 // samples of a lane at a time, so that a piece stays in the cache
	periods := len(out) / p.to
	each := (periods + side - 1) / side
	n := min(max(piece/p.from, 1), each) // periods of a piece
	rows := (n-1)*p.from + p.last
	if !cpu.X86.HasAVX2 || each*side > 2*periods || n*p.to < 8 || rows > 8*piece {
		return 0 // too little, or too long periods
	}
	scratch := resamplings.Get().(*resampling)
	defer resamplings.Put(scratch)
	outputs := n * p.to
	if need := rows + outputs; cap(scratch.rows) < need {
		scratch.rows = make([][side]float32, need)
	}
	in, sums := scratch.rows[:rows], scratch.rows[rows:rows+outputs]
	scratch.at = scratch.at[:0]
	for i := range n {
		for j, start := range p.start {
			_ = in[i*p.from+start:][:p.taps]
			_ = p.kernel[j*p.taps:][:p.taps]
			scratch.at = append(scratch.at, tapsAt{int32(4 * side * (i*p.from + start)), int32(4 * j * p.taps)})
		}
	}
	at := scratch.at[:outputs]
	first := func(lane int) int { return min(lane*each, periods-each) }
	for done := 0; done < each; done += n {
		done = min(done, each-n)
		for lane := 0; lane < side; lane += 8 {
			var whole, last [8]*float32
			for i := range whole {
				y := x[(first(lane+i)+done)*p.from:][:rows]
				whole[i], last[i] = &y[0], &y[rows-8]
			}
			turnIn(&in[0], lane, &whole, rows/8)
			turnIn(&in[rows-8], lane, &last, 1)
		}
		sumTaps(&sums[0], &in[0], &p.kernel[0], &at[0], outputs&^1, p.taps)
		sumTaps(&sums[outputs-2], &in[0], &p.kernel[0], &at[outputs-2], 2, p.taps)
		for lane := 0; lane < side; lane += 8 {
			var whole, last [8]*float32
			for i := range whole {
				y := out[(first(lane+i)+done)*p.to:][:outputs]
				whole[i], last[i] = &y[0], &y[outputs-8]
			}
			turnOut(&whole, &sums[0], lane, outputs/8)
			turnOut(&last, &sums[outputs-8], lane, 1)
		}
	}
	return periods * p.to
}

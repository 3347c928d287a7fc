//go:build !scalar

package filters

import "golang.org/x/sys/cpu"

// weighPieces is kWeight.plain by AVX2, with eight segments to a register.
func (w *kWeight) weighPieces(pieces *[segments][]float32, state *weighing) {
	if !cpu.X86.HasAVX2 {
		w.plain(pieces, state)
		return
	}
	state.sum = [segments]float32{}
	n := len(pieces[0])
	whole := n &^ 7
	if whole > 0 {
		var from [segments]*float32
		for s, piece := range pieces {
			from[s] = &piece[:n][0]
		}
		weighEights(w, &from, whole, state)
	}
	if whole < n {
		var turned [8][segments]float32
		for s, piece := range pieces {
			for i, v := range piece[whole:] {
				turned[i][s] = v
			}
		}
		weighTurned(w, &turned, n-whole, state)
	}
}

// weighEights filters n samples of each segment, a positive multiple of 8, and adds to the sums. Eight samples of each
// are turned, so that those of one time lie together, and filtered before the next eight are turned: the filter waits
// for its own results much of the time, in which the processor turns what comes next.
//
//go:noescape
func weighEights(w *kWeight, pieces *[segments]*float32, n int, state *weighing)

// weighTurned filters n samples that are turned, 1 to 8, and adds to the sums.
//
//go:noescape
func weighTurned(w *kWeight, turned *[8][segments]float32, n int, state *weighing)

package kernels

// A Loop is an axis of N places, along which the elements of two arrays lie A and B from each other: 0 where one is
// repeated.
type Loop struct{ N, A, B int }

// Each calls f with every combination of the loops' places, of which the last loop's change fastest: its number, and
// where it lies in either array. It runs on several threads where a call, worth cost values, and their number make
// that worth while.
func Each(loops []Loop, cost int, f func(i, a, b int)) {
	Parallel(combinations(loops), cost, func(first, end int) { walk(loops, first, end, f) })
}

// combinations is how many there are.
func combinations(loops []Loop) int {
	n := 1
	for _, l := range loops {
		n *= l.N
	}
	return n
}

// walk is Each on this thread, for the combinations from first up to end.
func walk(loops []Loop, first, end int, f func(i, a, b int)) {
	if first >= end {
		return
	}
	at := make([]int, len(loops))
	a, b := 0, 0
	for i, rest := len(loops)-1, first; i >= 0; i-- {
		at[i] = rest % loops[i].N
		rest /= loops[i].N
		a += at[i] * loops[i].A
		b += at[i] * loops[i].B
	}
	for n := first; n < end; n++ {
		f(n, a, b)
		for i := len(loops) - 1; i >= 0; i-- {
			at[i]++
			a += loops[i].A
			b += loops[i].B
			if at[i] < loops[i].N {
				break
			}
			at[i] = 0
			a -= loops[i].N * loops[i].A
			b -= loops[i].N * loops[i].B
		}
	}
}

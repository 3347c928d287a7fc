package kernels

// Transpose permutes axes: axis i of out is axis permutation[i] of x, which has the given sizes.
func Transpose(out, x []float32, dims, permutation []int) {
	if len(x) == 0 {
		return
	}
	// Axes of one element go, and neighbours that stay neighbours are one.
	var axes []int // of x, in the order of out
	for _, axis := range permutation {
		if dims[axis] != 1 {
			axes = append(axes, axis)
		}
	}
	stride := make([]int, len(dims))
	for axis, n := len(dims)-1, 1; axis >= 0; axis-- {
		stride[axis] = n
		n *= dims[axis]
	}
	var loops []loop // in the order of out
	for _, axis := range axes {
		if k := len(loops) - 1; k >= 0 && loops[k].from == stride[axis]*dims[axis] {
			loops[k].n *= dims[axis]
			loops[k].from = stride[axis]
		} else {
			loops = append(loops, loop{n: dims[axis], from: stride[axis]})
		}
	}
	for i, n := len(loops)-1, 1; i >= 0; i-- {
		loops[i].to = n
		n *= loops[i].n
	}
	if len(loops) == 0 || len(loops) == 1 {
		copy(out, x)
		return
	}
	last := len(loops) - 1
	if loops[last].from == 1 { // whole runs move
		run := loops[last].n
		each(loops[:last], len(x)/run, run, func(from, to int) { copy(out[to:to+run], x[from:]) })
		return
	}
	// The axis that is the last of x and the one that is the last of out are turned.
	wide := 0
	for i, l := range loops {
		if l.from == 1 {
			wide = i
		}
	}
	rows, cols := loops[last], loops[wide]
	var rest []loop
	for i, l := range loops {
		if i != last && i != wide {
			rest = append(rest, l)
		}
	}
	// One large matrix is cut, so that there is something to share.
	const band = 64
	if rows.n > band && rows.n%8 == 0 {
		pieces := rows.n / band
		rest = append(rest, loop{n: pieces, from: band * rows.from, to: band * rows.to})
		each(rest, len(x)/band/cols.n, band*cols.n, func(from, to int) {
			turn(out[to:], cols.to, x[from:], rows.from, band, cols.n)
		})
		left := rows.n - pieces*band
		if left > 0 {
			each(rest[:len(rest)-1], len(x)/rows.n/cols.n, left*cols.n, func(from, to int) {
				turn(out[to+pieces*band:], cols.to, x[from+pieces*band*rows.from:], rows.from, left, cols.n)
			})
		}
		return
	}
	each(rest, len(x)/rows.n/cols.n, rows.n*cols.n, func(from, to int) {
		turn(out[to:], cols.to, x[from:], rows.from, rows.n, cols.n)
	})
}

// A loop is an axis of a transposition, and how far its elements lie from each other on both sides.
type loop struct{ n, from, to int }

// each calls f with the places of every combination of loops, count in all, each worth cost values.
func each(loops []loop, count, cost int, f func(from, to int)) {
	Parallel(count, cost, func(first, end int) {
		at := make([]int, len(loops))
		from, to := 0, 0
		for i, rest := len(loops)-1, first; i >= 0; i-- {
			at[i] = rest % loops[i].n
			rest /= loops[i].n
			from += at[i] * loops[i].from
			to += at[i] * loops[i].to
		}
		for range end - first {
			f(from, to)
			for i := len(loops) - 1; i >= 0; i-- {
				at[i]++
				from += loops[i].from
				to += loops[i].to
				if at[i] < loops[i].n {
					break
				}
				at[i] = 0
				from -= loops[i].n * loops[i].from
				to -= loops[i].n * loops[i].to
			}
		}
	})
}

// turn writes rows of n values, rowPitch apart, as n rows, pitch apart.
func turn(out []float32, pitch int, x []float32, rowPitch, rows, n int) {
	first, whole := 0, 0
	if chosen != nil {
		first, whole = rows&^7, n&^7
		if whole > 0 {
			for i := 0; i < first; i += 8 {
				chosen.turn(&out[i], 4*pitch, &x[i*rowPitch], 4*rowPitch, whole)
			}
		}
	}
	for i := range rows {
		from := whole
		if i >= first {
			from = 0
		}
		for j := from; j < n; j++ {
			out[j*pitch+i] = x[i*rowPitch+j]
		}
	}
}

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
	var loops []Loop // in the order of out; A is of x, B of out
	for _, axis := range axes {
		if k := len(loops) - 1; k >= 0 && loops[k].A == stride[axis]*dims[axis] {
			loops[k].N *= dims[axis]
			loops[k].A = stride[axis]
		} else {
			loops = append(loops, Loop{N: dims[axis], A: stride[axis]})
		}
	}
	for i, n := len(loops)-1, 1; i >= 0; i-- {
		loops[i].B = n
		n *= loops[i].N
	}
	if len(loops) == 0 || len(loops) == 1 {
		copy(out, x)
		return
	}
	last := len(loops) - 1
	if loops[last].A == 1 { // whole runs move
		run := loops[last].N
		Each(loops[:last], run, func(_, from, to int) { copy(out[to:to+run], x[from:]) })
		return
	}
	// The axis that is the last of x and the one that is the last of out are turned.
	wide := 0
	for i, l := range loops {
		if l.A == 1 {
			wide = i
		}
	}
	rows, cols := loops[last], loops[wide]
	var rest []Loop
	for i, l := range loops {
		if i != last && i != wide {
			rest = append(rest, l)
		}
	}
	// One large matrix is cut, so that there is something to share.
	const band = 64
	if rows.N > band && rows.N%8 == 0 {
		pieces := rows.N / band
		rest = append(rest, Loop{pieces, band * rows.A, band * rows.B})
		Each(rest, band*cols.N, func(_, from, to int) {
			turn(out[to:], cols.B, x[from:], rows.A, band, cols.N)
		})
		left := rows.N - pieces*band
		if left > 0 {
			Each(rest[:len(rest)-1], left*cols.N, func(_, from, to int) {
				turn(out[to+pieces*band:], cols.B, x[from+pieces*band*rows.A:], rows.A, left, cols.N)
			})
		}
		return
	}
	Each(rest, rows.N*cols.N, func(_, from, to int) {
		turn(out[to:], cols.B, x[from:], rows.A, rows.N, cols.N)
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

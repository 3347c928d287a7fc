package executors

import (
	"unsafe"

	"prep/trainer/kernels"
)

// window finds the loops over a part of an array that begins at starts: A is the distance in the array, B in the part.
// The innermost run lies in one piece in both. at is where the part begins.
func window(dims, part, starts []int) (loops []kernels.Loop, run, at int) {
	large, small := strides(dims), strides(part)
	run = 1
	for i, n := range part {
		at += starts[i] * large[i]
		if n == 1 {
			continue
		}
		next := kernels.Loop{N: n, A: large[i], B: small[i]}
		if k := len(loops) - 1; k >= 0 && loops[k].A == next.A*n {
			next.N *= loops[k].N
			loops[k] = next
			continue
		}
		loops = append(loops, next)
	}
	if k := len(loops) - 1; k >= 0 && loops[k].A == 1 {
		run, loops = loops[k].N, loops[:k]
	}
	return loops, run, at
}

// slice copies a part of an array.
func slice(original executor) executor {
	return func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error) {
		x, ok := floats(inputs[0])
		d := dataOf[sliceData](n, sliceType)
		dims := inputs[0].RawShape.Dimensions
		if !ok || d == nil || n.Shape.IsDynamic() || len(x) == 0 || n.Shape.Size() == 0 || len(d.starts) != len(dims) {
			return original(backend, n, inputs, owned)
		}
		for _, s := range d.strides {
			if s != 1 {
				return original(backend, n, inputs, owned)
			}
		}
		out, v, err := result(backend, n)
		if err != nil {
			return nil, err
		}
		loops, run, at := window(dims, n.Shape.Dimensions, d.starts)
		kernels.Each(loops, run, func(_, from, to int) { copy(v[to:to+run], x[at+from:]) })
		return out, nil
	}
}

// pad puts an array into a larger one of zeros.
func pad(original executor) executor {
	return func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error) {
		x, ok := floats(inputs[0])
		fill, also := floats(inputs[1])
		d := dataOf[padData](n, padType)
		dims := inputs[0].RawShape.Dimensions
		if !ok || !also || d == nil || n.Shape.IsDynamic() || len(x) == 0 || len(fill) != 1 || fill[0] != 0 || len(d.axesConfig) > len(dims) {
			return original(backend, n, inputs, owned)
		}
		starts := make([]int, len(dims))
		for i, axis := range d.axesConfig {
			if axis.Start < 0 || axis.End < 0 || axis.Interior != 0 {
				return original(backend, n, inputs, owned)
			}
			starts[i] = axis.Start
		}
		out, v, err := result(backend, n)
		if err != nil {
			return nil, err
		}
		kernels.Parallel(len(v), 1, func(from, to int) { clear(v[from:to]) })
		loops, run, at := window(n.Shape.Dimensions, dims, starts)
		kernels.Each(loops, run, func(_, to, from int) { copy(v[at+to:at+to+run], x[from:]) })
		return out, nil
	}
}

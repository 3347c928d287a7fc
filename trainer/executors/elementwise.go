package executors

import (
	"slices"
	"unsafe"

	"github.com/gomlx/compute/dtypes"

	"prep/trainer/kernels"
)

// own takes over the first input that has the shape of the result and is the executor's to use, or makes a buffer.
func own(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, []float32, error) {
	for i := len(inputs) - 1; i >= 0; i-- {
		if owned[i] && inputs[i].RawShape.Equal(n.Shape) {
			out := inputs[i]
			inputs[i] = nil
			return out, out.Flat.([]float32), nil
		}
	}
	return result(backend, n)
}

// unary computes functions of one number.
func unary(f func(out, x []float32)) func(executor) executor {
	return func(original executor) executor {
		return func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error) {
			x, ok := floats(inputs[0])
			if !ok || !inputs[0].RawShape.Equal(n.Shape) {
				return original(backend, n, inputs, owned)
			}
			out, v, err := own(backend, n, inputs, owned)
			if err != nil {
				return nil, err
			}
			f(v, x)
			return out, nil
		}
	}
}

// binary computes an operation of two operands, of which either may be repeated along any axis.
func binary(op kernels.Op) func(executor) executor {
	return func(original executor) executor {
		return func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error) {
			a, okA := floats(inputs[0])
			b, okB := floats(inputs[1])
			if !okA || !okB || n.Shape.IsDynamic() {
				return original(backend, n, inputs, owned)
			}
			loops, inner, ok := repeats(n.Shape.Dimensions, inputs[0].RawShape.Dimensions, inputs[1].RawShape.Dimensions)
			if !ok {
				return original(backend, n, inputs, owned)
			}
			out, v, err := own(backend, n, inputs, owned)
			if err != nil {
				return nil, err
			}
			if len(v) == 0 {
				return out, nil
			}
			// The innermost loop is the kernel's.
			lenA, lenB := max(inner.N*inner.A, 1), max(inner.N*inner.B, 1)
			if len(loops) == 0 {
				kernels.Parallel(inner.N, 1, func(from, to int) {
					kernels.Binary(op, v[from:to], part(a, from, to, inner.A), part(b, from, to, inner.B))
				})
				return out, nil
			}
			kernels.Each(loops, inner.N, func(row, atA, atB int) {
				kernels.Binary(op, v[row*inner.N:(row+1)*inner.N], a[atA:atA+lenA], b[atB:atB+lenB])
			})
			return out, nil
		}
	}
}

// part is what belongs to a part of the result, all of an operand that is one value.
func part(v []float32, from, to, step int) []float32 {
	if step == 0 {
		return v[:1]
	}
	return v[from:to]
}

// repeats finds the loops of an operation on two operands, neighbours that behave alike taken as one; the innermost
// apart. An operand of one element may have any rank. It fails where the innermost values do not lie beside each other.
func repeats(out, a, b []int) (loops []kernels.Loop, inner kernels.Loop, ok bool) {
	single := func(dims []int) bool {
		return !slices.ContainsFunc(dims, func(n int) bool { return n != 1 })
	}
	steps := func(dims []int) ([]int, bool) {
		s := make([]int, len(out))
		if single(dims) {
			return s, true
		}
		if len(dims) != len(out) {
			return nil, false
		}
		own := strides(dims)
		for i := range dims {
			switch dims[i] {
			case out[i]:
				s[i] = own[i]
			case 1:
			default:
				return nil, false
			}
		}
		return s, true
	}
	stepA, okA := steps(a)
	stepB, okB := steps(b)
	if !okA || !okB {
		return nil, inner, false
	}
	for i, n := range out {
		if n == 1 {
			continue
		}
		next := kernels.Loop{N: n, A: stepA[i], B: stepB[i]}
		if k := len(loops) - 1; k >= 0 && loops[k].A == next.A*n && loops[k].B == next.B*n {
			next.N *= loops[k].N
			loops[k] = next
			continue
		}
		loops = append(loops, next)
	}
	if len(loops) == 0 {
		return nil, kernels.Loop{N: 1}, true
	}
	inner, loops = loops[len(loops)-1], loops[:len(loops)-1]
	return loops, inner, inner.A <= 1 && inner.B <= 1
}

// transpose moves values.
func transpose(original executor) executor {
	return func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error) {
		x, ok := floats(inputs[0])
		permutation, also := n.Data.([]int)
		if !ok || !also || n.Shape.IsDynamic() {
			return original(backend, n, inputs, owned)
		}
		out, v, err := result(backend, n)
		if err != nil {
			return nil, err
		}
		kernels.Transpose(v, x, inputs[0].RawShape.Dimensions, permutation)
		return out, nil
	}
}

// reduceSum adds along axes, reduceMax takes the largest. They know axes that lie beside each other.
func reduceSum(original executor) executor { return reduce(original, kernels.Sum, true) }

func reduceMax(original executor) executor { return reduce(original, kernels.Max, false) }

func reduce(original executor, along func([]float32) float32, sum bool) executor {
	return func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error) {
		x, ok := floats(inputs[0])
		axes, also := n.Data.([]int)
		if !ok || !also || n.Shape.IsDynamic() || n.Shape.DType != dtypes.Float32 {
			return original(backend, n, inputs, owned)
		}
		outer, reduced, kept, ok := adjacent(inputs[0].RawShape.Dimensions, axes)
		if !ok || outer*reduced*kept == 0 || kept > 1 && !sum {
			return original(backend, n, inputs, owned)
		}
		out, v, err := result(backend, n)
		if err != nil {
			return nil, err
		}
		if kept == 1 {
			kernels.Parallel(outer, reduced, func(from, to int) {
				for i := from; i < to; i++ {
					v[i] = along(x[i*reduced : (i+1)*reduced])
				}
			})
			return out, nil
		}
		// Columns are added row by row. Threads share columns, so that each sum has one order.
		columns := func(i, from, to int) {
			to += i * kept
			from += i * kept
			clear(v[from:to])
			for r := range reduced {
				row := x[(i*reduced+r)*kept+from-i*kept:][:to-from]
				kernels.Binary(kernels.Add, v[from:to], v[from:to], row)
			}
		}
		if outer > 1 {
			kernels.Parallel(outer, reduced*kept, func(from, to int) {
				for i := from; i < to; i++ {
					columns(i, 0, kept)
				}
			})
			return out, nil
		}
		const block = 16 // columns that lie on one line
		kernels.Parallel((kept+block-1)/block, reduced*block, func(from, to int) {
			columns(0, from*block, min(to*block, kept))
		})
		return out, nil
	}
}

// adjacent reads a reduction as one of the middle of three axes. It fails where the reduced axes are not neighbours.
func adjacent(dims, axes []int) (outer, reduced, kept int, ok bool) {
	outer, reduced, kept = 1, 1, 1
	if len(axes) == 0 { // all of them
		for _, n := range dims {
			reduced *= n
		}
		return outer, reduced, kept, true
	}
	for axis, n := range dims {
		switch is := slices.Contains(axes, axis); {
		case n == 1:
		case is && kept > 1:
			return 0, 0, 0, false
		case is:
			reduced *= n
		case reduced > 1:
			kept *= n
		default:
			outer *= n
		}
	}
	return outer, reduced, kept, true
}

// broadcastInDim repeats values.
func broadcastInDim(original executor) executor {
	return func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error) {
		x, ok := floats(inputs[0])
		axes, also := n.Data.([]int)
		dims := inputs[0].RawShape.Dimensions
		if !ok || !also || n.Shape.IsDynamic() || len(axes) != len(dims) || len(x) == 0 || n.Shape.Size() == 0 {
			return original(backend, n, inputs, owned)
		}
		// The operand with an axis of 1 wherever it is repeated.
		as := make([]int, n.Shape.Rank())
		for i := range as {
			as[i] = 1
		}
		for i, axis := range axes {
			as[axis] = dims[i]
		}
		loops, inner, ok := repeats(n.Shape.Dimensions, as, as)
		if !ok {
			return original(backend, n, inputs, owned)
		}
		out, v, err := result(backend, n)
		if err != nil {
			return nil, err
		}
		kernels.Each(loops, inner.N, func(row, at, _ int) {
			to := v[row*inner.N : (row+1)*inner.N]
			if inner.A == 1 {
				copy(to, x[at:])
				return
			}
			for i := range to {
				to[i] = x[at]
			}
		})
		return out, nil
	}
}

package executors

import (
	"slices"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"prep/trainer/kernels"
)

// buildDotGeneral puts float32 products into the graph as they lie. The library transposes operands first, unless their
// contracted axes are the last ones, which those of a gradient are not.
func buildDotGeneral(original dotBuilder) dotBuilder {
	return func(f unsafe.Pointer, lhs compute.Value, lhsContracting, lhsBatch []int, rhs compute.Value, rhsContracting, rhsBatch []int, config compute.DotGeneralConfig) (compute.Value, error) {
		inputs, err := verifyAndCastValues(f, "DotGeneral", lhs, rhs)
		if err != nil {
			return nil, err
		}
		wide := func(d dtypes.DType) bool { return d == dtypes.InvalidDType || d == dtypes.Float32 }
		a, b := inputs[0].Shape, inputs[1].Shape
		if a.DType != dtypes.Float32 || b.DType != dtypes.Float32 || !wide(config.AccumulatorDType) || !wide(config.OutputDType) ||
			!planned(a, lhsContracting, lhsBatch, b, rhsContracting, rhsBatch) {
			return original(f, lhs, lhsContracting, lhsBatch, rhs, rhsContracting, rhsBatch, config)
		}
		d, data := newDotData()
		d.InputDType, d.OutputDType, d.Config, d.Layout = dtypes.Float32, dtypes.Float32, config, asTheyLie
		d.LHSContractingAxes, d.LHSBatchAxes = slices.Clone(lhsContracting), slices.Clone(lhsBatch)
		d.RHSContractingAxes, d.RHSBatchAxes = slices.Clone(rhsContracting), slices.Clone(rhsBatch)
		var dims []int
		d.BatchSize, d.LHSCrossSize, d.RHSCrossSize, d.ContractingSize = 1, 1, 1, 1
		for _, axis := range lhsBatch {
			dims = append(dims, a.Dimensions[axis])
			d.BatchSize *= a.Dimensions[axis]
		}
		for _, axis := range rest(a.Rank(), lhsContracting, lhsBatch) {
			dims = append(dims, a.Dimensions[axis])
			d.LHSCrossSize *= a.Dimensions[axis]
		}
		for _, axis := range rest(b.Rank(), rhsContracting, rhsBatch) {
			dims = append(dims, b.Dimensions[axis])
			d.RHSCrossSize *= b.Dimensions[axis]
		}
		for _, axis := range lhsContracting {
			d.ContractingSize *= a.Dimensions[axis]
		}
		n, _ := getOrCreateNode(f, compute.OpTypeDotGeneral, shapes.Make(dtypes.Float32, dims...), inputs, data)
		return valueOf(n), nil
	}
}

// planned reports whether a product has valid axes that plan finds strides for.
func planned(a shapes.Shape, aContracting, aBatch []int, b shapes.Shape, bContracting, bBatch []int) bool {
	if len(aContracting) != len(bContracting) || len(aBatch) != len(bBatch) || a.IsDynamic() || b.IsDynamic() {
		return false
	}
	valid := func(s shapes.Shape, axes ...int) bool {
		for i, axis := range axes {
			if axis < 0 || axis >= s.Rank() || slices.Contains(axes[:i], axis) {
				return false
			}
		}
		return true
	}
	if !valid(a, slices.Concat(aContracting, aBatch)...) || !valid(b, slices.Concat(bContracting, bBatch)...) {
		return false
	}
	for i := range aContracting {
		if a.Dimensions[aContracting[i]] != b.Dimensions[bContracting[i]] {
			return false
		}
	}
	for i := range aBatch {
		if a.Dimensions[aBatch[i]] != b.Dimensions[bBatch[i]] {
			return false
		}
	}
	_, ok := plan(a.Dimensions, aContracting, aBatch, b.Dimensions, bContracting, bBatch)
	return ok
}

// A layout is how the operands of a product lie: strides of rows and columns, and the series of products.
type layout struct {
	m, n, k    int
	aRow, aCol int
	bRow, bCol int
	batch      []kernels.Loop
}

// plan finds the strides of a product. It fails where axes that are taken together do not lie at one distance.
func plan(a, aContracting, aBatch, b, bContracting, bBatch []int) (layout, bool) {
	sa, sb := strides(a), strides(b)
	var p layout
	var ok [3]bool
	p.m, p.aRow, ok[0] = together(a, sa, rest(len(a), aContracting, aBatch))
	p.n, p.bCol, ok[1] = together(b, sb, rest(len(b), bContracting, bBatch))
	p.k, p.aCol, ok[2] = together(a, sa, aContracting)
	if _, stride, also := together(b, sb, bContracting); also {
		p.bRow = stride
	} else {
		ok[2] = false
	}
	for i, axis := range aBatch {
		p.batch = append(p.batch, kernels.Loop{N: a[axis], A: sa[axis], B: sb[bBatch[i]]})
	}
	return p, ok[0] && ok[1] && ok[2]
}

// rest lists the axes that are neither contracted nor of the batch.
func rest(rank int, contracting, batch []int) []int {
	var out []int
	for axis := range rank {
		if !slices.Contains(contracting, axis) && !slices.Contains(batch, axis) {
			out = append(out, axis)
		}
	}
	return out
}

// strides are the distances of the elements along each axis.
func strides(dims []int) []int {
	out := make([]int, len(dims))
	n := 1
	for axis := len(dims) - 1; axis >= 0; axis-- {
		out[axis] = n
		n *= dims[axis]
	}
	return out
}

// together takes axes as one: its size, and its stride if it has one. Axes of one element do not count.
func together(dims, strides, axes []int) (size, stride int, ok bool) {
	size, stride, ok = 1, 1, true
	for i := len(axes) - 1; i >= 0; i-- {
		axis := axes[i]
		switch {
		case dims[axis] == 1:
			continue
		case size == 1:
			stride = strides[axis]
		case strides[axis] != stride*size:
			ok = false
		}
		size *= dims[axis]
	}
	return size, stride, ok
}

// dotGeneral computes float32 products.
func dotGeneral(original executor) executor {
	return func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error) {
		a, okA := floats(inputs[0])
		b, okB := floats(inputs[1])
		d := dataOf[dotData](n, dotType)
		if !okA || !okB || d == nil || n.Shape.DType != dtypes.Float32 || n.Shape.IsDynamic() {
			return original(backend, n, inputs, owned)
		}
		p := layout{m: d.LHSCrossSize, n: d.RHSCrossSize, k: d.ContractingSize}
		switch d.Layout {
		case asTheyLie:
			p, _ = plan(inputs[0].RawShape.Dimensions, d.LHSContractingAxes, d.LHSBatchAxes, inputs[1].RawShape.Dimensions, d.RHSContractingAxes, d.RHSBatchAxes)
		case plain:
			p.aRow, p.aCol, p.bRow, p.bCol = p.k, 1, p.n, 1
			p.batch = []kernels.Loop{{N: d.BatchSize, A: p.m * p.k, B: p.k * p.n}}
		case turned:
			p.aRow, p.aCol, p.bRow, p.bCol = p.k, 1, 1, p.k
			p.batch = []kernels.Loop{{N: d.BatchSize, A: p.m * p.k, B: p.k * p.n}}
		default:
			return original(backend, n, inputs, owned)
		}
		out, c, err := result(backend, n)
		if err != nil {
			return nil, err
		}
		kernels.Product(c, kernels.Matrix{Data: a, Row: p.aRow, Col: p.aCol}, kernels.Matrix{Data: b, Row: p.bRow, Col: p.bCol}, p.m, p.n, p.k, p.batch)
		return out, nil
	}
}

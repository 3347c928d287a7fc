// Package executors puts the kernels of package kernels below GoMLX's Go backend: it takes the places of the library's
// executors for float32, and hands everything else back to them (docs/adr/0010).
//
// The library has a table for this, in an internal package; go:linkname reaches it, and the layouts of the library's
// types are compared with what this package believes of them first. Where they differ, nothing is changed.
package executors

import (
	"maps"
	"sync"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"prep/trainer/kernels"
)

var (
	installing sync.Once
	installed  error
	// What was in the library's tables before.
	replaced        = map[compute.OpType]executor{}
	replacedBuilder dotBuilder
)

// Install makes every Go backend of this process compute with this package. An error says why it does not; then the
// library computes as it always did. b is any Go backend, to be looked at.
func Install(b compute.Backend) error {
	installing.Do(func() {
		if installed = matches(b); installed != nil {
			return
		}
		// These are faster in plain Go, too.
		take := map[compute.OpType]func(executor) executor{
			compute.OpTypeTranspose:      transpose,
			compute.OpTypeReduceSum:      reduceSum,
			compute.OpTypeReduceMax:      reduceMax,
			compute.OpTypeBroadcastInDim: broadcastInDim,
			compute.OpTypeSlice:          slice,
			compute.OpTypePad:            pad,
		}
		if kernels.Fast() {
			maps.Copy(take, map[compute.OpType]func(executor) executor{
				compute.OpTypeDotGeneral: dotGeneral,
				compute.OpTypeAdd:        binary(kernels.Add),
				compute.OpTypeSub:        binary(kernels.Sub),
				compute.OpTypeMul:        binary(kernels.Mul),
				compute.OpTypeDiv:        binary(kernels.Div),
				compute.OpTypeExp:        unary(kernels.Exp),
				compute.OpTypeErf:        unary(kernels.Erf),
				compute.OpTypeSqrt:       unary(kernels.Sqrt),
				compute.OpTypeNeg:        unary(kernels.Neg),
			})
		}
		for op, e := range take {
			replaced[op] = nodeExecutors[op]
			setNodeExecutor(op, userPriority, e(replaced[op]))
		}
		replacedBuilder = registerDotGeneral.Fn
		if kernels.Fast() {
			registerDotGeneral.Fn = buildDotGeneral(replacedBuilder)
			registerDotGeneral.Priority = userPriority
		}
	})
	return installed
}

// floats are the values of a float32 buffer.
func floats(b *buffer) ([]float32, bool) {
	if b == nil || b.RawShape.DType != dtypes.Float32 {
		return nil, false
	}
	v, ok := b.Flat.([]float32)
	return v, ok
}

// result makes a buffer for a node's values.
func result(backend unsafe.Pointer, n *node) (*buffer, []float32, error) {
	out, err := getBuffer(backend, n.Shape)
	if err != nil {
		return nil, nil, err
	}
	return out, out.Flat.([]float32), nil
}

package trainer

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/attention"

	"prep/trainer/device"
)

// Flash attention (Dao et al. 2022) computes a head's softmax piece by piece and never writes its scores to memory.
// cuDNN has it for NVIDIA GPUs in half precision; XLA calls it by name.

// flashFits reports whether cuDNN's kernels take heads of a width.
func flashFits(d int) bool { return d%8 == 0 && d <= 128 }

// useFlash decides whether attention is computed by cuDNN, and says so. Nothing of it divides among devices.
func (e *engine) useFlash() bool {
	if e.train.Attention == "products" || e.net.half == dtypes.InvalidDType || e.mesh != nil || !device.IsCUDA(e.backend) {
		return false
	}
	if err := tryFlash(e.backend, e.net.half); err != nil {
		e.log(fmt.Sprintf("attention is computed as products, for cuDNN's flash kernels do not run here: %v", err))
		return false
	}
	e.log("attention is computed by cuDNN's flash kernels; --set train.attention=products computes it as products")
	return true
}

// tryFlash runs a small attention and its gradient: whether cuDNN has a kernel for a GPU shows only there.
func tryFlash(b compute.Backend, half dtypes.DType) error {
	x, err := NewExec(b, func(x *Node) *Node {
		h := ConvertDType(x, half)
		y, _ := attention.Core(h, h, h, attention.LayoutBSHD, attention.CoreOptions{})
		return Gradient(ReduceAllSum(Square(ConvertDType(y, dtypes.Float32))), x)[0]
	})
	if err != nil {
		return err
	}
	defer x.Finalize()
	zeros := tensors.FromShape(shapes.Make(dtypes.Float32, 1, 5, 2, 64))
	defer zeros.FinalizeAll()
	y, err := x.Call1(zeros)
	if err != nil {
		return err
	}
	return y.FinalizeAll()
}

// isCausal reports whether a mask of the text tower is 0 on and below the diagonal and -inf above it.
func isCausal(mask []float32) bool {
	for i, v := range mask {
		if above := i%contextLength > i/contextLength; above && !math.IsInf(float64(v), -1) || !above && v != 0 {
			return false
		}
	}
	return len(mask) == contextLength*contextLength
}

// textMask is the name of the text tower's mask.
const textMask = "modality_preprocessors.text.mask"

package trainer

import (
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"prep/internal/fault"
	"prep/trainer/device"
)

// halfOf is the type of activations that train.precision asks for, InvalidDType for the weights' own. The Go
// backend has float32 alone: its products in half precision are slower, and on some processors wrong.
func halfOf(precision string, backend compute.Backend) (dtypes.DType, error) {
	half := dtypes.InvalidDType
	switch precision {
	case "bf16":
		half = dtypes.BFloat16
	case "fp16":
		half = dtypes.Float16
	case "tf32":
		if !device.IsCUDA(backend) {
			return half, fault.Usagef("precision tf32 needs an NVIDIA GPU (--device cuda; prep doctor says what is installed)")
		}
	}
	if half != dtypes.InvalidDType && !device.IsXLA(backend) {
		return half, fault.Usagef("precision %s needs XLA (--device cuda, or xla:PATH; prep doctor says what is installed): the Go backend computes in float32 alone", precision)
	}
	return half, nil
}

// A lossScale keeps gradients in float16's range (Micikevicius et al. 2018), by PyTorch's GradScaler's rules: the
// loss is multiplied by Scale; where the gradient overflows all the same the step is skipped and Scale halved;
// after growthSteps good steps on end it is doubled. Powers of two change no digit of what is in range.
type lossScale struct {
	Scale   float64 `json:"scale"`
	Good    int     `json:"good_steps"` // on end
	Skipped int     `json:"skipped_steps"`
}

const (
	firstScale  = 1 << 16
	leastScale  = 1.0 / (1 << 14) // below it no gradient can be saved: float16 has no room left above it
	growthSteps = 2000
	mostScale   = 1 << 24 // float32 holds it times any sensible loss
)

func newLossScale() *lossScale { return &lossScale{Scale: firstScale} }

// lost reports whether a step was skipped, by its gradient's norm.
func (s *lossScale) lost(norm float32) bool {
	return s != nil && (math.IsNaN(float64(norm)) || math.IsInf(float64(norm), 0))
}

// update follows a step, and reports whether training can go on.
func (s *lossScale) update(skipped bool) bool {
	if s == nil {
		return !skipped
	}
	if skipped {
		s.Scale, s.Good = s.Scale/2, 0
		s.Skipped++
		return s.Scale >= leastScale
	}
	if s.Good++; s.Good == growthSteps {
		s.Scale, s.Good = min(2*s.Scale, mostScale), 0
	}
	return true
}

// check refuses what a file cannot rightly hold.
func (s *lossScale) check() bool {
	return s == nil || s.Scale >= leastScale && s.Scale <= mostScale && s.Good >= 0 && s.Good < growthSteps && s.Skipped >= 0
}

// scaleRate is the factor of the loss (0) or its inverse (1) among the rates of a step.
func scaleRate(rates *Node, i int) *Node {
	n := rates.Shape().Dimensions[0]
	return Reshape(Slice(rates, AxisElem(n-2+i)))
}

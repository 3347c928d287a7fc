package trainer

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"prep/configs"
)

// AdamW with decoupled decay (Loshchilov and Hutter 2019), element for element as PyTorch's:
//
//	w <- w (1 - lr decay)
//	m <- b1 m + (1-b1) g        v <- b2 v + (1-b2) g²
//	w <- w - lr/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps)
//
// t counts the steps in which the weight had a gradient. A batch reaches whole towers, so t is counted for
// each tower; a tower that a batch does not reach is not touched, not even decayed.

// The moments stand in the store beside the weights.
func firstMomentPath(name string) string  { return "/adamw/exp_avg/" + name }
func secondMomentPath(name string) string { return "/adamw/exp_avg_sq/" + name }

// clipEpsilon keeps the clipping factor finite at a zero gradient, as torch's clip_grad_norm_ does.
const clipEpsilon = 1e-6

// rates are the scalars of one update, computed on the host in float64: the decay factor, then for each
// tower of the step lr/(1-b1^t) and sqrt(1-b2^t).
func rates(c *configs.Train, lr float64, towerSteps []int) []float32 {
	out := []float32{float32(1 - lr*c.WeightDecay)}
	for _, t := range towerSteps {
		out = append(out,
			float32(lr/(1-math.Pow(c.Beta1, float64(t)))),
			float32(math.Sqrt(1-math.Pow(c.Beta2, float64(t)))))
	}
	return out
}

// adamW builds the update of the weights from their gradients, clipped by the global norm, and returns that
// norm before clipping. tower gives each weight's place in the rates.
func adamW(c *configs.Train, store *model.Store, weights []*Weight, tower []int, grads []*Node, rates *Node) *Node {
	g := rates.Graph()
	squares := make([]*Node, len(grads))
	for i, gr := range grads {
		squares[i] = ReduceAllSum(Square(gr))
	}
	norm := squares[0]
	for _, s := range squares[1:] {
		norm = Add(norm, s)
	}
	norm = Sqrt(norm)
	clip := (*Node)(nil)
	if c.Clip > 0 {
		clip = MinScalar(Div(Scalar(g, dtypes.Float32, c.Clip), AddScalar(norm, clipEpsilon)), 1)
	}
	rate := func(i int) *Node { return Reshape(Slice(rates, AxisElem(i))) }
	decay := rate(0)
	for i, w := range weights {
		gr := grads[i]
		if clip != nil {
			gr = Mul(gr, clip)
		}
		value := store.GetVariable(variablePath(w.Name))
		m := store.GetVariable(firstMomentPath(w.Name))
		v := store.GetVariable(secondMomentPath(w.Name))
		m1 := Add(MulScalar(m.NodeValue(g), c.Beta1), MulScalar(gr, 1-c.Beta1))
		v1 := Add(MulScalar(v.NodeValue(g), c.Beta2), MulScalar(Square(gr), 1-c.Beta2))
		step, root := rate(1+2*tower[i]), rate(2+2*tower[i])
		x := value.NodeValue(g)
		if c.WeightDecay > 0 && (c.Decay == "all" || w.decays()) {
			x = Mul(x, decay)
		}
		x = Sub(x, Mul(step, Div(m1, AddScalar(Div(Sqrt(v1), root), c.Epsilon))))
		value.SetNodeValue(x)
		m.SetNodeValue(m1)
		v.SetNodeValue(v1)
	}
	return norm
}

// addMoments puts zero moments for the weights into the store, where they are not there yet.
func addMoments(store *model.Store, weights []*Weight) {
	for _, w := range weights {
		for _, path := range []string{firstMomentPath(w.Name), secondMomentPath(w.Name)} {
			if store.GetVariable(path) == nil {
				store.VariableWithValue(path, tensors.FromShape(shapes.Make(dtypes.Float32, w.Shape...))).SetTrainable(false)
			}
		}
	}
}

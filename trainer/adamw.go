package trainer

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
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

// averagePath is where the moving average of a weight stands.
func averagePath(name string) string { return "/ema/" + name }

// clipEpsilon keeps the clipping factor finite at a zero gradient, as torch's clip_grad_norm_ does.
const clipEpsilon = 1e-6

// rates are the scalars of one update, computed on the host in float64: the decay factor, then for each
// tower of the step lr/(1-b1^t), sqrt(1-b2^t) and the moving average's factor min(ema, (1+t)/(10+t)); in float16
// the factor of the loss and its inverse at the end.
func (e *engine) rates(lr float64, towerSteps []int) []float32 {
	c := &e.train
	out := []float32{float32(1 - lr*c.WeightDecay)}
	for _, steps := range towerSteps {
		t := float64(max(steps, 1)) // 0: no weight of the tower moves, and nobody looks
		out = append(out,
			float32(lr/(1-math.Pow(c.Beta1, t))),
			float32(math.Sqrt(1-math.Pow(c.Beta2, t))),
			float32(min(c.EMA, (1+t)/(10+t))))
	}
	if e.scaling != nil {
		out = append(out, float32(e.scaling.Scale), float32(1/e.scaling.Scale))
	}
	return out
}

// adamW builds the update of the weights from their gradients, clipped by the global norm, and returns that
// norm before clipping. tower gives each weight's place in the rates. Where the loss has a factor and the norm is
// not finite, nothing changes.
func (e *engine) adamW(weights []*Weight, tower []int, grads []*Node, rates *Node) *Node {
	g, c, store := rates.Graph(), &e.train, e.store
	if len(grads) == 0 {
		return Scalar(g, dtypes.Float32, 0)
	}
	if e.scaling != nil {
		inverse := scaleRate(rates, 1)
		grads = slices.Clone(grads)
		for i := range grads {
			grads[i] = Mul(grads[i], inverse)
		}
	}
	squares := make([]*Node, len(grads))
	for i, gr := range grads {
		squares[i] = ReduceAllSum(Square(gr))
	}
	norm := squares[0]
	for _, s := range squares[1:] {
		norm = Add(norm, s)
	}
	norm = Sqrt(norm)
	set := func(v *model.Variable, x *Node) { v.SetNodeValue(x) }
	if e.scaling != nil {
		whole := IsFinite(norm)
		set = func(v *model.Variable, x *Node) { v.SetNodeValue(Where(whole, x, v.NodeValue(g))) }
	}
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
		step, root := rate(1+3*tower[i]), rate(2+3*tower[i])
		x := value.NodeValue(g)
		if c.WeightDecay > 0 && (c.Decay == "all" || w.decays()) {
			x = Mul(x, decay)
		}
		x = Sub(x, Mul(step, Div(m1, AddScalar(Div(Sqrt(v1), root), c.Epsilon))))
		set(value, x)
		set(m, m1)
		set(v, v1)
		if c.EMA > 0 {
			average, factor := store.GetVariable(averagePath(w.Name)), rate(3+3*tower[i])
			old := average.NodeValue(g)
			set(average, Add(x, Mul(factor, Sub(old, x))))
		}
	}
	return norm
}

// addMoments puts zero moments for the weights that the feeds' towers train into the store, where they are
// not there yet, and moving averages that begin at the weights.
func (e *engine) addMoments(feeds []feed) {
	for _, f := range feeds {
		for _, w := range e.trained(towerOf(f.modality)) {
			for _, path := range []string{firstMomentPath(w.Name), secondMomentPath(w.Name)} {
				if e.store.GetVariable(path) == nil {
					e.store.VariableWithValue(path, tensors.FromShape(shapes.Make(dtypes.Float32, w.Shape...))).SetTrainable(false)
				}
			}
			if path := averagePath(w.Name); e.train.EMA > 0 && e.store.GetVariable(path) == nil {
				now := tensors.MustCopyFlatData[float32](e.store.GetVariable(variablePath(w.Name)).MustValue())
				e.store.VariableWithValue(path, tensors.FromFlatDataAndDimensions(now, w.Shape...)).SetTrainable(false)
			}
		}
	}
}

// resetMoments begins the optimiser anew: what a new stage does.
func (e *engine) resetMoments() error {
	for _, w := range e.moving() {
		for _, path := range []string{firstMomentPath(w.Name), secondMomentPath(w.Name)} {
			if v := e.store.GetVariable(path); v != nil {
				if err := v.SetValue(tensors.FromShape(v.Shape())); err != nil { // on every device
					return err
				}
			}
		}
	}
	return nil
}

// moving lists all weights that can ever move: those of the state_dict and LoRA's.
func (e *engine) moving() []*Weight {
	var out []*Weight
	for i := range e.weights {
		out = append(out, &e.weights[i])
	}
	for _, a := range e.adapters {
		out = append(out, &a.down, &a.up)
	}
	return out
}

package trainer

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"prep/trainer/kernels"
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

// update ends the graph of a step: by adamW, whose norm it returns, or where the weights are updated in place with the
// gradients, which are then for updated.
func (e *engine) update(weights []*Weight, tower []int, grads []*Node, rates *Node) []*Node {
	if e.inPlace {
		return grads
	}
	return []*Node{e.adamW(weights, tower, grads, rates)}
}

// updated takes what update put at the end of a graph, and returns the gradient's norm before clipping. Where the weights
// are updated in place they are now.
func (e *engine) updated(weights []*Weight, tower []int, rates []float32, out []*tensors.Tensor) (float32, error) {
	defer func() {
		for _, t := range out {
			t.FinalizeAll()
		}
	}()
	if !e.inPlace {
		return tensors.ToScalar[float32](out[0]), nil
	}
	if len(out) != len(weights) {
		return 0, fmt.Errorf("%d gradients of %d weights", len(out), len(weights))
	}
	grads := make([][]float32, len(out))
	for i, t := range out {
		var err error
		if grads[i], err = e.onHost(t); err != nil {
			return 0, err
		}
	}
	return e.updateInPlace(weights, tower, rates, grads)
}

// onHost are the values of a tensor as they lie in the backend, whose memory is the host's.
func (e *engine) onHost(t *tensors.Tensor) ([]float32, error) {
	if err := t.ToDevice(e.backend, 0); err != nil {
		return nil, err
	}
	b, err := t.Buffer(e.backend, 0)
	if err != nil {
		return nil, err
	}
	flat, err := b.Data()
	if err != nil {
		return nil, err
	}
	v, ok := flat.([]float32)
	if !ok {
		return nil, fmt.Errorf("values are %T", flat)
	}
	return v, nil
}

// stored are a variable's values onHost.
func (e *engine) stored(path string) ([]float32, error) {
	v := e.store.GetVariable(path)
	if v == nil {
		return nil, fmt.Errorf("nothing is stored at %s", path)
	}
	t, err := v.Value()
	if err != nil {
		return nil, err
	}
	return e.onHost(t)
}

// updateInPlace does to the weights what adamW builds a graph for, with the same roundings in the same order, in one
// pass over memory instead of one for each operation.
func (e *engine) updateInPlace(weights []*Weight, tower []int, rates []float32, grads [][]float32) (float32, error) {
	c := &e.train
	norm := float32(0)
	for _, g := range grads {
		norm += kernels.SumSquares(g)
	}
	norm = float32(math.Sqrt(float64(norm)))
	clip := float32(1)
	if c.Clip > 0 {
		clip = min(float32(c.Clip)/(norm+clipEpsilon), 1)
	}
	for i, w := range weights {
		x, err := e.stored(variablePath(w.Name))
		if err != nil {
			return 0, err
		}
		m, err := e.stored(firstMomentPath(w.Name))
		if err != nil {
			return 0, err
		}
		v, err := e.stored(secondMomentPath(w.Name))
		if err != nil {
			return 0, err
		}
		rate := rates[1+3*tower[i]:]
		a := kernels.AdamW{
			Clip: clip, Decay: 1,
			Beta1: float32(c.Beta1), Rest1: float32(1 - c.Beta1),
			Beta2: float32(c.Beta2), Rest2: float32(1 - c.Beta2),
			Step: rate[0], Root: rate[1], Epsilon: float32(c.Epsilon),
		}
		if c.WeightDecay > 0 && (c.Decay == "all" || w.decays()) {
			a.Decay = rates[0]
		}
		a.Update(x, m, v, grads[i])
		if c.EMA > 0 {
			average, err := e.stored(averagePath(w.Name))
			if err != nil {
				return 0, err
			}
			kernels.Follow(average, x, rate[2])
		}
	}
	return norm, nil
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

package trainer

import (
	"fmt"
	"slices"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// A step over several batches has the loss and the gradient of one batch with all their items, at the memory
// of one (GradCache, Gao et al. 2021; open_clip's accum_freq). The loss L depends on the weights through the
// embeddings f_1 .. f_k of the batches alone, so
//
//	dL/dw = sum over j of dL/df_j df_j/dw
//
// and each term needs only batch j's inner values: all batches are embedded once without gradient, then each
// again with, against the others' embeddings as constants. The loss does not care for the order of the items,
// as long as it is the same on both sides; the live batch stands first.

// sumPath is where the gradient of a weight is gathered.
func sumPath(name string) string { return "/sum/" + name }

// stepAll makes one update from several batches of the same shapes, each laid out as for step.
func (e *engine) stepAll(parts [][]feed, lr float64, towerSteps []int) (result, error) {
	f, err := e.startAll(parts, lr, towerSteps)
	if err != nil {
		return result{}, err
	}
	l := f.land()
	return l.result, l.err
}

// startAll begins stepAll, as start does for one batch. Of several batches all is done.
func (e *engine) startAll(parts [][]feed, lr float64, towerSteps []int) (*flight, error) {
	for _, f := range parts[0] {
		if t := towerOf(f.modality); !e.rests(t) {
			e.moved[t.name] = true
		}
	}
	if len(parts) == 1 {
		return e.start(parts[0], lr, towerSteps)
	}
	r, err := e.accumulate(parts, lr, towerSteps)
	if err != nil {
		return nil, err
	}
	f := &flight{make(chan landing, 1)}
	f.landed <- landing{result: r, at: time.Now()}
	return f, nil
}

// accumulate is stepAll of more batches than one.
func (e *engine) accumulate(parts [][]feed, lr float64, towerSteps []int) (result, error) {
	layout := slices.Clone(parts[0])
	key := feedsKey(layout)
	if err := e.placeAll(layout); err != nil {
		return result{}, err
	}
	embed, err := e.compiled("embed|"+key, func() (*program, error) {
		return e.program(e.inputs(parts[0]), func(_ *model.Scope, in []*Node) []*Node { return e.forward(layout, in) })
	})
	if err != nil {
		return result{}, err
	}
	weights, tower := e.reached(layout)
	e.addMoments(layout)
	for _, w := range weights {
		if e.store.GetVariable(sumPath(w.Name)) == nil {
			e.store.VariableWithValue(sumPath(w.Name), tensors.FromShape(shapes.Make(dtypes.Float32, w.Shape...))).SetTrainable(false)
		}
	}
	rates := whole(e.rates(lr, towerSteps))
	gather, err := e.compiled("gather|"+key, func() (*program, error) {
		args := []placed{rates}
		for range layout {
			args = append(args, whole(nil))
		}
		return e.program(append(args, e.inputs(parts[0])...), func(_ *model.Scope, in []*Node) []*Node {
			n := len(layout)
			rates, rest := in[0], in[1:n+1]
			out := e.forward(layout, in[n+1:])
			for i := range out {
				out[i] = Concatenate([]*Node{out[i], rest[i]}, 0)
			}
			losses, total := e.contrast(layout, out)
			_, _, grads := e.gradients(layout, total, rates)
			g := total.Graph()
			for i, w := range weights {
				v := e.store.GetVariable(sumPath(w.Name))
				v.SetNodeValue(Add(v.NodeValue(g), grads[i]))
			}
			return losses
		})
	})
	if err != nil {
		return result{}, err
	}
	made := make([][]*tensors.Tensor, len(parts)) // all are given to the device before the first is read
	for j, feeds := range parts {
		if made[j], err = embed.call(e.inputs(feeds)); err != nil {
			return result{}, fmt.Errorf("embedding of %s: %w", key, err)
		}
	}
	embedded := make([][][]float32, len(parts)) // by batch and feed, [rows of the batch, dim]
	for j, out := range made {
		for _, t := range out {
			v, err := tensors.CopyFlatData[float32](t)
			if err != nil {
				return result{}, fmt.Errorf("embedding of %s: %w", key, err)
			}
			embedded[j] = append(embedded[j], v)
			t.FinalizeAll()
		}
	}
	var r result
	for j, feeds := range parts {
		args := []placed{rates}
		for i := range layout {
			var rest []float32
			for k := range parts {
				if k != j {
					rest = append(rest, embedded[k][i]...)
				}
			}
			args = append(args, whole(tensors.FromFlatDataAndDimensions(rest, len(rest)/e.model.Dim, e.model.Dim)))
		}
		out, err := gather.call(append(args, e.inputs(feeds)...))
		if err != nil {
			return result{}, fmt.Errorf("gradient of %s: %w", key, err)
		}
		for _, t := range out {
			if j == 0 {
				v, err := tensors.CopyFlatData[float32](t)
				if err != nil {
					return result{}, fmt.Errorf("gradient of %s: %w", key, err)
				}
				r.losses = append(r.losses, v...)
			}
			t.FinalizeAll()
		}
	}
	if r.gradNorm, err = e.updateFromSums(key, weights, tower, e.rates(lr, towerSteps)); err != nil {
		return result{}, fmt.Errorf("update of %s: %w", key, err)
	}
	r.skipped = e.scaling.lost(r.gradNorm)
	r.scales = e.scales(layout)
	return r, nil
}

// updateFromSums updates the weights from the gradients that were gathered, which begin at zero again, and returns their
// norm.
func (e *engine) updateFromSums(key string, weights []*Weight, tower []int, rates []float32) (float32, error) {
	if e.inPlace {
		sums := make([][]float32, len(weights))
		for i, w := range weights {
			var err error
			if sums[i], err = e.stored(sumPath(w.Name)); err != nil {
				return 0, err
			}
		}
		norm, err := e.updateInPlace(weights, tower, rates, sums)
		for _, s := range sums {
			clear(s)
		}
		return norm, err
	}
	args := []placed{whole(rates)}
	update, err := e.compiled("update|"+key, func() (*program, error) {
		return e.program(args, func(_ *model.Scope, in []*Node) []*Node {
			rates := in[0]
			g := rates.Graph()
			grads := make([]*Node, len(weights))
			for i, w := range weights {
				v := e.store.GetVariable(sumPath(w.Name))
				grads[i] = v.NodeValue(g)
				v.SetNodeValue(ZerosLike(grads[i]))
			}
			return e.update(weights, tower, grads, rates)
		})
	})
	if err != nil {
		return 0, err
	}
	out, err := update.call(args)
	if err != nil {
		return 0, err
	}
	return e.updated(weights, tower, rates, out)
}

// compiled returns the graph of that name, building it when it is asked for first.
func (e *engine) compiled(name string, build func() (*program, error)) (*program, error) {
	if x := e.steps[name]; x != nil {
		return x, nil
	}
	x, err := build()
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", name, err)
	}
	e.steps[name] = x
	return x, nil
}

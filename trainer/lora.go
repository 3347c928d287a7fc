package trainer

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"prep/configs"
	"prep/internal/fault"
	"prep/trainer/element"
)

// An adapter is LoRA's addition to one matrix (Hu et al. 2021): W [out, in] acts as W + factor up down, with
// down [rank, in] drawn as PyTorch draws a linear layer and up [out, rank] zero, so that training begins at W.
type adapter struct {
	tower    string
	weight   string // the name of W
	down, up Weight
	factor   float64 // alpha / rank
}

// The names of the thin matrices: the weight's with these endings, as PEFT and ImageBind-LoRA call them.
const (
	loraDown = ".lora_A"
	loraUp   = ".lora_B"
)

// averagedPrefix stands before the name of a thin matrix's moving average in the file.
const averagedPrefix = "ema."

// adapt builds the sum.
func (a *adapter) adapt(w *Node, store *model.Store) *Node {
	g := w.Graph()
	down := store.GetVariable(variablePath(a.down.Name)).NodeValue(g)
	up := store.GetVariable(variablePath(a.up.Name)).NodeValue(g)
	return Add(w, MulScalar(DotGeneral(up, []int{1}, nil, down, []int{0}, nil), a.factor))
}

// adapts reports whether LoRA adds to a tower.
func (e *engine) adapts(t *towerSpec) bool { return e.train.LoRA.Adapts(t.name) }

// isHead reports whether a weight stands behind the trunk: LoRA lets it move.
func isHead(name string) bool {
	return strings.HasPrefix(name, "modality_heads.") || strings.HasPrefix(name, "modality_postprocessors.")
}

// loraWeight names the matrix of a block's layer.
func loraWeight(tower string, block int, layer string) string {
	inner := map[string]string{"in_proj": "attn.in_proj_weight", "out_proj": "attn.out_proj.weight", "fc1": "mlp.fc1.weight", "fc2": "mlp.fc2.weight"}[layer]
	return fmt.Sprintf("modality_trunks.%s.blocks.%d.%s", tower, block, inner)
}

// loraElements is the number of values that LoRA adds beside a weight.
func loraElements(t *configs.Train, w *Weight) int {
	if !t.LoRA.Adapts(w.Tower) || len(w.Shape) != 2 {
		return 0
	}
	var block int
	if _, err := fmt.Sscanf(w.Name, "modality_trunks."+w.Tower+".blocks.%d.", &block); err != nil {
		return 0
	}
	if len(t.LoRA.Blocks) > 0 && !slices.Contains(t.LoRA.Blocks, block) {
		return 0
	}
	for _, layer := range t.LoRA.Layers {
		if w.Name == loraWeight(w.Tower, block, layer) {
			return t.LoRA.Rank * (w.Shape[0] + w.Shape[1])
		}
	}
	return 0
}

// addAdapters makes the thin matrices that the recipe asks for.
func (e *engine) addAdapters() error {
	l := e.train.LoRA
	for _, t := range towers {
		if !e.adapts(t) {
			continue
		}
		for b := range t.config(&e.model).Blocks {
			if len(l.Blocks) > 0 && !slices.Contains(l.Blocks, b) {
				continue
			}
			for _, layer := range l.Layers {
				name := loraWeight(t.name, b, layer)
				i := slices.IndexFunc(e.weights, func(w Weight) bool { return w.Name == name })
				out, in := e.weights[i].Shape[0], e.weights[i].Shape[1]
				a := &adapter{tower: t.name, weight: name, factor: l.Alpha / float64(l.Rank),
					down: Weight{Name: name + loraDown, Shape: []int{l.Rank, in}, Tower: t.name, start: initUniform, spread: linearBound(in)},
					up:   Weight{Name: name + loraUp, Shape: []int{out, l.Rank}, Tower: t.name}}
				for _, w := range []*Weight{&a.down, &a.up} {
					if _, err := e.store.CreateVariable(variablePath(w.Name), tensors.FromFlatDataAndDimensions(w.values(e.train.Seed), w.Shape...)); err != nil {
						return fmt.Errorf("%s: %w", w.Name, err)
					}
				}
				e.adapters = append(e.adapters, a)
				e.net.adapters[name] = a
			}
		}
	}
	return nil
}

// values32 copies a variable.
func (e *engine) values32(path string) ([]float32, error) {
	v, err := e.store.GetVariable(path).Value()
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](v)
}

// merged is the sum that an adapter makes of its weight, from the variables at path(name).
func (e *engine) merged(a *adapter, path func(string) string) ([]float32, error) {
	w, err := e.values32(variablePath(a.weight))
	if err != nil {
		return nil, err
	}
	down, err := e.values32(path(a.down.Name))
	if err != nil {
		return nil, err
	}
	up, err := e.values32(path(a.up.Name))
	if err != nil {
		return nil, err
	}
	rank, in := a.down.Shape[0], a.down.Shape[1]
	for o := range a.up.Shape[0] {
		row := w[o*in : (o+1)*in]
		for r := range rank {
			f := float32(a.factor) * up[o*rank+r]
			for i, d := range down[r*in : (r+1)*in] {
				row[i] += f * d
			}
		}
	}
	return w, nil
}

// adapterTensors are what a run with LoRA goes on from: of each adapted matrix its resting part and the thin
// ones. The weights of the checkpoint beside them hold the sums.
func (e *engine) adapterTensors() []element.Source {
	var out []element.Source
	for _, a := range e.adapters {
		out = append(out, e.tensor(a.weight, variablePath(a.weight), []int{a.up.Shape[0], a.down.Shape[1]}),
			e.tensor(a.down.Name, variablePath(a.down.Name), a.down.Shape),
			e.tensor(a.up.Name, variablePath(a.up.Name), a.up.Shape))
		for _, w := range []*Weight{&a.down, &a.up} {
			if path := averagePath(w.Name); e.store.GetVariable(path) != nil {
				out = append(out, e.tensor(averagedPrefix+w.Name, path, w.Shape))
			}
		}
	}
	return out
}

// loadAdapters is the inverse of adapterTensors.
func (e *engine) loadAdapters(f *WeightFile) error {
	for _, a := range e.adapters {
		for _, w := range []struct {
			name  string
			shape []int
		}{{a.weight, []int{a.up.Shape[0], a.down.Shape[1]}}, {a.down.Name, a.down.Shape}, {a.up.Name, a.up.Shape}} {
			if err := e.fillFrom(f, w.name, variablePath(w.name), w.shape); err != nil {
				return err
			}
			if _, ok := f.Lookup(averagedPrefix + w.name); ok {
				if err := e.fillFrom(f, averagedPrefix+w.name, averagePath(w.name), w.shape); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fillFrom sets one variable, which may be new, from a tensor of a checkpoint's file.
func (e *engine) fillFrom(f *WeightFile, name, path string, shape []int) error {
	if t, ok := f.Lookup(name); !ok || !slices.Equal(t.Shape, shape) {
		return fault.Inputf("%s: no %s of shape %v", f.Path, name, shape)
	}
	v, err := readTensor(f, name, shape, false)
	if err != nil {
		return err
	}
	if err := e.set(path, v); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	return nil
}

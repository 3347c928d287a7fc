package trainer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/internal/fault"
	"prep/trainer/safetensors"
)

// load replaces the model's values by those of a file that holds every entry of the state_dict and nothing
// else. Missing, unexpected and wrongly shaped names are errors that list them.
func (e *engine) load(f *safetensors.File, file string) error {
	var missing, unexpected, shaped []string
	known := map[string]bool{}
	for _, w := range e.weights {
		known[w.Name] = true
		t, ok := f.Lookup(w.Name)
		switch {
		case !ok:
			missing = append(missing, w.Name)
		case !slices.Equal(t.Shape, w.Shape):
			shaped = append(shaped, fmt.Sprintf("%s %v, the model has %v", w.Name, t.Shape, w.Shape))
		}
	}
	for _, t := range f.Tensors {
		if !known[t.Name] {
			unexpected = append(unexpected, t.Name)
		}
	}
	for _, p := range []struct {
		what  string
		names []string
	}{{"other shapes", shaped}, {"missing", missing}, {"unexpected", unexpected}} {
		if n := len(p.names); n > 0 {
			if n > 5 {
				p.names = append(p.names[:5:5], fmt.Sprintf("and %d more", n-5))
			}
			return fault.Inputf("%s does not fit the model: %s: %s", file, p.what, strings.Join(p.names, "; "))
		}
	}
	for _, w := range e.weights {
		if err := e.set(variablePath(w.Name), w.Shape, f, w.Name); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// set fills one variable, which may be new, from a tensor of a file.
func (e *engine) set(path string, shape []int, f *safetensors.File, name string) error {
	values, err := f.Float32(name)
	if err != nil {
		return err
	}
	t := tensors.FromFlatDataAndDimensions(values, shape...)
	if v := e.store.GetVariable(path); v != nil {
		return v.SetValue(t)
	}
	v, err := e.store.CreateVariable(path, t)
	if err != nil {
		return err
	}
	v.SetTrainable(false)
	return nil
}

// weightTensors are the model's values as they are written: the whole state_dict in its order.
func (e *engine) weightTensors() []safetensors.Tensor {
	var out []safetensors.Tensor
	for _, w := range e.weights {
		out = append(out, e.tensor(w.Name, variablePath(w.Name), w.Shape))
	}
	return out
}

// The names of the moments in a file: these prefixes before the weight's own.
const (
	firstMoment  = "exp_avg."
	secondMoment = "exp_avg_sq."
)

// momentTensors are the optimiser's moments of all weights that have any.
func (e *engine) momentTensors() []safetensors.Tensor {
	var out []safetensors.Tensor
	for _, w := range e.weights {
		if e.store.GetVariable(firstMomentPath(w.Name)) == nil {
			continue
		}
		out = append(out,
			e.tensor(firstMoment+w.Name, firstMomentPath(w.Name), w.Shape),
			e.tensor(secondMoment+w.Name, secondMomentPath(w.Name), w.Shape))
	}
	return out
}

// loadMoments is the inverse of momentTensors.
func (e *engine) loadMoments(f *safetensors.File, file string) error {
	n := 0
	for _, w := range e.weights {
		for prefix, path := range map[string]string{firstMoment: firstMomentPath(w.Name), secondMoment: secondMomentPath(w.Name)} {
			t, ok := f.Lookup(prefix + w.Name)
			if !ok {
				continue
			}
			if !slices.Equal(t.Shape, w.Shape) {
				return fault.Inputf("%s: %s has shape %v, the weight %v", file, t.Name, t.Shape, w.Shape)
			}
			if err := e.set(path, w.Shape, f, t.Name); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			n++
		}
	}
	if n != len(f.Tensors) {
		return fault.Inputf("%s: %d of its %d tensors belong to no weight of the model", file, len(f.Tensors)-n, len(f.Tensors))
	}
	return nil
}

func (e *engine) tensor(name, path string, shape []int) safetensors.Tensor {
	return safetensors.Tensor{Name: name, Shape: shape, Values: func() ([]float32, error) {
		v, err := e.store.GetVariable(path).Value()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return tensors.CopyFlatData[float32](v)
	}}
}

package trainer

import (
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/trainer/element"
)

// hasAverages reports whether any weight has a moving average.
func (e *engine) hasAverages() bool {
	return slices.ContainsFunc(e.moving(), func(w *Weight) bool { return e.store.GetVariable(averagePath(w.Name)) != nil })
}

// averageOf is the path of a weight's moving average, or of the weight where it has none because it rests.
func (e *engine) averageOf(name string) string {
	if p := averagePath(name); e.store.GetVariable(p) != nil {
		return p
	}
	return variablePath(name)
}

// averageTensors are the moving averages as a whole state_dict, LoRA's sums made.
func (e *engine) averageTensors() []element.Source { return e.stateTensors(e.averageOf) }

// loadAverages reads the averages of the weights that have moved; LoRA's own are beside their matrices.
func (e *engine) loadAverages(f *WeightFile) error {
	for i := range e.weights {
		w := &e.weights[i]
		if e.store.GetVariable(firstMomentPath(w.Name)) == nil {
			continue // it never moved: its average is itself
		}
		if err := e.fillFrom(f, w.Name, averagePath(w.Name), w.Shape); err != nil {
			return err
		}
	}
	return nil
}

// withAverages calls use with the moving averages in the place of the weights, where there are any.
func (e *engine) withAverages(use func() error) error {
	swap := func() error {
		for _, w := range e.moving() {
			average := e.store.GetVariable(averagePath(w.Name))
			if average == nil {
				continue
			}
			value := e.store.GetVariable(variablePath(w.Name))
			a, b := tensors.MustCopyFlatData[float32](value.MustValue()), tensors.MustCopyFlatData[float32](average.MustValue())
			if err := value.SetValue(tensors.FromFlatDataAndDimensions(b, w.Shape...)); err != nil {
				return err
			}
			if err := average.SetValue(tensors.FromFlatDataAndDimensions(a, w.Shape...)); err != nil {
				return err
			}
		}
		return nil
	}
	if !e.hasAverages() {
		return use()
	}
	if err := swap(); err != nil {
		return err
	}
	err := use()
	if back := swap(); err == nil {
		err = back
	}
	return err
}

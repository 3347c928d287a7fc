package trainer

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/trainer/element"
)

// In half precision the products of the trunks read their matrices rounded. Of a matrix that moves the device has the
// float32 values, which a step rounds anew. Of one that rests, nearly all of a frozen tower, it has the rounded ones
// alone: a step has nothing to round, and they take half the memory. The float32 values stay with the host, for
// checkpoints and exports. Norms and biases are read in float32, and are so everywhere.

// narrowPath is where the rounded values of a matrix stand.
func narrowPath(name string) string { return "/narrow/" + name }

// isTrunkMatrix reports whether a weight is one of a block's four matrices: what network.matrix reads.
func isTrunkMatrix(w *Weight) bool {
	return len(w.Shape) == 2 && strings.HasPrefix(w.Name, "modality_trunks.") && strings.Contains(w.Name, ".blocks.")
}

// place brings the weights of a tower to the device, before a graph is built that reads them: those of towers that no
// graph reads stay with the host.
func (e *engine) place(t *towerSpec) error {
	if e.inPlace || e.placed[t.name] {
		return nil
	}
	moving := map[string]bool{}
	for _, w := range e.trained(t) {
		moving[w.Name] = true
	}
	for i := range e.weights {
		w := &e.weights[i]
		if w.Tower != t.name {
			continue
		}
		v := e.store.GetVariable(variablePath(w.Name))
		// One that has a moving average is exchanged for it when it is measured.
		narrow := e.net.half != dtypes.InvalidDType && isTrunkMatrix(w) && !(moving[w.Name] && !e.still) &&
			e.net.adapters[w.Name] == nil && e.store.GetVariable(averagePath(w.Name)) == nil
		value, err := v.Value()
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
		switch {
		case narrow:
			err = e.round(w, value)
		case e.mesh == nil: // a mesh deals the values out itself
			err = value.ToDevice(e.backend, 0) // or the first step makes a second copy beside this one
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	e.placed[t.name] = true
	return nil
}

// placeAll places the towers of a step.
func (e *engine) placeAll(feeds []feed) error {
	for _, f := range feeds {
		if err := e.place(towerOf(f.modality)); err != nil {
			return err
		}
	}
	return nil
}

// round puts the rounded values of a matrix that rests into the store, where they are not there yet.
func (e *engine) round(w *Weight, value *tensors.Tensor) error {
	if e.store.GetVariable(narrowPath(w.Name)) != nil {
		return nil
	}
	to := element.BF16
	if e.net.half == dtypes.Float16 {
		to = element.F16
	}
	rounded := tensors.FromShape(shapes.Make(e.net.half, w.Shape...))
	if err := useTensor(value, func(v []float32) error {
		return rounded.MutableBytes(func(b []byte) { to.Append(b[:0], v) })
	}); err != nil {
		return err
	}
	if e.mesh == nil {
		if err := rounded.ToDevice(e.backend, 0); err != nil {
			return err
		}
	}
	v, err := e.store.CreateVariable(narrowPath(w.Name), rounded)
	if err != nil {
		return err
	}
	v.SetTrainable(false)
	if e.still { // nobody asks for the float32 values again
		return e.store.DeleteVariable(variablePath(w.Name))
	}
	return value.ToLocal()
}

// displace takes back what place did, for a stage in which other weights rest.
func (e *engine) displace() error {
	clear(e.placed)
	for i := range e.weights {
		if name := e.weights[i].Name; e.store.GetVariable(narrowPath(name)) != nil {
			if err := e.store.DeleteVariable(narrowPath(name)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, x := range e.encoders { // they read what was there
		x.Finalize()
	}
	clear(e.encoders)
	return nil
}

package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
)

// diverged explains a loss or gradient that is no number: a broken sample if the batch holds one, else a
// training that ran away, for which what helps is said. The batch's keys are written out, too.
func (d *runDir) diverged(b *batch, step int, lr, loss float64, gradNorm float32, helps string) error {
	key, column := notFinite(b)
	record, err := json.MarshalIndent(map[string]any{"epoch": b.epoch + 1, "step": step, "pair": b.pair.name, "keys": b.keys,
		"loss": fmt.Sprint(loss), "grad_norm": fmt.Sprint(gradNorm), "learning_rate": lr, "broken_key": key, "broken_column": column}, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(d.path, divergedFile)
	if err := d.write(file, func(w io.Writer) error { _, err := w.Write(append(record, '\n')); return err }); err != nil {
		return err
	}
	if key != "" {
		return fault.Inputf("%w; the batch's keys are in %s", brokenSample(key, column), file)
	}
	return fmt.Errorf("epoch %d, batch %d of %s: loss %g, gradient norm %g: training diverged; %s. The batch (also in %s): %s",
		b.epoch+1, b.position+1, b.pair.name, loss, gradNorm, helps, file, strings.Join(b.keys, ", "))
}

// afterDivergence says how to go on: --resume would do the same again, and takes no other settings.
func afterDivergence(t *configs.Train, checkpoint string) string {
	helps := "a smaller train.learning_rate"
	switch {
	case t.Clip == 0 || t.Clip > calmClip:
		helps += fmt.Sprintf(" and train.clip %g", calmClip)
	default:
		helps += " or train.clip"
	}
	if t.Precision == "fp16" {
		helps += ", and precision bf16, which has the range that fp16 lacks"
	}
	if checkpoint == "" {
		return "another run with " + helps + " helps; this one has no checkpoint"
	}
	return fmt.Sprintf("another run with %s helps, with --init %s from the weights before", helps, checkpoint)
}

// errOverflow is in the chain of errors that tell of weights which are no numbers, or make none of numbers.
var errOverflow = errors.New("the weights have run away")

// overflow names a weight that is no number. The loss does not tell of one that no item of a batch reaches, such as
// the embedding of a token that does not occur, and not of the last step's.
func (e *engine) overflow() error {
	for i := range e.weights {
		w := &e.weights[i]
		if w.Buffer { // a mask's infinities are meant
			continue
		}
		if at := indexNotFinite(e.store.GetVariable(variablePath(w.Name)).MustValue()); at >= 0 {
			return fmt.Errorf("%s is not finite at element %d: %w", w.Name, at, errOverflow)
		}
	}
	return nil
}

// brokenSample is the error of a sample that holds NaN or an infinity.
func brokenSample(key, column string) error {
	return fault.Inputf("sample %s: its %s holds a value that is not finite; prep validate finds such rows", key, column)
}

// notFinite names a sample of a step that holds NaN or an infinity.
func notFinite(b *batch) (key, column string) {
	for j, feeds := range b.parts {
		for _, f := range feeds {
			if at := indexNotFinite(f.x); at >= 0 {
				return b.keys[j*b.pair.batch+at/(f.x.Size()/b.pair.batch)], f.modality.String()
			}
		}
	}
	return "", ""
}

// indexNotFinite is the first element of a tensor that is NaN or an infinity, -1 for none.
func indexNotFinite(x *tensors.Tensor) int {
	at := -1
	switch x.DType() {
	case dtypes.Float32:
		tensors.MustConstFlatData(x, func(v []float32) { at = slices.IndexFunc(v, notNumber) })
	case dtypes.Float16:
		tensors.MustConstFlatData(x, func(v []float16.Float16) {
			at = slices.IndexFunc(v, func(x float16.Float16) bool { return uint16(x)&0x7c00 == 0x7c00 })
		})
	}
	return at
}

func notNumber(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }

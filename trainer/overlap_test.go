package trainer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/sample"
)

// On a device that steps are given to before the ones before have ended, the records of a run are what they are
// elsewhere: every step once and in order, also of a run that is stopped within an epoch and resumed; and a sample that
// is no number ends the run with its name, before anything of the step is recorded or any checkpoint is written.
func TestDevicesOverlapSteps(t *testing.T) {
	onXLA(t)
	c := small(t)
	c.Train.Device, c.Train.Batch, c.Train.Epochs, c.Train.HeldOut, c.Train.Flip = testDevice(), 4, 2, 0, false
	c.Train.EvalEpochs = 2
	start := func(dir string, resume bool, rows memory, stopAt int) (steps []int, err error) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		o := options(dir, resume)
		o.Progress = func(ev Event) {
			steps = append(steps, ev.Step)
			if ev.EpochStep != (ev.Step-1)%5+1 || ev.Loss == 0 || ev.GradNorm == 0 || !(ev.SamplesPerSecond > 0) {
				t.Errorf("event %+v", ev)
			}
			if ev.Step == stopAt {
				stop()
			}
		}
		_, err = run(ctx, o, c, rows, testData)
		return steps, err
	}
	lines := func(dir string) int { return strings.Count(readFile(t, dir, metricsFile), `"kind":"step"`) }

	dir := filepath.Join(t.TempDir(), "run")
	rows := synthetic(20, sample.Image, sample.Audio) // five steps an epoch
	first, err := start(dir, false, rows, 2)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped: %v", err)
	}
	if n := len(first); n != 3 || lines(dir) != n { // the third was with the device already
		t.Errorf("steps %v and %d lines before the stop, want three", first, lines(dir))
	}
	rest, err := start(dir, true, rows, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := append(first, rest...)
	for i, step := range all {
		if step != i+1 {
			t.Fatalf("steps %v", all)
		}
	}
	if len(all) != 10 || lines(dir) != 10 {
		t.Errorf("steps %v, %d lines", all, lines(dir))
	}

	dir = filepath.Join(t.TempDir(), "broken")
	rows = synthetic(20, sample.Image, sample.Audio)
	x := &rows[7].Tensors[sample.Audio]
	for i := 0; i < len(x.Data); i += 2 {
		x.Data[i], x.Data[i+1] = 0, 0x7e // float16 NaN
	}
	before, err := start(dir, false, rows, 0)
	if fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "item-007: its audio") {
		t.Errorf("got %v", err)
	}
	if len(before) >= 5 || lines(dir) != len(before) {
		t.Errorf("steps %v, %d lines before the broken sample", before, lines(dir))
	}
	if left, _ := os.ReadDir(filepath.Join(dir, checkpointsDir)); len(left) > 0 {
		t.Errorf("a checkpoint was written: %v", left)
	}
}

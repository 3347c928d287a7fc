package trainer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"prep/configs"
	"prep/internal/fault"
)

// EvaluateOptions are what a measurement is asked for.
type EvaluateOptions struct {
	// Model is a run directory, whose best checkpoint is taken (the newest where none was measured), or a
	// checkpoint.
	Model  string
	Shards []string
	// Items bounds each gallery; 0 is the run's train.eval_items.
	Items           int
	IgnoreSelection bool
	Tokenize        func(string) []int32
	Log             func(string)
}

// A Measurement is an evaluation with what was measured on what.
type Measurement struct {
	Checkpoint string `json:"checkpoint"`
	Averages   bool   `json:"averages"` // whether the moving averages were measured
	HeldOut    bool   `json:"held_out"` // whether only held-out items were: on the run's own shards
	Samples    int    `json:"samples"`
	*Evaluation
}

// Evaluate measures a checkpoint on shards. On the run's own shards the held-out items count, since the others
// were trained on; on any others all do.
func Evaluate(ctx context.Context, o EvaluateOptions) (*Measurement, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	path, err := findCheckpoint(o.Model)
	if err != nil {
		return nil, err
	}
	st, err := verifyCheckpoint(path)
	if err != nil {
		return nil, fault.Inputf("checkpoint %s is damaged: %w", path, err)
	}
	rows, ids, err := openShards(o.Shards, o.IgnoreSelection, o.Log)
	if err != nil {
		return nil, err
	}
	defer rows.close()
	c := configs.Config{Train: st.Config.Train, Model: st.Config.Model}
	own := slices.ContainsFunc(ids, func(id dataID) bool {
		return slices.ContainsFunc(st.Data, func(d dataID) bool { return d.Manifest == id.Manifest })
	})
	if !own {
		c.Train.HeldOut = 0
	}
	c.Train.Precision = "float32" // which every device computes
	c.Train.Mix, c.Train.LoRA, c.Train.Pairs = nil, configs.LoRA{}, configs.Pairs{Text: 1, Audio: 1, Depth: 1, Thermal: 1, IMU: 1}
	if o.Items > 0 {
		c.Train.EvalItems = o.Items
	}
	p, err := newPairing(rows, c.Train, c.Model.Vocab)
	if err != nil {
		return nil, err
	}
	m := &Measurement{Checkpoint: path, HeldOut: own && c.Train.HeldOut > 0, Samples: rows.Len()}
	weights := filepath.Join(path, weightsFile)
	if slices.ContainsFunc(st.Files, func(f fileSum) bool { return f.Name == averagesFile }) {
		weights, m.Averages = filepath.Join(path, averagesFile), true
	}
	f, err := OpenWeights(weights)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	backend, err := newBackend()
	if err != nil {
		return nil, fmt.Errorf("compute backend: %w", err)
	}
	e, err := openEngine(c.Model, c.Train, engineOptions{backend: backend, from: f, any: true, log: o.Log})
	if err != nil {
		return nil, err
	}
	defer e.close()
	p.pool.backend = e.backend
	defer p.pool.close()
	m.Evaluation, err = newMeasurer(p, e, o.Tokenize).evaluate(ctx, false)
	if err != nil {
		return nil, err
	}
	m.Epoch, m.Step = st.Epoch, st.Step
	return m, nil
}

// findCheckpoint finds what a person means by a run or a checkpoint.
func findCheckpoint(path string) (string, error) {
	for _, p := range []string{path, filepath.Join(path, checkpointsDir, bestLink), filepath.Join(path, checkpointsDir, lastLink)} {
		if _, err := os.Stat(filepath.Join(p, stateFile)); err == nil {
			if real, err := filepath.EvalSymlinks(p); err == nil {
				return real, nil
			}
			return p, nil
		}
	}
	d := &runDir{path: path}
	names, err := d.checkpoints()
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return "", fault.Inputf("%s is neither a run with a checkpoint nor a checkpoint", path)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return filepath.Join(path, checkpointsDir, names[len(names)-1]), nil
}

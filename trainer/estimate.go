package trainer

import (
	"fmt"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
)

// An Estimate is what a run will need, found from the configuration before anything of its size is allocated.
type Estimate struct {
	Towers map[string]TowerEstimate `json:"towers"`
	// Parameters are counted by tower, and as "total".
	Parameters map[string]int `json:"parameters"`
	// MemoryBytes is what the largest step holds: weights, moments and averages, and its own gradients and activations.
	MemoryBytes int64 `json:"memory_bytes"`
	// ResidentBytes are the least and the most memory that the process takes for it on a CPU, by engine: "go" and "xla".
	ResidentBytes map[string][2]int64 `json:"resident_bytes"`
	// GFLOPS is the rate of this machine in float32 matrix products, measured in a fraction of a second.
	GFLOPS float64                 `json:"gflops"`
	Pairs  map[string]PairEstimate `json:"pairs"`
	// Steps and Seconds are of the whole run; 0 where no shards were named.
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"`
}

// TowerEstimate is one tower's part. Activations, operations and seconds are for one batch of it, in the stage that
// takes the most.
type TowerEstimate struct {
	Parameters      int     `json:"parameters"`
	Trained         int     `json:"trained"` // in any stage, LoRA's included
	WeightBytes     int64   `json:"weight_bytes"`
	OptimizerBytes  int64   `json:"optimizer_bytes"` // moments, gradients and moving averages
	ActivationBytes int64   `json:"activation_bytes"`
	ForwardGFLOP    float64 `json:"forward_gflop"`
	SecondsPerBatch float64 `json:"seconds_per_batch"` // forward and, if it trains, backward
}

// PairEstimate is a pair's part of the run.
type PairEstimate struct {
	Items          int     `json:"items"` // 0 where no shards were named
	Batch          int     `json:"batch"`
	StepsPerEpoch  int     `json:"steps_per_epoch"`
	SecondsPerStep float64 `json:"seconds_per_step"`
}

// forwardFLOP counts the operations of a tower's forward pass for one item: two for each multiplication with
// addition in its matrix products, which are nearly all of it.
func (t *towerSpec) forwardFLOP(m *configs.Model) float64 {
	c := t.config(m)
	w, tokens, patch := float64(c.Width), float64(t.tokens(m)), 0.0
	rows, cols := t.grid(m)
	switch t.stem {
	case stemVideo:
		patch = float64(3 * videoFrames * c.Kernel * c.Kernel)
	case stemPatch:
		patch = float64(c.Kernel * c.Kernel)
	case stemPieces:
		patch = float64(imuChannels * c.Kernel)
	}
	block := 2*tokens*w*w*(4+2*float64(m.MLPRatio)) + 4*tokens*tokens*w
	return 2*float64(rows*cols)*patch*w + float64(c.Blocks)*block + 2*w*float64(m.Dim)
}

// inputBytes is what one item takes before the first block: as float32 after normalising, and cut into patches.
func (t *towerSpec) inputBytes(m *configs.Model) float64 {
	values := map[string]int{"vision": 3 * videoFrames * imageSize * imageSize, "text": contextLength * m.Text.Width,
		"audio": melBins * melFrames, "depth": imageSize * imageSize, "thermal": imageSize * imageSize, "imu": imuChannels * imuSamples}
	return 2 * 4 * float64(values[t.name])
}

// activationBytes estimates what one item's forward pass keeps for the gradient: for each block 17
// values of the width for each token and 2.5 for each head and pair of tokens (Korthikanti et al. 2022, whose
// 34 and 5 are bytes of half precision); with recomputation one block's and each block's input.
func (t *towerSpec) activationBytes(m *configs.Model, recompute bool, precision string) float64 {
	c := t.config(m)
	w, tokens := float64(c.Width), float64(t.tokens(m))
	size := 4.0
	if precision == "bf16" || precision == "fp16" {
		size = 2
	}
	block := size * (17*tokens*w + 2.5*float64(c.Heads)*tokens*tokens)
	if recompute {
		return block + size*float64(c.Blocks)*tokens*w
	}
	return float64(c.Blocks) * block
}

// work is what a step of one tower does in a stage.
type work struct {
	moves bool // a weight of it does
	// deep is the share of the blocks that the gradient goes through: those from the first that moves on. matrices is the
	// share of the blocks' weights that have a gradient.
	deep, matrices float64
}

// workOf finds what a tower does in a stage.
func workOf(c *configs.Config, weights []Weight, t *towerSpec, stage int) work {
	var w work
	blocks, all, moving := t.config(&c.Model).Blocks, 0, 0
	first := blocks
	for i := range weights {
		x := &weights[i]
		if x.Tower != t.name || x.Buffer {
			continue
		}
		moves, thin := c.Train.Trains(stage, t.name, x.Name), loraElements(&c.Train, x)
		whole := moves && (!c.Train.LoRA.Adapts(t.name) || isHead(x.Name))
		w.moves = w.moves || whole || moves && thin > 0
		if isHead(x.Name) {
			continue
		}
		all += x.Elements()
		if !whole && !(moves && thin > 0) {
			continue
		}
		if moving += thin; whole {
			moving += x.Elements()
		}
		block := 0 // what lies before the blocks wants the gradient of them all
		if _, err := fmt.Sscanf(x.Name, "modality_trunks."+t.name+".blocks.%d.", &block); err != nil {
			block = 0
		}
		first = min(first, block)
	}
	w.deep = float64(blocks-first) / float64(blocks)
	w.matrices = min(1, float64(moving)/float64(all))
	return w
}

// passes is a step's work in passes forward: one, one for the gradient of what flows through the blocks, and one for
// that of their weights.
func (w work) passes(t *configs.Train) float64 {
	n := 1 + w.deep + w.matrices
	if t.Recompute {
		n += w.deep
	}
	if t.Accumulate > 1 {
		n++
	}
	return n
}

// DryRun estimates a run. Shards may be empty: then it is for full batches of each pair that the recipe has.
func DryRun(o Options) (*Estimate, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	c := o.Config
	if o.Epochs > 0 {
		c.Train.Epochs = o.Epochs
	}
	if err := c.Train.Check(); err != nil {
		return nil, err
	}
	if err := c.Model.Check(); err != nil {
		return nil, err
	}
	if err := namesFit(&c); err != nil {
		return nil, err
	}
	rate, err := productRate()
	if err != nil {
		return nil, err
	}
	est := &Estimate{Towers: map[string]TowerEstimate{}, Parameters: map[string]int{}, Pairs: map[string]PairEstimate{}, GFLOPS: rate}
	stages := max(1, len(c.Train.Stages))
	weights := StateDict(&c.Model)
	works := map[*towerSpec][]work{} // by stage
	for _, t := range towers {
		var te TowerEstimate
		lora := 0
		for i := range weights {
			w := &weights[i]
			if w.Tower != t.name || w.Buffer {
				continue
			}
			te.Parameters += w.Elements()
			thin := loraElements(&c.Train, w)
			lora += thin
			adapted := c.Train.LoRA.Adapts(t.name) && !isHead(w.Name)
			for s := range stages {
				if c.Train.Trains(s, w.Tower, w.Name) {
					te.Trained += thin
					if !adapted {
						te.Trained += w.Elements()
					}
					break
				}
			}
		}
		te.WeightBytes = 4 * int64(te.Parameters+lora)
		copies := int64(3) // gradient, two moments
		if c.Train.EMA > 0 {
			copies++
		}
		if c.Train.Accumulate > 1 {
			copies++
		}
		te.OptimizerBytes = 4 * copies * int64(te.Trained)
		te.ForwardGFLOP = t.forwardFLOP(&c.Model) * float64(c.Train.Batch) / 1e9
		for s := range stages {
			w := workOf(&c, weights, t, s)
			works[t] = append(works[t], w)
			kept := w.deep*t.activationBytes(&c.Model, c.Train.Recompute, c.Train.Precision) + t.inputBytes(&c.Model)
			te.ActivationBytes = max(te.ActivationBytes, int64(kept*float64(c.Train.Batch)))
			te.SecondsPerBatch = max(te.SecondsPerBatch, w.passes(&c.Train)*te.ForwardGFLOP/rate)
		}
		est.Towers[t.name] = te
		est.Parameters[t.name] = te.Parameters
		est.Parameters["total"] += te.Parameters
		est.MemoryBytes += te.WeightBytes
	}
	pairs := map[string]*pair{}
	var p *pairing
	if len(o.Shards) > 0 {
		rows, _, err := openShards(o.Shards, o.IgnoreSelection, o.Log)
		if err != nil {
			return nil, err
		}
		defer rows.close()
		if p, err = newPairing(rows, c.Train, c.Model.Vocab); err != nil {
			return nil, err
		}
		p.passOver(func(t *towerSpec, stage int) bool { return works[t][stage].moves })
		for _, pr := range p.pairs {
			pairs[pr.name] = pr
		}
		est.Steps = p.stepsTo(c.Train.Epochs)
	} else {
		for _, q := range partners(c.Train.Pairs) {
			if q.weight > 0 {
				pairs["image-"+q.modality.String()] = &pair{other: q.modality, batch: c.Train.Batch, parts: c.Train.Accumulate}
			}
		}
	}
	largest, activations := int64(0), int64(0)
	for name, pr := range pairs {
		hub, other := est.Towers["vision"], est.Towers[towerOf(pr.other).name]
		share := float64(pr.batch) / float64(c.Train.Batch)
		pe := PairEstimate{Items: len(pr.train), Batch: pr.rows(), StepsPerEpoch: pr.perEpoch,
			SecondsPerStep: float64(pr.parts) * share * (hub.SecondsPerBatch + other.SecondsPerBatch)}
		est.Pairs[name] = pe
		for epoch := range c.Train.Epochs {
			if stage, _, _ := c.Train.StageOf(epoch); pr.rests == nil || !pr.rests[stage] {
				gflop := works[towers[0]][stage].passes(&c.Train)*hub.ForwardGFLOP + works[towerOf(pr.other)][stage].passes(&c.Train)*other.ForwardGFLOP
				est.Seconds += float64(pr.perEpoch*pr.parts) * share * gflop / rate
			}
		}
		largest = max(largest, hub.ActivationBytes+other.ActivationBytes+gradientBytes(hub)+gradientBytes(other))
		activations = max(activations, hub.ActivationBytes+other.ActivationBytes)
	}
	// Moments and averages stay once a tower has had a step; gradients live for one.
	used := map[string]bool{"vision": true}
	for _, pr := range pairs {
		used[towerOf(pr.other).name] = true
	}
	for name := range used {
		est.MemoryBytes += est.Towers[name].OptimizerBytes - gradientBytes(est.Towers[name])
	}
	est.MemoryBytes += largest
	est.ResidentBytes = residentBytes(est.MemoryBytes, activations)
	return est, nil
}

// gradientBytes are those of OptimizerBytes that live for a step.
func gradientBytes(t TowerEstimate) int64 { return 4 * int64(t.Trained) }

// residentBytes are bounds of what a process takes in which a step holds so much, activations included. An engine may
// keep half of the activations alone. Go's collector lets the heap become twice what lives; the program, its buffers for
// data and measurements, and on XLA the plugin and its compiler, come on top. Measured on runs of several sizes
// (docs/training.md).
func residentBytes(held, activations int64) map[string][2]int64 {
	const mib = 1 << 20
	least := held - activations/2
	return map[string][2]int64{
		"go":  {least + 100*mib, 2*held + 450*mib},
		"xla": {least + 400*mib, 2*held + 1200*mib},
	}
}

// productRate measures float32 matrix products of the engine, in GFLOP/s.
func productRate() (float64, error) {
	backend, err := newBackend()
	if err != nil {
		return 0, fmt.Errorf("compute backend: %w", err)
	}
	defer backend.Finalize()
	const side = 512
	x, err := NewExec(backend, func(a, b *Node) *Node { return DotGeneral(a, []int{1}, nil, b, []int{1}, nil) })
	if err != nil {
		return 0, err
	}
	defer x.Finalize()
	a := tensors.FromShape(shapes.Make(dtypes.Float32, side, side))
	defer a.FinalizeAll()
	best := 0.0
	// The first compiles; of many the best has had the machine to itself.
	for start, n := time.Now(), 0; n < 4 || n < 200 && time.Since(start) < 200*time.Millisecond; n++ {
		began := time.Now()
		out, err := x.Call(a, a)
		if err != nil {
			return 0, err
		}
		out[0].FinalizeAll()
		best = max(best, 2*side*side*side/1e9/time.Since(began).Seconds())
	}
	return best, nil
}

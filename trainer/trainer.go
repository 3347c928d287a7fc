// Package trainer trains ImageBind's kind of joint embedding from shards: six towers into one space, the
// image (or video) as the hub that every other modality is contrasted with.
//
// It owns the model and its weights (ImageBind's structure under ImageBind's parameter names, so that they
// travel both ways), the loss, the optimiser, the schedule, the order of the data, the measures of
// retrieval, checkpoints and the run directory. Shards on disk are all it knows of where data come from;
// what is printed is the caller's business. The engine is GoMLX.
//
// A run is a pure function of its configuration, its shards and its seed: everything random is drawn on the
// host from streams keyed by seed, epoch and sample key (see draw.go), so a run that was stopped anywhere
// and resumed ends with the same bytes as one that was not, on the CPU.
//
// The run directory holds config.yaml (the effective configuration), metrics.jsonl (one line for each step
// and each epoch), and checkpoints/epoch-E-step-S/ with weights.safetensors (the whole state_dict),
// optimizer.safetensors (AdamW's moments) and state.json (the cursor, the rest of the optimiser's state, the
// configuration, the shards' digest, and the SHA-256 of the other two and of itself). A checkpoint is
// written aside and renamed into place.
package trainer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/shards"
)

// Options are what a run is asked to do.
type Options struct {
	Shards string // folder of a finished ingest
	RunDir string // created if it is not there
	Resume bool   // go on from the newest whole checkpoint in RunDir
	Epochs int    // 0: as the configuration says
	Config configs.Config
	// IgnoreSelection trains on all rows even when validate left a selection.
	IgnoreSelection bool
	// Progress, if set, is called after every step, from the goroutine that called Run.
	Progress func(Event)
	// Log, if set, gets what a person should know, one sentence at a time.
	Log func(string)
}

// Event reports a step.
type Event struct {
	Epoch, Epochs int // the epoch of the step, counted from 1, and their number
	Step, Steps   int // steps done in the whole run, and their number
	EpochStep     int // steps done in this epoch
	EpochSteps    int
	Pair          string             // the pair of this step, such as "image-text"
	Loss          float64            // of this step
	Losses        map[string]float64 // mean over the epoch so far, by pair
	LearningRate  float64
	GradNorm      float64 // global, before clipping
	// SamplesPerSecond is the rate since the run began or was resumed; Wait is the share of that time in
	// which the step waited for its data.
	SamplesPerSecond float64
	Wait             float64
	// Checkpoint names the checkpoint that was written after this step, if one was.
	Checkpoint string
}

// Summary is what a run ended with.
type Summary struct {
	Epochs     int                   `json:"epochs"` // finished
	Steps      int                   `json:"steps"`
	Loss       float64               `json:"loss"` // mean over the pairs' losses
	Pairs      map[string]PairResult `json:"pairs"`
	Checkpoint string                `json:"checkpoint"` // path of the newest
	RunDir     string                `json:"run"`
	Samples    int                   `json:"samples"`    // rows of the shards that count
	Parameters int                   `json:"parameters"` // that the run trains
	Seconds    float64               `json:"seconds"`
}

// PairResult is what a pair ended with. R@1 of "image-text" is the share of images whose nearest text, among
// the gallery, is their own; the reverse asks for each text's image. A gallery item that is byte for byte
// the right one's twin counts as right. Where items were held out R1 is measured on them, among themselves;
// where there are none (Items is 0) R1 repeats the figures of the training items.
type PairResult struct {
	Loss           float64 `json:"loss"`       // mean over the last epoch
	FirstLoss      float64 `json:"first_loss"` // mean over the first epoch
	R1             float64 `json:"r1"`
	R1Reverse      float64 `json:"r1_reverse"`
	Items          int     `json:"items"` // held out, in the gallery
	TrainR1        float64 `json:"train_r1"`
	TrainR1Reverse float64 `json:"train_r1_reverse"`
	TrainItems     int     `json:"train_items"` // in the training items' gallery
}

// Of says in words what R1 was measured on.
func (p PairResult) Of() string {
	if p.Items > 0 {
		return fmt.Sprintf("%d held-out items", p.Items)
	}
	return fmt.Sprintf("%d training items", p.TrainItems)
}

// Run trains. When ctx is cancelled it finishes the step it is in, writes a checkpoint and returns
// context.Canceled together with a summary of how far it came.
//
// Errors: fault.Usage for a configuration that cannot be built, and for a resume with other settings or
// other data; fault.Input where there is nothing to train on or a value is broken; fault.Environment for a
// full or read-only disk and for a run directory that another trainer is using.
func Run(ctx context.Context, o Options) (*Summary, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(Event) {}
	}
	c := o.Config
	if o.Epochs > 0 {
		c.Train.Epochs = o.Epochs
	}
	if err := errors.Join(c.Train.Check(), c.Model.Check()); err != nil {
		return nil, err
	}
	data, err := shards.Open(o.Shards, shards.OpenOptions{IgnoreSelection: o.IgnoreSelection})
	if err != nil {
		return nil, explainShards(o.Shards, err)
	}
	defer data.Close()
	if err := checkSchema(data.Schema().Tensors); err != nil {
		return nil, err
	}
	id := dataID{Manifest: data.Manifest().Digest, Samples: data.Len()}
	if s := data.Selection(); s != nil {
		id.Selection = s.Digest
		o.Log(fmt.Sprintf("%s: the selection keeps %d of %d samples", o.Shards, s.Kept, s.Samples))
	} else {
		o.Log(fmt.Sprintf("%s: %d samples, no selection", o.Shards, data.Len()))
	}
	if c.Train.Flip && flippedAtIngest(data.Manifest().Config) {
		c.Train.Flip = false
		o.Log(fmt.Sprintf("%s: pictures were mirrored at ingest (flip.when), so that training does not mirror them again", o.Shards))
	}
	return run(ctx, o, c, shardRows{data}, id)
}

// flippedAtIngest reports whether the shards' pictures were mirrored for good, by the configuration in their
// manifest. Members that are not known here do not matter.
func flippedAtIngest(config json.RawMessage) bool {
	var made struct {
		Flip configs.Flip `json:"flip"`
	}
	return json.Unmarshal(config, &made) == nil && made.Flip.When == "ingest"
}

// run is Run over rows of any origin.
func run(ctx context.Context, o Options, c configs.Config, rows Rows, id dataID) (sum *Summary, err error) {
	began := time.Now()
	p, err := newPairing(rows, c.Train, c.Model.Vocab)
	if err != nil {
		return nil, err
	}
	dir, err := openRun(o.RunDir, c, o.Resume)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	for _, n := range p.notes {
		o.Log(n)
	}
	for _, pr := range p.pairs {
		o.Log(fmt.Sprintf("%s: %d items to train on, %d held out, %d batches of %d an epoch", pr.name, len(pr.train), len(pr.held), pr.perEpoch, pr.batch))
	}
	st := newState(c, id)
	checkpoint := ""
	if o.Resume {
		old, path, err := dir.latest(o.Log)
		if err != nil {
			return nil, err
		}
		if old == nil {
			o.Log(fmt.Sprintf("%s has no checkpoint yet: starting at the beginning", o.RunDir))
		} else {
			if err := st.sameRun(old); err != nil {
				return nil, err
			}
			old.Config = st.Config
			st, checkpoint = old, path
			o.Log(fmt.Sprintf("resuming from %s: epoch %d, step %d", path, st.Epoch+1, st.Step))
		}
	}
	e, err := startEngine(c, checkpoint, o.Log)
	if err != nil {
		return nil, err
	}
	defer e.close()
	if err := dir.openMetrics(st.MetricsBytes); err != nil {
		return nil, err
	}

	perEpoch := p.stepsPerEpoch()
	save := func() error {
		name, err := dir.save(e, st, c.Train.Keep)
		if err == nil {
			checkpoint = name
		}
		return err
	}
	summary := func() *Summary {
		s := &Summary{Epochs: st.Epoch, Steps: st.Step, Pairs: map[string]PairResult{}, Checkpoint: checkpoint, RunDir: o.RunDir,
			Samples: rows.Len(), Parameters: e.parameters(p), Seconds: time.Since(began).Seconds()}
		for _, pr := range p.pairs {
			r := PairResult{Loss: st.Last[pr.name], FirstLoss: st.First[pr.name], Items: min(len(pr.held), c.Train.EvalItems), TrainItems: min(len(pr.train), c.Train.EvalItems)}
			s.Pairs[pr.name] = r
			s.Loss += r.Loss / float64(len(p.pairs))
		}
		return s
	}

	// The loader runs one batch ahead in its own goroutine, which ends before this function does.
	loadCtx, stop := context.WithCancel(ctx)
	batches, loader := p.load(loadCtx, e, st.Epoch, st.Position, c.Train.Epochs)
	defer func() { stop(); <-loader }()

	samples, waited, start := 0, time.Duration(0), time.Now()
	for st.Epoch < c.Train.Epochs {
		asked := time.Now()
		var b loaded
		if ctx.Err() == nil {
			select {
			case b = <-batches:
			case <-ctx.Done():
			}
		}
		waited += time.Since(asked)
		if ctx.Err() != nil {
			if st.Step == 0 {
				return summary(), context.Canceled
			}
			if err := save(); err != nil {
				return summary(), err
			}
			return summary(), context.Canceled
		}
		if b.err != nil {
			return nil, b.err
		}
		lr := learningRate(&c.Train, float64(b.epoch)+float64(b.position)/float64(perEpoch))
		towerSteps := st.advance(b.feeds)
		r, err := e.step(b.feeds, lr, towerSteps)
		if err != nil {
			return nil, err
		}
		loss := float64(r.losses[0])
		if math.IsNaN(loss) || math.IsInf(loss, 0) || math.IsNaN(float64(r.gradNorm)) || math.IsInf(float64(r.gradNorm), 0) {
			return nil, diverged(b.batch, loss, r.gradNorm, checkpoint)
		}
		free(b.feeds)
		samples += len(b.rows)
		st.count(b.pair.name, loss)
		ev := Event{Epoch: b.epoch + 1, Epochs: c.Train.Epochs, Step: st.Step, Steps: c.Train.Epochs * perEpoch, EpochStep: b.position + 1, EpochSteps: perEpoch,
			Pair: b.pair.name, Loss: loss, Losses: st.means(), LearningRate: lr, GradNorm: float64(r.gradNorm)}
		elapsed := time.Since(start)
		ev.SamplesPerSecond, ev.Wait = float64(samples)/elapsed.Seconds(), waited.Seconds()/elapsed.Seconds()
		if err := dir.metric(stepMetric{Kind: "step", Epoch: ev.Epoch, Step: ev.Step, Pair: ev.Pair, Loss: loss, LearningRate: lr, GradNorm: ev.GradNorm,
			Scale: e.logitScale(towerOf(b.pair.other)), SamplesPerSecond: round(ev.SamplesPerSecond), Wait: round(ev.Wait)}); err != nil {
			return nil, err
		}
		st.Position++
		if st.Position == perEpoch {
			if err := dir.metric(epochMetric{Kind: "epoch", Epoch: ev.Epoch, Step: ev.Step, Losses: ev.Losses}); err != nil {
				return nil, err
			}
			st.endEpoch()
			if st.Epoch%c.Train.CheckpointEpochs == 0 || st.Epoch == c.Train.Epochs {
				if err := save(); err != nil {
					return nil, err
				}
				ev.Checkpoint = checkpoint
			}
		}
		o.Progress(ev)
	}
	sum = summary()
	return sum, p.measure(ctx, e, sum.Pairs)
}

// round keeps three digits of a figure that is only looked at.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }

// free gives a batch's memory back.
func free(feeds []feed) {
	for _, f := range feeds {
		for _, t := range []*tensors.Tensor{f.x, f.dropPath, f.head} {
			if t != nil {
				t.FinalizeAll()
			}
		}
	}
}

// diverged explains a loss or gradient that is no number: a broken sample if the batch holds one, else a
// training that ran away.
func diverged(b *batch, loss float64, gradNorm float32, checkpoint string) error {
	if key, column := notFinite(b); key != "" {
		return fault.Inputf("sample %s: its %s holds a value that is not finite; prep validate finds such rows", key, column)
	}
	stays := "no checkpoint was written yet"
	if checkpoint != "" {
		stays = "the checkpoint " + checkpoint + " is from before"
	}
	return fmt.Errorf("epoch %d, batch %d of %s: loss %g, gradient norm %g: training diverged; a smaller train.learning_rate or train.clip helps; %s. The batch: %s",
		b.epoch+1, b.position+1, b.pair.name, loss, gradNorm, stays, strings.Join(b.keys, ", "))
}

// notFinite names a sample of a batch that holds NaN or an infinity.
func notFinite(b *batch) (key, column string) {
	for _, f := range b.feeds {
		if storedType(f.modality) != dtypes.Float32 {
			continue
		}
		tensors.MustConstFlatData(f.x, func(v []float32) {
			n := len(v) / len(b.keys)
			for i, x := range v {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					key, column = b.keys[i/n], f.modality.String()
					return
				}
			}
		})
		if key != "" {
			return key, column
		}
	}
	return "", ""
}

// A loaded batch, or why there is none.
type loaded struct {
	*batch
	err error
}

// load assembles the batches from a cursor on, one ahead of the taker, until the last epoch is through or ctx
// ends. The second channel is closed when its goroutine has ended.
func (p *pairing) load(ctx context.Context, e *engine, epoch, position, epochs int) (<-chan loaded, <-chan struct{}) {
	out, done := make(chan loaded, 1), make(chan struct{})
	go func() {
		defer close(done)
		for ; epoch < epochs; epoch, position = epoch+1, 0 {
			plan := p.epochPlan(epoch)
			for ; position < len(plan); position++ {
				if ctx.Err() != nil {
					return
				}
				pr := p.pairs[plan[position].pair]
				b := &batch{pair: pr, epoch: epoch, position: position, rows: p.rowsOf(pr, plan[position].number)}
				err := p.assemble(b)
				if err == nil {
					for i := range b.feeds {
						f := &b.feeds[i]
						f.dropPath, f.head = e.masks(towerOf(f.modality), epoch, b.keys)
					}
				}
				select {
				case out <- loaded{b, err}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}
	}()
	return out, done
}

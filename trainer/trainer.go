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
// The run directory holds config.yaml (the effective configuration), metrics.jsonl (one line for each step,
// epoch, evaluation and piece of advice), tensorboard/ (the same for TensorBoard, and the projector's files),
// pictures/ (of the newest evaluation), and checkpoints/epoch-E-step-S/ with weights.safetensors (the whole
// state_dict, LoRA's sums made), optimizer.safetensors (AdamW's moments), with LoRA lora.safetensors, with a
// moving average ema.safetensors, and state.json (the cursor, the rest of the optimiser's state, the
// configuration, the shards' digests, and the SHA-256 of the other files and of itself). A checkpoint is
// written aside and renamed into place; the links "last" and "best" beside it are for people.
package trainer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"prep/configs"
	"prep/internal/fault"
	"prep/shards"
)

// Options are what a run is asked to do.
type Options struct {
	Shards []string // folders of finished ingests
	RunDir string   // created if it is not there
	Resume bool     // go on from the newest whole checkpoint in RunDir
	Epochs int      // 0: as the configuration says
	Config configs.Config
	// Plugin is the PJRT plugin that devices cuda and auto take before those that they find, "" for none.
	Plugin string
	// IgnoreSelection trains on all rows even when validate left a selection.
	IgnoreSelection bool
	// Progress, if set, is called after every step, from the goroutine that called Run.
	Progress func(Event)
	// Tokenize makes the 77 token ids of a sentence, for classification by label; nil leaves that out.
	Tokenize func(string) []int32
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
	GradNorm      float64 // global, before clipping; 0 where the step was skipped
	// LossScale and SkippedSteps are the factor of the loss in float16 and the steps skipped so far, 0 in others.
	LossScale    float64
	SkippedSteps int
	// SamplesPerSecond is the rate of the steps since the run began or was resumed, those apart that had to be
	// compiled first; Wait is the share of that time in which a step waited for its data.
	SamplesPerSecond float64
	Wait             float64
	// Checkpoint names the checkpoint that was written after this step, if one was.
	Checkpoint string
	// Evaluation and Advice are what was found after this step, if anything was.
	Evaluation *Evaluation
	Advice     []Advice
}

// Summary is what a run ended with.
type Summary struct {
	Epochs     int                   `json:"epochs"` // finished
	Steps      int                   `json:"steps"`
	Loss       float64               `json:"loss"` // mean over the losses of the pairs that were trained
	Pairs      map[string]PairResult `json:"pairs"`
	Checkpoint string                `json:"checkpoint"` // path of the newest
	RunDir     string                `json:"run"`
	Best       string                `json:"best"`       // path of the best, "" when none was measured
	Samples    int                   `json:"samples"`    // rows of the shards that count
	Parameters int                   `json:"parameters"` // that the run trains
	Seconds    float64               `json:"seconds"`
	// SkippedSteps are those of Steps that changed nothing, because the gradient overflowed float16.
	SkippedSteps int `json:"skipped_steps,omitempty"`
	// Evaluation is the last; nil where the run was stopped.
	Evaluation *Evaluation `json:"evaluation,omitempty"`
}

// PairResult is what a pair ended with. R@1 of "image-text" is the share of images whose nearest text, among
// the gallery, is their own; the reverse asks for each text's image. A gallery item that is byte for byte
// the right one's twin counts as right. Where items were held out R1 is measured on them, among themselves;
// where there are none (Items is 0) R1 repeats the figures of the training items.
type PairResult struct {
	Loss           float64 `json:"loss,omitzero"`       // mean over the last epoch, 0 where the pair was never trained
	FirstLoss      float64 `json:"first_loss,omitzero"` // mean over the first epoch
	R1             float64 `json:"r1"`
	R1Reverse      float64 `json:"r1_reverse"`
	R5             float64 `json:"r5"`
	R10            float64 `json:"r10"`
	MedianRank     float64 `json:"median_rank"`
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
	if !o.Resume { // a run that has begun goes on
		if err := namesFit(&c); err != nil {
			return nil, err
		}
	}
	rows, ids, err := openShards(o.Shards, o.IgnoreSelection, o.Log)
	if err != nil {
		return nil, err
	}
	defer rows.close()
	return run(ctx, o, c, rows, ids...)
}

// namesFit refuses names in the recipe that the model does not have: with a misspelt one other weights would move than
// were meant, and nothing would tell.
func namesFit(c *configs.Config) error {
	weights := StateDict(&c.Model)
	patterns := map[string][]string{"train.freeze": c.Train.Freeze, "train.only": c.Train.Only}
	for i, s := range c.Train.Stages {
		patterns[fmt.Sprintf("train.stages[%d].freeze", i)] = s.Freeze
	}
	for _, key := range slices.Sorted(maps.Keys(patterns)) {
		for _, p := range patterns[key] {
			if !slices.ContainsFunc(weights, func(w Weight) bool { return configs.MatchParameter(p, w.Tower, w.Name) }) {
				return fault.Usagef("%s: %q matches no parameter of the model; it takes towers (%s) and patterns of whole names (modality_heads.*)", key, p, strings.Join(configs.Towers, ", "))
			}
		}
	}
	if c.Train.LoRA.Rank == 0 {
		return nil
	}
	for _, b := range c.Train.LoRA.Blocks {
		most := 0
		for _, t := range towers {
			if c.Train.LoRA.Adapts(t.name) {
				most = max(most, t.config(&c.Model).Blocks)
			}
		}
		if b >= most {
			return fault.Usagef("train.lora.blocks: no tower that LoRA adds to has a block %d; the deepest has %d, counted from 0", b, most)
		}
	}
	return nil
}

// openShards opens the data sets of a run and says what each gives.
func openShards(dirs []string, ignoreSelection bool, log func(string)) (rows *shardRows, ids []dataID, err error) {
	if len(dirs) == 0 {
		return nil, nil, fault.Usagef("no shards to train on")
	}
	var sets []*shards.Dataset
	defer func() {
		if err != nil {
			for _, d := range sets {
				d.Close()
			}
		}
	}()
	var names []string
	for _, dir := range dirs {
		data, err := shards.Open(dir, shards.OpenOptions{IgnoreSelection: ignoreSelection})
		if err != nil {
			return nil, nil, explainShards(dir, err)
		}
		sets = append(sets, data)
		if err := checkSchema(data.Schema().Tensors); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", dir, err)
		}
		id := dataID{Manifest: data.Manifest().Digest, Samples: data.Len()}
		if slices.ContainsFunc(ids, func(o dataID) bool { return o.Manifest == id.Manifest }) {
			return nil, nil, fault.Usagef("%s is named twice, or is a copy of another data set of the run; train.mix shows one more often", dir)
		}
		what := dir
		if len(dirs) > 1 {
			what = fmt.Sprintf("%s (keys %.12s/...)", dir, id.Manifest)
		}
		if s := data.Selection(); s != nil {
			id.Selection = s.Digest
			log(fmt.Sprintf("%s: the selection keeps %d of %d samples", what, s.Kept, s.Samples))
		} else {
			log(fmt.Sprintf("%s: %d samples, no selection", what, data.Len()))
		}
		if flippedAtIngest(data.Manifest().Config) {
			log(fmt.Sprintf("%s: pictures were mirrored at ingest (flip.when), so that training does not mirror them again", dir))
		}
		ids = append(ids, id)
		name := filepath.Base(filepath.Clean(dir))
		for n, base := 2, name; slices.Contains(names, name); n++ {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		names = append(names, name)
	}
	return newShardRows(sets, names), ids, nil
}

// flippedAtIngest reports whether the shards' pictures were mirrored for good, by the configuration in their
// manifest. Members that are not known here do not matter.
func flippedAtIngest(config json.RawMessage) bool {
	var made struct {
		Flip configs.Flip `json:"flip"`
	}
	return json.Unmarshal(config, &made) == nil && made.Flip.When == "ingest"
}

// measureTraining fills in R@1 of each pair in the gallery of its training items.
func (s *Summary) measureTraining(ctx context.Context, p *pairing, e *engine) error {
	m := newMeasurer(p, e, nil)
	return e.withAverages(func() error {
		for _, pr := range p.pairs {
			got, err := m.pair(ctx, pr, p.gallery(pr.train), nil, false)
			if err != nil {
				return err
			}
			r := s.Pairs[pr.name]
			r.TrainR1, r.TrainR1Reverse, r.TrainItems = got.Forward.R1, got.Back.R1, got.Items
			s.Pairs[pr.name] = r
		}
		return nil
	})
}

func names(pairs []*pair) string {
	var out []string
	for _, pr := range pairs {
		out = append(out, pr.name)
	}
	return strings.Join(out, ", ")
}

// passOver marks the stages in which neither tower of a pair moves.
func (p *pairing) passOver(moves func(t *towerSpec, stage int) bool) {
	for _, pr := range p.pairs {
		pr.rests = nil
		for stage := range max(1, len(p.train.Stages)) {
			pr.rests = append(pr.rests, !moves(towers[0], stage) && !moves(towerOf(pr.other), stage))
		}
	}
}

// anyRests reports whether a weight of the pairs' towers rests when the training begins.
func (p *pairing) anyRests(e *engine) bool {
	for _, t := range towers {
		if t != towers[0] && !slices.ContainsFunc(p.pairs, func(pr *pair) bool { return towerOf(pr.other) == t }) {
			continue
		}
		all := 0
		for i := range e.weights {
			if e.weights[i].Tower == t.name && !e.weights[i].Buffer {
				all++
			}
		}
		if e.adapts(t) || len(e.trainedIn(t, 0)) < all {
			return true
		}
	}
	return false
}

// startScales gives the modalities of the pairs that are trained the logit scale that the recipe begins with.
func startScales(t *configs.Train, p *pairing, e *engine, log func(string)) error {
	items := map[*towerSpec]int{}
	for _, pr := range p.pairs {
		if slices.Contains(pr.rests, false) {
			items[towerOf(pr.other)] += len(pr.train)
		}
	}
	for _, tower := range towers {
		n := items[tower]
		if n == 0 {
			continue
		}
		scale, keep, err := t.Scale(n)
		if err != nil || keep {
			return err
		}
		if err := e.setLogitScale(tower, scale); err != nil {
			return err
		}
		log(fmt.Sprintf("%s: the logit scale begins at %.3g for %d items", tower.name, scale, n))
	}
	return nil
}

// fill puts the figures of an evaluation into a summary.
func (s *Summary) fill(p *pairing, ev *Evaluation) {
	s.Evaluation = ev
	for _, pr := range p.pairs {
		r, m := s.Pairs[pr.name], ev.Pairs[pr.name]
		r.R1, r.R1Reverse, r.R5, r.R10, r.MedianRank = m.Forward.R1, m.Back.R1, m.Forward.R5, m.Forward.R10, m.Forward.MedianRank
		s.Pairs[pr.name] = r
	}
}

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
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/sample"
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

// run is Run over rows of any origin.
func run(ctx context.Context, o Options, c configs.Config, rows Rows, ids ...dataID) (sum *Summary, err error) {
	began := time.Now()
	p, err := newPairing(rows, c.Train, c.Model.Vocab)
	if err != nil {
		return nil, err
	}
	asked := c // what the checkpoints record, before sizes of data and auto-tuning change it
	for _, pr := range p.pairs {
		if pr.other == sample.IMU {
			c.Model.IMU.DropPath = c.Train.IMUDrop(len(pr.train), c.Model.IMU.DropPath)
		}
	}
	dir, err := openRun(o.RunDir, o.Resume)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	for _, n := range p.notes {
		o.Log(n)
	}
	for _, pr := range p.pairs {
		o.Log(fmt.Sprintf("%s: %d items to train on, %d held out, %d steps of %d an epoch", pr.name, len(pr.train), len(pr.held), pr.perEpoch, pr.rows()))
	}
	if err := p.divide(c.Train.Devices, o.Log); err != nil {
		return nil, err
	}
	st := newState(asked, ids...)
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
			dir.link(st, filepath.Base(path))
			o.Log(fmt.Sprintf("resuming from %s: epoch %d, step %d", path, st.Epoch+1, st.Step))
		}
	}
	e, err := startEngine(ctx, c, o.Plugin, checkpoint, o.Log)
	if err != nil {
		return nil, err
	}
	defer e.close()
	if e.scaling != nil {
		if st.LossScale == nil {
			st.LossScale = e.scaling
		}
		e.scaling = st.LossScale
	}
	p.pool.backend = e.backend
	defer p.pool.close()
	p.passOver(func(t *towerSpec, stage int) bool { return len(e.trainedIn(t, stage)) > 0 })
	steps := p.stepsTo(c.Train.Epochs)
	if steps == 0 {
		return nil, fault.Usagef("train.freeze and train.only leave nothing to train of the pairs that the data have (%s)", names(p.pairs))
	}
	for _, ch := range st.Tuned {
		if !strings.HasPrefix(ch.Key, "logit_scale.") { // those are in the weights
			if err := e.tune(&c, p, ch); err != nil {
				return nil, err
			}
		}
	}
	if checkpoint == "" && c.Train.Init == "" && p.anyRests(e) {
		o.Log("what rests keeps the values that it was drawn with, which know nothing; --init begins with weights that do")
	}
	if st.Step == 0 {
		if err := startScales(&c.Train, p, e, o.Log); err != nil {
			return nil, err
		}
	}
	if !o.Resume {
		if err := dir.begin(asked); err != nil {
			return nil, err
		}
	}
	if err := dir.openMetrics(st.MetricsBytes); err != nil {
		return nil, err
	}
	if err := dir.openBoard(int64(st.Step)); err != nil {
		return nil, err
	}

	// ranAway explains an error that tells of a training that diverged.
	ranAway := func(err error) error {
		if !errors.Is(err, errOverflow) {
			return err
		}
		return fmt.Errorf("after step %d: %v: training diverged; %s", st.Step, err, afterDivergence(&c.Train, checkpoint))
	}
	save := func() error {
		if err := e.overflow(); err != nil {
			return ranAway(err)
		}
		name, err := dir.save(e, st, c.Train.Keep)
		if err == nil {
			checkpoint = name
		}
		return err
	}
	summary := func() *Summary {
		s := &Summary{Epochs: st.Epoch, Steps: st.Step, Pairs: map[string]PairResult{}, Checkpoint: checkpoint, RunDir: o.RunDir,
			Samples: rows.Len(), Parameters: e.parameters(p), Seconds: time.Since(began).Seconds()}
		if st.LossScale != nil {
			s.SkippedSteps = st.LossScale.Skipped
		}
		if st.Best != "" {
			s.Best = filepath.Join(o.RunDir, checkpointsDir, st.Best)
		}
		for _, pr := range p.pairs {
			r := PairResult{Loss: st.Last[pr.name], FirstLoss: st.First[pr.name], Items: min(len(pr.held), c.Train.EvalItems), TrainItems: min(len(pr.train), c.Train.EvalItems)}
			s.Pairs[pr.name] = r
			s.Loss += r.Loss / float64(max(1, len(st.Last)))
		}
		return s
	}

	// The loader runs one batch ahead in its own goroutine, which ends before this function does, and before
	// anything that it reads is changed.
	var batches <-chan loaded
	stop := func() {}
	start := func() {
		loadCtx, cancel := context.WithCancel(ctx)
		var done <-chan struct{}
		batches, done = p.load(loadCtx, e, st.Epoch, st.Position, c.Train.Epochs)
		stop = func() {
			cancel()
			<-done
			select {
			case b := <-batches: // one that nobody will take
				if b.err == nil {
					p.free(b.batch)
				}
			default:
			}
		}
	}
	// passOver goes to the next epoch of a stage in which something moves.
	passOver := func() {
		for st.Epoch < c.Train.Epochs && p.stepsIn(st.Epoch) == 0 {
			st.Epoch++
		}
	}
	passOver()
	now, _, _ := c.Train.StageOf(min(st.Epoch, c.Train.Epochs-1))
	if err := e.enter(now); err != nil {
		return nil, err
	}
	start()
	defer func() { stop() }()

	var speed pace
	var last *Evaluation
	var ended time.Time // the step before
	// record takes down a step that has ended.
	record := func(s *step) error {
		l := s.land()
		if l.err != nil {
			return l.err
		}
		b, loss := s.batch, float64(l.losses[0])
		m := stepMetric{Kind: "step", Pair: b.pair.name, Loss: loss, LearningRate: s.rate, Epoch: b.epoch + 1, Step: s.number, Scale: l.scales[0]}
		if st.LossScale != nil {
			m.LossScale = st.LossScale.Scale
			if l.skipped {
				st.withdraw(e, b.parts[0])
			}
			if on := st.LossScale.update(l.skipped); l.skipped && on && !math.IsNaN(loss) && !math.IsInf(loss, 0) {
				o.Log(fmt.Sprintf("step %d: the gradient overflows float16 at a loss scale of %g: skipped, going on at %g", s.number, m.LossScale, st.LossScale.Scale))
				l.gradNorm = 0
			}
			m.SkippedSteps = st.LossScale.Skipped
		}
		m.GradNorm = float64(l.gradNorm)
		if math.IsNaN(loss) || math.IsInf(loss, 0) || math.IsNaN(m.GradNorm) || math.IsInf(m.GradNorm, 0) {
			return dir.diverged(b, s.number, s.rate, loss, l.gradNorm, afterDivergence(&c.Train, checkpoint))
		}
		p.free(b)
		speed.count(len(b.rows), l.at.Sub(later(s.asked, ended)), s.wait, s.compiled)
		ended = l.at
		st.count(b.pair.name, loss)
		s.event = Event{Epoch: m.Epoch, Epochs: c.Train.Epochs, Step: m.Step, Steps: steps, EpochStep: b.position + 1, EpochSteps: p.stepsIn(b.epoch),
			Pair: m.Pair, Loss: loss, Losses: st.means(), LearningRate: m.LearningRate, GradNorm: m.GradNorm, LossScale: m.LossScale, SkippedSteps: m.SkippedSteps}
		s.event.SamplesPerSecond, s.event.Wait = speed.rates()
		m.SamplesPerSecond, m.Wait = round(s.event.SamplesPerSecond), round(s.event.Wait)
		st.Position++
		return dir.step(m)
	}
	// Where steps overlap under is the one that the device still computes while the next batch is got and given to it.
	var under *step
	landUnder := func() error {
		s := under
		if under = nil; s == nil {
			return nil
		}
		if err := record(s); err != nil {
			return err
		}
		o.Progress(s.event)
		return nil
	}
	defer func() {
		if under != nil { // an error has ended the training; nothing is closed under the device
			under.land()
		}
	}()
	for st.Epoch < c.Train.Epochs {
		s := &step{asked: time.Now()}
		if ctx.Err() == nil {
			select {
			case s.loaded = <-batches:
			case <-ctx.Done():
			}
		}
		s.wait = time.Since(s.asked)
		if under != nil {
			// What was waited for while the device computed cost nothing.
			select {
			case l := <-under.landed:
				s.wait = min(s.wait, time.Since(l.at))
				under.landed <- l
			default:
				s.wait = 0
			}
		}
		if ctx.Err() != nil {
			if err := landUnder(); err != nil {
				return nil, err
			}
			if st.Step == 0 {
				return summary(), context.Canceled
			}
			if err := save(); err != nil {
				return summary(), err
			}
			return summary(), context.Canceled
		}
		if s.err != nil {
			if err := landUnder(); err != nil {
				return nil, err
			}
			return nil, s.err
		}
		b := s.batch
		perEpoch := p.stepsIn(b.epoch)
		_, within, factor := c.Train.StageOf(b.epoch)
		s.rate = factor * learningRate(&c.Train, float64(within)+float64(b.position)/float64(perEpoch))
		towerSteps := st.advance(e, b.parts[0])
		s.number = st.Step
		programs := e.programs
		if s.flight, err = e.startAll(b.parts, s.rate, towerSteps); err != nil {
			return nil, errors.Join(landUnder(), err)
		}
		s.compiled = e.programs > programs
		if err := landUnder(); err != nil {
			s.land()
			return nil, err
		}
		if e.overlaps() && b.position+1 < perEpoch {
			under = s
			continue
		}
		if err := record(s); err != nil {
			return nil, err
		}
		ev := s.event
		if st.Position == perEpoch {
			if err := dir.epoch(e, ev); err != nil {
				return nil, ranAway(err)
			}
			st.endEpoch()
			passOver()
			final := st.Epoch == c.Train.Epochs
			due := st.Epoch%c.Train.CheckpointEpochs == 0 || final
			if st.Epoch%c.Train.EvalEpochs == 0 || final {
				m := newMeasurer(p, e, o.Tokenize)
				m.pictures = true
				// It is not interrupted: its findings may change how the run goes on.
				if last, err = m.evaluate(context.WithoutCancel(ctx), true); err != nil {
					return nil, ranAway(err)
				}
				last.Epoch, last.Step = st.Epoch, st.Step
				ev.Evaluation = last
				if err := dir.evaluation(last); err != nil {
					return nil, err
				}
				if st.Best == "" || last.Score >= st.BestScore {
					st.Best, st.BestScore, due = st.checkpointName(), last.Score, true
				}
			}
			changed := false
			ev.Advice = st.advise(&c, p, e, ev.Evaluation)
			stage, _, _ := c.Train.StageOf(min(st.Epoch, c.Train.Epochs-1))
			if c.Train.AutoTune && !final || stage != e.stage {
				stop()
			}
			for i := range ev.Advice {
				a := &ev.Advice[i]
				if c.Train.AutoTune && !final && len(a.Changes) > 0 {
					for _, ch := range a.Changes {
						if err := e.tune(&c, p, ch); err != nil {
							return nil, err
						}
					}
					a.Applied, changed = true, true
					st.Tuned = append(st.Tuned, a.Changes...)
				}
				if err := dir.metric(adviceMetric{"advice", *a}); err != nil {
					return nil, err
				}
			}
			if stage != e.stage {
				changed = true
				if err := errors.Join(e.enter(stage), e.resetMoments()); err != nil {
					return nil, err
				}
				clear(st.TowerSteps)
				o.Log(fmt.Sprintf("stage %d of the recipe begins", stage+1))
			}
			if due {
				if err := save(); err != nil {
					return nil, err
				}
				ev.Checkpoint = checkpoint
			}
			if changed || c.Train.AutoTune && !final {
				start()
			}
		}
		o.Progress(ev)
	}
	sum = summary()
	if last == nil { // a resumption of a finished run
		if last, err = newMeasurer(p, e, o.Tokenize).evaluate(ctx, true); err != nil {
			return sum, ranAway(err)
		}
		last.Epoch, last.Step = st.Epoch, st.Step
	}
	sum.fill(p, last)
	return sum, ranAway(sum.measureTraining(ctx, p, e))
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

// A step of the training, from the request for its batch to its end.
type step struct {
	loaded
	*flight
	number   int     // in the run, counted from 1
	rate     float64 // of learning
	asked    time.Time
	wait     time.Duration // for the batch, while there was nothing to compute
	compiled bool
	event    Event // once it has ended
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// A pace is how fast steps are taken: evaluations and checkpoints are no part of it, nor are steps that are
// compiled first, which takes seconds to minutes on XLA, unless there are no others yet.
type pace struct {
	samples      int
	time, waited time.Duration
	compiled     bool // what is counted was
}

func (p *pace) count(samples int, time, waited time.Duration, compiled bool) {
	switch {
	case compiled && p.samples > 0 && !p.compiled:
		return
	case p.compiled:
		*p = pace{}
	}
	p.samples, p.time, p.waited, p.compiled = p.samples+samples, p.time+time, p.waited+waited, compiled
}

// rates are samples a second and the share of the time that was waited for data.
func (p *pace) rates() (samples, wait float64) {
	return float64(p.samples) / p.time.Seconds(), p.waited.Seconds() / p.time.Seconds()
}

// round keeps three digits of a figure that is only looked at.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }

// free gives a batch's memory back.
func (p *pairing) free(b *batch) {
	for _, feeds := range b.parts {
		for _, f := range feeds {
			p.pool.give(f.x)
			for _, t := range []*tensors.Tensor{f.dropPath, f.head} {
				if t != nil {
					t.FinalizeAll()
				}
			}
		}
	}
}

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
					for j, feeds := range b.parts {
						for i := range feeds {
							f := &feeds[i]
							f.dropPath, f.head = e.masks(towerOf(f.modality), epoch, b.keys[j*pr.batch:(j+1)*pr.batch])
							if err == nil {
								err = e.ahead(f)
							}
						}
					}
				}
				select {
				case out <- loaded{b, err}:
				case <-ctx.Done():
					if err == nil {
						p.free(b)
					}
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

package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/sample"
)

// run is Run over rows of any origin.
func run(ctx context.Context, o Options, c configs.Config, rows Rows, ids ...dataID) (sum *Summary, err error) {
	t := &training{Options: o, c: c, rows: rows, began: time.Now(), stop: func() {}}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.open(ctx, ids); err != nil {
		return nil, err
	}
	return t.toEnd(ctx)
}

// A training is a run in progress. It is opened, gone through to its end and closed, by one goroutine.
type training struct {
	Options
	c     configs.Config // the run's, as sizes of data and auto-tuning have changed it
	rows  Rows
	began time.Time

	p          *pairing
	dir        *runDir
	e          *engine
	st         *state
	steps      int    // of the whole run
	checkpoint string // path of the newest
	last       *Evaluation

	// The loader runs one batch ahead in its own goroutine, which stop ends: before close, and before anything that
	// it reads is changed.
	batches <-chan loaded
	stop    func()

	// under, where steps overlap, is the one that the device still computes while the next batch is got and given
	// to it.
	under *step
	ended time.Time // the step before
	speed pace
}

// open reads what there is of the data and of the run, and builds the engine.
func (t *training) open(ctx context.Context, ids []dataID) (err error) {
	if t.p, err = newPairing(t.rows, t.c.Train, t.c.Model.Vocab); err != nil {
		return err
	}
	asked := t.c // what the checkpoints record
	for _, pr := range t.p.pairs {
		if pr.other == sample.IMU {
			t.c.Model.IMU.DropPath = t.c.Train.IMUDrop(len(pr.train), t.c.Model.IMU.DropPath)
		}
	}
	if t.dir, err = openRun(t.RunDir, t.Resume); err != nil {
		return err
	}
	for _, n := range t.p.notes {
		t.Log(n)
	}
	for _, pr := range t.p.pairs {
		t.Log(fmt.Sprintf("%s: %d items to train on, %d held out, %d steps of %d an epoch", pr.name, len(pr.train), len(pr.held), pr.perEpoch, pr.rows()))
	}
	if err := t.p.divide(t.c.Train.Devices, t.Log); err != nil {
		return err
	}
	if err := t.openState(asked, ids); err != nil {
		return err
	}
	if t.e, err = startEngine(ctx, t.c, t.Plugin, t.checkpoint, t.Log); err != nil {
		return err
	}
	if t.e.scaling != nil {
		if t.st.LossScale == nil {
			t.st.LossScale = t.e.scaling
		}
		t.e.scaling = t.st.LossScale
	}
	t.p.pool.backend = t.e.backend
	t.p.passOver(func(w *towerSpec, stage int) bool { return len(t.e.trainedIn(w, stage)) > 0 })
	if t.steps = t.p.stepsTo(t.c.Train.Epochs); t.steps == 0 {
		return fault.Usagef("train.freeze and train.only leave nothing to train of the pairs that the data have (%s)", names(t.p.pairs))
	}
	for _, ch := range t.st.Tuned {
		if !strings.HasPrefix(ch.Key, "logit_scale.") { // those are in the weights
			if err := t.e.tune(&t.c, t.p, ch); err != nil {
				return err
			}
		}
	}
	if t.checkpoint == "" && t.c.Train.Init == "" && t.p.anyRests(t.e) {
		t.Log("what rests keeps the values that it was drawn with, which know nothing; --init begins with weights that do")
	}
	if t.st.Step == 0 {
		if err := startScales(&t.c.Train, t.p, t.e, t.Log); err != nil {
			return err
		}
	}
	if !t.Resume {
		if err := t.dir.begin(asked); err != nil {
			return err
		}
	}
	if err := t.dir.openMetrics(t.st.MetricsBytes); err != nil {
		return err
	}
	return t.dir.openBoard(int64(t.st.Step))
}

// openState makes the state of a run that begins, or reads that of the newest checkpoint.
func (t *training) openState(asked configs.Config, ids []dataID) error {
	t.st = newState(asked, ids...)
	if !t.Resume {
		return nil
	}
	old, path, err := t.dir.latest(t.Log)
	if err != nil {
		return err
	}
	if old == nil {
		t.Log(fmt.Sprintf("%s has no checkpoint yet: starting at the beginning", t.RunDir))
		return nil
	}
	if err := t.st.sameRun(old); err != nil {
		return err
	}
	old.Config = t.st.Config
	t.st, t.checkpoint = old, path
	t.dir.link(t.st, filepath.Base(path))
	t.Log(fmt.Sprintf("resuming from %s: epoch %d, step %d", path, t.st.Epoch+1, t.st.Step))
	return nil
}

// close gives back what open and toEnd hold, the last first.
func (t *training) close() error {
	if t.under != nil { // an error has ended the training; nothing is closed under the device
		t.under.land()
	}
	t.stop()
	if t.e != nil {
		t.p.pool.close()
		t.e.close()
	}
	if t.dir != nil {
		return t.dir.close()
	}
	return nil
}

// toEnd goes through the steps that are left.
func (t *training) toEnd(ctx context.Context) (*Summary, error) {
	t.passOver()
	if err := t.e.enter(t.stage()); err != nil {
		return nil, err
	}
	t.load(ctx)
	for t.st.Epoch < t.c.Train.Epochs {
		s := t.next(ctx)
		if ctx.Err() != nil {
			return t.interrupted()
		}
		if s.err != nil {
			if err := t.landUnder(); err != nil {
				return nil, err
			}
			return nil, s.err
		}
		perEpoch := t.p.stepsIn(s.epoch)
		if err := t.start(s, perEpoch); err != nil {
			return nil, err
		}
		if t.e.overlaps() && s.position+1 < perEpoch {
			t.under = s
			continue
		}
		if err := t.record(s); err != nil {
			return nil, err
		}
		if t.st.Position == perEpoch {
			if err := t.endEpoch(ctx, &s.event); err != nil {
				return nil, err
			}
		}
		t.Progress(s.event)
	}
	return t.finish(ctx)
}

// load starts the loader where the run is.
func (t *training) load(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	batches, done := t.p.load(ctx, t.e, t.st.Epoch, t.st.Position, t.c.Train.Epochs)
	t.batches = batches
	t.stop = func() {
		cancel()
		<-done
		select {
		case b := <-batches: // one that nobody will take
			if b.err == nil {
				t.p.free(b.batch)
			}
		default:
		}
	}
}

// next waits for the next batch, or for the end of ctx.
func (t *training) next(ctx context.Context) *step {
	s := &step{asked: time.Now()}
	if ctx.Err() == nil {
		select {
		case s.loaded = <-t.batches:
		case <-ctx.Done():
		}
	}
	s.wait = time.Since(s.asked)
	if t.under != nil {
		// What was waited for while the device computed cost nothing.
		select {
		case l := <-t.under.landed:
			s.wait = min(s.wait, time.Since(l.at))
			t.under.landed <- l
		default:
			s.wait = 0
		}
	}
	return s
}

// start gives a step to the device and takes down the one before.
func (t *training) start(s *step, perEpoch int) (err error) {
	_, within, factor := t.c.Train.StageOf(s.epoch)
	s.rate = factor * learningRate(&t.c.Train, float64(within)+float64(s.position)/float64(perEpoch))
	towerSteps := t.st.advance(t.e, s.parts[0])
	s.number = t.st.Step
	programs := t.e.programs
	if s.flight, err = t.e.startAll(s.parts, s.rate, towerSteps); err != nil {
		return errors.Join(t.landUnder(), err)
	}
	s.compiled = t.e.programs > programs
	if err := t.landUnder(); err != nil {
		s.land()
		return err
	}
	return nil
}

// landUnder takes down the step that the device still computes, if there is one.
func (t *training) landUnder() error {
	s := t.under
	if t.under = nil; s == nil {
		return nil
	}
	if err := t.record(s); err != nil {
		return err
	}
	t.Progress(s.event)
	return nil
}

// record takes down a step that has ended, or waits for its end.
func (t *training) record(s *step) error {
	l := s.land()
	if l.err != nil {
		return l.err
	}
	b, loss, st := s.batch, float64(l.losses[0]), t.st
	m := stepMetric{Kind: "step", Pair: b.pair.name, Loss: loss, LearningRate: s.rate, Epoch: b.epoch + 1, Step: s.number, Scale: l.scales[0]}
	if st.LossScale != nil {
		m.LossScale = st.LossScale.Scale
		if l.skipped {
			st.withdraw(t.e, b.parts[0])
		}
		if on := st.LossScale.update(l.skipped); l.skipped && on && !math.IsNaN(loss) && !math.IsInf(loss, 0) {
			t.Log(fmt.Sprintf("step %d: the gradient overflows float16 at a loss scale of %g: skipped, going on at %g", s.number, m.LossScale, st.LossScale.Scale))
			l.gradNorm = 0
		}
		m.SkippedSteps = st.LossScale.Skipped
	}
	m.GradNorm = float64(l.gradNorm)
	if math.IsNaN(loss) || math.IsInf(loss, 0) || math.IsNaN(m.GradNorm) || math.IsInf(m.GradNorm, 0) {
		return t.dir.diverged(b, s.number, s.rate, loss, l.gradNorm, afterDivergence(&t.c.Train, t.checkpoint))
	}
	t.p.free(b)
	t.speed.count(len(b.rows), l.at.Sub(later(s.asked, t.ended)), s.wait, s.compiled)
	t.ended = l.at
	st.count(b.pair.name, loss)
	s.event = Event{Epoch: m.Epoch, Epochs: t.c.Train.Epochs, Step: m.Step, Steps: t.steps, EpochStep: b.position + 1, EpochSteps: t.p.stepsIn(b.epoch),
		Pair: m.Pair, Loss: loss, Losses: st.means(), LearningRate: m.LearningRate, GradNorm: m.GradNorm, LossScale: m.LossScale, SkippedSteps: m.SkippedSteps}
	s.event.SamplesPerSecond, s.event.Wait = t.speed.rates()
	m.SamplesPerSecond, m.Wait = round(s.event.SamplesPerSecond), round(s.event.Wait)
	st.Position++
	return t.dir.step(m)
}

// endEpoch evaluates, advises, changes the stage and writes a checkpoint, each where it is due, and adds to the event
// of the epoch's last step what was found.
func (t *training) endEpoch(ctx context.Context, ev *Event) error {
	if err := t.dir.epoch(t.e, *ev); err != nil {
		return t.ranAway(err)
	}
	st := t.st
	st.endEpoch()
	t.passOver()
	final := st.Epoch == t.c.Train.Epochs
	due := st.Epoch%t.c.Train.CheckpointEpochs == 0 || final
	if st.Epoch%t.c.Train.EvalEpochs == 0 || final {
		best, err := t.evaluate(ctx)
		if err != nil {
			return err
		}
		ev.Evaluation, due = t.last, due || best
	}
	ev.Advice = st.advise(&t.c, t.p, t.e, ev.Evaluation)
	stage, tunes := t.stage(), t.c.Train.AutoTune && !final
	if tunes || stage != t.e.stage {
		t.stop()
	}
	changed := false
	for i := range ev.Advice {
		a := &ev.Advice[i]
		if tunes && len(a.Changes) > 0 {
			for _, ch := range a.Changes {
				if err := t.e.tune(&t.c, t.p, ch); err != nil {
					return err
				}
			}
			a.Applied, changed = true, true
			st.Tuned = append(st.Tuned, a.Changes...)
		}
		if err := t.dir.metric(adviceMetric{"advice", *a}); err != nil {
			return err
		}
	}
	if stage != t.e.stage {
		changed = true
		if err := errors.Join(t.e.enter(stage), t.e.resetMoments()); err != nil {
			return err
		}
		clear(st.TowerSteps)
		t.Log(fmt.Sprintf("stage %d of the recipe begins", stage+1))
	}
	if due {
		if err := t.save(); err != nil {
			return err
		}
		ev.Checkpoint = t.checkpoint
	}
	if changed || tunes {
		t.load(ctx)
	}
	return nil
}

// evaluate measures the weights as they are, and reports whether they are the best so far. It is not interrupted: its
// findings may change how the run goes on.
func (t *training) evaluate(ctx context.Context) (best bool, err error) {
	m := newMeasurer(t.p, t.e, t.Tokenize)
	m.pictures = true
	if t.last, err = m.evaluate(context.WithoutCancel(ctx), true); err != nil {
		return false, t.ranAway(err)
	}
	t.last.Epoch, t.last.Step = t.st.Epoch, t.st.Step
	if err := t.dir.evaluation(t.last); err != nil {
		return false, err
	}
	if t.st.Best != "" && !(t.last.Score >= t.st.BestScore) {
		return false, nil
	}
	t.st.Best, t.st.BestScore = t.st.checkpointName(), t.last.Score
	return true, nil
}

// stage is that of the recipe for the present epoch, and the last one's after the end.
func (t *training) stage() int {
	stage, _, _ := t.c.Train.StageOf(min(t.st.Epoch, t.c.Train.Epochs-1))
	return stage
}

// passOver goes to the next epoch of a stage in which something moves.
func (t *training) passOver() {
	for t.st.Epoch < t.c.Train.Epochs && t.p.stepsIn(t.st.Epoch) == 0 {
		t.st.Epoch++
	}
}

// save writes a checkpoint.
func (t *training) save() error {
	if err := t.e.overflow(); err != nil {
		return t.ranAway(err)
	}
	name, err := t.dir.save(t.e, t.st, t.c.Train.Keep)
	if err == nil {
		t.checkpoint = name
	}
	return err
}

// ranAway explains an error that tells of a training that diverged.
func (t *training) ranAway(err error) error {
	if !errors.Is(err, errOverflow) {
		return err
	}
	return fmt.Errorf("after step %d: %v: training diverged; %s", t.st.Step, err, afterDivergence(&t.c.Train, t.checkpoint))
}

// interrupted ends a run whose context has ended, with a checkpoint if there is anything to keep.
func (t *training) interrupted() (*Summary, error) {
	if err := t.landUnder(); err != nil {
		return nil, err
	}
	if t.st.Step > 0 {
		if err := t.save(); err != nil {
			return t.summary(), err
		}
	}
	return t.summary(), context.Canceled
}

// finish sums up a run that is through, and measures what the last evaluation has not.
func (t *training) finish(ctx context.Context) (sum *Summary, err error) {
	sum = t.summary()
	if t.last == nil { // a resumption of a finished run
		if t.last, err = newMeasurer(t.p, t.e, t.Tokenize).evaluate(ctx, true); err != nil {
			return sum, t.ranAway(err)
		}
		t.last.Epoch, t.last.Step = t.st.Epoch, t.st.Step
	}
	sum.fill(t.p, t.last)
	return sum, t.ranAway(sum.measureTraining(ctx, t.p, t.e))
}

// summary says how far the run has come.
func (t *training) summary() *Summary {
	st := t.st
	s := &Summary{Epochs: st.Epoch, Steps: st.Step, Pairs: map[string]PairResult{}, Checkpoint: t.checkpoint, RunDir: t.RunDir,
		Samples: t.rows.Len(), Parameters: t.e.parameters(t.p), Seconds: time.Since(t.began).Seconds()}
	if st.LossScale != nil {
		s.SkippedSteps = st.LossScale.Skipped
	}
	if st.Best != "" {
		s.Best = filepath.Join(t.RunDir, checkpointsDir, st.Best)
	}
	for _, pr := range t.p.pairs {
		r := PairResult{Loss: st.Last[pr.name], FirstLoss: st.First[pr.name], Items: min(len(pr.held), t.c.Train.EvalItems), TrainItems: min(len(pr.train), t.c.Train.EvalItems)}
		s.Pairs[pr.name] = r
		s.Loss += r.Loss / float64(max(1, len(st.Last)))
	}
	return s
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

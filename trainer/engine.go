package trainer

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"prep/configs"
	"prep/internal/sample"
	"prep/trainer/device"
)

// newBackend opens the Go backend.
func newBackend() (compute.Backend, error) {
	b, _, err := device.Open(context.Background(), device.Options{Name: "cpu"})
	return b, err
}

// An engine holds the model's values and runs its compiled graphs, one for each kind of step.
type engine struct {
	train   configs.Train
	model   configs.Model
	backend compute.Backend
	shared  bool // others use the backend too
	store   *model.Store
	net     *network
	weights []Weight
	// adapters are the thin matrices of LoRA, which train but are no part of the state_dict.
	adapters []*adapter
	// scaling holds the factor of the loss in float16, nil where there is none.
	scaling *lossScale
	stage   int             // of the recipe: it decides which weights move
	resting map[string]bool // the towers of which none does
	moved   map[string]bool // the towers that were updated since the epoch's record was written
	placed  map[string]bool // the towers whose weights are on the device
	still   bool            // nothing will ever move
	log     func(string)

	mesh *mesh // nil: one device
	// inPlace has the weights updated by the host, in whose memory they are: on the Go backend.
	inPlace  bool
	steps    map[string]*program
	programs int // made so far
	encoders map[string]*model.Exec
}

// engineOptions are what an engine may begin with beside its sizes.
type engineOptions struct {
	towers  []*towerSpec // nil: all
	from    *WeightFile  // nil: every weight is drawn
	init    Init         // how strictly the file must fit
	any     bool         // its values need not be finite
	still   bool         // for values alone: nothing will ever move
	backend compute.Backend
	shared  bool // the backend is not the engine's to close
	devices int  // 0 is 1
	log     func(string)
}

// newEngine makes a model with its first weights, drawn from the seed of the recipe, on the Go backend.
func newEngine(m configs.Model, t configs.Train) (*engine, error) {
	backend, err := newBackend()
	if err != nil {
		return nil, err
	}
	return openEngine(m, t, engineOptions{backend: backend})
}

// startEngine makes the engine of a run: from a checkpoint if there is one, else from the weights that the
// recipe begins with.
func startEngine(ctx context.Context, c configs.Config, plugin, checkpoint string, log func(string)) (*engine, error) {
	backend, what, err := device.Open(ctx, device.Options{Name: c.Train.Device, Plugin: plugin, TF32: c.Train.Precision == "tf32", Log: log})
	if err != nil {
		return nil, err
	}
	if c.Train.Device != "auto" {
		log("computing on " + what)
	}
	o := engineOptions{backend: backend, devices: c.Train.Devices, log: log}
	switch {
	case checkpoint != "":
		o.any = true
		o.from, err = OpenWeights(filepath.Join(checkpoint, weightsFile))
	case c.Train.Init != "":
		if o.from, err = OpenWeights(c.Train.Init); err == nil {
			log(fmt.Sprintf("beginning with the weights of %s (%s, %d tensors)", o.from.Path, o.from.Format, len(o.from.Tensors)))
		}
		o.init = NewInit(c.Train.Init, c.Train.InitAllowMissing, c.Train.InitAllowUnexpected)
	}
	if err != nil {
		backend.Finalize()
		return nil, err
	}
	if o.from != nil {
		defer o.from.Close()
	}
	e, err := openEngine(c.Model, c.Train, o)
	if err != nil || checkpoint == "" {
		return e, err
	}
	if err := restore(e, checkpoint); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// openEngine makes a model on a backend, which it closes in the end unless it is shared. Its weights are read from a file or
// drawn from the seed of the recipe; those of other towers than it is asked for are not made at all.
func openEngine(m configs.Model, t configs.Train, o engineOptions) (*engine, error) {
	if o.log == nil {
		o.log = func(string) {}
	}
	e := &engine{train: t, model: m, backend: o.backend, shared: o.shared, store: model.NewStore(), moved: map[string]bool{}, placed: map[string]bool{}, still: o.still, log: o.log, steps: map[string]*program{}, encoders: map[string]*model.Exec{}}
	e.inPlace = !device.IsXLA(o.backend)
	e.net = &network{config: &e.model, store: e.store, recompute: t.Recompute, adapters: map[string]*adapter{}}
	var err error
	if e.net.half, err = halfOf(t.Precision, o.backend); err != nil {
		e.close()
		return nil, err
	}
	if e.mesh, err = newMesh(o.backend, o.devices); err != nil {
		e.close()
		return nil, err
	}
	if t.Precision == "fp16" {
		e.scaling = newLossScale()
	}
	e.net.flash, e.net.rowsRight = e.useFlash(), e.inPlace
	all := StateDict(&m)
	e.weights = slices.DeleteFunc(slices.Clone(all), func(w Weight) bool {
		return o.towers != nil && !slices.ContainsFunc(o.towers, func(t *towerSpec) bool { return t.name == w.Tower })
	})
	if err := e.begin(all, o); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// begin makes the first values of the weights.
func (e *engine) begin(all []Weight, o engineOptions) error {
	var ft *fit
	if o.from != nil {
		var err error
		if ft, err = fitWeights(o.from, &e.model, e.weights, all, o.init); err != nil {
			return err
		}
		ft.any = o.any
		for _, n := range slices.Concat(o.from.Notes, ft.notes) {
			e.log(n)
		}
	}
	// Garbage may otherwise become as large as the weights are before it is collected.
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	take, stop := e.firstValues(ft)
	defer stop()
	for i := range e.weights {
		w := &e.weights[i]
		value, err := take(i)
		if err != nil {
			return err
		}
		if w.Name == textMask {
			mask, err := tensors.CopyFlatData[float32](value)
			if err != nil {
				return fmt.Errorf("%s: %w", w.Name, err)
			}
			e.net.causal = isCausal(mask)
		}
		if e.inPlace { // to other devices place brings what is needed there
			if err := value.ToDevice(e.backend, 0); err != nil {
				return fmt.Errorf("%s: %w", w.Name, err)
			}
		}
		v, err := e.store.CreateVariable(variablePath(w.Name), value)
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
		v.SetTrainable(!w.Buffer)
	}
	if err := e.addAdapters(); err != nil {
		return err
	}
	return e.enter(0)
}

type firstValue struct {
	value *tensors.Tensor
	err   error
}

// firstValues draws or reads the weights' first values on all cores, in their order: drawing the 1.2 billion of
// imagebind_huge takes one core a minute. As many weights as there are cores are made ahead of the one that take
// hands over; stop ends it early.
func (e *engine) firstValues(ft *fit) (take func(i int) (*tensors.Tensor, error), stop func()) {
	made := make([]chan firstValue, len(e.weights))
	for i := range made {
		made[i] = make(chan firstValue, 1)
	}
	cores := runtime.GOMAXPROCS(0)
	due, room, stopped := make(chan int), make(chan struct{}, cores), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		defer close(due)
		for i := range made {
			select {
			case room <- struct{}{}:
				due <- i
			case <-stopped:
				return
			}
		}
	})
	for range cores {
		running.Go(func() {
			for i := range due {
				v, err := ft.value(&e.weights[i], e.train.Seed)
				made[i] <- firstValue{v, err}
			}
		})
	}
	take = func(i int) (*tensors.Tensor, error) {
		v := <-made[i]
		<-room
		return v.value, v.err
	}
	return take, func() { close(stopped); running.Wait() }
}

// close frees the compiled graphs and the values.
func (e *engine) close() {
	e.forget()
	for _, x := range e.encoders {
		x.Finalize()
	}
	e.store.Finalize()
	if !e.shared {
		e.backend.Finalize()
	}
}

// enter makes a stage of the recipe the present one.
func (e *engine) enter(stage int) error {
	e.stage, e.resting = stage, map[string]bool{}
	for _, t := range towers {
		e.resting[t.name] = e.still || len(e.trainedIn(t, stage)) == 0
	}
	e.forget()
	return e.displace()
}

// trained lists the weights of a tower that have gradients in the present stage.
func (e *engine) trained(t *towerSpec) []*Weight { return e.trainedIn(t, e.stage) }

func (e *engine) trainedIn(t *towerSpec, stage int) []*Weight {
	var out []*Weight
	lora := e.adapts(t)
	for i := range e.weights {
		w := &e.weights[i]
		if w.Tower == t.name && !w.Buffer && (!lora || isHead(w.Name)) && e.train.Trains(stage, w.Tower, w.Name) {
			out = append(out, w)
		}
	}
	for _, a := range e.adapters {
		if a.tower == t.name && e.train.Trains(stage, a.tower, a.weight) {
			out = append(out, &a.down, &a.up)
		}
	}
	return out
}

// rests reports whether no weight of a tower moves in the present stage.
func (e *engine) rests(t *towerSpec) bool { return e.resting[t.name] }

// forget drops the compiled steps, which have the recipe built in.
func (e *engine) forget() {
	for _, x := range e.steps {
		x.exec.Finalize()
	}
	clear(e.steps)
}

// Constants of the normalisation in the graph: CLIP's of pictures (Radford et al. 2021), and those of
// disparity in omnivore (Girdhar et al. 2022), which ImageBind's depth tower was trained with.
var (
	imageMean = [3]float32{0.48145466, 0.4578275, 0.40821073}
	imageStd  = [3]float32{0.26862954, 0.26130258, 0.27577711}
)

const (
	depthMean = 0.0418
	depthStd  = 0.0295
)

// normalise takes a modality as shards hold it to what its tower reads. Pixels are uint8 there; float
// pixels are taken as normalised already.
func normalise(m sample.Modality, x *Node) *Node {
	g := x.Graph()
	switch m {
	case sample.Image, sample.Video:
		if x.DType() != dtypes.Uint8 {
			return x
		}
		shape := []int{1, 3, 1, 1, 1}[:min(x.Rank(), 5)]
		if x.Rank() == 6 { // an axis of clips
			shape = []int{1, 1, 3, 1, 1, 1}
		}
		mean := Const(g, tensors.FromFlatDataAndDimensions(imageMean[:], shape...))
		std := Const(g, tensors.FromFlatDataAndDimensions(imageStd[:], shape...))
		return Div(Sub(DivScalar(ConvertDType(x, dtypes.Float32), 255), mean), std)
	case sample.Thermal:
		if x.DType() != dtypes.Uint8 {
			return x
		}
		return DivScalar(ConvertDType(x, dtypes.Float32), 255)
	case sample.Depth:
		return DivScalar(AddScalar(ConvertDType(x, dtypes.Float32), -depthMean), depthStd)
	case sample.Text:
		return ConvertDType(x, dtypes.Int32)
	}
	return ConvertDType(x, dtypes.Float32)
}

// A feed is what one tower gets in one step. The masks are nil exactly where the tower has no rate.
type feed struct {
	modality sample.Modality
	x        *tensors.Tensor
	dropPath *tensors.Tensor // [2*blocks, B] or [2*blocks, tokens]
	head     *tensors.Tensor // [B, width]
}

// result is what a step reports.
type result struct {
	losses   []float32 // one for each modality beside the hub
	scales   []float64 // the logit scales of those modalities after the step
	gradNorm float32   // global, before clipping
	skipped  bool      // nothing was updated, because float16 did not hold the gradient
}

// A flight is a step that was given to the device and may still be computed.
type flight struct {
	landed chan landing // once
}

// A landing is the end of a step.
type landing struct {
	result
	err error
	at  time.Time
}

// land waits for the step's end.
func (f *flight) land() landing { return <-f.landed }

// overlaps reports whether a step may be given to the device before the one before has ended. The factor of a float16
// loss depends on how that went.
func (e *engine) overlaps() bool { return !e.inPlace && e.scaling == nil }

// ahead copies a feed to the device, while the device still computes the step before. The tensors keep their values on
// the host too.
func (e *engine) ahead(f *feed) error {
	if e.inPlace || e.mesh != nil {
		return nil
	}
	for _, t := range []*tensors.Tensor{f.x, f.dropPath, f.head} {
		if t == nil {
			continue
		}
		if err := t.MaterializeOnDevice(e.backend, false, 0); err != nil {
			return fmt.Errorf("%s to the device: %w", f.modality, err)
		}
	}
	return nil
}

func feedsKey(feeds []feed) string {
	s := ""
	for _, f := range feeds {
		s += f.modality.String() + "|"
	}
	return s
}

// step makes one update from a batch: feeds[0] is the hub, each other feed a modality beside it, in the
// same order of samples. towerSteps counts, for each feed's tower, the updates it has had, this one included.
func (e *engine) step(feeds []feed, lr float64, towerSteps []int) (result, error) {
	f, err := e.start(feeds, lr, towerSteps)
	if err != nil {
		return result{}, err
	}
	l := f.land()
	return l.result, l.err
}

// start begins step, which on XLA only gives it to the device: its weights may be another step's at once.
func (e *engine) start(feeds []feed, lr float64, towerSteps []int) (*flight, error) {
	key := feedsKey(feeds)
	rates := e.rates(lr, towerSteps)
	args := append([]placed{whole(rates)}, e.inputs(feeds)...)
	run, ok := e.steps[key]
	if !ok {
		var err error
		if err = e.placeAll(feeds); err != nil {
			return nil, err
		}
		e.addMoments(feeds)
		layout := slices.Clone(feeds)
		run, err = e.program(args, func(_ *model.Scope, in []*Node) []*Node {
			rates := in[0]
			losses, total := e.losses(layout, in[1:])
			weights, tower, grads := e.gradients(layout, total, rates)
			out := append(losses, e.update(weights, tower, grads, rates)...)
			if e.inPlace {
				return out
			}
			for _, f := range layout[1:] {
				out = append(out, e.store.GetVariable(variablePath(towerOf(f.modality).scaleName())).NodeValue(total.Graph()))
			}
			return []*Node{figures(out)}
		})
		if err != nil {
			return nil, fmt.Errorf("building the step %s: %w", key, err)
		}
		e.steps[key] = run
	}
	out, err := run.call(args)
	if err != nil {
		return nil, fmt.Errorf("step %s: %w", key, err)
	}
	f := &flight{make(chan landing, 1)}
	pairs := len(feeds) - 1
	if !e.inPlace {
		go func() {
			defer out[0].FinalizeAll()
			l := landing{}
			v, err := tensors.CopyFlatData[float32](out[0])
			if err != nil {
				l.err = fmt.Errorf("step %s: %w", key, err)
			} else {
				l.result = result{losses: v[:pairs], gradNorm: v[pairs], skipped: e.scaling.lost(v[pairs])}
				for _, log := range v[pairs+1:] {
					l.scales = append(l.scales, scaleOf(log))
				}
			}
			l.at = time.Now()
			f.landed <- l
		}()
		return f, nil
	}
	var r result
	for _, t := range out[:pairs] {
		r.losses = append(r.losses, tensors.ToScalar[float32](t))
		t.FinalizeAll()
	}
	weights, tower := e.reached(feeds)
	if r.gradNorm, err = e.updated(weights, tower, rates, out[pairs:]); err != nil {
		return nil, fmt.Errorf("update of %s: %w", key, err)
	}
	r.skipped = e.scaling.lost(r.gradNorm)
	r.scales = e.scales(feeds)
	f.landed <- landing{result: r, at: time.Now()}
	return f, nil
}

// scales are the logit scales of the feeds beside the hub.
func (e *engine) scales(feeds []feed) []float64 {
	var out []float64
	for _, f := range feeds[1:] {
		out = append(out, e.logitScale(towerOf(f.modality)))
	}
	return out
}

// figures puts scalars into one vector: from a GPU each result costs a transfer of its own.
func figures(scalars []*Node) *Node {
	out := make([]*Node, len(scalars))
	for i, x := range scalars {
		out[i] = Reshape(x, 1)
	}
	return Concatenate(out, 0)
}

// inputs are the arguments of a graph for its feeds, in the order in which forward takes them, and which axis of
// each counts the samples.
func (e *engine) inputs(feeds []feed) []placed {
	var args []placed
	for _, f := range feeds {
		args = append(args, placed{f.x, 0})
		if f.dropPath != nil {
			axis := 1
			if e.model.DropPath == "tokens" {
				axis = noAxis
			}
			args = append(args, placed{f.dropPath, axis})
		}
		if f.head != nil {
			args = append(args, placed{f.head, 0})
		}
	}
	return args
}

// forward builds the forward pass of each feed: the hub's unit vectors, then the others' outputs.
func (e *engine) forward(layout []feed, in []*Node) []*Node {
	next := func() *Node { n := in[0]; in = in[1:]; return n }
	var out []*Node
	for i, f := range layout {
		x := normalise(f.modality, next())
		var r noise
		if f.dropPath != nil {
			r.dropPath = next()
		}
		if f.head != nil {
			r.head = next()
		}
		net := e.net
		if e.rests(towerOf(f.modality)) {
			net = net.still()
		}
		s := net.encode(towerOf(f.modality), x, r)
		if i == 0 {
			out = append(out, s.unit)
		} else {
			out = append(out, s.output)
		}
	}
	return out
}

// losses builds the forward pass of a step and its loss for each pair, and their weighted sum.
func (e *engine) losses(layout []feed, in []*Node) (losses []*Node, total *Node) {
	return e.contrast(layout, e.forward(layout, in))
}

// contrast builds the losses of the hub's vectors with each other modality's, and their weighted sum.
func (e *engine) contrast(layout []feed, out []*Node) (losses []*Node, total *Node) {
	for i, f := range layout[1:] {
		loss := infoNCE(out[0], out[i+1])
		losses = append(losses, loss)
		weighted := loss
		if w := e.train.LossWeights.Of(f.modality.String()); w != nil && *w != 0 && *w != 1 { // 0: a recipe without weights
			weighted = MulScalar(loss, *w)
		}
		if total == nil {
			total = weighted
		} else {
			total = Add(total, weighted)
		}
	}
	return losses, total
}

// reached returns the weights that a step's towers train, and each weight's tower as a place in the layout.
func (e *engine) reached(layout []feed) (weights []*Weight, tower []int) {
	for i, f := range layout {
		for _, w := range e.trained(towerOf(f.modality)) {
			weights, tower = append(weights, w), append(tower, i)
		}
	}
	return weights, tower
}

// gradients returns the weights that a step reaches, and the gradients of the loss by them: in float16 with the factor
// of the loss, which is among the rates and which adamW takes away again.
func (e *engine) gradients(layout []feed, loss, rates *Node) (weights []*Weight, tower []int, grads []*Node) {
	weights, tower = e.reached(layout)
	var nodes []*Node
	for _, w := range weights {
		nodes = append(nodes, e.store.GetVariable(variablePath(w.Name)).NodeValue(loss.Graph()))
	}
	if e.scaling != nil {
		loss = Mul(loss, scaleRate(rates, 0))
	}
	return weights, tower, Gradient(loss, nodes...)
}

// embed is outputs as unit vectors.
func (e *engine) embed(m sample.Modality, x *tensors.Tensor) ([]float32, error) {
	v, err := e.outputs(m, x)
	if err == nil {
		normaliseRows(v, e.model.Dim)
	}
	return v, err
}

// outputs takes a batch as shards hold it through its tower without any noise; [B, clips, ...] for sounds and for
// videos of several clips. It returns unit vectors times the logit scale, averaged over the clips, row after row.
func (e *engine) outputs(m sample.Modality, x *tensors.Tensor) ([]float32, error) {
	key := m.String()
	run, ok := e.encoders[key]
	if !ok {
		err := e.place(towerOf(m))
		if err != nil {
			return nil, err
		}
		run, err = model.NewExec(e.backend, e.store, func(_ *model.Scope, x *Node) *Node {
			t, x := towerOf(m), normalise(m, x)
			if m == sample.Audio && x.Rank() == 5 || m == sample.Video && x.Rank() == 6 {
				return e.net.still().encodeClips(t, x, x.Shape().Dimensions[1]).output
			}
			return e.net.still().encode(t, x, noise{}).output
		})
		if err != nil {
			return nil, fmt.Errorf("building the %s encoder: %w", key, err)
		}
		e.encoders[key] = run
	}
	out, err := run.Call1(x)
	if err != nil {
		return nil, fmt.Errorf("%s encoder: %w", key, err)
	}
	defer out.FinalizeAll()
	return tensors.CopyFlatData[float32](out)
}

// normaliseRows gives every row of the given width the length 1.
func normaliseRows(v []float32, width int) {
	for row := range slices.Chunk(v, width) {
		sum := 0.0
		for _, a := range row {
			sum += float64(a) * float64(a)
		}
		for i := range row {
			row[i] = float32(float64(row[i]) / max(math.Sqrt(sum), 1e-12))
		}
	}
}

// logitScale is a tower's scale now.
func (e *engine) logitScale(t *towerSpec) float64 {
	return scaleOf(tensors.ToScalar[float32](e.store.GetVariable(variablePath(t.scaleName())).MustValue()))
}

// scaleOf is the logit scale whose logarithm is stored.
func scaleOf(log float32) float64 { return min(math.Exp(float64(log)), maxLogitScale) }

// masks draws the noise of one tower for a batch: for each sample and residual branch 0 or 1/keep, keyed by
// the sample (or, in the mode that drops positions for the whole batch, by the batch's first sample). The
// rate grows linearly from 0 in the first block to the configured one in the last.
func (e *engine) masks(t *towerSpec, epoch int, keys []string) (dropPath, head *tensors.Tensor) {
	c := t.config(&e.model)
	if e.rests(t) { // what rests is to be what it will be in use
		return nil, nil
	}
	if c.DropPath > 0 {
		branches, width := 2*c.Blocks, len(keys)
		byToken := e.model.DropPath == "tokens"
		if byToken {
			width = t.tokens(&e.model)
		}
		v := make([]float32, branches*width)
		rate := func(branch int) float64 {
			if c.Blocks == 1 {
				return 0
			}
			return c.DropPath * float64(branch/2) / float64(c.Blocks-1)
		}
		bernoulli := func(s *stream, drop float64) float32 {
			if s.Uniform() < drop {
				return 0
			}
			return float32(1 / (1 - drop))
		}
		if byToken {
			s := draw(e.train.Seed, "drop path "+t.name, epoch, keys[0])
			for i := range v {
				v[i] = bernoulli(s, rate(i/width))
			}
		} else {
			for j, key := range keys {
				s := draw(e.train.Seed, "drop path "+t.name, epoch, key)
				for b := range branches {
					v[b*width+j] = bernoulli(s, rate(b))
				}
			}
		}
		dropPath = tensors.FromFlatDataAndDimensions(v, branches, width)
	}
	if c.HeadDropout > 0 {
		v := make([]float32, len(keys)*c.Width)
		for j, key := range keys {
			s := draw(e.train.Seed, "head dropout "+t.name, epoch, key)
			for i := range c.Width {
				if s.Uniform() >= c.HeadDropout {
					v[j*c.Width+i] = float32(1 / (1 - c.HeadDropout))
				}
			}
		}
		head = tensors.FromFlatDataAndDimensions(v, len(keys), c.Width)
	}
	return dropPath, head
}

// parameters counts the values that the run's pairs train.
func (e *engine) parameters(p *pairing) int {
	n := 0
	for _, t := range towers {
		used := t.name == "vision"
		for _, pr := range p.pairs {
			used = used || towerOf(pr.other) == t
		}
		if used {
			for _, w := range e.trained(t) {
				n += w.Elements()
			}
		}
	}
	return n
}

package trainer

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/sample"
)

// stepOnce makes one step of a model of the configuration on the first rows and returns its result and the
// values of all weights after it.
func stepOnce(t *testing.T, c configs.Config, rows memory, prepare func(*engine)) (result, map[string][]float32) {
	t.Helper()
	c.Train.HeldOut = 0
	p, err := newPairing(rows, c.Train, c.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEngine(c.Model, c.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if prepare != nil {
		prepare(e)
	}
	b := &batch{pair: p.pairs[0], epoch: 0}
	for i := range p.pairs[0].rows() {
		b.rows = append(b.rows, i)
	}
	if err := p.assemble(b); err != nil {
		t.Fatal(err)
	}
	r, err := e.stepAll(b.parts, 0.01, []int{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	after := map[string][]float32{}
	for _, w := range e.moving() {
		after[w.Name] = tensors.MustCopyFlatData[float32](e.store.GetVariable(variablePath(w.Name)).MustValue())
	}
	for _, s := range e.weightTensors() {
		if err := s.Values(func(v []float32) error {
			after["saved "+s.Name] = append(after["saved "+s.Name], v...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return r, after
}

func furthest(t *testing.T, a, b map[string][]float32) (worst float64, name string) {
	t.Helper()
	for n, x := range a {
		for i := range x {
			if d := math.Abs(float64(x[i]) - float64(b[n][i])); d > worst {
				worst, name = d, n
			}
		}
	}
	return worst, name
}

// plainSGD makes a step show the gradient: Adam's first step is its sign, which rounding noise can turn.
func plainSGD(c *configs.Config) {
	c.Train.Epsilon, c.Train.WeightDecay, c.Train.Clip = 1, 0, 0
}

// Three batches of four in one step have the loss and the gradient of one batch of twelve, and a block that is
// computed again has those of one that is kept.
func TestAccumulatedAndRecomputedGradients(t *testing.T) {
	c := small(t)
	plainSGD(&c)
	rows := synthetic(12, sample.Image, sample.Audio)
	c.Train.Batch = 12
	want, whole := stepOnce(t, c, rows, nil)
	c.Train.Recompute = true
	got, again := stepOnce(t, c, rows, nil)
	if d, name := furthest(t, whole, again); got.losses[0] != want.losses[0] || d > 1e-7 {
		t.Errorf("recomputed: loss %g, want %g; %s is off by %g", got.losses[0], want.losses[0], name, d)
	}
	c.Train.Recompute = false
	c.Train.Batch, c.Train.Accumulate = 4, 3
	got, parts := stepOnce(t, c, rows, nil)
	if math.Abs(float64(got.losses[0]-want.losses[0])) > 2e-6 || math.Abs(float64(got.gradNorm/want.gradNorm-1)) > 1e-4 {
		t.Errorf("loss %g, gradient norm %g, want %g, %g", got.losses[0], got.gradNorm, want.losses[0], want.gradNorm)
	}
	if d, name := furthest(t, whole, parts); d > 2e-7 {
		t.Errorf("%s is off by %g", name, d)
	}
}

// What rests does not move, and what LoRA adds to is saved as the sum that the step used.
func TestFreezeAndLoRA(t *testing.T) {
	rows := synthetic(6, sample.Image, sample.Audio)
	moved := func(c configs.Config, prepare func(*engine)) map[string]bool {
		e, err := newEngine(c.Model, c.Train)
		if err != nil {
			t.Fatal(err)
		}
		before := map[string][]float32{}
		if prepare != nil {
			prepare(e)
		}
		for _, w := range e.moving() {
			before[w.Name] = tensors.MustCopyFlatData[float32](e.store.GetVariable(variablePath(w.Name)).MustValue())
		}
		e.close()
		_, after := stepOnce(t, c, rows, prepare)
		out := map[string]bool{}
		for n, v := range before {
			for i := range v {
				out[n] = out[n] || v[i] != after[n][i]
			}
		}
		return out
	}
	c := small(t)
	c.Train.Freeze = []string{"vision", "modality_trunks.audio.*"}
	for n, m := range moved(c, nil) {
		want := strings.Contains(n, ".audio.") && !strings.HasPrefix(n, "modality_trunks.") && !strings.HasSuffix(n, "log_logit_scale")
		if m != want {
			t.Errorf("%s moved: %v", n, m)
		}
	}
	c = small(t)
	c.Train.Only = []string{"vision"}
	for n, m := range moved(c, nil) {
		if m != strings.Contains(n, ".vision.") {
			t.Errorf("only vision: %s moved: %v", n, m)
		}
	}
	c = small(t)
	c.Train.Freeze = []string{"vision"}
	c.Train.LoRA = configs.LoRA{Rank: 2, Alpha: 6, Towers: []string{"audio"}, Layers: []string{"out_proj", "fc1"}}
	lift := func(e *engine) { // up is zero at first, which would hide down's gradient
		for _, a := range e.adapters {
			tensors.MustMutableFlatData(e.store.GetVariable(variablePath(a.up.Name)).MustValue(), func(v []float32) {
				draw(1, "up", 0, a.weight).Normals(v, 0.1)
			})
		}
	}
	adapters := 0
	for n, m := range moved(c, lift) {
		thin := strings.HasSuffix(n, loraDown) || strings.HasSuffix(n, loraUp)
		if thin {
			adapters++
		}
		if want := thin || strings.HasPrefix(n, "modality_heads.audio."); m != want {
			t.Errorf("LoRA: %s moved: %v", n, m)
		}
	}
	if adapters != 2*2*2 {
		t.Errorf("%d thin matrices, want 8", adapters)
	}
	_, after := stepOnce(t, c, rows, lift)
	const w = "modality_trunks.audio.blocks.1.mlp.fc1.weight"
	up, down := after[w+loraUp], after[w+loraDown]
	in := len(down) / 2
	for i, saved := range after["saved "+w] {
		sum := float64(after[w][i])
		for r := range 2 {
			sum += 6 / 2 * float64(up[i/in*2+r]) * float64(down[r*in+i%in])
		}
		if math.Abs(float64(saved)-sum) > 1e-6 {
			t.Fatalf("element %d is saved as %g, want %g", i, saved, sum)
		}
	}
}

// Advice is given where its rule says and not where it does not, once in a while only, and names what it would
// change.
func TestAdvice(t *testing.T) {
	c := small(t)
	c.Train.Schedule.WarmupEpochs, c.Train.Schedule.RestartEpochs, c.Train.HeldOut = 0, 100, 0
	rows := bare(60, sample.Image, sample.Text, sample.Audio) // ten steps an epoch
	p, err := newPairing(rows, c.Train, c.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEngine(c.Model, c.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	fall := []float64{2, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1}
	flat := []float64{1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7}
	swings := []float64{2, 1.9, 1.8, 1.7, 1.6, 1.5, 1.2, 1.5, 1.2, 1.4}
	guessing := []float64{2.5, 2.2, 2, 1.9, 1.85, 1.82, 1.8, 1.79, 1.79, 1.785} // by six items: 1.792
	good := PairMeasures{Contrast: 0.5, Forward: Retrieval{R1: 1}, Back: Retrieval{R1: 1}}
	poor := PairMeasures{Contrast: 0.5, Forward: Retrieval{R1: 0.5}, Back: Retrieval{R1: 0.6}}
	for _, tc := range []struct {
		name        string
		text, audio []float64
		ev          *Evaluation
		want        string // rules and keys
		tuned       []Change
	}{
		{"all is well", fall, fall, &Evaluation{Pairs: map[string]PairMeasures{"image-text": good, "image-audio": good}}, "", nil},
		{"swings", swings, fall, nil, "loss-swings train.learning_rate", nil},
		{"stalled", fall, flat, nil, "loss-stalled train.loss_weights.audio", nil},
		{"stalled at guessing's", fall, guessing, nil, "loss-stalled train.loss_weights.audio", nil},
		{"both flat", flat, flat, nil, "", nil},
		{"weak diagonal", fall, fall, &Evaluation{Pairs: map[string]PairMeasures{"image-text": {Contrast: 0.05}, "image-audio": {Contrast: 0.05}}}, "weak-diagonal logit_scale.text", nil},
		{"by heart", fall, fall, &Evaluation{Pairs: map[string]PairMeasures{"image-text": good, "image-audio": poor}, Train: map[string]PairMeasures{"image-audio": good}},
			"learnt-by-heart model.audio.drop_path model.vision.drop_path train.noise.audio", nil},
		{"words by heart", fall, fall, &Evaluation{Pairs: map[string]PairMeasures{"image-text": poor, "image-audio": good}, Train: map[string]PairMeasures{"image-text": good}},
			"learnt-by-heart model.text.drop_path model.vision.drop_path train.noise.image", nil},
		{"stalled and weak", flat, fall, &Evaluation{Pairs: map[string]PairMeasures{"image-text": {Contrast: 0.05}, "image-audio": good}},
			"loss-stalled train.loss_weights.text weak-diagonal", []Change{{Key: "logit_scale.text", To: 15.5}}},
		{"swings since it is harder", swings, fall, nil, "", []Change{{Epoch: 6, Key: "train.noise.audio", To: 0.1}}},
		{"swings long after", swings, fall, nil, "loss-swings train.learning_rate", []Change{{Epoch: 5, Key: "model.text.drop_path", To: 0.2}}},
		{"swings at a lower rate", swings, fall, nil, "loss-swings train.learning_rate", []Change{{Epoch: 6, Key: "train.learning_rate", To: 5e-4}}},
	} {
		st := newState(c)
		st.Epoch, st.Tuned = 10, tc.tuned
		for _, ch := range tc.tuned {
			if err := e.tune(&c, p, ch); err != nil {
				t.Fatal(err)
			}
		}
		st.History = map[string][]float64{"image-text": tc.text, "image-audio": tc.audio}
		got := ""
		for _, a := range st.advise(&c, p, e, tc.ev) {
			got += " " + a.Rule
			for _, ch := range a.Changes {
				got += " " + ch.Key
				if ch.From == ch.To {
					t.Errorf("%s: %s stays at %g", tc.name, ch.Key, ch.To)
				}
				if err := e.tune(&c, p, Change{Key: ch.Key, To: ch.From}); err != nil {
					t.Error(err)
				}
			}
		}
		if strings.TrimSpace(got) != tc.want {
			t.Errorf("%s: advice %q, want %q", tc.name, strings.TrimSpace(got), tc.want)
		}
		if again := st.advise(&c, p, e, tc.ev); len(again) > 0 {
			t.Errorf("%s: the same advice again: %v", tc.name, again)
		}
	}
}

// Where an epoch has few steps its mean follows the batches: swings are looked for in means of ten steps and more.
func TestAdviceOfShortEpochs(t *testing.T) {
	c := small(t)
	c.Train.Schedule.WarmupEpochs, c.Train.Schedule.RestartEpochs, c.Train.HeldOut = 0, 100, 0
	e, err := newEngine(c.Model, c.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	noisy := func(level func(epoch int) float64) []float64 { // a fifth up and down from one epoch to the next
		var h []float64
		for i := range historyEpochs {
			h = append(h, level(i)*(1+0.2*float64(i%2)))
		}
		return h
	}
	for _, tc := range []struct {
		name    string
		items   int
		history []float64
		want    bool
	}{
		{"one step", 6, noisy(func(int) float64 { return 1.5 }), false},
		{"one step, and falling", 6, noisy(func(i int) float64 { return 1.7 - 0.01*float64(i) }), false},
		{"one step, and rising at last", 6, noisy(func(i int) float64 { return []float64{1.6, 1.5, 1.4, 1.3, 1.5}[i/10] }), true},
		{"one step, five epochs", 6, []float64{1.2, 1.5, 1.2, 1.5, 1.2}, false},
		{"four steps", 24, noisy(func(int) float64 { return 1.5 })[:15], false},
		{"four steps, and rising", 24, []float64{1.4, 1.4, 1.4, 1.3, 1.2, 1.3, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.5, 1.4, 1.4}, true},
		{"ten steps", 60, []float64{1.2, 1.5, 1.2, 1.5, 1.2}, true},
	} {
		p, err := newPairing(bare(tc.items, sample.Image, sample.Text), c.Train, c.Model.Vocab)
		if err != nil {
			t.Fatal(err)
		}
		st := newState(c)
		st.Epoch, st.History = len(tc.history), map[string][]float64{"image-text": tc.history}
		advice := st.advise(&c, p, e, nil)
		if got := len(advice) == 1 && advice[0].Rule == "loss-swings"; got != tc.want || len(advice) > 1 {
			t.Errorf("%s: %v, want swings: %t", tc.name, advice, tc.want)
		}
	}
}

// The update in place gives the bits of the graph's, from one batch and from several.
func TestUpdateInPlaceIsTheGraphs(t *testing.T) {
	for _, accumulate := range []int{1, 2} {
		c := small(t)
		c.Train.Batch, c.Train.Accumulate, c.Train.EMA, c.Train.Clip, c.Train.WeightDecay = 4, accumulate, 0.9, 0.1, 0.05
		rows := synthetic(4*accumulate, sample.Image, sample.Audio)
		want, values := stepOnce(t, c, rows, func(e *engine) { e.inPlace = false })
		got, here := stepOnce(t, c, rows, func(e *engine) {
			if !e.inPlace {
				t.Error("the Go backend's weights are not updated in place")
			}
		})
		if got.gradNorm != want.gradNorm || got.gradNorm <= float32(c.Train.Clip) || got.losses[0] != want.losses[0] {
			t.Errorf("%d batches: norm %g, loss %g, want %g, %g", accumulate, got.gradNorm, got.losses[0], want.gradNorm, want.losses[0])
		}
		if d, name := furthest(t, values, here); d != 0 {
			t.Errorf("%d batches: %s is off by %g", accumulate, name, d)
		}
	}
}

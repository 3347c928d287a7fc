package trainer

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/sample"
)

// Advice is one finding about how the training goes and what commonly helps. docs/training.md has each rule
// with its threshold and source.
type Advice struct {
	Epoch   int      `json:"epoch"` // epochs finished
	Rule    string   `json:"rule"`
	Found   string   `json:"found"`
	Suggest string   `json:"suggest"`
	Changes []Change `json:"changes"`
	Applied bool     `json:"applied"` // by auto-tuning
}

// Change sets one key of the configuration; the factor of a model's present logit scale is the key
// "logit_scale.TOWER" with the new scale, which changes the weight and not the configuration.
type Change struct {
	Epoch int     `json:"epoch"`
	Key   string  `json:"key"`
	From  float64 `json:"from"`
	To    float64 `json:"to"`
}

// The thresholds of the rules.
const (
	historyEpochs = swingWindow * swingSteps // that the state remembers

	swingWindow = 5    // means of losses, of an epoch each or of as many as have swingSteps
	swingSteps  = 10   // of fewer the mean follows the batches
	swingShare  = 0.10 // of the window's lowest mean
	calmRate    = 3e-5
	calmClip    = 1.0

	weakContrast = 0.10 // mean cosine of the diagonal over the rest
	sharpScale   = 15.0

	learntTrain, learntHeld = 0.90, 0.70 // R@1 in galleries of one size
	moreDropPath, moreNoise = 0.1, 0.1
	mostDropPath            = 0.5

	stalledEpochs = 10
	stalledShare  = 0.01 // of a loss over those epochs
	stalledFactor = 1.5
	mostWeight    = 4

	adviceRest = 10 // epochs until the same advice is given again
)

// advise looks at an epoch that has just ended. ev is its evaluation, nil when there was none. It gives no
// advice twice within adviceRest epochs.
func (s *state) advise(c *configs.Config, p *pairing, e *engine, ev *Evaluation) []Advice {
	var out []Advice
	add := func(name, rule, found, suggest string, changes ...Change) {
		if last, ok := s.Advised[name]; ok && s.Epoch-last < adviceRest {
			return
		}
		s.Advised[name] = s.Epoch
		// Two rules may want the same of one key, and it is changed once.
		changes = slices.DeleteFunc(changes, func(ch Change) bool {
			return slices.ContainsFunc(out, func(a Advice) bool {
				return slices.ContainsFunc(a.Changes, func(other Change) bool { return other.Key == ch.Key })
			})
		})
		for i := range changes {
			changes[i].Epoch = s.Epoch
		}
		out = append(out, Advice{Epoch: s.Epoch, Rule: rule, Found: found, Suggest: suggest, Changes: changes})
	}
	_, within, _ := c.Train.StageOf(s.Epoch - 1)
	settled := within >= c.Train.Schedule.WarmupEpochs // the warm-up's losses move by themselves
	for _, pr := range p.pairs {
		h := s.History[pr.name]
		// Losses below a twentieth of guessing's are learnt: their swings are noise.
		guess := math.Log(float64(pr.rows()))
		each := (swingSteps + pr.perEpoch - 1) / max(1, pr.perEpoch) // epochs of a mean
		epochs := swingWindow * each
		if n := len(h); settled && n >= epochs && !restarts(&c.Train, s.Epoch, epochs) && !s.hardened(epochs) {
			var window []float64
			for part := range slices.Chunk(h[n-epochs:], each) {
				window = append(window, mean(part))
			}
			low, swing := window[0], 0.0
			for _, v := range window[1:] {
				swing = max(swing, (v-low)/low)
				low = min(low, v)
			}
			if swing > swingShare && low > guess/20 {
				var changes []Change
				if c.Train.LearningRate > calmRate {
					changes = append(changes, Change{Key: "train.learning_rate", From: c.Train.LearningRate, To: max(calmRate, c.Train.LearningRate/2)})
				}
				if c.Train.Clip == 0 || c.Train.Clip > calmClip {
					changes = append(changes, Change{Key: "train.clip", From: c.Train.Clip, To: calmClip})
				}
				add("swing "+pr.name, "loss-swings", fmt.Sprintf("%s: the loss rose by %.0f %% within %d epochs", pr.name, 100*swing, epochs),
					"a learning rate of 3e-5 and clipping at 1.0 steady it (auto-tune halves the rate, down to that)", changes...)
			}
		}
		if h := h[max(0, len(h)-stalledEpochs):]; settled && len(h) == stalledEpochs && len(p.pairs) > 1 {
			// Down to guessing's a loss falls without anything being learnt.
			from := min(h[0], guess)
			fall := (from - slices.Min(h[1:])) / from
			others := false
			for _, q := range p.pairs {
				o := s.History[q.name]
				if o = o[max(0, len(o)-stalledEpochs):]; q != pr && len(o) == stalledEpochs && (o[0]-o[len(o)-1])/o[0] > 5*stalledShare {
					others = true
				}
			}
			w := c.Train.LossWeights.Of(pr.other.String())
			if fall < stalledShare && others && h[len(h)-1] > guess/2 {
				var changes []Change
				if *w < mostWeight {
					changes = append(changes, Change{Key: "train.loss_weights." + pr.other.String(), From: *w, To: min(mostWeight, *w*stalledFactor)})
				}
				add("stalled "+pr.name, "loss-stalled", fmt.Sprintf("%s: the loss stands at %.3f (guessing has %.3f) while others fall", pr.name, h[len(h)-1], guess),
					"more weight on this pair; look at its data, too: wrong pairs stall like this", changes...)
			}
		}
		if ev == nil || !settled {
			continue
		}
		m, measured := ev.Pairs[pr.name]
		if measured && pr.other.String() == "text" && m.Contrast < weakContrast {
			t := towerOf(pr.other)
			var changes []Change
			if scale := e.logitScale(t); scale < sharpScale {
				changes = append(changes, Change{Key: "logit_scale." + t.name, From: scale, To: sharpScale})
			} else if w := c.Train.LossWeights.Text; w < mostWeight {
				changes = append(changes, Change{Key: "train.loss_weights.text", From: w, To: min(mostWeight, w*stalledFactor)})
			}
			found := fmt.Sprintf("%s: pairs that belong together are only %.3f nearer than others", pr.name, m.Contrast)
			if m.Contrast < 0.0005 {
				found = pr.name + ": pairs that belong together are no nearer than others"
			}
			add("diagonal "+pr.name, "weak-diagonal", found,
				"a logit scale of 15 or more, or more weight on this pair", changes...)
		}
		if tr, ok := ev.Train[pr.name]; ok && (tr.Forward.R1+tr.Back.R1)/2 > learntTrain && (m.Forward.R1+m.Back.R1)/2 < learntHeld {
			var changes []Change
			for _, t := range []*towerSpec{towerOf(pr.other), towers[0]} {
				if d := t.config(&e.model).DropPath; d < mostDropPath && t.config(&e.model).Blocks > 1 && !e.rests(t) {
					changes = append(changes, Change{Key: "model." + t.name + ".drop_path", From: d, To: min(mostDropPath, d+moreDropPath)})
				}
			}
			noisy := pr.other.String()
			if c.Train.Noise.Of(noisy) == nil { // words bear none, their picture does
				noisy = sample.Image.String()
			}
			if v := c.Train.Noise.Of(noisy); *v < 2*moreNoise {
				changes = append(changes, Change{Key: "train.noise." + noisy, From: *v, To: *v + moreNoise})
			}
			add("by heart "+pr.name, "learnt-by-heart", fmt.Sprintf("%s: R@1 is %.0f %% on training items and %.0f %% on held-out ones", pr.name, 50*(tr.Forward.R1+tr.Back.R1), 50*(m.Forward.R1+m.Back.R1)),
				"more drop path, and Gaussian noise", changes...)
		}
	}
	return out
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// restarts reports whether a cosine began anew within the last epochs, when losses rise by design.
func restarts(c *configs.Train, epoch, window int) bool {
	for e := epoch - window + 1; e < epoch; e++ {
		_, a, _ := c.StageOf(e - 1)
		_, b, _ := c.StageOf(e)
		if b <= a || learningRate(c, float64(b)) > learningRate(c, float64(a)) {
			return true
		}
	}
	return false
}

// hardened reports whether auto-tuning made the training harder within the last epochs (more drop path, more noise,
// another logit scale), when losses rise by design, too.
func (s *state) hardened(window int) bool {
	return slices.ContainsFunc(s.Tuned, func(ch Change) bool {
		return ch.Epoch > s.Epoch-window && (strings.HasSuffix(ch.Key, ".drop_path") || strings.HasPrefix(ch.Key, "train.noise.") || strings.HasPrefix(ch.Key, "logit_scale."))
	})
}

// tune applies a change.
func (e *engine) tune(c *configs.Config, p *pairing, ch Change) error {
	set := func(v *float64) { *v = ch.To }
	for _, t := range towers {
		switch ch.Key {
		case "model." + t.name + ".drop_path":
			set(&t.config(&c.Model).DropPath)
		case "logit_scale." + t.name:
			return e.setLogitScale(t, ch.To)
		}
	}
	switch ch.Key {
	case "train.learning_rate":
		set(&c.Train.LearningRate)
	case "train.clip":
		set(&c.Train.Clip)
	}
	for m := range sample.NumModalities {
		column := m.String()
		if v := c.Train.LossWeights.Of(column); v != nil && ch.Key == "train.loss_weights."+column {
			set(v)
		}
		if v := c.Train.Noise.Of(column); v != nil && ch.Key == "train.noise."+column {
			set(v)
		}
	}
	e.train, e.model, p.train = c.Train, c.Model, c.Train
	e.forget()
	return nil
}

// setLogitScale gives a tower another scale.
func (e *engine) setLogitScale(t *towerSpec, scale float64) error {
	if t.name == "vision" {
		return fault.Usagef("the vision tower has no logit scale")
	}
	v := e.store.GetVariable(variablePath(t.scaleName()))
	return v.SetValue(tensors.FromFlatDataAndDimensions([]float32{float32(math.Log(scale))}, v.Shape().Dimensions...))
}

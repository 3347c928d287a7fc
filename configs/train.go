package configs

import (
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"prep/internal/fault"
)

// Train is the training recipe.
type Train struct {
	Epochs       int      `yaml:"epochs" json:"epochs"`
	Batch        int      `yaml:"batch" json:"batch"`
	Seed         uint64   `yaml:"seed" json:"seed"`
	LearningRate float64  `yaml:"learning_rate" json:"learning_rate"`
	Schedule     Schedule `yaml:"schedule" json:"schedule"`
	WeightDecay  float64  `yaml:"weight_decay" json:"weight_decay"`
	Decay        string   `yaml:"decay" json:"decay"`
	Beta1        float64  `yaml:"beta1" json:"beta1"`
	Beta2        float64  `yaml:"beta2" json:"beta2"`
	Epsilon      float64  `yaml:"epsilon" json:"epsilon"`
	Clip         float64  `yaml:"clip" json:"clip"`
	Accumulate   int      `yaml:"accumulate" json:"accumulate"`
	Recompute    bool     `yaml:"recompute" json:"recompute"`
	Precision    string   `yaml:"precision" json:"precision"`
	Attention    string   `yaml:"attention" json:"attention"`
	EMA          float64  `yaml:"ema" json:"ema"`
	Pairs        Pairs    `yaml:"pairs" json:"pairs"`
	LossWeights  Pairs    `yaml:"loss_weights" json:"loss_weights"`
	// Mix weighs the data sets of a run, in the order in which they are named.
	Mix         []float64 `yaml:"mix" json:"mix"`
	LogitScale  string    `yaml:"logit_scale" json:"logit_scale"`
	IMUDropPath string    `yaml:"imu_drop_path" json:"imu_drop_path"`
	Flip        bool      `yaml:"flip" json:"flip"`
	Noise       Noise     `yaml:"noise" json:"noise"`
	// Freeze and Only are patterns of parameter names, see Trains.
	Freeze           []string `yaml:"freeze" json:"freeze"`
	Only             []string `yaml:"only" json:"only"`
	Stages           []Stage  `yaml:"stages" json:"stages"`
	LoRA             LoRA     `yaml:"lora" json:"lora"`
	HeldOut          float64  `yaml:"held_out" json:"held_out"`
	EvalItems        int      `yaml:"eval_items" json:"eval_items"`
	EvalEpochs       int      `yaml:"eval_epochs" json:"eval_epochs"`
	Prompts          []string `yaml:"prompts" json:"prompts"`
	AutoTune         bool     `yaml:"auto_tune" json:"auto_tune"`
	CheckpointEpochs int      `yaml:"checkpoint_epochs" json:"checkpoint_epochs"`
	Keep             int      `yaml:"keep" json:"keep"`

	Init                string `yaml:"init" json:"init"`
	InitAllowMissing    string `yaml:"init_allow_missing" json:"init_allow_missing"`
	InitAllowUnexpected string `yaml:"init_allow_unexpected" json:"init_allow_unexpected"`
	Device              string `yaml:"device" json:"device"`
	Devices             int    `yaml:"devices" json:"devices"`
}

// A Stage is a stretch of epochs with weights of its own that rest, and a rate of its own. Each begins the
// schedule and the optimiser anew.
type Stage struct {
	Epochs int      `yaml:"epochs" json:"epochs"` // 0, only in the last: all that are left
	Freeze []string `yaml:"freeze" json:"freeze"` // beside train.freeze
	Rate   float64  `yaml:"rate" json:"rate"`     // factor of train.learning_rate
}

// LoRA adds products of two thin matrices to matrices that rest (Hu et al. 2021): W + alpha/rank B A.
type LoRA struct {
	Rank   int      `yaml:"rank" json:"rank"` // 0: none
	Alpha  float64  `yaml:"alpha" json:"alpha"`
	Towers []string `yaml:"towers" json:"towers"`
	Blocks []int    `yaml:"blocks" json:"blocks"` // counted from 0; none: all
	Layers []string `yaml:"layers" json:"layers"` // of in_proj, out_proj, fc1, fc2
}

// Adapts reports whether LoRA adds to a tower.
func (l *LoRA) Adapts(tower string) bool { return l.Rank > 0 && slices.Contains(l.Towers, tower) }

// Precisions are what train.precision takes.
var Precisions = []string{"float32", "tf32", "bf16", "fp16"}

// Attentions are what train.attention takes.
var Attentions = []string{"auto", "products"}

// Towers are the names of the model's towers, as parameter names have them.
var Towers = []string{"vision", "text", "audio", "depth", "thermal", "imu"}

// loraLayers are the matrices of a block that LoRA can add to.
var loraLayers = []string{"in_proj", "out_proj", "fc1", "fc2"}

// MatchParameter reports whether a pattern names a parameter: a tower's name stands for all of its
// parameters, anything else is a glob (path.Match) over the whole name.
func MatchParameter(pattern, tower, name string) bool {
	if slices.Contains(Towers, pattern) {
		return pattern == tower
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// Trains reports whether a parameter moves in a stage: it matches no pattern of freeze, and one of only
// where there are any.
func (t *Train) Trains(stage int, tower, name string) bool {
	match := func(p string) bool { return MatchParameter(p, tower, name) }
	if slices.ContainsFunc(t.Freeze, match) || len(t.Only) > 0 && !slices.ContainsFunc(t.Only, match) {
		return false
	}
	return len(t.Stages) == 0 || !slices.ContainsFunc(t.Stages[stage].Freeze, match)
}

// StageOf returns the stage that an epoch (counted from 0) belongs to, its place in the stage, and the
// factor of the learning rate there.
func (t *Train) StageOf(epoch int) (stage, within int, rate float64) {
	if len(t.Stages) == 0 {
		return 0, epoch, 1
	}
	for i, s := range t.Stages {
		if epoch < s.Epochs || i == len(t.Stages)-1 {
			return i, epoch, s.Rate
		}
		epoch -= s.Epochs
	}
	panic("unreachable")
}

// Schedule is the learning rate over the epochs: a linear warm-up, then cosine annealing with warm
// restarts (Loshchilov and Hutter 2017).
type Schedule struct {
	WarmupEpochs  int     `yaml:"warmup_epochs" json:"warmup_epochs"`
	WarmupStart   float64 `yaml:"warmup_start" json:"warmup_start"`
	RestartEpochs int     `yaml:"restart_epochs" json:"restart_epochs"`
	RestartFactor int     `yaml:"restart_factor" json:"restart_factor"`
	MinRate       float64 `yaml:"min_rate" json:"min_rate"`
	By            string  `yaml:"by" json:"by"`
}

// Pairs weighs the modalities that the hub is paired with.
type Pairs struct {
	Text    float64 `yaml:"text" json:"text"`
	Audio   float64 `yaml:"audio" json:"audio"`
	Depth   float64 `yaml:"depth" json:"depth"`
	Thermal float64 `yaml:"thermal" json:"thermal"`
	IMU     float64 `yaml:"imu" json:"imu"`
}

// Noise is the deviation of the Gaussian noise that each modality gets in training.
type Noise struct {
	Image   float64 `yaml:"image" json:"image"`
	Audio   float64 `yaml:"audio" json:"audio"`
	Depth   float64 `yaml:"depth" json:"depth"`
	Thermal float64 `yaml:"thermal" json:"thermal"`
	IMU     float64 `yaml:"imu" json:"imu"`
}

// Check reports the first key of the recipe that is out of range.
func (t *Train) Check() error {
	for _, r := range []struct {
		key           string
		value, lo, hi float64
	}{
		{"train.epochs", float64(t.Epochs), 1, 1e6},
		{"train.batch", float64(t.Batch), 2, 1 << 20},
		{"train.learning_rate", t.LearningRate, 1e-12, 10},
		{"train.schedule.warmup_epochs", float64(t.Schedule.WarmupEpochs), 0, 1e6},
		{"train.schedule.warmup_start", t.Schedule.WarmupStart, 0, 1},
		{"train.schedule.restart_epochs", float64(t.Schedule.RestartEpochs), 1, 1e6},
		{"train.schedule.restart_factor", float64(t.Schedule.RestartFactor), 1, 100},
		{"train.schedule.min_rate", t.Schedule.MinRate, 0, 10},
		{"train.weight_decay", t.WeightDecay, 0, 10},
		{"train.beta1", t.Beta1, 0, 0.999999},
		{"train.beta2", t.Beta2, 0, 0.999999},
		{"train.epsilon", t.Epsilon, 1e-30, 1},
		{"train.clip", t.Clip, 0, 1e6},
		{"train.pairs.text", t.Pairs.Text, 0, 1000},
		{"train.pairs.audio", t.Pairs.Audio, 0, 1000},
		{"train.pairs.depth", t.Pairs.Depth, 0, 1000},
		{"train.pairs.thermal", t.Pairs.Thermal, 0, 1000},
		{"train.pairs.imu", t.Pairs.IMU, 0, 1000},
		{"train.noise.image", t.Noise.Image, 0, 100},
		{"train.noise.audio", t.Noise.Audio, 0, 100},
		{"train.noise.depth", t.Noise.Depth, 0, 100},
		{"train.noise.thermal", t.Noise.Thermal, 0, 100},
		{"train.noise.imu", t.Noise.IMU, 0, 100},
		{"train.devices", float64(t.Devices), 1, 1024},
		{"train.accumulate", float64(t.Accumulate), 1, 1 << 16},
		{"train.ema", t.EMA, 0, 0.9999999},
		{"train.loss_weights.text", t.LossWeights.Text, 1e-6, 1000},
		{"train.loss_weights.audio", t.LossWeights.Audio, 1e-6, 1000},
		{"train.loss_weights.depth", t.LossWeights.Depth, 1e-6, 1000},
		{"train.loss_weights.thermal", t.LossWeights.Thermal, 1e-6, 1000},
		{"train.loss_weights.imu", t.LossWeights.IMU, 1e-6, 1000},
		{"train.lora.rank", float64(t.LoRA.Rank), 0, 1 << 12},
		{"train.lora.alpha", t.LoRA.Alpha, 0, 1e6},
		{"train.eval_epochs", float64(t.EvalEpochs), 1, 1e6},
		{"train.held_out", t.HeldOut, 0, 0.9},
		{"train.eval_items", float64(t.EvalItems), 2, 1 << 20},
		{"train.checkpoint_epochs", float64(t.CheckpointEpochs), 1, 1e6},
		{"train.keep", float64(t.Keep), 1, 1e6},
	} {
		if math.IsNaN(r.value) || r.value < r.lo || r.value > r.hi {
			return fault.Usagef("%s: %g is outside %g to %g", r.key, r.value, r.lo, r.hi)
		}
	}
	if t.Decay != "matrices" && t.Decay != "all" {
		return fault.Usagef("train.decay: %q is not one of matrices, all", t.Decay)
	}
	if t.Device != "cpu" && t.Device != "cuda" && t.Device != "auto" && !(strings.HasPrefix(t.Device, "xla:") && len(t.Device) > len("xla:")) {
		return fault.Usagef("train.device: %q is not one of cpu, cuda, auto, xla:PATH", t.Device)
	}
	if !slices.Contains(Precisions, t.Precision) {
		return fault.Usagef("train.precision: %q is not one of %s", t.Precision, strings.Join(Precisions, ", "))
	}
	if !slices.Contains(Attentions, t.Attention) {
		return fault.Usagef("train.attention: %q is not one of %s", t.Attention, strings.Join(Attentions, ", "))
	}
	if t.Schedule.By != "step" && t.Schedule.By != "epoch" {
		return fault.Usagef("train.schedule.by: %q is not one of step, epoch", t.Schedule.By)
	}
	if t.Schedule.MinRate > t.LearningRate {
		return fault.Usagef("train.schedule.min_rate: %g is above train.learning_rate %g", t.Schedule.MinRate, t.LearningRate)
	}
	if t.Pairs == (Pairs{}) {
		return fault.Usagef("train.pairs: every weight is 0, so there is nothing to train")
	}
	if len(t.Mix) > 0 && !slices.ContainsFunc(t.Mix, func(w float64) bool { return w != 0 }) {
		return fault.Usagef("train.mix: every weight is 0, so there is nothing to train")
	}
	for i, w := range t.Mix {
		if !(w >= 0 && w <= 1000) {
			return fault.Usagef("train.mix[%d]: %g is outside 0 to 1000", i, w)
		}
	}
	if _, _, err := t.Scale(0); err != nil {
		return err
	}
	if t.IMUDropPath != "model" && t.IMUDropPath != "auto" {
		return fault.Usagef("train.imu_drop_path: %q is not one of model, auto", t.IMUDropPath)
	}
	return t.checkParts()
}

// checkParts checks the lists.
func (t *Train) checkParts() error {
	patterns := func(key string, list []string) error {
		for _, p := range list {
			if _, err := path.Match(p, ""); err != nil || p == "" {
				return fault.Usagef("%s: %q is neither a tower (%s) nor a pattern of parameter names", key, p, strings.Join(Towers, ", "))
			}
		}
		return nil
	}
	if err := patterns("train.freeze", t.Freeze); err != nil {
		return err
	}
	if err := patterns("train.only", t.Only); err != nil {
		return err
	}
	for i, s := range t.Stages {
		if err := patterns("train.stages.freeze", s.Freeze); err != nil {
			return err
		}
		switch {
		case s.Epochs < 0 || s.Epochs > 1e6 || s.Epochs == 0 && i < len(t.Stages)-1:
			return fault.Usagef("train.stages: stage %d has %d epochs; only the last may have 0, which means the rest", i+1, s.Epochs)
		case !(s.Rate > 0 && s.Rate <= 1000):
			return fault.Usagef("train.stages: stage %d has rate %g; it is a factor of train.learning_rate in (0, 1000]", i+1, s.Rate)
		}
	}
	words := func(key string, list, known []string) error {
		for _, w := range list {
			if !slices.Contains(known, w) {
				return fault.Usagef("%s: %q is not one of %s", key, w, strings.Join(known, ", "))
			}
		}
		return nil
	}
	if err := words("train.lora.towers", t.LoRA.Towers, Towers); err != nil {
		return err
	}
	if err := words("train.lora.layers", t.LoRA.Layers, loraLayers); err != nil {
		return err
	}
	if t.LoRA.Rank > 0 && (len(t.LoRA.Towers) == 0 || len(t.LoRA.Layers) == 0) {
		return fault.Usagef("train.lora: a rank of %d needs towers and layers to add to", t.LoRA.Rank)
	}
	for _, p := range t.Prompts {
		if !strings.Contains(p, "{label}") {
			return fault.Usagef("train.prompts: %q has no {label}", p)
		}
	}
	return nil
}

// Scale is the logit scale that a pair begins with when it has so many items; keep says that the model's
// own stays. auto follows the field's rule of thumb, by which few items want a sharper distribution:
// 30 falling to 25 up to 100 thousand items, 20 up to a million, then 15 falling to 10.
func (t *Train) Scale(items int) (scale float64, keep bool, err error) {
	switch t.LogitScale {
	case "model":
		return 0, true, nil
	case "auto":
		switch n := math.Log10(max(float64(items), 1)); {
		case n < 5:
			return 25 + 5*min(1, 5-n), false, nil
		case n <= 6:
			return 20, false, nil
		default:
			return 15 - 5*min(1, n-6), false, nil
		}
	}
	scale, err = strconv.ParseFloat(t.LogitScale, 64)
	if err != nil || !(scale > 0 && scale <= 100) {
		return 0, false, fault.Usagef("train.logit_scale: %q is not model, auto or a number up to 100", t.LogitScale)
	}
	return scale, false, nil
}

// IMUDrop is the drop path of the IMU tower for so many recordings: the model's, or by auto 0.9 below ten
// thousand and 0.8 below a hundred thousand, since inertial data are few and quickly learnt by heart.
func (t *Train) IMUDrop(items int, model float64) float64 {
	switch {
	case t.IMUDropPath != "auto" || items >= 100_000:
		return model
	case items < 10_000:
		return max(model, 0.9)
	}
	return max(model, 0.8)
}

// Of returns the deviation of a modality by its column's name; nil for captions, which get none.
func (n *Noise) Of(column string) *float64 {
	switch column {
	case "image", "video":
		return &n.Image
	case "audio":
		return &n.Audio
	case "depth":
		return &n.Depth
	case "thermal":
		return &n.Thermal
	case "imu":
		return &n.IMU
	}
	return nil
}

// Of returns the weight of a modality by its column's name.
func (p *Pairs) Of(column string) *float64 {
	switch column {
	case "text":
		return &p.Text
	case "audio":
		return &p.Audio
	case "depth":
		return &p.Depth
	case "thermal":
		return &p.Thermal
	case "imu":
		return &p.IMU
	}
	return nil
}

package configs

import (
	"math"

	"prep/internal/fault"
)

// Train is the training recipe.
type Train struct {
	Epochs           int      `yaml:"epochs" json:"epochs"`
	Batch            int      `yaml:"batch" json:"batch"`
	Seed             uint64   `yaml:"seed" json:"seed"`
	LearningRate     float64  `yaml:"learning_rate" json:"learning_rate"`
	Schedule         Schedule `yaml:"schedule" json:"schedule"`
	WeightDecay      float64  `yaml:"weight_decay" json:"weight_decay"`
	Decay            string   `yaml:"decay" json:"decay"`
	Beta1            float64  `yaml:"beta1" json:"beta1"`
	Beta2            float64  `yaml:"beta2" json:"beta2"`
	Epsilon          float64  `yaml:"epsilon" json:"epsilon"`
	Clip             float64  `yaml:"clip" json:"clip"`
	Pairs            Pairs    `yaml:"pairs" json:"pairs"`
	Flip             bool     `yaml:"flip" json:"flip"`
	Noise            Noise    `yaml:"noise" json:"noise"`
	HeldOut          float64  `yaml:"held_out" json:"held_out"`
	EvalItems        int      `yaml:"eval_items" json:"eval_items"`
	CheckpointEpochs int      `yaml:"checkpoint_epochs" json:"checkpoint_epochs"`
	Keep             int      `yaml:"keep" json:"keep"`

	Init                string `yaml:"init" json:"init"`
	InitAllowMissing    string `yaml:"init_allow_missing" json:"init_allow_missing"`
	InitAllowUnexpected string `yaml:"init_allow_unexpected" json:"init_allow_unexpected"`
	Device              string `yaml:"device" json:"device"`
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
	if t.Schedule.By != "step" && t.Schedule.By != "epoch" {
		return fault.Usagef("train.schedule.by: %q is not one of step, epoch", t.Schedule.By)
	}
	if t.Schedule.MinRate > t.LearningRate {
		return fault.Usagef("train.schedule.min_rate: %g is above train.learning_rate %g", t.Schedule.MinRate, t.LearningRate)
	}
	if t.Pairs == (Pairs{}) {
		return fault.Usagef("train.pairs: every weight is 0, so there is nothing to train")
	}
	return nil
}

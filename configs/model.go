package configs

import "prep/internal/fault"

// Model is the shape of the model: ImageBind's six towers into one joint space. What is not a key here
// (pre-norm blocks, exact GELU, which tower has a pre-transformer norm or add_bias_kv, the epsilons) is
// ImageBind's structure and fixed.
type Model struct {
	Dim      int    `yaml:"dim" json:"dim"`
	MLPRatio int    `yaml:"mlp_ratio" json:"mlp_ratio"`
	Vocab    int    `yaml:"vocab" json:"vocab"`
	DropPath string `yaml:"drop_path" json:"drop_path"`
	// LayerScale multiplies each residual branch by a learned gamma: none, channel (one for each channel)
	// or scalar.
	LayerScale string `yaml:"layer_scale" json:"layer_scale"`
	Vision     Tower  `yaml:"vision" json:"vision"`
	Text       Tower  `yaml:"text" json:"text"`
	Audio      Tower  `yaml:"audio" json:"audio"`
	Depth      Tower  `yaml:"depth" json:"depth"`
	Thermal    Tower  `yaml:"thermal" json:"thermal"`
	IMU        Tower  `yaml:"imu" json:"imu"`
}

// Tower sizes one tower. Keys that a tower has no use for (a kernel of the text tower, a logit scale of
// the vision tower) are 0.
type Tower struct {
	Width  int `yaml:"width" json:"width"`
	Blocks int `yaml:"blocks" json:"blocks"`
	Heads  int `yaml:"heads" json:"heads"`
	// Kernel and Stride cut the input into patches, in pixels, mel cells or (IMU) samples; the stride
	// differs from the kernel only in the audio tower.
	Kernel int `yaml:"kernel" json:"kernel"`
	Stride int `yaml:"stride" json:"stride"`
	// DropPath is the rate of the last block; it grows linearly from 0 in the first.
	DropPath float64 `yaml:"drop_path" json:"drop_path"`
	// LayerScale is what the gammas begin with, where the model has them.
	LayerScale float64 `yaml:"layer_scale" json:"layer_scale"`
	// HeadDropout is the rate between the IMU head's norm and its projection.
	HeadDropout float64 `yaml:"head_dropout" json:"head_dropout"`
	// Scale multiplies the unit vector; Learnable makes its logarithm a parameter.
	Scale     float64 `yaml:"scale" json:"scale"`
	Learnable bool    `yaml:"learnable" json:"learnable"`
}

// Check reports the first key of the model that cannot be built.
func (m *Model) Check() error {
	for _, r := range []struct {
		key           string
		value, lo, hi int
	}{
		{"model.dim", m.Dim, 1, 1 << 16},
		{"model.mlp_ratio", m.MLPRatio, 1, 64},
		{"model.vocab", m.Vocab, 3, 1 << 24},
	} {
		if r.value < r.lo || r.value > r.hi {
			return fault.Usagef("%s: %d is outside %d to %d", r.key, r.value, r.lo, r.hi)
		}
	}
	if m.DropPath != "sample" && m.DropPath != "tokens" {
		return fault.Usagef("model.drop_path: %q is not one of sample, tokens", m.DropPath)
	}
	if m.LayerScale != "none" && m.LayerScale != "channel" && m.LayerScale != "scalar" {
		return fault.Usagef("model.layer_scale: %q is not one of none, channel, scalar", m.LayerScale)
	}
	for _, t := range []struct {
		name     string
		tower    Tower
		size     int // extent of the input along the shorter patched axis, 0: no patches
		strided  bool
		scaled   bool
		dropHead bool
	}{
		{"vision", m.Vision, 224, false, false, false},
		{"text", m.Text, 0, false, true, false},
		{"audio", m.Audio, 128, true, true, false},
		{"depth", m.Depth, 224, false, true, false},
		{"thermal", m.Thermal, 224, false, true, false},
		{"imu", m.IMU, 2000, false, true, true},
	} {
		key, w := "model."+t.name, t.tower
		switch {
		case w.Width < 1 || w.Width > 1<<16:
			return fault.Usagef("%s.width: %d is outside 1 to 65536", key, w.Width)
		case w.Blocks < 1 || w.Blocks > 1024:
			return fault.Usagef("%s.blocks: %d is outside 1 to 1024", key, w.Blocks)
		case w.Heads < 1 || w.Width%w.Heads != 0:
			return fault.Usagef("%s.heads: width %d does not divide into %d heads", key, w.Width, w.Heads)
		case !(w.DropPath >= 0 && w.DropPath < 1):
			return fault.Usagef("%s.drop_path: %g is outside [0, 1)", key, w.DropPath)
		case !(w.LayerScale > 0 && w.LayerScale <= 1):
			return fault.Usagef("%s.layer_scale: %g is outside (0, 1]", key, w.LayerScale)
		case !(w.HeadDropout >= 0 && w.HeadDropout < 1):
			return fault.Usagef("%s.head_dropout: %g is outside [0, 1)", key, w.HeadDropout)
		case w.HeadDropout != 0 && !t.dropHead:
			return fault.Usagef("%s.head_dropout: only the IMU head has dropout", key)
		case t.size == 0 && (w.Kernel != 0 || w.Stride != 0):
			return fault.Usagef("%s.kernel: the text tower has no patches", key)
		case t.size > 0 && (w.Kernel < 1 || w.Kernel > t.size):
			return fault.Usagef("%s.kernel: %d is outside 1 to %d", key, w.Kernel, t.size)
		case t.strided && (w.Stride < 1 || w.Stride > t.size):
			return fault.Usagef("%s.stride: %d is outside 1 to %d", key, w.Stride, t.size)
		case t.size > 0 && !t.strided && (w.Stride != w.Kernel || t.size%w.Kernel != 0):
			return fault.Usagef("%s.kernel: patches must tile %d exactly, with stride equal to kernel (%d, %d)", key, t.size, w.Kernel, w.Stride)
		case t.scaled && !(w.Scale > 0 && w.Scale <= 100):
			return fault.Usagef("%s.scale: %g is outside (0, 100]", key, w.Scale)
		case !t.scaled && (w.Scale != 0 || w.Learnable):
			return fault.Usagef("%s.scale: the vision tower has no logit scale", key)
		}
	}
	return nil
}

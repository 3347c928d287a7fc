package trainer

import (
	"fmt"
	"math"

	"prep/configs"
	"prep/internal/sample"
)

// The shapes that every tower reads, in samples of one batch row.
const (
	imageSize     = 224
	videoFrames   = 2
	melBins       = 128
	melFrames     = 204
	contextLength = 77
	imuChannels   = 6
	imuSamples    = 2000
)

// stemKind says how raw input becomes tokens.
type stemKind uint8

const (
	stemVideo  stemKind = iota // patches over 2 frames (Conv3d), an image repeated to 2 frames
	stemTokens                 // embedding of token ids
	stemPatch                  // patches of one channel (Conv2d) and a norm
	stemPieces                 // pieces along time, a linear layer and a norm
)

// A towerSpec is what ImageBind fixes about a tower; its sizes come from the configuration.
type towerSpec struct {
	name    string // the segment in parameter names
	stem    stemKind
	stemKey string // the segment that holds the stem's weights
	preNorm bool   // a LayerNorm before the first block
	biasKV  bool   // a learned extra key and value in each attention
	config  func(*configs.Model) *configs.Tower
}

// towers, in the order of ImageBind's state_dict.
var towers = []*towerSpec{
	{"vision", stemVideo, "rgbt_stem", true, false, func(m *configs.Model) *configs.Tower { return &m.Vision }},
	{"text", stemTokens, "", false, false, func(m *configs.Model) *configs.Tower { return &m.Text }},
	{"audio", stemPatch, "rgbt_stem", false, true, func(m *configs.Model) *configs.Tower { return &m.Audio }},
	{"depth", stemPatch, "depth_stem", false, true, func(m *configs.Model) *configs.Tower { return &m.Depth }},
	{"thermal", stemPatch, "rgbt_stem", false, true, func(m *configs.Model) *configs.Tower { return &m.Thermal }},
	{"imu", stemPieces, "imu_stem", false, true, func(m *configs.Model) *configs.Tower { return &m.IMU }},
}

// towerOf returns the tower that reads a modality; image and video share one.
func towerOf(m sample.Modality) *towerSpec {
	name := m.String()
	if m == sample.Image || m == sample.Video {
		name = "vision"
	}
	for _, t := range towers {
		if t.name == name {
			return t
		}
	}
	return nil
}

// input is the height and width that a patch stem reads.
func (t *towerSpec) input() (int, int) {
	if t.name == "audio" {
		return melBins, melFrames
	}
	return imageSize, imageSize
}

// grid is the number of patches along each axis; the remainder of the input is never read (ImageBind's
// audio stem reads mel rows 0..125 and frames 0..195).
func (t *towerSpec) grid(m *configs.Model) (rows, cols int) {
	c := t.config(m)
	switch t.stem {
	case stemVideo, stemPatch:
		h, w := t.input()
		return (h-c.Kernel)/c.Stride + 1, (w-c.Kernel)/c.Stride + 1
	case stemPieces:
		return 1, imuSamples / c.Kernel
	}
	return 1, contextLength
}

// tokens is the length of the sequence in the trunk, class token included.
func (t *towerSpec) tokens(m *configs.Model) int {
	rows, cols := t.grid(m)
	if t.stem == stemTokens {
		return contextLength
	}
	return rows*cols + 1
}

// An initialiser names the distribution that a parameter starts from; spread is its scale.
type initialiser uint8

const (
	initZeros   initialiser = iota
	initOnes                //
	initNormal              // mean 0, standard deviation spread
	initUniform             // -spread to spread
	initValue               // spread itself
	initCausal              // 0 on and below the diagonal, -inf above
)

// A Weight is one entry of the model's state_dict.
type Weight struct {
	Name   string
	Shape  []int
	Buffer bool // stored with the weights but not trained
	Tower  string

	start  initialiser
	spread float64
}

// Elements is the number of values.
func (w *Weight) Elements() int {
	n := 1
	for _, d := range w.Shape {
		n *= d
	}
	return n
}

// StateDict lists every entry of the state_dict of the model, buffers included, under ImageBind's names
// and in its order.
func StateDict(m *configs.Model) []Weight {
	var out []Weight
	var tower string
	add := func(start initialiser, spread float64, name string, shape ...int) *Weight {
		out = append(out, Weight{Name: name, Shape: shape, Tower: tower, start: start, spread: spread})
		return &out[len(out)-1]
	}
	norm := func(prefix string, width int) {
		add(initOnes, 0, prefix+".weight", width)
		add(initZeros, 0, prefix+".bias", width)
	}
	bound := linearBound

	for _, t := range towers {
		c := t.config(m)
		w, k := c.Width, c.Kernel
		tower = t.name
		pre := "modality_preprocessors." + t.name
		stem := pre + "." + t.stemKey
		scale := 1 / math.Sqrt(float64(w)) // positions and class token as open_clip starts them
		switch t.stem {
		case stemVideo:
			add(initNormal, scale, pre+".cls_token", 1, 1, w)
			add(initUniform, bound(3*videoFrames*k*k), stem+".proj.1.weight", w, 3, videoFrames, k, k)
			add(initNormal, scale, pre+".pos_embedding_helper.pos_embed", 1, t.tokens(m), w)
		case stemTokens:
			add(initNormal, 0.01, pre+".pos_embed", 1, contextLength, w)
			add(initCausal, 0, pre+".mask", contextLength, contextLength).Buffer = true
			add(initNormal, 0.02, pre+".token_embedding.weight", m.Vocab, w)
		case stemPatch:
			add(initNormal, scale, pre+".cls_token", 1, 1, w)
			add(initUniform, bound(k*k), stem+".proj.weight", w, 1, k, k)
			norm(stem+".norm_layer", w)
			add(initNormal, scale, pre+".pos_embedding_helper.pos_embed", 1, t.tokens(m), w)
		case stemPieces:
			add(initNormal, scale, pre+".pos_embed", 1, t.tokens(m), w)
			add(initNormal, scale, pre+".cls_token", 1, 1, w)
			add(initUniform, bound(imuChannels*k), stem+".proj.weight", w, imuChannels*k)
			norm(stem+".norm_layer", w)
		}
	}
	for _, t := range towers {
		c := t.config(m)
		w := c.Width
		tower = t.name
		trunk := "modality_trunks." + t.name
		if t.preNorm {
			norm(trunk+".pre_transformer_layer.0", w)
		}
		for i := range c.Blocks {
			b := fmt.Sprintf("%s.blocks.%d", trunk, i)
			for _, gamma := range []string{".layer_scale_gamma1", ".layer_scale_gamma2"} {
				switch m.LayerScale {
				case "channel":
					add(initValue, c.LayerScale, b+gamma, 1, 1, w)
				case "scalar":
					add(initValue, c.LayerScale, b+gamma, 1, 1, 1)
				}
			}
			// Xavier's uniform bound for the fused projection, sqrt(6 / (fan in + fan out)).
			add(initUniform, math.Sqrt(6/float64(4*w)), b+".attn.in_proj_weight", 3*w, w)
			add(initZeros, 0, b+".attn.in_proj_bias", 3*w)
			if t.biasKV {
				// Xavier's normal as PyTorch counts the fans of [1,1,w]: both are w.
				add(initNormal, 1/math.Sqrt(float64(w)), b+".attn.bias_k", 1, 1, w)
				add(initNormal, 1/math.Sqrt(float64(w)), b+".attn.bias_v", 1, 1, w)
			}
			add(initNormal, linearSpread(w), b+".attn.out_proj.weight", w, w)
			add(initZeros, 0, b+".attn.out_proj.bias", w)
			norm(b+".norm_1", w)
			add(initNormal, linearSpread(w), b+".mlp.fc1.weight", m.MLPRatio*w, w)
			add(initZeros, 0, b+".mlp.fc1.bias", m.MLPRatio*w)
			add(initNormal, linearSpread(w), b+".mlp.fc2.weight", w, m.MLPRatio*w)
			add(initZeros, 0, b+".mlp.fc2.bias", w)
			norm(b+".norm_2", w)
		}
	}
	for _, t := range towers {
		w := t.config(m).Width
		tower = t.name
		normName, projName := t.headNames()
		norm(normName, w)
		add(initUniform, bound(w), projName, m.Dim, w)
	}
	for _, t := range towers {
		if t.name == "vision" {
			continue // unit vectors: the hub has no scale of its own
		}
		c := t.config(m)
		tower = t.name
		add(initValue, math.Log(c.Scale), t.scaleName()).Buffer = !c.Learnable
	}
	return out
}

// linearBound is PyTorch's default for linear and convolution weights: uniform in ±1/sqrt(fan in).
func linearBound(fanIn int) float64 { return 1 / math.Sqrt(float64(fanIn)) }

// linearSpread is the deviation that a block's linear layers start with: ImageBind's 0.02 at the widths it
// has, and more in towers narrower than its audio tower, so that a layer keeps its gain of about a half. At
// 0.02 a narrow tower starts as a near identity and takes several times as long to learn anything.
func linearSpread(width int) float64 {
	return 0.02 * math.Sqrt(max(1, 768/float64(width)))
}

// headNames returns the prefix of the head's norm and the name of its projection. The numbers are the
// positions in ImageBind's Sequential modules.
func (t *towerSpec) headNames() (norm, proj string) {
	head := "modality_heads." + t.name
	switch t.name {
	case "text":
		return head + ".proj.0", head + ".proj.1.weight"
	case "imu":
		return head + ".0", head + ".3.weight"
	}
	return head + ".0", head + ".2.weight"
}

// scaleName is the parameter or buffer that holds the logarithm of the tower's logit scale.
func (t *towerSpec) scaleName() string {
	return "modality_postprocessors." + t.name + ".1.log_logit_scale"
}

// decays reports whether weight decay applies to a parameter under decay "matrices": to the matrices of
// linear layers and stems and to the token embedding, not to biases, norms, tokens, positions and scales.
func (w *Weight) decays() bool {
	return len(w.Shape) >= 2 && !(w.Shape[0] == 1 && len(w.Shape) == 3)
}

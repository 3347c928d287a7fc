package trainer

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/sbinet/npyio/npz"

	"prep/configs"
	"prep/internal/sample"
	"prep/trainer/device"
)

// goldenDir is the folder of the reference outputs made by ImageBind's own code.
func goldenDir() string {
	if d := os.Getenv("PREP_GOLDEN"); d != "" {
		return d
	}
	return filepath.Join("..", "testdata", "golden")
}

func readGoldenJSON(t *testing.T, into any, path ...string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{goldenDir()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%v: %v", path, err)
	}
}

func openNPZ(t *testing.T, path ...string) *npz.Reader {
	t.Helper()
	r, err := npz.Open(filepath.Join(append([]string{goldenDir()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func npzFloats(t *testing.T, r *npz.Reader, name string) ([]float32, []int) {
	t.Helper()
	h := r.Header(name + ".npy")
	if h == nil {
		t.Fatalf("no %s in the golden", name)
	}
	var v []float32
	if err := r.Read(name+".npy", &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v, h.Descr.Shape
}

// goldenInput reads one stored input: bytes as u/64 - 2, text ids as they are.
func goldenInput(t *testing.T, r *npz.Reader, name string) *tensors.Tensor {
	t.Helper()
	shape := r.Header(name + ".npy").Descr.Shape
	if name == "text" {
		var v []int32
		if err := r.Read(name+".npy", &v); err != nil {
			t.Fatal(err)
		}
		return tensors.FromFlatDataAndDimensions(v, shape...)
	}
	var u []uint8
	if err := r.Read(name+".npy", &u); err != nil {
		t.Fatal(err)
	}
	f := make([]float32, len(u))
	for i, b := range u {
		f[i] = float32(b)/64 - 2
	}
	return tensors.FromFlatDataAndDimensions(f, shape...)
}

type goldenModel struct {
	Dims   map[string]float64 `json:"dims"`
	Vocab  int                `json:"vocab"`
	Stages map[string]struct {
		Shape []int   `json:"shape"`
		Max   float64 `json:"max_abs"`
	} `json:"stages"`
	StateDict map[string]struct {
		Shape []int  `json:"shape"`
		Kind  string `json:"kind"`
	} `json:"state_dict"`
}

// goldenConfig is the golden's model: ImageBind's stems at the sizes that model.json gives.
func goldenConfig(t *testing.T) (configs.Model, goldenModel) {
	t.Helper()
	var g goldenModel
	readGoldenJSON(t, &g, "model", "model.json")
	c, err := configs.Load(configs.Layers{ModelPreset: "imagebind_huge"})
	if err != nil {
		t.Fatal(err)
	}
	m := c.Model
	m.Dim, m.Vocab = int(g.Dims["out_embed_dim"]), g.Vocab
	for _, tw := range towers {
		w := tw.config(&m)
		w.Width, w.Blocks, w.Heads = int(g.Dims[tw.name+"_embed_dim"]), int(g.Dims[tw.name+"_num_blocks"]), int(g.Dims[tw.name+"_num_heads"])
		w.DropPath = g.Dims[tw.name+"_drop_path"]
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return m, g
}

func goldenEngine(t *testing.T, m configs.Model, recipe configs.Train) *engine {
	t.Helper()
	return goldenEngineFrom(t, m, recipe, "tiny.safetensors")
}

func goldenEngineFrom(t *testing.T, m configs.Model, recipe configs.Train, file string) *engine {
	t.Helper()
	w, err := OpenWeights(filepath.Join(goldenDir(), "model", file))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	e, err := openEngine(m, recipe, engineOptions{backend: openTestBackend(t, device.Options{Name: testDevice(), TF32: recipe.Precision == "tf32"}), from: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	return e
}

// Names, shapes and kinds of the full model equal ImageBind's, in its order, as do the small model's.
func TestGoldenStateDict(t *testing.T) {
	path := filepath.Join(goldenDir(), "model", "imagebind_huge_names.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Count       int             `json:"count"`
		Buffers     []string        `json:"buffers"`
		PerModality map[string]int  `json:"parameters_per_modality"`
		Total       int             `json:"parameters_total"`
		Shapes      json.RawMessage `json:"shapes"`
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	// The order counts too, so the object is read token by token.
	dec := json.NewDecoder(strings.NewReader(string(g.Shapes)))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(configs.Layers{ModelPreset: "imagebind_huge"})
	if err != nil {
		t.Fatal(err)
	}
	ours := StateDict(&c.Model)
	if len(ours) != g.Count {
		t.Errorf("%d entries, want %d", len(ours), g.Count)
	}
	total, per := 0, map[string]int{}
	for _, w := range ours {
		name, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		shape := []int{}
		if err := dec.Decode(&shape); err != nil {
			t.Fatal(err)
		}
		if name != w.Name || !slices.Equal(shape, w.Shape) {
			t.Fatalf("got %s %v, want %v %v", w.Name, w.Shape, name, shape)
		}
		if w.Buffer != slices.Contains(g.Buffers, w.Name) {
			t.Errorf("%s: buffer is %v", w.Name, w.Buffer)
		}
		if !w.Buffer {
			total += w.Elements()
			per[w.Tower] += w.Elements()
		}
	}
	if total != g.Total {
		t.Errorf("%d parameters, want %d", total, g.Total)
	}
	for k, n := range g.PerModality {
		if per[k] != n {
			t.Errorf("%s: %d parameters, want %d", k, per[k], n)
		}
	}
	m, small := goldenConfig(t)
	if n := len(StateDict(&m)); n != len(small.StateDict) {
		t.Errorf("small model: %d entries, want %d", n, len(small.StateDict))
	}
	for _, w := range StateDict(&m) {
		if s := small.StateDict[w.Name]; !slices.Equal(s.Shape, w.Shape) || (s.Kind == "buffer") != w.Buffer {
			t.Errorf("small model: %s %v, want %v %s", w.Name, w.Shape, s.Shape, s.Kind)
		}
	}
}

// Every stage of every tower equals ImageBind's own, clips included, from either file of its weights.
func TestGoldenForward(t *testing.T) {
	for _, file := range []string{"tiny.safetensors", "tiny.pth"} {
		t.Run(file, func(t *testing.T) { checkForward(t, file) })
	}
}

func checkForward(t *testing.T, file string) {
	m, g := goldenConfig(t)
	e := goldenEngineFrom(t, m, configs.Train{}, file)
	inputs, outputs := openNPZ(t, "model", "inputs.npz"), openNPZ(t, "model", "outputs.npz")
	for _, key := range inputs.Keys() {
		key = strings.TrimSuffix(key, ".npy")
		modality := map[string]sample.Modality{"vision": sample.Image, "video": sample.Video, "audio_clips": sample.Audio}[key]
		if key != "vision" && key != "video" && key != "audio_clips" {
			var err error
			if modality, err = sample.ParseModality(key); err != nil {
				t.Fatal(err)
			}
		}
		x := goldenInput(t, inputs, key)
		tower := towerOf(modality)
		names := []string{"tokens", "trunk", "head", "unit", "output"}
		run, err := model.NewExec(e.backend, e.store, func(_ *model.Scope, x *Node) []*Node {
			var s stages
			if rank := x.Rank(); rank == 6 || modality == sample.Audio && rank == 5 {
				s = e.net.encodeClips(tower, x, x.Shape().Dimensions[1])
			} else {
				s = e.net.encode(tower, x, noise{})
			}
			return []*Node{s.tokens, s.trunk, s.head, s.unit, s.output}
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := run.Call(x)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		scale := 1.0
		if modality != sample.Image && modality != sample.Video {
			scale = e.logitScale(tower)
		}
		tolerance := map[string]float64{"tokens": 5e-5, "trunk": 5e-5, "head": 1e-5, "unit": 2e-6, "output": 2e-6 * scale}
		for i, stage := range names {
			full := key + "." + stage
			if want := g.Stages[full].Shape; !slices.Equal(out[i].Shape().Dimensions, want) {
				t.Errorf("%s: shape %v, want %v", full, out[i].Shape().Dimensions, want)
				continue
			}
			if outputs.Header(full+".npy") == nil {
				continue // the large stages of video are not kept
			}
			want, _ := npzFloats(t, outputs, full)
			got := tensors.MustCopyFlatData[float32](out[i])[:len(want)] // tokens and trunk: sample 0 only
			if d := maxDiff(got, want); !(d <= tolerance[stage]) {
				t.Errorf("%s: off by %.3g, at most %.3g", full, d, tolerance[stage])
			} else {
				t.Logf("%s: %.2g of %.2g", full, d, tolerance[stage])
			}
			if stage == "unit" {
				for a := range slices.Chunk(want, m.Dim) {
					b := got[:m.Dim]
					got = got[m.Dim:]
					if cos := dot(a, b) / math.Sqrt(dot(a, a)*dot(b, b)); !(cos >= 1-1e-6) {
						t.Errorf("%s: cosine %.9f", full, cos)
					}
				}
			}
		}
	}
}

func dot(a, b []float32) (s float64) {
	for i := range a {
		s += float64(a[i]) * float64(b[i])
	}
	return s
}

func maxDiff(a, b []float32) (m float64) {
	for i := range a {
		if d := math.Abs(float64(a[i]) - float64(b[i])); !(d <= m) {
			m = d
		}
	}
	return m
}

func l2(v []float32) float64 { return math.Sqrt(dot(v, v)) }

// Ten steps of AdamW equal PyTorch's: losses, gradients, rates, values, with and without clipping.
func TestGoldenTraining(t *testing.T) {
	for _, tag := range []string{"plain", "clip1"} {
		t.Run(tag, func(t *testing.T) {
			var g struct {
				Clip  *float64 `json:"clip_grad_norm"`
				Steps []struct {
					Loss      float64 `json:"loss"`
					Text      float64 `json:"loss_text"`
					Audio     float64 `json:"loss_audio"`
					GradNorm  float64 `json:"grad_norm"`
					LR        float64 `json:"lr"`
					TextScale float64 `json:"text_scale_after"`
				} `json:"steps"`
				ParamNorm map[string]map[string]float64 `json:"param_l2_norm"`
				GradNorm  map[string]*float64           `json:"grad_l2_norm_step1"`
			}
			readGoldenJSON(t, &g, "train", "steps_"+tag+".json")
			m, _ := goldenConfig(t)
			m.Audio.DropPath, m.IMU.DropPath = 0, 0
			recipe := configs.Train{LearningRate: 5e-5, WeightDecay: 0.05, Decay: "all", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8,
				Schedule: configs.Schedule{RestartEpochs: 5, RestartFactor: 2, MinRate: 1e-6, By: "epoch"}}
			if g.Clip != nil {
				recipe.Clip = *g.Clip
			}
			e := goldenEngine(t, m, recipe)
			batch := openNPZ(t, "train", "batch.npz")
			feeds := []feed{
				{modality: sample.Image, x: goldenInput(t, batch, "vision")},
				{modality: sample.Text, x: goldenInput(t, batch, "text")},
				{modality: sample.Audio, x: goldenInput(t, batch, "audio")},
			}
			values := openNPZ(t, "train", "values_"+tag+".npz")
			kept := func(name string, v []float32) []float32 { return withoutKeyThird(name, v) }
			valueTolerance := func(name string) float64 {
				if strings.HasSuffix(name, "in_proj_weight") || strings.Contains(name, "fc1") {
					return 2e-5
				}
				return 2e-6
			}

			grads := goldenGradients(t, e, feeds)
			factor := 1.0 // grad1 is after clipping
			if recipe.Clip > 0 {
				sum := 0.0
				for _, v := range grads {
					sum += dot(v, v)
				}
				factor = min(1, recipe.Clip/(math.Sqrt(sum)+clipEpsilon))
			}
			worst := 0.0
			for name, want := range g.GradNorm {
				v, ok := grads[name]
				if ok != (want != nil) {
					t.Errorf("%s: has a gradient: %v", name, ok)
					continue
				}
				if want == nil {
					continue
				}
				d := math.Abs(l2(v)*factor-*want) / (1e-4**want + 1e-6)
				worst = max(worst, d)
				if !(d <= 1) {
					t.Errorf("%s: gradient norm %.8g, want %.8g", name, l2(v)*factor, *want)
				}
			}
			t.Logf("gradient norms by tensor: worst %.2g of the tolerance", worst)
			for _, key := range values.Keys() {
				name, ok := strings.CutPrefix(strings.TrimSuffix(key, ".npy"), "grad1.")
				if !ok {
					continue
				}
				want, _ := npzFloats(t, values, "grad1."+name)
				got := slices.Clone(grads[name])
				for i := range got {
					got[i] *= float32(factor)
				}
				if d := maxDiff(kept(name, got), kept(name, want)); !(d <= 1e-4*l2(want)+1e-6) {
					t.Errorf("gradient of %s: off by %.3g, norm %.3g", name, d, l2(want))
				}
			}

			for i, want := range g.Steps {
				lr := learningRate(&recipe, float64(i))
				r, err := e.step(feeds, lr, []int{i + 1, i + 1, i + 1})
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(lr-want.LR) > 1e-9*want.LR {
					t.Errorf("step %d: rate %.12g, want %.12g", i+1, lr, want.LR)
				}
				text, audio := float64(r.losses[0]), float64(r.losses[1])
				for _, l := range [][2]float64{{text, want.Text}, {audio, want.Audio}, {text + audio, want.Loss}} {
					if !(math.Abs(l[0]-l[1]) <= 2e-5) {
						t.Errorf("step %d: loss %.8g, want %.8g", i+1, l[0], l[1])
					}
				}
				if d := math.Abs(float64(r.gradNorm)-want.GradNorm) / want.GradNorm; !(d <= 5e-5) {
					t.Errorf("step %d: gradient norm %.8g, want %.8g", i+1, r.gradNorm, want.GradNorm)
				}
				scale := min(want.TextScale, maxLogitScale)                                           // the golden's is before the clamp
				if s := e.logitScale(towerOf(sample.Text)); !(math.Abs(s-scale) <= 2e-6*scale+1e-5) { // 2e-6 in the logarithm
					t.Errorf("step %d: text scale %.8g, want %.8g", i+1, s, scale)
				}
				norms, ok := g.ParamNorm[strconv.Itoa(i+1)]
				if !ok {
					continue
				}
				for _, w := range e.weights {
					if w.Buffer {
						continue
					}
					got := tensors.MustCopyFlatData[float32](e.store.GetVariable(variablePath(w.Name)).MustValue())
					rel := 1e-5
					if strings.HasSuffix(w.Name, "in_proj_bias") {
						rel = 5e-4
					}
					if n := norms[w.Name]; !(math.Abs(l2(got)-n) <= rel*n) {
						t.Errorf("step %d: norm of %s %.9g, want %.9g", i+1, w.Name, l2(got), n)
					}
					full := "step" + strconv.Itoa(i+1) + "." + w.Name
					if values.Header(full+".npy") == nil {
						continue
					}
					want, _ := npzFloats(t, values, full)
					d := maxDiff(kept(w.Name, got), kept(w.Name, want))
					if !(d <= valueTolerance(w.Name)) {
						t.Errorf("%s: off by %.3g", full, d)
					} else {
						t.Logf("%s: %.2g", full, d)
					}
				}
			}
		})
	}
}

// withoutKeyThird leaves out what theory says has no gradient: softmax ignores a shift of all scores, which
// is all that the key bias does where there is no bias_k. Adam turns its rounding noise into steps.
func withoutKeyThird(name string, v []float32) []float32 {
	if !strings.HasSuffix(name, "in_proj_bias") || strings.Contains(name, ".audio.") {
		return v
	}
	n := len(v) / 3
	return append(slices.Clone(v[:n]), v[2*n:]...)
}

func goldenGradients(t *testing.T, e *engine, feeds []feed) map[string][]float32 {
	t.Helper()
	var names []string
	run, err := model.NewExec(e.backend, e.store, func(_ *model.Scope, in []*Node) []*Node {
		_, total := e.losses(feeds, in)
		weights, _, grads := e.gradients(feeds, total, nil)
		for _, w := range weights {
			names = append(names, w.Name)
		}
		return grads
	})
	if err != nil {
		t.Fatal(err)
	}
	var args []any
	for _, f := range feeds {
		args = append(args, f.x)
	}
	out, err := run.Call(args...)
	if err != nil {
		t.Fatal(err)
	}
	grads := map[string][]float32{}
	for i, o := range out {
		if o.DType() != dtypes.Float32 {
			t.Fatalf("%s: gradient of type %s", names[i], o.DType())
		}
		grads[names[i]] = tensors.MustCopyFlatData[float32](o)
	}
	return grads
}

// The schedule equals PyTorch's schedulers.
func TestGoldenSchedule(t *testing.T) {
	var raw map[string]json.RawMessage
	readGoldenJSON(t, &raw, "train", "lr.json")
	number := func(key string) (v float64) {
		if err := json.Unmarshal(raw[key], &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	base := configs.Train{LearningRate: number("base_lr"), Schedule: configs.Schedule{
		RestartEpochs: int(number("T_0")), RestartFactor: int(number("T_mult")), MinRate: number("eta_min"), By: "epoch"}}
	checked := 0
	for key, r := range raw {
		var want []float64
		if json.Unmarshal(r, &want) != nil {
			continue
		}
		c, stride := base, 1.0
		if s, ok := strings.CutPrefix(key, "warmup5_start_"); ok {
			c.Schedule.WarmupEpochs = 5
			c.Schedule.WarmupStart, _ = strconv.ParseFloat(s, 64)
		} else if s, ok := strings.CutPrefix(key, "fractional_epochs_of_"); ok {
			n, err := strconv.ParseFloat(strings.TrimSuffix(s, "_steps"), 64)
			if err != nil {
				t.Fatal(err)
			}
			c.Schedule.By, stride = "step", 1/n
		} else if key != "warm_restarts_only" {
			t.Errorf("unknown sequence %s", key)
		}
		for i, w := range want {
			if got := learningRate(&c, float64(i)*stride); math.Abs(got-w) > 1e-9*w {
				t.Errorf("%s[%d]: %.12g, want %.12g", key, i, got, w)
			}
			checked++
		}
	}
	t.Logf("%d rates", checked)
}

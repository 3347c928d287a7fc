package trainer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/sample"
)

// goldenTraining are the golden batch and recipe, in a precision.
func goldenTraining(t *testing.T, precision string) (*engine, []feed) {
	t.Helper()
	m, _ := goldenConfig(t)
	m.Audio.DropPath, m.IMU.DropPath = 0, 0
	e := goldenEngine(t, m, configs.Train{LearningRate: 5e-5, WeightDecay: 0.05, Decay: "all", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Precision: precision, Attention: "products"})
	batch := openNPZ(t, "train", "batch.npz")
	return e, []feed{
		{modality: sample.Image, x: goldenInput(t, batch, "vision")},
		{modality: sample.Text, x: goldenInput(t, batch, "text")},
		{modality: sample.Audio, x: goldenInput(t, batch, "audio")},
	}
}

func onXLA(t *testing.T) {
	t.Helper()
	if testDevice() == "cpu" {
		t.Skip("PREP_TEST_DEVICE names no XLA device (scripts/fetch_cpu_plugin.sh gets one)")
	}
}

// The golden ten steps in half precision stay within 1e-2 of those in float32, with every value in the type that
// it is to have: weights, gradients and moments, norms, softmax, GELU, heads and the loss in float32, the products
// of the trunks and what stands between them in half precision.
func TestGoldenPrecision(t *testing.T) {
	onXLA(t)
	const steps = 10
	losses := map[string][]float64{}
	for _, precision := range configs.Precisions {
		if precision == "tf32" && testDevice() != "cuda" {
			continue
		}
		e, feeds := goldenTraining(t, precision)
		for i := range steps {
			r, err := e.step(feeds, 5e-5, []int{i + 1, i + 1, i + 1})
			for err == nil && r.skipped && i == 0 && e.scaling.Scale > 1 { // as a training comes to its first step
				e.scaling.update(true)
				r, err = e.step(feeds, 5e-5, []int{1, 1, 1})
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.skipped {
				t.Errorf("%s: step %d was skipped", precision, i+1)
			}
			for _, l := range r.losses {
				losses[precision] = append(losses[precision], float64(l))
			}
		}
		for v := range e.store.IterVariables() {
			if v.DType() != dtypes.Float32 {
				t.Errorf("%s: %s is kept in %s", precision, v.Path(), v.DType())
			}
		}
		worst := 0.0
		for i, want := range losses["float32"] {
			worst = max(worst, math.Abs(losses[precision][i]-want))
		}
		if !(worst <= 1e-2) {
			t.Errorf("%s: losses are off by %.3g", precision, worst)
		}
		t.Logf("%s: losses off by at most %.2g over %d steps, the last are %.5f", precision, worst, steps, losses[precision][2*steps-2:])
		if precision == "float32" || precision == "tf32" {
			continue
		}
		if losses[precision][0] == losses["float32"][0] {
			t.Errorf("%s: the first loss equals float32's to the bit", precision)
		}
		checkTypes(t, stepGraph(t, e, feeds), e, feeds)
		if precision == "fp16" {
			checkScaling(t, e, feeds)
		}
	}
}

// stepGraph makes a step and returns its graph, to look into.
func stepGraph(t *testing.T, e *engine, feeds []feed) *Graph {
	t.Helper()
	steps := make([]int, len(feeds))
	if _, err := e.step(feeds, 5e-5, steps); err != nil {
		t.Fatal(err)
	}
	args := []any{e.rates(5e-5, steps)}
	for _, in := range e.inputs(feeds) {
		args = append(args, in.value)
	}
	_, g, err := e.steps[feedsKey(feeds)].exec.CallWithGraph(args...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// checkTypes looks at every node of a step's graph.
func checkTypes(t *testing.T, g *Graph, e *engine, feeds []feed) {
	t.Helper()
	half, n := e.net.half, len(feeds)
	narrow, wide := 0, 0
	for _, node := range g.Nodes() {
		if !node.DType().IsFloat() {
			continue
		}
		switch kind := strings.TrimPrefix(node.Type().String(), "NodeType"); kind {
		case "DotGeneral", "Dot":
			for _, in := range node.Inputs() {
				if in.DType() != node.DType() {
					t.Errorf("%s of %s and %s", node, node.Inputs()[0].DType(), node.Inputs()[1].DType())
				}
			}
			if node.DType() == half {
				narrow++
			} else {
				wide++
			}
		case "Exp", "Erf", "Log", "Sqrt", "Div", "ReduceMax", "ReduceSum":
			if node.DType() != dtypes.Float32 {
				t.Errorf("%s is computed in %s", kind, node.DType())
			}
		case "Parameter":
			if node.DType() == half {
				t.Errorf("%s is given in %s", node, half)
			}
		}
	}
	// In float32: the head's projection of each tower and the logits of each pair, with two products each for the gradients.
	if want := 3*n + 3*(n-1); wide != want {
		t.Errorf("%d products in float32, want the %d of heads and losses", wide, want)
	}
	// In half precision: six of each block, with two each for the gradients, and the stems'.
	blocks := 0
	for _, f := range feeds {
		blocks += towerOf(f.modality).config(&e.model).Blocks
	}
	if least := 18*blocks + 2; narrow < least {
		t.Errorf("%d products in %s, want at least %d", narrow, half, least)
	}
}

// temporary is what a compiled graph needs of the device's memory beside its arguments and results, in bytes: for
// a step, its activations and gradients.
func temporary(t *testing.T, x compute.Executable) int64 {
	t.Helper()
	defer func() {
		if e := recover(); e != nil {
			t.Fatalf("go-xla's executable is not what it was: %v", e)
		}
	}()
	return reflect.ValueOf(x).Elem().FieldByName("exec").Elem().FieldByName("OnDeviceMemoryUsageStats").FieldByName("Temporary").Int()
}

// The memory of a step's activations in half precision is about half of that in float32, as XLA plans it.
func TestGoldenPrecisionMemory(t *testing.T) {
	onXLA(t)
	c := small(t)
	c.Model.Audio = configs.Tower{Width: 128, Blocks: 5, Heads: 4, Kernel: 16, Stride: 10, Scale: 20}
	c.Train.Only = []string{"audio"}
	const batch = 16
	var bytes [2]int64
	for i, precision := range []string{"float32", "bf16"} {
		c.Train.Precision = precision
		e, err := openEngine(c.Model, c.Train, engineOptions{backend: testBackend(t, testDevice())})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.close)
		hub := tensors.FromFlatDataAndDimensions(make([]float32, batch*3*imageSize*imageSize), batch, 3, imageSize, imageSize)
		x := make([]float32, batch*melBins*melFrames)
		s := draw(1, "memory", 0, "")
		s.Normals(x, 1)
		g := stepGraph(t, e, []feed{{modality: sample.Image, x: hub}, {modality: sample.Audio, x: tensors.FromFlatDataAndDimensions(x, batch, 1, melBins, melFrames)}})
		bytes[i] = temporary(t, g.Executable())
	}
	ratio := float64(bytes[1]) / float64(bytes[0])
	t.Logf("activations and gradients: float32 %.1f MB, bf16 %.1f MB, %.2f of it", float64(bytes[0])/1e6, float64(bytes[1])/1e6, ratio)
	if !(ratio <= 0.6) {
		t.Errorf("bf16 takes %.2f of float32's memory", ratio)
	}
}

// The Go backend says what half precision needs.
func TestHalfPrecisionNeedsXLA(t *testing.T) {
	c := small(t)
	for _, precision := range []string{"tf32", "bf16", "fp16"} {
		c.Train.Precision = precision
		if e, err := newEngine(c.Model, c.Train); err == nil {
			e.close()
			t.Errorf("%s on the Go backend", precision)
		} else if !strings.Contains(err.Error(), "--device cuda") {
			t.Error(err)
		}
	}
}

// The factor of the loss follows PyTorch's rules: halved by a skipped step, doubled after 2000 good ones.
func TestLossScale(t *testing.T) {
	s := newLossScale()
	if !s.update(true) || *s != (lossScale{Scale: firstScale / 2, Skipped: 1}) {
		t.Errorf("after a skipped step: %+v", *s)
	}
	for i := range growthSteps {
		if s.Good != i || s.Scale != firstScale/2 {
			t.Fatalf("after %d good steps: %+v", i, *s)
		}
		s.update(false)
	}
	if *s != (lossScale{Scale: firstScale, Skipped: 1}) {
		t.Errorf("after %d good steps: %+v", growthSteps, *s)
	}
	on := true
	for i := 0; on; i++ {
		if i > 100 {
			t.Fatal("it goes on for ever")
		}
		on = s.update(true)
	}
	for _, norm := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if !s.lost(float32(norm)) || (*lossScale)(nil).lost(float32(norm)) {
			t.Errorf("%g", norm)
		}
	}
	if s.lost(1e30) {
		t.Error("a finite norm is lost")
	}
}

// checkScaling holds that a step whose gradient overflows float16 changes nothing.
func checkScaling(t *testing.T, e *engine, feeds []feed) {
	t.Helper()
	values := func() map[string][]float32 {
		out := map[string][]float32{}
		for v := range e.store.IterVariables() {
			out[v.Path()] = tensors.MustCopyFlatData[float32](v.MustValue())
		}
		return out
	}
	before := values()
	e.scaling.Scale = mostScale
	r, err := e.step(feeds, 5e-5, []int{2, 2, 2})
	if err != nil {
		t.Fatal(err)
	}
	if !r.skipped || math.IsNaN(float64(r.losses[0])) {
		t.Errorf("a factor of %d: %+v", mostScale, r)
	}
	if d, name := furthest(t, before, values()); d != 0 {
		t.Errorf("a skipped step moved %s by %g", name, d)
	}
	// The gradient does not depend on the factor.
	var norms []float32
	for _, scale := range []float64{1 << 8, 1 << 12} {
		e.scaling.Scale = scale
		r, err := e.step(feeds, 0, []int{2, 2, 2})
		if err != nil {
			t.Fatal(err)
		}
		norms = append(norms, r.gradNorm)
	}
	if d := math.Abs(float64(norms[0]/norms[1]) - 1); !(d < 1e-2) {
		t.Errorf("gradient norms at two factors: %v", norms)
	}
}

// A run in float16, on one device, to which batches are sent ahead, and on two, ends with the same bytes whether it is
// stopped or not, its skipped steps counted and no update of a tower.
func TestGoldenLossScaling(t *testing.T) {
	onXLA(t)
	have := devicesHere(t)
	for _, devices := range []int{1, 2} {
		t.Run(fmt.Sprint(devices), func(t *testing.T) {
			if devices > have {
				t.Skip("the plugin has one device")
			}
			checkLossScaling(t, devices)
		})
	}
}

func checkLossScaling(t *testing.T, devices int) {
	c := small(t)
	for _, tw := range towers {
		tw.config(&c.Model).Blocks = 1
	}
	c.Train.Precision, c.Train.Device, c.Train.Epochs, c.Train.Schedule.WarmupEpochs = "fp16", testDevice(), 8, 0
	c.Train.Devices = devices
	c.Train.EvalEpochs = c.Train.Epochs
	rows := synthetic(14, sample.Image, sample.Text)
	straight, stopped := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	want, err := run(t.Context(), options(straight, false), c, rows, testData)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := options(stopped, false)
	o.Progress = func(ev Event) {
		if ev.Step == 5 {
			cancel()
		}
	}
	if _, err := run(ctx, o, c, rows, testData); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	got, err := run(t.Context(), options(stopped, true), c, rows, testData)
	if err != nil {
		t.Fatal(err)
	}
	sameCheckpoint(t, want.Checkpoint, got.Checkpoint)
	a, err := readState(filepath.Join(want.Checkpoint, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	b, err := readState(filepath.Join(got.Checkpoint, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d steps: %+v, tower steps %v", want.Steps, a.LossScale, a.TowerSteps)
	if *a.LossScale != *b.LossScale || !maps.Equal(a.TowerSteps, b.TowerSteps) || a.LossScale.Skipped+a.TowerSteps["text"] != want.Steps || want.SkippedSteps != a.LossScale.Skipped {
		t.Errorf("%d steps: %+v, tower steps %v; resumed %+v, %v", want.Steps, a.LossScale, a.TowerSteps, b.LossScale, b.TowerSteps)
	}
	if said := readFile(t, straight, metricsFile); !strings.Contains(said, `"loss_scale":`) {
		t.Error("metrics.jsonl has no factor of the loss")
	}
}

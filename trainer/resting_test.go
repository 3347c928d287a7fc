package trainer

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/sample"
	"prep/trainer/element"
)

// restingFeeds are drawn inputs of the vision and the audio tower.
func restingFeeds(batch int) []feed {
	var feeds []feed
	for m, shape := range map[sample.Modality][]int{sample.Image: {batch, 3, imageSize, imageSize}, sample.Audio: {batch, 1, melBins, melFrames}} {
		x := tensors.FromShape(shapes.Make(dtypes.Float32, shape...))
		s := draw(1, m.String(), 0, "")
		tensors.MustMutableFlatData(x, func(v []float32) { s.Normals(v, 1) })
		feeds = append(feeds, feed{modality: m, x: x})
	}
	slices.SortFunc(feeds, func(a, b feed) int { return int(a.modality) - int(b.modality) })
	return feeds
}

// Matrices that rest are on the device in half precision alone, and every figure is what it is with float32 ones that
// each step rounds: losses, norms, the weights that move and the vectors, from one stage to the next. What is written of
// them stays float32's.
func TestDevicesKeepRestingMatricesRounded(t *testing.T) {
	onXLA(t)
	const precision = "bf16"
	c := small(t)
	for _, tw := range towers {
		tw.config(&c.Model).DropPath, tw.config(&c.Model).HeadDropout = 0, 0
	}
	c.Train.Precision, c.Train.Clip = precision, 1
	c.Train.Stages = []configs.Stage{{Epochs: 1, Rate: 1, Freeze: []string{"vision", "modality_trunks.audio.blocks.0.*"}}, {Epochs: 1, Rate: 1, Freeze: []string{"audio"}}}
	run := func(rounded bool) (figures [][]float32, e *engine) {
		e, err := openEngine(c.Model, c.Train, engineOptions{backend: testBackend(t, testDevice())})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.close)
		feeds := restingFeeds(4)
		for stage := range 2 {
			if stage > 0 {
				if err := e.enter(stage); err != nil {
					t.Fatal(err)
				}
			}
			if !rounded { // as if all were there
				for _, tw := range towers {
					e.placed[tw.name] = true
				}
			}
			for i := range 2 {
				r, err := e.step(feeds, 1e-3, []int{i + 1, i + 1})
				if err != nil {
					t.Fatal(err)
				}
				figures = append(figures, append(r.losses, r.gradNorm))
			}
			v, err := e.outputs(feeds[1].modality, feeds[1].x) // sound, whose tower rests in part and then wholly
			if err != nil {
				t.Fatal(err)
			}
			figures = append(figures, v)
			for i := range e.weights {
				w := &e.weights[i]
				v := e.store.GetVariable(narrowPath(w.Name))
				moves := c.Train.Trains(stage, w.Tower, w.Name)
				used := w.Tower == "vision" || w.Tower == "audio"
				if got, want := v != nil, rounded && used && isTrunkMatrix(w) && !moves; got != want {
					t.Errorf("%s, stage %d: %s is rounded: %t, want %t", precision, stage, w.Name, got, want)
				}
				if v != nil && v.DType() != e.net.half {
					t.Errorf("%s is rounded to %s", w.Name, v.DType())
				}
				if value := e.store.GetVariable(variablePath(w.Name)).MustValue(); v != nil && value.IsOnDevice(0) {
					t.Errorf("%s, stage %d: %s is on the device in float32, too", precision, stage, w.Name)
				}
			}
		}
		return figures, e
	}
	want, plain := run(false)
	got, e := run(true)
	for i := range want {
		for j := range want[i] {
			if math.Float32bits(got[i][j]) != math.Float32bits(want[i][j]) {
				t.Fatalf("%s: figure %d is %g, want %g", precision, i, got[i][j], want[i][j])
			}
		}
	}
	read := func(s element.Source) (v []float32) {
		if err := s.Values(func(x []float32) error { v = append(v, x...); return nil }); err != nil {
			t.Fatal(err)
		}
		return v
	}
	sources := plain.weightTensors()
	for i, s := range e.weightTensors() {
		if s.Type != element.F32 || !slices.Equal(read(s), read(sources[i])) {
			t.Errorf("%s: what is written of %s differs", precision, s.Name)
		}
	}
}

// The host rounds a matrix as the device does: to the nearest, halves to even, also what is too small or too large.
func TestDevicesRoundAsTheHost(t *testing.T) {
	onXLA(t)
	values := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1 + 1.0/256, 1 + 3.0/256, 1 + 1.0/2048, 1 + 3.0/2048, 65504, 65519.99, 65520, 1e6, 3e38, math.MaxFloat32, 6e-5, 6e-8, 3e-8, 2.9e-8, 9e-8, 1.2e-38}
	s := draw(1, "rounding", 0, "")
	for range 100_000 {
		values = append(values, math.Float32frombits(uint32(s.Uniform()*(1<<32))))
	}
	values = slices.DeleteFunc(values, notNumber)
	// Below float32's normal numbers XLA's CPU code has zeros; no weight is of that size.
	values = slices.DeleteFunc(values, func(x float32) bool { return x != 0 && math.Abs(float64(x)) < 0x1p-126 })
	for _, precision := range []string{"bf16", "fp16"} {
		c := small(t)
		c.Train.Precision = precision
		e, err := openEngine(c.Model, c.Train, engineOptions{backend: testBackend(t, testDevice())})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.close)
		w := &Weight{Name: "values", Shape: []int{len(values)}}
		x := tensors.FromFlatDataAndDimensions(slices.Clone(values), len(values))
		if err := e.round(w, x); err != nil {
			t.Fatal(err)
		}
		host := e.store.GetVariable(narrowPath(w.Name)).MustValue()
		wide, err := NewExec(e.backend, func(x *Node) *Node { return ConvertDType(x, dtypes.Float32) })
		if err != nil {
			t.Fatal(err)
		}
		there, err := NewExec(e.backend, func(x *Node) *Node { return ConvertDType(x, e.net.half) })
		if err != nil {
			t.Fatal(err)
		}
		rounded, err := there.Call1(tensors.FromFlatDataAndDimensions(values, len(values)))
		if err != nil {
			t.Fatal(err)
		}
		var both [2][]float32
		for i, h := range []*tensors.Tensor{host, rounded} {
			y, err := wide.Call1(h)
			if err != nil {
				t.Fatal(err)
			}
			both[i] = tensors.MustCopyFlatData[float32](y)
		}
		for i, x := range values {
			if math.Float32bits(both[0][i]) != math.Float32bits(both[1][i]) {
				t.Errorf("%s: %g is %g on the host, %g on the device", precision, x, both[0][i], both[1][i])
			}
		}
	}
}

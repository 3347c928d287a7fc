//go:build unix

package trainer

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"prep/configs"
	"prep/internal/sample"
)

// BenchmarkTowerStep is a training step of one tower against fixed vectors (forward, backward, AdamW), on the
// device of PREP_TEST_DEVICE, with GODEBUG=cpu.fma=off as the program has it (docs/bench.md). Its figure is the least processor time of a step, which scripts/bench_step.py holds
// against PyTorch's for the same tower.
func BenchmarkTowerStep(b *testing.B) {
	for _, size := range []struct {
		name     string
		modality sample.Modality
		tower    configs.Tower
		dim      int
		batch    int
	}{
		{"768", sample.Audio, configs.Tower{Width: 768, Blocks: 12, Heads: 12, Kernel: 16, Stride: 10, Scale: 20}, 1024, 4}, // 229 tokens
		{"256", sample.Depth, configs.Tower{Width: 256, Blocks: 4, Heads: 4, Kernel: 28, Stride: 28, Scale: 20}, 128, 16},   // 65 tokens
	} {
		b.Run(size.name, func(b *testing.B) {
			c := preset(b)
			c.Model.Dim, c.Model.MLPRatio = size.dim, 4
			t := towerOf(size.modality)
			*t.config(&c.Model) = size.tower
			e, err := openEngine(c.Model, c.Train, engineOptions{backend: testBackend(b, testDevice()), towers: []*towerSpec{t}})
			if err != nil {
				b.Fatal(err)
			}
			defer e.close()
			height, width := t.input()
			x, z := make([]float32, size.batch*height*width), make([]float32, size.batch*size.dim)
			s := draw(1, "bench", 0, "")
			s.Normals(x, 1)
			s.Normals(z, 1)
			normaliseRows(z, size.dim)
			layout := []feed{{modality: size.modality}}
			e.addMoments(layout)
			step, err := model.NewExec(e.backend, e.store, func(_ *model.Scope, in []*Node) []*Node {
				loss := infoNCE(in[2], e.net.encode(t, in[1], noise{}).output)
				weights, tower, grads := e.gradients(layout, loss, in[0])
				return append([]*Node{loss}, e.update(weights, tower, grads, in[0])...)
			})
			if err != nil {
				b.Fatal(err)
			}
			rates := e.rates(1e-4, []int{1})
			weights, tower := e.reached(layout)
			args := []any{rates, tensors.FromFlatDataAndDimensions(x, size.batch, 1, height, width), tensors.FromFlatDataAndDimensions(z, size.batch, size.dim)}
			run := func() {
				out, err := step.Call(args...)
				if err != nil {
					b.Fatal(err)
				}
				if loss := tensors.ToScalar[float32](out[0]); math.IsNaN(float64(loss)) {
					b.Fatal("the loss is no number")
				}
				if _, err := e.updated(weights, tower, rates, out[1:]); err != nil {
					b.Fatal(err)
				}
			}
			run() // compiles
			least := math.Inf(1)
			for b.Loop() {
				began := cpuTime(b)
				run()
				least = min(least, cpuTime(b)-began)
			}
			b.ReportMetric(least*1e3, "cpu-ms/step")
		})
	}
}

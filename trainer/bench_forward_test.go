package trainer

import (
	"slices"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/sample"
	"prep/trainer/device"
)

// BenchmarkForward takes batches through each tower for their vectors, as embedding does, with drawn weights and inputs,
// on the device of PREP_TEST_DEVICE: PRESET/PRECISION/MODALITY, in samples a second of the best batch, its transfers
// included. The full size runs on GPUs alone.
func BenchmarkForward(b *testing.B) {
	for _, size := range []struct {
		preset string
		batch  int
	}{{"tiny", 8}, {"imagebind_huge", 64}} {
		for _, precision := range configs.Precisions {
			for _, m := range []sample.Modality{sample.Image, sample.Video, sample.Text, sample.Audio, sample.Depth, sample.Thermal, sample.IMU} {
				b.Run(size.preset+"/"+precision+"/"+m.String(), func(b *testing.B) {
					backend := testBackend(b, testDevice())
					if size.preset != "tiny" && !device.IsCUDA(backend) {
						backend.Finalize()
						b.Skip("the full size takes a GPU")
					}
					c, err := configs.Load(configs.Layers{ModelPreset: size.preset})
					if err != nil {
						b.Fatal(err)
					}
					c.Train.Precision = precision
					e, err := openEngine(c.Model, c.Train, engineOptions{backend: backend, towers: []*towerSpec{towerOf(m)}, still: true})
					if err != nil {
						b.Skip(err) // a precision that the device does not have
					}
					defer e.close()
					x := forwardInput(m, size.batch)
					run := func() {
						v, err := e.outputs(m, x)
						if err != nil {
							b.Fatal(err)
						}
						if slices.ContainsFunc(v, notNumber) {
							b.Fatal("a vector is no number")
						}
					}
					run() // compiles
					var least time.Duration
					for b.Loop() {
						began := time.Now()
						run()
						if took := time.Since(began); least == 0 || took < least {
							least = took
						}
					}
					b.ReportMetric(float64(size.batch)/least.Seconds(), "samples/s")
				})
			}
		}
	}
}

// forwardInput is a drawn batch as shards hold it.
func forwardInput(m sample.Modality, batch int) *tensors.Tensor {
	s := draw(1, "forward", 0, m.String())
	dims := append([]int{batch}, fedShape(m, 0)...)
	switch m {
	case sample.Text:
		x := tensors.FromShape(shapes.Make(dtypes.Int32, dims...))
		tensors.MustMutableFlatData(x, func(v []int32) {
			for i := range v {
				v[i] = int32(s.Below(40000))
			}
		})
		return x
	case sample.Image, sample.Video, sample.Thermal:
		x := tensors.FromShape(shapes.Make(dtypes.Uint8, dims...))
		tensors.MustMutableFlatData(x, func(v []uint8) {
			for i := range v {
				v[i] = uint8(s.Below(256))
			}
		})
		return x
	}
	x := tensors.FromShape(shapes.Make(dtypes.Float32, dims...))
	tensors.MustMutableFlatData(x, func(v []float32) { s.Normals(v, 1) })
	return x
}

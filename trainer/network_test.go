package trainer

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Patches lie row by row, and within each channel by channel.
func TestPatches(t *testing.T) {
	backend, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	const b, channels, side, k = 2, 3, 6, 2
	x := make([]float32, b*channels*side*side)
	for i := range x {
		x[i] = float32(i)
	}
	// Seven columns, of which the last is not read.
	for _, width := range []int{side, side + 1} {
		wide := make([]float32, b*channels*side*width)
		for i, v := range x {
			wide[i/side*width+i%side] = v
		}
		got := MustExecOnce(backend, func(x *Node) *Node { return patches(x, side/k, side/k, k, k) },
			tensors.FromFlatDataAndDimensions(wide, b, channels, side, width))
		out := tensors.MustCopyFlatData[float32](got)
		i := 0
		for item := range b {
			for row := range side / k {
				for col := range side / k {
					for c := range channels {
						for y := range k {
							for z := range k {
								if want := x[((item*channels+c)*side+row*k+y)*side+col*k+z]; out[i] != want {
									t.Fatalf("width %d: value %d is %g, want %g", width, i, out[i], want)
								}
								i++
							}
						}
					}
				}
			}
		}
		if i != len(out) {
			t.Fatalf("width %d: %d values, want %d", width, len(out), i)
		}
	}
}

// One head goes its own way through the graph, so that it is held to the formula here; the goldens have several.
func TestOneHead(t *testing.T) {
	c := preset(t)
	c.Model.Text.Width, c.Model.Text.Heads, c.Model.Text.Blocks = 8, 1, 1
	c.Model.Audio.Width, c.Model.Audio.Heads, c.Model.Audio.Blocks = 8, 1, 1
	e, err := newEngine(c.Model, c.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	const b, w = 2, 8
	for _, name := range []string{"text", "audio"} {
		var spec *towerSpec
		for _, s := range towers {
			if s.name == name {
				spec = s
			}
		}
		prefix := "modality_trunks." + name + ".blocks.0.attn"
		length := 5
		if name == "text" {
			length = contextLength
		}
		x := make([]float32, b*length*w)
		draw(1, "one head", 0, name).Normals(x, 1)
		run, err := model.NewExec(e.backend, e.store, func(_ *model.Scope, x *Node) *Node { return e.net.attention(spec, prefix, x, b) })
		if err != nil {
			t.Fatal(err)
		}
		y, err := run.Call1(tensors.FromFlatDataAndDimensions(x, b*length, w))
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float32](y)
		weight := func(n string) []float32 {
			return tensors.MustCopyFlatData[float32](e.store.GetVariable(variablePath(prefix + "." + n)).MustValue())
		}
		in, out := weight("in_proj_weight"), weight("out_proj.weight") // the biases are 0
		for item := range b {
			part := func(pos, first int) []float64 {
				v := make([]float64, w)
				for i := range v {
					for j := range w {
						v[i] += float64(in[(first+i)*w+j]) * float64(x[(item*length+pos)*w+j])
					}
				}
				return v
			}
			var keys, values [][]float64
			for pos := range length {
				keys, values = append(keys, part(pos, w)), append(values, part(pos, 2*w))
			}
			if spec.biasKV {
				k, v := make([]float64, w), make([]float64, w)
				for i := range w {
					k[i], v[i] = float64(weight("bias_k")[i]), float64(weight("bias_v")[i])
				}
				keys, values = append(keys, k), append(values, v)
			}
			for pos := range length {
				q := part(pos, 0)
				sum, mean := 0.0, make([]float64, w)
				for at := range keys {
					if name == "text" && at > pos {
						break
					}
					score := 0.0
					for i := range w {
						score += q[i] * keys[at][i] / math.Sqrt(w)
					}
					for i := range w {
						mean[i] += math.Exp(score) * values[at][i]
					}
					sum += math.Exp(score)
				}
				for i := range w {
					want := 0.0
					for j := range w {
						want += float64(out[i*w+j]) * mean[j] / sum
					}
					if d := math.Abs(want - float64(got[(item*length+pos)*w+i])); d > 1e-5 {
						t.Fatalf("%s: item %d position %d: off by %g", name, item, pos, d)
					}
				}
			}
		}
		run.Finalize()
	}
}

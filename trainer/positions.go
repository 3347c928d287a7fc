package trainer

import (
	"fmt"
	"math"
	"strings"

	"prep/configs"
	"prep/trainer/element"
)

// A grid is a number of patches along each axis.
type grid struct{ rows, cols int }

func (g grid) String() string { return fmt.Sprintf("%d x %d", g.rows, g.cols) }

// regrid takes learned positions from one grid of patches to another.
type regrid struct{ from, to grid }

// positionsFit says how a file's position embedding fits a model that cuts its input into another grid, if
// it does: only the number of patches may differ. A square number of patches is a square grid; the audio
// tower's is found from its kernel and the stride that gives that many patches.
func positionsFit(f *WeightFile, m *configs.Model, w *Weight, t element.Tensor) (regrid, bool) {
	if !strings.HasSuffix(w.Name, "pos_embed") || len(t.Shape) != 3 || t.Shape[0] != 1 || t.Shape[2] != w.Shape[2] {
		return regrid{}, false
	}
	for _, tw := range towers {
		if tw.name != w.Tower || tw.stem == stemTokens {
			continue
		}
		var r regrid
		r.to.rows, r.to.cols = tw.grid(m)
		n := t.Shape[1] - 1 // the class token has a position of its own
		if n < 1 {
			return regrid{}, false
		}
		side := int(math.Round(math.Sqrt(float64(n))))
		height, width := tw.input()
		switch {
		case tw.stem == stemPieces:
			r.from = grid{1, n}
		case height == width:
			r.from = grid{side, side}
		default:
			// The first stride that fits; the kernel is the file's own.
			stem, ok := f.Lookup("modality_preprocessors." + tw.name + "." + tw.stemKey + ".proj.weight")
			if !ok || len(stem.Shape) != 4 || stem.Shape[3] < 1 {
				return regrid{}, false
			}
			for k, stride := stem.Shape[3], 1; stride <= height && k <= height; stride++ {
				if g := (grid{(height-k)/stride + 1, (width-k)/stride + 1}); g.rows*g.cols == n {
					r.from = g
					break
				}
			}
		}
		return r, r.from.rows*r.from.cols == n && n > 0
	}
	return regrid{}, false
}

// cubic is Keys' kernel with the parameter that PyTorch's bicubic interpolation has.
const cubicA = -0.75

// taps are the four weights of a point at distance t in [0, 1) behind the second of four samples.
func taps(t float64) [4]float64 {
	near := func(x float64) float64 { return ((cubicA+2)*x-(cubicA+3))*x*x + 1 }
	far := func(x float64) float64 { return ((cubicA*x-5*cubicA)*x+8*cubicA)*x - 4*cubicA }
	return [4]float64{far(t + 1), near(t), near(1 - t), far(2 - t)}
}

// interpolate resamples positions [1 + rows*cols, width], the class token's first, which stays. It is what
// ImageBind does with its own position embeddings on an input of another size, and timm without its
// antialiasing: torch's bicubic interpolation, align_corners=False, over the grid of each channel.
func (r regrid) interpolate(v []float32, width int) []float32 {
	out := make([]float32, (1+r.to.rows*r.to.cols)*width)
	copy(out, v[:width])
	type span struct {
		at [4]int
		w  [4]float64
	}
	spans := func(from, to int) []span {
		s := make([]span, to)
		for i := range s {
			x := (float64(i)+0.5)*float64(from)/float64(to) - 0.5
			floor := math.Floor(x)
			s[i].w = taps(x - floor)
			for k := range 4 {
				s[i].at[k] = min(max(int(floor)-1+k, 0), from-1)
			}
		}
		return s
	}
	ys, xs := spans(r.from.rows, r.to.rows), spans(r.from.cols, r.to.cols)
	for i, y := range ys {
		for j, x := range xs {
			dst := out[(1+i*r.to.cols+j)*width:]
			for c := range width {
				sum := 0.0
				for a := range 4 {
					row := 0.0
					for b := range 4 {
						row += x.w[b] * float64(v[(1+y.at[a]*r.from.cols+x.at[b])*width+c])
					}
					sum += y.w[a] * row
				}
				dst[c] = float32(sum)
			}
		}
	}
	return out
}

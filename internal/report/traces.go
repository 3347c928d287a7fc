package report

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"slices"
)

// TracesPNG draws [channels][n] as curves over time, one below the other, each over its own range; a grey line
// is 0 where it lies within. A column holds several samples: it is drawn from their least to their largest.
func TracesPNG(w io.Writer, x []float32, channels int) error {
	const width, height, gap = 1000, 96, 8
	if channels < 1 || len(x) == 0 || len(x)%channels != 0 {
		return fmt.Errorf("%d values for %d channels", len(x), channels)
	}
	n := len(x) / channels
	img := image.NewNRGBA(image.Rect(0, 0, width, channels*(height+gap)-gap))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for c := range channels {
		v := x[c*n : (c+1)*n]
		lo, hi := slices.Min(v), slices.Max(v)
		span := max(hi-lo, 1e-6)
		at := func(y float32) int {
			return c*(height+gap) + int(float32(height-1)*(1-min(max((y-lo)/span, 0), 1))+0.5)
		}
		if lo <= 0 && hi >= 0 {
			for col := range width {
				img.SetNRGBA(col, at(0), color.NRGBA{200, 200, 200, 255})
			}
		}
		for col := range width {
			from := min(col*n/width, n-1)
			to := min(max((col+1)*n/width+1, from+1), n) // one over, so that the curve has no holes
			piece := v[from:to]
			for y := at(slices.Max(piece)); y <= at(slices.Min(piece)); y++ {
				img.SetNRGBA(col, y, color.NRGBA{182, 54, 121, 255})
			}
		}
	}
	return png.Encode(w, img)
}

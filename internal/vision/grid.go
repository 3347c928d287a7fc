package vision

import (
	"fmt"
	"math"
)

// ResizeCropFloat is ResizeCrop for a map of numbers instead of levels: Pillow's bicubic with antialias on a
// picture of mode F, then the centre crop. values are [height][width]; the result is [size][size] and lies
// pixel for pixel over what ResizeCrop makes of a picture of the same size. Nothing is rounded to levels and
// nothing is cut: where values jump, bicubic overshoots by up to a tenth of the jump.
//
// As Pillow does it: weights and sums in double, the result of each pass in float32, the horizontal first.
// torchvision's Resize(antialias=True) of a tensor computes the same up to rounding. It fails as ResizeCrop
// does.
func ResizeCropFloat(values []float32, width, height, size int) ([]float32, error) {
	switch {
	case width < 1 || height < 1 || width > MaxSide || height > MaxSide:
		return nil, fmt.Errorf("a map of %d x %d, want 1 to %d on each side", width, height, MaxSide)
	case len(values) != width*height:
		return nil, fmt.Errorf("a map of %d x %d with %d values", width, height, len(values))
	}
	if err := checkSize(size); err != nil {
		return nil, err
	}
	w, h := ShortSide(width, height, size)
	across := realBicubic(width, w, cropOffset(w, size), size)
	down := realBicubic(height, h, cropOffset(h, size), size)
	// Only the rows that the vertical pass reads go through the horizontal one.
	first := down[0].first
	last := down[size-1].first + len(down[size-1].weights)
	lines := make([]float32, (last-first)*size)
	for y := first; y < last; y++ {
		row, out := values[y*width:][:width], lines[(y-first)*size:][:size]
		for x := range out {
			t := &across[x]
			sum := 0.0
			for k, v := range row[t.first:][:len(t.weights)] {
				sum += float64(t.weights[k] * float64(v))
			}
			out[x] = float32(sum)
		}
	}
	out := make([]float32, size*size)
	sums := make([]float64, size)
	for y := range size {
		clear(sums)
		t := &down[y]
		for k, weight := range t.weights {
			for x, v := range lines[(t.first-first+k)*size:][:size] {
				sums[x] += float64(weight * float64(v))
			}
		}
		for x, s := range sums {
			out[y*size+x] = float32(s)
		}
	}
	return out, nil
}

// realTaps are the weights of one output sample, in double.
type realTaps struct {
	first   int
	weights []float64
}

// realBicubic computes the weights of bicubic before they are rounded to fixed point, for output samples
// [from, from+n) of a resize of in samples to out.
func realBicubic(in, out, from, n int) []realTaps {
	scale := float64(in) / float64(out)
	stretch := math.Max(scale, 1)
	support, inverse := 2*stretch, 1/stretch
	all := make([]realTaps, n)
	for i := range all {
		if in == out { // Keys' kernel is 1 at 0 and 0 at every other whole number
			all[i] = realTaps{from + i, []float64{1}}
			continue
		}
		centre := float64((float64(i+from) + 0.5) * scale)
		lo := max(int(centre-support+0.5), 0)
		hi := min(int(centre+support+0.5), in)
		w := make([]float64, hi-lo)
		sum := 0.0
		for k := range w {
			w[k] = cubic(float64((float64(k+lo) - centre + 0.5) * inverse))
			sum += w[k]
		}
		if sum != 0 {
			for k := range w {
				w[k] /= sum
			}
		}
		all[i] = realTaps{lo, w}
	}
	return all
}

package vision

import "math"

// ResizeCrop is ImageBind's torchvision transform on a PIL picture: Resize(size, bicubic) and
// CenterCrop(size). The shorter side becomes size, the longer int(size*long/short); Pillow's bicubic filter
// (a = -0.5) with its support scaled when shrinking, horizontal pass first, rounded to 8 bits between the
// passes; the crop's offset rounds half to even. The result is channel-major, [Channels][size][size].
// Only rows and columns that survive the crop are computed.
func ResizeCrop(p *Picture, size int) ([]uint8, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	w, h := ShortSide(p.Width, p.Height, size)
	left, top := cropOffset(w-size), cropOffset(h-size)
	cols := newWeights(p.Width, w, left, size)
	rows := newWeights(p.Height, h, top, size)
	c := p.Channels

	// Horizontal pass over the input rows that the vertical pass reads, to planes [c][n][size].
	first, last := rows.span()
	n := last - first
	mid := make([]uint8, c*n*size)
	for y := range n {
		cols.horizontal(p.Pix[(first+y)*p.Width*c:][:p.Width*c], c, mid[y*size:], n*size)
	}
	out := make([]uint8, c*size*size)
	acc := make([]int32, size)
	for ch := range c {
		plane := mid[ch*n*size:][:n*size]
		for y := range size {
			rows.vertical(y, first, plane, size, acc, out[(ch*size+y)*size:][:size])
		}
	}
	return out, nil
}

// ShortSide scales w and h so that the shorter becomes size, truncating the other as torchvision does.
func ShortSide(w, h, size int) (int, int) {
	if w <= h {
		return size, int(int64(size) * int64(h) / int64(w))
	}
	return int(int64(size) * int64(w) / int64(h)), size
}

// cropOffset is Python's int(round(extra/2)).
func cropOffset(extra int) int { return int(math.RoundToEven(float64(extra) / 2)) }

// precisionBits is the fixed point of Pillow's 8-bit resampling: 32 bits less 8 of the sample and 2 of
// headroom for the filter's overshoot.
const precisionBits = 32 - 8 - 2

// weights holds, for each output place kept, the first input place and the fixed-point filter over it.
type weights struct {
	identity bool // no resampling along this axis: Pillow leaves such a pass out
	first    []int
	taps     [][]int32
}

func newWeights(in, out, skip, keep int) *weights {
	w := &weights{first: make([]int, keep), taps: make([][]int32, keep), identity: in == out}
	if w.identity {
		for i := range keep {
			w.first[i], w.taps[i] = skip+i, []int32{1 << precisionBits}
		}
		return w
	}
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	support := 2 * stretch
	for i := range keep {
		centre := (float64(skip+i) + 0.5) * scale
		lo := max(int(centre-support+0.5), 0)
		hi := min(int(centre+support+0.5), in)
		k := make([]float64, hi-lo)
		var sum float64
		for x := range k {
			k[x] = bicubic((float64(x+lo) - centre + 0.5) / stretch)
			sum += k[x]
		}
		taps := make([]int32, len(k))
		for x := range k {
			if sum != 0 {
				k[x] /= sum
			}
			taps[x] = int32(math.Round(k[x] * (1 << precisionBits))) // half away from zero, as Pillow
		}
		w.first[i], w.taps[i] = lo, taps
	}
	return w
}

// bicubic is Keys' kernel with a = -0.5.
func bicubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

// span is the range of input places that any output place reads.
func (w *weights) span() (first, last int) {
	first = w.first[0]
	for i, f := range w.first {
		first = min(first, f)
		last = max(last, f+len(w.taps[i]))
	}
	return first, last
}

// horizontal resamples one row of interleaved channels; channel k of output place i goes to dst[k*stride+i].
func (w *weights) horizontal(row []uint8, channels int, dst []uint8, stride int) {
	const half = 1 << (precisionBits - 1)
	if channels == 3 {
		for i, taps := range w.taps {
			r, g, b := int32(half), int32(half), int32(half)
			px := row[3*w.first[i]:][:3*len(taps)]
			for _, k := range taps {
				r += int32(px[0]) * k
				g += int32(px[1]) * k
				b += int32(px[2]) * k
				px = px[3:]
			}
			dst[i], dst[stride+i], dst[2*stride+i] = clip8(r), clip8(g), clip8(b)
		}
		return
	}
	for i, taps := range w.taps {
		v := int32(half)
		px := row[w.first[i]:][:len(taps)]
		for j, k := range taps {
			v += int32(px[j]) * k
		}
		dst[i] = clip8(v)
	}
}

// vertical resamples output row y from a plane whose row 0 is input row base.
func (w *weights) vertical(y, base int, plane []uint8, width int, acc []int32, dst []uint8) {
	for i := range acc {
		acc[i] = 1 << (precisionBits - 1)
	}
	for j, k := range w.taps[y] {
		row := plane[(w.first[y]-base+j)*width:][:len(acc)]
		for i, v := range row {
			acc[i] += int32(v) * k
		}
	}
	for i, v := range acc {
		dst[i] = clip8(v)
	}
}

func clip8(v int32) uint8 {
	v >>= precisionBits
	if v < 0 {
		return 0
	}
	if v > 255 {
		return 255
	}
	return uint8(v)
}

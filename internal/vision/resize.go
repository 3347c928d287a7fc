package vision

import (
	"fmt"
	"math"
	"sync"
)

// ResizeCrop is torchvision's Resize(size, BICUBIC) followed by CenterCrop(size) on a Pillow image, the
// image transform of ImageBind and CLIP: the shorter side becomes size, the longer int(size*long/short),
// by Pillow's bicubic filter with antialias, and a square of size is cut from the middle. The result is
// [p.Channels][size][size], equal to Pillow's to the last bit.
//
// As Pillow does it (src/libImaging/Resample.c): the horizontal pass comes first, but for tall pictures (see
// verticalFirst), its result is rounded to 8 bits, then the other pass; weights are fixed-point with 22 bits.
// Only the rows and columns that survive the crop are computed, which changes no value.
//
// It fails on a picture whose fields do not fit each other and on a size outside 1 to 4096.
func ResizeCrop(p *Picture, size int) ([]uint8, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return resizeCrop(source{Picture: p, row: p.row}, size)
}

// ResizeCropRows is ResizeCrop for a picture of three channels whose rows are made when they are asked for:
// row writes the pixels from to to (excluded) of row y to dst. Only what the crop needs is asked for, from
// the top down, some rows more than once.
func ResizeCropRows(width, height int, row func(dst []uint8, y, from, to int), size int) ([]uint8, error) {
	if width < 1 || height < 1 || width > MaxSide || height > MaxSide {
		return nil, fmt.Errorf("a picture of %d x %d pixels, want 1 to %d on each side", width, height, MaxSide)
	}
	return resizeCrop(source{Picture: &Picture{Width: width, Height: height, Channels: 3}, row: row}, size)
}

// Needed says which part of a picture ResizeCropRows asks for: pixels from left to right and from top to bottom, the
// latter excluded.
func Needed(inWidth, inHeight, size int) (left, top, right, bottom int) {
	width, height := ShortSide(inWidth, inHeight, size)
	if verticalFirst(inWidth, inHeight, width, height) {
		return 0, 0, inWidth, inHeight
	}
	span := func(in, out int) (from, to int) {
		first := cropOffset(out, size)
		from, _, _ = reach(in, out, first)
		_, to, _ = reach(in, out, first+size-1)
		return from, to
	}
	left, right = span(inWidth, width)
	top, bottom = span(inHeight, height)
	return left, top, right, bottom
}

// source is a picture to be resized, of which Pix may be missing.
type source struct {
	*Picture
	row func(dst []uint8, y, from, to int)
}

func (p *Picture) row(dst []uint8, y, from, to int) {
	line := p.Width * p.Channels
	copy(dst, p.Pix[y*line+from*p.Channels:y*line+to*p.Channels])
}

// whole gives the picture with its pixels.
func (s source) whole() *Picture {
	if s.Pix != nil {
		return s.Picture
	}
	p := *s.Picture
	line := p.Width * p.Channels
	p.Pix = make([]uint8, line*p.Height)
	for y := range p.Height {
		s.row(p.Pix[y*line:][:line], y, 0, p.Width)
	}
	return &p
}

func resizeCrop(p source, size int) ([]uint8, error) {
	if err := checkSize(size); err != nil {
		return nil, err
	}
	width, height := ShortSide(p.Width, p.Height, size)
	across := bicubic(p.Width, width, cropOffset(width, size), size)
	down := bicubic(p.Height, height, cropOffset(height, size), size)
	out := newPlanes(p.Channels * size * size)
	turned := verticalFirst(p.Width, p.Height, width, height)
	if turned { // rows for columns, and back
		var t *Picture
		t, across, down = transpose(p.whole(), across, down)
		p = source{Picture: t, row: t.row}
	}
	for _, r := range resamplers() {
		if r.run(out, p, across, down) {
			break
		}
	}
	if turned {
		for c := range p.Channels {
			plane := out[c*size*size:][:size*size]
			for y := range size {
				for x := range y {
					plane[y*size+x], plane[x*size+y] = plane[x*size+y], plane[y*size+x]
				}
			}
		}
	}
	return out, nil
}

// planes keeps what was released.
var planes sync.Pool

// newPlanes returns n bytes, whatever they are.
func newPlanes(n int) []uint8 {
	if b, _ := planes.Get().(*[]uint8); b != nil && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]uint8, n)
}

// Release gives the memory of ResizeCrop's result back for the next picture; it must not be used any more. It is a
// matter of speed only.
func Release(chw []uint8) {
	if cap(chw) > 0 {
		planes.Put(&chw)
	}
}

// verticalFirst reports whether Pillow makes the vertical pass first: since version 13 where the height
// shrinks by more than twice as many pixels as the width. A picture more than about twice as tall as it is
// wide comes out differently before and since, by a level here and there.
func verticalFirst(inWidth, inHeight, width, height int) bool {
	return inHeight > height && inHeight-height > 2*(inWidth-width)
}

// transpose exchanges the axes of a resize and keeps only the rows that it takes.
func transpose(p *Picture, across, down *weights) (*Picture, *weights, *weights) {
	top, rows := int(down.first[0]), 0
	shifted := *down
	shifted.first = make([]int32, len(down.first))
	for i, f := range down.first {
		shifted.first[i] = f - int32(top)
		rows = max(rows, int(f-int32(top)+down.count[i]))
	}
	line := p.Width * p.Channels
	part := &Picture{Width: p.Width, Height: rows, Channels: p.Channels, Pix: p.Pix[top*line:][:rows*line]}
	const exchanged = 5 // in EXIF's terms
	return Orient(part, exchanged), &shifted, across
}

// A resampler runs both passes of a resize on a picture. All give the same bits; a test holds it.
type resampler struct {
	name string
	// run writes planes [p.Channels][rows][columns] to out. It reports false, with nothing written, when
	// the picture is not of its kind.
	run func(out []uint8, p source, across, down *weights) bool
}

// scalar is the plain twin.
var scalar = resampler{"scalar", func(out []uint8, p source, across, down *weights) bool {
	resample(out, p.whole(), across, down)
	return true
}}

// resamplers lists what this build and processor have, the fastest first.
func resamplers() []resampler { return append(vectors[:len(vectors):len(vectors)], scalar) }

// Variant names the kernels that resize here: "avx512vnni", "avx2" or "scalar". Their results are equal.
func Variant() string { return resamplers()[0].name }

func checkSize(size int) error {
	if size < 1 || size > 4096 {
		return fmt.Errorf("resize to %d, want 1 to 4096", size)
	}
	return nil
}

// ShortSide returns the size of a picture after its shorter side is resized to size: the longer one is
// truncated, not rounded.
func ShortSide(width, height, size int) (w, h int) {
	if width <= height {
		return size, int(int64(size) * int64(height) / int64(width))
	}
	return int(int64(size) * int64(width) / int64(height)), size
}

// cropOffset is where a centre crop begins: int(round((n-size)/2)) of Python, whose round goes from a half
// to the even neighbour (torchvision's center_crop).
func cropOffset(n, size int) int {
	return int(math.RoundToEven(float64(n-size) / 2))
}

// precisionBits is Pillow's PRECISION_BITS, 32 - 8 - 2: eight bits for the result, one for the sign, one
// because the positive weights of one output sample can add up to more than 1.
const precisionBits = 32 - 8 - 2

// weights is one pass of a separable resize: output sample i is the sum of weight(i)[k] times input
// sample first[i]+k.
type weights struct {
	first  []int32 // first input sample; never decreases
	count  []int32 // how many
	fixed  []int32 // fixed-point weights, stride apart
	stride int     // the space of one output sample in fixed
}

// of returns the weights of output sample i.
func (w *weights) of(i int) []int32 { return w.fixed[i*w.stride : i*w.stride+int(w.count[i])] }

// bicubic computes the weights of Pillow's BICUBIC for output samples [from, from+n) of a resize of in
// samples to out. Keys' cubic convolution with a = -0.5 (Keys 1981), its support stretched by the ratio
// when shrinking (that is the antialias), cut at the edges and normalised to 1, then rounded to 22 bits.
func bicubic(in, out, from, n int) *weights {
	if in == out {
		return identity(from, n)
	}
	stretch := math.Max(float64(in)/float64(out), 1)
	support := 2 * stretch
	stride := int(math.Ceil(support))*2 + 1
	w := &weights{
		first: make([]int32, n), count: make([]int32, n), fixed: make([]int32, n*stride), stride: stride,
	}
	inverse := 1 / stretch
	real := make([]float64, stride)
	for i := range n {
		lo, hi, centre := reach(in, out, i+from)
		sum := 0.0
		taps := real[:hi-lo]
		for k := range taps {
			v := cubic(float64((float64(k+lo) - centre + 0.5) * inverse))
			taps[k] = v
			sum += v
		}
		w.first[i], w.count[i] = int32(lo), int32(hi-lo)
		fixed := w.of(i)
		for k, v := range taps {
			if sum != 0 {
				v /= sum
			}
			// Rounded away from zero at the half, as C's (int)(±0.5 + x) does.
			fixed[k] = int32(float64(v*(1<<precisionBits)) + math.Copysign(0.5, v))
		}
	}
	return w
}

// reach gives the input samples that output sample i of a resize of in samples to out is made of, from lo to hi
// (excluded), and where its centre lies among them.
func reach(in, out, i int) (lo, hi int, centre float64) {
	if in == out {
		return i, i + 1, float64(i) + 0.5
	}
	scale := float64(in) / float64(out)
	support := 2 * math.Max(scale, 1)
	centre = float64((float64(i) + 0.5) * scale)
	return max(int(centre-support+0.5), 0), min(int(centre+support+0.5), in), centre
}

// identity is the pass that changes nothing. Keys' kernel is 1 at 0 and 0 at every other whole number, so
// this is what bicubic would compute too, in more taps.
func identity(from, n int) *weights {
	w := &weights{first: make([]int32, n), count: make([]int32, n), fixed: make([]int32, n), stride: 1}
	for i := range n {
		w.first[i], w.count[i], w.fixed[i] = int32(from+i), 1, 1<<precisionBits
	}
	return w
}

// cubic is Keys' kernel with a = -0.5.
func cubic(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		v := float64((a+2)*x) - (a + 3)
		return float64(float64(v*x)*x) + 1
	case x < 2:
		v := float64((x-5)*x) + 8
		return (float64(v*x) - 4) * a
	}
	return 0
}

// resample runs both passes and writes planes to out, [p.Channels][rows][columns].
//
// Input rows go through the horizontal pass in order, each once, into a ring that holds as many as the
// vertical filter is long: a few dozen kilobytes that stay in the first-level cache, whatever the size of
// the picture.
func resample(out []uint8, p *Picture, across, down *weights) {
	c := p.Channels
	columns, rows := len(across.first), len(down.first)
	line := columns * c // bytes of a row after the horizontal pass
	ring := make([]uint8, down.stride*line)
	slot := func(row int) []uint8 { return ring[row%down.stride*line:][:line] }
	window := make([][]uint8, down.stride)
	acc := make([]int32, line)
	plane := rows * columns

	next := int(down.first[0]) // the first input row not yet in the ring
	for y := range rows {
		lo, n := int(down.first[y]), int(down.count[y])
		for next = max(next, lo); next < lo+n; next++ {
			horizontal(slot(next), p.Pix[next*p.Width*c:], c, across)
		}
		for i := range n {
			window[i] = slot(lo + i)
		}
		vertical(acc, window[:n], down.of(y))
		for ch := range c {
			dst := out[ch*plane+y*columns:][:columns]
			for x := range dst {
				dst[x] = clip8(acc[x*c+ch])
			}
		}
	}
}

// half makes the shift by precisionBits round to the nearest.
const half = 1 << (precisionBits - 1)

// clip8 drops the fixed-point bits and cuts to 0..255.
func clip8(v int32) uint8 {
	v >>= precisionBits
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 when negative, else 255
	}
	return uint8(v)
}

// horizontal filters one row of interleaved samples, [in][channels] to [len(w.first)][channels]. src begins
// with the row and may go on behind it.
func horizontal(dst, src []uint8, channels int, w *weights) {
	if channels == 1 {
		for i, first := range w.first {
			taps := w.of(i)
			s := int32(half)
			for k, v := range src[first:][:len(taps)] {
				s += taps[k] * int32(v)
			}
			dst[i] = clip8(s)
		}
		return
	}
	for i, first := range w.first {
		taps := w.of(i)
		px := src[3*first:][:3*len(taps)]
		r, g, b := int32(half), int32(half), int32(half)
		for _, t := range taps {
			if len(px) < 3 { // never; it spares the bounds checks below
				break
			}
			r += t * int32(px[0])
			g += t * int32(px[1])
			b += t * int32(px[2])
			px = px[3:]
		}
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0], d[1], d[2] = clip8(r), clip8(g), clip8(b)
	}
}

// vertical adds up rows times taps into acc, four rows at a time so that acc is loaded and stored a
// quarter as often. Overflow cannot happen, as in Pillow.
func vertical(acc []int32, rows [][]uint8, taps []int32) {
	for i := range acc {
		acc[i] = half
	}
	n := len(acc)
	for len(taps) >= 4 && len(rows) >= 4 {
		t0, t1, t2, t3 := taps[0], taps[1], taps[2], taps[3]
		r0, r1, r2, r3 := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
		for i := range acc {
			acc[i] += t0*int32(r0[i]) + t1*int32(r1[i]) + t2*int32(r2[i]) + t3*int32(r3[i])
		}
		taps, rows = taps[4:], rows[4:]
	}
	for k, t := range taps {
		r := rows[k][:n]
		for i := range acc {
			acc[i] += t * int32(r[i])
		}
	}
}

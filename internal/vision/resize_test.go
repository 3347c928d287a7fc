package vision

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// noise is a picture that any mistake in a filter's place or weight shows up in.
func noise(width, height, channels int, seed uint64) *Picture {
	p := &Picture{Width: width, Height: height, Channels: channels, Pix: make([]uint8, width*height*channels)}
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range p.Pix {
		p.Pix[i] = uint8(r.Uint32())
	}
	return p
}

// resizeWhole is the definition: the whole picture through both passes, in Pillow's order, every tap summed
// in 64 bits, then the crop.
func resizeWhole(p *Picture, size int) []uint8 {
	w, h := ShortSide(p.Width, p.Height, size)
	c := p.Channels
	sum := func(weights []int32, at func(k int) uint8) uint8 {
		s := int64(1) << (precisionBits - 1)
		for k, t := range weights {
			s += int64(t) * int64(at(k))
		}
		return uint8(min(max(s>>precisionBits, 0), 255))
	}
	across, down := bicubic(p.Width, w, 0, w), bicubic(p.Height, h, 0, h)
	horizontal := func(src []uint8, rows int) []uint8 {
		dst := make([]uint8, w*rows*c)
		for y := range rows {
			for x := range w {
				for ch := range c {
					dst[(y*w+x)*c+ch] = sum(across.of(x), func(k int) uint8 { return src[(y*p.Width+int(across.first[x])+k)*c+ch] })
				}
			}
		}
		return dst
	}
	vertical := func(src []uint8, columns int) []uint8 {
		dst := make([]uint8, columns*h*c)
		for y := range h {
			for i := range columns * c {
				dst[y*columns*c+i] = sum(down.of(y), func(k int) uint8 { return src[(int(down.first[y])+k)*columns*c+i] })
			}
		}
		return dst
	}
	var whole []uint8
	if p.Height-h > 2*(p.Width-w) && p.Height > h {
		whole = horizontal(vertical(p.Pix, p.Width), h)
	} else {
		whole = vertical(horizontal(p.Pix, p.Height), w)
	}
	out := make([]uint8, c*size*size)
	left, top := cropOffset(w, size), cropOffset(h, size)
	for y := range size {
		for x := range size {
			for ch := range c {
				out[(ch*size+y)*size+x] = whole[((top+y)*w+left+x)*c+ch]
			}
		}
	}
	return out
}

func TestResizeCropIsThePartOfTheWhole(t *testing.T) {
	for i, s := range [][3]int{
		{1, 1, 8}, {1, 9, 8}, {9, 1, 8}, {8, 8, 8}, {8, 31, 8}, {31, 8, 8}, {7, 8, 8}, {9, 8, 8},
		{100, 75, 24}, {75, 100, 24}, {24, 25, 24}, {24, 27, 24}, {333, 50, 24}, {50, 333, 24}, {211, 199, 7}, {64, 48, 1}, {5, 4, 33}, {30, 61, 24}, {30, 60, 24}, {29, 200, 24}, {500, 375, 112}, {640, 427, 224}, {97, 131, 224},
	} {
		for _, channels := range []int{1, 3} {
			p := noise(s[0], s[1], channels, uint64(i))
			want := resizeWhole(p, s[2])
			got, err := ResizeCrop(p, s[2])
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d x %d x %d to %d: not the centre of the whole picture's resize", s[0], s[1], channels, s[2])
			}
			if channels == 3 {
				rows, err := ResizeCropRows(p.Width, p.Height, p.row, s[2])
				if err != nil || !bytes.Equal(rows, want) {
					t.Errorf("%d x %d to %d row by row: not the same (%v)", s[0], s[1], s[2], err)
				}
			}
			// Each on its own, the plain twin too.
			w, h := ShortSide(s[0], s[1], s[2])
			for _, r := range resamplers() {
				clear(got)
				across, down := bicubic(s[0], w, cropOffset(w, s[2]), s[2]), bicubic(s[1], h, cropOffset(h, s[2]), s[2])
				if !verticalFirst(s[0], s[1], w, h) && r.run(got, source{p, p.row}, across, down) && !bytes.Equal(got, want) {
					t.Errorf("%d x %d x %d to %d by %s: not the centre of the whole picture's resize", s[0], s[1], channels, s[2], r.name)
				}
			}
		}
	}
}

// A picture of three equal channels must come out as its one-channel form does.
func TestGreyAndColourAgree(t *testing.T) {
	g := noise(90, 61, 1, 3)
	grey, err := ResizeCrop(g, 32)
	if err != nil {
		t.Fatal(err)
	}
	colour, err := ResizeCrop(RGB(g), 32)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(colour, bytes.Repeat(grey, 3)) {
		t.Error("three equal channels differ from one")
	}
	if !bytes.Equal(Gray(RGB(g)).Pix, g.Pix) {
		t.Error("grey to RGB and back is not the same")
	}
}

// The weights of every output sample add up to 1 within the rounding of each.
func TestWeightsAddUp(t *testing.T) {
	for _, s := range [][2]int{{500, 298}, {375, 224}, {97, 224}, {4000, 224}, {225, 224}, {3, 224}, {224, 224}} {
		w := bicubic(s[0], s[1], 0, s[1])
		for i := range s[1] {
			sum := int64(0)
			for _, v := range w.of(i) {
				sum += int64(v)
			}
			if d := sum - 1<<precisionBits; math.Abs(float64(d)) > float64(w.count[i]) {
				t.Fatalf("%d to %d: the weights of sample %d add up to 1 + %d/2^22", s[0], s[1], i, d)
			}
			if int(w.first[i])+int(w.count[i]) > s[0] || i > 0 && w.first[i] < w.first[i-1] {
				t.Fatalf("%d to %d: sample %d takes %d from %d", s[0], s[1], i, w.count[i], w.first[i])
			}
		}
	}
}

func TestCropOffsetRoundsHalfToEven(t *testing.T) {
	for n, want := range map[int]int{224: 0, 225: 0, 226: 1, 227: 2, 228: 2, 229: 2, 231: 4, 298: 37, 335: 56} {
		if got := cropOffset(n, 224); got != want {
			t.Errorf("crop of %d begins at %d, want %d", n, got, want)
		}
	}
}

func TestPictureThatDoesNotFit(t *testing.T) {
	for _, p := range []*Picture{
		nil, {}, {Width: 2, Height: 2, Channels: 3, Pix: make([]uint8, 11)}, {Width: 2, Height: 2, Channels: 2, Pix: make([]uint8, 8)},
		{Width: -2, Height: -2, Channels: 1, Pix: make([]uint8, 4)}, {Width: MaxSide + 1, Height: 1, Channels: 1, Pix: make([]uint8, MaxSide+1)},
	} {
		if _, err := ResizeCrop(p, 8); err == nil {
			t.Error("ResizeCrop took it")
		}
		if _, err := VideoFrame(p, 8, CropCentre); err == nil {
			t.Error("VideoFrame took it")
		}
	}
	p := noise(9, 9, 3, 1)
	for _, size := range []int{0, -1, 5000} {
		if _, err := ResizeCrop(p, size); err == nil {
			t.Errorf("ResizeCrop to %d", size)
		}
	}
	if _, err := VideoFrame(p, 8, 3); err == nil {
		t.Error("VideoFrame took crop 3")
	}
}

func TestExtremeShapes(t *testing.T) {
	for _, s := range [][2]int{{1, 200000}, {200000, 1}, {1, 1}, {2, 100001}} {
		p := noise(s[0], s[1], 3, 9)
		for _, f := range []func() ([]uint8, error){
			func() ([]uint8, error) { return ResizeCrop(p, 224) },
			func() ([]uint8, error) { return VideoFrame(p, 224, CropFirst) },
			func() ([]uint8, error) { return VideoFrame(p, 224, CropLast) },
		} {
			if out, err := f(); err != nil || len(out) != 3*224*224 {
				t.Errorf("%d x %d: %d bytes, %v", s[0], s[1], len(out), err)
			}
		}
	}
}

func TestVideoFrameIsTheFloatRounded(t *testing.T) {
	for _, s := range [][2]int{{64, 48}, {48, 64}, {20, 300}, {16, 16}} {
		p := noise(s[0], s[1], 3, 4)
		for crop := CropFirst; crop <= CropLast; crop++ {
			f, err := VideoFrameFloat(p, 16, crop)
			if err != nil {
				t.Fatal(err)
			}
			u, err := VideoFrame(p, 16, crop)
			if err != nil {
				t.Fatal(err)
			}
			for i := range f {
				if d := math.Abs(float64(f[i])*255 - float64(u[i])); d > 0.5001 {
					t.Fatalf("%v crop %d: value %d is %v, stored as %d", s, crop, i, f[i]*255, u[i])
				}
			}
		}
	}
	// A frame that has the size already is only cropped.
	p := noise(40, 16, 1, 5)
	for crop, x0 := range map[Crop]int{CropFirst: 0, CropCentre: 12, CropLast: 24} {
		u, err := VideoFrame(p, 16, crop)
		if err != nil {
			t.Fatal(err)
		}
		for y := range 16 {
			if !bytes.Equal(u[16*y:16*y+16], p.Pix[40*y+x0:][:16]) {
				t.Fatalf("crop %d, row %d is not the frame's", crop, y)
			}
		}
	}
}

func TestFlip(t *testing.T) {
	chw := noise(5, 15, 1, 6).Pix // [3][5][5]
	was := bytes.Clone(chw)
	Flip(chw, 3, 5)
	for r := range 15 {
		for x := range 5 {
			if chw[5*r+x] != was[5*r+4-x] {
				t.Fatalf("row %d, column %d", r, x)
			}
		}
	}
	Flip(chw, 3, 5)
	if !bytes.Equal(chw, was) {
		t.Error("twice is not nothing")
	}
}

// Orientation by its definition in the EXIF standard: which side of the upright picture the stored row 0
// and column 0 are.
func TestOrient(t *testing.T) {
	for _, channels := range []int{1, 3} {
		p := noise(7, 4, channels, 8)
		w, h := p.Width, p.Height
		at := map[int]func(x, y int) (int, int){ // where the stored pixel (x, y) goes
			1: func(x, y int) (int, int) { return x, y },
			2: func(x, y int) (int, int) { return w - 1 - x, y },
			3: func(x, y int) (int, int) { return w - 1 - x, h - 1 - y },
			4: func(x, y int) (int, int) { return x, h - 1 - y },
			5: func(x, y int) (int, int) { return y, x },
			6: func(x, y int) (int, int) { return h - 1 - y, x },
			7: func(x, y int) (int, int) { return h - 1 - y, w - 1 - x },
			8: func(x, y int) (int, int) { return y, w - 1 - x },
		}
		for o, place := range at {
			q := Orient(p, o)
			for y := range h {
				for x := range w {
					u, v := place(x, y)
					if !bytes.Equal(q.Pix[(v*q.Width+u)*channels:][:channels], p.Pix[(y*w+x)*channels:][:channels]) {
						t.Fatalf("orientation %d: stored (%d, %d) is not at (%d, %d)", o, x, y, u, v)
					}
				}
			}
		}
		if Orient(p, 0) != p || Orient(p, 9) != p {
			t.Error("an orientation that says nothing changed something")
		}
	}
}

func BenchmarkResizeCrop(b *testing.B) {
	for _, s := range []struct {
		name          string
		width, height int
	}{{"500x375", 500, 375}, {"2000x1500", 2000, 1500}} {
		p := noise(s.width, s.height, 3, 1)
		for _, r := range resamplers() {
			b.Run(s.name+"/"+r.name, func(b *testing.B) {
				defer func(v []resampler) { vectors = v }(vectors)
				vectors = []resampler{r}
				for b.Loop() {
					chw, err := ResizeCrop(p, 224)
					if err != nil {
						b.Fatal(err)
					}
					Release(chw)
				}
			})
		}
	}
}

package vision

import "math"

// Crop chooses one of the three square crops of a frame along its longer side.
type Crop uint8

// The crops of pytorchvideo's uniform_crop.
const (
	CropFirst  Crop = iota // left or top
	CropCentre             // offset ceil((long-size)/2)
	CropLast               // right or bottom
)

// VideoFrameFloat is what ImageBind's video path does to one frame after dividing by 255: shorter side to
// size by bilinear interpolation without antialias (align_corners false, longer side floored), then a
// crop. The result is [Channels][size][size] in 0..1, before normalising.
func VideoFrameFloat(p *Picture, size int, crop Crop) ([]float32, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	w, h := size, size
	if p.Width < p.Height {
		h = int(math.Floor(float64(p.Height) / float64(p.Width) * float64(size)))
	} else {
		w = int(math.Floor(float64(p.Width) / float64(p.Height) * float64(size)))
	}
	left, top := offset(w-size, crop), offset(h-size, crop)
	xs, ys := lerps(p.Width, w, left, size), lerps(p.Height, h, top, size)
	out := make([]float32, p.Channels*size*size)
	for y, ly := range ys {
		a := p.Pix[ly.lo*p.Width*p.Channels:][:p.Width*p.Channels]
		b := p.Pix[ly.hi*p.Width*p.Channels:][:p.Width*p.Channels]
		for x, lx := range xs {
			for c := range p.Channels {
				at := func(row []uint8, i int) float32 { return float32(row[i*p.Channels+c]) / 255 }
				upper := float32((1-lx.t)*at(a, lx.lo)) + float32(lx.t*at(a, lx.hi))
				lower := float32((1-lx.t)*at(b, lx.lo)) + float32(lx.t*at(b, lx.hi))
				out[(c*size+y)*size+x] = float32((1-ly.t)*upper) + float32(ly.t*lower)
			}
		}
	}
	return out, nil
}

// VideoFrame is VideoFrameFloat rounded to 8 bits, as frames are stored.
func VideoFrame(p *Picture, size int, crop Crop) ([]uint8, error) {
	f, err := VideoFrameFloat(p, size, crop)
	if err != nil {
		return nil, err
	}
	out := make([]uint8, len(f))
	for i, v := range f {
		out[i] = uint8(float32(v*255) + 0.5)
	}
	return out, nil
}

func offset(extra int, crop Crop) int {
	switch crop {
	case CropFirst:
		return 0
	case CropLast:
		return extra
	}
	return (extra + 1) / 2
}

// lerp is one output place of a linear interpolation.
type lerp struct {
	lo, hi int
	t      float32
}

func lerps(in, out, skip, keep int) []lerp {
	scale := float32(in) / float32(out)
	l := make([]lerp, keep)
	for i := range l {
		x := max(float32((float32(skip+i)+0.5)*scale)-0.5, 0)
		lo := min(int(x), in-1)
		l[i] = lerp{lo, min(lo+1, in-1), x - float32(lo)}
	}
	return l
}

package vision

import (
	"fmt"
	"math"
)

// Crop chooses one of the three square crops of a frame along its longer side: pytorchvideo's
// uniform_crop with spatial_idx 0, 1 and 2. ImageBind evaluates a video on all three.
type Crop uint8

// The crops, in the order of ImageBind's SpatialCrop.
const (
	CropFirst  Crop = iota // left or top
	CropCentre             // offset ceil((long-size)/2)
	CropLast               // right or bottom
)

// VideoFrameFloat is what ImageBind's video path does to one frame after dividing by 255: shorter side to
// size by bilinear interpolation without antialias (align_corners false, longer side floored), so that a
// large frame is sampled and not averaged; then a crop. The result is [Channels][size][size] in 0..1,
// before normalising (see Normalize for the constants). It fails as ResizeCrop does, and on an unknown
// crop.
func VideoFrameFloat(p *Picture, size int, crop Crop) ([]float32, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := checkSize(size); err != nil {
		return nil, err
	}
	// floor((long/short)*size) in doubles as pytorchvideo's short_side_scale, which can be one less than
	// the exact quotient.
	w, h := size, size
	if p.Width < p.Height {
		h = int(math.Floor(float64(float64(p.Height)/float64(p.Width)) * float64(size)))
	} else {
		w = int(math.Floor(float64(float64(p.Width)/float64(p.Height)) * float64(size)))
	}
	left, err := frameOffset(w-size, crop)
	if err != nil {
		return nil, err
	}
	top, _ := frameOffset(h-size, crop)
	xs, ys := lerps(p.Width, w, left, size), lerps(p.Height, h, top, size)
	var unit [256]float32 // the division by 255, done once for each level
	for v := range unit {
		unit[v] = float32(v) / 255
	}
	n, plane := p.Channels, size*size
	out := make([]float32, n*plane)
	for y, ly := range ys {
		a := p.Pix[ly.lo*p.Width*n:][:p.Width*n]
		b := p.Pix[ly.hi*p.Width*n:][:p.Width*n]
		for x, lx := range xs {
			for c := range n {
				lo, hi := lx.lo*n+c, lx.hi*n+c
				upper := float32((1-lx.t)*unit[a[lo]]) + float32(lx.t*unit[a[hi]])
				lower := float32((1-lx.t)*unit[b[lo]]) + float32(lx.t*unit[b[hi]])
				out[c*plane+y*size+x] = float32((1-ly.t)*upper) + float32(ly.t*lower)
			}
		}
	}
	return out, nil
}

// VideoFrame is VideoFrameFloat rounded to 8 bits, as frames are stored: [Channels][size][size].
func VideoFrame(p *Picture, size int, crop Crop) ([]uint8, error) {
	f, err := VideoFrameFloat(p, size, crop)
	if err != nil {
		return nil, err
	}
	out := make([]uint8, len(f))
	for i, v := range f {
		out[i] = uint8(min(float32(v*255)+0.5, 255))
	}
	return out, nil
}

// Mean and Std are CLIP's statistics of RGB pictures in 0..1, with which ImageBind normalises pictures
// and frames (imagebind/data.py).
var (
	Mean = [3]float32{0.48145466, 0.4578275, 0.40821073}
	Std  = [3]float32{0.26862954, 0.26130258, 0.27577711}
)

// Normalize returns (v/255 - Mean) / Std of planes [3][...], in float32 and in this order of operations:
// equal to torchvision's ToTensor and Normalize bit for bit. Shards hold the uint8; this is for who feeds
// a model outside the trainer's graph, and for tests.
func Normalize(chw []uint8) []float32 {
	out := make([]float32, len(chw))
	plane := len(chw) / 3
	for c := range 3 {
		var table [256]float32
		for v := range table {
			table[v] = float32(float32(v)/255-Mean[c]) / Std[c]
		}
		for i, v := range chw[c*plane : (c+1)*plane] {
			out[c*plane+i] = table[v]
		}
	}
	return out
}

// frameOffset is where a crop begins along an axis that is extra samples too long.
func frameOffset(extra int, crop Crop) (int, error) {
	switch crop {
	case CropFirst:
		return 0, nil
	case CropCentre:
		return (extra + 1) / 2, nil
	case CropLast:
		return extra, nil
	}
	return 0, fmt.Errorf("no crop %d", crop)
}

// lerp is one output place of a linear interpolation.
type lerp struct {
	lo, hi int
	t      float32
}

// lerps is torch.nn.functional.interpolate(mode="bilinear", align_corners=False): the source of output i is
// (i+0.5)*in/out - 0.5 in float32, not below 0, and the last sample is repeated.
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

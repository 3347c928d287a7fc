package stages

import (
	"context"

	"prep/filters"
	"prep/internal/fault"
	"prep/internal/media/picture"
	"prep/internal/sample"
	"prep/internal/vision"
)

// thermal is a heat picture of one channel.
type thermal struct {
	pix  *vision.Picture
	path string
}

// readThermal reads 8-bit pictures as ImageBind's own data does, LLVIP's JPEGs: the grey of three channels. Files
// of more than 8-bit levels are brought to levels by the stated range.
func readThermal(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	data, err := p.readWhole(part)
	if err != nil {
		return nil, err
	}
	c := p.Config.Image
	stated := p.Config.Thermal.Max > p.Config.Thermal.Min
	g, gridErr := p.Tools.DecodeGrid(data, c.MaxPixels)
	numbers := gridErr == nil && (g.Float || g.Bits > 8)
	if numbers && stated {
		return &thermal{pix: levels(g, p.Config.Thermal.Min, p.Config.Thermal.Max), path: part.Path}, nil
	}
	if numbers && (g.Float || g.Bits > 16) { // measurements; cut or scaled as a picture they would say nothing
		return nil, noRange(g, part.Path)
	}
	pix, _, err := p.Tools.DecodePicture(ctx, data, picture.Options{
		ApplyOrientation: c.Orientation == "apply", Alpha: c.Alpha, Depth16: c.Depth16,
		Decoder: p.jpeg, MaxPixels: c.MaxPixels, AllowTruncated: c.AllowTruncated,
	})
	switch {
	case err == nil:
		return &thermal{pix: vision.Gray(pix), path: part.Path}, nil
	case numbers: // a map that is no picture
		return nil, noRange(g, part.Path)
	case gridErr == nil: // 8-bit levels in a map's format
		return &thermal{pix: levels(g, 0, 255), path: part.Path}, nil
	}
	return nil, inFile(part.Path, err)
}

func noRange(g *picture.Grid, path string) error {
	lo, hi := extent(g.Values)
	return fault.Corruptf("no_range", "%s: %s of %d-bit numbers from %g to %g; state the range that becomes 0 to 255 (thermal.min, thermal.max)", path, g.Format, g.Bits, lo, hi)
}

// levels maps [lo, hi] to 0..255, rounded; what is not a number is 0.
func levels(g *picture.Grid, lo, hi float64) *vision.Picture {
	pix := &vision.Picture{Width: g.Width, Height: g.Height, Channels: 1, Pix: make([]uint8, len(g.Values))}
	for i, v := range g.Values {
		if x := float64((float64(v) - lo) / (hi - lo) * 255); x > 0 {
			pix.Pix[i] = uint8(min(x+0.5, 255))
		}
	}
	return pix
}

func extent(values []float32) (lo, hi float32) {
	first := true
	for _, v := range values {
		if v-v != 0 {
			continue
		}
		if first {
			lo, hi, first = v, v, false
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}

func (d *thermal) measure(p *Processor, s *sample.Sample) {
	for k, v := range filters.MeasureThermal(d.pix.Pix) {
		s.Metrics[k] = v
	}
}

func (d *thermal) tensor(p *Processor) (sample.Tensor, error) {
	data, err := vision.ResizeCrop(d.pix, pictureSize)
	if err != nil {
		return sample.Tensor{}, fault.Corruptf("bad_picture", "%s: %w", d.path, err)
	}
	return p.newTensor(sample.Thermal, data), nil
}

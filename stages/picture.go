package stages

import (
	"context"
	"maps"

	"prep/filters"
	"prep/internal/media/picture"
	"prep/internal/sample"
)

// still is a decoded still.
type still struct {
	data []uint8 // [3][pictureSize][pictureSize]
	info picture.Info
}

func readPicture(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	data, err := p.readWhole(part)
	if err != nil {
		return nil, err
	}
	c := p.Config.Image
	o := picture.Options{
		ApplyOrientation: c.Orientation == "apply", Alpha: c.Alpha, Depth16: c.Depth16,
		Decoder: p.jpeg, MaxPixels: c.MaxPixels, AllowTruncated: c.AllowTruncated,
	}
	if c.Scaled {
		o.ScaledFor = pictureSize
	}
	// Made before the gate: the metrics are of what is stored.
	chw, info, err := p.Tools.DecodeCrop(ctx, data, o, pictureSize)
	if err != nil {
		return nil, inFile(part.Path, err)
	}
	if info.Format == "JPEG" { // decoded in this goroutine, from beginning to end
		p.files.put(data)
	}
	return &still{data: chw, info: info}, nil
}

func (d *still) measure(p *Processor, s *sample.Sample) {
	w, h := d.info.Width, d.info.Height
	s.Metrics["image_width"], s.Metrics["image_height"] = int64(w), int64(h)
	s.Metrics["image_aspect"] = float64(max(w, h)) / float64(min(w, h))
	maps.Copy(s.Metrics, filters.MeasurePicture(d.data, pictureSize))
}

func (d *still) tensor(p *Processor) (sample.Tensor, error) {
	return p.newTensor(sample.Image, d.data), nil
}

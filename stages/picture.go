package stages

import (
	"context"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
	"prep/internal/vision"
)

// picture is a decoded still.
type picture struct {
	pix  *vision.Picture
	info media.PictureInfo
	path string
}

func readPicture(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	data, err := p.readWhole(part)
	if err != nil {
		return nil, err
	}
	c := p.Config.Image
	pix, info, err := p.Tools.DecodePicture(data, media.PictureOptions{
		ApplyOrientation: c.Orientation == "apply", Alpha: c.Alpha, Depth16: c.Depth16,
		Decoder: p.jpeg, MaxPixels: c.MaxPixels, AllowTruncated: c.AllowTruncated,
	})
	if err != nil {
		return nil, inFile(part.Path, err)
	}
	return &picture{pix: pix, info: info, path: part.Path}, nil
}

func (d *picture) measure(p *Processor, s *sample.Sample) {
	s.Metrics["image_width"], s.Metrics["image_height"] = int64(d.info.Width), int64(d.info.Height)
}

func (d *picture) tensor(p *Processor) (sample.Tensor, error) {
	data, err := vision.ResizeCrop(vision.RGB(d.pix), pictureSize)
	if err != nil {
		return sample.Tensor{}, fault.Corruptf("bad_picture", "%s: %w", d.path, err)
	}
	return p.newTensor(sample.Image, data), nil
}

package stages

import (
	"context"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
	"prep/internal/vision"
)

// videoFrames is the number of frames stored of a video: the depth of ImageBind's stem.
const videoFrames = 2

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

// video is the frames of a moving picture.
type video struct{ frames []*vision.Picture }

func readVideo(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	if !p.Config.Video.Frames {
		return nil, nil
	}
	path, err := p.locate(part)
	if err != nil {
		return nil, err
	}
	seg, err := p.segment(ctx, path, part)
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.limitTime(ctx)
	defer cancel()
	frames, err := p.Tools.DecodeFrames(ctx, path, seg, 1, videoFrames)
	if err != nil {
		return nil, err
	}
	if len(frames) != videoFrames {
		return nil, fault.Corruptf("no_video", "%s gave %d of %d frames", part.Path, len(frames), videoFrames)
	}
	return &video{frames}, nil
}

func (d *video) measure(*Processor, *sample.Sample) {}

// tensor interleaves the frames as [3,2,224,224].
func (d *video) tensor(p *Processor) (sample.Tensor, error) {
	const plane = pictureSize * pictureSize
	out := make([]byte, 3*videoFrames*plane)
	for f, pix := range d.frames {
		chw, err := vision.VideoFrame(vision.RGB(pix), pictureSize, vision.CropCentre)
		if err != nil {
			return sample.Tensor{}, fault.Corruptf("bad_picture", "%w", err)
		}
		for c := range 3 {
			copy(out[(c*videoFrames+f)*plane:][:plane], chw[c*plane:][:plane])
		}
	}
	return p.newTensor(sample.Video, out), nil
}

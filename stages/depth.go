package stages

import (
	"context"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/half"
	"prep/internal/media/picture"
	"prep/internal/sample"
	"prep/internal/vision"
)

// depth is a depth map as disparity, in its file's size.
type depth struct {
	disparity     []float32
	width, height int
	stats         vision.DepthStats
	focal         float64
	path          string
}

// NYU's colour camera, onto whose picture its depth is projected (the data set's toolbox, camera_params.m), and
// how far its depth reaches.
const (
	nyuFocal    = 518.857901
	nyuBaseline = 0.075 // of a Kinect (facebookresearch/omnivore issue 12)
	nyuFar      = 10
	sunFar      = 8 // SUN RGB-D's read3dPoints.m
)

// depthRule settles what a part's numbers mean: what its source says, else the configuration.
func depthRule(c configs.Depth, part *sample.Part, g *picture.Grid) (vision.DepthRule, error) {
	r := vision.DepthRule{
		Encoding: c.Encoding, UnitsPerMetre: c.UnitsPerMetre, Focal: c.FocalPx, Baseline: c.BaselineM,
		Min: c.MinM, Max: c.MaxM, MissingNear: c.Missing == "near", MaxDisparity: c.MaxDisparity,
	}
	if part.Encoding != "" {
		r.Encoding = part.Encoding
	}
	if r.Encoding == "auto" {
		r.Encoding = "mm"
		if g.Float {
			r.Encoding = "m"
		}
	}
	switch r.Encoding {
	case "nyu":
		r.Encoding, r.Focal, r.Baseline, r.Far = "mm", nyuFocal, nyuBaseline, nyuFar
	case "sunrgbd":
		r.Far = sunFar
		if g.Float || g.Bits != 16 {
			return r, fault.Corruptf("depth_encoding", "%s of %d bits: SUN RGB-D's depth is 16-bit whole numbers", g.Format, g.Bits)
		}
	}
	if part.Focal > 0 {
		r.Focal = part.Focal
	}
	if part.Baseline > 0 {
		r.Baseline = part.Baseline
	}
	if g.Bits == 8 && r.Encoding == "mm" {
		return r, fault.Corruptf("depth_encoding", "%s of 8 bits: 255 millimetres are no scene; if the levels stand for depth, say how many make a metre (depth.encoding: units, depth.units_per_metre)", g.Format)
	}
	return r, nil
}

func readDepth(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	data, err := p.readWhole(part)
	if err != nil {
		return nil, err
	}
	g, err := p.Tools.DecodeGrid(data, p.Config.Image.MaxPixels)
	if err != nil {
		return nil, inFile(part.Path, err)
	}
	rule, err := depthRule(p.Config.Depth, part, g)
	if err != nil {
		return nil, inFile(part.Path, err)
	}
	d := &depth{width: g.Width, height: g.Height, focal: rule.Focal, path: part.Path}
	if d.disparity, d.stats, err = vision.Disparity(g.Values, rule); err != nil {
		return nil, fault.Corruptf("depth_encoding", "%s: %w", part.Path, err)
	}
	return d, nil
}

func (d *depth) measure(p *Processor, s *sample.Sample) {
	s.Metrics["depth_valid_ratio"] = float64(d.stats.Valid) / float64(len(d.disparity))
	s.Metrics["depth_focal_px"] = d.focal
	if d.stats.Valid > 0 {
		s.Metrics["depth_min_m"], s.Metrics["depth_max_m"] = d.stats.Near, d.stats.Far
		s.Metrics["depth_mean_m"] = d.stats.Sum / float64(d.stats.Valid)
	}
}

// tensor is [1,224,224] of float16: disparity after resize and crop, before normalising. The largest there can
// be, of 1 cm, fits its range for any camera that is sold; beyond it is cut.
func (d *depth) tensor(p *Processor) (sample.Tensor, error) {
	x, err := vision.ResizeCropFloat(d.disparity, d.width, d.height, pictureSize)
	if err != nil {
		return sample.Tensor{}, fault.Corruptf("bad_picture", "%s: %w", d.path, err)
	}
	const largest = 65504
	b := make([]byte, 2*len(x))
	for i, v := range x {
		x[i] = min(max(v, -largest), largest)
	}
	half.Encode(b, x)
	return p.newTensor(sample.Depth, b), nil
}

// depthOfNoCamera counts the depth maps whose camera is the configuration's guess.
func depthOfNoCamera(samples []sample.Sample, c configs.Depth) int {
	n := 0
	for i := range samples {
		part := samples[i].Part(sample.Depth)
		if part == nil || part.Focal > 0 {
			continue
		}
		encoding := part.Encoding
		if encoding == "" {
			encoding = c.Encoding
		}
		if encoding != "nyu" && encoding != "disparity" {
			n++
		}
	}
	return n
}

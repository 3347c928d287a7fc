package vision

import (
	"fmt"
	"math"
)

// DepthRule says how the numbers of a depth map become disparity.
type DepthRule struct {
	// Encoding is what the numbers are: "mm", "m", "units" (UnitsPerMetre), "sunrgbd" (millimetres whose 16
	// bits are rotated left by three), or "disparity" in pixels.
	Encoding      string
	UnitsPerMetre float64
	// Far cuts depth before anything else, in metres; 0: nothing is cut. SUN RGB-D's toolbox cuts at 8.
	Far float64
	// Focal is fx in pixels of the map as stored, Baseline the distance of the sensor's eyes in metres.
	Focal, Baseline float64
	// Min and Max cut depth, in metres.
	Min, Max float64
	// MissingNear treats a pixel without depth as depth 0, which Min cuts; otherwise its disparity is 0.
	MissingNear bool
	// MaxDisparity, when not 0, cuts disparity to [0.01, MaxDisparity] and divides by it (omnivore's DepthNorm).
	MaxDisparity float64
}

// DepthStats is what a map holds, before any cutting.
type DepthStats struct {
	Valid          int     // pixels with depth: finite and above 0
	Near, Far, Sum float64 // metres, of the valid ones
}

// Disparity turns a depth map into disparity, baseline * fx / depth, in pixels, in a new slice.
//
// It is the conversion that omnivore's and ImageBind's authors published (facebookresearch/omnivore issue 12)
// with the decoding of the SUN RGB-D toolbox's read3dPoints.m: depth = (d >> 3 | d << 13) / 1000, more than 8 m
// is 8 m (ImageBind issue 134), then cut to 0.01..50 m. Arithmetic is float32, as there. Sensors write 0 where
// they see nothing; the published code cuts that to 1 cm, which gives the largest disparity of all, so that
// the default is 0, infinitely far.
func Disparity(values []float32, r DepthRule) ([]float32, DepthStats, error) {
	scale := float32(1)
	switch r.Encoding {
	case "m", "disparity":
	case "mm", "sunrgbd":
		scale = 1000
	case "units":
		scale = float32(r.UnitsPerMetre)
	default:
		return nil, DepthStats{}, fmt.Errorf("no depth encoding %q", r.Encoding)
	}
	bf := float32(r.Baseline * r.Focal)
	lo, hi, far := float32(r.Min), float32(r.Max), float32(r.Far)
	stats := DepthStats{Near: math.Inf(1)}
	out := make([]float32, len(values))
	for i, d := range values {
		switch r.Encoding {
		case "sunrgbd":
			u := uint16(d)
			d = float32(u>>3|u<<13) / scale
		case "disparity":
			if d > 0 {
				d = bf / d
			}
		default:
			d /= scale
		}
		if valid := d > 0 && d <= math.MaxFloat32; valid {
			stats.Valid++
			m := float64(d)
			stats.Near, stats.Far = math.Min(stats.Near, m), math.Max(stats.Far, m)
			stats.Sum += m
		} else if !r.MissingNear {
			continue
		} else if !(d > 0) { // not a number too; what is infinite is cut to the farthest
			d = 0
		}
		if far > 0 {
			d = min(d, far)
		}
		v := bf / min(max(d, lo), hi)
		if r.MaxDisparity > 0 {
			v = min(max(v, 0.01), float32(r.MaxDisparity))
		}
		out[i] = v
	}
	if r.MaxDisparity > 0 {
		for i := range out {
			out[i] /= float32(r.MaxDisparity)
		}
	}
	return out, stats, nil
}

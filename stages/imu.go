package stages

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"sync"

	"prep/filters"
	"prep/internal/fault"
	"prep/internal/inertial"
	"prep/internal/media/motion"
	"prep/internal/sample"
)

// imu is the part of a recording that a window needs, in m/s2 and rad/s.
type imu struct {
	t      []float64
	values [inertial.Channels][]float32
	start  float64  // of the window, on the recording's clock
	offset *float64 // of its middle to the moment that was asked for; nil when nothing was
	path   string
}

const (
	standardGravity = 9.80665
	// epoch tells clocks that count from 1970 in seconds from those that count from the beginning of a
	// recording: 1973.
	epoch = 1e8
)

// readMotion cuts the window of 5 s that belongs to the sample. Where the listing states a stretch, the window
// lies around its middle, moved to lie inside the recording; where it states a start alone, it begins there; and
// else it is the middle of the recording, as the frames of a video are.
//
// The stretch is on the recording's clock. A recording whose clock does not meet it was either cut to the
// stretch (it lasts about as long) and begins anew, or counts from 1970, and then its first sample is the
// beginning.
func readMotion(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	rec, err := p.motions.get(ctx, p, part)
	if err != nil {
		return nil, err
	}
	first, last := rec.Time[0], rec.Time[len(rec.Time)-1]
	centre, asked := (first+last)/2, true
	switch {
	case part.End > part.Start:
		centre = (part.Start + part.End) / 2
		switch length := part.End - part.Start; {
		case part.Start <= last && part.End >= first:
		case last-first <= length+cutSlack:
			centre = (first + last) / 2
		case first > epoch && part.Start < epoch:
			centre += first
		default:
			return nil, fault.Corruptf("segment_outside", "%s runs from %.2f s to %.2f s on its clock; the listed stretch is %.2f s to %.2f s", part.Path, first, last, part.Start, part.End)
		}
	case part.Start != 0:
		centre = part.Start + inertial.Seconds/2
		if first > epoch && part.Start < epoch {
			centre += first
		}
	default:
		asked = false
	}
	start := inertial.Place(first, last, centre)
	end := start + inertial.Seconds
	if outside := math.Max(0, first-start) + math.Max(0, end-1.0/inertial.Rate-last); outside > p.Config.IMU.PadSeconds+rec.step {
		return nil, fault.Corruptf("too_short", "%s lasts %.2f s; a window is %g s, of which %g s may be missing (imu.pad_seconds)", part.Path, last-first, inertial.Seconds, p.Config.IMU.PadSeconds)
	}
	// The window's rows, and those around it that the resampling looks at.
	const around = 0.05
	lo, hi := inertial.Span(rec.Time, start-around, end+around)
	lo, hi = max(lo-1, 0), min(hi+1, len(rec.Time))
	d := &imu{t: rec.Time[lo:hi], start: start, path: part.Path}
	for c := range d.values {
		d.values[c] = rec.Values[c][lo:hi]
	}
	if asked {
		offset := start + inertial.Seconds/2 - centre
		d.offset = &offset
	}
	return d, nil
}

func (d *imu) measure(p *Processor, s *sample.Sample) {
	end := d.start + inertial.Seconds
	lo, hi := inertial.Span(d.t, d.start, end)
	var inside [inertial.Channels][]float32
	for c := range inside {
		inside[c] = d.values[c][lo:hi]
	}
	// What lies beyond the recording is padding, not a gap in it.
	from, to := d.start, end
	if lo == 0 && hi > 0 {
		from = d.t[0]
	}
	if hi == len(d.t) && hi > 0 {
		to = d.t[hi-1]
	}
	for k, v := range filters.MeasureMotion(d.t[lo:hi], inside, from, to) {
		s.Metrics[k] = v
	}
	if d.offset != nil {
		s.Metrics["imu_offset_s"] = *d.offset
	}
}

// tensor is [6,2000] of float32: accelerometer x, y, z in m/s2, gyroscope x, y, z in rad/s, as measured. ImageBind
// publishes no normalisation.
func (d *imu) tensor(p *Processor) (sample.Tensor, error) {
	b := make([]byte, 0, 4*inertial.Channels*inertial.Samples)
	x := make([]float32, inertial.Samples)
	for c, v := range d.values {
		if !inertial.Resample(x, d.t, v, d.start) {
			name := "accelerometer"
			if c > 2 {
				name = "gyroscope"
			}
			return sample.Tensor{}, fault.Corruptf("missing_values", "%s: the %s has no values between %.2f s and %.2f s", d.path, name, d.start, d.start+inertial.Seconds)
		}
		for _, y := range x {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(y))
		}
	}
	return p.newTensor(sample.IMU, b), nil
}

// recording is a decoded file in the tensor's units.
type recording struct {
	*motion.Recording
	step float64 // median seconds between rows
}

// motionCache keeps decoded recordings: one has many windows, which follow each other in a listing. What it
// holds changes no result. It is safe for concurrent use; of several who ask for one file, one reads it.
type motionCache struct {
	mu    sync.Mutex
	held  []*motionEntry // the latest used last
	bytes int64
	limit int64
}

type motionEntry struct {
	path  string
	ready chan struct{}
	rec   *recording
	err   error
	bytes int64
}

func (c *motionCache) get(ctx context.Context, p *Processor, part *sample.Part) (*recording, error) {
	c.mu.Lock()
	for i, e := range c.held {
		if e.path == part.Path {
			c.held = append(append(c.held[:i:i], c.held[i+1:]...), e)
			c.mu.Unlock()
			select {
			case <-e.ready:
				return e.rec, e.err
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	e := &motionEntry{path: part.Path, ready: make(chan struct{})}
	c.held = append(c.held, e)
	c.mu.Unlock()

	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		e.bytes = 1 << 12
		if e.rec != nil {
			e.bytes += int64(len(e.rec.Time)) * 32
		}
		c.bytes += e.bytes
		if e.rec == nil && e.err == nil {
			e.err = fault.Corruptf("internal", "%s: prep failed on it before; please report it with the file", part.Path)
		}
		if fault.KindOf(e.err) == fault.Internal && e.err != nil { // an interruption is no property of the file
			c.drop(e)
		}
		for c.bytes > c.limit {
			oldest := slices.IndexFunc(c.held, func(h *motionEntry) bool { return h != e && h.bytes > 0 })
			if oldest < 0 {
				break
			}
			c.drop(c.held[oldest])
		}
		close(e.ready)
	}()
	e.rec, e.err = p.decodeMotion(ctx, part)
	return e.rec, e.err
}

// drop takes an entry out; who waits for it still gets it.
func (c *motionCache) drop(e *motionEntry) {
	for i := range c.held {
		if c.held[i] == e {
			c.held = append(c.held[:i:i], c.held[i+1:]...)
			c.bytes -= e.bytes
			return
		}
	}
}

// decodeMotion reads a file and brings it to m/s2 and rad/s.
func (p *Processor) decodeMotion(ctx context.Context, part *sample.Part) (*recording, error) {
	data, err := p.readWhole(part)
	if err != nil {
		return nil, err
	}
	c := p.Config.IMU
	m, err := motion.Decode(ctx, data, motion.Options{Columns: c.ColumnNames(), TimeUnit: c.TimeUnit, Rate: c.Rate})
	if err != nil {
		return nil, inFile(part.Path, err)
	}
	scale := [2]float64{1, 1}
	for i, u := range []struct{ set, stated string }{{c.AccelUnit, m.AccelUnit}, {c.GyroUnit, m.GyroUnit}} {
		unit := u.set
		if unit == "auto" {
			unit = u.stated
		}
		switch unit {
		case "g":
			scale[i] = standardGravity
		case "mg":
			scale[i] = standardGravity / 1000
		case "deg/s":
			scale[i] = math.Pi / 180
		}
	}
	for ch := range m.Values {
		if k := scale[ch/3]; k != 1 {
			for i, v := range m.Values[ch] {
				m.Values[ch][i] = float32(float64(v) * k)
			}
		}
	}
	return &recording{m, inertial.MedianStep(m.Time)}, nil
}

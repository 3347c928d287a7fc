package stages

import (
	"context"
	"encoding/binary"
	"fmt"
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
	tables []filters.MotionRows // one, or one for each sensor
	start  float64              // of the window, on the recording's clock
	offset *float64             // of its middle to the moment that was asked for; nil when nothing was
	paths  []string             // of the tables
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
// beginning. A recording whose sensors have a file each lasts as long as both are there.
func readMotion(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	rec, err := p.motions.get(ctx, p, part)
	if err != nil {
		return nil, err
	}
	first, last := rec.first, rec.last
	if rec.note != "" {
		s.Notes = append(s.Notes, rec.note)
	}
	centre, asked := float64((first+last)/2), true
	switch {
	case part.End > part.Start:
		centre = float64((part.Start + part.End) / 2)
		switch length := part.End - part.Start; {
		case part.Start <= last && part.End >= first:
		case last-first <= length+cutSlack:
			centre = (first + last) / 2
		case first > epoch && part.Start < epoch:
			centre += first
		default:
			return nil, fault.Corruptf("segment_outside", "%s runs from %.2f s to %.2f s on its clock; the listed stretch is %.2f s to %.2f s", named(part), first, last, part.Start, part.End)
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
		return nil, fault.Corruptf("too_short", "%s lasts %.2f s; a window is %g s, of which %g s may be missing (imu.pad_seconds)", named(part), last-first, inertial.Seconds, p.Config.IMU.PadSeconds)
	}
	// The window's rows, and those around it that the resampling looks at.
	const around = 0.05
	d := &imu{start: start, paths: []string{part.Path, part.Gyro}}
	for _, table := range rec.tables {
		lo, hi := inertial.Span(table.Time, start-around, end+around)
		d.tables = append(d.tables, rowsOf(table, max(lo-1, 0), min(hi+1, len(table.Time))))
	}
	if asked {
		offset := start + inertial.Seconds/2 - centre
		d.offset = &offset
	}
	return d, nil
}

// named is a recording's name for messages: its file, or both.
func named(part *sample.Part) string {
	if part.Gyro == "" {
		return part.Path
	}
	return part.Path + " with " + part.Gyro
}

// rowsOf are the rows [lo, hi) of a table.
func rowsOf(t filters.MotionRows, lo, hi int) filters.MotionRows {
	t.Time = t.Time[lo:hi]
	for c, v := range t.Values {
		if v != nil {
			t.Values[c] = v[lo:hi]
		}
	}
	return t
}

func (d *imu) measure(p *Processor, s *sample.Sample) {
	end := d.start + inertial.Seconds
	from, to := d.start, end
	var inside []filters.MotionRows
	for _, table := range d.tables {
		lo, hi := inertial.Span(table.Time, d.start, end)
		// What lies beyond the recording is padding, not a gap in it.
		if lo == 0 && hi > 0 {
			from = math.Max(from, table.Time[0])
		}
		if hi == len(table.Time) && hi > 0 {
			to = math.Min(to, table.Time[hi-1])
		}
		inside = append(inside, rowsOf(table, lo, hi))
	}
	for k, v := range filters.MeasureMotion(from, to, inside...) {
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
	for c := range inertial.Channels {
		table, path := d.tables[0], d.paths[0]
		if table.Values[c] == nil {
			table, path = d.tables[1], d.paths[1]
		}
		if !inertial.Resample(x, table.Time, table.Values[c], d.start) {
			name := "accelerometer"
			if c > 2 {
				name = "gyroscope"
			}
			return sample.Tensor{}, fault.Corruptf("missing_values", "%s: the %s has no values between %.2f s and %.2f s", path, name, d.start, d.start+inertial.Seconds)
		}
		for _, y := range x {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(y))
		}
	}
	return p.newTensor(sample.IMU, b), nil
}

// recording is what was decoded of a file, or of one for each sensor, in the tensor's units.
type recording struct {
	tables      []filters.MotionRows
	first, last float64 // of the clock, where all tables have rows
	step        float64 // median seconds between rows
	note        string  // for the ledger
}

// leastShared is the share of the longer of two sensors' files that both must have in common: two that were begun and
// ended together have nearly all, and less is taken for clocks that are not one.
const leastShared = 0.5

// joined is a recording of one table, or of the accelerometer's and the gyroscope's: what both have of the common
// clock. Their rows stay where they are: each is resampled by its own times.
func joined(part *sample.Part, tables ...filters.MotionRows) (*recording, error) {
	r := &recording{tables: tables, first: math.Inf(-1), last: math.Inf(1)}
	longer := 0.0
	for _, t := range tables {
		r.first, r.last = math.Max(r.first, t.Time[0]), math.Min(r.last, t.Time[len(t.Time)-1])
		step := inertial.MedianStep(t.Time)
		r.step = math.Max(r.step, step)
		longer = math.Max(longer, step*float64(len(t.Time)-1)) // a single time gone astray makes no recording long
	}
	if len(tables) == 1 {
		return r, nil
	}
	a, g := tables[0].Time, tables[1].Time
	from := func(t []float64) float64 { return t[0] }
	to := func(t []float64) float64 { return t[len(t)-1] }
	both := fmt.Sprintf("the accelerometer (%s) runs from %.2f s to %.2f s on its clock, the gyroscope (%s) from %.2f s to %.2f s", part.Path, from(a), to(a), part.Gyro, from(g), to(g))
	switch shared := r.last - r.first; {
	case shared <= 0 && (from(a) > epoch) != (from(g) > epoch):
		return nil, fault.Corruptf("sensors_apart", "%s: one counts from 1970 and the other does not; write both by one clock", both)
	case shared <= 0:
		return nil, fault.Corruptf("sensors_apart", "%s: they have no time in common; write both by one clock", both)
	case shared < leastShared*longer:
		return nil, fault.Corruptf("sensors_apart", "%s: they have %.2f s in common, less than half of the longer, and do not seem to go by one clock; if they do, cut both to what they share", both, shared)
	case math.Abs(from(a)-from(g)) > 1 || math.Abs(to(a)-to(g)) > 1:
		r.note = fmt.Sprintf("%s; %.2f s that both have are used", both, shared)
	}
	return r, nil
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
	path  [2]string // of the file, or of the sensors' files
	ready chan struct{}
	rec   *recording
	err   error
	bytes int64
}

func (c *motionCache) get(ctx context.Context, p *Processor, part *sample.Part) (*recording, error) {
	c.mu.Lock()
	for i, e := range c.held {
		if e.path == [2]string{part.Path, part.Gyro} {
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
	e := &motionEntry{path: [2]string{part.Path, part.Gyro}, ready: make(chan struct{})}
	c.held = append(c.held, e)
	c.mu.Unlock()

	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		e.bytes = 1 << 12
		if e.rec != nil {
			for _, t := range e.rec.tables {
				e.bytes += int64(len(t.Time)) * 32
			}
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

// decodeMotion reads a recording and brings it to m/s2 and rad/s.
func (p *Processor) decodeMotion(ctx context.Context, part *sample.Part) (*recording, error) {
	c := p.Config.IMU
	if part.Gyro == "" {
		t, _, err := p.decodeTable(ctx, part, motion.Options{Columns: c.ColumnNames()})
		if err != nil {
			return nil, err
		}
		return joined(part, t)
	}
	a, clocked, err := p.decodeTable(ctx, part, motion.Options{Sensor: motion.Accelerometer, Columns: c.AccelColumnNames()})
	if err != nil {
		return nil, err
	}
	g, alsoClocked, err := p.decodeTable(ctx, &sample.Part{Modality: sample.IMU, Path: part.Gyro, Size: part.GyroSize}, motion.Options{Sensor: motion.Gyroscope, Columns: c.GyroColumnNames()})
	if err != nil {
		return nil, err
	}
	if clocked != alsoClocked {
		with, without := part.Path, part.Gyro
		if alsoClocked {
			with, without = without, with
		}
		return nil, fault.Corruptf("sensors_apart", "%s states its times and %s does not: how the two lie in time is not known", with, without)
	}
	return joined(part, a, g)
}

// decodeTable reads a file and brings it to m/s2 and rad/s; clocked says that the file states its times.
func (p *Processor) decodeTable(ctx context.Context, part *sample.Part, o motion.Options) (t filters.MotionRows, clocked bool, err error) {
	data, err := p.readWhole(part)
	if err != nil {
		return t, false, err
	}
	c := p.Config.IMU
	o.TimeUnit, o.Rate = c.TimeUnit, c.Rate
	m, err := motion.Decode(ctx, data, o)
	if err != nil {
		return t, false, inFile(part.Path, err)
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
	return filters.MotionRows{Time: m.Time, Values: m.Values}, m.Clocked, nil
}

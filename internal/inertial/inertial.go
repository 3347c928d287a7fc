// Package inertial brings the channels of an inertial sensor to ImageBind's window: 2000 samples at 400 Hz.
// It owns the resampling and where a window lies in a recording. How files are read is internal/media's
// business, what the values mean and whether they are likely, filters'.
//
// All functions are pure, and products are rounded before they are added, so that no compiler may fuse the
// two.
package inertial

import (
	"math"
	"slices"
	"sort"
	"sync"
)

// What ImageBind's IMU tower takes: "we sample 5 second clips" and 6 x 2000 values (Girdhar et al. 2023,
// appendix on Ego4D, and imagebind_model.py), that is 400 Hz.
const (
	Rate     = 400
	Samples  = 2000
	Seconds  = float64(Samples) / Rate
	Channels = 6 // accelerometer x, y, z, gyroscope x, y, z
)

// Place says where the window of Seconds around centre lies in a recording that lasts from first to last, in
// seconds on one clock: around the centre, moved to lie inside if the recording is long enough, else in its
// middle.
func Place(first, last, centre float64) (start float64) {
	start = centre - Seconds/2
	if last-first < Seconds {
		return float64((first+last)/2) - Seconds/2
	}
	return math.Min(math.Max(start, first), last-Seconds)
}

// Span returns the rows [lo, hi) whose time is in [from, to).
func Span(t []float64, from, to float64) (lo, hi int) {
	return sort.SearchFloat64s(t, from), sort.SearchFloat64s(t, to)
}

// The low-pass for recordings faster than Rate: how many zero crossings it has on each side, and where it
// cuts, as a share of half the output rate. torchaudio's defaults, as the sound's resampling has.
const (
	lobes   = 6
	rolloff = 0.99
)

// Resample fills out, of any length, with the channel at start, start + 1/Rate, and so on, in seconds on the
// clock of t. Values that are not finite are left out and the line drawn through their neighbours; before the
// first value and after the last that value stands. t must rise strictly. It reports false, and fills with
// zeros, when there is no value at all.
//
// Between two samples it goes straight, on the file's own times: sensors' clocks jitter and drop samples, so
// that a filter over a grid that they never had does more harm than the line's slight loss of high
// frequencies. Where the median rate is above Rate, what lies above 200 Hz (motors, impacts) would fold into
// the band, so a low-pass is laid over the samples instead, where they are: the mean of the values within 15
// ms, weighted by a Hann-windowed sinc that cuts at 198 Hz and by how much time each value stands for.
func Resample(out []float32, t []float64, v []float32, start float64) bool {
	clear(out)
	c := curve{t: make([]float64, 0, len(t)), v: make([]float64, 0, len(t))}
	for i, x := range v {
		if x-x == 0 { // finite
			c.t, c.v = append(c.t, t[i]), append(c.v, float64(x))
		}
	}
	if len(c.t) == 0 {
		return false
	}
	step := MedianStep(c.t)
	fast := step > 0 && 1/step > 1.05*Rate
	for i := range out {
		x := start + float64(i)/Rate
		out[i] = float32(c.at(x))
		if fast {
			if y, ok := c.smooth(x, step); ok {
				out[i] = float32(y)
			}
		}
	}
	return true
}

// MedianStep is the median interval between times, 0 when there are fewer than two.
func MedianStep(t []float64) float64 {
	if len(t) < 2 {
		return 0
	}
	steps := make([]float64, len(t)-1)
	for i := range steps {
		steps[i] = t[i+1] - t[i]
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}

// curve is a line through points; at is asked for rising times, and remembers where it was.
type curve struct {
	t, v []float64
	next int // the first point after the last question
	low  int // the first point within the low-pass's reach
}

func (c *curve) at(x float64) float64 {
	for c.next < len(c.t) && c.t[c.next] <= x {
		c.next++
	}
	switch {
	case c.next == 0:
		return c.v[0]
	case c.next == len(c.t):
		return c.v[len(c.v)-1]
	}
	a, b := c.next-1, c.next
	share := (x - c.t[a]) / (c.t[b] - c.t[a])
	return c.v[a] + float64(share*(c.v[b]-c.v[a]))
}

// smooth is the low-passed value at x. It is asked after at, for the same x. It is not ok at the ends and in
// gaps, where too few points lie within reach.
func (c *curve) smooth(x, step float64) (y float64, ok bool) {
	const band = Rate * rolloff // twice the cut
	const reach = lobes / band
	kernel := lowPass()
	for c.low < len(c.t) && c.t[c.low] <= x-reach {
		c.low++
	}
	var sum, all float64
	for i := c.low; i < len(c.t) && c.t[i] < x+reach; i++ {
		d := float64(math.Abs(c.t[i]-x) * (band * fine))
		at := min(int(d), len(kernel)-2)
		w := kernel[at] + float64((d-float64(at))*(kernel[at+1]-kernel[at]))
		w = float64(w * (span(c.t, i, step) * band))
		all += w
		sum += float64(w * c.v[i])
	}
	if all < 0.6 { // 1 where nothing is missing
		return 0, false
	}
	return sum / all, true
}

// fine is how many points of the table stand for one zero crossing; between them it goes straight.
const fine = 512

// lowPass is one half of the Hann-windowed sinc, from its middle outwards.
var lowPass = sync.OnceValue(func() []float64 {
	k := make([]float64, lobes*fine+1)
	k[0] = 1
	for i := 1; i < len(k); i++ {
		d := float64(i) / fine
		w := math.Cos(math.Pi * d / (2 * lobes))
		k[i] = float64(w*w) * math.Sin(math.Pi*d) / (math.Pi * d)
	}
	return k
})

// span is the time that point i stands for: half way to its neighbours, twice the usual step at most.
func span(t []float64, i int, step float64) float64 {
	before, after := step, step
	if i > 0 {
		before = math.Min(t[i]-t[i-1], 2*step)
	}
	if i+1 < len(t) {
		after = math.Min(t[i+1]-t[i], 2*step)
	}
	return (before + after) / 2
}

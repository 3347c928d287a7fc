package filters

import (
	"math"
	"slices"

	"prep/internal/sample"
)

// Content-based synchronisation: things that move and sound at once. The sharp rises of the sound are held
// against the sudden changes of the picture at every shift of up to two and a half seconds; where one shift
// stands out, sound and picture lie that far apart. Any two signals correlate best somewhere, so that the
// estimate is worth what its confidence says.

const (
	syncRate     = 100 // of both curves, Hz
	syncReach    = 2.5 // shifts looked at, seconds
	syncOverlap  = 5.0 // of both curves at any shift, at the least, seconds
	syncPeak     = 0.2 // seconds around the best shift that belong to it
	syncLeast    = 0.15
	syncCertain  = 0.4
	syncCrest    = 4.0 // deviations above the median that a single event may count
	soundingRate = 16000
)

// SyncEstimate is what the content of a clip says.
type SyncEstimate struct {
	// Offset is how much later the sound of an event comes than its picture, in seconds.
	Offset float64
	// Confidence, 0 to 1, is how far the likeness at the best shift stands above that at any other shift
	// more than 0.2 s away, relative to the best.
	Confidence float64
	// Peak is the likeness there, 0 to 1: the geometric mean of Pearson's correlation in the two halves of
	// the clip, so that one coincidence (a cut and a door) is not taken for a rule.
	Peak float64
	// Status is ok with a confidence of 0.4 and a peak of 0.15 or more, unknown otherwise; Reason says why:
	// too_short, still, silent, weak.
	Status, Reason string
}

// MeasureSync estimates how far sound and picture are apart by what happens in them. The sound is mono at 16
// kHz and begins delay seconds after the motion curve, whose values are at the given rate. What is measured
// is a difference to the container's clock: 0 is in step, whatever the start times of the tracks.
func MeasureSync(mono []float32, delay float64, motion []float32, rate float64) sample.Metrics {
	e := EstimateSync(mono, delay, motion, rate)
	m := sample.Metrics{"sync_content_status": e.Status}
	if e.Reason != "" {
		m["sync_content_reason"] = e.Reason
	}
	if e.Status == "ok" || e.Reason == "weak" {
		m["sync_content_offset_s"], m["sync_content_confidence"] = e.Offset, e.Confidence
	}
	return m
}

// EstimateSync is MeasureSync before it is stored.
func EstimateSync(mono []float32, delay float64, motion []float32, rate float64) SyncEstimate {
	unknown := func(why string) SyncEstimate { return SyncEstimate{Status: "unknown", Reason: why} }
	sound, picture := onsets(mono), movements(motion, rate)
	switch {
	case sound == nil || picture == nil:
		return unknown("too_short")
	case flat(picture):
		return unknown("still")
	case flat(sound):
		return unknown("silent")
	}
	crest(sound)
	crest(picture)
	// sound[k] is at delay + k/syncRate of the picture's time. At a shift of s the sound is moved earlier by s.
	start := int(math.Round(delay * syncRate))
	reach := int(syncReach * syncRate)
	r := make([]float64, 2*reach+1)
	for i := range r {
		r[i] = likeness(sound, picture, start-(i-reach))
	}
	best := 0
	for i, v := range r {
		if v > r[best] || math.IsNaN(r[best]) {
			best = i
		}
	}
	if math.IsNaN(r[best]) {
		return unknown("too_short")
	}
	second := 0.0
	for i, v := range r {
		if away := float64(max(i-best, best-i)) / syncRate; away > syncPeak && v > second {
			second = v
		}
	}
	e := SyncEstimate{Offset: (float64(best-reach) + vertex(r, best)) / syncRate, Peak: r[best]}
	if r[best] > 0 {
		e.Confidence = math.Max(0, 1-second/r[best])
	}
	e.Status = "ok"
	if e.Confidence < syncCertain || e.Peak < syncLeast || best == 0 || best == len(r)-1 {
		e.Status, e.Reason = "unknown", "weak"
	}
	return e
}

// onsets is the rise of the sound's level, 100 times a second: of its power in windows of 20 ms, in decades,
// against the loudest of the 80 ms before.
func onsets(mono []float32) []float64 {
	const hop = soundingRate / syncRate
	n := len(mono)/hop - 1
	if float64(n) < syncOverlap*syncRate {
		return nil
	}
	half := make([]float64, n+1)
	for i := range half {
		var sum float64
		for _, v := range mono[i*hop : (i+1)*hop] {
			sum += float64(float64(v) * float64(v))
		}
		half[i] = sum / hop
	}
	level := make([]float64, n)
	loudest := 0.0
	for i := range level {
		level[i] = (half[i] + half[i+1]) / 2
		loudest = math.Max(loudest, level[i])
	}
	// What lies 50 dB below the loudest is no event, whatever its contrast to silence.
	floor := float64(loudest*1e-5) + 1e-10
	for i := range level {
		level[i] = math.Log10(level[i] + floor)
	}
	out := make([]float64, n)
	for i := range out {
		before := slices.Max(level[max(0, i-8):max(1, i)])
		out[i] = math.Max(0, level[i]-before)
	}
	return out
}

// movements is how much the picture changes, 100 times a second: the motion above the usual one of the
// second around, so that a moving camera says nothing and a sudden change much; squeezed by a root, so that
// a cut does not drown the rest.
func movements(motion []float32, rate float64) []float64 {
	if rate <= 0 || float64(len(motion)) < syncOverlap*rate {
		return nil
	}
	around := int(rate / 2)
	sudden := make([]float64, len(motion))
	var near []float32
	for i, v := range motion {
		near = append(near[:0], motion[max(0, i-around):min(len(motion), i+around+1)]...)
		slices.Sort(near)
		sudden[i] = math.Sqrt(math.Max(0, float64(v-near[len(near)/2])-0.02))
	}
	out := make([]float64, int(float64(len(motion)-1)/rate*syncRate)+1)
	for i := range out {
		// What a picture shows anew happened since the one before, half a period earlier on average.
		at := float64(float64(i)/syncRate*rate) + 0.5
		k := min(int(at), len(sudden)-2)
		t := math.Min(at-float64(k), 1)
		out[i] = float64((1-t)*sudden[k]) + float64(t*sudden[k+1])
	}
	return out
}

func flat(x []float64) bool {
	mean, dev := syncMoments(x)
	return dev <= 1e-6*math.Max(1, math.Abs(mean))
}

func syncMoments(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		deviation += float64((v - mean) * (v - mean))
	}
	return mean, math.Sqrt(deviation / float64(len(x)))
}

// crest cuts what stands far out, in place: no single event may decide.
func crest(x []float64) {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	_, dev := syncMoments(x)
	limit := sorted[len(sorted)/2] + float64(syncCrest*dev)
	for i, v := range x {
		x[i] = math.Min(v, limit)
	}
}

// likeness is the geometric mean of the correlations of a[k] with b[k+shift] in both halves of where both
// are, 0 if either is negative; NaN when they overlap too little.
func likeness(a, b []float64, shift int) float64 {
	from, to := max(0, -shift), min(len(a), len(b)-shift)
	if float64(to-from) < syncOverlap*syncRate {
		return math.NaN()
	}
	middle := (from + to) / 2
	first := pearson(a[from:middle], b[from+shift:middle+shift])
	second := pearson(a[middle:to], b[middle+shift:to+shift])
	return math.Sqrt(math.Max(0, first) * math.Max(0, second))
}

// pearson is the correlation of two curves of one length, 0 where one is flat.
func pearson(a, b []float64) float64 {
	n := float64(len(a))
	var sa, sb, saa, sbb, sab float64
	for i, x := range a {
		y := b[i]
		sa, sb = sa+x, sb+y
		saa, sbb, sab = saa+float64(x*x), sbb+float64(y*y), sab+float64(x*y)
	}
	va, vb := saa-sa*sa/n, sbb-sb*sb/n
	if va <= 1e-9 || vb <= 1e-9 {
		return 0
	}
	return (sab - sa*sb/n) / math.Sqrt(va*vb)
}

// vertex is where a parabola through a peak and its neighbours has its top, from -0.5 to 0.5.
func vertex(r []float64, i int) float64 {
	if i == 0 || i == len(r)-1 {
		return 0
	}
	a, b, c := r[i-1], r[i], r[i+1]
	d := a - 2*b + c
	if !(d < 0) || math.IsNaN(d) {
		return 0
	}
	return min(max(0.5*(a-c)/d, -0.5), 0.5)
}

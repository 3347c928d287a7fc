package filters

import (
	"math"
	"math/rand/v2"
	"testing"
)

// clip makes the motion curve and the sound of events at irregular times, the sound late by shift, each with
// noise. Events of a clip with unrelated set have nothing to do with each other.
func clip(seed uint64, seconds, shift float64, unrelated bool) (mono, motion []float32) {
	r := rand.New(rand.NewPCG(seed, 7))
	times := func() (t []float64) {
		for at := 0.4; at < seconds-0.2; at += 0.3 + 0.6*r.ExpFloat64() {
			t = append(t, at)
		}
		return t
	}
	events := times()
	motion = make([]float32, int(seconds*25))
	for i := range motion {
		motion[i] = float32(0.3 + 0.05*r.NormFloat64())
		for _, e := range events {
			if d := float64(i)/25 - e; d >= 0 && d < 0.04 {
				motion[i] += float32(3 + 3*r.Float64())
			}
		}
	}
	if unrelated {
		events = times()
	}
	mono = make([]float32, int(seconds*16000))
	for i := range mono {
		mono[i] = float32(0.005 * r.NormFloat64())
	}
	for _, e := range events {
		from := int((e + shift) * 16000)
		for k := range 4000 {
			if i := from + k; i >= 0 && i < len(mono) {
				mono[i] += float32(0.4 * math.Exp(-float64(k)/800) * r.NormFloat64())
			}
		}
	}
	return mono, motion
}

// TestSyncFindsTheShift: the sign is that of the container's offset, sound minus picture, and moving the start
// of the sound moves the estimate with it.
func TestSyncFindsTheShift(t *testing.T) {
	for i, shift := range []float64{0, 0.13, -0.4, 1.21, -1.9} {
		for _, delay := range []float64{0, 0.5, -0.25} {
			mono, motion := clip(uint64(i+1), 12, shift-delay, false)
			e := EstimateSync(mono, delay, motion, 25)
			if e.Status != "ok" || math.Abs(e.Offset-shift) > 0.03 {
				t.Errorf("shift %v, the sound's start %v: %+v", shift, delay, e)
			}
		}
	}
}

// TestSyncIsSeldomSureOfNothing: among clips without an answer few get one; and what cannot be measured says
// so.
func TestSyncIsSeldomSureOfNothing(t *testing.T) {
	sure := 0
	for seed := range uint64(40) {
		mono, motion := clip(seed+100, 10, 0, true)
		if EstimateSync(mono, 0, motion, 25).Status == "ok" {
			sure++
		}
	}
	if sure > 4 {
		t.Errorf("%d of 40 unrelated clips got an answer", sure)
	}
	mono, motion := clip(1, 10, 0, false)
	for name, e := range map[string]SyncEstimate{
		"too_short": EstimateSync(mono[:16000*4], 0, motion[:100], 25),
		"still":     EstimateSync(mono, 0, make([]float32, 250), 25),
		"silent":    EstimateSync(make([]float32, 160000), 0, motion, 25),
	} {
		if e.Status != "unknown" || e.Reason != name {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if e := EstimateSync(mono, 0, nil, 0); e.Status != "unknown" {
		t.Errorf("nothing: %+v", e)
	}
	if e := EstimateSync(mono, 9, motion, 25); e.Status != "unknown" {
		t.Errorf("hardly any overlap: %+v", e)
	}
	m := MeasureSync(mono, 0, motion, 25)
	if m["sync_content_status"] != "ok" || m["sync_content_offset_s"] == nil || m["sync_content_confidence"] == nil {
		t.Errorf("%v", m)
	}
}

func BenchmarkEstimateSync(b *testing.B) {
	mono, motion := clip(1, 10, 0.3, false)
	for b.Loop() {
		EstimateSync(mono, 0, motion, 25)
	}
}

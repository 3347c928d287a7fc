package inertial

import (
	"math"
	"math/rand/v2"
	"testing"
)

// sampled is f at rate for seconds, from begin.
func sampled(rate, begin, seconds float64, f func(float64) float64) (t []float64, v []float32) {
	for i := range int(rate * seconds) {
		x := begin + float64(i)/rate
		t, v = append(t, x), append(v, float32(f(x)))
	}
	return t, v
}

func TestPlace(t *testing.T) {
	for _, c := range []struct{ first, last, centre, want float64 }{
		{0, 100, 50, 47.5},
		{0, 100, 1, 0},     // moved to the beginning
		{0, 100, 99.9, 95}, // and to the end
		{10, 15, 80, 10},   // exactly one window
		{10, 14, 10, 9.5},  // shorter than one: its middle
	} {
		if got := Place(c.first, c.last, c.centre); got != c.want {
			t.Errorf("Place(%g, %g, %g) = %g, want %g", c.first, c.last, c.centre, got, c.want)
		}
	}
}

// A straight line stays one whatever the rate below 400 Hz, whatever the jitter and whatever is missing.
func TestResampleKeepsALine(t *testing.T) {
	line := func(x float64) float64 { return 3*x - 7 }
	r := rand.New(rand.NewPCG(1, 2))
	for _, rate := range []float64{12.5, 50, 100, 199.7, 200, 400, 410} {
		ts, v := sampled(rate, 90, 12, line)
		for i := range ts {
			ts[i] += 0.3 * r.Float64() / rate
			v[i] = float32(line(ts[i]))
		}
		for i := 40; i < 45; i++ {
			v[i] = float32(math.NaN())
		}
		v[50] = float32(math.Inf(1))
		out := make([]float32, Samples)
		if !Resample(out, ts, v, 92) {
			t.Fatal("no values")
		}
		for i, got := range out {
			if want := line(92 + float64(i)/Rate); math.Abs(float64(got)-want) > 1e-3 {
				t.Fatalf("%g Hz: sample %d is %g, want %g", rate, i, got, want)
			}
		}
	}
}

// What lies in the band passes at any rate, also where the recording is faster than the window.
func TestResampleInBand(t *testing.T) {
	wave := func(x float64) float64 { return math.Sin(2 * math.Pi * 5 * x) }
	for _, c := range []struct{ rate, within float64 }{{100, 0.02}, {200, 0.006}, {400, 0.001}, {800, 0.003}, {1000, 0.003}, {1600, 0.003}, {4000, 0.003}} {
		ts, v := sampled(c.rate, 0, 9, wave)
		out := make([]float32, Samples)
		Resample(out, ts, v, 2.00123)
		for i, got := range out {
			if want := wave(2.00123 + float64(i)/Rate); math.Abs(float64(got)-want) > c.within {
				t.Fatalf("%g Hz: sample %d is %g, want %g", c.rate, i, got, want)
			}
		}
	}
}

// 300 Hz in a recording of 1 kHz would appear as 100 Hz; a line alone lets it through.
func TestResampleKeepsAliasesOut(t *testing.T) {
	ts, v := sampled(1000, 0, 9, func(x float64) float64 { return math.Sin(2 * math.Pi * 300 * x) })
	out := make([]float32, Samples)
	Resample(out, ts, v, 2)
	power := 0.0
	for _, x := range out {
		power += float64(x) * float64(x) / Samples
	}
	if db := 10 * math.Log10(power/0.5); db > -40 {
		t.Errorf("300 Hz comes through at %.1f dB", db)
	}
}

// Beyond the recording its edge stands; the same window moved by a sample is the same moved by one.
func TestResampleEdges(t *testing.T) {
	ts, v := sampled(200, 1, 4, func(x float64) float64 { return x })
	out := make([]float32, Samples)
	Resample(out, ts, v, 0.5)
	if out[0] != v[0] || out[Samples-1] != v[len(v)-1] {
		t.Errorf("edges are %g and %g, want %g and %g", out[0], out[Samples-1], v[0], v[len(v)-1])
	}
	moved := make([]float32, Samples)
	Resample(moved, ts, v, 0.5+1.0/Rate)
	for i := range Samples - 1 {
		if d := math.Abs(float64(moved[i] - out[i+1])); d > 1e-6 {
			t.Fatalf("sample %d: %g, %g", i, moved[i], out[i+1])
		}
	}
	if Resample(out, ts, make([]float32, 0), 0.5) || out[7] != 0 {
		t.Error("no values are no zeros")
	}
	nan := []float32{float32(math.NaN())}
	if Resample(out, ts[:1], nan, 0.5) {
		t.Error("a recording of NaN has values")
	}
}

func BenchmarkResample(b *testing.B) {
	ts, v := sampled(1000, 0, 9, math.Sin)
	out := make([]float32, Samples)
	for b.Loop() {
		Resample(out, ts, v, 2)
	}
}

package filters

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// testSound is a sound that any language can make, and what numpy and pyloudnorm say of it
// (scripts/snr/vectors.py).
type testSound struct {
	N                                    int
	Hz, Tone, Noise, Burst, Gate, Offset float64
	WADA                                 float64
	STNR                                 *float64
	Loudness                             float64
}

func (v testSound) sound() []float32 {
	u := noise(2 * v.N)
	x := make([]float32, v.N)
	for i := range x {
		g := v.Gate
		if i/4000%2 == 1 {
			g = 1
		}
		x[i] = float32(v.Tone*math.Sin(2*math.Pi*v.Hz*float64(i)/16000)*g + v.Noise*u[2*i] + v.Burst*math.Pow(u[2*i+1], 5)*g + v.Offset)
	}
	return x
}

func vectors(t *testing.T) []testSound {
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []testSound
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no vectors")
	}
	return all
}

func TestWADAVectors(t *testing.T) {
	for i, v := range vectors(t) {
		e := EstimateSNR(v.sound(), WADAMethod)
		if !e.Measured || math.Abs(e.SNR-v.WADA) > 1e-4 {
			t.Errorf("sound %d: %.5f dB (%s), want %.5f", i, e.SNR, e.Unmeasured, v.WADA)
		}
	}
}

func TestSTNRVectors(t *testing.T) {
	for i, v := range vectors(t) {
		e := EstimateSNR(v.sound(), STNRMethod)
		switch {
		case v.STNR == nil:
			if e.Measured || e.Unmeasured != "one_peak" {
				t.Errorf("sound %d: %.5f dB (%q), want one_peak", i, e.SNR, e.Unmeasured)
			}
		case !e.Measured || math.Abs(e.SNR-*v.STNR) > 1e-4:
			t.Errorf("sound %d: %.5f dB (%s), want %.5f", i, e.SNR, e.Unmeasured, *v.STNR)
		}
	}
}

// Other methods give no figure where there is nothing to measure, and are never unknown otherwise.
func TestOtherMethodsStatus(t *testing.T) {
	for _, method := range []string{WADAMethod, STNRMethod} {
		for name, c := range map[string]struct {
			x              []float32
			status, reason string
		}{
			"silent":     {make([]float32, 16000), "unknown", "silent"},
			"short":      {designInput()[:7999], "unknown", "too_short"},
			"empty":      {nil, "unknown", "too_short"},
			"not finite": {append(designInput(), float32(math.Inf(1))), "invalid", "non_finite"},
			"noisy":      {designInput(), "ok", ""},
		} {
			e := EstimateSNR(c.x, method)
			if status, reason := e.Decide(10); status != c.status || reason != c.reason || e.Method != method {
				t.Errorf("%s, %s: %s %s by %s", method, name, status, reason, e.Method)
			}
		}
	}
}

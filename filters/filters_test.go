package filters

import (
	"math"
	"testing"

	"prep/configs"
	"prep/internal/sample"
)

// designInput is the generated clip whose figures were computed by the numpy reference of the estimator.
func designInput() []float32 {
	x := make([]float32, 16000)
	s := uint32(12345)
	for i := range x {
		s = (1103515245*s + 12345) & (1<<31 - 1)
		u := float64(s)/(1<<30) - 1
		x[i] = float32(0.1*math.Sin(2*math.Pi*440*float64(i)/16000)*float64(i/4000%2) + 0.05*u)
	}
	return x
}

func TestSNRAgreesWithReference(t *testing.T) {
	e := EstimateSNR(designInput(), FloorMethod)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"snr", e.SNR, 6.7492}, {"low", e.Low, 6.1513}, {"high", e.High, 7.0487}, {"optimistic", e.Optimistic, 6.1513},
		{"texture", e.Texture, 3.09264}, {"tonal", e.Tonal, 0.74324}, {"zero", e.Zero, 0},
	} {
		if math.Abs(c.got-c.want) > 0.01 {
			t.Errorf("%s is %.4f, want %.4f", c.name, c.got, c.want)
		}
	}
}

func TestSNRSpecialSounds(t *testing.T) {
	noise := func(n int, a float64) []float32 {
		x := make([]float32, n)
		s := uint32(7)
		for i := range x {
			s = (1103515245*s + 12345) & (1<<31 - 1)
			x[i] = float32(a * (float64(s)/(1<<30) - 1))
		}
		return x
	}
	for _, c := range []struct {
		name           string
		x              []float32
		status, reason string
	}{
		{"empty", nil, "unknown", "too_short"},
		{"silent", make([]float32, 32000), "unknown", "silent"},
		{"short", noise(4000, 0.1), "unknown", "too_short"},
		{"quiet", noise(32000, 5e-5), "unknown", "too_quiet"},
		{"noise", noise(32000, 0.1), "unknown", "noise_like"},
		{"not finite", append(noise(32000, 0.1), float32(math.NaN())), "invalid", "non_finite"},
	} {
		e := EstimateSNR(c.x, FloorMethod)
		if s, r := e.Decide(10); s != c.status || r != c.reason {
			t.Errorf("%s: %s %s, want %s %s (%+v)", c.name, s, r, c.status, c.reason, e)
		}
	}
}

func TestRules(t *testing.T) {
	c, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	off := c.Filters
	off.SNR.Off, off.MinText.Off, off.MaxSync.Off = true, true, true
	strict := c.Filters
	strict.SNR.Unknown = "drop"
	for _, x := range []struct {
		name   string
		cfg    configs.Filters
		m      sample.Metrics
		reason string // of the drop
	}{
		{"nothing measured", c.Filters, nil, ""},
		{"low", c.Filters, sample.Metrics{"audio_snr_method": FloorMethod, "audio_snr_status": "ok", "audio_snr_db": 9.99, "audio_texture_db": 3.0}, "low_snr"},
		{"at the bound", c.Filters, sample.Metrics{"audio_snr_method": FloorMethod, "audio_snr_status": "ok", "audio_snr_db": 10.0}, ""},
		{"noise-like is kept", c.Filters, sample.Metrics{"audio_snr_method": FloorMethod, "audio_snr_status": "unknown", "audio_snr_db": 1.0, "audio_texture_db": 0.8, "audio_tonal_ratio": 0.0}, ""},
		{"silent is kept", c.Filters, sample.Metrics{"audio_snr_method": FloorMethod, "audio_snr_status": "unknown", "audio_snr_reason": "silent"}, ""},
		{"silent is dropped on demand", strict, sample.Metrics{"audio_snr_method": FloorMethod, "audio_snr_status": "unknown", "audio_snr_reason": "silent"}, "unknown_snr"},
		{"invalid", c.Filters, sample.Metrics{"audio_snr_method": FloorMethod, "audio_snr_status": "invalid", "audio_snr_reason": "non_finite"}, "invalid_audio"},
		{"four characters", c.Filters, sample.Metrics{"text_chars": int64(4)}, "short_text"},
		{"five characters", c.Filters, sample.Metrics{"text_chars": int64(5)}, ""},
		{"late", c.Filters, sample.Metrics{"sync_offset_s": 0.5}, "sync_offset"},
		{"early", c.Filters, sample.Metrics{"sync_offset_s": -0.5}, "sync_offset"},
		{"in step", c.Filters, sample.Metrics{"sync_offset_s": 0.49}, ""},
		{"all off", off, sample.Metrics{"sync_offset_s": 9.0, "text_chars": int64(0), "audio_snr_status": "ok", "audio_snr_db": -5.0}, ""},
	} {
		got := ""
		for _, v := range Judge(Rules(x.cfg), x.m) {
			if v.Drop {
				got = v.Reason
				break
			}
		}
		if got != x.reason {
			t.Errorf("%s: %q, want %q", x.name, got, x.reason)
		}
	}
}

func TestFieldsCoverMetrics(t *testing.T) {
	known := map[string]bool{}
	for _, f := range Fields() {
		known[f.Name] = true
	}
	c, _ := configs.Load(configs.Layers{})
	for k := range MeasureAudio(designInput(), c.Filters) {
		if !known[k] {
			t.Errorf("metric %s has no field", k)
		}
	}
}

func BenchmarkSNR10s(b *testing.B) {
	var x []float32
	for range 10 {
		x = append(x, designInput()...)
	}
	for b.Loop() {
		EstimateSNR(x, FloorMethod)
	}
}

package filters

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/mjibson/go-dsp/fft"

	"prep/internal/needs"
)

// sine is amplitude a at hz, rounded to 16 bits.
func sine(n, rate int, hz, a float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Round(32768*a*math.Sin(2*math.Pi*hz*float64(i)/float64(rate))) / 32768)
	}
	return x
}

func gauss(n int, a float64, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Round(32768*min(max(a*r.NormFloat64(), -0.99), 0.99)) / 32768)
	}
	return x
}

func number(t *testing.T, m map[string]any, name string) float64 {
	t.Helper()
	switch v := m[name].(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	t.Fatalf("no %s in %v", name, m)
	return 0
}

func TestSourceLevels(t *testing.T) {
	x, y := sine(44100, 44100, 441, 0.5), sine(44100, 44100, 441, 0.25)
	for i := range y {
		y[i] += 0.125
	}
	m := MeasureSource([][]float32{x, y}, 44100)
	for name, want := range map[string]float64{"audio_peak_db": -6.0206, "audio_dc": 0.125, "audio_clipped_ratio": 0, "audio_zero_runs": 0} {
		if got := number(t, m, name); math.Abs(got-want) > 1e-3 {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
	if m := MeasureSource([][]float32{append(x, float32(math.NaN()))}, 44100); len(m) != 0 {
		t.Errorf("what is not finite has %v", m)
	}
	if m := MeasureSource(nil, 44100); len(m) != 0 {
		t.Errorf("nothing has %v", m)
	}
}

func TestClipping(t *testing.T) {
	limit := func(x []float32, at, gain float32) ([]float32, float64) {
		y, n := slices.Clone(x), 0
		for i, v := range y {
			if v >= at || v <= -at {
				n++
			}
			y[i] = min(max(v, -at), at) * gain
		}
		return y, float64(n) / float64(len(y))
	}
	eight := func(x []float32) []float32 {
		y := slices.Clone(x)
		for i, v := range y {
			y[i] = float32(math.Round(float64(v)*127) / 128)
		}
		return y
	}
	r := rand.New(rand.NewPCG(1, 1))
	walk := make([]float32, 100000) // brown, so that extremes are touched gently
	for i, v := 1, 0.0; i < len(walk); i++ {
		v = 0.999*v + 0.01*r.NormFloat64()
		walk[i] = float32(math.Round(v*32768/8) / 32768 * 4)
	}
	full, fullShare := limit(sine(48000, 48000, 1000, 1.3), 0.99997, 1)
	half, halfShare := limit(sine(48000, 48000, 1000, 0.9), 0.6, 0.5)
	low, lowShare := limit(sine(48000, 48000, 150, 0.9), 0.6, 1)
	noisy, noisyShare := limit(gauss(100000, 0.3, 2), 0.4, 1)
	for _, c := range []struct {
		name            string
		x               []float32
		want, tolerance float64
	}{
		{"sine at full scale", full, fullShare, 0},
		{"sine clipped at half scale", half, halfShare, 0.01},
		{"low sine clipped", low, lowShare, 0.01},
		// Runs of one or two samples do not count.
		{"noise clipped", noisy, noisyShare / 4, noisyShare / 4},
		{"whole sine", sine(48000, 48000, 1000, 0.8), 0, 0},
		{"slow sine", sine(48000, 48000, 20, 0.8), 0, 0},
		{"slow sine of 8 bits", eight(sine(48000, 48000, 20, 0.8)), 0, 0},
		{"quiet sine of 8 bits", eight(sine(48000, 48000, 50, 0.1)), 0, 0},
		{"noise", gauss(100000, 0.1, 3), 0, 0},
		{"brown noise", walk, 0, 0},
		{"silence", make([]float32, 5000), 0, 0},
	} {
		got := number(t, MeasureSource([][]float32{c.x}, 48000), "audio_clipped_ratio")
		if math.Abs(got-c.want) > c.tolerance {
			t.Errorf("%s: %.5f, want %.5f", c.name, got, c.want)
		}
	}
}

func TestZeroRuns(t *testing.T) {
	x, y := gauss(48000, 0.1, 1), gauss(48000, 0.1, 2)
	for i := range x { // no zeros by chance
		x[i] += 1.0 / 65536
		y[i] += 1.0 / 65536
	}
	clear(x[10001:11003])
	clear(y[10000:11000])
	clear(x[20000:20479]) // 9.98 ms
	clear(y[20000:20479])
	clear(x[47000:])
	clear(y[47000:])
	m := MeasureSource([][]float32{x, y}, 48000)
	if got := number(t, m, "audio_zero_run_s"); math.Abs(got-1000.0/48000) > 1e-9 {
		t.Errorf("longest %g", got*48000)
	}
	if got := number(t, m, "audio_zero_runs"); got != 1 {
		t.Errorf("%g runs inside", got)
	}
	clear(x)
	clear(y)
	if got := number(t, MeasureSource([][]float32{x, y}, 48000), "audio_zero_run_s"); got != 1 {
		t.Errorf("all zeros: %g s", got)
	}
}

func TestLoudnessVectors(t *testing.T) {
	for i, v := range vectors(t) {
		got, ok := loudness([][]float32{v.sound()}, 16000)
		if !ok || math.Abs(got-v.Loudness) > 0.01 {
			t.Errorf("sound %d: %.3f LUFS, want %.3f", i, got, v.Loudness)
		}
	}
}

// EBU Tech 3341, cases 1 to 5: stereo sines of 1 kHz; all read -23 LUFS but the second.
func TestLoudnessOfTech3341(t *testing.T) {
	tones := func(levels ...[2]float64) []float32 { // dBFS, seconds
		var x []float32
		for _, l := range levels {
			x = append(x, sine(int(48000*l[1]), 48000, 1000, math.Pow(10, l[0]/20))...)
		}
		return x
	}
	for i, c := range []struct {
		x    []float32
		want float64
	}{
		{tones([2]float64{-23, 20}), -23},
		{tones([2]float64{-33, 20}), -33},
		{tones([2]float64{-36, 10}, [2]float64{-23, 60}, [2]float64{-36, 10}), -23},
		{tones([2]float64{-72, 10}, [2]float64{-36, 10}, [2]float64{-23, 60}, [2]float64{-36, 10}, [2]float64{-72, 10}), -23},
		{tones([2]float64{-26, 20}, [2]float64{-20, 20.1}, [2]float64{-26, 20}), -23},
	} {
		got, ok := loudness([][]float32{c.x, c.x}, 48000)
		if !ok || math.Abs(got-c.want) > 0.1 {
			t.Errorf("case %d: %.3f LUFS, want %g", i+1, got, c.want)
		}
	}
	if v, ok := loudness([][]float32{make([]float32, 48000)}, 48000); ok {
		t.Errorf("silence has %g LUFS", v)
	}
	if v, ok := loudness([][]float32{sine(19000, 48000, 1000, 0.1)}, 48000); ok {
		t.Errorf("less than 400 ms has %g LUFS", v)
	}
}

// ffmpeg's ebur128 on the same samples.
func TestLoudnessAgreesWithFFmpeg(t *testing.T) {
	needs.Programs(t, "Debian: apt-get install ffmpeg", "ffmpeg")
	for _, rate := range []int{8000, 16000, 22050, 44100, 48000} {
		for _, channels := range []int{1, 2, 6} {
			planes := make([][]float32, channels)
			for c := range planes {
				planes[c] = gauss(5*rate, 0.05*float64(c+1)/float64(channels), uint64(c))
				for i, v := range sine(5*rate, rate, 100, 0.2) {
					if i/rate%2 == 0 {
						planes[c][i] = planes[c][i]/16 + v/float32(c+1)
					}
				}
			}
			var b bytes.Buffer
			for i := range planes[0] {
				for c := range planes {
					binary.Write(&b, binary.LittleEndian, planes[c][i])
				}
			}
			cmd := exec.Command("ffmpeg", "-nostats", "-hide_banner", "-f", "f32le", "-ar", strconv.Itoa(rate), "-ac", strconv.Itoa(channels), "-i", "-", "-af", "ebur128", "-f", "null", "-")
			cmd.Stdin = &b
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			found := regexp.MustCompile(`I:\s+(-?[0-9.]+) LUFS`).FindAllSubmatch(out, -1)
			if len(found) == 0 {
				t.Fatalf("no loudness in %s", out)
			}
			want, err := strconv.ParseFloat(string(found[len(found)-1][1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := loudness(planes, rate)
			// It prints one digit.
			if !ok || math.Abs(got-want) > 0.1 {
				t.Errorf("%d Hz, %d channels: %.3f LUFS, ffmpeg %.1f", rate, channels, got, want)
			}
		}
	}
}

// lowPass removes what lies at or above hz, with go-dsp's transform.
func lowPass(x []float32, rate int, hz float64) []float32 {
	in := make([]float64, len(x))
	for i, v := range x {
		in[i] = float64(v)
	}
	s := fft.FFTReal(in)
	for k := range s {
		if f := float64(min(k, len(s)-k)) * float64(rate) / float64(len(s)); f >= hz {
			s[k] = 0
		}
	}
	y := make([]float32, len(x))
	for i, v := range fft.IFFT(s) {
		y[i] = float32(math.Round(real(v)*32768) / 32768)
	}
	return y
}

func TestBandwidth(t *testing.T) {
	// pink is noise that falls by 3 dB, brown by 6 dB an octave, both above 50 Hz, as speech and music do.
	shaped := func(n, rate int, slope float64) []float32 {
		in := make([]float64, n)
		for i, v := range gauss(n, 0.25, 5) {
			in[i] = float64(v)
		}
		s := fft.FFTReal(in)
		for k := range s {
			f := max(float64(min(k, len(s)-k))*float64(rate)/float64(len(s)), 50)
			s[k] *= complex(math.Pow(f/1000, -slope/6.02), 0)
		}
		y := make([]float32, n)
		for i, v := range fft.IFFT(s) {
			y[i] = float32(math.Round(real(v)*16384*min(1, 2/slope/slope+0.1)) / 32768)
		}
		return y
	}
	const n = 1 << 16
	for _, c := range []struct {
		name string
		x    []float32
		rate int
		want float64
	}{
		{"white", gauss(n, 0.1, 1), 44100, 22050},
		{"pink", shaped(n, 44100, 3), 44100, 22050},
		{"brown", shaped(n, 44100, 6), 44100, 22050},
		{"telephone at 48 kHz", lowPass(shaped(n, 48000, 3), 48000, 4000), 48000, 4000},
		{"telephone at 44.1 kHz", lowPass(gauss(n, 0.1, 1), 44100, 3900), 44100, 3900},
		{"telephone at 16 kHz", lowPass(shaped(n, 16000, 6), 16000, 4000), 16000, 4000},
		{"MP3's low-pass", lowPass(shaped(n, 44100, 3), 44100, 16000), 44100, 16000},
		{"16 kHz at 48 kHz", lowPass(shaped(n, 48000, 6), 48000, 8000), 48000, 8000},
		{"22.05 kHz at 44.1 kHz", lowPass(shaped(n, 44100, 6), 44100, 11025), 44100, 11025},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := number(t, MeasureSource([][]float32{c.x}, c.rate), "audio_bandwidth_hz")
			if math.Abs(got-c.want) > 0.04*c.want {
				t.Errorf("%.0f Hz, want %.0f", got, c.want)
			}
		})
	}
	for name, x := range map[string][]float32{"silence": make([]float32, 5000), "short": gauss(1000, 0.1, 1)} {
		if m := MeasureSource([][]float32{x}, 44100); m["audio_bandwidth_hz"] != nil {
			t.Errorf("%s: %v Hz", name, m["audio_bandwidth_hz"])
		}
	}
}

func TestSilenceRatio(t *testing.T) {
	ratio := func(x []float32) float64 {
		var levels blockLevels
		levels.measure(x)
		return silenceRatio(x, &levels)
	}
	x := append(make([]float32, 16000), sine(16000, 16000, 440, 0.1)...)
	if got := ratio(x); got != 0.5 {
		t.Errorf("%g", got)
	}
	if got := ratio(nil); got != 0 {
		t.Errorf("nothing: %g", got)
	}
	// At every level what adding up all samples says.
	for level := 1e-4; level < 0.1; level *= 1.07 {
		x, silent := gauss(16100, level, 1), 0
		for at := 0; at < len(x); at += silentFrame {
			frame := x[at:min(at+silentFrame, len(x))]
			if powerOf(frame) < silentPower*float64(len(frame)) {
				silent++
			}
		}
		if got := ratio(x); got != float64(silent)/51 {
			t.Errorf("noise of %g: %g of 51 frames, want %d", level, got*51, silent)
		}
	}
}

func BenchmarkMeasureSource10s(b *testing.B) {
	for _, c := range []struct{ rate, channels int }{{16000, 1}, {44100, 2}} {
		var planes [][]float32
		for i := range c.channels {
			planes = append(planes, gauss(10*c.rate, 0.1, uint64(i)))
		}
		b.Run(fmt.Sprintf("%dHz%dch", c.rate, c.channels), func(b *testing.B) {
			for b.Loop() {
				MeasureSource(planes, c.rate)
			}
		})
	}
}

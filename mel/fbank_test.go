package mel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mjibson/go-dsp/fft"
)

// textbookFbank is Fbank in float64 over go-dsp's transform.
func textbookFbank(wave []float32, frame int) []float64 {
	x := make([]float64, fftLength)
	var mean float64
	for i := range WindowLength {
		x[i] = float64(wave[frame*HopLength+i])
		mean += x[i] / WindowLength
	}
	for i := range WindowLength {
		x[i] -= mean
	}
	for i := WindowLength - 1; i >= 0; i-- {
		x[i] = (x[i] - preEmphasis*x[max(i-1, 0)]) * (0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/(WindowLength-1)))
	}
	spectrum := fft.FFTReal(x)
	scale := func(f float64) float64 { return 1127 * math.Log(1+f/700) }
	low, step := scale(lowHz), (scale(8000)-scale(lowHz))/(Bins+1)
	out := make([]float64, Bins)
	for b := range out {
		left := low + float64(b)*step
		var sum float64
		for i := range fftLength / 2 {
			m := scale(float64(i) * SampleRate / fftLength)
			if w := min((m-left)/step, (left+2*step-m)/step); w > 0 {
				sum += w * (real(spectrum[i])*real(spectrum[i]) + imag(spectrum[i])*imag(spectrum[i]))
			}
		}
		out[b] = math.Log(max(sum, logFloor))
	}
	return out
}

func noise(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(0.2 * r.NormFloat64())
	}
	return x
}

func TestFbankAgreesWithPlainTwin(t *testing.T) {
	x := noise(4000)
	got, frames := Fbank(x)
	if frames != 23 {
		t.Fatalf("%d frames of 4000 samples, want 23", frames)
	}
	for f := range frames {
		for b, want := range textbookFbank(x, f) {
			if d := math.Abs(float64(got[b*frames+f]) - want); d > 1e-3 {
				t.Fatalf("frame %d bin %d: %g, want %g", f, b, got[b*frames+f], want)
			}
		}
	}
}

func TestFilter3IsEmpty(t *testing.T) {
	if len(filters[3].weight) != 0 {
		t.Error("with 512 points filter 3 lies between two bins")
	}
	got, frames := Fbank(noise(400))
	if frames != 1 || math.Abs(float64(got[3])-math.Log(logFloor)) > 1e-6 {
		t.Errorf("an empty filter gives the log's floor, got %g", got[3])
	}
}

func TestShortAndOddInput(t *testing.T) {
	if _, frames := Fbank(noise(399)); frames != 0 {
		t.Errorf("%d frames of less than a window", frames)
	}
	if got := Clips([][]float32{noise(10)}, 3, MeanClip); len(got) != 3*Bins*Frames {
		t.Errorf("%d values", len(got))
	}
	for _, rate := range []int{0, -1, 99, 1 << 30, 15999} {
		if y, err := Resample(noise(100), rate); err == nil && len(y) == 0 {
			t.Errorf("rate %d: neither sound nor error", rate)
		}
	}
	if y, err := Resample(nil, 44100); err != nil || len(y) != 0 {
		t.Errorf("nothing: %v %v", y, err)
	}
}

// The same input gives the same output, and stays as it was.
func TestClipsIsPure(t *testing.T) {
	x := noise(50000)
	before := append([]float32(nil), x...)
	for _, mode := range []MeanMode{MeanClip, MeanImageBind} {
		a := Clips([][]float32{x}, 3, mode)
		b := Clips([][]float32{x}, 3, mode)
		for i := range a {
			if a[i] != b[i] {
				t.Fatal("two runs differ")
			}
		}
	}
	for i := range x {
		if x[i] != before[i] {
			t.Fatal("the input was changed")
		}
	}
}

func BenchmarkFbank2s(b *testing.B) {
	x := noise(32000)
	for b.Loop() {
		Fbank(x)
	}
}

func BenchmarkResample10s44k1(b *testing.B) {
	x := noise(441000)
	for b.Loop() {
		if _, err := Resample(x, 44100); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClips10s(b *testing.B) {
	x := [][]float32{noise(160000)}
	for b.Loop() {
		Clips(x, 3, MeanClip)
	}
}

func BenchmarkSpectrogram10s(b *testing.B) {
	x := noise(160000)
	var w [SpectrumLength]float32
	for i := range w {
		w[i] = 1
	}
	for b.Loop() {
		Spectrogram(x, &w, 512)
	}
}

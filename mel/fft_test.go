package mel

import (
	"math"
	"testing"

	"github.com/mjibson/go-dsp/fft"
)

// Both lengths of the transform against go-dsp's, in float64.
func TestTransformAgreesWithTwin(t *testing.T) {
	for _, half := range []int{256, 512} {
		x := noise(2 * half)
		var s spectrum
		twin := make([]float64, 2*half)
		for i := range half {
			s.re[i], s.im[i] = x[2*i], x[2*i+1]
			twin[2*i], twin[2*i+1] = float64(x[2*i]), float64(x[2*i+1])
		}
		s.transform(half)
		var most float64
		want := fft.FFTReal(twin)
		for k := range half {
			p := real(want[k])*real(want[k]) + imag(want[k])*imag(want[k])
			most = max(most, math.Abs(float64(s.power[k])-p)/(p+1))
		}
		if most > 1e-5 {
			t.Errorf("%d points: power is %g off", 2*half, most)
		}
	}
}

func TestSpectrogramOfASine(t *testing.T) {
	x := make([]float32, 3000)
	for i := range x { // bin 100 of 1024 points
		x[i] = float32(math.Cos(2 * math.Pi * 100 * float64(i) / SpectrumLength))
	}
	var w [SpectrumLength]float32
	for i := range w {
		w[i] = 1
	}
	power, frames := Spectrogram(x, &w, 500)
	if frames != 4 {
		t.Fatalf("%d frames, want 4", frames)
	}
	for k := range maxHalf {
		for f := range frames {
			want := 0.0
			if k == 100 {
				want = 512 * 512
			}
			if d := math.Abs(float64(power[k*frames+f]) - want); d > 0.1 {
				t.Fatalf("bin %d, frame %d: %g, want %g", k, f, power[k*frames+f], want)
			}
		}
	}
	if _, frames := Spectrogram(x[:1023], &w, 500); frames != 0 {
		t.Errorf("%d frames of less than one window", frames)
	}
	if _, frames := Spectrogram(x, &w, 0); frames != 0 {
		t.Errorf("%d frames without a hop", frames)
	}
}

// The logarithm over all binades.
func TestLogarithm(t *testing.T) {
	var most float64
	for bits := uint32(0x00800000); bits < 0x7f800000; bits += 7919 {
		x := math.Float32frombits(bits)
		want := math.Log(float64(x))
		ulp := float64(math.Nextafter32(float32(math.Abs(want)), math.MaxFloat32)) - math.Abs(float64(float32(want)))
		most = max(most, math.Abs(float64(logarithm(x))-want)/max(ulp, 1e-38))
	}
	if most > 2 {
		t.Errorf("%g units in the last place off", most)
	}
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		if y := logarithm(float32(x)); y == y {
			t.Errorf("ln %g is %g", x, y)
		}
	}
}

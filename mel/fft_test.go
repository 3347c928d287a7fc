package mel

import (
	"math"
	"math/rand/v2"
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
		s.transform(half, half)
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

const leastNormal = 0x00800000 // as bits

// The quotient by the deviation is computed as a product.
func TestNormalisedDivides(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 20000 {
		var sums [Bins]float32
		for i := range sums {
			sums[i] = math.Float32frombits(logFloorBits + r.Uint32N(0x7f800000-logFloorBits))
		}
		got, want := sums, sums
		mean, std := float32(normMean), float32(normStd)
		if r.IntN(2) == 0 {
			mean, std = float32(r.NormFloat64()), float32(math.Exp(r.NormFloat64()))
		}
		normalised(&got, mean, std)
		logarithms(&want, logFloorBits)
		for i, y := range want {
			if want := (y - mean) / std; got[i] != want {
				t.Fatalf("ln %g is %g: less %g over %g %g, want %g", sums[i], y, mean, std, got[i], want)
			}
		}
	}
}

// The logarithm over all binades.
func TestLogarithms(t *testing.T) {
	var most float64
	for bits := uint32(leastNormal); bits < 0x7f800000-Bins*7919; bits += Bins * 7919 {
		var x [Bins]float32
		for i := range x {
			x[i] = math.Float32frombits(bits + uint32(i)*7919)
		}
		got := x
		logarithms(&got, leastNormal)
		for i, y := range got {
			want := math.Log(float64(x[i]))
			ulp := float64(math.Nextafter32(float32(math.Abs(want)), math.MaxFloat32)) - math.Abs(float64(float32(want)))
			most = max(most, math.Abs(float64(y)-want)/max(ulp, 1e-38))
		}
	}
	if most > 2 {
		t.Errorf("%g units in the last place off", most)
	}
	low := math.Float32frombits(logFloorBits)
	if low != logFloor {
		t.Errorf("the floor's bits are those of %g", low)
	}
	x := [Bins]float32{float32(math.NaN()), -float32(math.NaN()), float32(math.Inf(1)), low, low / 2, 0}
	logarithms(&x, logFloorBits)
	for i, y := range x {
		if i < 3 && y == y {
			t.Errorf("the logarithm of what is not finite is %g", y)
		}
		if i > 3 && y != x[3] {
			t.Errorf("below the floor the logarithm is %g, not the floor's %g", y, x[3])
		}
	}
}

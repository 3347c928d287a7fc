package stages

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"prep/configs"
	"prep/internal/half"
	"prep/mel"
)

// loudest are sounds at full scale, which give the largest values that samples within it can give.
func loudest() map[string]func(i int) float64 {
	r := rand.New(rand.NewPCG(1, 1))
	random := func() float64 { return float64(2*r.IntN(2) - 1) }
	out := map[string]func(i int) float64{
		"silence":   func(int) float64 { return 0 },
		"constant":  func(int) float64 { return 1 },
		"noise":     func(int) float64 { return 2*r.Float64() - 1 },
		"coin":      func(int) float64 { return random() },
		"alternate": func(i int) float64 { return float64(1 - i%2*2) },
		"quiet":     func(int) float64 { return 1e-4 * r.NormFloat64() },
		"chirp":     func(i int) float64 { return sign(math.Sin(math.Pi * float64(i) * float64(i) / 96000)) },
	}
	for _, hz := range []float64{20, 100, 440, 997, 3000, 5001, 7000, 7900, 7990} {
		out["square"+string(rune('a'+len(out)))] = func(i int) float64 { return sign(math.Sin(2 * math.Pi * hz * float64(i) / mel.SampleRate)) }
	}
	return out
}

func sign(x float64) float64 {
	if x < 0 {
		return -1
	}
	return 1
}

// What float16 loses of a sound within full scale is at most 5e-4 after normalising: no value reaches 2 in size,
// below which the steps of float16 are 2^-10 or less.
func TestFloat16LosesLittle(t *testing.T) {
	most, least := 0.0, 0.0
	for name, f := range loudest() {
		wave := make([]float32, 3*mel.SampleRate)
		for i := range wave {
			wave[i] = float32(f(i))
		}
		for _, mean := range []string{"clip", "imagebind"} {
			var full, halves []byte
			for _, dtype := range []string{"float32", "float16"} {
				p := &Processor{Config: configs.Config{Audio: configs.Audio{Clips: 3, Mean: mean, DType: dtype}}}
				tensor, err := (&sound{wave: [][]float32{wave}}).tensor(p)
				if err != nil {
					t.Fatal(err)
				}
				if dtype == "float32" {
					full = tensor.Data
				} else {
					halves = tensor.Data
				}
			}
			for i := range len(halves) / 2 {
				exact := float64(math.Float32frombits(binary.LittleEndian.Uint32(full[4*i:])))
				kept := float64(half.ToFloat32(binary.LittleEndian.Uint16(halves[2*i:])))
				if d := math.Abs(kept - exact); d > 5e-4 || math.IsNaN(d) {
					t.Fatalf("%s: %g is stored as %g", name, exact, kept)
				}
				most, least = max(most, exact), min(least, exact)
			}
		}
	}
	if most < 1.5 || least > -1.2 {
		t.Errorf("the values span only %g to %g: these are not the loudest and quietest sounds", least, most)
	}
}

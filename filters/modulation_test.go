package filters

import (
	"math"
	"testing"
)

// traitsOf gives the traits of a sound by their names; those that share a name in order.
func traitsOf(t *testing.T, x []float32) map[string][]float64 {
	t.Helper()
	values, names := SNRTraits(x)
	if len(values) == 0 {
		t.Fatal("no traits")
	}
	out := map[string][]float64{}
	for i, n := range names {
		out[n] = append(out[n], float64(values[i]))
	}
	return out
}

// swelling is noise whose amplitude swings so many times a second.
func swelling(n int, hz float64) []float32 {
	x := gauss(n, 0.1, 3)
	for i := range x {
		x[i] *= float32(1 + 0.8*math.Sin(2*math.Pi*hz*float64(i)/16000))
	}
	return x
}

// A swing shows in the band of its rate: in the modulation of frames below 16 Hz, in that of short frames above.
func TestModulationLiesWhereItIs(t *testing.T) {
	for _, c := range []struct {
		hz    float64
		trait string
		band  int // of the trait's, from the lowest
	}{
		{1.4, "modulation", 2}, {3, "modulation", 3}, {6, "modulation", 4}, {6, "roughness", 1}, {12, "roughness", 2}, {48, "roughness", 4},
	} {
		for _, n := range []int{160000, 64000} {
			plain, swung := traitsOf(t, gauss(n, 0.1, 3)), traitsOf(t, swelling(n, c.hz))
			for i, v := range swung[c.trait] {
				if i == c.band && v < 2*plain[c.trait][i] || i != c.band && v > plain[c.trait][i]*1.5 {
					t.Errorf("%g Hz, %d samples: band %d of %s is %.3f, of even noise %.3f", c.hz, n, i, c.trait, v, plain[c.trait][i])
				}
			}
			if peak := c.trait + "_peak"; swung[peak][0] < 1.5*plain[peak][0] {
				t.Errorf("%g Hz, %d samples: %s is %.1f, of even noise %.1f", c.hz, n, peak, swung[peak][0], plain[peak][0])
			}
		}
	}
}

// Harmonics of one tone have one high quefrency that stays; noise has none.
func TestPitchOfATone(t *testing.T) {
	const n = 64000
	noise := gauss(n, 0.01, 5)
	tone := make([]float32, n)
	for i := range tone {
		tone[i] = 0.2*float32(math.Mod(float64(i)*150/16000, 1)-0.5) + noise[i]/4
	}
	pitched, plain := traitsOf(t, tone), traitsOf(t, noise)
	if pitched["pitch_stays"][0] < 0.95 || plain["pitch_stays"][0] > 0.5 {
		t.Errorf("the tone's pitch stays in %.2f of the pairs, the noise's in %.2f", pitched["pitch_stays"][0], plain["pitch_stays"][0])
	}
	if pitched["pitch_p050"][0] < 10 || plain["pitch_p050"][0] > 8 {
		t.Errorf("pitch %.1f, of noise %.1f", pitched["pitch_p050"][0], plain["pitch_p050"][0])
	}
}

// A sound that begins at once and dies away rises faster than it falls; backwards it is the other way round.
func TestOnsetsHaveADirection(t *testing.T) {
	const n = 64000
	x, back := gauss(n, 0.001, 6), make([]float32, n)
	hit := gauss(n, 0.3, 7)
	for i := range x {
		x[i] += hit[i] * float32(math.Exp(-float64(i%8000)/1200))
		back[n-1-i] = x[i]
	}
	forth, reversed := traitsOf(t, x), traitsOf(t, back)
	if a, b := forth["onset_skew"][3], reversed["onset_skew"][3]; a < 1 || b > -1 {
		t.Errorf("skew of the steps %.2f, backwards %.2f", a, b)
	}
	if a, b := forth["onset_bands"][0], reversed["onset_bands"][0]; a < 0.5 || b > -0.5 {
		t.Errorf("skew of the bands' steps %.2f, backwards %.2f", a, b)
	}
}

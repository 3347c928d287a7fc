package filters

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// The trees give what scikit-learn gives, on traits of clips from the training set (scripts/snr/train.py).
func TestLearnedTrees(t *testing.T) {
	b, err := os.ReadFile("testdata/learned.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Traits                  []float32
		Score, SNR, Odds, Error float64
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for i, c := range cases {
		if len(c.Traits) != learned.traits {
			t.Fatalf("case %d has %d traits, the model %d", i, len(c.Traits), learned.traits)
		}
		for _, p := range []struct {
			name      string
			got, want float64
		}{
			{"score", learned.score.predict(c.Traits), c.Score}, {"value", learned.snr(learned.score.predict(c.Traits)), c.SNR}, {"odds", learned.odds.predict(c.Traits), c.Odds}, {"error", learned.error.predict(c.Traits), c.Error},
		} {
			// Leaves are stored as float32.
			if math.Abs(p.got-p.want) > 1e-4 {
				t.Errorf("case %d: %s %.6f, want %.6f", i, p.name, p.got, p.want)
			}
		}
	}
}

func TestTraitsFitTheModel(t *testing.T) {
	values, names := SNRTraits(designInput())
	if len(values) != learned.traits || len(names) != len(values) {
		t.Fatalf("%d traits, %d names, the model has %d", len(values), len(names), learned.traits)
	}
	for i, v := range values {
		if v-v != 0 {
			t.Errorf("%s is %g", names[i], v)
		}
	}
}

// Whatever is put in, traits are finite and the estimate lies in its range.
func TestLearnedOfOddSounds(t *testing.T) {
	for name, x := range map[string][]float32{
		"tone":  sine(32000, 16000, 440, 0.5),
		"noise": gauss(32000, 0.1, 1),
		"clicks": func() []float32 {
			x := make([]float32, 32000)
			for i := 0; i < len(x); i += 997 {
				x[i] = 0.9
			}
			return x
		}(),
		"huge": func() []float32 {
			x := gauss(32000, 0.1, 1)
			for i := range x {
				x[i] *= 1e30
			}
			return x
		}(),
		"half": append(gauss(16000, 0.1, 2), make([]float32, 16000)...),
		"steps": func() []float32 {
			x := make([]float32, 32000)
			for i := range x {
				x[i] = float32(i/8000) / 4
			}
			return x
		}(),
		"shortest": gauss(8000, 0.1, 3),
	} {
		e := EstimateSNR(x, LearnedMethod)
		if !e.Measured {
			if e.Unmeasured == "" {
				t.Errorf("%s: neither measured nor a reason", name)
			}
			continue
		}
		if !(e.SNR >= lowest && e.SNR <= highest) || !(e.Low < e.SNR && e.SNR < e.High) || e.NoiseOdds-e.NoiseOdds != 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// What is sorted in parts is what sorting gives, whatever lies together.
func TestOrdering(t *testing.T) {
	u := noise(3000)
	var o ordering
	for _, n := range []int{0, 1, 2, 3, 13, 311, 2500} {
		for name, at := range map[string]func(i int) float64{
			"even":    func(i int) float64 { return u[i] },
			"crowded": func(i int) float64 { return math.Pow(u[i], 31) },
			"equal":   func(int) float64 { return -3 },
			"two":     func(i int) float64 { return float64(i % 2) },
			"near":    func(i int) float64 { return 1 + 1e-300*u[i] },
			"large":   func(i int) float64 { return 1e308 * u[i] },
		} {
			v := make([]float64, n)
			for i := range v {
				v[i] = at(i)
			}
			want := slices.Sorted(slices.Values(v))
			quantiles := []float64{0, 0.02, 0.5, 0.93, 1}
			for _, relative := range []bool{false, true} {
				if n == 0 {
					continue
				}
				around := o.around(v, relative, quantiles)
				for _, q := range quantiles {
					if got, want := sortedQuantile(around, q), sortedQuantile(want, q); got != want {
						t.Errorf("%s, %d values: quantile %g is %g, want %g", name, n, q, got, want)
					}
				}
				if got, want := sortedQuantile(around, 0.95), sortedQuantile(want, 0.95); relative && got != want {
					t.Errorf("%s, %d values: quantile 0.95 is %g, want %g", name, n, got, want)
				}
			}
			if o.sort(v); !slices.Equal(v, want) {
				t.Errorf("%s, %d values: not sorted", name, n)
			}
		}
	}
}

func TestBrokenTrees(t *testing.T) {
	for n := range 200 {
		if _, err := readTrees(learnedFile[:n]); err == nil {
			t.Fatalf("%d bytes pass", n)
		}
	}
	if _, err := readTrees(append([]byte(nil), append(learnedFile, 0)...)); err == nil {
		t.Error("a byte too many passes")
	}
}

func BenchmarkLearned10s(b *testing.B) {
	x := gauss(160000, 0.1, 1)
	for b.Loop() {
		EstimateSNR(x, LearnedMethod)
	}
}

func BenchmarkTrees(b *testing.B) {
	x, _ := SNRTraits(gauss(160000, 0.1, 1))
	for b.Loop() {
		learned.score.predict(x)
		learned.odds.predict(x)
		learned.error.predict(x)
	}
}

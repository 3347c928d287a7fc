//go:build goexperiment.simd && amd64 && !scalar

package filters

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func needVector(t *testing.T) {
	if vector == nil {
		t.Skip("needs a processor with AVX2")
	}
}

func TestVectorSummaryIsBitEqual(t *testing.T) {
	needVector(t)
	for _, n := range []int{1, 63, 64, 65, 1000, 6400} {
		x := gauss(n, 0.3, uint64(n))
		for i := 0; i < n; i += 37 {
			x[i] = 0
		}
		var lanes blockLevels
		lanes.measure(x)
		plain := blockLevels{make([]float32, len(lanes.low)), make([]float32, len(lanes.low)), make([]float32, len(lanes.low))}
		plain.plain(x, 0)
		for i := range plain.sum {
			if lanes.low[i] != plain.low[i] || lanes.high[i] != plain.high[i] || math.Float32bits(lanes.sum[i]) != math.Float32bits(plain.sum[i]) {
				t.Fatalf("%d samples, block %d: %v, plain %v", n, i, lanes, plain)
			}
		}
	}
}

func TestVectorDecibelsAreBitEqual(t *testing.T) {
	needVector(t)
	x := make([]float64, 1003)
	for i := range x {
		x[i] = math.Exp(float64(i-500) * 1.2)
	}
	got := slices.Clone(x)
	for i, v := range got[vector.decibels(got, 1e-12):] {
		got[len(got)/4*4+i] = decibels(v + 1e-12)
	}
	for i, v := range x {
		if want := decibels(v + 1e-12); math.Float64bits(got[i]) != math.Float64bits(want) {
			t.Fatalf("%g: %v, plain %v", v, got[i], want)
		}
	}
}

// All that the estimate and its traits are made of.
func TestVectorFiguresAreBitEqual(t *testing.T) {
	needVector(t)
	defer func(v *kernels) { vector = v }(vector)
	lanes := vector
	gaps := gauss(40000, 0.2, 3)
	clear(gaps[9000:15000])
	for name, x := range map[string][]float32{
		"noise": gauss(32000, 0.1, 1), "shortest": gauss(8000, 0.1, 2), "design": designInput(), "gaps": gaps,
		"whole blocks": gauss(64*500, 0.3, 4), "odd": gauss(64*150+1, 0.3, 5), "padded": append(make([]float32, 5003), gauss(20000, 0.01, 6)...),
	} {
		var figures [2]clipFigures
		var traits [2]traitBuilder
		for i, kernels := range []*kernels{lanes, nil} {
			vector = kernels
			var levels blockLevels
			levels.measure(x)
			if e := figures[i].measure(x, &levels); !e.Measured {
				t.Fatalf("%s: not measured, %s", name, e.Unmeasured)
			}
			traits[i].build(&figures[i])
		}
		a, b := &figures[0], &figures[1]
		if a.estimate != b.estimate || a.quantile != b.quantile || a.mean != b.mean || a.floor != b.floor {
			t.Errorf("%s: %+v, plain %+v", name, a.estimate, b.estimate)
		}
		if !slices.Equal(traits[0].values, traits[1].values) {
			t.Errorf("%s: %v, plain %v", name, traits[0].values, traits[1].values)
		}
		if !slices.Equal(a.wave, b.wave) || !slices.Equal(a.fourth, b.fourth) || !slices.Equal(a.crossed, b.crossed) {
			t.Errorf("%s: samples differ", name)
		}
	}
}

// The columns are in order where the quantiles lie, whatever their length.
func TestSortColumns(t *testing.T) {
	needVector(t)
	r := rand.New(rand.NewPCG(1, 1))
	for n := minFrames - smooth + 1; n < 700; n += 1 + n/20 {
		rows := make([][8]float32, n)
		var column [8][]float32
		for i := range rows {
			for j := range rows[i] {
				rows[i][j] = float32(r.IntN(n)) // some are equal
				column[j] = append(column[j], rows[i][j])
			}
		}
		sortColumns(rows)
		for j, want := range column {
			slices.Sort(want)
			for _, fl := range floors {
				k := int(fl.quantile * float64(n-1))
				if rows[k][j] != want[k] || rows[k+1][j] != want[k+1] {
					t.Fatalf("%d rows: ranks %d are %g and %g, want %g and %g", n, k, rows[k][j], rows[k+1][j], want[k], want[k+1])
				}
			}
		}
	}
}

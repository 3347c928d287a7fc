package trainer

import (
	"math"
	"slices"
	"testing"
)

// Ranks count twins as right and ties with others as wrong; the shares and the median follow.
func TestRanks(t *testing.T) {
	q := [][]float32{{1, 0}, {0, 1}, {0.8, 0.6}}
	own := [][32]byte{{1}, {2}, {3}}
	if r := ranksOf(q, q, own); !slices.Equal(r, []int{1, 1, 1}) {
		t.Errorf("own items: %v", r)
	}
	swapped := [][]float32{{0, 1}, {1, 0}, {0.8, 0.6}}
	if r := ranksOf(q, swapped, own); !slices.Equal(r, []int{3, 3, 1}) {
		t.Errorf("swapped: %v", r)
	}
	same := [][]float32{{1, 0}, {1, 0}, {1, 0}}
	if r := ranksOf(same, same, own); !slices.Equal(r, []int{3, 3, 3}) {
		t.Errorf("a collapsed model ranks %v", r)
	}
	if r := ranksOf(same, same, [][32]byte{{1}, {1}, {1}}); !slices.Equal(r, []int{1, 1, 1}) {
		t.Errorf("twins: %v", r)
	}
	nan := float32(math.NaN())
	if r := ranksOf([][]float32{{nan, nan}}, [][]float32{{1, 0}}, own[:1]); !slices.Equal(r, []int{2}) {
		t.Errorf("NaN ranks %v", r)
	}
	twins := make([][32]byte, 12)
	for i := range twins {
		twins[i][0] = byte(i)
	}
	r := retrieval([]int{1, 1, 1, 2, 4, 5, 6, 7, 10, 11, 12, 12}, twins)
	want := Retrieval{R1: 3. / 12, R5: 6. / 12, R10: 9. / 12, MedianRank: 5.5, Chance: 1. / 12}
	if r.R1 != want.R1 || r.R5 != want.R5 || r.R10 != want.R10 || r.MedianRank != want.MedianRank || math.Abs(r.Chance-want.Chance) > 1e-12 {
		t.Errorf("got %+v, want %+v", r, want)
	}
}

// The sums by class equal the plain double loop.
func TestClassCosinesAndContrast(t *testing.T) {
	s := draw(1, "vectors", 0, "")
	unit := func() []float32 {
		v := make([]float32, 5)
		s.Normals(v, 1)
		n := math.Sqrt(inner(v, v))
		for i := range v {
			v[i] = float32(float64(v[i]) / n)
		}
		return v
	}
	var x, y [][]float32
	var class []string
	for i := range 12 {
		x, y, class = append(x, unit()), append(y, unit()), append(class, string(rune('a'+i%3)))
	}
	var in, out, diagonal, rest, far, nIn, nOut float64
	for i := range x {
		diagonal += inner(x[i], y[i]) / 12
		for j := range x {
			if i == j {
				continue
			}
			rest += inner(x[i], y[j]) / (12 * 11)
			far += math.Exp(-2*(2-2*inner(x[i], x[j]))) / (12 * 11)
			if class[i] == class[j] {
				in, nIn = in+inner(x[i], x[j]), nIn+1
			} else {
				out, nOut = out+inner(x[i], x[j]), nOut+1
			}
		}
	}
	n, within, between := classCosines(x, class)
	if n != 3 || math.Abs(within-in/nIn) > 1e-6 || math.Abs(between-out/nOut) > 1e-6 {
		t.Errorf("%d classes, %g and %g, want %g and %g", n, within, between, in/nIn, out/nOut)
	}
	contrast, alignment := contrastOf(x, y)
	if math.Abs(contrast-(diagonal-rest)) > 1e-6 || math.Abs(alignment-(2-2*diagonal)) > 1e-6 || math.Abs(uniformity(x)-math.Log(far)) > 1e-6 {
		t.Errorf("contrast %g, alignment %g, uniformity %g", contrast, alignment, uniformity(x))
	}
}

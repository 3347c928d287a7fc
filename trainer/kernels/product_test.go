package kernels

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// values are normal numbers, and where wild is set some that are not.
func values(r *rand.Rand, n int, wild bool) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
		if wild && r.IntN(40) == 0 {
			odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-42, 3e38, -3e38}
			out[i] = odd[r.IntN(len(odd))]
		}
	}
	return out
}

// same compares bits; a NaN is a NaN.
func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
			t.Fatalf("%s: element %d of %d is %g, want %g", what, i, len(want), got[i], want[i])
		}
	}
}

// plainly runs f as on a processor without kernels.
func plainly(f func()) {
	defer func(t *tile) { chosen = t }(chosen)
	chosen = nil
	f()
}

// Every tile gives the plain form's bits in every layout, however many threads share the work, and writes nothing else.
func TestProductBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shapes := [][3]int{{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {1, 1, 1}, {1, 33, 7}, {14, 32, 8}, {15, 48, 9}, {13, 17, 257}, {29, 5, 64}, {6, 16, 260}, {65, 66, 16}, {7, 520, 3}, {170, 24, 5}, {2, 2, 520}}
	for range 6 {
		shapes = append(shapes, [3]int{1 + r.IntN(40), 1 + r.IntN(80), 1 + r.IntN(40)})
	}
	for number, s := range shapes {
		m, n, k := s[0], s[1], s[2]
		wild := number%3 == 2
		for layout := range 4 {
			gap := r.IntN(3)
			a, b := Matrix{Row: k + gap, Col: 1}, Matrix{Row: n + gap, Col: 1}
			if layout&1 != 0 {
				a = Matrix{Row: 1, Col: m + gap}
			}
			if layout&2 != 0 {
				b = Matrix{Row: 1, Col: k + gap}
			}
			if number%7 == 6 { // no stride of 1
				a, b = Matrix{Row: 2*k + 1, Col: 2}, Matrix{Row: 3*n + 1, Col: 3}
			}
			sizeA, sizeB := max(1, m)*a.Row+max(1, k)*a.Col, max(1, k)*b.Row+max(1, n)*b.Col
			batch := []Loop{{2, sizeA, 0}, {1 + number%3, 2 * sizeA, sizeB}}
			a.Data, b.Data = values(r, 8*sizeA, wild), values(r, 4*sizeB, wild)
			count := combinations(batch)
			want := make([]float32, count*m*n)
			walk(batch, 0, combinations(batch), func(i, pa, pb int) {
				productPlain(want[i*m*n:(i+1)*m*n], n, a.from(pa), b.from(pb), m, n, k)
			})
			for _, tile := range tiles(t) {
				for _, threads := range []int{1, 3} {
					got := make([]float32, count*m*n+3)
					for i := range got {
						got[i] = 77
					}
					tile.product(got, a, b, m, n, k, batch, threads)
					same(t, fmt.Sprintf("%s: %v layout %d, %d threads", tile.name, s, layout, threads), append(got[:count*m*n:count*m*n], got[count*m*n:]...), append(want, 77, 77, 77))
				}
			}
		}
	}
}

// A large product is divided among threads and blocks.
func TestLargeProductBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const m, n, k = 175, 530, 300
	a, b := Matrix{values(r, m*k, false), k, 1}, Matrix{values(r, n*k, false), 1, k}
	rows := []int{0, 13, 14, 87, 88, 167, 168, 174} // the plain form is slow
	want := make([][]float32, len(rows))
	for i, row := range rows {
		want[i] = make([]float32, n)
		productPlain(want[i], n, a.from(row*a.Row), b, 1, n, k)
	}
	for _, tile := range tiles(t) {
		for _, threads := range []int{1, 2, 3, 16} {
			got := make([]float32, m*n)
			tile.product(got, a, b, m, n, k, nil, threads)
			for i, row := range rows {
				same(t, fmt.Sprintf("%s, %d threads, row %d", tile.name, threads, row), got[row*n:(row+1)*n], want[i])
			}
		}
	}
}

// The plain form's fused multiply-add rounds once: against exact arithmetic.
func TestFMARoundsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		x, y := math.Float32frombits(r.Uint32()), math.Float32frombits(r.Uint32())
		z := float32(-float64(x) * float64(y)) // cancellation, and halves of the last digit
		switch r.IntN(3) {
		case 0:
			z = math.Float32frombits(r.Uint32())
		case 1:
			x, y = float32(r.IntN(1<<12)), float32(r.IntN(1<<13))+1
			z = float32(r.IntN(1<<24)) * float32(math.Exp2(float64(r.IntN(60)-30)))
		}
		if math.IsInf(float64(x), 0) || math.IsInf(float64(y), 0) || math.IsInf(float64(z), 0) || x != x || y != y || z != z {
			continue
		}
		exact := func(v float32) *big.Float { return new(big.Float).SetPrec(1000).SetFloat64(float64(v)) }
		sum := new(big.Float).SetPrec(1000)
		want, _ := sum.Add(sum.Mul(exact(x), exact(y)), exact(z)).Float32()
		if got := fma(x, y, z); got != want {
			t.Fatalf("%g*%g + %g is %g, want %g", x, y, z, got, want)
		}
	}
}

func BenchmarkProduct(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range [][3]int{{1040, 256, 256}, {916, 768, 3072}, {916, 3072, 768}, {768, 768, 916}, {1568, 64, 64}, {65, 66, 64}} {
		m, n, k := s[0], s[1], s[2]
		for _, layout := range []string{"AB", "AB'", "A'B"} {
			x, y := Matrix{values(r, m*k, false), k, 1}, Matrix{values(r, n*k, false), n, 1}
			switch layout {
			case "AB'":
				y.Row, y.Col = 1, k
			case "A'B":
				x.Row, x.Col = 1, m
			}
			c := make([]float32, m*n)
			for _, tile := range tiles(b) {
				b.Run(fmt.Sprintf("%dx%dx%d/%s/%s", m, n, k, layout, tile.name), func(b *testing.B) {
					for b.Loop() {
						tile.product(c, x, y, m, n, k, nil, 1)
					}
					b.ReportMetric(2*float64(m*n*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

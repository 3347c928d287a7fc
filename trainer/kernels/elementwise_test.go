package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// odd are numbers that kernels may get wrong.
func odd() []float32 {
	out := []float32{0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1e-40, 88.72, 88.73, -87.3, -87.4, -103.9, -104, 1 - 1e-7, 4, 3.9}
	return append(out, out[:9]...) // beside others in other lanes
}

func TestBinaryBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for op := Add; op <= Div; op++ {
		for _, n := range []int{0, 1, 2, 7, 8, 9, 31, 32, 40, 65, 100} {
			for form := range 4 {
				a, b := values(r, n, true), values(r, n, true)
				if form&1 != 0 {
					a = values(r, 1, false)
				}
				if form&2 != 0 {
					b = values(r, 1, false)
				}
				if n == 0 && len(a)+len(b) == 0 {
					continue
				}
				want, got := make([]float32, n), make([]float32, n+1)
				got[n] = 77
				binaryPlain(op, want, a, b)
				Binary(op, got[:n], a, b)
				same(t, fmt.Sprintf("%d of %d, form %d", op, n, form), got, append(want, 77))
				if form&1 == 0 { // in place
					Binary(op, a, a, b)
					same(t, fmt.Sprintf("%d of %d in place, form %d", op, n, form), a, want[:n])
				}
			}
		}
	}
}

func TestUnaryBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := odd()
	for range 20000 {
		x = append(x, float32(r.NormFloat64()*math.Exp(4*r.NormFloat64())))
	}
	for name, f := range map[string]struct {
		fast  func(out, x []float32)
		plain func(float32) float32
		exact func(float64) float64
	}{
		"exp":  {Exp, expPlain, math.Exp},
		"erf":  {Erf, erfPlain, math.Erf},
		"sqrt": {Sqrt, func(x float32) float32 { return float32(math.Sqrt(float64(x))) }, math.Sqrt},
		"neg":  {Neg, func(x float32) float32 { return -x }, func(x float64) float64 { return -x }},
	} {
		want, got := make([]float32, len(x)), make([]float32, len(x))
		worst := 0.0
		for i, v := range x {
			want[i] = f.plain(v)
			exact := f.exact(float64(v))
			if e := float32(exact); e == want[i] || e != e && want[i] != want[i] {
				continue
			}
			ulp := math.Abs(float64(math.Nextafter32(float32(exact), float32(math.Inf(1)))) - float64(float32(exact)))
			if d := math.Abs(float64(want[i])-exact) / ulp; !(d <= 2) {
				t.Fatalf("%s(%g) is %g, not %g: %g ulp", name, v, want[i], exact, d)
			} else {
				worst = max(worst, d)
			}
		}
		t.Logf("%s: at most %.2f ulp off", name, worst)
		f.fast(got, x)
		same(t, name, got, want)
		for _, n := range []int{0, 1, 5, 8, 13} {
			in := append([]float32{}, x[:n]...)
			f.fast(in, in)
			same(t, fmt.Sprint(name, " in place of ", n), in, want[:n])
		}
	}
}

func TestSumAndMaxBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for n := range 200 {
		x := values(r, n, n%5 == 4)
		want := float32(math.Inf(-1))
		for _, v := range x {
			want = max(want, v)
		}
		plainly(func() {
			if got := Max(x); got != want && (got == got || want == want) {
				t.Errorf("plain max of %d is %g, want %g", n, got, want)
			}
		})
		same(t, fmt.Sprint("sum of ", n), []float32{Sum(x)}, []float32{sumPlain(new([lanes]float32), x)})
		if got := Max(x); got != want && (got == got || want == want) {
			t.Errorf("max of %d is %g, want %g", n, got, want)
		}
	}
}

func BenchmarkElementwise(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	x, y := values(r, 1<<16, false), values(r, 1<<16, false)
	for name, f := range map[string]func(){
		"add": func() { Binary(Add, y, x, y) },
		"exp": func() { Exp(y, x) },
		"erf": func() { Erf(y, x) },
		"sum": func() { Sum(x) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(len(x)), "ns/value")
		})
	}
}

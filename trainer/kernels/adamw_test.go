package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAdamWBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	a := &AdamW{Clip: 0.3, Decay: 0.9995, Beta1: 0.9, Rest1: 0.1, Beta2: 0.98, Rest2: 0.02, Step: 1e-3, Root: 0.2, Epsilon: 1e-8}
	for _, n := range []int{0, 1, 7, 8, 31, 32, 33, 1023, 1024, 1025, 1056, 2049, 20000} {
		x, m, v, g := values(r, n, n%2 == 1), values(r, n, false), values(r, n, false), values(r, n, n%2 == 1)
		for i := range v {
			v[i] *= v[i]
		}
		average := values(r, n, false)
		x2, m2, v2, g2, average2 := slices.Clone(x), slices.Clone(m), slices.Clone(v), slices.Clone(g), slices.Clone(average)
		a.Update(x, m, v, g)
		a.updatePlain(x2, m2, v2, g2)
		Follow(average, x, 0.7)
		plainly(func() { Follow(average2, x2, 0.7) })
		same(t, fmt.Sprint("weight of ", n), x, x2)
		same(t, fmt.Sprint("first moment of ", n), m, m2)
		same(t, fmt.Sprint("second moment of ", n), v, v2)
		same(t, fmt.Sprint("gradient of ", n), g, g2)
		same(t, fmt.Sprint("average of ", n), average, average2)
		squares := make([]float32, n)
		for i, v := range g {
			squares[i] = v * v
		}
		want := sumPlain(new([lanes]float32), squares)
		same(t, fmt.Sprint("squares of ", n), []float32{SumSquares(g)}, []float32{want})
		plainly(func() { same(t, fmt.Sprint("plain squares of ", n), []float32{SumSquares(g)}, []float32{want}) })
	}
}

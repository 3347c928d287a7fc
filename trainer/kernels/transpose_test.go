package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestTransposeBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		rank := r.IntN(6)
		dims, n := make([]int, rank), 1
		for i := range dims {
			dims[i] = []int{1, 2, 3, 5, 8, 11, 16, 24, 72, 136}[r.IntN(10)]
			if n*dims[i] > 15000 {
				dims[i] = 1
			}
			n *= dims[i]
		}
		if r.IntN(20) == 0 && rank > 0 {
			dims[r.IntN(rank)], n = 0, 0
		}
		p := r.Perm(rank)
		x, got, want := values(r, n, false), make([]float32, n), make([]float32, n)
		at := make([]int, rank)
		for i := range x { // x in order
			to := 0
			for _, axis := range p {
				to = to*dims[axis] + at[axis]
			}
			want[to] = x[i]
			for axis := rank - 1; axis >= 0; axis-- {
				if at[axis]++; at[axis] < dims[axis] {
					break
				}
				at[axis] = 0
			}
		}
		Transpose(got, x, dims, p)
		same(t, fmt.Sprint(dims, p), got, want)
		clear(got)
		plainly(func() { Transpose(got, x, dims, p) })
		same(t, fmt.Sprint("plain ", dims, p), got, want)
	}
}

package random

import (
	"fmt"
	"math"
	"testing"
)

// A stream is its name: any part of it makes another, and nothing else does.
func TestStreamsAreTheirNames(t *testing.T) {
	seen := map[string]string{}
	for _, seed := range []uint64{0, 1} {
		for _, purpose := range []string{"flip", "clip", "flipa"} {
			for _, epoch := range []int{0, 1, -1} {
				for _, key := range []string{"", "a", "b"} {
					name := fmt.Sprint(seed, purpose, epoch, key)
					got := fmt.Sprint(New(seed, purpose, epoch, key).Uniform())
					if got != fmt.Sprint(New(seed, purpose, epoch, key).Uniform()) {
						t.Fatalf("%s is not itself", name)
					}
					if other, ok := seen[got]; ok {
						t.Fatalf("%s and %s are one", name, other)
					}
					seen[got] = name
				}
			}
		}
	}
}

// The first draws, written down once: shards and checkpoints of every day depend on them.
func TestStreamsStay(t *testing.T) {
	s := New(7, "flip", 3, "key")
	got := fmt.Sprintf("%.15f %.15f %d", s.Uniform(), s.Uniform(), s.Below(1000))
	if want := "0.389269326865729 0.178622211646718 740"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNormals(t *testing.T) {
	x := make([]float32, 100001)
	New(1, "n", 0, "").Normals(x, 2)
	sum, square := 0.0, 0.0
	for _, v := range x {
		sum += float64(v)
		square += float64(v) * float64(v)
	}
	n := float64(len(x))
	if mean, deviation := sum/n, math.Sqrt(square/n); math.Abs(mean) > 0.03 || math.Abs(deviation-2) > 0.03 {
		t.Errorf("mean %g, deviation %g", mean, deviation)
	}
}

func TestFlipIsFair(t *testing.T) {
	n := 0
	for i := range 10000 {
		if Flip(5, i%7, fmt.Sprint(i)) {
			n++
		}
	}
	if n < 4800 || n > 5200 {
		t.Errorf("%d of 10000", n)
	}
}

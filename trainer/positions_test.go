package trainer

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Positions are interpolated as PyTorch does it, on square grids and others.
func TestInterpolatePositions(t *testing.T) {
	b, err := os.ReadFile("testdata/positions.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Cases []struct {
			Grid, To     [2]int
			Width        int
			Values, Want []float32
		}
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	for _, c := range g.Cases {
		r := regrid{grid{c.Grid[0], c.Grid[1]}, grid{c.To[0], c.To[1]}}
		in := make([]float32, c.Width, c.Width+len(c.Values))
		for i := range in {
			in[i] = float32(100 + i) // the class token's
		}
		got := r.interpolate(append(in, c.Values...), c.Width)
		if len(got) != c.Width+len(c.Want) {
			t.Fatalf("%v: %d values", r, len(got))
		}
		for i := range c.Width {
			if got[i] != float32(100+i) {
				t.Errorf("%v: the class token's position changed to %g", r, got[i])
			}
		}
		for i, w := range c.Want {
			if d := math.Abs(float64(got[c.Width+i] - w)); d > 5e-6 {
				t.Errorf("%v[%d]: %g, want %g", r, i, got[c.Width+i], w)
			}
		}
	}
}

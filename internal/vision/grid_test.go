package vision

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Equal to Pillow's mode F, whose sums are double too, up to the rounding of a float32.
func TestResizeCropFloat(t *testing.T) {
	b, err := os.ReadFile("testdata/grid.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Cases []struct {
			Width, Height int
			Sum           float64
			Every         []float64 // 37th row, 41st column
		}
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	for _, c := range want.Cases {
		values := make([]float32, c.Width*c.Height)
		for i := range values {
			x, y := i%c.Width, i/c.Width
			values[i] = float32(float64((x*37+y*91)%251)*0.0625 + (float64(x)+2*float64(y))*0.01)
		}
		got, err := ResizeCropFloat(values, c.Width, c.Height, 224)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range got {
			sum += float64(v)
		}
		if math.Abs(sum-c.Sum) > 1e-6*math.Abs(c.Sum) {
			t.Errorf("%d x %d: the sum is %g, want %g", c.Width, c.Height, sum, c.Sum)
		}
		i := 0
		for y := 0; y < 224; y += 37 {
			for x := 0; x < 224; x += 41 {
				if v := float64(got[y*224+x]); math.Abs(v-c.Every[i]) > 2e-6*max(1, math.Abs(c.Every[i])) {
					t.Fatalf("%d x %d: (%d,%d) is %g, want %g", c.Width, c.Height, x, y, v, c.Every[i])
				}
				i++
			}
		}
	}
}

// A map of levels becomes what the picture becomes, but for the roundings to 8 bits.
func TestResizeCropFloatLiesOverThePicture(t *testing.T) {
	p := &Picture{Width: 301, Height: 257, Channels: 1, Pix: make([]uint8, 301*257)}
	values := make([]float32, len(p.Pix))
	for i := range values {
		p.Pix[i] = uint8(100 + i%301/4 + i/301/5)
		values[i] = float32(p.Pix[i])
	}
	a, err := ResizeCrop(p, 224)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ResizeCropFloat(values, 301, 257, 224)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if d := math.Abs(float64(a[i]) - float64(b[i])); d > 1.01 {
			t.Fatalf("value %d is %g, the picture's %d", i, b[i], a[i])
		}
	}
}

func TestResizeCropFloatRefuses(t *testing.T) {
	for _, c := range []struct{ w, h, n, size int }{{0, 1, 0, 8}, {2, 2, 3, 8}, {2, 2, 4, 0}, {MaxSide + 1, 1, 1, 8}} {
		if _, err := ResizeCropFloat(make([]float32, c.n), c.w, c.h, c.size); err == nil {
			t.Errorf("%+v passes", c)
		}
	}
}

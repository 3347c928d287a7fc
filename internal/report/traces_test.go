package report

import (
	"bytes"
	"image/png"
	"math"
	"testing"
)

func TestTracesPNG(t *testing.T) {
	x := make([]float32, 6*2000)
	for i := range x {
		x[i] = float32(math.Sin(float64(i) / 90))
	}
	clear(x[2000:4000]) // a still channel
	var b bytes.Buffer
	if err := TracesPNG(&b, x, 6); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if s := img.Bounds().Size(); s.X != 1000 || s.Y != 6*104-8 {
		t.Fatalf("%v", s)
	}
	for c := range 6 { // every column of every channel has its curve
		for col := range 1000 {
			found := false
			for y := c * 104; y < c*104+96; y++ {
				if r, _, _, _ := img.At(col, y).RGBA(); r>>8 == 182 {
					found = true
				}
			}
			if !found {
				t.Fatalf("channel %d column %d is empty", c, col)
			}
		}
	}
	if TracesPNG(&b, x[:7], 6) == nil || TracesPNG(&b, nil, 6) == nil {
		t.Error("a broken shape passes")
	}
}

package picture_test

import (
	"bytes"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"math"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
)

// Scaled decoding gives nearly the same crop, from an eighth to the whole size, and only libjpeg-turbo has it.
func TestScaledDecoding(t *testing.T) {
	tools := turbo(t)
	for _, s := range [][2]int{{1900, 1813}, {1000, 900}, {500, 450}, {449, 448}, {447, 600}, {300, 200}} {
		img := image.NewRGBA(image.Rect(0, 0, s[0], s[1]))
		for y := range s[1] {
			for x := range s[0] {
				fx, fy := float64(x)/float64(s[0]), float64(y)/float64(s[1])
				img.SetRGBA(x, y, color.RGBA{uint8(128 + 100*math.Sin(9*fx)), uint8(255 * fy), uint8(128 + 90*math.Cos(7*fy+3*fx)), 255})
			}
		}
		var b bytes.Buffer
		if err := stdjpeg.Encode(&b, img, &stdjpeg.Options{Quality: 92}); err != nil {
			t.Fatal(err)
		}
		o := picture.Options{Decoder: "turbo"}
		want, _, err := tools.DecodeCrop(b.Bytes(), o, 224)
		if err != nil {
			t.Fatal(err)
		}
		o.ScaledFor = 224
		got, info, err := tools.DecodeCrop(b.Bytes(), o, 224)
		if err != nil {
			t.Fatal(err)
		}
		if info.Width != s[0] || info.Height != s[1] {
			t.Errorf("%v: said to be %d x %d", s, info.Width, info.Height)
		}
		if _, mean, worst := difference(t, got, want); mean > 1 || worst > 12 {
			t.Errorf("%v: mean %.3f, largest %d", s, mean, worst)
		}
		p, _, err := tools.DecodePicture(b.Bytes(), o)
		if err != nil {
			t.Fatal(err)
		}
		if side := min(p.Width, p.Height); side < min(224, s[0], s[1]) || side >= 448 && min(s[0], s[1]) >= 448 {
			t.Errorf("%v: decoded to %d x %d", s, p.Width, p.Height)
		}
	}
	if _, _, err := tools.DecodeCrop(readPicture(t, "s2x2.jpg"), picture.Options{ScaledFor: 224}, 224); fault.KindOf(err) != fault.Usage {
		t.Errorf("scaled by Go: %v", err)
	}
}

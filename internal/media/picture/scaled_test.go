package picture_test

import (
	"bytes"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"math"
	"os"
	"path/filepath"
	"testing"

	"prep/internal/media/picture"
	"prep/internal/vision"
)

// Scaled decoding gives nearly the same crop, from an eighth to the whole size.
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
}

// Scaled, Go gives libjpeg-turbo's pixels: of every sampling, sequential or not, at a half, a quarter and an eighth.
func TestScaledDecodingIsLibjpegs(t *testing.T) {
	tools := turbo(t)
	names, err := filepath.Glob("testdata/pictures/*.jpg")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d pictures, %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{2, 4, 8} {
			_, info, err := tools.DecodePicture(data, picture.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if min(info.Width, info.Height) < 8 {
				continue // libjpeg-turbo is told a size, which several scales have then, and takes the largest
			}
			least := (min(info.Width, info.Height) + n - 1) / n
			want, _, err := tools.DecodePicture(data, picture.Options{Decoder: "turbo", ScaledFor: least})
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := tools.DecodePicture(data, picture.Options{ScaledFor: least})
			if err != nil {
				t.Fatal(err)
			}
			if got.Width != want.Width || got.Height != want.Height {
				t.Errorf("%s by %d: %d x %d, want %d x %d", name, n, got.Width, got.Height, want.Width, want.Height)
			} else if share, mean, worst := difference(t, got.Pix, want.Pix); worst > 0 {
				t.Errorf("%s by %d: %.2f %% of the samples differ, mean %.3f, largest %d", name, n, 100*share, mean, worst)
			}
			chw, _, err := tools.DecodeCrop(data, picture.Options{ScaledFor: least}, 16)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := vision.ResizeCrop(got, 16)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, worst := difference(t, chw, whole); worst > 0 {
				t.Errorf("%s by %d: the crop is another", name, n)
			}
		}
	}
}

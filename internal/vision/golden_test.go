package vision_test

import (
	"encoding/json"
	"image"
	"image/draw"
	_ "image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/sbinet/npyio/npz"

	"prep/internal/vision"
)

func golden(parts ...string) string {
	root := os.Getenv("PREP_GOLDEN")
	if root == "" {
		root = filepath.Join("..", "..", "testdata", "golden")
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

// Resizing apart from decoding: the golden's decoded pixels in, the golden's crop out.
func TestGoldenResizeOfDecodedPixels(t *testing.T) {
	decoded, err := filepath.Glob(golden("preprocess", "image", "*_decoded.png"))
	if err != nil || len(decoded) == 0 {
		t.Fatalf("no decoded picture: %v", err)
	}
	for _, path := range decoded {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		img, _, err := image.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		b := img.Bounds()
		n := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		draw.Draw(n, n.Bounds(), img, b.Min, draw.Src)
		p := &vision.Picture{Width: b.Dx(), Height: b.Dy(), Channels: 3}
		for i := 0; i < len(n.Pix); i += 4 {
			p.Pix = append(p.Pix, n.Pix[i:i+3]...)
		}
		got, err := vision.ResizeCrop(p, 224)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		name = name[:len(name)-len("_decoded.png")]
		var want []uint8
		z, err := npz.Open(golden("preprocess", "image", "crops_uint8.npz"))
		if err != nil {
			t.Fatal(err)
		}
		err = z.Read(name+".npy", &want)
		z.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 224 * 224 {
			for c := range 3 {
				if got[c*224*224+i] != want[3*i+c] {
					t.Fatalf("%s: pixel %d channel %d is %d, want %d", name, i, c, got[c*224*224+i], want[3*i+c])
				}
			}
		}
	}
}

func TestGoldenVideo(t *testing.T) {
	var info struct {
		FramesTaken []int `json:"frames_taken"`
	}
	b, err := os.ReadFile(golden("preprocess", "video", "video.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &info); err != nil {
		t.Fatal(err)
	}
	path := golden("preprocess", "video", "video.npz")
	z, err := npz.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var clip []uint8
	var want []float32
	if err := z.Read("clip_uint8.npy", &clip); err != nil {
		t.Fatal(err)
	}
	if err := z.Read("every_8th.npy", &want); err != nil {
		t.Fatal(err)
	}
	shape := z.Header("clip_uint8.npy").Descr.Shape
	frames, h, w := shape[1], shape[2], shape[3]
	worst := 0.0
	for crop := range 3 {
		for f, index := range info.FramesTaken {
			p := &vision.Picture{Width: w, Height: h, Channels: 3, Pix: make([]uint8, 3*w*h)}
			for c := range 3 {
				for i := range w * h {
					p.Pix[3*i+c] = clip[(c*frames+index)*w*h+i]
				}
			}
			got, err := vision.VideoFrameFloat(p, 224, vision.Crop(crop))
			if err != nil {
				t.Fatal(err)
			}
			for c := range 3 {
				for y := range 28 {
					for x := range 28 {
						g := (got[(c*224+8*y)*224+8*x] - vision.Mean[c]) / vision.Std[c]
						// want is [crop][c][frame][y][x]
						e := want[(((crop*3+c)*len(info.FramesTaken)+f)*28+y)*28+x]
						worst = max(worst, math.Abs(float64(g-e)))
						if math.Abs(float64(g-e)) > 2e-5 {
							t.Fatalf("crop %d frame %d channel %d at %d,%d: %g, want %g", crop, f, c, 8*y, 8*x, g, e)
						}
					}
				}
			}
		}
	}
	t.Logf("largest difference %.1e", worst)
}

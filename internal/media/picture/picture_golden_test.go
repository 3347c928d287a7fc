package picture_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"

	"prep/internal/media/picture"
	"prep/internal/needs"
	"prep/internal/vision"
)

// goldenImage is a row of preprocess/image/images.json.
type goldenImage struct {
	File          string `json:"file"`
	Mode          string `json:"mode"`
	Size          [2]int `json:"size_wh"`
	Resized       [2]int `json:"resized_wh"`
	Orientation   int    `json:"exif_orientation"`
	DecodedSHA256 string `json:"decoded_rgb_sha256"`
	DecodedPNG    string `json:"decoded_png"`
	CropSHA256    string `json:"crop_chw_sha256"` // of testdata/pictures only
}

func imageGolden(parts ...string) string {
	root := os.Getenv("PREP_GOLDEN")
	if root == "" {
		root = filepath.Join("..", "..", "..", "testdata", "golden")
	}
	return filepath.Join(append([]string{root, "preprocess", "image"}, parts...)...)
}

func goldenImages(t *testing.T) []goldenImage {
	t.Helper()
	b, err := os.ReadFile(imageGolden("images.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Images []goldenImage }
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Images) == 0 {
		t.Fatal("images.json lists no image")
	}
	return list.Images
}

// readCrops reads an npz of uint8 arrays by input file; the array is named for the file without its
// extension. Not every input need be in it.
func readCrops(t *testing.T, archive string, images []goldenImage) map[string][]uint8 {
	t.Helper()
	z, err := npz.Open(imageGolden(archive))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	keys := z.Keys()
	out := map[string][]uint8{}
	for _, im := range images {
		key := strings.TrimSuffix(im.File, filepath.Ext(im.File)) + ".npy"
		if !slices.Contains(keys, key) {
			continue
		}
		var v []uint8
		if err := z.Read(key, &v); err != nil {
			t.Fatalf("%s in %s: %v", im.File, archive, err)
		}
		out[im.File] = v
	}
	if len(out) != len(keys) || len(out) == 0 {
		t.Fatalf("%s holds %v, %d of them named in images.json", archive, keys, len(out))
	}
	return out
}

// imagebindPictures is what the imagebind preset asks for.
var imagebindPictures = picture.Options{Alpha: "drop", Depth16: "clip"}

// difference compares 8-bit samples: how many differ, the mean and the largest difference in levels.
func difference(t *testing.T, got, want []uint8) (share, mean float64, worst int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	var sum, n int
	for i, g := range got {
		d := max(int(g), int(want[i])) - min(int(g), int(want[i]))
		sum += d
		worst = max(worst, d)
		if d != 0 {
			n++
		}
	}
	return float64(n) / float64(len(got)), float64(sum) / float64(len(got)), worst
}

// planar turns [n][n][3] into [3][n][n].
func planar(hwc []uint8) []uint8 {
	out := make([]uint8, len(hwc))
	for i := range len(hwc) / 3 {
		for c := range 3 {
			out[c*len(hwc)/3+i] = hwc[3*i+c]
		}
	}
	return out
}

// turbo returns the library or skips the test: without it there is nothing to test.
func turbo(t testing.TB) *picture.Decoder {
	t.Helper()
	tools := (&picture.Decoder{Turbo: picture.OpenTurboJPEG()})
	needs.Tool(t, tools.Turbo != nil, "libjpeg-turbo's libturbojpeg.so.0 (Debian: apt-get install libturbojpeg0)")
	return tools
}

// Pillow's own pixels from every input, decoded, cropped and grey, by both decoders of JPEG: equal. (The
// golden's tolerance for a decoder that is not libjpeg, mean 0.5 and largest 30, is not needed.)
func TestGoldenPictures(t *testing.T) {
	images := goldenImages(t)
	crops := readCrops(t, "crops_uint8.npz", images)
	greys := readCrops(t, "gray_crops_uint8.npz", images)
	for _, decoder := range []string{"go", "turbo"} {
		t.Run(decoder, func(t *testing.T) {
			tools := &picture.Decoder{}
			if decoder == "turbo" {
				tools = turbo(t)
			}
			for _, im := range images {
				t.Run(im.File, func(t *testing.T) {
					data, err := os.ReadFile(imageGolden(im.File))
					if err != nil {
						t.Fatal(err)
					}
					o := imagebindPictures
					o.Decoder = decoder
					p, info, err := tools.DecodePicture(data, o)
					if err != nil {
						t.Fatal(err)
					}
					if info.Width != im.Size[0] || info.Height != im.Size[1] || info.Orientation != im.Orientation {
						t.Errorf("size %d x %d, orientation %d; want %v, %d", info.Width, info.Height, info.Orientation, im.Size, im.Orientation)
					}
					if w, h := vision.ShortSide(info.Width, info.Height, 224); w != im.Resized[0] || h != im.Resized[1] {
						t.Errorf("resized to %d x %d, want %v", w, h, im.Resized)
					}
					if sum := sha256.Sum256(p.Pix); hex.EncodeToString(sum[:]) != im.DecodedSHA256 {
						t.Errorf("decoded pixels are not Pillow's")
					}
					check := func(name string, p *vision.Picture, want []uint8) {
						got, err := vision.ResizeCrop(p, 224)
						if err != nil {
							t.Fatal(err)
						}
						share, mean, worst := difference(t, got, want)
						if worst != 0 {
							t.Errorf("%s crop: %.3f %% of the values differ, mean %.4f, largest %d", name, 100*share, mean, worst)
						}
					}
					want, ok := crops[im.File]
					if !ok {
						t.Fatal("no crop to compare with")
					}
					check("RGB", p, planar(want))
					if want, ok := greys[im.File]; ok {
						check("grey", vision.Gray(p), want)
					}
				})
			}
		})
	}
}

// The float tensor of the original, bit for bit, by way of the stored bytes.
func TestGoldenPictureFloats(t *testing.T) {
	n := 0
	for _, im := range goldenImages(t) {
		archive := strings.TrimSuffix(im.File, filepath.Ext(im.File)) + "_float32.npz"
		if _, err := os.Stat(imageGolden(archive)); os.IsNotExist(err) {
			continue
		}
		z, err := npz.Open(imageGolden(archive))
		if err != nil {
			t.Fatal(err)
		}
		n++
		var want []float32
		if keys := z.Keys(); len(keys) != 1 {
			t.Fatalf("%s holds %v", archive, keys)
		} else if err := z.Read(keys[0], &want); err != nil {
			t.Fatal(err)
		}
		z.Close()
		data, err := os.ReadFile(imageGolden(im.File))
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := new(picture.Decoder).DecodePicture(data, imagebindPictures)
		if err != nil {
			t.Fatal(err)
		}
		chw, err := vision.ResizeCrop(p, 224)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range vision.Normalize(chw) {
			if v != want[i] {
				t.Fatalf("%s: value %d is %v, want %v", im.File, i, v, want[i])
			}
		}
	}
	if n == 0 {
		t.Fatal("no *_float32.npz")
	}
}

// The pixels before resizing, as a picture file of their own.
func TestGoldenDecodedPixels(t *testing.T) {
	n := 0
	for _, im := range goldenImages(t) {
		if im.DecodedPNG == "" {
			continue
		}
		n++
		read := func(name string) *vision.Picture {
			data, err := os.ReadFile(imageGolden(name))
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := new(picture.Decoder).DecodePicture(data, imagebindPictures)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		share, mean, worst := difference(t, read(im.File).Pix, read(im.DecodedPNG).Pix)
		if worst != 0 {
			t.Errorf("%s: %.3f %% of the samples differ, mean %.4f, largest %d", im.File, 100*share, mean, worst)
		}
	}
	if n == 0 {
		t.Fatal("images.json names no decoded_png")
	}
}

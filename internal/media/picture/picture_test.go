package picture_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
	"prep/internal/vision"
)

// Every variant of every format in testdata/pictures and testdata/tiff, as Pillow reads it: JPEG through both
// decoders.
func TestPicturesAreAsPillowReadsThem(t *testing.T) {
	arePillows(t, "testdata/pictures", "pictures.json")
	arePillows(t, "testdata/tiff", "tiff.json")
}

func arePillows(t *testing.T, folder, name string) {
	var list struct{ Images []goldenImage }
	b, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	for _, decoder := range []string{"go", "turbo"} {
		t.Run(decoder, func(t *testing.T) {
			tools := new(picture.Decoder)
			if decoder == "turbo" {
				tools = turbo(t)
			}
			for _, im := range list.Images {
				data, err := os.ReadFile(filepath.Join(folder, im.File))
				if err != nil {
					t.Fatal(err)
				}
				o := imagebindPictures
				o.Decoder = decoder
				p, info, err := tools.DecodePicture(data, o)
				if err != nil {
					t.Errorf("%s: %v", im.File, err)
					continue
				}
				if info.Width != im.Size[0] || info.Height != im.Size[1] || info.Orientation != im.Orientation {
					t.Errorf("%s: %d x %d, orientation %d; want %v, %d", im.File, info.Width, info.Height, info.Orientation, im.Size, im.Orientation)
				}
				if want := (strings.HasSuffix(im.File, ".jpg") && decoder == "turbo"); (info.Decoder == "turbo") != want {
					t.Errorf("%s: decoded by %s", im.File, info.Decoder)
				}
				if sum := sha256.Sum256(p.Pix); hex.EncodeToString(sum[:]) != im.DecodedSHA256 {
					t.Errorf("%s (%s): not Pillow's pixels", im.File, im.Mode)
				}
				crop, err := vision.ResizeCrop(p, 224)
				if err != nil {
					t.Fatal(err)
				}
				short, shortInfo, err := tools.DecodeCrop(data, o, 224)
				if err != nil || !bytes.Equal(short, crop) || shortInfo != info {
					t.Errorf("%s: DecodeCrop gives something else (%v, %+v and %+v)", im.File, err, shortInfo, info)
				}
				if sum := sha256.Sum256(crop); hex.EncodeToString(sum[:]) != im.CropSHA256 {
					t.Errorf("%s (%s): not Pillow's crop", im.File, im.Mode)
				}
			}
		})
	}
}

// decodeFile decodes a file of testdata/pictures with the Go decoders.
func decodeFile(t *testing.T, name string, o picture.Options) (*vision.Picture, picture.Info) {
	t.Helper()
	p, info, err := new(picture.Decoder).DecodePicture(readPicture(t, name), o)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p, info
}

func readPicture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/pictures", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPictureOrientation(t *testing.T) {
	for _, name := range []string{"exif8.jpg", "exif3.png", "exif6.webp"} {
		stored, info := decodeFile(t, name, picture.Options{})
		turned, _ := decodeFile(t, name, picture.Options{ApplyOrientation: true})
		want := vision.Orient(stored, info.Orientation)
		if info.Orientation < 2 || turned.Width != want.Width || !bytes.Equal(turned.Pix, want.Pix) {
			t.Errorf("%s: orientation %d not applied", name, info.Orientation)
		}
		if bytes.Equal(turned.Pix, stored.Pix) {
			t.Errorf("%s: orientation %d changed nothing", name, info.Orientation)
		}
	}
}

// Compositing against the formula on the file's own colours and alpha.
func TestPictureAlpha(t *testing.T) {
	for _, name := range []string{"rgba.png", "la.png", "lossless_alpha.webp", "lossy_alpha.webp", "rgba.tif", "palette_trns.png", "rgba16.png"} {
		colours, info := decodeFile(t, name, picture.Options{Alpha: "drop"})
		if !info.HadAlpha {
			t.Errorf("%s: alpha not seen", name)
		}
		white, _ := decodeFile(t, name, picture.Options{})
		black, _ := decodeFile(t, name, picture.Options{Alpha: "black"})
		for i, c := range colours.Pix {
			// white - black is 255 - alpha, but for rounding.
			a := 255 - (int(white.Pix[i]) - int(black.Pix[i]))
			want := (int(c)*a + 127) / 255
			if d := int(black.Pix[i]) - want; d < -1 || d > 1 {
				t.Fatalf("%s: sample %d of colour %d with alpha %d is %d on black, want %d", name, i, c, a, black.Pix[i], want)
			}
		}
		if bytes.Equal(white.Pix, black.Pix) || bytes.Equal(white.Pix, colours.Pix) {
			t.Errorf("%s: the background makes no difference", name)
		}
	}
	if _, info := decodeFile(t, "rgb.png", picture.Options{}); info.HadAlpha {
		t.Error("rgb.png has no alpha")
	}
}

func TestPictureDepth16(t *testing.T) {
	// grey16 is the 8-bit grey times 5: scaled it is dark, clipped it is nearly white.
	grey, _ := decodeFile(t, "grey.png", picture.Options{})
	for _, name := range []string{"grey16.png", "grey16.tif"} {
		scaled, info := decodeFile(t, name, picture.Options{})
		clipped, _ := decodeFile(t, name, picture.Options{Depth16: "clip"})
		if info.Bits != 16 {
			t.Errorf("%s: %d bits", name, info.Bits)
		}
		for i, g := range grey.Pix {
			v := int(g) * 5
			if want := (v*255 + 32767) / 65535; int(scaled.Pix[i]) != want {
				t.Fatalf("%s: %d scaled is %d, want %d", name, v, scaled.Pix[i], want)
			}
			if want := min(v, 255); int(clipped.Pix[i]) != want {
				t.Fatalf("%s: %d clipped is %d, want %d", name, v, clipped.Pix[i], want)
			}
		}
	}
}

func TestPictureOptionsAreChecked(t *testing.T) {
	data := readPicture(t, "rgb.png")
	for _, o := range []picture.Options{{Alpha: "pink"}, {Depth16: "dither"}, {Decoder: "opencv"}, {Decoder: "go turbo"}, {MaxPixels: -1}} {
		if _, _, err := new(picture.Decoder).DecodePicture(data, o); fault.KindOf(err) != fault.Usage {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, _, err := new(picture.Decoder).DecodePicture(readPicture(t, "rgb.jpg"), picture.Options{Decoder: "turbo"}); fault.KindOf(err) != fault.Environment {
		t.Errorf("turbo without the library: %v", err)
	}
	if _, _, err := new(picture.Decoder).DecodePicture(data, picture.Options{MaxPixels: 67 * 45}); err != nil {
		t.Errorf("as many pixels as allowed: %v", err)
	}
}

// A progressive picture without its finer scans: what is missing is guessed as by libjpeg-turbo.
func TestUnfinishedProgressiveJPEG(t *testing.T) {
	turbo := turbo(t)
	// SHA-256 of what Pillow 13.0.0 with libjpeg-turbo 3.2.0 makes of the first scans alone.
	pillow := map[string]map[int]string{
		"progressive.jpg":         {1: "9941ffa285fa6768"},
		"progressive_restart.jpg": {1: "a3946e750f88f96d"},
	}
	for name, data := range progressives(t) {
		var scans []int
		for at := 0; ; {
			i := bytes.Index(data[at:], []byte("\xff\xda"))
			if i < 0 {
				break
			}
			scans = append(scans, at+i)
			at += i + 2
		}
		if len(scans) < 3 {
			t.Fatalf("%s: %d scans", name, len(scans))
		}
		for n := 1; n < len(scans); n++ {
			// Tables for the scan that is left out stand before it, which is no harm.
			cut := append(bytes.Clone(data[:scans[n]]), 0xff, 0xd9)
			got, _, err := new(picture.Decoder).DecodePicture(cut, picture.Options{})
			if err != nil {
				t.Errorf("%s, %d of %d scans: %v", name, n, len(scans), err)
				continue
			}
			if sum := pillow[filepath.Base(name)][n]; sum != "" && sum != fmt.Sprintf("%x", sha256.Sum256(got.Pix))[:16] {
				t.Errorf("%s, %d of %d scans: not Pillow's pixels", name, n, len(scans))
			}
			want, _, err := turbo.DecodePicture(cut, picture.Options{Decoder: "turbo"})
			if err != nil {
				t.Errorf("%s, %d of %d scans by libjpeg-turbo: %v", name, n, len(scans), err)
				continue
			}
			sum, most := 0, 0
			for i, v := range got.Pix {
				d := max(int(v), int(want.Pix[i])) - min(int(v), int(want.Pix[i]))
				sum, most = sum+d, max(most, d)
			}
			// Before version 3 libjpeg-turbo looks less far where a component has several rows of blocks in an MCU.
			mean, rows := float64(sum)/float64(len(got.Pix)), bytes.Contains(data, []byte("\x01\x22\x00"))
			if most > 0 && (!rows || most > 10 || mean > 1) {
				t.Errorf("%s, %d of %d scans: %d off at most, %.3f on average", name, n, len(scans), most, mean)
			}
		}
	}
}

// progressives are the progressive JPEG files among the tests'.
func progressives(t *testing.T) map[string][]byte {
	t.Helper()
	m := map[string][]byte{}
	for _, dir := range []string{"testdata/pictures", "../../../testdata/golden/image"} {
		files, _ := filepath.Glob(dir + "/*.jp*g")
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("\xff\xc2\x00")) {
				m[path] = data
			}
		}
	}
	if len(m) == 0 {
		t.Fatal("no progressive file")
	}
	return m
}

// The top half of a JPEG, with the rest missing: refused, or kept with grey below.
func TestTruncatedJPEG(t *testing.T) {
	for _, decoder := range []string{"go", "turbo"} {
		t.Run(decoder, func(t *testing.T) {
			tools := new(picture.Decoder)
			if decoder == "turbo" {
				tools = turbo(t)
			}
			for _, name := range []string{"s2x2.jpg", "grey.jpg", "restart.jpg", "progressive.jpg", "cmyk_420.jpg"} {
				data := readPicture(t, name)
				whole, _, err := tools.DecodePicture(data, picture.Options{Decoder: decoder})
				if err != nil {
					t.Fatal(err)
				}
				scan := bytes.Index(data, []byte("\xff\xda"))
				data = data[:(2*scan+3*len(data))/5]
				// The same with an end marker put on: only the entropy-coded data tells.
				for _, cut := range [][]byte{data, append(bytes.Clone(data), 0xff, 0xd9)} {
					if name == "progressive.jpg" && len(cut) != len(data) {
						continue // may end between two scans
					}
					_, _, err := tools.DecodePicture(cut, picture.Options{Decoder: decoder})
					if fault.KindOf(err) != fault.Corrupt || fault.ReasonOf(err) != "truncated" {
						t.Errorf("%s cut to %d bytes: %v", name, len(cut), err)
					}
					p, _, err := tools.DecodePicture(cut, picture.Options{Decoder: decoder, AllowTruncated: true})
					if err != nil {
						t.Errorf("%s cut to %d bytes and allowed: %v", name, len(cut), err)
						continue
					}
					if top := 3 * p.Width * 8; name != "progressive.jpg" && !bytes.Equal(p.Pix[:top], whole.Pix[:top]) {
						t.Errorf("%s cut to %d bytes: the first rows are not the whole picture's", name, len(cut))
					}
				}
			}
		})
	}
}

// A PNG that lacks its end alone is kept on request, pixel for pixel, and one that lacks pixels is not.
func TestPNGWithoutEnd(t *testing.T) {
	data := readPicture(t, "la.png")
	whole, _, err := new(picture.Decoder).DecodePicture(data, picture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, lacking := range []int{12, 5} {
		p, _, err := new(picture.Decoder).DecodePicture(data[:len(data)-lacking], picture.Options{AllowTruncated: true})
		if err != nil || !bytes.Equal(p.Pix, whole.Pix) {
			t.Errorf("without its last %d bytes: %v", lacking, err)
		}
	}
	for _, lacking := range []int{13, 40} {
		if _, _, err := new(picture.Decoder).DecodePicture(data[:len(data)-lacking], picture.Options{AllowTruncated: true}); fault.ReasonOf(err) != "truncated" {
			t.Errorf("without its last %d bytes: %v", lacking, err)
		}
	}
}

package picture_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
	"prep/internal/needs"
)

// seedPictures adds the small files of testdata/pictures and testdata/tiff of the given extensions, all when none is given.
func seedPictures(f *testing.F, extensions ...string) {
	var names []string
	for _, folder := range []string{"pictures", "tiff"} {
		in, err := filepath.Glob("testdata/" + folder + "/*.*")
		if err != nil || len(in) == 0 {
			f.Fatalf("no seeds: %v", err)
		}
		names = append(names, in...)
	}
	for _, name := range names {
		ext := filepath.Ext(name)
		if ext == ".py" || ext == ".json" || len(extensions) > 0 && !strings.Contains(strings.Join(extensions, " "), ext) {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// checkDecoded holds what must be true of any input: a whole picture of the size the header says within
// the cap, or an error of a kind that costs one sample.
func checkDecoded(t *testing.T, tools *picture.Decoder, data []byte, o picture.Options) []uint8 {
	o.MaxPixels = 1 << 18
	p, info, err := tools.DecodePicture(data, o)
	if err != nil {
		if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported {
			t.Fatalf("%v: %v", k, err)
		}
		if fault.ReasonOf(err) == "internal" || err.Error() == "" {
			t.Fatalf("an error without a reason: %v", err)
		}
		return nil
	}
	if p.Channels != 3 || len(p.Pix) != 3*p.Width*p.Height || p.Width*p.Height > 1<<18 || p.Width*p.Height != info.Width*info.Height {
		t.Fatalf("a picture of %d x %d x %d with %d bytes, info %+v", p.Width, p.Height, p.Channels, len(p.Pix), info)
	}
	return p.Pix
}

func FuzzDecodePicture(f *testing.F) {
	seedPictures(f)
	tools := new(picture.Decoder)
	f.Fuzz(func(t *testing.T, data []byte) {
		checkDecoded(t, tools, data, picture.Options{ApplyOrientation: true, AllowTruncated: true})
		a := checkDecoded(t, tools, data, imagebindPictures)
		if b := checkDecoded(t, tools, data, imagebindPictures); !bytes.Equal(a, b) {
			t.Fatal("the same file gave two pictures")
		}
	})
}

// What both decoders of JPEG accept has one size. Pixels are not compared here: of a damaged file each may
// make something else up. That whole files are equal is the business of the other tests.
func FuzzDecodePictureTurbo(f *testing.F) {
	tools := (&picture.Decoder{Turbo: picture.OpenTurboJPEG()})
	needs.Tool(f, tools.Turbo != nil, "libjpeg-turbo's libturbojpeg.so.0 (Debian: apt-get install libturbojpeg0)")
	seedPictures(f, ".jpg")
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte("\xff\xd8\xff")) {
			return
		}
		o := imagebindPictures
		o.Decoder = "turbo"
		a := checkDecoded(t, tools, data, o)
		o.Decoder = "go"
		b := checkDecoded(t, tools, data, o)
		if a != nil && b != nil && len(a) != len(b) {
			t.Fatalf("%d and %d bytes", len(a), len(b))
		}
		o.Decoder, o.AllowTruncated = "turbo", true
		checkDecoded(t, tools, data, o)
	})
}

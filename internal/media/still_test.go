package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
	"prep/internal/vision"
)

func readStill(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("picture/testdata/heif", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// difference is the mean and the largest between two pictures of one size.
func difference(t *testing.T, a, b *vision.Picture) (mean float64, most int) {
	t.Helper()
	if a.Width != b.Width || a.Height != b.Height || len(a.Pix) != len(b.Pix) {
		t.Fatalf("%d x %d and %d x %d", a.Width, a.Height, b.Width, b.Height)
	}
	sum := 0
	for i, v := range a.Pix {
		d := int(v) - int(b.Pix[i])
		d = max(d, -d)
		sum += d
		most = max(most, d)
	}
	return float64(sum) / float64(len(a.Pix)), most
}

// Every variant in testdata/heif, against what Pillow (libavif) and pillow-heif (libheif) read. libheif's conversion
// rounds elsewhere: by a level or two. deep.heic has 10 bits, which it cuts and swscale dithers.
func TestHEIFIsAsItsLibrariesReadIt(t *testing.T) {
	tools := needFFmpeg(t)
	names, err := filepath.Glob("picture/testdata/heif/*.png")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d references: %v", len(names), err)
	}
	for _, reference := range names {
		name := strings.TrimSuffix(filepath.Base(reference), ".png")
		mean, most := 0.3, 2
		switch name {
		case "deep.heic":
			mean, most = 1, 4
		case "limited.heic":
			mean = 0.7
		}
		if strings.HasSuffix(name, ".avif") {
			mean, most = 0, 0
		}
		b := readStill(t, name+".png")
		want, _, err := new(picture.Decoder).DecodePicture(b, picture.Options{Alpha: "drop"})
		if err != nil {
			t.Fatal(err)
		}
		got, info, err := tools.DecodePicture(t.Context(), readStill(t, name), picture.Options{Alpha: "drop"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m, d := difference(t, got, want); m > mean || d > most {
			t.Errorf("%s: differs by %.3f in the mean and %d at most, want %g and %d", name, m, d, mean, most)
		}
		format := strings.ToUpper(strings.TrimPrefix(filepath.Ext(name), "."))
		if info.Format != format || info.Decoder != "ffmpeg" || info.HadAlpha != (strings.HasPrefix(name, "alpha") || name == "premultiplied.avif") {
			t.Errorf("%s: %+v", name, info)
		}
		if name != "grid.heic" {
			continue
		}
		crop, cropInfo, err := tools.DecodeCrop(t.Context(), readStill(t, name), picture.Options{Alpha: "drop"}, 32)
		if whole, _ := vision.ResizeCrop(got, 32); err != nil || cropInfo != info || !bytes.Equal(crop, whole) {
			t.Errorf("%s: DecodeCrop gives something else (%v)", name, err)
		}
	}
}

// An AVIF file's turn is as an EXIF orientation to Pillow; a HEIC file's belongs to the picture.
func TestHEIFOrientation(t *testing.T) {
	tools := needFFmpeg(t)
	stored, info, err := tools.DecodePicture(t.Context(), readStill(t, "turned.avif"), picture.Options{})
	if err != nil || info.Orientation != 6 {
		t.Fatalf("orientation %d, %v", info.Orientation, err)
	}
	turned, _, err := tools.DecodePicture(t.Context(), readStill(t, "turned.avif"), picture.Options{ApplyOrientation: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := vision.Orient(stored, 6); !bytes.Equal(turned.Pix, want.Pix) || turned.Width != want.Width {
		t.Error("the AVIF file is not turned")
	}
	for _, apply := range []bool{false, true} {
		p, info, err := tools.DecodePicture(t.Context(), readStill(t, "rotated1.heic"), picture.Options{ApplyOrientation: apply})
		if err != nil || p.Width != 64 || p.Height != 128 || info.Orientation != 0 {
			t.Errorf("apply %v: %d x %d, orientation %d, %v", apply, p.Width, p.Height, info.Orientation, err)
		}
	}
}

// White less black is the opacity, a ramp from the left to the right.
func TestHEIFAlpha(t *testing.T) {
	tools := needFFmpeg(t)
	for _, name := range []string{"alpha.avif", "alpha.heic"} {
		data := readStill(t, name)
		white, _, err := tools.DecodePicture(t.Context(), data, picture.Options{})
		if err != nil {
			t.Fatal(err)
		}
		black, _, err := tools.DecodePicture(t.Context(), data, picture.Options{Alpha: "black"})
		if err != nil {
			t.Fatal(err)
		}
		for x := range white.Width {
			i := 3 * (40*white.Width + x)
			want := min(max(255*(x-8)/(150-16), 0), 255)
			if a := 255 - int(white.Pix[i]) + int(black.Pix[i]); a < want-12 || a > want+12 {
				t.Errorf("%s: opacity %d in column %d, want about %d", name, a, x, want)
			}
		}
	}
}

func TestOneProcessAStill(t *testing.T) {
	counted, runs := counting(t, needFFmpeg(t))
	for _, name := range []string{"plain.avif", "alpha.heic", "grid.heic"} {
		before := runs()
		if _, _, err := counted.DecodePicture(t.Context(), readStill(t, name), picture.Options{}); err != nil {
			t.Fatal(err)
		}
		if n := runs() - before; n != 1 {
			t.Errorf("%s: %d processes", name, n)
		}
	}
}

// What is refused, with and without ffmpeg, and in which words.
func TestMalformedHEIF(t *testing.T) {
	tools := needFFmpeg(t)
	avif, heic := readStill(t, "plain.avif"), readStill(t, "plain.heic")
	grid, cropped := readStill(t, "grid.heic"), readStill(t, "cropped.heic")
	overlay := readStill(t, "overlay.heic")
	at := func(data []byte, word string, after int) int {
		t.Helper()
		i := bytes.Index(data, []byte(word))
		if i < 0 {
			t.Fatalf("no %q", word)
		}
		return i + len(word) + after
	}
	put := func(data []byte, at int, b ...byte) []byte {
		out := bytes.Clone(data)
		copy(out[at:], b)
		return out
	}
	const corrupt, unsupported = fault.Corrupt, fault.Unsupported
	for _, c := range []struct {
		name   string
		data   []byte
		kind   fault.Kind
		reason string
		words  string
	}{
		{"no more than its kind", avif[:32], corrupt, "truncated", "fetch the file again"},
		{"cut in the description", heic[:200], corrupt, "truncated", "fetch the file again"},
		{"cut in the picture: AVIF", avif[:len(avif)-100], corrupt, "truncated", "lies at bytes"},
		{"cut in the picture: HEIC", heic[:len(heic)-100], corrupt, "truncated", "lies at bytes"},
		{"cut in the last tile", grid[:len(grid)-9], corrupt, "truncated", "lies at bytes"},
		{"a bomb of a size", put(heic, at(heic, "ispe", 4), 0, 1, 0, 0, 0, 1, 0, 0), unsupported, "too_large", "65536 x 65536"},
		{"no pixel", put(heic, at(heic, "ispe", 4), 0, 0, 0, 0), corrupt, "corrupt_picture", "0 x"},
		{"no picture of its own", put(heic, at(heic, "pitm", 4), 0, 99), corrupt, "corrupt_picture", "picture 99"},
		{"a kind of picture that is none", put(heic, at(heic, "infe", 8), 'j', 'p', 'e', 'g'), unsupported, "unsupported_picture", `kind "jpeg"`},
		{"encrypted", put(heic, at(heic, "infe", 6), 0, 1), unsupported, "unsupported_picture", "encrypted"},
		{"no configuration", put(heic, at(heic, "hvcC", -4), 'f', 'r', 'e', 'e'), unsupported, "unsupported_picture", `"free"`},
		{"a crop beyond the picture", put(cropped, at(cropped, "clap", 0), 0, 0, 9, 9), corrupt, "corrupt_picture", "outside"},
		{"a matrix of the future", put(heic, at(heic, "nclx", 4), 0, 99), unsupported, "unsupported_picture", "99"},
		{"no AV1 at all", put(avif, at(avif, "mdat", 0), bytes.Repeat([]byte{0xff}, len(avif)-at(avif, "mdat", 0))...), corrupt, "corrupt_picture", "AVIF"},
		{"no HEVC at all", put(heic, at(heic, "mdat", 4), bytes.Repeat([]byte{0xff}, 2000)...), corrupt, "corrupt_picture", "HEIC"},
		{"a unit longer than the picture", put(heic, at(heic, "mdat", 0), 0x7f), corrupt, "corrupt_picture", "unit"},
		{"two tiles of one column", put(grid, at(grid, "mdat", 3), 1), corrupt, "corrupt_picture", "6 tiles for 2 x 2"},
		{"another size of the grid", put(grid, at(grid, "mdat", 4), 0, 151), corrupt, "corrupt_picture", "the grid is 151"},
		{"a tile that is missing", readStill(t, "bad_grid_of_five.heic"), corrupt, "corrupt_picture", "5 tiles for 3 x 2"},
		{"a property that has to be understood", readStill(t, "bad_essential.heic"), unsupported, "unsupported_picture", "what"},
		{"another size than the coded picture", readStill(t, "bad_size.heic"), corrupt, "corrupt_picture", "128 x 72"},
		{"an overlay of another size", put(overlay, at(overlay, "mdat", 11), 201), corrupt, "corrupt_picture", "the overlay is 201 x 120"},
		{"an overlay of nothing", put(overlay, at(overlay, "dimg", 2), 0, 0), corrupt, "corrupt_picture", "no pictures"},
		{"an overlay of itself", put(overlay, at(overlay, "dimg", 4), 0, 1), unsupported, "unsupported_picture", "overlay (iovl) within"},
		{"an overlay of what is not there", put(overlay, at(overlay, "dimg", 4), 0, 9), corrupt, "corrupt_picture", "not there"},
		{"a derived picture", readStill(t, "bad_derived.heic"), unsupported, "unsupported_picture", "iden"},
		{"a sequence alone", []byte("\x00\x00\x00\x14ftypmsf1\x00\x00\x00\x00hevc\x00\x00\x00\x08moov"), unsupported, "unsupported_picture", "no still picture"},
	} {
		p, _, err := tools.DecodePicture(t.Context(), c.data, picture.Options{})
		if err == nil {
			t.Errorf("%s: decoded to %d x %d", c.name, p.Width, p.Height)
			continue
		}
		if fault.KindOf(err) != c.kind || fault.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, reason %s: %q, want %v, %s: ...%s...", c.name, fault.KindOf(err), fault.ReasonOf(err), err, c.kind, c.reason, c.words)
		}
	}
	if _, _, err := new(Tools).DecodePicture(t.Context(), heic, picture.Options{}); fault.KindOf(err) != unsupported || fault.ReasonOf(err) != "needs_ffmpeg" || !strings.Contains(err.Error(), "install ffmpeg") {
		t.Errorf("without ffmpeg: %v", err)
	}
	if _, _, err := tools.DecodePicture(t.Context(), heic, picture.Options{MaxPixels: 100}); fault.ReasonOf(err) != "too_large" {
		t.Errorf("above the cap: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := tools.DecodePicture(ended, heic, picture.Options{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	// A program that reads nothing of what it gets, or nothing but that.
	for _, script := range []string{"exit 1\n", "cat <&3 >/dev/null\n", "exec sleep 60\n"} {
		odd := &Tools{FFmpeg: fakeProgram(t, script), TimeLimit: 2e9}
		if _, _, err := odd.DecodePicture(t.Context(), append(heic, make([]byte, 1<<20)...), picture.Options{}); fault.KindOf(err) != corrupt {
			t.Errorf("%q: %v", script, err)
		}
	}
}

// A camera's own brand first, and the standard's among those it is compatible with.
func TestHEIFByBrand(t *testing.T) {
	heic := readStill(t, "plain.heic")
	copy(heic[8:], "MiHE")
	if !picture.IsHEIF(heic) {
		t.Error("not known by its compatible brands")
	}
	mp4 := []byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41")
	binary.BigEndian.PutUint32(mp4, uint32(len(mp4)))
	if picture.IsHEIF(mp4) {
		t.Error("an MP4 taken for a picture")
	}
}

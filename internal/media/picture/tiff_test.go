package picture_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
)

func readTIFF(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/tiff", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What Pillow does not read, or reads wrong, is the same pattern in another file that it does.
func TestTIFFVariants(t *testing.T) {
	decode := func(name string, o picture.Options) []uint8 {
		p, _, err := new(picture.Decoder).DecodePicture(readTIFF(t, name), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return p.Pix
	}
	for _, c := range []struct {
		name, as string
		off      int // levels: half a float's precision is 1/2048
	}{
		{"planar16.tif", "rgb.tif", 0},
		{"big_big_endian.tif", "rgb.tif", 0},
		{"f32_rgb_unit.tif", "rgb.tif", 0},
		{"f16_rgb_unit.tif", "rgb.tif", 1},
		{"f64_unit.tif", "grey.tif", 0},
		{"u32.tif", "grey.tif", 0},
		{"la16.tif", "la.tif", 0},
		{"lab.tif", "lab_exact.tif", 1},
		{"lab16.tif", "lab_exact.tif", 1},
		{"icclab.tif", "lab_exact.tif", 1},
		{"icclab16_big_endian.tif", "lab_exact.tif", 1},
		{"ycbcr_21_plain.tif", "ycbcr_21.tif", 0},
		{"lzma16.tif", "rgb.tif", 0},
		{"fax_words.tif", "fax_runs.tif", 0},
	} {
		got, want := decode(c.name, picture.Options{}), decode(c.as, picture.Options{})
		for i, v := range want {
			if d := int(got[i]) - int(v); d < -c.off || d > c.off {
				t.Errorf("%s: sample %d is %d, in %s %d", c.name, i, got[i], c.as, v)
				break
			}
		}
	}
	clip := picture.Options{Depth16: "clip"}
	if got, want := decode("s32_big_endian.tif", clip), decode("s16.tif", clip); !bytes.Equal(got, want) {
		t.Error("s32_big_endian.tif is not s16.tif")
	}
	// As maps they keep their values.
	for _, name := range []string{"s16.tif", "s32_big_endian.tif"} {
		g, err := new(picture.Decoder).DecodeGrid(readTIFF(t, name), 0)
		if err != nil || g.Values[0] != -300 || g.Values[len(g.Values)-1] != 604 {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, err := new(picture.Decoder).DecodeGrid(readTIFF(t, "big_grid.tif"), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range decode("grey.tif", picture.Options{}) {
		if g.Values[i/3] != float32(v) {
			t.Fatalf("big_grid.tif: value %d is %g, want %d", i/3, g.Values[i/3], v)
		}
	}
	// Colours that are multiplied by their opacity: on black they stay as they are, but for what is brighter than
	// its opacity allows.
	grey, alpha := decode("lx.tif", picture.Options{}), decode("la_multiplied.tif", picture.Options{Alpha: "black"})
	white := decode("la_multiplied.tif", picture.Options{})
	for i, v := range grey {
		opacity := 255 - (int(white[i]) - int(alpha[i]))
		if want := min(int(v), opacity); int(alpha[i]) < want-2 || int(alpha[i]) > want+2 {
			t.Fatalf("la_multiplied.tif: sample %d is %d on black, want %d", i, alpha[i], want)
		}
	}
}

// A tag that is there ten thousand times, each time with the whole file for its values, is read once.
func TestTIFFRepeatedTags(t *testing.T) {
	le := binary.LittleEndian
	const n = 10000
	file := le.AppendUint32([]byte("II*\x00"), 8)
	file = le.AppendUint16(file, n)
	for range n {
		file = le.AppendUint16(file, 258)
		file = le.AppendUint16(file, 1)
		file = le.AppendUint32(file, 8<<20)
		file = le.AppendUint32(file, 8)
	}
	file = append(file, make([]byte, 8<<20)...)
	if _, _, err := new(picture.Decoder).DecodePicture(file, picture.Options{}); fault.KindOf(err) != fault.Corrupt {
		t.Error(err)
	}
}

// A grey picture of 20 x 18 in four tiles of 16 x 16: the padding of the tiles is no part of it.
func TestTiledTIFF(t *testing.T) {
	const w, h, tile = 20, 18, 16
	le := binary.LittleEndian
	level := func(x, y int) uint8 { return uint8(11*x + 7*y) }
	file := []byte("II*\x00\x00\x00\x00\x00")
	var offsets []uint32
	for ty := range 2 {
		for tx := range 2 {
			offsets = append(offsets, uint32(len(file)))
			for y := range tile {
				for x := range tile {
					v := uint8(99) // padding
					if px, py := tx*tile+x, ty*tile+y; px < w && py < h {
						v = level(px, py)
					}
					file = append(file, v)
				}
			}
		}
	}
	lists := uint32(len(file))
	for _, o := range offsets {
		file = le.AppendUint32(file, o)
	}
	for range offsets {
		file = le.AppendUint32(file, tile*tile)
	}
	le.PutUint32(file[4:], uint32(len(file)))
	entries := [][3]uint32{ // tag, count, value; all LONG
		{256, 1, w}, {257, 1, h}, {258, 1, 8}, {259, 1, 1}, {262, 1, 1}, {277, 1, 1},
		{322, 1, tile}, {323, 1, tile}, {324, 4, lists}, {325, 4, lists + 16},
	}
	file = le.AppendUint16(file, uint16(len(entries)))
	for _, e := range entries {
		file = le.AppendUint16(file, uint16(e[0]))
		file = le.AppendUint16(file, 4)
		file = le.AppendUint32(file, e[1])
		file = le.AppendUint32(file, e[2])
	}
	file = le.AppendUint32(file, 0)
	p, info, err := new(picture.Decoder).DecodePicture(file, picture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Width != w || p.Height != h || info.Width != w {
		t.Fatalf("%d x %d, said to be %d x %d", p.Width, p.Height, info.Width, info.Height)
	}
	for y := range h {
		for x := range w {
			if got := p.Pix[3*(y*w+x)]; got != level(x, y) {
				t.Fatalf("pixel %d, %d is %d, want %d", x, y, got, level(x, y))
			}
		}
	}
}

// A black bar on white, fax-coded by Pillow: black is zero, so that the white paper is the runs called black.
func TestFaxTIFF(t *testing.T) {
	for name, code := range map[string]string{
		"group 3": "SUkqADIAAAAAE1AuACagXABNXMOACauYcAE1cw4AJq5hwATVzDgAmoFwATUC4AJqBcAJAAABAwABAAAAGAAAAAEBAwABAAAACgAAAAIBAwABAAAAAQAAAAMBAwABAAAAAwAAAAYBAwABAAAAAQAAABEBBAABAAAACAAAABYBAwABAAAACgAAABcBBAABAAAAKgAAABwBAwABAAAAAQAAAAAAAAA=",
		"group 4": "SUkqABQAAAAmoF+XP//8fgAgAgAJAAABAwABAAAAGAAAAAEBAwABAAAACgAAAAIBAwABAAAAAQAAAAMBAwABAAAABAAAAAYBAwABAAAAAQAAABEBBAABAAAACAAAABYBAwABAAAACgAAABcBBAABAAAACwAAABwBAwABAAAAAQAAAAAAAAA=",
	} {
		file, err := base64.StdEncoding.DecodeString(code)
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := (&picture.Decoder{}).DecodePicture(file, picture.Options{Decoder: "go"})
		if err != nil || p.Width != 24 || p.Height != 10 {
			t.Fatalf("%s: %v", name, err)
		}
		for y := range 10 {
			for x := range 24 {
				want := uint8(255)
				if x >= 4 && x <= 11 && y >= 2 && y <= 6 {
					want = 0
				}
				if got := p.Pix[(y*24+x)*p.Channels]; got != want {
					t.Fatalf("%s: pixel %d, %d is %d, want %d", name, x, y, got, want)
				}
			}
		}
	}
}

package picture_test

import (
	"encoding/base64"
	"encoding/binary"
	"testing"

	"prep/internal/media/picture"
)

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

package picture_test

import (
	"os"
	"path/filepath"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
	"prep/internal/vision"
)

// FuzzReadHEIF: whatever the boxes say, what is allocated is within the cap and the stream within a few times the
// file, and tiles can be laid.
func FuzzReadHEIF(f *testing.F) {
	names, err := filepath.Glob("testdata/heif/*.[ah][ve]i[fc]")
	if err != nil || len(names) < 20 {
		f.Fatalf("%d seeds: %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	o := picture.Options{MaxPixels: 1 << 18}
	f.Fuzz(func(t *testing.T, data []byte) {
		picture.IsHEIF(data)
		h, err := picture.ReadHEIF(data, o)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported || err.Error() == "" {
				t.Fatalf("%v: %v", k, err)
			}
			return
		}
		lay := func(h *picture.HEIF, s *picture.HEIFStream, channels int) *vision.Picture {
			if s == nil {
				return nil
			}
			if len(s.Data) > 16*len(data)+2<<20 || s.TileWidth*s.TileHeight > 1<<18 {
				t.Fatalf("%d bytes of stream in a file of %d, tiles of %d x %d", len(s.Data), len(data), s.TileWidth, s.TileHeight)
			}
			canvas := h.Canvas(channels)
			if canvas.Width*canvas.Height > 1<<18 {
				t.Fatalf("a canvas of %d x %d", canvas.Width, canvas.Height)
			}
			tile := &vision.Picture{Width: s.TileWidth, Height: s.TileHeight, Channels: channels, Pix: make([]uint8, channels*s.TileWidth*s.TileHeight)}
			for range min(s.Tiles, 100) {
				if err := h.Place(s, canvas, tile); err != nil {
					t.Fatal(err)
				}
			}
			return canvas
		}
		colour := lay(h, h.Colour, 3)
		if h.Colour == nil {
			colour = h.Background()
			for _, l := range h.Layers {
				if err := l.Lay(colour, lay(l.HEIF, l.Colour, 3), lay(l.HEIF, l.Alpha, 1)); err != nil && l.Colour.Tiles <= 100 {
					t.Fatal(err)
				}
			}
		}
		p, info, err := h.Finish(colour, lay(h, h.Alpha, 1), o)
		if err == nil && (p.Width*p.Height != info.Width*info.Height || len(p.Pix) != 3*p.Width*p.Height) {
			t.Fatalf("%d x %d of %+v", p.Width, p.Height, info)
		}
	})
}

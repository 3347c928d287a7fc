package picture

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"prep/internal/fault"
	"prep/internal/vision"
)

// Planes are Y, Cb and Cr of an AVIF picture of 8 bits, each of one channel, before its colours are made.
type Planes [3]*vision.Picture

// colourSteps are the factors of a conversion in libyuv's fixed point of 6 bits, of luma of 16 and with an offset: what
// libavif, and so Pillow, converts 8 bits with. Chroma's have no more than 8 bits there, so that blue of BT.709 and of
// BT.2020 in the limited range, 2.11 and 2.14, is 2.
type colourSteps struct{ luma, offset, blue, greenOfBlue, greenOfRed, red int }

// libyuvSteps are by matrix (ITU-T H.273) and range, limited and full.
var libyuvSteps = map[int][2]colourSteps{
	1: {{18997, -1160, 128, 14, 34, 115}, {16320, 32, 119, 12, 30, 101}},
	6: {{18997, -1160, 128, 25, 52, 102}, {16320, 32, 113, 22, 46, 90}},
	9: {{19003, -1160, 128, 12, 42, 107}, {16320, 32, 120, 11, 37, 94}},
}

func (s *HEIFStream) steps() (colourSteps, bool) {
	matrix := s.Matrix
	switch matrix {
	case -1, 2, 5: // BT.601 too
		matrix = 6
	}
	both, ok := libyuvSteps[matrix]
	if !ok || s.FullRange < 0 {
		return colourSteps{}, false
	}
	return both[s.FullRange], true
}

// AsPlanes reports whether the stream is to be decoded to planes, for RGB to convert as libavif does, instead of to
// pixels: what has 8 bits, chroma, a matrix that libavif has fast arithmetic for, and tiles that meet between two
// samples of chroma.
func (s *HEIFStream) AsPlanes() bool {
	if _, ok := s.steps(); !ok || s.Codec != "av1" || s.Bits != 8 || s.Grey {
		return false
	}
	return s.Tiles == 1 || s.TileWidth%s.ChromaX == 0 && s.TileHeight%s.ChromaY == 0
}

// chroma is the size of a plane of chroma for one of luma.
func (s *HEIFStream) chroma(width, height int) (w, h int) {
	return (width + s.ChromaX - 1) / s.ChromaX, (height + s.ChromaY - 1) / s.ChromaY
}

// CanvasPlanes are empty planes of the coded size.
func (h *HEIF) CanvasPlanes(s *HEIFStream) Planes {
	w, t := s.chroma(h.width, h.height)
	plane := func(w, h int) *vision.Picture {
		return &vision.Picture{Width: w, Height: h, Channels: 1, Pix: make([]uint8, w*h)}
	}
	return Planes{h.Canvas(1), plane(w, t), plane(w, t)}
}

// ReadTiles reads the tiles of a stream as YUV4MPEG2 and lays each where it belongs in canvas.
func (h *HEIF) ReadTiles(s *HEIFStream, r *bufio.Reader, canvas Planes) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil // how the process ended says why
	}
	var width, height int
	kind := ""
	for i, word := range strings.Fields(line) {
		switch {
		case i == 0 && word != "YUV4MPEG2":
			return fault.Corruptf("corrupt_picture", "%s: ffmpeg's pictures are not understood", h.Info.Format)
		case word[0] == 'W':
			_, _ = fmt.Sscanf(word, "W%d", &width)
		case word[0] == 'H':
			_, _ = fmt.Sscanf(word, "H%d", &height)
		case word[0] == 'C' && len(word) >= 4:
			kind = word[1:4]
		}
	}
	if width != s.TileWidth || height != s.TileHeight {
		return fault.Corruptf("corrupt_picture", "%s: the file says %d x %d pixels and the coded picture has %d x %d", h.Info.Format, s.TileWidth, s.TileHeight, width, height)
	}
	if want := map[[2]int]string{{1, 1}: "444", {2, 1}: "422", {2, 2}: "420"}[[2]int{s.ChromaX, s.ChromaY}]; kind != want {
		return fault.Corruptf("corrupt_picture", "%s: the file says chroma of the kind %s and the coded picture has %q", h.Info.Format, want, kind)
	}
	w, t := s.chroma(width, height)
	tile := Planes{
		{Width: width, Height: height, Channels: 1, Pix: make([]uint8, width*height)},
		{Width: w, Height: t, Channels: 1, Pix: make([]uint8, w*t)},
		{Width: w, Height: t, Channels: 1, Pix: make([]uint8, w*t)},
	}
	for {
		if _, err := r.ReadString('\n'); err != nil {
			return nil
		}
		for _, p := range tile {
			if _, err := io.ReadFull(r, p.Pix); err != nil {
				return nil
			}
		}
		if s.placed >= s.Tiles {
			return h.tooMany(s)
		}
		for i := range tile {
			lay(canvas[i], tile[i], s.placed%s.columns, s.placed/s.columns)
		}
		s.placed++
	}
}

// RGB converts planes as libavif does with libyuv, to the level: chroma is interpolated with 9/16, 3/16, 3/16 and 1/16
// of the samples around (the last column of an odd width takes its own alone), then colours are made in fixed point.
func (s *HEIFStream) RGB(p Planes) *vision.Picture {
	k, _ := s.steps()
	width, height := p[0].Width, p[0].Height
	out := &vision.Picture{Width: width, Height: height, Channels: 3, Pix: make([]uint8, 3*width*height)}
	blue, red := make([]uint8, width), make([]uint8, width)
	sums := make([]int, p[1].Width)
	for y := range height {
		s.expand(blue, p[1], y, sums)
		s.expand(red, p[2], y, sums)
		row := out.Pix[3*width*y:][:3*width]
		for x, v := range p[0].Pix[width*y:][:width] {
			luma := int(v)*0x101*k.luma>>16 + k.offset
			b, r := int(blue[x])-128, int(red[x])-128
			d := row[3*x : 3*x+3 : 3*x+3]
			d[0] = level(luma + r*k.red)
			d[1] = level(luma - b*k.greenOfBlue - r*k.greenOfRed)
			d[2] = level(luma + b*k.blue)
		}
	}
	return out
}

// level drops the fixed-point bits and cuts to 0..255.
func level(v int) uint8 { return uint8(min(max(v>>6, 0), 255)) }

// expand brings row y of chroma to full size. sums is scratch.
func (s *HEIFStream) expand(dst []uint8, p *vision.Picture, y int, sums []int) {
	if s.ChromaX == 1 {
		copy(dst, p.Pix[p.Width*y:])
		return
	}
	at, far := y, y
	if s.ChromaY == 2 {
		at = y / 2
		far = min(max(at-1+y%2*2, 0), p.Height-1)
	}
	for i, v := range p.Pix[p.Width*at:][:p.Width] {
		sums[i] = 3*int(v) + int(p.Pix[p.Width*far+i])
	}
	last := len(sums) - 1
	for x := range dst {
		near := x / 2
		other := min(max(near-1+x%2*2, 0), last)
		if x == len(dst)-1 {
			other = near
		}
		dst[x] = uint8((3*sums[near] + sums[other] + 8) >> 4)
	}
}

// unattenuate divides colours by opacity in place, as libyuv does it for libavif.
func unattenuate(rgba []uint8) {
	var inverse [256]uint32
	for a := 2; a < 255; a++ {
		inverse[a] = 0x10000 / uint32(a)
	}
	inverse[1], inverse[255] = 0xffff, 0x100
	for i := 0; i+4 <= len(rgba); i += 4 {
		p := rgba[i : i+4 : i+4]
		for c := range 3 {
			p[c] = uint8(min(uint32(p[c])*0x101*inverse[p[3]]>>16, 255))
		}
	}
}

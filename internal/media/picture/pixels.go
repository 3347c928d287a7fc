package picture

import (
	"image"
	"image/color"

	"prep/internal/fault"
	"prep/internal/vision"
)

// flatten makes 8-bit RGB of whatever a decoder returned: 16-bit samples, alpha, palettes and grey as the
// options say. grey16 says that the file's samples are 16-bit grey, for Depth16 "clip". It sets
// info.HadAlpha.
func flatten(img image.Image, o Options, grey16 bool, info *Info) (*vision.Picture, error) {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w != info.Width || h != info.Height {
		return nil, fault.Corruptf("corrupt_picture", "%s: the header says %d x %d pixels and the data %d x %d", info.Format, info.Width, info.Height, w, h)
	}
	row, err := rowReader(img, o, grey16)
	if err != nil {
		return nil, err
	}
	out := &vision.Picture{Width: w, Height: h, Channels: 3, Pix: make([]uint8, 3*w*h)}
	rgba := make([]uint8, 4*w)
	background := uint32(255)
	if o.Alpha == "black" {
		background = 0
	}
	for y := range h {
		row(y, rgba)
		dst := out.Pix[3*w*y:][:3*w]
		for x := range w {
			s, d := rgba[4*x:4*x+4:4*x+4], dst[3*x:3*x+3:3*x+3]
			d[0], d[1], d[2] = s[0], s[1], s[2]
			if s[3] == 255 {
				continue
			}
			info.HadAlpha = true
			if o.Alpha != "drop" {
				a := uint32(s[3])
				under := background*(255-a) + 127
				for c := range d {
					d[c] = uint8((uint32(s[c])*a + under) / 255)
				}
			}
		}
	}
	return out, nil
}

// rowReader returns a function that writes row y of img, counted from its top, as RGBA with 8 bits and
// without premultiplied alpha.
func rowReader(img image.Image, o Options, grey16 bool) (func(y int, rgba []uint8), error) {
	b := img.Bounds()

	to8 := eightBits(o, grey16)
	switch m := img.(type) {
	case *image.Gray:
		return func(y int, rgba []uint8) {
			for x, v := range m.Pix[y*m.Stride:][:b.Dx()] {
				d := rgba[4*x : 4*x+4 : 4*x+4]
				d[0], d[1], d[2], d[3] = v, v, v, 255
			}
		}, nil
	case *image.Gray16:
		return func(y int, rgba []uint8) {
			p := m.Pix[y*m.Stride:][:2*b.Dx()]
			for x := range b.Dx() {
				v := to8(p[2*x], p[2*x+1])
				d := rgba[4*x : 4*x+4 : 4*x+4]
				d[0], d[1], d[2], d[3] = v, v, v, 255
			}
		}, nil
	case *image.NRGBA:
		return func(y int, rgba []uint8) { copy(rgba, m.Pix[y*m.Stride:][:4*b.Dx()]) }, nil
	case *image.RGBA:
		return func(y int, rgba []uint8) {
			copy(rgba, m.Pix[y*m.Stride:][:4*b.Dx()])
			unmultiply(rgba)
		}, nil
	case *image.NRGBA64:
		return func(y int, rgba []uint8) {
			p := m.Pix[y*m.Stride:][:8*b.Dx()]
			for i := range rgba {
				rgba[i] = to8(p[2*i], p[2*i+1])
			}
			if grey16 { // clip is for the sample, not for its opacity
				for x := range b.Dx() {
					rgba[4*x+3] = scale8(p[8*x+6], p[8*x+7])
				}
			}
		}, nil
	case *image.RGBA64:
		return func(y int, rgba []uint8) {
			p := m.Pix[y*m.Stride:][:8*b.Dx()]
			for i := range rgba {
				rgba[i] = to8(p[2*i], p[2*i+1])
			}
			unmultiply(rgba)
		}, nil
	case *image.Paletted:
		table := paletteTable(m)
		return func(y int, rgba []uint8) {
			for x, v := range m.Pix[y*m.Stride:][:b.Dx()] {
				copy(rgba[4*x:4*x+4], table[v][:])
			}
		}, nil
	case *image.CMYK:
		return func(y int, rgba []uint8) {
			p := m.Pix[y*m.Stride:][:4*b.Dx()]
			for x := range b.Dx() {
				s, d := p[4*x:4*x+4:4*x+4], rgba[4*x:4*x+4:4*x+4]
				d[0], d[1], d[2] = cmykRGB(s[0], s[1], s[2], s[3])
				d[3] = 255
			}
		}, nil
	case *image.YCbCr: // only WebP comes here
		return vp8Rows(m, nil, 0), nil
	case *image.NYCbCrA:
		if m.AStride < b.Dx() || len(m.A) < m.AStride*b.Dy() {
			return nil, fault.Corruptf("corrupt_picture", "WebP: the alpha plane is smaller than the picture")
		}
		return vp8Rows(&m.YCbCr, m.A, m.AStride), nil
	}
	return func(y int, rgba []uint8) {
		for x := range b.Dx() {
			c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			d := rgba[4*x : 4*x+4 : 4*x+4]
			d[0], d[1], d[2], d[3] = c.R, c.G, c.B, c.A
		}
	}, nil
}

// eightBits is Depth16 as a function of the two bytes of a sample, the high one first.
func eightBits(o Options, grey bool) func(hi, lo uint8) uint8 {
	switch {
	case o.Depth16 != "clip":
		return scale8
	case grey: // Pillow's convert from mode I;16
		return func(hi, lo uint8) uint8 {
			if hi != 0 {
				return 255
			}
			return lo
		}
	}
	return func(hi, _ uint8) uint8 { return hi } // Pillow's raw modes RGB;16B and LA;16B
}

// scale8 maps 0..65535 to 0..255, rounded to the nearest.
func scale8(hi, lo uint8) uint8 {
	return uint8((uint32(hi)<<8*255 + uint32(lo)*255 + 32767) / 65535)
}

// unmultiply divides colours by alpha, in place.
func unmultiply(rgba []uint8) {
	for i := 0; i+4 <= len(rgba); i += 4 {
		p := rgba[i : i+4 : i+4]
		a := uint32(p[3])
		switch a {
		case 255:
		case 0:
			p[0], p[1], p[2] = 0, 0, 0
		default: // truncated, as Pillow
			for c := range 3 {
				p[c] = uint8(min(uint32(p[c])*255/a, 255))
			}
		}
	}
}

// paletteTable has an entry for every index; those beyond the palette are opaque black.
func paletteTable(m *image.Paletted) *[256][4]uint8 {
	var t [256][4]uint8
	for i := range t {
		t[i][3] = 255
	}
	for i, c := range m.Palette[:min(len(m.Palette), 256)] {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		t[i] = [4]uint8{n.R, n.G, n.B, n.A}
	}
	return &t
}

// cmykRGB is Pillow's conversion: R = (255-K) - C(255-K)/255, rounded, and so on. 255 is full ink.
func cmykRGB(c, m, y, k uint8) (r, g, b uint8) {
	paper := 255 - uint32(k)
	ink := func(v uint8) uint8 {
		t := uint32(v)*paper + 128
		return uint8(paper - (t>>8+t)>>8) // t/255 rounded
	}
	return ink(c), ink(m), ink(y)
}

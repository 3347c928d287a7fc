package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"math"

	"prep/internal/fault"
	"prep/internal/media/picture/jpeg"
	"prep/internal/vision"
)

// decodeTIFF reads the first picture of a TIFF or BigTIFF file: grey, RGB, palette, CMYK, YCbCr and Lab with 1 to 32 bits a
// sample or floating point, with or without opacity, in strips or tiles, interleaved or in planes; compressed by
// LZW, Deflate, PackBits, Zstandard, LZMA, JPEG or a fax code.
//
// Floating-point samples run from 0 to 1, as everywhere in imaging; a file of others has no known white and is
// refused, but under Depth16 "clip", where grey is cut to 0..255 as Pillow does.
func decodeTIFF(_ *Decoder, data []byte, o Options, info *Info) (*vision.Picture, error) {
	t, err := openTIFF(data, "picture", func(width, height int64) error {
		info.Width, info.Height = int(min(width, math.MaxInt32)), int(min(height, math.MaxInt32))
		return o.admit(info.Format, info.Width, info.Height)
	})
	if err != nil {
		return nil, err
	}
	info.Bits = int(t.bits)
	pix, err := t.picture(o, info)
	if err != nil {
		return nil, err
	}
	orientation := int(t.tag(tiffOrientation, 0))
	if orientation == 0 {
		orientation = xmpOrientation(data)
	}
	// In a TIFF file the orientation is not advice in its metadata but says how the rows lie: Pillow turns
	// the picture whoever reads it, and so does every reader built on libtiff's RGBA interface.
	return vision.Orient(pix, orientation), nil
}

// picture reads the pixels.
func (t *tiffFile) picture(o Options, info *Info) (*vision.Picture, error) {
	colours := map[int64]int64{tiffWhiteIsZero: 1, tiffBlackIsZero: 1, tiffRGB: 3, tiffPalette: 1, tiffCMYK: 4, tiffYCbCr: 3, tiffLab: 3, tiffICCLab: 3}[t.photometric]
	extra := t.tags[tiffExtraSamples]
	alpha, multiplied := int64(-1), false
	switch {
	case colours == 0:
		return nil, t.unsupported("colours of another kind (photometric interpretation %d)", t.photometric)
	case t.samples < colours:
		return nil, t.corrupt("%d samples a pixel, and %d colours", t.samples, colours)
	case t.kind == tiffSigned && t.photometric != tiffLab && (o.Depth16 != "clip" || t.bits < 16 || t.samples > 1 || t.photometric != tiffBlackIsZero):
		return nil, fault.Unsupportedf("unsupported_picture", "TIFF: signed samples of %d bits are a measurement more than a picture: read as depth or thermal (with thermal.min and thermal.max) they keep their values; image.depth16: clip reads grey ones of 16 and 32 bits as Pillow does, cut at 0 and 255", t.bits)
	case t.bits%8 != 0 && (t.samples > 1 || colours > 1):
		return nil, t.unsupported("%d samples of %d bits a pixel", t.samples, t.bits)
	case t.photometric == tiffPalette && (t.kind != tiffUnsigned || t.bits > 8 || len(t.tags[tiffColourMap]) < 3<<t.bits):
		return nil, t.corrupt("a palette of %d numbers for samples of %d bits", len(t.tags[tiffColourMap]), t.bits)
	case t.photometric == tiffCMYK && (t.kind != tiffUnsigned || t.bits > 16):
		return nil, t.unsupported("inks as samples of %d bits", t.bits)
	case t.compression == tiffJPEG && (t.photometric == tiffPalette || t.samplesOfOneBlock != 1 && t.samplesOfOneBlock != 3 && t.samplesOfOneBlock != 4 || t.photometric == tiffYCbCr && t.samplesOfOneBlock != 3):
		return nil, t.unsupported("compressed by JPEG, with a palette or %d samples", t.samplesOfOneBlock)
	case t.photometric != tiffCMYK && t.photometric != tiffPalette && t.samples > colours:
		// 1: colours are multiplied by it, 2: they are not, 0: something else. Not said: Pillow takes a fourth one
		// for opacity, and so does the Corel program that writes 999.
		switch {
		case len(extra) == 0:
			alpha = colours
		case extra[0] == 1 || extra[0] == 2 || extra[0] == 999:
			alpha, multiplied = colours, extra[0] == 1
		}
	}
	if t.photometric == tiffCMYK {
		return t.inks(o, info)
	}
	img, err := t.colours(o, colours, alpha)
	if err != nil {
		return nil, err
	}
	switch m, narrow := img.(*image.NRGBA); {
	case t.photometric == tiffLab || t.photometric == tiffICCLab:
		t.labToRGB(img)
	case t.photometric == tiffYCbCr && t.compression != tiffJPEG && narrow:
		if err := t.ycbcrToRGB(m); err != nil {
			return nil, err
		}
	}
	if multiplied { // the two types differ in nothing else
		switch m := img.(type) {
		case *image.NRGBA:
			img = &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}
		case *image.NRGBA64:
			img = &image.RGBA64{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}
		}
	}
	return flatten(img, o, colours == 1 && t.bits > 8, info)
}

// inks reads CMYK, 255 being full ink; of 16 bits the high byte, as Pillow does.
func (t *tiffFile) inks(o Options, info *Info) (*vision.Picture, error) {
	img := image.NewCMYK(image.Rect(0, 0, int(t.width), int(t.height)))
	size, step := t.bits/8, t.samplesOfOneBlock*t.bits/8
	high := int64(0)
	if size == 2 && t.order == binary.ByteOrder(binary.LittleEndian) {
		high = 1
	}
	err := t.eachBlock(func(pix []byte, left, y, n, plane int64) {
		for c := plane; c < 4 && c < plane+t.samplesOfOneBlock; c++ {
			for x := range n {
				img.Pix[4*(y*t.width+left+x)+c] = pix[x*step+(c-plane)*size+high]
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return flatten(img, o, false, info)
}

// colours reads grey, RGB or a palette as an image of the standard library that holds as much: 8 bits where the
// samples have no more, else 16. alpha is the sample that is opacity, -1 for none.
func (t *tiffFile) colours(o Options, colours, alpha int64) (image.Image, error) {
	w, h := int(t.width), int(t.height)
	r := image.Rect(0, 0, w, h)
	wide := t.bits > 8
	var img image.Image
	var out []uint8
	channels := int64(4)
	switch {
	case colours == 1 && alpha < 0 && t.photometric != tiffPalette && wide:
		m := image.NewGray16(r)
		img, out, channels = m, m.Pix, 1
	case colours == 1 && alpha < 0 && t.photometric != tiffPalette:
		m := image.NewGray(r)
		img, out, channels = m, m.Pix, 1
	case t.photometric == tiffPalette:
		m := image.NewPaletted(r, nil)
		entries := 1 << t.bits
		for i := range entries { // 16 bits each; Pillow keeps the high byte
			at := func(k int) uint8 { return uint8(t.tags[tiffColourMap][k*entries+i] >> 8) }
			m.Palette = append(m.Palette, color.NRGBA{at(0), at(1), at(2), 255})
		}
		img, out, channels = m, m.Pix, 1
	case wide:
		m := image.NewNRGBA64(r)
		img, out = m, m.Pix
	default:
		m := image.NewNRGBA(r)
		img, out = m, m.Pix
	}
	size := int64(1)
	if wide {
		size = 2
	}
	if channels == 4 && alpha < 0 { // opaque, whatever the planes bring
		for i := 3 * size; i < int64(len(out)); i += 4 * size {
			out[i], out[i+size-1] = 255, 255
		}
	}
	value, odd := t.reader(o, colours)
	err := t.eachBlock(func(pix []byte, left, y, n, plane int64) {
		for s := plane; s < plane+t.samplesOfOneBlock; s++ {
			// The place of the sample among the picture's channels; grey is three of four.
			to, copies := s, int64(1)
			switch {
			case s == alpha:
				to = 3
			case s >= colours:
				continue
			case colours == 1 && channels == 4:
				copies = 3
			}
			d := size * (channels*(y*t.width+left) + to)
			for x := range n {
				v := value(pix, x*t.samplesOfOneBlock+s-plane, s == alpha)
				for k := range copies {
					if wide {
						binary.BigEndian.PutUint16(out[d+2*k:], v)
					} else {
						out[d+k] = uint8(v)
					}
				}
				d += size * channels
			}
		}
	})
	if err == nil && odd.seen {
		err = t.unsupported("floating-point samples from %g to %g, of which only 0 to 1 are known to be a picture", odd.lo, odd.hi)
	}
	return img, err
}

// floatRange is what floating-point samples hold that no picture does.
type floatRange struct {
	seen   bool
	lo, hi float64
}

// reader returns a function that gives sample i of a row: 8 bits, or 16 where the file has more than 8.
func (t *tiffFile) reader(o Options, colours int64) (value func(row []byte, i int64, opacity bool) uint16, odd *floatRange) {
	odd = &floatRange{}
	size := t.bits / 8
	clip := o.Depth16 == "clip" && colours == 1
	invert := func(v, white uint16) uint16 { return v }
	if t.photometric == tiffWhiteIsZero {
		invert = func(v, white uint16) uint16 { return white - v }
	}
	switch {
	case t.kind == tiffSigned && t.photometric != tiffLab: // under Depth16 "clip", by picture
		return func(row []byte, i int64, _ bool) uint16 {
			return uint16(min(max(t.sample(row[size*i:], size), 0), 255))
		}, odd
	case t.bits < 8:
		most := uint16(1)<<t.bits - 1
		return func(row []byte, i int64, _ bool) uint16 {
			at := i * t.bits
			v := invert(uint16(row[at/8]>>(8-t.bits-at%8))&most, most)
			if t.photometric != tiffPalette {
				v = v * 255 / most
			}
			return v
		}, odd
	case t.bits == 8:
		return func(row []byte, i int64, _ bool) uint16 { return invert(uint16(row[i]), 255) }, odd
	case t.bits == 12: // two in three bytes, whatever the byte order
		return func(row []byte, i int64, _ bool) uint16 {
			v := binary.BigEndian.Uint16(row[i*12/8:])
			if i%2 == 0 {
				v >>= 4
			}
			if v = invert(v&0xfff, 0xfff); clip {
				return v
			}
			return v<<4 | v>>8
		}, odd
	case t.kind != tiffFloat && t.bits == 16:
		return func(row []byte, i int64, _ bool) uint16 { return invert(t.order.Uint16(row[2*i:]), 65535) }, odd
	case t.kind == tiffUnsigned:
		return func(row []byte, i int64, opacity bool) uint16 {
			v := t.order.Uint32(row[4*i:])
			if clip && !opacity { // what flatten makes of it is the least of v and 255
				v = min(v, 65535) << 16
			}
			return invert(uint16(v>>16), 65535)
		}, odd
	}
	return func(row []byte, i int64, opacity bool) uint16 {
		v := float64(t.sample(row[size*i:], size))
		if clip && !opacity {
			return uint16(min(max(v, 0), 255)) // not a number becomes 0
		}
		// A little over is what filters leave.
		if !(v >= -0.1 && v <= 1.1) {
			if !odd.seen {
				odd.lo, odd.hi, odd.seen = v, v, true
			}
			odd.lo, odd.hi = min(odd.lo, v), max(odd.hi, v)
			return 0
		}
		return invert(uint16(float64(min(max(v, 0), 1)*65535)+0.5), 65535)
	}, odd
}

// jpegBlock decodes strip or tile i, a JPEG whose tables may lie in the directory (Technical Note 2).
func (t *tiffFile) jpegBlock(i, rows int64) ([]byte, error) {
	at, n := t.offsets[i], t.lengths[i]
	if at > int64(len(t.data)) || n > int64(len(t.data))-at {
		return nil, fault.Corruptf("truncated", "TIFF: strip or tile %d (bytes %d to %d) lies beyond the file's %d bytes; fetch it again", i, at, at+n, len(t.data))
	}
	body := t.data[at : at+n]
	if len(body) < 4 || body[0] != 0xff || body[1] != 0xd8 {
		return nil, t.corrupt("strip or tile %d is no JPEG", i)
	}
	// An Adobe marker says what the photometric interpretation says: RGB as it is, or YCbCr.
	transform := byte(0)
	if t.photometric == tiffYCbCr {
		transform = 1
	}
	file := append([]byte("\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"), transform)
	if tables := bytes.TrimSuffix(t.raw, []byte("\xff\xd9")); len(tables) > 2 {
		file = append(file, tables[2:]...)
	}
	file = append(file, body[2:]...)
	if len(t.raw) > 1<<16 {
		return nil, t.corrupt("JPEG tables of %d bytes", len(t.raw))
	}
	img, err := jpeg.Decode(file, jpeg.Options{MaxPixels: 2*t.tileWidth*t.tileHeight + 1<<16})
	if err != nil {
		var unsupported *jpeg.UnsupportedError
		if errors.As(err, &unsupported) {
			return nil, t.unsupported("strip or tile %d, a JPEG: %s", i, unsupported.What)
		}
		return nil, t.corrupt("strip or tile %d, a JPEG: %w", i, err)
	}
	if int64(img.Components) != t.samplesOfOneBlock || int64(img.Width) < t.tileWidth || int64(img.Height) < rows {
		return nil, t.corrupt("strip or tile %d is a JPEG of %d x %d pixels and %d components", i, img.Width, img.Height, img.Components)
	}
	row := t.tileWidth * t.samplesOfOneBlock
	if int64(img.Width) == t.tileWidth {
		return img.Pix[:row*rows], nil
	}
	out := make([]byte, 0, row*rows)
	for y := range rows {
		out = append(out, img.Pix[y*int64(img.Width)*t.samplesOfOneBlock:][:row]...)
	}
	return out, nil
}

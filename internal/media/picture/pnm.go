package picture

import (
	"encoding/binary"
	"image"
	"math"
	"strconv"

	"prep/internal/fault"
	"prep/internal/vision"
)

// pnmFields takes the words of a netpbm header (or of its pixels, where they are text) one by one.
type pnmFields struct {
	data     []byte
	at       int
	comments bool // from # to the end of the line
}

// next returns the next word, "" at the end. It ends before the byte that ends it.
func (f *pnmFields) next() string {
	for f.at < len(f.data) {
		switch c := f.data[f.at]; {
		case c == '#' && f.comments:
			for f.at < len(f.data) && f.data[f.at] != '\n' {
				f.at++
			}
		case c == ' ' || c >= '\t' && c <= '\r':
			f.at++
		default:
			from := f.at
			for f.at < len(f.data) && f.at-from < 32 && f.data[f.at] > ' ' {
				f.at++
			}
			return string(f.data[from:f.at])
		}
	}
	return ""
}

// decodePNM reads PBM, PGM and PPM, in bytes or in text, with a largest value of 1 to 65535 (netpbm's pbm(5),
// pgm(5), ppm(5)). As in Pillow a largest value that is not 255 is scaled, and grey of more is 16-bit grey.
func decodePNM(_ *Decoder, data []byte, o Options, info *Info) (*vision.Picture, error) {
	kind := data[1] - '0'
	info.Format = [...]string{"PBM", "PGM", "PPM"}[(kind-1)%3]
	f := pnmFields{data, 2, true}
	number := func() int64 {
		v, err := strconv.ParseInt(f.next(), 10, 64)
		if err != nil || v < 0 {
			return -1
		}
		return v
	}
	width, height, most := number(), number(), int64(1)
	if info.Format != "PBM" {
		most = number()
	}
	if width < 0 || height < 0 || most < 1 || most > 65535 || f.at >= len(data) || data[f.at] > ' ' {
		return nil, fault.Corruptf("corrupt_picture", "%s: the header is no width, height and largest value of 1 to 65535", info.Format)
	}
	info.Width, info.Height, info.Bits = int(min(width, vision.MaxSide+1)), int(min(height, vision.MaxSide+1)), 8
	if err := o.admit(info.Format, info.Width, info.Height); err != nil {
		return nil, err
	}
	channels, size := int64(1), int64(1)
	if info.Format == "PPM" {
		channels = 3
	}
	if most > 255 {
		info.Bits, size = 16, 2
	}
	row := width * channels // samples
	bytes := row * size
	if kind == 4 {
		bytes = (width + 7) / 8
	}
	pix := data[f.at:]
	need := bytes * height
	switch {
	case kind == 1:
		need = row * height // digits need no space between them
	case kind < 4:
		need = 2 * row * height
	default:
		pix = data[f.at+1:]
	}
	if need > int64(len(pix)) {
		return nil, fault.Corruptf("truncated", "%s: the pixels take %d bytes and %d are there; fetch the file again", info.Format, need, len(pix))
	}
	words := pnmFields{data, f.at, true}
	var short error
	sample := func(y, i int64) int64 { // i of row y, in order
		switch kind {
		case 1:
			for words.at < len(data) && data[words.at] != '0' && data[words.at] != '1' {
				if data[words.at] == '#' {
					for words.at < len(data) && data[words.at] != '\n' {
						words.at++
					}
					continue
				}
				words.at++
			}
			if words.at == len(data) {
				short = fault.Corruptf("truncated", "%s: the file is cut off in row %d of %d; fetch it again", info.Format, y, height)
				return 0
			}
			words.at++
			return int64('1' - data[words.at-1])
		case 2, 3:
			word := words.next()
			v, err := strconv.ParseUint(word, 10, 16)
			switch {
			case word == "":
				short = fault.Corruptf("truncated", "%s: the file is cut off in row %d of %d; fetch it again", info.Format, y, height)
			case err != nil:
				short = fault.Corruptf("corrupt_picture", "%s: %q before byte %d is no sample", info.Format, word, words.at)
			}
			return int64(v)
		case 4:
			return int64(^pix[y*bytes+i/8] >> (7 - i%8) & 1)
		}
		if size == 1 {
			return int64(pix[y*bytes+i])
		}
		return int64(binary.BigEndian.Uint16(pix[y*bytes+2*i:]))
	}
	scaled := func(v, to int64) float64 {
		return math.RoundToEven(float64(min(v, most)) / float64(most) * float64(to))
	}
	bounds := image.Rect(0, 0, info.Width, info.Height)
	grey, wide, colour := (*image.Gray)(nil), (*image.Gray16)(nil), (*image.NRGBA)(nil)
	var img image.Image
	switch {
	case channels == 3:
		colour = image.NewNRGBA(bounds)
		img = colour
	case size == 2:
		wide = image.NewGray16(bounds)
		img = wide
	default:
		grey = image.NewGray(bounds)
		img = grey
	}
	for y := range height {
		for i := range row {
			v := sample(y, i)
			if short != nil {
				return nil, short
			}
			switch {
			case colour != nil:
				at := 4 * (y*width + i/3)
				colour.Pix[at+i%3], colour.Pix[at+3] = uint8(scaled(v, 255)), 255
			case wide != nil:
				binary.BigEndian.PutUint16(wide.Pix[2*(y*width+i):], uint16(scaled(v, 65535)))
			default:
				grey.Pix[y*width+i] = uint8(scaled(v, 255))
			}
		}
	}
	return flatten(img, o, wide != nil, info)
}

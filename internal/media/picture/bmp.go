package picture

import (
	"encoding/binary"
	"image"
	"math/bits"

	"prep/internal/fault"
	"prep/internal/vision"
)

// bmpHeader is what a BMP file says of itself (Microsoft's BITMAPCOREHEADER to BITMAPV5HEADER, and OS/2's).
type bmpHeader struct {
	width, height int
	topDown       bool
	bits          int
	compression   uint32
	palette       []byte // b g r and, but for the oldest header, a byte of nothing
	entry         int    // bytes of an entry
	masks         [4]uint32
	pixels        int // offset
}

const (
	bmpRGB       = 0
	bmpRLE8      = 1
	bmpRLE4      = 2
	bmpBitfields = 3
)

func readBMPHeader(b []byte) (bmpHeader, error) {
	var h bmpHeader
	le := binary.LittleEndian
	size := int64(le.Uint32(b[14:])) // sniffPicture has seen 18 bytes
	if 14+size > int64(len(b)) {
		return h, fault.Corruptf("truncated", "BMP: the file is cut off within its header, after %d bytes; fetch it again", len(b))
	}
	unsupported := func(format string, args ...any) (bmpHeader, error) {
		return h, fault.Unsupportedf("unsupported_picture", "BMP: "+format+" is not read; convert the file to PNG first", args...)
	}
	d := b[14 : 14+size]
	colours := 0
	h.entry = 4
	switch size {
	case 12:
		h.width, h.height, h.bits, h.entry = int(le.Uint16(d[4:])), int(le.Uint16(d[6:])), int(le.Uint16(d[10:])), 3
	case 40, 52, 56, 64, 108, 124:
		height := int32(le.Uint32(d[8:]))
		h.topDown = height < 0
		h.width, h.height = int(int32(le.Uint32(d[4:]))), int(max(int64(height), -int64(height)))
		h.bits, h.compression = int(le.Uint16(d[14:])), le.Uint32(d[16:])
		if n := le.Uint32(d[32:]); n <= 256 {
			colours = int(n)
		}
	default:
		return unsupported("a header of %d bytes", size)
	}
	at := 14 + int(size)
	switch {
	case h.compression == bmpBitfields && (h.bits == 16 || h.bits == 32):
		masks := b[14+40:]
		n := 3
		if size >= 56 && size != 64 {
			n = 4
		}
		if len(masks) < 4*n {
			return h, fault.Corruptf("truncated", "BMP: the file is cut off within its header, after %d bytes; fetch it again", len(b))
		}
		for i := range n {
			h.masks[i] = le.Uint32(masks[4*i:])
		}
		if size == 40 {
			at += 12
		}
	case h.compression == bmpRGB && h.bits == 16:
		h.masks = [4]uint32{0x7c00, 0x3e0, 0x1f}
	case h.compression == bmpRGB && h.bits == 32: // the fourth byte says nothing
		h.masks = [4]uint32{0xff0000, 0xff00, 0xff}
	case h.compression == bmpRGB && (h.bits == 1 || h.bits == 2 || h.bits == 4 || h.bits == 8 || h.bits == 24):
	case h.compression == bmpRLE8 && h.bits == 8, h.compression == bmpRLE4 && h.bits == 4:
	default:
		return unsupported("compression %d with %d bits a pixel", h.compression, h.bits)
	}
	for _, m := range h.masks {
		if m != 0 && bits.OnesCount32(m>>bits.TrailingZeros32(m)+1) != 1 {
			return h, fault.Corruptf("corrupt_picture", "BMP: a colour mask with holes (%#x)", m)
		}
	}
	if h.bits <= 8 {
		if colours == 0 {
			colours = 1 << h.bits
		}
		n := h.entry * colours
		if at+n > len(b) {
			return h, fault.Corruptf("truncated", "BMP: the file is cut off within its palette, after %d bytes; fetch it again", len(b))
		}
		h.palette = b[at : at+n]
		at += n
	}
	h.pixels = int(le.Uint32(b[10:]))
	if h.pixels < 14 || h.pixels > len(b) || h.pixels == 14+int(size) && h.bits <= 8 { // some writers forget the palette
		h.pixels = at
	}
	return h, nil
}

func decodeBMP(_ *Decoder, data []byte, o Options, info *Info) (*vision.Picture, error) {
	h, err := readBMPHeader(data)
	if err != nil {
		return nil, err
	}
	info.Width, info.Height, info.Bits = h.width, h.height, 8
	if err := o.admit(info.Format, h.width, h.height); err != nil {
		return nil, err
	}
	px := data[h.pixels:]
	stride := int((int64(h.width)*int64(h.bits) + 31) / 32 * 4)
	if h.compression == bmpRLE8 || h.compression == bmpRLE4 {
		// Two bytes give 255 pixels at the most: more is not worth allocating for.
		if int64(h.width)*int64(h.height) > 128*int64(len(px))+128 {
			return nil, fault.Corruptf("truncated", "BMP: %d x %d pixels cannot be in %d bytes; fetch the file again", h.width, h.height, len(data))
		}
		if px, err = h.runs(px); err != nil {
			return nil, err
		}
		stride, h.bits = h.width, 8
	} else if need := int64(stride)*int64(h.height) - int64(stride-(h.width*h.bits+7)/8); need > int64(len(px)) {
		return nil, fault.Corruptf("truncated", "BMP: %d x %d pixels take %d bytes, and the file has %d; fetch it again", h.width, h.height, need, len(px))
	}
	var colours [256][4]uint8
	for i := range colours {
		colours[i][3] = 255
		if e := h.entry * i; e+3 <= len(h.palette) {
			colours[i] = [4]uint8{h.palette[e+2], h.palette[e+1], h.palette[e], 255}
		}
	}
	img := image.NewNRGBA(image.Rect(0, 0, h.width, h.height))
	for y := range h.height {
		src := px[y*stride:]
		to := h.height - 1 - y
		if h.topDown {
			to = y
		}
		dst := img.Pix[to*img.Stride:][:4*h.width]
		switch {
		case h.bits <= 8:
			for x := range h.width {
				bit := x * h.bits
				v := src[bit/8] >> (8 - h.bits - bit%8) & (1<<h.bits - 1)
				copy(dst[4*x:4*x+4], colours[v][:])
			}
		case h.bits == 24:
			for x := range h.width {
				s, d := src[3*x:3*x+3:3*x+3], dst[4*x:4*x+4:4*x+4]
				d[0], d[1], d[2], d[3] = s[2], s[1], s[0], 255
			}
		default:
			for x := range h.width {
				var v uint32
				if h.bits == 16 {
					v = uint32(binary.LittleEndian.Uint16(src[2*x:]))
				} else {
					v = binary.LittleEndian.Uint32(src[4*x:])
				}
				d := dst[4*x : 4*x+4 : 4*x+4]
				for c := range 3 {
					d[c] = masked(v, h.masks[c], 0)
				}
				d[3] = masked(v, h.masks[3], 255)
			}
		}
	}
	return flatten(img, o, false, info)
}

// masked takes a sample out of a pixel and brings it to 8 bits, v*255/most as Pillow; none without a mask.
func masked(v, mask uint32, none uint8) uint8 {
	if mask == 0 {
		return none
	}
	shift := bits.TrailingZeros32(mask)
	return uint8(uint64(v&mask>>shift) * 255 / uint64(mask>>shift))
}

// runs decodes the run-length codes to one byte a pixel, bottom up as they are stored. What they pass over is
// colour 0.
func (h *bmpHeader) runs(b []byte) ([]uint8, error) {
	out := make([]uint8, h.width*h.height)
	x, y := 0, 0
	four := h.compression == bmpRLE4
	put := func(v uint8) {
		if x < h.width && y < h.height {
			out[y*h.width+x] = v
		}
		x++
	}
	for y < h.height {
		if len(b) < 2 {
			return nil, fault.Corruptf("truncated", "BMP: the run-length codes end in row %d of %d; fetch the file again", y, h.height)
		}
		n, v := int(b[0]), b[1]
		b = b[2:]
		switch {
		case n > 0 && four:
			for i := range n {
				put(v >> (4 - i%2*4) & 15)
			}
		case n > 0:
			for range n {
				put(v)
			}
		case v == 0: // end of line
			x, y = 0, y+1
		case v == 1: // end of bitmap
			return out, nil
		case v == 2:
			if len(b) < 2 {
				return nil, fault.Corruptf("truncated", "BMP: the run-length codes end in row %d of %d; fetch the file again", y, h.height)
			}
			x, y, b = x+int(b[0]), y+int(b[1]), b[2:]
		default: // so many pixels as they are, filled up to a whole 16-bit word
			size := int(v)
			if four {
				size = (size + 1) / 2
			}
			if size > len(b) {
				return nil, fault.Corruptf("truncated", "BMP: the run-length codes end in row %d of %d; fetch the file again", y, h.height)
			}
			for i := range int(v) {
				if four {
					put(b[i/2] >> (4 - i%2*4) & 15)
				} else {
					put(b[i])
				}
			}
			b = b[min(size+size%2, len(b)):]
		}
	}
	return out, nil
}

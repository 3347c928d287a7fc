package picture

import (
	"encoding/binary"
	"errors"
	"image"
	"io"

	"prep/internal/fault"
	"prep/internal/vision"
)

// gifFrame is the first picture of a GIF file (GIF89a specification, W3C). It is read here and not by
// image/gif, which forgets the colour of the transparent index: who drops alpha, as Pillow's convert("RGB")
// does, needs it.
type gifFrame struct {
	width, height int // of the screen
	x, y, w, h    int // of the frame on it
	interlaced    bool
	palette       []byte // r g b
	transparent   int    // -1: none
	data          []byte // from the code size on
}

// readGIF walks the blocks up to the first picture.
func readGIF(b []byte) (gifFrame, error) {
	f := gifFrame{transparent: -1}
	truncated := func() error {
		return fault.Corruptf("truncated", "GIF: the file is cut off: %d bytes hold no whole picture; fetch it again", len(b))
	}
	if len(b) < 13 {
		return f, truncated()
	}
	f.width, f.height = int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
	at := 13
	table := func(flags byte) ([]byte, bool) {
		if flags&0x80 == 0 {
			return nil, true
		}
		n := 3 << (flags&7 + 1)
		if at+n > len(b) {
			return nil, false
		}
		at += n
		return b[at-n : at], true
	}
	global, ok := table(b[10])
	if !ok {
		return f, truncated()
	}
	for {
		if at >= len(b) {
			return f, truncated()
		}
		kind := b[at]
		at++
		switch kind {
		case 0x21: // extension
			if at+1 >= len(b) {
				return f, truncated()
			}
			if b[at] == 0xf9 && at+6 <= len(b) && b[at+1] == 4 { // graphic control
				f.transparent = -1
				if b[at+2]&1 != 0 {
					f.transparent = int(b[at+5])
				}
			}
			at++
			for at < len(b) && b[at] != 0 {
				at += 1 + int(b[at])
			}
			at++
		case 0x2c: // image
			if at+9 > len(b) {
				return f, truncated()
			}
			le := binary.LittleEndian
			f.x, f.y, f.w, f.h = int(le.Uint16(b[at:])), int(le.Uint16(b[at+2:])), int(le.Uint16(b[at+4:])), int(le.Uint16(b[at+6:]))
			flags := b[at+8]
			at += 9
			local, ok := table(flags)
			if !ok || at >= len(b) {
				return f, truncated()
			}
			f.interlaced = flags&0x40 != 0
			f.palette, f.data = global, b[at:]
			if local != nil {
				f.palette = local
			}
			// A frame that goes beyond the screen makes the screen larger, as Pillow and browsers do.
			f.width, f.height = max(f.width, f.x+f.w), max(f.height, f.y+f.h)
			return f, nil
		case 0x3b:
			return f, fault.Corruptf("corrupt_picture", "GIF: it ends at byte %d without a picture", at-1)
		default:
			return f, fault.Corruptf("corrupt_picture", "GIF: an unknown block %#02x at byte %d", kind, at-1)
		}
	}
}

// subBlocks reads the chain of blocks that GIF cuts its data into.
type subBlocks struct {
	b    []byte
	left int
}

func (s *subBlocks) ReadByte() (byte, error) {
	if s.left == 0 {
		if len(s.b) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		if s.left, s.b = int(s.b[0]), s.b[1:]; s.left == 0 {
			s.b = nil
			return 0, io.EOF
		}
	}
	if len(s.b) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	v := s.b[0]
	s.b, s.left = s.b[1:], s.left-1
	return v, nil
}

func decodeGIF(_ *Decoder, data []byte, o Options, info *Info) (*vision.Picture, error) {
	f, err := readGIF(data)
	if err != nil {
		return nil, err
	}
	info.Width, info.Height, info.Bits = f.width, f.height, 8
	if err := o.admit(info.Format, f.width, f.height); err != nil {
		return nil, err
	}
	codeSize := int(f.data[0])
	if codeSize < 2 || codeSize > 11 {
		return nil, fault.Corruptf("corrupt_picture", "GIF: a code size of %d bits, want 2 to 8", codeSize)
	}
	// A code of 12 bits stands for 4096 pixels at the most: a frame that promises more than that is not
	// worth allocating for.
	if int64(f.w)*int64(f.h) > 4096*int64(len(data)) {
		return nil, fault.Corruptf("truncated", "GIF: the frame has %d x %d pixels, and %d bytes cannot hold them; fetch the file again", f.w, f.h, len(data))
	}
	indices := make([]uint8, f.w*f.h)
	if n, err := gifCodes(indices, &subBlocks{b: f.data[1:]}, codeSize); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fault.Corruptf("truncated", "GIF: the data ends after %d of %d pixels; fetch the file again", n, len(indices))
		}
		return nil, fault.Corruptf("corrupt_picture", "GIF: damaged after %d of %d pixels: %v", n, len(indices), err)
	}
	var colours [256][4]uint8
	for i := range colours {
		colours[i][3] = 255
		switch {
		case f.palette == nil: // none in the file: grey, as Pillow
			colours[i] = [4]uint8{uint8(i), uint8(i), uint8(i), 255}
		case 3*i < len(f.palette):
			copy(colours[i][:3], f.palette[3*i:])
		}
	}
	// What the frame leaves free is transparent; its colour, for who drops alpha, is Pillow's.
	free := colours[max(f.transparent, 0)]
	if f.transparent >= 0 {
		colours[f.transparent][3] = 0
	}
	free[3] = 0
	canvas := image.NewNRGBA(image.Rect(0, 0, f.width, f.height))
	if f.w != f.width || f.h != f.height {
		for i := 0; i < len(canvas.Pix); i += 4 {
			copy(canvas.Pix[i:i+4], free[:])
		}
	}
	row := func(y int, line []uint8) {
		dst := canvas.Pix[canvas.PixOffset(f.x, f.y+y):]
		for x, v := range line {
			copy(dst[4*x:4*x+4], colours[v][:])
		}
	}
	if !f.interlaced {
		for y := range f.h {
			row(y, indices[y*f.w:][:f.w])
		}
		return flatten(canvas, o, false, info)
	}
	i := 0
	for _, pass := range [4][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		for y := pass[0]; y < f.h; y += pass[1] {
			row(y, indices[i*f.w:][:f.w])
			i++
		}
	}
	return flatten(canvas, o, false, info)
}

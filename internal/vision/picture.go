// Package vision turns decoded pictures into what ImageBind's vision tower takes: resized, cropped, with
// the channels in planes. It owns the exact arithmetic of Pillow's bicubic resize, of Pillow's grey, of
// the bilinear resize of video frames, and the turns and flips of a picture. It reads no file formats
// (that is internal/media) and keeps no statistics.
//
// All functions are pure. Their results are the same on every processor: the image path is integer
// arithmetic, and where floats are used every product is rounded before it is added, so that no compiler
// may fuse the two.
package vision

import "fmt"

// Picture is a decoded picture, 8 bits a sample, interleaved, rows from the top without padding.
type Picture struct {
	Width, Height int
	Channels      int     // 1 (grey) or 3 (RGB)
	Pix           []uint8 // [Height][Width][Channels]
}

// MaxSide is the longest side of a picture that is resized: what a JPEG header can say is 65535, what a
// PNG header can say is 2^31-1, and at 2^24 every product below still fits 64 bits with room.
const MaxSide = 1 << 24

// check refuses a picture whose fields do not fit each other, so that the kernels need not look.
func (p *Picture) check() error {
	switch {
	case p == nil:
		return fmt.Errorf("no picture")
	case p.Width < 1 || p.Height < 1 || p.Width > MaxSide || p.Height > MaxSide:
		return fmt.Errorf("a picture of %d x %d pixels, want 1 to %d on each side", p.Width, p.Height, MaxSide)
	case p.Channels != 1 && p.Channels != 3:
		return fmt.Errorf("a picture of %d channels, want 1 or 3", p.Channels)
	case len(p.Pix) != p.Width*p.Height*p.Channels:
		return fmt.Errorf("a picture of %d x %d x %d with %d bytes", p.Width, p.Height, p.Channels, len(p.Pix))
	}
	return nil
}

// Gray returns a one-channel picture as Pillow's convert("L") makes it from RGB: ITU-R BT.601 luma,
// (19595 R + 38470 G + 7471 B + 32768) >> 16. A picture that has one channel is returned as it is. The
// three weights add up to 2^16, so a grey pixel keeps its value.
func Gray(p *Picture) *Picture {
	if p.Channels == 1 {
		return p
	}
	out := &Picture{Width: p.Width, Height: p.Height, Channels: 1, Pix: make([]uint8, p.Width*p.Height)}
	for i := range out.Pix {
		px := p.Pix[3*i : 3*i+3 : 3*i+3]
		out.Pix[i] = uint8((19595*uint32(px[0]) + 38470*uint32(px[1]) + 7471*uint32(px[2]) + 1<<15) >> 16)
	}
	return out
}

// RGB returns a three-channel picture: p itself when it has three, else the grey value three times.
func RGB(p *Picture) *Picture {
	if p.Channels == 3 {
		return p
	}
	out := &Picture{Width: p.Width, Height: p.Height, Channels: 3, Pix: make([]uint8, 3*p.Width*p.Height)}
	for i, v := range p.Pix {
		px := out.Pix[3*i : 3*i+3 : 3*i+3]
		px[0], px[1], px[2] = v, v, v
	}
	return out
}

// Flip mirrors planes [channels][size][size] left to right, in place. Twice is nothing.
func Flip(chw []uint8, channels, size int) {
	for r := range channels * size {
		row := chw[r*size : (r+1)*size]
		for i, j := 0, size-1; i < j; i, j = i+1, j-1 {
			row[i], row[j] = row[j], row[i]
		}
	}
}

// Orient returns p turned upright, given the EXIF orientation of its file (CIPA DC-008, tag 0x0112): 1 is
// upright already, 2 mirrored, 3 upside down, 4 both of these, 5 to 8 the same with rows and columns
// exchanged. A value outside 1 to 8 says nothing and returns p itself, as 1 does.
func Orient(p *Picture, orientation int) *Picture {
	if orientation < 2 || orientation > 8 {
		return p
	}
	out := &Picture{Width: p.Width, Height: p.Height, Channels: p.Channels, Pix: make([]uint8, len(p.Pix))}
	// Destination (x, y) comes from source start + x*dx + y*dy, in pixels.
	w, h := p.Width, p.Height
	var start, dx, dy int
	switch orientation {
	case 2:
		start, dx, dy = w-1, -1, w
	case 3:
		start, dx, dy = w*h-1, -1, -w
	case 4:
		start, dx, dy = w*(h-1), 1, -w
	case 5:
		start, dx, dy = 0, w, 1
	case 6:
		start, dx, dy = w*(h-1), -w, 1
	case 7:
		start, dx, dy = w*h-1, -w, -1
	case 8:
		start, dx, dy = w-1, w, -1
	}
	if orientation >= 5 {
		out.Width, out.Height = h, w
	}
	o, c := 0, p.Channels
	for y := range out.Height {
		s := start + y*dy
		for range out.Width {
			copy(out.Pix[o:o+c], p.Pix[s*c:s*c+c])
			o += c
			s += dx
		}
	}
	return out
}

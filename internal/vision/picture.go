// Package vision holds the pixel arithmetic between a decoded picture and the uint8 tensor that is stored:
// resizing, cropping, grey, flipping. Everything is a pure function on 8-bit samples, in integer arithmetic
// where the original's is, so that results do not depend on the processor. Decoding is internal/media's
// business; normalising happens in the model's graph.
package vision

import "fmt"

// Picture is an 8-bit picture: Pix[(y*Width+x)*Channels+c]. Channels is 1 (grey) or 3 (RGB).
type Picture struct {
	Width, Height, Channels int
	Pix                     []uint8
}

func (p *Picture) check() error {
	if p == nil || p.Width <= 0 || p.Height <= 0 || (p.Channels != 1 && p.Channels != 3) {
		return fmt.Errorf("no picture to work on")
	}
	if len(p.Pix) != p.Width*p.Height*p.Channels {
		return fmt.Errorf("%d samples for a picture of %dx%dx%d", len(p.Pix), p.Width, p.Height, p.Channels)
	}
	return nil
}

// Gray is Pillow's convert("L"): (19595 R + 38470 G + 7471 B + 32768) >> 16, ITU-R 601 luma. A grey
// picture is returned as it is.
func Gray(p *Picture) *Picture {
	if p.Channels == 1 {
		return p
	}
	out := &Picture{Width: p.Width, Height: p.Height, Channels: 1, Pix: make([]uint8, p.Width*p.Height)}
	for i := range out.Pix {
		rgb := p.Pix[3*i:][:3]
		out.Pix[i] = uint8((19595*uint32(rgb[0]) + 38470*uint32(rgb[1]) + 7471*uint32(rgb[2]) + 32768) >> 16)
	}
	return out
}

// RGB repeats grey three times, as Pillow's convert("RGB"). A colour picture is returned as it is.
func RGB(p *Picture) *Picture {
	if p.Channels == 3 {
		return p
	}
	out := &Picture{Width: p.Width, Height: p.Height, Channels: 3, Pix: make([]uint8, 3*len(p.Pix))}
	for i, v := range p.Pix {
		out.Pix[3*i], out.Pix[3*i+1], out.Pix[3*i+2] = v, v, v
	}
	return out
}

// Flip mirrors a channel-major picture [channels][size][size] left to right, in place.
func Flip(chw []uint8, channels, size int) {
	for r := range channels * size {
		row := chw[r*size:][:size]
		for i, j := 0, size-1; i < j; i, j = i+1, j-1 {
			row[i], row[j] = row[j], row[i]
		}
	}
}

package media

import (
	"bytes"
	"image"
	"image/jpeg"
)

// salvageJPEG gets out of a JPEG that is cut off or damaged what image/jpeg can be brought to give; nil
// when that is nothing.
//
// Of a progressive file the last scan is left out: the picture is whole, less sharp. Of a sequential one
// the missing data is made up twice, with different bytes; where the two pictures begin to differ the
// file's own data had ended, and from that row of blocks on the picture becomes grey.
func salvageJPEG(data []byte, h jpegHeader) image.Image {
	const eoi = "\xff\xd9"
	if h.end >= 0 {
		data = data[:h.end]
	}
	if h.scans > 1 {
		img, err := jpeg.Decode(bytes.NewReader(append(bytes.Clone(data[:h.lastScan]), eoi...)))
		if err != nil {
			return nil
		}
		return img
	}
	if h.progressive {
		return nil // not one whole scan
	}
	// Zeros decode to the first Huffman code, 0x55 to something else; a block rarely takes 128 bytes.
	data = bytes.TrimRight(data, "\xff")
	blocks := ((h.width + 31) / 8) * ((h.height + 31) / 8) * h.components
	var pictures [2]image.Image
	for i, fill := range []byte{0x00, 0x55} {
		padded := append(bytes.Clone(data), bytes.Repeat([]byte{fill}, min(128*blocks, 64<<20))...)
		img, err := jpeg.Decode(bytes.NewReader(append(padded, eoi...)))
		if err != nil {
			return nil
		}
		pictures[i] = img
	}
	switch a := pictures[0].(type) {
	case *image.Gray:
		b := pictures[1].(*image.Gray)
		greyFrom(sameRows(a.Pix, b.Pix, a.Stride, 1, h.height), 1, a.Stride, a.Pix)
		return a
	case *image.YCbCr:
		b := pictures[1].(*image.YCbCr)
		down := 1
		if r := a.SubsampleRatio; r == image.YCbCrSubsampleRatio420 || r == image.YCbCrSubsampleRatio440 || r == image.YCbCrSubsampleRatio410 {
			down = 2
		}
		same := min(
			sameRows(a.Y, b.Y, a.YStride, 1, h.height),
			sameRows(a.Cb, b.Cb, a.CStride, down, h.height),
			sameRows(a.Cr, b.Cr, a.CStride, down, h.height))
		greyFrom(same, 1, a.YStride, a.Y)
		greyFrom(same, down, a.CStride, a.Cb)
		greyFrom(same, down, a.CStride, a.Cr)
		return a
	}
	return nil
}

// sameRows counts the rows of luma, in whole rows of blocks, that two planes agree in; a row of a plane
// stands for down rows of luma.
func sameRows(a, b []uint8, stride, down, height int) int {
	for y := range (height + down - 1) / down {
		if !bytes.Equal(a[y*stride:][:stride], b[y*stride:][:stride]) {
			return y * down &^ 15 // 16: the tallest row of blocks that image/jpeg reads but for rare ratios
		}
	}
	return height
}

// greyFrom makes a plane grey (128) from a row of luma on.
func greyFrom(row, down, stride int, plane []uint8) {
	from := min((row+down-1)/down*stride, len(plane))
	for i := range plane[from:] {
		plane[from+i] = 128
	}
}

package media

import (
	"image"

	"prep/internal/vision"
)

// libjpeg's conversion of YCbCr (JFIF, BT.601 in full range) in 16-bit fixed point, jdcolor.c: what Cr adds
// to red and Cb to blue, and what both take from green before its shift.
var crRed, cbBlue, crGreen, cbGreen = func() (r, b, g1, g2 [256]int32) {
	const half = 1 << 15
	for i := range r {
		x := int32(i) - 128
		r[i] = (91881*x + half) >> 16  // 1.40200
		b[i] = (116130*x + half) >> 16 // 1.77200
		g1[i] = -46802 * x             // 0.71414
		g2[i] = -22554*x + half        // 0.34414
	}
	return
}()

// ycbcrRGB converts the planes of image/jpeg to RGB with libjpeg's "fancy" upsampling of subsampled
// chroma (jdsample.c): a triangle filter, 3/4 of the nearer sample and 1/4 of the farther one, in each
// direction that is halved. The standard library's own conversion repeats samples, which is what makes
// the edges of colours 26 levels wrong against every other decoder. Ratios that libjpeg repeats (4:1:1,
// 4:1:0) are repeated here.
func ycbcrRGB(m *image.YCbCr) *vision.Picture {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := &vision.Picture{Width: w, Height: h, Channels: 3, Pix: make([]uint8, 3*w*h)}
	across, down := 1, 1 // luma samples for one of chroma
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		across = 2
	case image.YCbCrSubsampleRatio420:
		across, down = 2, 2
	case image.YCbCrSubsampleRatio440:
		down = 2
	case image.YCbCrSubsampleRatio411:
		across = 4
	case image.YCbCrSubsampleRatio410:
		across, down = 4, 2
	}
	cw, ch := (w+across-1)/across, (h+down-1)/down
	// Horizontal interpolation needs three samples; libjpeg repeats in narrower pictures.
	smooth := across == 1 && down == 2 || across == 2 && cw > 2
	cb, cr := make([]uint8, across*cw), make([]uint8, across*cw)
	sums := make([]uint16, cw)
	for y := range h {
		near := y / down
		far := near
		if down == 2 {
			far = min(max(near-1+y%2*2, 0), ch-1)
		}
		up := func(dst, plane []uint8) []uint8 {
			a, b := plane[near*m.CStride:][:cw], plane[far*m.CStride:][:cw]
			switch {
			case across == 1 && down == 1:
				return a
			case !smooth:
				for i := range dst {
					dst[i] = a[i/across]
				}
			case down == 1:
				fancyAcross(dst, a)
			case across == 1:
				fancyDown(dst, a, b, uint16(1+y%2))
			default:
				fancyBoth(dst, a, b, sums)
			}
			return dst
		}
		rowRGB(out.Pix[3*w*y:][:3*w], m.Y[y*m.YStride:][:w], up(cb, m.Cb), up(cr, m.Cr))
	}
	return out
}

// rowRGB converts one row, all planes at full width.
func rowRGB(dst, luma, cb, cr []uint8) {
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for x, l := range luma {
		b, r := cb[x], cr[x]
		y := int32(l)
		d := dst[3*x : 3*x+3 : 3*x+3]
		d[0] = clamp8(y + crRed[r])
		d[1] = clamp8(y + (cbGreen[b]+crGreen[r])>>16)
		d[2] = clamp8(y + cbBlue[b])
	}
}

func clamp8(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 when negative, else 255
	}
	return uint8(v)
}

// fancyAcross doubles a row (h2v1): dst[2i] = (3 a[i] + a[i-1] + 1)/4, dst[2i+1] = (3 a[i] + a[i+1] + 2)/4.
// The two roundings differ so that they average out.
func fancyAcross(dst, a []uint8) {
	n := len(a)
	dst[0] = a[0]
	for i := 0; i+1 < n; i++ {
		l, r := uint16(a[i]), uint16(a[i+1])
		dst[2*i+1] = uint8((3*l + r + 2) >> 2)
		dst[2*i+2] = uint8((3*r + l + 1) >> 2)
	}
	dst[2*n-1] = a[n-1]
}

// fancyDown gives one row between two (h1v2); bias is 1 for the upper and 2 for the lower of a pair.
func fancyDown(dst, near, far []uint8, bias uint16) {
	far = far[:len(near)]
	for i, v := range near {
		dst[i] = uint8((3*uint16(v) + uint16(far[i]) + bias) >> 2)
	}
}

// fancyBoth doubles both ways (h2v2): first the column sums 3 near + far, then across with 8 and 7 as
// roundings. sums is scratch.
func fancyBoth(dst, near, far []uint8, sums []uint16) {
	n := len(near)
	far, sums = far[:n], sums[:n]
	for i, v := range near {
		sums[i] = 3*uint16(v) + uint16(far[i])
	}
	dst[0] = uint8((4*sums[0] + 8) >> 4)
	for i := 0; i+1 < n; i++ {
		l, r := sums[i], sums[i+1]
		dst[2*i+1] = uint8((3*l + r + 7) >> 4)
		dst[2*i+2] = uint8((3*r + l + 8) >> 4)
	}
	dst[2*n-1] = uint8((4*sums[n-1] + 7) >> 4)
}

package picture

import (
	"image"
	"math"
	"sort"
	"sync"
)

// subsampling is how many pixels across and down share a pair of chroma samples.
func (t *tiffFile) subsampling() (across, down int64) {
	if t.photometric != tiffYCbCr || t.compression == tiffJPEG {
		return 1, 1
	}
	across, down = 2, 2
	if v := t.tags[tiffSubsampling]; len(v) > 0 {
		across = v[0]
		if down = v[0]; len(v) > 1 {
			down = v[1]
		}
	}
	return across, down
}

// checkColours refuses what of YCbCr and Lab is not read.
func (t *tiffFile) checkColours() error {
	across, down := t.subsampling()
	valid := func(n int64) bool { return n == 1 || n == 2 || n == 4 }
	switch {
	case t.photometric == tiffYCbCr && t.compression != tiffJPEG:
		switch {
		case !valid(across) || !valid(down):
			return t.corrupt("chroma for %d x %d pixels", across, down)
		case t.bits != 8 || t.kind != tiffUnsigned:
			return t.unsupported("YCbCr with samples of %d bits", t.bits)
		case across*down > 1 && (t.samples != 3 || t.planar || t.predictor != 1):
			return t.unsupported("subsampled YCbCr in planes, with %d samples a pixel, or with a predictor", t.samples)
		}
	case t.photometric == tiffLab || t.photometric == tiffICCLab:
		if t.kind == tiffFloat || t.bits != 8 && t.bits != 16 {
			return t.unsupported("Lab with samples of %d bits", t.bits)
		}
	}
	return nil
}

// unitBytes is the length of rows of a strip or tile of subsampled YCbCr: units of across x down lumas and their chroma.
func (t *tiffFile) unitBytes(rows int64) int64 {
	across, down := t.subsampling()
	return ceilDiv(t.tileWidth, across) * ceilDiv(rows, down) * (across*down + 2)
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// spread lays units out as rows of Y, Cb and Cr of every pixel. Chroma is repeated, as libtiff does.
func (t *tiffFile) spread(units []byte, rows int64) []byte {
	across, down := t.subsampling()
	out := make([]byte, 3*t.tileWidth*rows)
	n := across * down
	for top := int64(0); top < rows; top += down {
		for left := int64(0); left < t.tileWidth; left += across {
			for i := range n {
				x, y := left+i%across, top+i/across
				if x < t.tileWidth && y < rows {
					d := out[3*(y*t.tileWidth+x):][:3]
					d[0], d[1], d[2] = units[i], units[n], units[n+1]
				}
			}
			units = units[n+2:]
		}
	}
	return out
}

// ycbcrToRGB converts the colours of a picture in place, with the coefficients and the reference levels of the file, in
// libtiff's fixed point of 16 bits (tif_color.c).
func (t *tiffFile) ycbcrToRGB(m *image.NRGBA) error {
	luma, reference := []float64{0.299, 0.587, 0.114}, []float64{0, 255, 128, 255, 128, 255}
	if v := t.fractions[tiffYCbCrCoefficients]; len(v) >= 3 {
		luma = v
	}
	if v := t.fractions[tiffReferenceBlackWhite]; len(v) >= 6 {
		reference = v
	}
	for _, v := range append(append([]float64{}, luma[:3]...), reference[:6]...) {
		if math.IsNaN(v) || math.IsInf(v, 0) || math.Abs(v) > 1<<16 {
			return t.corrupt("YCbCr with coefficients %v and reference levels %v", luma[:3], reference[:6])
		}
	}
	if luma[1] == 0 {
		return t.corrupt("YCbCr whose green has no luma")
	}
	f := [3]float32{float32(luma[0]), float32(luma[1]), float32(luma[2])}
	fix := func(v float32) int32 { return int32(float64(float64(min(max(v, 0), 2))*(1<<16)) + 0.5) }
	red, blue := 2-float32(2*f[0]), 2-float32(2*f[2])
	d1, d2 := fix(red), -fix(float32(f[0]*red)/f[1])
	d3, d4 := fix(blue), -fix(float32(f[2]*blue)/f[1])
	// A code becomes a value by the levels that are said to be black (or none) and white (or most).
	value := func(code, black, white, most float32) int32 {
		span := white - black
		if span == 0 {
			span = 1
		}
		return int32(min(max(float32((code-black)*most)/span, -128*32), 128*32))
	}
	r := func(i int) float32 { return float32(reference[i]) }
	var y, crRed, cbBlue, crGreen, cbGreen [256]int32
	for i := range 256 {
		cb := value(float32(i-128), r(2)-128, r(3)-128, 127)
		cr := value(float32(i-128), r(4)-128, r(5)-128, 127)
		y[i] = value(float32(i), r(0), r(1), 255)
		crRed[i], cbBlue[i] = (d1*cr+1<<15)>>16, (d3*cb+1<<15)>>16
		crGreen[i], cbGreen[i] = d2*cr, d4*cb+1<<15
	}
	cut := func(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
	for i := 0; i < len(m.Pix); i += 4 {
		p := m.Pix[i : i+4 : i+4]
		luma, cb, cr := y[p[0]], p[1], p[2]
		p[0], p[1], p[2] = cut(luma+crRed[cr]), cut(luma+(cbGreen[cb]+crGreen[cr])>>16), cut(luma+cbBlue[cb])
	}
	return nil
}

// labToRGB converts CIE L*a*b* under D50, as TIFF has it, to sRGB by Bradford's adaptation; what lies outside is cut.
// a and b are signed (CIELab) or have an offset of a half (ICCLab). The levels are within 1 of those of Little CMS, by
// which Pillow converts, and within 2 in deep shadows.
func (t *tiffFile) labToRGB(img image.Image) {
	switch m := img.(type) {
	case *image.NRGBA:
		flip := uint8(0x80)
		if t.photometric == tiffICCLab {
			flip = 0
		}
		for i := 0; i < len(m.Pix); i += 4 {
			p := m.Pix[i : i+4 : i+4]
			p[0], p[1], p[2] = labPixel(float64(p[0])*100/255, float64(p[1]^flip)-128, float64(p[2]^flip)-128)
		}
	case *image.NRGBA64:
		// 16 bits: of CIELab 65535 is the lightest, of ICCLab 65280; a and b are 256 times those of 8 bits.
		flip, white := uint16(0x8000), 65535.0
		if t.photometric == tiffICCLab {
			flip, white = 0, 65280
		}
		for i := 0; i < len(m.Pix); i += 8 {
			p := m.Pix[i : i+8 : i+8]
			at := func(k int) uint16 { return uint16(p[2*k])<<8 | uint16(p[2*k+1]) }
			r, g, b := labPixel(float64(at(0))*100/white, float64(float64(at(1)^flip)/256)-128, float64(float64(at(2)^flip)/256)-128)
			p[0], p[1], p[2], p[3], p[4], p[5] = r, r, g, g, b, b
		}
	}
}

// srgbSteps are the linear values at which sRGB's 8-bit levels change.
var srgbSteps = sync.OnceValue(func() *[255]float64 {
	var steps [255]float64
	for i := range steps {
		v := (float64(i) + 0.5) / 255
		if v <= 0.04045 {
			steps[i] = v / 12.92
		} else {
			steps[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return &steps
})

func labPixel(l, a, b float64) (red, green, blue uint8) {
	cube := func(f float64) float64 { // the inverse of the cube root with its straight part
		if f > 6.0/29 {
			return float64(f*f) * f
		}
		return 3 * 36.0 / 841 * (f - 4.0/29)
	}
	fy := (l + 16) / 116
	x, y, z := 0.9642*cube(fy+a/500), cube(fy), 0.8249*cube(fy-b/200)
	steps := srgbSteps()
	level := func(cx, cy, cz float64) uint8 {
		v := float64(cx*x) + float64(cy*y) + float64(cz*z)
		return uint8(sort.Search(len(steps), func(i int) bool { return steps[i] > v }))
	}
	return level(3.1338561, -1.6168667, -0.4906146), level(-0.9787684, 1.9161415, 0.0334540), level(0.0719453, -0.2289914, 1.4052427)
}

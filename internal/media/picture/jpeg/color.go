package jpeg

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

// output brings all planes to full size and converts colours, row by row.
func (d *decoder) output() (*Image, error) {
	n := len(d.comp)
	w, h := d.scaled(d.width), d.scaled(d.height)
	img := &Image{Width: w, Height: h, Components: n, Pix: make([]uint8, n*w*h)}
	convert := interleave
	switch {
	case n == 3 && !d.isRGB():
		convert = rowRGB
	case n == 4 && d.adobe && d.transform != 0:
		convert = rowCMYK
	}
	up := make([]upsampler, n)
	rows := make([][]uint8, n)
	for i := range up {
		up[i] = newUpsampler(d, &d.comp[i])
	}
	for y := range h {
		for i := range up {
			rows[i] = up[i].row(y, 0, w)
		}
		convert(img.Pix[n*w*y:][:n*w], rows)
	}
	return img, nil
}

// isRGB tells the colour space of three components as libjpeg does (jdapimin.c).
func (d *decoder) isRGB() bool {
	switch {
	case d.jfif:
		return false
	case d.adobe:
		return d.transform == 0
	}
	return d.comp[0].id == 'R' && d.comp[1].id == 'G' && d.comp[2].id == 'B'
}

func interleave(dst []uint8, rows [][]uint8) {
	n := len(rows)
	for i, row := range rows {
		for x, v := range row {
			dst[n*x+i] = v
		}
	}
}

func rowRGB(dst []uint8, rows [][]uint8) {
	n := fastRGB(dst, rows[0], rows[1], rows[2])
	plainRGB(dst[3*n:], rows[0][n:], rows[1][n:], rows[2][n:])
}

func plainRGB(dst, luma, cb, cr []uint8) {
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for x, l := range luma {
		b, r := cb[x], cr[x]
		y := int32(l)
		d := dst[3*x : 3*x+3 : 3*x+3]
		d[0] = clamp(y + crRed[r])
		d[1] = clamp(y + (cbGreen[b]+crGreen[r])>>16)
		d[2] = clamp(y + cbBlue[b])
	}
}

// rowCMYK turns YCCK into CMYK: the complement of RGB, and K as it is.
func rowCMYK(dst []uint8, rows [][]uint8) {
	luma := rows[0]
	cb, cr, black := rows[1][:len(luma)], rows[2][:len(luma)], rows[3][:len(luma)]
	for x, l := range luma {
		b, r := cb[x], cr[x]
		y := 255 - int32(l)
		d := dst[4*x : 4*x+4 : 4*x+4]
		d[0] = clamp(y - crRed[r])
		d[1] = clamp(y - (cbGreen[b]+crGreen[r])>>16)
		d[2] = clamp(y - cbBlue[b])
		d[3] = black[x]
	}
}

func clamp(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 when negative, else 255
	}
	return uint8(v)
}

// upsampler gives the rows of a component at full size, as libjpeg's "fancy" upsampling (jdsample.c): a
// triangle filter, 3/4 of the nearer sample and 1/4 of the farther one, in each direction that is halved.
// Other ratios, and rows of one or two samples, are repeated.
type upsampler struct {
	c            *component
	across, down int // samples of the picture for one of the plane
	wide, high   int // of the plane proper, in samples
	smooth       bool
	out          []uint8
	sums         []uint16
}

func newUpsampler(d *decoder, c *component) upsampler {
	u := upsampler{c: c}
	u.across, u.down = d.expansion(c)
	u.wide, u.high = ceil(d.width*c.h*c.size, 8*d.hmax), ceil(d.height*c.v*c.size, 8*d.vmax)
	u.smooth = d.eighths > 1 && (u.across == 1 && u.down == 2 || u.across == 2 && u.down <= 2 && u.wide > 2)
	if u.across > 1 || u.down > 1 {
		u.out = make([]uint8, u.across*u.wide)
		u.sums = make([]uint16, u.wide+2)
	}
	return u
}

// row returns the pixels from to to (excluded) of row y of the picture; they are good until the next call.
func (u *upsampler) row(y, from, to int) []uint8 {
	// The samples of the range and, where there are, one more to both sides.
	left, right := max(from/u.across-1, 0), min(ceil(to, u.across)+1, u.wide)
	source := func(y int) []uint8 { return u.c.plane[y&u.c.ring*u.c.stride:][left:right] }
	at := y / u.down
	near := source(at)
	if u.across == 1 && (u.down == 1 || !u.smooth) {
		return near[from-left : to-left]
	}
	out := u.out[u.across*left : u.across*right]
	switch {
	case !u.smooth:
		for i := range out {
			out[i] = near[i/u.across]
		}
	case u.down == 1:
		fancyAcross(out, near, u.sums[:right-left+2])
	default:
		far := source(min(max(at-1+y%2*2, 0), u.high-1))
		if u.across == 1 {
			fancyDown(out, near, far, uint16(1+y%2))
		} else {
			fancyBoth(out, near, far, u.sums[:right-left+2])
		}
	}
	return u.out[from:to]
}

// fancyAcross doubles a row (h2v1): dst[2i] = (3 a[i] + a[i-1] + 1)/4, dst[2i+1] = (3 a[i] + a[i+1] + 2)/4.
// The two roundings differ so that they average out. sums is scratch, two longer than a.
func fancyAcross(dst, a []uint8, sums []uint16) { spread(dst, a, a, sums, 4, 8) }

// fancyDown gives one row between two (h1v2); bias is 1 for the upper and 2 for the lower of a pair.
func fancyDown(dst, near, far []uint8, bias uint16) {
	far = far[:len(near)]
	for i, v := range near {
		dst[i] = uint8((3*uint16(v) + uint16(far[i]) + bias) >> 2)
	}
}

// fancyBoth doubles both ways (h2v2): first the column sums 3 near + far, then across with 8 and 7 as
// roundings. sums is scratch, two longer than near.
func fancyBoth(dst, near, far []uint8, sums []uint16) { spread(dst, near, far, sums, 8, 7) }

// spread writes two samples for each of near's: of s = 3 near + far they are (3 s[i] + s[i-1] + even)/16 and
// (3 s[i] + s[i+1] + odd)/16, where the first and the last sum stand beside themselves.
func spread(dst, near, far []uint8, sums []uint16, even, odd uint16) {
	done := fastSpread(dst, near, far, sums, even, odd)
	if done == 0 {
		for i, v := range near {
			sums[1+i] = 3*uint16(v) + uint16(far[i])
		}
		sums[0], sums[len(near)+1] = sums[1], sums[len(near)]
	}
	plainSpread(dst[2*done:], sums[done:], even, odd)
}

// plainSpread writes two samples for each of the sums but the first and the last.
func plainSpread(dst []uint8, sums []uint16, even, odd uint16) {
	for i := 1; i+1 < len(sums); i++ {
		three := 3 * sums[i]
		d := dst[2*i-2 : 2*i : 2*i]
		d[0], d[1] = uint8((three+sums[i-1]+even)>>4), uint8((three+sums[i+1]+odd)>>4)
	}
}

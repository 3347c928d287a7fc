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
	w := d.width
	img := &Image{Width: w, Height: d.height, Components: n, Pix: make([]uint8, n*w*d.height)}
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
	for y := range d.height {
		for i := range up {
			rows[i] = up[i].row(y)[:w]
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
	u := upsampler{c: c, across: d.hmax / c.h, down: d.vmax / c.v}
	u.wide, u.high = ceil(d.width*c.h, d.hmax), ceil(d.height*c.v, d.vmax)
	u.smooth = u.across == 1 && u.down == 2 || u.across == 2 && u.down <= 2 && u.wide > 2
	if u.across > 1 || u.down > 1 {
		u.out = make([]uint8, u.across*u.wide)
		u.sums = make([]uint16, u.wide+2)
	}
	return u
}

// row returns row y of the picture; it is good until the next call.
func (u *upsampler) row(y int) []uint8 {
	source := func(y int) []uint8 { return u.c.plane[y*u.c.stride:][:u.wide] }
	at := y / u.down
	near := source(at)
	switch {
	case u.across == 1 && u.down == 1:
		return near
	case !u.smooth && u.across == 1:
		return near
	case !u.smooth:
		for i := range u.out {
			u.out[i] = near[i/u.across]
		}
		return u.out
	case u.down == 1:
		fancyAcross(u.out, near)
		return u.out
	}
	far := source(min(max(at-1+y%2*2, 0), u.high-1))
	if u.across == 1 {
		fancyDown(u.out, near, far, uint16(1+y%2))
	} else {
		fancyBoth(u.out, near, far, u.sums)
	}
	return u.out
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
// roundings. sums is scratch, two longer than near.
func fancyBoth(dst, near, far []uint8, sums []uint16) {
	done := fastBoth(dst, near, far, sums)
	if done == 0 {
		for i, v := range near {
			sums[1+i] = 3*uint16(v) + uint16(far[i])
		}
		sums[0], sums[len(near)+1] = sums[1], sums[len(near)]
	}
	plainBoth(dst[2*done:], sums[done:])
}

// plainBoth writes two samples for each of the sums but the first and the last.
func plainBoth(dst []uint8, sums []uint16) {
	for i := 1; i+1 < len(sums); i++ {
		three := 3 * sums[i]
		d := dst[2*i-2 : 2*i : 2*i]
		d[0], d[1] = uint8((three+sums[i-1]+8)>>4), uint8((three+sums[i+1]+7)>>4)
	}
}

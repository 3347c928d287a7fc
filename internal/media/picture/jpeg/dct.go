package jpeg

// Constants of the inverse DCT, in 13-bit fixed point. The algorithm is Loeffler, Ligtenberg and
// Moschytz's (ICASSP 1989) with 12 multiplications, in the form and with the roundings of libjpeg's
// jidctint.c: bits, not only numbers, have to agree.
const (
	dctBits  = 13
	passBits = 2 // extra bits kept between the passes

	fix0211 = 1730
	fix0298 = 2446
	fix0390 = 3196
	fix0509 = 4176
	fix0541 = 4433
	fix0601 = 4926
	fix0720 = 5906
	fix0765 = 6270
	fix0850 = 6967
	fix0899 = 7373
	fix1061 = 8697
	fix1175 = 9633
	fix1272 = 10426
	fix1451 = 11893
	fix1501 = 12299
	fix1847 = 15137
	fix1961 = 16069
	fix2053 = 16819
	fix2172 = 17799
	fix2562 = 20995
	fix3072 = 25172
	fix3624 = 29692
)

// butterfly is the one-dimensional transform of eight coefficients to four sums and four differences:
// output k is even[k]+odd[k], output 7-k is even[k]-odd[k], scaled by 2^13.
func butterfly(x0, x1, x2, x3, x4, x5, x6, x7 int32) (e0, e1, e2, e3, o0, o1, o2, o3 int32) {
	z := (x2 + x6) * fix0541
	t2, t3 := z-x6*fix1847, z+x2*fix0765
	t0, t1 := (x0+x4)<<dctBits, (x0-x4)<<dctBits
	e0, e3, e1, e2 = t0+t3, t0-t3, t1+t2, t1-t2

	z1, z2, z3, z4 := x7+x1, x5+x3, x7+x3, x5+x1
	z5 := (z3 + z4) * fix1175
	z1 *= -fix0899
	z2 *= -fix2562
	z3 = z5 - z3*fix1961
	z4 = z5 - z4*fix0390
	o3 = x7*fix0298 + z1 + z3
	o2 = x5*fix2053 + z2 + z4
	o1 = x3*fix3072 + z2 + z3
	o0 = x1*fix1501 + z1 + z4
	return
}

// inverseDCT writes the 8 x 8 samples of a block (coefficients in natural order) to dst, whose rows are
// stride apart. flat says that only the first coefficient is not zero.
func inverseDCT(dst []uint8, stride int, block *[64]int16, quant *[64]int32, flat bool) {
	if first := int32(block[0]) * quant[0]; flat && fits(first) {
		v := sample((first<<passBits + 1<<(passBits+2)) >> (passBits + 3))
		for range 8 {
			row := dst[:8:8]
			for x := range row {
				row[x] = v
			}
			if len(dst) <= stride {
				break
			}
			dst = dst[stride:]
		}
		return
	}
	var w [64]int32
	for x := range 8 {
		x1, x2, x3, x4 := block[8+x], block[16+x], block[24+x], block[32+x]
		x5, x6, x7 := block[40+x], block[48+x], block[56+x]
		first := int32(block[x]) * quant[x]
		if x1|x2|x3|x4|x5|x6|x7 == 0 && fits(first) {
			first <<= passBits
			for y := range 8 {
				w[8*y+x] = first
			}
			continue
		}
		e0, e1, e2, e3, o0, o1, o2, o3 := butterfly(first,
			int32(x1)*quant[8+x], int32(x2)*quant[16+x], int32(x3)*quant[24+x], int32(x4)*quant[32+x],
			int32(x5)*quant[40+x], int32(x6)*quant[48+x], int32(x7)*quant[56+x])
		const shift, half = dctBits - passBits, 1 << (dctBits - passBits - 1)
		w[x], w[56+x] = (e0+o0+half)>>shift, (e0-o0+half)>>shift
		w[8+x], w[48+x] = (e1+o1+half)>>shift, (e1-o1+half)>>shift
		w[16+x], w[40+x] = (e2+o2+half)>>shift, (e2-o2+half)>>shift
		w[24+x], w[32+x] = (e3+o3+half)>>shift, (e3-o3+half)>>shift
	}
	for y := range 8 {
		r := w[8*y : 8*y+8 : 8*y+8]
		row := dst[y*stride:][:8:8]
		if r[1]|r[2]|r[3]|r[4]|r[5]|r[6]|r[7] == 0 && fits(r[0]) {
			v := sample((r[0] + 1<<(passBits+2)) >> (passBits + 3))
			for x := range row {
				row[x] = v
			}
			continue
		}
		e0, e1, e2, e3, o0, o1, o2, o3 := butterfly(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
		const shift, half = dctBits + passBits + 3, 1 << (dctBits + passBits + 2)
		row[0], row[7] = sample((e0+o0+half)>>shift), sample((e0-o0+half)>>shift)
		row[1], row[6] = sample((e1+o1+half)>>shift), sample((e1-o1+half)>>shift)
		row[2], row[5] = sample((e2+o2+half)>>shift), sample((e2-o2+half)>>shift)
		row[3], row[4] = sample((e3+o3+half)>>shift), sample((e3-o3+half)>>shift)
	}
}

// butterfly4 is the one-dimensional transform of eight coefficients, of which the fifth does not count, to four samples,
// scaled by 2^14: the samples of eight that lie in pairs, averaged (libjpeg's jidctred.c).
func butterfly4(x0, x1, x2, x3, x5, x6, x7 int32) (s0, s1, s2, s3 int32) {
	even := x0 << (dctBits + 1)
	turn := x2*fix1847 - x6*fix0765
	inner := x5*fix1451 - x7*fix0211 - x3*fix2172 + x1*fix1061
	outer := x3*fix0899 - x7*fix0509 - x5*fix0601 + x1*fix2562
	return even + turn + outer, even - turn + inner, even - turn - inner, even + turn - outer
}

// butterfly2 is the same to two samples, scaled by 2^15.
func butterfly2(x0, x1, x3, x5, x7 int32) (s0, s1 int32) {
	even := x0 << (dctBits + 2)
	odd := x5*fix0850 - x7*fix0720 - x3*fix1272 + x1*fix3624
	return even + odd, even - odd
}

// inverseDCT4 writes the 4 x 4 samples of a block at half its size.
func inverseDCT4(dst []uint8, stride int, block *[64]int16, quant *[64]int32) {
	var w [32]int32
	for x := range 8 {
		if x == 4 { // does not count
			continue
		}
		at := func(y int) int32 { return int32(block[8*y+x]) * quant[8*y+x] }
		const shift, half = dctBits - passBits + 1, 1 << (dctBits - passBits)
		s0, s1, s2, s3 := butterfly4(at(0), at(1), at(2), at(3), at(5), at(6), at(7))
		w[x], w[8+x], w[16+x], w[24+x] = (s0+half)>>shift, (s1+half)>>shift, (s2+half)>>shift, (s3+half)>>shift
	}
	for y := range 4 {
		r := w[8*y : 8*y+8 : 8*y+8]
		row := dst[y*stride:][:4:4]
		const shift, half = dctBits + passBits + 4, 1 << (dctBits + passBits + 3)
		s0, s1, s2, s3 := butterfly4(r[0], r[1], r[2], r[3], r[5], r[6], r[7])
		row[0], row[1] = sample((s0+half)>>shift), sample((s1+half)>>shift)
		row[2], row[3] = sample((s2+half)>>shift), sample((s3+half)>>shift)
	}
}

// inverseDCT2 writes the 2 x 2 samples of a block at a quarter of its size.
func inverseDCT2(dst []uint8, stride int, block *[64]int16, quant *[64]int32) {
	var w [16]int32
	for _, x := range [5]int{0, 1, 3, 5, 7} {
		at := func(y int) int32 { return int32(block[8*y+x]) * quant[8*y+x] }
		const shift, half = dctBits - passBits + 2, 1 << (dctBits - passBits + 1)
		s0, s1 := butterfly2(at(0), at(1), at(3), at(5), at(7))
		w[x], w[8+x] = (s0+half)>>shift, (s1+half)>>shift
	}
	for y := range 2 {
		r := w[8*y : 8*y+8 : 8*y+8]
		const shift, half = dctBits + passBits + 5, 1 << (dctBits + passBits + 4)
		s0, s1 := butterfly2(r[0], r[1], r[3], r[5], r[7])
		row := dst[y*stride:][:2:2]
		row[0], row[1] = sample((s0+half)>>shift), sample((s1+half)>>shift)
	}
}

// write makes samples of a block, if anything will look at them. flat says that only the first coefficient is not zero.
func (c *component) write(bx, by int, block *[64]int16, flat bool) {
	if bx < c.left || bx >= c.right || by < c.top || by >= c.bottom {
		return
	}
	dst := c.plane[c.size*by&c.ring*c.stride+c.size*bx:]
	switch c.size {
	case 8:
		transform(dst, c.stride, block, c.quant, flat)
	case 4:
		transform4(dst, c.stride, block, c.quant)
	case 2:
		transform2(dst, c.stride, block, c.quant)
	case 1:
		dst[0] = sample((int32(block[0])*c.quant[0] + 4) >> 3)
	}
}

// fits reports whether a coefficient that stands alone may go the short way, to the same bits: of larger ones, which
// only a broken file has, the sums wrap around.
func fits(v int32) bool { return uint32(v+1<<17) < 1<<18 }

// sample shifts a level from around 0 to around 128 and cuts it to 0..255.
func sample(v int32) uint8 {
	v += 128
	if uint32(v) > 255 {
		return uint8(^(v >> 31))
	}
	return uint8(v)
}

// reconstruct turns the coefficients of a progressive picture into samples, and lets go of them.
func (c *component) reconstruct() {
	for i := 0; i < len(c.coeffs); i += 64 {
		block := (*[64]int16)(c.coeffs[i:])
		flat := true
		for _, v := range block[1:] {
			if v != 0 {
				flat = false
				break
			}
		}
		b := i / 64
		c.write(b%c.blocks, b/c.blocks, block, flat)
	}
	c.coeffs = nil
}

//go:build goexperiment.simd

package vision

import (
	"simd/archsimd"
	"unsafe"
)

// avx2 are kernels around VPMADDWD, which multiplies 16-bit values and adds the products of neighbours: a
// weight has two digits, w = high*2^11 + low with low in -1024..1023.
//
// A value of 128 bits must not live across a loop here: the compiler spills those with instructions of
// SSE, and one of them between instructions of AVX costs hundreds of cycles.
func avx2() []resampler {
	if !archsimd.X86.AVX2() {
		return nil
	}
	k := lanesKernel{groups: 1, quad: 128, digits: 4, extract: words2, order: order256, across: across256, down: down256}
	return []resampler{{"avx2", k.run}}
}

const lowBits = 11

// words2 puts the digits of a weight at its tap's place in four elements: the high digits of the taps 0 and
// 1, their low ones, and the same of 2 and 3.
func words2(digits []uint32, at int, w int32) bool {
	low := w << (32 - lowBits) >> (32 - lowBits)
	high := (w - low) >> lowBits
	pair := digits[at/2*2:][:2]
	pair[0] |= uint32(uint16(high)) << (at % 2 * 16)
	pair[1] |= uint32(uint16(low)) << (at % 2 * 16)
	return high == int32(int16(high))
}

// Orders of bytes within 16, for PSHUFB.
var (
	// Of four pixels r g b: the pairs of pixels 0 and 1, and of 2 and 3, as 16-bit r r g g b b.
	firstPair = [16]int8{0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1}
	nextPair  = [16]int8{6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1}
	// Of a column of a group: the pairs of rows 0 and 1, and of 2 and 3.
	upperRows = [16]int8{0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, -1, -1, -1, -1}
	lowerRows = [16]int8{8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, -1, -1, -1, -1}
	// Of four columns r g b -: the four r, the four g, the four b.
	planesOf4 = [16]int8{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, -1, -1, -1, -1}
	// The lower bytes of eight 16-bit elements.
	lowBytes = [16]int8{0, 2, 4, 6, 8, 10, 12, 14, -1, -1, -1, -1, -1, -1, -1, -1}
)

// inBothHalves repeats an order for PSHUFB on 256 bits.
func inBothHalves(order *[16]int8) archsimd.Int8x32 {
	v := archsimd.LoadInt8x16(order)
	var w archsimd.Int8x32
	return w.SetLo(v).SetHi(v)
}

// loadRows loads what two rows have from a byte offset. lanesKernel.run has seen to it that they are long enough.
func loadRows(a, b unsafe.Pointer, at int) archsimd.Uint8x32 {
	lo := archsimd.LoadUint8x16((*[loadBytes]uint8)(unsafe.Add(a, at)))
	hi := archsimd.LoadUint8x16((*[loadBytes]uint8)(unsafe.Add(b, at)))
	var v archsimd.Uint8x32
	return v.SetLo(lo).SetHi(hi)
}

// order256 takes four rows and writes for every quad, of pixels 0 and 1 and then of 2 and 3, the pairs of
// rows 0 and 2 and those of rows 1 and 3, so that narrow leaves the rows in order.
func order256(dst []uint8, rows *[2 * groupRows]unsafe.Pointer, quads int) {
	first, next := inBothHalves(&firstPair), inBothHalves(&nextPair)
	to := place(dst, 0, quads*128)
	r0, r1, r2, r3 := rows[0], rows[1], rows[2], rows[3]
	for i := range quads {
		a, b := loadRows(r0, r2, 12*i), loadRows(r1, r3, 12*i)
		px := (*[4 * 32]uint8)(unsafe.Add(to, 128*i))
		a.PermuteOrZeroGrouped(first).Store((*[32]uint8)(px[0:]))
		b.PermuteOrZeroGrouped(first).Store((*[32]uint8)(px[32:]))
		a.PermuteOrZeroGrouped(next).Store((*[32]uint8)(px[64:]))
		b.PermuteOrZeroGrouped(next).Store((*[32]uint8)(px[96:]))
	}
	archsimd.ClearAVXUpperBits()
}

// narrow cuts 16 sums to bytes: those of a's lower half, b's lower half, a's upper half and b's upper half.
func narrow(a, b archsimd.Int32x8, order archsimd.Int8x32) archsimd.Uint8x16 {
	// Sums are at most 9 bits after the shift; VPACKUSDW takes the negative ones to 0.
	v := a.SaturateToUint16ConcatGrouped(b).Min(archsimd.BroadcastUint16x16(255)).AsUint8x32().PermuteOrZeroGrouped(order)
	return v.GetLo().AsUint64x2().InterleaveLo(v.GetHi().AsUint64x2()).AsUint8x16()
}

// across256 makes one group, two rows in the lanes of each of two vectors; of each column four times r g b -.
func across256(dst *[2][]uint8, quads []uint8, t *taps) {
	low8 := inBothHalves(&lowBytes)
	rounding := archsimd.BroadcastInt32x8(half)
	i0, i1, i2, i3 := archsimd.BroadcastUint32x8(0), archsimd.BroadcastUint32x8(1), archsimd.BroadcastUint32x8(2), archsimd.BroadcastUint32x8(3)
	var zero archsimd.Int32x8
	out := dst[0]
	for x, start := range t.start {
		n := int(t.quads[x])
		digits, px := t.digitsAt(x), place(quads, 128*int(start), 128*n)
		aHigh, aLow, bHigh, bLow := zero, zero, zero, zero
		for ; n > 0; n-- {
			w := archsimd.LoadInt32x8((*[8]int32)(digits))
			v := (*[4 * 32]uint8)(px)
			high, low := w.Permute(i0).AsInt16x16(), w.Permute(i1).AsInt16x16()
			a, b := archsimd.LoadUint8x32((*[32]uint8)(v[0:])).AsInt16x16(), archsimd.LoadUint8x32((*[32]uint8)(v[32:])).AsInt16x16()
			aHigh, aLow = aHigh.Add(a.DotProductPairs(high)), aLow.Add(a.DotProductPairs(low))
			bHigh, bLow = bHigh.Add(b.DotProductPairs(high)), bLow.Add(b.DotProductPairs(low))
			high, low = w.Permute(i2).AsInt16x16(), w.Permute(i3).AsInt16x16()
			a, b = archsimd.LoadUint8x32((*[32]uint8)(v[64:])).AsInt16x16(), archsimd.LoadUint8x32((*[32]uint8)(v[96:])).AsInt16x16()
			aHigh, aLow = aHigh.Add(a.DotProductPairs(high)), aLow.Add(a.DotProductPairs(low))
			bHigh, bLow = bHigh.Add(b.DotProductPairs(high)), bLow.Add(b.DotProductPairs(low))
			px, digits = unsafe.Add(px, 128), unsafe.Add(digits, 16)
		}
		a := aHigh.ShiftAllLeft(lowBits).Add(aLow).Add(rounding).ShiftAllRight(precisionBits)
		b := bHigh.ShiftAllLeft(lowBits).Add(bLow).Add(rounding).ShiftAllRight(precisionBits)
		narrow(a, b, low8).Store((*[16]uint8)(out[column*x:]))
	}
	archsimd.ClearAVXUpperBits()
}

// down256 takes four columns at a time, two in the lanes of each of two vectors.
func down256(dst *[3][]uint8, groups []unsafe.Pointer, digits []uint32) {
	upper, lower, low8 := inBothHalves(&upperRows), inBothHalves(&lowerRows), inBothHalves(&lowBytes)
	rounding := archsimd.BroadcastInt32x8(half)
	i0, i1, i2, i3 := archsimd.BroadcastUint32x8(0), archsimd.BroadcastUint32x8(1), archsimd.BroadcastUint32x8(2), archsimd.BroadcastUint32x8(3)
	var b [16]uint8
	for x := 0; x < len(dst[0]); x += 4 {
		var h0, l0, h1, l1 archsimd.Int32x8
		for i, g := range groups {
			w := archsimd.LoadUint32x8((*[8]uint32)(digits[4*i:])).AsInt32x8()
			uh, ul, lh, ll := w.Permute(i0).AsInt16x16(), w.Permute(i1).AsInt16x16(), w.Permute(i2).AsInt16x16(), w.Permute(i3).AsInt16x16()
			px := (*[64]uint8)(unsafe.Add(g, column*x))
			v := archsimd.LoadUint8x32((*[32]uint8)(px[0:]))
			a, b := v.PermuteOrZeroGrouped(upper).AsInt16x16(), v.PermuteOrZeroGrouped(lower).AsInt16x16()
			h0 = h0.Add(a.DotProductPairs(uh)).Add(b.DotProductPairs(lh))
			l0 = l0.Add(a.DotProductPairs(ul)).Add(b.DotProductPairs(ll))
			v = archsimd.LoadUint8x32((*[32]uint8)(px[32:]))
			a, b = v.PermuteOrZeroGrouped(upper).AsInt16x16(), v.PermuteOrZeroGrouped(lower).AsInt16x16()
			h1 = h1.Add(a.DotProductPairs(uh)).Add(b.DotProductPairs(lh))
			l1 = l1.Add(a.DotProductPairs(ul)).Add(b.DotProductPairs(ll))
		}
		h0 = h0.ShiftAllLeft(lowBits).Add(l0).Add(rounding).ShiftAllRight(precisionBits)
		h1 = h1.ShiftAllLeft(lowBits).Add(l1).Add(rounding).ShiftAllRight(precisionBits)
		v := narrow(h0, h1, low8) // columns 0, 2, 1, 3
		v.AsUint32x4().PermuteScalars(0, 2, 1, 3).AsUint8x16().PermuteOrZero(archsimd.LoadInt8x16(&planesOf4)).Store(&b)
		for c := range dst {
			copy(dst[c][x:], b[4*c:4*c+4])
		}
	}
	archsimd.ClearAVXUpperBits()
}

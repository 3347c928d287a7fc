//go:build !scalar

package vision

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// avx2 are kernels in assembly around VPMADDWD, which multiplies 16-bit values and adds the products of neighbours: a
// weight has two digits, w = high*2^11 + low with low in -1024..1023.
func avx2() []resampler {
	if !cpu.X86.HasAVX2 {
		return nil
	}
	k := lanesKernel{groups: 1, quad: 128, digits: 4, extract: words2, order: orderAVX2, across: acrossAVX2, down: downAVX2}
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

func orderAVX2(dst []uint8, rows *[2 * groupRows]unsafe.Pointer, quads int) {
	order4(place(dst, 0, 128*quads), rows, quads)
}

func acrossAVX2(dst *[2][]uint8, quads []uint8, t *taps) {
	n := len(t.start)
	last := int(t.start[n-1] + t.quads[n-1])
	across4(place(dst[0], 0, column*n), place(quads, 0, 128*last), &t.start[0], &t.quads[0], t.digitsAt(0), 4*t.perItem, n)
}

func downAVX2(dst *[3][]uint8, groups []unsafe.Pointer, digits []uint32) {
	n := len(dst[0])
	down8(place(dst[0], 0, n), place(dst[1], 0, n), place(dst[2], 0, n), &groups[0], len(groups), unsafe.Pointer(&digits[:4*len(groups)][0]), n/8)
}

// order4 writes quads of four rows: of pixels 0 and 1 the rows 0 and 2, then 1 and 3, and the same of pixels 2 and 3;
// of each row r r g g b b - - in 16 bits, so that across4 leaves the rows in order.
//
//go:noescape
func order4(dst unsafe.Pointer, rows *[2 * groupRows]unsafe.Pointer, quads int)

// across4 filters what order4 made; of each column of the group come four times r g b -. stride is the distance of the
// output samples' digits in bytes.
//
//go:noescape
func across4(dst, quads unsafe.Pointer, start, count *int32, digits unsafe.Pointer, stride, columns int)

// down8 filters n groups at places to blocks of 8 columns of the three planes.
//
//go:noescape
func down8(red, green, blue unsafe.Pointer, places *unsafe.Pointer, n int, digits unsafe.Pointer, blocks int)

//go:build !scalar

package vision

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// avx512VNNI are kernels in assembly around VPDPBUSD, which multiplies four bytes by four signed bytes and
// adds the products to a lane: a weight has three digits, w = d0 + d1*2^8 + d2*2^16 with each in -128..127.
// Intel has it since Cascade Lake (2019), AMD since Zen 4 (2022).
func avx512VNNI() []resampler {
	if !cpu.X86.HasAVX512VNNI || !cpu.X86.HasAVX512BW || !cpu.X86.HasAVX512VL {
		return nil
	}
	k := lanesKernel{groups: 2, quad: 128, digits: 3, extract: bytes3, order: orderVNNI, across: acrossVNNI, down: downVNNI}
	return []resampler{{"avx512vnni", k.run}}
}

// bytes3 puts the three digits of a weight at its tap's place in three elements.
func bytes3(digits []uint32, at int, w int32) bool {
	for i := range digits {
		d := int32(int8(w))
		digits[i] |= uint32(uint8(d)) << (8 * at)
		w = (w - d) >> 8
	}
	return w == 0
}

func orderVNNI(dst []uint8, rows *[2 * groupRows]unsafe.Pointer, quads int) {
	order8(place(dst, 0, 128*quads), rows, quads)
}

func acrossVNNI(dst *[2][]uint8, quads []uint8, t *taps) {
	n := len(t.start)
	last := int(t.start[n-1] + t.quads[n-1])
	across8(place(dst[0], 0, column*n), place(dst[1], 0, column*n), place(quads, 0, 128*last),
		&t.start[0], &t.quads[0], t.digitsAt(0), 4*t.perItem, n)
}

func downVNNI(dst *[3][]uint8, groups []unsafe.Pointer, digits []uint32) {
	n := len(dst[0])
	down16(place(dst[0], 0, n), place(dst[1], 0, n), place(dst[2], 0, n), &groups[0], len(groups), unsafe.Pointer(&digits[0]), n/block)
}

// order8 writes quads of eight rows: 64 bytes of the rows 0 to 3, 64 of 4 to 7; of each row r r r r g g g g
// b b b b - - - -.
//
//go:noescape
func order8(dst unsafe.Pointer, rows *[2 * groupRows]unsafe.Pointer, quads int)

// across8 filters what order8 made; of each column of a group come r r r r g g g g b b b b - - - -, four rows
// of each. stride is the distance of the output samples' digits in bytes.
//
//go:noescape
func across8(upper, lower, quads unsafe.Pointer, start, count *int32, digits unsafe.Pointer, stride, columns int)

// down16 filters n groups at places to blocks of 16 columns of the three planes.
//
//go:noescape
func down16(red, green, blue unsafe.Pointer, places *unsafe.Pointer, n int, digits unsafe.Pointer, blocks int)

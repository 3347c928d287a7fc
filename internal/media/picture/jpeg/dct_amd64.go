//go:build !scalar

package jpeg

import "golang.org/x/sys/cpu"

// transform is inverseDCT by the fastest kernel there is. dst holds seven strides and eight samples at least.
func transform(dst []uint8, stride int, block *[64]int16, quant *[64]int32, flat bool) {
	if flat || !cpu.X86.HasAVX2 {
		inverseDCT(dst, stride, block, quant, flat)
		return
	}
	dst = dst[:7*stride+8]
	idctAVX2(&dst[0], stride, block, quant)
}

// idctAVX2 is inverseDCT in eight 32-bit lanes: the same sums and products, in arithmetic modulo 2^32.
//
//go:noescape
func idctAVX2(dst *uint8, stride int, block *[64]int16, quant *[64]int32)

// transform4 and transform2 are inverseDCT4 and inverseDCT2 by the fastest kernels there are.
func transform4(dst []uint8, stride int, block *[64]int16, quant *[64]int32) {
	if !cpu.X86.HasAVX2 {
		inverseDCT4(dst, stride, block, quant)
		return
	}
	dst = dst[:3*stride+4]
	idct4AVX2(&dst[0], stride, block, quant)
}

func transform2(dst []uint8, stride int, block *[64]int16, quant *[64]int32) {
	if !cpu.X86.HasAVX2 {
		inverseDCT2(dst, stride, block, quant)
		return
	}
	dst = dst[:stride+2]
	idct2AVX2(&dst[0], stride, block, quant)
}

//go:noescape
func idct4AVX2(dst *uint8, stride int, block *[64]int16, quant *[64]int32)

//go:noescape
func idct2AVX2(dst *uint8, stride int, block *[64]int16, quant *[64]int32)

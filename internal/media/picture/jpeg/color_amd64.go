//go:build !scalar

package jpeg

import "golang.org/x/sys/cpu"

// The kernels below do 16 samples at a time; what is left of a row is done by their plain twins, whose bits
// they give. Products of 16-bit fractions are taken apart as libjpeg-turbo does: 1.402 cr is cr + 0.402 cr.

// fastRGB converts the first pixels of a row and returns how many.
func fastRGB(dst, luma, cb, cr []uint8) int {
	n := len(luma) &^ 15
	if !cpu.X86.HasAVX2 || n == 0 {
		return 0
	}
	_, _, _ = dst[:3*n], cb[:n], cr[:n]
	rgbAVX2(&dst[0], &luma[0], &cb[0], &cr[0], n)
	return n
}

// fastSpread is spread for the first samples of a row. sums has a place before the first and one behind the
// last sample; it is filled whole. It returns how many samples are done.
func fastSpread(dst, near, far []uint8, sums []uint16, even, odd uint16) int {
	n := len(near) &^ 15
	if !cpu.X86.HasAVX2 || n == 0 {
		return 0
	}
	_, _, _ = far[:n], sums[:len(near)+2], dst[:2*n]
	sumsAVX2(&sums[1], &near[0], &far[0], n)
	for i := n; i < len(near); i++ {
		sums[1+i] = 3*uint16(near[i]) + uint16(far[i])
	}
	sums[0], sums[len(near)+1] = sums[1], sums[len(near)]
	spreadAVX2(&dst[0], &sums[1], n, even, odd)
	return n
}

// rgbAVX2 converts n pixels, a multiple of 16.
//
//go:noescape
func rgbAVX2(dst, luma, cb, cr *uint8, n int)

// sumsAVX2 writes 3 near + far of n samples, a multiple of 16.
//
//go:noescape
func sumsAVX2(sums *uint16, near, far *uint8, n int)

// spreadAVX2 writes two samples for each of n sums, a multiple of 16; it reads one sum before and one behind.
//
//go:noescape
func spreadAVX2(dst *uint8, sums *uint16, n int, even, odd uint16)

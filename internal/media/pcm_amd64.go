//go:build !scalar

package media

// convert8x16 converts n little-endian 16-bit samples, a positive multiple of 8.
//
//go:noescape
func convert8x16(dst *float32, src *byte, n int)

// convert16 converts eight samples at a time and returns how many it did. To the bit what the loop in decode16
// does: the conversion is exact, and the factor is a power of two.
func convert16(dst []float32, src []byte) int {
	n := min(len(dst), len(src)/2) &^ 7
	if n > 0 {
		convert8x16(&dst[0], &src[0], n)
	}
	return n
}

// separate8x16 is convert8x16 of n pairs, a positive multiple of 8, and takes them apart.
//
//go:noescape
func separate8x16(left, right *float32, src *byte, n int)

// separate16 converts eight pairs at a time, takes them apart, and returns how many it did.
func separate16(left, right []float32, src []byte) int {
	n := min(len(left), len(right), len(src)/4) &^ 7
	if n > 0 {
		separate8x16(&left[0], &right[0], &src[0], n)
	}
	return n
}

// average8 puts the means of n pairs of samples, a positive multiple of 8, in place of the left ones.
//
//go:noescape
func average8(left, right *float32, n int)

// averagePairs averages eight pairs at a time and returns how many it did.
func averagePairs(left, right []float32) int {
	n := min(len(left), len(right)) &^ 7
	if n > 0 {
		average8(&left[0], &right[0], n)
	}
	return n
}

//go:build !scalar

package stereo

// separate8 takes n pairs apart, a positive multiple of 8.
//
//go:noescape
func separate8(left, right, pairs *float32, n int)

// interleave4 makes n pairs, a positive multiple of 4.
//
//go:noescape
func interleave4(pairs, left, right *float32, n int)

// separate takes eight pairs apart at a time and returns how many it did.
func separate(left, right, pairs []float32) int {
	n := min(len(left), len(right), len(pairs)/2) &^ 7
	if n > 0 {
		separate8(&left[0], &right[0], &pairs[0], n)
	}
	return n
}

// interleave makes four pairs at a time and returns how many it did.
func interleave(pairs, left, right []float32) int {
	n := min(len(left), len(right), len(pairs)/2) &^ 3
	if n > 0 {
		interleave4(&pairs[0], &left[0], &right[0], n)
	}
	return n
}

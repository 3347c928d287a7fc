//go:build !scalar

package media

//go:noescape
func interleave4(out *float32, l, r *int32, n int, scale float32)

//go:noescape
func pack4(out *byte, l, r *int32, n int)

//go:noescape
func joinMiddle4(l, r *int32, n int)

// The functions below do what their twins in flac.go do, four samples at a time, and return how many.

func interleavePairs(out []float32, l, r []int32, scale float32) int {
	n := min(len(l), len(r), len(out)/2) &^ 3
	if n > 0 {
		interleave4(&out[0], &l[0], &r[0], n, scale)
	}
	return n
}

func packPairs(out []byte, l, r []int32) int {
	n := min(len(l), len(r), len(out)/4) &^ 3
	if n > 0 {
		pack4(&out[0], &l[0], &r[0], n)
	}
	return n
}

func joinMiddlePairs(l, r []int32) int {
	n := min(len(l), len(r)) &^ 3
	if n > 0 {
		joinMiddle4(&l[0], &r[0], n)
	}
	return n
}

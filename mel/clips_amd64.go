//go:build !scalar

package mel

// addFours adds n values, a positive multiple of 4, to four sums in turn.
//
//go:noescape
func addFours(sums *[4]float64, x *float32, n int)

// subtract8 writes n values less m to dst, which may be x; n is a positive multiple of 8.
//
//go:noescape
func subtract8(dst, x *float32, n int, m float32)

// addStrands adds the first values of x to the strands and returns how many, a multiple of 4.
func addStrands(s *[4]float64, x []float32) int {
	n := len(x) &^ 3
	if n > 0 {
		addFours(s, &x[0], n)
	}
	return n
}

// subtractLanes is plainSubtract of the first values, and returns how many.
func subtractLanes(dst, x []float32, m float32) int {
	n := min(len(dst), len(x)) &^ 7
	if n > 0 {
		subtract8(&dst[0], &x[0], n, m)
	}
	return n
}

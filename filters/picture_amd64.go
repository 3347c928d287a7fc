//go:build !scalar

package filters

// Integers: whatever the order of the sums, they are those of the plain loops. SSE2, which every amd64 processor has.

// luma8 writes Pillow's L of n pixels, a positive multiple of 8.
//
//go:noescape
func luma8(luma, red, green, blue *uint8, n int)

// squares16 gives the sum of n samples and of their squares; n is a positive multiple of 16, 65536 at most.
//
//go:noescape
func squares16(x *uint8, n int) (sum, squares uint64)

// laplacian8 gives the sum and the sum of squares of the Laplacian at n samples of a row; n is a positive multiple of
// 8, 8192 at most, and there is a sample more at both ends of the row.
//
//go:noescape
func laplacian8(up, row, down *uint8, n int) (sum, squares int64)

func lumaVector(luma, red, green, blue []uint8) int {
	n := min(len(luma), len(red), len(green), len(blue)) &^ 7
	if n > 0 {
		luma8(&luma[0], &red[0], &green[0], &blue[0], n)
	}
	return n
}

func squaresVector(x []uint8) (n int, sum, squares uint64) {
	for {
		part := x[n:min(n+65536, len(x)&^15)]
		if len(part) == 0 {
			return n, sum, squares
		}
		s, q := squares16(&part[0], len(part))
		n, sum, squares = n+len(part), sum+s, squares+q
	}
}

func laplacianVector(up, row, down []uint8) (n int, sum, squares int64) {
	if n = min(len(row)-2, 8192) &^ 7; n > 0 {
		sum, squares = laplacian8(&up[1], &row[1], &down[1], n)
	}
	return max(n, 0), sum, squares
}

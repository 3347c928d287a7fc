//go:build !amd64 || scalar

package filters

// Each leaves all to the plain loop after it.

func lumaVector(_, _, _, _ []uint8) int { return 0 }

func squaresVector([]uint8) (n int, sum, squares uint64) { return }

func laplacianVector(_, _, _ []uint8) (n int, sum, squares int64) { return }

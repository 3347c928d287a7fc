//go:build !amd64 || scalar

package jpeg

func fastRGB(dst, luma, cb, cr []uint8) int                                  { return 0 }
func fastSpread(dst, near, far []uint8, sums []uint16, even, odd uint16) int { return 0 }

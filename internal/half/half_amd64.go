//go:build !scalar

package half

import "github.com/klauspost/cpuid/v2"

var hasF16C = cpuid.CPU.Supports(cpuid.AVX, cpuid.F16C)

// round8 converts n values, a positive multiple of 8, and tells whether one was not a number: those have the bits that
// the processor gives them.
//
//go:noescape
func round8(dst *byte, src *float32, n int) (nan bool)

// encode converts the first values, as far as they fit the processor, and returns how many.
func encode(dst []byte, src []float32) int {
	n := len(src) &^ 7
	if n == 0 || !hasF16C || round8(&dst[:2*n][0], &src[0], n) {
		return 0
	}
	return n
}

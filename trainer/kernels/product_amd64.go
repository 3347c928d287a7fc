package kernels

import "github.com/klauspost/cpuid/v2"

var (
	avx512 = &tile{name: "AVX-512", rows: 14, cols: 32, full: product14x32, half: product14x16, turn: turn8}
	avx2   = &tile{name: "AVX2", rows: 6, cols: 16, full: product6x16, half: product6x8, turn: turn8}
)

// chooseTile looks at what the processor has.
func chooseTile() *tile {
	switch {
	case cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX2, cpuid.FMA3):
		return avx512
	case cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3):
		return avx2
	}
	return nil
}

// Strides and pitches are in bytes.
//
//go:noescape
func product14x32(k int, a *float32, row, col int, b, c *float32, pitch int, add bool)

//go:noescape
func product14x16(k int, a *float32, row, col int, b, c *float32, pitch int, add bool)

//go:noescape
func product6x16(k int, a *float32, row, col int, b, c *float32, pitch int, add bool)

//go:noescape
func product6x8(k int, a *float32, row, col int, b, c *float32, pitch int, add bool)

//go:noescape
func turn8(to *float32, toPitch int, from *float32, fromPitch, n int)

//go:build goexperiment.simd && amd64 && unix

package cli

import (
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// withoutFMA is the setting of GODEBUG under which the standard library's math.Exp uses no fused multiply-add, empty
// where it is set already or changes nothing.
//
// The matrix products of training leave the upper halves of the vector registers in use (the engine's kernels do
// not clear them, and the compiler does not either: golang.org/issue/80835). With FMA, math.Exp mixes VEX and
// legacy SSE instructions, and then Intel's processors pay for each change between the two: one Exp took 6 µs
// instead of 8 ns on a Sapphire Rapids, six tenths of the time of a training step. Without FMA it is all legacy
// SSE, which costs the same in either state.
func withoutFMA(setting string) string {
	if !cpuid.CPU.Supports(cpuid.FMA3) || strings.Contains(setting, "cpu.fma=") {
		return ""
	}
	return "cpu.fma=off"
}

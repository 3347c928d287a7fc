//go:build goexperiment.simd && amd64 && unix

package cli

import (
	"os"
	"strings"
	"syscall"

	"github.com/klauspost/cpuid/v2"
)

// withoutFMA is the setting of GODEBUG under which the standard library's math.Exp uses no fused multiply-add.
const withoutFMA = "cpu.fma=off"

// Restart makes the program begin again with GODEBUG=cpu.fma=off where that is not set, before anything else is
// done; it returns where that is not needed or not possible.
//
// The matrix products of training leave the upper halves of the vector registers in use (the engine's kernels do
// not clear them, and the compiler does not either: golang.org/issue/80835). With FMA, math.Exp mixes VEX and
// legacy SSE instructions, and then Intel's processors pay for each change between the two: one Exp took 6 µs
// instead of 8 ns on a Sapphire Rapids, six tenths of the time of a training step. Without FMA it is all legacy
// SSE, which costs the same in either state. The runtime reads the setting before main, so it must be there when
// the program starts.
func Restart() {
	if setting := os.Getenv("GODEBUG"); cpuid.CPU.Supports(cpuid.FMA3) && !strings.Contains(setting, "cpu.fma=") {
		if exe, err := os.Executable(); err == nil {
			// It only returns with an error, and then training is as slow as it was.
			_ = syscall.Exec(exe, os.Args, restarted(os.Environ(), setting))
		}
	}
}

// restarted is the environment of the new beginning.
func restarted(env []string, setting string) []string {
	if setting != "" {
		setting += ","
	}
	var out []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "GODEBUG=") {
			out = append(out, kv)
		}
	}
	return append(out, "GODEBUG="+setting+withoutFMA)
}

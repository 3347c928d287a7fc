//go:build !goexperiment.simd

package vision

// avx2 is empty: these kernels need a build with GOEXPERIMENT=simd.
func avx2() []resampler { return nil }

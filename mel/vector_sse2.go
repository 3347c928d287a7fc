//go:build amd64 && !goexperiment.simd && !scalar

package mel

// variants are the kernels that need no experiment.
var variants = []*kernels{sse2}

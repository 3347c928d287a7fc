//go:build !(goexperiment.simd && amd64)

package vision

// vector is nil: this build has the plain kernels only.
var vector *passes

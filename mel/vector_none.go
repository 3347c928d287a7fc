//go:build !(goexperiment.simd && amd64)

package mel

// vector is nil: this build has the plain kernels only.
var vector *kernels

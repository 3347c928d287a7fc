//go:build !goexperiment.simd || !amd64

package filters

var vector *kernels

//go:build !goexperiment.simd || !amd64 || scalar

package filters

var vector *kernels

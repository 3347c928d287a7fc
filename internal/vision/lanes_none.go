//go:build !amd64 || scalar

package vision

// vectors is empty: there are the plain kernels only.
var vectors []resampler

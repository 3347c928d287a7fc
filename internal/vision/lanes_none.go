//go:build !amd64

package vision

// vectors is empty: there are the plain kernels only.
var vectors []resampler

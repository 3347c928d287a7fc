//go:build !amd64 || scalar

package mel

// variants is empty: this build has the plain kernels only.
var variants []*kernels

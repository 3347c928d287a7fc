//go:build !(goexperiment.simd && amd64 && unix)

package cli

// withoutFMA has nothing to set in this build: see fma_amd64.go.
func withoutFMA(string) string { return "" }

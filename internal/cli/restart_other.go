//go:build !(goexperiment.simd && amd64 && unix)

package cli

// Restart has nothing to do in this build: see restart_amd64.go.
func Restart() {}

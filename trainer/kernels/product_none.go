//go:build !amd64

package kernels

// chooseTile finds no kernel: other processors keep the engine's own code.
func chooseTile() *tile { return nil }

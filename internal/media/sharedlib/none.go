//go:build !(((linux && !android) || darwin) && (amd64 || arm64))

package sharedlib

// open finds nothing: libraries are opened at run time only where that needs no C compiler.
func open(string, []Function) bool { return false }

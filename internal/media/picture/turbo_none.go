//go:build !(((linux && !android) || darwin) && (amd64 || arm64))

package picture

// OpenTurboJPEG finds nothing: libraries are opened at run time only where that needs no C compiler.
func OpenTurboJPEG() *TurboJPEG { return nil }

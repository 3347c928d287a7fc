//go:build !(((linux && !android) || darwin) && (amd64 || arm64))

package media

// openTurboJPEG finds nothing: libraries are opened at run time only where that needs no C compiler.
func openTurboJPEG() *TurboJPEG { return nil }

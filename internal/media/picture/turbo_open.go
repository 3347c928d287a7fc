//go:build ((linux && !android) || darwin) && (amd64 || arm64)

package picture

import (
	"os"
	"runtime"

	"github.com/ebitengine/purego"
)

// OpenTurboJPEG looks for the library; nil when this machine has none that is whole.
func OpenTurboJPEG() *TurboJPEG {
	names := []string{"libturbojpeg.so.0", "libturbojpeg.so"}
	if runtime.GOOS == "darwin" {
		// Whole paths only: the loader would take a bare name from the working directory.
		names = []string{
			"/opt/homebrew/opt/jpeg-turbo/lib/libturbojpeg.0.dylib", "/opt/homebrew/lib/libturbojpeg.0.dylib",
			"/usr/local/opt/jpeg-turbo/lib/libturbojpeg.0.dylib", "/usr/local/lib/libturbojpeg.0.dylib",
			"/opt/local/lib/libturbojpeg.0.dylib",
		}
	}
	switch name := os.Getenv(EnvTurboJPEG); name {
	case "":
	case "none":
		return nil
	default:
		names = []string{name}
	}
	for _, name := range names {
		lib, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			continue
		}
		if t := bindTurboJPEG(name, lib); t != nil {
			return t
		}
		_ = purego.Dlclose(lib)
	}
	return nil
}

// bindTurboJPEG finds the functions; nil when one is missing.
func bindTurboJPEG(path string, lib uintptr) *TurboJPEG {
	t := &TurboJPEG{path: path}
	for _, f := range []struct {
		name string
		fn   any
	}{
		{"tjInitDecompress", &t.initDecompress},
		{"tjDecompress2", &t.decompress},
		{"tjDecompressToYUVPlanes", &t.decompressYUV},
		{"tjGetErrorStr2", &t.errorText},
		{"tjGetErrorCode", &t.errorCode},
		{"tjDestroy", &t.destroy},
	} {
		symbol, err := purego.Dlsym(lib, f.name)
		if err != nil || symbol == 0 {
			return nil
		}
		purego.RegisterFunc(f.fn, symbol)
	}
	return t
}

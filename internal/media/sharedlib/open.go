//go:build ((linux && !android) || darwin) && (amd64 || arm64)

package sharedlib

import "github.com/ebitengine/purego"

// open opens a file and finds the functions; the file is closed again when one is missing.
func open(name string, functions []Function) bool {
	lib, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return false
	}
	found := make([]uintptr, len(functions))
	for i, f := range functions {
		if found[i], err = purego.Dlsym(lib, f.Name); err != nil || found[i] == 0 {
			_ = purego.Dlclose(lib)
			return false
		}
	}
	for i, f := range functions {
		purego.RegisterFunc(f.Into, found[i])
	}
	return true
}

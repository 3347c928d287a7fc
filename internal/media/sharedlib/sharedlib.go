// Package sharedlib opens shared libraries of the machine at run time: no header, no C compiler and no cgo are
// needed to build, and a machine without a library only goes without it. What a library does is the business of
// the package that opens it: picture (libjpeg-turbo) and mp3 (libmpg123).
//
// Other people's C is given only what Go code has found whole, in sizes that Go code has bounded; it is given no
// function to call back.
package sharedlib

import (
	"os"
	"runtime"
)

// Function is one to be found in a library. Into points to a variable of a function type, in Go's types for those of
// the C declaration.
type Function struct {
	Name string
	Into any
}

// Library says how a library is found.
type Library struct {
	// Env is the environment variable that names the file to open in place of the system's, or is "none" to act as if
	// this machine had none.
	Env string
	// Linux are names in the loader's search path, Darwin names of files in the folders where package managers put
	// them, each with the folder of its package there ("jpeg-turbo", "" for none).
	Linux  []string
	Darwin []DarwinFile
}

// DarwinFile is a library of macOS.
type DarwinFile struct{ Name, Package string }

// Open looks for the library and its functions, all of which must be there. It returns the file's name as it was
// found; false when this machine has none that is whole.
func (l Library) Open(functions []Function) (name string, ok bool) {
	for _, name := range l.names() {
		if open(name, functions) {
			return name, true
		}
	}
	return "", false
}

func (l Library) names() []string {
	switch name := os.Getenv(l.Env); name {
	case "":
	case "none":
		return nil
	default:
		return []string{name}
	}
	if runtime.GOOS != "darwin" {
		return l.Linux
	}
	// Whole paths only: the loader would take a bare name from the working directory.
	var names []string
	for _, f := range l.Darwin {
		for _, prefix := range []string{"/opt/homebrew", "/usr/local"} {
			if f.Package != "" {
				names = append(names, prefix+"/opt/"+f.Package+"/lib/"+f.Name)
			}
			names = append(names, prefix+"/lib/"+f.Name)
		}
		names = append(names, "/opt/local/lib/"+f.Name)
	}
	return names
}

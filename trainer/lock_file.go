//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package trainer

import (
	"errors"
	"io/fs"
	"os"

	"prep/internal/fault"
)

// lock takes a file for this process alone. Without flock it is the file's existence that counts, so a
// killed process leaves its lock behind and a person must delete it.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fault.Environmentf("another prep is training here, or was killed: delete %s if none is", path)
	}
	if err != nil {
		return nil, err
	}
	return func() error { return errors.Join(f.Close(), os.Remove(path)) }, nil
}

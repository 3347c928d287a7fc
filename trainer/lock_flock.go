//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package trainer

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"prep/internal/fault"
)

// lock takes a file for this process alone until unlock or the process's end. The empty file stays.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, fault.Environmentf("another prep is training in %s; wait for it or stop it", filepath.Dir(path))
	}
	return f.Close, nil // a file system without locks: go on unlocked
}

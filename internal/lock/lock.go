// Package lock keeps two processes out of one folder by an empty file in it. The lock ends with its process,
// however that ends; the file stays. Processes on other machines are kept out only where the file system
// honours locks, and a file system without them locks nothing: what prep writes is committed by rename, so that
// a lock spares work and is not what keeps files whole.
package lock

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/gofrs/flock"
)

// ErrHeld says that another process has the lock.
var ErrHeld = errors.New("another process has the lock")

// Try takes the lock of a file, which it makes if need be, and does not wait. Any number of processes may share
// a lock; one that is not shared is its holder's alone.
//
// Errors: ErrHeld; those of making the file.
func Try(path string, shared bool) (unlock func() error, err error) {
	l := flock.New(path)
	try := l.TryLock
	if shared {
		try = l.TryRLock
	}
	held, err := try()
	var made *fs.PathError
	switch {
	case held:
		return l.Close, nil
	case err == nil:
		return nil, ErrHeld
	case errors.As(err, &made) && !errors.Is(err, syscall.ENOLCK):
		return nil, err
	}
	return func() error { return nil }, nil
}

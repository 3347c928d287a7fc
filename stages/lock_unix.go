//go:build unix

package stages

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"prep/internal/fault"
)

// FolderLock keeps two writers out of one output folder.
type FolderLock struct{ f *os.File }

// Lock takes the folder's lock: shared for workers that do single tasks (any number may), exclusive for a
// whole ingest and for finalize. It does not wait. Workers on other machines are kept out only where the
// file system honours flock; what they write is safe all the same, since the first commit wins.
func Lock(out string, exclusive bool) (*FolderLock, error) {
	if _, err := os.Stat(filepath.Join(out, planFile)); err != nil {
		return nil, fault.Inputf("%s holds no plan of prep (%w)", out, err)
	}
	f, err := os.OpenFile(filepath.Join(out, lockFile), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, machineError("cannot write "+out, err)
	}
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, fault.Environmentf("another prep is at work in %s; wait for it or stop it", out)
	}
	return &FolderLock{f}, nil // a file system without flock: go on unlocked
}

// Unlock lets go. The empty file stays.
func (l *FolderLock) Unlock() {
	if l != nil && l.f != nil {
		l.f.Close()
	}
}

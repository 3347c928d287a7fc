package lock_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"prep/internal/lock"
)

func TestTry(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	try := func(shared bool, want error) func() error {
		t.Helper()
		unlock, err := lock.Try(path, shared)
		if !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		return unlock
	}
	release := func(unlocks ...func() error) {
		t.Helper()
		for _, unlock := range unlocks {
			if err := unlock(); err != nil {
				t.Fatal(err)
			}
		}
	}
	alone := try(false, nil)
	try(false, lock.ErrHeld)
	try(true, lock.ErrHeld)
	release(alone)
	one, two := try(true, nil), try(true, nil)
	try(false, lock.ErrHeld)
	release(one)
	try(false, lock.ErrHeld)
	release(two)
	release(try(false, nil))
	path = filepath.Join(path, "below a file")
	if _, err := lock.Try(path, false); err == nil {
		t.Fatal("a lock where no file can be")
	}
	path = filepath.Join(t.TempDir(), "no folder", ".lock")
	try(false, fs.ErrNotExist)
}

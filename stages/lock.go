package stages

import (
	"errors"
	"os"
	"path/filepath"

	"prep/internal/fault"
	"prep/internal/lock"
)

// Lock keeps two writers out of one output folder: shared for workers that do single tasks (any number may),
// exclusive for a whole ingest and for finalize. It does not wait. Workers that no lock keeps out do no harm: the
// first commit wins.
//
// Errors: Input where there is no plan; Environment where another is at work or nothing can be written.
func Lock(out string, exclusive bool) (unlock func(), err error) {
	if _, err := os.Stat(filepath.Join(out, planFile)); err != nil {
		return nil, fault.Inputf("%s holds no plan of prep (%w)", out, err)
	}
	free, err := lock.Try(filepath.Join(out, lockFile), !exclusive)
	switch {
	case errors.Is(err, lock.ErrHeld):
		return nil, fault.Environmentf("another prep is at work in %s; wait for it or stop it", out)
	case err != nil:
		return nil, machineError("cannot write "+out, err)
	}
	return func() { _ = free() }, nil
}

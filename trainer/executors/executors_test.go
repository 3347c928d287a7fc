package executors

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
)

// The library is the one that this package knows. When its version is raised this fails: read what linked.go mirrors
// in the new version, or take this package away.
func TestLibraryIsKnown(t *testing.T) {
	b, err := compute.NewWithConfig(gobackend.BackendName)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	if err := matches(b); err != nil {
		t.Fatal(err)
	}
	if err := Install(b); err != nil {
		t.Error(err)
	}
}

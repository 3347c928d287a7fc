//go:build !unix

package stages

// FolderLock does nothing on systems without flock; the commit protocol alone keeps files whole.
type FolderLock struct{}

// Lock always succeeds here.
func Lock(out string, exclusive bool) (*FolderLock, error) { return &FolderLock{}, nil }

// Unlock does nothing.
func (l *FolderLock) Unlock() {}

//go:build unix

package shards

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapping is a file's content that stays on disk until it is touched.
type mapping struct{ data []byte }

// mapFile maps f, whose size is known to be size and not 0. The mapping outlives f.
func mapFile(f *os.File, size int64) (*mapping, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: f.Name(), Err: err}
	}
	return &mapping{data}, nil
}

func (m *mapping) close() error {
	if m.data == nil {
		return nil
	}
	data := m.data
	m.data = nil
	return unix.Munmap(data)
}

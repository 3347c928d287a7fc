//go:build !unix

package shards

import (
	"io"
	"os"
)

// mapping is a file's content; where files are not mapped it is in memory.
type mapping struct{ data []byte }

// mapFile reads f, whose size is known to be size and not 0.
func mapFile(f *os.File, size int64) (*mapping, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return &mapping{data}, nil
}

func (m *mapping) close() error {
	m.data = nil
	return nil
}

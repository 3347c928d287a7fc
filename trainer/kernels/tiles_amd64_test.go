package kernels

import "testing"

// tiles are those that this processor can run.
func tiles(testing.TB) []*tile {
	switch chosen {
	case avx512:
		return []*tile{avx512, avx2}
	case avx2:
		return []*tile{avx2}
	}
	return nil
}

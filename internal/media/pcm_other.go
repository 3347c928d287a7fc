//go:build !amd64 || scalar

package media

// convert16 leaves all to decode16.
func convert16([]float32, []byte) int { return 0 }

// separate16 leaves all to decodePairs16.
func separate16(_, _ []float32, _ []byte) int { return 0 }

func averagePairs(_, _ []float32) int { return 0 }

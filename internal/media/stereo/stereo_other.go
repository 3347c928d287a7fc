//go:build !amd64 || scalar

package stereo

// separate leaves all to Separate.
func separate(_, _, _ []float32) int { return 0 }

// interleave leaves all to Interleave.
func interleave(_, _, _ []float32) int { return 0 }

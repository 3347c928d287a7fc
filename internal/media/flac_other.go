//go:build !amd64 || scalar

package media

// Everything is left to the plain twins in flac.go.

func interleavePairs([]float32, []int32, []int32, float32) int { return 0 }

func packPairs([]byte, []int32, []int32) int { return 0 }

func joinMiddlePairs([]int32, []int32) int { return 0 }

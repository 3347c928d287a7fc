//go:build !amd64 || scalar

package mel

// addStrands leaves all to meanOf.
func addStrands(*[4]float64, []float32) int { return 0 }

// subtractLanes leaves all to subtract.
func subtractLanes(_, _ []float32, _ float32) int { return 0 }

//go:build !linux

package media

import "time"

var start = time.Now()

// cpuTime is the time on the clock where that of the processor is not to be had simply.
func cpuTime() time.Duration { return time.Since(start) }

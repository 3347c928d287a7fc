package media

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what this process has used: on a machine that others use too, the time on the clock says little.
func cpuTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

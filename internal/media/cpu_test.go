//go:build unix

package media

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used: on a machine that others use too, the time on the clock says little.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

//go:build unix

package media

import (
	"errors"
	"os/exec"
	"syscall"
)

// killed reports whether a process was ended by SIGKILL or SIGTERM, which it does not send itself.
func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGTERM)
}

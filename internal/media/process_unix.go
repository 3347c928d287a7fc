//go:build unix && !linux

package media

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the process into a group of its own and has all of the group ended with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// limitMemory cannot bound another process here.
func limitMemory(int, int64) {}

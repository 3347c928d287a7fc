//go:build unix

package cli

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freeDisk says how much room the folder's file system has.
func freeDisk(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown: " + err.Error()
	}
	return fmt.Sprintf("%.1f GB here", float64(st.Bavail)*float64(st.Bsize)/1e9)
}

//go:build !unix

package cli

// freeDisk says how much room the folder's file system has.
func freeDisk(string) string { return "unknown on this system" }

package cli

import (
	"os"
	"runtime"
	"strings"
	"syscall"

	"prep/trainer/device"
)

// restart replaces the program by itself with another environment, and returns where that is not possible. Main sets it;
// tests run commands in a process that is not prep's.
var restart = func(env []string) {}

// Restart makes the program begin again with what has to stand in the environment when it starts, before anything else
// is done; it returns where nothing is missing, or where that is not possible.
func Restart() {
	if runtime.GOOS == "windows" {
		return
	}
	restart = func(env []string) {
		if exe, err := os.Executable(); err == nil {
			// It only returns with an error, and then training is as slow as it was.
			_ = syscall.Exec(exe, os.Args, env)
		}
	}
	if s := withoutFMA(os.Getenv("GODEBUG")); s != "" {
		restart(with(os.Environ(), "GODEBUG", ",", s))
	}
}

// keepMemory makes the program begin again with another setting of the C library's memory where the device computes
// through a PJRT plugin for the CPU. A command calls it when it knows its device and has not done anything yet.
func keepMemory(name, plugin string) {
	path := ""
	if named, ok := strings.CutPrefix(name, "xla:"); ok {
		path = named
	} else if name == "auto" {
		if found := device.Find(plugin); len(found) > 0 {
			path = found[0]
		}
	}
	if s := keptMemory(path, os.Getenv("GLIBC_TUNABLES")); s != "" {
		restart(with(os.Environ(), "GLIBC_TUNABLES", ":", s))
	}
}

// keptMemory is the setting of GLIBC_TUNABLES for a program that is to compute with a PJRT plugin, empty where it needs
// none: for GPUs, without a plugin, or where there are settings of malloc already.
//
// A plugin for the CPU allocates all that a step computes with for each step, in one piece. The C library maps so large a
// piece anew each time, and the system clears it page by page as it is touched: a fifth of a step's processor time. From
// one arena, never trimmed, the next step finds it again. mallopt would come too late: threads that are there keep theirs.
func keptMemory(path, setting string) string {
	if runtime.GOOS != "linux" || path == "" || device.IsCUDAPath(path) || strings.Contains(setting, "glibc.malloc.") {
		return ""
	}
	return "glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=18446744073709551615"
}

// with adds a setting to a variable of an environment.
func with(env []string, name, separator, setting string) []string {
	var out []string
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			if value != "" {
				setting = value + separator + setting
			}
			continue
		}
		out = append(out, kv)
	}
	return append(out, name+"="+setting)
}

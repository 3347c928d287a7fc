package cli

import (
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Restart makes the program begin again with what has to stand in the environment when it starts, before anything else
// is done; it returns where nothing is missing, or where that is not possible.
func Restart() {
	env := os.Environ()
	changed := false
	if s := withoutFMA(os.Getenv("GODEBUG")); s != "" {
		env, changed = with(env, "GODEBUG", ",", s), true
	}
	if s := keptMemory(os.Args, os.Getenv("GLIBC_TUNABLES")); s != "" {
		env, changed = with(env, "GLIBC_TUNABLES", ":", s), true
	}
	if !changed || runtime.GOOS == "windows" {
		return
	}
	if exe, err := os.Executable(); err == nil {
		// It only returns with an error, and then training is as slow as it was.
		_ = syscall.Exec(exe, os.Args, env)
	}
}

// keptMemory is the setting of GLIBC_TUNABLES for a program that is told to compute with a PJRT plugin for the CPU, empty
// where it is not, or where there are settings of malloc already.
//
// Such a plugin allocates all that a step computes with for each step, in one piece. The C library maps so large a piece
// anew each time, and the system clears it page by page as it is touched: a fifth of a step's processor time. From one
// arena, never trimmed, the next step finds it again. mallopt would come too late: threads that are there keep theirs.
func keptMemory(args []string, setting string) string {
	if runtime.GOOS != "linux" || strings.Contains(setting, "glibc.malloc.") {
		return ""
	}
	for _, a := range args[min(1, len(args)):] {
		// As its own argument, --device=xla:PATH, or --set train.device=xla:PATH.
		if _, path, ok := strings.Cut(a, "xla:"); ok && !strings.Contains(strings.ToLower(path), "cuda") {
			return "glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=18446744073709551615"
		}
	}
	return ""
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

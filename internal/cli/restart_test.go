package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestRestartKeepsTheEnvironment(t *testing.T) {
	got := with([]string{"A=1", "GODEBUG=http2debug=1", "B=2"}, "GODEBUG", ",", "cpu.fma=off")
	if want := []string{"A=1", "B=2", "GODEBUG=http2debug=1,cpu.fma=off"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := with([]string{"A=1"}, "GODEBUG", ",", "cpu.fma=off"); !slices.Equal(got, []string{"A=1", "GODEBUG=cpu.fma=off"}) {
		t.Errorf("got %q", got)
	}
}

// Memory is kept for plugins of the CPU, however they are named, and not a second time: that would restart without end.
func TestMemoryIsKeptForCPUPlugins(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("glibc is Linux'")
	}
	defer func(f func([]string)) { restart = f }(restart)
	dir := t.TempDir()
	place := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("no library"), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cpu, cuda := place("cpu/pjrt_c_api_cpu_plugin.so"), place("gpu/pjrt_c_api_cuda_plugin.so")
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("CONDA_PREFIX", "")
	t.Setenv("HOME", dir)
	t.Setenv("PATH", "")
	for _, test := range []struct {
		device, plugin, variable, setting string
		want                              bool
	}{
		{"xla:" + cpu, "", "", "", true},
		{"xla:" + cpu, "", "", "glibc.pthread.rseq=0", true},
		{"xla:" + cpu, "", "", "glibc.malloc.arena_max=4", false},
		{"auto", cpu, "", "", true},
		{"auto", "", filepath.Dir(cpu), "", true},
		{"auto", "", filepath.Dir(cuda), "", false},
		{"xla:" + cuda, "", "", "", false},
		{"cuda", cpu, "", "", false},
		{"cpu", cpu, filepath.Dir(cpu), "", false},
	} {
		t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", test.variable)
		t.Setenv("GLIBC_TUNABLES", test.setting)
		var env []string
		restart = func(e []string) { env = e }
		keepMemory(test.device, test.plugin)
		if (env != nil) != test.want {
			t.Errorf("%+v: %q", test, env)
		}
		for _, kv := range env {
			if value, ok := strings.CutPrefix(kv, "GLIBC_TUNABLES="); ok {
				t.Setenv("GLIBC_TUNABLES", value)
			}
		}
		if env != nil {
			env = nil
			keepMemory(test.device, test.plugin)
			if env != nil {
				t.Errorf("%+v restarts again", test)
			}
		}
	}
}

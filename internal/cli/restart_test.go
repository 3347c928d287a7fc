package cli

import (
	"runtime"
	"slices"
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

// Memory is kept for plugins of the CPU, and not a second time: that would restart without end.
func TestMemoryIsKeptForCPUPlugins(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("glibc is Linux'")
	}
	for _, test := range []struct {
		args    []string
		setting string
		want    bool
	}{
		{[]string{"prep", "train", "shards", "--device", "xla:/a/pjrt_c_api_cpu_plugin.so"}, "", true},
		{[]string{"prep", "train", "shards", "--device=xla:/a/libpjrt_cpu.so"}, "glibc.pthread.rseq=0", true},
		{[]string{"prep", "train", "shards", "--set", "train.device=xla:/a/libpjrt_cpu.so"}, "", true},
		{[]string{"prep", "train", "shards", "--device", "xla:/a/xla_cuda_plugin.so"}, "", false},
		{[]string{"prep", "train", "shards", "--device", "cuda"}, "", false},
		{[]string{"prep", "ingest", "a", "b"}, "", false},
		{nil, "", false},
	} {
		s := keptMemory(test.args, test.setting)
		if (s != "") != test.want {
			t.Errorf("%q: %q", test.args, s)
		}
		if again := keptMemory(test.args, s); s != "" && again != "" {
			t.Errorf("%q restarts again", test.args)
		}
	}
}

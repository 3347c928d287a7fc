package device

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prep/internal/fault"
)

// The child process is the test itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == CheckArg {
		report, err := Probe(os.Args[2])
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.Write(report)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// place makes an empty file.
func place(t *testing.T, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte("no library"), 0o666); err != nil {
		t.Fatal(err)
	}
	return p
}

// What is named comes first, then what the variable names, then pip's, CUDA's before the CPU's.
func TestFindOrder(t *testing.T) {
	dir := t.TempDir()
	named := place(t, dir, "mine.so")
	byVariable := place(t, dir, "plugins", "pjrt_c_api_cpu_plugin.so")
	place(t, dir, "plugins", "other.so")
	site := filepath.Join(dir, "env", "lib", "python3.11", "site-packages")
	cpu := place(t, site, "a_xla_cpu", "libpjrt_cpu.so")
	cuda := place(t, site, "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so")
	t.Setenv("VIRTUAL_ENV", filepath.Join(dir, "env"))
	t.Setenv("CONDA_PREFIX", "")
	t.Setenv("HOME", dir)
	t.Setenv(PluginEnv, filepath.Join(dir, "plugins"))
	got := Find(named)
	want := []string{named, byVariable, cuda, cpu}
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("found %q, want %q first", got, want)
	}
}

// A file that is no plugin ends the child process and is named, with its reason.
func TestBrokenPlugin(t *testing.T) {
	if !haveXLA {
		t.Skip("needs a build with cgo")
	}
	path := place(t, t.TempDir(), "pjrt_c_api_cpu_plugin.so")
	_, _, err := Open(context.Background(), Options{Name: "xla:" + path})
	if fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), path+" cannot be used") {
		t.Errorf("got %v", err)
	}
	// auto says so and goes on.
	t.Setenv(PluginEnv, path)
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("CONDA_PREFIX", "")
	t.Setenv("HOME", t.TempDir())
	said := ""
	b, what, err := Open(context.Background(), Options{Name: "auto", Log: func(s string) { said += s }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	if !strings.Contains(said, "cannot be used") {
		t.Errorf("chose %q, said %q", what, said)
	}
}

// What a child says is not believed before it is checked.
func TestCheckBounds(t *testing.T) {
	if !haveXLA {
		t.Skip("needs a build with cgo")
	}
	path := place(t, t.TempDir(), "plugin.so")
	for script, want := range map[string]string{
		`echo '{"major":1,"minor":0,"devices":1}'`:   "has PJRT API 1.0",
		`echo '{"major":0,"minor":104,"devices":0}'`: "sees no device",
		`echo hello`: `its check said "hello"`,
		`echo SIGSEGV: segmentation violation >&2; kill -9 $$`: "SIGSEGV: segmentation violation",
	} {
		if _, err := Check(context.Background(), []string{"sh", "-c", script}, path); fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", script, err, want)
		}
	}
	noisy := []string{"sh", "-c", `echo loading; echo '{"path":"p","major":0,"minor":106,"platform":"cpu","devices":4}'`}
	if r, err := Check(context.Background(), noisy, path); err != nil || r.Devices != 4 {
		t.Errorf("got %v %v", r, err)
	}
}

func TestUnknownDevice(t *testing.T) {
	for _, name := range []string{"gpu", ""} {
		if _, _, err := Open(context.Background(), Options{Name: name}); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, _, err := Open(context.Background(), Options{Name: "xla:/no/such.so"}); err == nil || !strings.Contains(err.Error(), "no such file") && haveXLA {
		t.Errorf("got %v", err)
	}
}

// What prep adds to XLA's flags never replaces what is set there.
func TestCUDAFlags(t *testing.T) {
	t.Setenv(plainEnv, "")
	site := t.TempDir()
	place(t, site, "nvidia", "cu13", "bin", "ptxas")
	all := cudaFlags("", site, "/cache")
	want := "--xla_gpu_enable_command_buffer= --xla_allow_excess_precision=false --xla_gpu_per_fusion_autotune_cache_dir=/cache --xla_gpu_cuda_data_dir=" + filepath.Join(site, "nvidia", "cu13")
	if all != want {
		t.Errorf("got %q, want %q", all, want)
	}
	if again := cudaFlags(all, t.TempDir(), "/other"); again != all {
		t.Errorf("added twice: %q", again)
	}
	const own = "--xla_allow_excess_precision=true --xla_gpu_enable_command_buffer=FUSION"
	if got := cudaFlags(own, t.TempDir(), ""); got != own {
		t.Errorf("own flags became %q", got)
	}
	if got := cudaFlags("", t.TempDir(), "/with a space"); strings.Contains(got, "cache_dir") {
		t.Errorf("a folder that XLA would cut at its space: %q", got)
	}
	t.Setenv(plainEnv, "1")
	if got := cudaFlags("--x", site, "/cache"); got != "--x" {
		t.Errorf("%s leaves %q", plainEnv, got)
	}
}

// The environment of a python3 on the PATH is looked through without being active.
func TestFindPython(t *testing.T) {
	dir := t.TempDir()
	python := place(t, dir, "env", "bin", "python3")
	if err := os.Chmod(python, 0o777); err != nil {
		t.Fatal(err)
	}
	cuda := place(t, dir, "env", "lib", "python3.12", "site-packages", "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so")
	t.Setenv("PATH", filepath.Dir(python))
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("CONDA_PREFIX", "")
	t.Setenv("HOME", dir)
	t.Setenv(PluginEnv, "")
	if got := Find(""); len(got) == 0 || got[0] != cuda {
		t.Errorf("found %q, want %q first", got, cuda)
	}
}

// A plugin for CUDA that does not open is tried without prep's flags too, and then named as any other.
func TestBrokenCUDAPlugin(t *testing.T) {
	if !haveXLA {
		t.Skip("needs a build with cgo")
	}
	t.Setenv(plainEnv, "")
	path := place(t, t.TempDir(), "xla_cuda_plugin.so")
	_, _, err := Open(context.Background(), Options{Name: "cuda", Plugin: path})
	if fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), path+" cannot be used") {
		t.Errorf("got %v", err)
	}
	if os.Getenv(plainEnv) != "" {
		t.Errorf("%s stays set", plainEnv)
	}
}

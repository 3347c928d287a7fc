// Package device opens what training computes on: GoMLX's Go backend, which is always there, or XLA through a
// PJRT plugin, a shared library that pip installs with JAX.
//
// A plugin is other people's machine code in this process, and a broken one ends it. So a plugin is opened in a
// child process first, which reports its API version, its platform and its devices; only what that child could
// open is opened here. Nothing is ever downloaded.
package device

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"

	"prep/internal/fault"
	"prep/trainer/executors"
)

// The PJRT C API version that this program's XLA is built for.
const (
	APIMajor = 0
	APIMinor = 104
)

// What to install for CUDA: the version that prep was run with on a GPU. The extra brings CUDA's and cuDNN's libraries.
const (
	CUDAPackage = "'jax-cuda13-plugin[with-cuda]==0.11.2'"
	PluginEnv   = "PJRT_PLUGIN_LIBRARY_PATH"
)

// CheckArg is the hidden command of the program that opens a plugin in a child process.
const CheckArg = "check-plugin"

// checkTime bounds the child: loading CUDA and a first kernel take some seconds.
const checkTime = 60 * time.Second

// Options say what may be opened.
type Options struct {
	// Name is cpu, cuda, auto, or xla: with the path of a plugin.
	Name string
	// Plugin is a plugin to take before those that are found, "" for none.
	Plugin string
	// TF32 lets float32 products round what they read to 10 bits, which GPUs do several times as fast.
	TF32 bool
	// Checker is the command whose further arguments are CheckArg and a path; nil is this program itself.
	Checker []string
	Log     func(string)
}

// Report is what a child process found out about a plugin.
type Report struct {
	Path     string `json:"path"`
	Major    int    `json:"major"`
	Minor    int    `json:"minor"`
	Platform string `json:"platform"` // as the plugin names it, such as cpu or cuda
	Devices  int    `json:"devices"`
}

func (r Report) String() string {
	return fmt.Sprintf("%s (PJRT API %d.%d, platform %s, %d devices)", r.Path, r.Major, r.Minor, r.Platform, r.Devices)
}

// Open opens a device and says in words what it is. Errors are of kind Environment where the machine lacks
// the device, with what to install.
func Open(ctx context.Context, o Options) (compute.Backend, string, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if path, ok := strings.CutPrefix(o.Name, "xla:"); ok {
		return openPlugin(ctx, o, path)
	}
	switch o.Name {
	case "cpu":
		return openGo(o.Log)
	case "cuda", "auto":
	default:
		return nil, "", fault.Usagef("device %q is not one of cpu, cuda, auto, xla:PATH", o.Name)
	}
	found := Find(o.Plugin)
	for _, path := range found {
		if o.Name == "cuda" && path != o.Plugin && !IsCUDAPath(path) {
			continue
		}
		b, what, err := openPlugin(ctx, o, path)
		if err == nil {
			if o.Name == "auto" {
				o.Log(fmt.Sprintf("computing on %s, because it is installed; --device cpu takes the Go backend", what))
			}
			return b, what, nil
		}
		if o.Name == "cuda" || path == o.Plugin {
			return nil, "", err
		}
		o.Log(fmt.Sprintf("%v; going on without it", err))
	}
	if o.Name == "cuda" {
		return nil, "", fault.Environmentf("no CUDA plugin was found (--plugin, %s, pip's site-packages): pip install %s", PluginEnv, CUDAPackage)
	}
	return openGo(o.Log)
}

// IsXLA reports whether a backend is XLA, which has half precision and may have several devices.
func IsXLA(b compute.Backend) bool { return b.Name() == "xla" }

// IsCUDA reports whether a backend is XLA on NVIDIA GPUs.
func IsCUDA(b compute.Backend) bool {
	x, ok := b.(interface{ IsCUDA() bool })
	return ok && x.IsCUDA()
}

// openGo makes GoMLX's pure Go backend with unlimited parallelism: its default worker pool deadlocks on
// few cores when an operation inside the pool waits for the pool, and -1 starts a goroutine for each piece
// of work instead. The documented setting "go:parallelism=-1" says the same but prints to stdout, where
// only summaries belong, so the pool is set directly; the setting is the way out should its field move.
func openGo(log func(string)) (compute.Backend, string, error) {
	const what = "the Go backend"
	b, err := compute.NewWithConfig(gobackend.BackendName)
	if err != nil {
		return nil, "", fmt.Errorf("compute backend: %w", err)
	}
	if err := executors.Install(b); err != nil {
		log(fmt.Sprintf("%v; training computes with the library's kernels, which are slower", err))
	}
	if v := reflect.Indirect(reflect.ValueOf(b)); v.Kind() == reflect.Struct {
		if f := v.FieldByName("Workers"); f.IsValid() && f.CanInterface() {
			if pool, ok := f.Interface().(interface{ SetMaxParallelism(int) }); ok {
				pool.SetMaxParallelism(-1)
				return b, what, nil
			}
		}
	}
	b.Finalize()
	b, err = compute.NewWithConfig(gobackend.BackendName + ":parallelism=-1")
	return b, what, err
}

// openPlugin checks a plugin in a child process and opens it here.
func openPlugin(ctx context.Context, o Options, path string) (compute.Backend, string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, "", fault.Usagef("plugin %s: %w", path, err)
	}
	r, err := Check(ctx, o.Checker, abs)
	if err != nil {
		return nil, "", err
	}
	if r.Minor < APIMinor { // newer ones serve older programs
		o.Log(fmt.Sprintf("%s has PJRT API %d.%d, older than the %d.%d that this program is built for: %s is known to work", r.Path, r.Major, r.Minor, APIMajor, APIMinor, CUDAPackage))
	}
	b, err := openXLA(abs, o.TF32)
	if err != nil {
		return nil, "", fault.Environmentf("plugin %s: %w", abs, err)
	}
	return b, "XLA on " + r.String(), nil
}

// Check opens a plugin in a child process.
func Check(ctx context.Context, checker []string, path string) (*Report, error) {
	if !haveXLA {
		return nil, fault.Unsupportedf("xla", "this program was built without cgo, which XLA needs: build it with a C compiler and CGO_ENABLED=1")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fault.Environmentf("no PJRT plugin: %w; prep doctor lists those that are found and how to get one", err)
	case !info.Mode().IsRegular():
		return nil, fault.Environmentf("plugin %s is not a file", path)
	}
	if len(checker) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("cannot start a child process to check %s: %w", path, err)
		}
		checker = []string{self}
	}
	began := time.Now()
	r, err := runChecker(ctx, checker, path)
	if err == nil || !IsCUDAPath(path) || os.Getenv(plainEnv) != "" || ctx.Err() != nil || time.Since(began) >= checkTime {
		return r, err
	}
	// Another version may not know the flags that prep sets, and then ends the process.
	if err := os.Setenv(plainEnv, "1"); err != nil {
		return nil, err
	}
	if r, plain := runChecker(ctx, checker, path); plain == nil {
		return r, nil
	}
	if err := os.Unsetenv(plainEnv); err != nil {
		return nil, err
	}
	return nil, err
}

// runChecker runs a child process of Check.
func runChecker(ctx context.Context, checker []string, path string) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, checker[0], append(slices.Clone(checker[1:]), CheckArg, path)...)
	cmd.Env = append(os.Environ(), "GOTRACEBACK=none")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		why := err.Error()
		if ctx.Err() != nil {
			why = fmt.Sprintf("it did not open within %s", checkTime)
		} else if line := firstLine(stderr.String()); line != "" {
			why += ": " + line
		}
		return nil, fault.Environmentf("plugin %s cannot be used: %s", path, why)
	}
	// The plugin may have written to standard output before the report.
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	r := new(Report)
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), r); err != nil {
		return nil, fault.Environmentf("plugin %s cannot be used: its check said %q", path, firstLine(stdout.String()))
	}
	if r.Major != APIMajor {
		return nil, fault.Environmentf("plugin %s has PJRT API %d.%d, this program needs %d: pip install %s", path, r.Major, r.Minor, APIMajor, CUDAPackage)
	}
	if r.Devices < 1 {
		return nil, fault.Environmentf("plugin %s sees no device", path)
	}
	return r, nil
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			return line[:min(len(line), 300)]
		}
	}
	return ""
}

// Probe opens a plugin in this process, which a broken one ends, and reports on it as a line of JSON: what
// the child process of Check does.
func Probe(path string) ([]byte, error) {
	r, err := probeXLA(path)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// flagsEnv is where XLA's compiler looks for its settings, plainEnv keeps prep's own out of them.
const (
	flagsEnv = "XLA_FLAGS"
	plainEnv = "PREP_XLA_PLAIN"
)

// cudaFlags adds to a user's flags of XLA what makes training on NVIDIA GPUs faster (docs/gpu.md, docs/bench.md), each
// unless the user has set it:
//
//   - Steps are launched kernel by kernel. As CUDA graphs, which is XLA's default, all kernels of a step are told
//     their addresses anew each time, because weights that a step replaces lie elsewhere in the next: tens of
//     milliseconds in which the GPU rests.
//   - Narrow values stay narrow. XLA keeps them in float32 where that spares a conversion, which between kernels
//     costs twice the memory traffic.
//   - What the compiler found out about the speed of kernels is kept for the next run in the folder cache, if any.
//   - CUDA's programs are looked for where pip puts them, in the site-packages folder site, as JAX does.
func cudaFlags(given, site, cache string) string {
	if os.Getenv(plainEnv) != "" {
		return given
	}
	add := func(flag, value string) {
		if !strings.Contains(given, flag) {
			given = strings.TrimSpace(given + " " + flag + value)
		}
	}
	add("--xla_gpu_enable_command_buffer=", "")
	add("--xla_allow_excess_precision=", "false")
	if cache != "" && !strings.ContainsAny(cache, " \t\n") {
		add("--xla_gpu_per_fusion_autotune_cache_dir=", cache)
	}
	for _, dir := range []string{"nvidia/cu13", "nvidia/cuda_nvcc"} {
		dir = filepath.Join(site, dir)
		if _, err := os.Stat(filepath.Join(dir, "bin/ptxas")); err == nil && !strings.ContainsAny(dir, " \t\n") {
			add("--xla_gpu_cuda_data_dir=", dir)
			break
		}
	}
	return given
}

// IsCUDAPath reports whether a plugin is CUDA's, by the names of its file and folder.
func IsCUDAPath(path string) bool {
	return strings.Contains(strings.ToLower(filepath.Base(path)), "cuda") || strings.Contains(strings.ToLower(filepath.Base(filepath.Dir(path))), "cuda")
}

// Find lists the plugins that are there, the best first: the one that is named, then what the environment
// variable names (files, or folders of them), then those in pip's site-packages, CUDA's before others.
func Find(named string) []string {
	var out []string
	add := func(paths ...string) {
		for _, p := range paths {
			abs, err := filepath.Abs(p)
			if err != nil || slices.Contains(out, abs) {
				continue
			}
			if info, err := os.Stat(abs); err == nil && info.Mode().IsRegular() {
				out = append(out, abs)
			}
		}
	}
	if named != "" {
		add(named)
	}
	for _, p := range filepath.SplitList(os.Getenv(PluginEnv)) {
		add(p)
		add(glob(filepath.Join(p, "pjrt_c_api_*_plugin.so"))...)
	}
	var installed []string
	for _, site := range sitePackages() {
		for _, pattern := range []string{"jax_plugins/*/xla_cuda_plugin.so", "jax_plugins/*/pjrt_c_api_*_plugin.so", "*/libpjrt_cpu.so", "*/pjrt_c_api_cpu_plugin.so", "xla_plugins/*/*.so"} {
			installed = append(installed, glob(filepath.Join(site, pattern))...)
		}
	}
	slices.SortStableFunc(installed, func(a, b string) int {
		switch {
		case IsCUDAPath(a) && !IsCUDAPath(b):
			return -1
		case IsCUDAPath(b) && !IsCUDAPath(a):
			return 1
		}
		return 0
	})
	add(installed...)
	return out
}

func glob(pattern string) []string {
	m, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	return m
}

// sitePackages are the places where pip puts packages: the active environment's, the user's, the system's.
func sitePackages() []string {
	var roots []string
	for _, env := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if d := os.Getenv(env); d != "" {
			roots = append(roots, d)
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".local"))
	}
	if runtime.GOOS != "windows" {
		// The python3 of an environment that is on the PATH without being active.
		if python, err := exec.LookPath("python3"); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(python)))
		}
		roots = append(roots, "/usr/local", "/usr")
	}
	var out []string
	for _, r := range roots {
		out = append(out, glob(filepath.Join(r, "lib/python3*/site-packages"))...)
		out = append(out, glob(filepath.Join(r, "lib/python3*/dist-packages"))...)
	}
	return out
}

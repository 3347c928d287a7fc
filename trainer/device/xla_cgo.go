//go:build cgo && (linux || darwin) && (amd64 || arm64)

package device

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

const haveXLA = true

// openXLA opens a plugin by its absolute path. Buffers are not shared with the host: training gives its
// values to the step that replaces them, and memory that both sides own would go with them. TF32 is off unless it
// is asked for: the library has it on for GPUs, where float32 would be a thousand times coarser than its name.
func openXLA(path string, tf32 bool) (compute.Backend, error) {
	xla.EnableAutoInstall(false) // the default downloads plugins
	if IsCUDAPath(path) {
		if err := setFlags(path); err != nil {
			return nil, err
		}
	}
	plain, err := plainPath(path)
	if err != nil {
		return nil, err
	}
	unwait(plain)
	return xla.New(fmt.Sprintf("%s,shared_buffers=false,tf32=%t", plain, tf32))
}

// setFlags tells XLA's compiler for GPUs what it reads from XLA_FLAGS, as far as the user has not: cudaFlags. The
// library's own look for CUDA beside the plugin is one folder off, and warns of what it did not find.
func setFlags(path string) error {
	if err := os.Setenv("GOPJRT_CUDA_CHECKS", "no"); err != nil {
		return err
	}
	cache := ""
	if dir, err := os.UserCacheDir(); err == nil {
		cache = filepath.Join(dir, "prep", "xla")
		if os.MkdirAll(cache, 0o777) != nil {
			cache = "" // compiling takes longer without it, nothing else
		}
	}
	site := filepath.Dir(filepath.Dir(filepath.Dir(path)))
	return os.Setenv(flagsEnv, cudaFlags(os.Getenv(flagsEnv), site, cache))
}

// plainPath is a path from which the library guesses the platform rightly: it takes any plugin whose path has
// "cuda" or "nvidia" anywhere for CUDA's, the folder of a user of that name too, and a comma for the path's end.
// A link without those stands in for such a path.
func plainPath(path string) (string, error) {
	if (IsCUDAPath(path) || !pjrt.IsCUDAName(path)) && !strings.Contains(path, ",") {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "prep-plugin-")
	if err != nil {
		return "", err
	}
	name := "pjrt_c_api_cpu_plugin.so"
	if IsCUDAPath(path) {
		name = "xla_cuda_plugin.so"
	}
	link := filepath.Join(dir, name)
	return link, os.Symlink(path, link)
}

// probeXLA opens a plugin, asks it what it is, and has it compute something.
func probeXLA(path string) (*Report, error) {
	plain, err := plainPath(path)
	if err != nil {
		return nil, err
	}
	b, err := openXLA(plain, false)
	if err != nil {
		return nil, err
	}
	p, err := pjrt.GetPlugin(plain) // the one that is open now
	if err != nil {
		return nil, err
	}
	r := &Report{Path: path, Devices: int(b.NumDevices()), Platform: "xla"}
	r.Major, r.Minor = p.Version()
	for _, known := range []string{"cuda", "rocm", "tpu", "cpu"} {
		if strings.Contains(strings.ToLower(b.Description()), known) {
			r.Platform = known
			break
		}
	}
	return r, addsUp(b)
}

// addsUp compiles and runs a sum: what a driver lacks, and flags that the compiler does not know, show only there.
func addsUp(b compute.Backend) error {
	x, err := graph.NewExec(b, func(x *graph.Node) *graph.Node { return graph.ReduceAllSum(x) })
	if err != nil {
		return err
	}
	defer x.Finalize()
	y, err := x.Call1([]float32{1, 2, 4})
	if err != nil {
		return err
	}
	if sum := tensors.ToScalar[float32](y); sum != 7 {
		return fmt.Errorf("1 + 2 + 4 is %g there", sum)
	}
	return nil
}

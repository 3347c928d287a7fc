//go:build cgo && (linux || darwin) && (amd64 || arm64)

package device

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

const haveXLA = true

// openXLA opens a plugin by its absolute path. Buffers are not shared with the host: training gives its
// values to the step that replaces them, and memory that both sides own would go with them.
func openXLA(path string) (compute.Backend, error) {
	xla.EnableAutoInstall(false) // the default downloads plugins
	plain, err := plainPath(path)
	if err != nil {
		return nil, err
	}
	return xla.New(plain + ",shared_buffers=false")
}

// plainPath is a path from which the library guesses the platform rightly: it takes any plugin whose path has
// "cuda" or "nvidia" anywhere for CUDA's, the folder of a user of that name too, and a comma for the path's end.
// A link without those stands in for such a path.
func plainPath(path string) (string, error) {
	if (isCUDA(path) || !pjrt.IsCUDAName(path)) && !strings.Contains(path, ",") {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "prep-plugin-")
	if err != nil {
		return "", err
	}
	name := "pjrt_c_api_cpu_plugin.so"
	if isCUDA(path) {
		name = "xla_cuda_plugin.so"
	}
	link := filepath.Join(dir, name)
	return link, os.Symlink(path, link)
}

// probeXLA opens a plugin and asks it what it is.
func probeXLA(path string) (*Report, error) {
	plain, err := plainPath(path)
	if err != nil {
		return nil, err
	}
	b, err := openXLA(plain)
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
	return r, nil
}

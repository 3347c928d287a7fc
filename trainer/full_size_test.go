package trainer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"prep/configs"
	"prep/internal/sample"
)

// peakMemory is the most memory that the process ever had, in GiB, its share of mapped files included.
func peakMemory(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs /proc to measure memory")
	}
	for line := range strings.Lines(string(b)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
			return kb / (1 << 20)
		}
	}
	t.Fatal("no VmHWM in /proc/self/status")
	return 0
}

// Weights of imagebind_huge's size, in the file that PREP_FULL_SIZE names (scripts/make_huge_pth.py writes
// one): one sample of each modality embeds, and the weights are exported again. It takes minutes.
func TestFullSize(t *testing.T) {
	path := os.Getenv("PREP_FULL_SIZE")
	if path == "" {
		t.Skip("PREP_FULL_SIZE names no weights of imagebind_huge")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	size := float64(info.Size()) / (1 << 30)
	c, err := configs.Load(configs.Layers{ModelPreset: "imagebind_huge"})
	if err != nil {
		t.Fatal(err)
	}
	base := peakMemory(t)
	began := time.Now()
	x, err := Export(ExportOptions{From: path, Out: filepath.Join(t.TempDir(), "w.safetensors"), Model: &c.Model, Log: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	peak := peakMemory(t)
	t.Logf("export: %d tensors, %d values in %.0f s; peak memory %.2f GiB for a file of %.2f GiB", x.Tensors, x.Parameters, time.Since(began).Seconds(), peak, size)
	if peak-base > 1.3*size {
		t.Errorf("exporting took %.2f GiB, %.2f times the file", peak-base, (peak-base)/size)
	}
	for _, m := range []sample.Modality{sample.IMU, sample.Depth, sample.Thermal, sample.Audio, sample.Text, sample.Image, sample.Video} {
		rows := synthetic(1, m)
		began := time.Now()
		v, err := embedRows(context.Background(), EmbedOptions{Weights: path, Model: c.Model, Out: filepath.Join(t.TempDir(), "v.parquet"), Batch: 1, Log: func(s string) { t.Log(s) }}, rows)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d vector of %d in %.1f s, loading included; peak memory so far %.2f GiB", m, v.Vectors, v.Dim, time.Since(began).Seconds(), peakMemory(t))
		debug.FreeOSMemory()
	}
}

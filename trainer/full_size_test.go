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
	"prep/trainer/element"
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

// resetPeak forgets the peak so far, so that peakMemory is of what follows.
func resetPeak(t *testing.T) float64 {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skip("needs /proc/self/clear_refs to measure memory: ", err)
	}
	return peakMemory(t)
}

// Weights of imagebind_huge's size, in the file that PREP_FULL_SIZE names (scripts/make_huge_pth.py writes
// one): they are exported again, as float32 too, all towers are loaded, and one sample of each modality embeds.
// It takes minutes.
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
	base := resetPeak(t)
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
	// The model computes in float32, whatever the file holds: its bound is 1.3 times a file of float32.
	whole := filepath.Join(t.TempDir(), "f32.safetensors")
	if _, err := Export(ExportOptions{From: path, Out: whole, Type: element.F32, Model: &c.Model}); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{whole, path} {
		base, began := resetPeak(t), time.Now()
		f, err := OpenWeights(from)
		if err != nil {
			t.Fatal(err)
		}
		e, err := openEngine(c.Model, c.Train, engineOptions{backend: testBackend(t, testDevice()), from: f})
		if err != nil {
			t.Fatal(err)
		}
		values := 4 * float64(x.Parameters) / (1 << 30)
		peak := peakMemory(t)
		t.Logf("%s: all towers loaded in %.0f s; peak memory %.2f GiB, %.2f times its values as float32", filepath.Base(from), time.Since(began).Seconds(), peak-base, (peak-base)/values)
		if peak-base > 1.3*values {
			t.Error("that is more than 1.3 times")
		}
		e.close()
		f.Close()
	}
	for _, m := range []sample.Modality{sample.IMU, sample.Depth, sample.Thermal, sample.Audio, sample.Text, sample.Image, sample.Video} {
		rows := synthetic(1, m)
		base, began := resetPeak(t), time.Now()
		v, err := embedRows(context.Background(), EmbedOptions{Weights: path, Model: c.Model, Out: filepath.Join(t.TempDir(), "v.parquet"), Batch: 1, Log: func(s string) { t.Log(s) }}, rows)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d vector of %d in %.1f s, loading included; peak memory %.2f GiB", m, v.Vectors, v.Dim, time.Since(began).Seconds(), peakMemory(t)-base)
	}
}

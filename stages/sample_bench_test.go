//go:build unix

package stages

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"prep/configs"
	"prep/internal/media"
)

// benchWAV is 10 s of 44.1 kHz stereo, 16 bits: partials that come and go over noise.
func benchWAV() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	const rate, n = 44100, 441000
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), 36+4*n)
	b = append(b, "WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00"...)
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, 4*rate)
	b = append(b, "\x04\x00\x10\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, 4*n)
	for i := range n {
		t := float64(i) / rate
		v := 0.3*math.Sin(2*math.Pi*440*t)*math.Abs(math.Sin(3*t)) + 0.2*math.Sin(2*math.Pi*1250*t)*math.Abs(math.Sin(1.7*t))
		for range 2 {
			b = binary.LittleEndian.AppendUint16(b, uint16(int16(32767*max(-1, min(1, v+0.01*r.NormFloat64())))))
		}
	}
	return b
}

// benchJPEG is 500 x 375 pixels, 4:2:0, about 60 KB: edges, gradients and noise.
func benchJPEG(b *testing.B) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	m := image.NewRGBA(image.Rect(0, 0, 500, 375))
	for y := range 375 {
		for x := range 500 {
			n := r.IntN(24)
			m.Set(x, y, color.RGBA{uint8((x*x/300 + n) % 256), uint8((y + x/2 + n) % 256), uint8((x/40*y/30)%256/2 + n), 255})
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: 85}); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkWholeSample is ingest of samples of a sound, a picture and a caption, with all rules and metrics of the
// default configuration, from files to a shard and its ledger on disk. cpu-ms/sample is processor time of the whole
// process, the least of the runs over all samples: garbage collection, hashing and system calls included. least-ms is
// the least that one sample took up to its tensors, which is steadier on a machine that others use.
//
//	GOEXPERIMENT=simd go test -run '^$' -bench WholeSample ./stages
func BenchmarkWholeSample(b *testing.B) {
	const samples = 48
	wav, jpg := benchWAV(), benchJPEG(b)
	for _, parts := range []string{"sound+picture+caption", "sound", "picture", "caption"} {
		b.Run(parts, func(b *testing.B) {
			src := b.TempDir()
			for i := range samples {
				write := func(ext string, data []byte) {
					if err := os.WriteFile(filepath.Join(src, fmt.Sprintf("%03d.%s", i, ext)), data, 0o644); err != nil {
						b.Fatal(err)
					}
				}
				if parts == "sound" || parts == "sound+picture+caption" {
					write("wav", wav)
				}
				if parts == "picture" || parts == "sound+picture+caption" {
					write("jpg", jpg)
				}
				if parts == "caption" || parts == "sound+picture+caption" {
					write("txt", fmt.Appendf(nil, "a man plays number %d on an old piano in the park", i))
				}
			}
			cfg, err := configs.Load(configs.Layers{})
			if err != nil {
				b.Fatal(err)
			}
			tools := media.FindTools(b.Context())
			plan, listing, err := MakePlan(b.Context(), src, cfg, tools, false)
			if err != nil {
				b.Fatal(err)
			}
			proc, err := NewProcessor(plan, "", cfg.Ingest, tools)
			if err != nil {
				b.Fatal(err)
			}
			least, alone := math.Inf(1), math.Inf(1)
			for b.Loop() {
				out := filepath.Join(b.TempDir(), "out")
				if _, err := plan.Adopt(out, listing); err != nil {
					b.Fatal(err)
				}
				r := &Runner{Out: out, Plan: plan, Processor: proc, Workers: 1}
				written := int64(0)
				before := processTime(b)
				err := r.Run(b.Context(), plan.Tasks, func(row Row) error { written += row.Counts.Written; return nil })
				least = min(least, float64(processTime(b)-before)/samples/1e6)
				if err != nil || written != samples {
					b.Fatalf("%d of %d written: %v", written, samples, err)
				}
				todo, err := plan.Tasks[0].Samples(out)
				if err != nil {
					b.Fatal(err)
				}
				for i := range todo {
					before := processTime(b)
					if _, err := proc.Process(b.Context(), &todo[i]); err != nil {
						b.Fatal(err)
					}
					alone = min(alone, float64(processTime(b)-before)/1e6)
				}
				os.RemoveAll(out)
			}
			b.ReportMetric(least, "cpu-ms/sample")
			b.ReportMetric(alone, "least-ms")
		})
	}
}

func processTime(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return t.Nano()
}

package media

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/mewkiz/flac"
)

// BenchmarkDecodeSound decodes ten seconds of 44.1 kHz stereo. What ffmpeg makes of it needs ffmpeg.
func BenchmarkDecodeSound(b *testing.B) {
	ctx := context.Background()
	const frames = 441000
	data := make([]byte, 0, 4*frames)
	for i := range 2 * frames {
		v := int16(12000 * math.Sin(float64(i)*float64(i)/9e9))
		data = append(data, byte(v), byte(v>>8))
	}
	wav := write(b, "x.wav", wavOf{tag: 1, bits: 16, channels: 2, rate: 44100, data: data}.build())
	run := func(name, path string, tools *Tools, seg Segment) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			from := cpuTime()
			for b.Loop() {
				if _, err := tools.DecodeSound(ctx, path, seg); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime()-from)/1e6/float64(b.N), "cpu-ms/op")
		})
	}
	run("wav", wav, &Tools{}, Segment{})
	run("wav-2s", wav, &Tools{}, Segment{4, 6})
	tools := needFFmpeg(b)
	lpc := tools.make(b, "x.flac", "-i", wav)
	run("flac", lpc, tools, Segment{})
	b.Run("flac-mewkiz", func(b *testing.B) {
		for b.Loop() {
			stream, err := flac.ParseFile(lpc)
			if err != nil {
				b.Fatal(err)
			}
			for range int(stream.Info.NSamples+4095) / int(stream.Info.BlockSizeMax) {
				if _, err := stream.ParseNext(); err != nil {
					break
				}
			}
			stream.Close()
		}
	})
	run("mp3", tools.make(b, "x.mp3", "-i", wav), tools, Segment{})
	run("vorbis", tools.make(b, "x.ogg", "-i", wav, "-c:a", "libvorbis"), tools, Segment{})
	run("m4a", tools.make(b, "x.m4a", "-i", wav), tools, Segment{})
}

func BenchmarkDecodeFrames(b *testing.B) {
	tools := needFFmpeg(b)
	path := tools.make(b, "x.mp4", "-f", "lavfi", "-i", "testsrc=s=640x360:r=25:d=10", "-c:v", "libx264", "-preset", "ultrafast")
	for b.Loop() {
		if _, err := decodeFrames(tools, path, Segment{}, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProbeTiming(b *testing.B) {
	tools := needFFmpeg(b)
	args := []string{"-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=10", "-f", "lavfi", "-i", "sine=d=10", "-c:v", "mpeg4"}
	for _, name := range []string{"x.mp4", "x.mkv"} {
		path := tools.make(b, name, args...)
		b.Run(filepath.Ext(name)[1:], func(b *testing.B) {
			for b.Loop() {
				if _, err := tools.ProbeTiming(context.Background(), path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

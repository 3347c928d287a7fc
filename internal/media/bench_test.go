package media

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mewkiz/flac"

	"prep/internal/media/mp3"
)

// BenchmarkDecodeSound decodes ten seconds of 44.1 kHz stereo. What ffmpeg makes of it needs ffmpeg.
func BenchmarkDecodeSound(b *testing.B) {
	const frames = 441000
	data := make([]byte, 0, 4*frames)
	for i := range 2 * frames {
		v := int16(12000 * math.Sin(float64(i)*float64(i)/9e9))
		data = append(data, byte(v), byte(v>>8))
	}
	wav := write(b, "x.wav", wavOf{tag: 1, bits: 16, channels: 2, rate: 44100, data: data}.build())
	run := func(name, path string, tools *Tools, seg Segment) {
		b.Run(name, func(b *testing.B) { benchSound(b, tools, path, seg) })
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

// benchBatch is how often a decoder runs between two looks at the clock of the processor, which counts other
// threads' time (the garbage collector's) late.
const benchBatch = 20

// benchSound decodes a file again and again and reports the processor time of one decoding, by the least and by
// the middle one of the batches: a busy machine moves these least.
func benchSound(b *testing.B, tools *Tools, path string, seg Segment) {
	b.ReportAllocs()
	var took []float64
	n, from := 0, cpuTime()
	for b.Loop() {
		s, err := tools.DecodeSound(context.Background(), path, seg)
		if err != nil {
			b.Fatal(err)
		}
		s.Release()
		if n++; n%benchBatch == 0 {
			now := cpuTime()
			took = append(took, float64(now-from)/benchBatch/1e6)
			from = now
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		b.ReportMetric(took[0], "min-cpu-ms/op")
		b.ReportMetric(took[len(took)/2], "cpu-ms/op")
	}
}

// BenchmarkSoundFiles decodes the files that PREP_BENCH_SOUND lists, separated as in PATH, in Go and by the library
// that this machine may have for them: it is our side of scripts/bench_sound.py.
func BenchmarkSoundFiles(b *testing.B) {
	list := os.Getenv("PREP_BENCH_SOUND")
	if list == "" {
		b.Skip("needs PREP_BENCH_SOUND, a list of files")
	}
	for _, path := range filepath.SplitList(list) {
		base := filepath.Base(path)
		b.Run("go/"+base, func(b *testing.B) { benchSound(b, &Tools{}, path, Segment{}) })
		f, _ := FormatOf(path)
		if tools := (&Tools{MPG123: mp3.OpenMPG123()}); f.Name == "MP3" && tools.MPG123 != nil {
			b.Run("library/"+base, func(b *testing.B) { benchSound(b, tools, path, Segment{}) })
		}
	}
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

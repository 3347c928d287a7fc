package stages

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// wavFile makes a mono file at 16 kHz of so many samples, whose header states another number.
func wavFile(samples, declared int) []byte {
	le := binary.LittleEndian
	b := append(le.AppendUint32([]byte("RIFF"), uint32(36+2*declared)), "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	for _, v := range []uint16{1, 1, 16000, 0, 32000, 0, 2, 16} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(append(b, "data"...), uint32(2*declared))
	for i := range samples {
		b = le.AppendUint16(b, uint16(int16(8000*math.Sin(float64(i)*float64(i)/9e5))))
	}
	return b
}

// TestDeclaredLength: what a header promises and a file lacks is measured and noted, and costs nothing.
func TestDeclaredLength(t *testing.T) {
	cfg, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Audio.MaxSeconds = 4
	for _, c := range []struct {
		name              string
		samples, declared int
		start, end        float64
		missing           float64
		note              string
	}{
		{"as declared", 32000, 32000, 0, 0, 0, ""},
		{"one in a hundred short", 31680, 32000, 0, 0, 0.02, "cut off"},
		{"half", 16000, 32000, 0, 0, 1, "2.00 s of sound are declared here, 1.00 s decoded"},
		{"beyond the limit", 80000, 80000, 0, 0, 0, "cut at audio.max_seconds (4 s)"},
		{"as long as the limit", 64000, 64000, 0, 0, 0, ""},
		{"a segment of a whole", 80000, 80000, 1, 3, 0, ""},
		{"a segment that is cut off", 104000, 160000, 5, 8, 1.5, "3.00 s of sound are declared here, 1.50 s decoded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			b := wavFile(c.samples, c.declared)
			if err := os.WriteFile(filepath.Join(dir, "x.wav"), b, 0o666); err != nil {
				t.Fatal(err)
			}
			p := &Processor{Root: dir, Config: cfg, Tools: &media.Tools{}}
			s := &sample.Sample{Key: "x", Metrics: sample.Metrics{}}
			d, err := readSound(context.Background(), p, s, &sample.Part{
				Modality: sample.Audio, Path: "x.wav", Size: int64(len(b)), Start: c.start, End: c.end,
			})
			if err != nil {
				t.Fatal(err)
			}
			d.measure(p, s)
			declared, _ := s.Metrics.Number("audio_declared_s")
			missing, _ := s.Metrics.Number("audio_missing_s")
			if declared != float64(c.declared)/16000 || math.Abs(missing-c.missing) > 1e-9 {
				t.Errorf("declared %v s, missing %v; want %v, %v", declared, missing, float64(c.declared)/16000, c.missing)
			}
			if notes := strings.Join(s.Notes, "; "); c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

// TestCutOffIsNotAlreadyCut: a whole recording whose end is lost may be about as long as the segment that is
// listed of it, and is a whole recording all the same.
func TestCutOffIsNotAlreadyCut(t *testing.T) {
	cfg, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	const rate = 16000
	for _, c := range []struct {
		name                   string
		have, declared         float64 // seconds
		start, end             float64
		from, seconds, missing float64
		reason                 string // of the error
	}{
		{"a clip", 10, 10, 30, 40, 0, 10, 0, ""},
		{"a clip with padding", 10.8, 10.8, 30, 40, 0, 10.8, 0, ""},
		{"a clip whose end is lost", 6, 10, 30, 40, 0, 6, 4, ""},
		{"a whole", 60, 60, 30, 40, 30, 10, 0, ""},
		{"a whole whose end is lost behind the segment", 50, 60, 30, 40, 30, 10, 0, ""},
		{"a whole whose end is lost inside the segment", 35, 60, 30, 40, 30, 5, 5, ""},
		{"a whole whose end is lost before the segment", 20, 60, 30, 40, 0, 0, 0, "segment_outside"},
		{"a whole of which the length of a segment is left", 10, 60, 30, 40, 0, 0, 0, "segment_outside"},
		{"a whole of which the length of its first segment is left", 10, 60, 0, 10, 0, 10, 0, ""},
		{"a whole of which the segment is left in part", 10, 60, 4, 14, 4, 6, 4, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			b := wavFile(int(c.have*rate), int(c.declared*rate))
			if err := os.WriteFile(filepath.Join(dir, "x.wav"), b, 0o666); err != nil {
				t.Fatal(err)
			}
			p := &Processor{Root: dir, Config: cfg, Tools: &media.Tools{}}
			s := &sample.Sample{Key: "x", Metrics: sample.Metrics{}}
			m, err := readSound(context.Background(), p, s, &sample.Part{Modality: sample.Audio, Path: "x.wav", Size: int64(len(b)), Start: c.start, End: c.end})
			if (err != nil) != (c.reason != "") || err != nil && fault.ReasonOf(err) != c.reason {
				t.Fatalf("%v, want %q", err, c.reason)
			}
			if err != nil {
				if !strings.Contains(err.Error(), "the header promises 60.000 s") {
					t.Error(err)
				}
				return
			}
			d := m.(*sound)
			if d.seconds != c.seconds || d.missing != c.missing {
				t.Errorf("%v s, %v missing; want %v, %v", d.seconds, d.missing, c.seconds, c.missing)
			}
			at := 44 + 2*int(c.from*rate)
			for i, v := range d.wave[0] {
				if want := float32(int16(binary.LittleEndian.Uint16(b[at+2*i:]))) / (1 << 15); v != want {
					t.Fatalf("sample %d is %v, want %v", i, v, want)
				}
			}
		})
	}
}

// TestMemoryOfSounds: what one sound leaves behind in memory is not seen by the next, whatever their lengths, rates
// and channels.
func TestMemoryOfSounds(t *testing.T) {
	for _, mean := range []string{"clip", "imagebind"} {
		cfg, err := configs.Load(configs.Layers{})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Audio.Mean, cfg.Audio.Channel = mean, "first"
		dir := t.TempDir()
		var names []string
		for i, n := range []int{40000, 16000, 90000, 5000, 300} {
			b := wavFile(n, n)
			if i%2 == 1 { // the same bytes as stereo at 44.1 kHz
				binary.LittleEndian.PutUint16(b[22:], 2)
				binary.LittleEndian.PutUint32(b[24:], 44100)
			}
			names = append(names, string(rune('a'+i))+".wav")
			if err := os.WriteFile(filepath.Join(dir, names[i]), b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		tensor := func(p *Processor, name string) string {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			s := &sample.Sample{Key: "x", Metrics: sample.Metrics{}}
			m, err := readSound(t.Context(), p, s, &sample.Part{Modality: sample.Audio, Path: name, Size: info.Size()})
			if err != nil {
				return err.Error()
			}
			x, err := m.tensor(p)
			if err != nil {
				t.Fatal(err)
			}
			return string(x.Data)
		}
		shared := &Processor{Root: dir, Config: cfg, Tools: &media.Tools{}}
		for i := range 20 {
			name := names[i*7%len(names)]
			if tensor(shared, name) != tensor(&Processor{Root: dir, Config: cfg, Tools: &media.Tools{}}, name) {
				t.Errorf("%s, after others and by itself, gives two tensors", name)
			}
		}
	}
}

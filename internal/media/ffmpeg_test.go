package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"prep/internal/fault"
	"prep/internal/needs"
)

// needFFmpeg finds ffmpeg and ffprobe or skips.
func needFFmpeg(t testing.TB) *Tools {
	t.Helper()
	tools := FindTools(context.Background())
	needs.Tool(t, tools.FFmpeg != "" && tools.FFprobe != "", "ffmpeg and ffprobe in PATH (Debian: apt-get install ffmpeg)")
	return tools
}

// make runs ffmpeg to make a file in the test's folder and returns its path.
func (t *Tools) make(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	args = append(append([]string{"-v", "error", "-nostdin", "-y"}, args...), "-bitexact", "file:"+path)
	if out, err := exec.Command(t.FFmpeg, args...).CombinedOutput(); err != nil {
		tb.Fatalf("ffmpeg %q: %v\n%s", args, err, out)
	}
	return path
}

const tone = "aevalsrc='0.4*sin(2*PI*440*t)+0.2*sin(2*PI*(300+90*t)*t)|0.3*sin(2*PI*660*t)':s=44100:d=3"

// TestAgainstFFmpeg: what Go decodes starts at the same sample and has the same length and values as
// ffmpeg's decoding, and ffmpeg's own path gives the rest of the formats.
func TestAgainstFFmpeg(t *testing.T) {
	tools := needFFmpeg(t)
	tools.MPG123 = nil // TestMPG123 compares it with Go
	ctx := context.Background()
	for _, c := range []struct {
		name, codec, decoder string
		tolerance            float64
		args                 []string
	}{
		{"x.wav", "pcm_s16le", "go", 0, nil},
		{"x24.wav", "pcm_s24le", "go", 0, []string{"-c:a", "pcm_s24le"}},
		{"a.wav", "pcm_alaw", "go", 0, []string{"-c:a", "pcm_alaw"}},
		{"x.rf64", "pcm_s16le", "go", 0, []string{"-f", "wav", "-rf64", "always"}},
		{"x.aiff", "pcm_s16be", "go", 0, nil},
		{"x.flac", "flac", "go", 0, nil},
		{"x12.flac", "flac", "go", 0, []string{"-compression_level", "12", "-sample_fmt", "s32"}},
		{"x5.1.flac", "flac", "go", 0, []string{"-ac", "6"}},
		{"x.mp3", "mp3", "go", 1e-5, []string{"-b:a", "128k"}},
		{"low.mp3", "mp3", "go", 1e-5, []string{"-ac", "1", "-ar", "22050", "-b:a", "16k"}},
		{"x.ogg", "vorbis", "go", 1e-5, []string{"-c:a", "libvorbis"}},
		{"x.oga", "flac", "go", 0, []string{"-c:a", "flac"}},
		{"x32.oga", "flac", "go", 0, []string{"-c:a", "flac", "-sample_fmt", "s32"}},
		{"x.opus", "opus", "go", 1e-3, []string{"-c:a", "libopus", "-application", "lowdelay"}},
		{"opus.mka", "opus", "ffmpeg", 0, []string{"-c:a", "libopus"}},
		{"5.1.ogg", "vorbis", "go", 1e-5, []string{"-c:a", "libvorbis", "-ac", "6"}},
		{"x.m4a", "aac", "ffmpeg", 0, nil},
		{"x.mkv", "vorbis", "ffmpeg", 0, []string{"-c:a", "libvorbis"}},
		{"ms.wav", "adpcm_ms", "ffmpeg", 0, []string{"-c:a", "adpcm_ms"}},
		{"x.mp2", "mp2", "ffmpeg", 0, []string{"-b:a", "192k"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // ffmpeg takes most of its time to start
			path := tools.make(t, c.name, append([]string{"-f", "lavfi", "-i", tone}, c.args...)...)
			s, err := tools.DecodeSound(ctx, path, Segment{})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(s.Codec, c.codec) || !strings.HasPrefix(s.Decoder, c.decoder) || len(s.Notes) != 0 {
				t.Errorf("codec %s, decoder %s, notes %q; want %s, %s", s.Codec, s.Decoder, s.Notes, c.codec, c.decoder)
			}
			want, err := tools.decodeSoundFFmpeg(ctx, path, "x", Segment{})
			if err != nil {
				t.Fatal(err)
			}
			if s.SourceRate != want.SourceRate || s.SourceChannels != want.SourceChannels || len(s.Data) != len(want.Data) {
				t.Fatalf("%d Hz, %d channels, %d samples; ffmpeg %d, %d, %d", s.SourceRate, s.SourceChannels, len(s.Data),
					want.SourceRate, want.SourceChannels, len(want.Data))
			}
			worst := 0.0
			for i, v := range s.Data {
				worst = math.Max(worst, math.Abs(float64(v-want.Data[i])))
			}
			if worst > c.tolerance {
				t.Errorf("differs from ffmpeg by %g, more than %g", worst, c.tolerance)
			}
			if d, err := duration(tools, path); err != nil || math.Abs(d-s.Seconds()) > 0.06 {
				t.Errorf("duration %v, %v; decoded %v", d, err, s.Seconds())
			}
			// A segment in the middle is that stretch of the whole; Opus only nearly forgets where it began.
			seg := Segment{1, 2}
			part, err := tools.DecodeSound(ctx, path, seg)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(c.name, ".mkv") || strings.HasSuffix(c.name, ".mka") {
				// Matroska counts milliseconds: after seeking, the place of a sample is known to one.
				if n := part.NumFrames(); math.Abs(float64(n-s.SourceRate)) > 0.001*float64(s.SourceRate) {
					t.Errorf("a second has %d samples at %d Hz", n, s.SourceRate)
				}
				return
			}
			if n := part.NumFrames(); n != s.SourceRate {
				t.Errorf("a second has %d samples at %d Hz", n, s.SourceRate)
			}
			worst = 0
			for i, v := range part.Data {
				worst = math.Max(worst, math.Abs(float64(v-s.Data[s.SourceRate*s.SourceChannels+i])))
			}
			if limit := map[bool]float64{true: 1e-3}[c.codec == "opus"]; worst > limit {
				t.Errorf("the segment differs from that stretch of the whole by %g, more than %g", worst, limit)
			}
		})
	}
}

// TestNamesAreNames: a file's name never becomes an option, a protocol or a pattern.
func TestNamesAreNames(t *testing.T) {
	tools := needFFmpeg(t)
	b, err := os.ReadFile(tools.make(t, "x.mp2", "-f", "lavfi", "-i", tone))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"-i.mp2", "-y", "a:b.mp2", "http:x.mp2", "concat:a|b.mp2", "50%d.mp2", "a b'\"$(id).mp2", "öü.mp2", "pipe:0"} {
		dir := t.TempDir()
		if runtime.GOOS == "windows" {
			t.Skip("needs a file system that takes any name")
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		s, err := tools.DecodeSound(context.Background(), name, Segment{})
		if err != nil || s.Codec != "mp2" || s.SourceRate != 44100 {
			t.Errorf("%q: %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%q: files were left: %v", name, left)
		}
	}
}

// TestPlaylistsAreRefused: a text that would make ffmpeg open other files is no medium.
func TestPlaylistsAreRefused(t *testing.T) {
	tools := needFFmpeg(t)
	target := write(t, "target.mkv", nil)
	os.Remove(target)
	target = tools.make(t, "target.mkv", "-f", "lavfi", "-i", tone)
	for name, text := range map[string]string{
		"concat": "ffconcat version 1.0\nfile '" + filepath.Base(target) + "'\n",
		"hls":    "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n" + filepath.Base(target) + "\n#EXT-X-ENDLIST\n",
	} {
		path := filepath.Join(filepath.Dir(target), name+".mkv")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := tools.DecodeSound(context.Background(), path, Segment{}); fault.ReasonOf(err) != "corrupt_media" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMalformedContainers(t *testing.T) {
	tools := needFFmpeg(t)
	both := []string{"-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2", "-f", "lavfi", "-i", "sine=d=2", "-c:v", "mpeg4"}
	mp4 := tools.make(t, "x.mp4", both...)
	whole, err := os.ReadFile(mp4)
	if err != nil {
		t.Fatal(err)
	}
	mkv, err := os.ReadFile(tools.make(t, "x.mkv", both...))
	if err != nil {
		t.Fatal(err)
	}
	audio, err := os.ReadFile(tools.make(t, "a.mp4", "-f", "lavfi", "-i", "sine=d=2"))
	if err != nil {
		t.Fatal(err)
	}
	video, err := os.ReadFile(tools.make(t, "v.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2", "-c:v", "mpeg4"))
	if err != nil {
		t.Fatal(err)
	}
	audioMKV, err := os.ReadFile(tools.make(t, "a.mkv", "-f", "lavfi", "-i", "sine=d=2"))
	if err != nil {
		t.Fatal(err)
	}
	videoMKV, err := os.ReadFile(tools.make(t, "v.mkv", "-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2", "-c:v", "mpeg4"))
	if err != nil {
		t.Fatal(err)
	}
	elst := bytes.Index(whole, []byte("elst"))
	hugeCount := bytes.Clone(whole)
	copy(hugeCount[elst+8:], "\xff\xff\xff\xff")
	for _, c := range []struct {
		name           string
		file           string
		data           []byte
		sound, picture string // reasons; "" is fine
	}{
		{"whole", "x.mp4", whole, "", ""},
		{"moov cut off", "x.mp4", whole[:len(whole)/2], "corrupt_media", "corrupt_media"},
		{"ftyp only", "x.mp4", whole[:32], "corrupt_media", "corrupt_media"},
		{"edit list of 4 billion entries", "x.mp4", hugeCount, "", "corrupt_media"},
		{"audio only", "x.mp4", audio, "", "no_video"},
		{"video only", "x.mp4", video, "no_audio", ""},
		{"audio only", "x.mkv", audioMKV, "", "no_video"},
		{"video only", "x.mkv", videoMKV, "no_audio", ""},
		{"header only", "x.mkv", mkv[:40], "corrupt_media", "corrupt_media"},
		{"text", "x.mkv", []byte("no video"), "corrupt_media", "not_video"},
		{"zeros", "x.avi", make([]byte, 5000), "corrupt_media", "corrupt_media"},
		{"empty", "x.avi", nil, "empty_file", "empty_file"},
	} {
		t.Run(c.name+" "+c.file, func(t *testing.T) {
			path := write(t, c.file, c.data)
			_, err := tools.DecodeSound(context.Background(), path, Segment{})
			checkReason(t, "sound", err, c.sound, path)
			_, err = decodeFrames(tools, path, Segment{}, 1)
			checkReason(t, "frames", err, c.picture, path)
		})
	}
	if _, err := tools.DecodeSound(context.Background(), mp4, Segment{Start: 7}); fault.ReasonOf(err) != "segment_outside" {
		t.Errorf("sound behind the end: %v", err)
	}
	if _, err := decodeFrames(tools, mp4, Segment{Start: 7}, 1); fault.ReasonOf(err) != "segment_outside" {
		t.Errorf("frames behind the end: %v", err)
	}
	for name, f := range map[string]func(*Tools) error{
		"sound": func(none *Tools) error { _, err := none.DecodeSound(context.Background(), mp4, Segment{}); return err },
		"frames": func(none *Tools) error {
			_, err := decodeFrames(none, mp4, Segment{}, 1)
			return err
		},
		"timing": func(none *Tools) error {
			_, err := none.ProbeTiming(context.Background(), write(t, "x.ogv", []byte("OggS\x00 with whatever follows")))
			return err
		},
	} {
		if err := f(&Tools{}); fault.KindOf(err) != fault.Unsupported || fault.ReasonOf(err) != "needs_ffmpeg" {
			t.Errorf("%s without ffmpeg: %v", name, err)
		}
	}
}

func checkReason(t *testing.T, what string, err error, reason, path string) {
	t.Helper()
	switch {
	case reason == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case reason != "" && (err == nil || fault.ReasonOf(err) != reason || fault.KindOf(err) != fault.Corrupt):
		t.Errorf("%s: got %s %v, want %s", what, fault.ReasonOf(err), err, reason)
	case err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "0x")):
		t.Errorf("%s: the error does not name the file, or names an address: %v", what, err)
	}
}

// fakeProgram writes a shell script that stands in for ffmpeg.
func fakeProgram(t *testing.T, script string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a Unix shell")
	}
	path := write(t, "ffmpeg", []byte("#!/bin/sh\n"+script))
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestProcessEnds: a process that hangs, floods or leaves a child behind is ended, and nothing waits on it.
func TestProcessEnds(t *testing.T) {
	m4a := write(t, "x.m4a", []byte("\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00"))
	for name, script := range map[string]string{
		"hangs":             "exec sleep 60",
		"hangs in a child":  "sleep 60",
		"floods its errors": "while :; do echo '[error] all is lost' >&2; done",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := (&Tools{FFmpeg: fakeProgram(t, script)}).DecodeSound(ctx, m4a, Segment{})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 20*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	}
	t.Run("own time limit", func(t *testing.T) {
		p := process{program: fakeProgram(t, "exec sleep 60"), limit: 200 * time.Millisecond}
		text, err := p.run(context.Background(), nil)
		if err = sayWhy("x", "", "ffmpeg", text, err); fault.ReasonOf(err) != "decode_timeout" {
			t.Error(err)
		}
	})
	t.Run("says nothing sensible", func(t *testing.T) {
		_, err := (&Tools{FFmpeg: fakeProgram(t, "echo hello")}).DecodeSound(context.Background(), m4a, Segment{})
		if fault.ReasonOf(err) != "corrupt_media" {
			t.Error(err)
		}
	})
	t.Run("does not start", func(t *testing.T) {
		_, err := (&Tools{FFmpeg: write(t, "ffmpeg", []byte("no program"))}).DecodeSound(context.Background(), m4a, Segment{})
		if fault.KindOf(err) != fault.Environment {
			t.Error(err)
		}
	})
}

// TestEndlessOutput: what comes out is bounded by the memory allowed, not by the process.
func TestEndlessOutput(t *testing.T) {
	tools := needFFmpeg(t)
	tools.MaxSoundBytes = 1 << 20
	path := tools.make(t, "x.m4a", "-f", "lavfi", "-i", "anullsrc=d=60", "-b:a", "16k")
	if _, err := tools.DecodeSound(context.Background(), path, Segment{}); fault.ReasonOf(err) != "too_long" {
		t.Error(err)
	}
}

func TestFindTools(t *testing.T) {
	t.Setenv(EnvFFmpeg, "none")
	if tools := FindTools(context.Background()); tools.FFmpeg != "" || tools.FFprobe != "" || tools.Version(context.Background()) != "" {
		t.Errorf("%+v", tools)
	}
	fake := fakeProgram(t, "echo 'ffmpeg version 9.8.7-3+x Copyright'")
	t.Setenv(EnvFFmpeg, fake)
	if tools := FindTools(context.Background()); tools.FFmpeg != fake || tools.Version(context.Background()) != "9.8.7-3+x" || tools.decoderName() != "ffmpeg 9.8.7" {
		t.Errorf("%+v", tools)
	}
	t.Setenv(EnvFFmpeg, fakeProgram(t, "exit 1"))
	if tools := FindTools(context.Background()); tools.Version(context.Background()) != "" {
		t.Errorf("%+v", tools)
	}
	if name := (&Tools{FFmpegVersion: "N-109-gabc"}).decoderName(); name != "ffmpeg N-109-gabc" {
		t.Error(name)
	}
}

// TestLeftToFFmpeg: what is not ours to read comes through ffmpeg with the samples that went in, and segments of it.
func TestLeftToFFmpeg(t *testing.T) {
	tools := needFFmpeg(t)
	source := []string{"-f", "lavfi", "-i", tone}
	want, err := tools.DecodeSound(t.Context(), tools.make(t, "x.wav", append(source, "-c:a", "pcm_s16le")...), Segment{})
	if err != nil {
		t.Fatal(err)
	}
	n := want.SourceChannels
	middle := Segment{1, 1.5}
	first, last := middle.frames(want.SourceRate)
	for _, c := range []struct {
		name, codec string
		args        []string
	}{
		{"x.w64", "pcm_s16le", []string{"-c:a", "pcm_s16le"}},
		{"x.caf", "pcm_s16be", []string{"-c:a", "pcm_s16be"}},
		{"alac.caf", "alac", []string{"-c:a", "alac", "-sample_fmt", "s16p"}},
		{"x.wv", "wavpack", []string{"-c:a", "wavpack", "-sample_fmt", "s16p"}},
		{"x.voc", "pcm_s16le", []string{"-c:a", "pcm_s16le"}},
	} {
		path := tools.make(t, c.name, append(source, c.args...)...)
		s, err := tools.DecodeSound(t.Context(), path, Segment{})
		if err != nil {
			t.Fatal(err)
		}
		if s.Codec != c.codec || !strings.HasPrefix(s.Decoder, "ffmpeg") || s.SourceRate != want.SourceRate {
			t.Errorf("%s: %s by %s", c.name, s.Codec, s.Decoder)
		}
		equal(t, s.Data, want.Data)
		part, err := tools.DecodeSound(t.Context(), path, middle)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, part.Data, want.Data[int(first)*n:int(last)*n])
	}

	// Streams one after the other have a clock each; those of FLAC are ffmpeg's.
	one, err := os.ReadFile(tools.make(t, "x.ogg", append(source, "-c:a", "flac")...))
	if err != nil {
		t.Fatal(err)
	}
	single := decode(t, write(t, "x.ogg", one), Segment{})
	file, err := tools.OpenSound(t.Context(), write(t, "x.ogg", append(bytes.Clone(one), one...)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	length, err := file.Length()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := file.Decode(Segment{})
	if err != nil {
		t.Fatal(err)
	}
	if d := whole.NumFrames() - 2*single.NumFrames(); d != 0 || !strings.HasPrefix(whole.Decoder, "ffmpeg") || length.Whole() != whole.Seconds() || whole.DeclaredSeconds != 0 {
		t.Errorf("two streams of %d frames have %d, %+v, %v s declared", single.NumFrames(), whole.NumFrames(), length, whole.DeclaredSeconds)
	}
	if w := worst(t, whole.Data[:len(single.Data)], single.Data); w > 1e-5 {
		t.Errorf("the first stream differs by %g", w)
	}
	for _, seg := range []Segment{middle, {single.Seconds() + 0.5, single.Seconds() + 1}} {
		part, err := file.Decode(seg)
		if err != nil {
			t.Fatal(err)
		}
		first, last := seg.frames(whole.SourceRate)
		equal(t, part.Data, whole.Data[int(first)*n:int(last)*n])
	}
}

// TestRareSounds: what samplers wrote is found by its content, whatever its name, and read by ffmpeg; sound of more
// channels than are read is told as that.
func TestRareSounds(t *testing.T) {
	tools := needFFmpeg(t)
	be := binary.BigEndian
	// A MIDI sample dump of 16 bits: seven bits a byte, three bytes a sample, 40 samples a packet.
	dump := append([]byte{0xf0, 0x7e, 0, 1, 0, 0, 16, 0x50, 0x47, 3, 80, 0, 0}, make([]byte, 7)...) // 62500 ns
	dump = append(dump, 0xf7)
	for packet := range 2 {
		dump = append(dump, 0xf0, 0x7e, 0, 2, byte(packet))
		for i := range 40 {
			v := uint32(800*(40*packet+i) - 32000 + 1<<15)
			dump = append(dump, byte(v>>9), byte(v>>2&127), byte(v<<5&127))
		}
		dump = append(dump, 0, 0xf7)
	}
	s, err := tools.DecodeSound(t.Context(), write(t, "x.wav", dump), Segment{})
	if err != nil || s.NumFrames() != 80 {
		t.Fatalf("MIDI sample dump: %v", err)
	}
	for i, v := range s.Data {
		if want := float32(800*i-32000) / (1 << 15); v != want {
			t.Fatalf("MIDI sample dump: sample %d is %v, want %v", i, v, want)
		}
	}
	for _, b := range []string{"MATLAB 5.0 MAT-file, by GNU Octave", "\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x0b\x00\x00\x00samplerate\x00", "Extended Instrument: x", "ALawSoundFile**\x00\x0f\x10"} {
		if _, err := tools.DecodeSound(t.Context(), write(t, "x.wav", []byte(b)), Segment{}); fault.ReasonOf(err) != "unsupported_codec" || !strings.Contains(err.Error(), "sndfile-convert") {
			t.Errorf("%q: %v", b, err)
		}
	}
	wide := append([]byte("caff\x00\x01\x00\x00desc"), 0, 0, 0, 0, 0, 0, 0, 32)
	wide = be.AppendUint64(wide, math.Float64bits(44100))
	wide = append(wide, "lpcm"...)
	for _, v := range []uint32{0, 200, 1, 100, 16} { // big-endian whole numbers, bytes and frames a packet, channels, bits
		wide = be.AppendUint32(wide, v)
	}
	wide = append(be.AppendUint64(append(wide, "data"...), 4+20000), make([]byte, 4+20000)...)
	if _, err := tools.DecodeSound(t.Context(), write(t, "x.caf", wide), Segment{}); fault.ReasonOf(err) != "too_many_channels" || !strings.Contains(err.Error(), "100 channels") {
		t.Errorf("CAF of 100 channels: %v", err)
	}
}

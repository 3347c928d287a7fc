package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/container"
)

// decodeAll probes a file and decodes its pictures and its sound in one run.
func decodeAll(t testing.TB, tools *Tools, path string, seg Segment, clips int) (*Video, container.Timing, error) {
	t.Helper()
	timing, err := tools.ProbeTiming(context.Background(), path)
	if err != nil {
		return nil, timing, err
	}
	want := VideoRequest{Clips: clips, Segment: seg}
	if timing.HasAudio {
		want.Sound = &seg
	}
	v, err := tools.DecodeVideo(context.Background(), path, timing, want)
	return v, timing, err
}

// counting wraps a program in a script that notes each run.
func counting(t *testing.T, tools *Tools) (counted *Tools, runs func() int) {
	log := filepath.Join(t.TempDir(), "runs")
	c := *tools
	c.FFmpeg = fakeProgram(t, fmt.Sprintf("echo x >>%q\nexec %q \"$@\"\n", log, tools.FFmpeg))
	c.FFprobe = fakeProgram(t, fmt.Sprintf("echo x >>%q\nexec %q \"$@\"\n", log, tools.FFprobe))
	return &c, func() int {
		b, _ := os.ReadFile(log)
		return len(b) / 2
	}
}

// TestOneProcess: pictures and sound of a video come from one process, and are what two would give.
func TestOneProcess(t *testing.T) {
	tools := needFFmpeg(t)
	for _, c := range []struct {
		ext   string
		codec []string
		shift float64
	}{
		{"mp4", []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac"}, 0.12},
		{"webm", []string{"-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"}, -0.2},
		{"avi", []string{"-c:v", "mpeg4", "-c:a", "libmp3lame"}, 0},
		{"ts", []string{"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "mp2"}, 0.4},
	} {
		t.Run(c.ext, func(t *testing.T) {
			path := shifted(t, tools, c.ext, c.shift, append(c.codec, "-t", "4"))
			counted, runs := counting(t, tools)
			for _, seg := range []Segment{{}, {0.5, 1.3}} {
				before := runs()
				v, _, err := decodeAll(t, counted, path, seg, 3)
				if err != nil {
					t.Fatal(err)
				}
				if n := runs() - before; n != 1 {
					t.Errorf("%d processes", n)
				}
				frames, err := decodeFrames(tools, path, seg, 3)
				if err != nil {
					t.Fatal(err)
				}
				sound, err := tools.decodeSoundFFmpeg(context.Background(), path, c.ext, seg)
				if err != nil {
					t.Fatal(err)
				}
				if v.Sound.NumFrames() != sound.NumFrames() || v.Sound.Codec != sound.Codec {
					t.Fatalf("%d samples of %s, alone %d of %s", v.Sound.NumFrames(), v.Sound.Codec, sound.NumFrames(), sound.Codec)
				}
				for i, x := range sound.Data {
					if v.Sound.Data[i] != x {
						t.Fatalf("sample %d differs", i)
					}
				}
				for i, p := range frames {
					if !bytes.Equal(v.Clips[i/2].Frames[i%2].Pix, p.Pix) {
						t.Errorf("frame %d differs", i)
					}
				}
			}
		})
	}
}

// odd lists files that are whole and unusual.
func TestOddVideos(t *testing.T) {
	tools := needFFmpeg(t)
	grey := func(r, d string) []string { // frame i is grey of level 2 i + 16
		return []string{"-f", "lavfi", "-i", "color=black:s=64x48:r=" + r + ":d=" + d + ",format=gray,geq=lum='2*N+16'"}
	}
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-qp", "2"}
	yuv := []string{"-pix_fmt", "yuvj420p"}
	level := func(i int) int { return 2*i + 16 }
	for _, c := range []struct {
		name          string
		file          string
		args          []string
		width, height int
		first, last   int // levels; -1 whatever
		complaint     bool
	}{
		{"one frame", "x.mp4", append(grey("25", "0.04"), append(x264, yuv...)...), 64, 48, level(0), level(0), false},
		{"two frames", "x.mkv", append(grey("25", "0.08"), append(x264, yuv...)...), 64, 48, level(0), level(1), false},
		{"shorter than a clip", "x.mp4", append(grey("25", "1"), append(x264, yuv...)...), 64, 48, level(0), level(24), false},
		{"longer: the middle", "x.mp4", append(grey("25", "4"), append(x264, yuv...)...), 64, 48, level(25), level(74), false},
		{"B-frames", "x.mp4", append(grey("25", "4"), append(append(x264, yuv...), "-bf", "3", "-preset", "fast")...), 64, 48, level(25), level(74), false},
		{"variable frame rate", "x.mp4", append(grey("25", "4"), append(append(x264, yuv...), "-vf", "select='not(mod(n\\,3))+lt(n\\,20)',setpts=N*0.08/TB*0+PTS", "-vsync", "vfr")...), 64, 48, -1, -1, false},
		{"odd sizes", "x.mkv", append(grey("25", "1"), "-vf", "scale=63:47", "-c:v", "ffv1"), 63, 47, -1, -1, false},
		{"10 bits", "x.mkv", append(grey("25", "1"), "-c:v", "ffv1", "-pix_fmt", "yuv420p10le", "-color_range", "pc"), 64, 48, -1, -1, false},
		{"grey of 16 bits", "x.mkv", append(grey("25", "1"), "-c:v", "ffv1", "-pix_fmt", "gray16le"), 64, 48, level(0), level(24), false},
		{"alpha", "x.mov", append(grey("25", "1"), "-c:v", "qtrle", "-pix_fmt", "argb"), 64, 48, -1, -1, false},
		{"RGB", "x.mkv", append(grey("25", "1"), "-c:v", "ffv1", "-pix_fmt", "gbrp"), 64, 48, level(0), level(24), false},
		{"interlaced", "x.mpg", append(grey("25", "1"), "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1", "-q:v", "2", "-pix_fmt", "yuv420p"), 64, 48, -1, -1, false},
		{"pixels that are not square", "x.mp4", append(grey("25", "1"), append(append(x264, yuv...), "-vf", "setsar=2")...), 64, 48, level(0), level(24), false},
		{"audio before and behind", "x.mp4", append(append(grey("25", "1"), "-f", "lavfi", "-i", "sine=d=5"), append(x264, yuv...)...), 64, 48, level(0), level(24), false},
		{"edit list from the middle on", "copy.mp4", append(grey("25", "4"), append(append(x264, yuv...), "-g", "50")...), 64, 48, level(25), level(25) + 2*49, false},
		{"attached picture", "x.mkv", append(append(grey("25", "1"), "-f", "lavfi", "-i", "sine=d=1"), append(x264, yuv...)...), 64, 48, level(0), level(24), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var path string
			if c.file == "copy.mp4" {
				// The cut begins between key frames: an edit list says where, and the decoder starts before.
				path = tools.make(t, "y.mp4", "-ss", "0.6", "-i", tools.make(t, "x.mp4", c.args...), "-t", "2.8", "-c", "copy")
			} else {
				path = tools.make(t, c.file, c.args...)
			}
			v, timing, err := decodeAll(t, tools, path, Segment{}, 1)
			if err != nil {
				t.Fatal(err)
			}
			clip := v.Clips[0]
			for i, want := range []int{c.first, c.last} {
				p := clip.Frames[i]
				if p.Width != c.width || p.Height != c.height {
					t.Errorf("frame %d is %d x %d", i, p.Width, p.Height)
				}
				if got := int(p.Pix[3*(p.Width*p.Height/2)]); want >= 0 && max(got-want, want-got) > 2 {
					t.Errorf("frame %d at %.3f s has level %d, want %d; %s", i, clip.Times[i], got, want, show(timing))
				}
			}
			if (v.Note != "") != c.complaint {
				t.Errorf("note %q", v.Note)
			}
		})
	}
}

// TestSegmentIsSought: what lies before a segment of a long file is not read by the decoder. Everything there
// is destroyed, and the segment comes out as before.
func TestSegmentIsSought(t *testing.T) {
	tools := needFFmpeg(t)
	for _, ext := range []string{"mp4", "mkv", "ts"} {
		t.Run(ext, func(t *testing.T) {
			t.Parallel()
			// Three hours, of a minute again and again.
			minute := tools.make(t, "minute."+ext, "-f", "lavfi", "-i", "testsrc=s=32x32:r=2:d=60", "-f", "lavfi", "-i", "sine=r=16000:d=60",
				"-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-c:a", "mp2", "-b:a", "8k", "-ac", "1")
			path := tools.make(t, "long."+ext, "-stream_loop", "179", "-i", minute, "-c", "copy")
			seg := Segment{9000, 9010}
			want, _, err := decodeAll(t, tools, path, seg, 1)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if ext == "mp4" { // the packets lie in mdat, which comes first
				for i := len(b) / 50; i < len(b)/2; i++ {
					b[i] = 0xaa
				}
				if err := os.WriteFile(path, b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, _, err := decodeAll(t, tools, path, seg, 1)
			if err != nil || got.Note != "" {
				t.Fatal(err, got.Note)
			}
			for i := range 2 {
				if !bytes.Equal(got.Clips[0].Frames[i].Pix, want.Clips[0].Frames[i].Pix) {
					t.Errorf("frame %d differs", i)
				}
			}
			if n := got.Sound.Seconds(); math.Abs(n-10) > 0.06 { // the minutes do not join to the sample
				t.Errorf("%.3f s of sound", n)
			}
			if v := got.Clips[0].Times[0]; math.IsNaN(v) {
				t.Error("no time of the first frame")
			}
		})
	}
}

// malformedVideos is the table of what is wrong with a video file and what that gets: a reason, or "" where
// what is left can be used.
func TestMalformedVideos(t *testing.T) {
	tools := needFFmpeg(t)
	both := []string{"-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2"}
	h264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-c:a", "aac"}
	read := func(name string, args ...string) []byte {
		b, err := os.ReadFile(tools.make(t, name, append(both[:len(both):len(both)], args...)...))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	mp4, mkv := read("x.mp4", h264...), read("x.mkv", h264...)
	fast := read("f.mp4", append(h264, "-movflags", "faststart")...)
	fragments := read("g.mp4", append(h264, "-movflags", "frag_keyframe+empty_moov")...)
	avi, ts := read("x.avi", "-c:v", "mpeg4", "-c:a", "mp2"), read("x.ts", h264...)
	flv, mpg := read("x.flv", append(h264, "-ar", "44100")...), read("x.mpg", "-c:v", "mpeg2video", "-c:a", "mp2")
	webm := read("x.webm", "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus")
	ogv := read("x.ogv", "-c:v", "libtheora", "-c:a", "libvorbis")

	patch := func(b []byte, name string, offset int, with string) []byte {
		i := bytes.LastIndex(b, []byte(name)) // names stand in lists before
		if i < 0 {
			t.Fatalf("no %s", name)
		}
		b = bytes.Clone(b)
		copy(b[i+offset:], with)
		return b
	}
	fill := func(b []byte, from, to float64, v byte) []byte {
		b = bytes.Clone(b)
		for i := int(from * float64(len(b))); i < int(to*float64(len(b))); i++ {
			b[i] = v
		}
		return b
	}
	for _, c := range []struct {
		name, file string
		data       []byte
		reasons    string // any of these, separated by "|"; "" fine
	}{
		{"whole", "x.mp4", mp4, ""},
		{"empty", "x.mp4", nil, "empty_file"},
		{"one byte", "x.mp4", mp4[:1], "corrupt_media"},
		{"cut in the middle, index at the end", "x.mp4", mp4[:len(mp4)/2], "corrupt_media"},
		{"cut in the middle, index in front", "x.mp4", fast[:len(fast)*3/4], ""},
		{"cut behind the index", "x.mp4", fast[:bytes.Index(fast, []byte("mdat"))+8], "corrupt_media"},
		{"no file type box: offsets are off", "x.mp4", mp4[32:], "corrupt_media"},
		{"an index of 4 GB", "x.mp4", patch(fast, "moov", -4, "\xff\xff\xff\xff"), "corrupt_media"},
		{"a box of size 4 in the index", "x.mp4", patch(mp4, "mvhd", -4, "\x00\x00\x00\x04"), "corrupt_media"},
		{"a time scale of 0", "x.mp4", patch(mp4, "mvhd", 16, "\x00\x00\x00\x00"), "corrupt_media"},
		{"4 billion edits", "x.mp4", patch(mp4, "elst", 8, "\xff\xff\xff\xff"), "corrupt_media"},
		{"4 billion samples in stts", "x.mp4", patch(mp4, "stts", 8, "\xff\xff\xff\xff"), "corrupt_media"},
		{"samples outside the file", "x.mp4", patch(mp4, "stco", 12, "\x7f\xff\xff\xff"), "corrupt_media|no_frames|empty_audio|"},
		{"an unknown codec", "x.mp4", patch(mp4, "avc1", 0, "zzzz"), "corrupt_media"},
		{"packets of zeros", "x.mp4", fill(mp4, 0.05, 0.6, 0), "corrupt_media|no_frames|"},
		{"fragments cut off", "x.mp4", fragments[:len(fragments)*3/4], ""},
		{"fragments without any", "x.mp4", fragments[:bytes.Index(fragments, []byte("moof"))-4], "corrupt_media|no_frames|segment_outside"},
		{"16 bytes", "x.mkv", mkv[:16], "corrupt_media"},
		{"header only", "x.mkv", mkv[:40], "corrupt_media"},
		{"cut in the middle", "x.mkv", mkv[:len(mkv)/2], ""},
		{"no tracks", "x.mkv", patch(mkv, "\x16\x54\xae\x6b", 0, "\xec\x54\xae\x6b"), "corrupt_media"},
		{"an element of unknown size in the tracks", "x.mkv", patch(mkv, "\x16\x54\xae\x6b", 4, "\x01\xff\xff\xff\xff\xff\xff\xff"), "corrupt_media"},
		{"clusters of 0xff", "x.mkv", fill(mkv, 0.3, 1, 0xff), "corrupt_media|no_frames|empty_audio|"},
		{"cut in the middle", "x.webm", webm[:len(webm)/2], ""},
		{"cut in the middle", "x.avi", avi[:len(avi)/2], ""},
		{"no stream header", "x.avi", bytes.ReplaceAll(avi, []byte("strh"), []byte("zzzz")), "corrupt_media"},
		{"header of 30 bytes", "x.avi", avi[:30], "corrupt_media"},
		{"cut in the middle", "x.ts", ts[:len(ts)/2], ""},
		{"out of step by one byte", "x.ts", append([]byte{1}, ts...), "|corrupt_media"},
		{"every fourth packet gone", "x.ts", lost(ts), "|corrupt_media"},
		{"tables only", "x.ts", ts[:188*3], "corrupt_media|no_frames|empty_audio"},
		{"cut in the middle", "x.mpg", mpg[:len(mpg)/2], ""},
		{"cut in the middle", "x.flv", flv[:len(flv)/2], ""},
		{"header only", "x.flv", flv[:13], "corrupt_media"},
		{"cut in the middle", "x.ogv", ogv[:len(ogv)/2], "|empty_audio"},
		{"a text", "x.mp4", []byte("this is no video, whatever its name says"), "not_video"},
		{"TypeScript", "x.ts", []byte("// Größe\nexport const size = 1;\n"), "not_video"},
		{"zeros", "x.mp4", make([]byte, 5000), "corrupt_media"},
		{"a playlist", "x.mkv", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"), "not_video"},
		{"a JPEG", "x.mp4", []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"), "corrupt_media"},
	} {
		t.Run(c.name+" "+c.file, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.file, c.data)
			began := time.Now()
			v, _, err := decodeAll(t, tools, path, Segment{}, 1)
			if took := time.Since(began); took > 60*time.Second {
				t.Errorf("took %v", took)
			}
			got := ""
			if err != nil {
				got = fault.ReasonOf(err)
				if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported {
					t.Fatalf("%v: %v", k, err)
				}
				if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "0x") {
					t.Errorf("the error does not name the file, or names an address: %v", err)
				}
				if p := (*infile.PanicError)(nil); errors.As(err, &p) {
					t.Errorf("%s", p.Stack)
				}
			} else if len(v.Clips) != 1 || v.Clips[0].Frames[0] == nil || v.Clips[0].Frames[1] == nil {
				t.Errorf("%+v", v)
			}
			if !anyOf(got, c.reasons) {
				t.Errorf("got %q (%v), want %q", got, err, c.reasons)
			}
		})
	}
}

// lost takes every fourth packet out of a transport stream, but its tables.
func lost(ts []byte) []byte {
	var b []byte
	for i := 0; i+188 <= len(ts); i += 188 {
		if i/188 < 8 || i/188%4 != 0 {
			b = append(b, ts[i:i+188]...)
		}
	}
	return b
}

func anyOf(s, list string) bool {
	for _, l := range strings.Split(list, "|") {
		if s == l {
			return true
		}
	}
	return false
}

// TestHugePictures: a header that promises a picture of 16k by 16k costs no memory, and a process that takes
// more than it may is stopped.
func TestHugePictures(t *testing.T) {
	tools := needFFmpeg(t)
	path := tools.make(t, "x.mkv", "-f", "lavfi", "-i", "color=s=16384x8192:r=1:d=1", "-c:v", "mjpeg", "-frames:v", "1")
	if _, err := decodeFrames(tools, path, Segment{}, 1); fault.ReasonOf(err) != "too_large" || fault.KindOf(err) != fault.Unsupported {
		t.Errorf("%v", err)
	}
	small := *tools
	small.MaxProcessBytes = 512 << 20
	path = tools.make(t, "y.mkv", "-f", "lavfi", "-i", "color=s=8192x8000:r=1:d=1", "-c:v", "mjpeg", "-frames:v", "1")
	if _, err := decodeFrames(&small, path, Segment{}, 1); err == nil || fault.KindOf(err) == fault.Internal {
		t.Errorf("%v", err)
	}
}

// TestEndedFromOutside: a decoder that somebody else ends is not the file's fault, and a cancelled run says
// that it was cancelled even where the signal came to ffmpeg first.
func TestEndedFromOutside(t *testing.T) {
	path := write(t, "x.mka", []byte("whatever the program makes of it"))
	decode := func(ctx context.Context, tools *Tools) error {
		_, err := tools.decodeSoundFFmpeg(ctx, path, "Matroska", Segment{})
		return err
	}
	killed := &Tools{FFmpeg: fakeProgram(t, "kill -9 $$")}
	if err := decode(context.Background(), killed); fault.ReasonOf(err) != "decoder_killed" {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(300*time.Millisecond, cancel)
	if err := decode(ctx, killed); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	slow := &Tools{FFmpeg: fakeProgram(t, "exec sleep 60"), TimeLimit: 200 * time.Millisecond}
	if err := decode(context.Background(), slow); fault.ReasonOf(err) != "decode_timeout" || fault.KindOf(err) != fault.Corrupt {
		t.Error(err)
	}
}

// TestNothingIsLeftBehind: no file appears beside the video or where the process runs, also with ffmpeg's
// report switched on in the environment.
func TestNothingIsLeftBehind(t *testing.T) {
	tools := needFFmpeg(t)
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("FFREPORT", "file="+filepath.Join(dir, "report.log"))
	t.Setenv("TMPDIR", dir)
	path := shifted(t, tools, "mp4", 0, []string{"-c:v", "mpeg4"})
	for _, e := range must(os.ReadDir(dir)) { // what making it left: the report
		_ = os.RemoveAll(filepath.Join(dir, e.Name()))
	}
	if _, err := os.Stat(path); err != nil {
		path = shifted(t, tools, "mp4", 0, []string{"-c:v", "mpeg4"})
	}
	before := len(must(os.ReadDir(dir)))
	if _, _, err := decodeAll(t, tools, path, Segment{}, 2); err != nil {
		t.Fatal(err)
	}
	if after := must(os.ReadDir(dir)); len(after) != before {
		t.Errorf("left behind: %v", after)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestMotion: a light that goes on at 1 s and off at 2 s moves at those times and at no other.
func TestMotion(t *testing.T) {
	tools := needFFmpeg(t)
	path := tools.make(t, "x.mkv", "-f", "lavfi", "-i", "color=black:s=64x48:r=30:d=3,format=gray,geq=lum='200*between(T\\,1\\,1.99)'", "-c:v", "ffv1")
	timing, err := tools.ProbeTiming(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	v, err := tools.DecodeVideo(context.Background(), path, timing, VideoRequest{Motion: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range v.Motion.Energy {
		at := v.Motion.Start + float64(i)/v.Motion.Rate
		if moves := math.Abs(at-1) < 0.03 || math.Abs(at-2) < 0.03; moves != (e > 100) || !moves && e != 0 {
			t.Errorf("%.3f s: %.1f", at, e)
		}
	}
	if n := len(v.Motion.Energy); n < 74 || n > 76 {
		t.Errorf("%d values", n)
	}
}

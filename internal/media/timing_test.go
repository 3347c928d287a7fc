package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/container"
)

// shiftable lists containers with codecs that are used in them.
var shiftable = []struct {
	name, ext, method string
	codecs            []string
}{
	{"H.264 and AAC", "mp4", container.MethodMP4, []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac"}},
	{"without B-frames", "mp4", container.MethodMP4, []string{"-c:v", "mpeg4", "-c:a", "aac", "-ar", "22050"}},
	{"MP3", "mp4", container.MethodMP4, []string{"-c:v", "mpeg4", "-c:a", "libmp3lame"}},
	{"fragmented", "mp4", container.MethodMP4, []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12", "-movflags", "frag_keyframe+delay_moov"}},
	{"fragmented without edit list", "mp4", container.MethodMP4, []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12", "-movflags", "frag_keyframe+empty_moov"}},
	{"MPEG-4 and AAC", "mov", container.MethodMP4, []string{"-c:v", "mpeg4", "-bf", "2"}},
	{"PCM", "mov", container.MethodMP4, []string{"-c:v", "mjpeg", "-c:a", "pcm_s16le"}},
	{"H.263 and AAC", "3gp", container.MethodMP4, []string{"-c:v", "h263", "-s", "128x96", "-c:a", "aac", "-ar", "44100"}},
	{"H.264 and Vorbis", "mkv", container.MethodMatroska, []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "libvorbis"}},
	{"FFV1 and AAC", "mkv", container.MethodMatroska, []string{"-c:v", "ffv1", "-c:a", "aac"}},
	{"MP3", "mkv", container.MethodMatroska, []string{"-c:v", "mpeg4", "-c:a", "libmp3lame"}},
	{"live", "mkv", container.MethodMatroska, []string{"-c:v", "mpeg4", "-c:a", "flac", "-live", "1"}},
	{"VP8 and Opus", "webm", container.MethodMatroska, []string{"-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"}},
	{"VP9 and Vorbis", "webm", container.MethodMatroska, []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libvorbis"}},
	{"MPEG-4 and MP3", "avi", container.MethodAVI, []string{"-c:v", "mpeg4", "-c:a", "libmp3lame"}},
	{"MPEG-4 and MP2", "avi", container.MethodAVI, []string{"-c:v", "mpeg4", "-c:a", "mp2"}},
	{"H.264 and AAC", "ts", container.MethodMPEGTS, []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac"}},
	{"MPEG-2 and MP2", "ts", container.MethodMPEGTS, []string{"-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"}},
	{"Blu-ray's", "m2ts", container.MethodMPEGTS, []string{"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "ac3"}},
	{"MPEG-2 and MP2", "mpg", container.MethodMPEGPS, []string{"-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"}},
	{"H.264 and AAC", "flv", container.MethodFLV, []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac", "-ar", "48000"}},
	{"Sorenson and MP3", "flv", container.MethodFLV, []string{"-c:v", "flv", "-c:a", "libmp3lame", "-ar", "44100"}},
	{"Theora and Vorbis", "ogv", container.MethodFFprobe, []string{"-c:v", "libtheora", "-c:a", "libvorbis"}},
	{"Windows Media", "wmv", container.MethodFFprobe, []string{"-c:v", "wmv2", "-c:a", "wmav2"}},
}

// shifted makes a clip of 1.6 s whose sound starts that much later than its picture, at 25 frames a second.
func shifted(t testing.TB, tools *Tools, ext string, shift float64, codecs []string) string {
	args := []string{"-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1.6"}
	if shift < 0 { // the picture comes late
		args = append([]string{"-itsoffset", fmt.Sprint(-shift)}, args...)
	} else {
		args = append(args, "-itsoffset", fmt.Sprint(shift))
	}
	args = append(args, "-f", "lavfi", "-i", "sine=d=1.6", "-vsync", "passthrough")
	return tools.make(t, "x."+ext, append(args, codecs...)...)
}

// TestSyncOffsetOfKnownShifts makes files with known shifts in every container, and has them read with and
// without ffprobe. The error is below 20 ms, which is half of what people notice.
func TestSyncOffsetOfKnownShifts(t *testing.T) {
	tools := needFFmpeg(t)
	for i, c := range shiftable {
		t.Run(c.ext+" "+c.name, func(t *testing.T) {
			t.Parallel()
			shifts := []float64{0.48, -0.72}
			if i == 0 || shiftable[i-1].ext != c.ext {
				shifts = append(shifts, 0, 2, -2)
			}
			for _, shift := range shifts {
				path := shifted(t, tools, c.ext, shift, c.codecs)
				without := &Tools{}
				if c.method == container.MethodFFprobe {
					without = tools
				}
				timing, err := without.ProbeTiming(context.Background(), path)
				if err != nil {
					t.Fatal(err)
				}
				offset, ok := timing.SyncOffset()
				if !ok || math.Abs(offset-shift) >= 0.02 {
					t.Errorf("shift %v: offset %.4f (%v), timing %s", shift, offset, ok, show(timing))
				}
				t.Logf("shift %v: error %.4f", shift, offset-shift)
				if timing.Method != c.method {
					t.Errorf("method %s, want %s", timing.Method, c.method)
				}
				if math.Abs(timing.AudioSeconds-1.6) > 0.09 || math.Abs(timing.VideoSeconds-1.6) > 0.09 || math.Abs(timing.VideoFPS-25) > 0.01 {
					if c.method != container.MethodFFprobe && (c.ext != "avi" || shift == 0) {
						t.Errorf("shift %v: lengths %v and %v, %v frames a second; want 1.6, 1.6, 25", shift, timing.AudioSeconds, timing.VideoSeconds, timing.VideoFPS)
					}
				}
				if shift != 0.48 || c.method == container.MethodFFprobe || c.ext == "avi" || strings.HasPrefix(c.name, "fragmented") {
					continue // what the file says is not what ffprobe makes of it
				}
				pr, err := tools.ffprobe(context.Background(), path, "")
				if err != nil {
					t.Fatal(err)
				}
				want := pr.timing()
				for what, pair := range map[string][2]*float64{"audio": {timing.AudioStart, want.AudioStart}, "video": {timing.VideoStart, want.VideoStart}} {
					if pair[0] == nil || pair[1] == nil || math.Abs(*pair[0]-*pair[1]) > 0.0011 {
						t.Errorf("shift %v: %s starts at %s, ffprobe says %s", shift, what, number(pair[0]), number(pair[1]))
					}
				}
			}
		})
	}
}

func number(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return strconv.FormatFloat(*v, 'f', 4, 64)
}

func show(t container.Timing) string {
	return fmt.Sprintf("audio %s + %.4f for %.3f, video %s for %.3f at %.3f, %s", number(t.AudioStart), t.AudioPriming, t.AudioSeconds,
		number(t.VideoStart), t.VideoSeconds, t.VideoFPS, t.Method)
}

// fuzzContainer feeds a reader with what ffmpeg wrote, damaged: it fails with an error about the file or
// gives finite numbers.
func fuzzContainer(f *testing.F, seeds []string, exts ...string) {
	if tools := FindTools(context.Background()); tools.FFmpeg != "" {
		for i, ext := range exts {
			for _, c := range shiftable {
				if c.ext != ext || i > 0 && !strings.Contains(c.name, "fragmented") {
					continue
				}
				b, err := os.ReadFile(shifted(f, tools, ext, 0.48, append(c.codecs, "-s", "128x96", "-t", "0.6")))
				if err != nil {
					f.Fatal(err)
				}
				f.Add(b[:min(len(b), 20000)])
				break
			}
		}
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		timing, _, err := container.Read(infile.New(context.Background(), "fuzz", bytes.NewReader(b), int64(len(b))))
		if err != nil {
			if k := fault.KindOf(err); k != fault.Corrupt {
				t.Fatal(err)
			}
			if p := (*infile.PanicError)(nil); errors.As(err, &p) {
				t.Fatalf("%v\n%s", err, p.Stack)
			}
		}
		for _, v := range []float64{timing.AudioSeconds, timing.VideoSeconds, timing.VideoFPS, timing.AudioPriming} {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Fatalf("%+v", timing)
			}
		}
		for _, start := range []*float64{timing.AudioStart, timing.VideoStart} {
			if start != nil && (math.IsNaN(*start) || math.IsInf(*start, 0)) {
				t.Fatalf("starts at %v", *start)
			}
		}
	})
}

func FuzzMP4(f *testing.F) {
	fuzzContainer(f, []string{"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x08moov"}, "mp4", "mp4")
}
func FuzzMatroska(f *testing.F)        { fuzzContainer(f, nil, "mkv") }
func FuzzAVI(f *testing.F)             { fuzzContainer(f, nil, "avi") }
func FuzzTransportStream(f *testing.F) { fuzzContainer(f, nil, "ts") }
func FuzzProgramStream(f *testing.F)   { fuzzContainer(f, nil, "mpg") }
func FuzzFLV(f *testing.F)             { fuzzContainer(f, nil, "flv") }

// TestEditLists: a copy that begins later in the medium has edit lists that begin inside the tracks, at
// different places; sound and picture stay as far apart as they were. Edits written by hand are read as
// ISO/IEC 14496-12 says.
func TestEditLists(t *testing.T) {
	tools := needFFmpeg(t)
	codecs := []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "10", "-c:a", "aac"}
	path := shifted(t, tools, "mp4", 0.12, codecs)
	offset := func(path string) float64 {
		t.Helper()
		timing, err := (&Tools{}).ProbeTiming(context.Background(), path)
		v, ok := timing.SyncOffset()
		if err != nil || !ok {
			t.Fatal(err, ok)
		}
		return v
	}
	for _, ss := range []string{"0.3", "0.77"} {
		// The copy's picture begins at ss and its sound with the packet that holds ss: both are trimmed by edits.
		copied := tools.make(t, "y.mp4", "-ss", ss, "-i", path, "-c", "copy")
		if v := offset(copied); math.Abs(v) > 0.02 {
			t.Errorf("copied from %s on: offset %.4f, want 0", ss, v)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	be := binary.BigEndian
	at := bytes.LastIndex(whole, []byte("elst")) // the sound's: version and flags, count, then (length, media time, rate)
	if n := be.Uint32(whole[at+8:]); n != 2 {
		t.Fatalf("%d edits", n)
	}
	movieScale := 1000.0
	empty := float64(be.Uint32(whole[at+12:])) / movieScale
	for _, c := range []struct {
		name            string
		length, start   [2]uint32 // of both edits, in the movie's and in the track's time
		offset, priming float64
		seconds         float64
	}{
		{"a longer empty edit", [2]uint32{1500, 1000}, [2]uint32{math.MaxUint32, 0}, 1.5 + 1024./44100, 1024. / 44100, 1},
		{"priming cut off", [2]uint32{1500, 1000}, [2]uint32{math.MaxUint32, 1024}, 1.5, 0, 1},
		{"two empty edits", [2]uint32{200, 300}, [2]uint32{math.MaxUint32, math.MaxUint32}, 0.5 + 1024./44100, 1024. / 44100, 0},
		{"two real edits", [2]uint32{200, 300}, [2]uint32{2112, 22050}, 0, 0, 0.5},
		{"from the middle", [2]uint32{500, 0}, [2]uint32{22050, 22050}, 0, 0, 0.5},
	} {
		b := bytes.Clone(whole)
		for i := range 2 {
			be.PutUint32(b[at+12+12*i:], c.length[i])
			be.PutUint32(b[at+16+12*i:], c.start[i])
		}
		timing, err := (&Tools{}).ProbeTiming(context.Background(), write(t, "x.mp4", b))
		v, ok := timing.SyncOffset()
		if err != nil || !ok || math.Abs(v-c.offset) > 1e-3 || math.Abs(timing.AudioPriming-c.priming) > 1e-6 || c.seconds > 0 && math.Abs(timing.AudioSeconds-c.seconds) > 1e-6 {
			t.Errorf("%s: %.4f (%v, %v), %s; want %.4f", c.name, v, ok, err, show(timing), c.offset)
		}
	}
	if empty < 0.09 || empty > 0.1 { // 0.12 less AAC's frame
		t.Errorf("the file has an empty edit of %.3f s", empty)
	}
}

// TestTransportClockWraps: the 33 bits of a transport stream's clock go round in the middle of the file.
func TestTransportClockWraps(t *testing.T) {
	tools := needFFmpeg(t)
	path := shifted(t, tools, "ts", 0.48, []string{"-c:v", "mpeg2video", "-c:a", "mp2", "-output_ts_offset", "95442.5"})
	timing, err := (&Tools{}).ProbeTiming(context.Background(), path)
	v, ok := timing.SyncOffset()
	if err != nil || !ok || math.Abs(v-0.48) > 0.02 || math.Abs(timing.VideoSeconds-1.6) > 0.1 {
		t.Errorf("%.4f %v %v: %s", v, ok, err, show(timing))
	}
}

// mkvmerge can write the description of the tracks behind the pictures; the seek head says where.
func TestTracksBehindThePictures(t *testing.T) {
	tools := needFFmpeg(t)
	path := shifted(t, tools, "mkv", 0.48, []string{"-c:v", "mpeg4", "-c:a", "flac"})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// element is the end of the one at at, and where its body begins.
	element := func(at int) (body, end int) {
		id, size := bits.LeadingZeros8(data[at])+1, bits.LeadingZeros8(data[at+bits.LeadingZeros8(data[at])+1])+1
		n := uint64(0)
		for i, b := range data[at+id : at+id+size] {
			if n = n<<8 | uint64(b); i == 0 {
				n &= 0xff >> size
			}
		}
		body = at + id + size
		return body, body + int(n)
	}
	_, segment := element(0)
	begin, end := element(segment)
	var info, tracks, clusters []byte
	for at := begin; at < end; {
		_, next := element(at)
		switch binary.BigEndian.Uint32(data[at:]) {
		case 0x1549a966:
			info = data[at:next]
		case 0x1654ae6b:
			tracks = data[at:next]
		case 0x1f43b675:
			clusters = append(clusters, data[at:next]...)
		}
		at = next
	}
	const seekHead = "\x11\x4d\x9b\x74\x95\x4d\xbb\x92\x53\xab\x84\x16\x54\xae\x6b\x53\xac\x88"
	body := binary.BigEndian.AppendUint64([]byte(seekHead), uint64(len(seekHead)+8+len(info)+len(clusters)))
	body = append(append(append(body, info...), clusters...), tracks...)
	out := append(bytes.Clone(data[:segment]), 0x18, 0x53, 0x80, 0x67)
	out = append(binary.BigEndian.AppendUint64(out, 1<<56|uint64(len(body))), body...)
	timing, err := new(Tools).ProbeTiming(t.Context(), write(t, "x.mkv", out))
	if err != nil {
		t.Fatal(err)
	}
	if offset, ok := timing.SyncOffset(); !ok || math.Abs(offset-0.48) >= 0.02 || math.Abs(timing.AudioSeconds-1.6) > 0.09 {
		t.Errorf("offset %v, timing %s", offset, show(timing))
	}
}

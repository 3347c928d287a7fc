package stages

import (
	"bytes"
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/needs"
	"prep/internal/sample"
)

// videos makes files with ffmpeg in a folder and returns a processor over it.
type videos struct {
	dir   string
	tools *media.Tools
	cfg   configs.Config
}

func newVideos(t testing.TB) *videos {
	t.Helper()
	tools := media.FindTools(context.Background())
	needs.Tool(t, tools.FFmpeg != "", "ffmpeg in PATH (Debian: apt-get install ffmpeg)")
	cfg, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	return &videos{t.TempDir(), tools, cfg}
}

func (v *videos) make(t testing.TB, name string, args ...string) *sample.Sample {
	t.Helper()
	path := filepath.Join(v.dir, name)
	args = append(append([]string{"-v", "error", "-nostdin", "-y"}, args...), "-bitexact", path)
	if out, err := exec.Command(v.tools.FFmpeg, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample.Sample{Key: name}
	for _, m := range []sample.Modality{sample.Video, sample.Audio} {
		s.Parts = append(s.Parts, sample.Part{Modality: m, Path: name, Size: info.Size()})
	}
	return s
}

func (v *videos) process(t testing.TB, s *sample.Sample) error {
	t.Helper()
	p, err := NewProcessor(&Plan{Root: v.dir, Config: v.cfg, Pins: map[string]string{"arch": runtime.GOARCH}, ContentVersion: contentVersion}, "", v.cfg.Ingest, v.tools)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Process(context.Background(), s)
	return err
}

var (
	pictures = []string{"-f", "lavfi", "-i", "testsrc=s=128x96:r=25:d=3"}
	tone     = []string{"-f", "lavfi", "-i", "sine=d=3"}
	encoded  = []string{"-c:v", "libx264", "-preset", "ultrafast"}
)

// TestTracks: a video with one kind of track is a sample of what there is, or fails where that is asked for.
func TestTracks(t *testing.T) {
	v := newVideos(t)
	for _, c := range []struct {
		name         string
		args         []string
		tracks       string
		video, audio bool
		fails        string // with video.one_track: fail
	}{
		{"both.mp4", join(pictures, tone, encoded), "audio+video", true, true, ""},
		{"muted.mp4", join(pictures, encoded), "video", true, false, "no_audio"},
		{"sound.mp4", tone, "audio", false, true, "no_video"},
		{"muted.mkv", join(pictures, encoded), "video", true, false, "no_audio"},
		{"empty.mkv", join(pictures, tone, encoded, []string{"-frames:a", "0"}), "video", true, false, "empty_audio"},
		{"empty.ts", join(pictures, tone, encoded, []string{"-frames:a", "0"}), "video", true, false, "corrupt_media"},
	} {
		s := v.make(t, c.name, c.args...)
		v.cfg.Video.OneTrack = "keep"
		if err := v.process(t, s); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s.Tensors[sample.Video].Absent() == c.video || s.Tensors[sample.Audio].Absent() == c.audio || s.Metrics["video_tracks"] != c.tracks {
			t.Errorf("%s: video %v, audio %v, %v", c.name, s.Tensors[sample.Video].Shape, s.Tensors[sample.Audio].Shape, s.Metrics)
		}
		if _, ok := s.Metrics["sync_offset_s"]; ok != (c.video && c.audio) {
			t.Errorf("%s: an offset of one track, or none of two: %v", c.name, s.Metrics)
		}
		v.cfg.Video.OneTrack = "fail"
		if err := v.process(t, s); (err != nil) != (c.fails != "") || err != nil && fault.ReasonOf(err) != c.fails {
			t.Errorf("%s: %v, want %s", c.name, err, c.fails)
		}
	}
}

// TestLostSound: what is wrong with a video's sound alone costs the sound, and the ledger says so; with
// video.one_track: fail it costs the sample, for the same reason.
func TestLostSound(t *testing.T) {
	v := newVideos(t)
	replace := func(s *sample.Sample, old, new string) {
		path := filepath.Join(v.dir, s.Key)
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte(old)) {
			t.Fatalf("%s holds no %q (%v)", s.Key, old, err)
		}
		if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(old), []byte(new)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	brief := []string{"-f", "lavfi", "-i", "sine=d=0.01", "-c:a", "pcm_s16le"}
	for _, c := range []struct {
		name   string
		args   []string
		spoil  func(*sample.Sample)
		reason string
		words  string
	}{
		{"short.mov", join(pictures, brief, encoded), nil, "too_short", "less than one 25 ms window"},
		{"slow.mkv", join(pictures, tone, []string{"-c:a", "pcm_s16le", "-ar", "500"}, encoded), nil, "bad_header", "500 Hz"},
		{"codec.mp4", join(pictures, tone, []string{"-c:a", "alac"}, encoded), func(s *sample.Sample) { replace(s, "alac", "zzzz") }, "corrupt_media", "ffmpeg"},
		{"codec.mkv", join(pictures, tone, []string{"-c:a", "aac"}, encoded), func(s *sample.Sample) { replace(s, "A_AAC", "A_XYZ") }, "corrupt_media", "ffmpeg"},
		{"early.mp4", join(pictures, []string{"-f", "lavfi", "-i", "sine=d=0.5"}, encoded), func(s *sample.Sample) {
			for i := range s.Parts {
				s.Parts[i].Start, s.Parts[i].End = 1.5, 2.8
			}
		}, "empty_audio", "nothing in this segment"},
		{"empty.mkv", join(pictures, tone, encoded, []string{"-frames:a", "0"}), nil, "empty_audio", "nothing"},
	} {
		s := v.make(t, c.name, c.args...)
		if c.spoil != nil {
			c.spoil(s)
		}
		v.cfg.Video.OneTrack = "keep"
		if err := v.process(t, s); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s.Tensors[sample.Video].Absent() || !s.Tensors[sample.Audio].Absent() || s.Metrics.Word("video_tracks") != "video" || s.Metrics.Word("audio_lost") != c.reason {
			t.Errorf("%s: video %v, audio %v, %v", c.name, s.Tensors[sample.Video].Shape, s.Tensors[sample.Audio].Shape, s.Metrics)
		}
		if n := len(s.Notes); n == 0 || !strings.HasPrefix(s.Notes[n-1], "without its sound: "+c.name+": ") && !strings.HasPrefix(s.Notes[n-1], "without its sound: "+c.name+" ") || !strings.Contains(s.Notes[n-1], c.words) {
			t.Errorf("%s: the ledger says %q", c.name, s.Notes)
		}
		for _, name := range []string{"sync_offset_s", "sync_drift_s", "audio_duration_s", "audio_snr_db"} {
			if _, ok := s.Metrics[name]; ok {
				t.Errorf("%s: %s of no sound", c.name, name)
			}
		}
		if !slices.Contains(flagsOf(s.Metrics), "lost_sound") {
			t.Errorf("%s: no flag", c.name)
		}
		v.cfg.Video.OneTrack = "fail"
		if err := v.process(t, s); fault.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, want %s", c.name, err, c.reason)
		}
	}
}

// TestLostPictures: what is wrong with a video's pictures alone costs the pictures, and the ledger says so; with
// video.one_track: fail, or where nothing can be had, it costs the sample, for the same reason.
func TestLostPictures(t *testing.T) {
	v := newVideos(t)
	replace := func(s *sample.Sample, old, new string) {
		path := filepath.Join(v.dir, s.Key)
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte(old)) {
			t.Fatalf("%s holds no %q (%v)", s.Key, old, err)
		}
		if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(old), []byte(new)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	long := []string{"-f", "lavfi", "-i", "sine=d=6"}
	for _, c := range []struct {
		name   string
		args   []string
		spoil  func(*sample.Sample)
		reason string
		words  string
	}{
		{"codec.mp4", join(pictures, tone, encoded), func(s *sample.Sample) { replace(s, "avc1", "none") }, "corrupt_media", "ffmpeg"},
		{"codec.mkv", join(pictures, tone, encoded), func(s *sample.Sample) { replace(s, "V_MPEG4/ISO/AVC", "V_MPEG4/ISO/XYZ") }, "corrupt_media", "ffmpeg"},
		{"damaged.mp4", join(pictures, tone, encoded), func(s *sample.Sample) {
			replace(s, "avcC\x01", "avcC\x07")
		}, "corrupt_media", "ffmpeg"},
		{"outside.mkv", join(pictures, long, encoded), func(s *sample.Sample) {
			for i := range s.Parts {
				s.Parts[i].Start, s.Parts[i].End = 4, 5.5
			}
		}, "segment_outside", "the video ends at 3.00"},
	} {
		s := v.make(t, c.name, c.args...)
		c.spoil(s)
		v.cfg.Video.OneTrack = "keep"
		if err := v.process(t, s); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !s.Tensors[sample.Video].Absent() || s.Tensors[sample.Audio].Absent() || s.Metrics.Word("video_tracks") != "audio" || s.Metrics.Word("video_lost") != c.reason {
			t.Errorf("%s: video %v, audio %v, %v", c.name, s.Tensors[sample.Video].Shape, s.Tensors[sample.Audio].Shape, s.Metrics)
		}
		if len(s.Notes) == 0 || !strings.HasPrefix(s.Notes[0], "without its pictures: "+c.name) || !strings.Contains(s.Notes[0], c.words) {
			t.Errorf("%s: the ledger says %q", c.name, s.Notes)
		}
		for _, name := range []string{"sync_offset_s", "sync_drift_s", "video_width", "video_height"} {
			if _, ok := s.Metrics[name]; ok {
				t.Errorf("%s: %s of no pictures", c.name, name)
			}
		}
		if !slices.Contains(flagsOf(s.Metrics), "lost_pictures") {
			t.Errorf("%s: no flag", c.name)
		}
		v.cfg.Video.OneTrack = "fail"
		if err := v.process(t, s); fault.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, want %s", c.name, err, c.reason)
		}
	}
	// Neither pictures nor sound, and sound that comes to less than a window.
	v.cfg.Video.OneTrack = "keep"
	s := v.make(t, "neither.mkv", join(pictures, tone, []string{"-c:a", "aac"}, encoded)...)
	replace(s, "V_MPEG4/ISO/AVC", "V_MPEG4/ISO/XYZ")
	replace(s, "A_AAC", "A_XYZ")
	if err := v.process(t, s); fault.ReasonOf(err) != "corrupt_media" {
		t.Errorf("neither.mkv: %v, %v", err, s.Metrics)
	}
	s = v.make(t, "short.mov", join(pictures, []string{"-f", "lavfi", "-i", "sine=d=0.01", "-c:a", "pcm_s16le"}, encoded)...)
	replace(s, "avc1", "none")
	if err := v.process(t, s); fault.ReasonOf(err) != "corrupt_media" {
		t.Errorf("short.mov: %v, %v", err, s.Metrics)
	}
}

// TestViews: five clips of three crops are stacked clip by clip; the middle clip's centre crop is what a single
// view is.
func TestViews(t *testing.T) {
	v := newVideos(t)
	s := v.make(t, "x.mp4", join([]string{"-f", "lavfi", "-i", "testsrc=s=256x96:r=25:d=5"}, encoded)...)
	if err := v.process(t, s); err != nil {
		t.Fatal(err)
	}
	single := s.Tensors[sample.Video]
	v.cfg.Video.Clips, v.cfg.Video.Crops = 5, 3
	if err := v.process(t, s); err != nil {
		t.Fatal(err)
	}
	all := s.Tensors[sample.Video]
	if len(all.Shape) != 5 || all.Shape[0] != 15 || len(all.Data) != 15*len(single.Data) {
		t.Fatalf("%v", all.Shape)
	}
	n := len(single.Data)
	views := map[string]int{}
	for i := range 15 {
		view := all.Data[i*n : (i+1)*n]
		views[string(view)] = i
		if same := bytes.Equal(view, single.Data); same != (i == 2*3+1) {
			t.Errorf("view %d is the single one: %v", i, same)
		}
	}
	if len(views) != 15 {
		t.Errorf("%d different views", len(views))
	}
}

// TestLengths: what the two tracks' lengths tell.
func TestLengths(t *testing.T) {
	v := newVideos(t)
	s := v.make(t, "x.mp4", join([]string{"-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=4", "-itsoffset", "0.4", "-f", "lavfi", "-i", "sine=d=3"}, encoded)...)
	if err := v.process(t, s); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"sync_offset_s": 0.4, "sync_length_diff_s": -1, "sync_drift_s": 0, "video_duration_s": 4, "video_fps": 25, "video_width": 64} {
		if got, ok := s.Metrics.Number(name); !ok || math.Abs(got-want) > 0.03 {
			t.Errorf("%s is %v, want %v", name, s.Metrics[name], want)
		}
	}
	if _, ok := s.Metrics["sync_content_status"]; ok {
		t.Error("content was measured unasked")
	}
}

// TestHangingDecoder: a decoder that does not come to an end costs its sample and not the run.
func TestHangingDecoder(t *testing.T) {
	v := newVideos(t)
	s := v.make(t, "x.mp4", join(pictures, tone, encoded)...)
	script := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	v.tools.FFmpeg = script
	v.cfg.Ingest.FFmpegSeconds = 1
	if err := v.process(t, s); fault.KindOf(err) != fault.Corrupt || fault.ReasonOf(err) != "decode_timeout" {
		t.Error(err)
	}
}

func join(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

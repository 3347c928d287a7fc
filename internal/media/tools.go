// Package media turns the bytes of media files into what the transforms start from: sound into PCM, video into
// frames, captions into text. Its rooms do the rest: picture decodes stills and maps, motion inertial
// recordings, container reads when the tracks of a video start; mp3, vorbis and picture/jpeg are decoders of our own,
// stereo moves samples between planes and pairs.
//
// It owns the file formats: which extension is which modality (formats.go), what the first bytes say
// (a .wav that is an MP3 inside is decoded as MP3), and what is done by Go code and what by ffmpeg. Nothing
// here resamples, resizes, normalises or judges: that is left to mel, internal/vision and filters. Which
// file belongs to which sample is internal/source's business.
//
// Every input is taken for hostile. Counts and lengths in headers are capped before anything is allocated,
// memory is bounded by the segment asked for, a panic of a third-party decoder becomes a fault.Corrupt
// error, only regular files are opened, and ffmpeg runs without a shell, without standard input, without
// network protocols, for a limited time and with limited output. Errors are of internal/fault's kinds; the
// reasons in use are listed at [Tools.DecodeSound], [Tools.DecodeVideo], [Tools.ProbeTiming]
// and [picture.Decoder.DecodePicture].
package media

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"prep/internal/media/mp3"
	"prep/internal/media/picture"
)

// EnvFFmpeg is the environment variable that names the ffmpeg program to use in place of the one in PATH.
// ffprobe is then taken from the same folder if it is there. The value "none" means: act as if this
// machine had neither.
const EnvFFmpeg = "PREP_FFMPEG"

// Tools is what this machine offers for decoding: found once by FindTools, then only read, so that it can
// be shared by any number of goroutines. Its zero value decodes everything that needs no program.
type Tools struct {
	FFmpeg        string // absolute path, "" when there is none
	FFprobe       string // absolute path, "" when there is none
	FFmpegVersion string // as Version gives it, "" when it was not asked for yet

	asked *versionOnce

	picture.Decoder // of still pictures and maps

	// MPG123 decodes MP3 where it is set; otherwise Go code does.
	MPG123 *mp3.MPG123

	// MaxSoundBytes bounds the memory of one decoded segment of sound, 0: DefaultMaxSoundBytes. A longer
	// segment is an error of reason too_long, never cut in silence.
	MaxSoundBytes int64

	// TimeLimit bounds one ffmpeg process, 0: DefaultTimeLimit. A file that takes longer is an error of
	// reason decode_timeout.
	TimeLimit time.Duration

	// MaxProcessBytes bounds the address space of one ffmpeg process where the system can (Linux), 0:
	// DefaultMaxProcessBytes.
	MaxProcessBytes int64
}

// FindTools looks for the programs and libraries that decoding can use. It starts none: ffmpeg takes longer to
// say its version than a sound to become a tensor, and most data sets need none. Something that is not there is
// not an error: its field stays empty, and a file that needs it is reported as unsupported when it is met.
func FindTools(_ context.Context) *Tools {
	t := &Tools{}
	t.findFFmpeg()
	t.Turbo = picture.OpenTurboJPEG()
	t.MPG123 = mp3.OpenMPG123()
	return t
}

func (t *Tools) findFFmpeg() {
	name := os.Getenv(EnvFFmpeg)
	if name == "none" {
		return
	}
	if name == "" {
		name = "ffmpeg"
	}
	ffmpeg, ok := findProgram(name)
	if !ok {
		return
	}
	t.FFmpeg, t.asked = ffmpeg, new(versionOnce)
	// The probe that came with this ffmpeg first: two versions can disagree about start times.
	if probe, ok := findProgram(filepath.Join(filepath.Dir(ffmpeg), "ffprobe")); ok {
		t.FFprobe = probe
	} else if probe, ok := findProgram("ffprobe"); ok {
		t.FFprobe = probe
	}
}

// versionOnce is the one process that learns ffmpeg's version.
type versionOnce struct {
	once    sync.Once
	version atomic.Pointer[string]
}

// Version is ffmpeg's version as `ffmpeg -version` names it, for example "5.1.9-0+deb12u1"; "" when there is no
// ffmpeg, or it does not run. It can decide output bytes and is pinned in the plan. The first call starts a
// short process.
func (t *Tools) Version(ctx context.Context) string {
	if t.FFmpegVersion != "" || t.FFmpeg == "" || t.asked == nil {
		return t.FFmpegVersion
	}
	t.asked.once.Do(func() {
		v, _ := ffmpegVersion(ctx, t.FFmpeg)
		t.asked.version.Store(&v)
	})
	return *t.asked.version.Load()
}

// findProgram resolves a name in PATH, or a path, to an absolute path. A relative entry of PATH is not
// followed (exec.ErrDot): a data set's folder must not be able to bring its own ffmpeg.
func findProgram(name string) (string, bool) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", false
	}
	path, err = filepath.Abs(path)
	return path, err == nil
}

// ffmpegVersion runs `ffmpeg -version`, whose first line is "ffmpeg version WORD Copyright ...".
func ffmpegVersion(ctx context.Context, ffmpeg string) (string, bool) {
	// A program that hangs is given up; one that waits for an overloaded machine is not.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, ffmpeg, "-version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", false
	}
	rest, ok := strings.CutPrefix(string(out), "ffmpeg version ")
	if !ok {
		return "", false
	}
	words := strings.Fields(rest)
	if len(words) == 0 {
		return "", false
	}
	return words[0], true
}

// decoderName is what Sound.Decoder says of ffmpeg: "ffmpeg 5.1.9", without a distribution's suffix, and "ffmpeg"
// where nobody asked for the version yet: no process is started for a name.
func (t *Tools) decoderName() string {
	v := t.FFmpegVersion
	if t.asked != nil && t.FFmpeg != "" {
		if asked := t.asked.version.Load(); asked != nil {
			v = *asked
		}
	}
	if v != "" && v[0] >= '0' && v[0] <= '9' {
		v, _, _ = strings.Cut(v, "-")
	}
	return strings.TrimSpace("ffmpeg " + v)
}

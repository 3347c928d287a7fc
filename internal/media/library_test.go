package media

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"prep/internal/media/mp3"
	"prep/internal/needs"
)

// libraryBound is how far from our decoder a library may be: both work in float32.
const libraryBound = 2e-6

func mpg123(t testing.TB) *Tools {
	t.Helper()
	lib := mp3.OpenMPG123()
	needs.Tool(t, lib != nil, "libmpg123 (Debian: apt-get install libmpg123-0)")
	return &Tools{MPG123: lib}
}

// damageBound is for streams whose codes are damaged and still possible. Where a granule's codes run over its end,
// libmpg123 keeps what it has read of the last four lines, and we and ffmpeg do not.
const damageBound = 1e-2

// sameAsGo decodes a file with a library and without: all must be the same, and the samples nearly so.
func sameAsGo(t *testing.T, name, path string, library *Tools, seg Segment, decoder string) {
	t.Helper()
	nearGo(t, name, path, library, seg, decoder, libraryBound)
}

func nearGo(t *testing.T, name, path string, library *Tools, seg Segment, decoder string, bound float64) {
	t.Helper()
	want, wantErr := (&Tools{}).DecodeSound(context.Background(), path, seg)
	got, err := library.DecodeSound(context.Background(), path, seg)
	if wantErr != nil || err != nil {
		if wantErr == nil || err == nil || err.Error() != wantErr.Error() {
			t.Errorf("%s: %v, and by Go code: %v", name, err, wantErr)
		}
		return
	}
	if decoder != "" && got.Decoder != decoder {
		t.Errorf("%s: decoded by %s, want %s", name, got.Decoder, decoder)
	}
	if got.Decoder == "go" && slices.Equal(got.Data, want.Data) {
		return
	}
	if !slices.Equal(got.Notes, want.Notes) || got.MissingSeconds != want.MissingSeconds || got.DeclaredSeconds != want.DeclaredSeconds {
		t.Errorf("%s: %q, %v s missing; by Go code %q, %v s", name, got.Notes, got.MissingSeconds, want.Notes, want.MissingSeconds)
	}
	peak := 1.0 // damaged streams are loud, and the bound is that of float32
	for _, v := range want.Data {
		peak = math.Max(peak, math.Abs(float64(v)))
	}
	if w := worst(t, got.Data, want.Data); w > bound*peak {
		t.Errorf("%s: differs from Go code by %g", name, w)
	}
}

func TestMPG123(t *testing.T) {
	tools := mpg123(t)
	for _, name := range []string{"tone_stereo_22k05.mp3", "tone_mono_44k1_vbr.mp3"} {
		path := "testdata/sound/" + name
		sameAsGo(t, name, path, tools, Segment{}, "libmpg123")
		sameAsGo(t, name, path, tools, Segment{0.1, 0.3}, "libmpg123")
		b, h := firstFrame(t, name)
		sameAsGo(t, name+" without its tag", write(t, "x.mp3", b[h.Size:]), tools, Segment{}, "libmpg123")
		sameAsGo(t, name+" cut in a frame", write(t, "x.mp3", b[:len(b)-50]), tools, Segment{}, "libmpg123")
		sameAsGo(t, name+" in the free format", write(t, "x.mp3", freeFormat(b[h.Size:])), tools, Segment{}, "go")
		sameAsGo(t, name+" without its beginning", write(t, "x.mp3", b[2*h.Size:]), tools, Segment{}, "")
		// Damage anywhere: what libmpg123 would conceal is left to Go code.
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 60 {
			damaged := bytes.Clone(b)
			for range 1 + i%4 {
				damaged[h.Size+r.IntN(len(b)-h.Size)] = byte(r.Uint32())
			}
			nearGo(t, name+" damaged "+strconv.Itoa(i), write(t, "x.mp3", damaged), tools, Segment{}, "", damageBound)
		}
	}
}

// TestLibraryNames: a library is named by its bits, and one that does not decode by nothing.
func TestLibraryNames(t *testing.T) {
	tools := mpg123(t)
	if name := tools.MP3Library(); !strings.HasPrefix(name, "libmpg123 ") || name != tools.MP3Library() {
		t.Errorf("%q", name)
	}
	t.Setenv(mp3.EnvMPG123, "none")
	if lib := mp3.OpenMPG123(); lib != nil {
		t.Errorf("opened %s", lib.Path())
	}
	t.Setenv(mp3.EnvMPG123, "libm.so.6") // without the functions
	if lib := mp3.OpenMPG123(); lib != nil {
		t.Errorf("opened %s", lib.Path())
	}
}

// TestMPG123Generated covers rates, kinds of stereo and long reservoirs.
func TestMPG123Generated(t *testing.T) {
	tools, ffmpeg := mpg123(t), needFFmpeg(t)
	dir := t.TempDir()
	var args, paths []string
	for _, codec := range []string{
		"-ar 44100 -b:a 128k", "-ar 48000 -q:a 2", "-ar 32000 -b:a 320k -joint_stereo 0", "-ar 24000 -b:a 64k",
		"-ar 16000 -b:a 24k -ac 1", "-ar 11025 -b:a 8k",
	} {
		paths = append(paths, filepath.Join(dir, strings.ReplaceAll(codec, " ", "")+".mp3"))
		args = append(append(args, strings.Fields("-c:a libmp3lame "+codec)...), paths[len(paths)-1])
	}
	ffmpeg.make(t, "x.wav", append([]string{"-f", "lavfi", "-i", attacks + ":s=44100:d=2.5"}, args...)...)
	for _, path := range paths {
		name := filepath.Base(path)
		sameAsGo(t, name, path, tools, Segment{}, "libmpg123")
		sameAsGo(t, name+" in the middle", path, tools, Segment{2, 2.3}, "libmpg123")
		sameAsGo(t, name+" to the end", path, tools, Segment{2.45, 0}, "libmpg123")
	}
	quiet := ffmpeg.make(t, "x.mp3", "-f", "lavfi", "-i", "aevalsrc='0.3*sin(2*PI*440*t)*between(t,1,2)':s=44100:d=3", "-c:a", "libmp3lame")
	sameAsGo(t, "digital silence", quiet, tools, Segment{}, "libmpg123")
}

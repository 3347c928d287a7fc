package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	gomp3 "github.com/hajimehoshi/go-mp3"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/mp3"
)

// worst is the largest difference of two sounds of one length.
func worst(t testing.TB, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	m := 0.0
	for i, v := range got {
		m = math.Max(m, math.Abs(float64(v)-float64(want[i])))
	}
	return m
}

// attacks is a sound that makes an encoder change its windows and its stereo modes.
const attacks = "aevalsrc='0.4*sin(2*PI*440*t)+0.2*sin(2*PI*(300+900*t)*t)+0.5*sin(2*PI*3000*t)*lt(mod(t,0.31),0.01)" +
	"|0.3*sin(2*PI*660*t)*sin(3*t)+0.3*(random(1)-0.5)*gt(mod(t,0.5),0.4)'"

// TestMP3AgainstFFmpeg covers rates, bit rates and kinds of stereo. 24 kHz is not among them: up to version 5
// and beyond, ffmpeg has the scale factor bands of that rate wrong (330 for 332), where LAME and libmpg123
// have them as we do.
func TestMP3AgainstFFmpeg(t *testing.T) {
	tools := needFFmpeg(t)
	for i, rate := range []int{16000, 8000, 11025, 12000, 22050, 32000, 48000, 44100} {
		for j, c := range []struct {
			name string
			args []string
		}{
			{"mono", []string{"-ac", "1", "-b:a", "32k"}},
			{"joint", []string{"-b:a", "64k"}},
			{"stereo", []string{"-joint_stereo", "0", "-b:a", "48k"}},
			{"low", []string{"-b:a", "8k"}},
			{"vbr", []string{"-q:a", "4"}},
			{"no reservoir", []string{"-reservoir", "0", "-b:a", "64k"}},
			{"no tag", []string{"-write_xing", "0"}},
		} {
			if i%7 != 0 && (i+j)%3 != 0 { // all kinds at two rates, some at the others
				continue
			}
			t.Run(fmt.Sprint(rate, " ", c.name), func(t *testing.T) {
				t.Parallel() // ffmpeg takes most of its time to start
				args := append([]string{"-f", "lavfi", "-i", attacks + ":s=" + strconv.Itoa(rate) + ":d=1.2", "-c:a", "libmp3lame"}, c.args...)
				path := tools.make(t, "x.mp3", args...)
				s := decode(t, path, Segment{})
				want, err := tools.decodeSoundFFmpeg(context.Background(), path, "x", Segment{})
				if err != nil {
					t.Fatal(err)
				}
				if s.SourceRate != want.SourceRate || s.SourceChannels != want.SourceChannels || len(s.Notes) > 0 {
					t.Fatalf("%d Hz, %d channels, %q", s.SourceRate, s.SourceChannels, s.Notes)
				}
				if w := worst(t, s.Data, want.Data); w > 1e-5 {
					t.Errorf("differs from ffmpeg by %g", w)
				}
				if c.name != "no tag" && s.DeclaredSeconds != s.Seconds() {
					t.Errorf("%v s of %v", s.Seconds(), s.DeclaredSeconds)
				}
			})
		}
	}
}

// TestMP3JointStereo sets the bits for intensity and for middle and side in the headers of a file. What comes
// out is no music, but the same as with ffmpeg.
func TestMP3JointStereo(t *testing.T) {
	tools := needFFmpeg(t)
	for _, rate := range []int{44100, 16000} {
		path := tools.make(t, "x.mp3", "-f", "lavfi", "-i", attacks+":s="+strconv.Itoa(rate)+":d=1", "-c:a", "libmp3lame", "-b:a", "64k")
		for mode := range byte(4) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			in := infile.New(context.Background(), path, bytes.NewReader(b), int64(len(b)))
			info, err := readMP3Info(in, int64(firstMPEGFrame(b, true)))
			if err != nil {
				t.Fatal(err)
			}
			walk := info.walk(in, info.offset)
			for {
				frame, at, err := walk.next()
				if err != nil {
					t.Fatal(err)
				}
				if frame == nil {
					break
				}
				b[at+3] = b[at+3]&0x0f | 0x40 | mode<<4
			}
			changed := write(t, "x.mp3", b)
			s := decode(t, changed, Segment{})
			want, err := tools.decodeSoundFFmpeg(context.Background(), changed, "x", Segment{})
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 2e-5
			if rate < 32000 && mode&1 == 1 {
				// In MPEG-2, the largest number of a width says "no position" (ISO/IEC 13818-3, 2.4.3.2).
				// ffmpeg takes it for one; with that changed here, the two are equal to 2e-6.
				tolerance = 5e-3
			}
			if w := worst(t, s.Data, want.Data); w > tolerance {
				t.Errorf("%d Hz, mode %d: differs from ffmpeg by %g", rate, mode, w)
			}
		}
	}
}

// TestMP3Cut begins a stream at each of its frames: what needs the frames before is silent, in both channels if
// in one, as with ffmpeg.
func TestMP3Cut(t *testing.T) {
	tools := needFFmpeg(t)
	path := tools.make(t, "x.mp3", "-f", "lavfi", "-i", attacks+":s=44100:d=1", "-c:a", "libmp3lame", "-b:a", "96k", "-write_xing", "0")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = b[id3Length(b):]
	for range 8 {
		h, _ := mp3.ParseHeader(b)
		b = b[h.Size:]
		cut := write(t, "x.mp3", b)
		s := decode(t, cut, Segment{})
		want, err := tools.decodeSoundFFmpeg(context.Background(), cut, "x", Segment{})
		if err != nil {
			t.Fatal(err)
		}
		if w := worst(t, s.Data, want.Data); w > 1e-5 {
			t.Errorf("%d bytes: differs from ffmpeg by %g", len(b), w)
		}
	}
}

// freeFormat rewrites the frames of a stream of constant bit rate for the free format.
func freeFormat(b []byte) []byte {
	b = bytes.Clone(b)
	for at := 0; at+4 <= len(b); {
		h, ok := mp3.ParseHeader(b[at:])
		if !ok {
			break
		}
		b[at+2] &= 0x0f
		at += h.Size
	}
	return b
}

// firstFrame returns a file from its first frame on.
func firstFrame(t *testing.T, name string) ([]byte, mp3.Header) {
	t.Helper()
	b := read(t, name)
	b = b[id3Length(b):]
	h, ok := mp3.ParseHeader(b)
	if !ok {
		t.Fatal("no frame")
	}
	return b, h
}

// TestMP3Framing: tags, junk and odd frames around the same frames.
func TestMP3Framing(t *testing.T) {
	plain, h := firstFrame(t, "tone_stereo_22k05.mp3") // 32 kbit/s, with an Info tag
	bare := plain[h.Size:]
	whole := decode(t, write(t, "x.mp3", bare), Segment{})
	vbri := append(bytes.Clone(plain[:4]), make([]byte, h.Size-4)...)
	copy(vbri[36:], "VBRI\x00\x01\x00\x00\x00\x64")
	frames := uint32(whole.NumFrames() / h.Samples)
	binary.BigEndian.PutUint32(vbri[36+14:], frames)
	at := 0
	for range 10 {
		f, _ := mp3.ParseHeader(bare[at:])
		at += f.Size
	}
	junk := append([]byte("ID3\x03\x00\x00\x00\x00\x00\x20"), bytes.Repeat([]byte{0xff, 0xfb, 0x12}, 11)...)
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name string
		data []byte
		note string
		same int // frames at the start that must equal those of the plain stream, -1 for all
	}{
		{"VBRI", cat(vbri, bare), "", -1},
		{"free format", freeFormat(bare), "", -1},
		{"ID3v1", cat(bare, []byte("TAG"), make([]byte, 125)), "", -1},
		{"two ID3v2", cat([]byte("ID3\x04\x00\x00\x00\x00\x00\x02xxID3\x03\x00\x00\x00\x00\x00\x01x"), bare), "", -1},
		{"tag between", cat(bare[:at], junk, bare[at:]), "43 bytes between", -1},
		{"cut in a frame", bare[:at+50], "cut off", 10},
		{"damaged frame", func() []byte {
			b := bytes.Clone(bare)
			copy(b[at+4:], bytes.Repeat([]byte{0xff}, 17))
			return b
		}(), "1 of", 10},
		{"more frames than declared", cat(vbri, bare, bare), "more than the header promises", 10},
	} {
		s := decode(t, write(t, "x.mp3", c.data), Segment{})
		n := c.same * h.Samples * 2
		if c.same < 0 {
			n = len(whole.Data)
			if len(s.Data) != n {
				t.Errorf("%s: %d samples, want %d", c.name, len(s.Data), n)
				continue
			}
		}
		equal(t, s.Data[:n], whole.Data[:n])
		if notes := strings.Join(s.Notes, "; "); c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q, want %q", c.name, notes, c.note)
		}
	}
}

// TestMP3AgainstLibrary: the other pure Go decoder, to its 16 bits, where it works: MPEG-1.
func TestMP3AgainstLibrary(t *testing.T) {
	b, h := firstFrame(t, "tone_mono_44k1_vbr.mp3")
	s := decode(t, write(t, "x.mp3", b[h.Size:]), Segment{})
	d, err := gomp3.NewDecoder(bytes.NewReader(b[h.Size:]))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(d)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, len(raw)/4)
	for i := range want {
		want[i] = float32(int16(binary.LittleEndian.Uint16(raw[4*i:]))) / (1 << 15)
	}
	if w := worst(t, s.Data, want); w > 2.0/(1<<15) {
		t.Errorf("differs by %g", w)
	}
}

func FuzzMP3(f *testing.F) {
	for _, name := range []string{"tone_stereo_22k05.mp3", "tone_mono_44k1_vbr.mp3"} {
		b, err := os.ReadFile("testdata/sound/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:1500])
		f.Add(freeFormat(b[:1500]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := infile.New(context.Background(), "fuzz", bytes.NewReader(b), int64(len(b)))
		i := firstMPEGFrame(b, true)
		if i < 0 {
			return
		}
		m, err := openMP3(in, int64(i))
		if err != nil {
			if !errors.Is(err, errNeedsFFmpeg) && fault.KindOf(err) != fault.Corrupt {
				t.Fatal(err)
			}
			return
		}
		s, err := m.decode(&Tools{MaxSoundBytes: 16 << 20}, Segment{})
		if err == nil && len(s.Data) == 0 {
			t.Fatal("no samples and no error")
		}
		if err != nil && !errors.Is(err, errNeedsFFmpeg) && fault.KindOf(err) != fault.Corrupt {
			t.Fatal(err)
		}
	})
}

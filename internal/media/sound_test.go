package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/container"
	"prep/internal/sample"
)

// write puts data into a file of the test's folder.
func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "sound", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wavOf describes a WAV file to build; the zero values of the overrides mean "as it should be".
type wavOf struct {
	tag, channels, bits int
	rate                uint32
	before, after       []byte // chunks around the format
	data                []byte
	dataSize, riffSize  *uint32
	form                string // RIFF if empty
	extensible          bool
	align, byteRate     int // 0: as they should be
}

func chunk(id string, body []byte) []byte {
	b := append([]byte(id), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(body)))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func (w wavOf) build() []byte {
	le := binary.LittleEndian
	width := (w.bits + 7) / 8
	var f []byte
	tag := w.tag
	if w.extensible {
		tag = wavFormatExtensible
	}
	f = le.AppendUint16(f, uint16(tag))
	f = le.AppendUint16(f, uint16(w.channels))
	f = le.AppendUint32(f, w.rate)
	align, byteRate := width*w.channels, int(w.rate)*width*w.channels
	if w.align != 0 {
		align = w.align
	}
	if w.byteRate != 0 {
		byteRate = w.byteRate
	}
	f = le.AppendUint32(f, uint32(byteRate))
	f = le.AppendUint16(f, uint16(align))
	f = le.AppendUint16(f, uint16(w.bits))
	if w.extensible {
		f = le.AppendUint16(f, 22)
		f = le.AppendUint16(f, uint16(w.bits))
		f = le.AppendUint32(f, 0)
		f = le.AppendUint16(f, uint16(w.tag))
		f = append(f, "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"...)
	}
	body := append([]byte("WAVE"), w.before...)
	body = append(body, chunk("fmt ", f)...)
	body = append(body, w.after...)
	data := chunk("data", w.data)
	if w.dataSize != nil {
		le.PutUint32(data[4:], *w.dataSize)
	}
	body = append(body, data...)
	form := w.form
	if form == "" {
		form = "RIFF"
	}
	out := le.AppendUint32([]byte(form), uint32(len(body)))
	if w.riffSize != nil {
		le.PutUint32(out[4:], *w.riffSize)
	}
	return append(out, body...)
}

// ramp is 16-bit PCM whose sample i of channel c is 100 i + c.
func ramp(frames, channels int) (data []byte, want []float32) {
	for i := range frames {
		for c := range channels {
			v := int16(100*i + c)
			data = binary.LittleEndian.AppendUint16(data, uint16(v))
			want = append(want, float32(v)/(1<<15))
		}
	}
	return data, want
}

func decode(t testing.TB, path string, seg Segment) *Sound {
	t.Helper()
	s, err := (&Tools{}).DecodeSound(context.Background(), path, seg)
	if err != nil {
		t.Fatal(err)
	}
	if s.Decoder != "go" || s.NumFrames()*s.SourceChannels != len(s.Data) || s.Format.SampleRate != s.SourceRate {
		t.Fatalf("inconsistent sound: %+v", s)
	}
	return s
}

// duration is how much sound a file holds as far as can be told without decoding it.
func duration(t *Tools, path string) (float64, error) {
	r, err := t.OpenSound(context.Background(), path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	l, err := r.Length()
	return l.Present, err
}

// decodeIn decodes what lies in memory.
func decodeIn(t *Tools, in *infile.File, seg Segment) (*Sound, error) {
	r, err := t.openSound(in)
	if err != nil {
		return nil, err
	}
	return r.Decode(seg)
}

func equal(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("sample %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestWAVEncodings(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		codec      string
		tag, bits  int
		data       []byte
		want       []float32
		extensible bool
	}{
		{"pcm_u8", 1, 8, []byte{0, 128, 192, 255}, []float32{-1, 0, 0.5, 127.0 / 128}, false},
		{"pcm_s16le", 1, 16, []byte{0, 0x80, 0, 0x40, 1, 0, 0xff, 0x7f}, []float32{-1, 0.5, 1.0 / 32768, 32767.0 / 32768}, false},
		{"pcm_s16le", 1, 12, []byte{0, 0x80, 0x10, 0}, []float32{-1, 1.0 / 2048}, true},
		{"pcm_s24le", 1, 24, []byte{0, 0, 0x80, 1, 0, 0, 0xff, 0xff, 0xff}, []float32{-1, 1.0 / (1 << 23), -1.0 / (1 << 23)}, false},
		{"pcm_s24le", 1, 20, []byte{0, 0, 0x40}, []float32{0.5}, true},
		{"pcm_s32le", 1, 32, []byte{0, 0, 0, 0x80, 0, 0, 0, 0x20}, []float32{-1, 0.25}, false},
		{"pcm_s64le", 1, 64, []byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x20}, []float32{-1, 0.25}, false},
		{"pcm_f32le", 3, 32, le.AppendUint32(le.AppendUint32(nil, math.Float32bits(-1.5)), math.Float32bits(1e-9)), []float32{-1.5, 1e-9}, false},
		{"pcm_f64le", 3, 64, le.AppendUint64(nil, math.Float64bits(0.1)), []float32{0.1}, true},
		{"pcm_alaw", 6, 8, []byte{0xd5, 0x55, 0xaa, 0x2a}, []float32{8.0 / 32768, -8.0 / 32768, 32256.0 / 32768, -32256.0 / 32768}, false},
		{"pcm_mulaw", 7, 8, []byte{0xff, 0x7f, 0x80, 0x00}, []float32{0, 0, 32124.0 / 32768, -32124.0 / 32768}, false},
	} {
		t.Run(fmt.Sprint(c.codec, c.bits), func(t *testing.T) {
			w := wavOf{tag: c.tag, bits: c.bits, channels: 1, rate: 8000, data: c.data, extensible: c.extensible}
			s := decode(t, write(t, "x.wav", w.build()), Segment{})
			equal(t, s.Data, c.want)
			if s.Codec != c.codec || s.SourceRate != 8000 || s.SourceChannels != 1 || len(s.Notes) != 0 {
				t.Errorf("%+v", s)
			}
			if d := float64(len(c.want)) / 8000; s.DeclaredSeconds != d || s.MissingSeconds != 0 {
				t.Errorf("declared %v, missing %v, want %v, 0", s.DeclaredSeconds, s.MissingSeconds, d)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// TestWAVLayouts has every way in which chunks lie and sizes lie.
func TestWAVLayouts(t *testing.T) {
	data, want := ramp(1000, 2)
	base := wavOf{tag: 1, bits: 16, channels: 2, rate: 16000, data: data}
	ds64 := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(make([]byte, 0), 1<<40), uint64(len(data)))
	ds64 = append(ds64, make([]byte, 12)...)
	for _, c := range []struct {
		name     string
		change   func(*wavOf)
		cut      int     // bytes cut off the end
		frames   int     // expected
		declared float64 // expected
		note     string
	}{
		{"plain", func(*wavOf) {}, 0, 1000, 1000. / 16000, ""},
		{"odd LIST before", func(w *wavOf) { w.before = chunk("LIST", []byte("INFOxyz")) }, 0, 1000, 1000. / 16000, ""},
		{"chunks between", func(w *wavOf) { w.after = append(chunk("fact", make([]byte, 4)), chunk("junk", make([]byte, 4097))...) }, 0, 1000, 1000. / 16000, ""},
		{"streamed 0xFFFFFFFF", func(w *wavOf) { w.dataSize = ptr(uint32(math.MaxUint32)); w.riffSize = w.dataSize }, 0, 1000, 0, "streamed"},
		{"streamed 0", func(w *wavOf) { w.dataSize = ptr(uint32(0)); w.riffSize = w.dataSize }, 0, 1000, 0, "streamed"},
		{"streamed by sox", func(w *wavOf) { w.dataSize = ptr(uint32(0x7ffff000)); w.riffSize = ptr(uint32(0x7ffff024)) }, 0, 1000, 0, "streamed"},
		{"4 GB promised", func(w *wavOf) { w.dataSize = ptr(uint32(0xfffffff0)) }, 0, 1000, 0, "streamed"},
		{"1 GB promised", func(w *wavOf) { w.dataSize = ptr(uint32(1 << 30)) }, 0, 1000, (1 << 28) / 16000., "cut off"},
		{"truncated", func(*wavOf) {}, 2001, 499, 1000. / 16000, "cut off"},
		{"streamed 0, size of RIFF right", func(w *wavOf) { w.dataSize = ptr(uint32(0)) }, 0, 1000, 0, "streamed"},
		{"odd LIST without padding", func(w *wavOf) { w.before = chunk("LIST", []byte("INFOxyz"))[:8+7] }, 0, 1000, 1000. / 16000, ""},
		{"odd LIST with a letter for padding", func(w *wavOf) {
			w.before = append(chunk("LIST", []byte("INFOxyz"))[:8+7], 'Z')
		}, 0, 1000, 1000. / 16000, ""},
		{"recorder stopped", func(w *wavOf) { w.dataSize, w.riffSize = ptr(uint32(804)), ptr(uint32(840)) }, 0, 201, 201. / 16000, "goes on for 3196 bytes"},
		{"frame size wrong", func(w *wavOf) { w.align = 2 }, 0, 1000, 1000. / 16000, "frames of 2 bytes for 4"},
		{"RF64", func(w *wavOf) {
			w.form, w.before, w.dataSize = "RF64", chunk("ds64", ds64), ptr(uint32(math.MaxUint32))
		}, 0, 1000, 1000. / 16000, ""},
		{"BW64", func(w *wavOf) {
			w.form, w.before, w.dataSize = "BW64", chunk("ds64", ds64), ptr(uint32(math.MaxUint32))
		}, 0, 1000, 1000. / 16000, ""},
		{"RF64 truncated", func(w *wavOf) {
			w.form, w.before, w.dataSize = "RF64", chunk("ds64", ds64), ptr(uint32(math.MaxUint32))
		}, 400, 900, 1000. / 16000, "cut off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := base
			c.change(&w)
			b := w.build()
			path := write(t, "x.wav", b[:len(b)-c.cut])
			s := decode(t, path, Segment{})
			equal(t, s.Data, want[:2*c.frames])
			if math.Abs(s.DeclaredSeconds-c.declared) > 1e-9 {
				t.Errorf("declared %v s, want %v", s.DeclaredSeconds, c.declared)
			}
			if missing := max(0, c.declared-float64(c.frames)/16000); math.Abs(s.MissingSeconds-missing) > 1e-9 {
				t.Errorf("missing %v s, want %v", s.MissingSeconds, missing)
			}
			if notes := strings.Join(s.Notes, "; "); c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			d, err := duration(&Tools{}, path)
			if err != nil || d != float64(c.frames)/16000 {
				t.Errorf("duration %v, %v", d, err)
			}
		})
	}
}

// TestWAVRare has what is met once in a thousand files.
func TestWAVRare(t *testing.T) {
	data, want := ramp(100, 2)
	swapped := bytes.Clone(data)
	for i := 0; i < len(swapped); i += 2 {
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
	}
	b := wavOf{tag: 1, bits: 16, channels: 2, rate: 16000, data: data}.build()
	// All numbers of the header the other way round.
	rifx := bytes.Clone(b)
	copy(rifx, "RIFX")
	for _, f := range [][2]int{{4, 4}, {16, 4}, {20, 2}, {22, 2}, {24, 4}, {28, 4}, {32, 2}, {34, 2}, {40, 4}} {
		slices.Reverse(rifx[f[0] : f[0]+f[1]])
	}
	rifx = append(rifx[:44], swapped...)
	s := decode(t, write(t, "x.wav", rifx), Segment{})
	equal(t, s.Data, want)
	if s.Codec != "pcm_s16be" {
		t.Error(s.Codec)
	}
	// The extensible header, whose first field of the GUID has 32 bits.
	rifx = wavOf{tag: 1, bits: 16, channels: 2, rate: 16000, data: data, extensible: true}.build()
	copy(rifx, "RIFX")
	for _, f := range [][2]int{{4, 4}, {16, 4}, {20, 2}, {22, 2}, {24, 4}, {28, 4}, {32, 2}, {34, 2}, {36, 2}, {38, 2}, {40, 4}, {44, 4}, {64, 4}} {
		slices.Reverse(rifx[f[0] : f[0]+f[1]])
	}
	s = decode(t, write(t, "x.wav", append(rifx[:68], swapped...)), Segment{})
	equal(t, s.Data, want)
	// The format behind the data.
	late := append(append(append([]byte("RIFF\x00\x00\x00\x00WAVE"), chunk("data", data)...), b[12:36]...), chunk("LIST", []byte("INFO"))...)
	equal(t, decode(t, write(t, "x.wav", late), Segment{}).Data, want)
	// 24 bits in the upper part of 32.
	wide := wavOf{tag: 1, bits: 24, channels: 1, rate: 16000, align: 4, byteRate: 64000, data: []byte{0, 0, 0, 0x40, 0, 0, 0, 0xc0}}
	s = decode(t, write(t, "x.wav", wide.build()), Segment{})
	equal(t, s.Data, []float32{0.5, -0.5})
	if len(s.Notes) != 1 || s.Notes[0] != "24 bits in 32, taken from the upper ones" {
		t.Errorf("notes %q", s.Notes)
	}
	// Nothing but tags behind an empty data chunk.
	empty := append(wavOf{tag: 1, bits: 16, channels: 1, rate: 16000}.build(), chunk("LIST", []byte("INFOISFT"))...)
	if _, err := (&Tools{}).DecodeSound(context.Background(), write(t, "x.wav", empty), Segment{}); fault.ReasonOf(err) != "empty_audio" {
		t.Error(err)
	}
}

func TestAU(t *testing.T) {
	be := binary.BigEndian
	header := func(size, encoding, rate, channels uint32) []byte {
		b := []byte(".snd")
		for _, v := range []uint32{28, size, encoding, rate, channels, 0} {
			b = be.AppendUint32(b, v)
		}
		return b
	}
	for _, c := range []struct {
		encoding uint32
		data     []byte
		want     []float32
		codec    string
	}{
		{1, []byte{0x80}, []float32{32124.0 / 32768}, "pcm_mulaw"},
		{2, []byte{0x80}, []float32{-1}, "pcm_s8"},
		{3, []byte{0x80, 0, 0x40, 0}, []float32{-1, 0.5}, "pcm_s16be"},
		{4, []byte{0x80, 0, 0}, []float32{-1}, "pcm_s24be"},
		{5, []byte{0x80, 0, 0, 0}, []float32{-1}, "pcm_s32be"},
		{6, be.AppendUint32(nil, math.Float32bits(0.3)), []float32{0.3}, "pcm_f32be"},
		{7, be.AppendUint64(nil, math.Float64bits(0.3)), []float32{0.3}, "pcm_f64be"},
		{27, []byte{0xd5}, []float32{8.0 / 32768}, "pcm_alaw"},
	} {
		for _, size := range []uint32{uint32(len(c.data)), math.MaxUint32} {
			au := append(header(size, c.encoding, 8000, 1), c.data...)
			s := decode(t, write(t, "x.au", au), Segment{})
			equal(t, s.Data, c.want)
			if s.Codec != c.codec || s.SourceRate != 8000 || (len(s.Notes) > 0) != (size == math.MaxUint32) {
				t.Errorf("%s at %d Hz, %q", s.Codec, s.SourceRate, s.Notes)
			}
			// DEC's form has every number the other way round.
			for i := 0; i < 28; i += 4 {
				slices.Reverse(au[i : i+4])
			}
			if wide := len(c.data) / len(c.want); wide > 1 {
				for i := 28; i < len(au); i += wide {
					slices.Reverse(au[i : i+wide])
				}
			}
			s = decode(t, write(t, "x.au", au), Segment{})
			equal(t, s.Data, c.want)
			if s.Codec != strings.Replace(c.codec, "be", "le", 1) || s.SourceRate != 8000 {
				t.Errorf("the other way round %s at %d Hz", s.Codec, s.SourceRate)
			}
		}
	}
}

// sphere builds a file as NIST's tools do.
func sphere(fields string, data []byte) []byte {
	h := "NIST_1A\n   1024\n" + fields + "end_head\n"
	return append([]byte(h+strings.Repeat(" ", 1024-len(h))), data...)
}

func TestSPHERE(t *testing.T) {
	for _, c := range []struct {
		fields string
		data   []byte
		want   []float32
	}{
		{"database_id -s5 TIMIT\nchannel_count -i 1\nsample_count -i 2\nsample_rate -i 16000\nsample_n_bytes -i 2\nsample_byte_format -s2 01\n",
			[]byte{0, 0x80, 0, 0x40}, []float32{-1, 0.5}},
		{"sample_count -i 1\nsample_rate -r 16000.0\nsample_n_bytes -i 2\nsample_byte_format -s2 10\nchannel_count -i 2\n",
			[]byte{0x80, 0, 0x40, 0}, []float32{-1, 0.5}},
		{"sample_count -i 1\nsample_rate -i 16000\nsample_n_bytes -i 1\nsample_coding -s4 ulaw\n", []byte{0x80}, []float32{32124.0 / 32768}},
	} {
		s := decode(t, write(t, "x.wav", sphere(c.fields, c.data)), Segment{})
		equal(t, s.Data, c.want)
		if s.SourceRate != 16000 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "holds SPHERE") {
			t.Errorf("%+v", s)
		}
	}
}

// TestSegmentIsPartOfWhole: for every format, a segment equals that stretch of the whole.
func TestSegmentIsPartOfWhole(t *testing.T) {
	data, _ := ramp(20000, 2)
	paths := []string{
		write(t, "x.wav", wavOf{tag: 1, bits: 16, channels: 2, rate: 16000, data: data}.build()),
		write(t, "x.aiff", aiffOf("", 16, 2, 20000, data)),
		write(t, "long.flac", encodeFLAC(t, 44100, 2, 16, 200000, noise(2*200000, 16, 7))),
		write(t, "long.mp3", bytes.Repeat(read(t, "tone_stereo_22k05.mp3"), 10)),
	}
	for _, name := range []string{"tone_stereo_22k05.mp3", "tone_mono_44k1_vbr.mp3", "tone_stereo_22k05.ogg", "tone_mono_22k05.flac"} {
		paths = append(paths, filepath.Join("testdata", "sound", name))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			whole := decode(t, path, Segment{})
			length := whole.Seconds()
			if d, err := duration(&Tools{}, path); err != nil || math.Abs(d-length) > 1e-9 {
				t.Errorf("duration %v, %v; decoded %v", d, err, length)
			}
			for i := range 8 {
				seg := Segment{Start: rng.Float64() * length * 0.95}
				seg.End = seg.Start + 0.01 + rng.Float64()*length/4
				switch i {
				case 0:
					seg.End = 0
				case 1:
					seg.End = length + 100
				}
				part := decode(t, path, seg)
				first := int(math.Round(seg.Start * float64(whole.SourceRate)))
				last := whole.NumFrames()
				if seg.End != 0 {
					last = min(last, int(math.Round(seg.End*float64(whole.SourceRate))))
				}
				n := whole.SourceChannels
				equal(t, part.Data, whole.Data[first*n:last*n])
				if part.MissingSeconds != 0 && whole.MissingSeconds == 0 {
					t.Errorf("%v: missing %v", seg, part.MissingSeconds)
				}
			}
		})
	}
}

// aiffOf builds an AIFF file, or an AIFF-C file of the given coding. data are big-endian unless the coding
// says otherwise.
func aiffOf(coding string, bits, channels, frames int, data []byte) []byte {
	be := binary.BigEndian
	bchunk := func(id string, body []byte) []byte {
		b := append(be.AppendUint32([]byte(id), uint32(len(body))), body...)
		if len(body)%2 == 1 {
			b = append(b, 0)
		}
		return b
	}
	comm := be.AppendUint16(nil, uint16(channels))
	comm = be.AppendUint32(comm, uint32(frames))
	comm = be.AppendUint16(comm, uint16(bits))
	comm = be.AppendUint16(comm, 16383+13) // 2^13 * 1.953125 = 16000
	comm = be.AppendUint64(comm, 16000<<(63-13))
	form := "AIFF"
	if coding != "" {
		form, comm = "AIFC", append(append(comm, coding...), 0, 0)
	}
	body := append([]byte(form), bchunk("COMM", comm)...)
	body = append(body, bchunk("SSND", append(make([]byte, 8), data...))...)
	return append(be.AppendUint32([]byte("FORM"), uint32(len(body))), body...)
}

func TestAIFF(t *testing.T) {
	be := binary.BigEndian
	for _, c := range []struct {
		coding string
		bits   int
		data   []byte
		want   []float32
		codec  string
	}{
		{"", 8, []byte{0x80, 0x40}, []float32{-1, 0.5}, "pcm_s8"},
		{"", 16, []byte{0x80, 0, 0x40, 0}, []float32{-1, 0.5}, "pcm_s16be"},
		{"NONE", 24, []byte{0x80, 0, 0, 0, 0, 1}, []float32{-1, 1.0 / (1 << 23)}, "pcm_s24be"},
		{"twos", 32, []byte{0x80, 0, 0, 0}, []float32{-1}, "pcm_s32be"},
		{"sowt", 16, []byte{0, 0x80, 0, 0x40}, []float32{-1, 0.5}, "pcm_s16le"},
		{"42n1", 24, []byte{0, 0, 0x80, 1, 0, 0}, []float32{-1, 1.0 / (1 << 23)}, "pcm_s24le"},
		{"23ni", 32, []byte{0, 0, 0, 0x80}, []float32{-1}, "pcm_s32le"},
		{"fl32", 32, be.AppendUint32(nil, math.Float32bits(0.3)), []float32{0.3}, "pcm_f32be"},
		{"fl64", 64, be.AppendUint64(nil, math.Float64bits(0.3)), []float32{0.3}, "pcm_f64be"},
		{"ulaw", 16, []byte{0x80}, []float32{32124.0 / 32768}, "pcm_mulaw"},
	} {
		s := decode(t, write(t, "x.aif", aiffOf(c.coding, c.bits, 1, len(c.want), c.data)), Segment{})
		equal(t, s.Data, c.want)
		if s.Codec != c.codec || s.SourceRate != 16000 {
			t.Errorf("%s: %s at %d Hz", c.coding, s.Codec, s.SourceRate)
		}
	}
}

// TestContentDecides: a file is decoded as what it is, and says when its name says something else.
func TestContentDecides(t *testing.T) {
	mp3 := read(t, "tone_stereo_22k05.mp3")
	id3 := append([]byte("ID3\x04\x00\x00\x00\x00\x01\x00"), make([]byte, 128)...)
	for _, c := range []struct {
		name  string
		data  []byte
		codec string
		note  string
	}{
		{"x.wav", mp3, "mp3", "named .wav, holds MP3"},
		{"x.mp3", append(id3, mp3...), "mp3", ""},
		{"x.mp3", append(make([]byte, 5000), mp3...), "mp3", ""},
		{"x.flac", append(id3, read(t, "tone_mono_22k05.flac")...), "flac", ""},
		{"x.mp3", read(t, "tone_stereo_22k05.ogg"), "vorbis", "named .mp3, holds Ogg"},
		{"-i", read(t, "tone_stereo_22k05.ogg"), "vorbis", ""},
		{"noextension", mp3, "mp3", ""},
	} {
		s := decode(t, write(t, c.name, c.data), Segment{})
		if s.Codec != c.codec || strings.Join(s.Notes, "; ") != c.note {
			t.Errorf("%s: %s, notes %q; want %s, %q", c.name, s.Codec, s.Notes, c.codec, c.note)
		}
		if s.Seconds() < 0.69 || s.Seconds() > 0.75 {
			t.Errorf("%s: %v s", c.name, s.Seconds())
		}
	}
}

func TestChannels(t *testing.T) {
	data, want := ramp(10, 3)
	s := decode(t, write(t, "x.wav", wavOf{tag: 1, bits: 16, channels: 3, rate: 16000, data: data}.build()), Segment{})
	planes := s.Channels()
	if len(planes) != 3 {
		t.Fatal(len(planes))
	}
	for c, plane := range planes {
		for i, v := range plane {
			if v != want[3*i+c] {
				t.Fatalf("channel %d sample %d", c, i)
			}
		}
	}
	planes[0][0] = 9
	if s.Data[0] == 9 {
		t.Error("planes share memory with the interleaved samples")
	}
}

// TestMalformedSound is the table of what broken files say. No tools: what needs ffmpeg says so.
func TestMalformedSound(t *testing.T) {
	data, _ := ramp(1000, 1)
	good := wavOf{tag: 1, bits: 16, channels: 1, rate: 16000, data: data}
	with := func(f func(*wavOf)) []byte { w := good; f(&w); return w.build() }
	flac := read(t, "tone_mono_22k05.flac")
	ogg := read(t, "tone_stereo_22k05.ogg")
	mp3 := read(t, "tone_stereo_22k05.mp3")
	opus := read(t, "tone_mono.opus")
	change := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		if at < 0 {
			at += len(b)
		}
		copy(b[at:], v)
		return b
	}
	comment := bytes.Index(ogg, []byte("\x03vorbis"))
	setup := bytes.Index(ogg, []byte("\x05vorbis"))
	nan := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))

	for _, c := range []struct {
		name   string
		file   string
		data   []byte
		seg    Segment
		kind   fault.Kind
		reason string
		says   string
	}{
		{"0 bytes", "x.wav", nil, Segment{}, fault.Corrupt, "empty_file", "0 bytes"},
		{"1 byte", "x.wav", []byte{1}, Segment{}, fault.Corrupt, "not_audio", "begins with"},
		{"random bytes", "x.wav", []byte("this is no sound at all, is it?"), Segment{}, fault.Corrupt, "not_audio", `"this is no s"`},
		{"HTML saved as MP3", "x.mp3", []byte("<!DOCTYPE html><html>" + strings.Repeat(" ", 9000)), Segment{}, fault.Corrupt, "not_audio", "<!DOCTYPE"},
		{"WAV header only", "x.wav", good.build()[:12], Segment{}, fault.Corrupt, "bad_header", "no data chunk"},
		{"WAV cut in the format", "x.wav", good.build()[:30], Segment{}, fault.Corrupt, "bad_header", "cut off"},
		{"WAV without samples", "x.wav", with(func(w *wavOf) { w.data = nil }), Segment{}, fault.Corrupt, "empty_audio", "no audio data"},
		{"WAV cut before its samples", "x.wav", good.build()[:44], Segment{}, fault.Corrupt, "empty_audio", "promises 0.062 s"},
		{"WAV without channels", "x.wav", with(func(w *wavOf) { w.channels = 0 }), Segment{}, fault.Corrupt, "bad_header", "0 channels"},
		{"WAV of 65535 channels", "x.wav", change(good.build(), 22, 0xff, 0xff), Segment{}, fault.Corrupt, "bad_header", "65535 channels"},
		{"WAV at 0 Hz", "x.wav", with(func(w *wavOf) { w.rate = 0 }), Segment{}, fault.Corrupt, "bad_header", "0 Hz"},
		{"WAV at 4 GHz", "x.wav", with(func(w *wavOf) { w.rate = math.MaxUint32 }), Segment{}, fault.Corrupt, "bad_header", "4294967295 Hz"},
		{"WAV of 7 bytes a sample", "x.wav", with(func(w *wavOf) { w.bits = 56 }), Segment{}, fault.Corrupt, "bad_header", "56 bits"},
		{"WAV with wrong alignment", "x.wav", change(good.build(), 28, 1, 2, 3, 0, 3), Segment{}, fault.Corrupt, "bad_header", "frames of 3 bytes"},
		{"WAV without format", "x.wav", append([]byte("RIFF\x20\x00\x00\x00WAVE"), chunk("data", data)...), Segment{}, fault.Corrupt, "bad_header", "no fmt chunk"},
		{"WAV chunk of 4 GB before data", "x.wav", with(func(w *wavOf) { w.before = []byte("LIST\xff\xff\xff\xff") }), Segment{}, fault.Corrupt, "bad_header", "no data chunk"},
		{"WAV with NaN", "x.wav", with(func(w *wavOf) { w.tag, w.bits, w.data = 3, 32, nan }), Segment{}, fault.Corrupt, "non_finite_audio", "sample 0 of channel 0 is NaN"},
		{"WAV of ADPCM", "x.wav", with(func(w *wavOf) { w.tag = 2 }), Segment{}, fault.Unsupported, "needs_ffmpeg", "WAV with Microsoft ADPCM needs ffmpeg; install"},
		{"WAV of MP3", "x.wav", with(func(w *wavOf) { w.tag = 0x55 }), Segment{}, fault.Unsupported, "needs_ffmpeg", "WAV with MP3 needs ffmpeg"},
		{"WAV of nobody knows what", "x.wav", with(func(w *wavOf) { w.tag = 0x1234 }), Segment{}, fault.Unsupported, "needs_ffmpeg", "WAV with the coding 0x1234"},
		{"AIFF of IMA ADPCM", "x.aif", aiffOf("ima4", 16, 1, 5, data), Segment{}, fault.Unsupported, "needs_ffmpeg", `AIFF with the coding "ima4"`},
		{"AU of G.721", "x.au", []byte(".snd\x00\x00\x00\x18\xff\xff\xff\xff\x00\x00\x00\x17\x00\x00\x1f\x40\x00\x00\x00\x01abcd"), Segment{}, fault.Unsupported, "needs_ffmpeg", "AU with the coding 23"},
		{"Wave64", "x.w64", []byte("riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"), Segment{}, fault.Unsupported, "needs_ffmpeg", "sound in Wave64"},
		{"Core Audio named WAV", "x.wav", []byte("caff\x00\x01\x00\x00desc"), Segment{}, fault.Unsupported, "needs_ffmpeg", "sound in Core Audio"},
		{"Creative Voice named WAV", "x.wav", []byte("Creative Voice File\x1a\x1a\x00"), Segment{}, fault.Unsupported, "needs_ffmpeg", "sound in Creative Voice"},
		{"Amiga IFF named WAV", "x.wav", []byte("FORM\x00\x00\x00\x248SVXVHDR"), Segment{}, fault.Unsupported, "needs_ffmpeg", "sound in Amiga IFF"},
		{"IRCAM named WAV", "x.wav", []byte("\x64\xa3\x02\x00\x00\x00\x7a\x46"), Segment{}, fault.Unsupported, "needs_ffmpeg", "sound in IRCAM"},
		{"WAV of 69 channels", "x.wav", with(func(w *wavOf) { w.channels = 69 }), Segment{}, fault.Unsupported, "too_many_channels", "69 channels; at most 64"},
		{"AU of G.721 the other way round", "x.au", []byte("dns.\x18\x00\x00\x00\xff\xff\xff\xff\x17\x00\x00\x00\x40\x1f\x00\x00\x01\x00\x00\x00abcd"), Segment{}, fault.Unsupported, "unsupported_codec", "little-endian AU with the coding 23"},
		{"AU of 128 channels", "x.au", []byte(".snd\x00\x00\x00\x18\xff\xff\xff\xff\x00\x00\x00\x03\x00\x00\x3e\x80\x00\x00\x00\x80abcd"), Segment{}, fault.Unsupported, "too_many_channels", "128 channels"},
		{"Musepack named WAV", "x.wav", []byte("MPCKSH\x0e\xef"), Segment{}, fault.Unsupported, "needs_ffmpeg", "sound in Musepack"},
		{"DTS", "x.dts", []byte("\x7f\xfe\x80\x01\xfc\x3c"), Segment{}, fault.Unsupported, "needs_ffmpeg", "sound in DTS"},
		{"Ogg after Opus", "x.ogg", append(bytes.Clone(ogg), opus...), Segment{}, fault.Unsupported, "needs_ffmpeg", "Ogg with several streams one after the other"},
		{"Ogg beside Opus", "x.ogg", bytes.Join([][]byte{ogg[:58], longOgg(t, "tone_mono.opus", 1)[:47], ogg[58:]}, nil), Segment{}, fault.Unsupported, "needs_ffmpeg", "Ogg with several streams side by side"},
		{"Opus of a later version", "x.opus", reseal(change(opus, 28+8, 0x21)), Segment{}, fault.Unsupported, "needs_ffmpeg", "Opus of version 2"},
		{"Opus of ambisonics", "x.opus", reseal(change(opus, 28+18, 3)), Segment{}, fault.Unsupported, "needs_ffmpeg", "Opus with the channel mapping 3"},
		{"Opus without channels", "x.opus", reseal(change(opus, 28+9, 0)), Segment{}, fault.Corrupt, "bad_header", "0 channels"},
		{"segment behind the end", "x.wav", good.build(), Segment{Start: 30, End: 40}, fault.Corrupt, "segment_outside", "ends at 0.062 s"},
		{"segment backwards", "x.wav", good.build(), Segment{Start: 4, End: 2}, fault.Corrupt, "bad_segment", "empty or negative"},
		{"segment NaN", "x.wav", good.build(), Segment{Start: math.NaN()}, fault.Corrupt, "bad_segment", ""},
		{"segment of no sample", "x.wav", good.build(), Segment{Start: 0.01, End: 0.010001}, fault.Corrupt, "bad_segment", "no sample"},
		{"AIFF without sound", "x.aif", aiffOf("", 16, 1, 5, nil)[:38], Segment{}, fault.Corrupt, "empty_audio", "SSND"},
		{"AIFF without description", "x.aif", []byte("FORM\x00\x00\x00\x04AIFF"), Segment{}, fault.Corrupt, "bad_header", "COMM"},
		{"AIFF cut off", "x.aif", aiffOf("", 16, 1, 5, nil)[:30], Segment{}, fault.Corrupt, "bad_header", "cut off"},
		{"AU cut in its header", "x.au", []byte(".snd\x00\x00\x00\x18"), Segment{}, fault.Corrupt, "bad_header", "cut off"},
		{"AU with its sound outside", "x.au", []byte(".snd\x7f\x00\x00\x18\xff\xff\xff\xff\x00\x00\x00\x03\x00\x00\x3e\x80\x00\x00\x00\x01"), Segment{}, fault.Corrupt, "bad_header", "at byte 2130706456"},
		{"SPHERE without an end", "x.wav", []byte("NIST_1A\n     32\nsample_rate -i 1"), Segment{}, fault.Corrupt, "bad_header", "no end"},
		{"SPHERE of any length", "x.wav", []byte("NIST_1A\nxxxxxxx\n"), Segment{}, fault.Corrupt, "bad_header", "length of"},
		{"SPHERE with shorten", "x.wav", sphere("sample_rate -i 16000\nsample_coding -s26 pcm,embedded-shorten-v2.00\n", nil), Segment{}, fault.Unsupported, "unsupported_codec", "sph2pipe"},
		{"FLAC magic only", "x.flac", flac[:4], Segment{}, fault.Corrupt, "bad_header", "cut off"},
		{"FLAC header only", "x.flac", flac[:bytes.Index(flac, []byte{0xff, 0xf8})], Segment{}, fault.Corrupt, "empty_audio", "promises 0.700 s"},
		{"FLAC with a changed bit", "x.flac", change(flac, len(flac)/2, flac[len(flac)/2]^0x10), Segment{}, fault.Corrupt, "corrupt_audio", "damaged at"},
		{"FLAC with another MD5", "x.flac", change(flac, 30, ^flac[30]), Segment{}, fault.Corrupt, "corrupt_audio", "MD5"},
		{"FLAC with a frame cut out", "x.flac", flacWithoutFrame(t, flac, 1), Segment{}, fault.Corrupt, "corrupt_audio", "frames are missing"},
		{"Ogg magic only", "x.ogg", ogg[:4], Segment{}, fault.Unsupported, "needs_ffmpeg", "Ogg stream"},
		{"Ogg cut in its headers", "x.ogg", ogg[:setup+20], Segment{}, fault.Corrupt, "bad_header", "cut off"},
		{"Ogg of 4 billion comments", "x.ogg", reseal(change(ogg, comment+7+4+int(ogg[comment+7]), 0xff, 0xff, 0xff, 0xff)), Segment{}, fault.Corrupt, "bad_header", "claim more"},
		{"Ogg with a broken codebook", "x.ogg", reseal(change(ogg, setup+11, 0xff, 0xff, 0xff, 0xff, 0xff)), Segment{}, fault.Corrupt, "bad_header", "codebooks"},
		{"Ogg at 0 Hz", "x.ogg", reseal(change(ogg, 28+12, 0, 0, 0, 0)), Segment{}, fault.Corrupt, "bad_header", "0 Hz"},
		{"Ogg with a changed byte", "x.ogg", change(ogg, -600, ogg[len(ogg)-600]^1), Segment{}, fault.Corrupt, "corrupt_audio", "checksum"},
		{"M4A without ffmpeg", "x.m4a", []byte("\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00"), Segment{}, fault.Unsupported, "needs_ffmpeg", "install ffmpeg"},
		{"MP4 named WAV", "x.wav", []byte("\x00\x00\x00\x18ftypisom\x00\x00\x00\x00"), Segment{}, fault.Unsupported, "needs_ffmpeg", "sound in MP4"},
		{"unknown bytes named MKV", "x.mkv", []byte("what is this"), Segment{}, fault.Unsupported, "needs_ffmpeg", "Matroska"},
		{"MP2", "x.mp3", mpegFrames(0xfffd8004, 417, 3), Segment{}, fault.Unsupported, "needs_ffmpeg", "MPEG audio of layer II needs ffmpeg"},
		{"MP1", "x.mp3", mpegFrames(0xffff8004, 276, 3), Segment{}, fault.Unsupported, "needs_ffmpeg", "MPEG audio of layer I needs ffmpeg"},
		{"MP3 of damaged frames", "x.mp3", mpegFrames(0xfffb9000, 417, 3), Segment{}, fault.Corrupt, "corrupt_audio", ""},
		{"MP3 cut in its first frame", "x.mp3", mp3[:100], Segment{}, fault.Corrupt, "not_audio", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.file, c.data)
			_, err := (&Tools{}).DecodeSound(context.Background(), path, c.seg)
			if err == nil || fault.KindOf(err) != c.kind || fault.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %s %s: %v\nwant %s %s: ...%s...", fault.KindOf(err), fault.ReasonOf(err), err, c.kind, c.reason, c.says)
			}
			if err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("the error does not name the file in one line: %q", err)
			}
		})
	}
}

// mpegFrames builds frames of a header word and a payload that is no sound.
func mpegFrames(header uint32, size, n int) (b []byte) {
	for range n {
		f := make([]byte, size)
		binary.BigEndian.PutUint32(f, header)
		for i := 6; i < size; i++ {
			f[i] = 0xfe - byte(i%7)
		}
		f[4], f[5] = 0, 0
		b = append(b, f...)
	}
	return b
}

func TestNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	secret := write(t, "secret.wav", []byte("x"))
	if err := os.Chmod(secret, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, reason, says string }{
		{filepath.Join(dir, "nothing.wav"), "missing", "no such file"},
		{dir, "not_a_file", "a folder"},
		{os.DevNull, "not_a_file", "a device"},
		{secret, "unreadable", "permission denied"},
		{filepath.Join(secret, "below.wav"), "unreadable", ""},
	} {
		if c.path == secret && os.Getuid() == 0 {
			continue // root may read everything
		}
		tools := &Tools{FFmpeg: "/nonexistent", FFprobe: "/nonexistent"}
		for what, f := range map[string]func() error{
			"DecodeSound": func() error { _, err := tools.DecodeSound(context.Background(), c.path, Segment{}); return err },
			"OpenSound":   func() error { _, err := tools.OpenSound(context.Background(), c.path); return err },
			"ProbeTiming": func() error { _, err := tools.ProbeTiming(context.Background(), c.path); return err },
			"DecodeVideo": func() error {
				_, err := tools.DecodeVideo(context.Background(), c.path, container.Timing{HasVideo: true}, VideoRequest{Clips: 1})
				return err
			},
		} {
			if err := f(); fault.KindOf(err) != fault.Corrupt || fault.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s of %s: %v (%s)", what, c.path, err, fault.ReasonOf(err))
			}
		}
	}
}

// TestLengthOfCutFiles: the headers say how long a recording was made, whatever is left of it.
func TestLengthOfCutFiles(t *testing.T) {
	data, _ := ramp(16000, 1)
	wav := wavOf{tag: 1, bits: 16, channels: 1, rate: 16000, data: data}.build()
	flac := encodeFLAC(t, 16000, 1, 16, 16000, noise(16000, 16, 3))
	mp3 := read(t, "tone_stereo_22k05.mp3")
	vorbis, long := read(t, "tone_stereo_22k05.ogg"), longOgg(t, "tone_stereo_22k05.ogg", 20)
	packets, err := newOggStream(inMemory(vorbis)).headerPackets(3, maxVorbisHeaders)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name              string
		data              []byte
		declared, present float64
	}{
		{"x.wav", wav, 1, 1},
		{"cut.wav", wav[:44+16000], 1, 0.5},
		{"x.flac", flac, 1, 1},
		{"cut.flac", flac[:len(flac)/2], 1, 1}, // only decoding tells
		{"x.mp3", mp3, 0.7, 0.7},
		{"cut.mp3", mp3[:len(mp3)/2], 0.7, 0.31},
		{"x.ogg", vorbis, 0.7, 0.7},
		{"cut.ogg", long[:len(long)/2], 0, 5.92},
		{"headers.ogg", oggOf(1, packets, []int64{0, 0, 0}), 0, 0},
	} {
		r, err := (&Tools{}).OpenSound(t.Context(), write(t, c.name, c.data))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		l, err := r.Length()
		if c.present == 0 {
			if fault.ReasonOf(err) != "empty_audio" {
				t.Errorf("%s: %+v, %v", c.name, l, err)
			}
			continue
		}
		if err != nil || math.Abs(l.Declared-c.declared) > 1e-9 || math.Abs(l.Present-c.present) > 0.05 {
			t.Errorf("%s: %+v, %v; want %v declared, %v present", c.name, l, err, c.declared, c.present)
		}
	}
	for _, name := range []string{"cut.wav", "cut.flac"} {
		b := map[string][]byte{"cut.wav": wav[:44+16000], "cut.flac": flac[:len(flac)/2]}[name]
		_, err := (&Tools{}).DecodeSound(t.Context(), write(t, name, b), Segment{0.7, 0.9})
		if fault.ReasonOf(err) != "segment_outside" || !strings.Contains(err.Error(), "cut off: the header promises 1.000 s") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTooLong(t *testing.T) {
	data, _ := ramp(16000, 1)
	path := write(t, "x.wav", wavOf{tag: 1, bits: 16, channels: 1, rate: 16000, data: data}.build())
	tools := &Tools{MaxSoundBytes: 4 * 8000}
	if _, err := tools.DecodeSound(context.Background(), path, Segment{}); fault.ReasonOf(err) != "too_long" || fault.KindOf(err) != fault.Unsupported {
		t.Errorf("1 s where half a second is allowed: %v", err)
	}
	if s, err := tools.DecodeSound(context.Background(), path, Segment{Start: 0.3, End: 0.8}); err != nil || s.NumFrames() != 8000 {
		t.Errorf("half a second: %v", err)
	}
}

func TestCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	path := filepath.Join("testdata", "sound", "tone_stereo_22k05.ogg")
	if _, err := (&Tools{}).DecodeSound(ctx, path, Segment{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	in := infile.New(ctx, path, bytes.NewReader(read(t, "tone_stereo_22k05.ogg")), 5000)
	if _, err := in.Head(0, 10); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestDecoderPanic: a decoder that panics costs this file only.
func TestDecoderPanic(t *testing.T) {
	err := func() (err error) {
		defer infile.Recover("x.ogg", &err)
		var b []int
		_ = b[len(os.Args)+5]
		return nil
	}()
	var p *infile.PanicError
	if fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), "x.ogg") || !errors.As(err, &p) || !bytes.Contains(p.Stack, []byte("TestDecoderPanic")) {
		t.Error(err)
	}
}

func TestRegistry(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Formats() {
		if f.Extension != strings.ToLower(f.Extension) || f.Extension[0] != '.' || seen[f.Extension] {
			t.Errorf("extension %q", f.Extension)
		}
		seen[f.Extension] = true
	}
	for path, want := range map[string]sample.Modality{
		"a/b.JPG": sample.Image, "x.mkv": sample.Video, "-x.wav": sample.Audio, "x.y.txt": sample.Text, "a.webm": sample.Video,
	} {
		if m, ok := ModalityOf(path); !ok || m != want {
			t.Errorf("%s is %v", path, m)
		}
	}
	if _, ok := ModalityOf("x.exe"); ok {
		t.Error("x.exe has a modality")
	}
	if !NeedsFFmpeg("x.MP4") || NeedsFFmpeg("x.flac") || NeedsFFmpeg("x.exe") {
		t.Error("NeedsFFmpeg")
	}
}

func FuzzDecodeSound(f *testing.F) {
	data, _ := ramp(50, 2)
	f.Add(wavOf{tag: 1, bits: 16, channels: 2, rate: 16000, data: data}.build(), uint16(0))
	f.Add(aiffOf("sowt", 16, 2, 50, data), uint16(10))
	f.Add(append([]byte(".snd\x00\x00\x00\x18\xff\xff\xff\xff\x00\x00\x00\x03\x00\x00\x3e\x80\x00\x00\x00\x01"), data...), uint16(0))
	f.Add(sphere("sample_rate -i 16000\nsample_count -i 50\nchannel_count -i 2\n", data), uint16(1))
	for _, name := range []string{"tone_stereo_22k05.mp3", "tone_stereo_22k05.ogg", "tone_mono_22k05.flac"} {
		b, err := os.ReadFile(filepath.Join("testdata", "sound", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 4500)], uint16(100))
	}
	f.Fuzz(func(t *testing.T, b []byte, start uint16) {
		tools := &Tools{MaxSoundBytes: 16 << 20}
		in := infile.New(context.Background(), "fuzz", bytes.NewReader(b), int64(len(b)))
		seg := Segment{Start: float64(start) / 1000}
		s, err := decodeIn(tools, in, seg)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported {
				t.Fatalf("%v is %v", err, k)
			}
			return
		}
		if len(s.Data) == 0 || len(s.Data)%s.SourceChannels != 0 || int64(len(s.Data))*4 > tools.MaxSoundBytes {
			t.Fatalf("%d samples", len(s.Data))
		}
		for _, v := range s.Data {
			if !(math.Abs(float64(v)) <= maxSample) {
				t.Fatalf("sample %v", v)
			}
		}
	})
}

package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/infile"
)

// reseal sets the checksums of all pages right, after a change to their content.
func reseal(b []byte) []byte {
	b = bytes.Clone(b)
	for at := int64(0); ; {
		p, ok := parseOggPage(b[at:], at)
		if !ok || at+p.size > int64(len(b)) {
			return b
		}
		page := b[at : at+p.size]
		binary.LittleEndian.PutUint32(page[22:], oggCRC(page))
		at += p.size
	}
}

// oggOf builds pages of packets; granules[i] is where packet i ends, -1 where a page is not to end with it.
func oggOf(serial uint32, packets [][]byte, granules []int64) (b []byte) {
	var lacing, body []byte
	flags, sequence := byte(oggFirst), uint32(0)
	flush := func(granule int64) {
		at := len(b)
		b = append(b, "OggS\x00"...)
		b = append(b, flags)
		b = binary.LittleEndian.AppendUint64(b, uint64(granule))
		b = binary.LittleEndian.AppendUint32(b, serial)
		b = binary.LittleEndian.AppendUint32(b, sequence)
		b = append(b, 0, 0, 0, 0, byte(len(lacing)))
		b = append(append(b, lacing...), body...)
		binary.LittleEndian.PutUint32(b[at+22:], oggCRC(b[at:]))
		lacing, body, flags = lacing[:0], body[:0], 0
		sequence++
	}
	for i, p := range packets {
		for rest := p; ; {
			n := min(len(rest), 255)
			lacing, body = append(lacing, byte(n)), append(body, rest[:n]...)
			rest = rest[n:]
			if n < 255 {
				break
			}
			if len(lacing) == 255 {
				flush(-1)
				flags = oggContinued
			}
		}
		switch {
		case i == len(packets)-1:
			flags |= oggLast
			flush(granules[i])
		case granules[i] >= 0:
			flush(granules[i])
		case len(lacing) == 255:
			flush(int64(i))
		}
	}
	return b
}

func inMemory(b []byte) *infile.File {
	return infile.New(context.Background(), "x", bytes.NewReader(b), int64(len(b)))
}

// TestOggPackets: packets of all awkward sizes come back, from the start and from any page.
func TestOggPackets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var packets [][]byte
	var granules []int64
	for i, n := range []int{30, 0, 1, 254, 255, 256, 510, 255 * 255, 255*255 + 1, 200000, 0, 509, 1, 70000, 12, 255 * 254, 3} {
		p := make([]byte, n)
		for j := range p {
			p[j] = byte(rng.Uint32())
		}
		packets = append(packets, p)
		g := int64(-1)
		if i%3 != 1 {
			g = int64(i)
		}
		granules = append(granules, g)
	}
	b := oggOf(7, packets, granules)
	o := newOggStream(inMemory(b))
	for i, want := range packets {
		p, err := o.next()
		if err != nil || !bytes.Equal(p.data, want) || p.last != (i == len(packets)-1) {
			t.Fatalf("packet %d: %d bytes, want %d, last %v, %v", i, len(p.data), len(want), p.last, err)
		}
		if granules[i] >= 0 && p.granule != granules[i] {
			t.Errorf("packet %d ends at %d, want %d", i, p.granule, granules[i])
		}
	}
	if _, err := o.next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	for at := int64(28 + 30); at < int64(len(b)); { // behind the first page
		page, ok := parseOggPage(b[at:], at)
		if !ok {
			t.Fatal(at)
		}
		o.seek(at)
		p, err := o.next()
		if err != nil {
			t.Fatal(err)
		}
		found := -1
		for i, want := range packets {
			if bytes.Equal(p.data, want) {
				found = i
			}
		}
		if found < 0 {
			t.Fatalf("from %d on, a packet of %d bytes that never was", at, len(p.data))
		}
		at += page.size
	}
	for _, c := range []struct {
		name string
		b    []byte
		says string
	}{
		{"junk between", bytes.Join([][]byte{b[:400], []byte("OggSjunk"), b[400:]}, nil), "checksum"},
		{"a page missing", append(bytes.Clone(b[:58]), b[100:]...), "belong to no Ogg page"},
		{"another with its number", append(bytes.Clone(b), b...), "needs ffmpeg"},
	} {
		o := newOggStream(inMemory(c.b))
		var err error
		for err == nil {
			_, err = o.next()
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestOggTrim: the granule positions decide which samples are part of the sound.
func TestOggTrim(t *testing.T) {
	b := read(t, "tone_stereo_22k05.ogg")
	whole := decode(t, write(t, "x.ogg", b), Segment{})
	// The same packets, each on a page of its own.
	sound, err := openVorbis(inMemory(b))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := newOggStream(inMemory(b)).headerPackets(3, maxVorbisHeaders)
	if err != nil {
		t.Fatal(err)
	}
	ends := []int64{0, 0, 0}
	for at := int64(0); ; {
		p, err := sound.oggStream.next()
		if err != nil {
			break
		}
		packets = append(packets, bytes.Clone(p.data))
		x, err := sound.decode(p.data)
		if err != nil {
			t.Fatal(err)
		}
		at += int64(len(x) / 2)
		ends = append(ends, at)
	}
	ends[len(ends)-1] = int64(whole.NumFrames())
	shift := func(by int64, last bool) []byte {
		ends := slices.Clone(ends)
		for i := range ends {
			if i >= 4 && (!last || i == len(ends)-1) {
				ends[i] += by
			}
		}
		return oggOf(3, packets, ends)
	}
	for _, c := range []struct {
		name        string
		b           []byte
		first, last int
	}{
		{"as it was", shift(0, false), 0, whole.NumFrames()},
		{"end cut", shift(-50, true), 0, whole.NumFrames() - 50},
		{"beginning cut", shift(-70, false), 70, whole.NumFrames()},
		{"a broadcast joined late", shift(1e9, false), 0, whole.NumFrames()},
	} {
		path := write(t, "x.ogg", c.b)
		s := decode(t, path, Segment{})
		equal(t, s.Data, whole.Data[2*c.first:2*c.last])
		if d, err := duration(&Tools{}, path); err != nil || math.Abs(d-s.Seconds()) > 1e-9 {
			t.Errorf("%s: duration %v, decoded %v, %v", c.name, d, s.Seconds(), err)
		}
		seg := Segment{0.4, 0.5}
		equal(t, decode(t, path, seg).Data, s.Data[2*8820:2*11025])
	}
}

// TestOpusAgainstLibopus covers the modes of Opus; ffmpeg's wrapper of libopus gives 16 bits.
func TestOpusAgainstLibopus(t *testing.T) {
	tools := needFFmpeg(t)
	if out, _ := exec.Command(tools.FFmpeg, "-hide_banner", "-h", "decoder=libopus").Output(); !bytes.Contains(out, []byte("libopus")) {
		t.Skip("needs an ffmpeg with libopus")
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"SILK narrow", []string{"-ac", "1", "-b:a", "8k", "-application", "voip"}},
		{"SILK stereo 60 ms", []string{"-b:a", "20k", "-application", "voip", "-frame_duration", "60"}},
		{"hybrid", []string{"-b:a", "32k", "-application", "voip"}},
		{"hybrid 10 ms", []string{"-ac", "1", "-b:a", "24k", "-application", "voip", "-frame_duration", "10"}},
		{"CELT", []string{"-b:a", "96k"}},
		{"CELT 2.5 ms", []string{"-b:a", "64k", "-frame_duration", "2.5"}},
		{"5.1", []string{"-ac", "6", "-b:a", "200k"}},
		{"7 channels", []string{"-af", "pan=7c|c0=c0|c1=c1|c2=0.5*c0|c3=0.4*c1|c4=0.3*c0|c5=0.2*c1|c6=0.1*c0,aformat=channel_layouts=6.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // ffmpeg takes most of its time to start
			path := tools.make(t, "x.opus", append([]string{"-f", "lavfi", "-i", tone, "-c:a", "libopus"}, c.args...)...)
			raw, err := exec.Command(tools.FFmpeg, "-v", "error", "-c:a", "libopus", "-i", path, "-f", "s16le", "-").Output()
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float32, len(raw)/2)
			for i := range want {
				want[i] = float32(int16(binary.LittleEndian.Uint16(raw[2*i:]))) / (1 << 15)
			}
			s := decode(t, path, Segment{})
			for i, v := range s.Data { // as the 16 bits are
				s.Data[i] = min(max(v, -1), 32767.0/32768)
			}
			if w := worst(t, s.Data, want); w > 1.0/(1<<15) {
				t.Errorf("differs from libopus by %g", w)
			}
		})
	}
}

// TestOpusGain: the header's gain is applied.
func TestOpusGain(t *testing.T) {
	b := read(t, "tone_mono.opus")
	plain := decode(t, write(t, "x.opus", b), Segment{})
	at := bytes.Index(b, []byte("OpusHead"))
	loud := bytes.Clone(b)
	binary.LittleEndian.PutUint16(loud[at+16:], uint16(0x10000-1541)) // -6.02 dB in 1/256
	s := decode(t, write(t, "x.opus", reseal(loud)), Segment{})
	for i, v := range s.Data {
		if math.Abs(float64(v-plain.Data[i]/2)) > 1e-4 {
			t.Fatalf("sample %d: %v, want half of %v", i, v, plain.Data[i])
		}
	}
}

func FuzzOgg(f *testing.F) {
	for _, name := range []string{"tone_stereo_22k05.ogg", "tone_mono.opus"} {
		b, err := os.ReadFile("testdata/sound/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 5500)])
	}
	b, err := os.ReadFile("testdata/sound/tone_mono_22k05.flac")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(oggFLACOf(b)[:6000])
	f.Fuzz(func(t *testing.T, b []byte) {
		b = reseal(b) // past the checksums
		s, err := decodeIn(&Tools{MaxSoundBytes: 16 << 20}, inMemory(b), Segment{})
		if err == nil && len(s.Data) == 0 {
			t.Fatal("no samples and no error")
		}
		if k := fault.KindOf(err); err != nil && k != fault.Corrupt && k != fault.Unsupported {
			t.Fatal(err)
		}
	})
}

// oggFLACOf puts the frames of a FLAC file into Ogg, one a page.
func oggFLACOf(b []byte) []byte {
	in := inMemory(b)
	info, err := readFLACInfo(in, 0)
	if err != nil {
		panic(err)
	}
	first := append([]byte("\x7fFLAC\x01\x00\x00\x01fLaC\x00\x00\x00\x22"), b[8:42]...)
	packets, granules := [][]byte{first, {0x84, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}}, []int64{0, 0}
	d := newFLACDecoder(in, info)
	at := int64(0)
	for {
		from := d.pos
		n, err := d.frame()
		if err != nil {
			break
		}
		at += int64(n)
		packets, granules = append(packets, b[from:d.pos]), append(granules, at)
	}
	return oggOf(1, packets, granules)
}

func TestOggFLAC(t *testing.T) {
	b := read(t, "tone_mono_22k05.flac")
	want := decode(t, write(t, "x.flac", b), Segment{})
	ogg := oggFLACOf(b)
	path := write(t, "x.oga", ogg)
	s := decode(t, path, Segment{})
	equal(t, s.Data, want.Data)
	if s.DeclaredSeconds != want.DeclaredSeconds || len(s.Notes) > 0 || s.Codec != "flac" {
		t.Errorf("%+v", s)
	}
	equal(t, decode(t, path, Segment{0.5, 0.6}).Data, want.Data[11025:13230])
	sum := bytes.Clone(ogg)
	sum[28+17+20] ^= 1
	if _, err := (&Tools{}).DecodeSound(context.Background(), write(t, "y.oga", reseal(sum)), Segment{}); err == nil || !strings.Contains(err.Error(), "MD5") {
		t.Errorf("a changed sum: %v", err)
	}
}

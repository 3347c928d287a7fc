package media

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"prep/internal/infile"
	"slices"
	"testing"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
)

// noise is PCM that no predictor likes, with quiet and silent stretches between.
func noise(n, bits int, seed uint64) []int32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]int32, n)
	for i := range out {
		amplitude := float64(int64(1)<<(bits-1)-1) * []float64{1, 0.01, 0, 0.3}[i/5000%4]
		out[i] = int32(math.Round(amplitude * (2*rng.Float64() - 1)))
	}
	return out
}

// encodeFLAC encodes interleaved samples with the library, which picks stored and constant subframes.
func encodeFLAC(t testing.TB, rate uint32, channels, bits int, frames int, samples []int32) []byte {
	t.Helper()
	sum := md5.New()
	width := (bits + 7) / 8
	for _, v := range samples {
		sum.Write(binary.LittleEndian.AppendUint32(nil, uint32(v))[:width])
	}
	info := &meta.StreamInfo{
		BlockSizeMin: 4096, BlockSizeMax: 4096, SampleRate: rate, NChannels: uint8(channels),
		BitsPerSample: uint8(bits), NSamples: uint64(frames), MD5sum: [16]byte(sum.Sum(nil)),
	}
	var b bytes.Buffer
	e, err := flac.NewEncoder(&b, info)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < frames; at += 4096 {
		n := min(4096, frames-at)
		f := &frame.Frame{Header: frame.Header{
			HasFixedBlockSize: true, BlockSize: uint16(n), SampleRate: rate, BitsPerSample: uint8(bits),
			Channels: []frame.Channels{frame.ChannelsMono, frame.ChannelsLR}[min(channels, 2)-1], Num: uint64(at / 4096),
		}}
		if channels > 2 {
			f.Channels = frame.Channels(channels - 1)
		}
		for c := range channels {
			plane := make([]int32, n)
			for i := range plane {
				plane[i] = samples[(at+i)*channels+c]
			}
			f.Subframes = append(f.Subframes, &frame.Subframe{
				SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, Samples: plane, NSamples: n,
			})
		}
		if err := e.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// byLibrary decodes with the library: the twin of our decoder.
func byLibrary(t testing.TB, b []byte) []float32 {
	t.Helper()
	stream, err := flac.New(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	scale := 1 / float32(int64(1)<<(stream.Info.BitsPerSample-1))
	var out []float32
	for {
		f, err := stream.ParseNext()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.Subframes[0].Samples {
			for _, s := range f.Subframes {
				out = append(out, float32(s.Samples[i])*scale)
			}
		}
	}
}

func TestFLACAgainstLibrary(t *testing.T) {
	files := map[string][]byte{
		"lpc":       read(t, "tone_mono_22k05.flac"),
		"mono 8":    encodeFLAC(t, 8000, 1, 8, 30000, noise(30000, 8, 1)),
		"stereo 16": encodeFLAC(t, 44100, 2, 16, 30001, noise(60002, 16, 2)),
		"mono 24":   encodeFLAC(t, 96000, 1, 24, 20000, noise(20000, 24, 3)),
		"six 20":    encodeFLAC(t, 48000, 6, 20, 9000, noise(54000, 20, 4)),
	}
	for name, b := range files {
		s := decode(t, write(t, "x.flac", b), Segment{})
		equal(t, s.Data, byLibrary(t, b))
		if len(s.Notes) != 0 || s.MissingSeconds != 0 || s.Codec != "flac" {
			t.Errorf("%s: %+v", name, s.Notes)
		}
	}
}

// TestFLACTruncated: what is there is kept, and what is missing is said.
func TestFLACTruncated(t *testing.T) {
	b := encodeFLAC(t, 16000, 1, 16, 40000, noise(40000, 16, 9))
	whole := byLibrary(t, b)
	for _, keep := range []int{len(b) / 3, len(b) / 2, len(b) - 1} {
		s := decode(t, write(t, "x.flac", b[:keep]), Segment{})
		equal(t, s.Data, whole[:len(s.Data)])
		if len(s.Notes) != 1 || s.DeclaredSeconds != 2.5 || math.Abs(s.MissingSeconds+s.Seconds()-2.5) > 1e-9 || s.MissingSeconds == 0 {
			t.Errorf("%d bytes: %v s of %v, missing %v, %q", keep, s.Seconds(), s.DeclaredSeconds, s.MissingSeconds, s.Notes)
		}
	}
}

// TestFLACUnknownLength: a streamed file states no length and no MD5.
func TestFLACUnknownLength(t *testing.T) {
	b := encodeFLAC(t, 16000, 1, 16, 40000, noise(40000, 16, 9))
	want := byLibrary(t, b)
	b[21] &= 0xf0
	clear(b[22:42])
	path := write(t, "x.flac", b)
	s := decode(t, path, Segment{})
	equal(t, s.Data, want)
	if s.DeclaredSeconds != 0 {
		t.Error(s.DeclaredSeconds)
	}
	equal(t, decode(t, path, Segment{1, 2}).Data, want[16000:32000])
	if d, err := duration(&Tools{}, path); err != nil || d != 2.5 {
		t.Error(d, err)
	}
}

// flacWithoutFrame removes frame number n.
func flacWithoutFrame(t testing.TB, b []byte, n int) []byte {
	t.Helper()
	in := infile.New(context.Background(), "x", bytes.NewReader(b), int64(len(b)))
	info, err := readFLACInfo(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := newFLACDecoder(in, info)
	for range n {
		if _, err := d.frame(); err != nil {
			t.Fatal(err)
		}
	}
	from := d.pos
	if _, err := d.frame(); err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(b[:from]), b[d.pos:]...)
}

// TestFLACEveryByte: no changed byte in the frames goes unnoticed, and none makes the decoder run wild.
func TestFLACEveryByte(t *testing.T) {
	b := encodeFLAC(t, 16000, 2, 8, 600, noise(1200, 8, 5))
	in := infile.New(context.Background(), "x", bytes.NewReader(b), int64(len(b)))
	info, err := readFLACInfo(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := int(info.start); i < len(b); i++ {
		c := bytes.Clone(b)
		c[i] ^= 1 << (i % 8)
		in := infile.New(context.Background(), "x", bytes.NewReader(c), int64(len(c)))
		s, err := decodeIn(&Tools{}, in, Segment{})
		if err == nil && s.MissingSeconds == 0 {
			t.Fatalf("byte %d was changed and nothing said so", i)
		}
	}
}

// TestLinearPredict holds the fast loops equal to the definition, for every order and short blocks.
func TestLinearPredict(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for order := 1; order <= 32; order++ {
		for _, n := range []int{order, order + 1, 7, 8, 9, 12, 13, 40, 100} {
			if n < order {
				continue
			}
			c, x := make([]int64, order), make([]int32, n)
			for i := range c {
				c[i] = rng.Int64N(1<<15) - 1<<14
			}
			for i := range x {
				x[i] = int32(rng.Uint32())
			}
			want := slices.Clone(x)
			plainPredict(want, c, 9)
			linearPredict(x, c, 9)
			if !slices.Equal(x, want) {
				t.Fatalf("order %d, %d samples", order, n)
			}
		}
	}
}

// TestPairs holds what is done to four samples at a time equal to the plain loops.
func TestPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for n := range 40 {
		l, r := make([]int32, n), make([]int32, n)
		for i := range l {
			l[i], r[i] = int32(rng.Uint32())>>(i%20), int32(rng.Uint32())>>(i%17)
		}
		const scale = 1.0 / (1 << 15)
		floats, wantFloats := make([]float32, 2*n), make([]float32, 2*n)
		done := interleavePairs(floats, l, r, scale)
		plainInterleave(floats[2*done:], l[done:], r[done:], scale)
		plainInterleave(wantFloats, l, r, scale)
		equal(t, floats, wantFloats)
		packed, wantPacked := make([]byte, 4*n), make([]byte, 4*n)
		done = packPairs(packed, l, r)
		plainPack(packed[4*done:], l[done:], r[done:])
		plainPack(wantPacked, l, r)
		wantL, wantR := slices.Clone(l), slices.Clone(r)
		plainJoinMiddle(wantL, wantR)
		done = joinMiddlePairs(l, r)
		plainJoinMiddle(l[done:], r[done:])
		if !bytes.Equal(packed, wantPacked) || !slices.Equal(l, wantL) || !slices.Equal(r, wantR) {
			t.Fatalf("%d samples", n)
		}
	}
}

func TestCRC(t *testing.T) {
	// The check values of CRC-8/SMBUS and CRC-16/UMTS.
	if c := crc8([]byte("123456789")); c != 0xf4 {
		t.Errorf("CRC-8 %#x", c)
	}
	if c := crc16([]byte("123456789")); c != 0xfee8 {
		t.Errorf("CRC-16 %#x", c)
	}
	// Sixteen bytes at a time are those one by one.
	rng := rand.New(rand.NewPCG(1, 6))
	b := make([]byte, 100)
	for n := range b {
		b[n] = byte(rng.Uint32())
		var want uint16
		for _, v := range b[:n] {
			want = want<<8 ^ crc16Table[0][byte(want>>8)^v]
		}
		if c := crc16(b[:n]); c != want {
			t.Errorf("CRC-16 of %d bytes is %#x, want %#x", n, c, want)
		}
	}
}

func FuzzFLAC(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "sound", "tone_mono_22k05.flac"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:9000])
	f.Add(encodeFLAC(f, 16000, 2, 8, 300, noise(600, 8, 5)))
	f.Add(encodeFLAC(f, 16000, 1, 24, 100, noise(100, 24, 6)))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Past the checksums, which a fuzzer does not get right: subframes of any bits.
		r := flacBits{b: b}
		out := make([]int32, 512)
		r.subframe(out, 17)
		in := infile.New(context.Background(), "fuzz", bytes.NewReader(b), int64(len(b)))
		d, err := openFLAC(in, 0)
		if err != nil {
			return
		}
		s, err := d.decode(&Tools{MaxSoundBytes: 16 << 20}, Segment{})
		if err == nil && len(s.Data) == 0 {
			t.Fatal("no samples and no error")
		}
	})
}

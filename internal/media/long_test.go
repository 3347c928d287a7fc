package media

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"prep/internal/media/mp3"
)

// TestLongSound: two seconds near the end of a long file cost memory for two seconds, whatever comes before.
// What they cost in time is in docs/bench.md.
func TestLongSound(t *testing.T) {
	// Ten hours of WAV, most of it a hole in the file.
	wav := wavOf{tag: 1, bits: 16, channels: 1, rate: 16000, dataSize: ptr(uint32(2 * 16000 * 36000))}.build()
	long := write(t, "long.wav", wav)
	if err := os.Truncate(long, int64(len(wav))+2*16000*36000); err != nil {
		t.Skip("needs a file system with holes: ", err)
	}
	mp3, h := firstFrame(t, "tone_stereo_22k05.mp3")
	mp3 = mp3[h.Size:]
	flac := encodeFLAC(t, 16000, 1, 16, 1000000, noise(1000000, 16, 3))
	for _, c := range []struct {
		path string
		seg  Segment
	}{
		{long, Segment{35990, 35992}},
		{write(t, "long.mp3", bytes.Repeat(mp3, 2000)), Segment{1300, 1302}},
		{write(t, "long.ogg", longOgg(t, "tone_stereo_22k05.ogg", 500)), Segment{300, 302}},
		{write(t, "long.opus", longOgg(t, "tone_mono.opus", 2000)), Segment{1300, 1302}},
		{write(t, "long.flac", flac), Segment{50, 52}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := decode(t, c.path, c.seg)
		runtime.ReadMemStats(&after)
		if s.NumFrames() != 2*s.SourceRate {
			t.Errorf("%s: %d frames at %d Hz", filepath.Base(c.path), s.NumFrames(), s.SourceRate)
		}
		// Two windows, decoders' tables, and Opus' two seconds of running in, packet by packet.
		if used := after.TotalAlloc - before.TotalAlloc; used > 6<<20 {
			t.Errorf("%s: %d bytes allocated for two seconds", filepath.Base(c.path), used)
		}
	}
}

// TestSought: what is decoded from the middle of a file, beyond the first of the places that a walk keeps, is that
// part of the whole; a file can be decoded again and again.
func TestSought(t *testing.T) {
	b, h := firstFrame(t, "tone_stereo_22k05.mp3")
	vorbis := longOgg(t, "tone_stereo_22k05.ogg", 150)
	library := &Tools{MPG123: mp3.OpenMPG123()} // Go once more on a machine without
	for _, c := range []struct {
		name      string
		data      []byte
		tolerance float64 // Opus nearly forgets where it began
		tools     *Tools
	}{
		{"x.mp3", bytes.Repeat(b[h.Size:], 60), 0, &Tools{}},
		{"x.ogg", vorbis, 0, &Tools{}},
		{"x.opus", longOgg(t, "tone_mono.opus", 150), 1e-3, &Tools{}},
		{"x.mp3", bytes.Repeat(b[h.Size:], 60), 0, library},
	} {
		file, err := c.tools.OpenSound(t.Context(), write(t, c.name, c.data))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		whole, err := file.Decode(Segment{})
		if err != nil {
			t.Fatal(err)
		}
		length, err := file.Length()
		if err != nil || length.Present != whole.Seconds() {
			t.Errorf("%s: %v s are there, decoded %v, %v", c.name, length.Present, whole.Seconds(), err)
		}
		places := 0
		switch d := file.decoder.(type) {
		case *mp3File:
			places = len(d.offsets)
		case *oggFile:
			places = len(d.marks)
		}
		if places < 2 {
			t.Errorf("%s is too short to be sought in: %d places", c.name, places)
		}
		for seg := (Segment{0.3, 0.8}); seg.End < whole.Seconds(); seg.Start, seg.End = seg.Start+11.3, seg.End+11.3 {
			part, err := file.Decode(seg)
			if err != nil {
				t.Fatal(err)
			}
			first, last := seg.frames(whole.SourceRate)
			n := int64(whole.SourceChannels)
			if w := worst(t, part.Data, whole.Data[first*n:last*n]); w > c.tolerance {
				t.Errorf("%s: %v differs by %g from the whole", c.name, seg, w)
			}
		}
	}
}

// longOgg repeats the packets of sound of a file, each repetition on pages that end with it.
func longOgg(t *testing.T, name string, times int) []byte {
	t.Helper()
	b := read(t, name)
	headers, open := 2, openOpus
	if bytes.Contains(b[:60], []byte("vorbis")) {
		headers, open = 3, openVorbis
	}
	packets, err := newOggStream(inMemory(b)).headerPackets(headers, maxVorbisHeaders)
	if err != nil {
		t.Fatal(err)
	}
	o, err := open(inMemory(b))
	if err != nil {
		t.Fatal(err)
	}
	var sound [][]byte
	for {
		p, err := o.next()
		if err != nil {
			break
		}
		sound = append(sound, bytes.Clone(p.data))
	}
	granules := make([]int64, headers)
	at, each := int64(0), int64(0)
	for i := range times {
		if i < 2 { // the first packet gives fewer samples where nothing came before
			each = 0
			for _, p := range sound {
				x, err := o.decode(p)
				if err != nil {
					t.Fatal(err)
				}
				each += int64(len(x) / o.channels)
			}
		}
		at += each
		for j, p := range sound {
			g := int64(-1)
			if j == len(sound)-1 {
				g = at
			}
			packets, granules = append(packets, p), append(granules, g)
		}
	}
	return oggOf(9, packets, granules)
}

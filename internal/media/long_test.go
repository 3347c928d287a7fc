package media

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
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

// longOgg repeats the packets of sound of a file, each repetition on a page.
func longOgg(t *testing.T, name string, times int) []byte {
	t.Helper()
	b := read(t, name)
	headers := 2
	if bytes.Contains(b[:60], []byte("vorbis")) {
		headers = 3
	}
	packets, err := newOggStream(inMemory(b)).headerPackets(headers, maxVorbisHeaders)
	if err != nil {
		t.Fatal(err)
	}
	o := newOggStream(inMemory(b))
	if _, err := o.headerPackets(headers, maxVorbisHeaders); err != nil {
		t.Fatal(err)
	}
	var sound [][]byte
	last := int64(0)
	for {
		p, err := o.next()
		if err != nil {
			break
		}
		sound = append(sound, bytes.Clone(p.data))
		last = max(last, p.granule)
	}
	granules := make([]int64, headers)
	for i := range times {
		for j, p := range sound {
			g := int64(-1)
			if j == len(sound)-1 {
				g = last * int64(i+1)
			}
			packets, granules = append(packets, p), append(granules, g)
		}
	}
	return oggOf(9, packets, granules)
}

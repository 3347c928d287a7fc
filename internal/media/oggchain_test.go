package media

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"prep/internal/fault"
)

// TestOggChain: streams one after the other have, each, the samples that they have as a file.
func TestOggChain(t *testing.T) {
	vorbis, opus := read(t, "tone_stereo_22k05.ogg"), read(t, "tone_mono.opus")
	other := renumbered(vorbis, 77)
	for _, c := range []struct {
		name  string
		links [][]byte
	}{
		{"Vorbis", [][]byte{vorbis, other, vorbis}},
		{"Vorbis of one number", [][]byte{vorbis, vorbis}},
		{"Vorbis of many pages", [][]byte{longOgg(t, "tone_stereo_22k05.ogg", 3), vorbis}},
		{"Opus", [][]byte{opus, renumbered(opus, 5), longOgg(t, "tone_mono.opus", 2)}},
	} {
		var want []float32
		for _, b := range c.links {
			s, err := (&Tools{}).DecodeSound(t.Context(), write(t, "x.ogg", b), Segment{})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, s.Data...)
		}
		file, err := (&Tools{}).OpenSound(t.Context(), write(t, map[bool]string{false: "x.ogg", true: "x.opus"}[c.name == "Opus"], bytes.Join(c.links, nil)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		defer file.Close()
		s, err := file.Decode(Segment{})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		equal(t, s.Data, want)
		if l, err := file.Length(); err != nil || l.Present != s.Seconds() || l.Declared != s.Seconds() || len(s.Notes) > 0 {
			t.Errorf("%s: %+v of %v s, %q, %v", c.name, l, s.Seconds(), s.Notes, err)
		}
		for _, seg := range []Segment{{0.6, 0.9}, {0.1, 0.2}, {1.3, 0}} {
			part, err := file.Decode(seg)
			if err != nil {
				t.Fatalf("%s, %v: %v", c.name, seg, err)
			}
			first, last := seg.frames(s.SourceRate)
			if n := int64(s.SourceChannels); last < 0 {
				want = s.Data[first*n:]
			} else {
				want = s.Data[first*n : last*n]
			}
			if w := worst(t, part.Data, want); w > 0 && (part.Codec != "opus" || w > 1e-3) { // Opus nearly forgets where it began
				t.Errorf("%s, %v: differs by %g", c.name, seg, w)
			}
		}
	}
}

// renumbered gives a stream another serial number.
func renumbered(b []byte, serial byte) []byte {
	b = bytes.Clone(b)
	for at := int64(0); ; {
		p, ok := parseOggPage(b[at:], at)
		if !ok {
			return reseal(b)
		}
		b[at+14] = serial
		if at += p.size; at >= int64(len(b)) {
			return reseal(b)
		}
	}
}

// TestOggChainDamage: where a stream of several is cut off or damaged is said.
func TestOggChainDamage(t *testing.T) {
	b := read(t, "tone_stereo_22k05.ogg")
	two := append(bytes.Clone(b), b...)
	single := decode(t, write(t, "x.ogg", b), Segment{})
	s := decode(t, write(t, "x.ogg", two[:len(b)+100]), Segment{})
	equal(t, s.Data, single.Data)
	if !slices.Contains(s.Notes, "cut off: the headers of the last stream are not whole") {
		t.Errorf("notes %q", s.Notes)
	}
	s = decode(t, write(t, "x.ogg", two[:len(two)-100]), Segment{})
	if s.NumFrames() < single.NumFrames() || s.DeclaredSeconds != 0 || !strings.Contains(strings.Join(s.Notes, ""), "last page") {
		t.Errorf("%d frames, %v s declared, notes %q", s.NumFrames(), s.DeclaredSeconds, s.Notes)
	}
	two[len(two)-600] ^= 1
	_, err := (&Tools{}).DecodeSound(context.Background(), write(t, "x.ogg", two), Segment{})
	if fault.ReasonOf(err) != "corrupt_audio" || !strings.Contains(err.Error(), "checksum") || !strings.Contains(err.Error(), "stream that begins at byte 5383") {
		t.Error(err)
	}
	mono := oggOf(3, [][]byte{{1}}, []int64{0})
	_, err = (&Tools{}).DecodeSound(context.Background(), write(t, "x.ogg", append(bytes.Clone(b), mono...)), Segment{})
	if fault.ReasonOf(err) != "needs_ffmpeg" {
		t.Error(err)
	}
}

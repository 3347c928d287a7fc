package container

import (
	"encoding/binary"
	"prep/internal/infile"
)

// The timeline of AVI files: tracks of chunks, each of which lasts as long as the next. dwStart of a
// track's header is its delay. A chunk without data means that the picture before stays.

const maxChunks = 20000 // that are looked at to find where the tracks begin

type aviTrack struct {
	kind               string // vids or auds
	codec              string
	scale, rate        float64
	start, length      float64
	sampleSize         uint32
	soundRate          int
	chunks, filled     int // looked at so far, and those with data
	gap, after         int // empty chunks right behind the first, and filled ones since
	gapEnded, gapsMore bool
}

// settled says that enough chunks were seen to know how the track begins.
func (t *aviTrack) settled() bool { return t.filled > 0 && (t.after >= 8 || t.gapsMore) }

// see takes note of a chunk.
func (t *aviTrack) see(size uint32) {
	t.chunks++
	switch {
	case size > 0:
		t.filled++
		if t.filled > 1 {
			t.gapEnded = true
			t.after++
		}
	case t.filled == 0:
	case !t.gapEnded:
		t.gap++
	case !t.settled():
		t.gapsMore = true
	}
}

// readAVI reads the tracks of an AVI file.
func readAVI(in *infile.File) ([]Track, error) {
	w := &window{in: in}
	var tracks []*aviTrack
	seen, leading := 0, map[*aviTrack]int{}
	var walk func(at, end int64, depth int)
	walk = func(at, end int64, depth int) {
		for at+8 <= end && depth < 6 && seen < maxChunks {
			b := w.bytes(at, 12)
			if len(b) < 8 {
				return
			}
			id, size := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
			switch {
			case (id == "LIST" || id == "RIFF") && len(b) == 12:
				walk(at+12, min(end, at+8+size), depth+1)
			case id == "strh" && len(tracks) < 100:
				if h := w.bytes(at+8, 56); len(h) >= 48 {
					tracks = append(tracks, newAVITrack(h))
				}
			case id == "strf" && len(tracks) > 0:
				if t := tracks[len(tracks)-1]; t.kind == "auds" {
					t.describe(w.bytes(at+8, 16))
				}
			case id[0] >= '0' && id[0] <= '9' && id[1] >= '0' && id[1] <= '9':
				seen++
				if n := int(id[0]-'0')*10 + int(id[1]-'0'); n < len(tracks) && id[2:] != "ix" && id[2:] != "pc" {
					t := tracks[n]
					if t.filled == 0 && size == 0 {
						leading[t]++
					}
					t.see(uint32(size))
				}
				done := true
				for _, t := range tracks {
					done = done && (t.kind != "vids" && t.kind != "auds" || t.settled())
				}
				if done {
					seen = maxChunks
				}
			}
			at += 8 + size + size&1
		}
	}
	walk(0, in.Size, 0)
	if w.err != nil {
		return nil, w.err
	}
	if len(tracks) == 0 {
		return nil, damaged(in, "AVI", "it has no stream header")
	}
	var out []Track
	for _, t := range tracks {
		if t.kind == "vids" || t.kind == "auds" {
			out = append(out, t.timeline(leading[t]))
		}
	}
	return out, nil
}

// newAVITrack reads a strh chunk: type, handler, flags, priority and language, initial frames, scale, rate,
// start, length, buffer size, quality, sample size.
func newAVITrack(h []byte) *aviTrack {
	le := binary.LittleEndian
	return &aviTrack{
		kind: string(h[:4]), scale: float64(le.Uint32(h[20:])), rate: float64(le.Uint32(h[24:])),
		start: float64(le.Uint32(h[28:])), length: float64(le.Uint32(h[32:])), sampleSize: le.Uint32(h[44:]),
	}
}

// describe reads a WAVEFORMATEX.
func (t *aviTrack) describe(f []byte) {
	if len(f) < 8 {
		return
	}
	switch binary.LittleEndian.Uint16(f) {
	case 0x50:
		t.codec = "mp2"
	case 0x55:
		t.codec = "mp3"
	case 0xff, 0x1600, 0x706d:
		t.codec = "aac"
	case 0x160:
		t.codec = "wmav1"
	case 0x161:
		t.codec = "wmav2"
	}
	t.soundRate = int(binary.LittleEndian.Uint32(f[4:]))
}

// timeline counts in chunks. Writers that must begin every track at 0 (ffmpeg) put a late track's first
// chunk there, then empty ones, and then the rest at its place: the first belongs right before the second.
// Where empty chunks come again soon, they are dropped frames.
func (t *aviTrack) timeline(leading int) Track {
	out := Track{Video: t.kind == "vids", Codec: t.codec}
	if !(t.scale > 0) || !(t.rate > 0) {
		return out
	}
	period := t.scale / t.rate
	start, length := float64(t.start*period), float64(t.length*period)
	if t.sampleSize == 0 {
		late := leading
		if !t.gapsMore && t.after > 0 {
			late += t.gap
		}
		start += float64(float64(late) * period)
		length -= float64(float64(late) * period)
	}
	if start > 86400 { // nonsense, as ffmpeg finds too
		start = 0
	}
	out.Seconds = max(0, length)
	if t.filled > 0 {
		out.Start = &start
	}
	if out.Video {
		out.FPS = RateOf(t.rate, t.scale)
	} else {
		out.Priming = PrimingOf(t.codec, t.soundRate)
	}
	return out
}

package container

import (
	"bytes"
	"encoding/binary"
	"math"
	"prep/internal/infile"
)

// The timeline of Flash video (Adobe, Video File Format Specification 10): tags with time stamps in
// milliseconds, of decoding for AVC, whose packets carry the offset of showing.

const maxFLVTags = 4000 // that are looked at to find where the tracks begin

type flvTrack struct {
	first firstStamps
	codec string
	rate  int
	// aacRate is what AAC's configuration says: the tags always say 44100.
	aacRate int
	last    float64
	any     bool
}

// readFLV reads the tracks of a Flash video.
func readFLV(in *infile.File) ([]Track, error) {
	w := &window{in: in}
	head := w.bytes(0, 9)
	if len(head) < 9 {
		return nil, damaged(in, "Flash video", "it ends in its header")
	}
	var sound, video flvTrack
	fps := 0.0
	at := int64(binary.BigEndian.Uint32(head[5:])) + 4 // and the length of a tag before the first
	for n := 0; n < maxFLVTags; n++ {
		tag, next := flvTagAt(w, at)
		if tag == nil {
			break
		}
		switch tag[0] & 0x1f {
		case 8:
			sound.sound(tag)
		case 9:
			video.video(tag)
		case 18:
			if i := bytes.Index(tag, []byte("framerate\x00")); i >= 0 && len(tag) >= i+18 {
				fps = math.Float64frombits(binary.BigEndian.Uint64(tag[i+10:]))
			}
		}
		if video.first.full() && sound.any {
			break
		}
		at = next
	}
	if w.err != nil {
		return nil, w.err
	}
	if !sound.any && !video.any {
		return nil, damaged(in, "Flash video", "no sound or picture follows its header")
	}
	// Each tag is followed by its length, which leads back from the end.
	for at, n := in.Size, 0; n < maxFLVTags; n++ {
		b := w.bytes(at-4, 4)
		if len(b) < 4 {
			break
		}
		size := int64(binary.BigEndian.Uint32(b))
		if size < 11 || at-4-size < 9 {
			break
		}
		at -= 4 + size
		tag, _ := flvTagAt(w, at)
		if tag == nil {
			break
		}
		switch tag[0] & 0x1f {
		case 8:
			sound.last = math.Max(sound.last, flvStamp(tag))
		case 9:
			if stamp, ok := flvShown(tag); ok {
				video.last = math.Max(video.last, stamp)
			}
		}
		if n > 200 || sound.last > 0 && video.last > 0 && n > 40 {
			break
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	var out []Track
	if video.any {
		t := Track{Video: true, Start: video.first.start()}
		if fps > 1e-3 && fps < 1000 { // what is written there is anything that 64 bits can be
			t.FPS = fps
		} else if p := video.first.period(); p > 0 {
			t.FPS = RateOf(1, p)
		}
		if t.Start != nil {
			t.Seconds = math.Max(0, video.last-*t.Start)
			if t.FPS > 0 {
				t.Seconds += 1 / t.FPS
			}
		}
		out = append(out, t)
	}
	if sound.any {
		t := Track{Codec: sound.codec, Start: sound.first.start(), Priming: PrimingOf(sound.codec, sound.rate)}
		if t.Start != nil {
			t.Seconds = math.Max(0, sound.last-*t.Start)
		}
		out = append(out, t)
	}
	return out, nil
}

// flvTagAt reads a tag's header and the beginning of its body, nil at the end.
func flvTagAt(w *window, at int64) (tag []byte, next int64) {
	tag = w.bytes(at, 11)
	if len(tag) < 11 {
		return nil, 0
	}
	size := int64(tag[1])<<16 | int64(tag[2])<<8 | int64(tag[3])
	return w.bytes(at, int(min(11+size, 2048))), at + 11 + size + 4
}

// flvStamp is a tag's time in seconds: 24 bits, and 8 more above them.
func flvStamp(tag []byte) float64 {
	return float64(int32(uint32(tag[7])<<24|uint32(tag[4])<<16|uint32(tag[5])<<8|uint32(tag[6]))) / 1000
}

func (t *flvTrack) sound(tag []byte) {
	if len(tag) < 13 {
		return
	}
	t.any = true
	t.rate = [4]int{5512, 11025, 22050, 44100}[tag[11]>>2&3]
	switch tag[11] >> 4 {
	case 2:
		t.codec = "mp3"
	case 10:
		t.codec = "aac"
		if tag[12] == 0 { // AudioSpecificConfig: 5 bits of object type, 4 bits of rate
			if len(tag) > 14 {
				t.aacRate = aacRates[tag[13]&7<<1|tag[14]>>7]
			}
			return
		}
		if t.aacRate > 0 {
			t.rate = t.aacRate
		}
	}
	t.first.add(flvStamp(tag))
}

func (t *flvTrack) video(tag []byte) {
	t.any = true
	if stamp, ok := flvShown(tag); ok {
		t.first.add(stamp)
	}
}

// flvShown is when a picture is shown; false for what is none.
func flvShown(tag []byte) (float64, bool) {
	if len(tag) < 12 {
		return 0, false
	}
	stamp := flvStamp(tag)
	if tag[11]&0x8f == 7 { // AVC
		if len(tag) < 16 || tag[12] != 1 { // its configuration, or the end
			return 0, false
		}
		offset := int32(uint32(tag[13])<<24|uint32(tag[14])<<16|uint32(tag[15])<<8) >> 8
		stamp += float64(offset) / 1000
	}
	return stamp, true
}

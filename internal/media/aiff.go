package media

import (
	"encoding/binary"
	"fmt"
	"math"

	"prep/internal/fault"
	"prep/internal/infile"
)

// An AIFF file is "FORM" size "AIFF" (or "AIFC") and then chunks as in WAV, but big-endian. "COMM" describes
// the samples, with the rate as an 80-bit float; "SSND" holds them behind two 32-bit words.

func parseAIFF(in *infile.File) (*wavFile, error) {
	w := &wavFile{}
	w.frames = -1
	var described bool
	var data, dataSize int64
	pos := int64(12)
	for range 10000 {
		head, err := in.Head(pos, 8+64)
		if err != nil {
			return nil, err
		}
		if len(head) < 8 {
			break
		}
		size, body := int64(binary.BigEndian.Uint32(head[4:])), head[8:]
		switch string(head[:4]) {
		case "COMM":
			if err := w.parseCOMM(in.Path, body[:min(int64(len(body)), size)]); err != nil {
				return nil, err
			}
			described = true
		case "SSND":
			if len(body) < 8 || size < 8 {
				return nil, fault.Corruptf("bad_header", "%s: the AIFF sound chunk is cut off", in.Path)
			}
			skip := 8 + int64(binary.BigEndian.Uint32(body))
			data, dataSize = pos+8+skip, max(0, size-skip)
		}
		pos += 8 + size + size&1
	}
	switch {
	case !described:
		return nil, fault.Corruptf("bad_header", "%s: an AIFF file without a description of its sound (no COMM chunk)", in.Path)
	case data == 0:
		return nil, fault.Corruptf("empty_audio", "%s: an AIFF file without sound (no SSND chunk)", in.Path)
	}
	w.offset = data
	if w.frames == 0 && dataSize > 0 { // written by a program that could not seek back
		w.streamed, w.frames = true, math.MaxInt64
	}
	w.there = min(w.frames, max(0, min(dataSize, in.Size-data))/int64(w.pcm.bytes*w.channels))
	if w.streamed {
		w.frames = -1
	}
	return w, nil
}

func (w *wavFile) parseCOMM(path string, b []byte) error {
	if len(b) < 18 {
		return fault.Corruptf("bad_header", "%s: the AIFF description (COMM) is cut off", path)
	}
	be := binary.BigEndian
	w.channels = int(be.Uint16(b))
	w.frames = int64(be.Uint32(b[2:]))
	w.bits = int(be.Uint16(b[6:]))
	// IEEE 754 extended: sign and exponent in 16 bits, then the mantissa with its leading 1.
	rate := math.Ldexp(float64(be.Uint64(b[10:])), int(be.Uint16(b[8:])&0x7fff)-16383-63)
	if !(rate >= 0 && rate <= maxRate+1) {
		rate = 0
	}
	w.rate = int(math.Round(rate))
	if err := w.soundFormat.check(path); err != nil {
		return err
	}
	w.pcm = pcm{kind: pcmSigned, bytes: (w.bits + 7) / 8, big: true}
	if len(b) >= 22 { // AIFF-C names its coding
		switch string(b[18:22]) {
		case "NONE", "twos", "in24", "in32":
		case "sowt", "42ni", "42n1", "23ni": // "42n1" is what libsndfile writes
			w.big = false
		case "raw ":
			if w.kind = pcmUnsigned; w.pcm.bytes != 1 {
				return &handedOn{what: fmt.Sprintf("AIFF with unsigned samples of %d bits", w.bits)}
			}
		case "fl32", "FL32":
			w.kind, w.pcm.bytes = pcmFloat, 4
		case "fl64", "FL64":
			w.kind, w.pcm.bytes = pcmFloat, 8
		case "alaw", "ALAW":
			w.kind, w.pcm.bytes = pcmALaw, 1
		case "ulaw", "ULAW":
			w.kind, w.pcm.bytes = pcmMuLaw, 1
		default:
			return &handedOn{what: fmt.Sprintf("AIFF with the coding %q", b[18:22])}
		}
	}
	if w.kind == pcmSigned && (w.pcm.bytes < 1 || w.pcm.bytes > 4) {
		return fault.Corruptf("bad_header", "%s: integer samples of %d bits", path, w.bits)
	}
	w.codec = w.pcm.name()
	return nil
}

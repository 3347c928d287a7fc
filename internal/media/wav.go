package media

import (
	"encoding/binary"
	"fmt"

	"prep/internal/fault"
)

// A WAV file is "RIFF" size "WAVE" and then chunks: four characters, a 32-bit little-endian size, that many
// bytes, one more if the size is odd. "fmt " describes the samples, "data" holds them; others lie anywhere.
// RF64 and BW64 keep sizes beyond 32 bits in a "ds64" chunk (EBU Tech 3306, ITU-R BS.2088).
//
// A writer that could not seek back leaves the sizes at 0 or near 2^32: such a file is read to its end.
// Our own reader instead of a library's: it reads only the segment, never believes a size, and is some
// twenty times faster than github.com/go-audio/wav.

// wavFile is what the chunks say.
type wavFile struct {
	soundFormat
	pcm
	offset   int64 // of the first sample
	there    int64 // frames that the file really holds
	streamed bool  // the header does not state a length
}

const (
	wavFormatPCM        = 1
	wavFormatFloat      = 3
	wavFormatALaw       = 6
	wavFormatMuLaw      = 7
	wavFormatExtensible = 0xfffe

	// sizes from here on are what streaming writers put where they cannot know better
	wavStreamed = 0x7fff0000
)

func parseWAV(in *soundFile) (*wavFile, error) {
	head, err := in.head(0, 12)
	if err != nil {
		return nil, err
	}
	if len(head) < 12 {
		return nil, fault.Corruptf("bad_header", "%s: the WAV header is cut off", in.path)
	}
	riffSize := binary.LittleEndian.Uint32(head[4:])
	w := &wavFile{}
	haveFormat := false
	var data64 int64 = -1
	pos := int64(12)
	for chunks := 0; ; chunks++ {
		head, err := in.head(pos, 8+64)
		if err != nil {
			return nil, err
		}
		if len(head) < 8 || chunks == 10000 {
			break
		}
		id, size := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		body := head[8:]
		switch id {
		case "ds64": // riff size, data size, sample count, table
			if size >= 16 && len(body) >= 16 {
				if v := binary.LittleEndian.Uint64(body[8:]); v < 1<<62 {
					data64 = int64(v)
				}
			}
		case "fmt ":
			if err := w.parseFormat(in.path, body[:min(int64(len(body)), size)]); err != nil {
				return nil, err
			}
			haveFormat = true
		case "data":
			if !haveFormat {
				return nil, fault.Corruptf("bad_header", "%s: WAV data come before their format", in.path)
			}
			if size == 0xffffffff && data64 >= 0 {
				size = data64
			}
			w.setData(pos+8, size, in.size, riffSize)
			return w, nil
		}
		pos += 8 + size + size&1
	}
	return nil, fault.Corruptf("bad_header", "%s: a WAV file without sound (no data chunk)", in.path)
}

func (w *wavFile) parseFormat(path string, b []byte) error {
	if len(b) < 16 {
		return fault.Corruptf("bad_header", "%s: the WAV format chunk is cut off", path)
	}
	le := binary.LittleEndian
	tag := le.Uint16(b)
	w.channels = int(le.Uint16(b[2:]))
	w.rate = int(le.Uint32(b[4:]))
	align := int(le.Uint16(b[12:]))
	w.bits = int(le.Uint16(b[14:]))
	if tag == wavFormatExtensible && len(b) >= 26 {
		tag = le.Uint16(b[24:]) // the first field of the sub-format's GUID
	}
	if err := w.soundFormat.check(path); err != nil {
		return err
	}
	width := (w.bits + 7) / 8
	switch tag {
	case wavFormatPCM:
		switch {
		case width == 1:
			w.kind = pcmUnsigned
		case width < 1 || width > 4:
			return fault.Corruptf("bad_header", "%s: integer samples of %d bits", path, w.bits)
		}
	case wavFormatFloat:
		w.kind = pcmFloat
		if w.bits != 32 && w.bits != 64 {
			return fault.Corruptf("bad_header", "%s: float samples of %d bits", path, w.bits)
		}
	case wavFormatALaw, wavFormatMuLaw:
		if w.kind = pcmALaw; tag == wavFormatMuLaw {
			w.kind = pcmMuLaw
		}
		width = 1 // some writers put 16 here, the decoded width
	default:
		return errNeedsFFmpeg // ADPCM, GSM, MP3 in WAV and the like
	}
	if align != 0 && align != width*w.channels {
		return fault.Corruptf("bad_header", "%s: frames of %d bytes do not hold %d channels of %d bits", path, align, w.channels, w.bits)
	}
	w.pcm.bytes = width
	w.codec = w.pcm.name()
	return nil
}

// setData settles how many frames there are and how many were declared.
func (w *wavFile) setData(offset, size, fileSize int64, riffSize uint32) {
	w.offset = offset
	frame := int64(w.pcm.bytes * w.channels)
	rest := fileSize - offset
	switch {
	case size == 0 && rest > 0 && (riffSize == 0 || riffSize >= wavStreamed || int64(riffSize) <= offset-8),
		size >= wavStreamed && size <= 0xffffffff && size > rest:
		w.streamed, w.frames, w.there = true, -1, rest/frame
	default:
		w.frames, w.there = size/frame, min(size, rest)/frame
	}
}

func (t *Tools) decodeWAV(in *soundFile, seg Segment) (*Sound, error) {
	w, err := parseWAV(in)
	if err != nil {
		return nil, err
	}
	return t.readPCM(in, w, seg)
}

// readPCM reads the segment of a WAV or AIFF file whose header has been read.
func (t *Tools) readPCM(in *soundFile, w *wavFile, seg Segment) (*Sound, error) {
	s := newSound(w.soundFormat)
	if w.streamed {
		s.Notes = append(s.Notes, "the header does not state a length (streamed); read to the end of the file")
	} else if w.there < w.frames {
		s.Notes = append(s.Notes, fmt.Sprintf("cut off: %.3f s of the %.3f s that the header promises",
			float64(w.there)/float64(w.rate), s.DeclaredSeconds))
	}
	first, last, err := t.span(s, w.soundFormat, in.path, seg, w.there)
	if err != nil {
		return nil, err
	}
	n := int64(w.channels)
	if s.Data, err = w.pcm.read(in, w.offset+first*n*int64(w.pcm.bytes), (last-first)*n); err != nil {
		return nil, err
	}
	if w.kind == pcmFloat {
		if err := s.checkFinite(in.path); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func wavLength(in *soundFile) (frames int64, rate int, err error) {
	w, err := parseWAV(in)
	if err != nil {
		return 0, 0, err
	}
	return w.there, w.rate, nil
}

package media

import (
	"encoding/binary"
	"fmt"
	"slices"

	"prep/internal/fault"
	"prep/internal/infile"
)

// A WAV file is "RIFF" size "WAVE" and then chunks: four characters, a 32-bit little-endian size, that many
// bytes, one more if the size is odd. "fmt " describes the samples, "data" holds them; others lie anywhere.
// RF64 and BW64 keep sizes beyond 32 bits in a "ds64" chunk (EBU Tech 3306, ITU-R BS.2088).
//
// RIFX is the same with all numbers big-endian.
//
// A writer that could not seek back leaves the sizes at 0 or near 2^32: such a file is read to its end.
// Our own reader instead of a library's: it reads only the segment, never believes a size, and is some
// twenty times faster than github.com/go-audio/wav.

// wavFile is what the chunks say.
type wavFile struct {
	soundFormat
	pcm
	order    binary.ByteOrder
	offset   int64 // of the first sample
	there    int64 // frames that the file really holds
	streamed bool  // the header does not state a length
	notes    []string
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

// wavCodecs names codings that are ffmpeg's, by their tags (RFC 2361 and what came later).
var wavCodecs = map[uint16]string{
	0x0002: "Microsoft ADPCM", 0x0011: "IMA ADPCM", 0x0014: "G.723 ADPCM", 0x0020: "Yamaha ADPCM", 0x0031: "GSM 6.10",
	0x0040: "G.721 ADPCM", 0x0045: "G.726 ADPCM", 0x0050: "MPEG audio of layer I or II", 0x0055: "MP3",
	0x0064: "G.726 ADPCM", 0x0065: "G.722 ADPCM", 0x00ff: "AAC", 0x0160: "Windows Media Audio", 0x0161: "Windows Media Audio",
	0x1610: "AAC", 0x2000: "AC-3", 0x2001: "DTS", 0x674f: "Vorbis", 0xf1ac: "FLAC",
}

func parseWAV(in *infile.File) (*wavFile, error) {
	head, err := in.Head(0, 12)
	if err != nil {
		return nil, err
	}
	if len(head) < 12 {
		return nil, fault.Corruptf("bad_header", "%s: the WAV header is cut off", in.Path)
	}
	w := &wavFile{order: binary.LittleEndian}
	if string(head[:4]) == "RIFX" {
		w.order, w.big = binary.BigEndian, true
	}
	riffSize := w.order.Uint32(head[4:])
	haveFormat := false
	var data, dataSize, data64 int64 = 0, 0, -1
	pos := int64(12)
	for chunks := 0; chunks < 10000 && !(haveFormat && data > 0); chunks++ {
		head, err := in.Head(pos, 8+64)
		if err != nil {
			return nil, err
		}
		if len(head) < 8 {
			break
		}
		id, size := string(head[:4]), int64(w.order.Uint32(head[4:]))
		body := head[8:]
		switch id {
		case "ds64": // riff size, data size, sample count, table
			if size >= 16 && len(body) >= 16 {
				if v := w.order.Uint64(body[8:]); v < 1<<62 {
					data64 = int64(v)
				}
			}
		case "fmt ":
			if err := w.parseFormat(in.Path, body[:min(int64(len(body)), size)]); err != nil {
				return nil, err
			}
			haveFormat = true
		case "data":
			if size == 0xffffffff && data64 >= 0 {
				size = data64
			}
			if data == 0 {
				data, dataSize = pos+8, size
			}
		}
		if pos, err = nextChunk(in, pos+8, size); err != nil {
			return nil, err
		}
	}
	switch {
	case data == 0:
		return nil, fault.Corruptf("bad_header", "%s: a WAV file without sound (no data chunk)", in.Path)
	case !haveFormat:
		return nil, fault.Corruptf("bad_header", "%s: a WAV file that does not say what its samples are (no fmt chunk)", in.Path)
	}
	return w, w.setData(in, data, dataSize, riffSize)
}

// nextChunk is where the chunk after one of size bytes at pos begins. A chunk of odd size is followed by a
// byte of padding, but for writers that have forgotten it.
func nextChunk(in *infile.File, pos, size int64) (int64, error) {
	end := pos + size
	if size%2 == 0 {
		return end, nil
	}
	b, err := in.Head(end, 5)
	if err != nil {
		return 0, err
	}
	if len(b) == 5 && isChunkID(b[:4]) && !isChunkID(b[1:5]) {
		return end, nil
	}
	return end + 1, nil
}

// isChunkID tells a chunk's four characters, at least one of them a letter, from what else may lie there.
func isChunkID(b []byte) bool {
	letters := 0
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letters++
		case c < ' ' || c > '~':
			return false
		}
	}
	return len(b) == 4 && letters > 0
}

func (w *wavFile) parseFormat(path string, b []byte) error {
	if len(b) < 16 {
		return fault.Corruptf("bad_header", "%s: the WAV format chunk is cut off", path)
	}
	tag := w.order.Uint16(b)
	w.channels = int(w.order.Uint16(b[2:]))
	w.rate = int(w.order.Uint32(b[4:]))
	byteRate := int64(w.order.Uint32(b[8:]))
	align := int(w.order.Uint16(b[12:]))
	w.bits = int(w.order.Uint16(b[14:]))
	if tag == wavFormatExtensible && len(b) >= 28 {
		tag = uint16(min(w.order.Uint32(b[24:]), 0xffff)) // the first field of the sub-format's GUID, of 32 bits
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
		case width < 1 || width > 4 && w.bits != 64:
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
		what := wavCodecs[tag]
		if what == "" {
			what = fmt.Sprintf("the coding %#04x", tag)
		}
		return &handedOn{what: "WAV with " + what}
	}
	switch bytes := int64(align) * int64(w.rate); {
	case align == 0, align == width*w.channels:
	case tag == wavFormatPCM && byteRate == int64(width*w.channels)*int64(w.rate) && byteRate != bytes:
		w.notes = append(w.notes, fmt.Sprintf("the header has frames of %d bytes for %d", align, width*w.channels))
	case tag == wavFormatPCM && width > 1 && byteRate == bytes && align%w.channels == 0 && align/w.channels > width && align/w.channels <= 4:
		// 24 bits in 32, in the upper ones: as the format says, and libsndfile does.
		w.notes = append(w.notes, fmt.Sprintf("%d bits in %d, taken from the upper ones", w.bits, 8*align/w.channels))
		width = align / w.channels
	default:
		return fault.Corruptf("bad_header", "%s: frames of %d bytes do not hold %d channels of %d bits", path, align, w.channels, w.bits)
	}
	w.pcm.bytes = width
	w.codec = w.pcm.name()
	return nil
}

// setData settles how many frames there are and how many were declared.
func (w *wavFile) setData(in *infile.File, offset, size int64, riffSize uint32) error {
	w.offset = offset
	frame := int64(w.pcm.bytes * w.channels)
	rest := in.Size - offset
	streamed := size >= wavStreamed && size <= 0xffffffff && size > rest ||
		rest-size >= 1<<32 // a size that has overflowed its 32 bits
	if size == 0 && rest > 0 {
		// What follows is sound, if it is not another chunk up to the end of the file.
		b, err := in.Head(offset, 8)
		if err != nil {
			return err
		}
		streamed = len(b) < 8 || !isChunkID(b[:4]) || int64(w.order.Uint32(b[4:]))+8 > rest
	}
	if streamed {
		w.streamed, w.frames, w.there = true, -1, rest/frame
		return nil
	}
	w.frames, w.there = size/frame, min(size, rest)/frame
	end, err := nextChunk(in, offset, size)
	if err != nil {
		return err
	}
	// A recorder that was stopped has written more than its header knows.
	if over := in.Size - end; over >= 8 && int64(riffSize)+8 <= end {
		b, err := in.Head(end, 4)
		if err != nil {
			return err
		}
		if !isChunkID(b) && over > end/1000 {
			w.notes = append(w.notes, fmt.Sprintf("the file goes on for %d bytes after the sound that its header describes", over))
		}
	}
	return nil
}

// pcmFile is an open file of plain samples: WAV, AIFF, AU, SPHERE.
type pcmFile struct {
	*wavFile
	in *infile.File
}

func openPCM(in *infile.File, parse func(*infile.File) (*wavFile, error)) (soundDecoder, error) {
	w, err := parse(in)
	return pcmFile{w, in}, err
}

func (w pcmFile) length() (declared, there int64, rate int, err error) {
	return w.frames, w.there, w.rate, nil
}

func (w pcmFile) decode(t *Tools, seg Segment) (*Sound, error) {
	return w.cut(t, seg, func(s *Sound, offset, frames int64) (err error) {
		s.Data, err = w.pcm.read(w.in, offset, frames*int64(w.channels))
		return err
	})
}

func (w pcmFile) decodePlanes(t *Tools, seg Segment) (*Sound, error) {
	return w.cut(t, seg, func(s *Sound, offset, frames int64) (err error) {
		s.planes, err = w.pcm.readPlanes(w.in, offset, frames, w.channels)
		return err
	})
}

// cut finds where the frames of a segment lie, and has them read.
func (w pcmFile) cut(t *Tools, seg Segment, read func(s *Sound, offset, frames int64) error) (*Sound, error) {
	s := newSound(w.soundFormat)
	s.Notes = slices.Clone(w.notes)
	if w.streamed {
		s.Notes = append(s.Notes, "the header does not state a length (streamed); read to the end of the file")
	} else if w.there < w.frames {
		s.Notes = append(s.Notes, fmt.Sprintf("cut off: %.3f s of the %.3f s that the header promises",
			float64(w.there)/float64(w.rate), s.DeclaredSeconds))
	}
	first, last, err := t.span(s, w.soundFormat, w.in.Path, seg, w.there)
	if err != nil {
		return nil, err
	}
	if err := read(s, w.offset+first*int64(w.channels*w.pcm.bytes), last-first); err != nil {
		return nil, err
	}
	if w.kind == pcmFloat {
		if err := s.checkFinite(w.in.Path); err != nil {
			return nil, err
		}
	}
	return s, nil
}

package media

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"prep/internal/fault"
	"prep/internal/infile"
)

// parseAU reads the header of Sun's and NeXT's format: ".snd" and five big-endian numbers, the offset of the
// sound, its size (0xffffffff where that is not known), the encoding, the rate and the number of channels. DEC's form
// begins with "dns." and is little-endian throughout; ffmpeg does not know it.
func parseAU(in *infile.File) (*wavFile, error) {
	b, err := in.Head(0, 24)
	if err != nil {
		return nil, err
	}
	if len(b) < 24 {
		return nil, fault.Corruptf("bad_header", "%s: the AU header is cut off", in.Path)
	}
	big, number := true, binary.BigEndian.Uint32
	if b[0] == 'd' {
		big, number = false, binary.LittleEndian.Uint32
	}
	w := &wavFile{}
	w.offset = int64(number(b[4:]))
	size := int64(number(b[8:]))
	w.rate = int(min(number(b[16:]), math.MaxInt32))
	w.channels = int(min(number(b[20:]), math.MaxInt32))
	if err := w.soundFormat.check(in.Path); err != nil {
		return nil, err
	}
	switch encoding := number(b[12:]); encoding {
	case 1:
		w.pcm = pcm{kind: pcmMuLaw, bytes: 1}
	case 2, 3, 4, 5:
		w.pcm = pcm{kind: pcmSigned, bytes: int(encoding) - 1, big: big && encoding > 2}
	case 6, 7:
		w.pcm = pcm{kind: pcmFloat, bytes: 4 * (int(encoding) - 5), big: big}
	case 27:
		w.pcm = pcm{kind: pcmALaw, bytes: 1}
	default:
		if !big {
			return nil, fault.Unsupportedf("unsupported_codec", "%s: little-endian AU with the coding %d, which nothing here reads; convert it to WAV", in.Path, encoding)
		}
		return nil, &handedOn{what: fmt.Sprintf("AU with the coding %d", encoding)}
	}
	if w.offset < 24 || w.offset > in.Size {
		return nil, fault.Corruptf("bad_header", "%s: the AU header puts the sound at byte %d of %d", in.Path, w.offset, in.Size)
	}
	w.setRest(in, size, size == 0xffffffff)
	return w, nil
}

// setRest settles the frames of a format whose sound lies last in the file.
func (w *wavFile) setRest(in *infile.File, size int64, unknown bool) {
	w.bits = 8 * w.pcm.bytes
	w.codec = w.pcm.name()
	frame := int64(w.pcm.bytes * w.channels)
	rest := in.Size - w.offset
	if unknown {
		w.streamed, w.frames, w.there = true, -1, rest/frame
		return
	}
	w.frames, w.there = size/frame, min(size, rest)/frame
}

// sphereHeader bounds the header of a SPHERE file; all in use have 1024 bytes.
const sphereHeader = 64 << 10

// parseSPHERE reads NIST's format, which TIMIT and other corpora of speech come in, there under names in .wav:
// "NIST_1A", the length of the header, and lines of name, type and value up to "end_head".
func parseSPHERE(in *infile.File) (*wavFile, error) {
	bad := func(format string, args ...any) (*wavFile, error) {
		return nil, fault.Corruptf("bad_header", "%s: %s", in.Path, fmt.Sprintf(format, args...))
	}
	b, err := in.Head(0, 16)
	if err != nil {
		return nil, err
	}
	if len(b) < 16 {
		return bad("the SPHERE header is cut off")
	}
	size, err := strconv.Atoi(strings.TrimSpace(string(b[8:16])))
	if err != nil || size < 16 || size > sphereHeader || int64(size) > in.Size {
		return bad("the SPHERE header states a length of %q", b[8:15])
	}
	if b, err = in.Head(0, size); err != nil {
		return nil, err
	}
	text, _, ok := strings.Cut(string(b[16:]), "end_head")
	if !ok {
		return bad("the SPHERE header has no end")
	}
	fields := map[string]string{"channel_count": "1", "sample_coding": "pcm", "sample_n_bytes": "2", "sample_byte_format": "01"}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 3 {
			fields[f[0]] = f[2]
		}
	}
	number := func(name string) int {
		n, err := strconv.ParseFloat(fields[name], 64) // some write rates as 16000.0
		if err != nil || !(n >= 0 && n < 1<<40) {
			return 0
		}
		return int(n)
	}
	w := &wavFile{offset: int64(size)}
	w.rate, w.channels = number("sample_rate"), number("channel_count")
	if err := w.soundFormat.check(in.Path); err != nil {
		return nil, err
	}
	w.pcm = pcm{kind: pcmSigned, bytes: number("sample_n_bytes"), big: fields["sample_byte_format"] != "01"}
	switch coding := fields["sample_coding"]; coding {
	case "pcm", "linear":
	case "ulaw", "mu-law":
		w.pcm = pcm{kind: pcmMuLaw, bytes: 1}
	case "alaw":
		w.pcm = pcm{kind: pcmALaw, bytes: 1}
	default:
		return nil, fault.Unsupportedf("unsupported_codec", "%s: SPHERE with %s; convert it with sph2pipe", in.Path, coding)
	}
	if w.pcm.bytes < 1 || w.pcm.bytes > 4 {
		return bad("samples of %d bytes", w.pcm.bytes)
	}
	count := int64(number("sample_count"))
	w.setRest(in, count*int64(w.pcm.bytes*w.channels), fields["sample_count"] == "")
	return w, nil
}

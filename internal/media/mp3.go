package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"

	"prep/internal/fault"
)

// MPEG audio is a row of frames that each begin with a 32-bit header (ISO/IEC 11172-3, 2.4.1.3); layer III of
// MPEG-1 and MPEG-2 is decoded by github.com/hajimehoshi/go-mp3. What that library leaves out is done here:
// finding the first frame behind tags without believing their sizes, and cutting off the encoder's delay and
// padding that a LAME tag states, so that sample 0 is the sample that was encoded first (as in ffmpeg and
// mpg123).

// mpegHeader is one frame header.
type mpegHeader struct {
	version  int // 1, 2, or 25 for MPEG-2.5
	layer    int // 1, 2, 3
	bitrate  int // bit/s, 0 for the free format
	rate     int // Hz
	channels int
	size     int // bytes of the whole frame, 0 in the free format
	samples  int // per channel
	side     int // bytes of side information in layer III
}

var mpegBitrates = [2][3][15]int{ // kbit/s by MPEG-1 or not, layer, index
	{
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	}, {
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	},
}

// parseMPEGHeader reads the header at the start of b.
func parseMPEGHeader(b []byte) (h mpegHeader, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return h, false
	}
	version, layer, index, rate := b[1]>>3&3, b[1]>>1&3, b[2]>>4, b[2]>>2&3
	if version == 1 || layer == 0 || index == 15 || rate == 3 || b[3]&3 == 2 {
		return h, false
	}
	h.layer = 4 - int(layer)
	h.rate = [3]int{44100, 48000, 32000}[rate]
	low := 1
	switch version {
	case 3:
		h.version, low = 1, 0
	case 2:
		h.version = 2
		h.rate /= 2
	default:
		h.version = 25
		h.rate /= 4
	}
	h.bitrate = 1000 * mpegBitrates[low][h.layer-1][index]
	h.channels = 2
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	padding := int(b[2] >> 1 & 1)
	switch {
	case h.layer == 1:
		h.samples = 384
		h.size = (12*h.bitrate/h.rate + padding) * 4
	case h.layer == 3 && low == 1:
		h.samples = 576
		h.size = 72*h.bitrate/h.rate + padding
	default:
		h.samples = 1152
		h.size = 144*h.bitrate/h.rate + padding
	}
	if h.bitrate == 0 {
		h.size = 0
	}
	h.side = [2][2]int{{17, 32}, {9, 17}}[low][h.channels-1]
	return h, true
}

// same reports whether two frames can belong to one stream.
func (h mpegHeader) same(o mpegHeader) bool {
	return h.version == o.version && h.layer == o.layer && h.rate == o.rate
}

// firstMPEGFrame returns where the first frame begins: at a header that two more follow at the distances
// they state, or that is followed by the end of the file. -1 when there is none.
func firstMPEGFrame(b []byte, whole bool) int {
	for i := 0; i+4 <= len(b); i++ {
		if b[i] != 0xff {
			continue
		}
		first, ok := parseMPEGHeader(b[i:])
		if !ok {
			continue
		}
		at, h, frames := i, first, 1
		for h.size >= 4 && frames < 3 && at+h.size+4 <= len(b) {
			at += h.size
			next, ok := parseMPEGHeader(b[at:])
			if !ok || !next.same(first) {
				break
			}
			h, frames = next, frames+1
		}
		switch {
		case frames == 3,
			frames >= 1 && whole && h.size > 0 && at+h.size <= len(b) && at+h.size+4 > len(b), // a file of one or two frames
			frames >= 1 && whole && h.size > 0 && at+h.size < len(b) && isTagV1(b[at+h.size:]):
			return i
		case first.size == 0 && i == 0: // free format: its frame length is known only from the next header
			return i
		}
	}
	return -1
}

func isTagV1(b []byte) bool {
	return len(b) >= 3 && string(b[:3]) == "TAG" || len(b) >= 8 && string(b[:8]) == "APETAGEX"
}

// mp3Info is what the first frame says of the stream.
type mp3Info struct {
	mpegHeader
	offset         int64 // of the first frame with sound
	delay, padding int   // samples to cut off at both ends, decoder delay included
	frames         int64 // as the Xing tag states, 0: no tag
}

// mp3DecoderDelay is how late a layer III decoder is: 528 samples and 1.
const mp3DecoderDelay = 529

// readMP3Info reads the first frame and the Xing or Info tag in it, which is silence to a decoder and no
// part of the sound.
func readMP3Info(in *soundFile, offset int64) (mp3Info, error) {
	b, err := in.head(offset, 4096)
	if err != nil {
		return mp3Info{}, err
	}
	h, ok := parseMPEGHeader(b)
	if !ok {
		return mp3Info{}, fault.Corruptf("not_audio", "%s: no MPEG audio frame", in.path)
	}
	info := mp3Info{mpegHeader: h, offset: offset}
	if h.layer != 3 || h.version == 25 || h.size == 0 {
		return info, errNeedsFFmpeg // layers I and II, MPEG-2.5 and the free format are not go-mp3's
	}
	tag := b[min(len(b), 4+h.side):]
	if len(tag) < 120 || string(tag[:4]) != "Xing" && string(tag[:4]) != "Info" {
		return info, nil
	}
	info.offset += int64(h.size)
	flags := binary.BigEndian.Uint32(tag[4:])
	p := 8
	if flags&1 != 0 {
		info.frames = int64(binary.BigEndian.Uint32(tag[p:]))
		p += 4
	}
	if flags&2 != 0 {
		p += 4
	}
	if flags&4 != 0 {
		p += 100
	}
	if flags&8 != 0 {
		p += 4
	}
	// The LAME extension: nine characters of version, then at byte 21 delay and padding, 12 bits each.
	if len(tag) >= p+24 && (string(tag[p:p+4]) == "LAME" || string(tag[p:p+4]) == "Lavf" || string(tag[p:p+4]) == "Lavc") {
		v := int(tag[p+21])<<16 | int(tag[p+22])<<8 | int(tag[p+23])
		info.delay = v>>12 + mp3DecoderDelay
		info.padding = max(0, v&0xfff-mp3DecoderDelay)
	}
	return info, nil
}

// mp3Frames walks the frames of a stream from an offset of the file on. Broken stretches between frames and
// frames of another kind are skipped, a last frame that is cut off is dropped. It reads the file a block at
// a time.
type mp3Frames struct {
	in    *soundFile
	first mpegHeader
	pos   int64 // where to look for the next frame
	buf   []byte
	base  int64 // file offset of buf[0]
}

// next returns the bytes of the next frame, valid until the next call, and where they lie; nil at the end.
func (m *mp3Frames) next() (frame []byte, at int64, err error) {
	const block, longest = 1 << 16, 4096
	for m.pos+4 <= m.in.size {
		if end := m.base + int64(len(m.buf)); m.pos < m.base || m.pos+longest > end && end < m.in.size {
			if m.buf, err = m.in.head(m.pos, block); err != nil {
				return nil, 0, err
			}
			m.base = m.pos
		}
		b := m.buf[min(m.pos-m.base, int64(len(m.buf))):]
		h, ok := parseMPEGHeader(b)
		if !ok || !h.same(m.first) || h.size < 4+2+h.side {
			if len(b) < 4 {
				return nil, 0, nil
			}
			m.pos++
			continue
		}
		if h.size > len(b) {
			return nil, 0, nil
		}
		at = m.pos
		m.pos += int64(h.size)
		return b[:h.size], at, nil
	}
	return nil, 0, nil
}

// scanMP3 counts the frames of the stream and returns where frame number mark begins.
func scanMP3(in *soundFile, info mp3Info, mark int64) (frames, offset int64, err error) {
	m := &mp3Frames{in: in, first: info.mpegHeader, pos: info.offset}
	offset = info.offset
	for {
		frame, at, err := m.next()
		if err != nil || frame == nil {
			return frames, offset, err
		}
		if frames == mark {
			offset = at
		}
		frames++
	}
}

// mp3Reader feeds go-mp3 with whole frames only, from any frame on. A frame's main data may begin in the
// frames before it (the bit reservoir). A frame whose reservoir is not there, because the file or the
// segment begins in the middle of a stream, is made silent by clearing its side information; its own main
// data stay, so that the reservoir fills up.
type mp3Reader struct {
	frames    mp3Frames
	reservoir int    // MPEG-1: bytes of main data that the decoder has kept
	kept      []byte // MPEG-2: the last main data
	frame     []byte // MPEG-2: scratch
	rest      []byte
	err       error
}

func (r *mp3Reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil {
		var frame []byte
		if frame, _, r.err = r.frames.next(); frame == nil && r.err == nil {
			r.err = io.EOF
		}
		if r.err == nil {
			h, _ := parseMPEGHeader(frame)
			side := frame[4:]
			if frame[1]&1 == 0 { // a 16-bit CRC stands between
				side = frame[6:]
			}
			side, main := side[:h.side], side[h.side:]
			if h.version == 1 {
				r.rest = r.complete(frame, side, main)
			} else {
				r.rest, r.err = r.selfContained(h, frame[:4], side, main)
			}
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// complete passes an MPEG-1 frame on, silent if its reservoir is missing.
func (r *mp3Reader) complete(frame, side, main []byte) []byte {
	begin := int(side[0])<<1 | int(side[1])>>7 // main_data_begin: 9 bits
	if begin > r.reservoir {
		begin = min(r.reservoir, 511)
		clear(side)
		side[0], side[1] = byte(begin>>1), byte(begin<<7)
	}
	r.reservoir = begin + len(main)
	return frame
}

// selfContained rewrites an MPEG-2 frame so that it needs no reservoir, no padding and no CRC. go-mp3 halves
// an MPEG-2 frame's size after adding the padding byte instead of before: it loses that byte in half of the
// bit rates, and with it the place of the main data. A frame that does not fit the largest bit rate is left
// to ffmpeg.
func (r *mp3Reader) selfContained(h mpegHeader, header, side, main []byte) ([]byte, error) {
	begin := int(side[0])
	data := append(r.kept, main...)
	// part2_3_length, 12 bits: after main_data_begin and a private bit for each channel, and 63 bits on.
	need := 0
	for c := range h.channels {
		at := 8 + h.channels + 63*c
		for i := at; i < at+12; i++ {
			if side[i/8]>>(7-i%8)&1 == 1 {
				need += 1 << (at + 11 - i)
			}
		}
	}
	need = (need + 7) / 8
	from := len(r.kept) - begin
	if from < 0 || from+need > len(data) {
		clear(side)
		from, need = 0, 0
	}
	f := append(append(r.frame[:0], header...), side...)
	f = append(f, data[from:from+need]...)
	f[1] |= 1
	f[2] &^= 2
	f[4] = 0
	index := 0
	for i := 14; i > 0; i-- {
		if size := 144 * 1000 * mpegBitrates[1][2][i] / h.rate / 2; size >= len(f) {
			index = i
		}
	}
	if index == 0 {
		return nil, errNeedsFFmpeg
	}
	f[2] = f[2]&0x0f | byte(index)<<4
	f = append(f, make([]byte, 144*1000*mpegBitrates[1][2][index]/h.rate/2-len(f))...)
	r.frame = f
	r.kept = append(r.kept[:0], data[max(0, len(data)-255):]...)
	return f, nil
}

// length is how many samples the stream has for one channel after cutting delay and padding.
func (info mp3Info) length(frames int64) int64 {
	return max(0, frames*int64(info.samples)-int64(info.delay)-int64(info.padding))
}

func mp3Length(in *soundFile, offset int64) (frames int64, rate int, err error) {
	info, err := readMP3Info(in, offset)
	if err != nil {
		return 0, 0, err
	}
	// The tag's count is not trusted: the file may be cut off.
	n, _, err := scanMP3(in, info, 0)
	if err != nil {
		return 0, 0, err
	}
	return info.length(n), info.rate, nil
}

// mp3Preroll is how many frames are decoded and dropped before a segment: the bit reservoir (511 bytes)
// reaches back over the more frames the smaller they are, and the filter bank over two.
const mp3Preroll = 64

func (t *Tools) decodeMP3(in *soundFile, offset int64, seg Segment) (*Sound, error) {
	info, err := readMP3Info(in, offset)
	if err != nil {
		return nil, err
	}
	// Where decoding starts: some frames early, to fill the reservoir and the filter bank.
	start, _ := seg.frames(info.rate)
	mark := max(0, (start+int64(info.delay))/int64(info.samples)-mp3Preroll)
	there, startOffset, err := scanMP3(in, info, mark)
	if err != nil {
		return nil, err
	}
	f := soundFormat{rate: info.rate, channels: info.channels, frames: -1, codec: "mp3"}
	if info.frames > 0 {
		f.frames = info.length(info.frames)
	}
	if err := f.check(in.path); err != nil {
		return nil, err
	}
	s := newSound(f)
	if info.frames > there {
		s.Notes = append(s.Notes, fmt.Sprintf("cut off: %d of the %d frames that the header promises", there, info.frames))
	}
	length := info.length(there)
	if info.frames > there { // the padding is in what was cut off
		length = max(0, there*int64(info.samples)-int64(info.delay))
	}
	first, last, err := t.span(s, f, in.path, seg, length)
	if err != nil {
		return nil, err
	}
	frames := mp3Frames{in: in, first: info.mpegHeader, pos: startOffset}
	d, err := mp3.NewDecoder(&mp3Reader{frames: frames})
	if err != nil {
		return nil, in.decodeError(err)
	}
	begin := first + int64(info.delay)
	from := mark * int64(info.samples)
	want := (last - first) * int64(f.channels)
	s.Data = make([]float32, 0, want)
	// go-mp3 gives 16-bit stereo, also for mono.
	raw := make([]byte, 1<<14)
	for skip := (begin - from) * 4; int64(len(s.Data)) < want; {
		n, err := io.ReadFull(d, raw)
		b := raw[:n&^3]
		if skip > 0 {
			k := min(skip, int64(len(b)))
			b, skip = b[k:], skip-k
		}
		for ; len(b) >= 4 && int64(len(s.Data)) < want; b = b[4:] {
			s.Data = append(s.Data, float32(int16(binary.LittleEndian.Uint16(b)))*(1.0/(1<<15)))
			if f.channels == 2 {
				s.Data = append(s.Data, float32(int16(binary.LittleEndian.Uint16(b[2:])))*(1.0/(1<<15)))
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, in.decodeError(err)
			}
			break
		}
	}
	return s, t.settle(s, f, in.path, seg, first)
}

// settle ends a decoder that learned only at the end how much there is.
func (t *Tools) settle(s *Sound, f soundFormat, path string, seg Segment, first int64) error {
	n := int64(s.NumFrames())
	if n == 0 {
		return fault.Corruptf("empty_audio", "%s: nothing could be decoded%s", path, declaredHint(s))
	}
	_, end := seg.frames(f.rate)
	s.setMissing(f, first, first+n, end)
	return nil
}

// decodeError words an error of a decoder.
func (in *soundFile) decodeError(err error) error {
	var known *fault.Error
	if ctxErr := in.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if errors.As(err, &known) || errors.Is(err, errNeedsFFmpeg) {
		return err
	}
	return fault.Corruptf("corrupt_audio", "%s: %w", in.path, err)
}

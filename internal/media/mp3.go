package media

import (
	"encoding/binary"
	"errors"
	"fmt"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/mp3"
)

// An MPEG audio file is a row of frames that each begin with a 32-bit header; package mp3 decodes those of
// layer III. What is done here: finding the first frame behind tags without believing their sizes, walking
// from frame to frame over what is none, and cutting off the encoder's delay and padding that a LAME tag
// states, so that sample 0 is the sample that was encoded first (as in ffmpeg and mpg123).

// firstMPEGFrame returns where the first frame begins: at a header that two more follow at the distances
// they state, or that is followed by the end of the file. -1 when there is none.
func firstMPEGFrame(b []byte, whole bool) int {
	for i := 0; i+4 <= len(b); i++ {
		if b[i] != 0xff {
			continue
		}
		first, ok := mp3.ParseHeader(b[i:])
		if !ok {
			continue
		}
		free := 0
		if first.Size == 0 {
			if free = freeFrameSize(b[i:]); free == 0 {
				continue
			}
		}
		at, frames := i, 1
		size := first.Size
		if free > 0 {
			size = first.Slots(free)
		}
		for size >= 4 && frames < 3 && at+size+4 <= len(b) {
			next, ok := mp3.ParseHeader(b[at+size:])
			if !ok || !next.Same(first) {
				break
			}
			at += size
			frames++
			if size = next.Size; free > 0 {
				size = next.Slots(free)
			}
		}
		switch {
		case frames == 3,
			whole && size > 0 && at+size <= len(b) && at+size+4 > len(b), // a file of one or two frames
			whole && size > 0 && at+size < len(b) && isTagV1(b[at+size:]):
			return i
		}
	}
	return -1
}

// freeFrameSize finds how long the frames of a free-format stream are, without padding: nothing says it but
// the distance to the next header. 0 when no two more headers lie at one distance.
func freeFrameSize(b []byte) int {
	first, ok := mp3.ParseHeader(b)
	if !ok {
		return 0
	}
	follows := func(at int) (mp3.Header, bool) {
		h, ok := mp3.ParseHeader(b[min(at, len(b)):])
		return h, ok && h.Same(first) && h.Size == 0
	}
	for d := 4 + first.Side + 1; d < mp3.MaxFrameSize && d+4 <= len(b); d++ {
		second, ok := follows(d)
		if !ok {
			continue
		}
		base := d - first.Slots(0)
		if _, ok := follows(d + second.Slots(base)); ok {
			return base
		}
	}
	return 0
}

func isTagV1(b []byte) bool {
	return len(b) >= 3 && string(b[:3]) == "TAG" || len(b) >= 8 && string(b[:8]) == "APETAGEX"
}

// mp3Info is what the first frame says of the stream.
type mp3Info struct {
	mp3.Header
	free           int   // bytes of a frame without padding in the free format
	offset         int64 // of the first frame with sound
	delay, padding int   // samples to cut off at both ends, decoder delay included
	frames         int64 // as a Xing or VBRI tag states, 0: no tag
}

// mp3DecoderDelay is how late a layer III decoder is: 528 samples and 1.
const mp3DecoderDelay = 529

// readMP3Info reads the first frame and the tag in it: Xing's (or Info, its name where the bit rate is
// constant) or Fraunhofer's VBRI. A frame with a tag is silence to a decoder and no part of the sound.
func readMP3Info(in *infile.File, offset int64) (mp3Info, error) {
	b, err := in.Head(offset, 4*mp3.MaxFrameSize)
	if err != nil {
		return mp3Info{}, err
	}
	h, ok := mp3.ParseHeader(b)
	if !ok {
		return mp3Info{}, fault.Corruptf("not_audio", "%s: no MPEG audio frame", in.Path)
	}
	info := mp3Info{Header: h, offset: offset}
	if h.Layer != 3 {
		return info, &handedOn{what: "MPEG audio of layer " + [...]string{"?", "I", "II"}[h.Layer]}
	}
	size := h.Size
	if size == 0 {
		info.free = freeFrameSize(b)
		size = h.Slots(info.free)
	}
	frame := b[:min(len(b), size)]
	if v := frame[min(len(frame), 4+32):]; len(v) >= 18 && string(v[:4]) == "VBRI" { // always behind 32 bytes
		info.offset += int64(size)
		info.frames = int64(binary.BigEndian.Uint32(v[14:]))
		return info, nil
	}
	tag := frame[min(len(frame), 4+h.Side):]
	if h.CRC && len(tag) >= 6 && (string(tag[2:6]) == "Xing" || string(tag[2:6]) == "Info") {
		tag = tag[2:]
	}
	if len(tag) < 8 || string(tag[:4]) != "Xing" && string(tag[:4]) != "Info" {
		return info, nil
	}
	info.offset += int64(size)
	flags := binary.BigEndian.Uint32(tag[4:])
	p := 8
	if flags&1 != 0 && len(tag) >= p+4 {
		info.frames = int64(binary.BigEndian.Uint32(tag[p:]))
	}
	for i, n := range [4]int{4, 4, 100, 4} { // frames, bytes, table of contents, quality
		if flags>>i&1 == 1 {
			p += n
		}
	}
	// The LAME extension: nine characters of version, then at byte 21 delay and padding, 12 bits each.
	if len(tag) >= p+24 && (string(tag[p:p+4]) == "LAME" || string(tag[p:p+4]) == "Lavf" || string(tag[p:p+4]) == "Lavc") {
		v := int(tag[p+21])<<16 | int(tag[p+22])<<8 | int(tag[p+23])
		info.delay = v>>12 + mp3DecoderDelay
		info.padding = max(0, v&0xfff-mp3DecoderDelay)
	}
	return info, nil
}

// mp3Frames walks the frames of a stream from an offset of the file on. What is no frame is skipped, as are
// frames of another kind; a last frame that is cut off is dropped. It reads the file a block at a time.
type mp3Frames struct {
	window  fileWindow
	first   mp3.Header
	free    int
	pos     int64 // where to look for the next frame
	lost    int64 // bytes skipped since the last frame
	skipped int64 // bytes between frames that are none
	cut     bool  // the last frame is not whole
}

// header reads a header of this stream at the start of b; its Size is set also in the free format.
func (m *mp3Frames) header(b []byte) (mp3.Header, bool) {
	h, ok := mp3.ParseHeader(b)
	if !ok || !h.Same(m.first) {
		return h, false
	}
	if h.Size == 0 {
		h.Size = h.Slots(m.free)
	}
	return h, h.Size >= 4+2+h.Side
}

// next returns the bytes of the next frame, valid until the next call, and where they lie; nil at the end.
func (m *mp3Frames) next() (frame []byte, at int64, err error) {
	for m.pos+4 <= m.window.in.Size {
		b, err := m.window.look(m.pos, 2*mp3.MaxFrameSize)
		if err != nil || len(b) < 4 {
			return nil, 0, err
		}
		h, ok := m.header(b)
		if ok && m.lost > 0 && len(b) >= h.Size+4 { // after what was no frame, two in a row are asked for
			_, ok = m.header(b[h.Size:])
		}
		if !ok {
			m.pos++
			m.lost++
			continue
		}
		if h.Size > len(b) {
			m.cut = true
			return nil, 0, nil
		}
		m.skipped += m.lost
		m.lost = 0
		at = m.pos
		m.pos += int64(h.Size)
		return b[:h.Size], at, nil
	}
	return nil, 0, nil
}

func (info mp3Info) walk(in *infile.File, pos int64) *mp3Frames {
	return &mp3Frames{window: fileWindow{in: in}, first: info.Header, free: info.free, pos: pos}
}

// mp3Scan is what a walk over all frames finds.
type mp3Scan struct {
	frames  int64
	offsets []int64 // of every mp3Stride-th frame
	skipped int64
	cut     bool
}

// mp3Stride is so large that the places of a file of many hours take some kilobytes.
const mp3Stride = 256

// scanMP3 counts the frames of the stream and notes where some of them begin. Only headers are looked at, but
// all of them: bit rates vary, and a table of contents gives places to a hundredth of the file.
func scanMP3(in *infile.File, info mp3Info) (s mp3Scan, err error) {
	m := info.walk(in, info.offset)
	for {
		frame, at, err := m.next()
		if err != nil || frame == nil {
			s.skipped, s.cut = m.skipped, m.cut
			return s, err
		}
		if s.frames%mp3Stride == 0 {
			s.offsets = append(s.offsets, at)
		}
		s.frames++
	}
}

// from returns the walk from frame n on, which is at most the number of frames.
func (s mp3Scan) from(in *infile.File, info mp3Info, n int64) (*mp3Frames, error) {
	if len(s.offsets) == 0 {
		return info.walk(in, info.offset), nil
	}
	i := min(n/mp3Stride, int64(len(s.offsets)-1))
	m := info.walk(in, s.offsets[i])
	for k := i * mp3Stride; k < n; k++ {
		if frame, _, err := m.next(); err != nil || frame == nil {
			return m, err
		}
	}
	return m, nil
}

// length is how many samples the stream has for one channel after cutting delay and padding.
func (info mp3Info) length(frames int64) int64 {
	return max(0, frames*int64(info.Samples)-int64(info.delay)-int64(info.padding))
}

// there is how many samples the frames that were found give. Where some are missing, so is the padding.
func (info mp3Info) there(frames int64) int64 {
	if info.frames > frames {
		return max(0, frames*int64(info.Samples)-int64(info.delay))
	}
	return info.length(frames)
}

// mp3File is an open MP3 file.
type mp3File struct {
	mp3Info
	mp3Scan
	soundFormat
	in *infile.File
}

func openMP3(in *infile.File, offset int64) (soundDecoder, error) {
	m := &mp3File{in: in}
	var err error
	if m.mp3Info, err = readMP3Info(in, offset); err != nil {
		return nil, err
	}
	m.soundFormat = soundFormat{rate: m.Rate, channels: m.Channels, frames: -1, codec: "mp3"}
	if m.mp3Info.frames > 0 {
		m.soundFormat.frames = m.mp3Info.length(m.mp3Info.frames)
	}
	if err := m.check(in.Path); err != nil {
		return nil, err
	}
	// The tag's count is not trusted: the file may be cut off.
	m.mp3Scan, err = scanMP3(in, m.mp3Info)
	return m, err
}

func (m *mp3File) length() (declared, there int64, rate int, err error) {
	return m.soundFormat.frames, m.there(m.mp3Scan.frames), m.rate, nil
}

// mp3Preroll is how many frames are decoded and dropped before a segment: the bit reservoir (511 bytes)
// reaches back over the more frames the smaller they are, and the filter bank over two.
const mp3Preroll = 64

// mp3Phase is after how many frames a filter bank's ring of 16 is where it was, 18 steps a granule: libmpg123 adds in
// an order that depends on it, and a stretch is to have the bits that it has in the whole.
const mp3Phase = 8

func (m *mp3File) decode(t *Tools, seg Segment) (*Sound, error) {
	s := newSound(m.soundFormat)
	declared, found := m.mp3Info.frames, m.mp3Scan.frames
	switch {
	case declared > found:
		s.Notes = append(s.Notes, fmt.Sprintf("cut off: %d of the %d frames that the header promises", found, declared))
	case declared > 0 && declared < found:
		s.Notes = append(s.Notes, fmt.Sprintf("%d frames, %d more than the header promises", found, found-declared))
	case m.cut:
		s.Notes = append(s.Notes, "cut off: the last frame is not whole")
	}
	if m.skipped > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d bytes between the frames are no sound", m.skipped))
	}
	first, last, err := t.span(s, m.soundFormat, m.in.Path, seg, m.there(found))
	if err != nil {
		return nil, err
	}
	// Some frames early, to fill the reservoir and the filter bank.
	early := max(0, (first+int64(m.delay))/int64(m.Samples)-mp3Preroll)
	early -= early % mp3Phase
	skip, want := first+int64(m.delay)-early*int64(m.Samples), last-first
	read := readMP3
	if t.MPG123 != nil && m.free == 0 {
		read = func(s *Sound, frames *mp3Frames, skip, want int64) error {
			return readMPG123(t.MPG123, s, frames, skip, want)
		}
	}
	for {
		frames, err := m.from(m.in, m.mp3Info, early)
		if err != nil {
			return nil, err
		}
		err = read(s, frames, skip, want)
		if errors.Is(err, errNotForLibrary) {
			releaseSamples(s.Data)
			read = readMP3
			continue
		}
		if err != nil {
			return nil, err
		}
		return s, t.settle(s, m.soundFormat, m.in.Path, seg, first)
	}
}

// errNotForLibrary leaves a stretch of sound to Go code: something in it is damaged or odd, and what becomes of that
// must not hang on whether this machine has a library.
var errNotForLibrary = errors.New("not for a library")

// mpg123Batch is how many frames go to libmpg123 in one call.
const mpg123Batch = 16

// readMPG123 is readMP3 by libmpg123, for sound frames: those of one number of channels, whose side information is
// possible and whose data are there. A frame that libmpg123 finds damaged in its codes it leaves silent and says
// nothing: what comes out silent of codes is left to Go code as well.
func readMPG123(lib *mp3.MPG123, s *Sound, frames *mp3Frames, skip, want int64) error {
	stream, err := lib.Stream()
	if err != nil {
		return errNotForLibrary
	}
	defer stream.Close()
	channels := int64(s.SourceChannels)
	samples := int64(frames.first.Samples)
	s.Data = newSamples(want * channels)[:0]
	out := newSamples(mpg123Batch * samples * channels)
	defer releaseSamples(out)
	last := samples - samplesOfGranule // where a frame's last granule begins
	var d mp3.Decoder
	var batch []byte
	var coded [mpg123Batch]bool
	for left := (skip + want + samples - 1) / samples; left > 0; {
		n := int64(0)
		for batch = batch[:0]; n < min(mpg123Batch, left); n++ {
			frame, _, err := frames.next()
			if err != nil {
				return err
			}
			if frame == nil {
				break
			}
			f, err := d.Follow(frame)
			// What lacks its reservoir may be among what is decoded early: two frames later nothing is left of it.
			if h, _ := mp3.ParseHeader(frame); err != nil || h.Channels != s.SourceChannels || !f.Whole && (n+3)*samples > skip {
				return errNotForLibrary
			}
			coded[n] = f.Coded && f.Whole
			batch = append(batch, frame...)
		}
		if n == 0 {
			break
		}
		left -= n
		got := out[:n*samples*channels]
		if stream.Decode(batch, got) != nil {
			return errNotForLibrary
		}
		for i := range n {
			if coded[i] && silent(got[(i*samples+last)*channels:(i+1)*samples*channels]) {
				return errNotForLibrary
			}
		}
		k := min(skip, n*samples)
		skip -= k
		got = got[k*channels:]
		s.Data = append(s.Data, got[:min(int64(len(got)), want*channels-int64(len(s.Data)))]...)
	}
	s.Decoder = "libmpg123"
	return nil
}

// samplesOfGranule is how many samples a granule has, of which a frame has one or two.
const samplesOfGranule = 576

func silent(x []float32) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}

// readMP3 decodes what follows, drops skip samples and keeps want.
func readMP3(s *Sound, frames *mp3Frames, skip, want int64) error {
	channels := s.SourceChannels
	s.Data = newSamples(want * int64(channels))[:0]
	var d mp3.Decoder
	out := make([]float32, 2*1152)
	decoded, damaged, mixed := 0, 0, false
	for int64(len(s.Data)) < want*int64(channels) {
		frame, _, err := frames.next()
		if err != nil {
			return err
		}
		if frame == nil {
			break
		}
		n, err := d.Decode(frame, out)
		decoded++
		if err != nil {
			damaged++
			n = frames.first.Samples
			clear(out)
		}
		h, _ := mp3.ParseHeader(frame)
		if h.Channels != channels {
			mixed = true
			convertChannels(out, n, h.Channels)
		}
		b := out[:n*channels]
		k := min(skip, int64(n))
		skip -= k
		b = b[k*int64(channels):]
		s.Data = append(s.Data, b[:min(int64(len(b)), want*int64(channels)-int64(len(s.Data)))]...)
	}
	if damaged > 0 {
		if 2*damaged > decoded {
			return fault.Corruptf("corrupt_audio", "%s: %d of %d MPEG audio frames are damaged", frames.window.in.Path, damaged, decoded)
		}
		s.Notes = append(s.Notes, fmt.Sprintf("%d of %d frames are damaged and silent", damaged, decoded))
	}
	if mixed {
		s.Notes = append(s.Notes, "mono and stereo change from frame to frame")
	}
	return nil
}

// convertChannels makes n frames of stereo out of mono, or mono (the mean) out of stereo, in place.
func convertChannels(b []float32, n, have int) {
	if have == 1 {
		for i := n - 1; i >= 0; i-- {
			b[2*i], b[2*i+1] = b[i], b[i]
		}
		return
	}
	for i := range n {
		b[i] = (b[2*i] + b[2*i+1]) / 2
	}
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
func decodeError(in *infile.File, err error) error {
	var known *fault.Error
	if ctxErr := in.Err(); ctxErr != nil {
		return ctxErr
	}
	if errors.As(err, &known) || errors.Is(err, errNeedsFFmpeg) || errors.Is(err, errNotForLibrary) {
		return err
	}
	return fault.Corruptf("corrupt_audio", "%s: %w", in.Path, err)
}

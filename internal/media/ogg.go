package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"prep/internal/fault"
	"prep/internal/infile"
)

// Ogg (RFC 3533) is a row of pages: "OggS", flags, a granule position (where the last packet that ends on the
// page ends, in samples), the stream's serial number, a checksum, and up to 255 segments of up to 255 bytes;
// a segment of less than 255 ends a packet. Vorbis (vorbis.go), Opus (opus.go) and FLAC (flac.go) are decoded
// from it by Go code, and so are several streams of one kind one after the other (oggchain.go); streams side by side,
// and others one after the other, are left to ffmpeg.
//
// Our own reader and not a library's: it goes to a segment by page headers alone, tells a file that is cut off
// from one that is damaged, and trims both ends to the sample as the granule positions say.

const (
	oggHeaderSize = 27
	oggMaxPage    = oggHeaderSize + 255 + 255*255

	oggContinued = 1 // flags: the first packet began on the page before
	oggFirst     = 2 // the stream's first page
	oggLast      = 4 // its last

	// maxOggPacket bounds a packet: a FLAC frame of 65535 samples and 8 channels stored as they are.
	maxOggPacket = 4 << 20
)

var (
	errChained     = &handedOn{"Ogg with several streams one after the other", true}
	errMultiplexed = &handedOn{"Ogg with several streams side by side", false}
)

type oggPage struct {
	at      int64 // offset in the file
	flags   byte
	granule int64 // -1: no packet ends here
	serial  uint32
	lacing  []byte
	size    int64 // of all
}

// parseOggPage reads the header at the start of b, which lies at offset at; false if there is none.
func parseOggPage(b []byte, at int64) (p oggPage, ok bool) {
	if len(b) < oggHeaderSize || string(b[:4]) != "OggS" || b[4] != 0 || len(b) < oggHeaderSize+int(b[26]) {
		return p, false
	}
	p = oggPage{
		at:      at,
		flags:   b[5],
		granule: int64(binary.LittleEndian.Uint64(b[6:])),
		serial:  binary.LittleEndian.Uint32(b[14:]),
		lacing:  b[oggHeaderSize : oggHeaderSize+int(b[26])],
	}
	p.size = int64(oggHeaderSize + len(p.lacing))
	for _, n := range p.lacing {
		p.size += int64(n)
	}
	return p, true
}

// oggCRC is the checksum of a whole page, whose own four bytes of it count as zeros.
func oggCRC(page []byte) uint32 {
	c := crc32Ogg(0, page[:22])
	c = crc32Ogg(c, []byte{0, 0, 0, 0})
	return crc32Ogg(c, page[26:])
}

// oggCRCTable is of the polynomial 0x04c11db7, not reflected: table k moves a byte's remainder on by k bytes.
var oggCRCTable = func() (t [8][256]uint32) {
	for i := range 256 {
		c := uint32(i) << 24
		for range 8 {
			c = c<<1 ^ uint32(int32(c)>>31)&0x04c11db7
		}
		t[0][i] = c
	}
	for k := 1; k < 8; k++ {
		for i := range 256 {
			c := t[k-1][i]
			t[k][i] = c<<8 ^ t[0][c>>24]
		}
	}
	return t
}()

func crc32Ogg(c uint32, b []byte) uint32 {
	t := &oggCRCTable
	for ; len(b) >= 8; b = b[8:] {
		c = t[7][b[0]^byte(c>>24)] ^ t[6][b[1]^byte(c>>16)] ^ t[5][b[2]^byte(c>>8)] ^ t[4][b[3]^byte(c)] ^
			t[3][b[4]] ^ t[2][b[5]] ^ t[1][b[6]] ^ t[0][b[7]]
	}
	for _, v := range b {
		c = c<<8 ^ t[0][byte(c>>24)^v]
	}
	return c
}

// oggStream reads the packets of a file's first stream.
type oggStream struct {
	in     *infile.File
	window fileWindow
	serial uint32
	begun  bool
	pos    int64 // offset of the next page

	page   oggPage
	lacing []byte // what is left of the page
	body   []byte
	packet []byte // the packet in work
	lost   bool   // its beginning is not known: it is skipped
	cut    bool   // the file ended inside a page
}

func newOggStream(in *infile.File) *oggStream {
	return &oggStream{in: in, window: fileWindow{in: in}}
}

// seek goes to a page.
func (o *oggStream) seek(page int64) {
	o.pos, o.lacing, o.packet, o.lost = page, nil, o.packet[:0], true
}

// oggPacket is one packet; its data are valid until the next call.
type oggPacket struct {
	data    []byte
	granule int64 // of the page if the packet is the last to end on it, otherwise -1
	last    bool  // that page is the stream's last
}

// next returns the next packet; io.EOF when no whole one is left.
func (o *oggStream) next() (oggPacket, error) {
	for {
		for len(o.lacing) == 0 {
			if err := o.nextPage(); err != nil {
				return oggPacket{}, err
			}
		}
		if len(o.packet) > 0 && !o.lost && o.page.flags&oggContinued == 0 && len(o.lacing) == len(o.page.lacing) {
			o.packet = o.packet[:0] // what was begun is not continued
		}
		n, segments, done := 0, 0, false
		for segments < len(o.lacing) && !done {
			n += int(o.lacing[segments])
			done = o.lacing[segments] < 255
			segments++
		}
		data := o.body[:n]
		o.body, o.lacing = o.body[n:], o.lacing[segments:]
		if !o.lost {
			if len(o.packet) == 0 && done {
				return o.finished(data), nil
			}
			if len(o.packet)+n > maxOggPacket {
				return oggPacket{}, fault.Corruptf("corrupt_audio", "%s: an Ogg packet is longer than %d bytes", o.in.Path, maxOggPacket)
			}
			o.packet = append(o.packet, data...)
		}
		if !done {
			continue
		}
		lost := o.lost
		o.lost = false
		data, o.packet = o.packet, o.packet[:0]
		if !lost {
			return o.finished(data), nil
		}
	}
}

func (o *oggStream) finished(data []byte) oggPacket {
	p := oggPacket{data: data, granule: -1}
	for _, n := range o.lacing {
		if n < 255 { // another one ends here
			return p
		}
	}
	p.granule, p.last = o.page.granule, o.page.flags&oggLast != 0
	return p
}

// nextPage reads and checks the next page of the stream.
func (o *oggStream) nextPage() error {
	for {
		b, err := o.window.look(o.pos, oggMaxPage)
		if err != nil {
			return err
		}
		p, ok := parseOggPage(b, o.pos)
		if !ok {
			if err := o.lostSync(o.pos); err != nil {
				return err
			}
			o.cut = o.cut || len(b) > 0
			return io.EOF
		}
		if p.size > int64(len(b)) {
			o.cut = true
			return io.EOF
		}
		o.pos += p.size
		if o.begun && p.serial != o.serial {
			continue
		}
		if oggCRC(b[:p.size]) != binary.LittleEndian.Uint32(b[22:]) {
			return fault.Corruptf("corrupt_audio", "%s: damaged at byte %d: the checksum of an Ogg page is wrong", o.in.Path, p.at)
		}
		if !o.begun {
			o.begun, o.serial = true, p.serial
		} else if p.flags&oggFirst != 0 {
			return errChained // another stream that has taken the number
		}
		if o.lost && p.flags&oggContinued == 0 {
			o.lost = false
		}
		o.page, o.lacing, o.body = p, p.lacing, b[oggHeaderSize+len(p.lacing):p.size]
		return nil
	}
}

// lostSync is an error if, after bytes at pos that are no page, another page of the stream follows: something
// in the middle is missing. Otherwise the stream is at its end.
func (o *oggStream) lostSync(pos int64) error {
	for from := pos; ; {
		b, err := o.window.look(from, oggMaxPage)
		if err != nil {
			return err
		}
		i := bytes.Index(b, []byte("OggS"))
		if i < 0 {
			if from+int64(len(b)) >= o.in.Size {
				return nil
			}
			from += int64(len(b)) - 3
			continue
		}
		from += int64(i)
		if b, err = o.window.look(from, oggMaxPage); err != nil {
			return err
		}
		p, ok := parseOggPage(b, from)
		if ok && p.size <= int64(len(b)) && p.serial == o.serial && oggCRC(b[:p.size]) == binary.LittleEndian.Uint32(b[22:]) {
			return fault.Corruptf("corrupt_audio", "%s: damaged at byte %d: %d bytes belong to no Ogg page", o.in.Path, pos, from-pos)
		}
		from += 4
	}
}

// oggScan is what the headers of all pages say.
type oggScan struct {
	granule int64 // the last
	whole   bool  // the stream ends as it should
	marks   []oggMark
}

// oggMark is a page of sound whose granule position is known. Decoding for what follows it begins at a page
// earlier that has a granule position, so that a packet that ends on the marked page is known from its beginning.
type oggMark struct {
	page, granule int64
	early         int64 // -1: the first page of sound
}

// oggStride is the least distance between marks, so that those of a file of many hours take some kilobytes.
const oggStride = 1 << 16

// scan walks the headers of all pages from the beginning of the file. data is where pages of sound begin.
func (o *oggStream) scan(data int64) (s oggScan, err error) {
	before, marked := int64(-1), int64(-oggStride)
	err = o.pages(0, func(p oggPage) bool {
		if p.at >= data && p.granule >= 0 {
			if p.at-marked >= oggStride {
				marked = p.at
				s.marks = append(s.marks, oggMark{p.at, p.granule, before})
			}
			before = p.at
			s.granule = max(s.granule, p.granule)
		}
		s.whole = p.flags&oggLast != 0
		return true
	})
	return s, err
}

// early returns the page to begin at for the sound from the granule position target on, -1 for the first: that
// of the last mark or page whose granule position is at most target.
func (o *oggStream) early(s oggScan, target int64) (int64, error) {
	i := len(s.marks) - 1
	for i >= 0 && s.marks[i].granule > target {
		i--
	}
	if i < 0 {
		return -1, nil
	}
	page, before, end := s.marks[i].early, s.marks[i].page, o.in.Size
	if i+1 < len(s.marks) {
		end = s.marks[i+1].page
	}
	first := true
	err := o.pages(before, func(p oggPage) bool {
		if p.at >= end {
			return false
		}
		if p.granule >= 0 && !first {
			if p.granule <= target {
				page = before
			}
			before = p.at
		}
		first = false
		return true
	})
	return page, err
}

// pages calls f with the header of every page from an offset on until it returns false, or to where the file or
// its pages end.
func (o *oggStream) pages(pos int64, f func(oggPage) bool) error {
	buf := make([]byte, oggHeaderSize+255)
	begun := pos > 0
	for {
		b := buf[:max(0, min(int64(len(buf)), o.in.Size-pos))]
		if n, err := o.in.ReadAt(b, pos); err != nil && (!errors.Is(err, io.EOF) || n < len(b)) {
			return o.in.Error(err)
		}
		p, ok := parseOggPage(b, pos)
		if !ok {
			return o.lostSync(pos)
		}
		switch {
		case p.flags&oggFirst != 0 && begun: // those of streams side by side come first of all
			return errChained
		case p.serial != o.serial || p.flags&oggFirst != 0 && pos > 0:
			return errMultiplexed
		}
		begun = begun || p.flags&oggFirst == 0
		if pos+p.size > o.in.Size || !f(p) {
			return nil
		}
		pos += p.size
	}
}

// oggDecoder is what a codec does with its packets.
type oggDecoder interface {
	// decode returns the samples of a packet, interleaved; none are fine.
	decode(packet []byte) ([]float32, error)
	// restart forgets what was decoded before.
	restart()
}

// oggSound is a stream whose headers have been read.
type oggSound struct {
	soundFormat
	*oggStream
	oggDecoder
	data    int64        // where pages of sound begin
	skip    int64        // samples to drop at the beginning (Opus: pre-skip)
	run     int64        // samples to decode and drop before a segment, so that the decoder has run in
	origin  int64        // granule position of the first sample that is decoded, may be negative
	trimmed bool         // negative origins mean samples to drop
	finish  func() error // checks what was decoded from the first to the last sample, nil: nothing to check
}

// zero is the granule position of the sound's first sample.
func (o *oggSound) zero() int64 {
	if o.origin < 0 && o.trimmed {
		return o.skip
	}
	return o.origin + o.skip
}

// findOrigin decodes the first page with samples: what its granule position is short of its samples is to be cut
// off at the beginning (Vorbis), what it is ahead is where a recorded broadcast began. On a stream's only page
// it says how much to cut off at the end instead.
func (o *oggSound) findOrigin() error {
	o.data = o.pos
	samples := int64(0)
	for {
		p, err := o.oggStream.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		x, err := o.decode(p.data)
		if err != nil {
			return decodeError(o.in, err)
		}
		samples += int64(len(x) / o.channels)
		if p.granule >= 0 && samples > 0 {
			if o.origin = p.granule - samples; o.origin < 0 && p.last {
				o.origin = 0
			}
			break
		}
	}
	o.rewind()
	return nil
}

// rewind goes back to the first page of sound.
func (o *oggSound) rewind() {
	o.seek(o.data)
	o.lost = false
	o.restart()
}

// oggFile is an open Ogg file.
type oggFile struct {
	*oggSound
	oggScan
	there int64 // samples
}

func openOgg(in *infile.File, open func(*infile.File) (*oggSound, error)) (*oggFile, error) {
	o, err := open(in)
	if err != nil {
		return nil, err
	}
	if err := o.findOrigin(); err != nil {
		return nil, err
	}
	scan, err := o.scan(o.data)
	if err != nil {
		return nil, err
	}
	f := &oggFile{oggSound: o, oggScan: scan}
	f.there = max(0, f.granule-o.zero())
	if f.whole && o.frames < 0 {
		o.frames = f.there // a stream that ends as it should declares its length
	}
	return f, nil
}

func (o *oggFile) length() (declared, there int64, rate int, err error) {
	return o.frames, o.there, o.rate, nil
}

func (o *oggFile) decode(t *Tools, seg Segment) (*Sound, error) {
	s := newSound(o.soundFormat)
	if !o.whole {
		s.Notes = append(s.Notes, "cut off: the last page of the stream is missing")
	}
	first, last, err := t.span(s, o.soundFormat, o.in.Path, seg, o.there)
	if err != nil {
		return nil, err
	}
	if err := o.stretch(s, first, last); err != nil {
		return nil, err
	}
	if err := s.checkFinite(o.in.Path); err != nil {
		return nil, err
	}
	return s, t.settle(s, o.soundFormat, o.in.Path, seg, first)
}

// stretch decodes the frames from first up to last.
func (o *oggFile) stretch(s *Sound, first, last int64) error {
	page, err := o.early(o.oggScan, o.zero()+first-o.run)
	if err != nil {
		return err
	}
	o.rewind()
	if page >= 0 {
		o.seek(page)
	}
	if err := o.read(s, page >= 0, o.zero()+first, o.zero()+last); err != nil {
		return err
	}
	if o.finish != nil && page < 0 && last == o.there && o.whole && o.there == o.frames {
		return o.finish()
	}
	return nil
}

// read keeps the samples from granule position first up to last.
func (o *oggSound) read(s *Sound, sought bool, first, last int64) error {
	channels := int64(o.channels)
	s.Data = newSamples((last - first) * channels)[:0]
	at, known := o.origin, !sought
	disagree := false
	for !known || at < last {
		p, err := o.oggStream.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		x, err := o.decode(p.data)
		if err != nil {
			return decodeError(o.in, err)
		}
		if known {
			n := int64(len(x)) / channels
			from, to := max(0, first-at), min(n, last-at)
			if from < to {
				s.Data = append(s.Data, x[from*channels:to*channels]...)
			}
			at += n
			if p.granule >= 0 && !p.last && p.granule != at {
				disagree = true
			}
		} else if p.granule >= 0 {
			at, known = p.granule, true
		}
	}
	if disagree {
		s.Notes = append(s.Notes, "time stamps and samples disagree")
	}
	return nil
}

// headerPackets reads the first packets of the stream, whose sizes are bounded together.
func (o *oggStream) headerPackets(n, limit int) (packets [][]byte, err error) {
	total := 0
	for range n {
		p, err := o.next()
		if errors.Is(err, io.EOF) {
			return nil, fault.Corruptf("bad_header", "%s: the Ogg headers are cut off", o.in.Path)
		}
		if err != nil {
			return nil, err
		}
		if total += len(p.data); total > limit {
			return nil, fault.Corruptf("bad_header", "%s: the Ogg headers are longer than %d bytes", o.in.Path, limit)
		}
		packets = append(packets, bytes.Clone(p.data))
	}
	return packets, nil
}

// surroundOrder is where each channel lies in the order of Vorbis I, 4.3.9 (and of Opus, RFC 7845, 5.1.1.2),
// by number of channels: ours is that of WAV and FLAC, front left, front right, centre, low, back, side.
var surroundOrder = [9][]int{
	3: {0, 2, 1},
	5: {0, 2, 1, 3, 4},
	6: {0, 2, 1, 5, 3, 4},
	7: {0, 2, 1, 6, 5, 3, 4},
	8: {0, 2, 1, 7, 5, 6, 3, 4},
}

// reorderSurround sorts interleaved channels in place.
func reorderSurround(x []float32, channels int) {
	if channels >= len(surroundOrder) || surroundOrder[channels] == nil {
		return
	}
	var frame [8]float32
	for ; len(x) >= channels; x = x[channels:] {
		copy(frame[:], x[:channels])
		for i, c := range surroundOrder[channels] {
			x[i] = frame[c]
		}
	}
}

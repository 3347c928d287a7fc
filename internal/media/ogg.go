package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/jfreymuth/oggvorbis"

	"prep/internal/fault"
)

// Ogg Vorbis is decoded by github.com/jfreymuth/oggvorbis. Its headers are looked over here first, because
// that library allocates what they claim: a number of comments, and codebooks of entries x dimensions
// (Vorbis I, 3.2.1 and 5.2.1).

const (
	maxVorbisHeaders  = 4 << 20 // bytes of the three header packets; cover art lies in the comments
	maxCodebookValues = 1 << 22 // of all codebooks; encoders use some ten thousand
)

// vorbisStream is what the pages say.
type vorbisStream struct {
	soundFormat
	foreign bool // other streams are in the file, or another follows
}

// oggPages walks the pages of a file. Only what is asked for is read.
type oggPages struct {
	in  *soundFile
	pos int64
}

type oggPage struct {
	flags   byte
	granule int64
	serial  uint32
	lacing  []byte
	body    int64 // offset
	size    int64
}

// next reads the header of the page at the position; io.EOF at the end.
func (o *oggPages) next() (oggPage, error) {
	b, err := o.in.head(o.pos, 27+255)
	if err != nil {
		return oggPage{}, err
	}
	if len(b) < 27 || string(b[:4]) != "OggS" || b[4] != 0 || len(b) < 27+int(b[26]) {
		return oggPage{}, io.EOF
	}
	p := oggPage{
		flags:   b[5],
		granule: int64(binary.LittleEndian.Uint64(b[6:])),
		serial:  binary.LittleEndian.Uint32(b[14:]),
		lacing:  b[27 : 27+int(b[26])],
		body:    o.pos + 27 + int64(b[26]),
	}
	for _, n := range p.lacing {
		p.size += int64(n)
	}
	o.pos = p.body + p.size
	return p, nil
}

// readVorbisHeaders collects the first three packets of the first stream and checks them.
func readVorbisHeaders(in *soundFile) (vorbisStream, error) {
	bad := func(what string) (vorbisStream, error) {
		return vorbisStream{}, fault.Corruptf("bad_header", "%s: %s", in.path, what)
	}
	var v vorbisStream
	var packets [][]byte
	var packet []byte
	var serial uint32
	pages := &oggPages{in: in}
	for n := 0; len(packets) < 3; n++ {
		p, err := pages.next()
		if errors.Is(err, io.EOF) || err == nil && p.body+p.size > in.size {
			return bad("the Vorbis headers are cut off")
		}
		if err != nil {
			return v, err
		}
		if n == 0 {
			serial = p.serial
		}
		if p.serial != serial || len(p.lacing) == 0 {
			v.foreign = true
			if n > 10000 {
				return bad("the Vorbis headers are not to be found")
			}
			continue
		}
		body, err := in.head(p.body, int(p.size))
		if err != nil {
			return v, err
		}
		for _, n := range p.lacing {
			packet, body = append(packet, body[:n]...), body[n:]
			if n < 255 {
				packets, packet = append(packets, packet), nil
			}
			if len(packet) > maxVorbisHeaders {
				return bad("the Vorbis headers are longer than 4 MB")
			}
		}
	}
	id, comment, setup := packets[0], packets[1], packets[2]
	if len(id) < 30 || string(id[:7]) != "\x01vorbis" {
		return bad("no Vorbis identification")
	}
	rate := binary.LittleEndian.Uint32(id[12:])
	if rate > maxRate {
		rate = 0
	}
	v.soundFormat = soundFormat{rate: int(rate), channels: int(id[11]), frames: -1, codec: "vorbis"}
	if err := v.check(in.path); err != nil {
		return v, err
	}
	if short, long := id[28]&15, id[28]>>4; short < 6 || long > 13 || short > long {
		return bad("Vorbis block sizes outside 64 to 8192")
	}
	if !vorbisCommentsFit(comment) {
		return bad("the Vorbis comments claim more than there is")
	}
	if !vorbisCodebooksFit(setup) {
		return bad("the Vorbis codebooks are damaged or too large")
	}
	return v, nil
}

func vorbisCommentsFit(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte("\x03vorbis"))
	take := func() uint32 {
		if len(rest) < 4 {
			ok = false
			return 0
		}
		v := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		return v
	}
	vendor := take()
	if !ok || uint64(vendor) > uint64(len(rest)) {
		return false
	}
	rest = rest[vendor:]
	n := take()
	return ok && uint64(n)*4 <= uint64(len(rest))
}

// vorbisCodebooksFit walks the codebooks, which come first in the setup packet, without building them.
func vorbisCodebooksFit(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte("\x05vorbis"))
	if !ok || len(rest) == 0 {
		return false
	}
	r := &lsbReader{b: rest}
	total := uint64(0)
	for range r.read(8) + 1 {
		if r.read(24) != 0x564342 {
			return false
		}
		dimensions, entries := uint64(r.read(16)), uint64(r.read(24))
		total += max(1, dimensions) * entries
		if r.over || dimensions == 0 || entries == 0 || total > maxCodebookValues {
			return false
		}
		if r.read(1) == 1 { // ordered by length: runs
			r.read(5)
			for at := uint64(0); at < entries; {
				run := uint64(r.read(bitLength(entries - at)))
				if r.over || at+run > entries {
					return false
				}
				at += run
			}
		} else {
			sparse := r.read(1) == 1
			for range entries {
				if !sparse || r.read(1) == 1 {
					r.read(5)
				}
				if r.over {
					return false
				}
			}
		}
		lookup := r.read(4)
		if lookup == 0 {
			continue
		}
		if lookup > 2 {
			return false
		}
		r.read(32)
		r.read(32)
		width := r.read(4) + 1
		r.read(1)
		values := entries * dimensions
		if lookup == 1 { // the largest v with v^dimensions <= entries
			values = 0
			for fits(values+1, dimensions, entries) {
				values++
			}
		}
		r.skip(values * uint64(width))
		if r.over {
			return false
		}
	}
	return true
}

// fits reports whether v^n <= limit.
func fits(v, n, limit uint64) bool {
	p := uint64(1)
	for range n {
		if p *= v; p > limit {
			return false
		}
		if v == 1 {
			return true
		}
	}
	return true
}

func bitLength(v uint64) uint {
	n := uint(0)
	for ; v > 0; v >>= 1 {
		n++
	}
	return n
}

// lsbReader reads Vorbis bit fields: the least significant bit of a byte first.
type lsbReader struct {
	b    []byte
	pos  uint64 // in bits
	over bool
}

func (r *lsbReader) read(n uint) uint32 {
	var v uint32
	if r.pos+uint64(n) > uint64(len(r.b))*8 {
		r.over = true
		return 0
	}
	for i := range n {
		v |= uint32(r.b[r.pos>>3]>>(r.pos&7)&1) << i
		r.pos++
	}
	return v
}

func (r *lsbReader) skip(n uint64) {
	if n > uint64(len(r.b))*8-r.pos {
		r.over = true
		return
	}
	r.pos += n
}

// vorbisEnd walks all pages and returns the granule position of the last one, which is the number of
// frames, and whether the stream ends as it should.
func vorbisEnd(in *soundFile, v *vorbisStream) (frames int64, whole bool, err error) {
	pages := &oggPages{in: in}
	var serial uint32
	for n := 0; ; n++ {
		p, err := pages.next()
		if errors.Is(err, io.EOF) {
			return frames, whole, nil
		}
		if err != nil {
			return 0, false, err
		}
		if n == 0 {
			serial = p.serial
		}
		if p.serial != serial {
			v.foreign = true
			continue
		}
		if p.body+p.size > in.size {
			return frames, false, nil
		}
		if p.granule > frames {
			frames = p.granule
		}
		if p.flags&4 != 0 {
			whole = true
		}
	}
}

func vorbisLength(in *soundFile) (frames int64, rate int, err error) {
	v, err := readVorbisHeaders(in)
	if err != nil {
		return 0, 0, err
	}
	frames, _, err = vorbisEnd(in, &v)
	if err == nil && v.foreign {
		err = errNeedsFFmpeg
	}
	return frames, v.rate, err
}

func (t *Tools) decodeVorbis(in *soundFile, seg Segment) (*Sound, error) {
	v, err := readVorbisHeaders(in)
	if err != nil {
		return nil, err
	}
	there, whole, err := vorbisEnd(in, &v)
	if err != nil {
		return nil, err
	}
	if v.foreign {
		return nil, errNeedsFFmpeg // several streams: the library reads one
	}
	s := newSound(v.soundFormat)
	if !whole {
		s.Notes = append(s.Notes, "cut off: the last page of the stream is missing")
	} else {
		v.frames = there
		s.DeclaredSeconds = float64(there) / float64(v.rate)
	}
	first, last, err := t.span(s, v.soundFormat, in.path, seg, there)
	if err != nil {
		return nil, err
	}
	// Decoded from the start instead of seeking, so that a segment is bit for bit a part of the whole; that
	// costs about a hundredth of the time that is skipped.
	d, err := oggvorbis.NewReader(onlyReader{in.section(0)})
	if err != nil {
		return nil, in.decodeError(err)
	}
	if d.SampleRate() != v.rate || d.Channels() != v.channels {
		return nil, fault.Corruptf("bad_header", "%s: the Vorbis headers contradict themselves", in.path)
	}
	n := int64(v.channels)
	want := (last - first) * n
	s.Data = make([]float32, 0, want)
	buf := make([]float32, 8192*n)
	for skip := first * n; int64(len(s.Data)) < want; {
		k, err := d.Read(buf)
		b := buf[:k]
		if skip > 0 {
			cut := min(skip, int64(len(b)))
			b, skip = b[cut:], skip-cut
		}
		s.Data = append(s.Data, b[:min(int64(len(b)), want-int64(len(s.Data)))]...)
		if err != nil {
			if !errors.Is(err, io.EOF) && (whole || !errors.Is(err, io.ErrUnexpectedEOF)) {
				return nil, in.decodeError(err)
			}
			break
		}
	}
	if err := s.checkFinite(in.path); err != nil {
		return nil, err
	}
	return s, t.settle(s, v.soundFormat, in.path, seg, first)
}

// onlyReader hides that a reader can seek: the library would otherwise look for the end of the file first.
type onlyReader struct{ io.Reader }

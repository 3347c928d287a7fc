package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jfreymuth/vorbis"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/libvorbis"
)

// Vorbis packets are decoded by libvorbis where Tools has it, otherwise by github.com/jfreymuth/vorbis. The headers
// are looked over here first, because both allocate what they claim: a number of comments, and codebooks of
// entries x dimensions (Vorbis I, 3.2.1 and 5.2.1).

const (
	maxVorbisHeaders  = 4 << 20 // bytes of the three header packets; cover art lies in the comments
	maxCodebookValues = 1 << 22 // of all codebooks; encoders use some ten thousand
)

// vorbisFile is an open Vorbis file. What libvorbis does not decode is left to Go code from the beginning: what becomes
// of a damaged file must not hang on whether this machine has a library.
type vorbisFile struct{ *oggFile }

func openVorbisFile(in *infile.File, lib *libvorbis.Library) (*vorbisFile, error) {
	f, err := openOgg(in, func(in *infile.File) (*oggSound, error) { return openVorbisBy(in, lib) })
	if lib != nil && errors.Is(err, errNotForLibrary) {
		return openVorbisFile(in, nil)
	}
	if err != nil {
		return nil, err
	}
	return &vorbisFile{f}, nil
}

func (f *vorbisFile) decode(t *Tools, seg Segment) (*Sound, error) {
	s, err := f.oggFile.decode(t, seg)
	if errors.Is(err, errNotForLibrary) {
		plain, err := openVorbisFile(f.in, nil)
		if err != nil {
			return nil, err
		}
		f.oggFile.close()
		f.oggFile = plain.oggFile
		return f.oggFile.decode(t, seg)
	}
	return s, err
}

// openVorbis is openVorbisBy with the Go decoder.
func openVorbis(in *infile.File) (*oggSound, error) { return openVorbisBy(in, nil) }

// openVorbisBy reads and checks the three headers.
func openVorbisBy(in *infile.File, lib *libvorbis.Library) (*oggSound, error) {
	bad := func(what string) (*oggSound, error) {
		return nil, fault.Corruptf("bad_header", "%s: %s", in.Path, what)
	}
	o := newOggStream(in)
	packets, err := o.headerPackets(3, maxVorbisHeaders)
	if err != nil {
		return nil, err
	}
	id, comment, setup := packets[0], packets[1], packets[2]
	if len(id) < 30 || string(id[:7]) != "\x01vorbis" {
		return bad("no Vorbis identification")
	}
	rate := binary.LittleEndian.Uint32(id[12:])
	if rate > maxRate {
		rate = 0
	}
	f := soundFormat{rate: int(rate), channels: int(id[11]), frames: -1, codec: "vorbis"}
	if err := f.check(in.Path); err != nil {
		return nil, err
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
	if lib != nil {
		stream, err := lib.Stream(id, setup)
		if err != nil {
			return nil, errNotForLibrary
		}
		return &oggSound{soundFormat: f, oggStream: o, oggDecoder: &libvorbisDecoder{stream, f.channels}, trimmed: true, decoder: "libvorbis"}, nil
	}
	d := &vorbisDecoder{}
	for _, p := range packets {
		if d.dec.ReadHeader(p) != nil {
			// The library reads a class too many of a floor without partitions, which encoders use for the
			// low-frequency channel of 5.1. Whatever else it may be: ffmpeg knows.
			return nil, &handedOn{what: fmt.Sprintf("Vorbis of %d channels with an unusual set-up", f.channels)}
		}
	}
	d.out = make([]float32, d.dec.BufferSize())
	d.channels = f.channels
	return &oggSound{soundFormat: f, oggStream: o, oggDecoder: d, trimmed: true}, nil
}

// vorbisDecoder decodes packets. Each gives the samples between its middle and that of the one before, so
// that the first gives none.
type vorbisDecoder struct {
	dec      vorbis.Decoder
	out      []float32
	channels int
}

func (d *vorbisDecoder) decode(packet []byte) ([]float32, error) {
	if len(packet) == 0 {
		return nil, nil
	}
	x, err := d.dec.DecodeInto(packet, d.out)
	reorderSurround(x, d.channels)
	return x, err
}

func (d *vorbisDecoder) restart() { d.dec.Clear() }

// libvorbisDecoder decodes packets by libvorbis.
type libvorbisDecoder struct {
	*libvorbis.Stream
	channels int
}

func (d *libvorbisDecoder) decode(packet []byte) ([]float32, error) {
	if len(packet) == 0 {
		return nil, nil
	}
	x, err := d.Decode(packet)
	if err != nil {
		return nil, errNotForLibrary
	}
	reorderSurround(x, d.channels)
	return x, nil
}

func (d *libvorbisDecoder) restart() { d.Restart() }

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

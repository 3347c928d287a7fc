package media

import (
	"bytes"
	"encoding/binary"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/vorbis"
)

// maxVorbisHeaders bounds the three header packets, in bytes; cover art lies in the comments.
const maxVorbisHeaders = 4 << 20

// openVorbis reads and checks the three headers.
func openVorbis(in *infile.File) (*oggSound, error) {
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
	d, err := vorbis.New(id, setup)
	if err != nil {
		return bad(err.Error())
	}
	return &oggSound{soundFormat: f, oggStream: o, oggDecoder: &vorbisDecoder{d, f.channels}, trimmed: true}, nil
}

// vorbisDecoder decodes packets, to channels in the order of WAV.
type vorbisDecoder struct {
	*vorbis.Decoder
	channels int
}

func (d *vorbisDecoder) decode(packet []byte) ([]float32, error) {
	if len(packet) == 0 {
		return nil, nil
	}
	x, err := d.Decode(packet)
	reorderSurround(x, d.channels)
	return x, err
}

func (d *vorbisDecoder) restart() { d.Restart() }

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

package media

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/thesyncim/gopus"

	"prep/internal/fault"
	"prep/internal/infile"
)

// Opus in Ogg (RFC 7845): always 48 kHz, whatever was encoded; the first pre-skip samples are the decoder's
// running in; a gain is to be applied. Packets are decoded by github.com/thesyncim/gopus, which gives
// libopus' samples to 1e-6 in all modes (SILK, CELT, both) and up to 255 channels (as opusfile gives them; libsndfile
// 1.2.2 begins a stream otherwise, by up to 9e-5 in the first 7 ms). github.com/pion/opus
// v0.1.0 was tried and is off by up to 0.3 where modes and bandwidths change. ffmpeg's own decoder differs from
// libopus by some samples of delay in SILK.

const (
	opusRate       = 48000
	maxOpusHeaders = 4 << 20 // cover art lies in the comments
	maxOpusFrames  = 5760    // 120 ms, the longest packet

	// opusRunIn is decoded and dropped before a segment. 80 ms are asked for (RFC 7845, 4.6). CELT has then
	// forgotten where decoding began. SILK's predictors work on rounded samples and keep small differences alive:
	// in a minute of speech at 16 kbit/s, segments after two seconds of running in are off by 1e-4 on average and
	// 6e-3 at most from the file decoded whole, after ten by 1.5e-5 and 4e-3. Where decoding begins depends on
	// the file and the segment alone, so that a segment is always the same.
	opusRunIn = 2 * opusRate
)

// openOpus reads and checks the two headers.
func openOpus(in *infile.File) (*oggSound, error) {
	bad := func(what string) (*oggSound, error) {
		return nil, fault.Corruptf("bad_header", "%s: %s", in.Path, what)
	}
	o := newOggStream(in)
	packets, err := o.headerPackets(2, maxOpusHeaders)
	if err != nil {
		return nil, err
	}
	id := packets[0]
	if len(id) < 19 || string(id[:8]) != "OpusHead" {
		return bad("no Opus identification")
	}
	if id[8] > 15 {
		return nil, &handedOn{what: fmt.Sprintf("Opus of version %d", id[8]>>4)} // which is not compatible
	}
	f := soundFormat{rate: opusRate, channels: int(id[9]), frames: -1, codec: "opus"}
	if err := f.check(in.Path); err != nil {
		return nil, err
	}
	d := &opusDecoder{
		channels: f.channels, streams: 1, coupled: f.channels - 1, mapping: []byte{0, 1}[:min(f.channels, 2)],
		gain: float32(math.Pow(10, float64(int16(binary.LittleEndian.Uint16(id[16:])))/(20*256))),
	}
	switch family := id[18]; family {
	case 0:
		if f.channels > 2 {
			return bad("Opus channel mapping 0 with more than two channels")
		}
	case 1, 255:
		if len(id) < 21+f.channels {
			return bad("the Opus channel mapping is cut off")
		}
		d.streams, d.coupled, d.mapping = int(id[19]), int(id[20]), id[21:21+f.channels]
		d.surround = family == 1
	default:
		return nil, &handedOn{what: fmt.Sprintf("Opus with the channel mapping %d", family)} // ambisonics
	}
	if d.dec, err = gopus.NewMultistreamDecoder(opusRate, d.channels, d.streams, d.coupled, d.mapping); err != nil {
		return bad("the Opus channel mapping is impossible: " + err.Error())
	}
	d.out = make([]float32, maxOpusFrames*f.channels)
	return &oggSound{
		soundFormat: f, oggStream: o, oggDecoder: d,
		skip: int64(binary.LittleEndian.Uint16(id[10:])), run: opusRunIn,
	}, nil
}

type opusDecoder struct {
	dec                        *gopus.MultistreamDecoder
	channels, streams, coupled int
	mapping                    []byte
	surround                   bool // channels lie in Vorbis' order
	gain                       float32
	out                        []float32
}

func (d *opusDecoder) decode(packet []byte) ([]float32, error) {
	if len(packet) == 0 {
		return nil, nil
	}
	n, err := d.dec.Decode(packet, d.out)
	if err != nil {
		return nil, err
	}
	x := d.out[:n*d.channels]
	if d.gain != 1 {
		for i := range x {
			x[i] *= d.gain
		}
	}
	if d.surround {
		reorderSurround(x, d.channels)
	}
	return x, nil
}

func (d *opusDecoder) restart() { d.dec.Reset() }

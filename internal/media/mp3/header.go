// Package mp3 decodes frames of MPEG audio layer III: MPEG-1, MPEG-2 and MPEG-2.5, all bit rates, with and
// without a bit reservoir, mono, stereo, joint stereo by middle and side and by intensity (ISO/IEC 11172-3
// and 13818-3). It reads frame headers of all layers.
//
// It works in float32 and neither rounds nor clips: a sample may exceed 1, as with ffmpeg and libmpg123 when
// they are asked for floats. From those two it differs by about 1e-6 (see the tests).
//
// Files, tags, and which samples are the encoder's padding are the business of package media. It is our own
// because github.com/hajimehoshi/go-mp3, which the tests compare it to, rounds to 16 bits, misplaces frames
// of half of MPEG-2's bit rates, knows neither MPEG-2.5 nor the free format, and takes six times as long.
package mp3

// Header is one frame header (ISO/IEC 11172-3, 2.4.1.3).
type Header struct {
	Version  int // 1, 2, or 25 for MPEG-2.5
	Layer    int // 1, 2, 3
	Bitrate  int // bit/s, 0 in the free format
	Rate     int // Hz
	Channels int
	Padding  bool
	CRC      bool // 16 bits of checksum follow the header
	Size     int  // bytes of the whole frame, 0 in the free format
	Samples  int  // per channel
	Side     int  // bytes of side information in layer III

	middleSide, intensity bool // kinds of joint stereo
	rateIndex             int  // place in the tables of scale factor bands
}

var bitrates = [2][3][15]int{ // kbit/s by MPEG-1 or not, layer, index
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

// ParseHeader reads the four bytes of a header at the start of b; false when they are none.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return h, false
	}
	version, layer, index, rate := b[1]>>3&3, b[1]>>1&3, b[2]>>4, b[2]>>2&3
	if version == 1 || layer == 0 || index == 15 || rate == 3 || b[3]&3 == 2 {
		return h, false
	}
	h.Layer = 4 - int(layer)
	h.CRC = b[1]&1 == 0
	h.Rate = [3]int{44100, 48000, 32000}[rate]
	h.rateIndex = int(rate)
	low := 1
	switch version {
	case 3:
		h.Version, low = 1, 0
	case 2:
		h.Version = 2
		h.Rate /= 2
		h.rateIndex += 3
	default:
		h.Version = 25
		h.Rate /= 4
		h.rateIndex += 6
	}
	h.Bitrate = 1000 * bitrates[low][h.Layer-1][index]
	h.Channels = 2
	switch b[3] >> 6 {
	case 3:
		h.Channels = 1
	case 1:
		h.middleSide, h.intensity = b[3]&0x20 != 0, b[3]&0x10 != 0
	}
	h.Padding = b[2]&2 != 0
	h.Samples = 1152
	switch {
	case h.Layer == 1:
		h.Samples = 384
	case h.Layer == 3 && low == 1:
		h.Samples = 576
	}
	h.Side = [2][2]int{{17, 32}, {9, 17}}[low][h.Channels-1]
	if h.Bitrate > 0 {
		h.Size = h.Slots(h.Samples / 8 * h.Bitrate / h.Rate)
		if h.Layer == 1 {
			h.Size = h.Slots(12 * h.Bitrate / h.Rate * 4)
		}
	}
	return h, true
}

// Slots is the size of a frame of n bytes with this header's padding.
func (h Header) Slots(n int) int {
	switch {
	case !h.Padding:
		return n
	case h.Layer == 1:
		return n + 4
	}
	return n + 1
}

// Same reports whether two frames can belong to one stream: the bit rate, the stereo mode and with it, in
// files in the wild, even the number of channels may change from frame to frame.
func (h Header) Same(o Header) bool {
	return h.Version == o.Version && h.Layer == o.Layer && h.Rate == o.Rate && (h.Bitrate == 0) == (o.Bitrate == 0)
}

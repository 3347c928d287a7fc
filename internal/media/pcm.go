package media

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"sync"

	"prep/internal/infile"
)

// pcm is how one sample is stored in WAV and AIFF. Samples of a width that is no whole number of bytes lie
// in the upper bits of the next larger one, so the container's width is all that counts.
type pcm struct {
	kind  pcmKind
	bytes int // of one sample: 1, 2, 3, 4 or 8
	big   bool
}

type pcmKind uint8

const (
	pcmSigned pcmKind = iota
	pcmUnsigned
	pcmFloat
	pcmALaw
	pcmMuLaw
)

// name is ffmpeg's name of the encoding.
func (p pcm) name() string {
	order := "le"
	if p.big {
		order = "be"
	}
	switch p.kind {
	case pcmALaw:
		return "pcm_alaw"
	case pcmMuLaw:
		return "pcm_mulaw"
	case pcmFloat:
		return map[int]string{4: "pcm_f32", 8: "pcm_f64"}[p.bytes] + order
	case pcmUnsigned:
		return "pcm_u8"
	}
	if p.bytes == 1 {
		return "pcm_s8"
	}
	return map[int]string{2: "pcm_s16", 3: "pcm_s24", 4: "pcm_s32", 8: "pcm_s64"}[p.bytes] + order
}

// decode converts len(dst) samples: integers by x / 2^(bits-1), exactly but for 32 bits and more,
// which a float32 rounds.
func (p pcm) decode(dst []float32, src []byte) {
	src = src[:len(dst)*p.bytes]
	switch {
	case p.kind == pcmALaw:
		for i := range dst {
			dst[i] = aLaw[src[i]]
		}
	case p.kind == pcmMuLaw:
		for i := range dst {
			dst[i] = muLaw[src[i]]
		}
	case p.kind == pcmUnsigned:
		for i := range dst {
			dst[i] = float32(int32(src[i])-128) * (1.0 / (1 << 7))
		}
	case p.kind == pcmFloat && p.bytes == 4 && !p.big:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case p.kind == pcmFloat && p.bytes == 4:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.BigEndian.Uint32(src[4*i:]))
		}
	case p.kind == pcmFloat && !p.big:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	case p.kind == pcmFloat:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.BigEndian.Uint64(src[8*i:])))
		}
	case p.bytes == 1:
		for i := range dst {
			dst[i] = float32(int8(src[i])) * (1.0 / (1 << 7))
		}
	case p.bytes == 2 && !p.big:
		decode16(dst, src)
	case p.bytes == 2:
		for i := range dst {
			dst[i] = float32(int16(binary.BigEndian.Uint16(src[2*i:]))) * (1.0 / (1 << 15))
		}
	case p.bytes == 3:
		lo, hi := 0, 2
		if p.big {
			lo, hi = 2, 0
		}
		for i := range dst {
			b := src[3*i : 3*i+3]
			v := int32(b[hi])<<24 | int32(b[1])<<16 | int32(b[lo])<<8
			dst[i] = float32(v>>8) * (1.0 / (1 << 23))
		}
	case p.bytes == 8 && !p.big:
		for i := range dst {
			dst[i] = float32(int64(binary.LittleEndian.Uint64(src[8*i:]))) * (1.0 / (1 << 63))
		}
	case p.bytes == 8:
		for i := range dst {
			dst[i] = float32(int64(binary.BigEndian.Uint64(src[8*i:]))) * (1.0 / (1 << 63))
		}
	case !p.big:
		for i := range dst {
			dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:]))) * (1.0 / (1 << 31))
		}
	default:
		for i := range dst {
			dst[i] = float32(int32(binary.BigEndian.Uint32(src[4*i:]))) * (1.0 / (1 << 31))
		}
	}
}

// decode16 converts little-endian 16-bit samples, which most files hold.
func decode16(dst []float32, src []byte) {
	n := convert16(dst, src)
	plain16(dst[n:], src[2*n:])
}

// block is how many values a plain loop takes at a time whose indices then need no checks.
const block = 64

// plain16 is decode16 without help from the processor.
func plain16(dst []float32, src []byte) {
	const scale = 1.0 / (1 << 15)
	for len(dst) >= block && len(src) >= 2*block {
		s, d := (*[2 * block]byte)(src), (*[block]float32)(dst)
		for i := 0; i < block; i += 2 {
			pair := uint32(s[2*i]) | uint32(s[2*i+1])<<8 | uint32(s[2*i+2])<<16 | uint32(s[2*i+3])<<24
			d[i], d[i+1] = float32(int16(pair))*scale, float32(int32(pair)>>16)*scale
		}
		dst, src = dst[block:], src[2*block:]
	}
	for i := range dst {
		dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:]))) * scale
	}
}

// decodePairs16 is decode16 of stereo that is taken apart.
func decodePairs16(left, right []float32, src []byte) {
	n := separate16(left, right, src)
	plainPairs16(left[n:], right[n:], src[4*n:])
}

// plainPairs16 is decodePairs16 without help from the processor.
func plainPairs16(left, right []float32, src []byte) {
	const scale = 1.0 / (1 << 15)
	n := len(left)
	at := 0
	for ; at+block <= n; at += block {
		s, l, r := (*[4 * block]byte)(src[4*at:]), (*[block]float32)(left[at:]), (*[block]float32)(right[at:])
		for i := range l {
			frame := uint32(s[4*i]) | uint32(s[4*i+1])<<8 | uint32(s[4*i+2])<<16 | uint32(s[4*i+3])<<24
			l[i], r[i] = float32(int16(frame))*scale, float32(int32(frame)>>16)*scale
		}
	}
	for ; at < n; at++ {
		frame := binary.LittleEndian.Uint32(src[4*at:])
		left[at], right[at] = float32(int16(frame))*scale, float32(int32(frame)>>16)*scale
	}
}

// pcmBlock is how many samples are decoded at a time: the raw bytes never double the memory, and stay in the
// processor's cache.
const pcmBlock = 1 << 15

// read decodes n samples from an offset of the file.
func (p pcm) read(in *infile.File, offset, n int64) ([]float32, error) {
	out := newSamples(n)
	rest := out
	err := p.blocks(in, offset, n, pcmBlock, func(raw []byte) {
		m := len(raw) / p.bytes
		p.decode(rest[:m], raw)
		rest = rest[m:]
	})
	return out, err
}

// readPlanes decodes n frames from an offset of the file to [channels][n].
func (p pcm) readPlanes(in *infile.File, offset, n int64, channels int) ([][]float32, error) {
	planes, at := newPlanes(channels, n), 0
	block := min(n, int64(pcmBlock/channels)) * int64(channels)
	if channels == 2 && p.kind == pcmSigned && p.bytes == 2 && !p.big { // what most files are
		err := p.blocks(in, offset, 2*n, int(block), func(raw []byte) {
			to := at + len(raw)/4
			decodePairs16(planes[0][at:to], planes[1][at:to], raw)
			at = to
		})
		return planes, err
	}
	frames := newSamples(block)
	defer releaseSamples(frames)
	err := p.blocks(in, offset, n*int64(channels), len(frames), func(raw []byte) {
		x := frames[:len(raw)/p.bytes]
		p.decode(x, raw)
		takeApart(planes, at, x)
		at += len(x) / channels
	})
	return planes, err
}

// rawBlocks keeps the memory of blocks for the next file.
var rawBlocks sync.Pool

// blocks reads n samples from an offset of the file, a block of so many at a time.
func (p pcm) blocks(in *infile.File, offset, n int64, block int, use func(raw []byte)) error {
	memory, _ := rawBlocks.Get().(*[]byte)
	if memory == nil {
		memory = new([]byte)
	}
	defer rawBlocks.Put(memory)
	size := int(min(n, int64(block))) * p.bytes
	*memory = slices.Grow((*memory)[:0], size)
	for end := offset + n*int64(p.bytes); offset < end; {
		raw := (*memory)[:min(int64(size), end-offset)]
		if k, err := in.ReadAt(raw, offset); err != nil && !(errors.Is(err, io.EOF) && k == len(raw)) {
			return in.Error(err)
		}
		use(raw)
		offset += int64(len(raw))
	}
	return nil
}

// ITU-T G.711: eight-bit logarithmic samples, expanded to 13 (A) and 14 (mu) bits in the upper part of 16.
var aLaw, muLaw = func() (a, mu [256]float32) {
	for i := range 256 {
		x := uint8(i) ^ 0x55
		exponent, v := x>>4&7, int32(x&15)<<4+8
		if exponent > 0 {
			v = (v + 0x100) << (exponent - 1)
		}
		if x&0x80 == 0 {
			v = -v
		}
		a[i] = float32(v) / (1 << 15)

		x = ^uint8(i)
		v = (int32(x&15)<<3+0x84)<<(x>>4&7) - 0x84
		if x&0x80 != 0 {
			v = -v
		}
		mu[i] = float32(v) / (1 << 15)
	}
	return
}()

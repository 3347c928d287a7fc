package vorbis

import (
	"encoding/binary"
	"math/bits"
)

// bitReader reads the least significant bit of a byte first (Vorbis I, 2.1).
type bitReader struct {
	b   []byte // with slack zero bytes behind its end
	pos int    // in bits
	end int    // in bits
}

// slack is how many bytes can be looked at beyond the end.
const slack = 16

// fill takes a packet, into the memory of the one before.
func (r *bitReader) fill(packet []byte) {
	r.b = append(append(r.b[:0], packet...), make([]byte, slack)...)
	r.pos, r.end = 0, 8*len(packet)
}

// over says that more was read than there is.
func (r *bitReader) over() bool { return r.pos > r.end }

// peek returns the next bits at the bottom of a word, 57 or more of them, zeros beyond the end.
func (r *bitReader) peek() uint64 {
	at := min(r.pos>>3, len(r.b)-8)
	return binary.LittleEndian.Uint64(r.b[at:]) >> (r.pos & 7)
}

// read reads up to 32 bits; 0 beyond the end, which over tells.
func (r *bitReader) read(n int) uint32 {
	v := uint32(r.peek() & (1<<n - 1))
	if r.pos += n; r.pos > r.end {
		r.pos = r.end + 1
		return 0
	}
	return v
}

func (r *bitReader) flag() bool { return r.read(1) == 1 }

// bitLength is ilog of the specification.
func bitLength(n int) int { return bits.Len(uint(n)) }

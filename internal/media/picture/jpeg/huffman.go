package jpeg

import (
	"bytes"
	"encoding/binary"
)

// lookupBits is the length up to which a code is decoded by one look into a table.
const lookupBits = 9

// huffman is a code (annex C) prepared for decoding (F.2.2.3).
type huffman struct {
	lookup [1 << lookupBits]uint16 // length << 8 | symbol; 0: longer, or no code
	// For lengths beyond lookupBits: codes of length l end before limit[l], left-aligned in 16 bits, and
	// the symbol of code c is symbols[c + offset[l]].
	limit   [17]uint32
	offset  [17]int32
	symbols []uint8
	// For sequential scans, made when the first begins: what a code and the bits behind it come to, where both are not
	// longer than quickBits; see quickCode. 0: longer, or no code.
	quick *[1 << quickBits]uint32
	dc    bool
}

// quickBits is the length up to which a code is decoded together with the value behind it.
const quickBits = 10

// past as a run leads out of any block.
const past = 64

// quickCode puts together what the block loop takes from a code: how many bits it has with its value, how many zeros
// come before the value, and the value. The end of a block is a run that leads past it.
func quickCode(length, run int, value int32) uint32 {
	return uint32(length) | uint32(run)<<8 | uint32(value)<<16
}

// code is the quickCode of a symbol of length bits with what comes behind it: word are the bits from the symbol's first
// on, left-aligned.
func (h *huffman) code(symbol uint8, length int, word uint64) uint32 {
	size, run := symbol&15, int(symbol>>4)
	switch {
	case size > 0:
		r := bits{acc: word << length}
		return quickCode(length+int(size), run, r.takeSigned(size))
	case h.dc || run == 15:
		return quickCode(length, run, 0)
	}
	return quickCode(length, past, 0)
}

// prepare fills the table of short codes.
func (h *huffman) prepare() {
	if h.quick != nil {
		return
	}
	h.quick = new([1 << quickBits]uint32)
	for i := range h.quick {
		e := h.lookup[i>>(quickBits-lookupBits)]
		length := int(e >> 8)
		if e == 0 || length+int(e&15) > quickBits {
			continue
		}
		h.quick[i] = h.code(uint8(e), length, uint64(i)<<(64-quickBits))
	}
}

// long decodes a code that is not in the table of short ones; 0 when there is none. word are the next bits,
// left-aligned, 31 of them at least.
func (h *huffman) long(word uint64) uint32 {
	if e := h.lookup[word>>(64-lookupBits)]; e != 0 {
		return h.code(uint8(e), int(e>>8), word)
	}
	top := uint32(word >> 48)
	for l := lookupBits + 1; l <= 16; l++ {
		if top < h.limit[l] {
			return h.code(h.symbols[int32(top>>(16-l))+h.offset[l]], l, word)
		}
	}
	return 0
}

// huffmanTables reads a DHT segment (B.2.4.2).
func (d *decoder) huffmanTables(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 {
			return d.errorf("a short DHT segment")
		}
		class, id := b[0]>>4, b[0]&15
		total := 0
		for _, n := range b[1:17] {
			total += int(n)
		}
		if class > 1 || id > 3 || total > 256 || len(b) < 17+total {
			return d.errorf("a bad DHT segment")
		}
		h := &huffman{dc: class == 0, symbols: append([]uint8(nil), b[17:17+total]...)}
		code, k := uint32(0), 0
		for l := 1; l <= 16; l++ {
			h.offset[l] = int32(k) - int32(code)
			for range b[l] {
				if code >= 1<<l {
					return d.errorf("a Huffman code with more words than there are")
				}
				if class == 0 && h.symbols[k] > 15 {
					return d.errorf("a DC Huffman symbol %d", h.symbols[k])
				}
				if l <= lookupBits {
					entry := uint16(l)<<8 | uint16(h.symbols[k])
					for i := range 1 << (lookupBits - l) {
						h.lookup[int(code)<<(lookupBits-l)|i] = entry
					}
				}
				code++
				k++
			}
			h.limit[l] = code << (16 - l)
			code <<= 1
		}
		if class == 0 {
			d.dc[id] = h
		} else {
			d.ac[id] = h
		}
		b = b[17+total:]
	}
	return nil
}

// bits reads entropy-coded data (F.2.2.5): the bytes up to the next marker, without the zeros that are stuffed in. At
// their end it goes on with zeros, so that the inner loops need not look; overrun tells.
type bits struct {
	acc  uint64 // the next bits, left-aligned; behind the first n stand others of the data, or zeros
	n    int    // how many are good
	buf  []byte // the data and padding behind it
	pos  int    // in buf, of the byte that holds bit n
	end  int    // in buf, where the padding begins
	from int    // offset in the file of the first byte
	lost bool   // a code that is none was met

	k, last, diff int // see plainCoefficients
}

// most is more than the bytes that a block looks at: 64 codes of at most 16 bits with 15 behind each, and 8 bytes at a
// time. padding is as much, and the 8 that were looked at before, so that a look at a block's end is enough.
const (
	most    = 264
	padding = most + 8
)

// segment makes the data up to the next marker the next bits, and goes to that marker.
func (d *decoder) segment() {
	b := d.bits.buf[:0]
	from := d.pos
	for d.pos < len(d.data) {
		rest := d.data[d.pos:]
		n := bytes.IndexByte(rest, 0xff)
		if n < 0 {
			b = append(b, rest...)
			d.pos = len(d.data)
			break
		}
		if n+1 >= len(rest) || rest[n+1] != 0 {
			b = append(b, rest[:n]...)
			d.pos += n
			break
		}
		b = append(b, rest[:n+1]...)
		d.pos += n + 2
	}
	var zeros [padding]byte
	d.bits = bits{buf: append(b, zeros[:]...), end: len(b), from: from}
}

// overrun reports whether more bits were taken than there are.
func (r *bits) overrun() bool { return 8*r.pos-r.n > 8*r.end }

// offset is where in the file the next bits stand.
func (d *decoder) offset() int {
	r := &d.bits
	at := r.from
	for range min((8*r.pos-r.n)/8, r.end) {
		if d.data[at] == 0xff {
			at++
		}
		at++
	}
	return at
}

// fill makes at least 32 bits available: a code and what follows it take no more.
func (r *bits) fill() {
	if r.n < 32 {
		r.acc |= binary.BigEndian.Uint64(r.buf[r.pos:]) >> (r.n & 63)
		r.pos += (63 - r.n) >> 3
		r.n |= 56
	}
}

// tooMany is what k becomes when a value has no place in the block any more.
const tooMany = 1 << 10

// plainCoefficients decodes the coefficients of a block of a sequential scan (F.2.2) from place k on, in zigzag order, as
// long as their codes are in the tables: to the end of the block, where k is 64 or more, or to the place k of one whose
// code is not, of which 32 bits are then available. block, in natural order, has to be zero; of the first coefficient
// not it but its difference to the last one is decoded, to diff. last is the place of the last one that was sent.
func (r *bits) plainCoefficients(dc, ac *[1 << quickBits]uint32, block *[64]int16) {
	acc, n, pos, buf := r.acc, r.n, r.pos, r.buf
	k, table := r.k, ac
	if k == 0 {
		table = dc
	}
	for k < 64 {
		if n < 32 {
			acc |= binary.BigEndian.Uint64(buf[pos:]) >> (n & 63)
			pos += (63 - n) >> 3
			n |= 56
		}
		e := table[acc>>(64-quickBits)]
		if e == 0 {
			break
		}
		acc <<= e & 63
		n -= int(e & 63)
		if k == 0 {
			r.diff, k, table = int(int32(e)>>16), 1, ac
			continue
		}
		if k += int(e >> 8 & 127); k > 63 {
			if e>>16 != 0 {
				k = tooMany
			}
			break
		}
		block[natural[k&63]&63] = int16(e >> 16)
		r.last = k
		k++
	}
	r.acc, r.n, r.pos, r.k = acc, n, pos, k
}

// rare goes on where coefficients stopped at a code that is not in the tables. lost tells of one that is none at all.
func (r *bits) rare(dc, ac *huffman, block *[64]int16) {
	for r.k < 64 {
		h := ac
		if r.k == 0 {
			h = dc
		}
		e := h.long(r.acc)
		if e == 0 {
			r.lost = true
			return
		}
		r.acc <<= e & 63
		r.n -= int(e & 63)
		if r.k == 0 {
			r.diff = int(int32(e) >> 16)
		} else {
			if r.k += int(e >> 8 & 127); r.k > 63 {
				if e>>16 != 0 {
					r.k = tooMany
				}
				return
			}
			block[natural[r.k]], r.last = int16(e>>16), r.k
		}
		r.k++
		r.coefficients(dc.quick, ac.quick, block)
	}
}

// symbol decodes one Huffman code. Up to 16 bits for take stay available behind it.
func (r *bits) symbol(h *huffman) uint8 {
	r.fill()
	if e := h.lookup[r.acc>>(64-lookupBits)]; e != 0 {
		r.acc <<= e >> 8
		r.n -= int(e >> 8)
		return uint8(e)
	}
	word := uint32(r.acc >> 48)
	for l := lookupBits + 1; l <= 16; l++ {
		if word < h.limit[l] {
			s := h.symbols[int32(word>>(16-l))+h.offset[l]]
			r.acc <<= l
			r.n -= l
			return s
		}
	}
	r.lost = true
	return 0
}

// take reads n bits, 0 to 16, that fill has made available.
func (r *bits) take(n uint8) uint32 {
	v := uint32(r.acc >> (64 - n))
	r.acc <<= n
	r.n -= int(n)
	return v
}

// takeSigned reads a value of n bits as T.81 stores differences and coefficients (F.2.2.1, EXTEND).
func (r *bits) takeSigned(n uint8) int32 {
	v := int32(r.take(n))
	if n > 0 && v < 1<<(n-1) {
		v += 1 - 1<<n
	}
	return v
}

// check reports what went wrong since the last look.
func (d *decoder) check() error {
	if d.bits.lost {
		return &FormatError{d.offset(), "a bad Huffman code"}
	}
	if d.bits.overrun() {
		return &TruncatedError{d.pos}
	}
	return nil
}

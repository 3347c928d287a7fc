package jpeg

import "encoding/binary"

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
		h := &huffman{symbols: append([]uint8(nil), b[17:17+total]...)}
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

// bits reads entropy-coded data (F.2.2.5). At a marker and at the end of the file it goes on with zeros
// and keeps count of them, so that the inner loops need not look.
type bits struct {
	acc  uint64 // the next bits, left-aligned
	n    int    // how many
	pad  int    // how many of them, at the end, are made up
	lost bool   // a code that is none was met
}

// fill makes at least 32 bits available: a code and what follows it take no more.
func (d *decoder) fill() {
	r := &d.bits
	if r.n >= 32 {
		return
	}
	if d.pos+4 <= len(d.data) {
		v := binary.BigEndian.Uint32(d.data[d.pos:])
		if (v&^(v+0x01010101))&0x80808080 == 0 { // no byte of it is 0xff (nor one that looks so beside one)
			r.acc |= uint64(v) << (32 - r.n)
			r.n += 32
			d.pos += 4
			return
		}
	}
	for r.n <= 56 {
		var b uint8
		switch {
		case d.pos >= len(d.data):
			r.pad += 8
		case d.data[d.pos] != 0xff:
			b = d.data[d.pos]
			d.pos++
		case d.pos+1 < len(d.data) && d.data[d.pos+1] == 0:
			b = 0xff
			d.pos += 2
		default: // a marker
			r.pad += 8
		}
		r.acc |= uint64(b) << (56 - r.n)
		r.n += 8
	}
}

// symbol decodes one Huffman code. Up to 16 bits for take stay available behind it.
func (d *decoder) symbol(h *huffman) uint8 {
	d.fill()
	r := &d.bits
	if e := h.lookup[r.acc>>(64-lookupBits)]; e != 0 {
		r.acc <<= e >> 8
		r.n -= int(e >> 8)
		return uint8(e)
	}
	return d.longSymbol(h)
}

func (d *decoder) longSymbol(h *huffman) uint8 {
	r := &d.bits
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
		return d.errorf("a bad Huffman code")
	}
	if d.bits.n < d.bits.pad {
		return &TruncatedError{d.pos}
	}
	return nil
}

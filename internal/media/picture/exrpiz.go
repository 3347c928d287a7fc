package picture

import (
	"encoding/binary"
	"errors"
)

var (
	errPIZShort = errors.New("PIZ: the data ends early")
	errPIZCode  = errors.New("PIZ: the Huffman code is none")
)

// exrPIZ undoes PIZ of one channel. All channels' samples, in units of 16 bits, one channel after the other,
// were numbered by which values there are, then brought to a two-dimensional Haar wavelet of whole numbers,
// each half of a 32-bit sample by itself, and then Huffman-coded.
func exrPIZ(b []byte, channels []exrChannel, channel int, r rectangle) ([]byte, error) {
	if len(b) < 4 {
		return nil, errPIZShort
	}
	first, last := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
	b = b[4:]
	// Which values there are: a bit for each, of which only the bytes from first to last are stored. 0 always is.
	var values [1 << 16]uint16
	known := 1
	if first <= last {
		if last >= 1<<13 {
			return nil, errors.New("PIZ: the set of values is none")
		}
		if last-first >= len(b) {
			return nil, errPIZShort
		}
		for i, set := range b[:last-first+1] {
			for bit := range 8 {
				if v := (first+i)*8 + bit; set>>bit&1 != 0 && v != 0 {
					values[known] = uint16(v)
					known++
				}
			}
		}
		b = b[last-first+1:]
	}
	if len(b) < 4 {
		return nil, errPIZShort
	}
	size := int64(binary.LittleEndian.Uint32(b))
	if b = b[4:]; size > int64(len(b)) {
		return nil, errPIZShort
	}
	var all, from int64
	for i, c := range channels {
		if i == channel {
			from = all
		}
		all += c.bytes() / 2 * r.width * r.height
	}
	numbers, err := exrHuffman(b[:size], all)
	if err != nil {
		return nil, err
	}
	units := channels[channel].bytes() / 2
	plane := numbers[from:][:units*r.width*r.height]
	for u := range units {
		waves{plane[u:], int(units), int(units * r.width)}.undo(int(r.width), int(r.height), known-1 < 1<<14)
	}
	out := make([]byte, 0, 2*len(plane))
	for _, v := range plane {
		out = binary.LittleEndian.AppendUint16(out, values[v])
	}
	return out, nil
}

// waves is a plane of wavelet coefficients: those of one line are dx apart, those of one column dy.
type waves struct {
	v      []uint16
	dx, dy int
}

// undo turns a transform's coefficients, which stand where its samples stood, back into the samples, from the
// coarsest level to the finest. At each, a square of four becomes its mean, two differences and their
// difference; an odd column or row of it is a pair. Where no value needs more than 14 bits the arithmetic has
// signs (narrow), otherwise it goes around at 16 bits.
func (w waves) undo(width, height int, narrow bool) {
	pair := unwave16
	if narrow {
		pair = unwave14
	}
	p := 1
	for 2*p <= min(width, height) {
		p *= 2
	}
	for p /= 2; p >= 1; p /= 2 {
		dx, dy := p*w.dx, p*w.dy // from a coefficient to its partner
		y := 0
		for ; y+2*p <= height; y += 2 * p {
			x := 0
			for ; x+2*p <= width; x += 2 * p {
				at := y*w.dy + x*w.dx
				v := w.v[at:]
				a, c := pair(v[0], v[dy])
				b, d := pair(v[dx], v[dx+dy])
				v[0], v[dx] = pair(a, b)
				v[dy], v[dx+dy] = pair(c, d)
			}
			if width&p != 0 {
				v := w.v[y*w.dy+x*w.dx:]
				v[0], v[dy] = pair(v[0], v[dy])
			}
		}
		if height&p != 0 {
			for x := 0; x+2*p <= width; x += 2 * p {
				v := w.v[y*w.dy+x*w.dx:]
				v[0], v[dx] = pair(v[0], v[dx])
			}
		}
	}
}

// unwave14 turns a mean and a difference into the two samples.
func unwave14(l, h uint16) (a, b uint16) {
	low, high := int32(int16(l)), int32(int16(h))
	first := low + high&1 + high>>1
	return uint16(first), uint16(first - high)
}

// unwave16 does so where samples need all 16 bits.
func unwave16(l, h uint16) (a, b uint16) {
	b = l - h>>1
	return h + b - 0x8000, b
}

// Of the Huffman code of PIZ.
const (
	pizSymbols = 1<<16 + 1 // all values, and one that repeats
	pizLongest = 58        // bits of a code
	pizQuick   = 12        // bits that are looked up at once
)

// exrHuffman decodes want numbers.
func exrHuffman(b []byte, want int64) ([]uint16, error) {
	if want == 0 || len(b) < 20 {
		return nil, errPIZShort
	}
	low, high := int64(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint32(b[4:]))
	size := int64(binary.LittleEndian.Uint32(b[12:]))
	b = b[20:]
	if low >= pizSymbols || high >= pizSymbols || low > high {
		return nil, errPIZCode
	}
	lengths, rest, err := pizLengths(b, low, high)
	if err != nil {
		return nil, err
	}
	if size > 8*int64(len(rest)) {
		return nil, errPIZShort
	}
	code, err := newPIZCode(lengths)
	if err != nil {
		return nil, err
	}
	// A symbol takes a bit or more, and one that repeats makes 255 of ten.
	if want > 256*(size/10+1)+size {
		return nil, errPIZShort
	}
	out := make([]uint16, 0, want)
	in := pizBits{data: rest, left: size}
	for int64(len(out)) < want {
		s, ok := code.next(&in)
		if !ok {
			return nil, errPIZShort
		}
		if int64(s) != high {
			out = append(out, uint16(s))
			continue
		}
		n, ok := in.take(8)
		if !ok || len(out) == 0 || int64(len(out))+int64(n) > want {
			return nil, errPIZShort
		}
		for range n {
			out = append(out, out[len(out)-1])
		}
	}
	if in.left != 0 {
		return nil, errors.New("PIZ: more data than pixels")
	}
	return out, nil
}

// pizLengths reads how long the code of each symbol from low to high is, 0 for those without one: six bits each,
// of which 59 to 62 stand for 2 to 5 symbols without, and 63 for 6 and what the next eight bits say. It returns
// what follows, which begins at a whole byte.
func pizLengths(b []byte, low, high int64) (lengths []uint8, rest []byte, err error) {
	lengths = make([]uint8, high+1)
	in := pizBits{data: b, left: 8 * int64(len(b))}
	for s := low; s <= high; s++ {
		n, ok := in.take(6)
		if !ok {
			return nil, nil, errPIZShort
		}
		run := int64(0)
		switch {
		case n == 63:
			more, ok := in.take(8)
			if !ok {
				return nil, nil, errPIZShort
			}
			run = int64(more) + 6
		case n >= 59:
			run = int64(n) - 57
		default:
			lengths[s] = uint8(n)
			continue
		}
		if s+run > high+1 {
			return nil, nil, errPIZCode
		}
		s += run - 1
	}
	return lengths, b[(8*int64(len(b))-in.left+7)/8:], nil
}

// pizCode is a canonical Huffman code whose longer codes are the smaller numbers: of each length the codes go up
// from first, in the order of the symbols.
type pizCode struct {
	quick   [1 << pizQuick]uint32 // symbol<<8 | length, 0 for longer codes
	first   [pizLongest + 1]uint64
	count   [pizLongest + 1]uint64
	from    [pizLongest + 1]uint64 // where a length's symbols begin
	symbols []uint32
}

func newPIZCode(lengths []uint8) (*pizCode, error) {
	c := new(pizCode)
	for _, n := range lengths {
		c.count[n]++
	}
	c.count[0] = 0
	next := uint64(0)
	for n := pizLongest; n > 0; n-- {
		c.first[n] = next
		if next += c.count[n]; next > 1<<n {
			return nil, errPIZCode
		}
		next /= 2
	}
	total := uint64(0)
	for n := range c.from {
		c.from[n] = total
		total += c.count[n]
	}
	c.symbols = make([]uint32, total)
	at := c.from
	for s, n := range lengths {
		if n == 0 {
			continue
		}
		c.symbols[at[n]] = uint32(s)
		if n <= pizQuick {
			code := c.first[n] + at[n] - c.from[n]
			if code>>n != 0 {
				return nil, errPIZCode
			}
			for i := range uint64(1) << (pizQuick - n) {
				c.quick[code<<(pizQuick-n)|i] = uint32(s)<<8 | uint32(n)
			}
		}
		at[n]++
	}
	return c, nil
}

// next reads a symbol; it is not ok when the bits that are left are none.
func (c *pizCode) next(in *pizBits) (symbol uint32, ok bool) {
	in.fill()
	if q := c.quick[in.held>>(64-pizQuick)]; q != 0 {
		return q >> 8, in.drop(int64(q & 0xff))
	}
	code, ok := in.take(pizQuick)
	for n := pizQuick; ok; {
		if i := code - c.first[n]; code >= c.first[n] && i < c.count[n] {
			return c.symbols[c.from[n]+i], true
		}
		if n++; n > pizLongest {
			return 0, false
		}
		var bit uint64
		bit, ok = in.take(1)
		code = code<<1 | bit
	}
	return 0, false
}

// pizBits reads bits from the highest of each byte on.
type pizBits struct {
	data []byte
	at   int
	held uint64 // the next bits, from the highest on; zeros after the end
	n    int    // how many of them were read from data
	left int64  // bits that may still be taken
}

func (p *pizBits) fill() {
	for p.n <= 56 && p.at < len(p.data) {
		p.held |= uint64(p.data[p.at]) << (56 - p.n)
		p.at++
		p.n += 8
	}
}

func (p *pizBits) drop(n int64) bool {
	if n > p.left {
		return false
	}
	p.held <<= n
	p.n -= int(n)
	p.left -= n
	return true
}

func (p *pizBits) take(n int) (uint64, bool) {
	p.fill()
	v := p.held >> (64 - n)
	return v, p.drop(int64(n))
}

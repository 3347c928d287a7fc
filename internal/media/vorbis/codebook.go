package vorbis

import (
	"math"
	"math/bits"
	"slices"
)

// codebook is a book of code words, each of which stands for a number, its entry, and, where the book has values, for
// a vector (Vorbis I, 3).
type codebook struct {
	dimensions int
	entries    int
	values     []float32 // entry by entry, dimensions each; nil where the book has none

	// root gives entry and length by the next rootBits bits: entry << 8 | length. Where no code word is that short,
	// it is 0, and long is searched.
	root     []uint32
	rootBits int
	long     []longCode
}

// longCode is a code word longer than a look-up takes, its first bit on top.
type longCode struct {
	code  uint32
	entry int32
	bits  int
}

const (
	maxRootBits = 10

	// maxValues bounds the entries times dimensions of all books of a stream; encoders use some ten thousand.
	maxValues = 1 << 20
)

// noEntry says that what follows is no code word, or ends before one does.
const noEntry = -1

// decode reads a code word and returns its entry.
func (c *codebook) decode(r *bitReader) int {
	w := r.peek()
	e := c.root[w&uint64(len(c.root)-1)]
	if e == 0 {
		return c.decodeLong(r, w)
	}
	if r.pos += int(e & 0xff); r.pos > r.end {
		return noEntry
	}
	return int(e >> 8)
}

// decodeLong is decode of what the look-up does not know.
func (c *codebook) decodeLong(r *bitReader, w uint64) int {
	next := bits.Reverse32(uint32(w))
	i, found := slices.BinarySearchFunc(c.long, next, func(l longCode, v uint32) int {
		switch {
		case l.code < v:
			return -1
		case l.code > v:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	if i < 0 || (c.long[i].code^next)>>(32-c.long[i].bits) != 0 {
		r.pos = r.end + 1
		return noEntry
	}
	if r.pos += c.long[i].bits; r.pos > r.end {
		return noEntry
	}
	return int(c.long[i].entry)
}

// readCodebook reads a book of the set-up header. left is how many values all books may still have.
func readCodebook(r *bitReader, left *int) (*codebook, error) {
	if r.read(24) != 0x564342 {
		return nil, errCodebooks
	}
	c := &codebook{dimensions: int(r.read(16)), entries: int(r.read(24))}
	if *left -= max(1, c.dimensions) * c.entries; r.over() || c.dimensions == 0 || c.entries == 0 || *left < 0 {
		return nil, errCodebooks
	}
	lengths := make([]uint8, c.entries)
	if r.flag() { // in order of length: runs
		length := r.read(5) + 1
		for at := 0; at < len(lengths); length++ {
			run := int(r.read(bitLength(len(lengths) - at)))
			if r.over() || run > len(lengths)-at || length > 32 {
				return nil, errCodebooks
			}
			for range run {
				lengths[at] = uint8(length)
				at++
			}
		}
	} else {
		sparse := r.flag()
		for i := range lengths {
			if !sparse || r.flag() {
				lengths[i] = uint8(r.read(5) + 1)
			}
			if r.over() {
				return nil, errCodebooks
			}
		}
	}
	if err := c.assign(lengths); err != nil {
		return nil, err
	}
	return c, c.readValues(r)
}

// assign gives every entry that is used its code word: the lowest that is free, entry after entry (Vorbis I, 3.2.1).
func (c *codebook) assign(lengths []uint8) error {
	// free[n] is a code word of n bits, its first bit on top, no part of which is taken; there is never more than one
	// of a length. 0 is none, for the first code word of all is 0.
	var free [33]uint32
	codes := make([]longCode, 0, len(lengths))
	longest := 0
	for entry, length := range lengths {
		n := int(length)
		if n == 0 {
			continue
		}
		from, code := 0, uint32(0)
		if len(codes) > 0 {
			for from = n; from > 0 && free[from] == 0; from-- {
			}
			if from == 0 {
				return errCodebooks // more code words than there is room for
			}
			code, free[from] = free[from], 0
		}
		for k := n; k > from; k-- {
			free[k] = code + 1<<(32-k)
		}
		codes = append(codes, longCode{code, int32(entry), n})
		longest = max(longest, n)
	}
	c.rootBits = max(1, min(longest, maxRootBits))
	c.root = make([]uint32, 1<<c.rootBits)
	if len(codes) == 1 && codes[0].bits == 1 { // a book of one entry: either bit is its code word
		c.root[0], c.root[1] = uint32(codes[0].entry)<<8|1, uint32(codes[0].entry)<<8|1
		return nil
	}
	for _, l := range codes {
		if l.bits > c.rootBits {
			c.long = append(c.long, l)
			continue
		}
		for at := bits.Reverse32(l.code); at < 1<<c.rootBits; at += 1 << l.bits {
			c.root[at] = uint32(l.entry)<<8 | uint32(l.bits)
		}
	}
	slices.SortFunc(c.long, func(a, b longCode) int {
		if a.code < b.code {
			return -1
		}
		return 1
	})
	return nil
}

// readValues reads the vectors (Vorbis I, 3.2.1 and 3.3).
func (c *codebook) readValues(r *bitReader) error {
	kind := r.read(4)
	if kind == 0 {
		return nil
	}
	least, step := unpackFloat(r.read(32)), unpackFloat(r.read(32))
	width := int(r.read(4)) + 1
	sum := r.flag()
	n := c.entries * c.dimensions
	switch kind {
	case 1: // a grid: as many values as fit in every dimension
		n = 1
		for power(n+1, c.dimensions, c.entries) {
			n++
		}
	case 2:
	default:
		return errCodebooks
	}
	if n*width > r.end-r.pos {
		return errCodebooks
	}
	numbers := make([]float32, n)
	for i := range numbers {
		numbers[i] = float32(r.read(width))
	}
	c.values = make([]float32, c.entries*c.dimensions)
	for entry := range c.entries {
		v := c.values[entry*c.dimensions:][:c.dimensions]
		last, digits := float32(0), entry
		for i := range v {
			at := entry*c.dimensions + i
			if kind == 1 {
				at = digits % n
				digits /= n
			}
			v[i] = float32(numbers[at]*step) + least + last
			if sum {
				last = v[i]
			}
		}
	}
	return nil
}

// power reports whether v^n <= limit.
func power(v, n, limit int) bool {
	p := 1
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

// unpackFloat reads Vorbis' own form of a number (Vorbis I, 9.2.2).
func unpackFloat(x uint32) float32 {
	v := math.Ldexp(float64(x&0x1fffff), int(x>>21&0x3ff)-788)
	if x>>31 == 1 {
		v = -v
	}
	return float32(v)
}

package mp3

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"sync"

	"prep/internal/media/stereo"
)

// How a frame is decoded (ISO/IEC 11172-3, 2.4.2.7 and 2.4.3.4): a frame has two granules of 576 samples (one
// in MPEG-2), a granule 576 frequency lines a channel. Side information says where a granule's bits lie, which
// may begin in the frames before (the reservoir). The bits hold scale factors and Huffman codes; lines are
// scaled up, joint stereo is undone, and the hybrid filter bank (synthesis.go) makes samples of them.

const (
	lines = 576

	// reservoirSize is how far back a frame may reach: main_data_begin has 9 bits.
	reservoirSize = 511

	// MaxFrameSize bounds a frame: 320 kbit/s at 32 kHz have 1441 bytes; the free format may have more.
	MaxFrameSize = 8192

	// slack is what can be read beyond the end before that is noticed: all scale factors and one look ahead.
	slack = 40
)

// ErrDamaged says that a frame's content is impossible. The frame then counts as silence.
var ErrDamaged = errors.New("damaged MPEG audio frame")

// Decoder decodes the frames of one stream in order. Its zero value is ready.
type Decoder struct {
	buf  [reservoirSize + MaxFrameSize + slack]byte // reservoir, main data of the frame, zeros to read over
	have int                                        // bytes of reservoir

	side    [2][2]granule // by granule, channel
	scfsi   [2]uint8
	factors [2]scaleFactors
	xr      [2][lines]float32
	nonzero [2]int // lines that may differ from 0
	bank    [2]filterBank
	pcm     [2][lines]float32
}

// granule is the side information of one channel of one granule.
type granule struct {
	length       int // bits of scale factors and codes
	bigValues    int // lines in pairs
	gain         int
	compress     int
	blockType    int // 0 long, 1 start, 2 three short, 3 stop
	mixed        bool
	books        [3]uint8
	regions      [2]int // lines where the second and the third region begin
	subblockGain [3]int
	preflag      bool
	scaleShift   uint // scale factors are in steps of 2 or 4 quarters of a power of two
	quadBook     int
}

// scaleFactors are of the long bands first and then of the short ones, three windows a band. limit is the
// number that stands for "no intensity position" in each place.
type scaleFactors struct {
	value [39 + 3]uint8
	limit [39 + 3]uint8
}

// bandEdges gives the first line of each scale factor band.
type bandEdges struct {
	long  [23]int
	short [14]int
}

// Widths of the scale factor bands (ISO/IEC 11172-3, table B.8; 13818-3, table B.2; MPEG-2.5 as everybody
// does it), by rate: 44.1, 48, 32, 22.05, 24, 16, 11.025, 12 and 8 kHz.
var bandTables = func() (t [9]bandEdges) {
	const common = "\x06\x06\x06\x06\x06\x06\x08\x0a\x0c\x0e\x10\x14\x18\x1c\x20\x26\x2e\x34\x3c\x44\x3a\x36"
	const short16 = "\x04\x04\x04\x06\x08\x0a\x0c\x0e\x12\x18\x1e\x28\x12"
	for i, w := range [9][2]string{
		{"\x04\x04\x04\x04\x04\x04\x06\x06\x08\x08\x0a\x0c\x10\x14\x18\x1c\x22\x2a\x32\x36\x4c\x9e", "\x04\x04\x04\x04\x06\x08\x0a\x0c\x0e\x12\x16\x1e\x38"},
		{"\x04\x04\x04\x04\x04\x04\x06\x06\x06\x08\x0a\x0c\x10\x12\x16\x1c\x22\x28\x2e\x36\x36\xc0", "\x04\x04\x04\x04\x06\x06\x0a\x0c\x0e\x10\x14\x1a\x42"},
		{"\x04\x04\x04\x04\x04\x04\x06\x06\x08\x0a\x0c\x10\x14\x18\x1e\x26\x2e\x38\x44\x54\x66\x1a", "\x04\x04\x04\x04\x06\x08\x0c\x10\x14\x1a\x22\x2a\x0c"},
		{common, "\x04\x04\x04\x06\x06\x08\x0a\x0e\x12\x1a\x20\x2a\x12"},
		{"\x06\x06\x06\x06\x06\x06\x08\x0a\x0c\x0e\x10\x12\x16\x1a\x20\x26\x2e\x36\x3e\x46\x4c\x24", "\x04\x04\x04\x06\x08\x0a\x0c\x0e\x12\x18\x20\x2c\x0c"},
		{common, short16},
		{common, short16},
		{common, short16},
		{"\x0c\x0c\x0c\x0c\x0c\x0c\x10\x14\x18\x1c\x20\x28\x30\x38\x40\x4c\x5a\x02\x02\x02\x02\x02", "\x08\x08\x08\x0c\x10\x14\x18\x1c\x24\x02\x02\x02\x1a"},
	} {
		for j := range w[0] {
			t[i].long[j+1] = t[i].long[j] + int(w[0][j])
		}
		for j := range w[1] {
			t[i].short[j+1] = t[i].short[j] + int(w[1][j])
		}
	}
	return t
}()

// powers are |x|^(4/3) for all values that codes can give, and 2^(x/4) for all gains.
type powers struct {
	fourThirds [15 + 1<<13]float32
	quarter    [gainRange]float32
}

const (
	gainZero  = 352 // place of 2^0
	gainRange = gainZero + 46
)

var powerTables = sync.OnceValue(func() *powers {
	p := &powers{}
	for i := range p.fourThirds {
		p.fourThirds[i] = float32(math.Pow(float64(i), 4.0/3))
	}
	for i := range p.quarter {
		p.quarter[i] = float32(math.Exp2(float64(i-gainZero) / 4))
	}
	return p
})

// bitReader reads the most significant bit first from a slice that has slack behind its last byte.
type bitReader struct {
	b   []byte
	pos int // in bits
}

// peek returns the next bits at the top of a word, 57 or more of them.
func (r *bitReader) peek() uint64 {
	return binary.BigEndian.Uint64(r.b[r.pos>>3:]) << (r.pos & 7)
}

func (r *bitReader) read(n uint) int {
	if n == 0 {
		return 0
	}
	v := r.peek() >> (64 - n)
	r.pos += int(n)
	return int(v)
}

// Decode decodes one whole frame to interleaved samples in out, which must have room for
// Samples * Channels of the header, and returns the number of samples a channel. ErrDamaged comes with a frame
// of silence in place of what cannot be decoded; so does a granule whose reservoir is missing, in either channel,
// which is no error: streams are cut.
func (d *Decoder) Decode(frame []byte, out []float32) (samples int, err error) {
	h, main, begin, err := d.open(frame)
	if h.Samples == 0 {
		return 0, err
	}
	n := d.have + copy(d.buf[d.have:], main)
	clear(d.buf[n : n+slack])
	r := bitReader{b: d.buf[:n+slack]}
	// The place where the data begin; negative when the reservoir does not reach back that far.
	pos := (d.have - begin) * 8
	granules := 2
	if h.Version != 1 {
		granules = 1
	}
	for g := range granules {
		missing := pos < 0 // in one channel is in both: what is there of the middle or the side alone is no sound
		for c := range h.Channels {
			s := &d.side[g][c]
			end := pos + s.length
			d.nonzero[c] = 0
			if err == nil && !missing {
				r.pos = pos
				if end > n*8 || !d.readGranule(&h, &r, g, c, end) {
					err = ErrDamaged
					d.nonzero[c] = 0
				}
			}
			pos = end
		}
		if err != nil {
			d.nonzero = [2]int{}
		}
		for c := range h.Channels {
			clear(d.xr[c][d.nonzero[c]:])
		}
		if h.Channels == 2 && (h.middleSide || h.intensity) {
			d.joint(&h, g)
		}
		for c := range h.Channels {
			s := &d.side[g][c]
			d.bank[c].run(&d.xr[c], d.nonzero[c], s.blockType, s.mixed, &bandTables[h.rateIndex], &d.pcm[c])
		}
		if to := out[g*lines*h.Channels:]; h.Channels == 2 {
			stereo.Interleave(to, d.pcm[0][:], d.pcm[1][:])
		} else {
			copy(to, d.pcm[0][:])
		}
	}
	d.keep(n)
	return granules * lines, err
}

// open reads header and side information of a frame: its main data, and how many bytes before them they begin. No
// header comes with an error where there is no frame at all.
func (d *Decoder) open(frame []byte) (h Header, main []byte, begin int, err error) {
	h, ok := ParseHeader(frame)
	at := 4
	if h.CRC {
		at = 6
	}
	if !ok || h.Layer != 3 || len(frame) < at+h.Side || len(frame) > MaxFrameSize {
		return Header{}, nil, 0, ErrDamaged
	}
	begin, err = d.readSide(&h, frame[at:at+h.Side])
	return h, frame[at+h.Side:], begin, err
}

// keep keeps the end of the first n bytes of buf as the reservoir.
func (d *Decoder) keep(n int) {
	k := min(n, reservoirSize)
	copy(d.buf[:], d.buf[n-k:n])
	d.have = k
}

// Followed is what [Decoder.Follow] finds of a frame.
type Followed struct {
	Whole bool // its main data are there, the reservoir's part too
	Coded bool // its last granule has any codes: it is not silence
}

// Follow goes over a frame that another decoder is to decode. ErrDamaged says that Decode would find it damaged, as
// far as that can be seen without reading its codes.
func (d *Decoder) Follow(frame []byte) (f Followed, err error) {
	h, main, begin, err := d.open(frame)
	if err != nil {
		return f, err
	}
	granules := 2
	if h.Version != 1 {
		granules = 1
	}
	length := 0
	for g := range granules {
		f.Coded = false
		for c := range h.Channels {
			length += d.side[g][c].length
			f.Coded = f.Coded || d.side[g][c].length > 0
		}
	}
	if length > 8*(begin+len(main)) {
		return f, ErrDamaged
	}
	f.Whole = begin <= d.have
	d.keep(d.have + copy(d.buf[d.have:], main))
	return f, nil
}

// readSide reads the side information and returns main_data_begin.
func (d *Decoder) readSide(h *Header, b []byte) (begin int, err error) {
	var padded [32 + 8]byte
	copy(padded[:], b)
	r := bitReader{b: padded[:]}
	granules := 1
	if h.Version == 1 {
		begin = r.read(9)
		r.read(uint(7 - 2*h.Channels)) // private: 5 bits in mono, 3 in stereo
		for c := range h.Channels {
			d.scfsi[c] = uint8(r.read(4))
		}
		granules = 2
	} else {
		begin = r.read(8)
		r.read(uint(h.Channels))
		d.scfsi = [2]uint8{}
	}
	edges := &bandTables[h.rateIndex]
	for g := range granules {
		for c := range h.Channels {
			s := &d.side[g][c]
			*s = granule{length: r.read(12), bigValues: 2 * r.read(9), gain: r.read(8)}
			if h.Version == 1 {
				s.compress = r.read(4)
			} else {
				s.compress = r.read(9)
			}
			if s.bigValues > lines {
				err = ErrDamaged
			}
			if r.read(1) == 1 {
				s.blockType = r.read(2)
				s.mixed = r.read(1) == 1
				s.books[0], s.books[1] = uint8(r.read(5)), uint8(r.read(5))
				for w := range s.subblockGain {
					s.subblockGain[w] = r.read(3)
				}
				if s.blockType == 0 {
					err = ErrDamaged // a switched window of the normal kind
				}
				// The first region ends where 36 lines do, or a ninth long band.
				s.regions = [2]int{36, lines}
				if s.blockType != 2 {
					s.regions[0] = edges.long[8]
				} else if h.rateIndex == 8 {
					s.regions[0] = 72
				}
			} else {
				for i := range s.books {
					s.books[i] = uint8(r.read(5))
				}
				first := r.read(4) + 1
				second := first + r.read(3) + 1
				s.regions = [2]int{edges.long[first], edges.long[min(second, 22)]}
			}
			if h.Version == 1 {
				s.preflag = r.read(1) == 1
			}
			s.scaleShift = 1 + uint(r.read(1))
			s.quadBook = bookA + r.read(1)
			if s.blockType != 2 {
				s.mixed = false
			}
		}
	}
	return begin, err
}

// readGranule reads scale factors and lines of a channel up to the bit end.
func (d *Decoder) readGranule(h *Header, r *bitReader, g, c, end int) bool {
	s := &d.side[g][c]
	if h.Version == 1 {
		d.readFactors(r, s, g, c)
	} else {
		d.readFactorsLow(r, s, c, h.intensity && c == 1)
	}
	if r.pos > end {
		return false
	}
	if !d.readLines(r, s, c, end) {
		return false
	}
	d.scale(h, s, c)
	return true
}

// factorBits are the widths of the scale factors of the lower and of the upper bands in MPEG-1.
var factorBits = [16][2]uint{
	{0, 0}, {0, 1}, {0, 2}, {0, 3}, {3, 0}, {1, 1}, {1, 2}, {1, 3},
	{2, 1}, {2, 2}, {2, 3}, {3, 1}, {3, 2}, {3, 3}, {4, 2}, {4, 3},
}

// readFactors reads the scale factors of MPEG-1.
func (d *Decoder) readFactors(r *bitReader, s *granule, g, c int) {
	f := &d.factors[c]
	w := factorBits[s.compress]
	for i := range f.limit {
		f.limit[i] = 7
	}
	if s.blockType == 2 {
		n, lower := 36, 18
		if s.mixed {
			n, lower = 35, 17 // eight long bands, then short ones from the fourth on
		}
		for i := range n {
			width := w[1]
			if i < lower {
				width = w[0]
			}
			f.value[i] = uint8(r.read(width))
		}
		clear(f.value[n:])
		return
	}
	at := 0
	for i, last := range [4]int{6, 11, 16, 21} {
		if g == 1 && d.scfsi[c]>>(3-i)&1 == 1 {
			at = last // as in the first granule
			continue
		}
		for ; at < last; at++ {
			f.value[at] = uint8(r.read(w[i/2]))
		}
	}
	clear(f.value[21:])
}

// factorCounts are how many scale factors have each of the four widths in MPEG-2 (ISO/IEC 13818-3, 2.4.3.2):
// by kind of partition, and by long, short and mixed blocks.
var factorCounts = [6][3][4]int{
	{{6, 5, 5, 5}, {9, 9, 9, 9}, {6, 9, 9, 9}},
	{{6, 5, 7, 3}, {9, 9, 12, 6}, {6, 9, 12, 6}},
	{{11, 10, 0, 0}, {18, 18, 0, 0}, {15, 18, 0, 0}},
	{{7, 7, 7, 0}, {12, 12, 12, 0}, {6, 15, 12, 0}},
	{{6, 6, 6, 3}, {12, 9, 9, 6}, {6, 12, 9, 6}},
	{{8, 8, 5, 0}, {15, 12, 9, 0}, {6, 18, 9, 0}},
}

// readFactorsLow reads the scale factors of MPEG-2. intensity says that they are intensity positions.
func (d *Decoder) readFactorsLow(r *bitReader, s *granule, c int, intensity bool) {
	var width [4]int
	kind := 0
	switch v := s.compress; {
	case intensity:
		switch v >>= 1; {
		case v < 180:
			kind, width = 3, [4]int{v / 36, v % 36 / 6, v % 6, 0}
		case v < 244:
			v -= 180
			kind, width = 4, [4]int{v >> 4, v >> 2 & 3, v & 3, 0}
		default:
			v -= 244
			kind, width = 5, [4]int{v / 3, v % 3, 0, 0}
		}
	case v < 400:
		width = [4]int{(v >> 4) / 5, (v >> 4) % 5, v >> 2 & 3, v & 3}
	case v < 500:
		v -= 400
		kind, width = 1, [4]int{(v >> 2) / 5, (v >> 2) % 5, v & 3, 0}
	default:
		v -= 500
		kind, width = 2, [4]int{v / 3, v % 3, 0, 0}
		s.preflag = true
	}
	blocks := 0
	if s.blockType == 2 {
		blocks = 1
		if s.mixed {
			blocks = 2
		}
	}
	f := &d.factors[c]
	at := 0
	for i, n := range factorCounts[kind][blocks] {
		for range n {
			f.value[at], f.limit[at] = uint8(r.read(uint(width[i]))), uint8(1<<width[i]-1)
			if width[i] == 0 {
				f.limit[at] = 1 // position 0, as nothing else can be said
			}
			at++
		}
	}
	clear(f.value[at:])
	clear(f.limit[at:])
}

// readLines reads the Huffman codes: pairs, then quadruples of values up to 1 as long as there are bits.
// Lines become sign * |x|^(4/3).
func (d *Decoder) readLines(r *bitReader, s *granule, c, end int) bool {
	xr := &d.xr[c]
	books := lookups()
	power := &powerTables().fourThirds
	at := 0
	for region, last := range [3]int{min(s.regions[0], s.bigValues), min(s.regions[1], s.bigValues), s.bigValues} {
		book := pairBooks[s.books[region]]
		if book.text == noBook {
			for ; at < last; at++ {
				xr[at] = 0
			}
			continue
		}
		table, linbits := books[book.text], uint(book.linbits)
		for ; at < last; at += 2 {
			if r.pos >= end { // some encoders count lines that they do not code: zeros
				d.nonzero[c] = at
				return r.pos == end
			}
			w := r.peek()
			e := table[w>>(64-rootLog)]
			used := uint(0)
			if e&entryMore != 0 {
				w <<= rootLog
				used = rootLog
				e = table[e>>8+uint32(w>>(64-e&entryLength))]
			}
			n := uint(e & entryLength)
			w <<= n
			used += n
			x, y := e>>12, e>>8&15
			if linbits > 0 && (x == 15 || y == 15) {
				d.long(r, w, used, linbits, x, y, (*[2]float32)(xr[at:]))
				continue
			}
			// A sign follows what is not 0, and what is 0 gets none: without branches, which no processor foresees.
			signX, signY := (x+15)>>4, (y+15)>>4
			v := math.Float32bits(power[x]) | uint32(w>>32)&(signX<<31)
			w <<= signX
			u := math.Float32bits(power[y]) | uint32(w>>32)&(signY<<31)
			used += uint(signX + signY)
			xr[at], xr[at+1] = math.Float32frombits(v), math.Float32frombits(u)
			r.pos += int(used)
		}
	}
	if r.pos > end {
		return false
	}
	table := books[s.quadBook]
	for at+4 <= lines && r.pos < end {
		w := r.peek()
		e := table[w>>(64-rootLog)]
		n := uint(e & entryLength)
		w <<= n
		v := e >> 8 & 15
		n += uint(bits.OnesCount32(v))
		if r.pos+int(n) > end {
			break // padding that looks like a code
		}
		r.pos += int(n)
		q := (*[4]float32)(xr[at:])
		for i := range q {
			set := v >> (3 - i) & 1
			q[i] = math.Float32frombits((0x3f800000 | uint32(w>>32)&0x80000000) & -set) // 1 or -1, or 0
			w <<= set
		}
		at += 4
	}
	d.nonzero[c] = at
	return true
}

// long finishes a pair of which one value or both go on in linbits bits. w is what follows the code word of used bits.
func (d *Decoder) long(r *bitReader, w uint64, used, linbits uint, x, y uint32, to *[2]float32) {
	power := &powerTables().fourThirds
	for i, v := range [2]uint32{x, y} {
		if v == 15 {
			v += uint32(w >> (64 - linbits))
			w <<= linbits
			used += linbits
		}
		to[i] = power[v]
		if v > 0 {
			to[i] = flip(to[i], w)
			w <<= 1
			used++
		}
	}
	r.pos += int(used)
}

// flip gives v the sign in the top bit of w.
func flip(v float32, w uint64) float32 {
	return math.Float32frombits(math.Float32bits(v) | uint32(w>>32)&0x80000000)
}

// pretab is added to the scale factors of the upper long bands when the preflag is set.
var pretab = [22]uint8{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 2, 0}

// longBands is how many long bands a granule has and which is its first short one.
func (s *granule) longBands(h *Header) (long, firstShort int) {
	switch {
	case s.blockType != 2:
		return 22, 13
	case !s.mixed:
		return 0, 0
	case h.Version == 1:
		return 8, 3
	}
	return 6, 3
}

// scale multiplies the lines by the gains of their bands.
func (d *Decoder) scale(h *Header, s *granule, c int) {
	quarter := &powerTables().quarter
	f := &d.factors[c]
	edges := &bandTables[h.rateIndex]
	gain := s.gain - 210
	if h.middleSide {
		gain -= 2 // 1 / sqrt(2), undone where intensity takes its place
	}
	long, first := s.longBands(h)
	n := d.nonzero[c]
	apply := func(from, to, exponent int) {
		to = min(to, n)
		if from >= to {
			return
		}
		g := quarter[max(0, gainZero+exponent)]
		for i, v := range d.xr[c][from:to] {
			d.xr[c][from+i] = v * g
		}
	}
	for b := range long {
		v := int(f.value[b])
		if s.preflag {
			v += int(pretab[b])
		}
		apply(edges.long[b], edges.long[b+1], gain-v<<s.scaleShift)
	}
	at := long
	for b := first; b < 13; b++ {
		width := edges.short[b+1] - edges.short[b]
		line := 3 * edges.short[b]
		for w := range 3 {
			apply(line, line+width, gain-8*s.subblockGain[w]-int(f.value[at])<<s.scaleShift)
			line += width
			at++
		}
	}
}

// intensityRatios are the shares of left and right by position in MPEG-1: tan(p pi / 12) = left / right.
var intensityRatios = func() (t [7][2]float32) {
	for p := range t {
		s, c := math.Sincos(float64(p) * math.Pi / 12)
		t[p] = [2]float32{float32(s / (s + c)), float32(c / (s + c))}
	}
	return t
}()

// joint turns what a joint stereo frame holds into left and right: sums and differences, and, in the bands
// above the last one where the right channel has anything, intensity.
func (d *Decoder) joint(h *Header, g int) {
	left, right := &d.xr[0], &d.xr[1]
	n := max(d.nonzero[0], d.nonzero[1])
	ms := func(from, to int) {
		if !h.middleSide {
			return
		}
		for i := from; i < to; i++ {
			m, s := left[i], right[i]
			left[i], right[i] = m+s, m-s
		}
	}
	defer func() { d.nonzero = [2]int{n, n} }()
	if !h.intensity {
		ms(0, n)
		return
	}
	s := &d.side[g][1]
	f := &d.factors[1]
	edges := &bandTables[h.rateIndex]
	long, first := s.longBands(h)
	// share applies the position of place at to a band of width lines; false if it has none.
	share := func(from, to, at int) bool {
		p := int(f.value[at])
		var kl, kr float32
		if h.Version == 1 {
			if p >= 7 {
				return false
			}
			kl, kr = intensityRatios[p][0], intensityRatios[p][1]
		} else {
			if p >= int(f.limit[at]) {
				return false
			}
			// Steps of 2^(-1/4), or 2^(-1/2) by the lowest bit; odd positions weaken the left channel.
			step := (p + 1) / 2 * (1 + s.compress&1)
			k := powerTables().quarter[gainZero-step]
			if kl, kr = 1, k; p&1 == 1 {
				kl, kr = k, 1
			}
		}
		if h.middleSide { // undo what scale did for sums and differences
			kl *= math.Sqrt2
			kr *= math.Sqrt2
		}
		for i := from; i < to; i++ {
			v := left[i]
			left[i], right[i] = v*kl, v*kr
		}
		return true
	}
	empty := func(from, to int) bool {
		for _, v := range right[from:to] {
			if v != 0 {
				return false
			}
		}
		return true
	}
	var found [3]bool
	at := long + 3*(13-first)
	for b := 12; b >= first; b-- {
		at -= 3
		width := edges.short[b+1] - edges.short[b]
		for w := 2; w >= 0; w-- {
			from := 3*edges.short[b] + w*width
			found[w] = found[w] || !empty(from, from+width)
			place := at + w
			if b == 12 { // the last band has no scale factor; the one below lends it
				place -= 3
			}
			if found[w] || !share(from, from+width, place) {
				ms(from, from+width)
			}
		}
	}
	any := found[0] || found[1] || found[2]
	for b := long - 1; b >= 0; b-- {
		from, to := edges.long[b], edges.long[b+1]
		any = any || !empty(from, to)
		if any || !share(from, to, min(b, 20)) {
			ms(from, to)
		}
	}
	n = lines
}

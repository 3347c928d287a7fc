package media

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"slices"

	"prep/internal/fault"
	"prep/internal/infile"
)

// FLAC (RFC 9639, and in Ogg as in its section 10.1) is decoded here and not by github.com/mewkiz/flac, which the tests compare it to: that
// library's bit reader takes a byte at a time through a TeeReader and needs two to five times as long (see
// BenchmarkDecodeSound), and it does not tell a file that is cut off from one that is damaged, nor a frame
// that is missing. The bit buffer of 64 bits and the residual loop on it decide the speed.
//
// Every frame's CRC-8 and CRC-16 are checked, and the MD5 of the whole sound when all of it is decoded.

// flacInfo is the STREAMINFO block.
type flacInfo struct {
	soundFormat
	minBlock, maxBlock int // samples of a frame
	sum                [16]byte
	start              int64 // offset of the first frame
}

func readFLACInfo(in *infile.File, offset int64) (flacInfo, error) {
	var f flacInfo
	bad := func(what string) (flacInfo, error) {
		return f, fault.Corruptf("bad_header", "%s: %s", in.Path, what)
	}
	pos := offset + 4
	for n := 0; ; n++ {
		b, err := in.Head(pos, 4+34)
		if err != nil {
			return f, err
		}
		if len(b) < 4 || n == 1000 {
			return bad("the FLAC header is cut off")
		}
		kind, size := b[0]&0x7f, int64(b[1])<<16|int64(b[2])<<8|int64(b[3])
		if n == 0 {
			if kind != 0 || size < 34 || len(b) < 38 {
				return bad("a FLAC file without stream information")
			}
			f.parse(b[4:])
		}
		pos += 4 + size
		if b[0]&0x80 != 0 {
			break
		}
	}
	f.start = pos
	return f, f.check(in.Path)
}

// parse reads the 34 bytes of STREAMINFO.
func (f *flacInfo) parse(b []byte) {
	f.minBlock, f.maxBlock = int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
	v := binary.BigEndian.Uint64(b[10:])
	f.rate = int(v >> 44)
	f.channels = int(v>>41&7) + 1
	f.bits = int(v>>36&31) + 1
	f.frames = int64(v & (1<<36 - 1))
	if f.frames == 0 {
		f.frames = -1
	}
	copy(f.sum[:], b[18:34])
	f.codec = "flac"
}

func (f *flacInfo) check(path string) error {
	if f.bits < 4 {
		return fault.Corruptf("bad_header", "%s: FLAC with %d bits", path, f.bits)
	}
	return f.soundFormat.check(path)
}

// flacFile is an open FLAC file.
type flacFile struct {
	flacInfo
	in *infile.File
}

func openFLAC(in *infile.File, offset int64) (soundDecoder, error) {
	f, err := readFLACInfo(in, offset)
	return flacFile{f, in}, err
}

// length counts the samples. Without a length in the header all frames are decoded: their sizes are written
// nowhere.
func (f flacFile) length() (declared, there int64, rate int, err error) {
	if f.frames > 0 {
		return f.frames, f.frames, f.rate, nil
	}
	d := newFLACDecoder(f.in, f.flacInfo)
	for {
		n, err := d.frame()
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return -1, there, f.rate, nil
			}
			return 0, 0, 0, err
		}
		there += int64(n)
	}
}

func (f flacFile) decode(t *Tools, seg Segment) (*Sound, error) {
	in := f.in
	s := newSound(f.soundFormat)
	first, end := seg.frames(f.rate)
	if f.frames > 0 {
		if first >= f.frames {
			return nil, fault.Corruptf("segment_outside", "%s: the segment starts at %.3f s but the audio ends at %.3f s", in.Path, seg.Start, s.DeclaredSeconds)
		}
		if end < 0 || end > f.frames {
			end = f.frames
		}
	}
	if end >= 0 && end <= first {
		return nil, fault.Corruptf("bad_segment", "%s: segment %v s to %v s holds no sample", in.Path, seg.Start, seg.End)
	}
	if end >= 0 {
		if err := t.checkLength(f.soundFormat, in.Path, end-first); err != nil {
			return nil, err
		}
	}
	d := newFLACDecoder(in, f.flacInfo)
	if first > 0 {
		if err := d.seek(first); err != nil {
			return nil, err
		}
	}
	sought := d.at > 0
	if err := t.readFLAC(d, s, first, end); err != nil {
		if !sought || fault.KindOf(err) != fault.Corrupt {
			return nil, err
		}
		// Bytes that looked like a frame may have misled the search; from the start it is certain.
		d = newFLACDecoder(in, f.flacInfo)
		s.Data, s.Notes = nil, nil
		if err := t.readFLAC(d, s, first, end); err != nil {
			return nil, err
		}
	}
	return s, t.settle(s, f.soundFormat, in.Path, seg, first)
}

// readFLAC decodes from where the decoder stands and keeps the samples [first, end).
func (t *Tools) readFLAC(d *flacDecoder, s *Sound, first, end int64) error {
	var sum hash.Hash
	if d.at == 0 && d.flacInfo.sum != [16]byte{} && end == d.flacInfo.frames {
		sum = md5.New()
	}
	channels := d.channels
	if end >= 0 { // not more than the file can hold: a constant frame of 65535 samples has 14 bytes or more
		capacity := min(end-first, (d.window.in.Size/14+1)*65536)
		s.Data = newSamples(capacity * int64(channels))[:0]
	}
	limit := t.maxFrames(d.soundFormat)
	for end < 0 || d.at < end {
		at := d.at
		n, err := d.frame()
		if err != nil {
			switch {
			case errors.Is(err, io.EOF) && (end < 0 || d.flacInfo.frames < 0):
				return nil
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				if 0 < d.at && d.at <= first {
					return fault.Corruptf("segment_outside", "%s: the segment starts at %.3f s but the audio ends at %.3f s%s", d.window.in.Path,
						float64(first)/float64(d.rate), float64(d.at)/float64(d.rate), cutHint(d.soundFormat, d.at))
				}
				s.Notes = append(s.Notes, fmt.Sprintf("cut off: the file ends at %.3f s", float64(d.at)/float64(d.rate)))
				return nil
			}
			return err
		}
		if sum != nil {
			d.raw = d.appendRaw(d.raw[:0], n)
			sum.Write(d.raw)
		}
		from, to := max(0, first-at), int64(n)
		if end >= 0 {
			to = min(to, end-at)
		}
		if from >= to {
			continue
		}
		if at+to-first > limit {
			return t.checkLength(d.soundFormat, d.window.in.Path, at+to-first)
		}
		have := len(s.Data)
		s.Data = slices.Grow(s.Data, int(to-from)*channels)[:have+int(to-from)*channels]
		d.interleave(s.Data[have:], int(from), int(to))
	}
	if sum != nil && !bytes.Equal(sum.Sum(nil), d.flacInfo.sum[:]) {
		return fault.Corruptf("corrupt_audio", "%s: the sound is not the one that was encoded (MD5 differs)", d.window.in.Path)
	}
	return nil
}

// flacDecoder decodes frame after frame. Its scratch is reused.
type flacDecoder struct {
	flacInfo
	pos    int64 // file offset of the next frame
	at     int64 // sample number of the next frame
	begun  bool  // a frame has been read
	next   uint64
	window fileWindow
	planes [8][]int32
	wide   []int64 // the difference of two channels of 32 bits
	raw    []byte
	r      flacBits
}

func newFLACDecoder(in *infile.File, info flacInfo) *flacDecoder {
	return &flacDecoder{flacInfo: info, window: fileWindow{in: in}, pos: info.start}
}

// flacMaxFrame is longer than any frame of 65535 samples, 8 channels and 32 bits stored as they are.
const flacMaxFrame = 8 << 20

// frame decodes the next frame into planes and returns its samples. io.EOF: the file ends before it, or
// holds no more frames; io.ErrUnexpectedEOF: the file ends inside it.
func (d *flacDecoder) frame() (int, error) {
	for want := 1 << 15; ; want *= 4 {
		b, err := d.window.look(d.pos, want)
		if err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return 0, io.EOF
		}
		atEnd := d.pos+int64(len(b)) == d.window.in.Size
		n, used, err := d.decodeFrame(b)
		if err == nil {
			d.pos += int64(used)
			d.at += int64(n)
			return n, nil
		}
		var broken *flacError
		if errors.As(err, &broken) {
			if broken.lost && (d.flacInfo.frames < 0 || isTagV1(b)) && d.begun {
				return 0, io.EOF // what follows the last frame is no frame
			}
			return 0, fault.Corruptf("corrupt_audio", "%s: damaged at %.3f s: %s", d.window.in.Path, float64(d.at)/float64(d.rate), broken.what)
		}
		// The window ended inside the frame.
		if atEnd {
			return 0, io.ErrUnexpectedEOF
		}
		if want > flacMaxFrame {
			return 0, fault.Corruptf("corrupt_audio", "%s: damaged at %.3f s: a frame without end", d.window.in.Path, float64(d.at)/float64(d.rate))
		}
	}
}

// flacError says what is wrong with a frame; lost that it does not even begin as one.
type flacError struct {
	what string
	lost bool
}

func (e *flacError) Error() string { return e.what }

// flacHeader is a frame header.
type flacHeader struct {
	block      int // samples
	assignment uint32
	number     uint64 // of the frame, or of its first sample if variable
	variable   bool
	size       int // bytes
}

var errFLACSync = &flacError{"no frame where one should begin", true}

// parseFLACHeader reads the header at the start of b and checks it against the stream's.
func (f *flacInfo) parseFLACHeader(b []byte) (h flacHeader, err error) {
	if len(b) < 2 {
		return h, io.ErrUnexpectedEOF
	}
	if b[0] != 0xff || b[1]&0xfe != 0xf8 {
		return h, errFLACSync
	}
	if len(b) < 6 {
		return h, io.ErrUnexpectedEOF
	}
	h.variable = b[1]&1 == 1
	block, rate := b[2]>>4, b[2]&15
	h.assignment = uint32(b[3] >> 4)
	width := b[3] >> 1 & 7
	if block == 0 || rate == 15 || b[3]&1 != 0 || h.assignment > 10 {
		return h, errFLACSync
	}
	if w := [8]int{0, 8, 12, -1, 16, 20, 24, 32}[width]; w != 0 && w != f.bits {
		return h, &flacError{"a frame of another sample size", true}
	}
	channels := int(h.assignment) + 1
	if h.assignment >= 8 {
		channels = 2
	}
	if channels != f.channels {
		return h, &flacError{"a frame of another number of channels", true}
	}
	// The number, coded as UTF-8 would be, up to 36 bits.
	p := 4
	lead := bits.LeadingZeros8(^b[p])
	if lead == 1 || lead == 8 {
		return h, errFLACSync
	}
	extra := max(0, lead-1)
	if len(b) < p+1+extra+5 {
		return h, io.ErrUnexpectedEOF
	}
	h.number = uint64(b[p]) & (1<<(7-lead) - 1)
	for range extra {
		p++
		if b[p]&0xc0 != 0x80 {
			return h, errFLACSync
		}
		h.number = h.number<<6 | uint64(b[p]&0x3f)
	}
	p++
	switch {
	case block == 1:
		h.block = 192
	case block <= 5:
		h.block = 576 << (block - 2)
	case block == 6:
		h.block = int(b[p]) + 1
		p++
	case block == 7:
		h.block = int(b[p])<<8 + int(b[p+1]) + 1
		p += 2
	default:
		h.block = 256 << (block - 8)
	}
	switch rate {
	case 12:
		p++
	case 13, 14:
		p += 2
	}
	if len(b) <= p {
		return h, io.ErrUnexpectedEOF
	}
	if crc8(b[:p]) != b[p] {
		return h, &flacError{"the checksum of a frame header is wrong", true}
	}
	h.size = p + 1
	return h, nil
}

// sample is the number of the header's first sample; false where only counting from the start can tell.
func (f *flacInfo) sample(h flacHeader) (int64, bool) {
	if h.variable {
		return int64(h.number), true
	}
	return int64(h.number) * int64(f.minBlock), f.minBlock == f.maxBlock
}

func (d *flacDecoder) decodeFrame(b []byte) (n, used int, err error) {
	h, err := d.parseFLACHeader(b)
	if err != nil {
		return 0, 0, err
	}
	if d.begun && h.number != d.next {
		return 0, 0, &flacError{"frames are missing before this one", false}
	}
	d.r = flacBits{b: b, p: h.size}
	for c := range d.channels {
		if cap(d.planes[c]) < h.block {
			d.planes[c] = make([]int32, max(h.block, d.maxBlock))
		}
		d.planes[c] = d.planes[c][:h.block]
		width := uint(d.bits)
		if h.assignment == 8 && c == 1 || h.assignment == 9 && c == 0 || h.assignment == 10 && c == 1 {
			width++ // a difference
		}
		if width == 33 {
			err = d.r.subframeWide(d.wideSide(h.block), d.planes[c])
		} else {
			err = d.r.subframe(d.planes[c], width)
		}
		if err != nil {
			if d.r.over() {
				err = io.ErrUnexpectedEOF // what was found wrong are the zeros behind the end
			}
			return 0, 0, err
		}
	}
	end := d.r.align()
	if end+2 > len(b) {
		return 0, 0, io.ErrUnexpectedEOF
	}
	if crc16(b[:end]) != binary.BigEndian.Uint16(b[end:]) {
		return 0, 0, &flacError{"the checksum of a frame is wrong", false}
	}
	if h.assignment >= 8 && d.bits == 32 {
		d.joinWide(h.assignment)
	} else if l := d.planes[0]; h.assignment >= 8 {
		r := d.planes[1][:len(l)]
		switch h.assignment {
		case 8: // left, left - right
			for i, v := range l {
				r[i] = v - r[i]
			}
		case 9: // left - right, right
			for i := range l {
				l[i] += r[i]
			}
		case 10: // middle, left - right
			n := joinMiddlePairs(l, r)
			plainJoinMiddle(l[n:], r[n:])
		}
	}
	d.begun = true
	if d.next = h.number + 1; h.variable {
		d.next = h.number + uint64(h.block)
	}
	return h.block, end + 2, nil
}

// plainJoinMiddle makes left and right of middle and difference.
func plainJoinMiddle(l, r []int32) {
	r = r[:len(l)]
	for i := range l {
		m, s := l[i]<<1|r[i]&1, r[i]
		l[i], r[i] = (m+s)>>1, (m-s)>>1
	}
}

// plainInterleave converts two channels.
func plainInterleave(out []float32, l, r []int32, scale float32) {
	r = r[:len(l)]
	for i, v := range l {
		out[2*i] = float32(v) * scale
		out[2*i+1] = float32(r[i]) * scale
	}
}

// plainPack writes two channels of 16 bits.
func plainPack(b []byte, l, r []int32) {
	r = r[:len(l)]
	for i, v := range l {
		binary.LittleEndian.PutUint32(b[4*i:], uint32(uint16(v))|uint32(r[i])<<16)
	}
}

// wideSide is the scratch for a difference of 33 bits.
func (d *flacDecoder) wideSide(n int) []int64 {
	if cap(d.wide) < n {
		d.wide = make([]int64, n)
	}
	d.wide = d.wide[:n]
	return d.wide
}

// joinWide makes left and right of what a frame of 32 bits holds.
func (d *flacDecoder) joinWide(assignment uint32) {
	l, r := d.planes[0], d.planes[1]
	for i, s := range d.wide {
		switch assignment {
		case 8:
			r[i] = int32(int64(l[i]) - s)
		case 9:
			l[i] = int32(s + int64(r[i]))
		case 10:
			m := int64(l[i])<<1 | s&1
			l[i], r[i] = int32((m+s)>>1), int32((m-s)>>1)
		}
	}
}

// interleave converts the samples [from, to) of the frame: out[i] = sample / 2^(bits-1).
func (d *flacDecoder) interleave(out []float32, from, to int) {
	scale := float32(1) / float32(int64(1)<<(d.bits-1))
	switch d.channels {
	case 1:
		for i, v := range d.planes[0][from:to] {
			out[i] = float32(v) * scale
		}
	case 2:
		l, r := d.planes[0][from:to], d.planes[1][from:to]
		n := interleavePairs(out, l, r, scale)
		plainInterleave(out[2*n:], l[n:], r[n:], scale)
	default:
		for c := range d.channels {
			for i, v := range d.planes[c][from:to] {
				out[i*d.channels+c] = float32(v) * scale
			}
		}
	}
}

// appendRaw appends the frame as the MD5 is made of it: interleaved, little-endian, whole bytes.
func (d *flacDecoder) appendRaw(b []byte, n int) []byte {
	if d.bits > 8 && d.bits <= 16 && d.channels == 2 {
		l, r := d.planes[0][:n], d.planes[1][:n]
		b = slices.Grow(b, 4*n)[:4*n]
		done := packPairs(b, l, r)
		plainPack(b[4*done:], l[done:], r[done:])
		return b
	}
	width := (d.bits + 7) / 8
	for i := range n {
		for _, plane := range d.planes[:d.channels] {
			v := plane[i]
			for range width {
				b = append(b, byte(v))
				v >>= 8
			}
		}
	}
	return b
}

// seek goes to a frame at or before the sample: bisection over the file by the numbers in frame headers,
// down to a stretch that is quicker to decode than to search. Without numbers to go by it stays at the start.
func (d *flacDecoder) seek(sample int64) error {
	if d.flacInfo.frames <= 0 {
		return nil
	}
	lo, hi := d.start, d.window.in.Size
	for hi-lo > 2*readAhead {
		mid := lo + (hi-lo)/2
		b, err := d.window.look(mid, readAhead)
		if err != nil {
			return err
		}
		b = b[:min(len(b), readAhead)]
		found := false
		for i := 0; i+16 < len(b); i++ {
			if b[i] != 0xff || b[i+1]&0xfe != 0xf8 {
				continue
			}
			h, err := d.parseFLACHeader(b[i:])
			if err != nil {
				continue
			}
			at, ok := d.sample(h)
			if !ok || at >= d.flacInfo.frames {
				continue
			}
			found = true
			if at <= sample {
				lo = mid + int64(i)
				d.pos, d.at = lo, at
			} else {
				hi = mid
			}
			break
		}
		if !found {
			break
		}
	}
	return nil
}

// flacBits reads bits, the most significant first. buf holds the next n bits at its top; below them it may
// hold bits of the byte at p already.
type flacBits struct {
	b   []byte
	p   int
	buf uint64
	n   uint
}

// fill tops the buffer up to 56 bits or more; zeros come after the end, which over tells.
func (r *flacBits) fill() {
	if r.p+8 <= len(r.b) {
		r.buf |= binary.BigEndian.Uint64(r.b[r.p:]) >> r.n
		k := (63 - r.n) >> 3
		r.p += int(k)
		r.n += k * 8
		return
	}
	// Fewer than eight bytes are left: what the fast path left below the n bits is theirs too.
	r.buf &^= 1<<(64-r.n) - 1
	for r.n <= 56 {
		var c byte
		if r.p < len(r.b) {
			c = r.b[r.p]
		}
		r.p++
		r.buf |= uint64(c) << (56 - r.n)
		r.n += 8
	}
}

// over reports that more was read than there is.
func (r *flacBits) over() bool { return r.p-int(r.n/8) > len(r.b) }

// align goes on to the next whole byte and returns its position.
func (r *flacBits) align() int {
	r.buf <<= r.n & 7
	r.n &^= 7
	return r.p - int(r.n/8)
}

func (r *flacBits) unsigned(k uint) uint32 {
	if k == 0 {
		return 0
	}
	if r.n < k {
		r.fill()
	}
	v := r.buf >> (64 - k)
	r.buf <<= k
	r.n -= k
	return uint32(v)
}

func (r *flacBits) signed(k uint) int32 {
	return int32(r.unsigned(k)<<(32-k)) >> (32 - k)
}

// unary counts zeros up to a one; more than limit of them, or the end, give limit + 1.
func (r *flacBits) unary(limit uint32) uint32 {
	var q uint32
	for {
		if r.n == 0 {
			r.fill()
		}
		z := uint(bits.LeadingZeros64(r.buf))
		if z < r.n {
			r.buf <<= z + 1
			r.n -= z + 1
			return q + uint32(z)
		}
		q += uint32(r.n)
		r.buf, r.n = 0, 0
		if q > limit || r.p > len(r.b) {
			return limit + 1
		}
	}
}

// rice reads Rice codes with parameter k: a unary quotient, k bits, the sign in the lowest. false when a
// residual does not fit 32 bits or the data end.
//
// The buffer is topped up for a fixed number of codes, which it nearly always holds, and without asking whether it
// must: such branches would be mispredicted. All shifts are masked, which is what the processor does anyway.
func (r *flacBits) rice(out []int32, k uint) bool {
	k &= 31
	group := 1
	switch {
	case k <= 8:
		group = 4
	case k <= 12:
		group = 3
	case k <= 18:
		group = 2
	}
	for len(out) > 0 {
		b := r.b
		if r.p+8 <= len(b) {
			r.fill() // what is below the n bits is then as the loop wants it
		}
		buf, n, p := r.buf, r.n, r.p
	codes:
		for p <= len(b)-8 {
			buf |= binary.BigEndian.Uint64(b[p:]) >> (n & 63)
			p += int((63 - n) >> 3)
			n |= 56
			for i := range out[:min(group, len(out))] {
				z := uint(bits.LeadingZeros64(buf))
				if z+1+k > n {
					if i == 0 {
						break codes
					}
					out = out[i:]
					continue codes
				}
				rest := buf << ((z + 1) & 63)
				v := uint32(z<<k) | uint32(rest>>1>>((63-k)&63))
				buf = rest << (k & 63)
				n -= z + 1 + k
				out[i] = int32(v>>1) ^ -int32(v&1)
			}
			if len(out) <= group {
				r.buf, r.n, r.p = buf, n, p
				return true
			}
			out = out[group:]
		}
		r.buf, r.n, r.p = buf, n, p
		// A long code, or one near the end.
		limit := uint32(1)<<(32-k) - 1
		q := r.unary(limit)
		if q > limit && k > 0 || r.p > len(r.b)+8 {
			return false
		}
		v := q<<k | r.unsigned(k)
		out[0] = int32(v>>1) ^ -int32(v&1)
		out = out[1:]
	}
	return true
}

var errFLACResidual = &flacError{"a residual is damaged", false}

// residual reads the partitions of the block's residual; the first order samples have none.
func (r *flacBits) residual(out []int32, order int) error {
	method, width := r.unsigned(2), uint(4)
	if method > 1 {
		return errFLACResidual
	}
	if method == 1 {
		width = 5
	}
	partitions := 1 << r.unsigned(4)
	size := len(out) / partitions
	if size*partitions != len(out) || size < order {
		return errFLACResidual
	}
	at := order
	for i := range partitions {
		part := out[at : (i+1)*size]
		at = (i + 1) * size
		k := uint(r.unsigned(width))
		if k == 1<<width-1 { // escape: plain numbers
			w := uint(r.unsigned(5))
			for j := range part {
				part[j] = r.signed(w)
			}
		} else if !r.rice(part, k) {
			return errFLACResidual
		}
		if r.over() {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// subframe decodes one channel of a block whose samples have width bits.
func (r *flacBits) subframe(out []int32, width uint) error {
	if r.unsigned(1) != 0 {
		return &flacError{"a subframe is damaged", false}
	}
	kind := r.unsigned(6)
	var wasted uint
	if r.unsigned(1) == 1 {
		wasted = uint(r.unary(32)) + 1
		if wasted >= width {
			return &flacError{"a subframe is damaged", false}
		}
		width -= wasted
	}
	warmUp := func(order int) error {
		if order > len(out) {
			return &flacError{"a predictor is longer than its block", false}
		}
		for i := range order {
			out[i] = r.signed(width)
		}
		return nil
	}
	switch {
	case kind == 0:
		v := r.signed(width)
		for i := range out {
			out[i] = v
		}
	case kind == 1:
		for i := range out {
			out[i] = r.signed(width)
		}
	case kind >= 8 && kind <= 12:
		order := int(kind - 8)
		if err := warmUp(order); err != nil {
			return err
		}
		if err := r.residual(out, order); err != nil {
			return err
		}
		fixedPredict(out, order)
	case kind >= 32:
		order := int(kind-32) + 1
		if err := warmUp(order); err != nil {
			return err
		}
		precision := uint(r.unsigned(4)) + 1
		shift := r.signed(5)
		if precision == 16 || shift < 0 {
			return &flacError{"a predictor is damaged", false}
		}
		var c [32]int64
		for i := range order {
			c[i] = int64(r.signed(precision))
		}
		if err := r.residual(out, order); err != nil {
			return err
		}
		linearPredict(out, c[:order], uint(shift))
	default:
		return &flacError{"a subframe of an unknown kind", false}
	}
	if wasted > 0 {
		for i := range out {
			out[i] <<= wasted
		}
	}
	if r.over() {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// subframeWide decodes a channel whose samples have 33 bits: the difference of two of 32. scratch is for the
// residual, whose numbers have 32 bits at most (RFC 9639, 9.2.7.3).
func (r *flacBits) subframeWide(out []int64, scratch []int32) error {
	width := uint(33)
	signed := func() int64 {
		v := uint64(r.unsigned(width-1))<<1 | uint64(r.unsigned(1))
		return int64(v<<(64-width)) >> (64 - width)
	}
	if r.unsigned(1) != 0 {
		return &flacError{"a subframe is damaged", false}
	}
	kind := int(r.unsigned(6))
	var wasted uint
	if r.unsigned(1) == 1 {
		wasted = uint(r.unary(33)) + 1
		if wasted >= width {
			return &flacError{"a subframe is damaged", false}
		}
		width -= wasted
	}
	var c [32]int64
	order, shift := 0, uint(0)
	switch {
	case kind == 0:
		v := signed()
		for i := range out {
			out[i] = v
		}
	case kind == 1:
		for i := range out {
			out[i] = signed()
		}
	case kind >= 8 && kind <= 12 || kind >= 32:
		if order = kind - 8; kind >= 32 {
			order = kind - 31
		}
		if order > len(out) {
			return &flacError{"a predictor is longer than its block", false}
		}
		for i := range order {
			out[i] = signed()
		}
		if kind >= 32 {
			precision, s := uint(r.unsigned(4))+1, r.signed(5)
			if precision == 16 || s < 0 {
				return &flacError{"a predictor is damaged", false}
			}
			for i := range order {
				c[i] = int64(r.signed(precision))
			}
			shift = uint(s)
		} else {
			copy(c[:], [5][]int64{{}, {1}, {2, -1}, {3, -3, 1}, {4, -6, 4, -1}}[order])
		}
		if err := r.residual(scratch, order); err != nil {
			return err
		}
		for i := order; i < len(out); i++ {
			var sum int64
			for j := range order {
				sum += c[j] * out[i-1-j]
			}
			out[i] = sum>>shift + int64(scratch[i])
		}
	default:
		return &flacError{"a subframe of an unknown kind", false}
	}
	for i := range out {
		out[i] <<= wasted
	}
	if r.over() {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// fixedPredict adds the polynomial predictors of RFC 9639, 9.2.5 to the residual in place.
func fixedPredict(out []int32, order int) {
	switch order {
	case 1:
		for i := 1; i < len(out); i++ {
			out[i] += out[i-1]
		}
	case 2:
		for i := 2; i < len(out); i++ {
			out[i] += 2*out[i-1] - out[i-2]
		}
	case 3:
		for i := 3; i < len(out); i++ {
			out[i] += 3*out[i-1] - 3*out[i-2] + out[i-3]
		}
	case 4:
		for i := 4; i < len(out); i++ {
			out[i] += 4*out[i-1] - 6*out[i-2] + 4*out[i-3] - out[i-4]
		}
	}
}

// linearPredict adds sum(c[j] x[i-1-j]) >> shift to the residual in place.
func linearPredict(out []int32, c []int64, shift uint) {
	shift &= 63
	taps := 8 // as many as encoders use at their default level; missing ones are zeros
	if len(c) > taps {
		taps = max(12, len(c))
	}
	plainPredict(out[:min(taps, len(out))], c, shift)
	if len(out) <= taps {
		return
	}
	// The newest sample is kept in a register: fetched from memory, where it has just been written, it would
	// make every step wait for the one before.
	newest := int64(out[taps-1])
	c = append(c, make([]int64, taps-len(c))...)
	switch taps {
	case 8:
		c := (*[8]int64)(c)
		c0, c1, c2, c3, c4, c5, c6, c7 := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
		for h := out; len(h) > 8; h = h[1:] {
			w := (*[9]int32)(h)
			sum := c7*int64(w[0]) + c6*int64(w[1]) + c5*int64(w[2]) + c4*int64(w[3]) +
				c3*int64(w[4]) + c2*int64(w[5]) + c1*int64(w[6])
			w[8] += int32((sum + c0*newest) >> shift)
			newest = int64(w[8])
		}
	case 12:
		c := (*[12]int64)(c)
		for h := out; len(h) > 12; h = h[1:] {
			w := (*[13]int32)(h)
			sum := c[11]*int64(w[0]) + c[10]*int64(w[1]) + c[9]*int64(w[2]) + c[8]*int64(w[3]) +
				c[7]*int64(w[4]) + c[6]*int64(w[5]) + c[5]*int64(w[6]) + c[4]*int64(w[7]) +
				c[3]*int64(w[8]) + c[2]*int64(w[9]) + c[1]*int64(w[10])
			w[12] += int32((sum + c[0]*newest) >> shift)
			newest = int64(w[12])
		}
	default:
		for i := taps; i < len(out); i++ {
			w := out[i-taps : i-1]
			var sum int64
			for j, x := range w {
				sum += c[taps-1-j] * int64(x)
			}
			out[i] += int32((sum + c[0]*newest) >> shift)
			newest = int64(out[i])
		}
	}
}

// plainPredict is linearPredict as it is defined.
func plainPredict(out []int32, c []int64, shift uint) {
	for i := len(c); i < len(out); i++ {
		var sum int64
		for j, k := range c {
			sum += k * int64(out[i-1-j])
		}
		out[i] += int32(sum >> shift)
	}
}

// CRC-8 with polynomial x^8 + x^2 + x + 1, CRC-16 with x^16 + x^15 + x^2 + 1, both from 0, not reflected.
var crc8Table, crc16Table = func() (t8 [256]byte, t16 [16][256]uint16) {
	for i := range 256 {
		c8, c16 := byte(i), uint16(i)<<8
		for range 8 {
			if c8 = c8<<1 ^ c8>>7*0x07; c16&0x8000 != 0 {
				c16 = c16<<1 ^ 0x8005
			} else {
				c16 <<= 1
			}
		}
		t8[i], t16[0][i] = c8, c16
	}
	for k := 1; k < len(t16); k++ {
		for i := range 256 {
			c := t16[k-1][i]
			t16[k][i] = c<<8 ^ t16[0][c>>8]
		}
	}
	return
}()

func crc8(b []byte) (c byte) {
	for _, v := range b {
		c = crc8Table[c^v]
	}
	return c
}

// crc16 takes sixteen bytes a step: table k moves a byte's remainder on by k bytes. Only the first two of them
// wait for the step before.
func crc16(b []byte) (c uint16) {
	t := &crc16Table
	for ; len(b) >= 16; b = b[16:] {
		rest := t[13][b[2]] ^ t[12][b[3]] ^ t[11][b[4]] ^ t[10][b[5]] ^ t[9][b[6]] ^ t[8][b[7]] ^ t[7][b[8]] ^
			t[6][b[9]] ^ t[5][b[10]] ^ t[4][b[11]] ^ t[3][b[12]] ^ t[2][b[13]] ^ t[1][b[14]] ^ t[0][b[15]]
		c = t[15][b[0]^byte(c>>8)] ^ t[14][b[1]^byte(c)] ^ rest
	}
	for _, v := range b {
		c = c<<8 ^ t[0][byte(c>>8)^v]
	}
	return c
}

// openOggFLAC reads the headers of FLAC in Ogg: STREAMINFO in the first packet, a packet for each further
// metadata block. Every packet after them is a frame.
func openOggFLAC(in *infile.File) (*oggSound, error) {
	o := newOggStream(in)
	packets, err := o.headerPackets(1, maxVorbisHeaders)
	if err != nil {
		return nil, err
	}
	id := packets[0]
	if len(id) < 9+4+4+34 || string(id[9:13]) != "fLaC" || id[13]&0x7f != 0 {
		return nil, fault.Corruptf("bad_header", "%s: FLAC in Ogg without stream information", in.Path)
	}
	d := &oggFLAC{}
	d.flac.window.in = in
	d.flac.parse(id[17:])
	if err := d.flac.check(in.Path); err != nil {
		return nil, err
	}
	for last, n := id[13]&0x80 != 0, 0; !last; n++ {
		if packets, err = o.headerPackets(1, maxVorbisHeaders); err != nil {
			return nil, err
		}
		if len(packets[0]) < 4 || n == 1000 {
			return nil, fault.Corruptf("bad_header", "%s: the FLAC metadata in Ogg are damaged", in.Path)
		}
		last = packets[0][0]&0x80 != 0
	}
	return &oggSound{soundFormat: d.flac.soundFormat, oggStream: o, oggDecoder: d, finish: d.finish}, nil
}

// oggFLAC decodes packets that are FLAC frames.
type oggFLAC struct {
	flac flacDecoder
	sum  hash.Hash
	out  []float32
}

func (d *oggFLAC) decode(packet []byte) ([]float32, error) {
	if len(packet) == 0 {
		return nil, nil
	}
	n, _, err := d.flac.decodeFrame(packet)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = &flacError{"a frame is longer than its packet", false}
	}
	if err != nil {
		return nil, err
	}
	if d.sum != nil {
		d.flac.raw = d.flac.appendRaw(d.flac.raw[:0], n)
		d.sum.Write(d.flac.raw)
	}
	d.out = slices.Grow(d.out[:0], n*d.flac.channels)[:n*d.flac.channels]
	d.flac.interleave(d.out, 0, n)
	return d.out, nil
}

func (d *oggFLAC) restart() {
	d.flac.begun = false
	if d.sum = nil; d.flac.sum != [16]byte{} {
		d.sum = md5.New()
	}
}

// finish checks the sum of all that was decoded since the start.
func (d *oggFLAC) finish() error {
	if d.sum != nil && !bytes.Equal(d.sum.Sum(nil), d.flac.sum[:]) {
		return fault.Corruptf("corrupt_audio", "%s: the sound is not the one that was encoded (MD5 differs)", d.flac.window.in.Path)
	}
	return nil
}

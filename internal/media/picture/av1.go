package picture

// av1Colours is what an AV1 stream says of its samples.
type av1Colours struct {
	matrix    int // as ITU-T H.273 numbers them
	fullRange int // 0 or 1
}

// readAV1Colours finds the sequence header among the units of b (AV1 Bitstream & Decoding Process Specification,
// 5.5) and reads it as far as its colours.
func readAV1Colours(b []byte) (c av1Colours, ok bool) {
	for len(b) > 0 {
		head := b[0]
		b = b[1:]
		if head&4 != 0 && len(b) > 0 { // an extension of one byte
			b = b[1:]
		}
		size := uint64(len(b))
		if head&2 != 0 {
			size = 0
			for i := range 8 {
				if len(b) == 0 {
					return c, false
				}
				more := b[0]
				b = b[1:]
				if size |= uint64(more&0x7f) << (7 * i); more < 0x80 {
					break
				}
			}
		}
		if size > uint64(len(b)) {
			return c, false
		}
		if head>>3&15 == 1 {
			r := av1Bits{b: b[:size]}
			c = r.sequence()
			return c, !r.over
		}
		b = b[size:]
	}
	return c, false
}

type av1Bits struct {
	b    []byte
	at   int
	over bool
}

func (r *av1Bits) take(n int) (v int) {
	for range n {
		if r.at >= 8*len(r.b) {
			r.over = true
			return 0
		}
		v = v<<1 | int(r.b[r.at/8]>>(7-r.at%8)&1)
		r.at++
	}
	return v
}

func (r *av1Bits) flag() bool { return r.take(1) != 0 }

// sequence reads a sequence header (5.5.1, 5.5.2).
func (r *av1Bits) sequence() av1Colours {
	profile := r.take(3)
	r.take(1) // still_picture
	reduced := r.flag()
	if reduced {
		r.take(5) // seq_level_idx
	} else {
		r.operatingPoints()
	}
	width, height := r.take(4)+1, r.take(4)+1
	r.take(width)
	r.take(height)
	if !reduced && r.flag() { // frame_id_numbers_present_flag
		r.take(7)
	}
	r.take(3) // superblocks, filter_intra, intra_edge_filter
	if !reduced {
		r.take(4) // interintra_compound, masked_compound, warped_motion, dual_filter
		order := r.flag()
		if order {
			r.take(2)
		}
		screen := r.flag() // seq_choose_screen_content_tools
		if !screen {
			screen = r.flag()
		}
		if screen && !r.flag() { // seq_choose_integer_mv
			r.take(1)
		}
		if order {
			r.take(3)
		}
	}
	r.take(3) // superres, cdef, restoration
	if r.flag() && profile == 2 {
		r.take(1) // twelve_bit
	}
	grey := profile != 1 && r.flag()
	c := av1Colours{matrix: 2}
	var primaries, transfer int
	if r.flag() {
		primaries, transfer, c.matrix = r.take(8), r.take(8), r.take(8)
	}
	if !grey && primaries == 1 && transfer == 13 && c.matrix == 0 { // sRGB
		c.fullRange = 1
		return c
	}
	c.fullRange = r.take(1)
	return c
}

// operatingPoints reads past what stands before the size of a sequence of several pictures.
func (r *av1Bits) operatingPoints() {
	delay := 0 // bits of a decoder's delay; 0 when there is no model of it
	if r.flag() {
		r.take(64)    // units of time
		if r.flag() { // equal_picture_interval, then a number in Exp-Golomb's code
			zeros := 0
			for !r.over && !r.flag() {
				zeros++
			}
			r.take(min(zeros, 32))
		}
		if r.flag() {
			delay = r.take(5) + 1
			r.take(42)
		}
	}
	initial := r.flag()
	for range r.take(5) + 1 {
		r.take(12)
		if r.take(5) > 7 {
			r.take(1)
		}
		if delay > 0 && r.flag() {
			r.take(2*delay + 1)
		}
		if initial && r.flag() {
			r.take(4)
		}
	}
}

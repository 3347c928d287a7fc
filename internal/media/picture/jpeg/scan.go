package jpeg

// scanParams is a scan header (B.2.3).
type scanParams struct {
	comp   []*component
	dc, ac []*huffman
	ss, se int // spectral band
	ah, al uint8
	pred   [4]int32
	eobRun int
}

// scan reads a scan header and decodes the scan.
func (d *decoder) scan(b []byte) error {
	if d.comp == nil {
		return d.errorf("a scan before the frame header")
	}
	if len(b) < 1 || b[0] < 1 || b[0] > 4 || len(b) < 4+2*int(b[0]) {
		return d.errorf("a bad scan header")
	}
	n := int(b[0])
	s := scanParams{}
	perMCU := 0
	for i := range n {
		var c *component
		for j := range d.comp {
			if d.comp[j].id == b[1+2*i] {
				c = &d.comp[j]
			}
		}
		if c == nil {
			return d.errorf("a scan of an unknown component %d", b[1+2*i])
		}
		for _, o := range s.comp {
			if o == c {
				return d.errorf("a scan with component %d twice", c.id)
			}
		}
		dc, ac := b[2+2*i]>>4, b[2+2*i]&15
		if dc > 3 || ac > 3 {
			return d.errorf("a scan with Huffman tables %d and %d", dc, ac)
		}
		s.comp, s.dc, s.ac = append(s.comp, c), append(s.dc, d.dc[dc]), append(s.ac, d.ac[ac])
		perMCU += c.h * c.v
	}
	if n > 1 && perMCU > 10 {
		return d.errorf("a scan of %d blocks in an MCU", perMCU)
	}
	tail := b[1+2*n:]
	s.ss, s.se, s.ah, s.al = int(tail[0]), int(tail[1]), tail[2]>>4, tail[2]&15
	if !d.progressive {
		s.ss, s.se, s.ah, s.al = 0, 63, 0, 0
	} else if s.ss > s.se || s.se > 63 || s.ss == 0 && s.se != 0 || s.ss > 0 && n > 1 || s.al > 13 || s.ah != 0 && s.ah != s.al+1 {
		return d.errorf("a progressive scan of coefficients %d to %d, bits %d to %d", s.ss, s.se, s.ah, s.al)
	}
	for i, c := range s.comp {
		if (s.ss == 0 && s.ah == 0 && s.dc[i] == nil) || (s.se > 0 && s.ac[i] == nil) {
			return d.errorf("a scan without its Huffman table")
		}
		if c.quant == nil {
			if c.quant = d.quant[c.selector]; c.quant == nil {
				return d.errorf("a scan without its quantisation table")
			}
		}
		if !d.progressive && c.seen {
			return d.errorf("a second scan of component %d", c.id)
		}
		c.seen = true
		for k := s.ss; k <= s.se; k++ {
			c.sent[k] = int(s.al) + 1 // 0: never, 1: to the last bit
		}
	}
	stream := d.stream && n == 3 && len(d.comp) == 3 && !d.progressive && !d.isRGB()
	for _, c := range s.comp {
		stream = stream && c.v != 3 // of a ring the height is a power of 2
	}
	if !d.begun() {
		d.allocate(stream)
	}
	d.segment()
	d.walk = walk{scanParams: s, wide: d.mcusX, high: d.mcusY, left: d.interval}
	if n == 1 {
		d.walk.wide, d.walk.high = s.comp[0].wide, s.comp[0].high
	}
	if !d.progressive {
		d.walk.unroll()
	}
	if d.streaming = stream; stream {
		return nil
	}
	return d.rest()
}

// rest decodes what is left of a scan.
func (d *decoder) rest() error {
	for d.walk.y < d.walk.high {
		if err := d.mcuRow(); err != nil {
			return err
		}
	}
	return nil
}

// walk is how far a scan has come.
type walk struct {
	scanParams
	units      []unit // the blocks of an MCU, in a sequential scan
	wide, high int    // in MCUs
	y          int    // the next row of MCUs
	left       int    // MCUs to the next restart, where there are any
	restart    uint8  // its number
}

// unit is a block of an MCU.
type unit struct {
	c             *component
	dc, ac        *huffman
	pred          *int32
	across, down  int // blocks of the component in an MCU
	right, bottom int // the block's place among them
}

// unroll lists the blocks of an MCU.
func (w *walk) unroll() {
	w.units = nil
	for i, c := range w.comp {
		w.dc[i].prepare()
		w.ac[i].prepare()
		across, down := c.h, c.v
		if len(w.comp) == 1 {
			across, down = 1, 1
		}
		for y := range down {
			for x := range across {
				w.units = append(w.units, unit{c, w.dc[i], w.ac[i], &w.pred[i], across, down, x, y})
			}
		}
	}
}

// mcuRow decodes a row of MCUs (A.2): of blocks of all components if the scan has several, else of one block of the
// plane proper.
func (d *decoder) mcuRow() error {
	s := &d.walk
	single := len(s.comp) == 1
	my := s.y
	s.y++
	for mx := range s.wide {
		if d.interval > 0 {
			if s.left == 0 {
				if err := d.restart(s.restart); err != nil {
					return err
				}
				s.left, s.restart = d.interval, (s.restart+1)&7
				s.pred, s.eobRun = [4]int32{}, 0
			}
			s.left--
		}
		if !d.progressive {
			if err := d.sequentialMCU(mx, my); err != nil {
				return err
			}
			continue
		}
		for i, c := range s.comp {
			if single {
				if err := d.decodeBlock(&s.scanParams, i, c, mx, my); err != nil {
					return err
				}
				continue
			}
			for y := range c.v {
				for x := range c.h {
					if err := d.decodeBlock(&s.scanParams, i, c, mx*c.h+x, my*c.v+y); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// restart passes over the restart marker of a number.
func (d *decoder) restart(number uint8) error {
	at := d.pos
	m, err := d.nextMarker()
	if err != nil {
		return err
	}
	if m != 0xd0+number {
		d.pos = at
		if m == 0xd9 {
			return &TruncatedError{at}
		}
		return d.errorf("marker %#x where restart marker %d should be", m, number)
	}
	d.segment()
	return nil
}

// sequentialMCU decodes one MCU of a sequential scan.
func (d *decoder) sequentialMCU(mx, my int) error {
	r, block := &d.bits, &d.block
	for i := range d.walk.units {
		u := &d.walk.units[i]
		*block = [64]int16{}
		r.k, r.last = 0, 0
		r.coefficients(u.dc.quick, u.ac.quick, block)
		if r.k < 64 {
			r.rare(u.dc, u.ac, block)
		}
		if r.k == tooMany || r.lost || r.overrun() {
			if err := d.check(); err != nil {
				return err
			}
			return &FormatError{d.offset(), "more than 64 coefficients in a block"}
		}
		*u.pred += int32(r.diff)
		block[0] = int16(*u.pred)
		u.c.write(mx*u.across+u.right, my*u.down+u.bottom, block, r.last == 0)
	}
	return nil
}

// decodeBlock decodes one block of component c, i in a progressive scan.
func (d *decoder) decodeBlock(s *scanParams, i int, c *component, bx, by int) error {
	block := (*[64]int16)(c.coeffs[64*(by*c.blocks+bx):])
	switch {
	case s.ss == 0 && s.ah == 0:
		s.pred[i] += d.bits.takeSigned(d.bits.symbol(s.dc[i]))
		block[0] = int16(s.pred[i] << s.al)
	case s.ss == 0:
		d.bits.fill()
		block[0] |= int16(d.bits.take(1) << s.al)
	case s.ah == 0:
		d.firstAC(s, s.ac[i], block)
	default:
		d.refineAC(s, s.ac[i], block)
	}
	return d.check()
}

// firstAC is the first scan of a band (G.1.2.2).
func (d *decoder) firstAC(s *scanParams, h *huffman, block *[64]int16) {
	if s.eobRun > 0 {
		s.eobRun--
		return
	}
	for k := s.ss; k <= s.se; k++ {
		v := d.bits.symbol(h)
		run, size := int(v>>4), v&15
		switch {
		case size > 0:
			if k += run; k > 63 {
				d.bits.lost = true
				return
			}
			block[natural[k]] = int16(d.bits.takeSigned(size) << s.al)
		case run == 15:
			k += 15
		default:
			s.eobRun = 1<<run - 1 + int(d.bits.take(uint8(run)))
			return
		}
	}
}

// refineAC adds one bit to the coefficients of a band (G.1.2.3).
func (d *decoder) refineAC(s *scanParams, h *huffman, block *[64]int16) {
	bit := int16(1) << s.al
	k := s.ss
	if s.eobRun == 0 {
	band:
		for ; k <= s.se; k++ {
			v := d.bits.symbol(h)
			run, size := int(v>>4), v&15
			value := int16(0)
			switch {
			case size > 0: // size is 1 in every valid file
				value = -bit
				if d.bits.take(1) == 1 {
					value = bit
				}
			case run != 15:
				s.eobRun = 1<<run + int(d.bits.take(uint8(run)))
				break band
			}
			// Refine what is known already, pass over run zeros, and put the new one on the next zero.
			for ; k <= s.se; k++ {
				c := &block[natural[k]]
				if *c != 0 {
					d.refineOne(c, bit)
					continue
				}
				if run == 0 {
					*c = value
					break
				}
				run--
			}
			if d.bits.lost || d.bits.overrun() {
				return
			}
		}
	}
	if s.eobRun > 0 {
		for ; k <= s.se; k++ {
			if c := &block[natural[k]]; *c != 0 {
				d.refineOne(c, bit)
			}
		}
		s.eobRun--
	}
}

func (d *decoder) refineOne(c *int16, bit int16) {
	d.bits.fill()
	if d.bits.take(1) == 1 && *c&bit == 0 {
		if *c > 0 {
			*c += bit
		} else {
			*c -= bit
		}
	}
}

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
	if !d.begun() {
		d.allocate()
	}
	d.bits = bits{}
	return d.mcus(&s)
}

// mcus walks the blocks of a scan (A.2): interleaved if it has several components, else row by row
// through the blocks of the plane proper.
func (d *decoder) mcus(s *scanParams) error {
	nx, ny := d.mcusX, d.mcusY
	single := len(s.comp) == 1
	if single {
		nx, ny = s.comp[0].wide, s.comp[0].high
	}
	left, restart := d.interval, uint8(0)
	for my := range ny {
		for mx := range nx {
			if d.interval > 0 && left == 0 {
				if err := d.restart(restart); err != nil {
					return err
				}
				left, restart = d.interval, (restart+1)&7
				s.pred, s.eobRun = [4]int32{}, 0
			}
			left--
			for i, c := range s.comp {
				if single {
					if err := d.decodeBlock(s, i, c, mx, my); err != nil {
						return err
					}
					continue
				}
				for y := range c.v {
					for x := range c.h {
						if err := d.decodeBlock(s, i, c, mx*c.h+x, my*c.v+y); err != nil {
							return err
						}
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
	d.bits = bits{}
	return nil
}

// decodeBlock decodes one block of component c, i in the scan.
func (d *decoder) decodeBlock(s *scanParams, i int, c *component, bx, by int) error {
	if d.progressive {
		block := (*[64]int16)(c.coeffs[64*(by*c.blocks+bx):])
		switch {
		case s.ss == 0 && s.ah == 0:
			s.pred[i] += d.bits.takeSigned(d.symbol(s.dc[i]))
			block[0] = int16(s.pred[i] << s.al)
		case s.ss == 0:
			d.fill()
			block[0] |= int16(d.bits.take(1) << s.al)
		case s.ah == 0:
			d.firstAC(s, s.ac[i], block)
		default:
			d.refineAC(s, s.ac[i], block)
		}
		return d.check()
	}
	// Sequential (F.2.2).
	block := &d.block
	clear(block[:])
	s.pred[i] += d.bits.takeSigned(d.symbol(s.dc[i]))
	block[0] = int16(s.pred[i])
	h := s.ac[i]
	last := 0
	for k := 1; k < 64; k++ {
		v := d.symbol(h)
		size := v & 15
		if size == 0 {
			if v != 0xf0 {
				break
			}
			k += 15
			continue
		}
		k += int(v >> 4)
		if k > 63 {
			return d.errorf("more than 64 coefficients in a block")
		}
		block[natural[k]] = int16(d.bits.takeSigned(size))
		last = k
	}
	if err := d.check(); err != nil {
		return err
	}
	inverseDCT(c.plane[8*(by*c.stride+bx):], c.stride, block, c.quant, last == 0)
	return nil
}

// firstAC is the first scan of a band (G.1.2.2).
func (d *decoder) firstAC(s *scanParams, h *huffman, block *[64]int16) {
	if s.eobRun > 0 {
		s.eobRun--
		return
	}
	for k := s.ss; k <= s.se; k++ {
		v := d.symbol(h)
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
			v := d.symbol(h)
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
			if d.bits.lost || d.bits.n < d.bits.pad {
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
	d.fill()
	if d.bits.take(1) == 1 && *c&bit == 0 {
		if *c > 0 {
			*c += bit
		} else {
			*c -= bit
		}
	}
}

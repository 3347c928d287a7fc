package vorbis

import (
	"bytes"
	"slices"
)

// What the set-up header describes (Vorbis I, 4.2.4).

type mapping struct {
	couplings []coupling
	mux       []uint8 // the submap of each channel
	submaps   []submap
}

// coupling is a pair of channels that is kept as magnitude and angle.
type coupling struct{ magnitude, angle int }

type submap struct{ floor, residue int }

type mode struct {
	long    int // 0 or 1
	mapping int
}

// readSetup reads the set-up header.
func (d *Decoder) readSetup(header []byte) error {
	rest, ok := bytes.CutPrefix(header, []byte("\x05vorbis"))
	if !ok {
		return errSetup
	}
	r := new(bitReader)
	r.fill(rest)
	left := maxValues
	for range r.read(8) + 1 {
		c, err := readCodebook(r, &left)
		if err != nil {
			return err
		}
		d.books = append(d.books, c)
	}
	for range r.read(6) + 1 { // transforms in time, of which there are none
		if r.read(16) != 0 {
			return errSetup
		}
	}
	for range r.read(6) + 1 {
		f, err := d.readFloor(r)
		if err != nil {
			return err
		}
		d.floors = append(d.floors, f)
	}
	for range r.read(6) + 1 {
		x, err := d.readResidue(r)
		if err != nil {
			return err
		}
		d.residues = append(d.residues, x)
	}
	for range r.read(6) + 1 {
		m, err := d.readMapping(r)
		if err != nil {
			return err
		}
		d.mappings = append(d.mappings, m)
	}
	for range r.read(6) + 1 {
		m := mode{long: int(r.read(1))}
		if r.read(32) != 0 { // kinds of window and of transform, of which there is one
			return errSetup
		}
		if m.mapping = int(r.read(8)); m.mapping >= len(d.mappings) {
			return errSetup
		}
		d.modes = append(d.modes, m)
	}
	if !r.flag() || r.over() {
		return errSetup
	}
	return nil
}

func (d *Decoder) readMapping(r *bitReader) (m mapping, err error) {
	if r.read(16) != 0 {
		return m, errSetup
	}
	submaps := 1
	if r.flag() {
		submaps = int(r.read(4)) + 1
	}
	if r.flag() {
		width := bitLength(d.channels - 1)
		for range r.read(8) + 1 {
			c := coupling{int(r.read(width)), int(r.read(width))}
			if c.magnitude == c.angle || c.magnitude >= d.channels || c.angle >= d.channels {
				return m, errSetup
			}
			m.couplings = append(m.couplings, c)
		}
	}
	if r.read(2) != 0 {
		return m, errSetup
	}
	m.mux = make([]uint8, d.channels)
	if submaps > 1 {
		for i := range m.mux {
			if m.mux[i] = uint8(r.read(4)); int(m.mux[i]) >= submaps {
				return m, errSetup
			}
		}
	}
	for range submaps {
		r.read(8) // a transform in time
		s := submap{int(r.read(8)), int(r.read(8))}
		if s.floor >= len(d.floors) || s.residue >= len(d.residues) {
			return m, errSetup
		}
		m.submaps = append(m.submaps, s)
	}
	if r.over() {
		return m, errSetup
	}
	return m, nil
}

// hasBook reports whether there is a book of this number, with vectors if they are asked for.
func (d *Decoder) hasBook(n int, vectors bool) bool {
	return n < len(d.books) && (!vectors || d.books[n].values != nil)
}

func (d *Decoder) readFloor(r *bitReader) (floor, error) {
	switch r.read(16) {
	case 0:
		return d.readFloor0(r)
	case 1:
		return d.readFloor1(r)
	}
	return nil, errSetup
}

func (d *Decoder) readFloor0(r *bitReader) (floor, error) {
	f := &floor0{
		order: int(r.read(8)), rate: int(r.read(16)), barkSize: int(r.read(16)),
		amplitudeBits: int(r.read(6)), offset: int(r.read(8)),
	}
	for range r.read(4) + 1 {
		n := int(r.read(8))
		if !d.hasBook(n, true) {
			return nil, errSetup
		}
		f.books = append(f.books, d.books[n])
	}
	if r.over() || f.order == 0 || f.rate == 0 || f.barkSize == 0 {
		return nil, errSetup
	}
	for i, size := range d.sizes {
		f.cosines[i] = f.barkMap(size / 2)
	}
	return f, nil
}

func (d *Decoder) readFloor1(r *bitReader) (floor, error) {
	f := &floor1{}
	parts := make([]int, r.read(5))
	classes := 0
	for i := range parts {
		parts[i] = int(r.read(4))
		classes = max(classes, parts[i]+1)
	}
	all := make([]floor1Class, classes)
	for i := range all {
		c := &all[i]
		c.dimensions, c.bits = int(r.read(3))+1, int(r.read(2))
		if c.bits > 0 {
			n := int(r.read(8))
			if !d.hasBook(n, false) {
				return nil, errSetup
			}
			c.master = d.books[n]
		}
		for k := range 1 << c.bits {
			switch n := int(r.read(8)); {
			case n == 0: // always 0
			case !d.hasBook(n-1, false):
				return nil, errSetup
			default:
				c.books[k] = d.books[n-1]
			}
		}
	}
	f.multiplier = int(r.read(2)) + 1
	f.limit = [5]int{1: 256, 2: 128, 3: 86, 4: 64}[f.multiplier]
	width := int(r.read(4))
	f.x = append(f.x, 0, 1<<width)
	for _, p := range parts {
		f.classes = append(f.classes, all[p])
		for range all[p].dimensions {
			f.x = append(f.x, int(r.read(width)))
		}
	}
	if r.over() || len(f.x) > maxPoints {
		return nil, errSetup
	}
	f.sorted = make([]int, len(f.x))
	for i := range f.sorted {
		f.sorted[i] = i
	}
	slices.SortFunc(f.sorted, func(a, b int) int { return f.x[a] - f.x[b] })
	for i := 1; i < len(f.sorted); i++ {
		if f.x[f.sorted[i]] == f.x[f.sorted[i-1]] {
			return nil, errSetup
		}
	}
	f.low, f.high = make([]int, len(f.x)), make([]int, len(f.x))
	for i := 2; i < len(f.x); i++ {
		f.low[i], f.high[i] = 0, 1
		for k := range i {
			if f.x[k] < f.x[i] && f.x[k] > f.x[f.low[i]] {
				f.low[i] = k
			}
			if f.x[k] > f.x[i] && f.x[k] < f.x[f.high[i]] {
				f.high[i] = k
			}
		}
	}
	return f, nil
}

func (d *Decoder) readResidue(r *bitReader) (*residue, error) {
	x := &residue{kind: int(r.read(16)), begin: int(r.read(24)), end: int(r.read(24)), size: int(r.read(24)) + 1}
	classes, book := int(r.read(6))+1, int(r.read(8))
	if x.kind > 2 || !d.hasBook(book, false) {
		return nil, errSetup
	}
	x.classbook = d.books[book]
	cascade := make([]uint32, classes)
	for i := range cascade {
		cascade[i] = r.read(3)
		if r.flag() {
			cascade[i] |= r.read(5) << 3
		}
	}
	x.books = make([][8]*codebook, classes)
	for i, c := range cascade {
		for pass := range 8 {
			if c>>pass&1 == 0 {
				continue
			}
			n := int(r.read(8))
			if !d.hasBook(n, true) {
				return nil, errSetup
			}
			x.books[i][pass] = d.books[n]
			x.passes = max(x.passes, pass+1)
		}
	}
	if r.over() {
		return nil, errSetup
	}
	return x, nil
}

//go:build !scalar

package vision

import (
	"sync"
	"unsafe"
)

// vectors are the kernels that this processor has, the fastest first.
var vectors = append(avx512VNNI(), avx2()...)

// A vector kernel keeps the sum of one output sample in each 32-bit lane, so that nothing is ever added
// across lanes. Pixels go in as bytes or 16-bit values, which the processor multiplies and adds two or four
// at a time; a weight of 22 bits is more than its other operand holds, so it is cut in digits, each with a
// sum of its own. Put together the sums are the plain kernel's to the bit, in arithmetic modulo 2^32.
//
// A group is 4 rows of the input, a quad 4 columns of a row, counted from the first row and column that are
// needed; output samples begin at a whole one, with weights of zero before and behind their own. Three steps
// are made for one or two groups at a time:
//
//	order   the bytes of a quad become r r r r g g g g b b b b, or whatever across multiplies
//	across  the horizontal pass, rows side by side in the lanes; leaves 16 bytes a column of a group
//	down    the vertical pass, columns side by side
type lanesKernel struct {
	groups  int // groups that order and across make at once, 1 or 2
	quad    int // bytes of a quad of all their rows after order
	digits  int // elements of digits that a quad of weights has
	extract func(digits []uint32, at int, weight int32) bool

	order  func(dst []uint8, rows *[2 * groupRows]unsafe.Pointer, quads int)
	across func(dst *[2][]uint8, quads []uint8, t *taps)
	down   func(dst *[3][]uint8, groups []unsafe.Pointer, digits []uint32)
}

const (
	groupRows = 4
	column    = 16 // bytes of a column of a group: 4 rows of r g b and an idle byte
	block     = 16 // columns that the vertical pass may finish at once
	loadBytes = 16 // what a load takes of a row, of which it uses 12: 4 pixels
)

// taps are the weights of a pass: output sample i is made of quads[i] quads (or groups) of the input from
// start[i] on, with digits perItem*i and following.
type taps struct {
	start, quads []int32
	digits       []uint32
	perItem      int
}

// newTaps cuts the weights of w in digits; nil when there is one that does not fit.
func (k *lanesKernel) newTaps(w *weights) *taps {
	n := len(w.first)
	longest := (w.stride + 3 + 3) / 4
	t := &taps{start: make([]int32, n), quads: make([]int32, n), perItem: k.digits * longest}
	t.digits = make([]uint32, t.perItem*n)
	for i := range n {
		from := int(w.first[i] - w.first[0])
		skip := from % 4
		t.start[i], t.quads[i] = int32(from/4), int32((skip+int(w.count[i])+3)/4)
		dst := t.digits[t.perItem*i:][:t.perItem]
		for j, v := range w.of(i) {
			at := skip + j
			if !k.extract(dst[at/4*k.digits:][:k.digits], at%4, v) {
				return nil
			}
		}
	}
	return t
}

// lanesScratch is what a resize needs beside its result, kept for the next one.
type lanesScratch struct {
	ring  []uint8 // groups after the horizontal pass
	quads []uint8
	edge  []uint8 // rows of their own: those whose last loads would reach beyond the picture, grey ones, made ones
	rows  []uint8 // a row of output of whole blocks
}

var lanesScratches = sync.Pool{New: func() any { return new(lanesScratch) }}

// sized returns b with n bytes, of whatever content.
func sized(b []uint8, n int) []uint8 {
	if cap(b) < n {
		return make([]uint8, n)
	}
	return b[:n]
}

// run is resample. A picture of one channel goes through as three equal ones, of which one is kept: still
// several times faster than the plain kernels.
func (k *lanesKernel) run(out []uint8, p source, across, down *weights) bool {
	horizontal, vertical := k.newTaps(across), k.newTaps(down)
	if horizontal == nil || vertical == nil {
		return false
	}
	s := lanesScratches.Get().(*lanesScratch)
	defer lanesScratches.Put(s)
	columns, rows := len(across.first), len(down.first)
	left, top := int(across.first[0]), int(down.first[0])
	right := int(across.first[columns-1] + across.count[columns-1])
	bottom := int(down.first[rows-1] + down.count[rows-1])

	padded := (columns + block - 1) / block * block
	line := padded * column
	perItem := vertical.perItem / k.digits
	slots := perItem + k.groups
	s.ring = sized(s.ring, slots*line)
	slot := func(group int) []uint8 { return s.ring[group%slots*line:][:line] }
	window := make([]unsafe.Pointer, perItem)
	s.rows = sized(s.rows, 3*padded)
	quads := (right - left + 3) / 4
	s.quads = sized(s.quads, quads*k.quad)

	reach := 12*(quads-1) + loadBytes
	s.edge = sized(s.edge, 2*groupRows*reach)
	var source [2 * groupRows]unsafe.Pointer
	var made [2][]uint8
	var dst [3][]uint8
	plane := rows * columns
	next := 0 // the first group not yet in the ring
	for y := range rows {
		from, n := int(vertical.start[y]), int(vertical.quads[y])
		next = max(next, from/k.groups*k.groups) // past groups that nothing needs
		for ; next < from+n; next += k.groups {
			for i := range k.groups * groupRows {
				y := min(top+next*groupRows+i, bottom-1)
				var row []uint8
				if p.Pix != nil {
					row = p.Pix[(y*p.Width+left)*p.Channels:]
				}
				switch e := s.edge[i*reach:][:reach]; {
				case p.Pix == nil:
					p.row(e, y, left, right)
					row = e
				case p.Channels == 1:
					triple(e, row)
					row = e
				case len(row) < reach:
					copy(e, row)
					row = e
				}
				source[i] = place(row, 0, reach)
			}
			for i := range k.groups {
				made[i] = slot(next + i)
			}
			k.order(s.quads, &source, quads)
			k.across(&made, s.quads, horizontal)
		}
		for i := range n {
			window[i] = place(slot(from+i), 0, line)
		}
		for c := range dst {
			dst[c] = s.rows[c*padded:][:padded]
			if c < p.Channels && columns == padded {
				dst[c] = out[c*plane+y*columns:][:columns]
			}
		}
		k.down(&dst, window[:n], vertical.digits[vertical.perItem*y:])
		if columns != padded {
			for c := range p.Channels {
				copy(out[c*plane+y*columns:][:columns], dst[c])
			}
		}
	}
	return true
}

// triple makes r g b of grey, as much as there is and fits.
func triple(dst, grey []uint8) {
	n := min(len(dst)/3, len(grey))
	for i, v := range grey[:n] {
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0], d[1], d[2] = v, v, v
	}
}

// place checks that b has n bytes from an offset on and points to them, for a kernel that does not look.
func place(b []uint8, at, n int) unsafe.Pointer { return unsafe.Pointer(&b[at : at+n][0]) }

// digitsAt points to the digits of output sample i, which newTaps made long enough.
func (t *taps) digitsAt(i int) unsafe.Pointer { return unsafe.Pointer(&t.digits[t.perItem*i]) }

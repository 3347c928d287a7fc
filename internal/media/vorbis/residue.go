package vorbis

import (
	"math"

	"prep/internal/media/stereo"
)

// residue is how the fine structure of the spectra under their outlines is kept (Vorbis I, 8): in partitions of one
// class each, which says by which books it is refined in up to eight passes.
type residue struct {
	kind       int
	begin, end int // lines
	size       int // of a partition
	classbook  *codebook
	books      [][8]*codebook // by class, pass; nil: nothing
	passes     int

	classes [][]uint8 // of the partitions of each channel; memory
	joint   []float32 // the channels of kind 2 in turn; memory
}

// read adds the fine structure to spectra that are 0. silent are those that have none.
func (x *residue) read(r *bitReader, spectra [][]float32, silent []bool) {
	if x.kind != 2 {
		x.decode(r, spectra, silent)
		return
	}
	all := true
	for _, s := range silent {
		all = all && s
	}
	if all {
		return
	}
	// All channels line by line, as if they were one.
	n := len(spectra)
	if n == 1 {
		x.decode(r, spectra, []bool{false})
		return
	}
	lines := n * len(spectra[0])
	if cap(x.joint) < lines {
		x.joint = make([]float32, lines)
	}
	joint := x.joint[:lines]
	clear(joint)
	x.decode(r, [][]float32{joint}, []bool{false})
	if n == 2 {
		stereo.Separate(spectra[0], spectra[1], joint)
		return
	}
	for c, s := range spectra {
		for i := range s {
			s[i] = joint[i*n+c]
		}
	}
}

// decode reads until the partitions or the packet end.
func (x *residue) decode(r *bitReader, spectra [][]float32, silent []bool) {
	lines := len(spectra[0])
	begin, end := min(x.begin, lines), min(x.end, lines)
	if end <= begin {
		return
	}
	partitions := (end - begin) / x.size
	for len(x.classes) < len(spectra) {
		x.classes = append(x.classes, nil)
	}
	words := x.classbook.dimensions
	for c := range spectra {
		if len(x.classes[c]) < partitions+words {
			x.classes[c] = make([]uint8, partitions+words)
		}
	}
	for pass := range x.passes {
		for first := 0; first < partitions; first += words {
			if pass == 0 {
				for c := range spectra {
					if silent[c] {
						continue
					}
					v := x.classbook.decode(r)
					if v < 0 {
						return
					}
					class := x.classes[c][first : first+words]
					for k := words - 1; k >= 0; k-- {
						class[k] = uint8(v % len(x.books))
						v /= len(x.books)
					}
				}
			}
			for p := first; p < min(first+words, partitions); p++ {
				for c, s := range spectra {
					if silent[c] {
						continue
					}
					book := x.books[x.classes[c][p]][pass]
					if book == nil {
						continue
					}
					at := begin + p*x.size
					if !x.add(r, book, s[at:at+x.size]) {
						return
					}
				}
			}
		}
	}
}

// add reads the vectors of a partition and adds them; false at the end of the packet.
func (x *residue) add(r *bitReader, book *codebook, to []float32) bool {
	n := book.dimensions
	if x.kind == 0 { // a vector's values lie apart
		step := len(to) / n
		for i := range step {
			e := book.decode(r)
			if e < 0 {
				return false
			}
			for k, v := range book.values[e*n:][:n] {
				to[i+k*step] += v
			}
		}
		return true
	}
	for len(to) >= n {
		e := book.decode(r)
		if e < 0 {
			return false
		}
		v := book.values[e*n:][:n]
		t := to[:len(v)]
		for k, a := range v {
			t[k] += a
		}
		to = to[n:]
	}
	if len(to) > 0 {
		e := book.decode(r)
		if e < 0 {
			return false
		}
		for k := range to {
			to[k] += book.values[e*n+k]
		}
	}
	return true
}

// uncouple makes two channels of their magnitudes and angles (Vorbis I, 4.3.5): both of one sign keep the larger one
// and the difference. Without branches, which the signs of a spectrum would mislead.
func uncouple(magnitude, angle []float32) {
	angle = angle[:len(magnitude)]
	for i, m := range magnitude {
		a := math.Float32bits(angle[i])
		mBits := math.Float32bits(m)
		mAbove := uint32(-int64(int32(mBits)) >> 63) // all ones for m > 0
		aAbove := uint32(-int64(int32(a)) >> 63)
		// m - a or m + a: minus where both are above 0 or neither is.
		other := math.Float32bits(m + math.Float32frombits(a^^(mAbove^aAbove)&(1<<31)))
		magnitude[i] = math.Float32frombits(mBits&aAbove | other&^aAbove)
		angle[i] = math.Float32frombits(other&aAbove | mBits&^aAbove)
	}
}

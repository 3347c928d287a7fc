// Package vorbis decodes the packets of Vorbis I streams (Xiph.Org, "Vorbis I specification"): both kinds of floors,
// all kinds of residues, any coupling, mono to 255 channels. It works in float32 and neither rounds nor clips; from
// libvorbis it differs by about 1e-7 of full scale.
//
// The Ogg around packets, and which samples are an encoder's padding, are the business of package media.
//
// It is our own because github.com/jfreymuth/vorbis, which the tests compare it to, takes three times as long, gets
// floors of kind 0 wrong and cannot read the 5.1 of libvorbis' encoder.
package vorbis

import (
	"errors"
	"math"

	"prep/internal/media/stereo"
)

var (
	errSetup     = errors.New("the Vorbis set-up is damaged or impossible")
	errCodebooks = errors.New("the Vorbis codebooks are damaged or too large")

	// ErrDamaged says that a packet is no packet of sound of this stream.
	ErrDamaged = errors.New("damaged Vorbis packet")
)

// Decoder decodes the packets of one stream in order. It is made by [New].
type Decoder struct {
	channels int
	sizes    [2]int // samples of a short and of a long block

	books    []*codebook
	floors   []floor
	residues []*residue
	mappings []mapping
	modes    []mode

	transforms [2]*transform
	windows    [2][]float32 // the rising half

	r        bitReader
	outlines []outline
	silent   []bool
	spectra  [][]float32
	now      [][]float32 // the transform of this block, by channel
	before   [][]float32 // of the block before
	last     int         // the kind of the block before, -1: there was none
	planes   [][]float32
	out      []float32

	ofSubmap  [][]float32 // the spectra of a submap, and which of them are silent; memory
	ofSilence []bool
}

// New makes a decoder of a stream by its identification and its set-up header, packets that begin with 1 and 5 and
// "vorbis". An error says that the stream cannot be decoded by anybody.
func New(identification, setup []byte) (*Decoder, error) {
	id := identification
	if len(id) < 30 || string(id[:7]) != "\x01vorbis" || id[7]|id[8]|id[9]|id[10] != 0 || id[11] == 0 || id[29]&1 == 0 {
		return nil, errSetup
	}
	d := &Decoder{channels: int(id[11]), last: -1}
	short, long := id[28]&15, id[28]>>4
	if short < 6 || long > 13 || short > long {
		return nil, errSetup
	}
	d.sizes = [2]int{1 << short, 1 << long}
	if err := d.readSetup(setup); err != nil {
		return nil, err
	}
	for i, size := range d.sizes {
		d.transforms[i] = newTransform(size / 2)
		d.windows[i] = make([]float32, size/2)
		for k := range d.windows[i] {
			s := math.Sin((float64(k) + 0.5) / float64(size) * math.Pi)
			d.windows[i][k] = float32(math.Sin(math.Pi / 2 * s * s))
		}
	}
	planes := func(n int) [][]float32 {
		p := make([][]float32, d.channels)
		for i := range p {
			p[i] = make([]float32, n)
		}
		return p
	}
	lines := d.sizes[1] / 2
	d.spectra, d.now, d.before, d.planes = planes(lines), planes(lines), planes(lines), planes(lines)
	d.out = make([]float32, lines*d.channels)
	d.outlines, d.silent = make([]outline, d.channels), make([]bool, d.channels)
	return d, nil
}

// Restart forgets the packets before: the next one gives no samples.
func (d *Decoder) Restart() { d.last = -1 }

// Decode decodes a packet of sound to interleaved samples, valid until the next call: those between the middle of its
// block and that of the one before, so that the first packet gives none. A packet that ends too early is decoded as
// far as it goes, as the specification asks.
func (d *Decoder) Decode(packet []byte) ([]float32, error) {
	r := &d.r
	r.fill(packet)
	if r.flag() { // a header
		return nil, ErrDamaged
	}
	n := int(r.read(bitLength(len(d.modes) - 1)))
	if r.over() || n >= len(d.modes) {
		return nil, ErrDamaged
	}
	mode := d.modes[n]
	if mode.long == 1 {
		r.read(2) // the kinds of the neighbours, which they say themselves
	}
	if r.over() {
		return nil, ErrDamaged
	}
	d.readSpectra(mode)
	d.now, d.before = d.before, d.now
	t := d.transforms[mode.long]
	for c, y := range d.now {
		if d.silent[c] {
			clear(y[:t.n])
			continue
		}
		t.run(y, d.spectra[c])
	}
	last := d.last
	d.last = mode.long
	if last < 0 {
		return nil, nil
	}
	samples := d.overlap(last, mode.long)
	out := d.out[:samples*d.channels]
	switch d.channels {
	case 1:
		copy(out, d.planes[0])
	case 2:
		stereo.Interleave(out, d.planes[0][:samples], d.planes[1][:samples])
	default:
		for c, plane := range d.planes {
			for i, v := range plane[:samples] {
				out[i*d.channels+c] = v
			}
		}
	}
	return out, nil
}

// readSpectra reads the spectra of a packet (Vorbis I, 4.3.2 to 4.3.6). silent then says which of them are 0.
func (d *Decoder) readSpectra(mode mode) {
	r, m := &d.r, &d.mappings[mode.mapping]
	lines := d.sizes[mode.long] / 2
	var spoken [256]bool // channels whose outline is there
	for c := range d.channels {
		spoken[c] = d.floors[m.submaps[m.mux[c]].floor].read(r, &d.outlines[c])
		d.silent[c] = !spoken[c]
		clear(d.spectra[c][:lines])
	}
	for _, c := range m.couplings {
		if spoken[c.magnitude] || spoken[c.angle] {
			d.silent[c.magnitude], d.silent[c.angle] = false, false
		}
	}
	for i, s := range m.submaps {
		d.ofSubmap, d.ofSilence = d.ofSubmap[:0], d.ofSilence[:0]
		for c := range d.channels {
			if int(m.mux[c]) == i {
				d.ofSubmap, d.ofSilence = append(d.ofSubmap, d.spectra[c][:lines]), append(d.ofSilence, d.silent[c])
			}
		}
		if len(d.ofSubmap) > 0 && !r.over() {
			d.residues[s.residue].read(r, d.ofSubmap, d.ofSilence)
		}
	}
	for i := len(m.couplings) - 1; i >= 0; i-- {
		c := m.couplings[i]
		uncouple(d.spectra[c.magnitude][:lines], d.spectra[c.angle][:lines])
	}
	for c := range d.channels {
		if d.silent[c] = !spoken[c]; spoken[c] {
			d.floors[m.submaps[m.mux[c]].floor].apply(d.spectra[c][:lines], &d.outlines[c], mode.long)
		}
	}
}

// overlap adds this block's first half to the second half of the one before, by the window of the shorter of the two,
// and returns how many samples that makes, in planes.
func (d *Decoder) overlap(last, now int) int {
	short := min(last, now)
	before, after := d.sizes[last]/2, d.sizes[now]/2
	common := d.sizes[short] / 2
	flat := max(before, after)/2 - common/2 // samples of the longer one alone
	for c, out := range d.planes {
		a, b := d.before[c], d.now[c]
		at := 0
		if before > after {
			for i := range flat {
				out[i] = -a[before/2-1-i]
			}
			at = flat
		}
		lap(out[at:at+common], a[:common/2], b[after-common/2:after], d.windows[short])
		if after > before {
			tail := out[common : common+flat]
			for i := range tail {
				tail[i] = -b[after-common/2-1-i]
			}
		}
	}
	return common + flat
}

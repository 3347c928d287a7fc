// Package jpeg decodes JPEG files (ITU-T T.81: baseline, extended sequential with 8 bits, progressive;
// Huffman coding) to the very pixels that libjpeg and libjpeg-turbo give with their defaults: the accurate
// integer inverse DCT ("islow"), "fancy" interpolation of subsampled chroma, and the fixed-point conversion
// of colours. Pillow, and so most training pipelines, see pictures through that library, so a pure-Go
// program has to have its arithmetic to see the same; the standard library's image/jpeg rounds elsewhere
// and repeats chroma samples, and it reads neither CMYK as Pillow writes it nor what is left of a file that
// was cut off.
//
// It owns the decoding of one picture in memory. Which processes are refused in which words, metadata, and
// what 4 components mean as RGB is the business of internal/media.
package jpeg

import (
	"fmt"
	"sync"
)

// Image is a decoded picture: interleaved samples of 8 bits, rows from the top without padding.
type Image struct {
	Width, Height int
	// Components is 1 for grey, 3 for RGB, 4 for CMYK as libjpeg's JCS_CMYK: as stored, or turned back
	// from YCCK. Whether 255 is full ink or none the format does not say (Adobe's files: none).
	Components int
	Pix        []uint8 // [Height][Width][Components]
	// Damage is nil for a whole file. With Options.AllowDamage it says what was wrong first; pixels
	// that were not to be had are mid-grey, or less sharp in a progressive file.
	Damage error
}

// Options of Decode.
type Options struct {
	// AllowDamage keeps what can be decoded of a file that is cut off or damaged.
	AllowDamage bool
	// Eighths is the size at which the picture is decoded: 8 (also 0), or 4, 2 or 1 for a half, a quarter or an eighth,
	// rounded up, to the samples that libjpeg gives then. Chroma of fewer samples is scaled down less.
	Eighths int
	// MaxPixels bounds width times height, 0: no bound but the format's own.
	MaxPixels int64
}

// FormatError reports a file that is not as T.81 says.
type FormatError struct {
	Offset int // near which byte
	What   string
}

func (e *FormatError) Error() string { return fmt.Sprintf("%s at byte %d", e.What, e.Offset) }

// TruncatedError reports data that ends early: at the end of the file, or at a marker where the picture's
// data should go on.
type TruncatedError struct{ Offset int }

func (e *TruncatedError) Error() string { return fmt.Sprintf("the data ends at byte %d", e.Offset) }

// UnsupportedError reports a process or a size that is not decoded here.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return e.What }

// component is one of the picture's planes.
type component struct {
	id         uint8
	h, v       int // sampling factors
	selector   uint8
	quant      *[64]int32 // latched when the component's first scan begins, natural order
	wide, high int        // size in blocks of the plane proper, without what fills up the last MCU
	stride     int        // bytes of a row of plane
	blocks     int        // blocks of a row, with the fill
	plane      []uint8
	size       int // samples across a block: 8, or fewer when scaled
	ring       int // plane has row y at y&ring: -1, or one less than the power of 2 that it has of rows
	// The blocks of which samples are made: of the others only codes are read.
	left, right, top, bottom int
	coeffs                   []int16 // progressive only: blocks of 64, natural order
	seen                     bool    // a scan has had it
	sent                     [64]int // progressive only: how the scans left each coefficient, in zigzag order; see smoothed
}

type decoder struct {
	data        []byte
	pos         int
	bits        bits
	allowDamage bool

	width, height int
	eighths       int // of Options
	progressive   bool
	comp          []component
	hmax, vmax    int
	mcusX, mcusY  int

	quant    [4]*[64]int32
	dc, ac   [4]*huffman
	interval int // MCUs between restarts, 0: none

	jfif      bool
	adobe     bool
	transform uint8

	walk   walk
	wanted Span // zero: all
	// stream asks for a sequential scan of all components to be left to Rows; streaming says that it was.
	stream, streaming bool
	memory            *memory

	block [64]int16 // scratch of sequential scans
}

// Decode decodes a whole file. Errors are *FormatError, *TruncatedError or *UnsupportedError. Nothing is
// allocated that the frame header's size (capped by Options.MaxPixels) does not ask for.
func Decode(data []byte, o Options) (*Image, error) {
	d := &decoder{data: data, allowDamage: o.AllowDamage}
	d.begin(o)
	defer d.end()
	damage := d.decode(o)
	if damage != nil {
		if _, no := damage.(*UnsupportedError); no || !o.AllowDamage || !d.begun() {
			return nil, damage
		}
	}
	img, err := d.output()
	if err != nil {
		return nil, err
	}
	img.Damage = damage
	return img, nil
}

// decode reads all there is and makes samples of it; also of what there was before an error.
func (d *decoder) decode(o Options) error {
	err := d.markers(o)
	if err == nil && !d.begun() {
		return d.errorf("no picture before the end marker")
	}
	smooth := err == nil && d.smoothed()
	for i := range d.comp {
		switch c := &d.comp[i]; {
		case c.plane == nil: // nothing has begun
		case !c.seen: // no scan had it
			c.grey()
		case smooth:
			c.smooth(d.mcusY)
		case d.progressive:
			c.reconstruct()
		}
	}
	return err
}

// smoothed reports whether coefficients are guessed from the blocks around: a progressive picture has all its means,
// and of the nine coefficients after them some were not sent to the last bit.
func (d *decoder) smoothed() bool {
	if !d.progressive {
		return false
	}
	missing := false
	for i := range d.comp {
		c := &d.comp[i]
		if c.sent[0] == 0 || !c.guessable() {
			return false // nothing to guess from
		}
		for _, bits := range c.sent[1:10] {
			missing = missing || bits != 1
		}
	}
	return missing
}

// begun reports whether a scan has started.
func (d *decoder) begun() bool {
	for i := range d.comp {
		if d.comp[i].plane != nil {
			return true
		}
	}
	return false
}

func (d *decoder) errorf(format string, args ...any) error {
	return &FormatError{d.pos, fmt.Sprintf(format, args...)}
}

// markers reads segments and scans up to EOI.
func (d *decoder) markers(o Options) error {
	if len(d.data) < 2 || d.data[0] != 0xff || d.data[1] != 0xd8 {
		return d.errorf("no SOI marker")
	}
	d.pos = 2
	return d.segments(o)
}

// segments goes on from a marker: to EOI, or to a scan that is to stream.
func (d *decoder) segments(o Options) error {
	for {
		marker, err := d.nextMarker()
		if err != nil {
			return err
		}
		switch {
		case marker == 0xd9: // EOI
			return nil
		case marker == 0x01 || marker >= 0xd0 && marker <= 0xd8: // without a segment
			continue
		}
		if d.pos+2 > len(d.data) {
			return &TruncatedError{len(d.data)}
		}
		n := int(d.data[d.pos])<<8 | int(d.data[d.pos+1])
		if n < 2 {
			return d.errorf("a segment of length %d", n)
		}
		if d.pos+n > len(d.data) {
			return &TruncatedError{len(d.data)}
		}
		body := d.data[d.pos+2 : d.pos+n]
		switch marker {
		case 0xc0, 0xc1, 0xc2:
			err = d.frame(marker, body, o)
		case 0xc4:
			err = d.huffmanTables(body)
		case 0xdb:
			err = d.quantTables(body)
		case 0xdd:
			if len(body) < 2 {
				return d.errorf("a short DRI segment")
			}
			d.interval = int(body[0])<<8 | int(body[1])
		case 0xda:
			d.pos += n
			if err := d.scan(body); err != nil || d.streaming {
				return err
			}
			continue
		case 0xe0:
			d.jfif = d.jfif || len(body) >= 14 && string(body[:5]) == "JFIF\x00"
		case 0xee:
			if len(body) >= 12 && string(body[:5]) == "Adobe" {
				d.adobe, d.transform = true, body[11]
			}
		default:
			if marker >= 0xc3 && marker <= 0xcf {
				return &UnsupportedError{fmt.Sprintf("process SOF%d", marker-0xc0)}
			}
		}
		if err != nil {
			return err
		}
		d.pos += n
	}
}

// nextMarker passes over what is no marker, as libjpeg does, and leaves pos behind the marker.
func (d *decoder) nextMarker() (uint8, error) {
	for {
		for d.pos < len(d.data) && d.data[d.pos] != 0xff {
			d.pos++
		}
		for d.pos < len(d.data) && d.data[d.pos] == 0xff {
			d.pos++
		}
		if d.pos >= len(d.data) {
			return 0, &TruncatedError{len(d.data)}
		}
		m := d.data[d.pos]
		d.pos++
		if m != 0 {
			return m, nil
		}
	}
}

// frame reads a SOF segment (B.2.2).
func (d *decoder) frame(marker uint8, b []byte, o Options) error {
	switch {
	case d.comp != nil:
		return d.errorf("a second frame header")
	case len(b) < 6 || len(b) < 6+3*int(b[5]):
		return d.errorf("a short frame header")
	case b[0] != 8:
		return &UnsupportedError{fmt.Sprintf("%d bits a sample", b[0])}
	}
	d.height, d.width = int(b[1])<<8|int(b[2]), int(b[3])<<8|int(b[4])
	n := int(b[5])
	switch {
	case d.width == 0 || d.height == 0:
		return d.errorf("a picture of %d x %d pixels", d.width, d.height)
	case o.MaxPixels > 0 && int64(d.width)*int64(d.height) > o.MaxPixels:
		return &UnsupportedError{fmt.Sprintf("%d x %d pixels", d.width, d.height)}
	case n != 1 && n != 3 && n != 4:
		return &UnsupportedError{fmt.Sprintf("%d components", n)}
	}
	d.progressive = marker == 0xc2
	comp := make([]component, n)
	d.hmax, d.vmax = 1, 1
	for i := range comp {
		p := b[6+3*i:]
		c := component{id: p[0], h: int(p[1] >> 4), v: int(p[1] & 15), selector: p[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.selector > 3 {
			return d.errorf("component %d with sampling %d x %d and quantisation table %d", i, c.h, c.v, c.selector)
		}
		for j := range i {
			if comp[j].id == c.id {
				return d.errorf("two components of number %d", c.id)
			}
		}
		d.hmax, d.vmax = max(d.hmax, c.h), max(d.vmax, c.v)
		comp[i] = c
	}
	for i := range comp {
		c := &comp[i]
		c.size = d.eighths
		for c.size < 8 && d.hmax*d.eighths%(2*c.h*c.size) == 0 && d.vmax*d.eighths%(2*c.v*c.size) == 0 {
			c.size *= 2 // rather than to be interpolated
		}
		if d.hmax%c.h != 0 || d.vmax%c.v != 0 {
			return &UnsupportedError{fmt.Sprintf("sampling %d x %d of %d x %d", c.h, c.v, d.hmax, d.vmax)}
		}
		c.wide = ceil(d.width*c.h, 8*d.hmax)
		c.high = ceil(d.height*c.v, 8*d.vmax)
	}
	d.mcusX, d.mcusY = ceil(d.width, 8*d.hmax), ceil(d.height, 8*d.vmax)
	d.comp = comp
	return nil
}

func ceil(a, b int) int { return (a + b - 1) / b }

// ringRows is how many rows of MCUs a ring of planes holds: those that interpolation needs for a row of pixels are two.
const ringRows = 4

// allocate makes the planes when the first scan begins: all grey where not every block need come to be filled. Those of
// a stream are rings.
func (d *decoder) allocate(stream bool) {
	size := 0
	for i := range d.comp {
		c := &d.comp[i]
		c.blocks = d.mcusX * c.h
		c.stride = c.size * c.blocks
		c.ring, c.right, c.bottom = -1, c.blocks, d.mcusY*c.v
		if w := d.wanted; w != (Span{}) {
			// Interpolation looks one sample to all sides.
			across, down := d.expansion(c)
			c.left, c.right = max(w.Left/across-1, 0)/c.size, ceil(ceil(w.Right, across)+1, c.size)
			c.top, c.bottom = max(w.Top/down-1, 0)/c.size, ceil(ceil(w.Bottom, down)+1, c.size)
		}
		if stream {
			c.ring = c.size*ringRows*c.v - 1
		}
		size += c.stride * c.planeRows(d.mcusY)
	}
	if cap(d.memory.planes) < size {
		d.memory.planes = make([]uint8, size)
	}
	planes := d.memory.planes[:size]
	for i := range d.comp {
		c := &d.comp[i]
		n := c.stride * c.planeRows(d.mcusY)
		c.plane, planes = planes[:n:n], planes[n:]
		if d.progressive {
			c.coeffs = make([]int16, 64*c.blocks*d.mcusY*c.v)
		} else if d.allowDamage {
			c.grey()
		}
	}
}

// planeRows is how many rows the plane has.
func (c *component) planeRows(mcus int) int {
	if c.ring >= 0 {
		return c.ring + 1
	}
	return c.size * mcus * c.v
}

// expansion is how many pixels across and down a sample of the plane stands for.
func (d *decoder) expansion(c *component) (across, down int) {
	return d.hmax * d.eighths / (c.h * c.size), d.vmax * d.eighths / (c.v * c.size)
}

// scaled is a size of the picture, or of a plane in samples of full size, as it is decoded.
func (d *decoder) scaled(n int) int { return ceil(n*d.eighths, 8) }

// memory is what a decoder needs for a picture's time: the system takes longer to give and clear new pages than much of
// the decoding.
type memory struct {
	planes []uint8
	clean  []byte // of bits
}

var memories = sync.Pool{New: func() any { return new(memory) }}

// begin takes memory, which end gives back; nothing may refer to planes then.
func (d *decoder) begin(o Options) {
	if d.eighths = o.Eighths; d.eighths == 0 {
		d.eighths = 8
	}
	d.memory, _ = memories.Get().(*memory)
	if n := len(d.data) + padding; cap(d.memory.clean) < n {
		d.memory.clean = make([]byte, 0, n)
	}
	d.bits.buf = d.memory.clean
}

func (d *decoder) end() {
	if d.memory != nil {
		memories.Put(d.memory)
	}
	d.memory = nil
}

// grey fills the plane with the middle level, what a block without coefficients comes to.
func (c *component) grey() {
	for i := range c.plane {
		c.plane[i] = 128
	}
}

// quantTables reads a DQT segment (B.2.4.1) to natural order.
func (d *decoder) quantTables(b []byte) error {
	for len(b) > 0 {
		wide, id := int(b[0]>>4), b[0]&15
		n := 64 << wide
		if wide > 1 || id > 3 || len(b) < 1+n {
			return d.errorf("a bad DQT segment")
		}
		t := new([64]int32)
		for i := range 64 {
			if wide == 1 {
				t[natural[i]] = int32(b[1+2*i])<<8 | int32(b[2+2*i])
			} else {
				t[natural[i]] = int32(b[1+i])
			}
		}
		d.quant[id] = t
		b = b[1+n:]
	}
	return nil
}

// natural is the place in an 8 x 8 block of each coefficient of the zigzag (figure A.6).
var natural = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}

package jpeg

// Plane is one component of a picture before its colours are converted: Pix has rows of Stride bytes, at
// least ceil(width*H/HMax) samples and ceil(height*V/VMax) rows of them, with HMax and VMax the largest
// factors of the picture.
type Plane struct {
	Pix    []uint8
	Stride int
	H, V   int // sampling factors
}

// Span is a part of a picture in pixels; Right and Bottom are excluded. The zero Span is the whole picture.
// With Options.Eighths they are those of the scaled one.
type Span struct{ Left, Top, Right, Bottom int }

// Rows makes RGB of Y, Cb and Cr, row by row, with the interpolation and the arithmetic of Decode. It keeps scratch of
// its own: one at a time.
type Rows struct {
	up    [3]upsampler
	full  [3][]uint8
	d     *decoder // of DecodeRows
	o     Options
	ready int // rows of MCUs decoded, where d is streaming
	err   error
}

// NewRows begins with the planes of a picture whose factors divide the largest ones.
func NewRows(width, height int, planes [3]Plane) *Rows {
	d := decoder{width: width, height: height, eighths: 8, hmax: 1, vmax: 1}
	for _, p := range planes {
		d.hmax, d.vmax = max(d.hmax, p.H), max(d.vmax, p.V)
		d.comp = append(d.comp, component{h: p.H, v: p.V, plane: p.Pix, stride: p.Stride, size: 8, ring: -1})
	}
	return d.rows()
}

func (d *decoder) rows() *Rows {
	r := &Rows{}
	for i := range r.up {
		r.up[i] = newUpsampler(d, &d.comp[i])
	}
	return r
}

// Row writes the pixels from to to (excluded) of row y to dst. Of DecodeRows they have to lie in what was asked for,
// and no row may stand above one that was asked for before. After damage, which Close tells, what is
// written means nothing.
func (r *Rows) Row(dst []uint8, y, from, to int) {
	if r.d != nil && r.d.streaming && !r.decode(y) {
		return
	}
	for i := range r.up {
		r.full[i] = r.up[i].row(y, from, to)
	}
	rowRGB(dst[:3*(to-from)], r.full[:])
}

// decode makes the rows of MCUs ready that a row of pixels needs: its own, and the next if the chroma below it lies
// there.
func (r *Rows) decode(y int) bool {
	need := min((y+r.d.vmax)/(r.d.eighths*r.d.vmax), r.d.mcusY-1) + 1
	for ; r.err == nil && r.ready < need; r.ready++ {
		r.err = r.d.mcuRow()
	}
	return r.err == nil
}

// DecodeRows is Decode for a picture of three components in YCbCr, without the conversion, and of a part of it alone.
// A sequential picture in one scan is decoded while its rows are asked for, in memory for a few of them. It returns
// nil rows and no error when the picture is of another kind: Decode takes it.
func DecodeRows(data []byte, o Options, part Span) (*Rows, error) {
	d := &decoder{data: data, wanted: part, stream: true}
	d.begin(o)
	if err := d.decode(o); err != nil {
		d.end()
		return nil, err
	}
	if len(d.comp) != 3 || d.isRGB() {
		d.end()
		return nil, nil
	}
	r := d.rows()
	r.d, r.o = d, o
	return r, nil
}

// Close reads the rest of the picture and tells what is wrong with any of it. Rows are not to be had any more.
func (r *Rows) Close() error {
	d := r.d
	if d == nil {
		return nil
	}
	r.d = nil
	defer d.end()
	if r.err != nil || !d.streaming {
		return r.err
	}
	for i := range d.comp {
		d.comp[i].bottom = 0 // nobody looks
	}
	if err := d.rest(); err != nil {
		return err
	}
	d.streaming = false
	return d.segments(r.o)
}

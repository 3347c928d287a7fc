package jpeg

// Plane is one component of a picture before its colours are converted: Pix has rows of Stride bytes, at
// least ceil(width*H/HMax) samples and ceil(height*V/VMax) rows of them, with HMax and VMax the largest
// factors of the picture.
type Plane struct {
	Pix    []uint8
	Stride int
	H, V   int // sampling factors
}

// Rows makes RGB of planes in Y, Cb and Cr, row by row, with the interpolation and the arithmetic of Decode.
// It keeps scratch of its own: one at a time.
type Rows struct {
	width int
	up    [3]upsampler
	full  [3][]uint8
}

// NewRows begins with the planes of a picture whose factors divide the largest ones.
func NewRows(width, height int, planes [3]Plane) *Rows {
	d := decoder{width: width, height: height, hmax: 1, vmax: 1}
	for _, p := range planes {
		d.hmax, d.vmax = max(d.hmax, p.H), max(d.vmax, p.V)
		d.comp = append(d.comp, component{h: p.H, v: p.V, plane: p.Pix, stride: p.Stride})
	}
	return d.rows()
}

func (d *decoder) rows() *Rows {
	r := &Rows{width: d.width}
	for i := range r.up {
		r.up[i] = newUpsampler(d, &d.comp[i])
	}
	return r
}

// Row writes the pixels from to to (excluded) of row y to dst.
func (r *Rows) Row(dst []uint8, y, from, to int) {
	for i := range r.up {
		r.full[i] = r.up[i].row(y)[from:to]
	}
	rowRGB(dst[:3*(to-from)], r.full[:])
}

// DecodeRows is Decode for a picture of three components in YCbCr, without the conversion. It returns nil
// rows and no error when the picture is of another kind: Decode takes it.
func DecodeRows(data []byte, o Options) (*Rows, error) {
	d := &decoder{data: data}
	if err := d.decode(o); err != nil {
		return nil, err
	}
	if len(d.comp) != 3 || d.isRGB() {
		return nil, nil
	}
	return d.rows(), nil
}

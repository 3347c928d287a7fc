package vorbis

import "math"

// floor is how the outline of a spectrum is kept (Vorbis I, 6 and 7).
type floor interface {
	// read reads what a packet has for a channel; false if that is silence.
	read(r *bitReader, o *outline) bool
	// apply multiplies a spectrum by the outline; long is 1 for the longer of the two blocks.
	apply(spectrum []float32, o *outline, long int)
}

// outline is what a packet says of one channel's spectrum.
type outline struct {
	heights []int // floor1: of its points, -1 minus the height of those that are not used

	amplitude    float64   // floor0: in decibels above its offset
	coefficients []float64 // twice their cosines
}

// maxPoints is how many points a floor of kind 1 may have (Vorbis I, 7.2.2).
const maxPoints = 65

// floor1 is an outline of straight lines in decibels between points.
type floor1 struct {
	classes    []floor1Class // of each partition
	multiplier int
	limit      int   // heights are below it
	x          []int // places of the points
	sorted     []int // the points from left to right
	low, high  []int // the nearest points to both sides among those before
}

type floor1Class struct {
	dimensions int
	bits       int
	master     *codebook
	books      [8]*codebook // nil: always 0
}

func (f *floor1) read(r *bitReader, o *outline) bool {
	if !r.flag() {
		return false
	}
	width := bitLength(f.limit - 1)
	y := append(o.heights[:0], int(r.read(width)), int(r.read(width)))
	for i := range f.classes {
		c := &f.classes[i]
		v := 0
		if c.bits > 0 {
			if v = c.master.decode(r); v < 0 {
				return false
			}
		}
		for range c.dimensions {
			h := 0
			if b := c.books[v&(1<<c.bits-1)]; b != nil {
				if h = b.decode(r); h < 0 {
					return false
				}
			}
			v >>= c.bits
			y = append(y, h)
		}
	}
	o.heights = y
	if r.over() {
		return false
	}
	f.unwrap(y)
	return true
}

// unwrap makes heights of what was coded, the difference from the line between the neighbours. The height of a point
// that is not used, because it lies on that line, is negative from then on: -1 minus the height.
func (f *floor1) unwrap(y []int) {
	used := func(v int) int {
		if v < 0 {
			return -1 - v
		}
		return v
	}
	for i := 2; i < len(y); i++ {
		low, high := f.low[i], f.high[i]
		x0, x1, y0, y1 := f.x[low], f.x[high], used(y[low]), used(y[high])
		// As the specification divides: towards the left point.
		predicted, by := y0, y1-y0
		if by < 0 {
			predicted -= -by * (f.x[i] - x0) / (x1 - x0)
		} else {
			predicted += by * (f.x[i] - x0) / (x1 - x0)
		}
		v := y[i]
		if v == 0 {
			y[i] = -1 - predicted
			continue
		}
		y[low], y[high] = y0, y1
		above, below := f.limit-predicted, predicted
		switch {
		case v >= 2*min(above, below) && above > below:
			v -= below
		case v >= 2*min(above, below):
			v = above - v - 1
		case v&1 == 1:
			v = -(v + 1) / 2
		default:
			v /= 2
		}
		y[i] = (predicted + v) & 0x7fff // damaged files go beyond the limit
	}
}

// perDecibel is ln(10) / 20 as the specification rounds it.
const perDecibel = .11512925

// decibels is the level of each height, -139.5 dB to 0 (Vorbis I, 10.1).
var decibels = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(math.Exp(perDecibel * float64(i-255) * 35 / 64))
	}
	return t
}()

func (f *floor1) apply(spectrum []float32, o *outline, _ int) {
	y := o.heights
	level := func(i int) int { return min(y[i]*f.multiplier, 255) }
	x0, y0 := 0, level(0)
	for _, i := range f.sorted[1:] {
		if y[i] < 0 {
			continue
		}
		x1, y1 := f.x[i], level(i)
		line(spectrum, x0, y0, x1, y1)
		if x0, y0 = x1, y1; x0 >= len(spectrum) {
			return
		}
	}
	v := decibels[y0]
	for i := range spectrum[x0:] {
		spectrum[x0+i] *= v
	}
}

// line multiplies the spectrum by a line of whole levels from one point up to another (Vorbis I, 9.2.7).
func line(spectrum []float32, x0, y0, x1, y1 int) {
	dx, dy := x1-x0, y1-y0
	base := dy / dx
	step, rest := 1, dy-base*dx
	if dy < 0 {
		step, rest = -1, -rest
	}
	if rest == 0 && base == 0 {
		v := decibels[y0&255]
		for i := range spectrum[x0:min(x1, len(spectrum))] {
			spectrum[x0+i] *= v
		}
		return
	}
	y, err := y0, 0
	for i, v := range spectrum[x0:min(x1, len(spectrum))] {
		spectrum[x0+i] = v * decibels[y&255]
		y += base
		if err += rest; err >= dx {
			err -= dx
			y += step
		}
	}
}

// floor0 is an outline by line spectral pairs, which only the first encoders wrote.
type floor0 struct {
	order, rate, barkSize int
	amplitudeBits, offset int
	books                 []*codebook
	cosines               [2][]barkStep // by block size
}

// barkStep is a stretch of the spectrum of one level.
type barkStep struct {
	end    int
	cosine float64 // twice the cosine of its place
}

func bark(hz float64) float64 {
	return float64(13.1*math.Atan(.00074*hz)) + float64(2.24*math.Atan(1.85e-8*hz*hz)) + float64(1e-4*hz)
}

// barkMap says where the levels of a spectrum of n lines change.
func (f *floor0) barkMap(n int) (steps []barkStep) {
	half := float64(f.rate) / 2
	last := -1
	for i := range n {
		at := min(int(bark(half/float64(n)*float64(i))*float64(f.barkSize)/bark(half)), f.barkSize-1)
		if at != last {
			steps = append(steps, barkStep{cosine: 2 * math.Cos(math.Pi*float64(at)/float64(f.barkSize))})
			last = at
		}
		steps[len(steps)-1].end = i + 1
	}
	return steps
}

func (f *floor0) read(r *bitReader, o *outline) bool {
	low := r.read(min(f.amplitudeBits, 32))
	amplitude := uint64(low) | uint64(r.read(max(0, f.amplitudeBits-32)))<<32
	if amplitude == 0 {
		return false
	}
	n := int(r.read(bitLength(len(f.books))))
	if n >= len(f.books) || r.over() {
		return false
	}
	o.amplitude = float64(amplitude) / float64(uint64(1)<<f.amplitudeBits-1) * float64(f.offset)
	o.coefficients = o.coefficients[:0]
	book := f.books[n]
	for last := float32(0); len(o.coefficients) < f.order; {
		e := book.decode(r)
		if e < 0 {
			return false
		}
		v := book.values[e*book.dimensions:][:book.dimensions]
		for _, c := range v[:min(len(v), f.order-len(o.coefficients))] {
			o.coefficients = append(o.coefficients, 2*math.Cos(float64(c+last)))
		}
		last += v[len(v)-1]
	}
	return true
}

func (f *floor0) apply(spectrum []float32, o *outline, long int) {
	from := 0
	for _, s := range f.cosines[long] {
		p, q := 0.5, 0.5
		for i, c := range o.coefficients {
			if i%2 == 0 {
				q *= s.cosine - c
			} else {
				p *= s.cosine - c
			}
		}
		if f.order%2 == 1 {
			p, q = p*p*(4-float64(s.cosine*s.cosine)), q*q
		} else {
			p, q = p*p*(2-s.cosine), q*q*(2+s.cosine)
		}
		v := float32(math.Exp(perDecibel * (o.amplitude/math.Sqrt(p+q) - float64(f.offset))))
		for i := range spectrum[from:s.end] {
			spectrum[from+i] *= v
		}
		from = s.end
	}
}

//go:build goexperiment.simd && amd64 && !scalar

package mel

import (
	"simd/archsimd"
	"sync"
)

// The kernels with eight frames in lanes. Those with sixteen are made of them by vector_gen.go.

const lanes8 = 8

type vec8 = archsimd.Float32x8

func load8(x *[lanes8]float32) vec8      { return archsimd.LoadFloat32x8(x) }
func loadFrom8(x []float32) vec8         { return archsimd.LoadFloat32x8((*[lanes8]float32)(x)) }
func broadcast8(x float32) vec8          { return archsimd.BroadcastFloat32x8(x) }
func integers8(x int32) archsimd.Int32x8 { return archsimd.BroadcastInt32x8(x) }

// spectra8 is spectrum with a frame in each lane.
type spectra8 struct {
	re, im, power [maxHalf][lanes8]float32
	turned        [lanes8][lanes8]float32 // samples of the lanes: [sample][frame]
}

// scratch8 keeps what was used before.
var scratch8 = sync.Pool{New: func() any { return new(spectra8) }}

// turn gathers samples of all lanes' frames, hop apart, into turned.
func (s *spectra8) turn(wave []float32, hop int) {
	for i := 0; i < lanes8; i += 8 {
		for f := 0; f < lanes8; f += 8 {
			x := wave[f*hop+i:]
			at := func(i int) *[8]float32 { return (*[8]float32)(x[i*hop:]) }
			to := func(j int) *[8]float32 { return (*[8]float32)(s.turned[i+j][f:]) }
			Transpose(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), to(0), to(1), to(2), to(3), to(4), to(5), to(6), to(7))
		}
	}
}

// transform is spectrum.transform, step by step.
func (s *spectra8) transform(half int) {
	if half == maxHalf {
		s.radix2()
		s.radix4(quarter, 64, 1)
		s.radix4(quarter, 16, 4)
		s.radix4(quarter, 4, 16)
		s.radix4last(quarter)
	}
	s.radix4(0, 64, 1)
	s.radix4(0, 16, 4)
	s.radix4(0, 4, 16)
	s.radix4last(0)
	s.split(half)
}

func (s *spectra8) radix2() {
	for p := range quarter {
		ar, ai, br, bi := load8(&s.re[p]), load8(&s.im[p]), load8(&s.re[p+quarter]), load8(&s.im[p+quarter])
		wr, wi := broadcast8(unit[2*p].re), broadcast8(unit[2*p].im)
		tr, ti := ar.Sub(br), ai.Sub(bi)
		ar.Add(br).Store(&s.re[p])
		ai.Add(bi).Store(&s.im[p])
		tr.Mul(wr).Sub(ti.Mul(wi)).Store(&s.re[p+quarter])
		tr.Mul(wi).Add(ti.Mul(wr)).Store(&s.im[p+quarter])
	}
}

func (s *spectra8) radix4(base, m, step int) {
	const mask = maxHalf - 1
	for p := range m {
		w := &twiddle[p*step&63]
		w1r, w1i := broadcast8(w[0].re), broadcast8(w[0].im)
		w2r, w2i := broadcast8(w[1].re), broadcast8(w[1].im)
		w3r, w3i := broadcast8(w[2].re), broadcast8(w[2].im)
		for i := base + p; i < base+quarter; i += 4 * m {
			i0, i1, i2, i3 := i&mask, (i+m)&mask, (i+2*m)&mask, (i+3*m)&mask
			ar, br, cr, dr := load8(&s.re[i0]), load8(&s.re[i1]), load8(&s.re[i2]), load8(&s.re[i3])
			ai, bi, ci, di := load8(&s.im[i0]), load8(&s.im[i1]), load8(&s.im[i2]), load8(&s.im[i3])
			sr, si, er, ei := ar.Add(cr), ai.Add(ci), ar.Sub(cr), ai.Sub(ci)
			tr, ti, fr, fi := br.Add(dr), bi.Add(di), br.Sub(dr), bi.Sub(di)
			sr.Add(tr).Store(&s.re[i0])
			si.Add(ti).Store(&s.im[i0])
			xr, xi := er.Add(fi), ei.Sub(fr)
			xr.Mul(w1r).Sub(xi.Mul(w1i)).Store(&s.re[i1])
			xr.Mul(w1i).Add(xi.Mul(w1r)).Store(&s.im[i1])
			xr, xi = sr.Sub(tr), si.Sub(ti)
			xr.Mul(w2r).Sub(xi.Mul(w2i)).Store(&s.re[i2])
			xr.Mul(w2i).Add(xi.Mul(w2r)).Store(&s.im[i2])
			xr, xi = er.Sub(fi), ei.Add(fr)
			xr.Mul(w3r).Sub(xi.Mul(w3i)).Store(&s.re[i3])
			xr.Mul(w3i).Add(xi.Mul(w3r)).Store(&s.im[i3])
		}
	}
}

func (s *spectra8) radix4last(base int) {
	for i := base; i < base+quarter; i += 4 {
		re, im := (*[4][lanes8]float32)(s.re[i:]), (*[4][lanes8]float32)(s.im[i:])
		ar, br, cr, dr := load8(&re[0]), load8(&re[1]), load8(&re[2]), load8(&re[3])
		ai, bi, ci, di := load8(&im[0]), load8(&im[1]), load8(&im[2]), load8(&im[3])
		sr, si, er, ei := ar.Add(cr), ai.Add(ci), ar.Sub(cr), ai.Sub(ci)
		tr, ti, fr, fi := br.Add(dr), bi.Add(di), br.Sub(dr), bi.Sub(di)
		sr.Add(tr).Store(&re[0])
		si.Add(ti).Store(&im[0])
		er.Add(fi).Store(&re[1])
		ei.Sub(fr).Store(&im[1])
		sr.Sub(tr).Store(&re[2])
		si.Sub(ti).Store(&im[2])
		er.Sub(fi).Store(&re[3])
		ei.Add(fr).Store(&im[3])
	}
}

func (s *spectra8) split(half int) {
	const mask = maxHalf - 1
	quart := broadcast8(0.25)
	dc := load8(&s.re[0]).Add(load8(&s.im[0]))
	dc.Mul(dc).Store(&s.power[0])
	step := maxHalf / half
	for k := 1; k <= half/2; k++ {
		i, j := int(position[k*step&mask])&mask, int(position[(half-k)*step&mask])&mask
		ar, ai, br, bi := load8(&s.re[i]), load8(&s.im[i]), load8(&s.re[j]), load8(&s.im[j])
		er, ei, or, oi := ar.Add(br), ai.Sub(bi), ar.Sub(br), ai.Add(bi)
		w := &unit[k*step&mask]
		wr, wi := broadcast8(w.re), broadcast8(w.im)
		tr := or.Mul(wi).Add(oi.Mul(wr))
		ti := oi.Mul(wi).Sub(or.Mul(wr))
		ar, ai, br, bi = er.Add(tr), ei.Add(ti), er.Sub(tr), ei.Sub(ti)
		quart.Mul(ar.Mul(ar).Add(ai.Mul(ai))).Store(&s.power[k&mask])
		quart.Mul(br.Mul(br).Add(bi.Mul(bi))).Store(&s.power[(half-k)&mask])
	}
}

// blocks8 calls f with the first frame of every block; the last block overlaps the one before.
func blocks8(frames int, f func(first int)) (done int) {
	if frames < lanes8 {
		return 0
	}
	for first := 0; first < frames; first += lanes8 {
		f(min(first, frames-lanes8))
	}
	archsimd.ClearAVXUpperBits()
	return frames
}

func spectrogram8(wave []float32, window *[SpectrumLength]float32, hop int, power []float32, stride, frames int) int {
	s := scratch8.Get().(*spectra8)
	defer scratch8.Put(s)
	return blocks8(frames, func(first int) {
		x := wave[first*hop:]
		for i := 0; i < SpectrumLength; i += lanes8 {
			s.turn(x[i:], hop)
			w := (*[lanes8]float32)(window[i:])
			for j := 0; j < lanes8; j += 2 {
				load8(&s.turned[j]).Mul(broadcast8(w[j])).Store(&s.re[(i+j)/2])
				load8(&s.turned[j+1]).Mul(broadcast8(w[j+1])).Store(&s.im[(i+j)/2])
			}
		}
		s.transform(maxHalf)
		for k := range s.power {
			load8(&s.power[k]).Store((*[lanes8]float32)(power[k*stride+first:]))
		}
	})
}

func fbank8(wave, offset []float32, out bank, frames int) int {
	s := scratch8.Get().(*spectra8)
	defer scratch8.Put(s)
	return blocks8(frames, func(first int) {
		x := wave[first*HopLength:]
		mean, coefficient := loadFrom8(offset[first:]), broadcast8(preEmphasis)
		var before vec8
		for i := 0; i < WindowLength; i += lanes8 {
			s.turn(x[i:], HopLength)
			w := (*[lanes8]float32)(window[i:])
			if i == 0 {
				before = load8(&s.turned[0]).Sub(mean)
			}
			for j := 0; j < lanes8; j += 2 {
				even, odd := load8(&s.turned[j]).Sub(mean), load8(&s.turned[j+1]).Sub(mean)
				even.Sub(coefficient.Mul(before)).Mul(broadcast8(w[j])).Store(&s.re[(i+j)/2])
				odd.Sub(coefficient.Mul(even)).Mul(broadcast8(w[j+1])).Store(&s.im[(i+j)/2])
				before = odd
			}
		}
		clear(s.re[WindowLength/2 : fftLength/2])
		clear(s.im[WindowLength/2 : fftLength/2])
		s.transform(fftLength / 2)
		floor, shift, std := broadcast8(logFloor), broadcast8(out.mean), broadcast8(out.std)
		for b := range filters {
			t := &filters[b]
			p := s.power[t.first:][:len(t.weight)]
			var sum vec8
			for i, w := range t.weight {
				sum = sum.Add(broadcast8(w).Mul(load8(&p[i])))
			}
			// The second operand of the instruction wins where one is not a number.
			value := logarithms8(floor.Max(sum)).Sub(shift).Div(std)
			value.Store((*[lanes8]float32)(out.dst[b*out.stride+first:]))
		}
	})
}

// logarithms8 is logarithm in lanes.
func logarithms8(x vec8) vec8 {
	bits := x.AsInt32x8().Sub(integers8(halfSqrt2Bits))
	exponent := bits.ShiftAllRight(23).ConvertToFloat32()
	m := bits.And(integers8(0x7fffff)).Add(integers8(halfSqrt2Bits)).AsFloat32x8().Sub(broadcast8(1))
	z := m.Mul(m)
	y := broadcast8(logP0).Mul(m).Add(broadcast8(logP1))
	y = y.Mul(m).Add(broadcast8(logP2))
	y = y.Mul(m).Add(broadcast8(logP3))
	y = y.Mul(m).Add(broadcast8(logP4))
	y = y.Mul(m).Add(broadcast8(logP5))
	y = y.Mul(m).Add(broadcast8(logP6))
	y = y.Mul(m).Add(broadcast8(logP7))
	y = y.Mul(m).Add(broadcast8(logP8))
	y = y.Mul(m).Mul(z)
	y = y.Add(exponent.Mul(broadcast8(ln2Low)))
	y = y.Add(z.Mul(broadcast8(-0.5)))
	y = exponent.Mul(broadcast8(ln2High)).Add(m.Add(y))
	return y.Add(x.Sub(x))
}

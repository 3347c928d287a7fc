//go:build goexperiment.simd && amd64

package mel

import "simd/archsimd"

// vector is nil on processors without AVX2.
var vector = func() *kernels {
	if !archsimd.X86.AVX2() {
		return nil
	}
	return &kernels{name: "avx2", fbank: fbankLanes, spectrogram: spectrogramLanes, resample: resampleLanes}
}()

const lanes = 8

type vec = archsimd.Float32x8

func load(x *[lanes]float32) vec        { return archsimd.LoadFloat32x8(x) }
func load8(x []float32) vec             { return archsimd.LoadFloat32x8((*[lanes]float32)(x)) }
func broadcast(x float32) vec           { return archsimd.BroadcastFloat32x8(x) }
func integers(x int32) archsimd.Int32x8 { return archsimd.BroadcastInt32x8(x) }

// spectra is spectrum with a frame in each lane.
type spectra struct {
	re, im, power [maxHalf][lanes]float32
	turned        [lanes][lanes]float32 // samples of eight frames: [sample][frame]
}

// turn transposes eight samples of eight frames, hop apart, into turned.
func (s *spectra) turn(wave []float32, hop int) {
	r0, r1 := load8(wave), load8(wave[hop:])
	r2, r3 := load8(wave[2*hop:]), load8(wave[3*hop:])
	r4, r5 := load8(wave[4*hop:]), load8(wave[5*hop:])
	r6, r7 := load8(wave[6*hop:]), load8(wave[7*hop:])
	a0, a1 := r0.Select128FromPair(0, 2, r4), r1.Select128FromPair(0, 2, r5)
	a2, a3 := r2.Select128FromPair(0, 2, r6), r3.Select128FromPair(0, 2, r7)
	t0, t1 := a0.SelectFromPairGrouped(0, 1, 4, 5, a1), a0.SelectFromPairGrouped(2, 3, 6, 7, a1)
	t2, t3 := a2.SelectFromPairGrouped(0, 1, 4, 5, a3), a2.SelectFromPairGrouped(2, 3, 6, 7, a3)
	t0.SelectFromPairGrouped(0, 2, 4, 6, t2).Store(&s.turned[0])
	t0.SelectFromPairGrouped(1, 3, 5, 7, t2).Store(&s.turned[1])
	t1.SelectFromPairGrouped(0, 2, 4, 6, t3).Store(&s.turned[2])
	t1.SelectFromPairGrouped(1, 3, 5, 7, t3).Store(&s.turned[3])
	a0, a1 = r0.Select128FromPair(1, 3, r4), r1.Select128FromPair(1, 3, r5)
	a2, a3 = r2.Select128FromPair(1, 3, r6), r3.Select128FromPair(1, 3, r7)
	t0, t1 = a0.SelectFromPairGrouped(0, 1, 4, 5, a1), a0.SelectFromPairGrouped(2, 3, 6, 7, a1)
	t2, t3 = a2.SelectFromPairGrouped(0, 1, 4, 5, a3), a2.SelectFromPairGrouped(2, 3, 6, 7, a3)
	t0.SelectFromPairGrouped(0, 2, 4, 6, t2).Store(&s.turned[4])
	t0.SelectFromPairGrouped(1, 3, 5, 7, t2).Store(&s.turned[5])
	t1.SelectFromPairGrouped(0, 2, 4, 6, t3).Store(&s.turned[6])
	t1.SelectFromPairGrouped(1, 3, 5, 7, t3).Store(&s.turned[7])
}

// transform is spectrum.transform, step by step.
func (s *spectra) transform(half int) {
	if half == maxHalf {
		s.radix2()
		s.radix4(quarter, 64)
		s.radix4(quarter, 16)
		s.radix4(quarter, 4)
		s.radix4last(quarter)
	}
	s.radix4(0, 64)
	s.radix4(0, 16)
	s.radix4(0, 4)
	s.radix4last(0)
	s.split(half)
}

func (s *spectra) radix2() {
	for p := range quarter {
		ar, ai, br, bi := load(&s.re[p]), load(&s.im[p]), load(&s.re[p+quarter]), load(&s.im[p+quarter])
		wr, wi := broadcast(unit[2*p].re), broadcast(unit[2*p].im)
		tr, ti := ar.Sub(br), ai.Sub(bi)
		ar.Add(br).Store(&s.re[p])
		ai.Add(bi).Store(&s.im[p])
		tr.Mul(wr).Sub(ti.Mul(wi)).Store(&s.re[p+quarter])
		tr.Mul(wi).Add(ti.Mul(wr)).Store(&s.im[p+quarter])
	}
}

func (s *spectra) radix4(base, m int) {
	const mask = maxHalf - 1
	for block := base; block < base+quarter; block += 4 * m {
		for p := range m {
			i0 := (block + p) & mask
			i1, i2, i3 := (i0+m)&mask, (i0+2*m)&mask, (i0+3*m)&mask
			ar, br, cr, dr := load(&s.re[i0]), load(&s.re[i1]), load(&s.re[i2]), load(&s.re[i3])
			ai, bi, ci, di := load(&s.im[i0]), load(&s.im[i1]), load(&s.im[i2]), load(&s.im[i3])
			sr, si, er, ei := ar.Add(cr), ai.Add(ci), ar.Sub(cr), ai.Sub(ci)
			tr, ti, fr, fi := br.Add(dr), bi.Add(di), br.Sub(dr), bi.Sub(di)
			sr.Add(tr).Store(&s.re[i0])
			si.Add(ti).Store(&s.im[i0])
			w := &twiddle[p*(64/m)&63]
			wr, wi := broadcast(w[0].re), broadcast(w[0].im)
			xr, xi := er.Add(fi), ei.Sub(fr)
			xr.Mul(wr).Sub(xi.Mul(wi)).Store(&s.re[i1])
			xr.Mul(wi).Add(xi.Mul(wr)).Store(&s.im[i1])
			wr, wi = broadcast(w[1].re), broadcast(w[1].im)
			xr, xi = sr.Sub(tr), si.Sub(ti)
			xr.Mul(wr).Sub(xi.Mul(wi)).Store(&s.re[i2])
			xr.Mul(wi).Add(xi.Mul(wr)).Store(&s.im[i2])
			wr, wi = broadcast(w[2].re), broadcast(w[2].im)
			xr, xi = er.Sub(fi), ei.Add(fr)
			xr.Mul(wr).Sub(xi.Mul(wi)).Store(&s.re[i3])
			xr.Mul(wi).Add(xi.Mul(wr)).Store(&s.im[i3])
		}
	}
}

func (s *spectra) radix4last(base int) {
	for i := base; i < base+quarter; i += 4 {
		re, im := (*[4][lanes]float32)(s.re[i:]), (*[4][lanes]float32)(s.im[i:])
		ar, br, cr, dr := load(&re[0]), load(&re[1]), load(&re[2]), load(&re[3])
		ai, bi, ci, di := load(&im[0]), load(&im[1]), load(&im[2]), load(&im[3])
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

func (s *spectra) split(half int) {
	const mask = maxHalf - 1
	quart := broadcast(0.25)
	dc := load(&s.re[0]).Add(load(&s.im[0]))
	dc.Mul(dc).Store(&s.power[0])
	step := maxHalf / half
	for k := 1; k <= half/2; k++ {
		i, j := int(position[k*step&mask])&mask, int(position[(half-k)*step&mask])&mask
		ar, ai, br, bi := load(&s.re[i]), load(&s.im[i]), load(&s.re[j]), load(&s.im[j])
		er, ei, or, oi := ar.Add(br), ai.Sub(bi), ar.Sub(br), ai.Add(bi)
		w := &unit[k*step&mask]
		wr, wi := broadcast(w.re), broadcast(w.im)
		tr := or.Mul(wi).Add(oi.Mul(wr))
		ti := oi.Mul(wi).Sub(or.Mul(wr))
		ar, ai, br, bi = er.Add(tr), ei.Add(ti), er.Sub(tr), ei.Sub(ti)
		quart.Mul(ar.Mul(ar).Add(ai.Mul(ai))).Store(&s.power[k&mask])
		quart.Mul(br.Mul(br).Add(bi.Mul(bi))).Store(&s.power[(half-k)&mask])
	}
}

// blocks calls f with the first frame of every block of eight; the last block overlaps the one before.
func blocks(frames int, f func(first int)) (done int) {
	if frames < lanes {
		return 0
	}
	for first := 0; first < frames; first += lanes {
		f(min(first, frames-lanes))
	}
	archsimd.ClearAVXUpperBits()
	return frames
}

func spectrogramLanes(wave []float32, window *[SpectrumLength]float32, hop int, power []float32, frames int) int {
	s := new(spectra)
	return blocks(frames, func(first int) {
		x := wave[first*hop:]
		for i := 0; i < SpectrumLength; i += lanes {
			s.turn(x[i:], hop)
			w := (*[lanes]float32)(window[i:])
			for j := 0; j < lanes; j += 2 {
				load(&s.turned[j]).Mul(broadcast(w[j])).Store(&s.re[(i+j)/2])
				load(&s.turned[j+1]).Mul(broadcast(w[j+1])).Store(&s.im[(i+j)/2])
			}
		}
		s.transform(maxHalf)
		for k := range s.power {
			copy(power[k*frames+first:][:lanes], s.power[k][:])
		}
	})
}

func fbankLanes(wave, offset []float32, out bank, frames int) int {
	s := new(spectra)
	return blocks(frames, func(first int) {
		x := wave[first*HopLength:]
		mean, coefficient := load8(offset[first:]), broadcast(preEmphasis)
		var before vec
		for i := 0; i < WindowLength; i += lanes {
			s.turn(x[i:], HopLength)
			w := (*[lanes]float32)(window[i:])
			if i == 0 {
				before = load(&s.turned[0]).Sub(mean)
			}
			for j := 0; j < lanes; j += 2 {
				even, odd := load(&s.turned[j]).Sub(mean), load(&s.turned[j+1]).Sub(mean)
				even.Sub(coefficient.Mul(before)).Mul(broadcast(w[j])).Store(&s.re[(i+j)/2])
				odd.Sub(coefficient.Mul(even)).Mul(broadcast(w[j+1])).Store(&s.im[(i+j)/2])
				before = odd
			}
		}
		clear(s.re[WindowLength/2 : fftLength/2])
		clear(s.im[WindowLength/2 : fftLength/2])
		s.transform(fftLength / 2)
		floor, shift, std := broadcast(logFloor), broadcast(out.mean), broadcast(out.std)
		for b := range filters {
			t := &filters[b]
			p := s.power[t.first:][:len(t.weight)]
			var sum vec
			for i, w := range t.weight {
				sum = sum.Add(broadcast(w).Mul(load(&p[i])))
			}
			// The second operand of the instruction wins where one is not a number.
			value := logarithms(floor.Max(sum)).Sub(shift).Div(std)
			value.Store((*[lanes]float32)(out.dst[b*out.stride+first:]))
		}
	})
}

// logarithms is logarithm in lanes.
func logarithms(x vec) vec {
	bits, one := x.AsInt32x8(), broadcast(1)
	exponent := bits.ShiftAllRight(23).Sub(integers(126)).ConvertToFloat32()
	m := bits.And(integers(0x7fffff)).Or(integers(0x3f000000)).AsFloat32x8()
	small := m.Less(broadcast(halfSqrt2))
	exponent = exponent.Sub(one).Merge(exponent, small)
	m = m.Add(m).Merge(m, small).Sub(one)
	z := m.Mul(m)
	y := broadcast(log0).Mul(m).Add(broadcast(log1))
	y = y.Mul(m).Add(broadcast(log2))
	y = y.Mul(m).Add(broadcast(log3))
	y = y.Mul(m).Add(broadcast(log4))
	y = y.Mul(m).Add(broadcast(log5))
	y = y.Mul(m).Add(broadcast(log6))
	y = y.Mul(m).Add(broadcast(log7))
	y = y.Mul(m).Add(broadcast(log8))
	y = y.Mul(m).Mul(z)
	y = y.Add(exponent.Mul(broadcast(ln2Low)))
	y = y.Add(z.Mul(broadcast(-0.5)))
	y = exponent.Mul(broadcast(ln2High)).Add(m.Add(y))
	return y.Add(x.Sub(x))
}

// resampleLanes computes four samples at a time, the taps of each in eight strands.
func resampleLanes(p *polyphase, padded, out []float32) int {
	base, phase := 0, 0
	next := func() (k, x []float32) {
		k = p.kernel[phase*p.taps:][:p.taps]
		x = padded[base+p.start[phase]:][:p.taps]
		if phase++; phase == p.to {
			phase = 0
			base += p.from
		}
		return k, x
	}
	i := 0
	for ; i+4 <= len(out); i += 4 {
		k0, x0 := next()
		k1, x1 := next()
		k2, x2 := next()
		k3, x3 := next()
		var s0, s1, s2, s3 vec
		for len(k0) >= lanes && len(k1) >= lanes && len(k2) >= lanes && len(k3) >= lanes &&
			len(x0) >= lanes && len(x1) >= lanes && len(x2) >= lanes && len(x3) >= lanes {
			s0 = s0.Add(load8(k0).Mul(load8(x0)))
			s1 = s1.Add(load8(k1).Mul(load8(x1)))
			s2 = s2.Add(load8(k2).Mul(load8(x2)))
			s3 = s3.Add(load8(k3).Mul(load8(x3)))
			k0, k1, k2, k3 = k0[lanes:], k1[lanes:], k2[lanes:], k3[lanes:]
			x0, x1, x2, x3 = x0[lanes:], x1[lanes:], x2[lanes:], x3[lanes:]
		}
		s := s0.AddPairsGrouped(s1).AddPairsGrouped(s2.AddPairsGrouped(s3))
		s.GetLo().Add(s.GetHi()).Store((*[4]float32)(out[i:]))
	}
	archsimd.ClearAVXUpperBits()
	return i
}

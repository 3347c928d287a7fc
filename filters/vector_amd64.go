//go:build goexperiment.simd && amd64 && !scalar

package filters

import (
	"math/bits"
	"simd/archsimd"
	"slices"
	"sync"

	"prep/mel"
)

// vector is nil on processors without AVX2.
var vector = func() *kernels {
	if !archsimd.X86.AVX2() {
		return nil
	}
	return &kernels{summarise: summariseLanes, centre: centreLanes, cells: cellLanes, column: columnLanes, decibels: decibelLanes}
}()

// Scalar floats between vector instructions cost some processors a thousand cycles while the upper halves
// of the registers are in use. Each kernel here is a function of vectors alone that clears them at its end, and what is
// scalar goes before and after.

type vec8 = archsimd.Float32x8

func load8(x []float32) vec8 { return archsimd.LoadFloat32x8((*[8]float32)(x)) }

// summariseLanes does four blocks at a time, the strands of each in lanes.
//
//go:noinline
func summariseLanes(x []float32, l *blockLevels) int {
	done := len(x) / blockLength / 4 * 4
	low, high, sum := l.low[:done], l.high[:done], l.sum[:done]
	for b := 0; b < done; b += 4 {
		part := (*[4 * blockLength]float32)(x[b*blockLength:])
		v0, v1 := load8(part[0*blockLength:]), load8(part[1*blockLength:])
		v2, v3 := load8(part[2*blockLength:]), load8(part[3*blockLength:])
		l0, l1, l2, l3, h0, h1, h2, h3, s0, s1, s2, s3 := v0, v1, v2, v3, v0, v1, v2, v3, v0, v1, v2, v3
		for j := 8; j < blockLength; j += 8 {
			v0, v1 = load8(part[j+0*blockLength:]), load8(part[j+1*blockLength:])
			v2, v3 = load8(part[j+2*blockLength:]), load8(part[j+3*blockLength:])
			l0, l1, l2, l3 = l0.Min(v0), l1.Min(v1), l2.Min(v2), l3.Min(v3)
			h0, h1, h2, h3 = h0.Max(v0), h1.Max(v1), h2.Max(v2), h3.Max(v3)
			s0, s1, s2, s3 = s0.Add(v0), s1.Add(v1), s2.Add(v2), s3.Add(v3)
		}
		// Each lane and its neighbour, two blocks in one vector; then those; then the halves.
		l0 = l0.SelectFromPairGrouped(0, 1, 4, 5, l1).Min(l0.SelectFromPairGrouped(2, 3, 6, 7, l1))
		l2 = l2.SelectFromPairGrouped(0, 1, 4, 5, l3).Min(l2.SelectFromPairGrouped(2, 3, 6, 7, l3))
		l0 = l0.SelectFromPairGrouped(0, 2, 4, 6, l2).Min(l0.SelectFromPairGrouped(1, 3, 5, 7, l2))
		l0.GetLo().Min(l0.GetHi()).Store((*[4]float32)(low[b:]))
		h0 = h0.SelectFromPairGrouped(0, 1, 4, 5, h1).Max(h0.SelectFromPairGrouped(2, 3, 6, 7, h1))
		h2 = h2.SelectFromPairGrouped(0, 1, 4, 5, h3).Max(h2.SelectFromPairGrouped(2, 3, 6, 7, h3))
		h0 = h0.SelectFromPairGrouped(0, 2, 4, 6, h2).Max(h0.SelectFromPairGrouped(1, 3, 5, 7, h2))
		h0.GetLo().Max(h0.GetHi()).Store((*[4]float32)(high[b:]))
		s0 = s0.AddPairsGrouped(s1).AddPairsGrouped(s2.AddPairsGrouped(s3))
		s0.GetLo().Add(s0.GetHi()).Store((*[4]float32)(sum[b:]))
	}
	archsimd.ClearAVXUpperBits()
	return done
}

func centreLanes(c *clipFigures, x []float32, mean float32) int {
	done := min(len(c.short), (len(x)-1)/shortFrame) // a sample more is looked at
	sums := centring.Get().(*centredSums)
	defer centring.Put(sums)
	sums.powers = slices.Grow(sums.powers[:0], done)[:done]
	sums.signs = slices.Grow(sums.signs[:0], done)[:done]
	centreFrames(x, c.wave, mean, sums.powers, sums.signs)
	for i, p := range sums.powers {
		n := &sums.signs[i]
		c.short[i], c.fourth[i], c.crossed[i] = p[0], p[1], -float64(n[0]+n[1]+n[2]+n[3])
	}
	return done
}

// centredSums are those of short frames: of second and fourth powers, and the changes of sign in four parts, less than
// 0 by as many.
type centredSums struct {
	powers [][2]float64
	signs  [][4]int32
}

// centring keeps what was used before.
var centring = sync.Pool{New: func() any { return new(centredSums) }}

//go:noinline
func centreFrames(x, wave []float32, mean float32, pairs [][2]float64, signs [][4]int32) {
	m := archsimd.BroadcastFloat32x8(mean)
	sign := archsimd.BroadcastInt32x8(31)
	inside := archsimd.LoadInt32x8(&[8]int32{-1, -1, -1, -1, -1, -1, -1, 0})
	signs = signs[:len(pairs)]
	for i := range pairs {
		part, out := (*[shortFrame + 1]float32)(x[i*shortFrame:]), (*[shortFrame]float32)(wave[i*shortFrame:])
		var s, f archsimd.Float64x4
		var n archsimd.Int32x8
		for j := 0; j < shortFrame; j += 8 {
			v, next := load8(part[j:]).Sub(m), load8(part[j+1:]).Sub(m)
			v.Store((*[8]float32)(out[j:]))
			turned := v.AsInt32x8().Xor(next.AsInt32x8()).ShiftRight(sign)
			if j == shortFrame-8 {
				turned = turned.And(inside)
			}
			n = n.Add(turned)
			p := v.GetLo().ConvertToFloat64()
			p = p.Mul(p)
			s, f = s.Add(p), f.Add(p.Mul(p))
			p = v.GetHi().ConvertToFloat64()
			p = p.Mul(p)
			s, f = s.Add(p), f.Add(p.Mul(p))
		}
		s = s.AddPairsGrouped(f)
		s.GetLo().Add(s.GetHi()).Store(&pairs[i])
		n.GetLo().Add(n.GetHi()).Store(&signs[i])
	}
	archsimd.ClearAVXUpperBits()
}

//go:noinline
func cellLanes(c *clipFigures, from, to int, bandSum []float64) {
	stride := c.stride
	magnitude, least := archsimd.BroadcastInt32x8(0x7fffffff), archsimd.BroadcastFloat32x8(1e-20)
	load := func(x []float64) archsimd.Float64x4 { return archsimd.LoadFloat64x4((*[4]float64)(x)) }
	store := func(v archsimd.Float64x4, x []float64) { v.Store((*[4]float64)(x)) }
	for t := 0; t < stride; t += 8 {
		frame0, frame1 := load(c.frame[t:]), load(c.frame[t+4:])
		narrow0, narrow1 := load(c.narrow[t:]), load(c.narrow[t+4:])
		peaky0, peaky1 := load(c.peaky[t:]), load(c.peaky[t+4:])
		var band0, band1, noisy0, noisy1 archsimd.Float64x4
		at := c.power[t:]
		for f := from; f < to; f++ {
			row := at[f*stride:]
			a := load8(row)
			p0, p1 := a.GetLo().ConvertToFloat64(), a.GetHi().ConvertToFloat64()
			frame0, frame1 = frame0.Add(p0), frame1.Add(p1)
			band0, band1 = band0.Add(p0), band1.Add(p1)
			narrow0, narrow1 = narrow0.Add(p0.Mul(p0)), narrow1.Add(p1.Mul(p1))
			if f&1 == 1 {
				continue
			}
			d := load8(row[2:])
			r := a.Sub(d).AsInt32x8().And(magnitude).AsFloat32x8().Div(a.Add(d).Add(least))
			noisy0, noisy1 = noisy0.Add(r.GetLo().ConvertToFloat64()), noisy1.Add(r.GetHi().ConvertToFloat64())
			if f+2 < bins {
				d = load8(row[2*stride:])
				r = a.Sub(d).AsInt32x8().And(magnitude).AsFloat32x8().Div(a.Add(d).Add(least))
				peaky0, peaky1 = peaky0.Add(r.GetLo().ConvertToFloat64()), peaky1.Add(r.GetHi().ConvertToFloat64())
			}
		}
		store(frame0, c.frame[t:])
		store(frame1, c.frame[t+4:])
		store(narrow0, c.narrow[t:])
		store(narrow1, c.narrow[t+4:])
		store(peaky0, c.peaky[t:])
		store(peaky1, c.peaky[t+4:])
		store(band0, bandSum[t:])
		store(band1, bandSum[t+4:])
		store(noisy0, c.noisyNow[t:])
		store(noisy1, c.noisyNow[t+4:])
	}
	archsimd.ClearAVXUpperBits()
}

func columnLanes(c *clipFigures, from int) {
	n := c.frames
	p := c.power[from*c.stride:]
	for t := 0; t < n; t += 8 {
		t = min(t, n-8)
		at := func(i int) *[8]float32 { return (*[8]float32)(p[i*c.stride+t:]) }
		to := func(i int) *[8]float32 { return &c.column[t+i] }
		mel.Transpose(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), to(0), to(1), to(2), to(3), to(4), to(5), to(6), to(7))
	}
	mean := (*[8]float64)(c.mean[from:])
	smoothColumn(c.column, mean)
	sortColumns(c.column[:n-smooth+1])
	for i := range mean {
		mean[i] /= float64(n)
	}
}

//go:noinline
func smoothColumn(rows [][8]float32, sums *[8]float64) {
	third := archsimd.BroadcastFloat32x8(1.0 / smooth)
	var s0, s1 archsimd.Float64x4
	a, b := archsimd.LoadFloat32x8(&rows[0]), archsimd.LoadFloat32x8(&rows[1])
	for i := range rows {
		s0, s1 = s0.Add(a.GetLo().ConvertToFloat64()), s1.Add(a.GetHi().ConvertToFloat64())
		v := a.Add(b)
		if i+2 < len(rows) {
			a, b = b, archsimd.LoadFloat32x8(&rows[i+2])
			v.Add(b).Mul(third).Store(&rows[i])
		} else {
			a = b
		}
	}
	s0.Store((*[4]float64)(sums[:]))
	s1.Store((*[4]float64)(sums[4:]))
	archsimd.ClearAVXUpperBits()
}

// nearby is the distance below which the last passes of sortColumns keep to what lies around the quantiles.
const nearby = 16

// sortColumns sorts each of eight columns, at least around the quantiles of the floors: Batcher's merge exchange (Knuth, The Art of Computer Programming 5.2.2,
// algorithm M), which compares the same places whatever is in them.
//
//go:noinline
func sortColumns(rows [][8]float32) {
	n := len(rows)
	var ranks [len(floors)]int
	for i, fl := range floors {
		ranks[i] = int(fl.quantile * float64(n-1))
	}
	top := 1 << max(bits.Len(uint(n-1))-1, 0)
	for p := top; p > 0; p >>= 1 {
		for q, r, d := top, 0, p; ; q, r, d = q>>1, p, q-p {
			first, second := rows[:n-d], rows[d:]
			second = second[:len(first)]
			if p == 1 {
				if r == 1 && d < nearby { // one of the last, in whose reach only what lies near a quantile is of use
					reach := 0
					for later := d / 2; later > 0; later /= 2 {
						reach += later
					}
					for _, k := range ranks {
						exchange(first, second, max(k-reach-d, 0)|1, min(k+1+reach, len(first)-1))
					}
				} else {
					exchange(first, second, r, len(first)-1)
				}
				if q == 1 {
					break
				}
				continue
			}
			for i := r; i < len(first); i += 2 * p {
				a := first[i:min(i+p, len(first))]
				b := second[i:][:len(a)]
				for len(a) >= 4 && len(b) >= 4 {
					a0, a1, b0, b1 := &a[0], &a[1], &b[0], &b[1]
					x0, y0 := archsimd.LoadFloat32x8(a0), archsimd.LoadFloat32x8(b0)
					x1, y1 := archsimd.LoadFloat32x8(a1), archsimd.LoadFloat32x8(b1)
					x0.Min(y0).Store(a0)
					x1.Min(y1).Store(a1)
					x0.Max(y0).Store(b0)
					x1.Max(y1).Store(b1)
					a0, a1, b0, b1 = &a[2], &a[3], &b[2], &b[3]
					x0, y0 = archsimd.LoadFloat32x8(a0), archsimd.LoadFloat32x8(b0)
					x1, y1 = archsimd.LoadFloat32x8(a1), archsimd.LoadFloat32x8(b1)
					x0.Min(y0).Store(a0)
					x1.Min(y1).Store(a1)
					x0.Max(y0).Store(b0)
					x1.Max(y1).Store(b1)
					a, b = a[4:], b[4:]
				}
				for k := range a {
					x, y := archsimd.LoadFloat32x8(&a[k]), archsimd.LoadFloat32x8(&b[k])
					x.Min(y).Store(&a[k])
					x.Max(y).Store(&b[k])
				}
			}
			if q == p {
				break
			}
		}
	}
	archsimd.ClearAVXUpperBits()
}

// exchange puts the less of two in the first place, from there to there, every second.
func exchange(first, second [][8]float32, from, to int) {
	for i := from; i <= to; i += 2 {
		x, y := archsimd.LoadFloat32x8(&first[i]), archsimd.LoadFloat32x8(&second[i])
		x.Min(y).Store(&first[i])
		x.Max(y).Store(&second[i])
	}
}

// decibelTerms are the coefficients that decibels ends with, in four lanes.
var decibelTerms = func() (lanes [1 + len(artanh)][4]float64) {
	for i, c := range append([]float64{1.0 / 19}, artanh[:]...) {
		lanes[i] = [4]float64{c, c, c, c}
	}
	return lanes
}()

// decibelLanes is decibels in lanes.
//
//go:noinline
func decibelLanes(v []float64, plus float64) int {
	broadcast := archsimd.BroadcastFloat64x4
	integers := archsimd.BroadcastUint64x4
	const bias = 1024 // so that what is shifted is not negative
	shift, half, mantissa, exponent := integers(bias<<52-halfSqrt2), integers(halfSqrt2), integers(1<<52-1), integers(52)
	// An integer below 2^52 is the last bits of itself and 2^52.
	large, less := integers(0x4330000000000000), broadcast(1<<52+bias)
	add, one := broadcast(plus), broadcast(1)
	nepers, octaves := broadcast(2*perNeper), broadcast(perOctave)
	terms := &decibelTerms
	done := len(v) &^ 3
	for i := 0; i < done; i += 4 {
		part := (*[4]float64)(v[i:])
		b := archsimd.LoadFloat64x4(part).Add(add).AsUint64x4().Add(shift)
		e := b.ShiftRight(exponent).Or(large).AsFloat64x4().Sub(less)
		m := b.And(mantissa).Add(half).AsFloat64x4()
		s := m.Sub(one).Div(m.Add(one))
		z := s.Mul(s)
		y := archsimd.LoadFloat64x4(&terms[0])
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[1]))
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[2]))
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[3]))
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[4]))
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[5]))
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[6]))
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[7]))
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[8]))
		y = y.Mul(z).Add(archsimd.LoadFloat64x4(&terms[9]))
		octaves.Mul(e).Add(nepers.Mul(s.Mul(y))).Store(part)
	}
	archsimd.ClearAVXUpperBits()
	return done
}

//go:build goexperiment.simd && amd64

package mel

import (
	"simd/archsimd"
	"sync"
)

// variants are the vector kernels that this processor can run, the best first.
var variants = func() (v []*kernels) {
	if archsimd.X86.AVX512() {
		v = append(v, &kernels{name: "avx512", blockSums: blockSums, fbank: fbank16, spectrogram: spectrogram16, resample: summing(sums16).resample})
	}
	if archsimd.X86.AVX2() {
		v = append(v, &kernels{name: "avx2", blockSums: blockSums, fbank: fbank8, spectrogram: spectrogram8, resample: summing(sums8).resample})
	}
	return append(v, sse2)
}()

//go:generate go run vector_gen.go

// blockSums computes four blocks at a time, the strands of each in lanes.
func blockSums(wave, sums []float32) int {
	b := 0
	for ; b+4 <= len(sums); b += 4 {
		x := (*[4 * meanBlock]float32)(wave[b*meanBlock:])
		var s0, s1, s2, s3 vec8
		for i := 0; i < meanBlock; i += 8 {
			s0 = s0.Add(load8((*[8]float32)(x[i:])))
			s1 = s1.Add(load8((*[8]float32)(x[i+meanBlock:])))
			s2 = s2.Add(load8((*[8]float32)(x[i+2*meanBlock:])))
			s3 = s3.Add(load8((*[8]float32)(x[i+3*meanBlock:])))
		}
		s := s0.AddPairsGrouped(s1).AddPairsGrouped(s2.AddPairsGrouped(s3))
		s.GetLo().Add(s.GetHi()).Store((*[4]float32)(sums[b:]))
	}
	archsimd.ClearAVXUpperBits()
	return b
}

// side is how many outputs of one phase are computed side by side: enough sums to keep the adders busy.
const side = 32

// summing computes one output of each side: o[i] = k[0]*y[0][i] + k[1]*y[1][i] + ... in this order.
type summing func(k []float32, y [][side]float32, o *[side]float32)

func sums8(k []float32, y [][side]float32, o *[side]float32) {
	y = y[:len(k)]
	var s0, s1, s2, s3 vec8
	for t, w := range k {
		row, b := &y[t], broadcast8(w)
		s0 = s0.Add(b.Mul(load8((*[8]float32)(row[0:]))))
		s1 = s1.Add(b.Mul(load8((*[8]float32)(row[8:]))))
		s2 = s2.Add(b.Mul(load8((*[8]float32)(row[16:]))))
		s3 = s3.Add(b.Mul(load8((*[8]float32)(row[24:]))))
	}
	s0.Store((*[8]float32)(o[0:]))
	s1.Store((*[8]float32)(o[8:]))
	s2.Store((*[8]float32)(o[16:]))
	s3.Store((*[8]float32)(o[24:]))
}

func sums16(k []float32, y [][side]float32, o *[side]float32) {
	y = y[:len(k)]
	var s0, s1 vec16
	for t, w := range k {
		row, b := &y[t], broadcast16(w)
		s0 = s0.Add(b.Mul(load16((*[16]float32)(row[0:]))))
		s1 = s1.Add(b.Mul(load16((*[16]float32)(row[16:]))))
	}
	s0.Store((*[16]float32)(o[0:]))
	s1.Store((*[16]float32)(o[16:]))
}

// resampling keeps the scratch of resample.
var resampling = sync.Pool{New: func() any { return new([][side]float32) }}

// resample gives each of 32 lanes a stretch of whole periods. A piece of all stretches at a time is
// turned so that samples of the same place lie together, and the outputs are turned back. The last stretch
// overlaps the one before.
func (sum summing) resample(p *polyphase, x, out []float32) int {
	const piece = 448 // samples of a lane at a time, so that a piece stays in the cache
	periods := len(out) / p.to
	each := (periods + side - 1) / side
	n := min(max(piece/p.from, 1), each) // periods of a piece
	rows := (n-1)*p.from + p.last
	if each*side > 2*periods || n*p.to < 8 || rows > 8*piece {
		return 0 // too little, or too long periods
	}
	scratch := resampling.Get().(*[][side]float32)
	defer resampling.Put(scratch)
	if need := rows + n*p.to; cap(*scratch) < need {
		*scratch = make([][side]float32, need)
	}
	in, sums := (*scratch)[:rows], (*scratch)[rows:rows+n*p.to]
	at := func(lane int) int { return min(lane*each, periods-each) }
	for done := 0; done < each; done += n {
		done = min(done, each-n)
		for lane := 0; lane < side; lane += 8 {
			var y [8][]float32
			for i := range y {
				y[i] = x[(at(lane+i)+done)*p.from:][:rows]
			}
			for r := 0; r < rows; r += 8 {
				r = min(r, rows-8)
				Transpose((*[8]float32)(y[0][r:]), (*[8]float32)(y[1][r:]), (*[8]float32)(y[2][r:]), (*[8]float32)(y[3][r:]),
					(*[8]float32)(y[4][r:]), (*[8]float32)(y[5][r:]), (*[8]float32)(y[6][r:]), (*[8]float32)(y[7][r:]),
					(*[8]float32)(in[r][lane:]), (*[8]float32)(in[r+1][lane:]), (*[8]float32)(in[r+2][lane:]), (*[8]float32)(in[r+3][lane:]),
					(*[8]float32)(in[r+4][lane:]), (*[8]float32)(in[r+5][lane:]), (*[8]float32)(in[r+6][lane:]), (*[8]float32)(in[r+7][lane:]))
			}
		}
		for i := range n {
			for j, start := range p.start {
				k := p.kernel[j*p.taps:][:p.taps]
				y := in[i*p.from+start:][:len(k)]
				sum(k, y, &sums[i*p.to+j])
			}
		}
		for lane := 0; lane < side; lane += 8 {
			var y [8][]float32
			for i := range y {
				y[i] = out[(at(lane+i)+done)*p.to:][:len(sums)]
			}
			for r := 0; r < len(sums); r += 8 {
				r = min(r, len(sums)-8)
				Transpose((*[8]float32)(sums[r][lane:]), (*[8]float32)(sums[r+1][lane:]), (*[8]float32)(sums[r+2][lane:]), (*[8]float32)(sums[r+3][lane:]),
					(*[8]float32)(sums[r+4][lane:]), (*[8]float32)(sums[r+5][lane:]), (*[8]float32)(sums[r+6][lane:]), (*[8]float32)(sums[r+7][lane:]),
					(*[8]float32)(y[0][r:]), (*[8]float32)(y[1][r:]), (*[8]float32)(y[2][r:]), (*[8]float32)(y[3][r:]),
					(*[8]float32)(y[4][r:]), (*[8]float32)(y[5][r:]), (*[8]float32)(y[6][r:]), (*[8]float32)(y[7][r:]))
			}
		}
	}
	archsimd.ClearAVXUpperBits()
	return periods * p.to
}

// Transpose writes the columns of the eight rows x as the rows y.
func Transpose(x0, x1, x2, x3, x4, x5, x6, x7, y0, y1, y2, y3, y4, y5, y6, y7 *[8]float32) {
	r0, r1, r2, r3 := load8(x0), load8(x1), load8(x2), load8(x3)
	r4, r5, r6, r7 := load8(x4), load8(x5), load8(x6), load8(x7)
	a0, a1 := r0.Select128FromPair(0, 2, r4), r1.Select128FromPair(0, 2, r5)
	a2, a3 := r2.Select128FromPair(0, 2, r6), r3.Select128FromPair(0, 2, r7)
	t0, t1 := a0.SelectFromPairGrouped(0, 1, 4, 5, a1), a0.SelectFromPairGrouped(2, 3, 6, 7, a1)
	t2, t3 := a2.SelectFromPairGrouped(0, 1, 4, 5, a3), a2.SelectFromPairGrouped(2, 3, 6, 7, a3)
	t0.SelectFromPairGrouped(0, 2, 4, 6, t2).Store(y0)
	t0.SelectFromPairGrouped(1, 3, 5, 7, t2).Store(y1)
	t1.SelectFromPairGrouped(0, 2, 4, 6, t3).Store(y2)
	t1.SelectFromPairGrouped(1, 3, 5, 7, t3).Store(y3)
	a0, a1 = r0.Select128FromPair(1, 3, r4), r1.Select128FromPair(1, 3, r5)
	a2, a3 = r2.Select128FromPair(1, 3, r6), r3.Select128FromPair(1, 3, r7)
	t0, t1 = a0.SelectFromPairGrouped(0, 1, 4, 5, a1), a0.SelectFromPairGrouped(2, 3, 6, 7, a1)
	t2, t3 = a2.SelectFromPairGrouped(0, 1, 4, 5, a3), a2.SelectFromPairGrouped(2, 3, 6, 7, a3)
	t0.SelectFromPairGrouped(0, 2, 4, 6, t2).Store(y4)
	t0.SelectFromPairGrouped(1, 3, 5, 7, t2).Store(y5)
	t1.SelectFromPairGrouped(0, 2, 4, 6, t3).Store(y6)
	t1.SelectFromPairGrouped(1, 3, 5, 7, t3).Store(y7)
}

//go:build goexperiment.simd && amd64 && !scalar

package mel

import "simd/archsimd"

// variants are the vector kernels that this processor can run, the best first.
var variants = func() (v []*kernels) {
	if archsimd.X86.AVX512() {
		v = append(v, &kernels{name: "avx512", blockSums: blockSums, fbank: fbank16, spectrogram: spectrogram16, resample: resampleLanes})
	}
	if archsimd.X86.AVX2() {
		v = append(v, &kernels{name: "avx2", blockSums: blockSums, fbank: fbank8, spectrogram: spectrogram8, resample: resampleLanes})
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

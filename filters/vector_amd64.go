//go:build goexperiment.simd && amd64

package filters

import "simd/archsimd"

// vector is nil on processors without AVX2.
var vector = func() *kernels {
	if !archsimd.X86.AVX2() {
		return nil
	}
	return &kernels{summarise: summariseLanes, weigh: weighLanes}
}()

// Scalar floats between vector instructions cost some processors a thousand cycles while the upper halves
// of the registers are in use. Each kernel here is a function of vectors alone that clears them at its end, and what is
// scalar goes before and after.

// strands are the lanes of 32 blocks before they are folded.
type strands [32]struct{ low, high, sum [8]float32 }

// summariseLanes is summarise of the whole blocks.
func summariseLanes(x []float32, blocks []blockFigures) int {
	done := len(x) / blockLength
	s := new(strands)
	for i := 0; i < done; i += len(s) {
		n := min(len(s), done-i)
		s.fill(x[i*blockLength : (i+n)*blockLength])
		for b := range n {
			t := &s[b]
			f := blockFigures{low: t.low[0], high: t.high[0], sum: foldStrands(&t.sum)}
			for j := 1; j < 8; j++ {
				if t.low[j] < f.low {
					f.low = t.low[j]
				}
				if t.high[j] > f.high {
					f.high = t.high[j]
				}
			}
			blocks[i+b] = f
		}
	}
	return done
}

//go:noinline
func (s *strands) fill(x []float32) {
	for i := range len(x) / blockLength {
		part := (*[blockLength]float32)(x[i*blockLength:])
		v := archsimd.LoadFloat32x8((*[8]float32)(part[:]))
		low, high, total := v, v, v
		for j := 8; j < blockLength; j += 8 {
			v = archsimd.LoadFloat32x8((*[8]float32)(part[j:]))
			low, high = low.Min(v), high.Max(v)
			total = total.Add(v)
		}
		t := &s[i]
		low.Store(&t.low)
		high.Store(&t.high)
		total.Store(&t.sum)
	}
	archsimd.ClearAVXUpperBits()
}

// laneState is the filter's memory with a segment in each lane, and the sum of squares.
type laneState struct{ s1, s2, t1, t2, sum [segments]float64 }

// weighLanes is kWeight.plain of four segments of each steps, one in a lane.
func weighLanes(w kWeight, x []float32, step, each int, power []float64) {
	var state laneState
	var turned [512][segments]float32
	for i := -1; i < each; i++ {
		state.sum = [segments]float64{}
		for from := 0; from < step; from += len(turned) {
			n := min(len(turned), step-from)
			for s := range segments {
				at := (s*each+i)*step + from
				if at < 0 { // the first segment has nothing to warm up on
					for j := range n {
						turned[j][s] = 0
					}
					continue
				}
				for j, v := range x[at:][:n] {
					turned[j][s] = v
				}
			}
			w.lanes(turned[:n], &state)
		}
		if i >= 0 {
			for s, v := range state.sum {
				power[s*each+i] = v
			}
		}
	}
}

//go:noinline
func (w *kWeight) lanes(x [][segments]float32, state *laneState) {
	b0, b1, b2 := archsimd.BroadcastFloat64x4(w.b0), archsimd.BroadcastFloat64x4(w.b1), archsimd.BroadcastFloat64x4(w.b2)
	a1, a2 := archsimd.BroadcastFloat64x4(w.a1), archsimd.BroadcastFloat64x4(w.a2)
	c1, c2 := archsimd.BroadcastFloat64x4(w.c1), archsimd.BroadcastFloat64x4(w.c2)
	two := archsimd.BroadcastFloat64x4(2)
	s1, s2 := archsimd.LoadFloat64x4(&state.s1), archsimd.LoadFloat64x4(&state.s2)
	t1, t2 := archsimd.LoadFloat64x4(&state.t1), archsimd.LoadFloat64x4(&state.t2)
	sum := archsimd.LoadFloat64x4(&state.sum)
	for i := range x {
		v := archsimd.LoadFloat32x4(&x[i]).ConvertToFloat64()
		y := b0.Mul(v).Add(s1)
		s1 = b1.Mul(v).Add(s2).Sub(a1.Mul(y))
		s2 = b2.Mul(v).Sub(a2.Mul(y))
		z := y.Add(t1)
		t1 = t2.Sub(two.Mul(y)).Sub(c1.Mul(z))
		t2 = y.Sub(c2.Mul(z))
		sum = sum.Add(z.Mul(z))
	}
	s1.Store(&state.s1)
	s2.Store(&state.s2)
	t1.Store(&state.t1)
	t2.Store(&state.t2)
	sum.Store(&state.sum)
	archsimd.ClearAVXUpperBits()
}

package filters

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"
	"testing"
)

// Stored values are the same on every processor and in every build: with and without vectors, with and
// without fused multiply-add (GOAMD64=v3 fuses, as arm64 does). The sound is made of exact numbers only.
func TestBitsAreTheSameEverywhere(t *testing.T) {
	u := noise(64000)
	x := make([]float32, 32000)
	for i := range x {
		x[i] = float32(u[i]/16 + u[32000+i/8]*float64(i/3000%3)/8)
	}
	h := fnv.New64a()
	put := func(v float64) { binary.Write(h, binary.LittleEndian, math.Float64bits(v)) }
	values, _ := SNRTraits(x)
	for _, v := range values {
		put(float64(v))
	}
	for _, method := range []string{LearnedMethod, FloorMethod, WADAMethod, STNRMethod} {
		e := EstimateSNR(x, method)
		for _, v := range []float64{e.SNR, e.Low, e.High, e.Optimistic, e.Texture, e.Tonal, e.Zero, e.Padded, e.NoiseOdds} {
			put(v)
		}
	}
	m := MeasureSource([][]float32{x, x[:32000]}, 16000)
	var names []string
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		put(number(t, m, k))
	}
	var levels blockLevels
	levels.measure(x)
	put(silenceRatio(x, &levels))
	if got, want := h.Sum64(), uint64(0xd6a22347df7af93); got != want {
		t.Errorf("the bits' hash is %#x, want %#x", got, want)
	}
}

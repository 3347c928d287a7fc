package jpeg

import (
	"math/rand/v2"
	"testing"
)

// The vector transforms and the plain ones, of ordinary coefficients and of those that only a broken file has, to the
// bit.
func TestTransformsBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	transforms := []struct {
		name       string
		size       int
		fast, slow func(dst []uint8, stride int, block *[64]int16, quant *[64]int32)
	}{
		{"whole", 8, func(dst []uint8, stride int, block *[64]int16, quant *[64]int32) {
			transform(dst, stride, block, quant, onlyFirst(block))
		}, func(dst []uint8, stride int, block *[64]int16, quant *[64]int32) {
			inverseDCT(dst, stride, block, quant, onlyFirst(block))
		}},
		{"half", 4, transform4, inverseDCT4},
		{"quarter", 2, transform2, inverseDCT2},
	}
	for round := range 6000 {
		var block [64]int16
		var quant [64]int32
		for i := range quant {
			quant[i] = int32(1 + r.IntN(99))
			if round%3 == 2 {
				quant[i] = int32(r.IntN(65536))
			}
		}
		for range r.IntN(20) * r.IntN(4) {
			block[r.IntN(64)] = int16(r.IntN(401) - 200)
			if round%3 > 0 {
				block[r.IntN(64)] = int16(r.Uint32())
			}
		}
		block[0] = int16(r.Uint32()) >> r.IntN(9)
		for _, f := range transforms {
			const stride = 19
			got, want := [8 * stride]uint8{}, [8 * stride]uint8{}
			f.fast(got[3:], stride, &block, &quant)
			f.slow(want[3:], stride, &block, &quant)
			if got != want {
				t.Fatalf("%s, round %d: coefficients %v by %v\n%v\n%v", f.name, round, block, quant, got, want)
			}
		}
	}
}

func onlyFirst(block *[64]int16) bool {
	for _, v := range block[1:] {
		if v != 0 {
			return false
		}
	}
	return true
}

func BenchmarkTransforms(b *testing.B) {
	var block [64]int16
	var quant [64]int32
	for i := range quant {
		quant[i], block[i] = 3, int16(9-i)
	}
	var dst [64]uint8
	for _, f := range []struct {
		name string
		run  func()
	}{
		{"whole", func() { transform(dst[:], 8, &block, &quant, false) }},
		{"whole/plain", func() { inverseDCT(dst[:], 8, &block, &quant, false) }},
		{"half", func() { transform4(dst[:], 8, &block, &quant) }},
		{"half/plain", func() { inverseDCT4(dst[:], 8, &block, &quant) }},
		{"quarter", func() { transform2(dst[:], 8, &block, &quant) }},
		{"quarter/plain", func() { inverseDCT2(dst[:], 8, &block, &quant) }},
	} {
		b.Run(f.name, func(b *testing.B) {
			for b.Loop() {
				f.run()
			}
		})
	}
}

package mel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/cpu"
)

// eachVector runs a test with every variant that this processor has.
func eachVector(t *testing.T, test func(t *testing.T, k *kernels)) {
	if len(variants) == 0 {
		t.Skip("needs a build for amd64")
	}
	for _, k := range variants {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

// sounds are inputs that take the kernels through ordinary values, both ends of the exponent range, and what
// is not finite.
func sounds(n int) map[string][]float32 {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	fill := func(f func(i int) float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(f(i))
		}
		return x
	}
	bad := fill(func(int) float64 { return r.NormFloat64() })
	for i := range bad {
		switch r.IntN(4000) {
		case 0:
			bad[i] = float32(math.NaN())
		case 1:
			bad[i] = float32(math.Inf(1 - 2*r.IntN(2)))
		}
	}
	return map[string][]float32{
		"noise":    fill(func(int) float64 { return 0.2 * r.NormFloat64() }),
		"sine":     fill(func(i int) float64 { return math.Sin(2 * math.Pi * 440 * float64(i) / SampleRate) }),
		"silence":  fill(func(int) float64 { return 0 }),
		"constant": fill(func(int) float64 { return -0.7 }),
		"impulses": fill(func(i int) float64 { return float64((i % 997) / 996) }),
		"16 bits":  fill(func(int) float64 { return float64(r.IntN(65536)-32768) / 32768 }),
		"tiny":     fill(func(int) float64 { return 1e-41 * r.NormFloat64() }),
		"huge":     fill(func(int) float64 { return 1e18 * r.NormFloat64() }),
		"levels":   fill(func(int) float64 { return math.Exp(40*r.Float64()-30) * r.NormFloat64() }),
		"broken":   bad,
	}
}

// with computes f by one variant.
func with(k *kernels, f func() []float32) []float32 {
	defer func(v *kernels) { vector = v }(vector)
	vector = k
	return f()
}

func sameBits(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i := range got {
		a, b := got[i], want[i]
		if math.Float32bits(a) != math.Float32bits(b) && (a == a || b == b) {
			t.Fatalf("%s: value %d is %g (%08x), want %g (%08x)", name, i, a, math.Float32bits(a), b, math.Float32bits(b))
		}
	}
}

func TestVectorFbankIsBitEqual(t *testing.T) {
	eachVector(t, func(t *testing.T, k *kernels) {
		for _, frames := range []int{1, 7, 8, 9, 16, 23, 198} {
			for name, x := range sounds(WindowLength + (frames-1)*HopLength) {
				for _, scale := range []bank{{std: 1}, {mean: normMean, std: normStd}} {
					plain, lanes := scale, scale
					plain.dst, plain.stride = make([]float32, Bins*frames), frames
					lanes.dst, lanes.stride = make([]float32, Bins*frames), frames
					plainSums, sums := make([]float32, len(x)/meanBlock), make([]float32, len(x)/meanBlock)
					plainBlockSums(x, plainSums, 0)
					plainBlockSums(x, sums, k.blockSums(x, sums))
					sameBits(t, name+", sums", sums, plainSums)
					offset := frameMeans(x, frames)
					plainFbank(x, offset, plain, 0, frames)
					plainFbank(x, offset, lanes, k.fbank(x, offset, lanes, frames), frames)
					sameBits(t, fmt.Sprintf("%s, %d frames", name, frames), lanes.dst, plain.dst)
				}
			}
		}
	})
}

func TestVectorSpectrogramIsBitEqual(t *testing.T) {
	eachVector(t, func(t *testing.T, k *kernels) {
		var w [SpectrumLength]float32
		for i := range w {
			w[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/SpectrumLength))
		}
		for _, hop := range []int{1, 512, 700} {
			for _, frames := range []int{1, 8, 19} {
				for name, x := range sounds(SpectrumLength + (frames-1)*hop) {
					stride := frames + frames/8
					plain, lanes := make([]float32, maxHalf*stride), make([]float32, maxHalf*stride)
					spectrogram(x, &w, hop, plain, stride, 0, frames)
					spectrogram(x, &w, hop, lanes, stride, k.spectrogram(x, &w, hop, lanes, stride, frames), frames)
					sameBits(t, fmt.Sprintf("%s, %d frames, hop %d", name, frames, hop), lanes, plain)
				}
			}
		}
	})
}

func TestVectorResampleIsBitEqual(t *testing.T) {
	eachVector(t, func(t *testing.T, k *kernels) {
		for _, rate := range []int{8000, 11025, 12345, 15999, 22050, 32000, 44100, 48000, 192000} {
			p, err := newPolyphase(rate, SampleRate)
			if err != nil {
				t.Fatal(err)
			}
			taken := 0
			for _, n := range []int{1, 100, 4001, 2*rate + 1} {
				for name, x := range sounds(n) {
					fast := with(k, func() []float32 { return p.run(nil, x) })
					plain := with(nil, func() []float32 { return p.run(nil, x) })
					sameBits(t, fmt.Sprintf("%s, %d samples at %d Hz", name, n, rate), fast, plain)
				}
				if n > p.last {
					taken += k.resample(p, make([]float32, n), make([]float32, (n-p.last)/p.from*p.to))
				}
			}
			if taken == 0 && rate != 15999 && rate != 12345 && cpu.X86.HasAVX2 {
				t.Errorf("the lanes take nothing at %d Hz", rate)
			}
		}
	})
}

// The strands and the difference of lanes are those of the loops, at every length and place of the ends.
func TestClipLanesAreBitEqual(t *testing.T) {
	for name, x := range sounds(80) {
		for from := range 9 {
			for to := from; to <= len(x); to++ {
				part := x[from:to]
				plain := [4]float64{0.1, -0.2, 0.3, 0.4}
				strands := plain
				plainStrands(&plain, part)
				plainStrands(&strands, part[addStrands(&strands, part):])
				for i := range plain {
					if a, b := strands[i], plain[i]; math.Float64bits(a) != math.Float64bits(b) && (a == a || b == b) {
						t.Fatalf("%s, %d values: strand %d is %g, want %g", name, len(part), i, a, b)
					}
				}
				want, got := make([]float32, len(part)+1), make([]float32, len(part)+1)
				plainSubtract(want, part, 0.3)
				subtract(got, part, 0.3)
				sameBits(t, name, got, want)
				own := append([]float32(nil), part...)
				subtract(own, own, 0.3)
				sameBits(t, name+", in place", own, want[:len(part)])
			}
		}
	}
}

func BenchmarkPlainFbank2s(b *testing.B) {
	x := noise(32000)
	out := bank{dst: make([]float32, Bins*198), stride: 198, std: 1}
	offset := frameMeans(x, 198)
	for b.Loop() {
		plainFbank(x, offset, out, 0, 198)
	}
}

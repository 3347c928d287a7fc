package mel

import (
	"fmt"
	"math"
	"sync"
)

// torchaudio.functional.resample's defaults: zero crossings of the sinc on each side, and the cut-off as
// a share of the lower Nyquist frequency.
const (
	sincZeros = 6.0
	rolloff   = 0.99
)

const (
	// maxTaps bounds the taps of all phases together, 32 MB: rates with a small common divisor have up to
	// 16000 phases, each longer the higher the rate.
	maxTaps = 1 << 23
	// cachedTaps bounds the kernels kept, 4 MB: all the usual rates together are far below.
	cachedTaps = 1 << 20
)

// polyphase holds one windowed sinc for each of the output phases of a pair of rates. Output i of phase
// j = i mod to is the sum over the taps t, in their order, of kernel[j][t] * x[i/to*from - width + start[j] + t].
type polyphase struct {
	from, to int // rates over their greatest common divisor
	width    int // samples that the window reaches before the first
	taps     int // of every phase; where one has fewer its last are 0
	last     int // one past the largest start[j] + taps
	start    []int
	kernel   []float32 // [to][taps]
}

// polyphases keeps the kernels of rates met before. Which ones it keeps decides no value.
var polyphases struct {
	sync.Mutex
	byRate map[int]*polyphase
	taps   int
}

// polyphaseOf gives the kernel of a rate to 16 kHz.
func polyphaseOf(from int) (*polyphase, error) {
	c := &polyphases
	c.Lock()
	p := c.byRate[from]
	c.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := newPolyphase(from, SampleRate)
	if err != nil || len(p.kernel) > cachedTaps {
		return p, err
	}
	c.Lock()
	defer c.Unlock()
	if c.byRate == nil || c.taps+len(p.kernel) > cachedTaps {
		c.byRate, c.taps = make(map[int]*polyphase), 0
	}
	if c.byRate[from] == nil {
		c.byRate[from] = p
		c.taps += len(p.kernel)
	}
	return p, nil
}

// Resample converts x from a rate in Hz to 16 kHz as torchaudio.functional.resample does by default:
// a sinc of 6 zero crossings under a Hann window, cut off at 0.99 of the lower Nyquist frequency (Smith,
// "Digital Audio Resampling"). The result has ceil(len(x)*16000/from) samples, the quotient as a float32 as
// torchaudio has it: one fewer where it is a hair above a whole number. At 16 kHz it is x itself.
// A rate that is not positive, or that would need an absurdly long kernel, is an error.
func Resample(x []float32, from int) ([]float32, error) { return ResampleInto(nil, x, from) }

// ResampleInto is Resample into the memory of dst, as far as it reaches; x lies elsewhere.
func ResampleInto(dst, x []float32, from int) ([]float32, error) {
	if from == SampleRate || len(x) == 0 {
		return x, nil
	}
	if from < 100 || from > 10_000_000 {
		return nil, fmt.Errorf("cannot resample from %d Hz", from)
	}
	p, err := polyphaseOf(from)
	if err != nil {
		return nil, err
	}
	return p.run(dst, x), nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func newPolyphase(from, to int) (*polyphase, error) {
	g := gcd(from, to)
	o, n := from/g, to/g
	base := float64(min(o, n)) * rolloff
	width := int(math.Ceil(sincZeros * float64(o) / base))
	if most := int(2*sincZeros*float64(o)/base) + 2; most > maxTaps/n {
		return nil, fmt.Errorf("cannot resample from %d Hz: the kernel would have %d taps", from, most*n)
	}
	p := &polyphase{from: o, to: n, width: width, start: make([]int, n)}
	phases := make([][]float32, n)
	for j := range n {
		// t runs over the sinc's argument in zero crossings; |t| < 6 is the window's support, outside of
		// which the taps are 0 and left out.
		centre := float64(float64(j) / float64(n) * float64(o))
		lo := max(0, int(math.Ceil(centre-sincZeros*float64(o)/base))+width-1)
		hi := min(2*width+o-1, int(math.Floor(centre+sincZeros*float64(o)/base))+width+1)
		// torchaudio divides the integers of phase and tap as tensors, which rounds both to float32.
		offset := -float64(float32(j) / float32(n))
		var k []float32
		for i := lo; i <= hi; i++ {
			t := (offset + float64(float32(i-width)/float32(o))) * base
			if t <= -sincZeros || t >= sincZeros {
				continue
			}
			if len(k) == 0 {
				p.start[j] = i
				k = make([]float32, 0, hi-i+1)
			}
			w := math.Cos(t * math.Pi / sincZeros / 2)
			w *= w
			s := 1.0
			if t *= math.Pi; t != 0 {
				s = math.Sin(t) / t
			}
			k = append(k, float32(s*w*base/float64(o)))
		}
		phases[j] = k
		p.taps = max(p.taps, len(k))
	}
	p.kernel = make([]float32, n*p.taps)
	for j, k := range phases {
		copy(p.kernel[j*p.taps:], k)
		p.last = max(p.last, p.start[j]+p.taps)
	}
	return p, nil
}

// run resamples x, zeros beyond its ends, into the memory of dst or new one.
func (p *polyphase) run(dst, x []float32) []float32 {
	out := sized(dst, p.length(len(x)))
	// The periods first..last-1 read nothing beyond the ends of x.
	periods := (len(out) + p.to - 1) / p.to
	first := (p.width + p.from - 1) / p.from
	last := (len(x) + p.width - p.last + p.from) / p.from
	if last = min(last, len(out)/p.to); last <= first {
		p.edge(x, out, 0, periods)
		return out
	}
	p.edge(x, out, 0, first)
	inner, middle := x[first*p.from-p.width:], out[first*p.to:last*p.to]
	from := 0
	if vector != nil {
		from = vector.resample(p, inner, middle)
	}
	p.plain(inner[from/p.to*p.from:], middle[from:])
	p.edge(x, out, last, periods)
	return out
}

// sized is memory of n values: that of dst if it is enough. What is in it is undefined.
func sized(dst []float32, n int) []float32 {
	if cap(dst) >= n {
		return dst[:n]
	}
	return make([]float32, n)
}

// length is the number of outputs of n samples.
func (p *polyphase) length(n int) int {
	quotient := float32(float64(n*p.to) / float64(p.from))
	return min(int(math.Ceil(float64(quotient))), (n/p.from+1)*p.to)
}

// edge computes the periods from..to-1, some of which read beyond the ends of x.
func (p *polyphase) edge(x, out []float32, from, to int) {
	if from >= to {
		return
	}
	at := from*p.from - p.width
	padded := make([]float32, (to-from-1)*p.from+p.last)
	copy(padded[max(-at, 0):], x[min(max(at, 0), len(x)):])
	p.plain(padded, out[from*p.to:min(to*p.to, len(out))])
}

// together is how many outputs of one phase plain computes side by side: a sum waits for its last addition, six of
// them keep the adders busy and leave amd64 registers for the products.
const together = 6

// plain computes out, which begins with phase 0, from x, which begins width samples before it.
func (p *polyphase) plain(x, out []float32) {
	for len(out) >= together*p.to {
		for j := range p.to {
			k := p.kernel[j*p.taps:][:p.taps]
			y := x[p.start[j]:]
			y0, y1, y2 := y[:len(k)], y[p.from:][:len(k)], y[2*p.from:][:len(k)]
			y = y[3*p.from:]
			y3, y4, y5 := y[:len(k)], y[p.from:][:len(k)], y[2*p.from:][:len(k)]
			var s0, s1, s2, s3, s4, s5 float32
			for t, w := range k {
				s0 += float32(w * y0[t])
				s1 += float32(w * y1[t])
				s2 += float32(w * y2[t])
				s3 += float32(w * y3[t])
				s4 += float32(w * y4[t])
				s5 += float32(w * y5[t])
			}
			o := out[j:]
			o[0], o[p.to], o[2*p.to] = s0, s1, s2
			o = o[3*p.to:]
			o[0], o[p.to], o[2*p.to] = s3, s4, s5
		}
		x, out = x[together*p.from:], out[together*p.to:]
	}
	base, phase := 0, 0
	for i := range out {
		k := p.kernel[phase*p.taps:][:p.taps]
		y := x[base+p.start[phase]:][:len(k)]
		var sum float32
		for t, w := range k {
			sum += float32(w * y[t])
		}
		out[i] = sum
		if phase++; phase == p.to {
			phase = 0
			base += p.from
		}
	}
}

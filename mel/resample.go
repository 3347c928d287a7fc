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

// polyphase holds one windowed sinc for each of the output phases of a pair of rates.
type polyphase struct {
	from, to int // rates over their greatest common divisor
	width    int // samples of padding on the left
	taps     int // of every phase, a multiple of 8
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
// "Digital Audio Resampling"). The result has ceil(len(x)*16000/from) samples. At 16 kHz it is x itself.
// A rate that is not positive, or that would need an absurdly long kernel, is an error.
func Resample(x []float32, from int) ([]float32, error) {
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
	return p.run(x), nil
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
	// A phase's taps inside the window span 2*6 zero crossings; outside they are 0 and left out.
	taps := (int(2*sincZeros*float64(o)/base) + 2 + 7) &^ 7
	if taps > maxTaps/n {
		return nil, fmt.Errorf("cannot resample from %d Hz: the kernel would have %d taps", from, taps*n)
	}
	p := &polyphase{from: o, to: n, width: width, taps: taps, start: make([]int, n), kernel: make([]float32, n*taps)}
	for j := range n {
		// t runs over the sinc's argument in zero crossings; |t| < 6 is the window's support.
		centre := float64(j) / float64(n) * float64(o)
		lo := max(0, int(math.Ceil(centre-sincZeros*float64(o)/base))+width-1)
		hi := min(2*width+o-1, int(math.Floor(centre+sincZeros*float64(o)/base))+width+1)
		// torchaudio divides the integers of phase and tap as tensors, which rounds both to float32.
		offset := -float64(float32(j) / float32(n))
		k := p.kernel[j*taps:][:0:taps]
		for i := lo; i <= hi; i++ {
			t := (offset + float64(float32(i-width)/float32(o))) * base
			if t <= -sincZeros || t >= sincZeros {
				continue
			}
			if len(k) == 0 {
				p.start[j] = i
			}
			w := math.Cos(t * math.Pi / sincZeros / 2)
			w *= w
			s := 1.0
			if t *= math.Pi; t != 0 {
				s = math.Sin(t) / t
			}
			k = append(k, float32(s*w*base/float64(o)))
		}
	}
	return p, nil
}

// run resamples x, zeros beyond its ends.
func (p *polyphase) run(x []float32) []float32 {
	padded := make([]float32, p.width+len(x)+p.width+p.from+p.taps)
	copy(padded[p.width:], x)
	out := make([]float32, (len(x)*p.to+p.from-1)/p.from)
	from := 0
	if vector != nil {
		from = vector.resample(p, padded, out)
	}
	p.plain(padded, out, from)
	return out
}

// plain computes the samples of out beginning with number from: sums of products in eight strands.
func (p *polyphase) plain(padded, out []float32, from int) {
	base, phase := from/p.to*p.from, from%p.to
	for i := from; i < len(out); i++ {
		k := p.kernel[phase*p.taps:][:p.taps]
		y := padded[base+p.start[phase]:][:len(k)]
		var s0, s1, s2, s3, s4, s5, s6, s7 float32
		for len(k) >= 8 && len(y) >= 8 {
			s0 += float32(k[0] * y[0])
			s1 += float32(k[1] * y[1])
			s2 += float32(k[2] * y[2])
			s3 += float32(k[3] * y[3])
			s4 += float32(k[4] * y[4])
			s5 += float32(k[5] * y[5])
			s6 += float32(k[6] * y[6])
			s7 += float32(k[7] * y[7])
			k, y = k[8:], y[8:]
		}
		out[i] = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
		if phase++; phase == p.to {
			phase = 0
			base += p.from
		}
	}
}

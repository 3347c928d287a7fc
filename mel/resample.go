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

// maxKernel bounds the taps of all phases together: a pair of rates with a tiny common divisor (8 kHz
// and 15999 Hz, say) would need gigabytes.
const maxKernel = 1 << 24

// polyphase holds one windowed sinc for each of the output phases of a pair of rates.
type polyphase struct {
	from, to int // rates over their greatest common divisor
	width    int // samples of padding on the left
	taps     int // of every phase, a multiple of 4
	start    []int
	kernel   []float32 // [to][taps]
}

var kernels sync.Map // rate -> *polyphase; few rates exist

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
	p, ok := kernels.Load(from)
	if !ok {
		made, err := newPolyphase(from, SampleRate)
		if err != nil {
			return nil, err
		}
		p, _ = kernels.LoadOrStore(from, made)
	}
	return p.(*polyphase).run(x), nil
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
	if support := int(2*sincZeros*float64(o)/base) + 8; support*n > maxKernel {
		return nil, fmt.Errorf("cannot resample from %d Hz: the kernel would have %d taps", from, support*n)
	}
	p := &polyphase{from: o, to: n, width: width, start: make([]int, n)}
	// Only the taps inside the window are kept; first[j] is where phase j's begin.
	phases := make([][]float64, n)
	for j := range n {
		// t runs over the sinc's argument in zero crossings; |t| < 6 is the window's support.
		centre := float64(j) / float64(n) * float64(o)
		lo := max(0, int(math.Ceil(centre-sincZeros*float64(o)/base))+width-1)
		hi := min(2*width+o-1, int(math.Floor(centre+sincZeros*float64(o)/base))+width+1)
		// torchaudio divides the integers of phase and tap as tensors, which rounds both to float32.
		offset := -float64(float32(j) / float32(n))
		first := -1
		for i := lo; i <= hi; i++ {
			t := (offset + float64(float32(i-width)/float32(o))) * base
			if t <= -sincZeros || t >= sincZeros {
				continue
			}
			if first < 0 {
				first = i
			}
			w := math.Cos(t * math.Pi / sincZeros / 2)
			w *= w
			s := 1.0
			if t *= math.Pi; t != 0 {
				s = math.Sin(t) / t
			}
			phases[j] = append(phases[j], s*w*base/float64(o))
		}
		p.start[j] = max(first, 0)
		p.taps = max(p.taps, len(phases[j]))
	}
	p.taps = (p.taps + 3) &^ 3
	p.kernel = make([]float32, n*p.taps)
	for j, ph := range phases {
		for i, v := range ph {
			p.kernel[j*p.taps+i] = float32(v)
		}
	}
	return p, nil
}

func (p *polyphase) run(x []float32) []float32 {
	padded := make([]float32, p.width+len(x)+p.width+p.from+p.taps)
	copy(padded[p.width:], x)
	out := make([]float32, (len(x)*p.to+p.from-1)/p.from)
	base, phase := 0, 0
	for i := range out {
		k := p.kernel[phase*p.taps:][:p.taps]
		y := padded[base+p.start[phase]:][:len(k)]
		var s0, s1, s2, s3 float32
		for len(k) >= 4 && len(y) >= 4 {
			s0 += float32(k[0] * y[0])
			s1 += float32(k[1] * y[1])
			s2 += float32(k[2] * y[2])
			s3 += float32(k[3] * y[3])
			k, y = k[4:], y[4:]
		}
		out[i] = (s0 + s1) + (s2 + s3)
		if phase++; phase == p.to {
			phase = 0
			base += p.from
		}
	}
	return out
}

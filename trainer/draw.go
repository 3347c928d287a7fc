package trainer

import (
	"math"

	"prep/internal/random"
)

// Everything random in training is drawn on the host from streams that are named by what they decide (package
// random): the same in any order, on any engine, after any interruption.
type stream = random.Stream

func draw(seed uint64, purpose string, epoch int, key string) *stream {
	return random.New(seed, purpose, epoch, key)
}

// hash is the state of the stream of that name; its first half also orders and splits.
func hash(seed uint64, purpose string, epoch int, key string) (hi, lo uint64) {
	return random.Hash(seed, purpose, epoch, key)
}

// values draws the start of a weight from its own stream.
func (w *Weight) values(seed uint64) []float32 {
	x := make([]float32, w.Elements())
	switch s := draw(seed, "weight", 0, w.Name); w.start {
	case initOnes:
		for i := range x {
			x[i] = 1
		}
	case initNormal:
		s.Normals(x, w.spread)
	case initUniform:
		for i := range x {
			x[i] = float32(w.spread * (2*s.Uniform() - 1))
		}
	case initValue:
		for i := range x {
			x[i] = float32(w.spread)
		}
	case initCausal:
		n := w.Shape[1]
		for i := range x {
			if i%n > i/n {
				x[i] = float32(math.Inf(-1))
			}
		}
	}
	return x
}

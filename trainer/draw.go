package trainer

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Everything random in training is drawn on the host from a stream that is named by what it decides: the
// same (seed, purpose, epoch, key) gives the same numbers in any order, on any engine, after any
// interruption. A stream is PCG-DXSM whose state is the first 16 bytes of
//
//	SHA-256(purpose, 0, seed as 8 bytes, epoch as 8 bytes, key)
//
// with little-endian integers. Only its 64-bit outputs are used, so that nothing depends on how a library
// derives other distributions.
type stream struct{ pcg rand.PCG }

func draw(seed uint64, purpose string, epoch int, key string) *stream {
	hi, lo := hash(seed, purpose, epoch, key)
	s := new(stream)
	s.pcg.Seed(hi, lo)
	return s
}

// hash is the state of the stream of that name; its first half also orders and splits.
func hash(seed uint64, purpose string, epoch int, key string) (hi, lo uint64) {
	b := make([]byte, 0, 128)
	b = append(append(b, purpose...), 0)
	b = binary.LittleEndian.AppendUint64(b, seed)
	b = binary.LittleEndian.AppendUint64(b, uint64(epoch))
	b = append(b, key...)
	d := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(d[:]), binary.LittleEndian.Uint64(d[8:])
}

// uniform is in [0, 1), with 53 bits.
func (s *stream) uniform() float64 { return float64(s.pcg.Uint64()>>11) / (1 << 53) }

// below is in 0..n-1. The bias of at most n/2^53 does not matter here.
func (s *stream) below(n int) int { return int(s.uniform() * float64(n)) }

// normals fills x with mean 0 and the given deviation, in pairs by Box and Muller.
func (s *stream) normals(x []float32, deviation float64) {
	for i := 0; i < len(x); i += 2 {
		r := deviation * math.Sqrt(-2*math.Log(1-s.uniform()))
		sin, cos := math.Sincos(2 * math.Pi * s.uniform())
		x[i] = float32(r * cos)
		if i+1 < len(x) {
			x[i+1] = float32(r * sin)
		}
	}
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
		s.normals(x, w.spread)
	case initUniform:
		for i := range x {
			x[i] = float32(w.spread * (2*s.uniform() - 1))
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

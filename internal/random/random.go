// Package random is the one source of randomness: streams that are named by what they decide. The same (seed,
// purpose, epoch, key) gives the same numbers in any order, on any engine, after any interruption. What is
// drawn for is the caller's business; what is shared is said here once, so that ingest and training agree.
package random

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Stream is PCG-DXSM whose state is the first 16 bytes of
//
//	SHA-256(purpose, 0, seed as 8 bytes, epoch as 8 bytes, key)
//
// with little-endian integers. Only its 64-bit outputs are used, so that nothing depends on how a library
// derives other distributions.
type Stream struct{ pcg rand.PCG }

// New begins a stream.
func New(seed uint64, purpose string, epoch int, key string) *Stream {
	hi, lo := Hash(seed, purpose, epoch, key)
	s := new(Stream)
	s.pcg.Seed(hi, lo)
	return s
}

// Hash is the state of the stream of that name; its first half also orders and splits.
func Hash(seed uint64, purpose string, epoch int, key string) (hi, lo uint64) {
	b := make([]byte, 0, 128)
	b = append(append(b, purpose...), 0)
	b = binary.LittleEndian.AppendUint64(b, seed)
	b = binary.LittleEndian.AppendUint64(b, uint64(epoch))
	b = append(b, key...)
	d := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(d[:]), binary.LittleEndian.Uint64(d[8:])
}

// Uniform is in [0, 1), with 53 bits.
func (s *Stream) Uniform() float64 { return float64(s.pcg.Uint64()>>11) / (1 << 53) }

// Below is in 0..n-1. The bias of at most n/2^53 does not matter here.
func (s *Stream) Below(n int) int { return int(s.Uniform() * float64(n)) }

// Normals fills x with mean 0 and the given deviation, in pairs by Box and Muller.
func (s *Stream) Normals(x []float32, deviation float64) {
	for i := 0; i < len(x); i += 2 {
		r := deviation * math.Sqrt(-2*math.Log(1-s.Uniform()))
		sin, cos := math.Sincos(2 * math.Pi * s.Uniform())
		x[i] = float32(r * cos)
		if i+1 < len(x) {
			x[i+1] = float32(r * sin)
		}
	}
}

// Flip decides whether a sample's pictures are mirrored: one draw for all that lies pixel for pixel over each
// other, the picture, the frames of a video, depth and thermal. Ingest asks for epoch 0.
func Flip(seed uint64, epoch int, key string) bool {
	return New(seed, "flip", epoch, key).Uniform() < 0.5
}

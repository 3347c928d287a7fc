// Package half converts IEEE binary16. arrow-go's float16 cuts the fraction off where NumPy and PyTorch round,
// and takes subnormal numbers for others; this one does as they do.
package half

import (
	"encoding/binary"
	"math"
)

// Encode writes FromFloat32 of every value to dst, two bytes each, little-endian.
func Encode(dst []byte, src []float32) {
	n := encode(dst, src)
	plainEncode(dst[2*n:], src[n:])
}

// plainEncode is Encode without help from the processor.
func plainEncode(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], FromFloat32(v))
	}
}

// FromFloat32 rounds to the nearest, ties to even. What is too large becomes infinite.
func FromFloat32(v float32) uint16 {
	b := math.Float32bits(v)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 // not a number
	case b >= 0x477ff000: // half way from 65504 to what would come next
		return sign | 0x7c00
	case b <= 0x33000000: // half of the smallest, or less
		return sign
	case b < 0x38800000: // subnormal: units of 2^-24
		shift := 126 - b>>23
		m := b&0x7fffff | 0x800000
		return sign | uint16((m+1<<(shift-1)-1+m>>shift&1)>>shift)
	}
	b += 0xfff + b>>13&1 // round the 13 bits that go
	return sign | uint16((b-112<<23)>>13)
}

// ToFloat32 is exact.
func ToFloat32(bits uint16) float32 {
	sign := uint32(bits&0x8000) << 16
	exponent, fraction := uint32(bits>>10&0x1f), uint32(bits&0x3ff)
	switch exponent {
	case 0:
		v := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

package half

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// Every half is itself, and between two neighbours the nearer one is taken, the even one in the middle.
func TestHalf(t *testing.T) {
	for bits := range uint16(0x7c00) {
		for _, sign := range []uint16{0, 0x8000} {
			v := ToFloat32(bits | sign)
			want := math.Ldexp(float64(bits&0x3ff), -24) // the definition
			if e := int(bits >> 10); e > 0 {
				want = math.Ldexp(1+float64(bits&0x3ff)/1024, e-15)
			}
			if sign != 0 {
				want = -want
			}
			if float64(v) != want || math.Signbit(float64(v)) != (sign != 0) {
				t.Fatalf("%#04x is %g, want %g", bits|sign, v, want)
			}
			if got := FromFloat32(v); got != bits|sign {
				t.Fatalf("%g becomes %#04x, want %#04x", v, got, bits|sign)
			}
			if bits == 0x7bff {
				continue
			}
			next := ToFloat32(bits + 1 | sign)
			middle := (v + next) / 2 // exact: 11 bits and one more
			even := bits + bits&1 | sign
			if got := FromFloat32(middle); got != even {
				t.Fatalf("%g, between %g and %g, becomes %#04x, want %#04x", middle, v, next, got, even)
			}
			if got := FromFloat32(math.Nextafter32(middle, v)); got != bits|sign {
				t.Fatalf("just below the middle of %g and %g becomes %#04x", v, next, got)
			}
			if got := FromFloat32(math.Nextafter32(middle, next)); got != bits+1|sign {
				t.Fatalf("just above the middle of %g and %g becomes %#04x", v, next, got)
			}
		}
	}
	inf := float32(math.Inf(1))
	for v, want := range map[float32]uint16{65504: 0x7bff, 65519.996: 0x7bff, 65520: 0x7c00, 1e30: 0x7c00, -inf: 0xfc00, inf: 0x7c00, 1e-30: 0} {
		if got := FromFloat32(v); got != want {
			t.Errorf("%g becomes %#04x, want %#04x", v, got, want)
		}
	}
	if nan := FromFloat32(float32(math.NaN())); nan&0x7c00 != 0x7c00 || nan&0x3ff == 0 || ToFloat32(nan) == ToFloat32(nan) {
		t.Errorf("NaN becomes %#04x", nan)
	}
	if ToFloat32(0x7c00) != inf || ToFloat32(0xfc00) != -inf {
		t.Error("infinities are not")
	}
}

// The processor's conversion is the plain one: all kinds of numbers, every length and place of the ends, and what is
// not a number among them.
func TestEncodeIsBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(x []float32) {
		t.Helper()
		want, got := make([]byte, 2*len(x)+1), make([]byte, 2*len(x)+1)
		plainEncode(want, x)
		Encode(got, x)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d values from %g on become %x, want %x", len(x), x[0], got, want)
		}
	}
	for exponent := range uint32(256) {
		x := make([]float32, 4096)
		for i := range x {
			bits := r.Uint32()&0x807fffff | exponent<<23
			switch i % 4 { // ties and their neighbours
			case 1:
				bits &^= 0xfff
			case 2:
				bits = bits&^0x1fff + 0xfff + r.Uint32N(3)
			}
			x[i] = math.Float32frombits(bits)
		}
		check(x)
	}
	x := make([]float32, 100)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for from := range 9 {
		for to := from + 1; to <= len(x); to++ {
			check(x[from:to])
		}
	}
	for i := range x {
		y := append([]float32(nil), x...)
		y[i] = math.Float32frombits(0x7f800001 + uint32(i)<<9)
		check(y)
	}
}

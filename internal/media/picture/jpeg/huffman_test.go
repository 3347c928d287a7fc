package jpeg

import (
	"math/rand/v2"
	"testing"
)

// The kernel and its plain twin read the same from the same bits, good codes and others, and leave off in the same place.
func TestCoefficientsBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	var tables []*huffman
	for _, name := range []string{"s2x2.jpg", "quality100.jpg"} {
		d := &decoder{data: pictures(t)[name]}
		d.begin(Options{})
		if err := d.decode(Options{}); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, d.dc[0], d.ac[0], d.dc[1], d.ac[1])
		d.end()
	}
	stops := map[bool]int{}
	for round := range 3000 {
		dc, ac := tables[round%4*2], tables[round%4*2+1]
		buf := make([]byte, 400+padding)
		for i := range 400 {
			buf[i] = uint8(r.Uint32())
		}
		one := bits{buf: buf, end: 400, pos: r.IntN(8)}
		other := one
		for range 40 {
			var a, b [64]int16
			if r.IntN(3) == 0 { // in the middle of a block
				one.k, other.k = r.IntN(65), 0
				other.k = one.k
			} else {
				one.k, other.k = 0, 0
			}
			one.coefficients(dc.quick, ac.quick, &a)
			other.plainCoefficients(dc.quick, ac.quick, &b)
			if a != b || one.acc != other.acc || one.n != other.n || one.pos != other.pos || one.k != other.k || one.last != other.last || one.diff != other.diff {
				t.Fatalf("round %d: %v and %v, %v and %v", round, a, b, one, other)
			}
			stops[one.k < 64]++
			if one.k < 64 { // past a code that is not in the table, whatever it is
				one.acc, one.n = one.acc<<16, one.n-16
				other.acc, other.n = other.acc<<16, other.n-16
			}
			if one.overrun() {
				break
			}
		}
	}
	if stops[true] < 1000 || stops[false] < 1000 {
		t.Errorf("stops: %v", stops)
	}
}

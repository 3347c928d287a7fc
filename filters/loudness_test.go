package filters

import "testing"

// What the processor's registers do is what the plain loop does, to the bit, for pieces of every length, one after the
// other, and for what dies away.
func TestWeightIsBitEqual(t *testing.T) {
	for _, rate := range []int{4000, 16000, 44100, 192000} {
		w := newKWeight(rate)
		var got, want weighing
		for n := 1; n <= weighPiece; n++ {
			var pieces [segments][]float32
			for s := range pieces {
				x := gauss(n+s, 0.3, uint64(n))[s:]
				if (n+s)%5 == 0 {
					clear(x)
				}
				pieces[s] = x
			}
			w.weighPieces(&pieces, &got)
			w.plain(&pieces, &want)
			if got != want {
				t.Fatalf("%d Hz, %d samples: %v, plain %v", rate, n, got, want)
			}
		}
	}
}

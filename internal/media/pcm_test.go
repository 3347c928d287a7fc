package media

import (
	"encoding/binary"
	"testing"
)

// TestDecode16: every value, and every length and place of the vectors' ends.
func TestDecode16(t *testing.T) {
	var src []byte
	var want []float32
	for v := range 1 << 16 {
		src = binary.LittleEndian.AppendUint16(src, uint16(v))
		want = append(want, float32(int16(v))/(1<<15))
	}
	got := make([]float32, len(want))
	decode16(got, src)
	equal(t, got, want)
	clear(got)
	plain16(got, src)
	equal(t, got, want)
	for n := range 40 {
		for from := range 9 {
			got := make([]float32, n+1)
			got[n] = 9
			decode16(got[:n], src[2*from:2*(from+n)])
			equal(t, got[:n], want[from:from+n])
			if got[n] != 9 {
				t.Fatalf("%d samples: one more was written", n)
			}
		}
	}
}

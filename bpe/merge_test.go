package bpe

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// mergeLong and mergeShort are one function in two speeds.
func TestMergeLongEqualsShort(t *testing.T) {
	v := loadVocabulary()
	r := rand.New(rand.NewPCG(1, 2))
	alphabets := []string{"a", "ab", "aeinorst", "abcdefghijklmnopqrstuvwxyz", "!?.,-=", "aäöß", "\xcc\x81\xcc\x82\xe0\xf0\x9f"}
	for n := range 2000 {
		alphabet := alphabets[n%len(alphabets)]
		w := make([]byte, 1+r.IntN(150))
		for i := range w {
			w[i] = alphabet[r.IntN(len(alphabet))]
		}
		short, long := v.mergeShort(nil, string(w)), v.mergeLong(string(w))
		if !slices.Equal(short, long) {
			t.Fatalf("%q:\nshort %d\n long %d", w, short, long)
		}
	}
}

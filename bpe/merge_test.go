package bpe

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// mergeLong, mergeShort and the original are one function in three speeds.
func TestMergesAreEqual(t *testing.T) {
	v := loadVocabulary()
	r := rand.New(rand.NewPCG(1, 2))
	alphabets := []string{"a", "ab", "aeinorst", "abcdefghijklmnopqrstuvwxyz", "!?.,-=", "aäöß", "\xcc\x81\xcc\x82\xe0\xf0\x9f"}
	for n := range 2000 {
		alphabet := alphabets[n%len(alphabets)]
		w := make([]byte, 1+r.IntN(longestShort))
		for i := range w {
			w[i] = alphabet[r.IntN(len(alphabet))]
		}
		short, long, textbook := v.mergeShort(nil, string(w)), v.mergeLong(string(w)), textbookMerge(v, string(w))
		if !slices.Equal(short, textbook) || !slices.Equal(long, textbook) {
			t.Fatalf("%q:\n short %d\n  long %d\nought %d", w, short, long, textbook)
		}
	}
}

// textbookMerge is the original's loop: all pairs of the least rank at once.
func textbookMerge(v *vocabulary, w string) []int32 {
	s := v.symbols(nil, w)
	for {
		best, first, second := int32(noMerge), int32(0), int32(0)
		for i := range len(s) - 1 {
			if id := v.pairs.merge(s[i], s[i+1]); id < best {
				best, first, second = id, s[i], s[i+1]
			}
		}
		if best == noMerge {
			return s
		}
		var merged []int32
		for i := 0; i < len(s); i++ {
			if s[i] == first && i+1 < len(s) && s[i+1] == second {
				merged = append(merged, best)
				i++
			} else {
				merged = append(merged, s[i])
			}
		}
		s = merged
	}
}

// A word that is a token merges to that token, so that looking it up is the same.
func TestTokensMergeToThemselves(t *testing.T) {
	v := loadVocabulary()
	for id := range int32(StartID) {
		if v.endsWord[id] {
			if got := textbookMerge(v, v.token(id)); len(got) != 1 || got[0] != id {
				t.Errorf("%q is token %d and merges to %d", v.token(id), id, got)
			}
			if got, ok := v.word(v.token(id)); !ok || got != id {
				t.Errorf("%q is token %d, found %d", v.token(id), id, got)
			}
		}
	}
}

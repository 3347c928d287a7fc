package bpe

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// packedMerges holds the merges that CLIP uses as pairs of ids, little-endian uint16 each, by rank: merge r
// makes id firstMergeID + r. It is written by a test from the published file, which unpacks in fifty times the
// time. Source and licence are in vocabulary/README.md.
//
//go:embed vocabulary/merges.bin
var packedMerges []byte

// merges is how many of the published file's merges CLIP uses: its vocabulary of 49,152 less 256 bytes and two
// markers. The first 512 ids are the bytes, and the bytes that end a word.
const (
	merges       = 49152 - 256 - 2
	firstMergeID = 2 * 256
)

// vocabulary is immutable once built.
type vocabulary struct {
	text     string                // the bytes of all tokens, one after the other
	at       [VocabSize + 1]uint32 // token id is text[at[id]:at[id+1]]; markers have no bytes
	endsWord [VocabSize]bool       // the token carries "</w>"
	byteID   [256]int32            // of a byte within a word; + 256 at its end
	pairs    pairTable
	words    wordTable
}

func (v *vocabulary) token(id int32) string { return v.text[v.at[id]:v.at[id+1]] }

// pairTable maps a pair of ids to the id that they merge to, by open addressing. Ids of merges grow with their
// ranks, so the least id is the first to merge.
type pairTable struct {
	pair [pairSlots]uint32 // first << 16 | second; free where merged is 0
	to   [pairSlots]uint16
}

// wordTable finds the tokens that end a word by their bytes, by open addressing: a word that is a token merges
// to that token, whatever its parts (a test goes through all of them).
type wordTable [wordSlots]uint16 // 0 is free: the id 0 ends no word

const (
	pairSlots = 1 << 17 // 2.7 for each merge: most pairs that are asked for have none, and end at a free place
	wordSlots = 1 << 16
)

func pairHash(first, second int32) uint32 {
	return (uint32(first)<<16 | uint32(second)) * 0x9E3779B1 >> (32 - 17)
}

// merge returns the id that two neighbours merge to, noMerge where they do not.
func (t *pairTable) merge(first, second int32) int32 {
	want := uint32(first)<<16 | uint32(second)
	for i := pairHash(first, second); ; i++ {
		i &= pairSlots - 1
		switch {
		case t.to[i] == 0:
			return noMerge
		case t.pair[i] == want:
			return int32(t.to[i])
		}
	}
}

func (t *pairTable) add(first, second, to int32) {
	i := pairHash(first, second)
	for t.to[i&(pairSlots-1)] != 0 {
		i++
	}
	i &= pairSlots - 1
	t.pair[i], t.to[i] = uint32(first)<<16|uint32(second), uint16(to)
}

func wordHash(w string) uint32 {
	h := uint64(len(w))
	for len(w) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64([]byte(w[:8]))) * 0x9E3779B97F4A7C15
		h ^= h >> 29
		w = w[8:]
	}
	for i := 0; i < len(w); i++ {
		h = h<<8 ^ h>>56 ^ uint64(w[i])
	}
	return uint32(h * 0x9E3779B97F4A7C15 >> (64 - 16))
}

// word returns the id of the token that is all of w and ends it.
func (v *vocabulary) word(w string) (id int32, ok bool) {
	for i := wordHash(w); ; i++ {
		id := int32(v.words[i&(wordSlots-1)])
		if id == 0 {
			return 0, false
		}
		if v.token(id) == w {
			return id, true
		}
	}
}

var loadVocabulary = sync.OnceValue(func() *vocabulary {
	v, err := buildVocabulary(packedMerges)
	if err != nil {
		panic("bpe: the embedded vocabulary is broken: " + err.Error()) // the binary itself is damaged
	}
	return v
})

// byteOrder lists the bytes in the order of their ids: those that print in Latin-1 come first, as in the
// published file.
func byteOrder() (order []byte) {
	var rest []byte
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xA1 && b != 0xAD {
			order = append(order, byte(b))
		} else {
			rest = append(rest, byte(b))
		}
	}
	return append(order, rest...)
}

// buildVocabulary makes the tables of packed merges.
func buildVocabulary(packed []byte) (*vocabulary, error) {
	if len(packed) != 4*merges {
		return nil, fmt.Errorf("%d bytes, want %d", len(packed), 4*merges)
	}
	v := new(vocabulary)
	text := make([]byte, 0, 320_000)
	for id, b := range byteOrder() {
		v.byteID[b] = int32(id)
		v.endsWord[id+256] = true
		text = append(text, b)
		v.at[id+1] = uint32(len(text))
	}
	text = append(text, text[:256]...)
	for id := 256; id < firstMergeID; id++ {
		v.at[id+1] = v.at[id] + 1
	}
	for id := int32(firstMergeID); id < StartID; id++ {
		first, second := int32(binary.LittleEndian.Uint16(packed)), int32(binary.LittleEndian.Uint16(packed[2:]))
		packed = packed[4:]
		if first >= id || second >= id || v.endsWord[first] {
			return nil, fmt.Errorf("merge %d is of %d and %d", id-firstMergeID, first, second)
		}
		text = append(text, text[v.at[first]:v.at[first+1]]...)
		text = append(text, text[v.at[second]:v.at[second+1]]...)
		v.at[id+1] = uint32(len(text))
		v.endsWord[id] = v.endsWord[second]
		v.pairs.add(first, second, id)
	}
	v.at[StartID+1], v.at[EndID+1] = uint32(len(text)), uint32(len(text))
	v.text = string(text)
	for id := int32(256); id < StartID; id++ {
		if !v.endsWord[id] {
			continue
		}
		i := wordHash(v.token(id))
		for v.words[i&(wordSlots-1)] != 0 {
			i++
		}
		v.words[i&(wordSlots-1)] = uint16(id)
	}
	return v, nil
}

func (v *vocabulary) piece(id int32) string {
	switch {
	case id == StartID:
		return "<|startoftext|>"
	case id == EndID:
		return "<|endoftext|>"
	case id < 0 || id >= VocabSize:
		return fmt.Sprintf("<%d>", id)
	}
	var s strings.Builder
	for t := v.token(id); t != ""; {
		r, n := utf8.DecodeRuneInString(t)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&s, `\x%02x`, t[0])
		} else {
			s.WriteString(t[:n])
		}
		t = t[n:]
	}
	if v.endsWord[id] {
		s.WriteString("</w>")
	}
	return s.String()
}

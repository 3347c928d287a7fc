package bpe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// Source, licence and checksum are in vocabulary/README.md.
//
//go:embed vocabulary/bpe_simple_vocab_16e6.txt.gz
var packedMerges []byte

// merges is how many of the file's merges CLIP uses: its vocabulary of 49,152 less 256 bytes and two
// markers. The first 512 ids are the bytes, and the bytes that end a word.
const (
	merges       = 49152 - 256 - 2
	firstMergeID = 2 * 256
)

// vocabulary is immutable once built, but for its cache of words.
type vocabulary struct {
	tokens   [VocabSize]string // bytes of each token; markers have none
	endsWord [VocabSize]bool   // the token carries "</w>"
	byteID   [256]int32        // of a byte within a word; + 256 at its end
	// merged maps a pair of ids (first << 32 | second) to the id that they merge to. Ids of merges grow
	// with their ranks, so the least id is the first to merge.
	merged map[uint64]int32
	cache  wordCache
}

func pairOf(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

var loadVocabulary = sync.OnceValue(func() *vocabulary {
	v, err := unpackVocabulary(packedMerges)
	if err != nil {
		panic("bpe: the embedded vocabulary is broken: " + err.Error()) // the binary itself is damaged
	}
	return v
})

// unpackVocabulary reads a gzip file of lines "first second", the first line being a comment.
func unpackVocabulary(packed []byte) (*vocabulary, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	v := &vocabulary{merged: make(map[uint64]int32, merges)}

	// The file writes each byte as a printable character: itself where it is printable in Latin-1, else
	// one of those from U+0100 on. The ids of the bytes have the printable ones first.
	ids := make(map[string]int32, VocabSize)
	var rest []int
	var id int32
	add := func(b int, as rune) {
		v.byteID[b] = id
		v.tokens[id], v.tokens[id+256] = string([]byte{byte(b)}), string([]byte{byte(b)})
		v.endsWord[id+256] = true
		ids[string(as)], ids[string(as)+"</w>"] = id, id+256
		id++
	}
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xA1 && b != 0xAD {
			add(b, rune(b))
		} else {
			rest = append(rest, b)
		}
	}
	for i, b := range rest {
		add(b, rune(256+i))
	}

	lines := bufio.NewScanner(z)
	lines.Scan() // the comment
	for id = firstMergeID; id < firstMergeID+merges; id++ {
		if !lines.Scan() {
			return nil, fmt.Errorf("line %d: it ends too early (%v)", id-firstMergeID+2, lines.Err())
		}
		first, second, _ := strings.Cut(lines.Text(), " ")
		a, okA := ids[first]
		b, okB := ids[second]
		if !okA || !okB || v.endsWord[a] {
			return nil, fmt.Errorf("line %d: cannot merge %q", id-firstMergeID+2, lines.Text())
		}
		v.tokens[id] = v.tokens[a] + v.tokens[b]
		v.endsWord[id] = v.endsWord[b]
		v.merged[pairOf(a, b)] = id
		ids[first+second] = id
	}
	if len(ids) != firstMergeID+merges {
		return nil, fmt.Errorf("%d different tokens, want %d", len(ids), firstMergeID+merges)
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
	for t := v.tokens[id]; t != ""; {
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

package bpe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write vocabulary/merges.bin anew")

// publishedMerges reads the file that CLIP's tokenizer comes with: lines "first second" in rank order behind a
// comment. It writes each byte as a printable character: itself where it is printable in Latin-1, else one of
// those from U+0100 on.
func publishedMerges(t *testing.T) []byte {
	f, err := os.Open("vocabulary/bpe_simple_vocab_16e6.txt.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]int, VocabSize)
	next := rune(256)
	for id, b := range byteOrder() {
		c := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xA1 && b != 0xAD) {
			c = next
			next++
		}
		ids[string(c)], ids[string(c)+"</w>"] = id, id+256
	}
	var packed []byte
	lines := bufio.NewScanner(z)
	lines.Scan() // the comment
	for id := firstMergeID; id < firstMergeID+merges; id++ {
		if !lines.Scan() {
			t.Fatalf("it ends at merge %d: %v", id-firstMergeID, lines.Err())
		}
		first, second, _ := strings.Cut(lines.Text(), " ")
		a, okA := ids[first]
		b, okB := ids[second]
		if !okA || !okB {
			t.Fatalf("merge %d: %q", id-firstMergeID, lines.Text())
		}
		packed = binary.LittleEndian.AppendUint16(packed, uint16(a))
		packed = binary.LittleEndian.AppendUint16(packed, uint16(b))
		ids[first+second] = id
	}
	if len(ids) != firstMergeID+merges {
		t.Fatalf("%d different tokens", len(ids))
	}
	return packed
}

func TestMergesAreThePublishedOnes(t *testing.T) {
	want := publishedMerges(t)
	if *update {
		if err := os.WriteFile("vocabulary/merges.bin", want, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(packedMerges, want) {
		t.Error("vocabulary/merges.bin is not what the published file holds: go test ./bpe -run Published -update")
	}
}

func TestBuildVocabularyRefuses(t *testing.T) {
	bad := bytes.Clone(packedMerges)
	binary.LittleEndian.PutUint16(bad[400:], VocabSize-1)
	for name, packed := range map[string][]byte{
		"empty":     nil,
		"truncated": packedMerges[:len(packedMerges)/8],
		"too long":  append(bytes.Clone(packedMerges), 0, 0, 0, 0),
		"ahead":     bad,
	} {
		if _, err := buildVocabulary(packed); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

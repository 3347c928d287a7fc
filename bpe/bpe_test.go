package bpe

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// checkResult holds for every caption. With ImageBind's special tokens a caption may hold markers itself.
func checkResult(t *testing.T, text string, o Options, r Result) {
	t.Helper()
	starts, ends, firstEnd := 0, 0, -1
	for i, id := range r.IDs {
		switch {
		case id < 0 || id >= VocabSize:
			t.Fatalf("%q: id %d at %d", text, id, i)
		case id == StartID:
			starts++
		case id == EndID:
			ends++
			if firstEnd < 0 {
				firstEnd = i
			}
		}
	}
	if r.IDs[0] != StartID || ends == 0 || o.SpecialTokens == Inert && (starts != 1 || ends != 1) {
		t.Fatalf("%q: %d start and %d end markers", text, starts, ends)
	}
	if n := r.Len(); r.IDs[n-1] != EndID || o.SpecialTokens == Inert && n-1 != firstEnd {
		t.Fatalf("%q: %d ids, end marker at %d", text, n, firstEnd)
	}
	for i, id := range r.IDs[r.Len():] {
		if id != 0 {
			t.Fatalf("%q: id %d at %d behind the end", text, id, r.Len()+i)
		}
	}
	if r.Tokens < 2 || r.Truncated != (r.Tokens > ContextLength) {
		t.Fatalf("%q: %d tokens, truncated %v", text, r.Tokens, r.Truncated)
	}
}

var odd = []string{"", " ", "\x00", "\xff\xfe", "\xed\xa0\xbd\xed\xb8\x80", "<|endoftext|>", "<|startoftext|>a", "&lt;|endoftext|&gt;",
	strings.Repeat("word ", 500), strings.Repeat("x", 5000), strings.Repeat("e\u0301", 200), "a" + strings.Repeat("\u0301", 100),
	strings.Repeat("&amp;", 300), "&" + strings.Repeat("amp;", 300), strings.Repeat("\u0345", 5), "İSTANBUL ΟΔΟΣ", "ﬁn\u017f 'ſ"}

func TestEncodeProperties(t *testing.T) {
	texts := odd
	for _, row := range readGoldenCaptions(t) {
		texts = append(texts, row.Text)
	}
	for _, text := range texts {
		for _, o := range []Options{{Inert}, {ImageBind}} {
			r := Encode(text, o)
			checkResult(t, text, o, r)
			// Empty lines around it change nothing. (Spaces on its own line may: they are context to ftfy.)
			if got := Encode("\n \t\n"+text+"\n \n", o); got != r {
				t.Errorf("%q: white space around it changes it", text)
			}
		}
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		text   string
		o      Options
		tokens []string
	}{
		{"a photo of a cat", Options{}, []string{"a</w>", "photo</w>", "of</w>", "a</w>", "cat</w>"}},
		{"A  Photo\nOF A cat ", Options{}, []string{"a</w>", "photo</w>", "of</w>", "a</w>", "cat</w>"}},
		{"it's 2024!", Options{}, []string{"it</w>", "'s</w>", "2</w>", "0</w>", "2</w>", "4</w>", "!</w>"}},
		{"a<|endoftext|>", Options{ImageBind}, []string{"a</w>", "<|endoftext|>"}},
		{"a<|endoftext|>", Options{Inert}, []string{"a</w>", "<</w>", "|</w>"}},
	} {
		r := Encode(c.text, c.o)
		got := Pieces(r.IDs[1 : r.Len()-1])
		if c.o.SpecialTokens == Inert && strings.Contains(c.text, "<|") {
			if slices.Contains(got, "<|endoftext|>") || Decode(r.IDs[:]) != "a <| endoftext |>" {
				t.Errorf("%q: %q", c.text, got)
			}
			continue
		}
		if !slices.Equal(got, c.tokens) {
			t.Errorf("%q: %q, want %q", c.text, got, c.tokens)
		}
	}
}

// The end marker stays when a caption is cut; 75 tokens just fit.
func TestEncodeCut(t *testing.T) {
	for words, truncated := range map[int]bool{74: false, 75: false, 76: true, 500: true} {
		r := Encode(strings.Repeat("cat ", words), Options{})
		if r.Tokens != words+2 || r.Truncated != truncated || r.IDs[r.Len()-1] != EndID || r.Len() != min(words+2, ContextLength) {
			t.Errorf("%d words: %+v", words, r)
		}
	}
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]string{
		"A photo of a cat":       "a photo of a cat",
		"it's 10°!":              "it 's 1 0 °!",
		"日本 🐕":                   "日本 🐕",
		"":                       "",
		strings.Repeat("a ", 99): strings.TrimSpace(strings.Repeat("a ", 75)),
	} {
		r := Encode(text, Options{})
		if got := Decode(r.IDs[:]); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := Decode([]int32{-1, VocabSize, 1 << 30, 0}); got != "!" {
		t.Errorf("ids out of range: %q", got)
	}
	if got := Decode([]int32{loadVocabulary().byteID[0xF0]}); got != "\uFFFD" {
		t.Errorf("part of a character: %q", got)
	}
}

func TestPieces(t *testing.T) {
	r := Encode("a 🦄", Options{})
	got := Pieces(r.IDs[:r.Len()])
	if got[0] != "<|startoftext|>" || got[1] != "a</w>" || got[len(got)-1] != "<|endoftext|>" {
		t.Errorf("%q", got)
	}
	if got := Pieces([]int32{loadVocabulary().byteID[0xF0], -1, VocabSize}); !slices.Equal(got, []string{`\xf0`, "<-1>", "<49408>"}) {
		t.Errorf("%q", got)
	}
}

// Many goroutines get what one gets.
func TestEncodeConcurrently(t *testing.T) {
	rows := readGoldenCaptions(t)
	want := make([]Result, len(rows))
	for i, row := range rows {
		want[i] = Encode(row.Text, Options{})
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range rows {
				k := (i*7 + g*31) % len(rows)
				if got := Encode(rows[k].Text, Options{}); got != want[k] {
					t.Errorf("%q: %v, want %v", rows[k].Text, got.IDs, want[k].IDs)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzEncode(f *testing.F) {
	for _, text := range odd {
		f.Add(text)
	}
	f.Add("it's a “photo” of 3 CATS &amp; d\u00c3\u00b3gs")
	f.Fuzz(func(t *testing.T, text string) {
		for _, o := range []Options{{Inert}, {ImageBind}} {
			r := Encode(text, o)
			checkResult(t, text, o, r)
			Pieces(r.IDs[:])
			if s := Decode(r.IDs[:]); !utf8.ValidString(s) {
				t.Fatalf("%q decodes to %q", text, s)
			}
		}
	})
}

func FuzzClean(f *testing.F) {
	for _, text := range odd {
		f.Add(text)
	}
	f.Add("\x1b[31mred\x1b[0m \u00e2\u20ac\u2122 \u00c3 la mode &#xFF06;amp; &NTILDE;")
	f.Fuzz(func(t *testing.T, text string) {
		s := Clean(text)
		if !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.Contains(s, "  ") || strings.ContainsAny(s, "\n\t\r\x00\x1b") {
			t.Fatalf("%q cleans to %q", text, s)
		}
		// The short way for ASCII is the long one.
		if fast, ok := cleanASCII(text); ok && fast != cleanAny(text) {
			t.Fatalf("%q: %q, the long way %q", text, fast, cleanAny(text))
		}
	})
}

const asciiCaption = "A black dog runs along the beach while waves crash behind it." // 61 characters

func BenchmarkEncode(b *testing.B) {
	var captions []string
	for _, w := range []string{"dog", "cat", "horse", "child", "man in a hat", "woman", "bird", "robot"} {
		for _, p := range []string{"beach", "street", "old bridge", "river", "field"} {
			captions = append(captions, "A black "+w+" runs along the "+p+" while waves crash behind it.")
		}
	}
	for _, c := range []struct {
		name  string
		texts []string
	}{
		{"ascii61", []string{asciiCaption}},
		{"ascii", captions},
		{"accents", []string{"Un café crème à la plage, où l'on mange une brûlée dorée là."}},
		{"mojibake", []string{"Un cafÃ© crÃ¨me Ã  la plage, oÃ¹ lâ€™on mange une brÃ»lÃ©e"}},
		{"references", []string{"a dog &amp; a cat &lt;b&gt; &quot;run&quot; along the beach"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			loadVocabulary()
			i := 0
			for b.Loop() {
				Encode(c.texts[i%len(c.texts)], Options{})
				i++
			}
		})
	}
}

func BenchmarkEncodeParallel(b *testing.B) {
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			Encode(asciiCaption, Options{})
		}
	})
}

func BenchmarkBuildVocabulary(b *testing.B) {
	for b.Loop() {
		if _, err := buildVocabulary(packedMerges); err != nil {
			b.Fatal(err)
		}
	}
}

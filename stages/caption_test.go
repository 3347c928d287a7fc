package stages

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"prep/bpe"
	"prep/configs"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

func u16(order binary.AppendByteOrder, s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// captionProcessor reads captions below root with the default configuration.
func captionProcessor(t *testing.T, root string, change ...func(*configs.Config)) *Processor {
	cfg, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Text.Captions = 1
	for _, f := range change {
		f(&cfg)
	}
	p, err := NewProcessor(&Plan{ContentVersion: contentVersion, Root: root, Config: cfg, Pins: map[string]string{"arch": runtime.GOARCH}}, root, cfg.Ingest, &media.Tools{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What becomes of text files and captions of every kind that people have. Of a caption that is kept, the
// encoding and the text; of one that is not, the reason.
func TestOddCaptions(t *testing.T) {
	const le, be, bom8 = "\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"
	long := strings.Repeat("a dog and a cat ", 40)
	for _, c := range []struct{ name, data, reason, encoding, text string }{
		{"plain", "A dog barks.", "", "utf-8", "A dog barks."},
		{"line end", "A dog barks.\n", "", "utf-8", "A dog barks."},
		{"line ends of Windows", "A dog\r\nbarks.\r\n", "", "utf-8", "A dog\r\nbarks."},
		{"line ends of old Macs", "A dog\rbarks.\r", "", "utf-8", "A dog\rbarks."},
		{"white space around", " \t\u3000A dog barks.\u00a0\n\n", "", "utf-8", "A dog barks."},
		{"mark of UTF-8", bom8 + "A dog barks.", "", "utf-8-bom", "A dog barks."},
		{"mark of UTF-8 and no text", bom8, "short_text", "utf-8-bom", ""},
		{"two marks", bom8 + bom8 + "A dog barks.", "", "utf-8-bom", "\ufeffA dog barks."},
		{"UTF-8 of all lengths", "Ein Hündchen, 犬, 🐕", "", "utf-8", "Ein Hündchen, 犬, 🐕"},
		{"UTF-16 LE", le + u16(binary.LittleEndian, "Ein Hündchen 🐕"), "", "utf-16le", "Ein Hündchen 🐕"},
		{"UTF-16 BE", be + u16(binary.BigEndian, "Ein Hündchen 🐕"), "", "utf-16be", "Ein Hündchen 🐕"},
		{"UTF-16 cut off", le + u16(binary.LittleEndian, "Ein Hündchen") + "x", "not_text", "", ""},
		{"UTF-16, half a character", le + u16(binary.LittleEndian, "a dog ") + "\x3d\xd8", "", "utf-16le", "a dog \ufffd"},
		{"UTF-16, halves reversed", le + "\x15\xdc\x3d\xd8" + u16(binary.LittleEndian, "a dog"), "", "utf-16le", "\ufffd\ufffda dog"},
		{"UTF-16 without a mark", u16(binary.LittleEndian, "a dog barks"), "not_text", "", ""},
		{"UTF-16 mark alone", le, "short_text", "utf-16le", ""},
		{"UTF-32", "\xff\xfe\x00\x00a\x00\x00\x00", "not_text", "", ""},
		{"UTF-32 BE", "\x00\x00\xfe\xff\x00\x00\x00a", "not_text", "", ""},
		{"Latin-1", "Caf\xe9 cr\xe8me, \xe0 la plage", "", "latin-1", "Café crème, à la plage"},
		{"Windows-1252", "a dog\x92s \x93bark\x94 \x80", "", "windows-1252", "a dog’s “bark” €"},
		{"Windows-1252, no such byte", "a dog \x81\x8d barks", "not_text", "", ""},
		{"UTF-8 cut off", "Hündchen und Kätzchen spielen im Gr\xc3", "", "utf-8-damaged", "Hündchen und Kätzchen spielen im Gr\ufffd"},
		{"UTF-8 with one Latin-1 letter", "犬と猫が遊ぶ \xe9", "", "utf-8-damaged", "犬と猫が遊ぶ \ufffd"},
		{"overlong UTF-8", "a dog \xc0\xaf barks", "", "latin-1", "a dog À¯ barks"},
		{"surrogates in UTF-8", "犬犬犬犬犬犬犬\xed\xa0\xbd", "", "utf-8-damaged", "犬犬犬犬犬犬犬\ufffd"},
		{"beyond Unicode", "犬犬犬犬犬\xf4\x90\x80\x80", "", "utf-8-damaged", "犬犬犬犬犬\ufffd"},
		{"empty", "", "short_text", "utf-8", ""},
		{"white space alone", " \t\r\n\u2028\u00a0", "short_text", "utf-8", ""},
		{"nothing that shows", "\u200b\u200b\u200b\u200b\u200b\u200b", "short_text", "utf-8", "\u200b\u200b\u200b\u200b\u200b\u200b"},
		{"four letters", "dog.", "short_text", "utf-8", "dog."},
		{"four characters of many code points", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦🇩🇪", "short_text", "utf-8", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦🇩🇪"},
		{"five characters", "犬と猫の絵", "", "utf-8", "犬と猫の絵"},
		{"NUL inside", "a dog\x00barks", "not_text", "", ""},
		{"NUL at the end", "a dog barks\x00", "not_text", "", ""},
		{"one stray control", "a dog\x07 barks", "", "utf-8", "a dog\x07 barks"},
		{"controls all over", "\x01\x02\x03\x04\x05\x06\x07\x08abc", "not_text", "", ""},
		{"terminal colours", "\x1b[31ma red dog\x1b[0m", "", "utf-8", "\x1b[31ma red dog\x1b[0m"},
		{"a picture", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not_text", "", ""},
		{"a JPEG", "\xff\xd8\xff\xe0\x00\x10JFIF\x00", "not_text", "", ""},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "not_text", "", ""},
		{"a marker", "a dog <|endoftext|> barks", "", "utf-8", "a dog <|endoftext|> barks"},
		{"references", "a dog &amp; a cat &lt;b&gt;", "", "utf-8", "a dog &amp; a cat &lt;b&gt;"},
		{"mojibake", "cafÃ© crÃ¨me", "", "utf-8", "cafÃ© crÃ¨me"},
		{"too many tokens", long, "", "utf-8", strings.TrimSpace(long)},
		{"one long word", strings.Repeat("x", 100_000), "", "utf-8", strings.Repeat("x", 100_000)},
		{"marks upon marks", "Za" + strings.Repeat("\u0301", 5000) + "lgo dog", "", "utf-8", "Za" + strings.Repeat("\u0301", 5000) + "lgo dog"},
		{"nested references", "&" + strings.Repeat("amp;", 5000) + "lt; dog", "", "utf-8", "&" + strings.Repeat("amp;", 5000) + "lt; dog"},
		{"right to left", "كلب ينبح \u202eabc", "", "utf-8", "كلب ينبح \u202eabc"},
		{"a megabyte and a byte", strings.Repeat("a dog ", media.MaxTextBytes/6+1), "text_too_long", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, "a.txt"), []byte(c.data), 0o666); err != nil {
				t.Fatal(err)
			}
			p := captionProcessor(t, root)
			s := &sample.Sample{Key: "a", Parts: []sample.Part{{Modality: sample.Text, Path: "a.txt", Size: int64(len(c.data))}}}
			_, err := p.Process(context.Background(), s)
			if got := fault.ReasonOf(err); err != nil && got != c.reason || err == nil && c.reason != "" {
				t.Fatalf("%v, want %q", err, c.reason)
			}
			if err != nil && c.encoding == "" && !strings.HasPrefix(err.Error(), "a.txt: ") {
				t.Errorf("the message does not name the file: %v", err)
			}
			if s.Caption != c.text || s.Metrics.Word("text_encoding") != c.encoding {
				t.Errorf("%q in %q, want %q in %q", s.Caption, s.Metrics.Word("text_encoding"), c.text, c.encoding)
			}
			if err != nil {
				return
			}
			ids := idsOf(s.Tensors[sample.Text])
			r := bpe.Encode(c.text, bpe.Options{})
			if !slices.Equal(ids, r.IDs[:]) || ids[0] != bpe.StartID || ids[r.Len()-1] != bpe.EndID {
				t.Errorf("tokens %v, want %v", ids, r.IDs)
			}
			tokens, _ := s.Metrics.Number("text_tokens")
			if cut := slices.Contains(flagsOf(s.Metrics), "truncated_caption"); int(tokens) != r.Tokens || cut != r.Truncated {
				t.Errorf("%v tokens, cut: %v; want %d, %v", tokens, cut, r.Tokens, r.Truncated)
			}
		})
	}
}

func idsOf(t sample.Tensor) []int32 {
	ids := make([]int32, len(t.Data)/4)
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return ids
}

// Several captions are stored as a list and as rows of tokens, the first of them as ever.
func TestSeveralCaptions(t *testing.T) {
	inline := func(texts ...string) *sample.Sample {
		return &sample.Sample{Key: "a", Parts: []sample.Part{{Modality: sample.Text, Text: texts[0], Texts: texts[1:]}}}
	}
	three := inline("a sound of Dog", " a dog barks ", "the noise of Dog")
	if n := captionColumns([]sample.Sample{*inline("a dog"), *three}, 0); n != 3 {
		t.Errorf("%d columns of captions for three", n)
	}
	if n := captionColumns([]sample.Sample{*three}, 2); n != 2 {
		t.Errorf("%d columns where two are wanted", n)
	}
	if n := captionColumns(nil, 5); n != 1 {
		t.Errorf("%d columns where no sample has more than one", n)
	}
	for _, columns := range []int{1, 2, 4} {
		p := captionProcessor(t, "", func(c *configs.Config) { c.Text.Captions = columns })
		for _, s := range []*sample.Sample{inline("a black dog"), inline("a sound of Dog", " a dog barks ", "the noise of Dog")} {
			if _, err := p.Process(context.Background(), s); err != nil {
				t.Fatal(err)
			}
			want := []string{s.Caption}
			if len(s.Parts[0].Texts) > 0 {
				want = []string{"a sound of Dog", "a dog barks", "the noise of Dog"}
			}
			want = want[:min(len(want), columns)]
			if columns == 1 {
				if s.Captions != nil || !s.Texts.Absent() {
					t.Errorf("%q and %v where there is one caption each", s.Captions, s.Texts.Shape)
				}
				continue
			}
			if !slices.Equal(s.Captions, want) || s.Caption != want[0] {
				t.Errorf("%d columns: %q, want %q", columns, s.Captions, want)
			}
			if err := textsColumn(p.Config).Check(s.Texts); err != nil {
				t.Fatal(err)
			}
			ids := idsOf(s.Texts)
			for i := range columns {
				var row [bpe.ContextLength]int32
				if i < len(want) {
					row = bpe.Encode(want[i], bpe.Options{}).IDs
				}
				if got := ids[i*bpe.ContextLength : (i+1)*bpe.ContextLength]; !slices.Equal(got, row[:]) {
					t.Errorf("%d columns, caption %d: %v, want %v", columns, i, got, row)
				}
			}
		}
	}
}

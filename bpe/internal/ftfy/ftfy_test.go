package ftfy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// The results are ftfy 6.3.1's own.
func TestFixText(t *testing.T) {
	for _, c := range []struct{ step, text, want string }{
		{"nothing to do", "A plain line.\n\tAnd another.", "A plain line.\n\tAnd another."},
		{"references", "d&oacute;g &amp;amp; c&AACUTE;t &SZLIG; &copy &#65;&#x42; &#59; &nosuch;", "dóg & cÁt SS &copy AB &#59; &nosuch;"},
		{"references in HTML stay, from then on", "&amp;\n<b>&amp;</b>\n&amp;", "&\n<b>&amp;</b>\n&amp;"},
		{"UTF-8 as Windows-1252", "schÃ¶n â€” lâ€™Ã©tÃ©", "schön — l'été"},
		{"twice", "schÃƒÂ¶n", "schön"},
		{"as Windows-1251", "РџСЂРёРІРµС‚ РјРёСЂ", "Привет мир"},
		{"as MacRoman", "d√©j√† vu", "déjà vu"},
		{"as code page 437", "├⌐t├⌐", "été"},
		{"a space that was A0", "Ã la plage, voilÃ le chat", "à la plage, voilà le chat"},
		{"but not in às", "Ã s trÃªs", "às três"},
		{"lost bytes", "â€œyesâ€�", "\"yes\ufffd"},
		{"CESU-8", "\u00ed\u00a0\u00bd\u00ed\u00b8\u0080", "😀"},
		{"in part", "日本 caf\u00c3\u00a9 β€™", "日本 café '"},
		{"C1 controls", "\u009d\u0093quoted\u0094", "\u009d\"quoted\""},
		{"legitimate", "Ågren’s Größe: 10°C, ×2 — où? IL Y MARQUÉ…", "Ågren's Größe: 10°C, ×2 — où? IL Y MARQUÉ…"},
		{"ligatures", "ﬂuﬃeﬆ ŉ Ĳ Ǆ", "fluffiest 'n IJ DŽ"},
		{"widths", "ＬＯＵＤ　ﾀｶﾞ ￦", "LOUD タガ ₩"},
		{"quotes", "“a” ‘b’ ʼc", "\"a\" 'b' 'c"},
		{"line breaks", "a\r\nb\rc\u2028d\u2029e", "a\nb\nc\nd\ne"},
		{"surrogates", "\xed\xa0\xbd\xed\xb8\x80 \xed\xb8\x80\xed\xa0\xbd", "😀 \ufffd\ufffd"},
		{"invalid bytes", "a\xffb\xc3", "a\ufffdb\ufffd"},
		{"terminal escapes", "\x1b[36;44mblue\x1b[0m \x1b[é", "blue [é"},
		{"controls", "a\x00\x07\x0b\x1c\x7f\ufeff\ufff9\u206ab\u200d\f", "ab\u200d\f"},
		{"composition", "e\u0301 \u1112\u1161\u11ab a\u0323\u0302 \u212b \u0344", "é 한 ậ Å \u0308\u0301"},
	} {
		if got := FixText(c.text); got != c.want {
			t.Errorf("%s: %q\n got %q\nwant %q", c.step, c.text, got, c.want)
		}
	}
}

// Package norm and nfc agree on all that norm does right: sequences of few marks in the basic plane.
func TestNFC(t *testing.T) {
	for r := rune(0xA0); r < 0x3100; r++ {
		for _, tail := range []string{"", "\u0301", "\u0327\u0301", "\u0345\u0323\u0308"} {
			s := string(r) + tail
			if got := string(nfc([]rune(s))); got != norm.NFC.String(s) {
				t.Fatalf("%+q: %+q, norm has %+q", s, got, norm.NFC.String(s))
			}
		}
	}
	// And on what norm does differently, Unicode decides.
	for in, want := range map[string]string{
		"a" + strings.Repeat("\u0301", 40): "á" + strings.Repeat("\u0301", 39), // no U+034F
		"\U00020064\u0327\u0301":           "\U00020064\u0327\u0301",           // not d with cedilla
		"\U00011099\U000110BA":             "\U0001109A",
		"\u0958":                           "\u0915\u093C", // excluded from composition
	} {
		if got := string(nfc([]rune(in))); got != want {
			t.Errorf("%+q: %+q, want %+q", in, got, want)
		}
	}
}

// Text that is nested for the purpose ends within the bound on work.
func TestFixTextNested(t *testing.T) {
	if got := FixText("&" + strings.Repeat("amp;", 2000) + "lt;"); got != "<" {
		t.Errorf("%.40q", got)
	}
	FixText("&" + strings.Repeat("amp;", 240_000)) // hangs without it
}

// plainFixSegment is fixSegment step by step.
func plainFixSegment(t []rune) []rune {
	for {
		fixed := fixPlain(unescapeHTML(t))
		if slices.Equal(fixed, t) {
			return t
		}
		t = fixed
	}
}

// TestNestedReferences: skipping passes changes nothing.
func TestNestedReferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	units := []string{"&", "&", "amp;", "amp;amp;amp;amp;", "AMP;AMP;AMP;AMP;AMP;", "#38;", "#38;#38;#38;", "#x26;#x26;", "amp", ";", "lt;", "eacute;", "ÃƒÂ©", "é", "Ã", " ", "a", "\x1b[", "\r", "fi;", "#39;", "’", "nbsp;", "ГўВЂВ"}
	for range 20000 {
		var s strings.Builder
		for range 1 + rng.IntN(12) {
			u := units[rng.IntN(len(units))]
			s.WriteString(u)
			if rng.IntN(4) == 0 {
				s.WriteString(strings.Repeat(u, rng.IntN(6)))
			}
		}
		in := decode(s.String())
		if got, want := fixSegment(in, true), plainFixSegment(in); !slices.Equal(got, want) {
			t.Fatalf("%q becomes %q, want %q", s.String(), string(got), string(want))
		}
	}
}

// TestDeepReferences: nesting as deep as a segment is long comes to its end all the same.
func TestDeepReferences(t *testing.T) {
	for _, unit := range []string{"amp;", "AMP;", "#38;", "#x26;"} {
		deep := strings.Repeat(unit, (maxSegment-10)/len(unit))
		if got := FixText("é &" + deep + "lt;"); got != "é <" {
			t.Errorf("%s: %d bytes are left", unit, len(got))
		}
	}
}

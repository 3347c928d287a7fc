package ftfy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func FuzzFixText(f *testing.F) {
	for _, s := range []string{"", "a dog", "cafÃ© crÃ¨me", "Ã ", "â€œquotesâ€\u009d", "&lt;b&gt; &AMP; &eacute;", "ﬁn ｶﾞ", "\x1b[31mred\x1b[0m", "\xed\xa0\xbd\xed\xb8\x80",
		"a\r\nb\u2028c\x85", "\u0085\u0096", "vГђвЂ”", "Â\u00a0", "\ufeffa", "e\u0301\u0302", "\xc3\x28", "l’Ã©tÃ©"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<10 {
			return
		}
		got := FixText(s)
		if !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) {
			t.Fatalf("%q became %q, which is not composed UTF-8", s, got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\f' || r == 0x7F || r == 0xFEFF }); i >= 0 {
			t.Fatalf("%q became %q, which has a control character at %d", s, got, i)
		}
		if untouched(s) && got != s {
			t.Fatalf("%q became %q", s, got)
		}
		// The short way is the long one.
		if untouched(s) {
			if long := fixSegment(decode(s), !strings.Contains(s, "<")); !strings.Contains(s, "\n") && string(long) != s {
				t.Fatalf("%q becomes %q the long way", s, string(long))
			}
		}
	})
}

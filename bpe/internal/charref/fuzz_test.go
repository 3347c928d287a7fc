package charref

import (
	"html"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzUnescape holds names against the standard library, which has the same rule for them and the same table but
// for nLt and nGt, which it lacks; numbers it reads otherwise than Python.
func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "a & b", "&amp;", "&amp", "&ampamp;", "&notit;", "&notin;", "&#65;", "&#x41", "&#x110000;", "&;", "&CounterClockwiseContourIntegral;", "&bne;", "&amp;lt;", "&é;", "&acE;&acE", "&#1;", "&#xD800;", "&nLt;", "&nGt"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<10 {
			return
		}
		got := Unescape(s)
		if !strings.Contains(s, "&") && got != s {
			t.Fatalf("%q became %q", s, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Fatalf("%q became %q", s, got)
		}
		if utf8.ValidString(s) && !strings.Contains(s, "&#") && !strings.Contains(s, "nLt;") && !strings.Contains(s, "nGt;") {
			if want := html.UnescapeString(s); got != want {
				t.Fatalf("%q became %q, html has %q", s, got, want)
			}
		}
	})
}

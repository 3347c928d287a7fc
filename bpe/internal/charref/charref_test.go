package charref

import (
	"html"
	"testing"
)

// The results are those of Python's html.unescape.
func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"no references":                 "no references",
		"&amp;&lt;&gt;&quot;&apos;":     `&<>"'`,
		"&amp;amp;":                     "&amp;",
		"&amp &ltb &notit; &notin;":     "& <b ¬it; ∉",
		"&copycat &COPY &CopY;":         "©cat © &CopY;",
		"&semi; &nLt; &nGt; &fjlig;":    "; ≪⃒ ≫⃒ fj",
		"&#65;&#x42;&#X43&#68":          "ABCD",
		"&#128;&#x99;&#129;":            "€™\u0081",
		"&#0;&#xD800;&#1114112;":        "\ufffd\ufffd\ufffd",
		"&#99999999999999999999;":       "\ufffd",
		"a&#1;b&#x1F;c&#xFFFE;d&#xFDD0": "abcd",
		"&#10;&#13;&#12;":               "\n\r\f",
		"&#;&#x;&#xg;&;& &":             "&#;&#x;&#xg;&;& &",
		"&eacutelan &éa &amp日":          "élan &éa &日",
		"&ampxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;": "&xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;",
	} {
		if got := Unescape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestEntity(t *testing.T) {
	for name, want := range map[string]string{"amp": "&", "Dopf": "𝔻", "nLt": "≪⃒", "CounterClockwiseContourIntegral": "∳"} {
		if got, ok := Entity(name); !ok || got != want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "nosuch", "ampx", "notit", "am", "amp;", "é", "#65", "AMPS"} {
		if got, ok := Entity(name); ok {
			t.Errorf("%q: %q", name, got)
		}
	}
	if len(legacyNames) != 106 {
		t.Errorf("%d names without semicolon, the standard has 106", len(legacyNames))
	}
	for name, v := range legacyNames {
		if html.UnescapeString("&"+name) != v {
			t.Errorf("%s: %q", name, v)
		}
	}
}

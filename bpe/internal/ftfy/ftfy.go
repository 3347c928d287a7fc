// Package ftfy repairs text as ftfy.fix_text of ftfy 6.3.1 does with its default settings, code point
// for code point: CLIP's tokenizer cleans every caption with it, so that text which was decoded wrongly
// somewhere on its way gets the tokens of what was meant.
//
// It owns that one function and its steps: HTML references, mojibake (encoding.go, by the heuristic of
// badness.go), ligatures and character widths, quotes, line breaks, surrogates, terminal escapes and
// control characters, and canonical composition. What else CLIP does to a caption is package bpe's.
//
// The algorithm is that of https://github.com/rspeer/python-ftfy (Apache License 2.0); see the notice in
// classes.go for what is derived from its data. It was written anew here and is compared with the
// original by scripts/compare_bpe.py.
package ftfy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"prep/bpe/internal/charref"
)

// maxSegment is the length in characters at which a line is cut and its pieces repaired by themselves.
const maxSegment = 1_000_000

// maxWork bounds how many characters are looked at for one segment. The original repeats its steps until
// nothing changes, which text written for the purpose delays by its own length squared: references nested in
// one another ("&amp;amp;amp;amp;...") in ways that skipNested does not see through. A caption of 1,000
// characters may be nested 60,000 deep before this changes the result.
const maxWork = 1 << 26

// FixText returns s repaired. Invalid UTF-8 in s reads as U+FFFD, surrogates encoded as three bytes as
// surrogates. The result is valid UTF-8.
func FixText(s string) string {
	if untouched(s) {
		return s
	}
	t := decode(s)
	out := make([]rune, 0, len(t))
	unescape := true
	for len(t) > 0 {
		n := slices.Index(t, '\n') + 1
		if n == 0 {
			n = len(t)
		}
		n = min(n, maxSegment)
		// A literal < says that this is HTML, where references are meant to be: from here on, not only
		// in this line.
		unescape = unescape && !slices.Contains(t[:n], '<')
		out = append(out, fixSegment(t[:n], unescape)...)
		t = t[n:]
	}
	return string(out)
}

// untouched reports whether s is of printable ASCII, tabs and line feeds without an ampersand, which
// every step leaves as it is.
func untouched(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 0x7F || c < ' ' && c != '\n' && c != '\t' || c == '&' {
			return false
		}
	}
	return true
}

// fixSegment applies all steps until nothing changes.
func fixSegment(t []rune, unescape bool) []rune {
	for work := 0; work < maxWork; work += len(t) + 1 {
		plain := t
		if unescape {
			plain = unescapeHTML(t)
		}
		fixed := fixPlain(plain)
		if slices.Equal(fixed, t) {
			break
		}
		if unescape && slices.Equal(fixed, plain) { // nothing but references is left to do
			fixed = skipNested(fixed)
		}
		t = fixed
	}
	return t
}

// fixPlain applies the steps behind the replacement of references once.
func fixPlain(t []rune) []rune {
	if !isASCII(t) {
		t = fixEncoding(t)
		t = fixC1(t)
		t = expand(t, latinLigature)
		t = expand(t, standardWidth)
		t = expand(t, straightQuote)
	}
	t = fixLineBreaks(t)
	t = fixSurrogates(t)
	t = removeTerminalEscapes(t)
	t = removeControls(t)
	return nfc(t)
}

func isASCII(t []rune) bool {
	for _, r := range t {
		if r >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// unescapeHTML replaces references that end in a semicolon, the only ones that are no ambiguity in plain
// text: &#?[0-9A-Za-z]{1,24};
func unescapeHTML(t []rune) []rune {
	var out []rune
	last := 0
	for i := 0; i < len(t); i++ {
		j := referenceEnd(t, i)
		if j == 0 {
			continue
		}
		if s, ok := reference(string(t[i:j])); ok {
			out = append(out, t[last:i]...)
			out = append(out, []rune(s)...)
			last = j
		}
		i = j - 1
	}
	if last == 0 {
		return t
	}
	return append(out, t[last:]...)
}

// referenceEnd returns where what looks like a reference and begins at i ends, 0 if there is none.
func referenceEnd(t []rune, i int) int {
	if t[i] != '&' {
		return 0
	}
	j := i + 1
	if j < len(t) && t[j] == '#' {
		j++
	}
	name := j
	for j < len(t) && j-name < 25 && (isLatin(t[j]) || t[j] >= '0' && t[j] <= '9') {
		j++
	}
	if j == name || j-name > 24 || j == len(t) || t[j] != ';' {
		return 0
	}
	return j + 1
}

// skipNested does several passes of unescapeHTML at once over text like "&amp;amp;amp;lt;", of which each pass
// takes one "amp;": as many as leave two in every such reference, so that no neighbour sees a difference. It
// does nothing where the next pass would do something else as well.
func skipNested(t []rune) []rune {
	type run struct{ at, unit, count int } // behind the ampersand
	var runs []run
	least := len(t)
	for i := 0; i < len(t); i++ {
		j := referenceEnd(t, i)
		if j == 0 {
			continue
		}
		if s, ok := reference(string(t[i:j])); ok {
			if s != "&" {
				return t
			}
			r := run{i + 1, j - i - 1, 1}
			for unit := t[r.at:j]; j+r.unit <= len(t) && slices.Equal(t[j:j+r.unit], unit); j += r.unit {
				r.count++
			}
			runs, least = append(runs, r), min(least, r.count)
		}
		i = j - 1
	}
	if len(runs) == 0 || least <= 2 {
		return t
	}
	out := make([]rune, 0, len(t))
	last := 0
	for _, r := range runs {
		out = append(out, t[last:r.at]...)
		last = r.at + (least-2)*r.unit
	}
	return append(out, t[last:]...)
}

// reference expands "&name;" or "&#number;".
func reference(ref string) (string, bool) {
	if ref[1] == '#' {
		// Part of the reference decoded is not what was meant: the semicolon must be gone.
		s := charref.Unescape(ref)
		return s, !strings.Contains(s, ";")
	}
	name := ref[1 : len(ref)-1]
	if s, ok := charref.Entity(name); ok {
		return s, true
	}
	// Names in capitals stand for the capital of the character, where that is not ambiguous: the name is
	// one in small letters and does not begin with another that needs no semicolon.
	lower := strings.ToLower(name)
	if strings.ToUpper(name) != name || lower == name {
		return "", false
	}
	if _, n := charref.Prefix(ref[1:]); n > 0 {
		return "", false
	}
	s, ok := charref.Entity(lower)
	if !ok {
		return "", false
	}
	switch lower { // capitals of several letters
	case "szlig":
		return "SS", true
	case "napos":
		return "ʼN", true
	case "fflig":
		return "FF", true
	case "ffilig":
		return "FFI", true
	case "ffllig":
		return "FFL", true
	case "filig":
		return "FI", true
	case "fllig":
		return "FL", true
	}
	return strings.ToUpper(s), true
}

// expand puts to(r) in the place of every r for which it is not empty.
func expand(t []rune, to func(rune) string) []rune {
	var out []rune
	last := 0
	for i, r := range t {
		if r < utf8.RuneSelf {
			continue
		}
		if s := to(r); s != "" {
			out = append(out, t[last:i]...)
			out = append(out, []rune(s)...)
			last = i + 1
		}
	}
	if last == 0 {
		return t
	}
	return append(out, t[last:]...)
}

// latinLigature takes ligatures and digraphs of Latin letters apart that are there for typographical
// reasons, or for those of old encodings. It leaves æ and others alone that are letters.
func latinLigature(r rune) string {
	switch r {
	case 'Ĳ':
		return "IJ"
	case 'ĳ':
		return "ij"
	case 'ŉ':
		return "ʼn"
	case 'Ǳ':
		return "DZ"
	case 'ǲ':
		return "Dz"
	case 'ǳ':
		return "dz"
	case 'Ǆ':
		return "DŽ"
	case 'ǅ':
		return "Dž"
	case 'ǆ':
		return "dž"
	case 'Ǉ':
		return "LJ"
	case 'ǈ':
		return "Lj"
	case 'ǉ':
		return "lj"
	case 'Ǌ':
		return "NJ"
	case 'ǋ':
		return "Nj"
	case 'ǌ':
		return "nj"
	case '\uFB00':
		return "ff"
	case '\uFB01':
		return "fi"
	case '\uFB02':
		return "fl"
	case '\uFB03':
		return "ffi"
	case '\uFB04':
		return "ffl"
	case '\uFB05':
		return "ſt"
	case '\uFB06':
		return "st"
	}
	return ""
}

// standardWidth returns the ordinary form of halfwidth and fullwidth forms and of the ideographic space.
func standardWidth(r rune) string {
	if r == 0x3000 {
		return " "
	}
	if r < 0xFF01 || r > 0xFFEF {
		return ""
	}
	s := string(r)
	if n := norm.NFKC.String(s); n != s {
		return n
	}
	return ""
}

// straightQuote returns the ASCII form of curly quotation marks and of the modifier apostrophe.
func straightQuote(r rune) string {
	switch {
	case r == 0x02BC || r >= 0x2018 && r <= 0x201B:
		return "'"
	case r >= 0x201C && r <= 0x201F:
		return `"`
	}
	return ""
}

// fixLineBreaks makes "\n" of CR LF, CR, and Unicode's own line breaks.
func fixLineBreaks(t []rune) []rune {
	isBreak := func(r rune) bool { return r == '\r' || r == 0x2028 || r == 0x2029 || r == 0x85 }
	first := slices.IndexFunc(t, isBreak)
	if first < 0 {
		return t
	}
	out := append(make([]rune, 0, len(t)), t[:first]...)
	for i := first; i < len(t); i++ {
		switch {
		case !isBreak(t[i]):
			out = append(out, t[i])
		case t[i] == '\r' && i+1 < len(t) && t[i+1] == '\n':
			// the line feed comes next
		default:
			out = append(out, '\n')
		}
	}
	return out
}

// fixSurrogates joins pairs of UTF-16 surrogates and replaces single ones by U+FFFD.
func fixSurrogates(t []rune) []rune {
	isSurrogate := func(r rune) bool { return r >= 0xD800 && r <= 0xDFFF }
	if !slices.ContainsFunc(t, isSurrogate) {
		return t
	}
	out := make([]rune, 0, len(t))
	for i := 0; i < len(t); i++ {
		switch r := t[i]; {
		case !isSurrogate(r):
			out = append(out, r)
		case r < 0xDC00 && i+1 < len(t) && t[i+1] >= 0xDC00 && t[i+1] <= 0xDFFF:
			out = append(out, 0x10000+(r-0xD800)<<10+(t[i+1]-0xDC00))
			i++
		default:
			out = append(out, utf8.RuneError)
		}
	}
	return out
}

// removeTerminalEscapes removes ESC [ digits and semicolons, letter. Digits are those of any script.
func removeTerminalEscapes(t []rune) []rune {
	if !slices.Contains(t, '\x1b') {
		return t
	}
	out := make([]rune, 0, len(t))
	for i := 0; i < len(t); i++ {
		if t[i] == '\x1b' && i+1 < len(t) && t[i+1] == '[' {
			j := i + 2
			for j < len(t) && (t[j] == ';' || unicode.Is(unicode.Nd, t[j])) {
				j++
			}
			if j < len(t) && isLatin(t[j]) {
				i = j
				continue
			}
		}
		out = append(out, t[i])
	}
	return out
}

// removeControls removes control characters without an effect on what is displayed; white space, C1
// controls (a sign of mojibake) and the controls of bidirectional text, music and tags stay.
func removeControls(t []rune) []rune {
	isControl := func(r rune) bool {
		return r <= 0x08 || r == 0x0B || r >= 0x0E && r <= 0x1F || r == 0x7F ||
			r >= 0x206A && r <= 0x206F || r == 0xFEFF || r >= 0xFFF9 && r <= 0xFFFC
	}
	if !slices.ContainsFunc(t, isControl) {
		return t
	}
	return slices.DeleteFunc(slices.Clone(t), isControl)
}

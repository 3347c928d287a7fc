// Package charref replaces HTML character references by the rules of Python's html.unescape, which are
// those of the HTML standard but for three points where Go's html.UnescapeString decides otherwise:
// references to control characters and noncharacters vanish, a name may be cut out of as many as 32
// characters of any kind, and no reference is kept because of what follows it.
//
// It owns the lookup of names, too, for callers that have their own idea of what a reference looks like.
package charref

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// withoutSemicolon lists the names that the HTML standard accepts without their semicolon
// (https://html.spec.whatwg.org/multipage/named-characters.html); each is two to six bytes long.
const withoutSemicolon = ` AElig AMP Aacute Acirc Agrave Aring Atilde Auml COPY Ccedil ETH Eacute Ecirc Egrave Euml GT
 Iacute Icirc Igrave Iuml LT Ntilde Oacute Ocirc Ograve Oslash Otilde Ouml QUOT REG THORN Uacute Ucirc Ugrave Uuml
 Yacute aacute acirc acute aelig agrave amp aring atilde auml brvbar ccedil cedil cent copy curren deg divide eacute
 ecirc egrave eth euml frac12 frac14 frac34 gt iacute icirc iexcl igrave iquest iuml laquo lt macr micro middot nbsp
 not ntilde oacute ocirc ograve ordf ordm oslash otilde ouml para plusmn pound quot raquo reg sect shy sup1 sup2 sup3
 szlig thorn times uacute ucirc ugrave uml uuml yacute yen yuml `

const longestWithoutSemicolon = 6

var legacyNames = func() map[string]string {
	m := make(map[string]string, 106)
	for _, name := range strings.Fields(withoutSemicolon) {
		m[name] = html.UnescapeString("&" + name + ";")
	}
	return m
}()

// Entity returns what the reference "&name;" stands for: one or two characters. The name is given
// without ampersand and semicolon and is case-sensitive.
func Entity(name string) (string, bool) {
	switch name {
	case "semi":
		return ";", true
	case "nLt": // Go's table leaves these two out, as longer than their names
		return "\u226A\u20D2", true
	case "nGt":
		return "\u226B\u20D2", true
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < '0' || c > '9' && c < 'A' || c > 'Z' && c < 'a' || c > 'z' {
			return "", false
		}
	}
	// The standard library keeps its table to itself. It leaves an unknown name as it is, and cuts a
	// known one out of its beginning: then the semicolon is still there.
	ref := "&" + name + ";"
	s := html.UnescapeString(ref)
	if s == ref || strings.HasSuffix(s, ";") {
		return "", false
	}
	return s, true
}

// Prefix finds the longest proper beginning of s that is a name needing no semicolon, and returns what
// it stands for and its length in bytes, 0 if there is none.
func Prefix(s string) (string, int) {
	for n := min(longestWithoutSemicolon, len(s)-1); n >= 2; n-- {
		if v, ok := legacyNames[s[:n]]; ok {
			return v, n
		}
	}
	return "", 0
}

// Unescape replaces every reference in s once: the result may hold new ones.
func Unescape(s string) string {
	amp := strings.IndexByte(s, '&')
	if amp < 0 {
		return s
	}
	var out strings.Builder
	out.Grow(len(s))
	for amp >= 0 {
		out.WriteString(s[:amp])
		s = s[amp:]
		n := reference(&out, s)
		if n == 0 {
			out.WriteByte('&')
			n = 1
		}
		s = s[n:]
		amp = strings.IndexByte(s, '&')
	}
	out.WriteString(s)
	return out.String()
}

// reference writes the expansion of the reference that s begins with and returns how many bytes it
// took, or 0 when s begins with none.
func reference(out *strings.Builder, s string) int {
	if len(s) > 1 && s[1] == '#' {
		return numeric(out, s)
	}
	// [^\t\n\f <&#;]{1,32};?
	n := 1
	for chars := 0; n < len(s) && chars < 32; chars++ {
		switch s[n] {
		case '\t', '\n', '\f', ' ', '<', '&', '#', ';':
			chars = 32
			continue
		}
		_, w := utf8.DecodeRuneInString(s[n:])
		n += w
	}
	name := s[1:n]
	if name == "" {
		return 0
	}
	if n < len(s) && s[n] == ';' {
		n++
		if v, ok := Entity(name); ok {
			out.WriteString(v)
			return n
		}
		name = s[1:n]
	} else if v, ok := legacyNames[name]; ok {
		out.WriteString(v)
		return n
	}
	if v, k := Prefix(name); k > 0 {
		out.WriteString(v)
		return 1 + k
	}
	out.WriteString(s[:n])
	return n
}

// numeric is reference for "&#...".
func numeric(out *strings.Builder, s string) int {
	i, base := 2, 10
	if i < len(s) && s[i]|0x20 == 'x' {
		i, base = 3, 16
	}
	j := i
	for j < len(s) && (s[j] >= '0' && s[j] <= '9' || base == 16 && s[j]|0x20 >= 'a' && s[j]|0x20 <= 'f') {
		j++
	}
	if j == i {
		return 0
	}
	code, err := strconv.ParseUint(s[i:j], base, 32)
	if err != nil {
		code = utf8.MaxRune + 1 // more digits than any character has
	}
	if j < len(s) && s[j] == ';' {
		j++
	}
	if r, ok := character(uint32(code)); ok {
		out.WriteRune(r)
	}
	return j
}

// windows1252 is what the HTML standard puts in the place of numeric references 128 to 159.
var windows1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8D, 'Ž', 0x8F,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9D, 'ž', 'Ÿ',
}

// character maps a numeric reference's code to its character; ok is false for those that vanish.
func character(code uint32) (r rune, ok bool) {
	switch {
	case code == 0, code >= 0xD800 && code <= 0xDFFF, code > utf8.MaxRune:
		return utf8.RuneError, true
	case code >= 0x80 && code <= 0x9F:
		return windows1252[code-0x80], true
	case code <= 0x08, code == 0x0B, code >= 0x0E && code <= 0x1F, code == 0x7F,
		code >= 0xFDD0 && code <= 0xFDEF, code&0xFFFE == 0xFFFE:
		return 0, false
	}
	return rune(code), true
}

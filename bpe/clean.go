package bpe

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"prep/bpe/internal/charref"
	"prep/bpe/internal/ftfy"
)

// Clean returns text as it is cut and encoded: repaired by ftfy.fix_text, HTML references replaced twice,
// white space trimmed and each run of it one space, in small letters. Python's rules hold for all of it
// where Go's are different. The result is valid UTF-8.
func Clean(text string) string {
	if ascii, done := cleanASCII(text); done {
		return ascii
	}
	return cleanAny(text)
}

// cleanAny is Clean without the short way for ASCII.
func cleanAny(text string) string {
	text = ftfy.FixText(text)
	text = charref.Unescape(charref.Unescape(text))
	// ftfy has removed U+001C to U+001F, which strip and \s of Python do not agree about, and no
	// reference brings them back.
	return lower(strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " "))
}

// cleanASCII is Clean for text of ASCII without ampersands and control characters other than white space,
// to which ftfy does nothing: most captions. done is false for all other text.
func cleanASCII(text string) (s string, done bool) {
	same := true
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= 0x7F || c == '&':
			return "", false
		case c < ' ':
			if c != '\t' && c != '\n' && c != '\f' && c != '\r' {
				return "", false
			}
			same = false
		case c == ' ':
			same = same && i > 0 && text[i-1] != ' '
		case c >= 'A' && c <= 'Z':
			same = false
		}
	}
	if same && (text == "" || text[len(text)-1] != ' ') {
		return text, true
	}
	var buf [256]byte // most captions, without an allocation
	b := buf[:0]
	gap := false // white space since the last word
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c <= ' ' {
			gap = len(b) > 0
			continue
		}
		if gap {
			b = append(b, ' ')
			gap = false
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b), true
}

// lower is str.lower of Python: Unicode's full mapping, of which strings.ToLower lacks the two special
// cases, İ that becomes two characters and Σ that becomes ς at the end of a word.
func lower(s string) string {
	if !strings.ContainsAny(s, "İΣ") {
		return strings.ToLower(s)
	}
	var out strings.Builder
	out.Grow(len(s))
	for i, r := range s {
		switch r {
		case 'İ':
			out.WriteString("i\u0307")
		case 'Σ':
			if finalSigma(s[:i], s[i+len("Σ"):]) {
				out.WriteRune('ς')
			} else {
				out.WriteRune('σ')
			}
		default:
			out.WriteRune(unicode.ToLower(r))
		}
	}
	return out.String()
}

// finalSigma is Unicode's condition Final_Sigma: a cased letter before and none after, what is
// case-ignorable between them apart.
func finalSigma(before, after string) bool {
	for {
		r, n := utf8.DecodeLastRuneInString(before)
		if n == 0 {
			return false
		}
		if !caseIgnorable(r) {
			if !cased(r) {
				return false
			}
			break
		}
		before = before[:len(before)-n]
	}
	for _, r := range after {
		if !caseIgnorable(r) {
			return !cased(r)
		}
	}
	return true
}

// cased is Unicode's property Cased.
func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// caseIgnorable is Unicode's property Case_Ignorable.
func caseIgnorable(r rune) bool {
	switch r {
	case '\'', '.', ':', '·', 0x0387, 0x055F, 0x05F4, 0x2018, 0x2019, 0x2024, 0x2027,
		0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A: // of Word_Break MidLetter, MidNumLet, Single_Quote
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}

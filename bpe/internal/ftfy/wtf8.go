package ftfy

import "unicode/utf8"

// decode splits s into code points as Python holds them: a UTF-16 surrogate that was written as three
// bytes stays a surrogate (it may find its other half), any other invalid byte becomes U+FFFD.
func decode(s string) []rune {
	t := make([]rune, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			t = append(t, rune(s[i]))
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if n == 1 && s[i] == 0xED && i+2 < len(s) && s[i+1] >= 0xA0 && s[i+1] <= 0xBF && s[i+2]&0xC0 == 0x80 {
			r, n = 0xD000|rune(s[i+1]&0x3F)<<6|rune(s[i+2]&0x3F), 3
		}
		t = append(t, r)
		i += n
	}
	return t
}

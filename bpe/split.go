package bpe

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The kinds of character by which words are cut: letters (category L) stay together, numbers (N) come
// one by one, and everything else stays together, too; white space is dropped. This is the regular
// expression
//
//	's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
//
// read with Python's regex module, ignoring case. One character matches none of it and vanishes as if it
// were white space: U+0345, a combining mark (so no letter) whose capital is the letter iota (so not "no
// letter" when case is ignored).
type kind uint8

const (
	other kind = iota
	letter
	number
	space
)

var asciiKind = func() (k [utf8.RuneSelf]kind) {
	for c := range k {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			k[c] = letter
		case c >= '0' && c <= '9':
			k[c] = number
		case c == ' ' || c >= '\t' && c <= '\r': // not U+001C to U+001F, unlike str.isspace
			k[c] = space
		}
	}
	return k
}()

// kindAt returns the kind and the length of the character that s begins with.
func kindAt(s string) (kind, int) {
	if s[0] < utf8.RuneSelf {
		return asciiKind[s[0]], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case unicode.IsLetter(r) || unicode.Is(newerLetters, r):
		return letter, n
	case unicode.IsNumber(r) || unicode.Is(newerNumbers, r):
		return number, n
	case unicode.IsSpace(r), r == 0x0345:
		return space, n
	}
	return other, n
}

// nextWord returns the length of the word, or of the white space, that s begins with.
func nextWord(s string) (n int, isSpace bool) {
	if s[0] == '\'' {
		if n := contraction(s); n > 0 {
			return n, false
		}
	}
	k, n := kindAt(s)
	if k == number {
		return n, false
	}
	for n < len(s) {
		k2, n2 := kindAt(s[n:])
		if k2 != k {
			break
		}
		n += n2
	}
	return n, k == space
}

// longS is ſ, the one character besides s that is s when case is ignored.
const longS = "\u017F"

// contraction returns the length of the contraction that s, which begins with an apostrophe, begins with,
// or 0. s is in small letters.
func contraction(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if len(s) > 2 && s[2] == 'e' {
			return 3
		}
	case 'l':
		if len(s) > 2 && s[2] == 'l' {
			return 3
		}
	case longS[0]:
		if strings.HasPrefix(s[1:], longS) {
			return 1 + len(longS)
		}
	}
	return 0
}

// marker returns the length of the marker's name that s begins with, or 0, and the marker's id. The id is
// -1 for a start marker spelled with a long s: ignoring case, that is one word, but not the marker's.
func marker(s string) (id int32, n int) {
	const start, startLong, end = "<|startoftext|>", "<|" + longS + "tartoftext|>", "<|endoftext|>"
	switch {
	case strings.HasPrefix(s, end):
		return EndID, len(end)
	case strings.HasPrefix(s, start):
		return StartID, len(start)
	case strings.HasPrefix(s, startLong):
		return -1, len(startLong)
	}
	return 0, 0
}

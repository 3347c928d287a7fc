package ftfy

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// fixEncoding finds text that was decoded with the wrong encoding and decodes it again, as often as
// that helps.
func fixEncoding(t []rune) []rune {
	for {
		fixed := fixEncodingStep(t)
		if slices.Equal(fixed, t) {
			return t
		}
		t = fixed
	}
}

func fixEncodingStep(t []rune) []rune {
	if isASCII(t) || !isBad(t) {
		return t
	}

	// The text as a whole may be UTF-8 that was decoded with a single-byte encoding.
	codecs, _ := loadCodecs()
	possible := codecsOf(t)
	for i := range codecs {
		c := &codecs[i]
		if possible&(1<<i) == 0 {
			continue
		}
		b := c.encode(t)
		if c.name != "macroman" { // where it would take an en dash and a space for mojibake
			b = restoreA0(b)
		}
		if c.sloppy {
			b = replaceLossy(b)
		}
		if fixed, ok := decodeVariants(b); ok {
			return fixed
		}
	}

	// Parts of it may be.
	if fixed := decodeInconsistent(t); !slices.Equal(fixed, t) {
		return fixed
	}

	// Latin-1 that was meant to be Windows-1252: it holds C1 controls, which nobody wants.
	if possible&1 != 0 {
		if fixed, ok := latin1As1252(t); ok && !slices.Equal(fixed, t) {
			return fixed
		}
	}
	return fixC1(t)
}

// latin1As1252 reads Latin-1 text as Windows-1252; ok is false if a character has no meaning there.
func latin1As1252(t []rune) (fixed []rune, ok bool) {
	fixed = slices.Clone(t)
	for i, r := range fixed {
		switch r {
		case 0x81, 0x8D, 0x8F, 0x90, 0x9D:
			return nil, false
		}
		if r >= 0x80 && r <= 0x9F {
			fixed[i] = c1As1252(r)
		}
	}
	return fixed, true
}

// c1As1252 returns what Windows-1252 has in the place of a C1 control, or the control itself where it
// has nothing.
func c1As1252(r rune) rune {
	if s := charmap.Windows1252.DecodeByte(byte(r)); s != utf8.RuneError {
		return s
	}
	return r
}

// fixC1 replaces C1 controls by what Windows-1252 has in their places, as browsers do.
func fixC1(t []rune) []rune {
	if !slices.ContainsFunc(t, func(r rune) bool { return r >= 0x80 && r <= 0x9F }) {
		return t
	}
	fixed := slices.Clone(t)
	for i, r := range fixed {
		if r >= 0x80 && r <= 0x9F {
			fixed[i] = c1As1252(r)
		}
	}
	return fixed
}

// decodeInconsistent fixes stretches that look like mojibake of UTF-8 each by itself.
func decodeInconsistent(t []rune) []rune {
	var out []rune
	last := 0
	table := loadClasses()
	for i := 0; i < len(t); {
		if i > 0 && table.of(t[i-1])&continStrict != 0 {
			i++ // within a larger garble, which a partial fix would make worse
			continue
		}
		end := i
		for {
			n := sequence(table, t[end:])
			if n == 0 {
				break
			}
			end += n
		}
		if end == i {
			i++
			continue
		}
		// A shorter text than the whole, so that this ends.
		if part := t[i:end]; len(part) < len(t) && isBad(part) {
			out = append(out, t[last:i]...)
			out = append(out, fixEncoding(part)...)
			last = end
		}
		i = end
	}
	if last == 0 {
		return t
	}
	return append(out, t[last:]...)
}

// sequence returns the number of characters at the head of t that would be one sequence of UTF-8, or 0.
func sequence(table *classTable, t []rune) int {
	if len(t) == 0 {
		return 0
	}
	n := 0
	switch k := table.of(t[0]); {
	case k&first2 != 0:
		n = 2
	case k&first3 != 0:
		n = 3
	case k&first4 != 0:
		n = 4
	}
	if n == 0 || n > len(t) {
		return 0
	}
	for _, r := range t[1:n] {
		if table.of(r)&contin == 0 {
			return 0
		}
	}
	return n
}

// restoreA0 puts byte A0 back where it belongs to a likely sequence of UTF-8 and some program has made
// a space of it.
func restoreA0(b []byte) []byte {
	if !slices.ContainsFunc(b, func(c byte) bool { return c >= 0xC2 }) || bytes.IndexByte(b, ' ') < 0 {
		return b
	}
	// The original enters only when an altered sequence is there; this step alone never changes bytes
	// otherwise, for C3 before a space is such a sequence.
	//
	// "Ã la" is mojibake of "à la" whose two spaces have become one, unless the word goes on as the
	// Portuguese contractions do (às, àquele, àquela, àquilo).
	var words []byte
	for i := 0; i < len(b); i++ {
		words = append(words, b[i])
		if b[i] != 0xC3 || i+1 >= len(b) || b[i+1] != ' ' {
			continue
		}
		rest := b[i+2:]
		if !bytes.HasPrefix(rest, []byte(" ")) && !bytes.HasPrefix(rest, []byte("quele")) &&
			!bytes.HasPrefix(rest, []byte("quela")) && !bytes.HasPrefix(rest, []byte("quilo")) &&
			!bytes.HasPrefix(rest, []byte("s ")) {
			words = append(words, 0xA0, ' ')
			i++
		}
	}
	for i := 0; i < len(words); {
		n := alteredSequence(words[i:])
		for k := range n {
			if words[i+k] == ' ' {
				words[i+k] = 0xA0
			}
		}
		i += max(n, 1)
	}
	return words
}

// alteredSequence returns the length of the sequence at the head of b that would be UTF-8 if its one
// space were A0, for leads that form likely characters with A0, or 0.
func alteredSequence(b []byte) int {
	cont := func(c byte) bool { return c&0xC0 == 0x80 }
	// A0 itself is not among the others of three bytes, nor 85, which often was an ellipsis.
	cont3 := func(c byte) bool { return cont(c) && c != 0x85 && c != 0xA0 }
	if len(b) < 2 {
		return 0
	}
	switch b[0] {
	case 0xC2, 0xC3, 0xC5, 0xCE, 0xD0, 0xD9:
		if b[1] == ' ' {
			return 2
		}
	case 0xE0, 0xE1, 0xE2, 0xE3:
		if len(b) >= 3 && (b[0] >= 0xE2 && b[1] == ' ' && cont3(b[2]) || cont3(b[1]) && b[2] == ' ') {
			return 3
		}
	case 0xF0:
		if len(b) >= 4 && (b[1] == ' ' && cont(b[2]) && cont(b[3]) || cont(b[1]) && b[2] == ' ' && cont(b[3]) ||
			cont(b[1]) && cont(b[2]) && b[3] == ' ') {
			return 4
		}
	}
	return 0
}

// replaceLossy puts U+FFFD in the place of sequences of UTF-8 in which bytes have been lost, which are
// 1A now, or '?' once at most.
func replaceLossy(b []byte) []byte {
	var out []byte
	last := 0
	for i := 0; i < len(b); {
		n := lossySequence(b[i:])
		if n == 0 {
			i++
			continue
		}
		out = append(out, b[last:i]...)
		out = utf8.AppendRune(out, utf8.RuneError)
		i += n
		last = i
	}
	if out == nil {
		return b
	}
	return append(out, b[last:]...)
}

// lossySequence returns the length of the damaged sequence at the head of b, or 0.
func lossySequence(b []byte) int {
	lost := func(c byte) bool { return c == substitute || c == '?' }
	kept := func(c byte) bool { return c == substitute || c&0xC0 == 0x80 }
	c := b[0]
	switch {
	case c == substitute:
		return 1
	case len(b) < 2:
		return 0
	case c >= 0xC2 && c <= 0xDF:
		if b[1] == substitute || c <= 0xC3 && b[1] == '?' {
			return 2
		}
	case c >= 0xE0 && c <= 0xEF:
		if c == 0xED && len(b) >= 6 && b[1]&0xF0 == 0xA0 && b[3] == 0xED && b[4]&0xF0 == 0xB0 &&
			(lost(b[2]) && (lost(b[5]) || kept(b[5])) || (lost(b[2]) || kept(b[2])) && lost(b[5])) {
			return 6 // two surrogates
		}
		if len(b) >= 3 && (lost(b[1]) && kept(b[2]) || kept(b[1]) && lost(b[2])) {
			return 3
		}
	case c >= 0xF0 && c <= 0xF4:
		if len(b) >= 4 && (lost(b[1]) && kept(b[2]) && kept(b[3]) || kept(b[1]) && lost(b[2]) && kept(b[3]) ||
			kept(b[1]) && kept(b[2]) && lost(b[3])) {
			return 4
		}
	}
	return 0
}

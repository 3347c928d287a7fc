package ftfy

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// A codec is a single-byte encoding that UTF-8 is often decoded with by mistake. A sloppy one gives its
// unassigned bytes the meaning that Latin-1 gives them, as browsers do, and holds U+FFFD as byte 1A, so
// that text which has lost characters can still be encoded.
type codec struct {
	name   string
	sloppy bool
	bytes  map[rune]byte // of the characters beyond ASCII, and U+FFFD
}

const substitute = 0x1A // the byte for U+FFFD

// loadCodecs returns the codecs in the order in which they are tried, and for each character beyond
// ASCII the set of codecs that have it, bit i for codec i.
var loadCodecs = sync.OnceValues(func() ([]codec, map[rune]uint16) {
	codecs := []codec{{name: "latin-1"}, {name: "windows-1252", sloppy: true}, {name: "windows-1251", sloppy: true},
		{name: "windows-1250", sloppy: true}, {name: "windows-1253", sloppy: true}, {name: "windows-1254", sloppy: true},
		{name: "windows-1257", sloppy: true}, {name: "iso-8859-2"}, {name: "macroman"}, {name: "cp437"}}
	maps := []*charmap.Charmap{charmap.ISO8859_1, charmap.Windows1252, charmap.Windows1251,
		charmap.Windows1250, charmap.Windows1253, charmap.Windows1254,
		charmap.Windows1257, charmap.ISO8859_2, charmap.Macintosh, charmap.CodePage437}
	has := map[rune]uint16{}
	for i := range codecs {
		codecs[i].bytes = make(map[rune]byte, 129)
		for b := 0x80; b <= 0xFF; b++ {
			r := maps[i].DecodeByte(byte(b))
			if r == utf8.RuneError {
				r = rune(b)
			}
			codecs[i].bytes[r] = byte(b)
			has[r] |= 1 << i
		}
		if codecs[i].sloppy {
			codecs[i].bytes[utf8.RuneError] = substitute
			has[utf8.RuneError] |= 1 << i
		}
	}
	return codecs, has
})

// codecsOf returns the set of codecs that t could have been decoded with.
func codecsOf(t []rune) uint16 {
	codecs, has := loadCodecs()
	set := uint16(1)<<len(codecs) - 1
	for _, r := range t {
		if r >= 0x80 {
			set &= has[r]
		} else if r == substitute {
			for i, c := range codecs {
				if c.sloppy {
					set &^= 1 << i
				}
			}
		}
		if set == 0 {
			break
		}
	}
	return set
}

// encode is the inverse of decoding; every character of t is one of the codec's.
func (c *codec) encode(t []rune) []byte {
	b := make([]byte, len(t))
	for i, r := range t {
		if r < 0x80 {
			b[i] = byte(r)
		} else {
			b[i] = c.bytes[r]
		}
	}
	return b
}

// decodeVariants decodes UTF-8, and what some programs take for it: a supplementary character as two
// surrogates of three bytes each (CESU-8), U+0000 as C0 80 (Java). ok is false for anything else.
//
// The original finds truncated sequences with a regular expression whose $ also matches before a final
// newline; where that changes the result it is done here as well.
func decodeVariants(b []byte) (t []rune, ok bool) {
	t = make([]rune, 0, len(b))
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			t = append(t, rune(b[0]))
			b = b[1:]
			continue
		}
		if b[0] == 0xC0 && len(b) >= 2 && (b[1] == 0x80 || b[1] == '\n' && len(b) == 2) {
			t = append(t, 0)
			b = b[2:]
			continue
		}
		if r, n := utf8.DecodeRune(b); r != utf8.RuneError || n > 1 {
			t = append(t, r)
			b = b[n:]
			continue
		}
		if len(b) < 6 || b[0] != 0xED || b[1]&0xF0 != 0xA0 || b[2]&0xC0 != 0x80 || b[3] != 0xED || b[4]&0xF0 != 0xB0 ||
			b[5]&0xC0 != 0x80 && (b[5] != '\n' || len(b) != 6) {
			return nil, false
		}
		t = append(t, 0x10000+(rune(b[1]&0x0F)<<16|rune(b[2]&0x3F)<<10|rune(b[4]&0x0F)<<6|rune(b[5]&0x3F)))
		b = b[6:]
	}
	return t, true
}

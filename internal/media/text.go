package media

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"prep/internal/fault"
)

// MaxTextBytes is the size above which a text file is refused: a caption is a few lines. Callers should
// not read more than one byte beyond it.
const MaxTextBytes = 1 << 20

// The encodings that DecodeText tells apart, by the names it returns.
const (
	EncodingUTF8        = "utf-8"
	EncodingUTF8BOM     = "utf-8-bom"
	EncodingUTF8Damaged = "utf-8-damaged" // UTF-8 with a few broken bytes, which became U+FFFD
	EncodingUTF16LE     = "utf-16le"
	EncodingUTF16BE     = "utf-16be"
	EncodingLatin1      = "latin-1"
	EncodingWindows1252 = "windows-1252"
)

// DecodeText returns the text of a file and the name of its encoding. A byte order mark decides, and is
// removed; without one the text is UTF-8 if it is valid as that, UTF-8 with damage if it has more good
// multi-byte characters than bad bytes, and else Windows-1252, called Latin-1 where the two agree. Line
// ends stay as they are. The text of an empty file is empty.
//
// Errors are of kind Corrupt: not_text for what is no text (NUL bytes, control characters, half a UTF-16
// character at the end), text_too_long beyond MaxTextBytes.
func DecodeText(data []byte) (text, encoding string, err error) {
	if len(data) > MaxTextBytes {
		return "", "", fault.Corruptf("text_too_long", "text of more than %d bytes: a caption is a few lines; is this the right file?", MaxTextBytes)
	}
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE, 0, 0}), bytes.HasPrefix(data, []byte{0, 0, 0xFE, 0xFF}):
		return "", "", fault.Corruptf("not_text", "this looks like UTF-32, which is not read: save it as UTF-8")
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		text, err = decodeUTF16(data[2:], binary.LittleEndian)
		encoding = EncodingUTF16LE
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		text, err = decodeUTF16(data[2:], binary.BigEndian)
		encoding = EncodingUTF16BE
	case bytes.HasPrefix(data, []byte("\uFEFF")):
		text, encoding, err = decode8Bit(data[3:])
		if encoding == EncodingUTF8 {
			encoding = EncodingUTF8BOM
		}
	default:
		text, encoding, err = decode8Bit(data)
	}
	if err == nil {
		err = checkText(text, encoding)
	}
	if err != nil {
		return "", "", err
	}
	return text, encoding, nil
}

// decode8Bit decodes what has no byte order mark of UTF-16.
func decode8Bit(data []byte) (text, encoding string, err error) {
	if utf8.Valid(data) {
		return string(data), EncodingUTF8, nil
	}
	// Two bytes of Latin-1 letters hardly ever form a character of UTF-8, so a text with more such
	// characters than other bytes is no Latin-1: most likely it was cut, or pasted together.
	var good, bad int
	for rest := data; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			bad++
		case n > 1:
			good++
		}
		rest = rest[n:]
	}
	if good > bad {
		return strings.ToValidUTF8(string(data), "\uFFFD"), EncodingUTF8Damaged, nil
	}
	encoding = EncodingLatin1
	var out strings.Builder
	out.Grow(len(data) + len(data)/8)
	for _, b := range data {
		r := rune(b)
		if b >= 0x80 && b <= 0x9F {
			encoding = EncodingWindows1252
			if r = charmap.Windows1252.DecodeByte(b); r == utf8.RuneError {
				return "", "", fault.Corruptf("not_text", "byte %#02x is no character of UTF-8 nor of Windows-1252: is this a text file? If it is, save it as UTF-8", b)
			}
		}
		out.WriteRune(r)
	}
	return out.String(), encoding, nil
}

// decodeUTF16 decodes what follows the byte order mark. A surrogate without its other half becomes U+FFFD.
func decodeUTF16(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%2 != 0 {
		return "", fault.Corruptf("not_text", "UTF-16 of an odd number of bytes: is the file cut off?")
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units)), nil
}

// checkText refuses binary data that happens to decode. Stray control characters in what is otherwise sure
// to be text, being UTF-8 or UTF-16, are left to the tokenizer's cleaning unless they are more than one in
// ten; a guess at the encoding allows none, for binary data is full of them. NUL is in no text.
func checkText(text, encoding string) error {
	if i := strings.IndexByte(text, 0); i >= 0 {
		return fault.Corruptf("not_text", "a NUL character after %d bytes of text: this is binary data, or UTF-16 without a byte order mark; save it as UTF-8", i)
	}
	allowed := utf8.RuneCountInString(text) / 10
	switch encoding {
	case EncodingUTF8Damaged, EncodingLatin1, EncodingWindows1252:
		allowed = 0
	}
	controls := 0
	for _, r := range text {
		if r < ' ' && (r < '\t' || r > '\r') && r != '\x1b' || r == 0x7F {
			controls++
		}
	}
	if controls > allowed && controls > 1 {
		return fault.Corruptf("not_text", "%d control characters: this is binary data, not a text", controls)
	}
	return nil
}

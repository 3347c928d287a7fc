package media

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"prep/internal/fault"
)

func TestDecodeText(t *testing.T) {
	for _, c := range []struct{ data, text, encoding string }{
		{"", "", "utf-8"},
		{"a dog\r\n", "a dog\r\n", "utf-8"},
		{"café 🐕", "café 🐕", "utf-8"},
		{"\xef\xbb\xbfcafé", "café", "utf-8-bom"},
		{"\xef\xbb\xbf", "", "utf-8-bom"},
		{"\xff\xfea\x00\xe9\x00\x3d\xd8\x15\xdc", "aé🐕", "utf-16le"},
		{"\xfe\xff\x00a\x00\xe9\xd8\x3d\xdc\x15", "aé🐕", "utf-16be"},
		{"\xff\xfe", "", "utf-16le"},
		{"\xff\xfe\x3d\xd8a\x00", "\uFFFDa", "utf-16le"}, // half a character
		{"caf\xe9 cr\xe8me", "café crème", "latin-1"},
		{"\xa3 100", "£ 100", "latin-1"},
		{"\x93caf\xe9\x94 \x80 5", "“café” € 5", "windows-1252"},
		{"Crème brûlée à la carte, coup\xc3", "Crème brûlée à la carte, coup\uFFFD", "utf-8-damaged"},
		{"one\x01 stray control among many letters", "one\x01 stray control among many letters", "utf-8"},
		{"\x1b[1mbold\x1b[0m", "\x1b[1mbold\x1b[0m", "utf-8"},
	} {
		text, encoding, err := DecodeText([]byte(c.data))
		if text != c.text || encoding != c.encoding || err != nil {
			t.Errorf("%q: got %q, %s, %v; want %q, %s", c.data, text, encoding, err, c.text, c.encoding)
		}
	}
}

func TestDecodeTextRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 200)
	for i := range noise {
		noise[i] = byte(1 + r.IntN(255)) // without NUL, which would be too easy
	}
	for name, c := range map[string]struct{ data, reason string }{
		"NUL":           {"a\x00b", "not_text"},
		"UTF-16 no BOM": {"a\x00b\x00", "not_text"},
		"UTF-16 cut":    {"\xff\xfea\x00b", "not_text"},
		"UTF-16 NUL":    {"\xff\xfea\x00\x00\x00", "not_text"},
		"UTF-32":        {"\xff\xfe\x00\x00a\x00\x00\x00", "not_text"},
		"JPEG":          {"\xff\xd8\xff\xe1\x1cExif\x01\x02\x03", "not_text"},
		"gzip":          {"\x1f\x8b\x08\x08\x12\x9d\x81", "not_text"},
		"controls":      {"\x01\x02\x03\x04abc", "not_text"},
		"noise":         {string(noise), "not_text"},
		"too long":      {strings.Repeat("a", MaxTextBytes+1), "text_too_long"},
	} {
		text, _, err := DecodeText([]byte(c.data))
		if err == nil || fault.KindOf(err) != fault.Corrupt || fault.ReasonOf(err) != c.reason {
			t.Errorf("%s: got %.20q, %v; want %s", name, text, err, c.reason)
		}
	}
	if _, _, err := DecodeText(bytes.Repeat([]byte("a"), MaxTextBytes)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func FuzzDecodeText(f *testing.F) {
	for _, s := range []string{"", "a dog", "caf\xe9", "\xff\xfea\x00", "\xfe\xff\x00a\xd8", "\xef\xbb\xbfé", "\x93a\x94", "é\xc3", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, encoding, err := DecodeText(data)
		if err != nil {
			if fault.KindOf(err) != fault.Corrupt || text != "" || encoding != "" {
				t.Fatalf("%q, %q, %v", text, encoding, err)
			}
			return
		}
		if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 || encoding == "" {
			t.Fatalf("%q, %q", text, encoding)
		}
		// What was decoded is text, in UTF-8.
		if again, name, err := DecodeText([]byte(text)); !strings.HasPrefix(text, "\uFEFF") && (again != text || name != EncodingUTF8) {
			t.Fatalf("%q decodes to %q, %s, %v", text, again, name, err)
		}
	})
}

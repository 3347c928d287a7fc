// Package magic tells formats of files by their first bytes, for messages and for what is left to ffmpeg.
package magic

import (
	"fmt"
	"unicode/utf8"
)

// Quote shows the first bytes of a file to a person.
func Quote(head []byte) string {
	head = head[:min(len(head), 12)]
	for _, c := range head {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("bytes % x", head)
		}
	}
	return fmt.Sprintf("%q", head)
}

// Text reports that b, the beginning of a file, is UTF-8 without control characters, perhaps cut within its last
// character.
func Text(b []byte) bool {
	for i, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' || c == 0x7f {
			return false
		}
		if c >= 0xc0 && i+utf8.UTFMax > len(b) && !utf8.FullRune(b[i:]) {
			b = b[:i]
			break
		}
	}
	return utf8.Valid(b)
}

// Foreign names formats that are ffmpeg's, by their magic numbers.
func Foreign(b []byte) string {
	for _, m := range foreignMagic {
		if len(b) >= m.at+len(m.magic) && string(b[m.at:m.at+len(m.magic)]) == m.magic {
			return m.name
		}
	}
	switch {
	case len(b) > 188*2 && b[0] == 0x47 && b[188] == 0x47 && b[188*2] == 0x47:
		return "MPEG transport stream"
	case len(b) > 4+192 && b[4] == 0x47 && b[4+192] == 0x47:
		return "MPEG transport stream"
	case isADTS(b):
		return "AAC"
	case len(b) > 4 && b[0] == 0xf0 && b[1] == 0x7e && b[3] == 1: // a channel lies between
		return "MIDI sample dump"
	}
	return ""
}

var foreignMagic = []struct {
	at    int
	magic string
	name  string
}{
	{4, "ftyp", "MP4"},
	{4, "moov", "QuickTime"},
	{4, "mdat", "QuickTime"},
	{4, "wide", "QuickTime"},
	{0, "\x1a\x45\xdf\xa3", "Matroska"},
	{8, "AVI ", "AVI"},
	{0, "FLV\x01", "Flash video"},
	{0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"},
	{0, "\x00\x00\x01\xba", "MPEG program stream"},
	{0, "\x00\x00\x01\xb3", "MPEG video"},
	{0, "#!AMR", "AMR"},
	{0, "caff", "Core Audio"},
	{0, "wvpk", "WavPack"},
	{0, "MAC ", "Monkey's Audio"},
	{0, "TTA1", "True Audio"},
	{0, "MPCK", "Musepack"},
	{0, "MP+\x07", "Musepack"},
	{0, "MP+\x17", "Musepack"}, // stream version 7.1
	{0, "\x0b\x77", "AC-3"},
	{0, "\x7f\xfe\x80\x01", "DTS"},
	{0, "Creative Voice File\x1a", "Creative Voice"},
	{8, "8SVX", "Amiga IFF"},
	{8, "16SV", "Amiga IFF"},
	{0, "2BIT", "AVR"},
	{0, " paf", "Ensoniq PARIS"},
	{0, "fap ", "Ensoniq PARIS"},
	{0, "PVF1\n", "Portable Voice Format"},
	{0, "\x64\xa3\x01\x00", "IRCAM"},
	{0, "\x64\xa3\x02\x00", "IRCAM"},
	{0, "\x64\xa3\x03\x00", "IRCAM"},
	{0, "\x64\xa3\x04\x00", "IRCAM"},
	{0, "\x00\x01\xa3\x64", "IRCAM"},
	{0, "\x00\x02\xa3\x64", "IRCAM"},
	{0, "\x00\x03\xa3\x64", "IRCAM"},
	{0, "\x00\x04\xa3\x64", "IRCAM"},
	{0, "DSD \x1c\x00\x00\x00\x00\x00\x00\x00", "DSF"},
	{0, "FRM8", "DSDIFF"},
	{0, "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "Wave64"},
}

// isADTS looks for two AAC frames in a row: 12 bits of sync, layer 00, 13 bits of frame length.
func isADTS(b []byte) bool {
	sync := func(b []byte) int {
		if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
			return 0
		}
		return int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	}
	n := sync(b)
	return n >= 7 && n+7 <= len(b) && sync(b[n:]) >= 7
}

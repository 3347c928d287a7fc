package ftfy

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// nfc composes t canonically (Unicode normalization form C). Package norm alone would not do: it keeps
// to the stream-safe format and cuts a sequence of more than 30 combining marks with U+034F, and it
// composes by the low 16 bits of characters (U+20064 and a cedilla become ḑ). So order and composition
// are done here, over norm's data. t holds no surrogates.
func nfc(t []rune) []rune {
	if !slices.ContainsFunc(t, func(r rune) bool { return r >= 0x300 }) {
		return t // nothing below U+0300 composes or decomposes under NFC
	}
	if norm.NFC.IsNormalString(string(t)) {
		return t
	}

	// Canonical decomposition and order.
	type mark struct {
		r   rune
		ccc uint8
	}
	d := make([]mark, 0, len(t))
	var scratch []byte
	for _, r := range t {
		if r < 0xC0 {
			d = append(d, mark{r: r})
			continue
		}
		scratch = norm.NFD.AppendString(scratch[:0], string(r))
		for _, s := range string(scratch) {
			d = append(d, mark{s, norm.NFD.PropertiesString(string(s)).CCC()})
		}
	}
	for i := 0; i < len(d); {
		if d[i].ccc == 0 {
			i++
			continue
		}
		j := i
		for j < len(d) && d[j].ccc != 0 {
			j++
		}
		slices.SortStableFunc(d[i:j], func(a, b mark) int { return int(a.ccc) - int(b.ccc) })
		i = j
	}

	// Canonical composition: a mark joins the last starter unless one of its own class, or of a higher
	// one, stands between.
	out := make([]rune, 0, len(d))
	starter := -1
	var before uint8 // class of the last character kept since the starter
	for _, m := range d {
		if starter >= 0 && (before < m.ccc || before == 0 && starter == len(out)-1) {
			if r, ok := composePair(out[starter], m.r); ok {
				out[starter] = r
				continue
			}
		}
		if m.ccc == 0 {
			starter = len(out)
		}
		before = m.ccc
		out = append(out, m.r)
	}
	return out
}

// composePair returns the primary composite of a starter and what follows it.
func composePair(a, b rune) (rune, bool) {
	if b < 0x300 {
		return 0, false
	}
	pair := string([]rune{a, b})
	composed := norm.NFC.String(pair)
	r, n := utf8.DecodeRuneInString(composed)
	if n < len(composed) || norm.NFD.String(composed) != norm.NFD.String(pair) {
		return 0, false
	}
	return r, true
}

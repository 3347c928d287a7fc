package ftfy

import "unicode"

// Rules of two neighbours: text is bad where a character of the first set is followed by one of the
// second. Together with the switch in badAt they are ftfy.badness.BADNESS_RE (see the notice in
// classes.go).
var badPairs = [...]struct{ first, second class }{
	{bad | lowerAccent | upperAccent | box | startPunct | endPunct | currency | numeric | law, bad},
	{bad, lowerAccent | upperAccent | box | startPunct | endPunct | currency | numeric | law},
	{lowerAccent | lowerCommon | box | endPunct | currency | numeric, upperAccent},
	{box | endPunct | currency | numeric, lowerAccent},
	{lowerAccent | box | endPunct, currency},
	{upperAccent | box, numeric | law},
	{currency | numeric | box, startPunct},
	{box, kaomoji},
	{lowerAccent | upperAccent | currency | numeric | startPunct | endPunct | law, box},
	{box, endPunct},
}

// isBad reports whether t looks as if it had been decoded with the wrong encoding.
func isBad(t []rune) bool {
	table := loadClasses()
	for i, r := range t {
		// Every rule that begins with ASCII or white space goes on with a character beyond ASCII.
		if r < 0x80 && (i+1 >= len(t) || t[i+1] < 0x80) && (i+2 >= len(t) || t[i+2] < 0x80) {
			continue
		}
		if badAt(table, t, i) {
			return true
		}
	}
	return false
}

func isLatin(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func isLower(r rune) bool { return r >= 'a' && r <= 'z' }

// isWord is \w of Python's re.
func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

// isSpace is str.isspace, and \s of Python's re: the separators U+001C to U+001F count.
func isSpace(r rune) bool { return r >= 0x1C && r <= 0x1F || unicode.IsSpace(r) }

func oneOf(r rune, set string) bool {
	for _, s := range set {
		if r == s {
			return true
		}
	}
	return false
}

// badAt reports whether a rule matches with its first character at i.
func badAt(table *classTable, t []rune, i int) bool {
	const end = -1 // beyond the text: in no class, equal to nothing
	at := func(k int) rune {
		if i+k < len(t) {
			return t[i+k]
		}
		return end
	}
	r0, r1, r2 := t[i], at(1), at(2)
	k0 := table.of(r0)
	if k0&c1 != 0 {
		return true
	}
	if r1 == end {
		return false
	}
	k1, k2 := table.of(r1), table.of(r2)
	for _, p := range badPairs {
		if k0&p.first != 0 && k1&p.second != 0 {
			return true
		}
	}

	// Three neighbours.
	switch {
	case isLatin(r0) && k1&(lowerCommon|upperCommon) != 0 && k2&bad != 0,
		isSpace(r0) && k1&upperAccent != 0 && k2&currency != 0,
		k0&(lowerAccent|upperAccent|box|currency|endPunct) != 0 && k1&startPunct != 0 && k2&numeric != 0,
		k0&(lowerAccent|upperAccent|currency|numeric|box|law) != 0 && k1&endPunct != 0 && k2&startPunct != 0,
		isLower(r0) && k1&upperAccent != 0 && k2&(startPunct|currency) != 0,
		k0&(lowerAccent|upperAccent) != 0 && k1&(startPunct|endPunct) != 0 && isWord(r2):
		return true
	}

	// A capital before a degree sign, and Â or Ã that stands before a space, where U+00A0 was: after a
	// small letter, with or without a space between, or as the first of the text.
	isAcircAtilde := func(r rune) bool { return r == 'Â' || r == 'Ã' }
	switch {
	case k0&upperAccent != 0 && r1 == '°',
		i == 0 && isAcircAtilde(r0) && r1 == ' ',
		isLower(r0) && isAcircAtilde(r1) && r2 == ' ',
		isLower(r0) && isSpace(r1) && isAcircAtilde(r2) && at(3) == ' ',
		(isLower(r0) || oneOf(r0, ".,?!") || k0&endPunct != 0) && r1 == 'Â' &&
			(r2 == ' ' || k2&(startPunct|endPunct) != 0):
		return true
	}

	// What single characters of common mojibake are followed by.
	arabic := func(k int) bool {
		r := at(k)
		return r != end && (table.of(r)&(common|currency|bad|numeric|startPunct) != 0 || oneOf(r, "ŸŠ®°µ»"))
	}
	switch r0 {
	case 'Œ', 'œ': // the ligature, unless an unaccented letter follows
		return !isLatin(r1)
	case 'Â', 'Ã', 'Î', 'Ð': // two bytes of UTF-8 in Windows-1252
		return oneOf(r1, "€œŠš¢£Ÿž\u00a0\u00ad®©°·»–—´") || k1&(startPunct|endPunct) != 0
	case '×':
		return r1 == '²' || r1 == '³'
	case 'Ø', 'Ù': // Arabic in Windows-1252; common characters take part, so four are required
		return arabic(1) && (r2 == 'Ø' || r2 == 'Ù') && arabic(3)
	case 'à': // South Asian scripts in Windows-1252
		return oneOf(r1, "²µ¹¼½¾")
	case '√': // MacRoman
		return oneOf(r1, "±∂†≠®™´≤≥¥µø")
	case '≈':
		return r1 == '°' || r1 == '¢'
	case '‚':
		return r1 == 'Ä' && oneOf(r2, "ìîïòôúùû†°¢π") || (r1 == 'â' || r1 == 'ó') && oneOf(r2, "àä°ê")
	case 'в': // U+2000 and on in Windows-1251
		return r1 == 'Ђ'
	case 'В', 'Г', 'Р', 'С': // Latin-1 or Cyrillic in Windows-1251
		if (k1&(c1|bad|startPunct|endPunct|currency) != 0 || r1 == '°' || r1 == 'µ') && oneOf(r2, "ВГРС") {
			return true
		}
		// Windows-1251 on top of Latin-1 on top of Windows-1252, next to a Latin letter.
		return r0 == 'Г' && r1 == 'ў' && r2 == 'В' && at(3) == 'Ђ' && at(4) == 'В' &&
			at(5) != end && at(5) != '\n' && (at(6) == ' ' || isLatin(at(6)))
	case 'β': // U+2000 and on in Windows-1253
		return r1 == '€' && oneOf(r2, "™\u00a0Ά\u00ad®°")
	case 'Β', 'Γ', 'Ξ', 'Ο': // Latin-1 or Greek in Windows-1253
		return (k1&(c1|bad|startPunct|endPunct|currency) != 0 || r1 == '°') && oneOf(r2, "ΒΓΞΟ")
	case 'ā': // U+2000 and on in Windows-1257
		return r1 == '€'
	}
	return false
}

package ftfy

import "sync"

// NOTICE: the character classes below, and the rules over them in badness.go and encoding.go, are
// derived from ftfy 6.3.1 (ftfy/badness.py, ftfy/chardata.py), copyright Robyn Speer, licensed under the
// Apache License 2.0. They are the part of ftfy that is data: which characters turn up in text that was
// decoded with the wrong encoding.

// class is a set of character classes; a character may be in several.
type class uint32

const (
	common      class = 1 << iota // seen in many contexts, not suspect as such
	c1                            // control characters U+0080 to U+009F: no use outside mojibake
	bad                           // nearly always mojibake
	law                           // legalese
	currency                      //
	startPunct                    // opening punctuation
	endPunct                      // closing punctuation
	numeric                       // signs used with numbers
	kaomoji                       // letters that people make faces of
	upperAccent                   // accented capitals
	lowerAccent                   // accented small letters
	upperCommon                   // capitals of other scripts, common at word ends
	lowerCommon                   //
	box                           // box drawing, MS-DOS mojibake

	first2       // decodes to a byte C2 to DF in some Latin-1-like encoding: the lead of two bytes of UTF-8
	first3       // E0 to EF: the lead of three
	first4       // F0 or F3: the lead of four
	contin       // 80 to BF: a continuation byte; a space stands for A0
	continStrict // the same without what stands for itself next to mojibake: spaces, dashes, quotes
)

// classes lists the members of each class; "a-z" is a range.
var classes = []struct {
	is      class
	members string
}{
	{common, "\u00a0\u00ad·´–—―…’"},
	{c1, "\u0080-\u009f"},
	{bad, "¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\ufffdªº"},
	{law, "¶§"},
	{currency, "¢£¥₧€"},
	{startPunct, "¡«¿©΄΅‘‚“„•‹\uf8ff"},
	{endPunct, "®»˝”›™"},
	{numeric, "²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№"},
	{kaomoji, "Ò-ÖÙ-Üò-öø-üŐŌŪŲ°"},
	{upperAccent, "À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"},
	{lowerAccent, "ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґ\ufb01\ufb02"},
	{upperCommon, "ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я"},
	{lowerCommon, "α-ωάέήίΰа-џ"},
	{box, "│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓"},

	{first2, "ĂÂÄĀÅÃÆĆČÇĎĐÉĚÊËĖÈĒĘÐĞĢÍÎÏİÌĪĶĹĻŁŃŇŅÑÓÔÖŐÒŌØÕŘŚŠŞŢÞÚÛÜŰÙŪŲŮÝŹŽŻß×" +
		"ΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫάέήίВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"},
	{first3, "áăâäàāąåãæćčçďéěêëėèēęęģíîïìīįķĺļŕźΰαβγδεζηθικλμνξοабвгдежзийклмноп"},
	{first4, "đðğóšπσру"},
	{contin, " –—―‘’‚“”„•…"},
	{contin | continStrict, "\u0080-¿ĄÆĽŁØŖŚŠŞŤŸŹŽŻŒąæƒľłøŗśšşťźžżœˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏ" +
		"ЁЂЃЄЅІЇЈЉЊЋЌЎЏёђѓєѕіїјљњћќўџҐґ†‡‰‹›€№™"},
}

// classTable is dense where nearly all members lie.
type classTable struct {
	low  [0x2600]class
	high map[rune]class
}

var loadClasses = sync.OnceValue(func() *classTable {
	t := &classTable{high: map[rune]class{}}
	for _, c := range classes {
		members := []rune(c.members)
		for i := 0; i < len(members); i++ {
			lo := members[i]
			hi := lo
			if i+2 < len(members) && members[i+1] == '-' {
				hi = members[i+2]
				i += 2
			}
			for r := lo; r <= hi; r++ {
				if int(r) < len(t.low) {
					t.low[r] |= c.is
				} else {
					t.high[r] |= c.is
				}
			}
		}
	}
	return t
})

func (t *classTable) of(r rune) class {
	if uint32(r) < uint32(len(t.low)) {
		return t.low[r]
	}
	return t.high[r]
}

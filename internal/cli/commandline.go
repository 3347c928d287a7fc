package cli

import (
	"strconv"
	"strings"
)

// commandLine is the line that runs words in bash and zsh: what a shell would split, expand or not show is
// quoted.
func commandLine(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

func shellWord(w string) string {
	plain := w != ""
	for _, r := range w {
		switch {
		case !strconv.IsPrint(r) || r == '\uFFFD':
			// $'...' takes the escapes that Go writes, of which only the quotes differ.
			q := strconv.QuoteToASCII(w)
			return "$'" + strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), "'", `\'`) + "'"
		case !strings.ContainsRune("@%+=:,./-_", r) && (r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' && r < 0x80):
			plain = false
		}
	}
	if plain {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

package cli

import (
	"os/exec"
	"strings"
	"testing"
)

// A shell takes the line apart into the words it was made of.
func TestCommandLine(t *testing.T) {
	words := []string{"printf", `%s\0`, "", "plain/path-1.2", "two words", "it's", "$HOME", "*", "~", "a\nb", "tab\t'\"\\ $x", "bad\xff\xfe", "größe", "猫 𝄞", "\u200b", "x;y|z&(w)<>`#!{}[]?"}
	line := commandLine(words...)
	if want := "printf '%s\\0' '' plain/path-1.2 'two words' "; !strings.HasPrefix(line, want) {
		t.Errorf("%s\nwant it to begin with\n%s", line, want)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	out, err := exec.CommandContext(t.Context(), bash, "-c", "LC_ALL=C.UTF-8; "+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(words[2:], "\x00") + "\x00"; string(out) != got {
		t.Errorf("%s\ngot  %q\nwant %q", line, out, got)
	}
}

// Package needs is for tests only: it decides what becomes of a test that this machine lacks something for. By
// itself such a test is skipped and says what it needs; with PREP_REQUIRE_TOOLS in the environment, as in
// .ci/run, it fails, so that nothing is skipped where everything can be installed.
package needs

import (
	"os"
	"os/exec"
	"testing"
)

// Tool skips t unless there is: what the test lacks, such as "libjpeg-turbo (Debian: apt-get install
// libturbojpeg0)".
func Tool(t testing.TB, there bool, what string) {
	t.Helper()
	if there {
		return
	}
	if os.Getenv("PREP_REQUIRE_TOOLS") != "" {
		t.Fatalf("needs %s, and PREP_REQUIRE_TOOLS is set", what)
	}
	t.Skipf("needs %s", what)
}

// Programs skips t unless all of the named programs are in PATH. install says how to get them.
func Programs(t testing.TB, install string, names ...string) {
	t.Helper()
	for _, n := range names {
		_, err := exec.LookPath(n)
		Tool(t, err == nil, n+" in PATH ("+install+")")
	}
}

package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"prep/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"prep": func() { os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr)) },
	})
}

// Each file below testdata/script is a terminal session.
func TestScripts(t *testing.T) {
	samples, err := filepath.Abs("../../testdata/audioset")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SAMPLES", samples)
			e.Setenv("GOLDEN", filepath.Join(samples, "..", "golden"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" { // root may read and write everything
				return os.Geteuid() == 0, nil
			}
			return false, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// flip FILE inverts one bit in the middle.
			"flip": func(ts *testscript.TestScript, neg bool, args []string) {
				names, err := filepath.Glob(ts.MkAbs(args[0]))
				ts.Check(err)
				if len(names) == 0 {
					ts.Fatalf("no file %s", args[0])
				}
				b, err := os.ReadFile(names[0])
				ts.Check(err)
				b[len(b)/2] ^= 1
				ts.Check(os.WriteFile(names[0], b, 0o666))
			},
		},
	})
}

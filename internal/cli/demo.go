package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"prep/internal/fault"
	"prep/testdata"
)

func (s *session) demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "run ingest, validate and train over the bundled sample data",
		UsageText: "prep demo [--dir DIR] [--epochs N]",
		Flags: []cli.Flag{jsonFlag,
			&cli.StringFlag{Name: "dir", Value: "prep-demo", Usage: "work in this new or empty `DIR`"},
			&cli.IntFlag{Name: "epochs", Usage: "epochs of training (default: the preset's)"},
		},
		OnUsageError: usageError,
		Action:       s.demo,
	}
}

// demo unpacks the sample data and runs the three commands as a user would.
func (s *session) demo(c *cli.Context) error {
	dir := c.String("dir")
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fault.Usagef("--dir %s is not empty; name another, or remove it", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Usagef("--dir %s: %w", dir, err)
	}
	src, out, run := filepath.Join(dir, "audioset"), filepath.Join(dir, "shards"), filepath.Join(dir, "run")
	data, err := fs.Sub(testdata.AudioSet, "audioset")
	if err != nil {
		return err
	}
	if err := os.CopyFS(src, data); err != nil {
		return fault.Environmentf("cannot unpack the sample data: %w", err)
	}
	report := filepath.Join(dir, "report.html")
	train := []string{"train", out, "--run", run}
	if c.IsSet("epochs") {
		train = append(train, "--epochs", fmt.Sprint(c.Int("epochs")))
	}
	for _, args := range [][]string{
		{"ingest", src, "--out", out},
		{"validate", out, "--report", report},
		train,
	} {
		if c.Bool("json") {
			args = append(args, "--json")
		}
		fmt.Fprintf(s.stderr, "\n$ prep %s\n", strings.Join(args, " "))
		app := s.app()
		if err := app.RunContext(c.Context, flagsFirst(app, append([]string{"prep"}, args...))); err != nil {
			return err
		}
	}
	w := s.results(c)
	fmt.Fprintf(w, "\nWhere to look:\n  %s\tthe report: counts, reasons, histograms, samples\n  %s\tshards and ledger, for pyarrow or DuckDB\n  %s\tthe run: report.html, metrics.jsonl, checkpoints\n", report, out, run)
	fmt.Fprintf(w, "  prep inspect %s KEY --dump %s\twhat the model sees of one sample\n", out, filepath.Join(dir, "dump"))
	return s.summary(c, map[string]any{"command": "demo", "out": dir})
}

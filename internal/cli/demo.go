package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"prep/internal/fault"
	"prep/testdata"
	"prep/trainer"
)

func (s *session) demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "run ingest, validate and train over the bundled sample data, or learn a generated world",
		UsageText: "prep demo [--dir DIR] [--epochs N] [--learn [--seed N]]",
		Description: "With --learn it generates files of six modalities, scenes of single shapes in motion, of which pictures, captions,\n" +
			"sounds, depth, heat and motion share what the scene is; ingests and validates them, trains the preset scenes, and measures\n" +
			"on combinations of shape, colour, motion and size that training had not seen. Every command is printed. docs/training.md\n" +
			"says what is generated and what is reached. On two cores with AVX2 or AVX-512 it takes about six minutes, and\n" +
			"2 GB of disk.",
		Flags: []cli.Flag{jsonFlag,
			&cli.StringFlag{Name: "dir", Value: "prep-demo", Usage: "work in this new or empty `DIR`"},
			&cli.IntFlag{Name: "epochs", Usage: "epochs of training (default: the preset's)"},
			&cli.BoolFlag{Name: "learn", Usage: "generate scenes to learn from, and measure what was learnt"},
			&cli.Uint64Flag{Name: "seed", Usage: "seed of the scenes and of the training (with --learn)"},
			&cli.IntFlag{Name: "scenes", Usage: "train on three renditions of `N` scenes only, and measure on at most as many (with --learn; default 552, and 216)"},
		},
		OnUsageError: usageError,
		Action:       s.demo,
	}
}

// earlierDemo says how to go on with the training of a demo that was interrupted; "" where there is none.
func earlierDemo(dir string) string {
	run, shards := filepath.Join(dir, "run"), filepath.Join(dir, "shards")
	if _, err := trainer.RunModel(run); err != nil {
		return ""
	}
	train := filepath.Join(shards, "train") // of demo --learn
	if _, err := os.Stat(train); err == nil {
		shards = train
	}
	return fmt.Sprintf("; or go on with the training in it: prep train %s --run %s --resume", shards, run)
}

// demo unpacks the sample data and runs the three commands as a user would.
func (s *session) demo(c *cli.Context) error {
	dir := c.String("dir")
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fault.Usagef("--dir %s is not empty; name another, or remove it%s", dir, earlierDemo(dir))
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Usagef("--dir %s: %w", dir, err)
	}
	if c.Bool("learn") {
		return s.learn(c, dir)
	}
	for _, f := range []string{"seed", "scenes"} {
		if c.IsSet(f) {
			return fault.Usagef("--%s belongs to --learn", f)
		}
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
	if err := s.line(c, []string{"ingest", src, "--out", out}, []string{"validate", out, "--report", report}, train); err != nil {
		return err
	}
	w := s.results(c)
	fmt.Fprintf(w, "\nWhere to look:\n  %s\tthe report: counts, reasons, histograms, samples\n  %s\tshards and ledger, for pyarrow or DuckDB\n  %s\tthe run: report.html, metrics.jsonl, checkpoints\n", report, out, run)
	fmt.Fprintf(w, "  prep inspect %s KEY --dump %s\twhat the model sees of one sample\n", out, filepath.Join(dir, "dump"))
	return s.summary(c, map[string]any{"command": "demo", "out": dir})
}

// line runs commands one after the other, each printed as a user would type it.
func (s *session) line(c *cli.Context, commands ...[]string) error {
	for _, args := range commands {
		if c.Bool("json") && !slices.Contains(args, "--json") {
			args = append(args, "--json")
		}
		fmt.Fprintf(s.stderr, "\n$ prep %s\n", strings.Join(args, " "))
		app := s.app()
		if err := app.RunContext(c.Context, flagsFirst(app, append([]string{"prep"}, args...))); err != nil {
			return err
		}
	}
	return nil
}

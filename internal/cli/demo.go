package cli

import (
	"encoding/json"
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
			"says what is generated and what is reached. On two cores with AVX2 or AVX-512 it takes about four minutes, and\n" +
			"2 GB of disk.",
		Flags: []cli.Flag{jsonFlag,
			&cli.StringFlag{Name: "dir", Value: "prep-demo", Usage: "work in this new or empty `DIR`, or go on with the same demo in it"},
			&cli.IntFlag{Name: "epochs", Usage: "epochs of training (default: the preset's)"},
			&cli.BoolFlag{Name: "learn", Usage: "generate scenes to learn from, and measure what was learnt"},
			&cli.Uint64Flag{Name: "seed", Usage: "seed of the scenes and of the training (with --learn)"},
			&cli.IntFlag{Name: "scenes", Usage: "train on three renditions of `N` scenes only, and measure on at most as many (with --learn; default 552, and 216)"},
		},
		OnUsageError: usageError,
		Action:       s.demo,
	}
}

// demoFile holds the settings of the demo that a folder is of.
const demoFile = "demo.json"

// demoSettings decide what a demo makes.
type demoSettings struct {
	Learn  bool   `json:"learn"`
	Seed   uint64 `json:"seed"`
	Scenes int    `json:"scenes"` // 0: all
	Epochs int    `json:"epochs"` // 0: as the preset says
}

// claim makes dir the folder of a demo, or finds that it is one of the same settings already, which then goes on.
func (d demoSettings) claim(dir string) error {
	file := filepath.Join(dir, demoFile)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Usagef("--dir %s: %w", dir, err)
	}
	if len(entries) > 0 {
		var old demoSettings
		b, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(b, &old) != nil {
			return fault.Usagef("--dir %s is not empty; name another, or remove it", dir)
		}
		if old != d {
			return fault.Usagef("--dir %s holds a demo of other settings (%s there, %s now); name another, or remove it", dir, old, d)
		}
		return nil
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fault.Environmentf("cannot make %s: %w", dir, err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o666); err != nil {
		return fault.Environmentf("cannot write %s: %w", file, err)
	}
	return nil
}

// String is the settings as flags.
func (d demoSettings) String() string {
	s := "prep demo"
	if d.Learn {
		s += fmt.Sprintf(" --learn --seed %d", d.Seed)
	}
	if d.Scenes > 0 {
		s += fmt.Sprintf(" --scenes %d", d.Scenes)
	}
	if d.Epochs > 0 {
		s += fmt.Sprintf(" --epochs %d", d.Epochs)
	}
	return s
}

// demo unpacks the sample data and runs the three commands as a user would.
func (s *session) demo(c *cli.Context) error {
	dir := c.String("dir")
	if c.IsSet("epochs") && c.Int("epochs") < 1 {
		return fault.Usagef("--epochs: %d is no number of epochs", c.Int("epochs"))
	}
	settings := demoSettings{Learn: c.Bool("learn"), Seed: c.Uint64("seed"), Scenes: c.Int("scenes"), Epochs: c.Int("epochs")}
	if !settings.Learn {
		for _, f := range []string{"seed", "scenes"} {
			if c.IsSet(f) {
				return fault.Usagef("--%s belongs to --learn", f)
			}
		}
	} else if c.IsSet("scenes") && (settings.Scenes < leastScenes || settings.Scenes > trainScenes) {
		return fault.Usagef("--scenes: %d is outside %d to %d", settings.Scenes, leastScenes, trainScenes)
	}
	if err := settings.claim(dir); err != nil {
		return err
	}
	run := s.sampleDemo
	if settings.Learn {
		run = s.learn
	}
	err := run(c, dir)
	if err != nil && c.Context.Err() != nil {
		s.logf("%s --dir %s goes on from here", settings, dir)
	}
	return err
}

// sampleDemo takes the bundled sample data through ingest, validate and train.
func (s *session) sampleDemo(c *cli.Context, dir string) error {
	src, out, run := filepath.Join(dir, "audioset"), filepath.Join(dir, "shards"), filepath.Join(dir, "run")
	if _, err := os.Stat(src); err != nil {
		if err := unpackSamples(src); err != nil {
			return fault.Environmentf("cannot unpack the sample data: %w", err)
		}
	}
	report := filepath.Join(dir, "report.html")
	if err := s.line(c, []string{"ingest", src, "--out", out}, []string{"validate", out, "--report", report}, demoTraining(c, run, "train", out)); err != nil {
		return err
	}
	w := s.results(c)
	fmt.Fprintf(w, "\nWhere to look:\n  %s\tthe report: counts, reasons, histograms, samples\n  %s\tshards and ledger, for pyarrow or DuckDB\n  %s\tthe run: report.html, metrics.jsonl, checkpoints\n", report, out, run)
	fmt.Fprintf(w, "  %s\twhat the model sees of one sample\n", commandLine("prep", "inspect", out, "KEY", "--dump", filepath.Join(dir, "dump")))
	return s.summary(c, map[string]any{"command": "demo", "out": dir})
}

// unpackSamples writes the bundled files into a folder that is there only when it is whole.
func unpackSamples(dir string) error {
	data, err := fs.Sub(testdata.AudioSet, "audioset")
	if err != nil {
		return err
	}
	aside := dir + ".tmp"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.CopyFS(aside, data); err != nil {
		return err
	}
	return os.Rename(aside, dir)
}

// demoTraining is a command of training with the demo's run and epochs, which goes on with the run where there is one.
func demoTraining(c *cli.Context, run string, command ...string) []string {
	command = append(command, "--run", run)
	if c.IsSet("epochs") {
		command = append(command, "--epochs", fmt.Sprint(c.Int("epochs")))
	}
	if _, err := trainer.RunConfig(run); err == nil {
		command = append(command, "--resume")
	}
	return command
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

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"prep/configs"
	"prep/internal/fault"
	"prep/trainer"
)

func (s *session) trainCommand() *cli.Command {
	return &cli.Command{
		Name:      "train",
		Usage:     "train a joint embedding straight from shards",
		UsageText: "prep train [SHARDS] [--preset NAME] [--epochs N] [--run DIR] [--resume]",
		Description: "Contrastive training with the image (or video) as the hub, on the CPU. Honours the selection that validate wrote.\n" +
			"Checkpoints every few epochs, at the end, and when interrupted; --resume goes on from the newest whole one, bit for bit.",
		Flags: append([]cli.Flag{
			jsonFlag, configFlag,
			&cli.StringFlag{Name: "preset", Value: configs.ModelPresets[0], Usage: "model preset: " + strings.Join(configs.ModelPresets, ", ")},
			&cli.StringFlag{Name: "run", Usage: "run `DIR` (default runs/<date>-<n>; with --resume the newest there)"},
			&cli.BoolFlag{Name: "resume", Usage: "go on with a run that stopped"},
			&cli.IntFlag{Name: "epochs", Usage: "number of epochs in all (default: the preset's)"},
			&cli.IntFlag{Name: "batch", Usage: "pairs in a batch (default: the preset's)"},
			&cli.Int64Flag{Name: "seed", Usage: "seed of every random draw (default: the preset's)"},
		}, initFlags()...),
		OnUsageError: usageError,
		Action:       s.train,
	}
}

type trainSummary struct {
	Command string `json:"command"`
	*trainer.Summary
}

func (s *session) train(c *cli.Context) error {
	dir, err := oneArg(c, "shards")
	if err != nil {
		return err
	}
	if err := mustBeShards(dir); err != nil {
		return err
	}
	l, err := readLayers(c)
	if err != nil {
		return err
	}
	l.ModelPreset = c.String("preset")
	for _, f := range []struct{ flag, key string }{{"epochs", "train.epochs"}, {"batch", "train.batch"}, {"seed", "train.seed"}} {
		if c.IsSet(f.flag) {
			l.Flags = append(l.Flags, configs.Override{Key: f.key, Value: fmt.Sprint(c.Value(f.flag)), Flag: f.flag})
		}
	}
	l.Flags = append(l.Flags, initOverrides(c)...)
	cfg, err := configs.Load(l)
	if err != nil {
		return err
	}
	run := c.String("run")
	if run == "" {
		if run, err = defaultRun("runs", c.Bool("resume"), time.Now()); err != nil {
			return err
		}
	}
	s.logf("run directory: %s", run)
	view := &trainView{s: s, every: 10 * time.Second, last: time.Now()}
	sum, err := trainer.Run(c.Context, trainer.Options{
		Shards: dir, RunDir: run, Resume: c.Bool("resume"), Config: cfg,
		Progress: view.event, Log: func(m string) { s.logf("%s", m) },
	})
	view.finish()
	if errors.Is(err, context.Canceled) {
		s.logf("interrupted; go on with: prep train %s --run %s --resume", dir, run)
		return err
	}
	if err != nil {
		return err
	}
	printTraining(s.results(c), sum, run)
	return s.summary(c, trainSummary{"train", sum})
}

// defaultRun names a new run directory, or finds the newest one to resume.
func defaultRun(base string, resume bool, now time.Time) (string, error) {
	entries, err := os.ReadDir(base)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fault.Environmentf("cannot read %s: %w", base, err)
	}
	date := now.Format("2006-01-02")
	last, newest := 0, ""
	var newestNumber int
	for _, e := range entries {
		day, n, ok := cutRun(e.Name())
		if !ok || !e.IsDir() {
			continue
		}
		if day == date {
			last = max(last, n)
		}
		if newest == "" || day > newest[:len(date)] || day == newest[:len(date)] && n > newestNumber {
			newest, newestNumber = e.Name(), n
		}
	}
	if resume {
		if newest == "" {
			return "", fault.Inputf("%s holds no run to resume; name one with --run", base)
		}
		return filepath.Join(base, newest), nil
	}
	return filepath.Join(base, fmt.Sprintf("%s-%d", date, last+1)), nil
}

// cutRun splits "2006-01-02-7" into the day and the number.
func cutRun(name string) (string, int, bool) {
	i := strings.LastIndexByte(name, '-')
	if i != len("2006-01-02") {
		return "", 0, false
	}
	n, err := strconv.Atoi(name[i+1:])
	return name[:i], n, err == nil
}

func printTraining(w io.Writer, sum *trainer.Summary, run string) {
	fmt.Fprintf(w, "%d epochs, %d steps, loss %.4f\n", sum.Epochs, sum.Steps, sum.Loss)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "pair\tloss\tR@1\tR@1 back\tof")
	for _, k := range sortedKeys(sum.Pairs) {
		p := sum.Pairs[k]
		fmt.Fprintf(tw, "%s\t%.4f\t%.3f\t%.3f\t%s\n", k, p.Loss, p.R1, p.R1Reverse, p.Of())
	}
	tw.Flush()
	fmt.Fprintf(w, "checkpoint: %s\nmetrics: %s\n", sum.Checkpoint, filepath.Join(run, "metrics.jsonl"))
}

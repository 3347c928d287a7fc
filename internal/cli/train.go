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
		UsageText: "prep train SHARDS... [--preset NAME] [--recipe NAME] [--epochs N] [--run DIR] [--resume] [--dry-run]",
		Description: "Contrastive training with the image (or video) as the hub, on the CPU. Honours the selections that validate wrote.\n" +
			"Checkpoints every few epochs, at the end, and when interrupted; --resume goes on from the newest whole one, bit for bit,\n" +
			"with the settings that the run was begun with. Several folders make one run of several data sets; --mix weighs them.\n" +
			"RUN/report.html shows how it goes; tensorboard --logdir RUN/tensorboard does, too. docs/training.md has the recipe and the advice.",
		Flags: append([]cli.Flag{
			jsonFlag, configFlag,
			&cli.StringFlag{Name: "preset", Value: configs.ModelPresets[0], Usage: "model preset: " + strings.Join(configs.ModelPresets, ", ")},
			&cli.StringFlag{Name: "recipe", Usage: "parts of the training recipe over the preset's: " + strings.Join(configs.Recipes, ", ")},
			&cli.StringFlag{Name: "run", Usage: "run `DIR` (default runs/<date>-<n>; with --resume the newest there)"},
			&cli.BoolFlag{Name: "resume", Usage: "go on with a run that stopped"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print parameters, memory and time by modality, and stop"},
			&cli.IntFlag{Name: "epochs", Usage: "number of epochs in all (default: the preset's)"},
			&cli.IntFlag{Name: "batch", Usage: "pairs in a batch (default: the preset's)"},
			&cli.Int64Flag{Name: "seed", Usage: "seed of every random draw (default: the preset's)"},
			&cli.StringFlag{Name: "mix", Usage: "how often each data set is shown in an epoch, as `W,W,...` in the order of the folders"},
			&cli.StringFlag{Name: "freeze", Usage: "towers or patterns of parameter names that rest, as `P,P,...`"},
			&cli.StringFlag{Name: "only", Usage: "towers or patterns of parameter names that alone move, as `P,P,...`"},
			&cli.IntFlag{Name: "lora", Usage: "low-rank adaptation of this `RANK` (train.lora has the rest)"},
			&cli.IntFlag{Name: "devices", Usage: "devices of an XLA plugin that share each batch (default 1)"},
			&cli.BoolFlag{Name: "auto-tune", Usage: "follow the advice between epochs; every change is recorded"},
			&cli.StringSliceFlag{Name: "set", Usage: "set any `KEY=VALUE` of the configuration (prep config --show prints them)"},
			&cli.BoolFlag{Name: "ignore-selection", Usage: "train on all rows, also those that validate left out"},
		}, append(initFlags(), deviceFlags()...)...),
		OnUsageError: usageError,
		Action:       s.train,
	}
}

type trainSummary struct {
	Command string `json:"command"`
	*trainer.Summary
}

type dryRunSummary struct {
	Command string `json:"command"`
	DryRun  bool   `json:"dry_run"`
	*trainer.Estimate
}

// trainOverrides turns the flags that were given into configuration keys.
func trainOverrides(c *cli.Context) ([]configs.Override, error) {
	var out []configs.Override
	for _, f := range []struct{ flag, key string }{{"epochs", "train.epochs"}, {"batch", "train.batch"}, {"seed", "train.seed"}, {"lora", "train.lora.rank"}, {"auto-tune", "train.auto_tune"}, {"precision", "train.precision"}, {"devices", "train.devices"}} {
		if c.IsSet(f.flag) {
			out = append(out, configs.Override{Key: f.key, Value: fmt.Sprint(c.Value(f.flag)), Flag: f.flag})
		}
	}
	for _, f := range []struct{ flag, key string }{{"mix", "train.mix"}, {"freeze", "train.freeze"}, {"only", "train.only"}} {
		if !c.IsSet(f.flag) {
			continue
		}
		var items []string
		for item := range strings.SplitSeq(c.String(f.flag), ",") {
			if item = strings.TrimSpace(item); f.flag == "mix" {
				if _, err := strconv.ParseFloat(item, 64); err != nil {
					return nil, fault.Usagef("--mix takes numbers, got %q", item)
				}
				items = append(items, item)
			} else {
				items = append(items, strconv.Quote(item))
			}
		}
		out = append(out, configs.Override{Key: f.key, Value: "[" + strings.Join(items, ", ") + "]", Flag: f.flag})
	}
	for _, kv := range c.StringSlice("set") {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, fault.Usagef("--set takes KEY=VALUE, got %q", kv)
		}
		out = append(out, configs.Override{Key: key, Value: value, Flag: "set " + key})
	}
	return out, nil
}

func (s *session) train(c *cli.Context) error {
	dirs := c.Args().Slice()
	if len(dirs) == 0 && !c.Bool("dry-run") {
		dirs = []string{"shards"}
	}
	for _, dir := range dirs {
		if err := mustBeShards(dir); err != nil {
			return err
		}
	}
	run := c.String("run")
	var err error
	if run == "" && !c.Bool("dry-run") {
		if run, err = defaultRun("runs", c.Bool("resume"), time.Now()); err != nil {
			return err
		}
	}
	l, err := readLayers(c)
	if err != nil {
		return err
	}
	l.ModelPreset, l.Recipe = c.String("preset"), c.String("recipe")
	if c.Bool("resume") && run != "" && !c.IsSet("preset") && !c.IsSet("recipe") {
		if l.Base, err = trainer.RunConfig(run); err != nil {
			return err
		}
		l.BaseName = filepath.Join(run, "config.yaml")
	}
	if l.Flags, err = trainOverrides(c); err != nil {
		return err
	}
	l.Flags = append(l.Flags, initOverrides(c)...)
	if c.IsSet("device") {
		l.Flags = append(l.Flags, configs.Override{Key: "train.device", Value: quoteYAML(c.String("device")), Flag: "device"})
	}
	cfg, err := configs.Load(l)
	if err != nil {
		return err
	}
	o := trainer.Options{Shards: dirs, RunDir: run, Resume: c.Bool("resume"), Config: cfg, IgnoreSelection: c.Bool("ignore-selection"), Plugin: c.String("plugin"),
		Tokenize: tokenize, Log: func(m string) { s.logf("%s", m) }}
	if c.Bool("dry-run") {
		est, err := trainer.DryRun(o)
		if err != nil {
			return err
		}
		printEstimate(s.results(c), est)
		return s.summary(c, dryRunSummary{"train", true, est})
	}
	keepMemory(cfg.Train.Device, o.Plugin)
	s.logf("run directory: %s", run)
	view := &trainView{s: s, every: 10 * time.Second, last: time.Now(), run: run}
	o.Progress = view.event
	sum, err := trainer.Run(c.Context, o)
	view.finish()
	if errors.Is(err, context.Canceled) {
		s.logf("interrupted; go on with: %s", commandLine(append(append([]string{"prep", "train"}, dirs...), "--run", run, "--resume")...))
		return err
	}
	if err != nil {
		return err
	}
	printTraining(s.results(c), sum, run)
	return s.summary(c, trainSummary{"train", sum})
}

// bytesText writes a size as people say it.
func bytesText(n int64) string {
	switch f := float64(n); {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", f/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", f/(1<<20))
	default:
		return fmt.Sprintf("%.0f KiB", f/(1<<10))
	}
}

func printEstimate(w io.Writer, e *trainer.Estimate) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "tower\tparameters\ttrained\tweights\toptimiser\tactivations of a batch\tGFLOP forward\tseconds a batch")
	for _, name := range configs.Towers {
		t := e.Towers[name]
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\t%s\t%s\t%.3g\t%.3g\n", name, t.Parameters, t.Trained, bytesText(t.WeightBytes), bytesText(t.OptimizerBytes), bytesText(t.ActivationBytes), t.ForwardGFLOP, t.SecondsPerBatch)
	}
	fmt.Fprintf(tw, "total\t%d\n", e.Parameters["total"])
	fmt.Fprintln(tw, "\npair\titems\titems a step\tsteps an epoch\tseconds a step")
	for _, name := range sortedKeys(e.Pairs) {
		p := e.Pairs[name]
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%.3g\n", name, p.Items, p.Batch, p.StepsPerEpoch, p.SecondsPerStep)
	}
	tw.Flush()
	span := func(engine string) string {
		r := e.ResidentBytes[engine]
		return bytesText(r[0]) + " to " + bytesText(r[1])
	}
	fmt.Fprintf(w, "memory: the largest step holds about %s; the process takes %s on the Go backend, %s on XLA for the CPU\n", bytesText(e.MemoryBytes), span("go"), span("xla"))
	fmt.Fprintf(w, "this machine multiplies at %.0f GFLOP/s\n", e.GFLOPS)
	if e.Steps > 0 {
		fmt.Fprintf(w, "the whole run: %d steps, about %s\n", e.Steps, time.Duration(e.Seconds*float64(time.Second)).Round(time.Second))
	}
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
	fmt.Fprintln(tw, "pair\tloss\tR@1\tR@1 back\tR@5\tR@10\tmedian rank\tof")
	for _, k := range sortedKeys(sum.Pairs) {
		p, loss := sum.Pairs[k], "-" // never trained: a stage has passed the pair over
		if p.Loss > 0 {
			loss = fmt.Sprintf("%.4f", p.Loss)
		}
		fmt.Fprintf(tw, "%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%g\t%s\n", k, loss, p.R1, p.R1Reverse, p.R5, p.R10, p.MedianRank, p.Of())
	}
	tw.Flush()
	if sum.Best != "" {
		fmt.Fprintf(w, "best: %s\n", sum.Best)
	}
	fmt.Fprintf(w, "checkpoint: %s\nmetrics: %s\nreport: %s\n", sum.Checkpoint, filepath.Join(run, "metrics.jsonl"), filepath.Join(run, reportFile))
}

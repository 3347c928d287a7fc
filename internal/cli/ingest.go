package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"prep/configs"
	"prep/internal/fault"
	"prep/stages"
)

// planFlags are what decides the work; plan and ingest share them.
func planFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Value: "shards", Usage: "output `DIR`"},
		&cli.StringFlag{Name: "source", Usage: "layout of the source: `auto`, audioset, sunrgbd, llvip, ego4d, manifest or pairs"},
		&cli.StringFlag{Name: "preset", Value: configs.DataPresets[0], Usage: "data preset: " + strings.Join(configs.DataPresets, ", ")},
		configFlag,
		&cli.StringFlag{Name: "snr-method", Usage: "estimator of the noise: " + strings.Join(configs.SNRMethods, ", ")},
		&cli.BoolFlag{Name: "allow-outside", Usage: "let a manifest name files outside its own folder"},
		&cli.BoolFlag{Name: "allow-truncated", Usage: "keep JPEG pictures that are cut off or damaged, with what is missing grey, and PNG that lack their end alone"},
		&cli.BoolFlag{Name: "skip-unsupported", Usage: "go on where files need a program that is missing; each costs a failed row"},
	}, thresholdFlags()...)
}

func (s *session) ingestCommand() *cli.Command {
	return &cli.Command{
		Name:      "ingest",
		Usage:     "decode, measure, filter and transform a source; write Arrow shards and a ledger",
		UsageText: "prep ingest SRC [--out DIR] [flags]\nprep ingest --task JSON | --tasks FILE [--index N]",
		Description: "Reads SRC (AudioSet, SUN RGB-D, LLVIP, Ego4D, files that share a stem, or a manifest) and writes shards, one ledger row for\n" +
			"every sample, and a manifest. Killed at any moment and run again, it goes on where it was, and the result is the\n" +
			"same to the byte. With --task or --tasks it does single tasks that prep plan printed: result rows on standard\n" +
			"output; exit 0 done, 65 never try again, 75 try again.",
		Flags: append(planFlags(), jsonFlag,
			&cli.IntFlag{Name: "workers", Aliases: []string{"j"}, Usage: "samples worked on at once (default: one for each core)"},
			&cli.StringFlag{Name: "task", Usage: "do this one task, `JSON` as prep plan printed it"},
			&cli.StringFlag{Name: "tasks", Usage: "do the tasks of `FILE`, one JSON line each (- for standard input)"},
			&cli.IntFlag{Name: "index", Value: -1, EnvVars: []string{"SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"}, Usage: "with --tasks: do only line `N`, counted from 0"},
			&cli.StringFlag{Name: "root", Usage: "with --task(s): where the source is mounted on this machine"},
		),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.IsSet("task") || c.IsSet("tasks") {
				return s.runTasks(c)
			}
			return s.ingest(c)
		},
	}
}

// dataConfig loads the configuration of ingest and plan.
func dataConfig(c *cli.Context) (configs.Config, error) {
	l, err := readLayers(c)
	if err != nil {
		return configs.Config{}, err
	}
	l.DataPreset = c.String("preset")
	if l.Flags, err = thresholdOverrides(c); err != nil {
		return configs.Config{}, err
	}
	if c.IsSet("source") {
		l.Flags = append(l.Flags, configs.Override{Key: "source.kind", Value: c.String("source"), Flag: "source"})
	}
	if c.IsSet("snr-method") {
		l.Flags = append(l.Flags, configs.Override{Key: "filters.snr.method", Value: c.String("snr-method"), Flag: "snr-method"})
	}
	if c.Bool("allow-truncated") {
		l.Flags = append(l.Flags, configs.Override{Key: "image.allow_truncated", Value: "true", Flag: "allow-truncated"})
	}
	if c.Bool("allow-outside") {
		l.Flags = append(l.Flags, configs.Override{Key: "source.allow_outside", Value: "true", Flag: "allow-outside"})
	}
	return configs.Load(l)
}

// plan lists the source and makes out its plan's folder.
func (s *session) plan(c *cli.Context, src, out string) (*stages.Plan, configs.Config, error) {
	cfg, err := dataConfig(c)
	if err != nil {
		return nil, cfg, err
	}
	tools := findTools(c.Context)
	// Refuse an output that cannot be before a long listing.
	if err := checkOut(src, out); err != nil {
		return nil, cfg, err
	}
	p, listing, err := stages.MakePlan(c.Context, src, cfg, tools, c.Bool("skip-unsupported"))
	if err != nil {
		return nil, cfg, err
	}
	for _, n := range p.Notes {
		s.logf("note: %s", n)
	}
	p, err = p.Adopt(out, listing)
	return p, cfg, err
}

// checkOut refuses an output folder inside the source (it would be listed next time) or one that is a file.
func checkOut(src, out string) error {
	if info, err := os.Stat(out); err == nil && !info.IsDir() {
		return fault.Usagef("--out %s is a file", out)
	}
	a, err1 := filepath.Abs(src)
	b, err2 := filepath.Abs(out)
	if err1 == nil && err2 == nil && a == b {
		return fault.Usagef("--out %s is the source itself", out)
	}
	return nil
}

type ingestSummary struct {
	Command  string           `json:"command"`
	In       int64            `json:"in"`
	Written  int64            `json:"written"`
	Rejected int64            `json:"rejected"`
	Failed   int64            `json:"failed"`
	Reasons  map[string]int64 `json:"reasons"`
	Flags    map[string]int64 `json:"flags,omitempty"`
	Out      string           `json:"out"`
}

func (s *session) ingest(c *cli.Context) error {
	src, err := oneArg(c, "")
	if err != nil {
		return err
	}
	out := c.String("out")
	p, cfg, err := s.plan(c, src, out)
	if err != nil {
		return err
	}
	root, err := filepath.Abs(src)
	if err != nil {
		return err
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		root = "" // a manifest file: the plan knows its folder
	}
	unlock, err := stages.Lock(out, true)
	if err != nil {
		return err
	}
	defer unlock()
	proc, err := stages.NewProcessor(p, root, cfg.Ingest, findTools(c.Context))
	if err != nil {
		return err
	}
	bar := s.newProgress("ingest", "samples", p.Samples, cfg.Ingest.ProgressSeconds)
	workers := cfg.Ingest.Workers
	if c.IsSet("workers") {
		workers = c.Int("workers")
	}
	r := &stages.Runner{Out: out, Plan: p, Processor: proc, Workers: workers, Progress: bar.ingestEvent}
	err = r.Run(c.Context, p.Tasks, func(stages.Row) error { return nil })
	bar.finish()
	if errors.Is(err, context.Canceled) {
		s.logf("interrupted; run the same command again to go on: %s", commandLine(os.Args...))
		return err
	}
	if err != nil {
		return err
	}
	m, err := stages.Finalize(c.Context, out, toolVersion(), nil)
	if err != nil {
		return err
	}
	s.printIngest(s.results(c), m, out)
	return s.summary(c, ingestSummary{"ingest", m.Counts.In, m.Counts.Written, m.Counts.Rejected, m.Counts.Failed, m.Reasons, m.Flags, out})
}

func (s *session) planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "print the shard tasks of a source as JSON lines, for a scheduler",
		UsageText: "prep plan SRC --out DIR [flags] > tasks.jsonl",
		Description: "Lists the source, writes the plan into DIR, and prints one task a line. Each task's id digests all that\n" +
			"decides its content. Do them anywhere, in any order, any number of times, with prep ingest --task; then prep finalize DIR.",
		Flags: append(planFlags(), jsonFlag), OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			src, err := oneArg(c, "")
			if err != nil {
				return err
			}
			p, _, err := s.plan(c, src, c.String("out"))
			if err != nil {
				return err
			}
			abs, err := filepath.Abs(c.String("out"))
			if err != nil {
				return err
			}
			w := bufio.NewWriter(s.stdout)
			enc := json.NewEncoder(w)
			for _, t := range p.Tasks {
				t.Out = abs
				if err := enc.Encode(t); err != nil {
					return err
				}
			}
			if err := w.Flush(); err != nil {
				return err
			}
			s.logf("%d samples in %d tasks", p.Samples, len(p.Tasks))
			return s.summary(c, map[string]any{"command": "plan", "in": p.Samples, "tasks": len(p.Tasks), "out": abs})
		},
	}
}

// readTasks reads what --task or --tasks names.
func readTasks(c *cli.Context) ([]stages.Task, error) {
	var in io.Reader = strings.NewReader(c.String("task"))
	if c.IsSet("tasks") {
		if c.IsSet("task") {
			return nil, fault.Usagef("give --task or --tasks, not both")
		}
		in = os.Stdin
		if name := c.String("tasks"); name != "-" {
			f, err := os.Open(name)
			if err != nil {
				return nil, fault.Inputf("--tasks: %w", err)
			}
			defer f.Close()
			in = f
		}
	}
	var tasks []stages.Task
	for dec := json.NewDecoder(in); ; {
		var t stages.Task
		if err := dec.Decode(&t); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fault.Usagef("task %d is no JSON of prep plan: %w", len(tasks), err)
		}
		tasks = append(tasks, t)
	}
	if len(tasks) == 0 {
		return nil, fault.Usagef("no task given")
	}
	if i := c.Int("index"); c.IsSet("tasks") && i >= 0 {
		if i >= len(tasks) {
			return nil, fault.Usagef("--index %d, and the file has tasks 0 to %d", i, len(tasks)-1)
		}
		tasks = tasks[i : i+1]
	}
	return tasks, nil
}

// runTasks is the scheduler's entry: exit codes tell whether trying again can help.
func (s *session) runTasks(c *cli.Context) error {
	err := s.doTasks(c)
	switch {
	case err == nil:
		return nil
	case c.Context.Err() != nil:
		return &taskError{exitTemporary, errors.New("interrupted before the task was committed")}
	case fault.KindOf(err) == fault.Usage || fault.KindOf(err) == fault.Input:
		return &taskError{exitPermanent, err}
	}
	return &taskError{exitTemporary, err}
}

func (s *session) doTasks(c *cli.Context) error {
	tasks, err := readTasks(c)
	if err != nil {
		return err
	}
	out := tasks[0].Out
	if c.IsSet("out") || out == "" {
		out = c.String("out")
	}
	p, err := stages.ReadPlan(out)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Inputf("%s holds no plan; give the --out that prep plan was given", out)
	}
	if err != nil {
		return err
	}
	l, err := readLayers(c)
	if err != nil {
		return err
	}
	cfg, err := configs.Load(l)
	if err != nil {
		return err
	}
	for i, t := range tasks {
		if tasks[i], err = p.Task(t); err != nil {
			return err
		}
	}
	unlock, err := stages.Lock(out, false)
	if err != nil {
		return err
	}
	defer unlock()
	proc, err := stages.NewProcessor(p, c.String("root"), cfg.Ingest, findTools(c.Context))
	if err != nil {
		return err
	}
	enc := json.NewEncoder(s.stdout)
	r := &stages.Runner{Out: out, Plan: p, Processor: proc, Workers: c.Int("workers"), Progress: func(e stages.Event) {
		if e.AlreadyCommitted {
			s.logf("task %d: committed already", e.Task.Index)
		}
	}}
	var sum ingestSummary
	err = r.Run(c.Context, tasks, func(row stages.Row) error {
		sum.In += row.Counts.In
		sum.Written += row.Counts.Written
		sum.Rejected += row.Counts.Rejected
		sum.Failed += row.Counts.Failed
		return enc.Encode(row)
	})
	if err != nil {
		return err
	}
	sum.Command, sum.Out = "ingest", out
	return s.summary(c, sum)
}

func (s *session) finalizeCommand() *cli.Command {
	return &cli.Command{
		Name:      "finalize",
		Usage:     "verify what the tasks left and write the manifest",
		UsageText: "prep finalize DIR",
		Description: "Verifies the hash of every file and writes the manifest. When tasks are missing it writes nothing, prints them\n" +
			"as a task file on standard output and exits 3. Run it once no worker is left: files of unfinished attempts are removed.",
		Flags: []cli.Flag{jsonFlag}, OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			out, err := oneArg(c, "shards")
			if err != nil {
				return err
			}
			unlock, err := stages.Lock(out, true)
			if err != nil {
				return err
			}
			defer unlock()
			m, err := stages.Finalize(c.Context, out, toolVersion(), nil)
			var inc *stages.Incomplete
			if errors.As(err, &inc) {
				abs, aerr := filepath.Abs(out)
				if aerr != nil {
					return aerr
				}
				enc := json.NewEncoder(s.stdout)
				for _, t := range inc.Missing {
					t.Out = abs
					if err := enc.Encode(t); err != nil {
						return err
					}
				}
			}
			if err != nil {
				return err
			}
			s.printIngest(s.results(c), m, out)
			return s.summary(c, ingestSummary{"finalize", m.Counts.In, m.Counts.Written, m.Counts.Rejected, m.Counts.Failed, m.Reasons, m.Flags, out})
		},
	}
}

package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"prep/bpe"
	"prep/internal/fault"
	"prep/trainer"
)

func (s *session) evalCommand() *cli.Command {
	return &cli.Command{
		Name:      "eval",
		Usage:     "measure a checkpoint: retrieval, classes, the joint space",
		UsageText: "prep eval RUN|CHECKPOINT SHARDS... [--items N]",
		Description: "R@1, R@5, R@10 and median rank of every pair both ways, classification by label without training, cosines within and\n" +
			"between classes, diagonal contrast, alignment and uniformity. Of a run its best checkpoint is measured. On the run's own\n" +
			"shards only the held-out items count, on any others all.",
		Flags: []cli.Flag{
			jsonFlag,
			&cli.IntFlag{Name: "items", Usage: "most items of a gallery (default: the run's train.eval_items); retrieval among more is harder"},
			&cli.BoolFlag{Name: "ignore-selection", Usage: "measure on all rows, also those that validate left out"},
		},
		OnUsageError: usageError,
		Action:       s.eval,
	}
}

type evalSummary struct {
	Command string `json:"command"`
	*trainer.Measurement
}

func (s *session) eval(c *cli.Context) error {
	if c.NArg() < 2 {
		return fault.Usagef("eval needs a run or checkpoint and the shards to measure on: %s", c.Command.UsageText)
	}
	if n := c.Int("items"); c.IsSet("items") && n < 2 {
		return fault.Usagef("--items: %d; a gallery needs 2 items", n)
	}
	for _, dir := range c.Args().Tail() {
		if err := mustBeShards(dir); err != nil {
			return err
		}
	}
	m, err := trainer.Evaluate(c.Context, trainer.EvaluateOptions{Model: c.Args().First(), Shards: c.Args().Tail(), Items: c.Int("items"),
		IgnoreSelection: c.Bool("ignore-selection"), Tokenize: tokenize, Log: func(m string) { s.logf("%s", m) }})
	if err != nil {
		return err
	}
	w := s.results(c)
	of := "all items"
	if m.HeldOut {
		of = "the held-out items"
	}
	fmt.Fprintf(w, "%s on %s of %d samples\n", m.Checkpoint, of, m.Samples)
	for _, t := range measureTables(m.Pairs, m.Train, m.Classes) {
		fmt.Fprintln(w)
		tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		fmt.Fprintln(tw, strings.Join(t.Head, "\t"))
		for _, row := range t.Rows {
			fmt.Fprintln(tw, strings.Join(row, "\t"))
		}
		tw.Flush()
	}
	return s.summary(c, evalSummary{"eval", m})
}

// tokenize makes the token ids of a sentence as ingest makes those of a caption.
func tokenize(text string) []int32 {
	r := bpe.Encode(text, bpe.Options{})
	return r.IDs[:]
}

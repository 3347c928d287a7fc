package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/sample"
	"prep/trainer"
)

func (s *session) embedCommand() *cli.Command {
	return &cli.Command{
		Name:      "embed",
		Usage:     "write the embedding of every sample, as Parquet or NumPy",
		UsageText: "prep embed [SHARDS] --run DIR --out VECTORS.parquet\nprep embed [SHARDS] --init imagebind_huge.pth --preset imagebind_huge --out VECTORS.parquet",
		Description: "Rows of key, modality and vector: unit vectors in the joint space, so that a dot product is a cosine. Every modality\n" +
			"that the shards hold, or those that are named. The weights are a run's or a checkpoint's, or a file's, whose model\n" +
			"--preset names. With --out NAME.npy one modality becomes an array, and its keys stand in NAME.keys.txt.\n" +
			"Honours the selection that validate wrote.",
		Flags: append([]cli.Flag{
			jsonFlag, configFlag,
			&cli.StringFlag{Name: "out", Value: "vectors.parquet", Usage: "write `FILE`, whose name ends in .parquet or .npy"},
			&cli.StringFlag{Name: "run", Usage: "weights of the run or checkpoint `DIR` (a run's newest whole checkpoint)"},
			&cli.StringFlag{Name: "preset", Usage: "the model that a file's weights belong to: " + strings.Join(configs.ModelPresets, ", ")},
			&cli.StringFlag{Name: "modality", Usage: "embed only these `MODALITIES`, separated by commas: image, video, audio, text, depth, thermal, imu"},
			&cli.IntFlag{Name: "batch", Value: 8, Usage: "samples that go through a tower together"},
			&cli.BoolFlag{Name: "scaled", Usage: "vectors as ImageBind returns them: times the logit scale, clips averaged and not normalised again"},
		}, append(initFlags(), deviceFlags()...)...),
		OnUsageError: usageError,
		Action:       s.embed,
	}
}

func (s *session) embed(c *cli.Context) error {
	dir, err := oneArg(c, "shards")
	if err != nil {
		return err
	}
	if err := mustBeShards(dir); err != nil {
		return err
	}
	if c.IsSet("run") == c.IsSet("init") {
		return fault.Usagef("embed needs weights: either --run DIR or --init FILE")
	}
	o := trainer.EmbedOptions{Shards: dir, Weights: c.String("init"), Out: c.String("out"), Batch: c.Int("batch"), Scaled: c.Bool("scaled"), Device: c.String("device"), Plugin: c.String("plugin"), Precision: c.String("precision"),
		Init: trainer.NewInit("", c.String("init-allow-missing"), c.String("init-allow-unexpected")), Log: func(m string) { s.logf("%s", m) }}
	if c.IsSet("run") {
		o.Weights = c.String("run")
	}
	m, err := s.modelOf(c, o.Weights)
	switch {
	case err != nil:
		return err
	case m == nil:
		return fault.Usagef("%s does not say which model it is; name it with --preset (%s)", o.Weights, strings.Join(configs.ModelPresets, ", "))
	case !slices.Contains(configs.Precisions, o.Precision):
		return fault.Usagef("--precision: %q is not one of %s", o.Precision, strings.Join(configs.Precisions, ", "))
	case o.Batch < 1:
		return fault.Usagef("--batch: %d is below 1", o.Batch)
	}
	keepMemory(o.Device, o.Plugin)
	o.Model = *m
	for _, name := range strings.FieldsFunc(c.String("modality"), func(r rune) bool { return r == ',' || r == ' ' }) {
		m, err := sample.ParseModality(name)
		if err != nil {
			return fault.Usagef("--modality: %w", err)
		}
		o.Modalities = append(o.Modalities, m)
	}
	last := time.Now()
	o.Progress = func(done, all int) {
		if time.Since(last) > 10*time.Second {
			last = time.Now()
			s.logf("%d of %d vectors", done, all)
		}
	}
	x, err := trainer.Embed(c.Context, o)
	if err != nil {
		return err
	}
	var by []string
	for _, k := range sortedKeys(x.By) {
		by = append(by, fmt.Sprintf("%d %s", x.By[k], k))
	}
	fmt.Fprintf(s.results(c), "%s: %d vectors of %d (%s)\n", x.Out, x.Vectors, x.Dim, strings.Join(by, ", "))
	return s.summary(c, struct {
		Command string `json:"command"`
		*trainer.Embedded
	}{"embed", x})
}

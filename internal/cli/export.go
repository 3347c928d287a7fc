package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"prep/configs"
	"prep/internal/fault"
	"prep/trainer"
	"prep/trainer/element"
)

// initFlags say which weights a command takes and how strictly they must fit.
func initFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "init", Usage: "begin with the weights of `FILE`: safetensors, or what torch.save wrote (imagebind_huge.pth)"},
		&cli.StringFlag{Name: "init-allow-missing", Usage: "`PATTERNS` of names that the weights may lack, separated by commas (modality_*.imu.*)"},
		&cli.StringFlag{Name: "init-allow-unexpected", Usage: "`PATTERNS` of names that the weights may have beside the model's"},
	}
}

// deviceFlags say where the computing is done.
func deviceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "device", Value: "auto", Usage: "`DEVICE`: cpu, cuda, xla:PATH of a PJRT plugin, or auto, which takes a plugin where one is installed"},
		&cli.StringFlag{Name: "precision", Value: "float32", Usage: "of activations: " + strings.Join(configs.Precisions, ", ") + " (the half ones need XLA, tf32 an NVIDIA GPU)"},
		&cli.StringFlag{Name: "plugin", Usage: "the PJRT plugin `FILE` that cuda and auto take before those that are found"},
	}
}

// initOverrides turns the flags that were given into configuration keys.
func initOverrides(c *cli.Context) (out []configs.Override) {
	for _, flag := range []string{"init", "init-allow-missing", "init-allow-unexpected"} {
		if c.IsSet(flag) {
			out = append(out, configs.Override{Key: "train." + strings.ReplaceAll(flag, "-", "_"), Value: quoteYAML(c.String(flag)), Flag: flag})
		}
	}
	return out
}

// quoteYAML keeps a text from being read as anything else.
func quoteYAML(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (s *session) exportCommand() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write weights as safetensors or .pth, for PyTorch",
		UsageText: "prep export RUN|CHECKPOINT|FILE --out W.safetensors|W.pth [--preset NAME] [--dtype float16]",
		Description: "Writes the whole state dict under ImageBind's names: load_state_dict(strict=True) takes it, and torch.load reads the\n" +
			".pth with weights_only=True. Takes a run (its newest whole checkpoint), a checkpoint, or a file as --init of train does.\n" +
			"With --preset the weights must fit that model; a run says itself which model it is.",
		Flags: []cli.Flag{
			jsonFlag, configFlag,
			&cli.StringFlag{Name: "out", Usage: "write `FILE`, whose name ends in .safetensors or .pth", Required: true},
			&cli.StringFlag{Name: "preset", Usage: "check a file against this model preset: " + strings.Join(configs.ModelPresets, ", ")},
			&cli.StringFlag{Name: "dtype", Value: "keep", Usage: "`TYPE` of the values: keep, float32, float16 or bfloat16"},
			&cli.StringFlag{Name: "init", Usage: "the same as the argument: `FILE` of weights"},
			&cli.StringFlag{Name: "init-allow-missing", Usage: "`PATTERNS` of names that the weights may lack; they are drawn"},
			&cli.StringFlag{Name: "init-allow-unexpected", Usage: "`PATTERNS` of names that are left out"},
		},
		OnUsageError: usageError,
		Action:       s.export,
	}
}

func (s *session) export(c *cli.Context) error {
	from, err := oneArg(c, c.String("init"))
	if err != nil {
		return err
	}
	if c.NArg() == 1 && c.IsSet("init") {
		return fault.Usagef("export takes its weights from the argument or from --init, not from both")
	}
	o := trainer.ExportOptions{From: from, Out: c.String("out"), Log: func(m string) { s.logf("%s", m) },
		Init: trainer.NewInit("", c.String("init-allow-missing"), c.String("init-allow-unexpected"))}
	if d := c.String("dtype"); d != "keep" {
		var ok bool
		if o.Type, ok = element.Parse(d); !ok || o.Type == element.F64 {
			return fault.Usagef("--dtype: %q is not one of keep, float32, float16, bfloat16", d)
		}
	}
	if o.Model, err = s.modelOf(c, from); err != nil {
		return err
	}
	if o.Model == nil && (len(o.Init.AllowMissing) > 0 || len(o.Init.AllowUnexpected) > 0) {
		return fault.Usagef("--init-allow-missing and --init-allow-unexpected need --preset, which says what is expected")
	}
	x, err := trainer.Export(o)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.results(c), "%s: %d tensors, %d values, %d bytes\n", x.Out, x.Tensors, x.Parameters, x.Bytes)
	return s.summary(c, struct {
		Command string `json:"command"`
		*trainer.Exported
	}{"export", x})
}

// modelOf finds out which model weights belong to: a run says so itself, a file needs --preset or --config.
// Nil when nobody says.
func (s *session) modelOf(c *cli.Context, from string) (*configs.Model, error) {
	m, err := trainer.RunModel(from)
	if err != nil {
		return nil, err
	}
	if m != nil {
		if c.IsSet("preset") {
			return nil, fault.Usagef("%s says itself which model it is; --preset is for files of weights", from)
		}
		return m, nil
	}
	if !c.IsSet("preset") && !c.IsSet("config") {
		return nil, nil
	}
	l, err := readLayers(c)
	if err != nil {
		return nil, err
	}
	l.ModelPreset = c.String("preset")
	cfg, err := configs.Load(l)
	return &cfg.Model, err
}

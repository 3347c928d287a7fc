package cli

import (
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/media"
)

// findTools looks at the machine.
func findTools(ctx context.Context) *media.Tools { return media.FindTools(ctx) }

var configFlag = &cli.StringFlag{Name: "config", Usage: "YAML `FILE` laid over the presets (prep config --show prints every key)"}

// thresholdFlags are the rules' bounds, the same for ingest and validate.
func thresholdFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "snr", Usage: "reject below this signal-to-noise ratio in `DB`, or off"},
		&cli.StringFlag{Name: "min-text", Usage: "reject captions of fewer `CHARACTERS`, or off"},
		&cli.StringFlag{Name: "max-sync", Usage: "reject a sound-to-picture offset of `SECONDS` or more, or off"},
		&cli.StringFlag{Name: "unknown", Usage: "`keep` or drop samples whose value could not be determined"},
	}
}

// thresholdOverrides turns the flags that were given into configuration keys.
func thresholdOverrides(c *cli.Context) ([]configs.Override, error) {
	var out []configs.Override
	for _, f := range []struct{ flag, rule, bound string }{
		{"snr", "filters.snr", "min"}, {"min-text", "filters.min_text", "min"}, {"max-sync", "filters.max_sync", "max"},
	} {
		if !c.IsSet(f.flag) {
			continue
		}
		v := strings.TrimSpace(c.String(f.flag))
		if v == "off" {
			out = append(out, configs.Override{Key: f.rule + ".off", Value: "true", Flag: f.flag})
			continue
		}
		if _, err := strconv.ParseFloat(v, 64); err != nil {
			return nil, fault.Usagef("--%s takes a number or off, got %q", f.flag, v)
		}
		out = append(out,
			configs.Override{Key: f.rule + ".off", Value: "false", Flag: f.flag},
			configs.Override{Key: f.rule + "." + f.bound, Value: v, Flag: f.flag})
	}
	if c.IsSet("unknown") {
		for _, rule := range []string{"snr", "min_text", "max_sync", "depth_valid", "thermal_spread", "imu_gravity", "imu_gap"} {
			out = append(out, configs.Override{Key: "filters." + rule + ".unknown", Value: c.String("unknown"), Flag: "unknown"})
		}
	}
	return out, nil
}

// readLayers reads --config, if given.
func readLayers(c *cli.Context) (configs.Layers, error) {
	var l configs.Layers
	if name := c.String("config"); name != "" {
		b, err := os.ReadFile(name)
		if err != nil {
			return l, fault.Usagef("--config: %w", err)
		}
		l.FileName, l.File = name, b
	}
	return l, nil
}

package configs

import (
	"bytes"
	"strings"
	"testing"

	"prep/internal/fault"
)

func load(t *testing.T, file string, flags ...Override) (Config, error) {
	t.Helper()
	return Load(Layers{FileName: "prep.yaml", File: []byte(file), Flags: flags})
}

func TestPresetsLoad(t *testing.T) {
	for _, data := range DataPresets {
		for _, model := range ModelPresets {
			if _, err := Load(Layers{DataPreset: data, ModelPreset: model}); err != nil {
				t.Errorf("%s with %s: %v", data, model, err)
			}
		}
	}
	for _, recipe := range Recipes {
		for _, model := range ModelPresets {
			if _, err := Load(Layers{ModelPreset: model, Recipe: recipe}); err != nil {
				t.Errorf("%s with %s: %v", recipe, model, err)
			}
		}
	}
	c, err := Load(Layers{DataPreset: "imagebind"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Audio.Channel != "first" || c.Audio.Clips != 3 {
		t.Errorf("imagebind over default: %+v", c.Audio)
	}
}

func TestLayersWinInOrder(t *testing.T) {
	c, err := load(t, "audio:\n  clips: 2\n", Override{"filters.snr.min", "7.5", "snr"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Audio.Clips != 2 || *c.Filters.SNR.Min != 7.5 || c.Audio.DType != "float16" {
		t.Errorf("got %+v %v", c.Audio, *c.Filters.SNR.Min)
	}
}

func TestRefusals(t *testing.T) {
	for file, want := range map[string]string{
		"audio:\n  clip: 3\n":                    "prep.yaml:2: unknown key audio.clip; did you mean audio.clips?",
		"snr: 3\n":                               "prep.yaml:1: unknown key snr; did you mean filters.snr",
		"batch_rows: 3\n":                        "did you mean shards.batch_rows?",
		"audio: 3\n":                             "prep.yaml:1: audio holds keys of its own",
		"audio:\n  clips: many\n":                "line 2: cannot unmarshal",
		"audio:\n  clips: 0\n":                   "audio.clips: 0 is outside",
		"audio:\n  dtype: float8\n":              `audio.dtype: "float8" is not one of float16, float32`,
		"audio:\n  clips: 1\n  clips: 2\n":       "key audio.clips is given twice",
		"source:\n  template: sound\n":           "has no {labels}",
		"filters:\n  snr:\n    unknown: perhaps": "is not one of keep, drop",
		"train:\n  stages: [{epoch: 3}]":         "unknown key train.stages[0].epoch; did you mean train.stages[0].epochs?",
		"train:\n  stages: [{epochs: 3}]":        "stage 1 has rate 0",
		"train:\n  logit_scale: warm":            `"warm" is not model, auto or a number`,
		"train:\n  freeze: ['[']":                "neither a tower",
		"train:\n  mix: [0, 0]":                  "train.mix: every weight is 0",
		"train:\n  lora: {layers: [q_proj]}":     `"q_proj" is not one of in_proj`,
		"train:\n  loss_weights: {text: 0}":      "train.loss_weights.text: 0 is outside",
		"train:\n  prompts: [a photo]":           "has no {label}",
		"[1, 2]":                                 "want keys and values",
		"a: 1\n---\nb: 2\n":                      "more than one YAML document",
		"{":                                      "prep.yaml: yaml",
	} {
		_, err := load(t, file)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", file, err, want)
		} else if fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: kind %v", file, fault.KindOf(err))
		}
	}
}

// Every key has a comment above it, in a preset, that says what it is.
func TestEveryKeyIsDocumented(t *testing.T) {
	var b bytes.Buffer
	if err := Show(&b, Layers{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		s := strings.TrimSpace(l)
		key, _, isKey := strings.Cut(s, ":")
		if !isKey || strings.HasPrefix(s, "#") || strings.HasPrefix(s, "-") || key == "off" || key == "min" || key == "max" || key == "unknown" {
			continue // the four keys of a rule are documented above the rules
		}
		if !strings.HasPrefix(strings.TrimSpace(lines[max(i-1, 0)]), "#") {
			t.Errorf("line %d: %q has no comment above it", i+1, l)
		}
	}
}

func TestDiffNamesKeys(t *testing.T) {
	a, _ := load(t, "")
	b, _ := load(t, "audio: {clips: 5}\ningest: {workers: 9}\n")
	d := Diff(a, b, "audio", "filters")
	if len(d) != 1 || !strings.HasPrefix(d[0], "audio.clips: 3 there, 5 now") {
		t.Errorf("got %q", d)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("audio:\n  clips: 2\n"))
	f.Add([]byte("filters: {snr: {off: true}}"))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = Load(Layers{FileName: "f", File: b})
	})
}

// The scale and the drop path that auto takes follow the number of items.
func TestBySizeOfData(t *testing.T) {
	tr := Train{LogitScale: "auto", IMUDropPath: "auto"}
	for _, c := range []struct {
		items       int
		scale, drop float64
	}{{1000, 30, 0.9}, {9_999, 30, 0.9}, {50_000, 26.5, 0.8}, {500_000, 20, 0.7}, {1_000_000, 20, 0.7}, {2_000_000, 13.5, 0.7}, {100_000_000, 10, 0.7}} {
		scale, keep, err := tr.Scale(c.items)
		if err != nil || keep || scale < c.scale-0.1 || scale > c.scale+0.1 {
			t.Errorf("%d items: scale %g, want %g (%v)", c.items, scale, c.scale, err)
		}
		if d := tr.IMUDrop(c.items, 0.7); d != c.drop {
			t.Errorf("%d items: drop path %g, want %g", c.items, d, c.drop)
		}
	}
	tr = Train{LogitScale: "14", IMUDropPath: "model"}
	if scale, keep, err := tr.Scale(5); scale != 14 || keep || err != nil || tr.IMUDrop(5, 0.3) != 0.3 {
		t.Errorf("given: %g %v %v", scale, keep, err)
	}
}

// Stages follow each other; the last goes on to the end.
func TestStages(t *testing.T) {
	tr := Train{Freeze: []string{"modality_heads.imu.*"}, Stages: []Stage{{Epochs: 3, Freeze: []string{"vision", "text"}, Rate: 1}, {Epochs: 2, Rate: 0.1}}}
	for epoch, want := range [][3]float64{{0, 0, 1}, {0, 1, 1}, {0, 2, 1}, {1, 0, 0.1}, {1, 1, 0.1}, {1, 2, 0.1}} {
		stage, within, rate := tr.StageOf(epoch)
		if got := [3]float64{float64(stage), float64(within), rate}; got != want {
			t.Errorf("epoch %d: %v, want %v", epoch, got, want)
		}
	}
	for _, c := range []struct {
		stage       int
		tower, name string
		want        bool
	}{
		{0, "vision", "modality_trunks.vision.blocks.0.norm_1.weight", false}, {1, "vision", "modality_trunks.vision.blocks.0.norm_1.weight", true},
		{0, "audio", "modality_heads.audio.2.weight", true}, {1, "imu", "modality_heads.imu.0.weight", false},
	} {
		if got := tr.Trains(c.stage, c.tower, c.name); got != c.want {
			t.Errorf("stage %d: %s trains: %v", c.stage, c.name, got)
		}
	}
	tr = Train{Only: []string{"audio"}}
	if tr.Trains(0, "text", "x") || !tr.Trains(0, "audio", "y") {
		t.Error("only audio")
	}
}

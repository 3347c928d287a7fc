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

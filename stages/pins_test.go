package stages

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/media/mp3"
	"prep/internal/needs"
	"prep/internal/sample"
)

// TestSoundLibraryIsPinned: what decodes MP3 is settled with the plan, and a machine whose library gives other bits
// does not do the work.
func TestSoundLibraryIsPinned(t *testing.T) {
	tools := &media.Tools{MPG123: mp3.OpenMPG123()}
	needs.Tool(t, tools.MPG123 != nil, "libmpg123 (Debian: apt-get install libmpg123-0)")
	cfg, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	of := func(path, choice string, tools *media.Tools) (string, error) {
		cfg.Audio.MP3 = choice
		pins, err := choosePins(context.Background(), []sample.Sample{{Parts: []sample.Part{{Modality: sample.Audio, Path: path}}}}, &cfg, tools, false)
		return pins["mp3"], err
	}
	for _, c := range []struct {
		path, choice string
		tools        *media.Tools
		want         string
	}{
		{"a.mp3", "auto", tools, map[bool]string{true: "go", false: tools.MP3Library()}[mp3.Fast]},
		{"a.mp3", "libmpg123", tools, tools.MP3Library()},
		{"a.mp3", "go", tools, "go"},
		{"a.mp3", "auto", &media.Tools{}, "go"},
		{"a.wav", "auto", tools, ""},
	} {
		if got, err := of(c.path, c.choice, c.tools); got != c.want || err != nil {
			t.Errorf("%s, %s: pinned %q, want %q, %v", c.path, c.choice, got, c.want, err)
		}
	}
	if _, err := of("a.mp3", "libmpg123", &media.Tools{}); fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "libmpg123-0") {
		t.Error(err)
	}
	work := func(pin string, tools *media.Tools) (*Processor, error) {
		return NewProcessor(&Plan{ContentVersion: contentVersion, Config: cfg, Pins: map[string]string{"arch": runtime.GOARCH, "mp3": pin}}, "", cfg.Ingest, tools)
	}
	if p, err := work(tools.MP3Library(), tools); err != nil || p.Tools.MPG123 == nil {
		t.Error(err)
	}
	if p, err := work("go", tools); err != nil || p.Tools.MPG123 != nil {
		t.Errorf("planned without a library, and decoded with it: %v", err)
	}
	if _, err := work("libmpg123 00000000", tools); fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "other bits") {
		t.Error(err)
	}
	if _, err := work(tools.MP3Library(), &media.Tools{}); fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "no libmpg123") {
		t.Error(err)
	}
}

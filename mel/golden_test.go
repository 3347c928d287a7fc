package mel_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sbinet/npyio/npz"

	"prep/internal/media"
	"prep/mel"
)

// golden is the folder of the reference outputs.
func golden(t *testing.T, parts ...string) string {
	root := os.Getenv("PREP_GOLDEN")
	if root == "" {
		root = filepath.Join("..", "testdata", "golden")
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

type audioCase struct {
	File     string   `json:"file"`
	Samples  int      `json:"samples_16k"`
	Clips    [][2]int `json:"clips_samples"`
	MaxAbs   float64  `json:"float32_vs_float64_max_abs"`
	P999     float64  `json:"float32_vs_float64_p999_abs"`
	Leak     *float64 `json:"if_clips_were_copied_max_abs"`
	Channels int      `json:"channels"`
}

// spread is how far two arrays are apart.
func spread(t *testing.T, got, want []float32) (mean, p999, most float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	d := make([]float64, len(got))
	for i := range d {
		d[i] = math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d[i]) {
			t.Fatalf("value %d is not a number", i)
		}
		mean += d[i]
	}
	slices.Sort(d)
	return mean / float64(len(d)), d[int(0.999*float64(len(d)-1))], d[len(d)-1]
}

func TestGoldenAudio(t *testing.T) {
	var cases []audioCase
	readJSON(t, golden(t, "preprocess", "audio", "audio.json"), &cases)
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	mel.EachVariant(func(variant string) {
		for _, c := range cases {
			t.Run(variant+"/"+c.File, func(t *testing.T) { checkAudio(t, c) })
		}
	})
}

func checkAudio(t *testing.T, c audioCase) {
	tools := &media.Tools{}

	path := golden(t, "preprocess", "audio", c.File)
	snd, err := tools.DecodeSound(context.Background(), path, media.Segment{})
	if err != nil {
		t.Fatal(err)
	}
	var wave [][]float32
	for _, ch := range snd.Channels() {
		x, err := mel.Resample(ch, snd.SourceRate)
		if err != nil {
			t.Fatal(err)
		}
		wave = append(wave, x)
	}
	if len(wave[0]) != c.Samples {
		t.Fatalf("%d samples at 16 kHz, want %d", len(wave[0]), c.Samples)
	}
	if got := mel.ClipLimits(c.Samples, len(c.Clips)); !slices.Equal(got, c.Clips) {
		// The original slices past the end; the limits are cut to what there is.
		for i := range got {
			if got[i][0] != c.Clips[i][0] || got[i][1] != min(c.Clips[i][1], c.Samples) {
				t.Errorf("clip %d: %v, want %v", i, got[i], c.Clips[i])
			}
		}
	}
	z, err := npz.Open(path[:len(path)-len(filepath.Ext(path))] + ".npz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, name := range z.Keys() {
		var want []float32
		if err := z.Read(name, &want); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "wave16k.npy":
			_, _, most := spread(t, wave[0], want)
			t.Logf("16 kHz: most %.2g", most)
			if most > 5e-6 {
				t.Errorf("resampled wave: %g off", most)
			}
		case "fbank_clip0.npy":
			checkFbank(t, wave, c, want)
		case "mel.npy":
			mean, p999, most := spread(t, mel.Clips(wave, len(c.Clips), mel.MeanImageBind), want)
			t.Logf("mel: mean %.2g, 99.9th percentile %.2g, most %.2g", mean, p999, most)
			// The clean form differs from the original by the leak between clips, no more and no less.
			if _, _, copied := spread(t, mel.Clips(wave, len(c.Clips), mel.MeanClip), want); c.Leak != nil && math.Abs(copied-*c.Leak) > max(2e-3, 3*c.MaxAbs) {
				t.Errorf("with the clips' own means mel is %g off, want %g", copied, *c.Leak)
			}
			if mean > 1e-4 || p999 > max(1e-3, 3*c.P999) || most > max(2e-3, 3*c.MaxAbs) {
				t.Errorf("mel is mean %g, 99.9th percentile %g, most %g off", mean, p999, most)
			}
		}
	}
}

// checkFbank compares the raw filter bank of clip 0, frame-major in the golden.
func checkFbank(t *testing.T, wave [][]float32, c audioCase, want []float32) {
	t.Helper()
	x := slices.Clone(wave[0][:min(c.Clips[0][1], len(wave[0]))])
	var sum float64
	for _, ch := range wave {
		for _, v := range ch[:len(x)] {
			sum += float64(v)
		}
	}
	mean := float32(sum / float64(len(x)*len(wave)))
	for i := range x {
		x[i] -= mean
	}
	logmel, frames := mel.Fbank(x)
	got := make([]float32, len(logmel))
	for b := range mel.Bins {
		for f := range frames {
			got[f*mel.Bins+b] = logmel[b*frames+f]
		}
	}
	m, p, most := spread(t, got, want)
	t.Logf("fbank: mean %.2g, 99.9th percentile %.2g, most %.2g", m, p, most)
	if m > 9.138e-4 || p > 9.138*max(1e-3, 3*c.P999) || most > 9.138*max(2e-3, 3*c.MaxAbs) {
		t.Errorf("fbank is mean %g, 99.9th percentile %g, most %g off", m, p, most)
	}
}

func TestGoldenClipTimes(t *testing.T) {
	var cases []struct {
		Duration float64  `json:"duration"`
		Samples  [][2]int `json:"audio_3_samples"`
	}
	readJSON(t, golden(t, "preprocess", "audio", "clip_times.json"), &cases)
	for _, c := range cases {
		for i, got := range mel.DurationLimits(c.Duration, len(c.Samples)) {
			if got != c.Samples[i] {
				t.Errorf("%g s, clip %d: %v, want %v", c.Duration, i, got, c.Samples[i])
			}
		}
		n := int(math.Round(c.Duration * mel.SampleRate))
		if float64(n)/mel.SampleRate != c.Duration {
			continue // no sound is that long
		}
		for i, got := range mel.ClipLimits(n, len(c.Samples)) {
			want := [2]int{min(c.Samples[i][0], n), min(c.Samples[i][1], n)}
			if got != want {
				t.Errorf("%d samples, clip %d: %v, want %v", n, i, got, want)
			}
		}
	}
}

package media

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestSoundGolden decodes every input that the golden's audio.json lists and checks rate, channels and length
// against it. The samples' values are compared where the golden has them: after resampling, in package mel.
func TestSoundGolden(t *testing.T) {
	root := os.Getenv("PREP_GOLDEN")
	if root == "" {
		root = filepath.Join("..", "..", "testdata", "golden")
	}
	dir := filepath.Join(root, "preprocess", "audio")
	b, err := os.ReadFile(filepath.Join(dir, "audio.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no golden at %s; set PREP_GOLDEN", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	var inputs []struct {
		File       string
		SampleRate int `json:"sample_rate"`
		Channels   int
		Samples    int
	}
	if err := json.Unmarshal(b, &inputs); err != nil || len(inputs) == 0 {
		t.Fatalf("%d inputs, %v", len(inputs), err)
	}
	for _, in := range inputs {
		t.Run(in.File, func(t *testing.T) {
			s := decode(t, filepath.Join(dir, in.File), Segment{})
			if s.SourceRate != in.SampleRate || s.SourceChannels != in.Channels || s.NumFrames() != in.Samples {
				t.Fatalf("%d Hz, %d channels, %d samples; want %d, %d, %d", s.SourceRate, s.SourceChannels, s.NumFrames(),
					in.SampleRate, in.Channels, in.Samples)
			}
		})
	}
}

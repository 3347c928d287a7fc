package media

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestVideoClipsGolden: clips start where the sampler that ImageBind pins puts five clips of a video.
func TestVideoClipsGolden(t *testing.T) {
	root := os.Getenv("PREP_GOLDEN")
	if root == "" {
		root = filepath.Join("..", "..", "testdata", "golden")
	}
	b, err := os.ReadFile(filepath.Join(root, "preprocess", "audio", "clip_times.json"))
	if err != nil {
		t.Fatalf("%v; set PREP_GOLDEN", err)
	}
	var rows []struct {
		Duration float64
		Clips    [][2]float64 `json:"video_5"`
	}
	if err := json.Unmarshal(b, &rows); err != nil || len(rows) == 0 {
		t.Fatalf("%d durations, %v", len(rows), err)
	}
	for _, row := range rows {
		for i, start := range clipStarts(row.Duration, len(row.Clips)) {
			if got, _ := start.Float64(); got != row.Clips[i][0] {
				t.Errorf("%v s: clip %d starts at %v, want %v", row.Duration, i, got, row.Clips[i][0])
			}
		}
	}
}

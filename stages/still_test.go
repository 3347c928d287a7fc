package stages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// AVIF and HEIC count among the files that need ffmpeg before a run; without it each costs a row, with it they
// are pictures like others, also under another name.
func TestPicturesThatNeedFFmpeg(t *testing.T) {
	v := newVideos(t)
	for from, to := range map[string]string{"plain.avif": "a.avif", "grid.heic": "b.HEIC", "plain.heic": "c.jpg"} {
		b, err := os.ReadFile(filepath.Join("../internal/media/picture/testdata/heif", from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(v.dir, to), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := MakePlan(t.Context(), v.dir, v.cfg, &media.Tools{}, false); fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "2 files need ffmpeg") {
		t.Errorf("without ffmpeg: %v", err)
	}
	for _, tools := range []*media.Tools{v.tools, {}} {
		plan, _, err := MakePlan(t.Context(), v.dir, v.cfg, tools, true)
		if err != nil {
			t.Fatal(err)
		}
		proc, err := NewProcessor(plan, "", v.cfg.Ingest, tools)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a.avif", "b.HEIC", "c.jpg"} {
			s := &sample.Sample{Key: name, Metrics: sample.Metrics{}}
			info, err := os.Stat(filepath.Join(v.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			s.Parts = []sample.Part{{Modality: sample.Image, Path: name, Size: info.Size()}}
			_, err = proc.Process(t.Context(), s)
			switch {
			case tools.FFmpeg == "":
				if fault.KindOf(err) != fault.Unsupported || fault.ReasonOf(err) != "needs_ffmpeg" || !strings.HasPrefix(err.Error(), name+": ") {
					t.Errorf("%s without ffmpeg: %v", name, err)
				}
			case err != nil:
				t.Errorf("%s: %v", name, err)
			case len(s.Tensors[sample.Image].Data) != 3*224*224 || s.Metrics["image_width"] != int64(150):
				t.Errorf("%s: %d bytes, metrics %v", name, len(s.Tensors[sample.Image].Data), s.Metrics)
			}
		}
	}
}

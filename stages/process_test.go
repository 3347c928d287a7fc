package stages

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// TestTooLargeAFile: up to the limit a file is read whole, beyond it is refused.
func TestTooLargeAFile(t *testing.T) {
	cfg, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Ingest.MaxFileMB = 1
	p := &Processor{Root: t.TempDir(), Config: cfg, Tools: &media.Tools{}}
	for _, size := range []int64{0, 5000, 1 << 20, 1<<20 + 1, 3 << 20} {
		want := bytes.Repeat([]byte("prep"), int(size+3)/4)[:size]
		if err := os.WriteFile(filepath.Join(p.Root, "x"), want, 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := p.readWhole(&sample.Part{Path: "x", Size: size})
		switch refused := size > 1<<20; {
		case refused && fault.ReasonOf(err) != "too_large":
			t.Errorf("%d bytes: %v", size, err)
		case !refused && (err != nil || !bytes.Equal(got, want)):
			t.Errorf("%d bytes: %d read, %v", size, len(got), err)
		}
	}
}

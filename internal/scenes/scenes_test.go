package scenes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prep/internal/random"
)

// What is held out is never trained on, nothing is lost, and every value and every two values of different
// attributes are met in training: what is new in a held-out scene is only how they come together.
func TestSplit(t *testing.T) {
	for seed := range uint64(5) {
		train, held := Split(seed, 216)
		if len(held) != 216 || len(train)+len(held) != len(All()) {
			t.Fatalf("seed %d: %d and %d of %d scenes", seed, len(train), len(held), len(All()))
		}
		seen := map[Scene]bool{}
		for _, s := range append(train, held...) {
			if seen[s] {
				t.Fatalf("seed %d: %v twice", seed, s)
			}
			seen[s] = true
		}
		values := func(s Scene) [4]int { return [4]int{s.Shape, s.Colour, s.Motion, s.Size} }
		met := map[[4]int]bool{}
		for _, s := range train {
			v := values(s)
			for a := range v {
				for b := range a {
					met[[4]int{a, v[a], b, v[b]}] = true
				}
			}
		}
		for _, s := range held {
			v := values(s)
			for a := range v {
				for b := range a {
					if !met[[4]int{a, v[a], b, v[b]}] {
						t.Errorf("seed %d: training lacks two values of %q", seed, s.Name())
					}
				}
			}
		}
	}
	a, _ := Split(0, 216)
	b, _ := Split(1, 216)
	if a[0] == b[0] && a[1] == b[1] && a[2] == b[2] {
		t.Error("the seed does not matter")
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range All() {
		if seen[s.Name()] || seen[s.key()] {
			t.Errorf("%q twice", s.Name())
		}
		seen[s.Name()], seen[s.key()] = true, true
	}
}

// read returns a folder's files by name.
func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWrite(t *testing.T) {
	write := func(seed uint64, take int) map[string][]byte {
		dir := filepath.Join(t.TempDir(), "scenes")
		if err := Write(context.Background(), dir, seed, All()[100:106], take); err != nil {
			t.Fatal(err)
		}
		return read(t, dir)
	}
	both := t.TempDir()
	if err := Write(context.Background(), both, 1, All()[100:106], 0, 1); err != nil {
		t.Fatal(err)
	}
	if n := len(read(t, both)); n != 2*6*5+1 {
		t.Errorf("%d files of two renditions, want ten of each scene and the manifest", n)
	}
	first, again, take, seed := write(1, 0), write(1, 0), write(1, 1), write(2, 0)
	if len(first) != 6*5+1 {
		t.Errorf("%d files, want five of each scene and the manifest", len(first))
	}
	for name, b := range first {
		if !bytes.Equal(b, again[name]) {
			t.Errorf("%s differs in two runs of one seed", name)
		}
		if name == manifestFile {
			continue
		}
		if bytes.Equal(b, seed[name]) {
			t.Errorf("%s is the same for another seed", name)
		}
		if other := strings.Replace(name, "-0.", "-1.", 1); bytes.Equal(b, take[other]) || take[other] == nil {
			t.Errorf("%s is the same in another rendition, or that is missing", name)
		}
	}
	lines := bufio.NewScanner(bytes.NewReader(first[manifestFile]))
	for i := 0; lines.Scan(); i++ {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		s := All()[100+i]
		for _, word := range []string{Shapes[s.Shape], Colours[s.Colour], Motions[s.Motion], Sizes[s.Size]} {
			if !strings.Contains(e.Caption, word) {
				t.Errorf("the caption %q does not say %q", e.Caption, word)
			}
		}
		for _, f := range []string{e.Image, e.Audio, e.Depth, e.Thermal, e.IMU} {
			if first[f] == nil {
				t.Errorf("the manifest names %s, which is not there", f)
			}
		}
		if len(e.Labels) != 1 || e.Labels[0] != s.Name() {
			t.Errorf("labels %v of %q", e.Labels, s.Name())
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Write(cancelled, t.TempDir(), 1, All(), 0); err == nil {
		t.Error("a cancelled context is not heeded")
	}
}

// Every shape lies inside the picture wherever it stands, and no two look alike.
func TestShapesFit(t *testing.T) {
	for _, s := range All() {
		if s.Colour != 0 || s.Size != len(Sizes)-1 {
			continue
		}
		r := render(s, random.New(3, "scene", 0, s.key()))
		area := 0.0
		for i, m := range r.mask {
			area += m
			if x, y := i%side, i/side; m > 0.5 && (x == 0 || y == 0 || x == side-1 || y == side-1) {
				t.Fatalf("%s is cut off", s.Name())
			}
		}
		if area < 0.2*r.radius*r.radius || area > 4*r.radius*r.radius {
			t.Errorf("%s covers %.0f pixels at a radius of %.0f", s.Name(), area, r.radius)
		}
	}
}

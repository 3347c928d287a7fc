// Package source finds out where the samples of a data set come from: it turns a tree of files, or a
// manifest, into a sorted list of samples with their parts. It opens lists (CSV, JSONL, Parquet), never
// media: what a medium holds is found out when the sample is read. Layouts are one file and one line in
// the registry below each.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// Options chooses and steers a layout.
type Options struct {
	Kind string // auto, audioset, pairs or manifest
	// Template makes a caption of labels: {labels} stands for all of them, {label} for the first.
	Template string
	// AllowOutside lets a manifest name files outside its own folder.
	AllowOutside bool
}

// Listing is a source's samples in a fixed order: by key.
type Listing struct {
	Kind string
	Root string // absolute path that the parts' paths are relative to
	// Samples have unique keys, which are valid UTF-8.
	Samples []sample.Sample
	// Notes tell a person what was passed over.
	Notes []string
}

// layout is one way in which people keep data sets.
type layout struct {
	kind string
	// finds reports whether a tree looks like this layout.
	finds func(*tree) bool
	list  func(context.Context, *tree, Options) (*Listing, error)
}

// layouts is the registry, in the order in which detection asks.
var layouts = []layout{
	{"audioset", findsAudioSet, listAudioSet},
	{"manifest", findsManifest, listManifest},
	{"pairs", findsPairs, listPairs},
}

// List lists the source at root, which is a folder, or a manifest file. Errors are input errors of one
// line that say what was looked for.
func List(ctx context.Context, root string, o Options) (*Listing, error) {
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Inputf("%s: no such file or folder", root)
	case err != nil:
		return nil, fault.Inputf("%s: %w", root, err)
	}
	var t *tree
	if info.IsDir() {
		if t, err = walk(ctx, root); err != nil {
			return nil, err
		}
		if len(t.files) == 0 {
			return nil, fault.Inputf("%s is empty: want media files, an AudioSet tree or a manifest", root)
		}
		if _, ok := t.files[".prep/plan.json"]; ok || t.prep {
			return nil, fault.Inputf("%s is an output of prep, not a source; give its source", root)
		}
	} else {
		t = &tree{root: filepath.Dir(root), manifest: filepath.Base(root), files: map[string]int64{filepath.Base(root): info.Size()}}
		if o.Kind == "auto" || o.Kind == "" {
			o.Kind = "manifest"
		}
	}
	var l *Listing
	for _, y := range layouts {
		if o.Kind == y.kind || (o.Kind == "auto" || o.Kind == "") && y.finds(t) {
			if l, err = y.list(ctx, t, o); err != nil {
				return nil, err
			}
			l.Kind = y.kind
			break
		}
	}
	if l == nil {
		return nil, fault.Inputf("%s holds %d files and none that can be read: want pictures, sounds, videos, .txt captions, AudioSet's *_segments.csv or a manifest (.jsonl, .csv, .tsv, .parquet)", root, len(t.files))
	}
	if len(l.Samples) == 0 {
		return nil, fault.Inputf("%s lists no samples as %s", root, l.Kind)
	}
	l.Root = t.root
	finish(l)
	return l, nil
}

// finish sorts and makes keys valid and unique. A repeated key stays in the list as a failed sample, so
// that it is counted.
func finish(l *Listing) {
	for i := range l.Samples {
		if s := &l.Samples[i]; !utf8.ValidString(s.Key) {
			s.Key = strings.ToValidUTF8(s.Key, "�")
			l.Notes = append(l.Notes, fmt.Sprintf("the name of %q is not UTF-8; its key is %q", s.Paths(), s.Key))
		}
	}
	slices.SortStableFunc(l.Samples, func(a, b sample.Sample) int { return strings.Compare(a.Key, b.Key) })
	used := make(map[string]bool, len(l.Samples))
	for i := range l.Samples {
		used[l.Samples[i].Key] = true
	}
	for i := 1; i < len(l.Samples); i++ {
		s := &l.Samples[i]
		first := l.Samples[i-1].Key
		if j := i - 1; l.Samples[j].Problem == "duplicate_key" {
			first, _, _ = strings.Cut(first, "#")
		}
		if s.Key != first {
			continue
		}
		s.Problem, s.ProblemDetail = "duplicate_key", fmt.Sprintf("the key %q is listed more than once; the first one counts", s.Key)
		for n := 2; ; n++ {
			if k := fmt.Sprintf("%s#%d", s.Key, n); !used[k] {
				s.Key, used[k] = k, true
				break
			}
		}
	}
}

// tree is a walked folder.
type tree struct {
	root     string
	manifest string // set when the source is a single file
	prep     bool
	files    map[string]int64 // slash-separated relative path -> size
}

// sorted lists the files in order.
func (t *tree) sorted() []string {
	names := make([]string, 0, len(t.files))
	for n := range t.files {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// walk lists the regular files below root. Hidden files and folders are passed over; links are followed
// where they stay inside the root.
func walk(ctx context.Context, root string) (*tree, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, fault.Inputf("%s: %w", root, err)
	}
	t := &tree{root: real, files: map[string]int64{}}
	seen := map[string]bool{real: true}
	var visit func(rel string) error
	visit = func(rel string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := os.ReadDir(filepath.Join(real, filepath.FromSlash(rel)))
		if err != nil {
			return fault.Inputf("cannot list %s: %w", filepath.Join(root, filepath.FromSlash(rel)), err)
		}
		for _, e := range entries {
			name := path.Join(rel, e.Name())
			if strings.HasPrefix(e.Name(), ".") || e.Name() == "__MACOSX" {
				if rel == "" && e.Name() == ".prep" && e.IsDir() {
					t.prep = true
				}
				continue
			}
			full := filepath.Join(real, filepath.FromSlash(name))
			if e.Type()&fs.ModeSymlink != 0 {
				target, err := filepath.EvalSymlinks(full)
				if err != nil || !inside(real, target) {
					continue
				}
			}
			info, err := os.Stat(full)
			if err != nil {
				continue // gone, or a link to nothing
			}
			switch {
			case info.IsDir():
				target, err := filepath.EvalSymlinks(full)
				if err != nil || seen[target] {
					continue
				}
				seen[target] = true
				if err := visit(name); err != nil {
					return err
				}
			case info.Mode().IsRegular():
				t.files[name] = info.Size()
			}
		}
		return nil
	}
	return t, visit("")
}

// inside reports whether path lies in root; both are clean and absolute.
func inside(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// add appends a part for a listed file, in the order of the modalities.
func add(s *sample.Sample, p sample.Part) {
	i, _ := slices.BinarySearchFunc(s.Parts, p.Modality, func(q sample.Part, m sample.Modality) int { return int(q.Modality) - int(m) })
	s.Parts = slices.Insert(s.Parts, i, p)
}

// stem splits "a/b.c.wav" into "a/b.c" and ".wav"; the extension only if it is a medium's.
func stem(name string) (string, sample.Modality, bool) {
	m, ok := media.ModalityOf(name)
	if !ok {
		return name, 0, false
	}
	return strings.TrimSuffix(name, path.Ext(name)), m, true
}

// caption fills the template.
func caption(template string, labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	return strings.NewReplacer("{labels}", strings.Join(labels, ", "), "{label}", labels[0]).Replace(template)
}

// Package source finds out where the samples of a data set come from: it turns a tree of files, or a
// manifest, into a sorted list of samples with their parts. It opens lists (CSV, JSONL, Parquet), never
// media: what a medium holds is found out when the sample is read. A layout is one file and one line in
// the registry below.
//
// What holds for every layout: the listing depends on names, sizes and lists alone, not on the order in
// which a file system gives its entries; keys are unique and valid UTF-8; hidden files and folders are
// passed over; links are followed inside the root only; nothing that is listed is lost: what cannot be a
// sample is a sample with a Problem, and media that no list names are counted in a note.
//
// Segments: parts carry Start and End as their list states them, also where the file's name says that it
// has been cut already. Which of the two it is decides the reader, from the duration: a file that lasts
// about End-Start is the segment, a longer one is the whole recording and is cut.
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
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// Options chooses and steers a layout.
type Options struct {
	Kind string // auto (or empty), or one of Kinds
	// Templates make captions of labels: {labels} stands for all of them; one with {label} makes a caption of
	// each.
	Templates []string
	// SceneTemplate does so of SUN RGB-D's scenes.
	SceneTemplate string
	// SUNDepth is the depth of SUN RGB-D that is preferred: depth_bfx (or empty), or depth.
	SUNDepth string
	// AllowOutside lets a manifest name files outside its own folder, and links lead there.
	AllowOutside bool
	// FolderLabels makes the folder that a file of pairs lies in its label.
	FolderLabels bool
}

// Listing is a source's samples in a fixed order: by key, as bytes compare.
type Listing struct {
	Kind string
	Root string // absolute path that the parts' paths are relative to
	// Samples have unique keys, which are valid UTF-8, as their parts' paths are.
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
	{"ego4d", findsEgo4D, listEgo4D}, // before manifests: its own folders hold a manifest.csv of something else
	{"manifest", findsManifest, listManifest},
	{"sunrgbd", findsSUNRGBD, listSUNRGBD},
	{"llvip", findsLLVIP, listLLVIP},
	{"pairs", findsPairs, listPairs},
}

// Kinds lists the layouts by name.
func Kinds() []string {
	var out []string
	for _, y := range layouts {
		out = append(out, y.kind)
	}
	return out
}

// List lists the source at root: a folder, a manifest file, or one list of an AudioSet tree. Errors are of
// kind Input, one line that says what was looked for; a list's errors name file and line.
func List(ctx context.Context, root string, o Options) (*Listing, error) {
	l, err := list(ctx, root, o)
	var f *fault.Error
	if errors.As(err, &f) { // names and cells of lists may hold anything
		return nil, &fault.Error{Kind: f.Kind, Reason: f.Reason, Detail: oneLine(f.Detail), Err: err}
	}
	return l, err
}

// oneLine writes control characters as Go does.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range escape(s) {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func list(ctx context.Context, root string, o Options) (*Listing, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fault.Inputf("%s: %w", root, err)
	}
	if o.Kind == "auto" {
		o.Kind = ""
	}
	if o.Kind != "" && !slices.Contains(Kinds(), o.Kind) {
		return nil, fault.Usagef("no source layout %q (have auto, %s)", o.Kind, strings.Join(Kinds(), ", "))
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Inputf("%s: no such file or folder", root)
	case err != nil:
		return nil, fault.Inputf("%s: %w", root, err)
	case info.IsDir():
	case !info.Mode().IsRegular():
		return nil, fault.Inputf("%s is neither a folder nor a file", root)
	}
	t, err := openTree(ctx, root, abs, info, &o)
	if err != nil {
		return nil, err
	}
	for _, y := range layouts {
		if o.Kind != y.kind && (o.Kind != "" || !y.finds(t)) {
			continue
		}
		l, err := y.list(ctx, t, o)
		if err != nil {
			return nil, err
		}
		l.Kind, l.Root = y.kind, t.root
		if len(l.Samples) == 0 {
			return nil, fault.Inputf("%s lists no samples as %s", root, l.Kind)
		}
		l.Notes = append(t.notes, l.Notes...)
		finish(l)
		return l, nil
	}
	if i := slices.IndexFunc(t.files, func(f treeFile) bool { return isHDF5(f.name) }); i >= 0 {
		return nil, fault.Inputf("%s holds %d files and none that can be read (%s): HDF5 and MATLAB, as %s by its name, are not; a few lines of Python make a tree of their maps and pictures (docs/modalities.md, Depth, has NYU's)",
			root, len(t.files), t.kinds(), t.files[i].name)
	}
	return nil, fault.Inputf("%s holds %d files and none that can be read (%s): want pictures, sounds, videos, .txt captions, AudioSet's *_segments.csv or a manifest (%s)",
		root, len(t.files), t.kinds(), strings.Join(manifestNames[:4], ", "))
}

// isHDF5 reports whether a file is HDF5 or MATLAB's by its name: one file of all of a data set's maps.
func isHDF5(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".mat", ".h5", ".hdf5":
		return true
	}
	return false
}

// openTree walks a folder, or stands for the one file that was given.
func openTree(ctx context.Context, root, abs string, info fs.FileInfo, o *Options) (*tree, error) {
	if info.IsDir() {
		t, err := walk(ctx, root, o.AllowOutside, os.ReadDir)
		if err != nil {
			return nil, err
		}
		if len(t.files) == 0 {
			return nil, fault.Inputf("%s is empty: want media files, an AudioSet tree or a manifest", root)
		}
		return t, nil
	}
	base := filepath.Base(abs)
	if isSegmentList(base) && (o.Kind == "" || o.Kind == "audioset") {
		o.Kind = "audioset"
		t, err := walk(ctx, filepath.Dir(abs), o.AllowOutside, os.ReadDir)
		if err != nil {
			return nil, err
		}
		t.only = base
		return t, nil
	}
	if isHDF5(base) {
		return nil, fault.Inputf("%s is HDF5 or MATLAB by its name, which is not read; a few lines of Python make a tree of its maps and pictures (docs/modalities.md, Depth, has NYU's)", root)
	}
	if !isManifestName(base) {
		return nil, fault.Inputf("%s is a single file: want a folder, or a manifest (.jsonl, .csv, .tsv, .parquet)", root)
	}
	if o.Kind != "" && o.Kind != "manifest" {
		return nil, fault.Inputf("%s is a single file: the layout %s wants a folder", root, o.Kind)
	}
	o.Kind = "manifest"
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return nil, fault.Inputf("%s: %w", root, err)
	}
	return &tree{given: filepath.Dir(abs), root: dir, only: base, files: []treeFile{{base, info.Size()}}}, nil
}

// finish makes keys valid, unique and sorted. A repeated key stays in the list as a failed sample, so that
// it is counted; so does a sample whose file has a name that is no UTF-8, which a listing cannot hold.
func finish(l *Listing) {
	var renamed, repeated tally
	for i := range l.Samples {
		s := &l.Samples[i]
		if !utf8.ValidString(s.Key) {
			s.Key = escape(s.Key)
			renamed.add(s.Key)
		}
		for j := range s.Parts {
			for _, name := range []*string{&s.Parts[j].Path, &s.Parts[j].Gyro} {
				if utf8.ValidString(*name) {
					continue
				}
				*name = escape(*name)
				if s.Problem == "" {
					s.Problem, s.ProblemDetail = "invalid_name", fmt.Sprintf("the file name %s is not UTF-8; rename the file", *name)
				}
			}
		}
	}
	byKey := func(a, b sample.Sample) int { return strings.Compare(a.Key, b.Key) }
	if !slices.IsSortedFunc(l.Samples, byKey) { // a sample is some 600 bytes: the layouts list in order where they can
		slices.SortStableFunc(l.Samples, byKey)
	}
	var again []int
	for i := 1; i < len(l.Samples); i++ {
		if l.Samples[i].Key == l.Samples[i-1].Key {
			again = append(again, i)
		}
	}
	if len(again) > 0 {
		used := make(map[string]bool, len(l.Samples))
		for i := range l.Samples {
			used[l.Samples[i].Key] = true
		}
		next := map[string]int{}
		for _, i := range again {
			s := &l.Samples[i]
			key := s.Key
			repeated.add(key)
			if s.Problem == "" {
				s.Problem, s.ProblemDetail = "duplicate_key", fmt.Sprintf("the key %q is listed more than once; the first one counts", key)
			}
			s.Key = another(key, used, next)
		}
		slices.SortStableFunc(l.Samples, byKey)
	}
	if renamed.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s not UTF-8; the bytes that are not stand in their keys as \\xNN: %s", renamed.count("name is", "names are"), renamed))
	}
	if repeated.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s listed more than once; all but the first fail: %s", repeated.count("key is", "keys are"), repeated))
	}
}

// another finds the first free key among key#2, key#3 and so on. next remembers where to go on.
func another(key string, used map[string]bool, next map[string]int) string {
	for n := max(next[key], 2); ; n++ {
		if k := fmt.Sprintf("%s#%d", key, n); !used[k] {
			used[k], next[key] = true, n+1
			return k
		}
	}
}

// escape writes bytes that are no UTF-8 as \xNN, as the ledger does (docs/format.md).
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// tally counts what a note tells of and keeps the first few.
type tally struct {
	n     int
	first []string
}

func (t *tally) add(what string) {
	t.n++
	if len(t.first) < 3 {
		t.first = append(t.first, what)
	}
}

// String lists the first few, quoted where they hold anything odd.
func (t tally) String() string {
	var b strings.Builder
	for i, f := range t.first {
		if i > 0 {
			b.WriteString(", ")
		}
		if strings.ContainsFunc(f, func(r rune) bool { return r < ' ' || r == utf8.RuneError || r == '"' }) {
			f = fmt.Sprintf("%q", f)
		}
		b.WriteString(f)
	}
	if t.n > len(t.first) {
		b.WriteString(", …")
	}
	return b.String()
}

// count writes the number before its noun.
func (t tally) count(one, many string) string {
	if t.n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", t.n, many)
}

// add puts a part in its place, in the order of the modalities.
func add(s *sample.Sample, p sample.Part) {
	i, _ := slices.BinarySearchFunc(s.Parts, p.Modality, func(q sample.Part, m sample.Modality) int { return int(q.Modality) - int(m) })
	s.Parts = slices.Insert(s.Parts, i, p)
}

// addVideoSound makes a video the sample's sound as well, where no sound of its own is there.
func addVideoSound(s *sample.Sample) {
	if v := s.Part(sample.Video); v != nil && s.Part(sample.Audio) == nil {
		p := *v
		p.Modality = sample.Audio
		add(s, p)
	}
}

// stem splits the extension off "a/b.c.wav", if it is a medium's, and tells which.
func stem(name string) (string, sample.Modality, bool) {
	m, ok := media.ModalityOf(name)
	if !ok {
		return name, 0, false
	}
	return strings.TrimSuffix(name, path.Ext(name)), m, true
}

// MaxCaptions is how many captions a sample has at most; further ones are left out.
const MaxCaptions = 64

// captionsOf fills the templates; no labels make no caption.
func captionsOf(templates, labels []string) (texts []string) {
	for _, t := range templates {
		for i, label := range labels {
			texts = append(texts, strings.NewReplacer("{labels}", strings.Join(labels, ", "), "{label}", label).Replace(t))
			if !strings.Contains(t, "{label}") || i == MaxCaptions {
				break
			}
		}
	}
	return texts
}

// addTexts makes texts the captions of a sample that has none, each once.
func addTexts(s *sample.Sample, texts []string) {
	if s.Part(sample.Text) != nil {
		return
	}
	var once []string
	for _, t := range texts {
		if t != "" && !slices.Contains(once, t) && len(once) < MaxCaptions {
			once = append(once, t)
		}
	}
	if len(once) > 0 {
		p := sample.Part{Modality: sample.Text, Text: once[0]}
		if len(once) > 1 {
			p.Texts = once[1:]
		}
		add(s, p)
	}
}

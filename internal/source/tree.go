package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"prep/internal/fault"
)

// treeFile is a regular file of a tree.
type treeFile struct {
	name string // slash-separated, relative to the root
	size int64
}

// tree is a walked folder.
type tree struct {
	given string     // the root as the user names it, for messages
	root  string     // absolute, links resolved
	only  string     // set when the source is a single list of the folder
	files []treeFile // sorted by name
	notes []string
}

// size finds a file by name.
func (t *tree) size(name string) (int64, bool) {
	i, ok := slices.BinarySearchFunc(t.files, name, func(f treeFile, n string) int { return strings.Compare(f.name, n) })
	if !ok {
		return 0, false
	}
	return t.files[i].size, true
}

// kinds counts the files by extension, the most frequent first, for messages.
func (t *tree) kinds() string {
	count := map[string]int{}
	for _, f := range t.files {
		count[strings.ToLower(path.Ext(f.name))]++
	}
	return countsByExtension(count)
}

func countsByExtension(count map[string]int) string {
	names := make([]string, 0, len(count))
	for n := range count {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	var b strings.Builder
	for i, n := range names {
		if i == 5 {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		shown := escape(n)
		if n == "" {
			shown = "without extension"
		}
		fmt.Fprintf(&b, "%d %s", count[n], shown)
	}
	return b.String()
}

// open opens a list of the tree.
func (t *tree) open(name string) (*os.File, error) {
	f, err := os.Open(filepath.Join(t.root, filepath.FromSlash(name)))
	if err != nil {
		return nil, fault.Inputf("%s: %w", name, err)
	}
	return f, nil
}

// passedOver are folders that systems leave behind and nobody means; so are all whose name begins with a dot.
var passedOver = map[string]bool{
	"__MACOSX": true, "@eaDir": true, "lost+found": true, "$RECYCLE.BIN": true, "System Volume Information": true,
}

// walker collects a tree.
type walker struct {
	ctx          context.Context
	readDir      func(string) ([]fs.DirEntry, error)
	allowOutside bool
	tree         *tree
	seen         map[string]bool // folders listed, by their real path
	links        []string        // links to folders, to follow when the folders themselves are listed
	outside      tally
	broken       tally
	special      tally
}

// walk lists the regular files below root. Hidden files and folders are passed over, and folders that are
// an output of prep. Links to files are followed where they stay inside the root; a folder that a link
// leads to is listed under its own name, or under the link's if it would not be listed otherwise: no
// folder counts twice, so that a loop of links ends. An unreadable folder is an error.
func walk(ctx context.Context, root string, allowOutside bool, readDir func(string) ([]fs.DirEntry, error)) (*tree, error) {
	real, err := filepath.EvalSymlinks(root)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return nil, fault.Inputf("%s: %w", root, err)
	}
	w := &walker{ctx: ctx, readDir: readDir, allowOutside: allowOutside, tree: &tree{given: root, root: real}, seen: map[string]bool{real: true}}
	if err := w.visit("", real); err != nil {
		return nil, err
	}
	for len(w.links) > 0 {
		slices.Sort(w.links)
		name := w.links[0]
		w.links = w.links[1:]
		target, err := filepath.EvalSymlinks(filepath.Join(real, filepath.FromSlash(name)))
		if err != nil || w.seen[target] {
			continue
		}
		w.seen[target] = true
		if err := w.visit(name, target); err != nil {
			return nil, err
		}
	}
	t := w.tree
	slices.SortFunc(t.files, func(a, b treeFile) int { return strings.Compare(a.name, b.name) })
	if w.outside.n > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%s out of the folder, passed over (source.allow_outside follows them): %s", w.outside.count("link leads", "links lead"), w.outside))
	}
	if w.broken.n > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%s to nothing: %s", w.broken.count("link leads", "links lead"), w.broken))
	}
	if w.special.n > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%s no regular file, passed over: %s", w.special.count("entry is", "entries are"), w.special))
	}
	return t, nil
}

// visit lists the folder rel, whose real path is real.
func (w *walker) visit(rel, real string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	shown := filepath.Join(w.tree.given, filepath.FromSlash(rel))
	entries, err := w.readDir(real)
	if err != nil {
		return fault.Inputf("%s: cannot list this folder: %w", shown, cause(err))
	}
	if isOutput(real, entries) {
		if rel == "" {
			return fault.Inputf("%s is an output of prep, not a source; give the folder that it was made from", shown)
		}
		return nil
	}
	for _, e := range entries {
		base := e.Name()
		if strings.HasPrefix(base, ".") || passedOver[base] {
			continue
		}
		name, full := path.Join(rel, base), filepath.Join(real, base)
		switch {
		case e.IsDir():
			if w.seen[full] { // reached by a link before
				continue
			}
			w.seen[full] = true
			if err := w.visit(name, full); err != nil {
				return err
			}
		case e.Type()&fs.ModeSymlink != 0:
			if err := w.follow(name, full); err != nil {
				return err
			}
		case e.Type().IsRegular():
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // gone since
			}
			if err != nil {
				return fault.Inputf("%s: %w", filepath.Join(w.tree.given, filepath.FromSlash(name)), cause(err))
			}
			w.tree.files = append(w.tree.files, treeFile{name, info.Size()})
		default:
			w.special.add(name)
		}
	}
	return nil
}

// follow looks at what a link leads to.
func (w *walker) follow(name, full string) error {
	target, err := filepath.EvalSymlinks(full)
	if err != nil {
		w.broken.add(name) // or a link to itself, or into a folder that may not be entered
		return nil
	}
	if !inside(w.tree.root, target) && !w.allowOutside {
		w.outside.add(name)
		return nil
	}
	info, err := os.Stat(target)
	switch {
	case err != nil:
		w.broken.add(name)
	case info.IsDir():
		w.links = append(w.links, name)
	case info.Mode().IsRegular():
		w.tree.files = append(w.tree.files, treeFile{name, info.Size()})
	default:
		w.special.add(name)
	}
	return nil
}

// isOutput reports whether a folder was written by prep ingest.
func isOutput(real string, entries []fs.DirEntry) bool {
	manifest := false
	for _, e := range entries {
		switch {
		case e.Name() == ".prep" && e.IsDir():
			return true
		case e.Name() == "manifest.json" && e.Type().IsRegular():
			manifest = true
		}
	}
	if !manifest {
		return false
	}
	f, err := os.Open(filepath.Join(real, "manifest.json"))
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 512) // format_version is its first member (docs/format.md)
	n, _ := io.ReadFull(f, head)
	return bytes.Contains(head[:n], []byte(`"format_version"`))
}

// inside reports whether path lies in root; both are clean and absolute.
func inside(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// cause takes the path out of a file system's error, for messages that name it themselves.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

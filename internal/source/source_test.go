package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"prep/internal/fault"
	"prep/internal/sample"
)

// grow makes a tree of a txtar archive. A file that is to be a medium holds what its line says, for media
// are never opened here.
func grow(t testing.TB, archive string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		put(t, root, f.Name, string(f.Data))
	}
	return root
}

func put(t testing.TB, root, name, data string) {
	t.Helper()
	full := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

// touch makes media files of one byte each.
func touch(t testing.TB, root string, names ...string) {
	t.Helper()
	for _, n := range names {
		put(t, root, n, "x")
	}
}

var sound = Options{Templates: []string{"a sound of {labels}"}}

func mustList(t testing.TB, root string, o Options) *Listing {
	t.Helper()
	l, err := List(context.Background(), root, o)
	if err != nil {
		t.Fatal(err)
	}
	check(t, l)
	return l
}

// check holds what is true of every listing.
func check(t testing.TB, l *Listing) {
	t.Helper()
	for i, s := range l.Samples {
		if i > 0 && l.Samples[i-1].Key >= s.Key {
			t.Errorf("keys %q and %q are not in order", l.Samples[i-1].Key, s.Key)
		}
		if s.Key == "" || !utf8.ValidString(s.Key) {
			t.Errorf("key %q", s.Key)
		}
		if len(s.Parts) == 0 && s.Problem == "" {
			t.Errorf("%s has no part and no problem", s.Key)
		}
		if (s.Problem == "") != (s.ProblemDetail == "") {
			t.Errorf("%s: problem %q, detail %q", s.Key, s.Problem, s.ProblemDetail)
		}
		for j, p := range s.Parts {
			if j > 0 && s.Parts[j-1].Modality >= p.Modality {
				t.Errorf("%s: parts are not in the order of modalities", s.Key)
			}
			if !utf8.ValidString(p.Path) || !utf8.ValidString(p.Gyro) || !utf8.ValidString(p.Text) {
				t.Errorf("%s: part is not UTF-8: %q %q %q", s.Key, p.Path, p.Gyro, p.Text)
			}
			if p.Gyro != "" && (p.Modality != sample.IMU || p.Path == "" || p.Path == p.Gyro) {
				t.Errorf("%s: a gyroscope's file of its own: %+v", s.Key, p)
			}
			if (p.Path == "") == (p.Text == "") {
				t.Errorf("%s: a part has either path or text: %+v", s.Key, p)
			}
		}
	}
}

// show draws a listing: a line for each sample, then the notes.
func show(l *Listing) string {
	var b strings.Builder
	for _, s := range l.Samples {
		b.WriteString(s.Key)
		if len(s.Labels) > 0 {
			fmt.Fprintf(&b, " [%s]", strings.Join(s.Labels, "; "))
		}
		for _, p := range s.Parts {
			if p.Path == "" {
				fmt.Fprintf(&b, " %s=%q", p.Modality, p.Text)
				for _, t := range p.Texts {
					fmt.Fprintf(&b, "+%q", t)
				}
				continue
			}
			fmt.Fprintf(&b, " %s=%s", p.Modality, p.Path)
			if p.Start != 0 || p.End != 0 {
				fmt.Fprintf(&b, "@%g-%g", p.Start, p.End)
			}
		}
		if s.SyncOffset != nil {
			fmt.Fprintf(&b, " sync=%g", *s.SyncOffset)
		}
		if s.Problem != "" {
			b.WriteString(" !" + s.Problem)
		}
		b.WriteByte('\n')
	}
	for _, n := range l.Notes {
		b.WriteString("# " + n + "\n")
	}
	return b.String()
}

func expect(t testing.TB, l *Listing, want string) {
	t.Helper()
	want = strings.TrimLeft(want, "\n")
	if got := show(l); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// wantInput checks that an error is one clear line of kind Input that holds all the words.
func wantInput(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want one with %q", words)
		return
	}
	if fault.KindOf(err) != fault.Input {
		t.Errorf("%v is of kind %v", err, fault.KindOf(err))
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has more than one line", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q lacks %q", err, w)
		}
	}
}

func TestNothingUsable(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "one.wav", "notes/readme.md", "notes/data.bin", "notes/more.md", "hidden/.x.wav", "hidden/.git/a.wav", "text/README.txt")
	for _, c := range []struct {
		path, kind string
		words      []string
	}{
		{"nowhere", "", []string{"nowhere", "no such file or folder"}},
		{"hidden", "", []string{"hidden is empty"}},
		{"notes", "", []string{"notes holds 3 files", "2 .md, 1 .bin", "want pictures", "_segments.csv", "manifest.jsonl"}},
		{"notes", "pairs", []string{"no picture, sound, video or caption", ".jpg", ".txt"}},
		{"notes", "audioset", []string{"no *_segments.csv"}},
		{"notes", "manifest", []string{"no manifest", "manifest.jsonl"}},
		{"one.wav", "", []string{"one.wav is a single file"}},
		{"text", "", []string{"no picture, sound, video or caption"}},
		{"/dev/null", "", []string{"neither a folder nor a file"}},
	} {
		p := c.path
		if !filepath.IsAbs(p) {
			p = filepath.Join(root, p)
		}
		_, err := List(context.Background(), p, Options{Kind: c.kind})
		wantInput(t, err, c.words...)
	}
	if _, err := List(context.Background(), root, Options{Kind: "webdataset"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("a layout that does not exist: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "a.wav")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := List(ctx, root, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOutputIsNoSource(t *testing.T) {
	for _, archive := range []string{
		"-- manifest.json --\n{\n \"format_version\": 1,\n \"tool\": \"prep\"\n}\n-- shard-000000.arrow --\nx\n-- a.wav --\nx\n",
		"-- .prep/plan.json --\n{}\n-- a.wav --\nx\n",
	} {
		_, err := List(context.Background(), grow(t, archive), Options{})
		wantInput(t, err, "is an output of prep")
	}
	// A manifest.json of somebody else is just a file; an output inside a source is passed over.
	l := mustList(t, grow(t, `
-- manifest.json --
{"name": "my app"}
-- a.wav --
x
-- shards/.prep/plan.json --
{}
-- shards/a.png --
x
`), Options{})
	expect(t, l, `
a audio=a.wav
# 1 file is of a kind that is not read and passed over: 1 .json
`)
}

func TestHiddenAndStrayFolders(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "a.wav", ".b.wav", "._a.jpg", ".git/c.wav", "__MACOSX/a.jpg", "@eaDir/a.jpg", "d/.DS_Store", "d/e.wav")
	expect(t, mustList(t, root, Options{}), `
a audio=a.wav
d/e audio=d/e.wav
`)
}

func TestLinks(t *testing.T) {
	outer := t.TempDir()
	root := filepath.Join(outer, "set")
	touch(t, root, "real/a.wav", ".cache/h.wav", "z/b.wav")
	touch(t, outer, "elsewhere/secret.wav")
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("real/a.wav", "b.wav") // a file inside
	link("real", "aaa")         // a folder inside: listed once, as itself
	link(".cache", "cache")     // a folder that is hidden: listed as the link
	link("..", "real/up")       // a loop
	link(".", "self")           // another
	link("loop2", "loop1")      // to each other
	link("loop1", "loop2")      //
	link("gone", "broken.wav")  // to nothing
	link("../elsewhere", "out") // a folder outside
	link("../elsewhere/secret.wav", "out.wav")
	link("/dev/null", "null.wav")
	expect(t, mustList(t, root, Options{}), `
b audio=b.wav
cache/h audio=cache/h.wav
real/a audio=real/a.wav
z/b audio=z/b.wav
# 3 links lead out of the folder, passed over (source.allow_outside follows them): null.wav, out, out.wav
# 3 links lead to nothing: broken.wav, loop1, loop2
`)
	expect(t, mustList(t, root, Options{AllowOutside: true}), `
b audio=b.wav
cache/h audio=cache/h.wav
out audio=out.wav
out/secret audio=out/secret.wav
real/a audio=real/a.wav
z/b audio=z/b.wav
# 3 links lead to nothing: broken.wav, loop1, loop2
# 1 entry is no regular file, passed over: null.wav
`)
	// The root itself may be reached by a link.
	if err := os.Symlink("set", filepath.Join(outer, "named")); err != nil {
		t.Fatal(err)
	}
	l := mustList(t, filepath.Join(outer, "named"), Options{})
	if want, _ := filepath.EvalSymlinks(root); l.Root != want || len(l.Samples) != 4 {
		t.Errorf("root %s, want %s; %d samples", l.Root, want, len(l.Samples))
	}
}

// An unreadable folder cannot be made by a test that runs as root, so that the walk is given another ReadDir.
func TestUnreadableFolder(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "ok/a.wav", "locked/b.wav")
	_, err := walk(context.Background(), root, false, func(dir string) ([]fs.DirEntry, error) {
		if filepath.Base(dir) == "locked" {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrPermission}
		}
		return os.ReadDir(dir)
	})
	wantInput(t, err, filepath.Join(root, "locked"), "cannot list this folder", "permission")
}

// The order in which a file system gives its entries changes nothing.
func TestOrderOfEntries(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "b/x.jpg", "a/x.jpg", "a/x.png", "images/q.jpg", "frames/q.jpg", "audio/q.wav", "é.wav", "Z.wav", "a-b.wav", "a/b.wav")
	if err := os.Symlink("a", filepath.Join(root, "link1")); err != nil {
		t.Fatal(err)
	}
	backwards := func(dir string) ([]fs.DirEntry, error) {
		e, err := os.ReadDir(dir)
		slices.Reverse(e)
		return e, err
	}
	var trees [2]*tree
	for i, read := range []func(string) ([]fs.DirEntry, error){os.ReadDir, backwards} {
		var err error
		if trees[i], err = walk(context.Background(), root, false, read); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(trees[0].files, trees[1].files) || !slices.Equal(trees[0].notes, trees[1].notes) {
		t.Errorf("%v\n%v", trees[0], trees[1])
	}
}

func TestOddNames(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "a b.wav", "new\nline.wav", `"quoted".wav`, "caf\xe9.wav", "caf\xe9.jpg", `caf\xe9.wav`, "UPPER.WAV", "-rf.wav", "日本.wav",
		"e\u0301.wav", "\u00e9.jpg") // é in two characters and in one
	l := mustList(t, root, Options{})
	var keys []string
	for _, s := range l.Samples {
		keys = append(keys, s.Key)
	}
	want := []string{`"quoted"`, "-rf", "UPPER", "a b", `caf\xe9`, `caf\xe9#2`, "new\nline", "é", "日本"}
	if !slices.Equal(keys, want) {
		t.Errorf("got  %q\nwant %q", keys, want)
	}
	for _, s := range l.Samples {
		switch s.Key {
		case "é":
			if len(s.Parts) != 2 {
				t.Error("letters of one and of two characters do not meet")
			}
		case `caf\xe9#2`: // the one whose name cannot be stored; the other is called so
			if s.Problem != "invalid_name" || len(s.Parts) != 2 {
				t.Errorf("%s: %q, %d parts", s.Key, s.Problem, len(s.Parts))
			}
		default:
			if s.Problem != "" {
				t.Errorf("%q: %s", s.Key, s.ProblemDetail)
			}
		}
	}
	if !strings.Contains(strings.Join(l.Notes, "\n"), "not UTF-8") {
		t.Errorf("no note of it: %q", l.Notes)
	}
}

func TestSizes(t *testing.T) {
	root := t.TempDir()
	put(t, root, "a.wav", "12345")
	put(t, root, "b.wav", "")
	if err := os.Symlink("a.wav", filepath.Join(root, "c.wav")); err != nil {
		t.Fatal(err)
	}
	l := mustList(t, root, Options{})
	for i, want := range []int64{5, 0, 5} {
		if p := l.Samples[i].Parts[0]; p.Size != want {
			t.Errorf("%s: %d bytes, want %d", p.Path, p.Size, want)
		}
	}
}

func TestFinishKeepsRepeatedKeys(t *testing.T) {
	l := &Listing{}
	for _, k := range []string{"b", "a", "a#2", "a", "a!", "a", "c"} {
		l.Samples = append(l.Samples, sample.Sample{Key: k, Parts: []sample.Part{{Modality: sample.Text, Text: k}}})
	}
	finish(l)
	check(t, l)
	expect(t, l, `
a text="a"
a! text="a!"
a#2 text="a#2"
a#3 text="a" !duplicate_key
a#4 text="a" !duplicate_key
b text="b"
c text="c"
# 2 keys are listed more than once; all but the first fail: a, a
`)
}

func TestCaptionsOfLabels(t *testing.T) {
	two := []string{"Speech", "Dog"}
	for _, c := range []struct {
		templates, labels, want []string
	}{
		{[]string{"a sound of {labels}"}, two, []string{"a sound of Speech, Dog"}},
		{[]string{"a sound of {label}"}, two, []string{"a sound of Speech", "a sound of Dog"}},
		{[]string{"{label}", "the {labels}", "the {labels}"}, two, []string{"Speech", "Dog", "the Speech, Dog"}},
		{[]string{"{label} among {labels}"}, two, []string{"Speech among Speech, Dog", "Dog among Speech, Dog"}},
		{[]string{"{label}"}, []string{"a {label}"}, []string{"a {label}"}}, // what a label holds is text
		{[]string{"a {labels}"}, nil, nil},
		{nil, two, nil},
	} {
		var s sample.Sample
		addTexts(&s, captionsOf(c.templates, c.labels))
		var got []string
		if p := s.Part(sample.Text); p != nil {
			got = append([]string{p.Text}, p.Texts...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q of %q: %q, want %q", c.templates, c.labels, got, c.want)
		}
	}
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	var s sample.Sample
	addTexts(&s, captionsOf([]string{"{label}", "x{label}"}, many))
	if n := 1 + len(s.Parts[0].Texts); n != MaxCaptions {
		t.Errorf("%d captions", n)
	}
}

func TestManifestCaptionLists(t *testing.T) {
	root := grow(t, `
-- manifest.jsonl --
{"image": "a.jpg", "captions": ["a dog", "one dog", "", "a dog", "the dog"]}
{"image": "b.jpg", "caption": "a cat"}
{"image": "c.jpg", "caption": []}
{"image": "d.jpg", "text": "this one", "caption": ["not", "these"]}
`)
	touch(t, root, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
	expect(t, mustList(t, root, Options{Kind: "manifest"}), `
a image=a.jpg text="a dog"+"one dog"+"the dog"
b image=b.jpg text="a cat"
c image=c.jpg
d image=d.jpg text="this one"
`)
	root = grow(t, `
-- manifest.jsonl --
{"image": "a.jpg", "caption": ["a dog", 3]}
`)
	if _, err := List(t.Context(), root, Options{Kind: "manifest"}); err == nil || !strings.Contains(err.Error(), "caption holds a number") {
		t.Errorf("a number among captions: %v", err)
	}
}

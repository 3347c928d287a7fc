package bpe

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/sbinet/npyio"

	"prep/bpe/internal/ftfy"
)

// goldenCaption is a line of preprocess/text/captions.jsonl.
type goldenCaption struct {
	ID          int    `json:"id"`
	Kind        string `json:"kind"`
	Text        string `json:"text"`
	FTFY        string `json:"ftfy"`
	Clean       string `json:"clean"`
	Untruncated int    `json:"n_tokens_untruncated"` // by ImageBind, with both markers
}

func goldenFolder() string {
	root := os.Getenv("PREP_GOLDEN")
	if root == "" {
		root = filepath.Join("..", "testdata", "golden")
	}
	return filepath.Join(root, "preprocess", "text")
}

func readGoldenCaptions(t testing.TB) []goldenCaption {
	f, err := os.Open(filepath.Join(goldenFolder(), "captions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []goldenCaption
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var row goldenCaption
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("line %d: %v", len(rows)+1, err)
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil || len(rows) == 0 {
		t.Fatalf("%d captions, %v", len(rows), err)
	}
	return rows
}

func TestGoldenClean(t *testing.T) {
	for _, row := range readGoldenCaptions(t) {
		if got := ftfy.FixText(row.Text); got != row.FTFY {
			t.Errorf("%d (%s): FixText(%q)\n got %q\nwant %q", row.ID, row.Kind, row.Text, got, row.FTFY)
		}
		if got := Clean(row.Text); got != row.Clean {
			t.Errorf("%d (%s): Clean(%q)\n got %q\nwant %q", row.ID, row.Kind, row.Text, got, row.Clean)
		}
	}
}

// openCLIPMarker finds the names that open_clip alone turns into markers.
var openCLIPMarker = regexp.MustCompile(`<(start|end)_of_text>`)

func TestGoldenTokens(t *testing.T) {
	rows := readGoldenCaptions(t)
	for _, c := range []struct {
		file    string
		special SpecialTokens
	}{{"tokens_openclip.npy", Inert}, {"tokens_imagebind.npy", ImageBind}} {
		f, err := os.Open(filepath.Join(goldenFolder(), c.file))
		if err != nil {
			t.Fatal(err)
		}
		var want []int32
		err = npyio.Read(f, &want)
		f.Close()
		if err != nil || len(want) != len(rows)*ContextLength {
			t.Fatalf("%s: %d ids for %d captions, %v", c.file, len(want), len(rows), err)
		}
		for i, row := range rows {
			got := Encode(row.Text, Options{c.special})
			w := [ContextLength]int32(want[i*ContextLength:])
			if c.special == Inert && openCLIPMarker.MatchString(row.Clean) {
				// Markers to open_clip, text here: nothing but the first and last may be one.
				last := slices.Index(got.IDs[:], EndID)
				if last < 2 || slices.Contains(got.IDs[1:], StartID) || last+1 < ContextLength && got.IDs[last+1] != 0 {
					t.Errorf("%d (%s): %q holds a marker: %d", row.ID, row.Kind, row.Text, got.IDs)
				}
				continue
			}
			if got.IDs != w {
				t.Errorf("%s, %d (%s): %q\n got %d\nwant %d", c.file, row.ID, row.Kind, row.Text, got.IDs, w)
			}
			if c.special == ImageBind && got.Tokens != row.Untruncated {
				t.Errorf("%s, %d (%s): %d tokens, want %d", c.file, row.ID, row.Kind, got.Tokens, row.Untruncated)
			}
		}
	}
}

package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"prep/internal/fault"
	"prep/internal/sample"
)

func findsAudioSet(t *tree) bool {
	return slices.ContainsFunc(t.sorted(), func(n string) bool { return strings.HasSuffix(n, "_segments.csv") })
}

// segment is one row of a *_segments.csv.
type segment struct {
	id         string
	start, end float64 // seconds
	mids       []string
	list       string // the CSV it stands in
}

// key is YTID_<start in ms>, unique as long as a list names a segment once.
func (g segment) key() string { return fmt.Sprintf("%s_%d", g.id, int64(math.Round(g.start*1000))) }

// listAudioSet reads the official lists and finds the media by YTID anywhere below the root. A video
// brings its sound unless a sound file is there; a picture of the same name is the frame. Whether a file
// is cut to its segment already is decided at reading, from its duration. Captions come from AudioCaps
// lists (audiocap_id,youtube_id,start_time,caption), else from the labels by the template. A listed
// segment without any medium is a failed sample, "missing".
func listAudioSet(ctx context.Context, t *tree, o Options) (*Listing, error) {
	l := &Listing{}
	names := map[string]string{}
	captions := map[string][]captionRow{}
	var segments []segment
	lists := 0
	for _, name := range t.sorted() {
		base := path.Base(name)
		switch {
		case strings.HasSuffix(base, "_segments.csv"):
			rows, err := readSegments(t, name)
			if err != nil {
				return nil, err
			}
			segments = append(segments, rows...)
			lists++
		case base == "class_labels_indices.csv":
			if err := readLabels(t, name, names); err != nil {
				return nil, err
			}
		case base == "ontology.json":
			if err := readOntology(t, name, names); err != nil {
				return nil, err
			}
		case strings.HasSuffix(base, ".csv"):
			n, err := readCaptions(t, name, captions)
			if err != nil {
				return nil, err
			}
			if n < 0 {
				l.Notes = append(l.Notes, name+" is no list of segments, labels or captions and was passed over")
			}
		}
	}
	if lists == 0 {
		return nil, fault.Inputf("%s holds no *_segments.csv: it is no AudioSet tree", t.root)
	}
	if len(segments) == 0 {
		return nil, fault.Inputf("%s: the *_segments.csv list no segment", t.root)
	}
	ids := map[string]bool{}
	for _, g := range segments {
		ids[g.id] = true
	}
	found := findMedia(t, ids)
	repeated, used := 0, map[string]bool{}
	seen := map[string]bool{}
	for _, g := range segments {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if seen[g.key()] {
			repeated++
			continue
		}
		seen[g.key()] = true
		l.Samples = append(l.Samples, g.sample(t, found[g.id], names, captions[g.id], o, used))
	}
	if repeated > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%d segments are listed more than once and count once", repeated))
	}
	unlisted := 0
	for name := range t.files {
		if _, m, ok := stem(name); ok && m != sample.Text && !used[name] {
			unlisted++
		}
	}
	if unlisted > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%d media files belong to no listed segment and were passed over", unlisted))
	}
	return l, nil
}

// sample assembles one segment.
func (g segment) sample(t *tree, files []mediaFile, names map[string]string, caps []captionRow, o Options, used map[string]bool) sample.Sample {
	s := sample.Sample{Key: g.key()}
	for _, mid := range g.mids {
		if n, ok := names[mid]; ok {
			mid = n
		}
		s.Labels = append(s.Labels, mid)
	}
	heard := false
	for _, f := range files {
		if !f.belongs(g) {
			continue
		}
		used[f.name] = true
		if s.Part(f.modality) != nil {
			continue
		}
		p := sample.Part{Modality: f.modality, Path: f.name, Size: t.files[f.name]}
		if f.modality == sample.Audio || f.modality == sample.Video {
			p.Start, p.End = g.start, g.end
			heard = true
		}
		add(&s, p)
	}
	if v := s.Part(sample.Video); v != nil && s.Part(sample.Audio) == nil {
		p := *v
		p.Modality = sample.Audio
		add(&s, p)
	}
	if !heard {
		s.Problem = "missing"
		s.ProblemDetail = fmt.Sprintf("%s lists %s from %g s to %g s and no sound or video of it is below the root", g.list, g.id, g.start, g.end)
		return s
	}
	text := caption(o.Template, s.Labels)
	for _, c := range caps {
		if math.Abs(c.start-g.start) < 0.5 {
			text = c.text
			break
		}
	}
	if text != "" {
		add(&s, sample.Part{Modality: sample.Text, Text: text})
	}
	return s
}

// mediaFile is a file whose name holds a listed YTID.
type mediaFile struct {
	name     string
	modality sample.Modality
	cut      bool    // the name states a segment
	start    float64 // seconds, or milliseconds when ms
	ms       bool    // the number could be milliseconds
}

// belongs reports whether the file can be segment g: it states no start, or that one.
func (f mediaFile) belongs(g segment) bool {
	if !f.cut {
		return true
	}
	return math.Abs(f.start-g.start) < 0.01 || f.ms && math.Abs(f.start/1000-g.start) < 0.01
}

// times matches what follows an identifier in a name that states its segment.
var times = regexp.MustCompile(`^_(\d+(?:\.\d+)?)(?:_(\d+(?:\.\d+)?))?$`)

// findMedia maps identifiers to files named ID, YID, ID_30.000, ID_30000_40000, ID_30_40, with any medium's
// extension. Identifiers have 11 characters in AudioSet, may begin with - or _ and hold both, so that a name
// is tried against the listed ones rather than split.
func findMedia(t *tree, ids map[string]bool) map[string][]mediaFile {
	out := map[string][]mediaFile{}
	for _, name := range t.sorted() {
		whole, m, ok := stem(name)
		if !ok || m == sample.Text {
			continue
		}
		base := path.Base(whole)
		for _, b := range []string{base, strings.TrimPrefix(base, "Y")} {
			if id, rest, ok := splitID(b, ids); ok {
				f := mediaFile{name: name, modality: m}
				if w := times.FindStringSubmatch(rest); w != nil {
					f.cut = true
					f.start, _ = strconv.ParseFloat(w[1], 64)
					f.ms = !strings.Contains(w[1], ".")
				}
				out[id] = append(out[id], f)
				break
			}
		}
	}
	for _, files := range out {
		// A file that states its segment comes before one that does not.
		slices.SortStableFunc(files, func(a, b mediaFile) int {
			if a.cut != b.cut && a.cut {
				return -1
			} else if a.cut != b.cut {
				return 1
			}
			return 0
		})
	}
	return out
}

// splitID finds the listed identifier that a name begins with; the rest is empty or states a segment.
func splitID(name string, ids map[string]bool) (id, rest string, ok bool) {
	if ids[name] {
		return name, "", true
	}
	for i := len(name) - 1; i > 0; i-- {
		if name[i] == '_' && ids[name[:i]] && times.MatchString(name[i:]) {
			return name[:i], name[i:], true
		}
	}
	return "", "", false
}

// openList opens a CSV of the tree past a byte order mark.
func openList(t *tree, name string) (*os.File, *bufio.Reader, error) {
	f, err := os.Open(filepath.Join(t.root, filepath.FromSlash(name)))
	if err != nil {
		return nil, nil, fault.Inputf("%s: %w", name, err)
	}
	r := bufio.NewReaderSize(f, 1<<16)
	if b, err := r.Peek(3); err == nil && bytes.Equal(b, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3)
	}
	return f, r, nil
}

// readSegments reads a *_segments.csv: comment lines with #, then `YTID, start, end, "mid,mid"`. A space
// follows each comma and precedes the quote.
func readSegments(t *tree, name string) ([]segment, error) {
	f, r, err := openList(t, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseSegments(name, r)
}

func parseSegments(name string, r io.Reader) ([]segment, error) {
	c := csv.NewReader(r)
	c.Comment, c.TrimLeadingSpace, c.FieldsPerRecord, c.ReuseRecord = '#', true, -1, true
	var out []segment
	for {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fault.Inputf("%s: %w", name, err)
		}
		line, _ := c.FieldPos(0)
		if len(rec) < 4 {
			return nil, fault.Inputf("%s:%d: %d columns; want YTID, start, end, \"labels\"", name, line, len(rec))
		}
		if len(out) == 0 && strings.EqualFold(strings.TrimSpace(rec[0]), "YTID") {
			continue // a header without #
		}
		g := segment{id: strings.TrimSpace(rec[0]), list: name}
		var err1, err2 error
		g.start, err1 = strconv.ParseFloat(strings.TrimSpace(rec[1]), 64)
		g.end, err2 = strconv.ParseFloat(strings.TrimSpace(rec[2]), 64)
		if err := errors.Join(err1, err2); err != nil || !(g.start >= 0 && g.end > g.start && g.end < 1e7) {
			return nil, fault.Inputf("%s:%d: %q to %q is no segment in seconds", name, line, rec[1], rec[2])
		}
		if g.id == "" {
			return nil, fault.Inputf("%s:%d: no YTID", name, line)
		}
		g.id = strings.Clone(g.id)
		for _, mid := range strings.Split(rec[3], ",") {
			if mid = strings.TrimSpace(mid); mid != "" {
				g.mids = append(g.mids, strings.Clone(mid))
			}
		}
		out = append(out, g)
	}
}

// columns finds named columns in a header row.
func columns(name string, header []string, want ...string) ([]int, error) {
	out := make([]int, len(want))
	for i, w := range want {
		out[i] = slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), w) })
		if out[i] < 0 {
			return nil, fault.Inputf("%s: no column %s (it has %s)", name, w, strings.Join(header, ", "))
		}
	}
	return out, nil
}

// readLabels reads class_labels_indices.csv: index,mid,display_name.
func readLabels(t *tree, name string, names map[string]string) error {
	f, r, err := openList(t, name)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	if len(rows) == 0 {
		return fault.Inputf("%s is empty; want index,mid,display_name", name)
	}
	col, err := columns(name, rows[0], "mid", "display_name")
	if err != nil {
		return err
	}
	for _, row := range rows[1:] {
		names[row[col[0]]] = row[col[1]]
	}
	return nil
}

// readOntology adds the names of classes that the labels do not list.
func readOntology(t *tree, name string, names map[string]string) error {
	b, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(name)))
	if err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	var classes []struct{ ID, Name string }
	if err := json.Unmarshal(b, &classes); err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	for _, c := range classes {
		if _, ok := names[c.ID]; !ok {
			names[c.ID] = c.Name
		}
	}
	return nil
}

type captionRow struct {
	start float64
	text  string
}

// readCaptions reads an AudioCaps list; it returns -1 when the file is something else.
func readCaptions(t *tree, name string, out map[string][]captionRow) (int, error) {
	f, r, err := openList(t, name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	c := csv.NewReader(r)
	header, err := c.Read()
	if err != nil {
		return -1, nil
	}
	col, err := columns(name, header, "youtube_id", "start_time", "caption")
	if err != nil {
		return -1, nil
	}
	n := 0
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, fault.Inputf("%s: %w", name, err)
		}
		line, _ := c.FieldPos(0)
		start, err := strconv.ParseFloat(strings.TrimSpace(row[col[1]]), 64)
		if err != nil {
			return n, fault.Inputf("%s:%d: start_time %q is no number", name, line, row[col[1]])
		}
		id := row[col[0]]
		out[id] = append(out[id], captionRow{start, strings.ToValidUTF8(row[col[2]], "\uFFFD")})
		n++
	}
}

package source

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"path"
	"strconv"
	"strings"

	"prep/internal/fault"
)

// segment is one row of a list: a stretch of a video, with its classes.
type segment struct {
	id         string  // YTID
	start, end float64 // seconds
	classes    []string
	named      bool   // classes are display names (VGGSound), not machine identifiers
	list       string // the CSV it stands in
	key        string
}

// clipSeconds is the length of a clip that a list gives only the start of: that of AudioSet, VGGSound and
// AudioCaps alike.
const clipSeconds = 10

// isSegmentList tells lists of segments by their names.
func isSegmentList(name string) bool {
	base := strings.ToLower(path.Base(name))
	return strings.HasSuffix(base, "_segments.csv") || base == "vggsound.csv"
}

// words gives equal strings one memory: two million rows name the same 527 classes.
type words map[string]string

func (w words) one(s string) string {
	if k, ok := w[s]; ok {
		return k
	}
	s = strings.Clone(s)
	w[s] = s
	return s
}

// parseSegments reads AudioSet's `YTID, start, end, "mid,mid"` after comment lines with #. Labels without
// quotes are taken as well. It calls each for every row.
func parseSegments(name string, r io.Reader, each func(segment)) (notes []string, err error) {
	const want = `want YTID, start_seconds, end_seconds, "label,label"`
	t, err := newTable(name, r, ',', '#')
	if err != nil {
		return nil, err
	}
	known := words{}
	for first := true; ; first = false {
		row, err := t.read()
		if errors.Is(err, io.EOF) {
			return t.notes(), nil
		}
		if err != nil {
			return nil, err
		}
		if len(row) == 1 && at(row, 0) == "" {
			continue
		}
		if first && strings.EqualFold(at(row, 0), "YTID") {
			continue // a header without its #
		}
		if len(row) < 4 {
			return nil, fault.Inputf("%s:%d: %s; %s", name, t.line, fields(len(row)), want)
		}
		g := segment{id: strings.Clone(at(row, 0)), list: name}
		if g.id == "" {
			return nil, fault.Inputf("%s:%d: no YTID; %s", name, t.line, want)
		}
		var ok1, ok2 bool
		g.start, ok1 = seconds(at(row, 1))
		g.end, ok2 = seconds(at(row, 2))
		if !ok1 || !ok2 || g.end <= g.start {
			return nil, fault.Inputf("%s:%d: %q to %q is no segment in seconds; %s", name, t.line, at(row, 1), at(row, 2), want)
		}
		for _, field := range row[3:] {
			for mid := range strings.SplitSeq(field, ",") {
				if mid = strings.Trim(mid, " \t\""); mid != "" {
					g.classes = append(g.classes, known.one(mid))
				}
			}
		}
		each(g)
	}
}

// parseVGGSound reads VGGSound's `YTID,start,label,split`, which has no header.
func parseVGGSound(name string, r io.Reader, each func(segment)) (notes []string, err error) {
	const want = "want YTID,start_seconds,label,split"
	t, err := newTable(name, r, ',', '#')
	if err != nil {
		return nil, err
	}
	known := words{}
	for first := true; ; first = false {
		row, err := t.read()
		if errors.Is(err, io.EOF) {
			return t.notes(), nil
		}
		if err != nil {
			return nil, err
		}
		start, ok := seconds(at(row, 1))
		if !ok && first && len(row) >= 3 {
			continue // a header that somebody added
		}
		if len(row) < 3 {
			return nil, fault.Inputf("%s:%d: %s; %s", name, t.line, fields(len(row)), want)
		}
		if !ok || at(row, 0) == "" {
			return nil, fault.Inputf("%s:%d: start %q of %q is no number of seconds; %s", name, t.line, at(row, 1), at(row, 0), want)
		}
		g := segment{id: strings.Clone(at(row, 0)), start: start, end: start + clipSeconds, named: true, list: name}
		if label := at(row, 2); label != "" {
			g.classes = []string{known.one(label)}
		}
		each(g)
	}
}

// captionRow is one row of an AudioCaps list.
type captionRow struct {
	start float64 // seconds
	text  string
	list  string
}

// isCaptionHeader tells an AudioCaps list by its first row.
func isCaptionHeader(row []string) bool {
	for _, c := range columnsOf(row, "youtube_id", "start_time", "caption") {
		if c < 0 {
			return false
		}
	}
	return true
}

// parseCaptions reads an AudioCaps list, audiocap_id,youtube_id,start_time,caption in any order. It
// returns false when the header is another.
func parseCaptions(name string, r io.Reader, each func(id string, c captionRow)) (is bool, notes []string, err error) {
	t, err := newTable(name, r, ',', 0)
	if err != nil {
		return false, nil, nil // no list of captions, whatever it is
	}
	header, err := t.read()
	if err != nil || !isCaptionHeader(header) {
		return false, nil, nil
	}
	col := columnsOf(header, "youtube_id", "start_time", "caption")
	for {
		row, err := t.read()
		if errors.Is(err, io.EOF) {
			return true, t.notes(), nil
		}
		if err != nil {
			return true, nil, err
		}
		id, text := at(row, col[0]), at(row, col[2])
		start, ok := seconds(at(row, col[1]))
		if !ok {
			return true, nil, fault.Inputf("%s:%d: start_time %q is no number of seconds", name, t.line, at(row, col[1]))
		}
		if id == "" || len(row) <= col[2] {
			return true, nil, fault.Inputf("%s:%d: want audiocap_id,youtube_id,start_time,caption; this row has %s", name, t.line, fields(len(row)))
		}
		each(strings.Clone(id), captionRow{start, strings.Clone(text), name})
	}
}

// parseLabels reads class_labels_indices.csv, index,mid,display_name, into names by mid.
func parseLabels(name string, r io.Reader, names map[string]string) (notes []string, err error) {
	t, err := newTable(name, r, ',', 0)
	if err != nil {
		return nil, err
	}
	header, err := t.read()
	if errors.Is(err, io.EOF) {
		return nil, fault.Inputf("%s is empty; want index,mid,display_name", name)
	}
	if err != nil {
		return nil, err
	}
	col := columnsOf(header, "mid", "display_name")
	for i, c := range []string{"mid", "display_name"} {
		if col[i] < 0 {
			return nil, fault.Inputf("%s:%d: no column %s (%s); want index,mid,display_name", name, t.line, c, has(header))
		}
	}
	for {
		row, err := t.read()
		if errors.Is(err, io.EOF) {
			return t.notes(), nil
		}
		if err != nil {
			return nil, err
		}
		mid, label := at(row, col[0]), at(row, col[1])
		if mid == "" || label == "" {
			return nil, fault.Inputf("%s:%d: no mid or no display_name; want index,mid,display_name", name, t.line)
		}
		names[strings.Clone(mid)] = strings.Clone(label)
	}
}

// maxOntology bounds ontology.json; the published one has 0.3 MB.
const maxOntology = 64 << 20

// parseOntology adds the names of classes that the labels do not list.
func parseOntology(name string, r io.Reader, names map[string]string) error {
	b, err := io.ReadAll(io.LimitReader(r, maxOntology))
	if err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	var classes []struct{ ID, Name string }
	if err := json.Unmarshal(b, &classes); err != nil {
		return fault.Inputf("%s: %w; want AudioSet's list of classes with id and name", name, err)
	}
	for _, c := range classes {
		if _, ok := names[c.ID]; !ok && c.Name != "" {
			names[c.ID] = c.Name
		}
	}
	return nil
}

// seconds parses a time that is no less than 0 and no more than a day of days.
func seconds(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsNaN(f) && f >= 0 && f < 1e7
}

// fields counts columns in words.
func fields(n int) string {
	if n == 1 {
		return "1 column"
	}
	return strconv.Itoa(n) + " columns"
}

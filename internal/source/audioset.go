package source

import (
	"context"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"prep/internal/fault"
	"prep/internal/sample"
)

// captionPeeks bounds how many CSVs detection opens to look for an AudioCaps header.
const captionPeeks = 64

// findsAudioSet looks for a list of segments, or for AudioCaps lists near the root.
func findsAudioSet(t *tree) bool {
	peeked := 0
	for _, f := range t.files {
		if isSegmentList(f.name) {
			return true
		}
		if strings.Count(f.name, "/") <= 1 && strings.EqualFold(path.Ext(f.name), ".csv") && peeked < captionPeeks {
			peeked++
			if t.startsWith(f.name, isCaptionHeader) {
				return true
			}
		}
	}
	return false
}

// startsWith reports whether a table's first row fits.
func (t *tree) startsWith(name string, fits func([]string) bool) bool {
	f, err := t.open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	c, err := newTable(name, io.LimitReader(f, 1<<16), commaOf(name), 0)
	if err != nil {
		return false
	}
	row, err := c.read()
	return err == nil && fits(row)
}

// audioSet gathers what the lists of a tree say.
type audioSet struct {
	tree     *tree
	options  Options
	segments []segment         // sorted by id and start when complete
	first    map[string]int32  // id -> its first segment
	names    map[string]string // mid -> display name
	captions map[string][]captionRow
	media    map[string][]mediaFile // id -> files, sorted by name
	used     []bool                 // by index of tree.files
	notes    []string

	repeated, spare, nameless, otherLists tally
}

// listAudioSet reads the official lists and finds the media by YTID anywhere below the root.
//
//	*_segments.csv            # comments, then YTID, start, end, "mid,mid"
//	class_labels_indices.csv  index,mid,display_name
//	ontology.json             names of classes that the labels lack
//	any other .csv            captions if its header has youtube_id, start_time and caption (AudioCaps)
//	vggsound.csv              YTID,start,label,split without a header: clips of 10 s
//
// Lists of captions alone are lists of segments as well, of 10 s each.
//
// Media are named ID.wav, YID.wav, ID_30.000.wav, ID_30.000_40.000.mp4, ID_30000_40000.flac (milliseconds)
// or ID_30_40.m4a, with any extension of internal/media, in any folder. A name that states a start belongs
// to the segment that starts there; one that states none, to all segments of its ID. A video brings its
// sound unless a sound file is there; a picture is the frame. Of several files of one modality that fit a
// segment, one that states its start comes first, then the first by path counts.
//
// The key is YTID_<start in milliseconds>, as in ID_30000; a second segment with the same start and
// another end is ID_30000_35000. A segment that is listed more than once, in one list or in several, is
// one sample with the labels of all. Labels are display names, the mid where no name is known. Captions
// come from AudioCaps rows that start within half a second of the segment (the first of several), else
// from the labels by the template; labels that are mere mids make none.
//
// A listed segment without sound or video is a failed sample, "missing". Media that no list names are
// counted in a note.
func listAudioSet(ctx context.Context, t *tree, o Options) (*Listing, error) {
	a := &audioSet{tree: t, options: o, names: map[string]string{}, captions: map[string][]captionRow{}}
	if err := a.readLists(ctx); err != nil {
		return nil, err
	}
	a.mergeRepeated()
	if err := a.findMedia(ctx); err != nil {
		return nil, err
	}
	l := &Listing{Samples: make([]sample.Sample, 0, len(a.segments))}
	for i := range a.segments {
		if i%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		l.Samples = append(l.Samples, a.sample(&a.segments[i]))
	}
	l.Notes = a.finishNotes()
	return l, nil
}

// readLists reads every list of the tree, in the order of the names.
func (a *audioSet) readLists(ctx context.Context) error {
	read := func(name string, parse func(io.Reader) ([]string, error)) error {
		f, err := a.tree.open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		notes, err := parse(f)
		a.notes = append(a.notes, notes...)
		return err
	}
	each := func(g segment) { a.segments = append(a.segments, g) }
	lists := 0
	var fromCaptions []segment
	for _, f := range a.tree.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		name, base := f.name, strings.ToLower(path.Base(f.name))
		var err error
		switch {
		case isSegmentList(base):
			if a.tree.only != "" && a.tree.only != name {
				break
			}
			lists++
			parse := parseSegments
			if base == "vggsound.csv" {
				parse = parseVGGSound
			}
			before := len(a.segments)
			err = read(name, func(r io.Reader) ([]string, error) { return parse(name, r, each) })
			if err == nil && len(a.segments) == before {
				a.notes = append(a.notes, name+" lists no segment")
			}
		case base == "class_labels_indices.csv":
			err = read(name, func(r io.Reader) ([]string, error) { return parseLabels(name, r, a.names) })
		case strings.HasSuffix(base, ".csv") && !slices.Contains(strings.Split(path.Dir(name), "/"), "imu"):
			err = read(name, func(r io.Reader) ([]string, error) {
				is, notes, err := parseCaptions(name, r, func(id string, c captionRow) {
					a.captions[id] = append(a.captions[id], c)
					fromCaptions = append(fromCaptions, segment{id: id, start: c.start, end: c.start + clipSeconds, list: name})
				})
				if !is {
					a.otherLists.add(name)
				}
				return notes, err
			})
		}
		if err != nil {
			return err
		}
	}
	for _, f := range a.tree.files { // after the labels, which win
		if strings.EqualFold(path.Base(f.name), "ontology.json") {
			if err := read(f.name, func(r io.Reader) ([]string, error) { return nil, parseOntology(f.name, r, a.names) }); err != nil {
				return err
			}
		}
	}
	if lists == 0 {
		a.segments = fromCaptions
	}
	switch {
	case lists == 0 && len(a.captions) == 0:
		return fault.Inputf("%s holds no *_segments.csv, vggsound.csv or AudioCaps list: it is no AudioSet tree", a.tree.given)
	case len(a.segments) == 0:
		return fault.Inputf("%s: the lists of segments hold no row; want YTID, start_seconds, end_seconds, \"label,label\"", a.tree.given)
	}
	return nil
}

// sameTime is how far two times may lie apart and still be one, in seconds.
const sameTime = 0.01

// mergeRepeated sorts the segments by ID and start, joins what is listed more than once and gives keys.
func (a *audioSet) mergeRepeated() {
	slices.SortStableFunc(a.segments, func(x, y segment) int {
		if c := strings.Compare(x.id, y.id); c != 0 {
			return c
		}
		return int(millis(x.start) - millis(y.start))
	})
	kept := a.segments[:0]
	a.first = make(map[string]int32, len(a.segments))
next:
	for _, g := range a.segments {
		g.key = fmt.Sprintf("%s_%d", g.id, millis(g.start))
		for i := len(kept) - 1; i >= 0 && kept[i].id == g.id && millis(kept[i].start) == millis(g.start); i-- {
			if math.Abs(kept[i].end-g.end) < sameTime {
				for _, c := range g.classes {
					if !slices.Contains(kept[i].classes, c) {
						kept[i].classes = append(slices.Clip(kept[i].classes), c)
					}
				}
				a.repeated.add(kept[i].key)
				continue next
			}
			g.key = fmt.Sprintf("%s_%d_%d", g.id, millis(g.start), millis(g.end))
		}
		if _, ok := a.first[g.id]; !ok {
			a.first[g.id] = int32(len(kept))
		}
		kept = append(kept, g)
	}
	a.segments = kept
}

// millis rounds seconds to milliseconds.
func millis(s float64) int64 { return int64(math.Round(s * 1000)) }

// startsAt reports whether a segment of id begins at t seconds.
func (a *audioSet) startsAt(id string, t float64) bool {
	for i := int(a.first[id]); i < len(a.segments) && a.segments[i].id == id; i++ {
		if math.Abs(a.segments[i].start-t) < sameTime {
			return true
		}
	}
	return false
}

// mediaFile is a file whose name holds a listed YTID.
type mediaFile struct {
	index    int32 // in tree.files
	modality sample.Modality
	stated   bool    // the name states a start
	whole    bool    // without a decimal point: the start may be in milliseconds or cut to the second
	start    float64 // as written
}

// findMedia maps identifiers to files.
func (a *audioSet) findMedia(ctx context.Context) error {
	a.media = make(map[string][]mediaFile)
	a.used = make([]bool, len(a.tree.files))
	for i, f := range a.tree.files {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		name, m, ok := stem(f.name)
		if !ok || m == sample.Text {
			continue
		}
		base := path.Base(name)
		id, mf, ok := a.identify(base)
		if !ok && strings.HasPrefix(base, "Y") { // as some downloaders write, so that no name begins with -
			id, mf, ok = a.identify(base[1:])
		}
		if ok {
			mf.index, mf.modality = int32(i), m
			a.media[id] = append(a.media[id], mf)
		}
	}
	return nil
}

// identify finds the listed YTID that a name begins with; what follows it is empty or states a segment.
// Identifiers hold - and _ themselves, so that a name is tried against the listed ones, longest first,
// rather than split.
func (a *audioSet) identify(name string) (id string, f mediaFile, ok bool) {
	if _, ok := a.first[name]; ok {
		return name, f, true
	}
	for i := len(name) - 1; i > 0; i-- {
		if name[i] != '_' {
			continue
		}
		if start, whole, ok := statedStart(name[i+1:]); ok {
			if _, ok := a.first[name[:i]]; ok {
				return name[:i], mediaFile{stated: true, whole: whole, start: start}, true
			}
		}
	}
	return "", f, false
}

// statedStart reads `30`, `30.000`, `30_40`, `30.000_40.000` or `30.0-40.0`: the first number, and whether it
// is a whole one.
func statedStart(s string) (start float64, whole, ok bool) {
	from, to, two := strings.Cut(s, "_")
	if !two {
		from, to, two = strings.Cut(s, "-")
	}
	if !isDecimal(from) || two && !isDecimal(to) {
		return 0, false, false
	}
	start, err := strconv.ParseFloat(from, 64)
	return start, !strings.Contains(from, "."), err == nil
}

// isDecimal reports whether s is digits with at most one point between them.
func isDecimal(s string) bool {
	if s == "" || len(s) > 18 || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	return strings.Trim(s, "0123456789.") == "" && strings.Count(s, ".") <= 1
}

// fit tells how well a file suits a segment: 0 it states the segment's start, 1 it states the start cut to
// the second, 2 it states none; -1 it belongs to another segment.
func (a *audioSet) fit(f mediaFile, g *segment) int {
	switch {
	case !f.stated:
		return 2
	case math.Abs(f.start-g.start) < sameTime, f.whole && math.Abs(f.start/1000-g.start) < sameTime:
		return 0
	case f.whole && f.start == math.Floor(g.start) && !a.startsAt(g.id, f.start):
		return 1
	}
	return -1
}

// sample assembles one segment.
func (a *audioSet) sample(g *segment) sample.Sample {
	s := sample.Sample{Key: g.key}
	var named []string
	for _, c := range g.classes {
		name, ok := a.names[c]
		if !ok {
			name = c
		}
		if ok || g.named {
			named = append(named, name)
		} else {
			a.nameless.add(c)
		}
		if !slices.Contains(s.Labels, name) {
			s.Labels = append(s.Labels, name)
		}
	}
	var best [sample.NumModalities]*mediaFile
	for i := range a.media[g.id] {
		f := &a.media[g.id][i]
		fit := a.fit(*f, g)
		if fit < 0 {
			continue
		}
		a.used[f.index] = true
		b := &best[f.modality]
		if *b != nil {
			a.spare.add(g.key)
		}
		if *b == nil || fit < a.fit(**b, g) {
			*b = f
		}
	}
	for m, f := range best {
		if f == nil {
			continue
		}
		file := a.tree.files[f.index]
		p := sample.Part{Modality: sample.Modality(m), Path: file.name, Size: file.size}
		if p.Modality == sample.Audio || p.Modality == sample.Video {
			p.Start, p.End = g.start, g.end
		}
		s.Parts = append(s.Parts, p)
	}
	addVideoSound(&s)
	if s.Part(sample.Audio) == nil {
		s.Problem = "missing"
		s.ProblemDetail = fmt.Sprintf("%s lists %s from %g s to %g s, and no sound or video of it is below the root", g.list, g.id, g.start, g.end)
		return s
	}
	addTexts(&s, a.captionsOf(g, named))
	return s
}

// captionsOf is what AudioCaps says of a segment (its test set has five captions of each), or what its
// labels make.
func (a *audioSet) captionsOf(g *segment, labels []string) (texts []string) {
	for _, c := range a.captions[g.id] {
		if math.Abs(c.start-g.start) < 0.5 && c.text != "" {
			texts = append(texts, c.text)
		}
	}
	if len(texts) > 0 {
		return texts
	}
	return captionsOf(a.options.Templates, labels)
}

func (a *audioSet) finishNotes() []string {
	notes := a.notes
	note := func(t tally, format string, args ...any) {
		if t.n > 0 {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	note(a.otherLists, "%s neither of segments nor of labels nor of captions and passed over: %s", a.otherLists.count("CSV is", "CSVs are"), a.otherLists)
	note(a.repeated, "%s listed before and not counted again: %s", a.repeated.count("segment was", "segments were"), a.repeated)
	note(a.spare, "%s passed over for another of the same segment and modality: %s", a.spare.count("file was", "files were"), a.spare)
	note(a.nameless, "%s of classes that no class_labels_indices.csv or ontology.json names stay as they are and make no caption: %s", a.nameless.count("label", "labels"), a.nameless)
	var unlisted tally
	for i, f := range a.tree.files {
		if _, m, ok := stem(f.name); ok && m != sample.Text && !a.used[i] {
			unlisted.add(f.name)
		}
	}
	note(unlisted, "%s of no listed segment and passed over: %s", unlisted.count("media file is", "media files are"), unlisted)
	return notes
}

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
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"prep/internal/fault"
	"prep/internal/sample"
)

// manifestNames are what a folder's manifest is called when the folder is given as the source.
var manifestNames = []string{"manifest.jsonl", "manifest.csv", "manifest.tsv", "manifest.parquet", "metadata.jsonl", "metadata.csv", "metadata.parquet"}

func findsManifest(t *tree) bool { return t.manifestName() != "" }

// manifestName is the manifest of the tree, "" when it has none.
func (t *tree) manifestName() string {
	if t.manifest != "" {
		return t.manifest
	}
	for _, n := range manifestNames {
		if _, ok := t.files[n]; ok {
			return n
		}
	}
	return ""
}

// maxManifestLine bounds one line of JSON.
const maxManifestLine = 16 << 20

// entry is one row of a manifest by column name, with the place it stands at.
type entry struct {
	fields map[string]string
	labels []string // when a JSON list gave them
	place  string   // "m.jsonl:7"
}

// columnRoles says what each accepted column name means.
var columnRoles = map[string]string{
	"image": "image", "video": "video", "audio": "audio", "depth": "depth", "thermal": "thermal", "imu": "imu",
	"image_path": "image", "video_path": "video", "audio_path": "audio", "depth_path": "depth", "thermal_path": "thermal", "imu_path": "imu",
	"file_name": "file", "path": "file",
	"text": "text", "caption": "text", "text_path": "text_path",
	"key": "key", "id": "key", "label": "label", "labels": "label",
	"start": "start", "end": "end", "sync_offset": "sync", "sync_offset_s": "sync",
}

// listManifest reads JSONL, CSV, TSV or Parquet with one row for each sample. Columns: image, video, audio,
// depth, thermal, imu (paths relative to the manifest), text or caption (the text itself), text_path, key,
// label or labels (a JSON list, or separated by ;), start, end (seconds), sync_offset_s (seconds). Without a
// key column the key is the first file's path without extension. A path outside the manifest's folder
// fails its sample unless that is allowed; a file that is not there fails it as missing.
func listManifest(ctx context.Context, t *tree, o Options) (*Listing, error) {
	name := t.manifestName()
	if name == "" {
		return nil, fault.Inputf("%s holds no manifest (%s)", t.root, strings.Join(manifestNames, ", "))
	}
	full := filepath.Join(t.root, filepath.FromSlash(name))
	l := &Listing{}
	unknown := map[string]bool{}
	each := func(e entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := t.fromEntry(e, o, unknown)
		if err != nil {
			return err
		}
		if s.Key == "" {
			s.Key = fmt.Sprintf("row-%06d", len(l.Samples))
		}
		l.Samples = append(l.Samples, s)
		return nil
	}
	var err error
	switch strings.ToLower(path.Ext(name)) {
	case ".jsonl", ".ndjson", ".json":
		err = readFile(full, func(r io.Reader) error { return readJSONL(name, r, each) })
	case ".csv":
		err = readFile(full, func(r io.Reader) error { return readTable(name, r, ',', each) })
	case ".tsv":
		err = readFile(full, func(r io.Reader) error { return readTable(name, r, '\t', each) })
	case ".parquet":
		err = readParquet(ctx, name, full, each)
	default:
		err = fault.Inputf("%s: a manifest is .jsonl, .csv, .tsv or .parquet", full)
	}
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		names := make([]string, 0, len(unknown))
		for n := range unknown {
			names = append(names, n)
		}
		slices.Sort(names)
		l.Notes = append(l.Notes, fmt.Sprintf("%s: columns that are not used: %s", name, strings.Join(names, ", ")))
	}
	return l, nil
}

func readFile(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fault.Inputf("%s: %w", path, err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	if b, err := r.Peek(3); err == nil && bytes.Equal(b, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3)
	}
	return read(r)
}

// fromEntry turns a row into a sample.
func (t *tree) fromEntry(e entry, o Options, unknown map[string]bool) (sample.Sample, error) {
	var s sample.Sample
	var start, end float64
	var files []sample.Part
	var err error
	number := func(name, v string) float64 {
		f, perr := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if perr != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			err = fault.Inputf("%s: %s %q is no number", e.place, name, v)
		}
		return f
	}
	names := make([]string, 0, len(e.fields))
	for n := range e.fields {
		names = append(names, n)
	}
	slices.Sort(names)
	s.Labels = e.labels
	for _, n := range names {
		v := e.fields[n]
		role, ok := columnRoles[strings.ToLower(strings.TrimSpace(n))]
		if !ok {
			unknown[n] = true
			continue
		}
		if v == "" {
			continue
		}
		switch role {
		case "key":
			s.Key = v
		case "label":
			for _, x := range strings.FieldsFunc(v, func(r rune) bool { return r == ';' || r == '|' }) {
				s.Labels = append(s.Labels, strings.TrimSpace(x))
			}
		case "start":
			start = number(n, v)
		case "end":
			end = number(n, v)
		case "sync":
			f := number(n, v)
			s.SyncOffset = &f
		case "text":
			if s.Part(sample.Text) == nil {
				add(&s, sample.Part{Modality: sample.Text, Text: v})
			}
		case "text_path":
			files = append(files, sample.Part{Modality: sample.Text, Path: v})
		case "file":
			_, m, ok := stem(v)
			if !ok {
				return s, fault.Inputf("%s: %q is of no kind that is read", e.place, v)
			}
			files = append(files, sample.Part{Modality: m, Path: v})
		default:
			m, perr := sample.ParseModality(role)
			if perr != nil {
				return s, perr
			}
			files = append(files, sample.Part{Modality: m, Path: v})
		}
		if err != nil {
			return s, err
		}
	}
	if start < 0 || end < 0 || end != 0 && end <= start {
		return s, fault.Inputf("%s: start %g and end %g are no segment", e.place, start, end)
	}
	for _, p := range files {
		if s.Part(p.Modality) != nil {
			continue
		}
		if p.Modality == sample.Audio || p.Modality == sample.Video {
			p.Start, p.End = start, end
		}
		problem, detail := t.resolve(&p, o.AllowOutside)
		if problem != "" && s.Problem == "" {
			s.Problem, s.ProblemDetail = problem, e.place+": "+detail
		}
		add(&s, p)
	}
	if v := s.Part(sample.Video); v != nil && s.Part(sample.Audio) == nil {
		p := *v
		p.Modality = sample.Audio
		add(&s, p)
	}
	if len(s.Parts) == 0 {
		s.Problem, s.ProblemDetail = "empty_row", e.place+": the row names no file and no text"
	}
	if s.Key == "" {
		if paths := s.Paths(); len(paths) > 0 {
			s.Key, _, _ = stem(paths[0])
		}
	}
	if s.Part(sample.Text) == nil && len(s.Labels) > 0 && s.Problem == "" {
		add(&s, sample.Part{Modality: sample.Text, Text: caption(o.Template, s.Labels)})
	}
	return s, nil
}

// resolve checks a path of a manifest against the folder's border and fills its size.
func (t *tree) resolve(p *sample.Part, allowOutside bool) (problem, detail string) {
	given := filepath.FromSlash(p.Path)
	full := given
	if !filepath.IsAbs(full) {
		full = filepath.Join(t.root, given)
	}
	root, err := filepath.EvalSymlinks(t.root)
	if err != nil {
		root = t.root
	}
	if !allowOutside && !inside(t.root, full) && !inside(root, full) {
		return "outside", fmt.Sprintf("%s lies outside the manifest's folder (--allow-outside permits it)", p.Path)
	}
	target, err := filepath.EvalSymlinks(full)
	if err != nil {
		return "missing", fmt.Sprintf("%s is not there", p.Path)
	}
	if !allowOutside && !inside(root, target) {
		return "outside", fmt.Sprintf("%s leads outside the manifest's folder (--allow-outside permits it)", p.Path)
	}
	info, err := os.Stat(target)
	if err != nil || !info.Mode().IsRegular() {
		return "missing", fmt.Sprintf("%s is no file", p.Path)
	}
	p.Size = info.Size()
	if rel, err := filepath.Rel(t.root, full); err == nil && inside(t.root, full) {
		p.Path = filepath.ToSlash(rel)
	} else {
		p.Path = filepath.ToSlash(full)
	}
	return "", ""
}

func readJSONL(name string, r io.Reader, each func(entry) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 1<<16), maxManifestLine)
	for line := 1; sc.Scan(); line++ {
		b := bytes.TrimSpace(sc.Bytes())
		if len(b) == 0 {
			continue
		}
		e := entry{fields: map[string]string{}, place: fmt.Sprintf("%s:%d", name, line)}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		var v map[string]any
		if err := dec.Decode(&v); err != nil {
			return fault.Inputf("%s: %w; want one JSON object a line", e.place, err)
		}
		for k, x := range v {
			switch x := x.(type) {
			case nil:
			case string:
				e.fields[k] = x
			case json.Number:
				e.fields[k] = x.String()
			case []any:
				if role := columnRoles[strings.ToLower(k)]; role != "label" {
					e.fields[k] = ""
					if role != "" {
						return fault.Inputf("%s: %s is a list; want one value", e.place, k)
					}
					continue
				}
				for _, y := range x {
					e.labels = append(e.labels, fmt.Sprint(y))
				}
			default:
				e.fields[k] = fmt.Sprint(x)
			}
		}
		if err := each(e); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	return nil
}

func readTable(name string, r io.Reader, comma rune, each func(entry) error) error {
	c := csv.NewReader(r)
	c.Comma = comma
	c.LazyQuotes = comma == '\t'
	header, err := c.Read()
	if err != nil {
		return fault.Inputf("%s: want a header row of column names: %w", name, err)
	}
	header = slices.Clone(header)
	if !slices.ContainsFunc(header, func(h string) bool {
		role := columnRoles[strings.ToLower(strings.TrimSpace(h))]
		return role != "" && role != "key" && role != "label" && role != "start" && role != "end" && role != "sync"
	}) {
		return fault.Inputf("%s:1: no column image, video, audio, text, caption or the like (it has %s)", name, strings.Join(header, ", "))
	}
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Inputf("%s: %w", name, err)
		}
		line, _ := c.FieldPos(0)
		e := entry{fields: map[string]string{}, place: fmt.Sprintf("%s:%d", name, line)}
		for i, v := range row {
			e.fields[header[i]] = strings.TrimSpace(v)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

func readParquet(ctx context.Context, name, full string, each func(entry) error) (err error) {
	defer func() {
		if r := recover(); r != nil { // a damaged file can make the reader panic
			err = fault.Inputf("%s: no Parquet that can be read: %v", name, r)
		}
	}()
	pf, err := file.OpenParquetFile(full, false)
	if err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	defer pf.Close()
	r, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: 4096}, memory.DefaultAllocator)
	if err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	batches, err := r.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	defer batches.Release()
	n := 0
	for batches.Next() {
		b := batches.RecordBatch()
		for i := range int(b.NumRows()) {
			e := entry{fields: map[string]string{}, place: fmt.Sprintf("%s row %d", name, n)}
			n++
			for c := range int(b.NumCols()) {
				col := b.Column(c)
				if col.IsNull(i) {
					continue
				}
				key := b.ColumnName(c)
				v := col.ValueStr(i)
				if columnRoles[strings.ToLower(key)] == "label" && strings.HasPrefix(v, "[") {
					var list []string
					if json.Unmarshal([]byte(v), &list) == nil {
						e.labels = list
						continue
					}
				}
				e.fields[key] = v
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
	if err := batches.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fault.Inputf("%s: %w", name, err)
	}
	return nil
}

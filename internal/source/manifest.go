package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/sample"
)

// manifestNames are what a folder's manifest is called when the folder is given as the source, in the
// order in which they are looked for. The names of Hugging Face's folders count if their columns do.
var manifestNames = []string{
	"manifest.jsonl", "manifest.csv", "manifest.tsv", "manifest.parquet",
	"metadata.jsonl", "metadata.csv", "metadata.parquet",
}

// isManifestName reports whether a file can be a manifest by its extension.
func isManifestName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet":
		return true
	}
	return false
}

// commaOf is the separator of a table by its name.
func commaOf(name string) rune {
	if strings.EqualFold(path.Ext(name), ".tsv") {
		return '\t'
	}
	return ','
}

// manifests lists the manifests at the tree's root, in the order of preference.
func (t *tree) manifests() []string {
	if t.only != "" {
		return []string{t.only}
	}
	var out []string
	for _, n := range manifestNames {
		if _, ok := t.size(n); ok {
			out = append(out, n)
		}
	}
	return out
}

func findsManifest(t *tree) bool {
	for _, n := range t.manifests() {
		if strings.HasPrefix(n, "manifest.") || path.Ext(n) != ".csv" || t.startsWith(n, namesMaterial) {
			return true
		}
	}
	return false
}

// role is what a column means. The first of them are the modalities' own numbers: a path of that modality.
type role uint8

const (
	roleText    = role(sample.NumModalities) + iota // the text itself, or the path of a text file
	roleCaption                                     // the text itself
	roleFile                                        // a path whose extension tells the modality
	roleKey
	roleLabels
	roleStart
	roleEnd
	roleSync
	roleTime     // the moment of the picture on the clock of the motion
	roleFocal    // of the depth camera
	roleBaseline // of the depth camera
	roleEncoding // of the depth file
	roleAccel    // a path, of a recording whose sensors have a file each
	roleGyro     // and the other
	numRoles
)

// rolesByColumn says what each accepted column name means. Names are compared in lower case with spaces
// and dashes as underscores.
var rolesByColumn = map[string]role{
	"image": role(sample.Image), "image_path": role(sample.Image), "image_file": role(sample.Image), "frame": role(sample.Image), "frame_path": role(sample.Image),
	"video": role(sample.Video), "video_path": role(sample.Video), "video_file": role(sample.Video),
	"audio": role(sample.Audio), "audio_path": role(sample.Audio), "audio_file": role(sample.Audio),
	"text_path": role(sample.Text), "text_file": role(sample.Text), "caption_path": role(sample.Text), "caption_file": role(sample.Text),
	"depth": role(sample.Depth), "depth_path": role(sample.Depth), "depth_file": role(sample.Depth),
	"thermal": role(sample.Thermal), "thermal_path": role(sample.Thermal), "thermal_file": role(sample.Thermal),
	"infrared": role(sample.Thermal), "infrared_path": role(sample.Thermal), "infrared_file": role(sample.Thermal),
	"imu": role(sample.IMU), "imu_path": role(sample.IMU), "imu_file": role(sample.IMU),
	"text": roleText, "caption": roleCaption, "captions": roleCaption,
	"file_name": roleFile, "filename": roleFile, "file": roleFile, "path": roleFile,
	"key": roleKey, "id": roleKey,
	"label": roleLabels, "labels": roleLabels,
	"start": roleStart, "start_s": roleStart, "start_time": roleStart, "start_seconds": roleStart,
	"end": roleEnd, "end_s": roleEnd, "end_time": roleEnd, "end_seconds": roleEnd,
	"sync_offset": roleSync, "sync_offset_s": roleSync, "sync_offset_seconds": roleSync,
	"frame_time": roleTime, "frame_time_s": roleTime, "frame_time_seconds": roleTime,
	"focal_px": roleFocal, "fx": roleFocal, "baseline_m": roleBaseline,
	"depth_encoding": roleEncoding,
	"accel":          roleAccel, "accel_path": roleAccel, "accel_file": roleAccel, "accelerometer": roleAccel, "accelerometer_path": roleAccel, "accelerometer_file": roleAccel,
	"gyro": roleGyro, "gyro_path": roleGyro, "gyro_file": roleGyro, "gyroscope": roleGyro, "gyroscope_path": roleGyro, "gyroscope_file": roleGyro,
}

// roleOf finds a column's meaning.
func roleOf(column string) (role, bool) {
	c := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(column)))
	r, ok := rolesByColumn[c]
	return r, ok
}

// names reports whether a column of this role names material of a sample.
func (r role) names() bool { return r <= roleFile || r == roleAccel || r == roleGyro }

// namesMaterial reports whether a header has a column that names material.
func namesMaterial(header []string) bool {
	return slices.ContainsFunc(header, func(h string) bool {
		r, ok := roleOf(h)
		return ok && r.names()
	})
}

// entry is one row of a manifest.
type entry struct {
	line   int // or row, counted from 1
	value  [numRoles]string
	column [numRoles]string // the column that gave the value
	labels []string         // when a list gave them
	texts  []string         // captions beyond the first, when a list gave them
}

// manifestReader turns rows into samples.
type manifestReader struct {
	tree    *tree
	name    string
	place   string // what counts the rows: "line" or "row"
	options Options
	folders map[string]folderTarget // resolved folders of files
	samples []sample.Sample
	made    []int // samples whose key is made of a path, not stated
	unused  map[string]bool
	doubled tally
	notes   []string
}

// listManifest reads JSONL, CSV, TSV or Parquet with one row for each sample.
//
//	image video audio depth thermal imu   paths, relative to the manifest (also image_path and so on)
//	accel, gyro                           paths of a recording whose two sensors have a file each, in place of imu
//	text                                  the text, or the path of a text file: what ends in .txt and holds no white space
//	caption                               the text
//	text_path                             a path (also caption_path)
//	file_name, path                       a path whose extension tells the modality
//	key                                   (also id) must not repeat
//	label, labels                         a list, or several in a string with ; or | between
//	start, end                            the stretch of audio, video and imu, in seconds; no end: up to the end
//	frame_time_s                          the moment of the picture on the clock of imu, in seconds: the window
//	                                      of motion lies around it
//	focal_px, baseline_m, depth_encoding  the depth camera (also fx), and a word of depth.encoding
//	sync_offset_s                         audio start minus video start in seconds (also sync_offset)
//
// A video brings its sound unless audio is given. Text comes from text, else caption, else text_path, else
// from the labels by the template. Without a key column the key is the first path without its extension,
// with _<start in ms> where a start is given, with #2, #3 where that repeats (five captions of a picture
// are five samples); a row without any path is row-000000001. A stated key that repeats fails as
// duplicate_key, all but the first.
//
// A path that leaves the manifest's folder, by .. or through a link, fails its sample as "outside" unless
// Options.AllowOutside; a file that is not there fails it as "missing", a URL as "remote", a row that
// names nothing as "empty_row". Values of the wrong type are errors that name the line. Columns that are
// not used are noted.
func listManifest(ctx context.Context, t *tree, o Options) (*Listing, error) {
	names := t.manifests()
	if len(names) == 0 {
		return nil, fault.Inputf("%s holds no manifest (%s)", t.given, strings.Join(manifestNames, ", "))
	}
	m := &manifestReader{
		tree: t, name: names[0], place: "line", options: o,
		folders: map[string]folderTarget{}, unused: map[string]bool{},
	}
	each := func(e *entry) error {
		if len(m.samples)%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return m.add(e)
	}
	f, err := t.open(m.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch strings.ToLower(path.Ext(m.name)) {
	case ".jsonl", ".ndjson":
		err = m.readJSONL(f, each)
	case ".parquet":
		m.place = "row"
		err = m.readParquet(ctx, f, each)
	default:
		err = m.readTable(f, commaOf(m.name), each)
	}
	if err != nil {
		return nil, err
	}
	if len(m.samples) == 0 {
		return nil, fault.Inputf("%s holds no rows", m.name)
	}
	m.nameUnstated()
	return &Listing{Samples: m.samples, Notes: m.finishNotes(names)}, nil
}

// add turns a row into a sample.
func (m *manifestReader) add(e *entry) error {
	s := sample.Sample{Key: e.value[roleKey], Labels: e.labels}
	for label := range strings.FieldsFuncSeq(e.value[roleLabels], func(r rune) bool { return r == ';' || r == '|' }) {
		if label = strings.TrimSpace(label); label != "" {
			s.Labels = append(s.Labels, label)
		}
	}
	start, err := m.number(e, roleStart)
	if err != nil {
		return err
	}
	end, err := m.number(e, roleEnd)
	if err != nil {
		return err
	}
	if start < 0 || end < 0 || e.value[roleEnd] != "" && end <= start {
		return fault.Inputf("%s: start %g and end %g are no stretch in seconds", m.at(e), start, end)
	}
	if e.value[roleSync] != "" {
		sync, err := m.number(e, roleSync)
		if err != nil {
			return err
		}
		s.SyncOffset = &sync
	}
	moment, err := m.number(e, roleTime)
	if err != nil {
		return err
	}
	focal, err := m.positive(e, roleFocal)
	if err != nil {
		return err
	}
	baseline, err := m.positive(e, roleBaseline)
	if err != nil {
		return err
	}
	if w := e.value[roleEncoding]; w != "" && !slices.Contains(configs.DepthEncodings, w) {
		return fault.Inputf("%s: %s %q is not one of %s", m.at(e), e.column[roleEncoding], w, strings.Join(configs.DepthEncodings, ", "))
	}
	var paths [sample.NumModalities]string
	copy(paths[:], e.value[:sample.NumModalities])
	if p := e.value[roleFile]; p != "" {
		_, mod, ok := stem(p)
		if !ok {
			return fault.Inputf("%s: %s %q is of no kind that is read", m.at(e), e.column[roleFile], p)
		}
		if paths[mod] == "" {
			paths[mod] = p
		}
	}
	switch accel, gyro := e.value[roleAccel], e.value[roleGyro]; {
	case accel == "" && gyro == "":
	case paths[sample.IMU] != "":
		return fault.Inputf("%s: the row names %s and a file for each sensor; one of the two", m.at(e), e.column[sample.IMU])
	case accel == "" || gyro == "":
		s.Problem, s.ProblemDetail = "one_sensor", m.at(e)+": of the two sensors of a recording the row names one; motion needs the files of both, accel and gyro, or one imu"
		paths[sample.IMU] = accel + gyro
	default:
		paths[sample.IMU] = accel
	}
	text := e.value[roleText]
	if _, mod, ok := stem(text); ok && mod == sample.Text && !strings.ContainsAny(text, " \t\r\n") {
		paths[sample.Text], text = text, ""
	}
	if text != "" {
		e.texts = nil // those of another column
	} else {
		text = e.value[roleCaption]
	}
	if text != "" {
		paths[sample.Text] = ""
	}
	for i, given := range paths {
		mod := sample.Modality(i)
		if mod == sample.Text && text != "" {
			add(&s, sample.Part{Modality: mod, Text: text, Texts: e.texts})
		}
		if given == "" {
			continue
		}
		p := sample.Part{Modality: mod}
		switch mod {
		case sample.Audio, sample.Video:
			p.Start, p.End = start, end
		case sample.IMU:
			if p.Start, p.End = start, end; e.value[roleTime] != "" {
				p.Start, p.End = moment-motionWindow/2, moment+motionWindow/2
			}
		case sample.Depth:
			p.Focal, p.Baseline, p.Encoding = focal, baseline, e.value[roleEncoding]
		}
		var problem, detail string
		if p.Path, p.Size, problem, detail = m.resolve(given); problem != "" && s.Problem == "" {
			s.Problem, s.ProblemDetail = problem, m.at(e)+": "+detail
		}
		if gyro := e.value[roleGyro]; mod == sample.IMU && gyro != "" && gyro != given {
			if p.Gyro, p.GyroSize, problem, detail = m.resolve(gyro); problem != "" && s.Problem == "" {
				s.Problem, s.ProblemDetail = problem, m.at(e)+": "+detail
			}
		}
		s.Parts = append(s.Parts, p)
	}
	addVideoSound(&s)
	switch {
	case len(s.Parts) == 0:
		s.Problem, s.ProblemDetail = "empty_row", m.at(e)+": the row names no file and no text"
	case s.Part(sample.Text) == nil:
		addTexts(&s, captionsOf(m.options.Templates, s.Labels))
	}
	if s.Key == "" {
		s.Key = fmt.Sprintf("row-%09d", len(m.samples)+1)
		if p := s.Paths(); len(p) > 0 {
			s.Key = p[0]
			if ext := path.Ext(s.Key); ext != path.Base(s.Key) { // .wav is a name, not an extension
				s.Key = strings.TrimSuffix(s.Key, ext)
			}
			if e.value[roleStart] != "" {
				s.Key += fmt.Sprintf("_%d", millis(start))
			}
		}
		m.made = append(m.made, len(m.samples))
	}
	m.samples = append(m.samples, s)
	return nil
}

// set gives a role its value; the first column that has one counts.
func (m *manifestReader) set(e *entry, r role, column, value string) {
	if value == "" {
		return
	}
	if e.value[r] != "" {
		m.doubled.add(column)
		return
	}
	e.value[r], e.column[r] = value, column
}

func (m *manifestReader) number(e *entry, r role) (float64, error) {
	v := e.value[r]
	if v == "" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e10 { // 1e10 is beyond this century on a clock that counts from 1970
		return 0, fault.Inputf("%s: %s %q is no number of seconds", m.at(e), e.column[r], v)
	}
	return f, nil
}

// positive reads a number of pixels or metres; 0 when there is none.
func (m *manifestReader) positive(e *entry, r role) (float64, error) {
	v := e.value[r]
	if v == "" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f > 0) || f > 1e6 {
		return 0, fault.Inputf("%s: %s %q is no positive number", m.at(e), e.column[r], v)
	}
	return f, nil
}

// at says where a row stands.
func (m *manifestReader) at(e *entry) string {
	if m.place == "row" {
		return fmt.Sprintf("%s row %d", m.name, e.line)
	}
	return fmt.Sprintf("%s:%d", m.name, e.line)
}

// nameUnstated makes the keys unique that no column stated.
func (m *manifestReader) nameUnstated() {
	if len(m.made) == 0 {
		return
	}
	used := make(map[string]bool, len(m.samples))
	next := 0
	for i := range m.samples { // stated keys first: they keep their names
		if next < len(m.made) && m.made[next] == i {
			next++
			continue
		}
		used[m.samples[i].Key] = true
	}
	number := map[string]int{}
	for _, i := range m.made {
		s := &m.samples[i]
		if used[s.Key] {
			s.Key = another(s.Key, used, number)
		}
		used[s.Key] = true
	}
}

func (m *manifestReader) finishNotes(names []string) []string {
	notes := m.notes
	if len(names) > 1 {
		notes = append(notes, fmt.Sprintf("%s is the manifest; passed over: %s", names[0], strings.Join(names[1:], ", ")))
	}
	if len(m.unused) > 0 {
		var columns []string
		for n := range m.unused {
			columns = append(columns, oneLine(n))
		}
		slices.Sort(columns)
		const most = 20
		if len(columns) > most {
			columns = append(columns[:most], "…")
		}
		notes = append(notes, fmt.Sprintf("%s: columns that are not used: %s", m.name, strings.Join(columns, ", ")))
	}
	if m.doubled.n > 0 {
		notes = append(notes, fmt.Sprintf("%s: %s passed over for another column of the same meaning: %s", m.name, m.doubled.count("value was", "values were"), m.doubled))
	}
	if m.tree.only == "" {
		named := make(map[string]bool, len(m.samples))
		for i := range m.samples {
			for _, p := range m.samples[i].Parts {
				named[p.Path], named[p.Gyro] = true, true
			}
		}
		var unlisted tally
		for _, f := range m.tree.files {
			if _, _, ok := stem(f.name); ok && !named[f.name] {
				unlisted.add(f.name)
			}
		}
		if unlisted.n > 0 {
			notes = append(notes, fmt.Sprintf("%s not in the manifest: %s", unlisted.count("file below it is", "files below it are"), unlisted))
		}
	}
	return notes
}

// folderTarget is where a folder of files really lies.
type folderTarget struct {
	real string
	err  error
}

// resolve checks a path of a manifest against the folder's border and finds its file.
func (m *manifestReader) resolve(given string) (name string, size int64, problem, detail string) {
	if strings.Contains(given, "://") {
		return given, 0, "remote", fmt.Sprintf("%s is no local file; fetch it and name the file", given)
	}
	root := m.tree.root
	full := filepath.FromSlash(given)
	if !filepath.IsAbs(full) {
		full = filepath.Join(root, full)
	} else if outer, err := filepath.Abs(m.tree.given); err == nil && inside(outer, full) {
		rel, _ := filepath.Rel(outer, full) // the root may be named through a link
		full = filepath.Join(root, rel)
	}
	full = filepath.Clean(full)
	name = filepath.ToSlash(full)
	if rel, err := filepath.Rel(root, full); err == nil && inside(root, full) {
		name = filepath.ToSlash(rel)
	} else if !m.options.AllowOutside {
		return given, 0, "outside", fmt.Sprintf("%s lies outside the manifest's folder (source.allow_outside permits it)", given)
	}
	dir := filepath.Dir(full)
	folder, ok := m.folders[dir]
	if !ok {
		folder.real, folder.err = filepath.EvalSymlinks(dir)
		m.folders[dir] = folder
	}
	if folder.err != nil {
		return name, 0, "missing", fmt.Sprintf("%s is not there", given)
	}
	target := filepath.Join(folder.real, filepath.Base(full))
	info, err := os.Lstat(target)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if target, err = filepath.EvalSymlinks(target); err == nil {
			info, err = os.Stat(target)
		}
	}
	switch {
	case !m.options.AllowOutside && err == nil && !inside(root, target):
		return name, 0, "outside", fmt.Sprintf("%s leads outside the manifest's folder (source.allow_outside permits it)", given)
	case errors.Is(err, fs.ErrPermission):
		return name, 0, "unreadable", fmt.Sprintf("%s: no permission to look at it", given)
	case err != nil:
		return name, 0, "missing", fmt.Sprintf("%s is not there", given)
	case info.IsDir():
		return name, 0, "missing", fmt.Sprintf("%s is a folder, not a file", given)
	case !info.Mode().IsRegular():
		return name, 0, "missing", fmt.Sprintf("%s is no regular file", given)
	}
	return name, info.Size(), "", ""
}

// readTable reads CSV or TSV under a header row.
func (m *manifestReader) readTable(r io.Reader, comma rune, each func(*entry) error) error {
	t, err := newTable(m.name, r, comma, 0)
	if err != nil {
		return err
	}
	header, err := t.read()
	if errors.Is(err, io.EOF) {
		return fault.Inputf("%s is empty; want a header row of column names", m.name)
	}
	if err != nil {
		return err
	}
	header = slices.Clone(header)
	if !namesMaterial(header) {
		return fault.Inputf("%s:%d: no column image, video, audio, text, caption or the like (%s)", m.name, t.line, has(header))
	}
	roles := make([]role, len(header))
	for i, h := range header {
		r, ok := roleOf(h)
		if !ok {
			r = numRoles
			m.unused[strings.TrimSpace(h)] = true
		}
		roles[i] = r
	}
	delete(m.unused, "") // an unnamed index column
	for {
		row, err := t.read()
		if errors.Is(err, io.EOF) {
			m.notes = append(m.notes, t.notes()...)
			return nil
		}
		if err != nil {
			return err
		}
		if len(row) > len(header) {
			return fault.Inputf("%s:%d: %s under a header of %d; quote fields that hold the separator", m.name, t.line, fields(len(row)), len(header))
		}
		e := entry{line: t.line}
		for i, v := range row {
			if roles[i] < numRoles {
				m.set(&e, roles[i], header[i], strings.Clone(strings.TrimSpace(v)))
			}
		}
		if err := each(&e); err != nil {
			return err
		}
	}
}

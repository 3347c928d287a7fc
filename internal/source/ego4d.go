package source

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// motionWindow is what one sample shows of a recording, in seconds: the window of ImageBind's IMU tower.
const motionWindow = 5.0

// isUID reports whether s is one of Ego4D's identifiers: a UUID in lower-case hexadecimal.
func isUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f':
		default:
			return false
		}
	}
	return true
}

// egoFile tells what a file of the layout is: the identifier in its name and its folder.
func egoFile(name string) (uid, folder string) {
	dir, base := path.Split(name)
	ext := strings.ToLower(path.Ext(base))
	uid, folder = strings.TrimSuffix(base, path.Ext(base)), path.Base(dir)
	if !isUID(uid) {
		return "", ""
	}
	switch folder {
	case "imu":
		if ext == ".csv" || ext == ".parquet" {
			return uid, folder
		}
	case "full_scale", "video_540ss", "clips":
		if m, ok := media.ModalityOf(base); ok && m == sample.Video {
			return uid, folder
		}
	}
	return "", ""
}

// isNarrations and isEgoMetadata know the lists by their names.
func isNarrations(name string) bool {
	base := strings.ToLower(path.Base(name))
	return path.Ext(base) == ".json" && strings.Contains(base, "narration")
}

func isEgoMetadata(name string) bool { return strings.EqualFold(path.Base(name), "ego4d.json") }

// findsEgo4D looks for recordings or videos under identifiers together with one of Ego4D's lists, or for both.
func findsEgo4D(t *tree) bool {
	for _, n := range t.manifests() {
		if t.startsWith(n, namesMaterial) {
			return false // somebody's own manifest over such files
		}
	}
	imu, video, list := false, false, false
	for _, f := range t.files {
		switch _, folder := egoFile(f.name); folder {
		case "imu":
			imu = true
		case "full_scale", "video_540ss", "clips":
			video = true
		}
		list = list || isNarrations(f.name) || isEgoMetadata(f.name)
	}
	return imu && (video || list) || video && list
}

// egoVideo is what is known of one video.
type egoVideo struct {
	uid        string
	imu, video *treeFile
	rank       int     // of the folder that the video is from
	seconds    float64 // 0: unknown
	sound      bool    // the metadata says that there is sound
	clips      []egoClip
	narrations []egoNarration
	secondOnly bool // the narrations are those of the second narrator
}

// egoClip is a piece of a video that lies in a file of its own.
type egoClip struct {
	file       *treeFile
	start, end float64
}

type egoNarration struct {
	at   float64
	text string
}

// listEgo4D reads Ego4D as its command line lays it out, for v1 and v2, from the folder that was given to
// --output_directory or from one of a version:
//
//	ego4d.json                              metadata: lengths, sound, which clips are of which video
//	v2/full_scale/<video_uid>.mp4           (or v2/video_540ss/)
//	v2/clips/<clip_uid>.mp4
//	v2/imu/<video_uid>.csv                  component_idx, component_timestamp_ms, canonical_timestamp_ms,
//	                                        gyro_x, gyro_y, gyro_z, accl_x, accl_y, accl_z
//	v2/annotations/narration.json           (or all_narrations_redacted.json)
//
// The samples are stretches of 5 s of the videos and recordings that are there: around each narration of the
// first narrator (of the second where there is no first), as ImageBind's pairs were made, moved to lie inside
// the video; where a video has no narration, one after the other from its beginning, if ego4d.json tells its
// length; else a single one for the whole. Video and IMU have the same stretch: the canonical time of the
// recordings is that of the videos. A video that is only there in clips is read from the clip that holds the
// stretch, from its own beginning.
//
// The key is <video_uid>_<start in ms>. The narration is the caption: its tag (#C, the wearer; #O, another)
// taken off, the wearer's C written as "a person", #unsure as "something". Sound is a part only where ego4d.json
// says that the video has it: many have none.
func listEgo4D(ctx context.Context, t *tree, o Options) (*Listing, error) {
	e := &ego4d{tree: t, videos: map[string]*egoVideo{}, clips: map[string]*treeFile{}}
	for i := range t.files {
		e.take(&t.files[i])
	}
	for i := range t.files {
		name := t.files[i].name
		var err error
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case isEgoMetadata(name):
			err = e.read(name, e.metadata)
		case isNarrations(name):
			e.lists = append(e.lists, name)
		}
		if err != nil {
			return nil, err
		}
	}
	for i, name := range e.lists {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i > 0 { // the redacted narrations repeat the others
			e.notes = append(e.notes, fmt.Sprintf("%s passed over: the narrations are read from %s", name, e.lists[0]))
			continue
		}
		if err := e.read(name, e.narrations); err != nil {
			return nil, err
		}
	}
	if len(e.videos) == 0 {
		return nil, fault.Inputf("%s holds no recording or video of Ego4D: want imu/<video_uid>.csv or full_scale/<video_uid>.mp4", t.given)
	}
	l := &Listing{}
	uids := make([]string, 0, len(e.videos))
	for uid := range e.videos {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	for _, uid := range uids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l.Samples = append(l.Samples, e.samples(e.videos[uid])...)
	}
	l.Notes = e.finishNotes()
	return l, nil
}

// ego4d gathers what the lists of a tree say.
type ego4d struct {
	tree   *tree
	videos map[string]*egoVideo
	clips  map[string]*treeFile // clip_uid -> file, until the metadata says whose they are
	lists  []string
	notes  []string

	unnarrated, unmeasured, second, repeated, elsewhere tally
}

func (e *ego4d) video(uid string) *egoVideo {
	v := e.videos[uid]
	if v == nil {
		v = &egoVideo{uid: uid}
		e.videos[uid] = v
	}
	return v
}

// take puts a file in its place.
func (e *ego4d) take(f *treeFile) {
	uid, folder := egoFile(f.name)
	switch folder {
	case "imu":
		if v := e.video(uid); v.imu == nil {
			v.imu = f
		}
	case "full_scale", "video_540ss":
		rank := 1
		if folder == "full_scale" {
			rank = 2
		}
		if v := e.video(uid); v.rank < rank {
			v.video, v.rank = f, rank
		}
	case "clips":
		e.clips[uid] = f
	}
}

// read opens a JSON list and names it in errors.
func (e *ego4d) read(name string, parse func(*json.Decoder) error) error {
	f, err := e.tree.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := parse(json.NewDecoder(bufio.NewReaderSize(f, 1<<20))); err != nil {
		return fault.Inputf("%s: %w", name, err)
	}
	return nil
}

// object calls each for every member of an object whose opening brace was or is now read; each must take the
// member's value.
func object(d *json.Decoder, each func(key string) error) error {
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := k.(string)
		if !ok {
			return fmt.Errorf("byte %d: a name is expected", d.InputOffset())
		}
		if err := each(key); err != nil {
			return err
		}
	}
	_, err := d.Token() // the closing brace
	return err
}

// begin reads an opening brace or bracket.
func begin(d *json.Decoder, what string) (json.Delim, error) {
	tok, err := d.Token()
	if err != nil {
		return 0, err
	}
	if delim, ok := tok.(json.Delim); ok && (delim == '{' || delim == '[') {
		return delim, nil
	}
	return 0, fmt.Errorf("byte %d: %s is neither an object nor a list", d.InputOffset(), what)
}

// skip reads past a value without holding more than its tokens.
func skip(d *json.Decoder) error {
	depth := 0
	for {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// egoMeta is what is read of a video in ego4d.json, and of a clip there.
type egoMeta struct {
	VideoUID      string   `json:"video_uid"`
	ClipUID       string   `json:"clip_uid"`
	DurationSec   float64  `json:"duration_sec"`
	VideoStartSec *float64 `json:"video_start_sec"`
	VideoEndSec   *float64 `json:"video_end_sec"`
	VideoMetadata struct {
		AudioDurationSec *float64 `json:"audio_duration_sec"`
	} `json:"video_metadata"`
	Clips []egoMeta `json:"clips"`
}

// metadata reads ego4d.json: a list of videos, and one of clips, or clips within their videos.
func (e *ego4d) metadata(d *json.Decoder) error {
	delim, err := begin(d, "the file")
	if err != nil {
		return err
	}
	if delim == '[' {
		return fmt.Errorf("a list; want an object with the member videos")
	}
	return object(d, func(key string) error {
		if key != "videos" && key != "clips" {
			return skip(d)
		}
		if delim, err := begin(d, key); err != nil || delim != '[' {
			return fmt.Errorf("byte %d: %s is no list", d.InputOffset(), key)
		}
		for d.More() {
			var m egoMeta
			if err := d.Decode(&m); err != nil {
				return err
			}
			e.takeMeta(m, "")
		}
		_, err := d.Token()
		return err
	})
}

func (e *ego4d) takeMeta(m egoMeta, of string) {
	if m.VideoUID == "" {
		m.VideoUID = of
	}
	if m.ClipUID != "" {
		f := e.clips[m.ClipUID]
		if f == nil || m.VideoStartSec == nil || m.VideoEndSec == nil || !(*m.VideoEndSec > *m.VideoStartSec) || !isUID(m.VideoUID) {
			return
		}
		delete(e.clips, m.ClipUID)
		v := e.video(m.VideoUID)
		v.clips = append(v.clips, egoClip{f, *m.VideoStartSec, *m.VideoEndSec})
		return
	}
	if v := e.videos[m.VideoUID]; v != nil {
		if m.DurationSec > 0 && m.DurationSec < 1e7 {
			v.seconds = m.DurationSec
		}
		v.sound = m.VideoMetadata.AudioDurationSec != nil && *m.VideoMetadata.AudioDurationSec > 0
	}
	for _, c := range m.Clips {
		e.takeMeta(c, m.VideoUID)
	}
}

// egoText is a narration in either of the two files.
type egoText struct {
	TimestampSec *float64 `json:"timestamp_sec"`
	Time         *float64 `json:"time"`
	Narration    string   `json:"narration_text"`
	Text         string   `json:"text"`
}

type egoNarrator struct {
	Narrations []egoText `json:"narrations"`
}

// narrations reads the narrations of the videos that are there, a video at a time: the file has gigabytes. They
// are the members of the file's object or of its member videos.
func (e *ego4d) narrations(d *json.Decoder) error {
	if delim, err := begin(d, "the file"); err != nil || delim != '{' {
		if err == nil {
			err = fmt.Errorf("a list; want an object of videos")
		}
		return err
	}
	var members func(key string) error
	members = func(key string) error {
		switch {
		case isUID(key) && e.videos[key] != nil:
			var v struct {
				First  egoNarrator `json:"narration_pass_1"`
				Second egoNarrator `json:"narration_pass_2"`
				egoNarrator
			}
			if err := d.Decode(&v); err != nil {
				return err
			}
			e.narrate(e.videos[key], v.First.Narrations, v.Second.Narrations, v.Narrations)
			return nil
		case key == "videos":
			if delim, err := begin(d, key); err != nil || delim != '{' {
				return fmt.Errorf("byte %d: videos is no object of narrations by video", d.InputOffset())
			}
			return object(d, members)
		}
		return skip(d)
	}
	return object(d, members)
}

// narrate takes the first narrator who said anything.
func (e *ego4d) narrate(v *egoVideo, passes ...[]egoText) {
	if len(v.narrations) > 0 {
		return
	}
	for i, pass := range passes {
		for _, n := range pass {
			at := n.TimestampSec
			if at == nil {
				at = n.Time
			}
			text := plainNarration(n.Narration + n.Text)
			if at == nil || !(*at >= 0) || *at > 1e7 || text == "" {
				continue
			}
			v.narrations = append(v.narrations, egoNarration{*at, text})
		}
		if len(v.narrations) > 0 {
			v.secondOnly = i == 1
			break
		}
	}
	slices.SortStableFunc(v.narrations, func(a, b egoNarration) int { return int(millis(a.at) - millis(b.at)) })
}

// plainNarration makes "#C C picks a #unsure from the floor" "a person picks a something from the floor".
func plainNarration(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > 2 && s[0] == '#' && s[2] == ' ' {
		s = strings.TrimLeft(s[3:], " ")
	}
	s = strings.ReplaceAll(s, "#unsure", "something")
	s = strings.ReplaceAll(s, "#Unsure", "something")
	if rest, ok := strings.CutPrefix(s, "C "); ok {
		s = "a person " + rest
	}
	return strings.Join(strings.Fields(s), " ")
}

// samples cuts a video into its stretches.
func (e *ego4d) samples(v *egoVideo) []sample.Sample {
	end := v.seconds
	for _, c := range v.clips {
		if v.seconds == 0 {
			end = math.Max(end, c.end)
		}
	}
	slices.SortStableFunc(v.clips, func(a, b egoClip) int { return int(millis(a.start) - millis(b.start)) })
	if v.secondOnly {
		e.second.add(v.uid)
	}
	var out []sample.Sample
	seen := map[int64]bool{}
	stretch := func(start float64, text string) {
		if v.seconds > 0 {
			start = math.Min(start, v.seconds-motionWindow)
		}
		start = math.Max(start, 0)
		ms := millis(start)
		start = float64(ms) / 1000
		if seen[ms] {
			e.repeated.add(fmt.Sprintf("%s_%d", v.uid, ms))
			return
		}
		seen[ms] = true
		s := sample.Sample{Key: fmt.Sprintf("%s_%d", v.uid, ms)}
		e.place(&s, v, start, start+motionWindow)
		if text != "" {
			add(&s, sample.Part{Modality: sample.Text, Text: text})
		}
		if len(s.Parts) == 0 || len(s.Parts) == 1 && text != "" {
			e.elsewhere.add(s.Key) // a narration outside the clips that are there
			return
		}
		out = append(out, s)
	}
	for _, n := range v.narrations {
		stretch(n.at-motionWindow/2, n.text)
	}
	if len(v.narrations) > 0 {
		return out
	}
	if end >= motionWindow {
		e.unnarrated.add(v.uid)
		for at := 0.0; at+motionWindow <= end; at += motionWindow {
			stretch(at, "")
		}
		return out
	}
	e.unmeasured.add(v.uid)
	s := sample.Sample{Key: v.uid}
	e.place(&s, v, 0, 0)
	return append(out, s)
}

// place gives a sample the files that show the stretch from start to end of a video; end 0 is the whole.
func (e *ego4d) place(s *sample.Sample, v *egoVideo, start, end float64) {
	if v.video != nil {
		add(s, sample.Part{Modality: sample.Video, Path: v.video.name, Size: v.video.size, Start: start, End: end})
	} else {
		for _, c := range v.clips {
			if end == 0 || start >= c.start-0.001 && end <= c.end+0.001 {
				p := sample.Part{Modality: sample.Video, Path: c.file.name, Size: c.file.size}
				if end > 0 {
					p.Start = math.Max(0, float64(millis(start-c.start))/1000)
					p.End = p.Start + (end - start)
				}
				add(s, p)
				break
			}
		}
	}
	if v.sound {
		addVideoSound(s)
	}
	if v.imu != nil && (s.Part(sample.Video) != nil || v.video == nil && len(v.clips) == 0) {
		add(s, sample.Part{Modality: sample.IMU, Path: v.imu.name, Size: v.imu.size, Start: start, End: end})
	}
}

func (e *ego4d) finishNotes() []string {
	notes := e.notes
	note := func(t tally, format string, args ...any) {
		if t.n > 0 {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	note(e.second, "%s narrated by the second narrator alone: %s", e.second.count("video is", "videos are"), e.second)
	note(e.unnarrated, "%s no narration and cut into stretches of %g s: %s", e.unnarrated.count("video has", "videos have"), motionWindow, e.unnarrated)
	note(e.unmeasured, "%s neither narration nor length in ego4d.json, and one sample each, of its middle: %s", e.unmeasured.count("video has", "videos have"), e.unmeasured)
	note(e.repeated, "%s at the time of another and passed over: %s", e.repeated.count("narration is", "narrations are"), e.repeated)
	note(e.elsewhere, "%s in no clip that is there and passed over: %s", e.elsewhere.count("narration lies", "narrations lie"), e.elsewhere)
	var stray tally
	names := make([]string, 0, len(e.clips))
	for _, f := range e.clips {
		names = append(names, f.name)
	}
	slices.Sort(names)
	for _, n := range names {
		stray.add(n)
	}
	note(stray, "%s of a video that no ego4d.json names, and passed over: %s", stray.count("clip is", "clips are"), stray)
	return notes
}

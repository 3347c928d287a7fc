package stages

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/media/mp3"
	"prep/internal/sample"
	"prep/internal/source"
	"prep/shards"
)

// contentVersion counts changes of the transforms that change bytes: shards of different versions never
// mix in one folder.
const contentVersion = 15

// Names inside the output folder.
const (
	workDir     = ".prep"
	planFile    = workDir + "/plan.json"
	listingFile = workDir + "/listing.jsonl"
	rowsDir     = workDir + "/rows"
	lockFile    = workDir + "/lock"
)

// Task is one shard task: rows Start to End (excluded) of the listing. ID digests all that decides the
// task's content. It is what `prep plan` prints and `prep ingest --task` takes.
type Task struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	Shard string `json:"shard"` // the stem of its files' names
	// Offset and Bytes locate the task's lines in the listing, so that a worker reads only those.
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"`
	// Out is the folder the plan was made for, as an absolute path: a worker's default for --out. It is
	// no part of the identity and not stored in the plan.
	Out string `json:"out,omitempty"`
}

// Plan is the work of one output folder, fixed once. It is stored in the folder and never changes.
type Plan struct {
	FormatVersion  int               `json:"format_version"`
	ContentVersion int               `json:"content_version"`
	Root           string            `json:"root"` // absolute path of the source
	Kind           string            `json:"kind"` // the source's layout
	Config         configs.Config    `json:"config"`
	Pins           map[string]string `json:"pins"`
	Schema         shards.Schema     `json:"schema"`
	Samples        int64             `json:"samples"`
	Listing        string            `json:"listing_sha256"`
	Notes          []string          `json:"notes,omitempty"`
	Tasks          []Task            `json:"tasks"`
}

// contentSections are the parts of the configuration that decide bytes.
var contentSections = []string{"source", "audio", "image", "video", "text", "depth", "thermal", "imu", "flip", "filters", "shards"}

// MakePlan lists the source and cuts the listing into tasks. Nothing is written. The second result is
// the listing's bytes, one sample a line. skipUnsupported plans also where files cannot be read on this
// machine: each then costs a failed row.
func MakePlan(ctx context.Context, root string, cfg configs.Config, tools *media.Tools, skipUnsupported bool) (*Plan, []byte, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, nil, fault.Inputf("%s: %w", root, err)
	}
	listing, err := source.List(ctx, abs, source.Options{
		Kind: cfg.Source.Kind, Templates: cfg.Source.Template, SceneTemplate: cfg.Source.SceneTemplate, SUNDepth: cfg.Source.SUNDepth, AllowOutside: cfg.Source.AllowOutside,
	})
	if err != nil {
		return nil, nil, err
	}
	cfg.Text.Captions = captionColumns(listing.Samples, cfg.Text.Captions)
	pins, err := choosePins(ctx, listing.Samples, &cfg, tools, skipUnsupported)
	if err != nil {
		return nil, nil, err
	}
	p := &Plan{
		FormatVersion: shards.FormatVersion, ContentVersion: contentVersion,
		Root: listing.Root, Kind: listing.Kind, Config: cfg, Pins: pins,
		Schema: schemaOf(cfg, listing.Samples), Samples: int64(len(listing.Samples)), Notes: listing.Notes,
	}
	if n := depthOfNoCamera(listing.Samples, cfg.Depth); n > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("of %d depth maps the source tells no focal length: depth.focal_px (%g) and depth.baseline_m (%g) make disparity of them", n, cfg.Depth.FocalPx, cfg.Depth.BaselineM))
	}
	p.Config.Ingest = configs.Ingest{} // decides no byte
	p.Config.Train, p.Config.Model = configs.Train{}, configs.Model{}
	var buf bytes.Buffer
	var ends []int64
	enc := json.NewEncoder(&buf)
	for i := range listing.Samples {
		if err := enc.Encode(&listing.Samples[i]); err != nil {
			return nil, nil, err
		}
		ends = append(ends, int64(buf.Len()))
	}
	sum := sha256.Sum256(buf.Bytes())
	p.Listing = hex.EncodeToString(sum[:])
	if err := p.cut(buf.Bytes(), ends); err != nil {
		return nil, nil, err
	}
	return p, buf.Bytes(), nil
}

// autoCaptions bounds how many captions are stored where the configuration leaves it open: more are rare, and
// every sample has room for as many as the one with most.
const autoCaptions = 16

// captionColumns settles how many captions of a sample are stored.
func captionColumns(samples []sample.Sample, configured int) int {
	most := 1
	for i := range samples {
		if p := samples[i].Part(sample.Text); p != nil {
			most = max(most, 1+len(p.Texts))
		}
	}
	if configured == 0 {
		configured = autoCaptions
	}
	return min(most, configured)
}

// cut makes the tasks.
func (p *Plan) cut(listing []byte, ends []int64) error {
	identity, err := json.Marshal(struct {
		ContentVersion int
		Config         configs.Config
		Pins           map[string]string
	}{p.ContentVersion, p.Config, p.Pins})
	if err != nil {
		return err
	}
	per := int64(p.Config.Shards.Samples)
	for start := int64(0); start < p.Samples; start += per {
		t := Task{Index: len(p.Tasks), Start: start, End: min(start+per, p.Samples)}
		t.Shard = fmt.Sprintf("%06d", t.Index)
		if start > 0 {
			t.Offset = ends[start-1]
		}
		t.Bytes = ends[t.End-1] - t.Offset
		h := sha256.New()
		h.Write(identity)
		fmt.Fprintf(h, "\n%d %d %s\n", t.Start, t.End, t.Shard)
		h.Write(listing[t.Offset : t.Offset+t.Bytes])
		t.ID = hex.EncodeToString(h.Sum(nil)[:16])
		p.Tasks = append(p.Tasks, t)
	}
	return nil
}

// choosePins settles what could change bytes from machine to machine.
func choosePins(ctx context.Context, samples []sample.Sample, cfg *configs.Config, tools *media.Tools, skipUnsupported bool) (map[string]string, error) {
	pins := map[string]string{
		// Opus and ffmpeg round by the processor, and names do not tell where they will be met: an .ogg may hold Opus.
		"arch": runtime.GOARCH,
	}
	jpegs, mp3s, needFFmpeg := 0, 0, map[string]bool{}
	var example string
	unread := map[sample.Modality]int{}
	for i := range samples {
		for _, part := range samples[i].Parts {
			switch {
			case senseOf(part.Modality) == nil:
				unread[part.Modality]++
			case part.Path == "":
			case media.NeedsFFmpeg(part.Path):
				if example == "" {
					example = part.Path
				}
				needFFmpeg[part.Path] = true // a video's picture and sound are one file
			case part.Modality == sample.Image, part.Modality == sample.Thermal:
				jpegs++
			case part.Modality == sample.Audio:
				if f, _ := media.FormatOf(part.Path); f.Name == "MP3" {
					mp3s++
				}
			}
		}
	}
	for m, n := range unread {
		return nil, fault.Usagef("%d files of %s are listed, and this version does not read %s; leave them out of the source", n, m, m)
	}
	switch {
	case jpegs == 0:
	case cfg.Image.JPEG == "go" || cfg.Image.JPEG == "auto" && tools.Turbo == nil:
		pins["jpeg"] = "go"
	case tools.Turbo == nil:
		return nil, fault.Environmentf("image.jpeg is turbo, and this machine has no libjpeg-turbo (Debian: libturbojpeg0); install it or choose go")
	default:
		pins["jpeg"] = "turbo"
	}
	switch choice := cfg.Audio.MP3; {
	case mp3s == 0: // content that its name hides is decoded by Go
	case choice == "go", choice == "auto" && mp3.Fast:
		pins["mp3"] = "go"
	default:
		have := tools.MP3Library()
		if have == "" && choice != "auto" {
			return nil, fault.Environmentf("audio.mp3 is %s, and this machine has none that works (Debian: libmpg123-0); install it or choose go", choice)
		}
		pins["mp3"] = cmp.Or(have, "go")
	}
	switch {
	case len(needFFmpeg) == 0:
	case tools.Version(ctx) != "":
		pins["ffmpeg"] = tools.Version(ctx)
	case skipUnsupported:
		pins["ffmpeg"] = "none"
	default:
		return nil, fault.Environmentf("%d files need ffmpeg, which this machine lacks (%s, for one); install ffmpeg, or give --skip-unsupported to have them fail one by one", len(needFFmpeg), example)
	}
	return pins, nil
}

// checkPins says what this machine lacks to do the planned work with the planned bytes.
func (p *Plan) checkPins(tools *media.Tools) error {
	if a := p.Pins["arch"]; a != runtime.GOARCH {
		return fault.Environmentf("the work was planned on %s and its bytes differ here (%s); plan anew into another folder", a, runtime.GOARCH)
	}
	if p.Pins["jpeg"] == "turbo" && tools.Turbo == nil {
		return fault.Environmentf("the plan pins libjpeg-turbo, which this machine lacks (Debian: libturbojpeg0)")
	}
	if v := p.Pins["mp3"]; v != "" && v != "go" {
		switch have := tools.MP3Library(); have {
		case v:
		case "":
			return fault.Environmentf("the plan pins %s, and this machine has no libmpg123 that works (Debian: libmpg123-0)", v)
		default:
			return fault.Environmentf("the plan pins %s, and this machine's gives other bits (%s): another version or build", v, have)
		}
	}
	switch v := p.Pins["ffmpeg"]; {
	case v == "" || v == "none":
	case tools.Version(context.Background()) == "":
		return fault.Environmentf("the plan pins ffmpeg %s, and this machine has none that runs", v)
	case v != tools.Version(context.Background()):
		return fault.Environmentf("the plan pins ffmpeg %s, and this machine has %s", v, tools.Version(context.Background()))
	}
	if p.ContentVersion != contentVersion {
		return fault.Environmentf("the work was planned by a prep whose transforms have version %d; this one's have %d", p.ContentVersion, contentVersion)
	}
	return nil
}

// Adopt makes out the plan's folder: a new or empty folder gets the plan, a folder that has the same
// plan goes on with it, any other is refused with the differences named. It returns the plan in force.
func (p *Plan) Adopt(out string, listing []byte) (*Plan, error) {
	old, err := ReadPlan(out)
	switch {
	case err == nil:
		return old, p.sameWork(old, out)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := checkEmpty(out); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(out, rowsDir), 0o777); err != nil {
		return nil, machineError("cannot make "+out, err)
	}
	if err := writeFile(filepath.Join(out, workDir), "listing.jsonl", listing); err != nil {
		return nil, machineError("cannot write "+out, err)
	}
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(out, workDir), "plan.json", append(b, '\n')); err != nil {
		return nil, machineError("cannot write "+out, err)
	}
	return p, nil
}

// sameWork refuses to go on where another plan's work lies.
func (p *Plan) sameWork(old *Plan, out string) error {
	var diff []string
	diff = append(diff, configs.Diff(old.Config, p.Config, contentSections...)...)
	choice := map[string]string{"jpeg": p.Config.Image.JPEG, "mp3": p.Config.Audio.MP3}
	for _, k := range []string{"arch", "jpeg", "mp3", "ffmpeg"} {
		// A pinned Go decoder can be had everywhere, so "auto" finding another is no difference.
		if choice[k] == "auto" {
			continue
		}
		if old.Pins[k] != p.Pins[k] {
			diff = append(diff, fmt.Sprintf("%s: %q there, %q now", k, old.Pins[k], p.Pins[k]))
		}
	}
	if len(diff) > 0 {
		return fault.Usagef("%s was made with other settings: %s; choose another --out, or remove it", out, strings.Join(diff, "; "))
	}
	if old.Listing != p.Listing {
		return fault.Usagef("%s was made from another listing (%d samples of %s then, %d of %s now: files were added, removed or changed in size); choose another --out",
			out, old.Samples, old.Root, p.Samples, p.Root)
	}
	return nil
}

// checkEmpty refuses a folder that holds anything but what a planning that was interrupted leaves.
func checkEmpty(out string) error {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Usagef("--out %s: %w", out, err)
	}
	for _, e := range entries {
		if e.Name() != workDir && !strings.HasPrefix(e.Name(), ".tmp-") {
			return fault.Usagef("--out %s holds something else (%s, for one) and is no prep output; choose an empty or new folder", out, e.Name())
		}
	}
	return nil
}

// ReadPlan reads the plan of an output folder; fs.ErrNotExist when it has none.
func ReadPlan(out string) (*Plan, error) {
	b, err := os.ReadFile(filepath.Join(out, planFile))
	if err != nil {
		return nil, err
	}
	var p Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fault.Inputf("%s: %w", filepath.Join(out, planFile), err)
	}
	return &p, nil
}

// Samples reads the listed samples of a task.
func (t Task) Samples(out string) ([]sample.Sample, error) {
	f, err := os.Open(filepath.Join(out, listingFile))
	if err != nil {
		return nil, fault.Inputf("%s has no listing; was it planned with prep plan? (%w)", out, err)
	}
	defer f.Close()
	if t.Start < 0 || t.End < t.Start || t.Bytes < 0 || t.End-t.Start > 1<<20 {
		return nil, fault.Inputf("task %s: impossible range %d to %d", t.ID, t.Start, t.End)
	}
	dec := json.NewDecoder(bufio.NewReaderSize(io.NewSectionReader(f, t.Offset, t.Bytes), 1<<16))
	list := make([]sample.Sample, 0, t.End-t.Start)
	for range t.End - t.Start {
		var s sample.Sample
		if err := dec.Decode(&s); err != nil {
			return nil, fault.Inputf("%s does not hold the lines of task %d: %w", filepath.Join(out, listingFile), t.Index, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// Task returns the plan's own copy of a task that came from outside, or an error when the plan of this
// folder has no such task.
func (p *Plan) Task(t Task) (Task, error) {
	if t.Index < 0 || t.Index >= len(p.Tasks) || p.Tasks[t.Index].ID != t.ID {
		return Task{}, fault.Inputf("task %d (%s) belongs to another plan than this folder's", t.Index, t.ID)
	}
	return p.Tasks[t.Index], nil
}

// schemaOf gives every shard of a data set a column for every modality, so that data sets of different senses
// can be read by one program. One that no listed sample has is of type null and takes no space.
func schemaOf(cfg configs.Config, samples []sample.Sample) shards.Schema {
	var listed [sample.NumModalities]bool
	for i := range samples {
		for _, part := range samples[i].Parts {
			listed[part.Modality] = true
		}
	}
	if !cfg.Video.Frames {
		listed[sample.Video] = false
	}
	s := shards.Schema{Metrics: metricFields()}
	for m := range sample.NumModalities {
		f := sample.TensorField{Name: m.String(), DType: sample.Null, Shape: []int{}}
		if listed[m] {
			f = columnOf(m, cfg)
		}
		s.Tensors = append(s.Tensors, f)
	}
	if cfg.Text.Captions > 1 {
		s.Captions = true
		s.Tensors = append(s.Tensors, textsColumn(cfg))
	}
	return s
}

// machineError makes what the machine refused a fault that says so.
func machineError(what string, err error) error {
	return fault.Environmentf("%s: %w", what, err)
}

// writeFile puts a small file in place whole or not at all.
func writeFile(dir, name string, data []byte) error {
	_, err := shards.CommitFile(dir, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}, func(shards.File) string { return name })
	return err
}

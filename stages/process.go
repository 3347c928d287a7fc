package stages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"prep/configs"
	"prep/filters"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/random"
	"prep/internal/sample"
	"prep/internal/vision"
)

// Processor takes one listed sample through read, measure, gate and transform. It holds no state between
// samples but memory and what it keeps of large recordings, which change no result, and may be shared by any
// number of goroutines.
type Processor struct {
	Root   string
	Config configs.Config
	Tools  *media.Tools

	jpeg    string // decoder of JPEG files, as pinned: go or turbo
	rules   []filters.Rule
	motions *motionCache

	waves, clips   floats // sound at 16 kHz, and what is made of it
	tensors, files octets // tensors of sound, and files of pictures
}

// NewProcessor prepares a plan's work on this machine, or says what the machine lacks. root replaces the
// plan's own root when the source is mounted elsewhere; "" keeps it. ingest holds this machine's limits.
func NewProcessor(p *Plan, root string, ingest configs.Ingest, tools *media.Tools) (*Processor, error) {
	if err := p.checkPins(tools); err != nil {
		return nil, err
	}
	if root == "" {
		root = p.Root
	}
	cfg := p.Config
	cfg.Ingest = ingest
	jpeg := p.Pins["jpeg"]
	if jpeg == "" {
		jpeg = "go"
	}
	if p.Pins["ffmpeg"] == "none" { // planned without: having one now must change nothing
		without := *tools
		without.FFmpeg, without.FFprobe, without.FFmpegVersion = "", "", ""
		tools = &without
	}
	limited := *tools
	if v := p.Pins["mp3"]; v == "" || v == "go" {
		limited.MPG123 = nil
	}
	limited.TimeLimit = time.Duration(ingest.FFmpegSeconds * float64(time.Second))
	limited.MaxProcessBytes = ingest.FFmpegMB << 20
	return &Processor{Root: root, Config: cfg, Tools: &limited, jpeg: jpeg, rules: filters.Rules(cfg.Filters),
		motions: &motionCache{limit: ingest.IMUCacheMB << 20}}, nil
}

// Process fills s with caption, metrics and tensors. A nil error means the sample is to be written;
// otherwise the error's kind says what it costs. What was measured up to then is in s.Metrics.
func (p *Processor) Process(ctx context.Context, s *sample.Sample) (verdicts []filters.Verdict, err error) {
	defer func() {
		if r := recover(); r != nil { // our own bug must not cost a night's run, nor pass in silence
			err = fault.Corruptf("internal", "prep failed on %q: %v; please report it with the file (%s)", s.Key, r, whereOf(debug.Stack()))
		}
	}()
	defer func() { err = p.withoutRoot(err) }()
	media, err := p.Read(ctx, s)
	if err != nil {
		return nil, err
	}
	verdicts = filters.Judge(p.rules, s.Metrics)
	for _, v := range verdicts {
		if v.Drop {
			return verdicts, fault.Rejectedf(v.Reason, "%s", v.Detail)
		}
	}
	for m, d := range media {
		if d == nil {
			continue
		}
		if s.Tensors[m], err = d.tensor(p); err != nil {
			return verdicts, err
		}
	}
	p.flip(s)
	return verdicts, nil
}

// Release gives the memory of a sample's large tensors back for the next ones. It is a matter of speed only.
func (p *Processor) Release(s *sample.Sample) {
	vision.Release(s.Tensors[sample.Image].Data)
	p.tensors.put(s.Tensors[sample.Audio].Data)
	s.Tensors[sample.Image], s.Tensors[sample.Audio] = sample.Tensor{}, sample.Tensor{}
}

// flip mirrors what lies pixel for pixel over each other, where the configuration bakes it in.
func (p *Processor) flip(s *sample.Sample) {
	if p.Config.Flip.When != "ingest" {
		return
	}
	var pictures []*sample.Tensor
	for _, m := range []sample.Modality{sample.Image, sample.Video, sample.Depth, sample.Thermal} {
		if t := &s.Tensors[m]; !t.Absent() {
			pictures = append(pictures, t)
		}
	}
	if len(pictures) == 0 {
		return
	}
	s.Metrics["flipped"] = int64(0)
	if !random.Flip(p.Config.Flip.Seed, 0, s.Key) {
		return
	}
	s.Metrics["flipped"] = int64(1)
	for _, t := range pictures {
		mirror(t.Data, pictureSize, t.DType.Size())
	}
}

// mirror reverses every row of width elements of the given size, in place.
func mirror(b []byte, width, size int) {
	for row := range slices.Chunk(b, width*size) {
		for i, j := 0, (width-1)*size; i < j; i, j = i+size, j-size {
			for k := range size {
				row[i+k], row[j+k] = row[j+k], row[i+k]
			}
		}
	}
}

// Read decodes and measures the parts of s.
func (p *Processor) Read(ctx context.Context, s *sample.Sample) ([sample.NumModalities]medium, error) {
	var out [sample.NumModalities]medium
	s.Metrics, s.Notes = sample.Metrics{}, nil
	if s.Problem != "" {
		return out, fault.Corruptf(s.Problem, "%s", s.ProblemDetail)
	}
	whole, without, err := p.readContainer(ctx, s)
	if err != nil {
		return out, err
	}
	for _, sense := range senses {
		part := s.Part(sense.modality)
		if part == nil || without[sense.modality] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		d := whole[sense.modality]
		if d == nil {
			if d, err = sense.read(ctx, p, s, part); err != nil {
				return out, err
			}
		}
		if d != nil {
			d.measure(p, s)
			out[sense.modality] = d
		}
	}
	return out, nil
}

// locate checks a part's file against the listing and gives its path on this machine.
func (p *Processor) locate(part *sample.Part) (string, error) {
	path := filepath.FromSlash(part.Path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.Root, path)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fault.Corruptf("missing", "%s is no longer there", part.Path)
	case errors.Is(err, fs.ErrPermission):
		return "", fault.Corruptf("unreadable", "%s: no permission to read it", part.Path)
	case err != nil:
		return "", fault.Corruptf("unreadable", "%s: %w", part.Path, err)
	case !info.Mode().IsRegular():
		return "", fault.Corruptf("unreadable", "%s is no regular file", part.Path)
	case info.Size() != part.Size:
		return "", fault.Corruptf("changed", "%s has %d bytes and had %d when the work was planned", part.Path, info.Size(), part.Size)
	}
	return path, nil
}

// readWhole reads a picture or text file, to memory that p.files may take back.
func (p *Processor) readWhole(part *sample.Part) ([]byte, error) {
	path, err := p.locate(part)
	if err != nil {
		return nil, err
	}
	limit := p.Config.Ingest.MaxFileMB << 20
	tooLarge := func(size int64) error {
		return fault.Corruptf("too_large", "%s has %d bytes, more than ingest.max_file_mb (%d MiB)", part.Path, size, p.Config.Ingest.MaxFileMB)
	}
	if part.Size > limit {
		return nil, tooLarge(part.Size)
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, fault.Corruptf("unreadable", "%s: no permission to read it", part.Path)
		}
		return nil, fault.Corruptf("unreadable", "%s: %w", part.Path, err)
	}
	defer f.Close()
	data := bytes.NewBuffer(p.files.get(int(part.Size) + bytes.MinRead)[:0]) // the size as listed: it may have grown
	switch n, err := data.ReadFrom(io.LimitReader(f, limit+1)); {
	case err != nil:
		return nil, fault.Corruptf("unreadable", "%s: %w", part.Path, err)
	case n > limit:
		return nil, tooLarge(n)
	}
	return data.Bytes(), nil
}

// withoutRoot takes this machine's path of the source out of a message: the ledger's bytes must not depend
// on where a source is mounted.
func (p *Processor) withoutRoot(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	detail := strings.ReplaceAll(f.Detail, p.Root+string(filepath.Separator), "")
	return &fault.Error{Kind: f.Kind, Reason: f.Reason, Detail: detail, Err: err}
}

// inFile puts the file's name before a decoder's message.
func inFile(path string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return &fault.Error{Kind: f.Kind, Reason: f.Reason, Detail: path + ": " + f.Detail, Err: err}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// whereOf finds the first line of a stack that lies in this module.
func whereOf(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "prep/") && !strings.Contains(l, "whereOf") && !strings.Contains(l, ".Process.func") && i+1 < len(lines) {
			at := strings.TrimSpace(lines[i+1])
			if j := strings.LastIndexByte(at, '/'); j >= 0 {
				at = at[j+1:]
			}
			at, _, _ = strings.Cut(at, " ")
			return at
		}
	}
	return "place unknown"
}

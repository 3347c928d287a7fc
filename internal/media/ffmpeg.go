package media

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"prep/internal/fault"
)

// How ffmpeg is run, always: arguments as a list and no shell; the file behind the file: protocol, so that
// a name that begins with '-' or holds ':' stays a name; no other protocol but the pipe it writes to; only
// demuxers of media, so that a playlist or an image pattern in disguise cannot make it read other files; no
// standard input, one thread, a limited time, limited output, nothing written to disk. Bit-exact flags keep
// what comes out independent of the processor.

const (
	ffmpegTimeLimit = 5 * time.Minute
	probeTimeLimit  = time.Minute
	stderrLimit     = 64 << 10
)

// ffmpegDemuxers are the formats that ffmpeg may take a file for.
const ffmpegDemuxers = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,wav,w64,flac,mp3,aac," +
	"ac3,eac3,dts,amr,amrnb,amrwb,caf,au,wv,ape,tta,aiff,h264,hevc,m4v,ivf,gif,nut,oma,aa,spdif,truehd,voc"

// inputArgs are the options of one input. Only what both programs understand.
func inputArgs(path string) ([]string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.Corruptf("unreadable", "%s: %w", path, err)
	}
	return []string{"-protocol_whitelist", "file,pipe", "-format_whitelist", ffmpegDemuxers, "-i", "file:" + abs}, nil
}

// seconds prints a time for ffmpeg with microseconds, its resolution.
func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 6, 64) }

// cut says how a stretch is taken out: ffmpeg seeks to some time before it, so that decoders with memory
// (Vorbis and AAC overlap, Opus predicts) have run in, and a filter cuts by time stamps, to the sample. The
// option -t alone would count its length from the first frame that is kept, which may come late.
type cut struct {
	input  []string // options before -i
	filter string   // arguments of trim or atrim, "" to keep all
}

// runIn is how much is decoded and dropped before a stretch, in seconds.
const runIn = 1.0

func cutFor(seg Segment) (c cut) {
	from := math.Max(0, seg.Start-runIn)
	if from > 0 {
		c.input = append(c.input, "-ss", seconds(from))
	}
	var filter []string
	if seg.Start > from {
		filter = append(filter, "start="+seconds(seg.Start-from))
	}
	if seg.End > 0 && !math.IsInf(seg.End, 1) {
		c.input = append(c.input, "-t", seconds(seg.End-from+runIn))
		filter = append(filter, "end="+seconds(seg.End-from))
	}
	c.filter = strings.Join(filter, ":")
	return c
}

func needsFFmpeg(path, program, what string) error {
	return fault.Unsupportedf("needs_ffmpeg", "%s: %s needs %s; install ffmpeg (or set %s to where it is)", path, what, program, EnvFFmpeg)
}

// tail keeps the first and the last part of what a process says, so that a decoder that complains about
// every packet does not fill the memory.
type tail struct {
	mu         sync.Mutex
	head, last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if room := stderrLimit - len(t.head); room > 0 {
		k := min(room, len(p))
		t.head, p = append(t.head, p[:k]...), p[k:]
	}
	t.last = append(t.last, p...)
	if over := len(t.last) - stderrLimit; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return n, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.head) + string(t.last)
}

// process is one run of ffmpeg or ffprobe.
type process struct {
	program string
	args    []string
	limit   time.Duration
	outputs int // how many pipes it writes to: standard output, then descriptors 3, 4, ...
}

// errTimeLimit is the cause when a process ran past its limit.
var errTimeLimit = errors.New("time limit")

// run starts the process and calls consume for each of its outputs, each in its own goroutine. When consume
// returns an error the process is ended and that error is returned. Whatever happens, the process and all
// goroutines have ended on return. The text is what the process said.
func (p process) run(ctx context.Context, consume func(output int, r io.Reader) error) (text string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.limit, errTimeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.program, p.args...)
	cmd.WaitDelay = 2 * time.Second
	cmd.Env = append(os.Environ(), "AV_LOG_FORCE_NOCOLOR=1", "LC_ALL=C")
	var stderr tail
	cmd.Stderr = &stderr

	readers := make([]*os.File, 0, p.outputs)
	writers := make([]*os.File, 0, p.outputs)
	closeAll := func(files []*os.File) {
		for _, f := range files {
			f.Close()
		}
	}
	for range p.outputs {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(readers)
			closeAll(writers)
			return "", fault.Environmentf("no pipe for %s: %w", filepath.Base(p.program), err)
		}
		readers, writers = append(readers, r), append(writers, w)
	}
	defer closeAll(readers)
	if p.outputs > 0 {
		cmd.Stdout, cmd.ExtraFiles = writers[0], writers[1:]
	}
	if err := cmd.Start(); err != nil {
		closeAll(writers)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fault.Environmentf("cannot start %s: %w", p.program, err)
	}
	closeAll(writers)
	// A killed process closes its ends of the pipes and so ends the readers. Should a wrapper script have left
	// a child behind that holds them open, the deadline does it.
	defer context.AfterFunc(ctx, func() {
		for _, r := range readers {
			_ = r.SetReadDeadline(time.Now().Add(cmd.WaitDelay))
		}
	})()

	failed := make([]error, p.outputs)
	var wg sync.WaitGroup
	for i, r := range readers {
		wg.Go(func() {
			if failed[i] = consume(i, r); failed[i] != nil {
				cancel()
			}
			_, _ = io.Copy(io.Discard, r) // until the process ends, so that it is never blocked on this pipe
		})
	}
	wg.Wait()
	err = cmd.Wait()
	for _, f := range failed {
		if f != nil {
			return stderr.String(), f
		}
	}
	if ctx.Err() != nil {
		return stderr.String(), context.Cause(ctx)
	}
	return stderr.String(), err
}

// sayWhy turns the end of a process into an error about the file. what is "sound" or "video".
func sayWhy(path, program, text string, err error) error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, errTimeLimit):
		return fault.Corruptf("decode_timeout", "%s: %s did not finish in time and was ended", path, program)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case strings.Contains(text, "matches no streams"):
		// The caller names the track that it asked for.
		return errNoStream
	}
	line := firstProblem(text)
	if strings.Contains(text, "ermission denied") {
		return fault.Corruptf("unreadable", "%s: permission denied", path)
	}
	return fault.Corruptf("corrupt_media", "%s: %s cannot decode it: %s", path, program, line)
}

// errNoStream says that the file has no track of the wanted kind.
var errNoStream = errors.New("no such track")

// problemLine matches what -loglevel level+info says at the levels that matter. A context in brackets with
// an address may stand before the level.
var problemLine = regexp.MustCompile(`(?m)^(?:\[([^\]\n]*?)(?: @ [^\]\n]*)?\] )?\[(error|fatal|panic)\] (.*)$`)

// firstProblem is the first thing that the process complained about.
func firstProblem(text string) string {
	if m := problemLine.FindStringSubmatch(text); m != nil {
		line := strings.TrimSpace(m[3])
		if m[1] != "" {
			line = m[1] + ": " + line
		}
		return cleanLine(line)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if line := cleanLine(lines[len(lines)-1]); line != "" {
		return line
	}
	return "it says nothing"
}

// cleanLine keeps a line printable, short and without addresses in memory, which change from run to run.
func cleanLine(s string) string {
	s = strings.ToValidUTF8(addresses.ReplaceAllString(s, ""), "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return strings.TrimSpace(s)
}

var addresses = regexp.MustCompile(`( @ )?0x[0-9a-f]{6,}`)

var (
	durationLine = regexp.MustCompile(`Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)`)
	mappingLine  = regexp.MustCompile(`Stream #\d+:\d+ -> #\d+:\d+ \((\w+)`)
)

// declaredDuration is what ffmpeg reports as the container's length, 0 when it does not know.
func declaredDuration(text string) float64 {
	m := durationLine.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	h, _ := strconv.ParseFloat(m[1], 64)
	min, _ := strconv.ParseFloat(m[2], 64)
	s, _ := strconv.ParseFloat(m[3], 64)
	return h*3600 + min*60 + s
}

// decodeSoundFFmpeg decodes the first audio track through a WAV pipe of 32-bit floats, whose header says
// rate and channels. name is the format for messages.
func (t *Tools) decodeSoundFFmpeg(ctx context.Context, path, name string, seg Segment) (*Sound, error) {
	if t.FFmpeg == "" {
		return nil, needsFFmpeg(path, "ffmpeg", "sound in "+name)
	}
	input, err := inputArgs(path)
	if err != nil {
		return nil, err
	}
	args := []string{"-nostdin", "-hide_banner", "-nostats", "-v", "level+info", "-threads", "1", "-flags:a", "+bitexact"}
	c := cutFor(seg)
	args = append(args, c.input...)
	args = append(args, "-vn", "-sn", "-dn")
	args = append(args, input...)
	if c.filter != "" {
		args = append(args, "-af", "atrim="+c.filter)
	}
	args = append(args, "-map", "0:a:0", "-c:a", "pcm_f32le", "-fflags", "+bitexact", "-map_metadata", "-1",
		"-threads", "1", "-f", "wav", "pipe:1")

	var s *Sound
	p := process{t.FFmpeg, args, ffmpegTimeLimit, 1}
	text, err := p.run(ctx, func(_ int, r io.Reader) (err error) {
		s, err = t.readFloatWAV(path, r)
		return err
	})
	if err != nil {
		if err = sayWhy(path, "ffmpeg", text, err); errors.Is(err, errNoStream) {
			err = fault.Corruptf("no_audio", "%s: the file has no audio track", path)
		}
		return nil, err
	}
	declared := declaredDuration(text)
	if s == nil || len(s.Data) == 0 {
		if declared > 0 && seg.Start >= declared {
			return nil, fault.Corruptf("segment_outside", "%s: the segment starts at %.3f s but the medium ends at %.3f s", path, seg.Start, declared)
		}
		if problemLine.MatchString(text) {
			return nil, fault.Corruptf("corrupt_media", "%s: nothing could be decoded: %s", path, firstProblem(text))
		}
		return nil, fault.Corruptf("empty_audio", "%s: the audio track holds nothing in this segment", path)
	}
	if err := s.checkFinite(path); err != nil {
		return nil, err
	}
	s.Decoder = t.decoderName()
	s.DeclaredSeconds = declared
	if m := mappingLine.FindStringSubmatch(text); m != nil {
		s.Codec = m[1]
	}
	if m := problemLine.FindStringSubmatch(text); m != nil {
		s.Notes = append(s.Notes, "ffmpeg: "+firstProblem(text))
	}
	if declared > 0 {
		want := declared
		if seg.End > 0 {
			want = math.Min(want, seg.End)
		}
		// A track may begin late or end early, and a codec's frame is up to 0.1 s long.
		if missing := want - seg.Start - s.Seconds(); missing > 0.1 {
			s.MissingSeconds = missing
		}
	}
	return s, nil
}

// readFloatWAV reads the pipe: the header is one that ffmpeg just wrote (fmt, perhaps fact, data without a
// length), the amount of data is not known beforehand. nil without an error means that nothing came.
func (t *Tools) readFloatWAV(path string, r io.Reader) (*Sound, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	if _, err := br.Peek(1); err != nil {
		return nil, nil
	}
	odd := func() error { return fault.Corruptf("corrupt_media", "%s: ffmpeg's output is not understood", path) }
	var head [12]byte
	if _, err := io.ReadFull(br, head[:]); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, odd()
	}
	w := &wavFile{}
	for {
		if _, err := io.ReadFull(br, head[:8]); err != nil {
			return nil, odd()
		}
		size := binary.LittleEndian.Uint32(head[4:])
		if string(head[:4]) == "data" {
			break
		}
		if size > 1<<16 {
			return nil, odd()
		}
		body := make([]byte, size+size&1)
		if _, err := io.ReadFull(br, body); err != nil {
			return nil, odd()
		}
		if string(head[:4]) == "fmt " {
			if err := w.parseFormat(path, body); err != nil {
				return nil, err
			}
		}
	}
	if w.kind != pcmFloat || w.pcm.bytes != 4 {
		return nil, odd()
	}
	w.frames = -1
	w.bits = 0
	w.codec = ""
	s := newSound(w.soundFormat)
	limit := t.maxFrames(w.soundFormat) * int64(w.channels)
	raw := make([]byte, 1<<16)
	for {
		n, err := io.ReadFull(br, raw)
		n -= n % 4
		if int64(len(s.Data)+n/4) > limit {
			return nil, t.checkLength(w.soundFormat, path, limit/int64(w.channels)+1)
		}
		at := len(s.Data)
		s.Data = append(s.Data, make([]float32, n/4)...)
		w.pcm.decode(s.Data[at:], raw[:n])
		if err != nil {
			break
		}
	}
	s.Data = s.Data[:len(s.Data)/w.channels*w.channels]
	return s, nil
}

// probe is the part of ffprobe's JSON that is used.
type probe struct {
	Streams []struct {
		CodecType        string `json:"codec_type"`
		CodecName        string `json:"codec_name"`
		SampleRate       string `json:"sample_rate"`
		AverageFrameRate string `json:"avg_frame_rate"`
		StartTime        string `json:"start_time"`
		Duration         string `json:"duration"`
		Disposition      struct {
			AttachedPic int `json:"attached_pic"`
		} `json:"disposition"`
	} `json:"streams"`
	Format struct {
		Duration string `json:"duration"`
	} `json:"format"`
}

// ffprobe asks for the streams and the container of a file, without decoding it.
func (t *Tools) ffprobe(ctx context.Context, path, what string) (*probe, error) {
	if t.FFprobe == "" {
		return nil, needsFFmpeg(path, "ffprobe", what)
	}
	input, err := inputArgs(path)
	if err != nil {
		return nil, err
	}
	args := []string{"-hide_banner", "-v", "level+error", "-show_streams", "-show_format", "-of", "json"}
	var out []byte
	p := process{t.FFprobe, append(args, input...), probeTimeLimit, 1}
	text, err := p.run(ctx, func(_ int, r io.Reader) (err error) {
		out, err = io.ReadAll(io.LimitReader(r, 4<<20))
		return err
	})
	if err != nil {
		return nil, sayWhy(path, "ffprobe", text, err)
	}
	pr := &probe{}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(pr); err != nil {
		return nil, fault.Corruptf("corrupt_media", "%s: ffprobe's answer is not understood: %w", path, err)
	}
	return pr, nil
}

// durationFFmpeg is SoundDuration for what is not read by Go code.
func (t *Tools) durationFFmpeg(ctx context.Context, in *soundFile, name string) (float64, error) {
	if tracks, method, err := readContainer(in); err == nil && len(tracks) > 0 {
		timing := timingOf(tracks, method)
		if !timing.HasAudio {
			return 0, fault.Corruptf("no_audio", "%s: the file has no audio track", in.path)
		}
		if timing.AudioSeconds > 0 {
			return timing.AudioSeconds, nil
		}
	}
	if t.FFprobe != "" {
		pr, err := t.ffprobe(ctx, in.path, "the length of "+name)
		if err != nil {
			return 0, err
		}
		any := false
		for _, s := range pr.Streams {
			if s.CodecType == "audio" {
				any = true
				if d := probeSeconds(s.Duration); d > 0 {
					return d, nil
				}
				break
			}
		}
		if !any {
			return 0, fault.Corruptf("no_audio", "%s: the file has no audio track", in.path)
		}
		if d := probeSeconds(pr.Format.Duration); d > 0 {
			return d, nil
		}
	}
	s, err := t.decodeSoundFFmpeg(ctx, in.path, name, Segment{})
	if err != nil {
		return 0, err
	}
	return s.Seconds(), nil
}

// probeSeconds reads one of ffprobe's numbers, 0 when there is none.
func probeSeconds(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// probeStart reads a start time, nil when ffprobe does not know it.
func probeStart(s string) *float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// probeRatio reads a rate like 30000/1001, 0 when there is none.
func probeRatio(s string) float64 {
	n, d, ok := strings.Cut(s, "/")
	if !ok {
		return probeSeconds(s)
	}
	return rateOf(probeSeconds(n), probeSeconds(d))
}

package media

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/container"
)

// How ffmpeg is run, always: arguments as a list and no shell; the file behind the file: protocol, so that
// a name that begins with '-' or holds ':' stays a name; no other protocol but the pipe it writes to; only
// demuxers of media, so that a playlist or an image pattern in disguise cannot make it read other files; no
// standard input, one thread, a limited time, limited output, nothing written to disk. Bit-exact flags keep
// what comes out independent of the processor.

// ffmpegDemuxers are the formats that ffmpeg may take a file for.
const ffmpegDemuxers = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,wav,w64,flac,mp3,aac," +
	"ac3,eac3,dts,amr,amrnb,amrwb,caf,au,wv,ape,tta,aiff,h264,hevc,m4v,ivf,gif,nut,oma,aa,spdif,truehd,voc,mpc,mpc8,avr,epaf,iff,ircam,pvf,sds,dsf"

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

// runIn is how much is decoded and dropped before a stretch of sound, in seconds: decoders have memory
// (Vorbis and AAC overlap, Opus predicts).
const runIn = 1.0

// cut says how a stretch is taken out: ffmpeg seeks to some time before it, and a filter cuts by time
// stamps, to the sample or the frame. The option -t alone would count its length from the first frame that
// is kept, which may come late.
type cut struct {
	input  []string // options before -i
	filter string   // arguments of trim or atrim, "" to keep all
}

// cutAt cuts from one time to another of a container's own clock, which -copyts keeps; -Inf and +Inf leave
// an end open. lead is how much earlier to seek to, and no seek goes before begin, where the container
// begins.
func cutAt(from, to, lead, begin float64) (c cut) {
	var filter []string
	if !math.IsInf(from, 0) {
		if from-lead > begin {
			c.input = append(c.input, "-noaccurate_seek", "-seek_timestamp", "1", "-ss", seconds(from-lead))
		}
		filter = append(filter, "start="+seconds(from))
	}
	if !math.IsInf(to, 0) {
		filter = append(filter, "end="+seconds(to))
	}
	c.filter = strings.Join(filter, ":")
	return c
}

// cutFor cuts where the container's clock is not known: times count from ffmpeg's beginning of it.
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

// decoding is one run of ffmpeg over one file: stretches of its tracks, each demuxed for itself (so that
// each can be sought) and written to a pipe of its own.
type decoding struct {
	path            string
	format          string // what the file is, for messages, where that is known
	clock           bool   // times are the container's own
	inputs, outputs []string
	consume         []func(r io.Reader) error
}

// add takes a stretch of the first track of a kind, 'a' or 'v', through the filters and an encoder to
// consume. Pictures of a cover are no video.
func (d *decoding) add(kind byte, c cut, filters []string, encoder []string, consume func(r io.Reader) error) error {
	input, err := inputArgs(d.path)
	if err != nil {
		return err
	}
	n := len(d.consume)
	d.inputs = append(d.inputs, "-threads", "1", "-flags:"+string(kind), "+bitexact")
	track, option := "V:0", "-vf"
	if kind == 'a' {
		track, option = "a:0", "-af"
		d.inputs = append(d.inputs, "-vn")
		if c.filter != "" {
			filters = append([]string{"atrim=" + c.filter}, filters...)
		}
	} else {
		d.inputs = append(d.inputs, "-max_pixels", strconv.Itoa(maxFramePixels), "-an")
		if c.filter != "" {
			filters = append([]string{"trim=" + c.filter}, filters...)
		}
	}
	d.inputs = append(append(append(d.inputs, "-sn", "-dn"), c.input...), input...)
	d.outputs = append(d.outputs, "-map", fmt.Sprintf("%d:%s", n, track))
	if len(filters) > 0 {
		d.outputs = append(d.outputs, option, strings.Join(filters, ","))
	}
	pipe := "pipe:1"
	if n > 0 {
		pipe = "pipe:" + strconv.Itoa(n+2)
	}
	d.outputs = append(append(append(d.outputs, "-threads", "1"), encoder...), pipe)
	d.consume = append(d.consume, consume)
	return nil
}

// run starts ffmpeg. what is the medium for messages, in the words of its reason: audio or video.
func (d *decoding) run(ctx context.Context, t *Tools, what string) (text string, err error) {
	args := []string{"-nostdin", "-hide_banner", "-nostats", "-v", "level+info", "-max_alloc", strconv.Itoa(maxAllocation)}
	if d.clock {
		args = append(args, "-copyts")
	}
	args = append(append(args, d.inputs...), d.outputs...)
	p := process{program: t.FFmpeg, args: args, limit: t.timeLimit(), memory: t.processBytes(), outputs: len(d.consume)}
	text, err = p.run(ctx, func(i int, r io.Reader) error { return d.consume[i](r) })
	if err != nil {
		if err = sayWhy(d.path, d.format, "ffmpeg", text, err); errors.Is(err, errNoStream) {
			err = fault.Corruptf("no_"+what, "%s: the file has no %s track", d.path, what)
		}
	}
	return text, err
}

func needsFFmpeg(path, program, what string) error {
	return fault.Unsupportedf("needs_ffmpeg", "%s: %s needs %s; install ffmpeg (or set %s to where it is)", path, what, program, EnvFFmpeg)
}

var (
	durationLine = regexp.MustCompile(`Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)`)
	channelsLine = regexp.MustCompile(`Stream #\d+:\d+.*: Audio: .* (\d+) Hz, (\d+) channels`)
	mappingLine  = regexp.MustCompile(`Stream #\d+:\d+ -> #\d+:\d+ \((\w+) \([^)]*\) -> (\w+)`)
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
	return float64(h*3600) + float64(min*60) + s
}

// decodeSoundFFmpeg decodes the first audio track. name is the format for messages.
func (t *Tools) decodeSoundFFmpeg(ctx context.Context, path, name string, seg Segment) (*Sound, error) {
	if t.FFmpeg == "" {
		return nil, needsFFmpeg(path, "ffmpeg", "sound in "+name)
	}
	timing := t.containerTiming(ctx, path) // what is wrong with it, ffmpeg will find as well
	d := &decoding{path: path, format: name}
	s := &piped{}
	if err := t.addSound(d, s, timing, seg); err != nil {
		return nil, err
	}
	text, err := d.run(ctx, t, "audio")
	if err != nil {
		// What has more channels than it mixes ffmpeg refuses in words of its own.
		if m := channelsLine.FindStringSubmatch(text); m != nil {
			rate, _ := strconv.Atoi(m[1])
			channels, _ := strconv.Atoi(m[2])
			if channels > maxChannels {
				return nil, soundFormat{rate: rate, channels: channels}.check(path)
			}
		}
		return nil, err
	}
	return t.finishSound(path, text, s.sound, seg)
}

// piped receives what a consumer of a pipe makes.
type piped struct{ sound *Sound }

// addSound adds a segment of sound to a run of ffmpeg: a WAV pipe of 32-bit floats, whose header says rate
// and channels. Where the container says when the track ends, what the codec pads behind is cut off.
func (t *Tools) addSound(d *decoding, into *piped, timing container.Timing, seg Segment) error {
	expected := timing.AudioSeconds - seg.Start
	if seg.End > 0 {
		expected = math.Min(expected, seg.End-seg.Start)
	}
	c := cutFor(seg)
	if begin, ok := timing.Begin(); ok && timing.HasAudio {
		d.clock = true
		from, to := math.Inf(-1), math.Inf(1)
		if seg.Start > 0 {
			from = begin + seg.Start
		}
		if seg.End > 0 && !math.IsInf(seg.End, 1) {
			to = begin + seg.End
		}
		if timing.AudioEdited && timing.AudioStart != nil {
			to = math.Min(to, *timing.AudioStart+timing.AudioSeconds)
		}
		c = cutAt(from, to, timing.Lead(runIn), begin)
	}
	return d.add('a', c, nil, []string{"-c:a", "pcm_f32le", "-fflags", "+bitexact", "-map_metadata", "-1", "-f", "wav"}, func(r io.Reader) (err error) {
		into.sound, err = t.readFloatWAV(d.path, r, expected)
		return err
	})
}

// finishSound checks what came and completes its description with what ffmpeg said.
func (t *Tools) finishSound(path, text string, s *Sound, seg Segment) (*Sound, error) {
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
	for _, m := range mappingLine.FindAllStringSubmatch(text, -1) {
		if m[2] == "pcm_f32le" {
			s.Codec = m[1]
		}
	}
	if problemLine.MatchString(text) {
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
// length), the amount of data is not known beforehand; memory for the seconds that are expected is taken at once.
// nil without an error means that nothing came.
func (t *Tools) readFloatWAV(path string, r io.Reader, expected float64) (*Sound, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	if _, err := br.Peek(1); err != nil {
		return nil, nil
	}
	odd := func() error { return fault.Corruptf("corrupt_media", "%s: ffmpeg's output is not understood", path) }
	var head [12]byte
	if _, err := io.ReadFull(br, head[:]); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, odd()
	}
	w := &wavFile{order: binary.LittleEndian}
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
	// A container's word for its length is no reason to take more than ordinary sounds need.
	const least, most = 1 << 16, 8 << 20
	room := int64(least)
	if n := expected * float64(w.rate*w.channels); n > least {
		room = int64(math.Min(n, most)) + least
	}
	s.Data = newSamples(room)[:0]
	raw := make([]byte, 1<<16)
	for {
		n, err := io.ReadFull(br, raw)
		n -= n % 4
		if int64(len(s.Data)+n/4) > limit {
			return nil, t.checkLength(w.soundFormat, path, limit/int64(w.channels)+1)
		}
		at := len(s.Data)
		if at+n/4 > cap(s.Data) {
			bigger := newSamples(2 * int64(cap(s.Data)))[:at]
			copy(bigger, s.Data)
			releaseSamples(s.Data)
			s.Data = bigger
		}
		s.Data = s.Data[:at+n/4]
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
	p := process{program: t.FFprobe, args: append(args, input...), limit: t.timeLimit(), memory: t.processBytes(), outputs: 1}
	text, err := p.run(ctx, func(_ int, r io.Reader) (err error) {
		out, err = io.ReadAll(io.LimitReader(r, 4<<20))
		return err
	})
	if err != nil {
		return nil, sayWhy(path, "", "ffprobe", text, err)
	}
	pr := &probe{}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(pr); err != nil {
		return nil, fault.Corruptf("corrupt_media", "%s: ffprobe's answer is not understood: %w", path, err)
	}
	return pr, nil
}

// durationFFmpeg is Recording.Length for what is not read by Go code.
func (t *Tools) durationFFmpeg(ctx context.Context, in *infile.File, name string) (float64, error) {
	if timing, known, err := container.Read(in); err == nil && known {
		if !timing.HasAudio {
			return 0, fault.Corruptf("no_audio", "%s: the file has no audio track", in.Path)
		}
		if timing.AudioSeconds > 0 {
			return timing.AudioSeconds, nil
		}
	}
	if t.FFprobe != "" {
		pr, err := t.ffprobe(ctx, in.Path, "the length of "+name)
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
			return 0, fault.Corruptf("no_audio", "%s: the file has no audio track", in.Path)
		}
		if d := probeSeconds(pr.Format.Duration); d > 0 {
			return d, nil
		}
	}
	s, err := t.decodeSoundFFmpeg(ctx, in.Path, name, Segment{})
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
	return container.RateOf(probeSeconds(n), probeSeconds(d))
}

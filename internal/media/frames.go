package media

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"math/big"
	"regexp"
	"strconv"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/container"
	"prep/internal/vision"
)

const (
	clipSeconds    = 2
	maxClips       = 16
	maxFrameSide   = 16384
	maxFramePixels = 64 << 20 // 8192 x 8192
	slideReach     = 60.0     // how far before a clip a picture that is still shown may have begun, seconds
)

// A VideoRequest says what is wanted of a container.
type VideoRequest struct {
	// Clips of two seconds are spread evenly over Segment, 0 for no pictures.
	Clips   int
	Segment Segment
	// Sound is the segment of sound to decode in the same run, nil for none.
	Sound *Segment
	// Motion asks for the motion between pictures over the whole segment.
	Motion bool
}

// Video is what was decoded.
type Video struct {
	Clips []Clip
	Sound *Sound
	// SoundErr says why there is no Sound where it was wanted together with pictures, and the pictures are whole.
	SoundErr error
	Motion   *MotionEnergy
	// Note is the first thing that the decoder complained about; "" when it was content.
	Note string
}

// Clip holds the first and the last picture that begin in two seconds of video: RGB in their stored size,
// turned as the container says; pixels that are not square are left so, and fields stay woven. Times are
// when they are shown on the container's clock, NaN where the decoder did not say.
type Clip struct {
	Frames [2]*vision.Picture
	Times  [2]float64
}

// clipStarts spreads clips of two seconds evenly over a medium, the first at its beginning and the last at
// its end, as pytorchvideo's constant clip sampler does for ImageBind. A single clip is the middle one, as
// of three or five; the sampler's own answer for one would be the beginning. In a medium shorter than a clip
// all start at 0.
//
// The arithmetic is the sampler's: exact fractions of the length as a double.
func clipStarts(length float64, clips int) []*big.Rat {
	two := big.NewRat(clipSeconds, 1)
	room := new(big.Rat).SetFloat64(math.Max(0, length-clipSeconds))
	if clips == 1 {
		return []*big.Rat{room.Quo(room, two)}
	}
	room.Quo(room, big.NewRat(int64(clips-1), 1))
	starts := make([]*big.Rat, clips)
	for i := range starts {
		starts[i] = new(big.Rat).Mul(room, big.NewRat(int64(i), 1))
	}
	return starts
}

// DecodeVideo decodes clips of the first video track, and the sound if it is wanted, in one run of ffmpeg.
// timing is what [Tools.ProbeTiming] said of the file.
//
// The clips are spread over that part of the segment for which there is video. Of each the first and the
// last frame are taken, as ImageBind takes linspace(0, T-1, 2) of a clip's T frames. Which frames a clip
// has is decided as decord and pytorchvideo do at a constant rate: frame i belongs to it when
// ceil(fps start) <= i < ceil(fps (start+2)), i counted from the first frame; a frame's number is its time
// by the average rate, to the nearest, so that containers that round time stamps change nothing. Where the
// rate varies, decord goes on counting frames and takes them for evenly spaced; here their times decide.
// A clip with one frame repeats it, and one without shows what was on screen.
//
// Where clips are wanted too, sound that came to nothing is no error but the result's SoundErr.
//
// Errors: those of opening a file (see [Tools.DecodeSound]), no_video, no_audio, corrupt_media, no_frames,
// segment_outside, bad_segment, too_large, decode_timeout, decoder_killed, needs_ffmpeg, and those of sound.
func (t *Tools) DecodeVideo(ctx context.Context, path string, timing container.Timing, want VideoRequest) (*Video, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if want.Clips < 0 || want.Clips > maxClips {
		return nil, fault.Usagef("%d clips: want 1 to %d", want.Clips, maxClips)
	}
	if err := want.Segment.check(path); err != nil {
		return nil, err
	}
	if want.Sound != nil {
		if err := want.Sound.check(path); err != nil {
			return nil, err
		}
	}
	f, err := infile.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	f.Close()
	if t.FFmpeg == "" {
		return nil, needsFFmpeg(path, "ffmpeg", "video")
	}
	v, err := t.decodeVideo(ctx, path, timing, want)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return v, err
}

func (t *Tools) decodeVideo(ctx context.Context, path string, timing container.Timing, want VideoRequest) (*Video, error) {
	d := &decoding{path: path}
	var stretches []stretch
	if want.Clips > 0 || want.Motion {
		if !timing.HasVideo {
			return nil, fault.Corruptf("no_video", "%s: the file has no video track", path)
		}
		span, err := spanOf(timing, path, want.Segment)
		if err != nil {
			return nil, err
		}
		d.clock = span.clock
		if want.Clips > 0 {
			stretches = span.clips(want.Clips)
		}
		if want.Motion {
			stretches = append(stretches, stretch{from: span.from, to: span.to, begin: span.begin, motion: true})
		}
	}
	var sound piped
	if want.Sound != nil {
		if err := t.addSound(d, &sound, timing, *want.Sound); err != nil {
			return nil, err
		}
	}
	v := &Video{}
	all := make([]*taken, len(stretches))
	for i, s := range stretches {
		all[i] = &taken{}
		if err := s.add(d, timing.Lead(0.5), all[i]); err != nil {
			return nil, err
		}
	}
	if len(d.consume) == 0 {
		return v, nil
	}
	what := "video"
	if len(stretches) == 0 {
		what = "audio"
	}
	text, err := d.run(ctx, t, what)
	if err != nil {
		return nil, err
	}
	if want.Sound != nil {
		if v.Sound, v.SoundErr = t.finishSound(path, text, sound.sound, *want.Sound); v.SoundErr != nil && want.Clips == 0 {
			return nil, v.SoundErr
		}
	}
	if problemLine.MatchString(text) {
		v.Note = firstProblem(text)
	}
	readTimes(text, d, all...)
	for i, s := range stretches {
		if s.motion {
			v.Motion = all[i].motion
			continue
		}
		got := all[i]
		if s.doubtful(got) {
			if got, err = t.again(ctx, d, s, timing); err != nil {
				return nil, err
			}
		}
		if got.frames[0] == nil {
			if problemLine.MatchString(text) {
				return nil, fault.Corruptf("corrupt_media", "%s: no picture between %.3f s and %.3f s could be decoded: %s", path, math.Max(0, s.from-s.begin), s.to-s.begin, firstProblem(text))
			}
			return nil, fault.Corruptf("no_frames", "%s: no picture can be decoded between %.3f s and %.3f s", path, math.Max(0, s.from-s.begin), s.to-s.begin)
		}
		if got.frames[1] == nil {
			got.frames[1], got.times[1] = got.frames[0], got.times[0]
		}
		v.Clips = append(v.Clips, Clip{got.frames, got.times})
	}
	return v, nil
}

// videoSpan is the part of a segment for which there is video.
type videoSpan struct {
	from, to float64 // on the container's clock or, where that is not known, on ffmpeg's
	begin    float64 // where that clock's medium begins
	first    float64 // the time of frame 0
	fps      float64
	clock    bool
}

// spanOf finds the part of a segment for which there is video.
func spanOf(t container.Timing, path string, seg Segment) (videoSpan, error) {
	s := videoSpan{fps: t.VideoFPS}
	s.begin, _ = t.Begin()
	if t.VideoStart != nil {
		s.first, s.clock = *t.VideoStart, true
	} else {
		s.begin = 0
	}
	end := s.first + t.VideoSeconds
	if t.VideoSeconds <= 0 {
		if end = s.begin + seg.End; seg.End <= 0 {
			return s, fault.Corruptf("corrupt_media", "%s: the container does not say how long its video is", path)
		}
	}
	if seg.Start >= end-s.begin {
		return s, fault.Corruptf("segment_outside", "%s: the segment starts at %.3f s but the video ends at %.3f s", path, seg.Start, end-s.begin)
	}
	s.from, s.to = math.Max(s.begin+seg.Start, s.first), end
	if seg.End > 0 {
		s.to = math.Min(s.to, s.begin+seg.End)
	}
	if s.to <= s.from {
		return s, fault.Corruptf("segment_outside", "%s: the segment ends at %.3f s but the video begins at %.3f s", path, seg.End, s.first-s.begin)
	}
	return s, nil
}

// A stretch of video: a clip, or all of it for its motion.
type stretch struct {
	from, to, begin float64
	step            float64 // between frames, 0 unknown
	frames          float64 // that begin in it at an even rate, 0 unknown
	motion          bool
}

// clips are the stretches of the clips, their limits halfway between the last frame outside and the first
// one inside.
func (s videoSpan) clips(n int) []stretch {
	var out []stretch
	ahead := s.from - s.first // of the span, on the video's own time
	for _, start := range clipStarts(s.to-s.from, n) {
		from, _ := start.Float64()
		to, _ := start.Add(start, big.NewRat(clipSeconds, 1)).Float64()
		c := stretch{from: s.from + from - 0.0005, to: math.Min(s.from+to, s.to) - 0.0005, begin: s.begin}
		if s.fps > 0 {
			c.step = 1 / s.fps
			first, after := math.Ceil(s.fps*(ahead+from)), math.Ceil(s.fps*(ahead+to))
			after = math.Min(after, math.Ceil(float64(s.fps*(s.to-s.first))-1e-6))
			c.frames = after - first
			c.from, c.to = s.first+float64((first-0.5)*c.step), s.first+float64((after-0.5)*c.step)
			c.to = math.Max(c.to, c.from+0.001) // no frame: the one before is on screen
			if first == 0 {
				c.from = math.Inf(-1) // whatever comes before the first frame's time is the first frame
			}
		}
		out = append(out, c)
	}
	return out
}

// taken is what came of a stretch.
type taken struct {
	frames [2]*vision.Picture
	times  [2]float64
	count  int // of pictures that came, not of all in the stretch
	output int // of the run, to find its times
	motion *MotionEnergy
}

// colours is the conversion to RGB alone: scaled to the same size, with arithmetic that is the same on every
// processor and chroma interpolated.
const colours = "scale=iw:ih:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact,format=rgb24"

// add puts the stretch into a run: of a clip the first frame and those of a short while at its end, of
// which the last counts.
func (s stretch) add(d *decoding, lead float64, into *taken) error {
	if s.motion {
		return s.addMotion(d, lead, into)
	}
	tail := s.to - 0.5
	if s.step > 0 {
		tail = s.to - math.Max(0.1, 3*s.step)
	}
	return s.addFrames(d, lead, fmt.Sprintf("select=isnan(prev_selected_t)+gte(t\\,%s)", seconds(tail)), into)
}

// addFrames puts the frames that pass a filter into a run. The pictures come as PPM, which says the size of
// each; showinfo says their times.
func (s stretch) addFrames(d *decoding, lead float64, filter string, into *taken) error {
	into.output = len(d.consume)
	into.times = [2]float64{math.NaN(), math.NaN()}
	filters := []string{fmt.Sprintf("showinfo@clip%d=checksum=0", into.output), colours}
	if filter != "" {
		filters = append([]string{filter}, filters...)
	}
	c := cutAt(s.from, s.to, lead, s.begin)
	if !d.clock {
		c = cutFor(Segment{math.Max(0, s.from-s.begin), s.to - s.begin})
	}
	return d.add('v', c, filters, []string{"-vsync", "passthrough", "-c:v", "ppm", "-f", "image2pipe"}, func(r io.Reader) error {
		return into.read(d.path, bufio.NewReaderSize(r, 1<<16))
	})
}

// doubtful says that what came may not be the stretch's first and last frame: a seek that landed late, or
// no frame in the short while at the end, as where pictures stand still.
func (s stretch) doubtful(got *taken) bool {
	switch {
	case got.count == 0:
		return true
	case got.count == 1:
		return s.frames != 1
	}
	return !math.IsNaN(got.times[0]) && !math.IsInf(s.from, 0) && got.times[0] > s.from+math.Max(2.5*s.step, 0.1)
}

// again decodes all frames of a stretch, from far ahead; and where there is none the one before it, which is
// still on the screen.
func (t *Tools) again(ctx context.Context, run *decoding, s stretch, timing container.Timing) (*taken, error) {
	got := &taken{}
	d := &decoding{path: run.path, clock: run.clock}
	if err := s.addFrames(d, timing.Lead(10), "", got); err != nil {
		return nil, err
	}
	text, err := d.run(ctx, t, "video")
	if err != nil {
		return nil, err
	}
	if got.count > 0 {
		readTimes(text, d, got)
		return got, nil
	}
	back := s
	back.from = math.Max(s.begin, s.from-slideReach)
	d = &decoding{path: run.path, clock: run.clock}
	if err := back.addFrames(d, timing.Lead(0.5), "", got); err != nil {
		return nil, err
	}
	if _, err = d.run(ctx, t, "video"); err != nil {
		return nil, err
	}
	if got.frames[1] != nil {
		got.frames[0] = got.frames[1]
	}
	return got, nil
}

// shownLine is what showinfo says of a frame.
var shownLine = regexp.MustCompile(`(?m)\[showinfo@clip(\d+) @ [^\]]*\] \[info\] n: *(\d+) pts: *\S+ pts_time:([-+.0-9e]+)`)

// readTimes finds the times of the first and the last frame of each output.
func readTimes(text string, d *decoding, all ...*taken) {
	for _, m := range shownLine.FindAllStringSubmatch(text, -1) {
		output, err := strconv.Atoi(m[1])
		at, err2 := strconv.ParseFloat(m[3], 64)
		if err != nil || err2 != nil || output >= len(d.consume) {
			continue
		}
		for _, got := range all {
			switch {
			case got.output != output || got.motion != nil:
			case m[2] == "0":
				got.times[0] = at
			default:
				got.times[1] = at
			}
		}
	}
}

// read keeps the first and the newest of the pictures that come.
func (got *taken) read(path string, r *bufio.Reader) error {
	var spare []byte
	for {
		p, err := readPPM(path, r, spare)
		if err != nil || p == nil {
			return err
		}
		got.count++
		spare = nil
		if got.count == 1 {
			got.frames[0] = p
			continue
		}
		if got.frames[1] != nil {
			spare = got.frames[1].Pix
		}
		got.frames[1] = p
	}
}

// readPPM reads one binary PPM picture as ffmpeg writes it; nil at the end of the stream. spare is reused
// if it fits.
func readPPM(path string, r *bufio.Reader, spare []byte) (*vision.Picture, error) {
	return readPNM(path, r, spare, maxFramePixels)
}

// readPNM reads one binary PPM or PGM picture of limited size.
func readPNM(path string, r *bufio.Reader, spare []byte, maxPixels int) (*vision.Picture, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, nil
	}
	// "P6" or "P5", the sizes and the largest value, a line each
	var line [3]string
	for i := range line {
		b, err := r.ReadSlice('\n')
		if err != nil {
			return nil, nil
		}
		line[i] = string(b)
	}
	channels := map[string]int{"P6\n": 3, "P5\n": 1}[line[0]]
	var w, h int
	if _, err := fmt.Sscanf(line[1], "%d %d\n", &w, &h); err != nil || channels == 0 || line[2] != "255\n" || w < 1 || h < 1 {
		return nil, fault.Corruptf("corrupt_media", "%s: ffmpeg's pictures are not understood", path)
	}
	if w > maxFrameSide || h > maxFrameSide || w*h > maxPixels {
		return nil, fault.Unsupportedf("too_large", "%s: frames of %d x %d are larger than %d pixels a side or %d in all", path, w, h, maxFrameSide, maxPixels)
	}
	p := &vision.Picture{Width: w, Height: h, Channels: channels, Pix: spare}
	if len(spare) != channels*w*h {
		p.Pix = make([]byte, channels*w*h)
	}
	if _, err := io.ReadFull(r, p.Pix); err != nil {
		return nil, nil // the process was ended in the middle of a picture; how it ended says why
	}
	return p, nil
}

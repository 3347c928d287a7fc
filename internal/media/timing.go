package media

import (
	"context"
	"math"
	"slices"

	"prep/internal/fault"
)

// Timing says when the first audio and the first video track of a container start, on its own clock and
// with its edit lists applied, in seconds. A nil start means that there is no such track or that the
// container does not say; lengths and rates are 0 where unknown.
type Timing struct {
	AudioStart, VideoStart     *float64
	AudioSeconds, VideoSeconds float64
	HasAudio, HasVideo         bool
	// AudioPriming is how much of what is decoded at the start of the sound comes before the sound that was
	// encoded: a transform codec's first frame, where no edit list cuts it off.
	AudioPriming float64
	// AudioEdited says that AudioSeconds is what an edit list shows of the track: what the codec pads behind
	// is not meant to be heard.
	AudioEdited bool
	// VideoFPS is the average number of frames a second.
	VideoFPS float64
	Method   string // one of the Method constants
}

// How a Timing was found: by reading the container, or by asking ffprobe.
const (
	MethodMP4      = "container-mp4" // also QuickTime, 3GPP and fragmented files; edit lists
	MethodMatroska = "container-matroska"
	MethodAVI      = "container-avi"
	MethodMPEGTS   = "container-mpegts"
	MethodMPEGPS   = "container-mpegps"
	MethodFLV      = "container-flv"
	MethodFFprobe  = "container-ffprobe" // start_time as ffprobe reports it
)

// SyncOffset is audio start minus video start in seconds: positive when the sound comes late. Priming is
// no sound: it counts as part of the delay. It is false when either start is not known.
func (t Timing) SyncOffset() (float64, bool) {
	if t.AudioStart == nil || t.VideoStart == nil {
		return 0, false
	}
	return *t.AudioStart + t.AudioPriming - *t.VideoStart, true
}

// Begin is where the medium's clock begins: at the start of its earliest track. It is false when no start
// is known.
func (t Timing) Begin() (float64, bool) {
	switch {
	case t.AudioStart != nil && t.VideoStart != nil:
		return math.Min(*t.AudioStart, *t.VideoStart), true
	case t.AudioStart != nil:
		return *t.AudioStart, true
	case t.VideoStart != nil:
		return *t.VideoStart, true
	}
	return 0, false
}

// Seconds is how long the medium is, from the start of its earliest track to the end of its last one; 0
// when that is not known.
func (t Timing) Seconds() float64 {
	begin, _ := t.Begin()
	end := begin
	if t.AudioStart != nil && t.AudioSeconds > 0 {
		end = math.Max(end, *t.AudioStart+t.AudioSeconds)
	}
	if t.VideoStart != nil && t.VideoSeconds > 0 {
		end = math.Max(end, *t.VideoStart+t.VideoSeconds)
	}
	return end - begin
}

// lead is how far ahead of a stretch to seek, in seconds. MPEG streams have no index: a seek lands near a
// time and not at a key frame before it.
func (t Timing) lead(least float64) float64 {
	if t.Method == MethodMPEGTS || t.Method == MethodMPEGPS {
		return math.Max(least, 3)
	}
	return least
}

// track is what a container says of the timeline of one of its tracks, in seconds.
type track struct {
	video   bool
	codec   string   // by ffmpeg's names, "" where it does not matter here
	start   *float64 // of the first packet or, where an edit list cuts it, of what is left; nil: no packet
	seconds float64
	fps     float64
	priming float64 // still to be decoded at the start
	edited  bool    // seconds is from an edit list
}

// settle brings rates that were rounded (to whole nanoseconds of a period, to milliseconds of a time stamp)
// to the number meant, and a length of pictures that was rounded to a whole number of them.
func (t *track) settle() {
	if !t.video || t.fps <= 0 {
		return
	}
	for _, rate := range []float64{math.Round(t.fps), math.Round(t.fps*1.001) * 1000 / 1001, math.Round(2*t.fps) / 2} {
		if math.Abs(rate-t.fps) < 2e-5*t.fps {
			t.fps = rate
			break
		}
	}
	if n := math.Round(t.seconds * t.fps); n > 0 && math.Abs(t.seconds*t.fps-n) < 0.3 {
		t.seconds = n / t.fps
	}
}

// timingOf takes the first track of each kind.
func timingOf(tracks []track, method string) Timing {
	timing := Timing{Method: method}
	for _, t := range tracks {
		t.settle()
		switch {
		case t.video && !timing.HasVideo:
			timing.HasVideo, timing.VideoStart, timing.VideoSeconds, timing.VideoFPS = true, t.start, t.seconds, t.fps
		case !t.video && !timing.HasAudio:
			timing.HasAudio, timing.AudioStart, timing.AudioSeconds, timing.AudioPriming = true, t.start, t.seconds, t.priming
			timing.AudioEdited = t.edited
		}
	}
	return timing
}

// priming is how many samples a codec's decoder puts out before the sound that was encoded, at the least:
//
//	aac       a frame of 1024: the first block's overlap is with nothing
//	mp2       the polyphase filter's 481
//	mp3       528+1 of the decoder's filters and 576 of the encoder's, LAME's and nearly everybody's delay
//	wma       a frame, whose length depends on the rate
//
// Encoders that delay more say so in an edit list. Opus states its delay in the file; Vorbis has none.
func priming(codec string, rate int) float64 {
	if rate <= 0 {
		return 0
	}
	samples := 0
	switch codec {
	case "aac":
		samples = 1024
	case "mp2":
		samples = 481
	case "mp3":
		samples = 528 + 1 + 576
	case "wmav1", "wmav2":
		switch {
		case rate <= 16000:
			samples = 512
		case rate <= 22050, rate <= 32000 && codec == "wmav1":
			samples = 1024
		default:
			samples = 2048
		}
	}
	return float64(samples) / float64(rate)
}

// ProbeTiming reads the timing of a container's tracks. It has to be asked before demuxing: a WAV taken
// out of a video has lost it. MP4 and QuickTime (whole and fragmented), Matroska and WebM, AVI, MPEG
// transport and program streams and Flash video are read by Go code; every other container by ffprobe.
//
// Errors: those of opening a file (see [Tools.DecodeSound]), corrupt_media, needs_ffmpeg.
func (t *Tools) ProbeTiming(ctx context.Context, path string) (timing Timing, err error) {
	if err := ctx.Err(); err != nil {
		return Timing{}, err
	}
	f, size, err := openRegular(path)
	if err != nil {
		return Timing{}, err
	}
	defer f.Close()
	in := &soundFile{path: path, r: f, size: size, ctx: ctx}
	timing, err = t.probeTiming(ctx, in)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return timing, err
}

// containers are the readers of ours. Each returns no tracks and no error for what it leaves to ffprobe.
var containers = []struct {
	name   string // as foreignFormat says
	method string
	read   func(in *soundFile) ([]track, error)
}{
	{"MP4", MethodMP4, readMP4},
	{"QuickTime", MethodMP4, readMP4},
	{"Matroska", MethodMatroska, readMatroska},
	{"AVI", MethodAVI, readAVI},
	{"MPEG transport stream", MethodMPEGTS, readTransportStream},
	{"MPEG program stream", MethodMPEGPS, readProgramStream},
	{"Flash video", MethodFLV, readFLV},
}

// readContainer reads the tracks of a container by Go code; none when it is of another kind or when what
// it holds is not understood.
func readContainer(in *soundFile) (tracks []track, method string, err error) {
	defer recoverDecoder(in.path, &err)
	head, err := in.head(0, 4096)
	if err != nil {
		return nil, "", err
	}
	format := foreignFormat(head)
	for _, c := range containers {
		if c.name == format {
			tracks, err = c.read(in)
			return tracks, c.method, err
		}
	}
	return nil, "", nil
}

// containerTiming is what the readers of ours say of a file; nothing when they do not know it, or when it
// is damaged.
func (t *Tools) containerTiming(ctx context.Context, path string) (timing Timing, err error) {
	f, size, err := openRegular(path)
	if err != nil {
		return Timing{}, err
	}
	defer f.Close()
	tracks, method, err := readContainer(&soundFile{path: path, r: f, size: size, ctx: ctx})
	if err != nil || len(tracks) == 0 {
		return Timing{}, err
	}
	return timingOf(tracks, method), nil
}

func (t *Tools) probeTiming(ctx context.Context, in *soundFile) (Timing, error) {
	tracks, method, err := readContainer(in)
	if err != nil {
		return Timing{}, err
	}
	if len(tracks) > 0 {
		return timingOf(tracks, method), nil
	}
	pr, err := t.ffprobe(ctx, in.path, "the timing of this container")
	if err != nil {
		return Timing{}, err
	}
	timing := timingOf(pr.tracks(), MethodFFprobe)
	whole := probeSeconds(pr.Format.Duration)
	if timing.HasAudio && timing.AudioSeconds == 0 {
		timing.AudioSeconds = whole
	}
	if timing.HasVideo && timing.VideoSeconds == 0 {
		timing.VideoSeconds = whole
	}
	return timing, nil
}

// tracks are ffprobe's streams.
func (pr *probe) tracks() []track {
	var tracks []track
	for _, s := range pr.Streams {
		t := track{video: s.CodecType == "video", codec: s.CodecName, start: probeStart(s.StartTime), seconds: probeSeconds(s.Duration)}
		if s.CodecType != "audio" && !t.video || s.Disposition.AttachedPic != 0 {
			continue
		}
		if t.video {
			t.fps = probeRatio(s.AverageFrameRate)
		} else {
			t.priming = priming(s.CodecName, int(probeSeconds(s.SampleRate)))
		}
		tracks = append(tracks, t)
	}
	return tracks
}

// window reads a file in blocks, for readers that look at a few bytes here and there.
type window struct {
	in  *soundFile
	at  int64
	buf []byte
	err error // of the file system; what a reader sees is an early end
}

const windowSize = 32 << 10

// bytes returns n bytes from an offset on, fewer at the end of the file. They are valid until the next
// call. n is at most windowSize.
func (w *window) bytes(off int64, n int) []byte {
	if off < 0 || off >= w.in.size {
		return nil
	}
	if off < w.at || off+int64(n) > w.at+int64(len(w.buf)) {
		// A jump reads little: what is looked at is most often a header.
		size := 512
		if off >= w.at && off <= w.at+int64(len(w.buf))+windowSize {
			size = windowSize
		}
		b, err := w.in.head(off, max(size, n))
		if err != nil {
			w.err = err
			return nil
		}
		w.at, w.buf = off, b
	}
	b := w.buf[off-w.at:]
	return b[:min(n, len(b))]
}

// firstStamps collects the first time stamps of a track that is read from its beginning.
type firstStamps struct {
	stamps []float64
}

// enoughStamps is how many time stamps are looked at: pictures are reordered by 16 at most, and a frame rate
// is seen in some more.
const enoughStamps = 48

func (f *firstStamps) add(s float64) {
	if len(f.stamps) < enoughStamps {
		f.stamps = append(f.stamps, s)
	}
}

func (f *firstStamps) full() bool { return len(f.stamps) == enoughStamps }

// start is the earliest of the first stamps.
func (f *firstStamps) start() *float64 {
	if len(f.stamps) == 0 {
		return nil
	}
	s := slices.Min(f.stamps[:min(len(f.stamps), 20)])
	return &s
}

// period is the usual distance of the sorted stamps, 0 when there are too few or it is not regular. The
// last ones are left out: what belongs between them may not have come yet.
func (f *firstStamps) period() float64 {
	s := slices.Clone(f.stamps)
	slices.Sort(s)
	s = s[:max(0, len(s)-4)]
	if len(s) < 5 {
		return 0
	}
	steps := make([]float64, len(s)-1)
	for i := range steps {
		steps[i] = s[i+1] - s[i]
	}
	slices.Sort(steps)
	mean := (s[len(s)-1] - s[0]) / float64(len(steps))
	if middle := steps[len(steps)/2]; middle <= 0 || math.Abs(mean-middle) > 0.2*middle {
		return 0
	}
	return mean
}

// damaged words what the readers of containers find.
func damaged(in *soundFile, format, what string) error {
	return fault.Corruptf("corrupt_media", "%s: the %s file is damaged: %s", in.path, format, what)
}

// Package container reads when the tracks of a container start, how long they are and how fast their pictures
// come, from headers and time stamps alone: MP4 and QuickTime (whole and fragmented), Matroska and WebM, AVI,
// MPEG transport and program streams, Flash video. It has to be asked before demuxing: a WAV taken out of a
// video has lost it.
//
// Sizes in headers are held against the file before anything is allocated, and no reader goes through a whole
// file: a few blocks of it say enough.
package container

import (
	"math"
	"slices"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/magic"
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

// Lead is how far ahead of a stretch to seek, in seconds. MPEG streams have no index: a seek lands near a
// time and not at a key frame before it.
func (t Timing) Lead(least float64) float64 {
	if t.Method == MethodMPEGTS || t.Method == MethodMPEGPS {
		return math.Max(least, 3)
	}
	return least
}

// Track is what a container says of the timeline of one of its tracks, in seconds.
type Track struct {
	Video   bool
	Codec   string   // by ffmpeg's names, "" where it does not matter here
	Start   *float64 // of the first packet or, where an edit list cuts it, of what is left; nil: no packet
	Seconds float64
	FPS     float64
	Priming float64 // still to be decoded at the start
	Edited  bool    // seconds is from an edit list
}

// settle forgets a length that is no number, and brings rates that were rounded (to whole nanoseconds of a period, to milliseconds of a time stamp)
// to the number meant, and a length of pictures that was rounded to a whole number of them.
func (t *Track) settle() {
	if math.IsInf(t.Seconds, 0) || math.IsNaN(t.Seconds) {
		t.Seconds = 0 // a rate or a scale that is next to nothing
	}
	if !t.Video || t.FPS <= 0 {
		return
	}
	for _, rate := range []float64{math.Round(t.FPS), math.Round(t.FPS*1.001) * 1000 / 1001, math.Round(2*t.FPS) / 2} {
		if math.Abs(rate-t.FPS) < 2e-5*t.FPS {
			t.FPS = rate
			break
		}
	}
	if n := math.Round(t.Seconds * t.FPS); n > 0 && math.Abs(float64(t.Seconds*t.FPS)-n) < 0.3 {
		t.Seconds = n / t.FPS
	}
}

// TimingOf takes the first track of each kind.
func TimingOf(tracks []Track, method string) Timing {
	timing := Timing{Method: method}
	for _, t := range tracks {
		t.settle()
		switch {
		case t.Video && !timing.HasVideo:
			timing.HasVideo, timing.VideoStart, timing.VideoSeconds, timing.VideoFPS = true, t.Start, t.Seconds, t.FPS
		case !t.Video && !timing.HasAudio:
			timing.HasAudio, timing.AudioStart, timing.AudioSeconds, timing.AudioPriming = true, t.Start, t.Seconds, t.Priming
			timing.AudioEdited = t.Edited
		}
	}
	return timing
}

// PrimingOf is how many samples a codec's decoder puts out before the sound that was encoded, at the least:
//
//	aac       a frame of 1024: the first block's overlap is with nothing
//	mp2       the polyphase filter's 481
//	mp3       528+1 of the decoder's filters and 576 of the encoder's, LAME's and nearly everybody's delay
//	wma       a frame, whose length depends on the rate
//
// Encoders that delay more say so in an edit list. Opus states its delay in the file; Vorbis has none.
func PrimingOf(codec string, rate int) float64 {
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

// containers are the readers of ours. Each returns no tracks and no error for what it leaves to ffprobe.
var containers = []struct {
	name   string // as magic.Foreign says
	method string
	read   func(in *infile.File) ([]Track, error)
}{
	{"MP4", MethodMP4, readMP4},
	{"QuickTime", MethodMP4, readMP4},
	{"Matroska", MethodMatroska, readMatroska},
	{"AVI", MethodAVI, readAVI},
	{"MPEG transport stream", MethodMPEGTS, readTransportStream},
	{"MPEG program stream", MethodMPEGPS, readProgramStream},
	{"Flash video", MethodFLV, readFLV},
}

// Read reads the timing of a container's tracks. known is false, without an error, for a file of another kind
// and when what it holds is not understood.
//
// Errors: Corrupt unreadable, corrupt_media, corrupt_audio.
func Read(in *infile.File) (timing Timing, known bool, err error) {
	defer infile.Recover(in.Path, &err)
	head, err := in.Head(0, 4096)
	if err != nil {
		return Timing{}, false, err
	}
	format := magic.Foreign(head)
	for _, c := range containers {
		if c.name != format {
			continue
		}
		tracks, err := c.read(in)
		if err != nil || len(tracks) == 0 {
			return Timing{}, false, err
		}
		return TimingOf(tracks, c.method), true, nil
	}
	return Timing{}, false, nil
}

// window reads a file in blocks, for readers that look at a few bytes here and there.
type window struct {
	in  *infile.File
	at  int64
	buf []byte
	err error // of the file system; what a reader sees is an early end
}

const windowSize = 32 << 10

// bytes returns n bytes from an offset on, fewer at the end of the file. They are valid until the next
// call. n is at most windowSize.
func (w *window) bytes(off int64, n int) []byte {
	if off < 0 || off >= w.in.Size {
		return nil
	}
	if off < w.at || off+int64(n) > w.at+int64(len(w.buf)) {
		// A jump reads little: what is looked at is most often a header.
		size := 512
		if off >= w.at && off <= w.at+int64(len(w.buf))+windowSize {
			size = windowSize
		}
		b, err := w.in.Head(off, max(size, n))
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
func damaged(in *infile.File, format, what string) error {
	return fault.Corruptf("corrupt_media", "%s: the %s file is damaged: %s", in.Path, format, what)
}

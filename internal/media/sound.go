package media

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/go-audio/audio"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/stereo"
)

// Limits of what a header may claim. They are wide enough for every recording in use and narrow enough
// that resampling what passes them is bounded too.
const (
	minRate     = 1000   // Hz; below it a small file could ask for a huge resampled one
	maxRate     = 768000 // Hz
	maxChannels = 64
	// believableChannels is libsndfile's most; a header that says more is no header.
	believableChannels = 1024

	// DefaultMaxSoundBytes bounds one decoded segment: 23 minutes of 48 kHz stereo, 2.3 hours of 16 kHz mono.
	DefaultMaxSoundBytes = 512 << 20

	// maxSample is the largest magnitude a decoded float sample may have: int32 values stored as floats
	// still pass, what would overflow a float32 power spectrum does not.
	maxSample = 1 << 31
)

// Segment is a stretch of a medium, in seconds from the beginning of its timeline. End 0 means up to the
// end. An End beyond the end of the medium means the end.
type Segment struct{ Start, End float64 }

// check refuses what is no stretch of time.
func (s Segment) check(path string) error {
	if !(s.Start >= 0) || math.IsInf(s.Start, 0) || math.IsNaN(s.End) || s.End < 0 || s.End != 0 && s.End <= s.Start {
		return fault.Corruptf("bad_segment", "%s: segment %v s to %v s is empty or negative; correct the listing", path, s.Start, s.End)
	}
	return nil
}

// frames converts the segment to sample frames [first, last) at a rate: both limits to the nearest frame.
// last is -1 when the segment is open.
func (s Segment) frames(rate int) (first, last int64) {
	at := func(seconds float64) int64 {
		return int64(math.Round(math.Min(seconds*float64(rate), 1<<52)))
	}
	if s.End == 0 || math.IsInf(s.End, 1) {
		return at(s.Start), -1
	}
	return at(s.Start), at(s.End)
}

// Sound is decoded audio of one segment: interleaved float32, full scale is 1. Integer PCM of b bits is
// divided by 2^(b-1); floats are as stored and may exceed 1. Format says the rate and the channels, which
// are those of the source: nothing is resampled or mixed here.
type Sound struct {
	audio.Float32Buffer

	SourceRate     int // Hz
	SourceChannels int
	// DeclaredSeconds is the length of the whole medium as its headers state it, 0 when they do not. It is
	// kept apart from what was decoded because the two differ in cut-off and wrongly written files.
	DeclaredSeconds float64
	// MissingSeconds is what the headers promise inside the segment but the file does not hold.
	MissingSeconds float64
	Codec          string // by ffmpeg's names: pcm_s16le, flac, mp3, vorbis, opus, aac, ...
	Decoder        string // "go", "libmpg123", or "ffmpeg 5.1.9"
	// Notes say, each in a few words, what was odd about the file but did not prevent decoding.
	Notes []string

	planes [][]float32 // [channels][frames], once they have been taken apart
}

// Seconds is the length of what was decoded.
func (s *Sound) Seconds() float64 {
	frames := s.NumFrames()
	if s.planes != nil {
		frames = len(s.planes[0])
	}
	return float64(frames) / float64(s.SourceRate)
}

// Channels returns the sound as [channels][frames]. Its memory is the sound's, for [Sound.Release] to take back; that
// of one channel is Data.
func (s *Sound) Channels() [][]float32 {
	if s.SourceChannels == 1 && s.planes == nil {
		return [][]float32{s.Data}
	}
	if s.planes == nil {
		s.planes = newPlanes(s.SourceChannels, int64(len(s.Data)/s.SourceChannels))
		takeApart(s.planes, 0, s.Data)
	}
	return s.planes
}

// newPlanes returns memory for [channels][frames], whatever is in it.
func newPlanes(channels int, frames int64) [][]float32 {
	planes := make([][]float32, channels)
	for c := range planes {
		planes[c] = newSamples(frames)
	}
	return planes
}

// takeApart puts interleaved samples into the planes, from frame `at` on.
func takeApart(planes [][]float32, at int, x []float32) {
	n := len(planes)
	switch frames := len(x) / n; n {
	case 1:
		copy(planes[0][at:], x)
	case 2:
		stereo.Separate(planes[0][at:at+frames], planes[1][at:at+frames], x)
	default:
		for c, plane := range planes {
			for i := range frames {
				plane[at+i] = x[i*n+c]
			}
		}
	}
}

// MixDown averages the channels of a sound, [channels][frames], in place of the first.
func MixDown(planes [][]float32) []float32 {
	mono := planes[0]
	if len(planes) == 2 { // nearly always
		n := averagePairs(mono, planes[1])
		plainAverage(mono[n:], planes[1][n:])
		return mono
	}
	scale := 1 / float32(len(planes))
	for i, sum := range mono {
		for _, c := range planes[1:] {
			sum += c[i]
		}
		mono[i] = sum * scale
	}
	return mono
}

// plainAverage puts the means of pairs in place of the left ones without help from the processor.
func plainAverage(left, right []float32) {
	right = right[:len(left)]
	for i, v := range left {
		left[i] = (v + right[i]) * 0.5
	}
}

// Release gives the memory of Data, and of the planes that Channels has made of it, back for the next sound;
// the samples must not be used any more. It is a matter of speed only: most of the time that reading a WAV file
// takes goes into fresh memory.
func (s *Sound) Release() {
	releaseSamples(s.Data)
	for _, plane := range s.planes {
		releaseSamples(plane)
	}
	s.Data, s.planes = nil, nil
}

// sampleMemory keeps what was released, by size: class k holds capacities of sizeOfClass(k) samples.
var sampleMemory [100]sync.Pool

// classOf is the class of n samples: four for every power of two, so that little of it lies idle.
func classOf(n int64) int {
	e := max(0, bits.Len64(uint64(max(n, 1)-1))-3) // n is at most 8 << e
	return 4*e + int(max(4, (n+1<<e-1)>>e)) - 4
}

// sizeOfClass is the most samples of a class.
func sizeOfClass(k int) int64 { return int64(4+k%4) << (k / 4) }

// newSamples returns memory for n samples, whatever they are.
func newSamples(n int64) []float32 {
	k := classOf(n)
	if k >= len(sampleMemory) {
		return make([]float32, n)
	}
	if p, _ := sampleMemory[k].Get().(*[]float32); p != nil {
		return (*p)[:n]
	}
	return make([]float32, n, sizeOfClass(k))
}

func releaseSamples(x []float32) {
	if k := classOf(int64(cap(x))); cap(x) > 0 && k < len(sampleMemory) && int64(cap(x)) == sizeOfClass(k) {
		x = x[:0]
		sampleMemory[k].Put(&x)
	}
}

// soundFormat is what a header says, once it passed the limits.
type soundFormat struct {
	rate, channels int
	frames         int64 // of the whole medium as declared, -1 unknown
	bits           int   // of a source sample, 0 when that means nothing
	codec          string
}

// newSound starts a Sound of the format; Data is filled by the decoder.
func newSound(f soundFormat) *Sound {
	s := &Sound{SourceRate: f.rate, SourceChannels: f.channels, Codec: f.codec, Decoder: "go"}
	s.Format = &audio.Format{NumChannels: f.channels, SampleRate: f.rate}
	s.SourceBitDepth = f.bits
	if f.frames > 0 {
		s.DeclaredSeconds = float64(f.frames) / float64(f.rate)
	}
	return s
}

// check holds a header against the limits.
func (f soundFormat) check(path string) error {
	switch {
	case f.rate < minRate || f.rate > maxRate:
		return fault.Corruptf("bad_header", "%s: a sample rate of %d Hz is outside %d to %d", path, f.rate, minRate, maxRate)
	case f.channels < 1 || f.channels > believableChannels:
		return fault.Corruptf("bad_header", "%s: %d channels are outside 1 to %d", path, f.channels, maxChannels)
	case f.channels > maxChannels:
		return fault.Unsupportedf("too_many_channels", "%s: %d channels; at most %d are read: make a file of those that are wanted (sox IN OUT remix 1 2)", path, f.channels, maxChannels)
	}
	return nil
}

// maxFrames is how many frames of this format one segment may hold, at the source's rate and at the 16 kHz
// that they will be resampled to.
func (t *Tools) maxFrames(f soundFormat) int64 {
	bytes := t.MaxSoundBytes
	if bytes <= 0 {
		bytes = DefaultMaxSoundBytes
	}
	n := bytes / 4 / int64(f.channels)
	if f.rate < 16000 {
		n = n * int64(f.rate) / 16000
	}
	return n
}

// span cuts the segment out of a medium that really holds `there` frames, and checks it against the limit
// on memory. It returns the frames [first, last) to decode and sets what the segment is missing.
func (t *Tools) span(s *Sound, f soundFormat, path string, seg Segment, there int64) (first, last int64, err error) {
	if there <= 0 {
		return 0, 0, fault.Corruptf("empty_audio", "%s: no audio data%s", path, declaredHint(s))
	}
	first, end := seg.frames(f.rate)
	last = there
	if end >= 0 && end < there {
		last = end
	}
	if first >= there {
		return 0, 0, fault.Corruptf("segment_outside", "%s: the segment starts at %.3f s but the audio ends at %.3f s%s",
			path, seg.Start, float64(there)/float64(f.rate), cutHint(f, there))
	}
	if last <= first {
		return 0, 0, fault.Corruptf("bad_segment", "%s: segment %v s to %v s holds no sample", path, seg.Start, seg.End)
	}
	if err := t.checkLength(f, path, last-first); err != nil {
		return 0, 0, err
	}
	s.setMissing(f, first, last, end)
	return first, last, nil
}

// setMissing notes how far the decoded frames [first, last) fall short of what was declared of the wanted
// frames [first, end), end -1 for open.
func (s *Sound) setMissing(f soundFormat, first, last, end int64) {
	s.MissingSeconds = 0
	promised := f.frames
	if end >= 0 && end < promised {
		promised = end
	}
	if promised > last {
		s.MissingSeconds = float64(promised-last) / float64(f.rate)
	}
}

func (t *Tools) checkLength(f soundFormat, path string, frames int64) error {
	if limit := t.maxFrames(f); frames > limit {
		return fault.Unsupportedf("too_long", "%s: %.0f s of %d Hz with %d channels are more than may be held in memory (%.0f s); give the sample a start and an end",
			path, float64(frames)/float64(f.rate), f.rate, f.channels, float64(limit)/float64(f.rate))
	}
	return nil
}

// cutHint says where less is there than was declared.
func cutHint(f soundFormat, there int64) string {
	if f.frames > there {
		return fmt.Sprintf(", cut off: the header promises %.3f s", float64(f.frames)/float64(f.rate))
	}
	return ""
}

func declaredHint(s *Sound) string {
	if s.DeclaredSeconds > 0 {
		return fmt.Sprintf(" (the header promises %.3f s)", s.DeclaredSeconds)
	}
	return ""
}

// checkFinite refuses what no transform can use: NaN, infinities and absurd magnitudes in float formats.
func (s *Sound) checkFinite(path string) error {
	for i, v := range s.Data {
		if !(v >= -maxSample && v <= maxSample) {
			return nonFinite(path, i/s.SourceChannels, i%s.SourceChannels, v)
		}
	}
	for c, plane := range s.planes {
		for i, v := range plane {
			if !(v >= -maxSample && v <= maxSample) {
				return nonFinite(path, i, c, v)
			}
		}
	}
	return nil
}

func nonFinite(path string, at, channel int, v float32) error {
	return fault.Corruptf("non_finite_audio", "%s: sample %d of channel %d is %v", path, at, channel, v)
}

// DecodeSound decodes a segment of the first audio track of a file. The content decides how, not the
// name: WAV (also RIFX, RF64, BW64), AIFF, AU, SPHERE, FLAC, MP3 (layer III of MPEG-1, MPEG-2 and MPEG-2.5) and
// Ogg with Vorbis, Opus or FLAC are read by Go code, everything else by ffmpeg. Memory is bounded by the segment, and a segment by
// Tools.MaxSoundBytes.
//
// A file that ends before its header says is decoded as far as it goes: MissingSeconds, DeclaredSeconds
// and a note tell. Damage in the middle (a wrong checksum) is an error, because what follows cannot be
// trusted and dropping it would be silent.
//
// Seconds count on the container's timeline, whose zero is where its first track starts; no silence is put
// in front of a track that starts later (see [Tools.ProbeTiming]).
//
// Errors are of fault's kinds Corrupt and Unsupported with the reasons missing, unreadable, not_a_file,
// empty_file, not_audio, bad_header, empty_audio, corrupt_audio, corrupt_media, no_audio, non_finite_audio,
// bad_segment, segment_outside, decode_timeout; needs_ffmpeg, too_long, unsupported_codec. A cancelled context
// returns its error.
func (t *Tools) DecodeSound(ctx context.Context, path string, seg Segment) (*Sound, error) {
	if err := seg.check(path); err != nil { // before anything is read
		return nil, err
	}
	r, err := t.OpenSound(ctx, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Decode(seg)
}

// Recording is an open sound file: its headers have been read, and what has to be walked over to know its
// length has been walked over. It is not for several goroutines at once.
type Recording struct {
	tools   *Tools
	in      *infile.File
	content content
	decoder soundDecoder // nil: ffmpeg's business
	streams bool         // ffmpeg's business, and several streams
}

// soundDecoder is what a format of ours does with an open file. Any of it may be handed on by errNeedsFFmpeg.
type soundDecoder interface {
	// length is how many frames the headers declare, -1 when they do not, and how many are there as far as can
	// be told without decoding.
	length() (declared, there int64, rate int, err error)
	// decode gives a segment. It can be called again.
	decode(t *Tools, seg Segment) (*Sound, error)
}

// planarDecoder can give the channels without Data.
type planarDecoder interface {
	decodePlanes(t *Tools, seg Segment) (*Sound, error)
}

// OpenSound opens a file for [Recording.Length] and [Recording.Decode], which then read its headers once for
// both. The context is that of all that is done with it. Errors are those of DecodeSound.
func (t *Tools) OpenSound(ctx context.Context, path string) (r *Recording, err error) {
	in, err := infile.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	if r, err = t.openSound(in); err != nil {
		in.Close()
		return nil, err
	}
	return r, nil
}

func (t *Tools) openSound(in *infile.File) (r *Recording, err error) {
	defer in.Settle(&err)
	defer infile.Recover(in.Path, &err)
	r = &Recording{tools: t, in: in}
	if r.content, err = sniff(in); err != nil {
		return nil, err
	}
	switch r.content.kind {
	case kindWAV:
		r.decoder, err = openPCM(in, parseWAV)
	case kindAIFF:
		r.decoder, err = openPCM(in, parseAIFF)
	case kindAU:
		r.decoder, err = openPCM(in, parseAU)
	case kindSPHERE:
		r.decoder, err = openPCM(in, parseSPHERE)
	case kindFLAC:
		r.decoder, err = openFLAC(in, r.content.offset)
	case kindMP3:
		r.decoder, err = openMP3(in, r.content.offset)
	case kindVorbis:
		r.decoder, err = soundOf(openOgg(in, openVorbis))
	case kindOpus:
		r.decoder, err = soundOf(openOgg(in, openOpus))
	case kindOggFLAC:
		r.decoder, err = soundOf(openOgg(in, openOggFLAC))
	}
	if k := r.content.kind; errors.Is(err, errChained) && (k == kindVorbis || k == kindOpus) {
		r.decoder, err = soundOf(openOggChain(in, k))
	}
	if r.handOn(err) {
		err = nil
	}
	return r, err
}

// soundOf keeps what is nil from becoming an interface that is not.
func soundOf[T soundDecoder](d T, err error) (soundDecoder, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Close closes the file.
func (r *Recording) Close() error {
	r.decoder = nil
	return r.in.Close()
}

// Length is what can be told of a recording's length without decoding it, in seconds.
type Length struct {
	// Declared is what the headers state, 0 when they do not.
	Declared float64
	// Present is what the file holds: less than what was declared of a file that is cut off. Where only decoding
	// can tell, as in FLAC and in what ffmpeg reads, it is what was declared.
	Present float64
}

// Whole is how long the recording was made: a file that is cut off counts for what it was.
func (l Length) Whole() float64 { return math.Max(l.Declared, l.Present) }

// Length finds the length. Where nothing declares it, all frames may have to be read. Errors are those of
// DecodeSound.
func (r *Recording) Length() (l Length, err error) {
	defer r.in.Settle(&err)
	defer infile.Recover(r.in.Path, &err)
	if r.decoder != nil {
		declared, there, rate, err := r.decoder.length()
		switch {
		case r.handOn(err):
		case err != nil:
			return l, err
		case there <= 0:
			return l, fault.Corruptf("empty_audio", "%s: no audio data", r.in.Path)
		default:
			return Length{float64(max(declared, 0)) / float64(rate), float64(there) / float64(rate)}, nil
		}
	}
	if r.streams {
		s, err := r.decodeStreams(Segment{})
		if err != nil {
			return l, err
		}
		return Length{Present: s.Seconds()}, nil
	}
	seconds, err := r.tools.durationFFmpeg(r.in.Context(), r.in, r.content.name)
	return Length{seconds, seconds}, err
}

// Decode decodes a segment as [Tools.DecodeSound] does.
func (r *Recording) Decode(seg Segment) (*Sound, error) {
	return r.decode(seg, func(d soundDecoder) (*Sound, error) { return d.decode(r.tools, seg) })
}

// DecodeChannels is Decode for [Sound.Channels] alone: of formats that can be taken apart as they are read, Data stays
// empty, which saves writing all samples out and reading them again.
func (r *Recording) DecodeChannels(seg Segment) (*Sound, error) {
	return r.decode(seg, func(d soundDecoder) (*Sound, error) {
		if d, ok := d.(planarDecoder); ok {
			return d.decodePlanes(r.tools, seg)
		}
		return d.decode(r.tools, seg)
	})
}

// decode calls the decoder, if there is one that takes the file, or else ffmpeg.
func (r *Recording) decode(seg Segment, call func(soundDecoder) (*Sound, error)) (s *Sound, err error) {
	defer r.in.Settle(&err)
	defer infile.Recover(r.in.Path, &err)
	if err := seg.check(r.in.Path); err != nil {
		return nil, err
	}
	if r.decoder != nil {
		s, err = call(r.decoder)
	}
	switch {
	case r.decoder != nil && !r.handOn(err):
	case r.streams:
		s, err = r.decodeStreams(seg)
	default:
		s, err = r.tools.decodeSoundFFmpeg(r.in.Context(), r.in.Path, r.content.name, seg)
	}
	if err != nil {
		return nil, err
	}
	c := r.content
	if want, ok := FormatOf(r.in.Path); ok && !want.NeedsFFmpeg && c.kind != kindOther && want.Name != c.name && r.decoder != nil {
		s.Notes = append(s.Notes, fmt.Sprintf("named %s, holds %s", want.Extension, c.name))
	}
	return s, nil
}

// decodeStreams decodes a file of streams one after the other. Each has a clock of its own, and ffmpeg can neither
// tell their length nor seek in them: the whole is decoded, and cut by samples.
func (r *Recording) decodeStreams(seg Segment) (*Sound, error) {
	s, err := r.tools.decodeSoundFFmpeg(r.in.Context(), r.in.Path, r.content.name, Segment{})
	if err != nil {
		return nil, err
	}
	f := soundFormat{rate: s.SourceRate, channels: s.SourceChannels, frames: -1}
	first, last, err := r.tools.span(s, f, r.in.Path, seg, int64(s.NumFrames()))
	if err != nil {
		return nil, err
	}
	s.Data = s.Data[first*int64(f.channels) : last*int64(f.channels)]
	s.DeclaredSeconds = 0
	return s, nil
}

// errNeedsFFmpeg is how a Go decoder hands a file on: the container is its own, what is inside is not.
var errNeedsFFmpeg = errors.New("needs ffmpeg")

// handedOn is errNeedsFFmpeg with what the file holds, for people.
type handedOn struct {
	what    string
	streams bool // several streams one after the other, of which headers tell the length of one
}

func (h *handedOn) Error() string { return h.what + " needs ffmpeg" }

func (h *handedOn) Is(err error) bool { return err == errNeedsFFmpeg }

// handOn leaves the file to ffmpeg if the error says so.
func (r *Recording) handOn(err error) bool {
	var h *handedOn
	if !errors.As(err, &h) {
		return false
	}
	r.decoder = nil
	r.content.name, r.streams = h.what, h.streams
	return true
}

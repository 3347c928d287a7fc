package media

import (
	"context"
	"encoding/binary"
	"io"
	"math"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"

	"prep/internal/fault"
)

// Timing says when the first audio and the first video track of a container start, on its timeline and
// with its edit lists applied, in seconds. A nil start means that there is no such track or that the
// container does not say; the lengths are 0 where unknown.
type Timing struct {
	AudioStart, VideoStart     *float64
	AudioSeconds, VideoSeconds float64
	HasAudio, HasVideo         bool
	Method                     string // MethodMP4 or MethodFFprobe
}

// How a Timing was found.
const (
	MethodMP4     = "container-mp4"     // edit lists read by Go code
	MethodFFprobe = "container-ffprobe" // ffprobe's start_time
)

// SyncOffset is audio start minus video start in seconds: positive when the sound comes late. It is false
// when either is not known.
func (t Timing) SyncOffset() (float64, bool) {
	if t.AudioStart == nil || t.VideoStart == nil {
		return 0, false
	}
	return *t.AudioStart - *t.VideoStart, true
}

// ProbeTiming reads the timing of a container's tracks. It has to be asked before demuxing: a WAV taken
// out of a video has lost it. MP4 and QuickTime files are read by Go code; fragmented ones and every other
// container by ffprobe.
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

func (t *Tools) probeTiming(ctx context.Context, in *soundFile) (Timing, error) {
	m, err := parseMP4(in)
	if err == nil && !m.fragmented {
		timing := Timing{Method: MethodMP4}
		if a := m.first("soun"); a != nil {
			timing.HasAudio, timing.AudioStart, timing.AudioSeconds = true, a.start, a.seconds
		}
		if v := m.first("vide"); v != nil {
			timing.HasVideo, timing.VideoStart, timing.VideoSeconds = true, v.start, v.seconds
		}
		return timing, nil
	}
	if err != nil && fault.KindOf(err) == fault.Corrupt {
		return Timing{}, err // an MP4 file, but a broken one
	}
	pr, err := t.ffprobe(ctx, in.path, "the timing of this container")
	if err != nil {
		return Timing{}, err
	}
	timing := Timing{Method: MethodFFprobe}
	for _, s := range pr.Streams {
		length := probeSeconds(s.Duration)
		if length == 0 {
			length = clockSeconds(s.Tags["DURATION"])
		}
		switch {
		case s.CodecType == "audio" && !timing.HasAudio:
			timing.HasAudio, timing.AudioStart, timing.AudioSeconds = true, probeStart(s.StartTime), length
		case s.CodecType == "video" && !timing.HasVideo && s.Disposition.AttachedPic == 0:
			timing.HasVideo, timing.VideoStart, timing.VideoSeconds = true, probeStart(s.StartTime), length
		}
	}
	whole := probeSeconds(pr.Format.Duration)
	if timing.HasAudio && timing.AudioSeconds == 0 {
		timing.AudioSeconds = whole
	}
	if timing.HasVideo && timing.VideoSeconds == 0 {
		timing.VideoSeconds = whole
	}
	return timing, nil
}

// mp4File is what the moov box says of the timeline (ISO/IEC 14496-12).
type mp4File struct {
	tracks     []mp4Track
	fragmented bool // samples are described in fragments, not here
}

type mp4Track struct {
	handler string   // "soun", "vide", ...
	start   *float64 // seconds; nil when the track holds no sample
	seconds float64
}

func (m *mp4File) first(handler string) *mp4Track {
	for i := range m.tracks {
		if m.tracks[i].handler == handler {
			return &m.tracks[i]
		}
	}
	return nil
}

// maxMoov bounds the box that is read into memory: about 10 hours of 60 frames a second.
const maxMoov = 64 << 20

// errNotMP4 is returned for every other container.
var errNotMP4 = fault.Unsupportedf("not_mp4", "not an MP4 file")

// parseMP4 finds the moov box and reads the timeline of its tracks. The boxes are walked here and only
// leaves are given to mp4ff: its decoders allocate what an entry count claims, so that a count is first
// held against the box's size.
func parseMP4(in *soundFile) (m *mp4File, err error) {
	defer recoverDecoder(in.path, &err)
	head, err := in.head(0, 12)
	if err != nil {
		return nil, err
	}
	if foreignFormat(head) != "MP4" && foreignFormat(head) != "QuickTime" {
		return nil, errNotMP4
	}
	cut := func() error {
		return fault.Corruptf("corrupt_media", "%s: the index of the file (moov) is missing: it is cut off or was never finished", in.path)
	}
	for pos, n := int64(0), 0; ; n++ {
		head, err := in.head(pos, 16)
		if err != nil {
			return nil, err
		}
		name, header, size, ok := boxHeader(head, in.size-pos)
		if !ok || n == 100000 {
			return nil, cut()
		}
		if name == "moov" {
			if size > in.size-pos {
				return nil, cut()
			}
			if size > maxMoov {
				return nil, fault.Corruptf("corrupt_media", "%s: its index (moov) claims %d bytes", in.path, size)
			}
			moov := make([]byte, size-header)
			if _, err := in.ReadAt(moov, pos+header); err != nil && err != io.EOF {
				return nil, in.readError(err)
			}
			return parseMoov(in.path, moov)
		}
		pos += size
	}
}

// boxHeader reads a box's name, the length of its header and its whole size; rest is what can follow.
func boxHeader(b []byte, rest int64) (name string, header, size int64, ok bool) {
	if len(b) < 8 {
		return "", 0, 0, false
	}
	name, header, size = string(b[4:8]), 8, int64(binary.BigEndian.Uint32(b))
	switch size {
	case 0: // to the end
		size = rest
	case 1:
		if len(b) < 16 {
			return "", 0, 0, false
		}
		large := binary.BigEndian.Uint64(b[8:])
		if large > math.MaxInt64/2 {
			return "", 0, 0, false
		}
		header, size = 16, int64(large)
	}
	return name, header, size, size >= header
}

// eachBox calls f for every box of a container's body, and stops at the first that does not fit.
func eachBox(b []byte, f func(name string, body []byte) error) error {
	for len(b) >= 8 {
		name, header, size, ok := boxHeader(b, int64(len(b)))
		if !ok || size > int64(len(b)) {
			return io.ErrUnexpectedEOF
		}
		if err := f(name, b[header:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// leaf decodes a box by mp4ff. entry is the size of an entry of its table, whose 32-bit count stands after
// version and flags; 0 for a box without one.
func leaf[B mp4.Box](body []byte, name string, entry int, decode func(mp4.BoxHeader, uint64, bits.SliceReader) (mp4.Box, error)) (box B, err error) {
	if entry > 0 && (len(body) < 8 || int64(binary.BigEndian.Uint32(body[4:]))*int64(entry) > int64(len(body)-8)) {
		return box, io.ErrUnexpectedEOF
	}
	b, err := decode(mp4.BoxHeader{Name: name, Size: uint64(len(body) + 8), Hdrlen: 8}, 0, bits.NewFixedSliceReader(body))
	if err != nil {
		return box, err
	}
	box, ok := b.(B)
	if !ok {
		return box, io.ErrUnexpectedEOF
	}
	return box, nil
}

// trackBoxes are the leaves of one track that the timeline depends on.
type trackBoxes struct {
	mdhd *mp4.MdhdBox
	hdlr *mp4.HdlrBox
	elst *mp4.ElstBox
	stts *mp4.SttsBox
	ctts *mp4.CttsBox
}

func parseMoov(path string, moov []byte) (*mp4File, error) {
	m := &mp4File{}
	var mvhd *mp4.MvhdBox
	var tracks []*trackBoxes
	err := eachBox(moov, func(name string, body []byte) (err error) {
		switch name {
		case "mvhd":
			mvhd, err = leaf[*mp4.MvhdBox](body, name, 0, mp4.DecodeMvhdSR)
		case "mvex":
			m.fragmented = true
		case "trak":
			t := &trackBoxes{}
			if len(tracks) == 1000 {
				return io.ErrUnexpectedEOF
			}
			tracks = append(tracks, t)
			err = t.read(body, 0)
		}
		return err
	})
	if err != nil || mvhd == nil || mvhd.Timescale == 0 {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, fault.Corruptf("corrupt_media", "%s: the index of the file (moov) is damaged: %w", path, err)
	}
	for _, t := range tracks {
		if t.mdhd == nil || t.hdlr == nil || t.mdhd.Timescale == 0 {
			continue
		}
		m.tracks = append(m.tracks, t.timeline(float64(mvhd.Timescale)))
	}
	return m, nil
}

// read collects the leaves of a track, going into the containers that hold them.
func (t *trackBoxes) read(b []byte, depth int) error {
	return eachBox(b, func(name string, body []byte) (err error) {
		switch name {
		case "mdia", "minf", "stbl", "edts":
			if depth < 4 {
				return t.read(body, depth+1)
			}
		case "mdhd":
			t.mdhd, err = leaf[*mp4.MdhdBox](body, name, 0, mp4.DecodeMdhdSR)
		case "hdlr":
			// QuickTime also has a handler of the data, in minf; the one of the medium comes first.
			if t.hdlr == nil {
				t.hdlr, err = leaf[*mp4.HdlrBox](body, name, 0, mp4.DecodeHdlrSR)
			}
		case "elst":
			entry := 12
			if len(body) > 0 && body[0] == 1 {
				entry = 20
			}
			t.elst, err = leaf[*mp4.ElstBox](body, name, entry, mp4.DecodeElstSR)
		case "stts":
			t.stts, err = leaf[*mp4.SttsBox](body, name, 8, mp4.DecodeSttsSR)
		case "ctts":
			t.ctts, err = leaf[*mp4.CttsBox](body, name, 8, mp4.DecodeCttsSR)
		}
		return err
	})
}

// timeline works out when the track starts and how long it is.
//
//	start = the empty edits before the first real one            (a delay, in the movie's time scale)
//	      + max(0, first composition time - media_time)           (in the track's time scale)
//
// media_time is where in the track's samples the presentation begins: the priming samples of AAC and the
// reordering delay of B-frames are cut off by it, and are no delay.
func (t *trackBoxes) timeline(movieScale float64) mp4Track {
	scale := float64(t.mdhd.Timescale)
	track := mp4Track{handler: t.hdlr.HandlerType, seconds: float64(t.mdhd.Duration) / scale}
	firstComposition, any := t.firstComposition()
	start := 0.0
	if t.elst != nil && len(t.elst.Entries) > 0 {
		length, real := 0.0, false
		for _, e := range t.elst.Entries {
			d := float64(e.SegmentDuration) / movieScale
			switch {
			case e.MediaTime >= 0 && !real:
				real = true
				start += math.Max(0, float64(firstComposition-e.MediaTime)) / scale
				length += d
			case e.MediaTime >= 0:
				length += d
			case !real:
				start += d
			}
		}
		if length > 0 { // 0 in a real edit means: as long as the medium
			track.seconds = length
		}
	} else {
		start = float64(firstComposition) / scale
	}
	if any {
		track.start = &start
	}
	return track
}

// firstComposition is the earliest composition time of the track's first samples, and whether it has any:
// decoding times add up from 0, and an offset says how much later each sample is shown. Reordering does
// not reach further than the codecs' 16 pictures.
func (t *trackBoxes) firstComposition() (int64, bool) {
	if t.stts == nil || len(t.stts.SampleCount) == 0 || t.stts.SampleCount[0] == 0 {
		return 0, false
	}
	if t.ctts == nil || len(t.ctts.SampleOffset) == 0 {
		return 0, true
	}
	first := int64(math.MaxInt64)
	decode, n := int64(0), uint32(0)
	for i, count := range t.stts.SampleCount {
		for range min(count, 32) {
			if n == 32 || n >= t.ctts.EndSampleNr[len(t.ctts.EndSampleNr)-1] {
				break
			}
			n++
			first = min(first, decode+int64(t.ctts.GetCompositionTimeOffset(n)))
			decode += int64(t.stts.SampleTimeDelta[i])
		}
	}
	if first == math.MaxInt64 {
		first = 0
	}
	return first, true
}

package container

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"math"
	"slices"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"

	"prep/internal/fault"
	"prep/internal/infile"
)

// The timeline of MP4 and QuickTime files (ISO/IEC 14496-12), whole and fragmented. The boxes are walked
// here and only leaves are given to mp4ff: its decoders allocate what an entry count claims, so that a
// count is first held against the box's size.

const (
	maxMoov      = 64 << 20 // of the index that is read into memory: about 10 hours of 60 frames a second
	maxMoof      = 8 << 20  // of one fragment's
	maxFragments = 20000    // 11 hours of 2 s; of more the length is not known
	maxBoxes     = 100000
)

// readMP4 reads the tracks of an MP4 file. One whose index is missing is an error.
func readMP4(in *infile.File) ([]Track, error) {
	m := &movie{path: in.Path, in: in}
	fragments := 0
	w := &window{in: in}
	for pos, n := int64(0), 0; pos < in.Size; n++ {
		name, header, size, ok := boxHeader(w.bytes(pos, 16), in.Size-pos)
		if w.err != nil {
			return nil, w.err
		}
		if !ok || n == maxBoxes {
			break
		}
		switch name {
		case "moov":
			body, err := m.box(pos, header, size, maxMoov)
			if err != nil {
				return nil, err
			}
			if err := m.parseMoov(body); err != nil {
				return nil, err
			}
			if !m.fragmented {
				return m.timelines(), nil
			}
		case "moof":
			if m.tracks == nil || fragments == maxFragments {
				m.cut = true
				break
			}
			fragments++
			body, err := m.box(pos, header, size, maxMoof)
			if err == nil {
				err = m.parseMoof(body)
			}
			if err != nil { // the file was cut off, or is being written
				m.cut = true
				return m.timelines(), nil
			}
		}
		if m.cut {
			break
		}
		pos += size
	}
	if m.tracks == nil {
		return nil, m.missing()
	}
	return m.timelines(), nil
}

// movie collects what decides the timeline.
type movie struct {
	path       string
	in         *infile.File
	scale      uint32
	tracks     []*mp4Track
	fragmented bool
	cut        bool // fragments were not read to the end
}

// mp4Track is one track: the leaves that its timeline depends on, and what its fragments add.
type mp4Track struct {
	id        uint32
	timescale uint32
	duration  uint64
	handler   string
	codec     string
	rate      int // of sound, Hz
	elst      *mp4.ElstBox
	stts      *mp4.SttsBox
	ctts      *mp4.CttsBox

	defaultDuration uint32 // of a fragment's sample
	first           []mp4Sample
	count, end      int64 // of all fragments: samples, and where the last one ends
}

// mp4Sample is a sample's decoding time, length and composition time.
type mp4Sample struct{ decode, duration, composition int64 }

func (m *movie) missing() error {
	return fault.Corruptf("corrupt_media", "%s: the index of the file (moov) is missing: it is cut off or was never finished", m.path)
}

// box reads the body of a box.
func (m *movie) box(pos, header, size, limit int64) ([]byte, error) {
	if size > m.in.Size-pos {
		return nil, m.missing()
	}
	if size > limit {
		return nil, fault.Corruptf("corrupt_media", "%s: its index claims %d bytes", m.path, size)
	}
	body := make([]byte, size-header)
	if _, err := m.in.ReadAt(body, pos+header); err != nil && err != io.EOF {
		return nil, m.in.Error(err)
	}
	return body, nil
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

// maxPacked bounds what an index is unpacked to. Packed ones are of QuickTime's first years, and small.
const maxPacked = 16 << 20

// unpacked gives the body of an index, which QuickTime may keep compressed: a box cmov, with the method (dcom) and behind
// a length what Deflate made of a whole box moov (cmvd).
func unpacked(moov []byte) ([]byte, error) {
	out := moov
	err := eachBox(moov, func(name string, body []byte) error {
		if name != "cmov" {
			return nil
		}
		method := ""
		return eachBox(body, func(name string, body []byte) error {
			switch {
			case name == "dcom" && len(body) >= 4:
				method = string(body[:4])
			case name == "cmvd" && len(body) > 4 && method == "zlib":
				r, err := zlib.NewReader(bytes.NewReader(body[4:]))
				if err != nil {
					return err
				}
				b, err := io.ReadAll(io.LimitReader(r, maxPacked))
				if err != nil {
					return err
				}
				inner, header, size, ok := boxHeader(b, int64(len(b)))
				if !ok || inner != "moov" || size > int64(len(b)) {
					return io.ErrUnexpectedEOF
				}
				out = b[header:size]
			}
			return nil
		})
	})
	if err != nil { // what is wrong with an index that is not packed is told where it is read
		if bytes.Contains(moov[:min(len(moov), 64)], []byte("cmov")) {
			return nil, err
		}
		return moov, nil
	}
	return out, nil
}

func (m *movie) parseMoov(moov []byte) error {
	defaults := map[uint32]uint32{}
	moov, err := unpacked(moov)
	if err != nil {
		return fault.Corruptf("corrupt_media", "%s: the packed index of the file (moov) is damaged: %w", m.path, err)
	}
	err = eachBox(moov, func(name string, body []byte) (err error) {
		switch name {
		case "mvhd":
			var mvhd *mp4.MvhdBox
			if mvhd, err = leaf[*mp4.MvhdBox](body, name, 0, mp4.DecodeMvhdSR); err == nil {
				m.scale = mvhd.Timescale
			}
		case "mvex":
			m.fragmented = true
			err = eachBox(body, func(name string, body []byte) error {
				if name == "trex" && len(body) >= 16 { // version and flags, track, description, duration
					defaults[binary.BigEndian.Uint32(body[4:])] = binary.BigEndian.Uint32(body[12:])
				}
				return nil
			})
		case "trak":
			if len(m.tracks) == 1000 {
				return io.ErrUnexpectedEOF
			}
			t := &mp4Track{}
			m.tracks = append(m.tracks, t)
			err = t.read(body, 0)
		}
		return err
	})
	if err == nil && m.scale == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fault.Corruptf("corrupt_media", "%s: the index of the file (moov) is damaged: %w", m.path, err)
	}
	m.tracks = slices.DeleteFunc(m.tracks, func(t *mp4Track) bool { return t.timescale == 0 })
	if m.tracks == nil {
		m.tracks = []*mp4Track{}
	}
	for _, t := range m.tracks {
		t.defaultDuration = defaults[t.id]
	}
	return nil
}

// read collects the leaves of a track, going into the containers that hold them.
func (t *mp4Track) read(b []byte, depth int) error {
	return eachBox(b, func(name string, body []byte) (err error) {
		switch name {
		case "mdia", "minf", "stbl", "edts":
			if depth < 4 {
				return t.read(body, depth+1)
			}
		case "tkhd":
			if at := 12; len(body) > 24 { // version and flags, two dates, track
				if body[0] == 1 {
					at = 20
				}
				t.id = binary.BigEndian.Uint32(body[at:])
			}
		case "mdhd":
			var mdhd *mp4.MdhdBox
			if mdhd, err = leaf[*mp4.MdhdBox](body, name, 0, mp4.DecodeMdhdSR); err == nil {
				if t.timescale, t.duration = mdhd.Timescale, mdhd.Duration; t.duration == math.MaxUint64 || body[0] == 0 && t.duration == math.MaxUint32 {
					t.duration = 0 // not known
				}
			}
		case "hdlr":
			// QuickTime also has a handler of the data, in minf; the one of the medium comes first.
			if t.handler == "" {
				var hdlr *mp4.HdlrBox
				if hdlr, err = leaf[*mp4.HdlrBox](body, name, 0, mp4.DecodeHdlrSR); err == nil {
					t.handler = hdlr.HandlerType
				}
			}
		case "stsd":
			t.describe(body)
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

// describe reads the codec and the rate off the first sample description: version, flags and count, then
// the entry's size and name; a sound's rate is the whole part of a 16.16 number 24 bytes behind the name.
func (t *mp4Track) describe(body []byte) {
	if len(body) < 16 {
		return
	}
	entry := body[8:]
	switch name := string(entry[4:8]); name {
	case "mp4a":
		t.codec = "aac"
		// MPEG-1 and MPEG-2 layers also go by this name: the object type of the esds box, whose descriptors
		// have lengths of one to four bytes, tells.
		if i := esdsObjectType(entry); i == 0x69 || i == 0x6b {
			t.codec = "mp3"
		}
	case ".mp3":
		t.codec = "mp3"
	default:
		t.codec = name
	}
	if len(entry) >= 34 {
		t.rate = int(binary.BigEndian.Uint16(entry[32:]))
	}
}

// esdsObjectType finds the DecoderConfigDescriptor (tag 4) in a sample entry's esds box, 0 when there is none.
func esdsObjectType(entry []byte) byte {
	for i := 36; i+8 < len(entry); i++ {
		if string(entry[i:i+4]) != "esds" {
			continue
		}
		b := entry[i+8:] // after name, version and flags
		if len(b) < 2 || b[0] != 3 {
			return 0
		}
		skip := func(b []byte) []byte { // tag and length
			for j := 1; j < len(b) && j < 5; j++ {
				if b[j]&0x80 == 0 {
					return b[j+1:]
				}
			}
			return nil
		}
		if b = skip(b); len(b) < 5 {
			return 0
		}
		b = b[3:] // identifier and flags; none of the flags' fields is in use
		if b[0] != 4 {
			return 0
		}
		if b = skip(b); len(b) == 0 {
			return 0
		}
		return b[0]
	}
	return 0
}

// parseMoof adds a fragment: its tracks' first decoding times and their samples.
func (m *movie) parseMoof(moof []byte) error {
	return eachBox(moof, func(name string, body []byte) error {
		if name != "traf" {
			return nil
		}
		var t *mp4Track
		var duration uint32
		return eachBox(body, func(name string, body []byte) error {
			be := binary.BigEndian
			switch name {
			case "tfhd":
				if len(body) < 8 {
					return io.ErrUnexpectedEOF
				}
				i := slices.IndexFunc(m.tracks, func(t *mp4Track) bool { return t.id == be.Uint32(body[4:]) })
				if i < 0 {
					return nil
				}
				t = m.tracks[i]
				duration = t.defaultDuration
				flags, at := be.Uint32(body), 8
				if flags&1 != 0 { // base data offset
					at += 8
				}
				if flags&2 != 0 { // sample description
					at += 4
				}
				if flags&8 != 0 && len(body) >= at+4 {
					duration = be.Uint32(body[at:])
				}
			case "tfdt":
				if t == nil || len(body) < 8 {
					return nil
				}
				switch {
				case body[0] == 0:
					t.end = int64(be.Uint32(body[4:]))
				case len(body) >= 12:
					t.end = int64(min(be.Uint64(body[4:]), math.MaxInt64/4))
				}
			case "trun":
				if t == nil || len(body) < 8 {
					return nil
				}
				t.run(body, duration)
			}
			return nil
		})
	})
}

// run reads the samples of a trun box.
func (t *mp4Track) run(body []byte, duration uint32) {
	be := binary.BigEndian
	flags, count, at := be.Uint32(body), int64(be.Uint32(body[4:])), 8
	if flags&1 != 0 { // data offset
		at += 4
	}
	if flags&4 != 0 { // first sample's flags
		at += 4
	}
	size := 0
	for _, f := range []uint32{0x100, 0x200, 0x400, 0x800} { // duration, size, flags, composition offset
		if flags&f != 0 {
			size += 4
		}
	}
	if size == 0 { // nothing is said of each sample
		count = min(count, 1<<20)
	} else {
		count = min(count, int64(max(0, len(body)-at)/size))
	}
	for range count {
		s := mp4Sample{decode: t.end, duration: int64(duration)}
		p := at
		if flags&0x100 != 0 {
			s.duration = int64(be.Uint32(body[p:]))
			p += 4
		}
		if flags&0x200 != 0 {
			p += 4
		}
		if flags&0x400 != 0 {
			p += 4
		}
		s.composition = s.decode
		if flags&0x800 != 0 { // signed in version 1; nobody means two billion in version 0
			s.composition += int64(int32(be.Uint32(body[p:])))
		}
		at += size
		t.end += s.duration
		t.count++
		if len(t.first) < enoughStamps {
			t.first = append(t.first, s)
		}
	}
}

// timelines works out each track's.
func (m *movie) timelines() []Track {
	var tracks []Track
	for _, t := range m.tracks {
		if t.handler == "soun" || t.handler == "vide" {
			tracks = append(tracks, t.timeline(m))
		}
	}
	return tracks
}

// timeline works out when the track starts and how long it is.
//
//	start = the empty edits before the first real one            (a delay, in the movie's time scale)
//	      + max(0, first composition time - media_time)           (in the track's time scale)
//
// media_time is where in the track's samples the presentation begins: the priming samples of AAC and the
// reordering delay of B-frames are cut off by it, and are no delay.
func (t *mp4Track) timeline(m *movie) Track {
	scale := float64(t.timescale)
	out := Track{Video: t.handler == "vide", Codec: t.codec, Seconds: float64(t.duration) / scale}
	samples := t.firstSamples()
	n, length := t.indexed()
	if t.count > 0 && n == 0 {
		samples = t.first
		out.Seconds = 0
		if !m.cut {
			out.Seconds = float64(t.end-samples[0].decode) / scale
		}
		out.FPS = RateOf(float64(t.count)*scale, float64(t.end-samples[0].decode))
	} else {
		out.FPS = RateOf(n*scale, length)
	}
	firstComposition := int64(math.MaxInt64)
	for _, s := range samples[:min(len(samples), 32)] { // reordering reaches over 16 pictures at most
		firstComposition = min(firstComposition, s.composition)
	}
	if len(samples) == 0 {
		firstComposition = 0
	} else if late := t.detached(samples); late > 0 {
		firstComposition += late
		out.Seconds = math.Max(0, out.Seconds-float64(late)/scale)
		out.FPS = RateOf(float64(t.count)*scale, float64(t.end-samples[0].decode-late))
	}

	delay, shown, mediaTime := 0.0, 0.0, int64(0)
	if t.elst != nil {
		real := false
		for _, e := range t.elst.Entries {
			d := float64(e.SegmentDuration) / float64(m.scale)
			switch {
			case e.MediaTime >= 0:
				if !real {
					mediaTime = e.MediaTime
				}
				real = true
				shown += d
			case !real:
				delay += d
			}
		}
	}
	if shown > 0 { // 0 in a real edit means: as long as the medium
		out.Seconds, out.Edited = shown, !m.fragmented
	}
	if len(samples) > 0 {
		start := delay + math.Max(0, float64(firstComposition-mediaTime))/scale
		if t.elst == nil || len(t.elst.Entries) == 0 {
			start = float64(firstComposition) / scale
		}
		out.Start = &start
	}
	if !out.Video {
		lead := PrimingOf(t.codec, t.rate)
		if t.codec == "aac" && len(samples) > 1 && samples[1].duration > 0 { // a frame of HE-AAC is 2048 samples
			lead = float64(samples[1].duration) / scale
		}
		out.Priming = math.Max(0, lead-math.Max(0, float64(mediaTime-firstComposition))/scale)
	}
	return out
}

// detached finds what writers make of a late track when they must put its first sample at 0: that sample,
// a gap, and then the rest at an even pace. The first sample belongs right before the second; how much
// later is returned. Fragmented files without an edit list are written so (ffmpeg's empty_moov).
func (t *mp4Track) detached(samples []mp4Sample) int64 {
	if t.elst != nil || t.count == 0 || len(samples) < 8 {
		return 0
	}
	pace := samples[1].duration
	for _, s := range samples[1 : len(samples)-1] { // the last may be the fragment's odd one
		if s.duration != pace {
			return 0
		}
	}
	if late := samples[1].decode - samples[0].decode - pace; pace > 0 && late > pace/2 {
		return late
	}
	return 0
}

// RateOf is n frames in so many seconds as a rate in Hz; 0 where that is no likely rate.
func RateOf(n, seconds float64) float64 {
	if !(seconds > 0) || !(n > 0) || n/seconds > 1000 {
		return 0
	}
	return n / seconds
}

// firstSamples lists the first samples of the index: decoding times add up from 0, and an offset says how
// much later each sample is shown.
func (t *mp4Track) firstSamples() []mp4Sample {
	if t.stts == nil {
		return nil
	}
	var samples []mp4Sample
	decode := int64(0)
	for i, count := range t.stts.SampleCount {
		for range min(count, enoughStamps) {
			n := len(samples)
			if n == enoughStamps {
				return samples
			}
			s := mp4Sample{decode, int64(t.stts.SampleTimeDelta[i]), decode}
			if t.ctts != nil && len(t.ctts.EndSampleNr) > 0 && uint32(n) < t.ctts.EndSampleNr[len(t.ctts.EndSampleNr)-1] {
				s.composition += int64(t.ctts.GetCompositionTimeOffset(uint32(n + 1)))
			}
			samples = append(samples, s)
			decode += s.duration
		}
	}
	return samples
}

// indexed counts the samples of the index and adds up their lengths.
func (t *mp4Track) indexed() (n, length float64) {
	if t.stts == nil {
		return 0, 0
	}
	for i, count := range t.stts.SampleCount {
		n += float64(count)
		length += float64(float64(count) * float64(t.stts.SampleTimeDelta[i]))
	}
	return n, length
}

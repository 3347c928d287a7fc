package container

import (
	"bytes"
	"encoding/binary"
	"math"
	"prep/internal/infile"
)

// The timeline of MPEG transport and program streams (ISO/IEC 13818-1): packets of the tracks carry time
// stamps of presentation, 33 bits of a 90 kHz clock. Only the two ends of a file are read.

const (
	mpegHead = 8 << 20 // of the beginning that is looked through for the tracks' first stamps
	mpegTail = 4 << 20 // and of the end for the last ones
	mpegTick = 1.0 / 90000
)

// aacRates are the sample rates by their index in AAC's headers.
var aacRates = [16]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// pesTrack is a track of packetised elementary stream packets.
type pesTrack struct {
	id    int
	video bool
	codec string
	rate  int
	first firstStamps
	base  float64 // the first stamp, for what wraps around
	// Of the last packet: its stamp, how long it lasts, and its size.
	last, lastLen float64
	lastSize      int
	fps           float64
}

// stamp reads the presentation time of a PES packet, in seconds, and where its payload begins. The packet
// begins at its start code.
func pesStamp(b []byte) (stamp float64, payload int, ok bool) {
	at := 6
	for at < len(b) && at < 22 && b[at] == 0xff { // MPEG-1 stuffing
		at++
	}
	if len(b) < at+9 {
		return 0, 0, false
	}
	switch {
	case b[at]&0xc0 == 0x80: // MPEG-2: flags, more flags, length of the header
		payload = at + 3 + int(b[at+2])
		if b[at+1]&0x80 == 0 {
			return 0, payload, false
		}
		at += 3
	case b[at]&0xc0 == 0x40: // MPEG-1: buffer size
		at += 2
		fallthrough
	default:
		if b[at]&0xf0 != 0x20 && b[at]&0xf0 != 0x30 {
			return 0, at + 1, false
		}
		payload = at + 5
		if b[at]&0xf0 == 0x30 {
			payload += 5
		}
	}
	if len(b) < at+5 {
		return 0, 0, false
	}
	v := uint64(b[at]>>1&7)<<30 | uint64(b[at+1])<<22 | uint64(b[at+2]>>1)<<15 | uint64(b[at+3])<<7 | uint64(b[at+4]>>1)
	return float64(v) * mpegTick, payload, true
}

// see takes note of a packet near the beginning.
func (t *pesTrack) see(b []byte) {
	stamp, payload, ok := pesStamp(b)
	switch {
	case payload <= 0 || payload >= len(b):
	case t.video:
		t.describeVideo(b[payload:])
	case t.rate == 0:
		t.describe(b[payload:])
	}
	if !ok {
		return
	}
	if len(t.first.stamps) == 0 {
		t.base = stamp
	}
	t.first.add(t.unwrap(stamp))
}

// unwrap brings a stamp near the first one: the clock goes round every 26.5 hours.
func (t *pesTrack) unwrap(stamp float64) float64 {
	const round = (1 << 33) * mpegTick
	switch {
	case stamp < t.base-round/2:
		return stamp + round
	case stamp > t.base+round/2:
		return stamp - round
	}
	return stamp
}

// seeLast takes note of a packet near the end.
func (t *pesTrack) seeLast(b []byte) {
	if stamp, _, ok := pesStamp(b); ok {
		if stamp = t.unwrap(stamp); stamp > t.last {
			// A packet of sound holds some frames: it lasts as long as the one before for its size.
			size := int(binary.BigEndian.Uint16(b[4:]))
			step := stamp - t.last
			t.lastLen = 0
			if t.lastSize > 0 && step < 1 {
				t.lastLen = step * float64(size) / float64(t.lastSize)
			}
			t.last, t.lastSize = stamp, size
		}
	}
}

// describeVideo reads the frame rate off an MPEG-1 or MPEG-2 sequence header: not every picture of those
// has a time stamp.
func (t *pesTrack) describeVideo(b []byte) {
	rates := [...]float64{0, 24000. / 1001, 24, 25, 30000. / 1001, 30, 50, 60000. / 1001, 60}
	if i := bytes.Index(b, []byte{0, 0, 1, 0xb3}); i >= 0 && len(b) > i+7 {
		if r := int(b[i+7] & 15); r < len(rates) {
			t.fps = rates[r]
		}
	}
}

// describe reads codec and rate off the header of an audio frame.
func (t *pesTrack) describe(b []byte) {
	switch {
	case len(b) >= 4 && b[0] == 0xff && b[1]&0xf6 == 0xf0: // ADTS
		t.codec, t.rate = "aac", aacRates[b[2]>>2&15]
	case len(b) >= 4 && b[0] == 0xff && b[1]&0xe0 == 0xe0 && b[2]>>2&3 != 3: // MPEG audio
		t.rate = []int{44100, 48000, 32000}[b[2]>>2&3]
		switch b[1] >> 3 & 3 { // version
		case 2:
			t.rate /= 2
		case 0:
			t.rate /= 4
		}
		t.codec = map[byte]string{1: "mp3", 2: "mp2", 3: "mp1"}[b[1]>>1&3]
	case t.codec == "aac" && len(b) >= 2: // LATM: the rate lies deep inside, and is most often this
		t.rate = 48000
	}
}

func (t *pesTrack) timeline() Track {
	out := Track{Video: t.video, Codec: t.codec, Start: t.first.start()}
	if t.video {
		if out.FPS = t.fps; out.FPS == 0 && t.first.period() > 0 {
			out.FPS = RateOf(1, t.first.period())
		}
	} else {
		out.Priming = PrimingOf(t.codec, t.rate)
	}
	if out.Start != nil && t.last > 0 {
		step := t.lastLen
		if out.FPS > 0 {
			step = 1 / out.FPS
		}
		out.Seconds = math.Max(0, t.last+step-*out.Start)
	}
	return out
}

// readTransportStream reads the tracks of the first program of a transport stream, with packets of 188
// bytes or, on discs and in cameras, of 192.
func readTransportStream(in *infile.File) ([]Track, error) {
	head, err := in.Head(0, mpegHead)
	if err != nil {
		return nil, err
	}
	size, lead := 188, 0
	if head[0] != 0x47 {
		size, lead = 192, 4
	}
	d := transportStream{}
	d.read(head, lead, size, (*pesTrack).see, true)
	if len(d.tracks) == 0 {
		return nil, nil // without tables, or encrypted: ffprobe guesses better
	}
	tail := max(0, in.Size-mpegTail) / int64(size) * int64(size)
	end, err := in.Head(tail, mpegTail+size)
	if err != nil {
		return nil, err
	}
	d.read(end, lead, size, (*pesTrack).seeLast, false)
	var out []Track
	for _, t := range d.tracks {
		out = append(out, t.timeline())
	}
	return out, nil
}

// transportStream is what the tables of a transport stream say.
type transportStream struct {
	tables int // packet ID of the first program's map, 0: not seen yet
	tracks []*pesTrack
}

// read goes over the packets and calls see with the beginning of each PES packet.
func (d *transportStream) read(b []byte, lead, size int, see func(*pesTrack, []byte), stop bool) {
	for at := lead; at+188 <= len(b); at += size {
		p := b[at : at+188]
		if p[0] != 0x47 {
			i := bytes.IndexByte(b[at:], 0x47) // out of step: on to the next that may be one
			if i < 0 {
				return
			}
			at += i - size
			continue
		}
		id, start := int(p[1]&0x1f)<<8|int(p[2]), p[1]&0x40 != 0
		p = p[4:]
		if b[at+3]&0x20 != 0 { // adaptation field
			n := 1 + int(p[0])
			if n > len(p) {
				continue
			}
			p = p[n:]
		}
		if !start || b[at+3]&0x10 == 0 || b[at+1]&0x80 != 0 || len(p) < 10 {
			continue
		}
		switch {
		case id == 0 && d.tables == 0:
			d.association(p)
		case id != 0 && id == d.tables && d.tracks == nil:
			d.program(p)
		case p[0] == 0 && p[1] == 0 && p[2] == 1:
			enough := stop
			for _, t := range d.tracks {
				if t.id == id {
					see(t, p)
				}
				enough = enough && (t.video && t.first.full() || !t.video && len(t.first.stamps) > 0)
			}
			if enough && d.tracks != nil {
				return
			}
		}
	}
}

// section skips the pointer of a table and returns its body without the checksum.
func section(p []byte) []byte {
	if len(p) < 1+int(p[0])+12 {
		return nil
	}
	p = p[1+int(p[0]):]
	n := int(binary.BigEndian.Uint16(p[1:])&0xfff) + 3
	if n > len(p) || n < 12 {
		return nil // a table over more than one packet is not what a file of two tracks has
	}
	return p[:n-4]
}

// association reads the program association table: four bytes a program from byte 8 on.
func (d *transportStream) association(p []byte) {
	s := section(p)
	if s == nil || s[0] != 0 {
		return
	}
	for s = s[8:]; len(s) >= 4; s = s[4:] {
		if binary.BigEndian.Uint16(s) != 0 {
			d.tables = int(binary.BigEndian.Uint16(s[2:]) & 0x1fff)
			return
		}
	}
}

// program reads the program map: type, packet ID and descriptors of each stream.
func (d *transportStream) program(p []byte) {
	s := section(p)
	if len(s) < 12 || s[0] != 2 {
		return
	}
	n := 12 + int(binary.BigEndian.Uint16(s[10:])&0xfff)
	if n > len(s) {
		return
	}
	d.tracks = []*pesTrack{}
	for s = s[n:]; len(s) >= 5; {
		t := &pesTrack{id: int(binary.BigEndian.Uint16(s[1:]) & 0x1fff)}
		n := min(len(s), 5+int(binary.BigEndian.Uint16(s[3:])&0xfff))
		switch s[0] {
		case 0x01, 0x02, 0x10, 0x1b, 0x20, 0x24, 0x33, 0x42, 0xd1, 0xea:
			t.video = true
			d.tracks = append(d.tracks, t)
		case 0x03, 0x04, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87:
			d.tracks = append(d.tracks, t)
		case 0x0f, 0x11:
			t.codec = "aac"
			d.tracks = append(d.tracks, t)
		case 0x06: // private: descriptors or a registration tell
			switch described := s[5:n]; {
			case bytes.Contains(described, []byte("HEVC")), bytes.Contains(described, []byte("AV01")):
				t.video = true
				d.tracks = append(d.tracks, t)
			case bytes.Contains(described, []byte("Opus")), bytes.Contains(described, []byte("AC-3")), bytes.Contains(described, []byte("EAC3")),
				len(described) > 0 && (described[0] == 0x6a || described[0] == 0x7a || described[0] == 0x7b):
				d.tracks = append(d.tracks, t)
			}
		}
		s = s[n:]
	}
}

// readProgramStream reads the tracks of a program stream: streams 0xe0 to 0xef are video, 0xc0 to 0xdf MPEG
// audio; AC-3 and DTS lie in private stream 1, by a first byte from 0x80 on.
func readProgramStream(in *infile.File) ([]Track, error) {
	head, err := in.Head(0, mpegHead)
	if err != nil {
		return nil, err
	}
	byID := map[int]*pesTrack{}
	var tracks []*pesTrack
	eachPES(head, func(id int, b []byte) bool {
		t := byID[id]
		if t == nil {
			t = &pesTrack{id: id, video: id >= 0xe0 && id <= 0xef}
			byID[id] = t
			tracks = append(tracks, t)
		}
		t.see(b)
		done := len(tracks) > 1
		for _, t := range tracks {
			done = done && (t.video && t.first.full() || !t.video && len(t.first.stamps) > 0)
		}
		return !done
	})
	if len(tracks) == 0 {
		return nil, nil
	}
	tail, err := in.Head(max(0, in.Size-mpegTail), mpegTail)
	if err != nil {
		return nil, err
	}
	eachPES(tail, func(id int, b []byte) bool {
		if t := byID[id]; t != nil {
			t.seeLast(b)
		}
		return true
	})
	var out []Track
	for _, t := range tracks {
		out = append(out, t.timeline())
	}
	return out, nil
}

// eachPES calls f for the PES packets of video and audio in a program stream until it returns false. The
// identity is the stream's, or 0x1b and the first byte of a private one.
func eachPES(b []byte, f func(id int, packet []byte) bool) {
	for {
		i := bytes.Index(b, []byte{0, 0, 1})
		if i < 0 || len(b) < i+20 {
			return
		}
		b = b[i:]
		id := int(b[3])
		switch {
		case id >= 0xc0 && id <= 0xef, id == 0xbd:
			n := min(len(b), 6+int(binary.BigEndian.Uint16(b[4:])))
			packet := b[:n]
			if id == 0xbd {
				if _, payload, _ := pesStamp(packet); payload > 0 && payload < n && packet[payload] >= 0x80 {
					id = 0xbd00 | int(packet[payload])
				} else {
					b = b[3:]
					continue
				}
			}
			if !f(id, packet) {
				return
			}
			b = b[max(4, n):]
		case id == 0xbb || id == 0xbe || id == 0xbf: // system header, padding, navigation
			b = b[min(len(b), 6+int(binary.BigEndian.Uint16(b[4:]))):]
		default:
			b = b[4:]
		}
	}
}

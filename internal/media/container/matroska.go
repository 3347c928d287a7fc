package container

import (
	"encoding/binary"
	"math"
	"prep/internal/infile"
	"slices"
)

// The timeline of Matroska and WebM files (RFC 8794, RFC 9559): blocks carry time stamps of presentation,
// in the segment's scale and relative to their cluster. The clusters at the beginning say when the tracks
// start, those at the end how long they are.

const (
	ebmlHeader   = 0x1A45DFA3
	idSegment    = 0x18538067
	idSeekHead   = 0x114D9B74
	idSeek       = 0x4DBB
	idSeekID     = 0x53AB
	idSeekPos    = 0x53AC
	idInfo       = 0x1549A966
	idScale      = 0x2AD7B1
	idDuration   = 0x4489
	idTracks     = 0x1654AE6B
	idTrackEntry = 0xAE
	idNumber     = 0xD7
	idType       = 0x83
	idCodec      = 0x86
	idPeriod     = 0x23E383
	idDelay      = 0x56AA
	idAudio      = 0xE1
	idRate       = 0xB5
	idCues       = 0x1C53BB6B
	idCuePoint   = 0xBB
	idCueTrack   = 0xB7
	idCuePos     = 0xF1
	idCluster    = 0x1F43B675
	idTimestamp  = 0xE7
	idBlock      = 0xA1
	idBlockGroup = 0xA0
	idSimple     = 0xA3
	idLength     = 0x9B // of a block
	idTags       = 0x1254C367
	idAttach     = 0x1941A469
	idChapters   = 0x1043A770
)

const (
	maxElements   = 200000   // that are walked over at one end of a file
	maxEBMLMaster = 16 << 20 // of a master element that is read into memory
)

// element is an EBML element's header: its ID, where its body begins and where it ends.
type element struct {
	id         uint32
	body, end  int64
	sizeIsOpen bool // a live stream's: up to the next element of its level
}

// matroska is a file that is being read.
type matroska struct {
	w        *window
	begin    int64 // of the segment's body, from which positions count
	scale    float64
	duration float64
	tracks   []*matroskaTrack
	cues     int64 // where the index is, 0 unknown
	// described is where the tracks are by the seek head, 0 unknown.
	described int64
	steps     int
}

type matroskaTrack struct {
	number         uint64
	kind           uint64 // 1 video, 2 audio
	codec          string
	period, delay  float64 // seconds
	rate           float64
	first          firstStamps
	any, seen      bool
	last, lastStep float64
	end            float64
}

// element reads the header at an offset; false at the end of the file or on nonsense.
func (m *matroska) element(at, limit int64) (e element, ok bool) {
	if m.steps++; m.steps > maxElements {
		return e, false
	}
	b := m.w.bytes(at, 12)
	idLen, id := vint(b, 4, false)
	if idLen == 0 {
		return e, false
	}
	sizeLen, size := vint(b[idLen:], 8, true)
	if sizeLen == 0 {
		return e, false
	}
	e = element{id: uint32(id), body: at + int64(idLen+sizeLen)}
	if size == 1<<(7*sizeLen)-1 {
		e.sizeIsOpen, e.end = true, limit
		return e, true
	}
	if size > math.MaxInt64/4 {
		return e, false
	}
	e.end = e.body + int64(size)
	return e, true
}

// vint reads a number of variable length, of at most limit bytes; its length is 0 when there is none. The
// length's marker bit is part of an ID and not of a size.
func vint(b []byte, limit int, strip bool) (length int, v uint64) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	length = 1
	for mask := byte(0x80); b[0]&mask == 0; mask >>= 1 {
		length++
	}
	if length > limit || length > len(b) {
		return 0, 0
	}
	v = uint64(b[0])
	if strip {
		v &= 1<<(8-length) - 1
	}
	for _, c := range b[1:length] {
		v = v<<8 | uint64(c)
	}
	return length, v
}

// eachElement calls f for the elements of a body in memory.
func eachElement(b []byte, f func(id uint32, body []byte)) {
	for len(b) > 0 {
		n, id := vint(b, 4, false)
		if n == 0 {
			return
		}
		k, size := vint(b[n:], 8, true)
		if k == 0 || size > uint64(len(b)-n-k) {
			return
		}
		b = b[n+k:]
		f(uint32(id), b[:size])
		b = b[size:]
	}
}

func ebmlUint(b []byte) uint64 {
	if len(b) > 8 {
		return 0
	}
	v := uint64(0)
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

func ebmlFloat(b []byte) float64 {
	v := 0.0
	switch len(b) {
	case 4:
		v = float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		v = math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	if v != v || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// master reads a master element's body into memory, nil if it is too large or cut off.
func (m *matroska) master(e element) []byte {
	if e.sizeIsOpen || e.end > m.w.in.Size || e.end-e.body > maxEBMLMaster {
		return nil
	}
	b, err := m.w.in.Head(e.body, int(e.end-e.body))
	if err != nil {
		m.w.err = err
		return nil
	}
	return b
}

// readMatroska reads the tracks of a Matroska file.
func readMatroska(in *infile.File) ([]Track, error) {
	m := &matroska{w: &window{in: in}, scale: 1e-3}
	head, ok := m.element(0, in.Size)
	if !ok || head.id != ebmlHeader || head.sizeIsOpen {
		return nil, damaged(in, "Matroska", "its header is not understood")
	}
	segment, ok := m.element(head.end, in.Size)
	if !ok || segment.id != idSegment {
		return nil, damaged(in, "Matroska", "it has no segment")
	}
	m.begin = segment.body
	at := m.readBeginning()
	if m.tracks == nil && m.w.err == nil && m.described > at { // the tracks stand behind the pictures
		if e, ok := m.element(m.described, in.Size); ok && e.id == idTracks {
			eachElement(m.master(e), m.trackEntry)
		}
		if m.tracks != nil {
			at = m.readBeginning()
		}
	}
	if m.w.err != nil {
		return nil, m.w.err
	}
	if m.tracks == nil {
		return nil, damaged(in, "Matroska", "its description of the tracks is missing or cut off")
	}
	m.readEnd(at)
	if m.w.err != nil {
		return nil, m.w.err
	}
	return m.timelines(), nil
}

// readBeginning reads what describes the tracks, and blocks until all of them have begun. It returns the
// cluster that it got to.
func (m *matroska) readBeginning() (at int64) {
	size := m.w.in.Size
	for at = m.begin; at < size; {
		e, ok := m.element(at, size)
		if !ok {
			return at
		}
		switch e.id {
		case idSeekHead:
			eachElement(m.master(e), m.seek)
		case idInfo:
			eachElement(m.master(e), func(id uint32, body []byte) {
				switch id {
				case idScale:
					if n := ebmlUint(body); n > 0 && n < 1<<40 {
						m.scale = float64(n) / 1e9
					}
				case idDuration:
					m.duration = ebmlFloat(body)
				}
			})
		case idTracks:
			if m.tracks == nil {
				eachElement(m.master(e), m.trackEntry)
			}
		case idCues:
			m.cues = at
		case idCluster:
			if m.tracks == nil {
				return at
			}
			next := m.cluster(e, m.beginning)
			if next == 0 {
				return at
			}
			at = next
			continue
		}
		if e.sizeIsOpen {
			return at
		}
		at = e.end
	}
	return at
}

// seek notes where the cues and the tracks are.
func (m *matroska) seek(id uint32, body []byte) {
	if id != idSeek {
		return
	}
	var what, where uint64
	eachElement(body, func(id uint32, body []byte) {
		switch id {
		case idSeekID:
			what = ebmlUint(body)
		case idSeekPos:
			where = ebmlUint(body)
		}
	})
	if what == idCues && where < uint64(m.w.in.Size) {
		m.cues = m.begin + int64(where)
	}
	if what == idTracks && where < uint64(m.w.in.Size) {
		m.described = m.begin + int64(where)
	}
}

func (m *matroska) trackEntry(id uint32, body []byte) {
	if id != idTrackEntry || len(m.tracks) == 1000 {
		return
	}
	t := &matroskaTrack{rate: 8000}
	eachElement(body, func(id uint32, body []byte) {
		switch id {
		case idNumber:
			t.number = ebmlUint(body)
		case idType:
			t.kind = ebmlUint(body)
		case idCodec:
			t.codec = string(body[:min(len(body), 64)])
		case idPeriod:
			t.period = float64(ebmlUint(body)) / 1e9
		case idDelay:
			t.delay = float64(ebmlUint(body)) / 1e9
		case idAudio:
			eachElement(body, func(id uint32, body []byte) {
				if id == idRate {
					t.rate = ebmlFloat(body)
				}
			})
		}
	})
	if t.period > 3600 || t.delay > 60 {
		t.period, t.delay = 0, 0
	}
	m.tracks = append(m.tracks, t)
}

// cluster walks over the blocks of a cluster until visit has seen enough, and returns where the cluster
// ends; 0 if it was not read to its end.
func (m *matroska) cluster(e element, visit func(t *matroskaTrack, stamp, length float64) (enough bool)) int64 {
	base := 0.0
	for at := e.body; at < e.end && at < m.w.in.Size; {
		b, ok := m.element(at, e.end)
		if !ok {
			return 0
		}
		switch b.id {
		case idCluster, idCues, idTags, idSeekHead, idInfo, idTracks, idAttach, idChapters:
			return at // a cluster without a size has ended
		case idTimestamp:
			base = float64(ebmlUint(m.w.bytes(b.body, int(min(b.end-b.body, 8)))))
		case idSimple:
			if m.block(m.w.bytes(b.body, 12), base, 0, visit) {
				return 0
			}
		case idBlockGroup:
			length := 0.0
			var header []byte
			for in := b.body; in < b.end; {
				g, ok := m.element(in, b.end)
				if !ok || g.sizeIsOpen {
					return 0
				}
				switch g.id {
				case idBlock:
					header = slices.Clone(m.w.bytes(g.body, 12))
				case idLength:
					length = float64(ebmlUint(m.w.bytes(g.body, int(min(g.end-g.body, 8))))) * m.scale
				}
				in = g.end
			}
			if m.block(header, base, length, visit) {
				return 0
			}
		}
		if b.sizeIsOpen {
			return 0
		}
		at = b.end
	}
	return e.end
}

// block reads a block's header: the track's number, and the time as 16 bits relative to the cluster.
func (m *matroska) block(b []byte, base, length float64, visit func(t *matroskaTrack, stamp, length float64) bool) bool {
	n, number := vint(b, 8, true)
	if n == 0 || len(b) < n+2 {
		return false
	}
	for _, t := range m.tracks {
		if t.number == number {
			relative := float64(int16(binary.BigEndian.Uint16(b[n:])))
			return visit(t, float64((base+relative)*m.scale)-t.delay, length)
		}
	}
	return false
}

// lookahead is how much of the beginning is looked through for a track's first block, in seconds.
const lookahead = 60.0

// beginning notes the first blocks; enough is when every track of interest has begun, with as many pictures
// as reordering can reach over.
func (m *matroska) beginning(t *matroskaTrack, stamp, length float64) (enough bool) {
	t.any = true
	ending(t, stamp, length)
	t.first.add(stamp)
	enough = true
	for _, o := range m.tracks {
		switch {
		case o.kind == 1 && (!o.any || !o.first.full() && (o.period == 0 || len(o.first.stamps) < 20)),
			o.kind == 2 && !o.any:
			enough = false
		}
	}
	return enough || t.first.stamps[0]+lookahead < stamp
}

// readEnd finds where the tracks end: in the clusters from the last one in the index on, or from the last
// one that can be reached by going from cluster to cluster.
func (m *matroska) readEnd(at int64) {
	m.steps = 0
	from := int64(0)
	if e, ok := m.element(m.cues, m.w.in.Size); ok && m.cues > 0 && e.id == idCues {
		last := map[uint64]int64{} // of each track: one may be indexed more coarsely
		eachElement(m.master(e), func(id uint32, body []byte) {
			if id != idCuePoint {
				return
			}
			eachElement(body, func(id uint32, body []byte) {
				if id != idCueTrack {
					return
				}
				var trackNumber, where uint64
				eachElement(body, func(id uint32, body []byte) {
					switch id {
					case 0xF7:
						trackNumber = ebmlUint(body)
					case idCuePos:
						where = ebmlUint(body)
					}
				})
				if where < uint64(m.w.in.Size) {
					last[trackNumber] = max(last[trackNumber], m.begin+int64(where))
				}
			})
		})
		for _, t := range m.tracks {
			if p, ok := last[t.number]; ok && t.kind == 1 {
				from = max(from, p)
			}
		}
		if from == 0 {
			for _, p := range last {
				from = max(from, p)
			}
		}
	}
	for _, t := range m.tracks {
		t.seen = false
	}
	if from > 0 {
		m.readClusters(from, math.MaxInt64)
	}
	if m.seenAll() {
		return
	}
	// Without an index, or where a track ends long before the others: back from the end, cluster by cluster.
	clusters := m.clustersFrom(at)
	for i := len(clusters) - 1; i >= 0 && !m.seenAll() && m.steps < maxElements; i-- {
		m.readClusters(clusters[i], clusters[i]+1)
	}
}

func (m *matroska) seenAll() bool {
	for _, t := range m.tracks {
		if (t.kind == 1 || t.kind == 2) && t.any && !t.seen {
			return false
		}
	}
	return true
}

// readClusters reads the clusters that begin between two places for their tracks' ends.
func (m *matroska) readClusters(at, before int64) {
	for _, t := range m.tracks {
		t.last, t.lastStep = 0, 0
	}
	for at < min(before, m.w.in.Size) {
		e, ok := m.element(at, m.w.in.Size)
		if !ok {
			return
		}
		next := e.end
		if e.id == idCluster {
			next = m.cluster(e, ending)
		} else if e.sizeIsOpen {
			return
		}
		if next <= at {
			return
		}
		at = next
	}
}

// clustersFrom goes from cluster to cluster.
func (m *matroska) clustersFrom(at int64) (clusters []int64) {
	for at < m.w.in.Size {
		e, ok := m.element(at, m.w.in.Size)
		if !ok {
			break
		}
		if e.id == idCluster {
			clusters = append(clusters, at)
		}
		if e.sizeIsOpen {
			break
		}
		at = e.end
	}
	return clusters
}

// ending notes where a track's last block ends. A block that does not say how long it is lasts as long as
// the track's period, or as the one before.
func ending(t *matroskaTrack, stamp, length float64) bool {
	t.seen = true
	if t.last > 0 && stamp > t.last {
		t.lastStep = stamp - t.last
	}
	t.last = stamp
	if length == 0 {
		length = t.period
	}
	if length == 0 && t.lastStep < 1 {
		length = t.lastStep
	}
	t.end = math.Max(t.end, stamp+length)
	return false
}

func (m *matroska) timelines() []Track {
	var tracks []Track
	for _, t := range m.tracks {
		if t.kind != 1 && t.kind != 2 {
			continue
		}
		out := Track{Video: t.kind == 1, Start: t.first.start()}
		end := t.end
		if end == 0 {
			end = m.duration * m.scale
		}
		if out.Start != nil {
			out.Seconds = math.Max(0, end-*out.Start)
		}
		if out.Video {
			period := t.period
			if period == 0 {
				period = t.first.period()
			}
			if period > 0 {
				out.FPS = RateOf(1, period)
			}
		} else {
			switch t.codec {
			case "A_OPUS":
				out.Codec, out.Priming = "opus", t.delay
			case "A_AAC", "A_AAC/MPEG4/LC", "A_AAC/MPEG2/LC", "A_AAC/MPEG4/LC/SBR", "A_AAC/MPEG4/MAIN":
				out.Codec = "aac"
			case "A_MPEG/L3":
				out.Codec = "mp3"
			case "A_MPEG/L2":
				out.Codec = "mp2"
			}
			if out.Codec != "opus" {
				out.Priming = PrimingOf(out.Codec, int(t.rate))
			}
		}
		tracks = append(tracks, out)
	}
	return tracks
}

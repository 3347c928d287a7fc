package media

import (
	"errors"
	"io"
	"slices"

	"prep/internal/fault"
	"prep/internal/infile"
)

// Ogg files can hold streams one after the other (RFC 3533, 4; recordings of radio do): each has headers, serial
// number and granule positions of its own, as if it were a file of its own, and that is how it is read here. They
// have to be of one codec, rate and number of channels; others are left to ffmpeg.

// maxOggLinks bounds the streams of a file: opening one takes about a millisecond, and a song a few minutes.
const maxOggLinks = 4096

// oggLink is a stream and where it lies in the file and in the sound.
type oggLink struct {
	at, end int64 // bytes
	first   int64 // the frame that its sound begins with
	there   int64 // frames
}

// oggChain is an open file of several streams.
type oggChain struct {
	soundFormat
	in    *infile.File
	kind  soundKind
	links []oggLink
	there int64
	notes []string
}

// openOggChain opens every stream of a file once.
func openOggChain(in *infile.File, kind soundKind) (*oggChain, error) {
	c := &oggChain{in: in, kind: kind}
	for at := int64(0); at < in.Size; {
		if len(c.links) == maxOggLinks {
			return nil, errChained
		}
		end, cut, err := oggLinkEnd(c.part(at, in.Size))
		if err != nil {
			return nil, c.within(at, err)
		}
		last := end < 0
		if end += at; last {
			end = in.Size
		}
		l := oggLink{at: at, end: end, first: c.there}
		f, err := c.open(l)
		switch {
		case last && cut && at > 0 && fault.ReasonOf(err) == "bad_header":
			c.notes = append(c.notes, "cut off: the headers of the last stream are not whole")
		case err != nil:
			return nil, c.within(at, err)
		default:
			if !f.whole {
				c.notes = append(c.notes[:0], "cut off: the last page of a stream is missing")
			}
			if at == 0 {
				c.soundFormat = f.soundFormat
			}
			l.there = f.there
			if f.rate != c.rate || f.channels != c.channels {
				return nil, errChained
			}
			c.links, c.there = append(c.links, l), c.there+l.there
		}
		at = end
	}
	if c.frames = -1; len(c.notes) == 0 {
		c.frames = c.there
	}
	return c, nil
}

// oggLinkEnd returns where the first stream of a file ends, -1 for with the file; cut says that the file ends inside
// a page.
func oggLinkEnd(in *infile.File) (end int64, cut bool, err error) {
	head, err := in.Head(0, oggHeaderSize+255)
	if err != nil {
		return 0, false, err
	}
	p, ok := parseOggPage(head, 0)
	if !ok || p.flags&oggFirst == 0 {
		return 0, false, fault.Corruptf("corrupt_audio", "%s: no Ogg stream begins there", in.Path)
	}
	o := newOggStream(in)
	o.serial = p.serial
	at := int64(0)
	err = o.pages(0, func(p oggPage) bool {
		at = p.at + p.size
		return true
	})
	if errors.Is(err, errChained) {
		return at, false, nil
	}
	return -1, at < in.Size, err
}

// part is a stretch of the file as a file.
func (c *oggChain) part(at, end int64) *infile.File {
	return infile.New(c.in.Context(), c.in.Path, io.NewSectionReader(c.in, at, end-at), end-at)
}

// within words an error of a stream by where the stream begins, for the error counts bytes from there.
func (c *oggChain) within(at int64, err error) error {
	var known *fault.Error
	if at == 0 || !errors.As(err, &known) || known.Kind != fault.Corrupt {
		return err
	}
	return fault.Corruptf(known.Reason, "%w (in the Ogg stream that begins at byte %d)", err, at)
}

func (c *oggChain) open(l oggLink) (*oggFile, error) {
	in := c.part(l.at, l.end)
	head, err := in.Head(0, 4096)
	if err != nil {
		return nil, err
	}
	open := openOpus
	switch codec := oggCodec(head); {
	case c.kind == kindVorbis && codec == "Vorbis":
		open = openVorbis
	case c.kind == kindOpus && codec == "Opus":
	default:
		return nil, errChained
	}
	return openOgg(in, open)
}

func (c *oggChain) length() (declared, there int64, rate int, err error) {
	return c.frames, c.there, c.rate, nil
}

func (c *oggChain) decode(t *Tools, seg Segment) (*Sound, error) {
	s := newSound(c.soundFormat)
	s.Notes = append(s.Notes, c.notes...)
	first, last, err := t.span(s, c.soundFormat, c.in.Path, seg, c.there)
	if err != nil {
		return nil, err
	}
	if err := c.read(s, first, last); err != nil {
		return nil, err
	}
	if err := s.checkFinite(c.in.Path); err != nil {
		return nil, err
	}
	return s, t.settle(s, c.soundFormat, c.in.Path, seg, first)
}

// read keeps the frames from first up to last.
func (c *oggChain) read(s *Sound, first, last int64) error {
	s.Data = newSamples((last - first) * int64(c.channels))[:0]
	for _, l := range c.links {
		from, to := max(first, l.first)-l.first, min(last, l.first+l.there)-l.first
		if from >= to {
			continue
		}
		if err := c.readLink(s, l, from, to); err != nil {
			return c.within(l.at, err)
		}
	}
	return nil
}

func (c *oggChain) readLink(s *Sound, l oggLink, first, last int64) error {
	f, err := c.open(l)
	if err != nil {
		return err
	}
	part := newSound(f.soundFormat)
	defer part.Release()
	if err := f.stretch(part, first, last); err != nil {
		return err
	}
	for _, note := range part.Notes {
		if !slices.Contains(s.Notes, note) {
			s.Notes = append(s.Notes, note)
		}
	}
	s.Data = append(s.Data, part.Data...)
	return nil
}

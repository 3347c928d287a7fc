package stages

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"sync"

	"prep/filters"
	"prep/internal/fault"
	"prep/internal/half"
	"prep/internal/media"
	"prep/internal/sample"
	"prep/mel"
)

// cutSlack is how much longer than its listed segment a file may be and still count as already cut to
// it, in seconds: encoders pad, and cutting tools round to their frames.
const cutSlack = 1.0

// sound is a sample's audio at 16 kHz.
type sound struct {
	wave     [][]float32 // [channels][n]; channel 0 is what the towers hear
	seconds  float64     // of the decoded segment, at the file's own rate
	rate     int
	channels int
	source   sample.Metrics // of the decoded file
	declared float64        // seconds of the whole file by its header, 0: not stated
	missing  float64        // seconds of the segment that the header promises and the file lacks
}

// durationSlack is the share by which declared and decoded length may differ before it is noted: frames of
// codecs and rounding make less.
const durationSlack = 0.05

// floats keeps memory that one sample has used for another: fresh memory costs more than what is computed in it.
type floats struct{ pool sync.Pool }

// get returns memory of any size, perhaps none.
func (f *floats) get() []float32 {
	if x, _ := f.pool.Get().(*[]float32); x != nil {
		return *x
	}
	return nil
}

func (f *floats) put(x ...[]float32) {
	for _, x := range x {
		f.pool.Put(&x)
	}
}

// octets does the same for bytes.
type octets struct{ pool sync.Pool }

// get returns memory of n bytes, whatever they are.
func (o *octets) get(n int) []byte {
	b, _ := o.pool.Get().(*[]byte)
	if b == nil || cap(*b) < n {
		return make([]byte, n)
	}
	return (*b)[:n]
}

func (o *octets) put(b []byte) {
	if cap(b) > 0 {
		o.pool.Put(&b)
	}
}

func readSound(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	path, err := p.locate(part)
	if err != nil {
		return nil, err
	}
	file, err := p.Tools.OpenSound(ctx, path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	seg, err := segmentOfSound(part, file)
	if err != nil {
		return nil, err
	}
	snd, err := file.DecodeChannels(p.limitSound(seg))
	if err != nil {
		return nil, err
	}
	return p.newSound(snd, s, part, seg)
}

// limitSound cuts a segment to the longest stretch of sound that is read.
func (p *Processor) limitSound(seg media.Segment) media.Segment {
	limit := p.Config.Audio.MaxSeconds
	if seg.End == 0 || seg.End-seg.Start > limit {
		seg.End = seg.Start + limit
	}
	return seg
}

// newSound takes the decoded sound of a segment to 16 kHz, and notes with the sample what was odd about it. It
// uses the sound up.
func (p *Processor) newSound(snd *media.Sound, s *sample.Sample, part *sample.Part, seg media.Segment) (_ *sound, err error) {
	defer snd.Release()
	planes := snd.Channels()
	if len(planes) == 0 || len(planes[0]) == 0 {
		return nil, fault.Corruptf("empty", "%s holds no sound", part.Path)
	}
	out := &sound{
		seconds: float64(len(planes[0])) / float64(snd.SourceRate),
		rate:    snd.SourceRate, channels: len(planes),
		source:   filters.MeasureSource(planes, snd.SourceRate),
		declared: snd.DeclaredSeconds, missing: snd.MissingSeconds,
	}
	s.Notes = append(s.Notes, snd.Notes...)
	s.Notes = append(s.Notes, out.lengthNotes(seg, p.limitSound(seg))...)
	switch {
	case p.Config.Audio.Channel == "mean":
		planes = [][]float32{media.MixDown(planes)}
	case p.Config.Audio.Mean != "imagebind": // only the original's mean looks at the other channels
		planes = planes[:1]
	}
	for _, x := range planes {
		y := p.waves.get()
		if snd.SourceRate == mel.SampleRate { // a copy: x is the decoded sound's memory
			y = append(y[:0], x...)
		} else if y, err = mel.ResampleInto(y, x, snd.SourceRate); err != nil {
			return nil, fault.Corruptf("bad_rate", "%s: %w", part.Path, err)
		}
		out.wave = append(out.wave, y)
	}
	if len(out.wave[0]) < mel.WindowLength {
		return nil, fault.Corruptf("too_short", "%s holds %.4f s of sound, less than one 25 ms window", part.Path, out.seconds)
	}
	return out, nil
}

// lengthNotes says where the decoded length is not what was declared or listed.
func (d *sound) lengthNotes(wanted, decoded media.Segment) (notes []string) {
	whole := decoded.Start == 0 && (d.declared <= decoded.End || d.seconds < decoded.End)
	expected := d.seconds + d.missing
	if whole && d.declared > 0 {
		expected = d.declared
	}
	if math.Abs(d.seconds-expected) > durationSlack*expected {
		notes = append(notes, fmt.Sprintf("%.2f s of sound are declared here, %.2f s decoded", expected, d.seconds))
	}
	// What the file goes on for is known by its header, or else supposed when the limit was reached.
	if wanted != decoded && d.seconds >= decoded.End-decoded.Start-0.001 && (d.declared == 0 || d.declared > decoded.End+0.001) &&
		(wanted.End == 0 || wanted.End > decoded.End) {
		notes = append(notes, fmt.Sprintf("cut at audio.max_seconds (%g s)", decoded.End-decoded.Start))
	}
	return notes
}

// segmentOfSound decides whether a file is cut to the listed segment: a recording about as long as the segment
// has been cut already, a longer one is the whole. What counts is how long the recording was made: a whole one of
// which the end is lost may by chance be as long as the segment, and hold another part of it.
func segmentOfSound(part *sample.Part, file *media.Recording) (media.Segment, error) {
	if part.End <= part.Start {
		return media.Segment{Start: part.Start}, nil
	}
	have, err := file.Length()
	if err != nil {
		return media.Segment{}, err
	}
	return segmentOf(part, have.Whole())
}

// segmentOf decides it for a file that lasts as long as have says, 0 for unknown.
func segmentOf(part *sample.Part, have float64) (media.Segment, error) {
	if part.End <= part.Start {
		return media.Segment{Start: part.Start}, nil
	}
	if have > 0 && have <= part.End-part.Start+cutSlack {
		return media.Segment{}, nil
	}
	if have > 0 && have <= part.Start {
		return media.Segment{}, fault.Corruptf("segment_outside", "%s lasts %.2f s; the listed segment begins at %.2f s", part.Path, have, part.Start)
	}
	return media.Segment{Start: part.Start, End: part.End}, nil
}

func (d *sound) measure(p *Processor, s *sample.Sample) {
	maps.Copy(s.Metrics, d.source)
	maps.Copy(s.Metrics, filters.MeasureAudio(d.wave[0], p.Config.Filters))
	s.Metrics["audio_duration_s"] = d.seconds
	s.Metrics["audio_rate_hz"] = int64(d.rate)
	s.Metrics["audio_channels"] = int64(d.channels)
	s.Metrics["audio_missing_s"] = d.missing
	if d.declared > 0 {
		s.Metrics["audio_declared_s"] = d.declared
	}
}

func (d *sound) tensor(p *Processor) (sample.Tensor, error) {
	mean := mel.MeanClip
	if p.Config.Audio.Mean == "imagebind" {
		mean = mel.MeanImageBind
	}
	x := mel.ClipsInto(p.clips.get(), d.wave, p.Config.Audio.Clips, mean)
	defer p.clips.put(x)
	p.waves.put(d.wave...)
	d.wave = nil
	if p.Config.Audio.DType == string(sample.Float16) {
		b := p.tensors.get(2 * len(x))
		half.Encode(b, x)
		return p.newTensor(sample.Audio, b), nil
	}
	b := p.tensors.get(4 * len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
	}
	return p.newTensor(sample.Audio, b), nil
}

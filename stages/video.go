package stages

import (
	"context"
	"math"

	"prep/filters"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/media/container"
	"prep/internal/sample"
	"prep/internal/vision"
)

// videoFrames is the number of frames stored of a clip: the depth of ImageBind's stem.
const videoFrames = 2

// video is what was decoded of a moving picture.
type video struct {
	clips []media.Clip
	path  string
}

// readVideo reads the pictures of a video alone.
func readVideo(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	if !p.Config.Video.Frames {
		return nil, nil
	}
	c, err := p.openContainer(ctx, part)
	if err != nil {
		return nil, err
	}
	v, err := p.Tools.DecodeVideo(ctx, c.path, c.timing, media.VideoRequest{Clips: p.Config.Video.Clips, Segment: c.segment})
	if err != nil {
		return nil, err
	}
	return &video{v.Clips, part.Path}, nil
}

// opened is a file with moving pictures, and perhaps sound, before it is decoded.
type opened struct {
	path    string // on this machine
	timing  container.Timing
	segment media.Segment
}

// openContainer asks a container for its clock: decoding loses it.
func (p *Processor) openContainer(ctx context.Context, part *sample.Part) (c opened, err error) {
	if c.path, err = p.locate(part); err != nil {
		return c, err
	}
	if c.timing, err = p.Tools.ProbeTiming(ctx, c.path); err != nil {
		return c, err
	}
	c.segment, err = segmentOf(part, c.timing.Seconds())
	return c, err
}

// readContainer reads what a video file holds for the sample: its pictures, and its sound where the sample's
// sound is the same file, by one run of ffmpeg; and it stores how the two lie in time. without says what the
// file turned out to lack. A sample without video has none of this.
func (p *Processor) readContainer(ctx context.Context, s *sample.Sample) (out [sample.NumModalities]medium, without [sample.NumModalities]bool, err error) {
	v, a := s.Part(sample.Video), s.Part(sample.Audio)
	if s.SyncOffset != nil {
		s.Metrics["sync_offset_s"], s.Metrics["sync_method"] = *s.SyncOffset, "manifest"
	}
	if v == nil {
		return out, without, nil
	}
	c, err := p.openContainer(ctx, v)
	if err != nil {
		return out, without, err
	}
	t := c.timing
	shared := a != nil && a.Path == v.Path
	p.measureContainer(s, t, shared)
	switch {
	case !t.HasVideo && !t.HasAudio:
		return out, without, fault.Corruptf("no_tracks", "%s holds neither pictures nor sound", v.Path)
	case !t.HasVideo && (!shared || p.Config.Video.OneTrack == "fail"):
		return out, without, fault.Corruptf("no_video", "%s: the file has no video track", v.Path)
	case shared && !t.HasAudio && p.Config.Video.OneTrack == "fail":
		return out, without, fault.Corruptf("no_audio", "%s: the file has no audio track", v.Path)
	}
	if !t.HasVideo {
		without[sample.Video] = true
	}
	if shared && !t.HasAudio {
		without[sample.Audio] = true
	}
	want := media.VideoRequest{Segment: c.segment}
	var listed media.Segment
	if t.HasVideo && p.Config.Video.Frames {
		want.Clips = p.Config.Video.Clips
	}
	if shared && t.HasAudio {
		if listed, err = segmentOf(a, t.Seconds()); err != nil {
			return out, without, err
		}
		seg := p.limitSound(listed)
		want.Sound = &seg
		want.Motion = p.Config.Video.ContentSync && t.HasVideo
	}
	// A recorder without a microphone, a codec that is not known, an end too early, pictures of which none is whole: what
	// is left is worth as much as of a file that never had the other.
	spare := want.Sound != nil && want.Clips > 0 && p.Config.Video.OneTrack != "fail"
	got, lost, err := p.decodeSparing(ctx, c, want, spare)
	if err != nil {
		return out, without, err
	}
	if lost.pictures != nil {
		without[sample.Video], spare = true, false
		p.losePictures(s, lost.pictures)
	} else if want.Clips > 0 {
		out[sample.Video] = &video{got.Clips, v.Path}
		s.Metrics["video_width"] = int64(got.Clips[0].Frames[0].Width)
		s.Metrics["video_height"] = int64(got.Clips[0].Frames[0].Height)
	}
	if got.Note != "" {
		s.Metrics["video_note"] = got.Note
	}
	var snd *sound
	if got.Sound != nil {
		drift, ok := soundDrift(t, *want.Sound, got.Sound)
		switch snd, err = p.newSound(got.Sound, s, a, listed); {
		case err == nil:
			if ok && lost.pictures == nil {
				s.Metrics["sync_drift_s"] = drift
			}
		case spare && soundMayBeWhy(err):
			lost.sound = err
		case lost.pictures != nil:
			return out, without, lost.pictures // and its sound neither
		default:
			return out, without, err
		}
	}
	if lost.sound != nil {
		without[sample.Audio] = true
		p.loseSound(s, lost.sound)
	}
	if snd == nil {
		return out, without, nil
	}
	out[sample.Audio] = snd
	if got.Motion != nil {
		begin, _ := t.Begin()
		start := begin + want.Sound.Start
		if t.AudioStart != nil {
			start = math.Max(start, *t.AudioStart)
		}
		for k, v := range filters.MeasureSync(snd.wave[0], start-got.Motion.Start, got.Motion.Energy, got.Motion.Rate) {
			s.Metrics[k] = v
		}
	}
	return out, without, nil
}

// losses are what was wrong with one track of a file, of which the other is kept.
type losses struct{ sound, pictures error }

// decodeSparing decodes a file, and where that fails and spare says so what can be had of it: its pictures alone, else
// its sound alone. Of a file of which nothing can be had the error is that of its pictures.
func (p *Processor) decodeSparing(ctx context.Context, c opened, want media.VideoRequest, spare bool) (got *media.Video, lost losses, err error) {
	got, err = p.Tools.DecodeVideo(ctx, c.path, c.timing, want)
	switch {
	case err == nil && spare:
		lost.sound = got.SoundErr
		return got, lost, nil
	case err == nil:
		return got, lost, got.SoundErr
	case !spare:
		return nil, lost, err
	}
	if soundMayBeWhy(err) {
		alone := want
		alone.Sound, alone.Motion = nil, false
		lost.sound = err
		if got, err = p.Tools.DecodeVideo(ctx, c.path, c.timing, alone); err == nil {
			return got, lost, nil
		}
		lost.sound = nil
	}
	if oneMayBeWhy(err) {
		alone := want
		alone.Clips, alone.Motion = 0, false
		if got, other := p.Tools.DecodeVideo(ctx, c.path, c.timing, alone); other == nil && got.Sound != nil {
			lost.pictures = err
			return got, lost, nil
		}
	}
	return nil, lost, err
}

// oneMayBeWhy reports whether it may be one track alone that failed.
func oneMayBeWhy(err error) bool {
	if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported {
		return false
	}
	switch fault.ReasonOf(err) {
	case "unreadable", "needs_ffmpeg":
		return false // of both
	case "decode_timeout", "decoder_killed":
		return false // one that hangs is not given its time twice
	}
	return true
}

// soundMayBeWhy reports whether a video that failed may still have pictures, for it may be the sound that failed.
func soundMayBeWhy(err error) bool {
	switch fault.ReasonOf(err) {
	case "no_frames", "too_large":
		return false // of the pictures
	}
	return oneMayBeWhy(err)
}

// loseSound makes a sample that of a muted video, and says why.
func (p *Processor) loseSound(s *sample.Sample, why error) {
	s.Metrics["audio_lost"] = fault.ReasonOf(why)
	p.keepOne(s, "video", "without its sound: ", why)
}

// losePictures makes a sample that of a file of sound, and says why.
func (p *Processor) losePictures(s *sample.Sample, why error) {
	s.Metrics["video_lost"] = fault.ReasonOf(why)
	p.keepOne(s, "audio", "without its pictures: ", why)
}

func (p *Processor) keepOne(s *sample.Sample, track, words string, why error) {
	s.Metrics["video_tracks"] = track
	for _, name := range []string{"sync_offset_s", "sync_method", "sync_length_diff_s"} {
		delete(s.Metrics, name)
	}
	s.Notes = append(s.Notes, words+p.withoutRoot(why).Error())
}

// measureContainer stores what the container says of its tracks. Sound and picture in files of their own
// have no common clock: nothing is stored of their offset.
func (p *Processor) measureContainer(s *sample.Sample, t container.Timing, shared bool) {
	switch {
	case t.HasVideo && t.HasAudio:
		s.Metrics["video_tracks"] = "audio+video"
	case t.HasVideo:
		s.Metrics["video_tracks"] = "video"
	case t.HasAudio:
		s.Metrics["video_tracks"] = "audio"
	}
	if t.VideoSeconds > 0 {
		s.Metrics["video_duration_s"] = t.VideoSeconds
	}
	if t.VideoFPS > 0 {
		s.Metrics["video_fps"] = t.VideoFPS
	}
	if !shared {
		return
	}
	if t.HasAudio && t.HasVideo && t.AudioSeconds > 0 && t.VideoSeconds > 0 {
		s.Metrics["sync_length_diff_s"] = t.AudioSeconds - t.VideoSeconds
	}
	if s.SyncOffset != nil {
		return
	}
	if offset, ok := t.SyncOffset(); ok {
		s.Metrics["sync_offset_s"], s.Metrics["sync_method"] = offset, t.Method
	} else if t.HasAudio && t.HasVideo {
		s.Metrics["sync_method"] = t.Method // which does not say: unknown
	}
}

// soundDrift is how much longer the decoded sound is than its place on the container's clock: what was lost
// or added between the first sample and the last, by gaps or by clocks that ran apart.
func soundDrift(t container.Timing, seg media.Segment, snd *media.Sound) (float64, bool) {
	begin, ok := t.Begin()
	if !ok || t.AudioStart == nil || t.AudioSeconds <= 0 {
		return 0, false
	}
	from, to := math.Max(begin+seg.Start, *t.AudioStart), *t.AudioStart+t.AudioSeconds
	if seg.End > 0 {
		to = math.Min(to, begin+seg.End)
	}
	return snd.Seconds() - (to - from), to > from
}

func (d *video) measure(*Processor, *sample.Sample) {}

// tensor makes [3,2,224,224] of one clip, or [clips*crops,3,2,224,224]: clip by clip, and of each clip crop
// by crop, as ImageBind stacks them.
func (d *video) tensor(p *Processor) (sample.Tensor, error) {
	const plane = pictureSize * pictureSize
	crops := []vision.Crop{vision.CropCentre}
	if p.Config.Video.Crops == 3 {
		crops = []vision.Crop{vision.CropFirst, vision.CropCentre, vision.CropLast}
	}
	view := 3 * videoFrames * plane
	out := make([]byte, 0, len(d.clips)*len(crops)*view)
	for _, clip := range d.clips {
		for _, crop := range crops {
			at := len(out)
			out = out[:at+view]
			for f, pix := range clip.Frames {
				chw, err := vision.VideoFrame(vision.RGB(pix), pictureSize, crop)
				if err != nil {
					return sample.Tensor{}, fault.Corruptf("bad_picture", "%s: %w", d.path, err)
				}
				for c := range 3 {
					copy(out[at+(c*videoFrames+f)*plane:][:plane], chw[c*plane:][:plane])
				}
			}
		}
	}
	return p.newTensor(sample.Video, out), nil
}

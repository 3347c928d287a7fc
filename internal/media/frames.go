package media

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"prep/internal/fault"
	"prep/internal/vision"
)

const (
	clipSeconds       = 2.0
	maxClips          = 16
	maxFramesPerClip  = 64
	maxFrameSide      = 16384
	maxFramePixels    = 64 << 20 // 8192 x 8192
	maxClipFrameBytes = 1 << 30  // held at once while a clip's frames are chosen
	slideReach        = 60.0     // how far before a clip a picture that is still shown may have begun, seconds
)

// clipStarts spreads clips of two seconds evenly over a medium, the first at its beginning and the last at
// its end, as pytorchvideo's constant clip sampler does for ImageBind; a single clip is the middle one.
// In a medium shorter than a clip all start at 0.
func clipStarts(length float64, clips int) []float64 {
	starts := make([]float64, clips)
	room := math.Max(0, length-clipSeconds)
	for i := range starts {
		if clips == 1 {
			starts[i] = room / 2
		} else {
			starts[i] = float64(i) * room / float64(clips-1)
		}
	}
	return starts
}

// chooseFrame is element i of linspace(0, total-1, n) truncated: the first and the last frame and what lies
// evenly between.
func chooseFrame(i, n, total int) int {
	if n == 1 {
		return 0
	}
	return i * (total - 1) / (n - 1)
}

// DecodeFrames decodes clips of two seconds, spread evenly over the segment of the first video track (one
// clip: the middle of it), and returns framesPerClip frames of each in order: the first, the last and what
// lies evenly between of the frames that are shown in the clip. The frames are RGB in their stored size,
// turned as the container says; pixels that are not square are left so. A clip with fewer frames repeats
// them. One ffmpeg process does all of it.
//
// Errors: those of opening a file (see [Tools.DecodeSound]), no_video, corrupt_media, no_frames,
// segment_outside, bad_segment, too_large, decode_timeout, needs_ffmpeg.
func (t *Tools) DecodeFrames(ctx context.Context, path string, seg Segment, clips, framesPerClip int) ([]*vision.Picture, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if clips < 1 || clips > maxClips || framesPerClip < 1 || framesPerClip > maxFramesPerClip {
		return nil, fault.Usagef("%d clips of %d frames: want 1 to %d clips of 1 to %d frames", clips, framesPerClip, maxClips, maxFramesPerClip)
	}
	if err := seg.check(path); err != nil {
		return nil, err
	}
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	in := &soundFile{path: path, r: f, size: size, ctx: ctx}
	pictures, err := t.decodeFrames(ctx, in, seg, clips, framesPerClip)
	f.Close()
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return pictures, err
}

func (t *Tools) decodeFrames(ctx context.Context, in *soundFile, seg Segment, clips, framesPerClip int) ([]*vision.Picture, error) {
	if t.FFmpeg == "" {
		return nil, needsFFmpeg(in.path, "ffmpeg", "video")
	}
	timing, err := t.probeTiming(ctx, in)
	if err != nil {
		return nil, err
	}
	if !timing.HasVideo {
		return nil, fault.Corruptf("no_video", "%s: the file has no video track", in.path)
	}
	// ffmpeg counts from the start of the earliest track.
	begin := 0.0
	if timing.VideoStart != nil {
		begin = *timing.VideoStart
		if timing.AudioStart != nil {
			begin -= math.Min(*timing.AudioStart, *timing.VideoStart)
		} else {
			begin = 0
		}
	}
	end := begin + timing.VideoSeconds
	if timing.VideoSeconds <= 0 {
		if end = seg.End; end <= 0 {
			return nil, fault.Corruptf("corrupt_media", "%s: the container does not say how long its video is", in.path)
		}
	}
	if seg.Start >= end {
		return nil, fault.Corruptf("segment_outside", "%s: the segment starts at %.3f s but the video ends at %.3f s", in.path, seg.Start, end)
	}
	from := math.Max(seg.Start, begin)
	if seg.End > 0 {
		end = math.Min(end, seg.End)
	}
	starts := clipStarts(end-from, clips)
	segs := make([]Segment, clips)
	for i, s := range starts {
		segs[i] = Segment{from + s, math.Min(from+s+clipSeconds, math.Max(end, from+s+0.001))}
	}
	chosen, err := t.clipFrames(ctx, in.path, segs, framesPerClip, false)
	if err != nil {
		return nil, err
	}
	var out []*vision.Picture
	for i, frames := range chosen {
		if len(frames) == 0 {
			// A slide show: no frame begins in the clip. The one that is on screen began before.
			back := Segment{math.Max(0, segs[i].Start-slideReach), segs[i].End}
			earlier, err := t.clipFrames(ctx, in.path, []Segment{back}, 1, true)
			if err != nil {
				return nil, err
			}
			if len(earlier[0]) == 0 {
				return nil, fault.Corruptf("no_frames", "%s: no picture can be decoded between %.3f s and %.3f s", in.path, segs[i].Start, segs[i].End)
			}
			frames = earlier[0]
		}
		for k := range framesPerClip {
			out = append(out, frames[min(k, len(frames)-1)])
		}
	}
	return out, nil
}

// clipFrames decodes some stretches of a file in one process, each to a pipe of its own, and keeps n frames
// of each: evenly spread, or only the last one. The pictures come as PPM, which says the size of each.
func (t *Tools) clipFrames(ctx context.Context, path string, segs []Segment, n int, last bool) ([][]*vision.Picture, error) {
	args := []string{"-nostdin", "-hide_banner", "-nostats", "-v", "level+error"}
	cuts := make([]cut, len(segs))
	for i, seg := range segs {
		input, err := inputArgs(path)
		if err != nil {
			return nil, err
		}
		args = append(args, "-threads", "1", "-flags:v", "+bitexact")
		cuts[i] = cutFor(seg)
		args = append(args, cuts[i].input...)
		args = append(args, "-an", "-sn", "-dn")
		args = append(args, input...)
	}
	for i := range segs {
		pipe := "pipe:1"
		if i > 0 {
			pipe = fmt.Sprintf("pipe:%d", i+2)
		}
		// Scaled to the same size: the conversion to RGB alone, with arithmetic that is the same on every
		// processor and chroma interpolated.
		filter := ""
		if cuts[i].filter != "" {
			filter = "trim=" + cuts[i].filter + ","
		}
		args = append(args, "-map", fmt.Sprintf("%d:v:0", i), "-vsync", "passthrough",
			"-vf", filter+"scale=iw:ih:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact,format=rgb24",
			"-threads", "1", "-c:v", "ppm", "-f", "image2pipe", pipe)
	}
	chosen := make([][]*vision.Picture, len(segs))
	p := process{t.FFmpeg, args, ffmpegTimeLimit, len(segs)}
	text, err := p.run(ctx, func(i int, r io.Reader) (err error) {
		chosen[i], err = readClip(path, bufio.NewReaderSize(r, 1<<16), n, last)
		return err
	})
	if err != nil {
		if err = sayWhy(path, "ffmpeg", text, err); errors.Is(err, errNoStream) {
			err = fault.Corruptf("no_video", "%s: the file has no video track", path)
		}
		return nil, err
	}
	return chosen, nil
}

// readClip reads all pictures of a clip and keeps n of them as chooseFrame says. The last is known only at
// the end: for one or two frames the first and the newest are held, for more all of them.
func readClip(path string, r *bufio.Reader, n int, last bool) ([]*vision.Picture, error) {
	var held []*vision.Picture
	total, bytes := 0, 0
	var spare []byte
	for {
		p, err := readPPM(path, r, spare)
		if err != nil {
			return nil, err
		}
		if p == nil {
			break
		}
		spare = nil
		total++
		keep := 2
		switch {
		case last:
			keep = 1
		case n == 1 && total > 1:
			spare = p.Pix
			continue
		case n > 2:
			keep = math.MaxInt
		}
		if len(held) == keep {
			spare = held[keep-1].Pix
			held[keep-1] = p
			continue
		}
		if bytes += len(p.Pix); bytes > maxClipFrameBytes && len(held) > 1 {
			return nil, fault.Unsupportedf("too_large", "%s: the frames of one clip need more than %d MB; ask for two frames", path, maxClipFrameBytes>>20)
		}
		held = append(held, p)
	}
	if n <= 2 || len(held) == 0 {
		return held, nil
	}
	out := make([]*vision.Picture, n)
	for i := range out {
		out[i] = held[chooseFrame(i, n, total)]
	}
	return out, nil
}

// readPPM reads one binary PPM picture as ffmpeg writes it; nil at the end of the stream. spare is reused
// if it fits.
func readPPM(path string, r *bufio.Reader, spare []byte) (*vision.Picture, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, nil
	}
	// "P6", the sizes and the largest value, a line each
	var line [3]string
	for i := range line {
		b, err := r.ReadSlice('\n')
		if err != nil {
			return nil, nil
		}
		line[i] = string(b)
	}
	var w, h int
	if _, err := fmt.Sscanf(line[1], "%d %d\n", &w, &h); err != nil || line[0] != "P6\n" || line[2] != "255\n" || w < 1 || h < 1 {
		return nil, fault.Corruptf("corrupt_media", "%s: ffmpeg's pictures are not understood", path)
	}
	if w > maxFrameSide || h > maxFrameSide || w*h > maxFramePixels {
		return nil, fault.Unsupportedf("too_large", "%s: frames of %d x %d are larger than %d pixels a side or %d in all", path, w, h, maxFrameSide, maxFramePixels)
	}
	p := &vision.Picture{Width: w, Height: h, Channels: 3, Pix: spare}
	if len(spare) != 3*w*h {
		p.Pix = make([]byte, 3*w*h)
	}
	if _, err := io.ReadFull(r, p.Pix); err != nil {
		return nil, nil // the process was ended in the middle of a picture; how it ended says why
	}
	return p, nil
}

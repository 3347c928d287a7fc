package media

import (
	"context"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/container"
	"prep/internal/media/magic"
)

// ProbeTiming reads the timing of a container's tracks. It has to be asked before demuxing: a WAV taken
// out of a video has lost it. What [container.Read] knows is read by Go code; every other container by ffprobe.
//
// Errors: those of opening a file (see [Tools.DecodeSound]), corrupt_media, not_video (a text: .ts is TypeScript's
// extension too), needs_ffmpeg.
func (t *Tools) ProbeTiming(ctx context.Context, path string) (timing container.Timing, err error) {
	in, err := infile.Open(ctx, path)
	if err != nil {
		return timing, err
	}
	defer in.Close()
	defer in.Settle(&err)
	return t.probeTiming(ctx, in)
}

func (t *Tools) probeTiming(ctx context.Context, in *infile.File) (container.Timing, error) {
	timing, known, err := container.Read(in)
	if known || err != nil {
		return timing, err
	}
	head, err := in.Head(0, 512)
	if err != nil {
		return timing, err
	}
	if len(head) > 0 && magic.Foreign(head) == "" && magic.Text(head) {
		return timing, fault.Corruptf("not_video", "%s: the file is text and no video, whatever its name says (it begins with %s)", in.Path, magic.Quote(head))
	}
	pr, err := t.ffprobe(ctx, in.Path, "the timing of this container")
	if err != nil {
		return container.Timing{}, err
	}
	return pr.timing(), nil
}

// containerTiming is what [container.Read] says of a file; nothing when it does not know it, or when it is
// damaged.
func (t *Tools) containerTiming(ctx context.Context, path string) container.Timing {
	in, err := infile.Open(ctx, path)
	if err != nil {
		return container.Timing{}
	}
	defer in.Close()
	timing, known, err := container.Read(in)
	if !known || err != nil {
		return container.Timing{}
	}
	return timing
}

// timing is what ffprobe's streams say.
func (pr *probe) timing() container.Timing {
	var tracks []container.Track
	for _, s := range pr.Streams {
		t := container.Track{Video: s.CodecType == "video", Codec: s.CodecName, Start: probeStart(s.StartTime), Seconds: probeSeconds(s.Duration)}
		if s.CodecType != "audio" && !t.Video || s.Disposition.AttachedPic != 0 {
			continue
		}
		if t.Video {
			t.FPS = probeRatio(s.AverageFrameRate)
		} else {
			t.Priming = container.PrimingOf(s.CodecName, int(probeSeconds(s.SampleRate)))
		}
		tracks = append(tracks, t)
	}
	timing := container.TimingOf(tracks, container.MethodFFprobe)
	whole := probeSeconds(pr.Format.Duration)
	if timing.HasAudio && timing.AudioSeconds == 0 {
		timing.AudioSeconds = whole
	}
	if timing.HasVideo && timing.VideoSeconds == 0 {
		timing.VideoSeconds = whole
	}
	return timing
}

package media

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"testing"

	"prep/internal/vision"
)

// decodeFrames returns the frames of all clips in order.
func decodeFrames(tools *Tools, path string, seg Segment, clips int) ([]*vision.Picture, error) {
	timing, err := tools.ProbeTiming(context.Background(), path)
	if err != nil {
		return nil, err
	}
	v, err := tools.DecodeVideo(context.Background(), path, timing, VideoRequest{Clips: clips, Segment: seg})
	if err != nil {
		return nil, err
	}
	var frames []*vision.Picture
	for _, c := range v.Clips {
		frames = append(frames, c.Frames[0], c.Frames[1])
	}
	return frames, nil
}

// numbered makes a video of which frame i is grey of level 4 i: 10 frames a second.
func numbered(t testing.TB, tools *Tools, name string, frames int, args ...string) string {
	src := fmt.Sprintf("color=black:s=64x48:r=10:d=%g,format=gray,geq=lum='4*N',format=yuvj420p", float64(frames)/10)
	return tools.make(t, name, append([]string{"-f", "lavfi", "-i", src, "-c:v", "mjpeg", "-q:v", "1"}, args...)...)
}

func TestDecodeFrames(t *testing.T) {
	tools := needFFmpeg(t)
	six := numbered(t, tools, "six.mkv", 60)
	sixMP4 := numbered(t, tools, "six.mov", 60)
	short := numbered(t, tools, "short.mkv", 7)
	one := numbered(t, tools, "one.mkv", 1)
	slides := tools.make(t, "slides.mkv", "-f", "lavfi", "-i", "color=black:s=64x48:r=0.1:d=20,format=gray,geq=lum='100*(N+1)',format=yuvj420p", "-c:v", "mjpeg", "-q:v", "1")
	for _, c := range []struct {
		name             string
		path             string
		seg              Segment
		clips            int
		want             []int // frame numbers
		width, tolerance int
	}{
		{"the middle", six, Segment{}, 1, []int{20, 39}, 64, 2},
		{"the middle of QuickTime", sixMP4, Segment{}, 1, []int{20, 39}, 64, 2},
		{"five clips", six, Segment{}, 5, []int{0, 19, 10, 29, 20, 39, 30, 49, 40, 59}, 64, 2},
		{"a segment", six, Segment{1, 4}, 1, []int{15, 34}, 64, 2},
		{"a segment beyond the end", six, Segment{3, 9}, 2, []int{30, 49, 40, 59}, 64, 2},
		{"shorter than a clip", short, Segment{}, 2, []int{0, 6, 0, 6}, 64, 2},
		{"a single frame", one, Segment{}, 1, []int{0, 0}, 64, 2},
		{"slides", slides, Segment{4, 8}, 1, []int{25, 25}, 64, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decodeFrames(tools, c.path, c.seg, c.clips)
			if err != nil {
				t.Fatal(err)
			}
			var numbers []string
			for i, p := range got {
				if p.Width != c.width || p.Height != 48 || p.Channels != 3 || len(p.Pix) != 3*64*48 {
					t.Fatalf("frame %d is %dx%dx%d", i, p.Width, p.Height, p.Channels)
				}
				numbers = append(numbers, fmt.Sprintf("%.1f", float64(p.Pix[3*(24*64+32)])/4))
			}
			if len(got) != len(c.want) {
				t.Fatalf("frames %v, want %v", numbers, c.want)
			}
			for i, p := range got {
				if level := int(p.Pix[3*(24*64+32)]); max(level-4*c.want[i], 4*c.want[i]-level) > c.tolerance {
					t.Fatalf("frames %v, want %v", numbers, c.want)
				}
			}
		})
	}
}

// TestDecodeFramesColourAndRotation: a quarter turn in the container is applied, and red is red. ffprobe says
// rotation=90 of the turned file: counter-clockwise, so that the upper edge becomes the left one.
func TestDecodeFramesColourAndRotation(t *testing.T) {
	tools := needFFmpeg(t)
	flat := tools.make(t, "flat.mp4", "-f", "lavfi", "-i", "color=red:s=96x64:r=10:d=1", "-vf", "drawbox=x=0:y=0:w=96:h=16:color=blue:t=fill",
		"-c:v", "libx264", "-preset", "ultrafast", "-qp", "4")
	turned := tools.make(t, "turned.mp4", "-i", flat, "-c", "copy", "-metadata:s:v:0", "rotate=90")
	for path, want := range map[string]struct{ w, h, blue, red int }{
		flat:   {96, 64, 3 * (8*96 + 48), 3 * (40*96 + 48)},
		turned: {64, 96, 3 * (48*64 + 4), 3 * (48*64 + 40)},
	} {
		got, err := decodeFrames(tools, path, Segment{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		p := got[1]
		if p.Width != want.w || p.Height != want.h {
			t.Fatalf("%s: %dx%d", path, p.Width, p.Height)
		}
		if b := p.Pix[want.blue : want.blue+3]; b[0] > 12 || b[1] > 12 || b[2] < 243 {
			t.Errorf("%s: blue is %v", path, b)
		}
		if r := p.Pix[want.red : want.red+3]; r[0] < 243 || r[1] > 12 || r[2] > 12 {
			t.Errorf("%s: red is %v", path, r)
		}
	}
}

// TestDecodeFramesRepeats: the same bytes every time.
func TestDecodeFramesRepeats(t *testing.T) {
	tools := needFFmpeg(t)
	path := tools.make(t, "x.mp4", "-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=3", "-c:v", "libx264", "-preset", "ultrafast")
	first, err := decodeFrames(tools, path, Segment{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decodeFrames(tools, path, Segment{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range first {
		if !bytes.Equal(first[i].Pix, again[i].Pix) {
			t.Errorf("frame %d differs", i)
		}
	}
}

func FuzzPPM(f *testing.F) {
	f.Add([]byte("P6\n1 1\n255\nabcP6\n1 1\n255\nabc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := &taken{}
		err := got.read("fuzz", bufio.NewReader(bytes.NewReader(b)))
		if err == nil && got.count != 0 != (got.frames[0] != nil) {
			t.Fatalf("%d frames, first %v", got.count, got.frames[0])
		}
	})
}

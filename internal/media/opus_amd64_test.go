package media

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/cpu"
)

// TestOpusIsTheSameEverywhere: where modes change without cover, the library's result depends on the processor,
// unless its variable is set; and it is the library's variable that is set.
func TestOpusIsTheSameEverywhere(t *testing.T) {
	if gopusCorrelatesWithAVX2 {
		t.Fatal("the library looks at what the processor has")
	}
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		t.Skip("needs a processor with AVX2 and FMA")
	}
	tools := needFFmpeg(t)
	if out, _ := exec.Command(tools.FFmpeg, "-hide_banner", "-encoders").Output(); !bytes.Contains(out, []byte("libopus")) {
		t.Skip("needs an ffmpeg with libopus")
	}
	packets := func(args ...string) (packets [][]byte) {
		path := tools.make(t, "x.opus", append([]string{"-f", "lavfi", "-i", attacks + ":s=48000:d=2", "-ac", "1", "-c:a", "libopus"}, args...)...)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		o := newOggStream(inMemory(b))
		for {
			p, err := o.next()
			if err != nil {
				return packets
			}
			packets = append(packets, bytes.Clone(p.data))
		}
	}
	celt, silk := packets("-b:a", "96k"), packets("-b:a", "8k", "-application", "voip")
	granules := []int64{0, 0}
	for i := range celt[2:] {
		if i/5%2 == 1 {
			celt[2+i] = silk[2+i]
		}
		granules = append(granules, int64(960*(i+1)))
	}
	path := write(t, "x.opus", oggOf(5, celt, granules))
	same := decode(t, path, Segment{}).Data
	defer func() { gopusCorrelatesWithAVX2 = false }()
	gopusCorrelatesWithAVX2 = true
	if other := decode(t, path, Segment{}).Data; slices.Equal(same, other) {
		t.Error("the variable changes nothing: is it still the library's?")
	}
}

//go:build unix

package stages

import (
	"syscall"
	"testing"
)

// BenchmarkVideo reads, measures and transforms a clip of ten seconds of 640 x 360 with sound. outside-% is the
// share of processor time that prep itself takes, apart from ffmpeg.
func BenchmarkVideo(b *testing.B) {
	for name, args := range map[string][]string{
		"mp4":  {"-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac"},
		"webm": {"-c:v", "libvpx", "-deadline", "realtime", "-b:v", "1M", "-c:a", "libopus"},
	} {
		for _, content := range []bool{false, true} {
			label := name
			if content {
				label += "+content_sync"
			}
			b.Run(label, func(b *testing.B) {
				v := newVideos(b)
				v.cfg.Video.ContentSync = content
				s := v.make(b, "x."+name, join([]string{"-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=10", "-f", "lavfi", "-i", "sine=d=10:r=48000"}, args)...)
				self, children := cpu(syscall.RUSAGE_SELF), cpu(syscall.RUSAGE_CHILDREN)
				for b.Loop() {
					if err := v.process(b, s); err != nil {
						b.Fatal(err)
					}
				}
				self, children = cpu(syscall.RUSAGE_SELF)-self, cpu(syscall.RUSAGE_CHILDREN)-children
				b.ReportMetric(self*1000/float64(b.N), "prep-ms")
				b.ReportMetric(children*1000/float64(b.N), "ffmpeg-ms")
				b.ReportMetric(100*self/(self+children), "outside-%")
			})
		}
	}
}

// cpu is the processor time used so far, in seconds.
func cpu(who int) float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(who, &r); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(r.Utime) + seconds(r.Stime)
}

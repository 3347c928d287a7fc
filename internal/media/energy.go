package media

import (
	"bufio"
	"fmt"
	"io"
	"math"
)

const (
	motionRate = 25 // pictures a second that motion is measured at
	motionSide = 48 // pixels of the grey thumbnail that it is measured on
)

// MotionEnergy is how much a video moves over time: Energy[i] is the mean absolute difference of grey levels,
// 0 to 255, between the pictures shown at Start + i/Rate and a 1/Rate before, on thumbnails of 48 x 48.
// Start is on the container's clock. A picture that is shown twice moves as much as those around it.
type MotionEnergy struct {
	Start, Rate float64
	Energy      []float32
}

func (s stretch) addMotion(d *decoding, lead float64, into *taken) error {
	into.output = len(d.consume)
	m := &MotionEnergy{Start: s.from, Rate: motionRate}
	into.motion = m
	c := cutAt(s.from, s.to, lead, s.begin)
	if !d.clock {
		c = cutFor(Segment{math.Max(0, s.from-s.begin), s.to - s.begin})
	}
	filters := []string{
		fmt.Sprintf("fps=%d:start_time=%s", motionRate, seconds(s.from)),
		fmt.Sprintf("scale=%d:%d:flags=area+accurate_rnd+bitexact", motionSide, motionSide), "format=gray",
	}
	limit := int((s.to-s.from)*motionRate) + motionRate
	return d.add('v', c, filters, []string{"-vsync", "passthrough", "-c:v", "rawvideo", "-f", "rawvideo"}, func(r io.Reader) error {
		return m.read(bufio.NewReaderSize(r, 1<<16), limit)
	})
}

// read measures the thumbnails that come, limit at most.
func (m *MotionEnergy) read(r io.Reader, limit int) error {
	var pictures [2][motionSide * motionSide]byte
	for n := 0; n < limit; n++ {
		now, before := &pictures[n%2], &pictures[(n+1)%2]
		if _, err := io.ReadFull(r, now[:]); err != nil {
			break // the end, or the process was ended: how it ended says why
		}
		if n == 0 {
			m.Energy = append(m.Energy, 0)
			continue
		}
		sum := 0
		for i, v := range now {
			sum += max(int(v)-int(before[i]), int(before[i])-int(v))
		}
		m.Energy = append(m.Energy, float32(sum)/(motionSide*motionSide))
	}
	// Pictures shown twice, where the video has fewer than the rate.
	for i := 1; i+1 < len(m.Energy); i++ {
		if m.Energy[i] == 0 && m.Energy[i-1] > 0 && m.Energy[i+1] > 0 {
			m.Energy[i] = (m.Energy[i-1] + m.Energy[i+1]) / 2
		}
	}
	return nil
}

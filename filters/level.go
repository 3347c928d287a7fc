package filters

import (
	"math"

	"prep/internal/sample"
)

const (
	clippedAt   = 0.999
	silentFrame = 320  // samples: 20 ms
	silentPower = 1e-6 // -60 dBFS, full scale 1
)

// measureLevel stores peak, offset and the shares of clipped samples and of silent frames. Sound that is not
// finite has none of them.
func measureLevel(x []float32, m sample.Metrics) {
	if len(x) == 0 {
		return
	}
	var most float32
	var sum float64
	clipped, silent, frames := 0, 0, 0
	for at := 0; at < len(x); at += silentFrame {
		frame := x[at:min(at+silentFrame, len(x))]
		var total, power float64
		for _, v := range frame {
			a := float32(math.Abs(float64(v)))
			if a > most {
				most = a
			}
			if a >= clippedAt {
				clipped++
			}
			total += float64(v)
			power += float64(v) * float64(v)
		}
		sum += total
		frames++
		if power < silentPower*float64(len(frame)) {
			silent++
		}
	}
	if sum-sum != 0 {
		return
	}
	m["audio_peak_db"] = 20 * math.Log10(max(float64(most), 1e-7))
	m["audio_dc"] = sum / float64(len(x))
	m["audio_clipped_ratio"] = float64(clipped) / float64(len(x))
	m["audio_silence_ratio"] = float64(silent) / float64(frames)
}

package trainer

import (
	"math"

	"prep/configs"
)

// learningRate is the rate at a point of training, counted in epochs (fractions within one). It warms up
// linearly from a share of the peak,
//
//	peak (start + (1 - start) e / warmup)    for e < warmup,
//
// and then anneals by cosines that restart, each longer than the one before by the factor,
//
//	min + (peak - min) (1 + cos(pi t / T)) / 2
//
// with t epochs since the last restart and T the epochs to the next. At whole epochs it equals PyTorch's
// SequentialLR of LinearLR and CosineAnnealingWarmRestarts.
func learningRate(c *configs.Train, epoch float64) float64 {
	s := c.Schedule
	if s.By == "epoch" {
		epoch = math.Floor(epoch)
	}
	warmup := float64(s.WarmupEpochs)
	if epoch < warmup {
		return c.LearningRate * (s.WarmupStart + (1-s.WarmupStart)*epoch/warmup)
	}
	t, period := epoch-warmup, float64(s.RestartEpochs)
	if s.RestartFactor == 1 {
		t = math.Mod(t, period)
	}
	for t >= period {
		t -= period
		period *= float64(s.RestartFactor)
	}
	return s.MinRate + (c.LearningRate-s.MinRate)*(1+math.Cos(math.Pi*t/period))/2
}

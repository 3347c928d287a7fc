package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"prep/trainer"
)

// trainView shows a training run: a bar on a terminal, a line every few seconds otherwise.
type trainView struct {
	s         *session
	every     time.Duration
	last      time.Time
	bar       *progressbar.ProgressBar
	lastEvent trainer.Event
}

func (v *trainView) event(e trainer.Event) {
	v.lastEvent = e
	if v.bar == nil {
		if f, ok := v.s.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			v.bar = progressbar.NewOptions(e.Steps, progressbar.OptionSetWriter(v.s.stderr), progressbar.OptionShowCount(),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
		}
	}
	if v.bar != nil {
		v.bar.Describe(describe(e))
		_ = v.bar.Set(e.Step)
		return
	}
	if time.Since(v.last) >= v.every {
		v.last = time.Now()
		v.s.logf("train: step %d of %d, %s", e.Step, e.Steps, describe(e))
	}
}

func describe(e trainer.Event) string {
	parts := make([]string, 0, len(e.Losses))
	for _, k := range sortedKeys(e.Losses) {
		parts = append(parts, fmt.Sprintf("%s %.3f", k, e.Losses[k]))
	}
	return fmt.Sprintf("epoch %d of %d, loss %s, rate %.2g, %.1f samples/s", e.Epoch, e.Epochs, strings.Join(parts, ", "), e.LearningRate, e.SamplesPerSecond)
}

func (v *trainView) finish() {
	if v.bar != nil {
		_ = v.bar.Finish()
	}
	if v.lastEvent.Step > 0 {
		v.s.logf("train: step %d of %d, %s", v.lastEvent.Step, v.lastEvent.Steps, describe(v.lastEvent))
	}
}

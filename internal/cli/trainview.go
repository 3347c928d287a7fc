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
	run       string // its directory, for the report
	every     time.Duration
	last      time.Time
	bar       *progressbar.ProgressBar
	lastEvent trainer.Event
	told      int // the step of the last line
}

func (v *trainView) event(e trainer.Event) {
	v.lastEvent = e
	if ev := e.Evaluation; ev != nil {
		parts := make([]string, 0, len(ev.Pairs))
		for _, k := range sortedKeys(ev.Pairs) {
			p := ev.Pairs[k]
			parts = append(parts, fmt.Sprintf("%s R@1 %.3f and back %.3f of %d", k, p.Forward.R1, p.Back.R1, p.Items))
		}
		v.say("epoch %d: %s", ev.Epoch, strings.Join(parts, "; "))
		if err := writeTrainingReport(v.run); err != nil {
			v.say("the report was not written: %v", err)
		}
	}
	for _, a := range e.Advice {
		done := "suggested"
		if a.Applied {
			done = "applied"
		}
		v.say("advice after epoch %d (%s): %s. %s.%s", a.Epoch, a.Rule, a.Found, capital(a.Suggest), changesText(a.Changes, done))
	}
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
		v.last, v.told = time.Now(), e.Step
		v.s.logf("train: step %d of %d, %s", e.Step, e.Steps, describe(e))
	}
}

// say prints a line without breaking the bar.
func (v *trainView) say(format string, args ...any) {
	if v.bar != nil {
		_ = v.bar.Clear()
	}
	v.s.logf(format, args...)
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func changesText(changes []trainer.Change, done string) string {
	if len(changes) == 0 {
		return ""
	}
	var parts []string
	for _, c := range changes {
		parts = append(parts, fmt.Sprintf("%s %.4g to %.4g", c.Key, c.From, c.To))
	}
	return " " + capital(done) + ": " + strings.Join(parts, ", ")
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
	if v.lastEvent.Step > v.told {
		v.s.logf("train: step %d of %d, %s", v.lastEvent.Step, v.lastEvent.Steps, describe(v.lastEvent))
	}
}

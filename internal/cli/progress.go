package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"prep/shards"
	"prep/stages"
)

// progress shows how far a command is: a bar on a terminal, a plain line every few seconds otherwise.
type progress struct {
	s                             *session
	verb, unit                    string
	total, done, rejected, failed int64
	resumed                       int64
	start, last                   time.Time
	every                         time.Duration
	bar                           *progressbar.ProgressBar
}

func (s *session) newProgress(verb, unit string, total int64, seconds float64) *progress {
	p := &progress{s: s, verb: verb, unit: unit, total: total, every: time.Duration(seconds * float64(time.Second))}
	p.start = time.Now()
	p.last = p.start
	if f, ok := s.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetDescription(verb),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetRenderBlankState(true), progressbar.OptionClearOnFinish())
	}
	return p
}

// ingestEvent counts a sample, or a whole task that was committed before.
func (p *progress) ingestEvent(e stages.Event) {
	if e.Done && !e.AlreadyCommitted {
		return // its samples were counted one by one
	}
	if e.AlreadyCommitted {
		p.resumed += e.In
	}
	p.rejected += e.Rejected
	p.failed += e.Failed
	p.add(e.In)
}

func (p *progress) add(n int64) {
	p.done += n
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%s (rejected %d, failed %d)", p.verb, p.rejected, p.failed))
		_ = p.bar.Add64(n)
		return
	}
	if time.Since(p.last) >= p.every {
		p.last = time.Now()
		p.line()
	}
}

func (p *progress) line() {
	seconds := time.Since(p.start).Seconds()
	rate := float64(p.done-p.resumed) / max(seconds, 1e-3)
	eta := "unknown"
	if rate > 0 {
		eta = time.Duration(float64(p.total-p.done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	p.s.logf("%s: %d of %d %s, %.1f/s, ETA %s, rejected %d, failed %d", p.verb, p.done, p.total, p.unit, rate, eta, p.rejected, p.failed)
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
	seconds := time.Since(p.start).Seconds()
	note := ""
	if p.resumed > 0 {
		note = fmt.Sprintf(" (%d of them were done before)", p.resumed)
	}
	p.s.logf("%s: %d of %d %s in %.1f s%s", p.verb, p.done, p.total, p.unit, seconds, note)
}

// printIngest tells a person what became of the samples.
func (s *session) printIngest(w io.Writer, m *shards.Manifest, out string) {
	c := m.Counts
	fmt.Fprintf(w, "%d samples in = %d written + %d rejected + %d failed\n", c.In, c.Written, c.Rejected, c.Failed)
	printReasons(w, m.Reasons)
	printDropped(w, m, out)
	printFlags(w, m.Flags)
	fmt.Fprintf(w, "shards, ledger and manifest are in %s\n", out)
}

// printDropped shows the first sample that was not written, with its reason in words, and how to see any other's. A
// ledger that cannot be read is for validate to tell of.
func printDropped(w io.Writer, m *shards.Manifest, out string) {
	for _, t := range m.Tasks {
		if t.Counts.In == t.Counts.Written {
			continue
		}
		rows, err := shards.ReadLedger(filepath.Join(out, t.Ledger.Name))
		if err != nil {
			return
		}
		for _, r := range rows {
			if r.Outcome != shards.Written {
				fmt.Fprintf(w, "the first of them: %s: %s (%s tells of any)\n", r.Key, r.Detail, commandLine("prep", "inspect", out, "KEY"))
				return
			}
		}
	}
}

// flagTexts say what the flags of a manifest mean.
var flagTexts = map[string]string{
	"truncated_caption":   "captions are longer than 77 tokens and cut there (text_tokens)",
	"boilerplate_caption": "captions are file names, addresses, credits or placeholders (text_boilerplate)",
	"lost_sound":          "are videos whose sound could not be used; their pictures were kept (audio_lost, detail)",
	"lost_pictures":       "are videos whose pictures could not be used; their sound was kept (video_lost, detail)",
}

func printFlags(w io.Writer, flags map[string]int64) {
	for _, k := range sortedKeys(flags) {
		text := flagTexts[k]
		if text == "" {
			text = k
		}
		fmt.Fprintf(w, "of those written, %d %s\n", flags[k], text)
	}
}

func printReasons(w io.Writer, reasons map[string]int64) {
	keys := make([]string, 0, len(reasons))
	for k := range reasons {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if d := reasons[b] - reasons[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	})
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, k := range keys {
		outcome, reason, _ := strings.Cut(k, ":")
		fmt.Fprintf(tw, "  %s\t%s\t%d\n", outcome, reason, reasons[k])
	}
	tw.Flush()
}

package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"prep/bpe"
	"prep/configs"
	"prep/filters"
	"prep/internal/fault"
	"prep/internal/report"
	"prep/internal/sample"
	"prep/mel"
	"prep/shards"
	"prep/stages"
)

// examplesPerReason is how many samples the report shows of each reason.
const examplesPerReason = 4

// writeReport gathers what the report shows: figures from the ledgers, pictures from the shards, and for
// samples that are in no shard from their source, where it still can be read.
func (s *session) writeReport(c *cli.Context, dir, name string, m *shards.Manifest, sel *shards.Selection, cfg configs.Filters) error {
	in := report.Input{Title: "prep: " + filepath.Base(filepath.Clean(dir))}
	in.Counts = []report.Count{
		{Name: "in", N: m.Counts.In}, {Name: "written", N: m.Counts.Written}, {Name: "rejected", N: m.Counts.Rejected},
		{Name: "failed", N: m.Counts.Failed}, {Name: "kept by this selection", N: sel.Kept},
	}
	for _, k := range sortedKeys(m.Reasons) {
		in.Reasons = append(in.Reasons, report.Count{Name: "at ingest, " + k, N: m.Reasons[k]})
	}
	for _, k := range sortedKeys(sel.Removed) {
		in.Reasons = append(in.Reasons, report.Count{Name: "by this selection, " + k, N: sel.Removed[k]})
	}
	bounds := map[string]*float64{}
	for _, r := range []struct {
		name, metric string
		rule         configs.Rule
	}{{"snr", "audio_snr_db", cfg.SNR.Rule}, {"min_text", filters.TextMetric(cfg.MinText.Unit), cfg.MinText.Rule}, {"max_sync", "sync_offset_s", cfg.MaxSync},
		{"depth_valid", "depth_valid_ratio", cfg.DepthValid}, {"thermal_spread", "thermal_spread", cfg.ThermalSpread},
		{"imu_gravity", "imu_gravity", cfg.IMUGravity}, {"imu_gap", "imu_gap_s", cfg.IMUGap}} {
		text := "off"
		if !r.rule.Off {
			text = ""
			if r.rule.Min != nil {
				text, bounds[r.metric] = fmt.Sprintf("at least %g; ", *r.rule.Min), r.rule.Min
			}
			if r.rule.Max != nil {
				text, bounds[r.metric] = text+fmt.Sprintf("below %g; ", *r.rule.Max), r.rule.Max
			}
			text += "unknown: " + r.rule.Unknown
		}
		in.Thresholds = append(in.Thresholds, report.Count{Name: r.name, Text: text})
	}

	ds, err := shards.Open(dir, shards.OpenOptions{IgnoreSelection: true})
	if err != nil {
		return err
	}
	defer ds.Close()
	values := map[string]*thinned{}
	var captions captionTally
	shown := map[string]int{}
	var total int64
	row := 0
	for ti, t := range m.Tasks {
		rows, err := shards.ReadLedger(filepath.Join(dir, t.Ledger.Name))
		if err != nil {
			return err
		}
		for _, r := range rows {
			total++
			for _, f := range m.Schema.Metrics {
				if v, ok := r.Metrics.Number(f.Name); ok {
					if values[f.Name] == nil {
						values[f.Name] = &thinned{every: 1}
					}
					values[f.Name].add(v)
				}
			}
			reason := r.Outcome
			if r.Reason != "" {
				reason += ": " + r.Reason
			}
			at := -1
			if r.Outcome == shards.Written {
				at = row
				row++
				if err := captions.add(ds, at, r.Metrics); err != nil {
					return err
				}
				if !sel.Keeps(ti, r.Row) {
					reason = "removed by this selection"
				}
			}
			if shown[reason] >= examplesPerReason {
				continue
			}
			shown[reason]++
			in.Examples = append(in.Examples, s.example(c, dir, ds, ti, r, reason, at))
		}
	}
	for _, f := range m.Schema.Metrics {
		v := values[f.Name]
		if v == nil {
			continue
		}
		in.Histograms = append(in.Histograms, report.Histogram{
			Name: f.Name, Unit: f.Unit, Doc: f.Doc, Values: v.kept, N: v.seen, Missing: total - v.seen, Threshold: bounds[f.Name],
		})
	}
	in.Captions = captions.counts()
	var b bytes.Buffer
	if err := report.Write(&b, in); err != nil {
		return err
	}
	if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
		return fault.Environmentf("--report: %w", err)
	}
	return nil
}

// captionTally counts what is odd about the captions of written samples. Its memory is bounded: of more than
// maxDistinct different captions those that come first are known again.
type captionTally struct {
	captions, again, truncated int64
	boilerplate                map[string]int64
	seen                       map[uint64]int64  // by hash of the caption in small letters
	text                       map[uint64]string // of those that were seen again
	full                       bool
}

const (
	maxDistinct  = 1 << 22
	maxRepeated  = 1 << 16
	shownRepeats = 5
)

var captionSeed = maphash.MakeSeed()

func (c *captionTally) add(ds *shards.Dataset, row int, m sample.Metrics) error {
	stored, err := ds.Row(row)
	if err != nil || stored.Caption == "" {
		return err
	}
	if c.seen == nil {
		c.seen, c.text, c.boilerplate = map[uint64]int64{}, map[uint64]string{}, map[string]int64{}
	}
	c.captions++
	if n, _ := m.Number("text_tokens"); n > bpe.ContextLength {
		c.truncated++
	}
	if kind := m.Word("text_boilerplate"); kind != "" {
		c.boilerplate[kind]++
	}
	h := maphash.String(captionSeed, strings.Join(strings.Fields(strings.ToLower(stored.Caption)), " "))
	n := c.seen[h]
	switch {
	case n == 0 && len(c.seen) == maxDistinct:
		c.full = true
		return nil
	case n > 0:
		c.again++
		if len(c.text) < maxRepeated && c.text[h] == "" {
			c.text[h] = stored.Caption
		}
	}
	c.seen[h] = n + 1
	return nil
}

func (c *captionTally) counts() []report.Count {
	if c.captions == 0 {
		return nil
	}
	again := report.Count{Name: "repeat an earlier one", N: c.again, Text: "up to case and white space"}
	if c.full {
		again.Text += fmt.Sprintf("; of the first %d different ones", maxDistinct)
	}
	out := []report.Count{{Name: "captions of written samples", N: c.captions}, again}
	repeats := slices.SortedFunc(maps.Keys(c.text), func(a, b uint64) int {
		return cmp.Or(cmp.Compare(c.seen[b], c.seen[a]), cmp.Compare(c.text[a], c.text[b]))
	})
	for _, h := range repeats[:min(len(repeats), shownRepeats)] {
		text := []rune(c.text[h])
		if len(text) > 80 {
			text = append(text[:79], '…')
		}
		out = append(out, report.Count{Name: "of these", N: c.seen[h], Text: string(text)})
	}
	out = append(out, report.Count{Name: "cut to 77 tokens", N: c.truncated, Text: "text_tokens has their length"})
	for _, k := range sortedKeys(c.boilerplate) {
		out = append(out, report.Count{Name: "boilerplate", N: c.boilerplate[k], Text: k})
	}
	return out
}

// thinned keeps values for a histogram in bounded memory: all of them, or every second, fourth, ... one.
type thinned struct {
	kept        []float64
	every, seen int64
}

func (t *thinned) add(v float64) {
	if t.seen%t.every == 0 {
		t.kept = append(t.kept, v)
	}
	t.seen++
	const most = 1 << 17
	if len(t.kept) == most {
		for i := range most / 2 {
			t.kept[i] = t.kept[2*i]
		}
		t.kept = t.kept[:most/2]
		t.every *= 2
	}
}

// example shows one ledger row of a task; row is its row in ds, -1 where it is in no shard.
func (s *session) example(c *cli.Context, dir string, ds *shards.Dataset, task int, r shards.LedgerRow, reason string, row int) report.Example {
	e := report.Example{Key: r.Key, Reason: reason, Detail: r.Detail}
	for _, k := range sortedKeys(r.Metrics) {
		text := fmt.Sprint(r.Metrics[k])
		if v, ok := r.Metrics[k].(float64); ok {
			text = fmt.Sprintf("%.4g", v)
		}
		e.Figures = append(e.Figures, report.Count{Name: k, Text: text})
	}
	var pixels, sound sample.Tensor
	if row >= 0 {
		stored, err := ds.Row(row)
		if err != nil {
			return e
		}
		e.Caption, pixels, sound = stored.Caption, stored.Tensor("image"), stored.Tensor("audio")
	} else if p, err := stages.Preview(c.Context, dir, task, r.Key, findTools(c.Context)); err == nil {
		e.Caption, pixels, sound = p.Caption, p.Tensors[sample.Image], p.Tensors[sample.Audio]
	}
	if !pixels.Absent() {
		e.Picture, e.Side = pixels.Data, pixels.Shape[1]
	}
	if !sound.Absent() {
		e.Mel, e.Bins, e.Frames = floats(sound), mel.Bins, mel.Frames
	}
	return e
}

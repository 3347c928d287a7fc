package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"prep/internal/report"
	"prep/trainer"
)

// reportFile is the page in a run's directory.
const reportFile = "report.html"

// The lines of metrics.jsonl, by their kind.
type (
	stepLine struct {
		Epoch            int     `json:"epoch"`
		Step             int     `json:"step"`
		Pair             string  `json:"pair"`
		Loss             float64 `json:"loss"`
		LearningRate     float64 `json:"learning_rate"`
		GradNorm         float64 `json:"grad_norm"`
		Scale            float64 `json:"logit_scale"`
		SamplesPerSecond float64 `json:"samples_per_second"`
		Wait             float64 `json:"data_wait"`
	}
	epochLine struct {
		Step          int                `json:"step"`
		ParameterNorm map[string]float64 `json:"parameter_norm"`
		MemoryBytes   float64            `json:"memory_bytes"`
	}
	evalLine   = trainer.Evaluation
	adviceLine = trainer.Advice
)

// The targets that the page draws: what the field expects of a model of use.
var textR1Target, withinClassTarget = 0.65, 0.8

// writeTrainingReport draws RUN/report.html from what the run has written so far.
func writeTrainingReport(run string) error {
	f, err := os.Open(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		return err
	}
	defer f.Close()
	charts := map[string]*report.Chart{}
	var order []string
	point := func(chart, doc, series string, step int, y float64) {
		x := float64(step)
		c := charts[chart]
		if c == nil {
			c = &report.Chart{Name: chart, Doc: doc, XName: "step"}
			charts[chart] = c
			order = append(order, chart)
		}
		for i := range c.Series {
			if s := &c.Series[i]; s.Name == series {
				s.X, s.Y = append(s.X, x), append(s.Y, y)
				return
			}
		}
		c.Series = append(c.Series, report.Series{Name: series, X: []float64{x}, Y: []float64{y}})
	}
	in := report.Training{Title: "prep: training in " + filepath.Clean(run)}
	var last evalLine
	var newest stepLine
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		var line struct {
			Kind string `json:"kind"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			break // the end of a line that is being written
		}
		// Each kind has keys of its own, and the same key may hold another thing.
		read := func(into any) error {
			if err := json.Unmarshal(lines.Bytes(), into); err != nil {
				return fmt.Errorf("%s:%d: %w", f.Name(), n, err)
			}
			return nil
		}
		switch line.Kind {
		case "step":
			var m stepLine
			if err := read(&m); err != nil {
				return err
			}
			newest = m
			point("loss", "InfoNCE of each step", m.Pair, m.Step, m.Loss)
			point("learning rate", "", "rate", m.Step, m.LearningRate)
			point("gradient norm", "before clipping", m.Pair, m.Step, m.GradNorm)
			point("logit scale", "1/temperature", m.Pair, m.Step, m.Scale)
			point("samples a second", "since the start or the resumption", "rate", m.Step, m.SamplesPerSecond)
			point("data wait", "share of the time in which the step waited for its batch", "wait", m.Step, m.Wait)
		case "epoch":
			var m epochLine
			if err := read(&m); err != nil {
				return err
			}
			for _, t := range sortedKeys(m.ParameterNorm) {
				point("parameter norm", "of each tower", t, m.Step, m.ParameterNorm[t])
			}
			point("memory", "MiB held by the program, shards apart", "memory", m.Step, m.MemoryBytes/(1<<20))
		case "eval":
			var m evalLine
			if err := read(&m); err != nil {
				return err
			}
			last = m
			for _, name := range sortedKeys(m.Pairs) {
				p := m.Pairs[name]
				point("R@1", "on held-out items (training items where none are held out); dashed: the way back", name, m.Step, p.Forward.R1)
				point("R@1", "", name+report.Back, m.Step, p.Back.R1)
				point("diagonal contrast", "mean cosine of pairs less that of the rest", name, m.Step, p.Contrast)
				point("alignment", "mean squared distance of pairs; lower is better", name, m.Step, p.Alignment)
				point("uniformity", "of the other modality; lower is better", name, m.Step, p.UniformityOther)
			}
			for _, name := range sortedKeys(m.Classes) {
				point("within-class cosine", "of two items with the same label", name, m.Step, m.Classes[name].Within)
				point("between-class cosine", "of two items with different labels", name, m.Step, m.Classes[name].Between)
			}
		case "advice":
			var m adviceLine
			if err := read(&m); err != nil {
				return err
			}
			in.Advice = append(in.Advice, report.Note{When: fmt.Sprintf("after epoch %d", m.Epoch), Found: m.Found,
				Suggest: capital(m.Suggest) + "." + changesText(m.Changes, map[bool]string{true: "applied", false: "suggested"}[m.Applied])})
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if c := charts["R@1"]; c != nil {
		c.Target = &textR1Target
	}
	if c := charts["within-class cosine"]; c != nil {
		c.Target = &withinClassTarget
	}
	for _, name := range order {
		// In one order, so that a pair has one colour in all charts.
		slices.SortFunc(charts[name].Series, func(a, b report.Series) int { return strings.Compare(a.Name, b.Name) })
		in.Charts = append(in.Charts, *charts[name])
	}
	in.Facts = []report.Count{{Name: "steps", Text: fmt.Sprint(newest.Step)}, {Name: "epoch", Text: fmt.Sprint(newest.Epoch)}, {Name: "samples a second", Text: fmt.Sprintf("%.1f", newest.SamplesPerSecond)}}
	in.Tables = measureTables(last.Pairs, last.Train, last.Classes)
	entries, err := os.ReadDir(filepath.Join(run, "pictures"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".png")
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(run, "pictures", e.Name()))
		if err != nil {
			return err
		}
		doc := "cosines: rows are the hub's items, columns the other modality's; red is 1"
		if strings.HasPrefix(name, "retrieved") {
			doc = "above: the item's own picture; below: the one that its other modality finds"
		}
		in.Pictures = append(in.Pictures, report.Picture{Name: name, Doc: doc, PNG: b})
	}
	var b bytes.Buffer
	if err := report.WriteTraining(&b, in); err != nil {
		return err
	}
	aside := filepath.Join(run, ".tmp-"+reportFile)
	if err := os.WriteFile(aside, b.Bytes(), 0o666); err != nil {
		return err
	}
	return os.Rename(aside, filepath.Join(run, reportFile))
}

// measureTables lays an evaluation out.
func measureTables(pairs, train map[string]trainer.PairMeasures, classes map[string]trainer.ClassMeasures) []report.Table {
	retrieval := report.Table{Name: "Retrieval", Doc: "R@k: how often the right item is among the k nearest. Chance is R@1 by guessing. Text-image R@1 is commonly wanted at 0.65.",
		Head: []string{"from, to", "items", "R@1", "R@5", "R@10", "median rank", "chance", "R@1 on training items"}}
	space := report.Table{Name: "The joint space", Doc: "Contrast: mean cosine of pairs less that of the rest. Alignment and uniformity: Wang and Isola 2020, lower is better.",
		Head: []string{"pair", "diagonal contrast", "alignment", "uniformity of the hub", "of the other"}}
	f := func(x float64) string { return fmt.Sprintf("%.3f", x) }
	for _, name := range sortedKeys(pairs) {
		p := pairs[name]
		hub, other, _ := strings.Cut(name, "-")
		for _, d := range []struct {
			name  string
			r, tr trainer.Retrieval
		}{{hub + " to " + other, p.Forward, train[name].Forward}, {other + " to " + hub, p.Back, train[name].Back}} {
			heart := ""
			if train[name].Items > 0 {
				heart = f(d.tr.R1)
			}
			retrieval.Rows = append(retrieval.Rows, []string{d.name, fmt.Sprint(p.Items), f(d.r.R1), f(d.r.R5), f(d.r.R10), fmt.Sprint(d.r.MedianRank), fmt.Sprintf("%.4f", d.r.Chance), heart})
		}
		space.Rows = append(space.Rows, []string{name, f(p.Contrast), f(p.Alignment), f(p.UniformityHub), f(p.UniformityOther)})
	}
	out := []report.Table{retrieval, space}
	if len(classes) > 0 {
		t := report.Table{Name: "Classes", Doc: "By the items' first labels; zero-shot: the nearest label's sentence. Within-class cosine is commonly wanted at 0.8.",
			Head: []string{"modality", "items", "classes", "within-class cosine", "between-class cosine", "zero-shot top 1", "top 5"}}
		for _, name := range sortedKeys(classes) {
			c := classes[name]
			top1, top5 := "", ""
			if c.Prompted > 0 {
				top1, top5 = f(c.Top1), f(c.Top5)
			}
			t.Rows = append(t.Rows, []string{name, fmt.Sprint(c.Items), fmt.Sprint(c.Classes), f(c.Within), f(c.Between), top1, top5})
		}
		out = append(out, t)
	}
	return out
}

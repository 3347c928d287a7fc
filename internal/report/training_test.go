package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// The page has its charts as well-formed SVG, escapes what comes from the run, and bears odd figures.
func TestWriteTraining(t *testing.T) {
	long := Series{Name: "long"}
	for i := range 5000 {
		long.X, long.Y = append(long.X, float64(i)), append(long.Y, math.Sin(float64(i)/100))
	}
	long.Y[7] = math.NaN()
	target := 0.65
	in := Training{Title: "run <1>", Charts: []Chart{
		{Name: "loss", Series: []Series{long, {Name: "one point", X: []float64{3}, Y: []float64{2}}}},
		{Name: "R@1", Series: []Series{{Name: "flat", X: []float64{1, 2}, Y: []float64{0, 0}}}, Target: &target},
		{Name: "nothing"},
		{Name: "both ways", XName: "step <1>", Series: []Series{{Name: "a", X: []float64{1, 2}, Y: []float64{0, 1}}, {Name: "a" + Back, X: []float64{1, 2}, Y: []float64{1, 0}}, {Name: "b", X: []float64{1, 2}, Y: []float64{1, 1}}}},
	}, Tables: []Table{{Name: "t", Head: []string{"a"}, Rows: [][]string{{"<script>"}}}}, Advice: []Note{{"epoch 3", "found", "do"}}, Pictures: []Picture{{Name: "p", PNG: []byte("png")}}}
	var b bytes.Buffer
	if err := WriteTraining(&b, in); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"run &lt;1&gt;", "&lt;script&gt;", "target 0.65", "data:image/png;base64,cG5n", "epoch 3", "step &lt;1&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "NaN") {
		t.Error("NaN in the page")
	}
	svgs := strings.Split(page, "<svg")[1:]
	if len(svgs) != 3 {
		t.Fatalf("%d charts", len(svgs))
	}
	// A way back is its way's, dashed, and has no colour to be explained; the next series has the next colour.
	if s := svgs[2]; strings.Count(s, string(colours[0])) != 3 || strings.Count(s, "stroke-dasharray") != 1 || strings.Count(s, string(colours[1])) != 2 || strings.Contains(s, Back) {
		t.Errorf("both ways: %s", s)
	}
	for _, s := range svgs {
		d := xml.NewDecoder(strings.NewReader("<svg" + s[:strings.Index(s, "</svg>")] + "</svg>"))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(s, ","); n > 2*mostPoints+10 {
			t.Errorf("a line of %d points", n)
		}
	}
}

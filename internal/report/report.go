// Package report draws what became of a data set as one self-contained HTML page: counts, reasons, a
// histogram of each metric with its threshold, and a few samples for each reason. It knows nothing of
// shards or media: its input is plain data.
package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/disintegration/imaging"
)

// Input is what the page shows.
type Input struct {
	Title      string
	Counts     []Count // in reading order: in, written, ...
	Reasons    []Count
	Thresholds []Count // Name is the rule, Text its bound
	Captions   []Count // what is odd about the captions
	Histograms []Histogram
	Examples   []Example
}

// Count is a named number, or a named text.
type Count struct {
	Name string
	N    int64
	Text string
}

// Histogram is the distribution of one metric over all samples it was measured of.
type Histogram struct {
	Name, Unit, Doc string
	Values          []float64 // of a very large data set evenly thinned
	N               int64     // values before thinning
	Missing         int64     // samples without the value
	Threshold       *float64
}

// Example is one sample under a reason. Picture is [3][Side][Side] of 0..255, Mel [128][204], both may be nil.
type Example struct {
	Key, Reason, Detail, Caption string
	Figures                      []Count
	Picture                      []uint8
	Side                         int
	Mel                          []float32
	Bins, Frames                 int
}

// thumbnail is the side of a picture in the page, in pixels.
const thumbnail = 112

// Write draws the page. Everything from the data is escaped.
func Write(w io.Writer, in Input) error {
	return page.Execute(w, in)
}

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"svg": drawHistogram, "picture": pictureURI, "mel": melURI, "group": groupExamples,
}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root{color-scheme:light dark;--line:#8885;--bar:#4a7ebb;--mark:#c0392b}
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:left;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:1.2rem}
.card{border:1px solid var(--line);border-radius:6px;padding:.6rem;overflow-wrap:anywhere;font-size:.88rem}
.card img{vertical-align:top;margin-right:.4rem;border-radius:3px}.dim{opacity:.7}
svg{width:100%;height:auto}svg text{font-size:9px;fill:currentColor}
</style></head><body>
<h1>{{.Title}}</h1>
<table>{{range .Counts}}<tr><td>{{.Name}}</td><td class="n">{{.N}}</td></tr>{{end}}</table>
<h2>Why samples are not kept</h2>
{{if .Reasons}}<table>{{range .Reasons}}<tr><td>{{.Name}}</td><td class="n">{{.N}}</td></tr>{{end}}</table>{{else}}<p>All are kept.</p>{{end}}
<h2>Thresholds in force</h2>
<table>{{range .Thresholds}}<tr><td>{{.Name}}</td><td>{{.Text}}</td></tr>{{end}}</table>
{{if .Captions}}<h2>Captions</h2>
<table>{{range .Captions}}<tr><td>{{.Name}}</td><td class="n">{{.N}}</td><td>{{.Text}}</td></tr>{{end}}</table>{{end}}
<h2>What was measured</h2>
<div class="grid">{{range .Histograms}}<div class="card"><b>{{.Name}}</b> {{.Unit}}<br><span class="dim">{{.Doc}}</span>
{{svg .}}<span class="dim">{{.N}} values{{if .Missing}}, {{.Missing}} samples without one{{end}}</span></div>{{end}}</div>
{{range group .Examples}}<h2>{{.Reason}}</h2><div class="grid">{{range .Examples}}<div class="card">
{{with picture .}}<img src="{{.}}" alt="picture" width="112" height="112">{{end}}{{with mel .}}<img src="{{.}}" alt="log-mel" width="150" height="112">{{end}}
<p><b>{{.Key}}</b>{{if .Caption}}<br>{{.Caption}}{{end}}{{if .Detail}}<br><i>{{.Detail}}</i>{{end}}</p>
<table class="dim">{{range .Figures}}<tr><td>{{.Name}}</td><td>{{.Text}}</td></tr>{{end}}</table></div>{{end}}</div>{{end}}
</body></html>
`))

// exampleGroup is the examples of one reason.
type exampleGroup struct {
	Reason   string
	Examples []Example
}

func groupExamples(list []Example) []exampleGroup {
	var out []exampleGroup
	for _, e := range list {
		i := slices.IndexFunc(out, func(g exampleGroup) bool { return g.Reason == e.Reason })
		if i < 0 {
			i = len(out)
			out = append(out, exampleGroup{Reason: e.Reason})
		}
		out[i].Examples = append(out[i].Examples, e)
	}
	return out
}

// drawHistogram draws 40 bars from the 0.5th to the 99.5th percentile; what lies beyond is in the end bars.
func drawHistogram(h Histogram) template.HTML {
	if len(h.Values) == 0 {
		return ""
	}
	const bars, width, height = 40, 320.0, 90.0
	sorted := slices.Clone(h.Values)
	slices.Sort(sorted)
	lo, hi := sorted[int(0.005*float64(len(sorted)-1))], sorted[int(math.Ceil(0.995*float64(len(sorted)-1)))]
	if h.Threshold != nil {
		lo, hi = min(lo, *h.Threshold), max(hi, *h.Threshold)
	}
	if hi <= lo {
		lo, hi = lo-0.5, hi+0.5
	}
	var count [bars]int
	most := 1
	for _, v := range sorted {
		i := min(max(int((v-lo)/(hi-lo)*bars), 0), bars-1)
		count[i]++
		most = max(most, count[i])
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img">`, width, height+14)
	for i, n := range count {
		if n == 0 {
			continue
		}
		y := max(float64(n)/float64(most)*height, 1)
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="var(--bar)"><title>%.4g to %.4g: %d</title></rect>`,
			float64(i)*width/bars, height-y, width/bars-1, y, lo+(hi-lo)*float64(i)/bars, lo+(hi-lo)*float64(i+1)/bars, n)
	}
	if h.Threshold != nil {
		x := (*h.Threshold - lo) / (hi - lo) * width
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="0" y2="%g" stroke="var(--mark)" stroke-width="1.5"/><text x="%.1f" y="9">%.4g</text>`, x, x, height, x+3, *h.Threshold)
	}
	fmt.Fprintf(&b, `<text x="0" y="%g">%.4g</text><text x="%g" y="%g" text-anchor="end">%.4g</text></svg>`, height+11, lo, width, height+11, hi)
	return template.HTML(b.String()) // numbers only
}

func pictureURI(e Example) template.URL {
	if e.Side == 0 || len(e.Picture) != 3*e.Side*e.Side {
		return ""
	}
	img := image.NewNRGBA(image.Rect(0, 0, e.Side, e.Side))
	plane := e.Side * e.Side
	for i := range plane {
		img.SetNRGBA(i%e.Side, i/e.Side, color.NRGBA{e.Picture[i], e.Picture[plane+i], e.Picture[2*plane+i], 255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, imaging.Resize(img, thumbnail, thumbnail, imaging.Lanczos), &jpeg.Options{Quality: 80}); err != nil {
		return ""
	}
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}

func melURI(e Example) template.URL {
	if len(e.Mel) == 0 || e.Bins*e.Frames == 0 {
		return ""
	}
	var b bytes.Buffer
	if err := MelPNG(&b, e.Mel[:e.Bins*e.Frames], 1, e.Bins, e.Frames); err != nil {
		return ""
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}

// MelPNG draws [clips][bins][frames] with low frequencies at the bottom, clips one below the other, dark to
// light over the values' range.
func MelPNG(w io.Writer, mel []float32, clips, bins, frames int) error {
	if len(mel) != clips*bins*frames || len(mel) == 0 {
		return fmt.Errorf("%d values for %d clips of %dx%d", len(mel), clips, bins, frames)
	}
	lo, hi := slices.Min(mel), slices.Max(mel)
	span := max(hi-lo, 1e-6)
	const gap = 4
	img := image.NewNRGBA(image.Rect(0, 0, frames, clips*(bins+gap)-gap))
	for c := range clips {
		for b := range bins {
			for f := range frames {
				v := (mel[(c*bins+b)*frames+f] - lo) / span
				img.SetNRGBA(f, c*(bins+gap)+bins-1-b, heat(v))
			}
		}
	}
	return png.Encode(w, img)
}

// heat maps 0..1 to black, violet, orange, pale yellow: lightness rises evenly, so that grey prints read.
func heat(v float32) color.NRGBA {
	stops := [5][3]float32{{0, 0, 8}, {80, 18, 123}, {182, 54, 121}, {251, 136, 97}, {252, 253, 191}}
	x := min(max(v, 0), 1) * 4
	i := min(int(x), 3)
	t := x - float32(i)
	var c [3]uint8
	for k := range c {
		c[k] = uint8(stops[i][k] + t*(stops[i+1][k]-stops[i][k]) + 0.5)
	}
	return color.NRGBA{c[0], c[1], c[2], 255}
}

package report

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// Training is what the page of a training run shows.
type Training struct {
	Title    string
	Facts    []Count // Text counts
	Charts   []Chart
	Tables   []Table
	Advice   []Note
	Pictures []Picture
}

// Chart is a figure over steps or epochs, which XName names. Target, if set, is drawn as a line across.
type Chart struct {
	Name, Doc string
	XName     string
	Series    []Series
	Target    *float64
}

// Series is one line of a chart; X rises. One whose name is another's and Back is drawn dashed in that one's colour.
type Series struct {
	Name string
	X, Y []float64
}

// Back ends the name of a series that belongs to another.
const Back = " back"

// Table is a table of text.
type Table struct {
	Name, Doc string
	Head      []string
	Rows      [][]string
}

// Note is a finding with what to do about it.
type Note struct{ When, Found, Suggest string }

// Picture is a PNG file.
type Picture struct {
	Name, Doc string
	PNG       []byte
}

// WriteTraining draws the page. Everything from the run is escaped.
func WriteTraining(w io.Writer, in Training) error { return trainingPage.Execute(w, in) }

var trainingPage = template.Must(template.New("training").Funcs(template.FuncMap{
	"chart": drawChart, "legend": legend,
	"png": func(p Picture) template.URL {
		return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(p.PNG))
	},
}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root{color-scheme:light dark;--line:#8885;--mark:#c0392b}
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:left;vertical-align:top;font-variant-numeric:tabular-nums}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(21rem,1fr));gap:1.2rem}
.card{border:1px solid var(--line);border-radius:6px;padding:.6rem;overflow-wrap:anywhere;font-size:.88rem}
.card img{max-width:100%;image-rendering:pixelated}.dim{opacity:.7}
svg{width:100%;height:auto}svg text{font-size:9px;fill:currentColor}.key{white-space:nowrap;margin-right:.4rem}.wide{overflow-x:auto}
</style></head><body>
<h1>{{.Title}}</h1>
<table>{{range .Facts}}<tr><td>{{.Name}}</td><td>{{.Text}}</td></tr>{{end}}</table>
{{range .Tables}}<h2>{{.Name}}</h2>{{with .Doc}}<p class="dim">{{.}}</p>{{end}}
<div class="wide"><table><tr>{{range .Head}}<th>{{.}}</th>{{end}}</tr>{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>{{end}}</table></div>{{end}}
{{if .Advice}}<h2>Advice</h2><table>{{range .Advice}}<tr><td class="key">{{.When}}</td><td>{{.Found}}</td><td>{{.Suggest}}</td></tr>{{end}}</table>{{end}}
<h2>Over time</h2>
<div class="grid">{{range .Charts}}<div class="card"><b>{{.Name}}</b><br><span class="dim">{{.Doc}}</span>
{{chart .}}{{range legend .Series}}<span class="key"><span style="color:{{.Colour}}">■</span> {{.Name}}</span> {{end}}</div>{{end}}</div>
{{if .Pictures}}<h2>Pictures of the last measurement</h2><div class="grid">{{range .Pictures}}<div class="card"><b>{{.Name}}</b><br><span class="dim">{{.Doc}}</span><br><img src="{{png .}}" alt="{{.Name}}"></div>{{end}}</div>{{end}}
</body></html>
`))

// colours tell series apart, for most colour-blind readers too (Okabe and Ito's set, whose yellow is too pale on white, and
// three of Tol's muted ones for the pairs of two data sets).
var colours = []template.CSS{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#882255", "#999933", "#332288"}

// A legendKey names the colour of a series.
type legendKey struct {
	Name   string
	Colour template.CSS
}

// styles gives each series its colour, and says which are dashed.
func styles(series []Series) (colour []template.CSS, dashed []bool) {
	of := map[string]template.CSS{}
	for _, s := range series {
		base, ok := strings.CutSuffix(s.Name, Back)
		c, known := of[base]
		if ok = ok && known; !ok {
			c = colours[len(of)%len(colours)]
			of[s.Name] = c
		}
		colour, dashed = append(colour, c), append(dashed, ok)
	}
	return colour, dashed
}

// legend has the series with a colour of their own.
func legend(series []Series) []legendKey {
	var out []legendKey
	colour, dashed := styles(series)
	for i, s := range series {
		if !dashed[i] {
			out = append(out, legendKey{s.Name, colour[i]})
		}
	}
	return out
}

// mostPoints is the number of points of a line; longer ones are averaged in as many stretches.
const mostPoints = 400

// drawChart draws the lines of a chart over their common range, with room for the numbers beside and below it.
func drawChart(c Chart) template.HTML {
	const width, height, left, below = 284.0, 120.0, 56.0, 14.0
	loX, hiX, loY, hiY := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	var lines []Series
	for _, s := range c.Series {
		thinned := thin(s)
		lines = append(lines, thinned)
		for _, y := range thinned.Y {
			loY, hiY = min(loY, y), max(hiY, y)
		}
		if len(thinned.X) > 0 {
			loX, hiX = min(loX, s.X[0]), max(hiX, s.X[len(s.X)-1])
		}
	}
	if loX > hiX {
		return ""
	}
	if c.Target != nil {
		loY, hiY = min(loY, *c.Target), max(hiY, *c.Target)
	}
	firstX, lastX := loX, hiX
	if hiX == loX {
		loX, hiX = loX-0.5, hiX+0.5
	}
	if hiY == loY {
		loY, hiY = loY-0.5, hiY+0.5
	}
	px := func(x float64) float64 { return (x - loX) / (hiX - loX) * width }
	py := func(y float64) float64 { return height - (y-loY)/(hiY-loY)*height }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="%g -6 %g %g" role="img">`, -left, left+width+4, height+below+6)
	for i := range 3 {
		v := loY + (hiY-loY)*float64(i)/2
		if i == 1 && math.Abs(v) < 1e-9*(hiY-loY) {
			v = 0 // not the rounding's
		}
		fmt.Fprintf(&b, `<line x1="0" x2="%g" y1="%.1f" y2="%.1f" stroke="var(--line)" stroke-width="0.5"/><text x="-4" y="%.1f" text-anchor="end">%.4g</text>`, width, py(v), py(v), py(v)+3, v)
	}
	colour, dashed := styles(c.Series)
	for i, s := range lines {
		dash := ""
		if dashed[i] {
			dash = ` stroke-dasharray="3 2"`
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.3"%s points="`, colour[i], dash)
		for k := range s.X {
			fmt.Fprintf(&b, "%.1f,%.1f ", px(s.X[k]), py(s.Y[k]))
		}
		b.WriteString(`"/>`)
		if len(s.X) == 1 {
			fmt.Fprintf(&b, `<circle r="2" cx="%.1f" cy="%.1f" fill="%s"/>`, px(s.X[0]), py(s.Y[0]), colour[i])
		}
	}
	if c.Target != nil {
		y := py(*c.Target)
		fmt.Fprintf(&b, `<line x1="0" x2="%g" y1="%.1f" y2="%.1f" stroke="var(--mark)" stroke-dasharray="6 4"/><text x="%g" y="%.1f" text-anchor="end">target %.4g</text>`, width, y, y, width-2, max(y-3, 8), *c.Target)
	}
	if lastX > firstX {
		fmt.Fprintf(&b, `<text x="0" y="%g">%.6g</text>`, height+11, firstX)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">%s</text><text x="%g" y="%g" text-anchor="end">%.6g</text></svg>`,
		width/2, height+11, template.HTMLEscapeString(c.XName), width, height+11, lastX)
	return template.HTML(b.String()) // numbers, and an escaped name
}

// thin averages a long series and drops what is no number.
func thin(s Series) Series {
	out := Series{Name: s.Name}
	step := max(1, (len(s.X)+mostPoints-1)/mostPoints)
	for i := 0; i < len(s.X); i += step {
		x, y, n := 0.0, 0.0, 0.0
		for k := i; k < min(i+step, len(s.X)); k++ {
			if !math.IsNaN(s.Y[k]) && !math.IsInf(s.Y[k], 0) {
				x, y, n = x+s.X[k], y+s.Y[k], n+1
			}
		}
		if n > 0 {
			out.X, out.Y = append(out.X, x/n), append(out.Y, y/n)
		}
	}
	return out
}

package trainer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/internal/fault"
	"prep/internal/sample"
)

// An Evaluation is what a model was measured to do at one point of its training, with its moving averages
// where it has them.
type Evaluation struct {
	Epoch int `json:"epoch"` // epochs finished
	Step  int `json:"step"`
	// Pairs are the measures of each pair on the held-out items, or on the training items where none are
	// held out; Train those of as many training items, to compare.
	Pairs map[string]PairMeasures `json:"pairs"`
	Train map[string]PairMeasures `json:"train,omitempty"`
	// Classes are the measures of each modality by the items' labels; empty without labels.
	Classes map[string]ClassMeasures `json:"classes,omitempty"`
	// Score chooses the best checkpoint: the mean R@1 of all pairs and directions.
	Score float64 `json:"score"`

	// Pictures for a person, PNG files by name.
	Pictures map[string][]byte `json:"-"`
	// Points are the embeddings of the first pair's gallery, for the projector.
	Points []Point `json:"-"`
}

// A Point is one item in the joint space.
type Point struct {
	Key, Modality, Label string
	Vector               []float32
}

// PairMeasures are a pair's figures in a gallery of items. An item that is byte for byte the right one's twin
// counts as right; a tie with any other counts as wrong, so that a collapsed model scores nothing.
type PairMeasures struct {
	Items   int       `json:"items"`
	Forward Retrieval `json:"forward"` // hub to other: "image-text" finds each image's text
	Back    Retrieval `json:"back"`
	// Contrast is the mean cosine of pairs that belong together less that of those that do not.
	Contrast float64 `json:"diagonal_contrast"`
	// Alignment is the mean squared distance of pairs that belong together, and the uniformities are
	// log mean exp(-2 |x-y|²) within each side (Wang and Isola 2020); lower is better for all three.
	Alignment       float64 `json:"alignment"`
	UniformityHub   float64 `json:"uniformity_hub"`
	UniformityOther float64 `json:"uniformity_other"`
}

// Retrieval says how often the right item is among the nearest, and its median rank, counted from 1.
type Retrieval struct {
	R1         float64 `json:"r1"`
	R5         float64 `json:"r5"`
	R10        float64 `json:"r10"`
	MedianRank float64 `json:"median_rank"`
	// Chance is the R@1 of guessing.
	Chance float64 `json:"chance"`
}

// ClassMeasures are a modality's figures by label. An item's class is its first label; a zero-shot answer is
// right when it is any of the item's labels.
type ClassMeasures struct {
	Items   int     `json:"items"`
	Classes int     `json:"classes"`
	Within  float64 `json:"within_class_cosine"`
	Between float64 `json:"between_class_cosine"`
	// Top1 and Top5 are the shares of items whose label's sentence is (among) the nearest; 0 of 0 Prompted
	// classes where the text tower was not asked.
	Prompted int     `json:"prompted"`
	Top1     float64 `json:"zero_shot_top1"`
	Top5     float64 `json:"zero_shot_top5"`
}

// A measurer evaluates one model on one pairing; hub embeddings are shared between pairs.
type measurer struct {
	p        *pairing
	e        *engine
	tokenize func(string) []int32 // nil: no zero-shot classification
	vectors  map[sample.Modality]map[int][]float32
	pictures bool
}

func newMeasurer(p *pairing, e *engine, tokenize func(string) []int32) *measurer {
	return &measurer{p: p, e: e, tokenize: tokenize, vectors: map[sample.Modality]map[int][]float32{}}
}

// evaluate measures every pair on what is held out and, at compare, on as many training items.
func (m *measurer) evaluate(ctx context.Context, compare bool) (*Evaluation, error) {
	ev := &Evaluation{Pairs: map[string]PairMeasures{}, Train: map[string]PairMeasures{}, Classes: map[string]ClassMeasures{}, Pictures: map[string][]byte{}}
	err := m.e.withAverages(func() error {
		used := map[sample.Modality][]int{}
		for i, pr := range m.p.pairs {
			rows := pr.held
			if len(rows) == 0 {
				rows = pr.train
			}
			rows = m.p.gallery(rows)
			r, err := m.pair(ctx, pr, rows, ev, i == 0)
			if err != nil {
				return err
			}
			ev.Pairs[pr.name] = r
			ev.Score += (r.Forward.R1 + r.Back.R1) / 2 / float64(len(m.p.pairs))
			if compare && len(pr.held) > 0 {
				some := m.p.gallery(pr.train)
				if ev.Train[pr.name], err = m.pair(ctx, pr, some[:min(len(some), len(rows))], nil, false); err != nil {
					return err
				}
			}
			for _, row := range rows {
				for _, side := range []sample.Modality{m.hub(row), pr.other} {
					if side == sample.Video {
						side = sample.Image
					}
					if !slices.Contains(used[side], row) {
						used[side] = append(used[side], row)
					}
				}
			}
		}
		return m.classes(ctx, used, ev)
	})
	return ev, err
}

// hub is the modality of a row's hub.
func (m *measurer) hub(row int) sample.Modality {
	if m.p.rows.Has(row, "image") {
		return sample.Image
	}
	return sample.Video
}

// embedAll returns the unit vectors of one modality of the rows; sample.Image stands for the hub.
func (m *measurer) embedAll(ctx context.Context, side sample.Modality, rows []int) ([][]float32, error) {
	known := m.vectors[side]
	if known == nil {
		known = map[int][]float32{}
		m.vectors[side] = known
	}
	missing := map[sample.Modality][]int{}
	for _, row := range rows {
		if known[row] != nil {
			continue
		}
		as := side
		if side == sample.Image {
			as = m.hub(row)
		}
		missing[as] = append(missing[as], row)
	}
	for as, some := range missing {
		v, err := m.p.embedRows(ctx, m.e, as, some)
		if err != nil {
			return nil, err
		}
		for i, row := range some {
			known[row] = v[i]
		}
	}
	out := make([][]float32, len(rows))
	for i, row := range rows {
		out[i] = known[row]
	}
	return out, nil
}

// pair measures one pair on a gallery; ev, if given, gets the pictures, and the points at points.
func (m *measurer) pair(ctx context.Context, pr *pair, rows []int, ev *Evaluation, points bool) (PairMeasures, error) {
	hub, err := m.embedAll(ctx, sample.Image, rows)
	if err != nil {
		return PairMeasures{}, err
	}
	other, err := m.embedAll(ctx, pr.other, rows)
	if err != nil {
		return PairMeasures{}, err
	}
	hubTwins, otherTwins := make([][32]byte, len(rows)), make([][32]byte, len(rows))
	for i, row := range rows {
		for _, c := range []struct {
			column sample.Modality
			into   *[32]byte
		}{{m.hub(row), &hubTwins[i]}, {pr.other, &otherTwins[i]}} {
			t, err := m.p.rows.Tensor(row, c.column.String())
			if err != nil {
				return PairMeasures{}, err
			}
			*c.into = sha256.Sum256(t.Data)
		}
	}
	r := PairMeasures{Items: len(rows)}
	ranks := ranksOf(hub, other, otherTwins)
	r.Forward, r.Back = retrieval(ranks, otherTwins), retrieval(ranksOf(other, hub, hubTwins), hubTwins)
	r.Contrast, r.Alignment = contrastOf(hub, other)
	r.UniformityHub, r.UniformityOther = uniformity(hub), uniformity(other)
	if ev != nil && m.pictures {
		ev.Pictures["similarity "+pr.name] = similarityPicture(hub, other)
		if strip := m.retrievedPicture(pr, rows, hub, other); strip != nil {
			ev.Pictures["retrieved "+pr.name] = strip
		}
		if points {
			for i, row := range rows {
				label := ""
				if l := labelsOf(m.p.rows, row); len(l) > 0 {
					label = l[0]
				}
				ev.Points = append(ev.Points, Point{m.p.rows.Key(row), m.hub(row).String(), label, hub[i]}, Point{m.p.rows.Key(row), pr.other.String(), label, other[i]})
			}
		}
	}
	return r, nil
}

// gallery picks at most train.eval_items of the rows, the same ones at every measurement.
func (p *pairing) gallery(rows []int) []int {
	type drawn struct {
		at  uint64
		row int
	}
	d := make([]drawn, len(rows))
	for i, row := range rows {
		h, _ := hash(p.train.Seed, "gallery", 0, p.rows.Key(row))
		d[i] = drawn{h, row}
	}
	slices.SortFunc(d, func(a, b drawn) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.row, b.row)) })
	out := make([]int, min(len(d), p.train.EvalItems))
	for i := range out {
		out[i] = d[i].row
	}
	return out
}

// inner is the inner product, the cosine of unit vectors.
func inner(a, b []float32) float64 {
	s := 0.0
	for k := range a {
		s += float64(a[k]) * float64(b[k])
	}
	return s
}

// ranksOf are the places, from 1, of each query's own item among the items by cosine. Items with equal twins
// are byte for byte the same and count as each other; a tie with any other item counts against.
func ranksOf(queries, items [][]float32, twins [][32]byte) []int {
	ranks := make([]int, len(queries))
	scores := make([]float64, len(items))
	for i, q := range queries {
		right, broken := math.Inf(-1), false
		for j, item := range items {
			scores[j] = inner(q, item)
			if math.IsNaN(scores[j]) {
				broken = true
			} else if j == i || twins[j] == twins[i] {
				right = max(right, scores[j])
			}
		}
		ranks[i] = 1
		for j, s := range scores {
			if broken || s >= right && j != i && twins[j] != twins[i] {
				ranks[i]++
			}
		}
	}
	return ranks
}

// retrieval sums ranks up. Chance counts twins as right, too.
func retrieval(ranks []int, twins [][32]byte) Retrieval {
	var r Retrieval
	n := float64(len(ranks))
	if n == 0 {
		return r
	}
	same := map[[32]byte]float64{}
	for _, t := range twins {
		same[t]++
	}
	for i, rank := range ranks {
		for _, c := range []struct {
			k    int
			into *float64
		}{{1, &r.R1}, {5, &r.R5}, {10, &r.R10}} {
			if rank <= c.k {
				*c.into += 1 / n
			}
		}
		r.Chance += same[twins[i]] / n / n
	}
	sorted := slices.Sorted(slices.Values(ranks))
	r.MedianRank = float64(sorted[(len(sorted)-1)/2]+sorted[len(sorted)/2]) / 2
	r.R1, r.R5, r.R10 = exact(r.R1, n), exact(r.R5, n), exact(r.R10, n)
	return r
}

// exact is the share that a sum of 1/n meant.
func exact(share, n float64) float64 { return math.Round(share*n) / n }

// contrastOf is the mean cosine of the diagonal less that of the rest, and the mean squared distance of the
// diagonal.
func contrastOf(a, b [][]float32) (contrast, alignment float64) {
	n := float64(len(a))
	if n < 2 {
		return 0, 0
	}
	sa, sb := make([]float64, len(a[0])), make([]float64, len(a[0]))
	diagonal := 0.0
	for i := range a {
		diagonal += inner(a[i], b[i]) / n
		for k := range sa {
			sa[k] += float64(a[i][k])
			sb[k] += float64(b[i][k])
		}
	}
	all := 0.0 // of all n² cosines
	for k := range sa {
		all += sa[k] * sb[k]
	}
	rest := (all - n*diagonal) / (n * (n - 1))
	return diagonal - rest, 2 - 2*diagonal
}

// mostUniform bounds the items whose distances uniformity looks at.
const mostUniform = 1000

// uniformity is log mean exp(-2 |x-y|²) over all pairs of unit vectors.
func uniformity(x [][]float32) float64 {
	x = x[:min(len(x), mostUniform)]
	if len(x) < 2 {
		return 0
	}
	sum, n := 0.0, 0.0
	for i := range x {
		for j := range i {
			sum += math.Exp(-2 * (2 - 2*inner(x[i], x[j])))
			n++
		}
	}
	return math.Log(sum / n)
}

// classes measures each modality by its items' labels.
func (m *measurer) classes(ctx context.Context, used map[sample.Modality][]int, ev *Evaluation) error {
	names := map[string]bool{}
	for _, rows := range used {
		for _, row := range rows {
			for _, l := range labelsOf(m.p.rows, row) {
				names[l] = true
			}
		}
	}
	if len(names) < 2 {
		return nil
	}
	var classes []string
	for n := range names {
		classes = append(classes, n)
	}
	slices.Sort(classes)
	sentences, err := m.prompts(ctx, classes)
	if err != nil {
		return err
	}
	for side, rows := range used {
		var labelledRows []int
		for _, row := range rows {
			if len(labelsOf(m.p.rows, row)) > 0 {
				labelledRows = append(labelledRows, row)
			}
		}
		if len(labelledRows) == 0 {
			continue
		}
		x, err := m.embedAll(ctx, side, labelledRows)
		if err != nil {
			return err
		}
		first := make([]string, len(x))
		for i, row := range labelledRows {
			first[i] = labelsOf(m.p.rows, row)[0]
		}
		c := ClassMeasures{Items: len(x)}
		c.Classes, c.Within, c.Between = classCosines(x, first)
		if side != sample.Text && sentences != nil {
			c.Prompted = len(classes)
			for i, row := range labelledRows {
				labels := labelsOf(m.p.rows, row)
				best := math.Inf(-1)
				scores := make([]float64, len(classes))
				for k := range classes {
					scores[k] = inner(x[i], sentences[k])
					if slices.Contains(labels, classes[k]) {
						best = max(best, scores[k])
					}
				}
				ahead := 0
				for k := range classes {
					if scores[k] >= best && !slices.Contains(labels, classes[k]) {
						ahead++
					}
				}
				if ahead < 1 {
					c.Top1 += 1 / float64(len(x))
				}
				if ahead < 5 {
					c.Top5 += 1 / float64(len(x))
				}
			}
			c.Top1, c.Top5 = exact(c.Top1, float64(len(x))), exact(c.Top5, float64(len(x)))
		}
		ev.Classes[side.String()] = c
	}
	return nil
}

// prompts embeds each class: the mean of its sentences' vectors, of length 1 (Radford et al. 2021). Nil when
// there is no tokenizer or no sentence.
func (m *measurer) prompts(ctx context.Context, classes []string) ([][]float32, error) {
	if m.tokenize == nil || len(m.p.train.Prompts) == 0 {
		return nil, nil
	}
	out := make([][]float32, len(classes))
	for k, class := range classes {
		if ctx.Err() != nil {
			return nil, context.Canceled
		}
		var ids []int32
		for _, p := range m.p.train.Prompts {
			for _, id := range m.tokenize(fillPrompt(p, class)) {
				ids = append(ids, min(id, int32(m.p.vocab-1)))
			}
		}
		x := tensors.FromFlatDataAndDimensions(ids, len(m.p.train.Prompts), contextLength)
		v, err := m.e.embed(sample.Text, x)
		x.FinalizeAll()
		if err != nil {
			return nil, err
		}
		dim := m.e.model.Dim
		mean := make([]float32, dim)
		for i := range v {
			mean[i%dim] += v[i]
		}
		length := math.Sqrt(inner(mean, mean))
		for i := range mean {
			mean[i] = float32(float64(mean[i]) / max(length, 1e-12))
		}
		out[k] = mean
	}
	return out, nil
}

// classCosines are the number of classes, the mean cosine of two items of one class, averaged over all such
// pairs, and that of items of two classes.
func classCosines(x [][]float32, class []string) (classes int, within, between float64) {
	dim := len(x[0])
	sums := map[string][]float64{}
	sizes := map[string]float64{}
	total := make([]float64, dim)
	for i, v := range x {
		s := sums[class[i]]
		if s == nil {
			s = make([]float64, dim)
			sums[class[i]] = s
		}
		sizes[class[i]]++
		for k := range v {
			s[k] += float64(v[k])
			total[k] += float64(v[k])
		}
	}
	square := func(v []float64) float64 {
		s := 0.0
		for _, a := range v {
			s += a * a
		}
		return s
	}
	names := make([]string, 0, len(sums))
	for n := range sums {
		names = append(names, n)
	}
	slices.Sort(names) // sums do not depend on the map's order
	n := float64(len(x))
	sameSum, sameCount := 0.0, 0.0 // over ordered pairs of different items
	for _, name := range names {
		k := sizes[name]
		sameSum += square(sums[name]) - k
		sameCount += k * (k - 1)
	}
	allSum, allCount := square(total)-n, n*(n-1)
	if sameCount > 0 {
		within = sameSum / sameCount
	}
	if allCount > sameCount {
		between = (allSum - sameSum) / (allCount - sameCount)
	}
	return len(sums), within, between
}

// embedRows embeds one modality of rows, in batches of one fixed shape: the last is filled up with
// repetitions, whose results are dropped.
func (p *pairing) embedRows(ctx context.Context, e *engine, m sample.Modality, rows []int) ([][]float32, error) {
	var out [][]float32
	size, err := p.atOnce(m, rows, min(p.train.Batch, 32))
	if err != nil {
		return nil, err
	}
	for from := 0; from < len(rows); from += size {
		if ctx.Err() != nil {
			return nil, context.Canceled
		}
		chunk := slices.Clone(rows[from:min(from+size, len(rows))])
		n := len(chunk)
		for len(chunk) < size {
			chunk = append(chunk, chunk[n-1])
		}
		x, err := p.tensor(m, chunk, p.keys(chunk), evaluation)
		if err != nil {
			return nil, err
		}
		v, err := e.embed(m, x)
		if err == nil {
			err = p.checkVectors(m, x, v, chunk[:n])
		}
		p.pool.give(x)
		if err != nil {
			return nil, err
		}
		for i := range n {
			out = append(out, slices.Clone(v[i*e.model.Dim:(i+1)*e.model.Dim]))
		}
	}
	return out, nil
}

// checkVectors refuses vectors that are no numbers, and tells a broken sample from broken weights. x is what the
// rows' tower got and v what it gave; both may hold more than the rows.
func (p *pairing) checkVectors(m sample.Modality, x *tensors.Tensor, v []float32, rows []int) error {
	at := slices.IndexFunc(v, notNumber)
	if at < 0 {
		return nil
	}
	batch := x.Shape().Dimensions[0]
	row := at / (len(v) / batch)
	if k := indexNotFinite(x); k >= 0 {
		return brokenSample(p.rows.Key(rows[min(k/(x.Size()/batch), len(rows)-1)]), m.String())
	}
	return fault.Inputf("sample %s: its %s holds numbers and embeds to none: %w", p.rows.Key(rows[min(row, len(rows)-1)]), m, errOverflow)
}

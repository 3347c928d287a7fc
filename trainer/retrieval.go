package trainer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"math"
	"slices"

	"prep/internal/sample"
)

// measure fills in R@1 of every pair, on the held-out and on the training items.
func (p *pairing) measure(ctx context.Context, e *engine, results map[string]PairResult) error {
	hubs := map[int][]float32{} // embeddings of the hub by row, which pairs share
	for _, pr := range p.pairs {
		r := results[pr.name]
		var err error
		if r.TrainR1, r.TrainR1Reverse, err = p.recall(ctx, e, pr, p.gallery(pr.train), hubs); err != nil {
			return err
		}
		r.R1, r.R1Reverse = r.TrainR1, r.TrainR1Reverse
		if len(pr.held) > 0 {
			if r.R1, r.R1Reverse, err = p.recall(ctx, e, pr, p.gallery(pr.held), hubs); err != nil {
				return err
			}
		}
		results[pr.name] = r
	}
	return nil
}

// gallery picks at most train.eval_items of the rows, the same ones at every measurement.
func (p *pairing) gallery(rows []int) []int {
	if len(rows) <= p.train.EvalItems {
		return rows
	}
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
	out := make([]int, p.train.EvalItems)
	for i := range out {
		out[i] = d[i].row
	}
	return out
}

// recall embeds a gallery and returns R@1 from the hub to the other modality and back.
func (p *pairing) recall(ctx context.Context, e *engine, pr *pair, rows []int, hubs map[int][]float32) (r1, reverse float64, err error) {
	var missing []int
	for _, row := range rows {
		if hubs[row] == nil {
			missing = append(missing, row)
		}
	}
	for _, m := range []sample.Modality{sample.Image, sample.Video} {
		var some []int
		for _, row := range missing {
			if p.rows.Has(row, "image") == (m == sample.Image) {
				some = append(some, row)
			}
		}
		v, err := p.embedRows(ctx, e, m, some)
		if err != nil {
			return 0, 0, err
		}
		for i, row := range some {
			hubs[row] = v[i]
		}
	}
	other, err := p.embedRows(ctx, e, pr.other, rows)
	if err != nil {
		return 0, 0, err
	}
	hub := make([][]float32, len(rows))
	hubTwins, otherTwins := make([][32]byte, len(rows)), make([][32]byte, len(rows))
	for i, row := range rows {
		hub[i] = hubs[row]
		column := "image"
		if !p.rows.Has(row, column) {
			column = "video"
		}
		for _, c := range []struct {
			column string
			into   *[32]byte
		}{{column, &hubTwins[i]}, {pr.other.String(), &otherTwins[i]}} {
			t, err := p.rows.Tensor(row, c.column)
			if err != nil {
				return 0, 0, err
			}
			*c.into = sha256.Sum256(t.Data)
		}
	}
	return recallAt1(hub, other, otherTwins), recallAt1(other, hub, hubTwins), nil
}

// recallAt1 is the share of queries whose nearest item by cosine is the one of the same place. Items with
// equal twins are byte for byte the same and count as each other; a tie with any other item is a miss, so
// that a collapsed model scores nothing.
func recallAt1(queries, items [][]float32, twins [][32]byte) float64 {
	hits := 0
	for i, q := range queries {
		right, wrong := math.Inf(-1), math.Inf(-1)
		broken := false
		for j, item := range items {
			s := 0.0
			for k := range q {
				s += float64(q[k]) * float64(item[k])
			}
			switch {
			case math.IsNaN(s):
				broken = true
			case j == i || twins[j] == twins[i]:
				right = max(right, s)
			default:
				wrong = max(wrong, s)
			}
		}
		if !broken && right > wrong {
			hits++
		}
	}
	return float64(hits) / float64(len(queries))
}

// embedRows embeds one modality of rows, in batches of one fixed shape: the last is filled up with
// repetitions, whose results are dropped.
func (p *pairing) embedRows(ctx context.Context, e *engine, m sample.Modality, rows []int) ([][]float32, error) {
	var out [][]float32
	size := min(p.train.Batch, 32)
	for from := 0; from < len(rows); from += size {
		if ctx.Err() != nil {
			return nil, context.Canceled
		}
		chunk := slices.Clone(rows[from:min(from+size, len(rows))])
		n := len(chunk)
		for len(chunk) < size {
			chunk = append(chunk, chunk[n-1])
		}
		x, err := p.tensor(m, chunk, evaluation)
		if err != nil {
			return nil, err
		}
		v, err := e.embed(m, x)
		x.FinalizeAll()
		if err != nil {
			return nil, err
		}
		for i := range n {
			out = append(out, v[i*e.model.Dim:(i+1)*e.model.Dim])
		}
	}
	return out, nil
}

package filters

import (
	_ "embed" // the trees
	"encoding/binary"
	"fmt"
	"math"
)

const (
	// scoreShare is that of the score in the odds by which a clip below the limit is unknown, noiseOdds what they are
	// above: the nearer a clip is to the limit, the less it takes to keep it.
	scoreShare, noiseOdds = 0.6, -2.2
	// intervalErrors times the expected error to either side hold the truth in 80 of 100 cases of the
	// cross-validation; errorLeast is its least value, in dB.
	intervalErrors, errorLeast = 1.28, 0.5
	leaf                       = 255 // as a node's trait
)

// learnedFile is written by scripts/snr/train.py: "snr2", the number of traits as uint32, then three ensembles
// of boosted trees: the score, which is a mean of log odds that the SNR is above some levels, log odds of noise alone, expected
// absolute error in dB. Last the number of knots as uint32, and of each its score and its SNR in dB (float32). An ensemble is a
// float64 to begin with, the number of trees as uint32, and each tree as the number of its nodes (uint16) and
// for each node trait, right child (bytes) and threshold or value (float32). The left child follows its parent;
// trait 255 is a leaf. Little-endian.
//
//go:embed learned.trees
var learnedFile []byte

var learned = mustReadTrees(learnedFile)

type treeNode struct {
	trait, right uint8
	value        float32 // what goes left is at most this; the result in a leaf
}

type ensemble struct {
	base  float64
	trees [][]treeNode
}

type learnedModel struct {
	traits             int
	score, odds, error ensemble
	knots              []knot // at least one, their scores rise
}

// knot is a point of the curve that makes a score an SNR.
type knot struct{ score, snr float32 }

// snr is the place of a score on the curve: straight between knots, level beyond the outer ones.
func (m *learnedModel) snr(score float64) float64 {
	before := m.knots[0]
	if score <= float64(before.score) {
		return float64(before.snr)
	}
	for _, k := range m.knots[1:] {
		if score <= float64(k.score) {
			part := (score - float64(before.score)) / (float64(k.score) - float64(before.score))
			return float64(before.snr) + float64(part*(float64(k.snr)-float64(before.snr)))
		}
		before = k
	}
	return float64(before.snr)
}

// predict adds up what each tree says, in their order.
func (e *ensemble) predict(x []float32) float64 {
	sum := e.base
	for _, t := range e.trees {
		i := 0
		for t[i].trait != leaf {
			if x[t[i].trait] <= t[i].value {
				i++
			} else {
				i = int(t[i].right)
			}
		}
		sum += float64(t[i].value)
	}
	return sum
}

// learnedSNR is the estimator learned-4: boosted trees over 228 figures of the clip (traits.go), tf-floor-1's among
// them, say how likely the SNR is above some levels, which makes the value, how far off that may be, and how likely the clip is
// noise alone. Trained on mixtures made
// from Debian's packages; docs/metrics.md has data, split and figures.
func learnedSNR(mono []float32, levels *blockLevels) SNR {
	c := figuring.Get().(*clipFigures)
	defer figuring.Put(c)
	e := c.measure(mono, levels)
	e.Method = LearnedMethod
	if !e.Measured {
		return e
	}
	var b traitBuilder
	b.build(c)
	score := learned.score.predict(b.values)
	e.SNR = learned.snr(score)
	reach := float64(intervalErrors * max(learned.error.predict(b.values), errorLeast))
	e.Low, e.High = e.SNR-reach, e.SNR+reach
	e.NoiseOdds = learned.odds.predict(b.values) + float64(scoreShare*score)
	return e
}

// SNRTraits returns what learned-4 sees of mono sound at 16 kHz, nil when there is no figure. The names are
// for the training script; the trees know a trait by its place.
func SNRTraits(mono []float32) (values []float32, names []string) {
	var c clipFigures
	var levels blockLevels
	levels.measure(mono)
	if e := c.measure(mono, &levels); !e.Measured {
		return nil, nil
	}
	b := traitBuilder{names: []string{}}
	b.build(&c)
	return b.values, b.names
}

// mustReadTrees reads the embedded file; a broken one is a broken build, which a test finds.
func mustReadTrees(b []byte) learnedModel {
	m, err := readTrees(b)
	if err != nil {
		panic(err)
	}
	return m
}

func readTrees(b []byte) (m learnedModel, err error) {
	errShort := fmt.Errorf("learned.trees ends early")
	take := func(n int) []byte {
		if len(b) < n {
			err = errShort
			return make([]byte, n)
		}
		part := b[:n]
		b = b[n:]
		return part
	}
	if string(take(4)) != "snr2" {
		return m, fmt.Errorf("learned.trees has another beginning")
	}
	m.traits = int(binary.LittleEndian.Uint32(take(4)))
	for _, e := range []*ensemble{&m.score, &m.odds, &m.error} {
		e.base = math.Float64frombits(binary.LittleEndian.Uint64(take(8)))
		count := binary.LittleEndian.Uint32(take(4))
		for i := uint32(0); i < count && err == nil; i++ {
			nodes := make([]treeNode, binary.LittleEndian.Uint16(take(2)))
			for j := range nodes {
				n := take(6)
				t := treeNode{n[0], n[1], math.Float32frombits(binary.LittleEndian.Uint32(n[2:]))}
				if t.trait != leaf && (int(t.trait) >= m.traits || int(t.right) <= j || int(t.right) >= len(nodes)) {
					return m, fmt.Errorf("learned.trees: node %d of tree %d leads nowhere", j, i)
				}
				nodes[j] = t
			}
			if len(nodes) == 0 || nodes[len(nodes)-1].trait != leaf {
				return m, fmt.Errorf("learned.trees: tree %d has no end", i)
			}
			e.trees = append(e.trees, nodes)
		}
	}
	m.knots = make([]knot, min(binary.LittleEndian.Uint32(take(4)), uint32(len(b)/8+1)))
	for i := range m.knots {
		k := take(8)
		m.knots[i] = knot{math.Float32frombits(binary.LittleEndian.Uint32(k)), math.Float32frombits(binary.LittleEndian.Uint32(k[4:]))}
		if err == nil && i > 0 && !(m.knots[i-1].score < m.knots[i].score) {
			return m, fmt.Errorf("learned.trees: the scores of the knots do not rise")
		}
	}
	if err == nil && len(m.knots) == 0 {
		return m, fmt.Errorf("learned.trees has no knots")
	}
	if err == nil && len(b) != 0 {
		err = fmt.Errorf("learned.trees: %d bytes too many", len(b))
	}
	return m, err
}

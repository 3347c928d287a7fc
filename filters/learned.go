package filters

import (
	_ "embed" // the trees
	"encoding/binary"
	"fmt"
	"math"
)

const (
	// The range of the residual's starting point, as in training.
	learnedLow, learnedHigh = -10.0, 30.0
	// noiseOdds is the log odds of noise alone from which a clip below the limit is unknown.
	noiseOdds = -0.5
	// intervalErrors times the expected error to either side hold the truth in 80 of 100 cases of the
	// cross-validation; errorLeast is its least value, in dB.
	intervalErrors, errorLeast = 1.52, 0.5
	leaf                       = 255 // as a node's trait
)

// learnedFile is written by scripts/snr/train.py: "snr1", the number of traits as uint32, then three ensembles
// of boosted trees: residual in dB over tf-floor-1, log odds of noise alone, expected absolute error in dB. An ensemble is a
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
	traits                int
	residual, odds, error ensemble
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

// learnedSNR is the estimator learned-2: boosted trees over 168 figures of the clip (traits.go) correct the value of
// tf-floor-1, say how far off that may be, and how likely the clip is noise alone. Trained on mixtures made
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
	start := min(max(float64(b.values[1]), learnedLow), learnedHigh)
	e.SNR = min(max(start+learned.residual.predict(b.values), lowest), highest)
	reach := float64(intervalErrors * max(learned.error.predict(b.values), errorLeast))
	e.Low, e.High = e.SNR-reach, e.SNR+reach
	e.NoiseOdds = learned.odds.predict(b.values)
	return e
}

// SNRTraits returns what learned-2 sees of mono sound at 16 kHz, nil when there is no figure. The names are
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
	if string(take(4)) != "snr1" {
		return m, fmt.Errorf("learned.trees has another beginning")
	}
	m.traits = int(binary.LittleEndian.Uint32(take(4)))
	for _, e := range []*ensemble{&m.residual, &m.odds, &m.error} {
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
	if err == nil && len(b) != 0 {
		err = fmt.Errorf("learned.trees: %d bytes too many", len(b))
	}
	return m, err
}

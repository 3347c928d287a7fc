package trainer

import (
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia refuses Go releases that it does not know without it
	G "gorgonia.org/gorgonia"
	T "gorgonia.org/tensor"
)

const (
	oracleRows = 5
	oracleDim  = 6
)

// gorgoniaInfoNCE is the loss and its gradients by gorgonia's automatic differentiation in float64.
func gorgoniaInfoNCE(t *testing.T, hub, other []float64) (float64, []float64, []float64) {
	t.Helper()
	g := G.NewGraph()
	matrix := func(name string, v []float64) *G.Node {
		return G.NewMatrix(g, G.Float64, G.WithShape(oracleRows, oracleDim), G.WithName(name),
			G.WithValue(T.New(T.WithShape(oracleRows, oracleDim), T.WithBacking(append([]float64(nil), v...)))))
	}
	a, b := matrix("hub", hub), matrix("other", other)
	logits := G.Must(G.Mul(a, G.Must(G.Transpose(b, 1, 0))))
	weight := make([]float64, oracleRows*oracleRows)
	for i := range oracleRows {
		weight[i*oracleRows+i] = -0.5 / oracleRows
	}
	diagonal := G.NewConstant(T.New(T.WithShape(oracleRows, oracleRows), T.WithBacking(weight)))
	half := func(l *G.Node) *G.Node {
		return G.Must(G.Sum(G.Must(G.HadamardProd(G.Must(G.LogSoftMax(l, 1)), diagonal))))
	}
	loss := G.Must(G.Add(half(logits), half(G.Must(G.Transpose(logits, 1, 0)))))
	if _, err := G.Grad(loss, a, b); err != nil {
		t.Fatal(err)
	}
	vm := G.NewTapeMachine(g, G.BindDualValues(a, b))
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	ga, err := a.Grad()
	if err != nil {
		t.Fatal(err)
	}
	gb, err := b.Grad()
	if err != nil {
		t.Fatal(err)
	}
	return loss.Value().Data().(float64), ga.Data().([]float64), gb.Data().([]float64)
}

// The loss and its gradients agree with an independent automatic differentiation.
func TestInfoNCEAgreesWithGorgonia(t *testing.T) {
	backend, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	exec, err := NewExec(backend, func(hub, other *Node) []*Node {
		loss := infoNCE(hub, other)
		return append([]*Node{loss}, Gradient(loss, hub, other)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		hub, other := make([]float64, oracleRows*oracleDim), make([]float64, oracleRows*oracleDim)
		for i := range hub {
			hub[i], other[i] = r.NormFloat64(), r.NormFloat64()
		}
		out, err := exec.Call(
			tensors.FromFlatDataAndDimensions(hub, oracleRows, oracleDim),
			tensors.FromFlatDataAndDimensions(other, oracleRows, oracleDim))
		if err != nil {
			t.Fatal(err)
		}
		loss, ga, gb := gorgoniaInfoNCE(t, hub, other)
		if d := math.Abs(out[0].Value().(float64) - loss); d > 1e-12 {
			t.Fatalf("seed %d: loss is %g off", seed, d)
		}
		for k, want := range [][]float64{ga, gb} {
			got := tensors.MustCopyFlatData[float64](out[k+1])
			for i := range want {
				if d := math.Abs(got[i] - want[i]); d > 1e-12 || math.IsNaN(got[i]) {
					t.Fatalf("seed %d: gradient %d of input %d is %g, want %g", seed, i, k, got[i], want[i])
				}
			}
		}
	}
}

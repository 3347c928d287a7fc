package executors

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/trainer/kernels"
)

func open(t *testing.T) compute.Backend {
	t.Helper()
	b, err := compute.NewWithConfig(gobackend.BackendName + ":ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// The library is the one that this package knows. When its version is raised this fails: read what linked.go mirrors
// in the new version, or take this package away.
func TestLibraryIsKnown(t *testing.T) {
	b := open(t)
	if err := matches(b); err != nil {
		t.Fatal(err)
	}
	if err := Install(b); err != nil {
		t.Error(err)
	}
}

// A type that is not laid out as this package believes is noticed.
func TestOtherLayoutsAreNoticed(t *testing.T) {
	type a struct {
		N    int
		Data any
	}
	type renamed struct {
		M    int
		Data any
	}
	type moved struct {
		Data any
		N    int
	}
	type retyped struct {
		N    uint
		Data any
	}
	type longer struct {
		N    int
		Data any
		More int
	}
	for _, other := range []any{renamed{}, moved{}, retyped{}, longer{}, 5} {
		if err := sameType(reflect.TypeOf(a{}), reflect.TypeOf(other)); err == nil {
			t.Errorf("%T is taken for %T", other, a{})
		}
	}
	if err := sameType(reflect.TypeOf(a{}), reflect.TypeOf(a{})); err != nil {
		t.Error(err)
	}
}

// Whatever this package computes, the library computes too: the same bits where the order of additions is the same,
// and next to them elsewhere.
func TestEqualsLibrary(t *testing.T) {
	b := open(t)
	if err := Install(b); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	arg := func(dims ...int) *tensors.Tensor {
		n := 1
		for _, d := range dims {
			n *= d
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
			if n > 50 && r.IntN(50) == 0 {
				v[i] = []float32{0, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e15}[r.IntN(5)]
			}
		}
		return tensors.FromFlatDataAndDimensions(v, dims...)
	}
	type test struct {
		name  string
		bound float64 // relative to the sum of what was added, 0 for the same bits
		args  []*tensors.Tensor
		f     func(x []*Node) *Node
	}
	var tests []test
	for _, s := range [][2][]int{
		{{6, 40}, {6, 40}}, {{6, 40}, {1, 40}}, {{6, 40}, {6, 1}}, {{6, 1}, {1, 40}}, {{1, 1}, {6, 40}}, {{3, 5, 16}, {1, 5, 1}},
		{{3, 5, 16}, {3, 1, 16}}, {{2, 3, 4, 5}, {2, 1, 4, 1}}, {{2, 1, 4, 1}, {1, 3, 1, 5}}, {{0, 3}, {0, 3}}, {{1, 1}, {1, 1}}, {{7}, {1}}, {{300, 500}, {300, 1}},
	} {
		for name, f := range map[string]func(a, b *Node) *Node{"add": Add, "sub": Sub, "mul": Mul, "div": Div} {
			if s[0][0] == 300 && name != "sub" {
				continue // one that is shared among threads
			}
			tests = append(tests, test{fmt.Sprint(name, s), 0, []*tensors.Tensor{arg(s[0]...), arg(s[1]...)}, func(x []*Node) *Node { return f(x[0], x[1]) }})
			tests = append(tests, test{fmt.Sprint(name, s, " in place"), 0, []*tensors.Tensor{arg(s[0]...), arg(s[1]...)}, func(x []*Node) *Node { return f(Abs(x[0]), Abs(x[1])) }})
			tests = append(tests, test{fmt.Sprint(name, s, " turned"), 0, []*tensors.Tensor{arg(s[1]...), arg(s[0]...)}, func(x []*Node) *Node { return f(x[0], Abs(x[1])) }})
		}
	}
	for _, n := range []int{0, 1, 9, 40000} {
		for name, f := range map[string]func(*Node) *Node{"exp": Exp, "erf": Erf} {
			tests = append(tests, test{fmt.Sprint(name, n), 3e-7, []*tensors.Tensor{arg(n)}, func(x []*Node) *Node { return f(x[0]) }})
		}
		for name, f := range map[string]func(*Node) *Node{"sqrt": Sqrt, "neg": Neg} {
			tests = append(tests, test{fmt.Sprint(name, n), 0, []*tensors.Tensor{arg(n)}, func(x []*Node) *Node { return f(f(x[0])) }})
		}
	}
	for _, s := range [][]int{{5, 6, 7}, {1, 6, 7}, {5, 1, 40}, {40, 33, 1}, {130, 9, 120}} {
		axes := []SliceAxisSpec{AxisRange(0, (s[0]+1)/2), AxisRange(s[1] / 2), AxisRange(s[2]/3, s[2])}
		for i := range 8 { // each axis whole or in part
			var part []SliceAxisSpec
			for axis := range 3 {
				if i>>axis&1 != 0 {
					part = append(part, axes[axis])
				} else {
					part = append(part, AxisRange())
				}
			}
			padded := []compute.PadAxis{{Start: i & 1, End: 2 * (i & 1)}, {Start: i & 2}, {End: i & 4}}
			tests = append(tests, test{fmt.Sprint("slice", s, i), 0, []*tensors.Tensor{arg(s...)}, func(x []*Node) *Node { return Slice(x[0], part...) }})
			tests = append(tests, test{fmt.Sprint("pad", s, i), 0, []*tensors.Tensor{arg(s...)}, func(x []*Node) *Node { return Pad(x[0], ScalarZero(x[0].Graph(), x[0].DType()), padded...) }})
		}
		odd := []compute.PadAxis{{Interior: 1}, {Start: 1, End: 1}}
		tests = append(tests, test{fmt.Sprint("strided slice", s), 0, []*tensors.Tensor{arg(s...)}, func(x []*Node) *Node { return Slice(x[0], AxisRange().Stride(2), AxisRange(), AxisRange().Stride(3)) }})
		tests = append(tests, test{fmt.Sprint("spread pad", s), 0, []*tensors.Tensor{arg(s...)}, func(x []*Node) *Node { return Pad(x[0], ScalarZero(x[0].Graph(), x[0].DType()), odd...) }})
		tests = append(tests, test{fmt.Sprint("pad with ones", s), 0, []*tensors.Tensor{arg(s...)}, func(x []*Node) *Node { return Pad(x[0], ScalarOne(x[0].Graph(), x[0].DType()), odd[1:]...) }})
		for _, p := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			tests = append(tests, test{fmt.Sprint("transpose", s, p), 0, []*tensors.Tensor{arg(s...)}, func(x []*Node) *Node { return TransposeAllAxes(x[0], p...) }})
		}
		for _, axes := range [][]int{{}, {0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}} {
			tests = append(tests, test{fmt.Sprint("sum", s, axes), 1e-5, []*tensors.Tensor{arg(s...)}, func(x []*Node) *Node { return ReduceSum(x[0], axes...) }})
			tests = append(tests, test{fmt.Sprint("max", s, axes), 0, []*tensors.Tensor{arg(s...)}, func(x []*Node) *Node { return ReduceMax(x[0], axes...) }})
		}
	}
	tests = append(tests, test{"columns", 0, []*tensors.Tensor{arg(300, 700)}, func(x []*Node) *Node { return ReduceSum(x[0], 0) }})
	for _, s := range [][2][]int{{{1, 5}, {4, 5}}, {{4, 1}, {4, 5}}, {{1, 1}, {4, 5}}, {{2, 1, 3, 1}, {2, 4, 3, 5}}, {{1, 4, 1}, {3, 4, 5}}} {
		// Reshape keeps the library from taking the broadcast into the next operation.
		tests = append(tests, test{fmt.Sprint("broadcast", s), 0, []*tensors.Tensor{arg(s[0]...)}, func(x []*Node) *Node { return Reshape(BroadcastToDims(x[0], s[1]...), -1) }})
	}
	for _, d := range []struct{ a, aContract, aBatch, b, bContract, bBatch []int }{
		{[]int{5, 7}, []int{1}, nil, []int{7, 3}, []int{0}, nil},
		{[]int{5, 7}, []int{1}, nil, []int{3, 7}, []int{1}, nil},
		{[]int{7, 5}, []int{0}, nil, []int{7, 3}, []int{0}, nil},
		{[]int{2, 5, 3, 8}, []int{3}, []int{0, 2}, []int{2, 6, 3, 8}, []int{3}, []int{0, 2}},
		{[]int{2, 3, 5, 6}, []int{3}, []int{0, 1}, []int{2, 6, 3, 8}, []int{1}, []int{0, 2}},
		{[]int{2, 3, 5, 6}, []int{2}, []int{0, 1}, []int{2, 5, 3, 8}, []int{1}, []int{0, 2}},
		{[]int{4, 5, 6}, []int{0, 1}, nil, []int{4, 5, 7}, []int{0, 1}, nil},
		{[]int{4, 5, 6}, []int{0, 2}, nil, []int{4, 6, 7}, []int{0, 1}, nil}, // no one stride: the library's
		{[]int{9}, []int{0}, nil, []int{9}, []int{0}, nil},
		{[]int{3, 1, 9}, []int{2}, []int{0}, []int{3, 9, 1}, []int{1}, []int{0}},
		{[]int{200, 300}, []int{1}, nil, []int{300, 100}, []int{0}, nil},
	} {
		tests = append(tests, test{fmt.Sprint("product", d), 1e-5, []*tensors.Tensor{arg(d.a...), arg(d.b...)}, func(x []*Node) *Node {
			return DotGeneral(x[0], d.aContract, d.aBatch, x[1], d.bContract, d.bBatch)
		}})
	}
	run := func(x test) []float32 {
		t.Helper()
		args := make([]any, len(x.args))
		for i, a := range x.args {
			args[i] = a
		}
		e := MustNewExec(b, func(in []*Node) *Node { return x.f(in) })
		defer e.Finalize()
		out, err := e.Call1(args...)
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		return tensors.MustCopyFlatData[float32](out)
	}
	var got [][]float32
	for _, x := range tests {
		got = append(got, run(x))
	}
	ours, build := nodeExecutors, registerDotGeneral.Fn
	defer func() { nodeExecutors, registerDotGeneral.Fn = ours, build }()
	for op, e := range replaced {
		nodeExecutors[op] = e
	}
	registerDotGeneral.Fn = replacedBuilder
	for i, x := range tests {
		want := run(x)
		if len(got[i]) != len(want) {
			t.Fatalf("%s: %d values, not %d", x.name, len(got[i]), len(want))
		}
		for j, w := range want {
			g := got[i][j]
			off := math.Abs(float64(g) - float64(w))
			if g != g && w != w || g == w || off <= x.bound*max(1, math.Abs(float64(w))) {
				continue
			}
			// A sum of huge values may go past the largest number in one order and not in another.
			if x.bound > 0 && math.Abs(float64(w)) > 1e29 && off < 1e-5*math.Abs(float64(w)) {
				continue
			}
			t.Errorf("%s: element %d is %g, the library's %g", x.name, j, g, w)
			break
		}
	}
	if kernels.Fast() && len(replaced) < 13 || len(replaced) < 4 {
		t.Errorf("only %d executors are replaced", len(replaced))
	}
}

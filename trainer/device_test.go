package trainer

import (
	"context"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/internal/sample"
	"prep/trainer/device"
)

// The program opens plugins in a child process, which in tests is the test itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == device.CheckArg {
		report, err := device.Probe(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("%s\n", report)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testDevice is where the golden tests compute: on the Go backend, or where PREP_TEST_DEVICE says, such as
// xla:/path/to/plugin.so.
func testDevice() string {
	if d := os.Getenv("PREP_TEST_DEVICE"); d != "" {
		return d
	}
	return "cpu"
}

func testBackend(t testing.TB, name string) compute.Backend {
	t.Helper()
	return openTestBackend(t, device.Options{Name: name})
}

func openTestBackend(t testing.TB, o device.Options) compute.Backend {
	t.Helper()
	o.Log = func(s string) { t.Log(s) }
	b, what, err := device.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(what)
	return b
}

// Another device than the Go backend takes the same ten steps of AdamW from the same weights and batch: losses
// within 1e-5, gradient norms within 5e-5 of themselves, which is what the goldens allow them.
func TestDevicesAgree(t *testing.T) {
	if testDevice() == "cpu" {
		t.Skip("PREP_TEST_DEVICE names no other device (scripts/fetch_cpu_plugin.sh gets one)")
	}
	c := small(t)
	rows := synthetic(6, sample.Image, sample.Text, sample.Audio)
	keys := make([]string, len(rows))
	index := make([]int, len(rows))
	for i := range rows {
		keys[i], index[i] = rows.Key(i), i
	}
	p := &pairing{rows: rows, train: c.Train, vocab: c.Model.Vocab}
	const steps = 10
	type outcome struct {
		losses [][]float32
		values map[string][]float32
	}
	run := func(name string) (o outcome) {
		e, err := openEngine(c.Model, c.Train, engineOptions{backend: testBackend(t, name)})
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		for i := range steps {
			var feeds []feed
			for _, m := range []sample.Modality{sample.Image, sample.Text, sample.Audio} {
				x, err := p.tensor(m, index, keys, 0)
				if err != nil {
					t.Fatal(err)
				}
				f := feed{modality: m, x: x}
				f.dropPath, f.head = e.masks(towerOf(m), i, keys)
				feeds = append(feeds, f)
			}
			r, err := e.step(feeds, 1e-3, []int{i + 1, i + 1, i + 1})
			if err != nil {
				t.Fatal(err)
			}
			o.losses = append(o.losses, append(r.losses, r.gradNorm))
			for _, f := range feeds {
				f.x.FinalizeAll()
			}
		}
		o.values = map[string][]float32{}
		for _, w := range e.weights {
			o.values[w.Name] = tensors.MustCopyFlatData[float32](e.store.GetVariable(variablePath(w.Name)).MustValue())
		}
		return o
	}
	a, b := run("cpu"), run(testDevice())
	for i := range steps {
		for j := range a.losses[i] {
			tolerance := 1e-5
			if j == len(a.losses[i])-1 {
				tolerance = 5e-5 // the gradient norm
			}
			if d := math.Abs(float64(a.losses[i][j]-b.losses[i][j])) / max(1, math.Abs(float64(a.losses[i][j]))); !(d <= tolerance) {
				t.Errorf("step %d, figure %d: %g on the Go backend, %g here", i+1, j, a.losses[i][j], b.losses[i][j])
			}
		}
	}
	worst := 0.0
	for name, v := range a.values {
		d := maxDiff(withoutKeyThird(name, v), withoutKeyThird(name, b.values[name]))
		worst = max(worst, d)
	}
	t.Logf("losses of %d steps: %v; weights differ by at most %.2g", steps, a.losses[steps-1], worst)
}

// An XLA device is given a computation and not waited for: what it makes is read, or given to the next one, when it is
// there.
func TestDevicesAreNotWaitedFor(t *testing.T) {
	if testDevice() == "cpu" {
		t.Skip("PREP_TEST_DEVICE names no XLA device (scripts/fetch_cpu_plugin.sh gets one)")
	}
	backend := testBackend(t, testDevice())
	defer backend.Finalize()
	const side = 512
	x, err := NewExec(backend, func(x *Node) *Node {
		y := x
		for range 20 {
			y = MulScalar(product(y, x), 1.0/side)
		}
		return y
	})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Finalize()
	ones := tensors.FromScalarAndDimensions(float32(1), side, side)
	defer ones.FinalizeAll()
	var given, read time.Duration
	for range 2 { // the first compiles
		began := time.Now()
		y, err := x.Call1(ones)
		if err != nil {
			t.Fatal(err)
		}
		z, err := x.Call1(y) // of what is not there yet
		if err != nil {
			t.Fatal(err)
		}
		y.FinalizeAll()
		given = time.Since(began)
		v, err := tensors.CopyFlatData[float32](z)
		if err != nil {
			t.Fatal(err)
		}
		z.FinalizeAll()
		read = time.Since(began)
		if v[0] != 1 || v[len(v)-1] != 1 {
			t.Fatalf("the product of matrices of ones is %g, %g", v[0], v[len(v)-1])
		}
	}
	if given > read/2 {
		t.Errorf("two computations were given after %s, of which the results were there after %s", given, read)
	}
	t.Logf("given after %s, read after %s", given, read)
}

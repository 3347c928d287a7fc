package trainer

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/sample"
)

// devicesHere counts the devices of the plugin under test.
func devicesHere(t *testing.T) int {
	t.Helper()
	b := testBackend(t, testDevice())
	defer b.Finalize()
	return int(b.NumDevices())
}

// Two and four devices that share each batch take the ten steps that one takes: losses and gradient norms within
// 1e-5. Drop path and dropout are on, so that each sample must meet its own noise, and the loss is of the whole
// batch: the share of a device alone would have another. So do two devices with two batches in a step.
func TestDevicesAgreeSharingBatches(t *testing.T) {
	onXLA(t)
	c := small(t)
	c.Train.Batch = 8
	for _, tw := range towers {
		tw.config(&c.Model).DropPath, tw.config(&c.Model).HeadDropout = 0.3, 0.1
	}
	rows := synthetic(c.Train.Batch, sample.Image, sample.Audio)
	index, keys := make([]int, len(rows)), make([]string, len(rows))
	for i := range rows {
		index[i], keys[i] = i, rows.Key(i)
	}
	p := &pairing{rows: rows, train: c.Train, vocab: c.Model.Vocab}
	const steps = 10
	run := func(devices, parts, steps int) (figures []float64, values map[string][]float32) {
		e, err := openEngine(c.Model, c.Train, engineOptions{backend: testBackend(t, testDevice()), devices: devices})
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		for i := range steps {
			var all [][]feed
			for j := range parts {
				n := len(rows) / parts
				at, keys := index[j*n:(j+1)*n], keys[j*n:(j+1)*n]
				var feeds []feed
				for _, m := range []sample.Modality{sample.Image, sample.Audio} {
					x, err := p.tensor(m, at, keys, 0)
					if err != nil {
						t.Fatal(err)
					}
					f := feed{modality: m, x: x}
					f.dropPath, f.head = e.masks(towerOf(m), i, keys)
					feeds = append(feeds, f)
				}
				all = append(all, feeds)
			}
			r, err := e.stepAll(all, 1e-3, []int{i + 1, i + 1})
			if err != nil {
				t.Fatal(err)
			}
			figures = append(figures, float64(r.losses[0]), float64(r.gradNorm))
		}
		values = map[string][]float32{}
		for v := range e.store.IterVariables() {
			values[v.Path()] = tensors.MustCopyFlatData[float32](v.MustValue())
		}
		return figures, values
	}
	have := devicesHere(t)
	if have < 2 {
		t.Skip("needs two devices, the plugin has one")
	}
	one, values := run(1, 1, steps)
	for _, how := range [][2]int{{2, 1}, {4, 1}, {2, 2}} {
		if how[0] > have {
			t.Logf("%d devices are not compared: the plugin has %d", how[0], have)
			continue
		}
		n := steps
		if how[1] > 1 {
			n = 2
		}
		many, after := run(how[0], how[1], n)
		worst := 0.0
		for i := range many {
			worst = max(worst, math.Abs(many[i]-one[i])/max(1, math.Abs(one[i])))
		}
		if !(worst <= 1e-5) {
			t.Errorf("%d devices, %d batches: figures are off by %.2g", how[0], how[1], worst)
		}
		t.Logf("%d devices, %d batches in a step: losses and gradient norms of %d steps off by at most %.2g", how[0], how[1], n, worst)
		if n == steps {
			for name := range values {
				if d := maxDiff(withoutKeyThird(name, values[name]), withoutKeyThird(name, after[name])); !(d <= 1e-3) {
					t.Errorf("%d devices: %s is off by %g", how[0], name, d)
				}
			}
		}
	}
}

// What devices cannot share is refused, with what to do.
func TestDevicesRefused(t *testing.T) {
	c := small(t)
	b, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openEngine(c.Model, c.Train, engineOptions{backend: b, devices: 2}); err == nil || !strings.Contains(err.Error(), "2 devices need XLA") {
		t.Errorf("the Go backend: %v", err)
	}
	c.Train.Devices, c.Train.Batch = 4, 6
	_, err = run(t.Context(), options(t.TempDir(), false), c, synthetic(14, sample.Image, sample.Text), testData)
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "a batch of 6 does not come out even on 4 devices") {
		t.Errorf("batch 6 on 4 devices: %v", err)
	}
	if testDevice() == "cpu" {
		return
	}
	x := testBackend(t, testDevice())
	if _, err := openEngine(c.Model, configs.Train{}, engineOptions{backend: x, devices: 1000}); err == nil || !strings.Contains(err.Error(), "1000 devices are asked for, the plugin has") {
		t.Errorf("1000 devices: %v", err)
	}
}

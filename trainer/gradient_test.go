package trainer

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	G "gorgonia.org/gorgonia"
	T "gorgonia.org/tensor"

	"prep/configs"
	"prep/internal/sample"
)

// In these tests the network's graphs are built over float64 weights, which finite differences and oracles need.

// double is a network over a float64 store with weights drawn at random, biases and norms too, so that each one
// matters.
func double(t *testing.T, m configs.Model, backend compute.Backend) *network {
	t.Helper()
	n := &network{config: &m, store: model.NewStore(), adapters: map[string]*adapter{}}
	for _, w := range StateDict(&m) {
		v := make([]float64, w.Elements())
		s := draw(3, "double", 0, w.Name)
		start := w.values(3)
		for i := range v {
			if v[i] = float64(start[i]); !w.Buffer {
				v[i] += 0.1 * (2*s.Uniform() - 1)
			}
		}
		if _, err := n.store.CreateVariable(variablePath(w.Name), tensors.FromFlatDataAndDimensions(v, w.Shape...)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { n.store.Finalize(); backend.Finalize() })
	return n
}

func uniform(s *stream, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = 2*s.Uniform() - 1
	}
	return tensors.FromFlatDataAndDimensions(v, dims...)
}

// The gradient of the whole model's loss, all six towers with LayerScale, drop path, dropout and learnable scales, by
// every one of its tensors equals the finite difference of the loss along a random direction of that tensor. A wrong
// gradient of a single element shows in all directions but a few.
func TestGradientsAgreeWithFiniteDifferences(t *testing.T) {
	c := small(t)
	m := c.Model
	m.LayerScale, m.Vocab = "channel", 32
	for _, tw := range towers {
		w := tw.config(&m)
		w.LayerScale, w.Learnable, w.Scale, w.Blocks = 0.5, true, 5, 1
	}
	backend, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	n := double(t, m, backend)
	const b = 3
	s := draw(4, "inputs", 0, "")
	ids := make([]int32, b*contextLength)
	for i := range ids {
		ids[i] = int32(s.Below(m.Vocab))
	}
	modalities := []sample.Modality{sample.Image, sample.Text, sample.Audio, sample.Depth, sample.Thermal, sample.IMU}
	shapes := map[sample.Modality][]int{sample.Image: {b, 3, imageSize, imageSize}, sample.Audio: {b, 1, melBins, melFrames},
		sample.Depth: {b, 1, imageSize, imageSize}, sample.Thermal: {b, 1, imageSize, imageSize}, sample.IMU: {b, imuChannels, imuSamples}}
	var args []any
	for _, modality := range modalities {
		if modality == sample.Text {
			args = append(args, tensors.FromFlatDataAndDimensions(ids, b, contextLength))
		} else {
			args = append(args, uniform(s, shapes[modality]...))
		}
		w := towerOf(modality).config(&m)
		args = append(args, uniform(s, 2*w.Blocks, b), uniform(s, b, w.Width)) // any factors do
	}
	outputs := func(in []*Node) (out []*Node) {
		for i, modality := range modalities {
			s := n.encode(towerOf(modality), in[3*i], noise{dropPath: in[3*i+1], head: in[3*i+2]})
			if i == 0 {
				out = append(out, s.unit)
			} else {
				out = append(out, s.output)
			}
		}
		return out
	}
	contrast := func(out []*Node) *Node {
		total := infoNCE(out[0], out[1])
		for _, other := range out[2:] {
			total = Add(total, infoNCE(out[0], other))
		}
		return total
	}
	var weights []Weight
	for _, w := range StateDict(&m) {
		if !w.Buffer {
			weights = append(weights, w)
		}
	}
	slope, err := model.NewExec(backend, n.store, func(_ *model.Scope, in []*Node) []*Node {
		out := outputs(in)
		l := contrast(out)
		var nodes []*Node
		for _, w := range weights {
			nodes = append(nodes, n.store.GetVariable(variablePath(w.Name)).NodeValue(l.Graph()))
		}
		return append(out, Gradient(l, nodes...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	grads, err := slope.Call(args...)
	if err != nil {
		t.Fatal(err)
	}
	embedded, grads := grads[:len(modalities)], grads[len(modalities):]
	// The loss by the weights of one tower, the others' outputs being what they are: towers share no weight.
	values := map[string]func() float64{}
	for i, modality := range modalities {
		run, err := model.NewExec(backend, n.store, func(_ *model.Scope, in []*Node) *Node {
			out := append([]*Node(nil), in[3:]...)
			s := n.encode(towerOf(modality), in[0], noise{dropPath: in[1], head: in[2]})
			if out[i] = s.output; i == 0 {
				out[i] = s.unit
			}
			return contrast(out)
		})
		if err != nil {
			t.Fatal(err)
		}
		in := append([]any(nil), args[3*i:3*i+3]...)
		for _, e := range embedded {
			in = append(in, e)
		}
		values[towerOf(modality).name] = func() float64 {
			out, err := run.Call1(in...)
			if err != nil {
				t.Fatal(err)
			}
			return out.Value().(float64)
		}
	}
	const h = 1e-5
	worst, worstName := 0.0, ""
	for i, w := range weights {
		g := tensors.MustCopyFlatData[float64](grads[i])
		v := n.store.GetVariable(variablePath(w.Name))
		was := tensors.MustCopyFlatData[float64](v.MustValue())
		direction := tensors.MustCopyFlatData[float64](uniform(draw(5, "direction", 0, w.Name), len(g)))
		at := func(step float64) float64 {
			x := make([]float64, len(was))
			for j := range x {
				x[j] = was[j] + step*direction[j]
			}
			if err := v.SetValue(tensors.FromFlatDataAndDimensions(x, w.Shape...)); err != nil {
				t.Fatal(err)
			}
			return values[w.Tower]()
		}
		measured := (at(h) - at(-h)) / (2 * h)
		at(0)
		analytic, size := 0.0, 0.0
		for j := range g {
			analytic += g[j] * direction[j]
			size += g[j] * g[j]
		}
		// Of the loss' rounding, about 1e-15 / h, and of the third derivative, h².
		d := math.Abs(measured-analytic) / (1e-6*math.Sqrt(size) + 1e-9)
		if d > worst || math.IsNaN(d) {
			worst, worstName = d, w.Name
		}
		if !(d <= 1) {
			t.Errorf("%s: finite difference %.10g, gradient %.10g, of length %.3g", w.Name, measured, analytic, math.Sqrt(size))
		}
		if size == 0 {
			t.Errorf("%s has no gradient", w.Name)
		}
	}
	t.Logf("%d tensors; the worst is %s, at %.2g of the tolerance", len(weights), worstName, worst)
}

// An oracle builds a piece in gorgonia, in float64 and of matrices alone, with gradients by its own automatic
// differentiation.
type oracle struct {
	t      *testing.T
	g      *G.ExprGraph
	leaves map[string]*G.Node
	sum    *G.Node
}

func newOracle(t *testing.T) *oracle {
	return &oracle{t: t, g: G.NewGraph(), leaves: map[string]*G.Node{}}
}

func (o *oracle) matrix(name string, rows, cols int, v []float64) *G.Node {
	n := G.NewMatrix(o.g, G.Float64, G.WithShape(rows, cols), G.WithName(name), G.WithValue(T.New(T.WithShape(rows, cols), T.WithBacking(append([]float64(nil), v...)))))
	o.leaves[name] = n
	return n
}

func (o *oracle) vector(name string, v []float64) *G.Node {
	n := G.NewVector(o.g, G.Float64, G.WithShape(len(v)), G.WithName(name), G.WithValue(T.New(T.WithShape(len(v)), T.WithBacking(append([]float64(nil), v...)))))
	o.leaves[name] = n
	return n
}

func constant(rows, cols int, v func(i, j int) float64) *G.Node {
	x := make([]float64, rows*cols)
	for i := range x {
		x[i] = v(i/cols, i%cols)
	}
	return G.NewConstant(T.New(T.WithShape(rows, cols), T.WithBacking(x)))
}

func times(a, b *G.Node) *G.Node     { return G.Must(G.Mul(a, b)) }
func transposed(a *G.Node) *G.Node   { return G.Must(G.Transpose(a, 1, 0)) }
func plusRow(a, row *G.Node) *G.Node { return G.Must(G.BroadcastAdd(a, row, nil, []byte{0})) }

// add takes the sum of y times given factors into the oracle's scalar.
func (o *oracle) add(y *G.Node, rows, cols int, factors []float64) {
	s := G.Must(G.Sum(G.Must(G.HadamardProd(y, constant(rows, cols, func(i, j int) float64 { return factors[i*cols+j] })))))
	if o.sum == nil {
		o.sum = s
	} else {
		o.sum = G.Must(G.Add(o.sum, s))
	}
}

// gradients runs the graph.
func (o *oracle) gradients() (value float64, grads map[string][]float64) {
	o.t.Helper()
	var leaves []*G.Node
	for _, n := range o.leaves {
		leaves = append(leaves, n)
	}
	if _, err := G.Grad(o.sum, leaves...); err != nil {
		o.t.Fatal(err)
	}
	vm := G.NewTapeMachine(o.g, G.BindDualValues(leaves...))
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		o.t.Fatal(err)
	}
	grads = map[string][]float64{}
	for name, n := range o.leaves {
		v, err := n.Grad()
		if err != nil {
			o.t.Fatal(name, err)
		}
		grads[name] = v.Data().([]float64)
	}
	return o.sum.Value().Data().(float64), grads
}

// piece runs a part of the network over float64 values and returns the sum of its output times given factors, and
// the gradients by the named weights and the input.
func piece(t *testing.T, n *network, backend compute.Backend, x *tensors.Tensor, factors *tensors.Tensor, names []string, build func(x *Node) *Node) (float64, map[string][]float64) {
	t.Helper()
	run, err := model.NewExec(backend, n.store, func(_ *model.Scope, in []*Node) []*Node {
		total := ReduceAllSum(Mul(build(in[0]), in[1]))
		nodes := []*Node{in[0]}
		for _, name := range names {
			nodes = append(nodes, n.store.GetVariable(variablePath(name)).NodeValue(total.Graph()))
		}
		return append([]*Node{total}, Gradient(total, nodes...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Call(x, factors)
	if err != nil {
		t.Fatal(err)
	}
	grads := map[string][]float64{"x": tensors.MustCopyFlatData[float64](out[1])}
	for i, name := range names {
		grads[name] = tensors.MustCopyFlatData[float64](out[i+2])
	}
	return out[0].Value().(float64), grads
}

func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= 1e-11) {
			t.Fatalf("%s[%d]: %.15g, want %.15g", what, i, got[i], want[i])
		}
	}
}

// Attention with a learned extra key and value agrees with an independent formulation, head by head in plain
// matrices: o = (exp(q k') v + exp(q b_k') b_v) / (sum exp(q k') + exp(q b_k')).
func TestAttentionAgreesWithGorgonia(t *testing.T) {
	c := small(t)
	m := c.Model
	backend, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	n := double(t, m, backend)
	const b, length, heads = 2, 5, 2
	w := m.Audio.Width
	d := w / heads
	prefix := "modality_trunks.audio.blocks.0.attn"
	names := []string{prefix + ".in_proj_weight", prefix + ".in_proj_bias", prefix + ".bias_k", prefix + ".bias_v", prefix + ".out_proj.weight", prefix + ".out_proj.bias"}
	s := draw(6, "attention", 0, "")
	x, factors := uniform(s, b*length, w), uniform(s, b*length, w)
	value, grads := piece(t, n, backend, x, factors, names, func(x *Node) *Node { return n.attention(towerOf(sample.Audio), prefix, x, b) })

	weight := func(i int) []float64 {
		return tensors.MustCopyFlatData[float64](n.store.GetVariable(variablePath(names[i])).MustValue())
	}
	o := newOracle(t)
	in, bias, out := weight(0), weight(1), weight(4)
	type head struct{ q, k, v, bq, bk, bv, ek, ev, out *G.Node }
	var hs []head
	for h := range heads {
		part := func(i int) *G.Node {
			return o.matrix(fmt.Sprintf("w%d.%d", i, h), d, w, in[(i*w+h*d)*w:(i*w+(h+1)*d)*w])
		}
		row := func(i int) *G.Node { return o.vector(fmt.Sprintf("b%d.%d", i, h), bias[i*w+h*d:i*w+(h+1)*d]) }
		columns := make([]float64, 0, w*d)
		for r := range w {
			columns = append(columns, out[r*w+h*d:r*w+(h+1)*d]...)
		}
		hs = append(hs, head{part(0), part(1), part(2), row(0), row(1), row(2),
			o.matrix(fmt.Sprintf("ek.%d", h), 1, d, weight(2)[h*d:(h+1)*d]), o.matrix(fmt.Sprintf("ev.%d", h), 1, d, weight(3)[h*d:(h+1)*d]),
			o.matrix(fmt.Sprintf("out.%d", h), w, d, columns)})
	}
	outBias := o.vector("out bias", weight(5))
	flat, f := tensors.MustCopyFlatData[float64](x), tensors.MustCopyFlatData[float64](factors)
	scale := constant(length, length, func(int, int) float64 { return 1 / math.Sqrt(float64(d)) })
	scale1 := constant(length, 1, func(int, int) float64 { return 1 / math.Sqrt(float64(d)) })
	ones := constant(length, 1, func(int, int) float64 { return 1 })
	across := constant(1, d, func(int, int) float64 { return 1 })
	for i := range b {
		xi := o.matrix(fmt.Sprintf("x%d", i), length, w, flat[i*length*w:(i+1)*length*w])
		var y *G.Node
		for _, h := range hs {
			q, k, v := plusRow(times(xi, transposed(h.q)), h.bq), plusRow(times(xi, transposed(h.k)), h.bk), plusRow(times(xi, transposed(h.v)), h.bv)
			e := G.Must(G.Exp(G.Must(G.HadamardProd(times(q, transposed(k)), scale))))
			extra := G.Must(G.Exp(G.Must(G.HadamardProd(times(q, transposed(h.ek)), scale1)))) // [length, 1]
			total := times(G.Must(G.Add(times(e, ones), extra)), across)                       // [length, d]
			weighted := G.Must(G.HadamardDiv(G.Must(G.Add(times(e, v), times(extra, h.ev))), total))
			if part := times(weighted, transposed(h.out)); y == nil {
				y = part
			} else {
				y = G.Must(G.Add(y, part))
			}
		}
		o.add(plusRow(y, outBias), length, w, f[i*length*w:(i+1)*length*w])
	}
	want, oracleGrads := o.gradients()
	near(t, "value", []float64{value}, []float64{want})
	for i := range b {
		near(t, "x", grads["x"][i*length*w:(i+1)*length*w], oracleGrads[fmt.Sprintf("x%d", i)])
	}
	for h := range heads {
		for i := range 3 {
			near(t, fmt.Sprintf("in_proj_weight, part %d, head %d", i, h), grads[names[0]][(i*w+h*d)*w:(i*w+(h+1)*d)*w], oracleGrads[fmt.Sprintf("w%d.%d", i, h)])
			near(t, fmt.Sprintf("in_proj_bias, part %d, head %d", i, h), grads[names[1]][i*w+h*d:i*w+(h+1)*d], oracleGrads[fmt.Sprintf("b%d.%d", i, h)])
		}
		near(t, "bias_k", grads[names[2]][h*d:(h+1)*d], oracleGrads[fmt.Sprintf("ek.%d", h)])
		near(t, "bias_v", grads[names[3]][h*d:(h+1)*d], oracleGrads[fmt.Sprintf("ev.%d", h)])
		for r := range w {
			near(t, "out_proj.weight", grads[names[4]][r*w+h*d:r*w+(h+1)*d], oracleGrads[fmt.Sprintf("out.%d", h)][r*d:(r+1)*d])
		}
	}
	near(t, "out_proj.bias", grads[names[5]], oracleGrads["out bias"])
}

// LayerNorm agrees with gorgonia's gradients.
func TestLayerNormAgreesWithGorgonia(t *testing.T) {
	c := small(t)
	backend, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	n := double(t, c.Model, backend)
	const rows = 7
	w := c.Model.Audio.Width
	prefix := "modality_trunks.audio.blocks.0.norm_1"
	names := []string{prefix + ".weight", prefix + ".bias"}
	s := draw(7, "norm", 0, "")
	x, factors := uniform(s, 1, rows, w), uniform(s, 1, rows, w)
	value, grads := piece(t, n, backend, x, factors, names, func(x *Node) *Node { return n.layerNorm(x, prefix, blockEpsilon) })

	o := newOracle(t)
	weight := func(i int) []float64 {
		return tensors.MustCopyFlatData[float64](n.store.GetVariable(variablePath(names[i])).MustValue())
	}
	xi, gain, shift := o.matrix("x", rows, w, tensors.MustCopyFlatData[float64](x)), o.vector(names[0], weight(0)), o.vector(names[1], weight(1))
	o.add(o.norm(xi, rows, w, blockEpsilon, gain, shift), rows, w, tensors.MustCopyFlatData[float64](factors))
	want, oracleGrads := o.gradients()
	near(t, "value", []float64{value}, []float64{want})
	for name, g := range oracleGrads {
		near(t, name, grads[name], g)
	}
}

// The two-layer perceptron agrees with gorgonia. Gorgonia has no error function, so its GELU is a product with the
// slope and a remainder that are worked out on the host, x slope(x0) + (gelu(x0) - x0 slope(x0)) at the point x0:
// the same value and the same gradient.
func TestPerceptronAgreesWithGorgonia(t *testing.T) {
	c := small(t)
	backend, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	n := double(t, c.Model, backend)
	const rows = 6
	w := c.Model.Audio.Width
	inner := w * c.Model.MLPRatio
	prefix := "modality_trunks.audio.blocks.0.mlp"
	names := []string{prefix + ".fc1.weight", prefix + ".fc1.bias", prefix + ".fc2.weight", prefix + ".fc2.bias"}
	s := draw(8, "mlp", 0, "")
	x, factors := uniform(s, rows, w), uniform(s, rows, w)
	value, grads := piece(t, n, backend, x, factors, names, func(x *Node) *Node { return n.perceptron(x, prefix) })

	weight := func(i int) []float64 {
		return tensors.MustCopyFlatData[float64](n.store.GetVariable(variablePath(names[i])).MustValue())
	}
	flat, w1, b1 := tensors.MustCopyFlatData[float64](x), weight(0), weight(1)
	hidden := func(i, j int) float64 {
		h := b1[j]
		for k := range w {
			h += flat[i*w+k] * w1[j*w+k]
		}
		return h
	}
	cdf := func(h float64) float64 { return 0.5 * (1 + math.Erf(h/math.Sqrt2)) }
	slope := func(h float64) float64 { return cdf(h) + h*math.Exp(-h*h/2)/math.Sqrt(2*math.Pi) }
	o := newOracle(t)
	h := plusRow(times(o.matrix("x", rows, w, flat), transposed(o.matrix(names[0], inner, w, w1))), o.vector(names[1], b1))
	a := G.Must(G.Add(G.Must(G.HadamardProd(h, constant(rows, inner, func(i, j int) float64 { return slope(hidden(i, j)) }))),
		constant(rows, inner, func(i, j int) float64 { h := hidden(i, j); return h*cdf(h) - h*slope(h) })))
	y := plusRow(times(a, transposed(o.matrix(names[2], w, inner, weight(2)))), o.vector(names[3], weight(3)))
	o.add(y, rows, w, tensors.MustCopyFlatData[float64](factors))
	want, oracleGrads := o.gradients()
	near(t, "value", []float64{value}, []float64{want})
	for name, g := range oracleGrads {
		near(t, name, grads[name], g)
	}
}

// norm is a LayerNorm of rows in gorgonia.
func (o *oracle) norm(x *G.Node, rows, w int, epsilon float64, gain, shift *G.Node) *G.Node {
	mean := constant(w, w, func(int, int) float64 { return 1 / float64(w) })
	centred := G.Must(G.Sub(x, times(x, mean))) // the mean of each row, as a product, in each of its places
	deviation := G.Must(G.Sqrt(G.Must(G.Add(times(G.Must(G.Square(centred)), mean), constant(rows, w, func(int, int) float64 { return epsilon })))))
	return plusRow(G.Must(G.BroadcastHadamardProd(G.Must(G.HadamardDiv(centred, deviation)), gain, nil, []byte{0})), shift)
}

// The stems of overlapping patches and of pieces of motion agree with gorgonia: patches cut on the host, the kernel, the
// stem's LayerNorm, the class token and positions.
func TestStemsAgreeWithGorgonia(t *testing.T) {
	c := small(t)
	m := c.Model
	m.Audio.Kernel, m.Audio.Stride = 64, 40
	backend, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	n := double(t, m, backend)
	for _, c := range []struct {
		modality sample.Modality
		shape    []int
		each     int // values of a patch
		// at is where value i of patch p lies in the sample.
		at               func(cols, p, i int) int
		kernel, position string
	}{
		{sample.Audio, []int{1, melBins, melFrames}, 64 * 64, func(cols, p, i int) int {
			return (p/cols*40+i/64)*melFrames + p%cols*40 + i%64
		}, ".rgbt_stem", ".pos_embedding_helper.pos_embed"},
		{sample.IMU, []int{imuChannels, imuSamples}, imuChannels * m.IMU.Kernel, func(_, p, i int) int {
			return i/m.IMU.Kernel*imuSamples + p*m.IMU.Kernel + i%m.IMU.Kernel
		}, ".imu_stem", ".pos_embed"},
	} {
		tower := towerOf(c.modality)
		rows, cols := tower.grid(&m)
		w, patches := tower.config(&m).Width, rows*cols
		pre := "modality_preprocessors." + tower.name
		names := []string{pre + ".cls_token", pre + c.kernel + ".proj.weight", pre + c.kernel + ".norm_layer.weight", pre + c.kernel + ".norm_layer.bias", pre + c.position}
		s := draw(9, "stem", 0, tower.name)
		const b = 2
		x, factors := uniform(s, append([]int{b}, c.shape...)...), uniform(s, b, patches+1, w)
		value, grads := piece(t, n, backend, x, factors, names, func(x *Node) *Node { return n.stem(tower, x) })

		weight := func(i int) []float64 {
			return tensors.MustCopyFlatData[float64](n.store.GetVariable(variablePath(names[i])).MustValue())
		}
		flat, f := tensors.MustCopyFlatData[float64](x), tensors.MustCopyFlatData[float64](factors)
		o := newOracle(t)
		class, kernel := o.matrix(names[0], 1, w, weight(0)), o.matrix(names[1], w, c.each, weight(1))
		gain, shift := o.vector(names[2], weight(2)), o.vector(names[3], weight(3))
		first, rest := o.matrix("first position", 1, w, weight(4)[:w]), o.matrix("other positions", patches, w, weight(4)[w:])
		for i := range b {
			xi := flat[i*len(flat)/b : (i+1)*len(flat)/b]
			cut := constant(patches, c.each, func(p, j int) float64 { return xi[c.at(cols, p, j)] })
			fi := f[i*(patches+1)*w : (i+1)*(patches+1)*w]
			o.add(G.Must(G.Add(class, first)), 1, w, fi[:w])
			o.add(G.Must(G.Add(o.norm(times(cut, transposed(kernel)), patches, w, stemEpsilon, gain, shift), rest)), patches, w, fi[w:])
		}
		want, oracleGrads := o.gradients()
		near(t, tower.name+": value", []float64{value}, []float64{want})
		for _, name := range names[:4] {
			near(t, name, grads[name], oracleGrads[name])
		}
		near(t, names[4], grads[names[4]], append(oracleGrads["first position"], oracleGrads["other positions"]...))
	}
}

// LayerScale agrees with gorgonia, with a factor for each channel and with one for all.
func TestLayerScaleAgreesWithGorgonia(t *testing.T) {
	for _, of := range []string{"channel", "scalar"} {
		c := small(t)
		m := c.Model
		m.LayerScale = of
		backend, err := newBackend()
		if err != nil {
			t.Fatal(err)
		}
		n := double(t, m, backend)
		const rows = 7
		w := m.Audio.Width
		names := []string{"modality_trunks.audio.blocks.0.layer_scale_gamma1"}
		s := draw(12, "layer scale", 0, of)
		x, factors := uniform(s, rows, w), uniform(s, rows, w)
		value, grads := piece(t, n, backend, x, factors, names, func(x *Node) *Node { return n.layerScale(x, names[0]) })

		gamma := tensors.MustCopyFlatData[float64](n.store.GetVariable(variablePath(names[0])).MustValue())
		if want := map[string]int{"channel": w, "scalar": 1}[of]; len(gamma) != want {
			t.Fatalf("%s: %d factors, want %d", of, len(gamma), want)
		}
		o := newOracle(t)
		g := o.matrix(names[0], 1, len(gamma), gamma)
		all := g // one for each channel
		if of == "scalar" {
			all = times(g, constant(1, w, func(int, int) float64 { return 1 }))
		}
		all = times(constant(rows, 1, func(int, int) float64 { return 1 }), all)
		o.add(G.Must(G.HadamardProd(o.matrix("x", rows, w, tensors.MustCopyFlatData[float64](x)), all)), rows, w, tensors.MustCopyFlatData[float64](factors))
		want, oracleGrads := o.gradients()
		near(t, of+": value", []float64{value}, []float64{want})
		for name, g := range oracleGrads {
			near(t, of+": "+name, grads[name], g)
		}
	}
}

// A text tower without blocks agrees with gorgonia: the embedding of ids and positions, the choice of the end
// marker's position, the head, unit length and the learnable scale.
func TestTextHeadAgreesWithGorgonia(t *testing.T) {
	c := small(t)
	m := c.Model
	m.Vocab, m.Text.Learnable, m.Text.Scale = 32, true, 5
	backend, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	n := double(t, m, backend)
	text := towerOf(sample.Text)
	w, dim := m.Text.Width, m.Dim
	norm, proj := text.headNames()
	names := []string{"modality_preprocessors.text.token_embedding.weight", "modality_preprocessors.text.pos_embed", norm + ".weight", norm + ".bias", proj, text.scaleName()}
	m.Text.Blocks = 0
	// The largest id is the end marker: at the end, in the middle, and twice, where the first counts.
	const b = 3
	ends := []int{contextLength - 1, 5, 9}
	ids := make([]int32, b*contextLength)
	s := draw(10, "text", 0, "")
	for i := range b {
		for j := range contextLength {
			ids[i*contextLength+j] = int32(s.Below(m.Vocab - 1))
		}
		ids[i*contextLength+ends[i]] = int32(m.Vocab - 1)
	}
	ids[2*contextLength+20] = int32(m.Vocab - 1)
	n.config = &m
	factors := uniform(s, b, dim)
	run, err := model.NewExec(backend, n.store, func(_ *model.Scope, in []*Node) []*Node {
		total := ReduceAllSum(Mul(n.encode(text, in[0], noise{}).output, in[1]))
		var nodes []*Node
		for _, name := range names {
			nodes = append(nodes, n.store.GetVariable(variablePath(name)).NodeValue(total.Graph()))
		}
		return append([]*Node{total}, Gradient(total, nodes...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Call(tensors.FromFlatDataAndDimensions(ids, b, contextLength), factors)
	if err != nil {
		t.Fatal(err)
	}

	weight := func(i int) []float64 {
		return tensors.MustCopyFlatData[float64](n.store.GetVariable(variablePath(names[i])).MustValue())
	}
	o := newOracle(t)
	is := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	token := constant(b, m.Vocab, func(i, id int) float64 { return is(int(ids[i*contextLength+ends[i]]) == id) })
	place := constant(b, contextLength, func(i, j int) float64 { return is(ends[i] == j) })
	h := G.Must(G.Add(times(token, o.matrix(names[0], m.Vocab, w, weight(0))), times(place, o.matrix(names[1], contextLength, w, weight(1)))))
	h = o.norm(h, b, w, blockEpsilon, o.vector(names[2], weight(2)), o.vector(names[3], weight(3)))
	v := times(h, transposed(o.matrix(names[4], dim, w, weight(4))))
	length := G.Must(G.Sqrt(times(G.Must(G.Square(v)), constant(dim, dim, func(int, int) float64 { return 1 }))))
	scale := G.Must(G.Exp(o.matrix(names[5], 1, 1, weight(5))))
	all := times(times(constant(b, 1, func(int, int) float64 { return 1 }), scale), constant(1, dim, func(int, int) float64 { return 1 }))
	o.add(G.Must(G.HadamardProd(G.Must(G.HadamardDiv(v, length)), all)), b, dim, tensors.MustCopyFlatData[float64](factors))
	want, oracleGrads := o.gradients()
	near(t, "value", []float64{out[0].Value().(float64)}, []float64{want})
	for i, name := range names {
		near(t, name, tensors.MustCopyFlatData[float64](out[i+1]), oracleGrads[name])
	}
}

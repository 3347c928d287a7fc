package trainer

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/model"

	"prep/configs"
)

// LayerNorm's epsilons in ImageBind: PyTorch's default in the stems, 1e-6 everywhere else.
const (
	stemEpsilon  = 1e-5
	blockEpsilon = 1e-6
)

// maxLogitScale bounds every logit scale, as in CLIP.
const maxLogitScale = 100

// A network builds the graph of the towers over the variables of a store. Weights keep PyTorch's layout
// ([out, in]); activations are [batch, tokens, width].
type network struct {
	config *configs.Model
	store  *model.Store
	// adapters are what LoRA adds to weights, by the weight's name.
	adapters map[string]*adapter
	// recompute keeps no block's inner values for the gradient.
	recompute bool
	// half is what products read and activations are kept in; InvalidDType is as the weights are.
	half dtypes.DType
	// flash has cuDNN compute attention without ever writing down the scores.
	flash bool
	// inference says that no gradient is taken, so that nothing has to be computed again for one.
	inference bool
	// rowsRight has a stem's product read its input from the right, for the Go backend.
	rowsRight bool
	// causal says that the text tower's mask is the causal one, which flash kernels have built in.
	causal bool
}

// stages are the values along a tower that the goldens hold.
type stages struct {
	tokens *Node // [B, T, width] into the trunk
	trunk  *Node // [B, T, width] out of it, before the head
	head   *Node // [B, dim]
	unit   *Node // [B, dim], of length 1
	output *Node // [B, dim], unit times the logit scale
}

// noise holds a tower's random masks in training, drawn on the host so that every engine draws the same;
// nil leaves a tower undisturbed.
type noise struct {
	dropPath *Node // [2*blocks, B] or, for mode tokens, [2*blocks, T]: 0 or 1/keep for each residual branch
	head     *Node // [B, width]: 0 or 1/keep before the head's projection
}

// variablePath is where the store keeps a parameter.
func variablePath(name string) string { return "/" + name }

func (n *network) value(g *Graph, format string, args ...any) *Node {
	name := fmt.Sprintf(format, args...)
	v := n.store.GetVariable(variablePath(name))
	if v == nil {
		panic(fmt.Errorf("the model has no parameter %s", name)) // caught where graphs are built
	}
	if a := n.adapters[name]; a != nil {
		return a.adapt(v.NodeValue(g), n.store)
	}
	return v.NodeValue(g)
}

// matrix is value for a matrix that a product of the trunk reads: rounded already where it rests on the device so.
func (n *network) matrix(g *Graph, format string, args ...any) *Node {
	if v := n.store.GetVariable(narrowPath(fmt.Sprintf(format, args...))); v != nil {
		return v.NodeValue(g)
	}
	return n.value(g, format, args...)
}

// In mixed precision (Micikevicius et al. 2018) weights that move stay float32. What goes from one product to the next is
// narrow; norms, softmax, GELU, additions and everything behind the trunk are computed wide, from narrow values
// and to narrow values, which costs no memory where a compiler fuses them.

// narrow takes a value to the precision of activations.
func (n *network) narrow(x *Node) *Node {
	if n.half == dtypes.InvalidDType {
		return x
	}
	return ConvertDType(x, n.half)
}

// widen takes a narrow value to float32.
func (n *network) widen(x *Node) *Node {
	if n.half == dtypes.InvalidDType {
		return x
	}
	return ConvertDType(x, dtypes.Float32)
}

// still is the network for values alone: of towers that rest, and in use.
func (n *network) still() *network {
	s := *n
	s.inference = true
	return &s
}

// again is f(x) whose wide inner values are computed again for the gradient, where x is narrow: kept, they would
// take twice its memory each.
func (n *network) again(x *Node, f func(*Node) *Node) *Node {
	if n.half == dtypes.InvalidDType || n.recompute || n.inference {
		return f(x)
	}
	return f(x.Checkpoint()).StopCheckpoint()
}

// encode takes one batch through a tower. x is normalised float32: vision [B,3,224,224] or
// [B,3,2,224,224], audio [B,1,128,204], depth and thermal [B,1,224,224], imu [B,6,2000]; text is int32
// [B,77].
func (n *network) encode(t *towerSpec, x *Node, r noise) stages {
	var s stages
	s.tokens = n.stem(t, x)
	// In the trunk tokens are rows [B*T, width], as its products read and write them: an axis more leaves a compiler
	// the choice of another order in memory for what stands between them, and XLA's for GPUs takes it.
	shape := s.tokens.Shape().Dimensions
	batch := shape[0]
	h := Reshape(s.tokens, batch*shape[1], shape[2])
	trunk := "modality_trunks." + t.name
	if t.preNorm {
		h = n.norm(h, trunk+".pre_transformer_layer.0")
	}
	for i := range t.config(n.config).Blocks {
		if n.recompute && !n.inference {
			h = n.block(t, i, h.Checkpoint(), batch, r).StopCheckpoint()
		} else {
			h = n.block(t, i, h, batch, r)
		}
	}
	s.trunk = Reshape(h, shape...)
	s.head = n.head(t, s.trunk, x, r)
	length := Sqrt(ReduceAndKeep(Square(s.head), ReduceSum, -1))
	s.unit = Div(s.head, MaxScalar(length, 1e-12))
	s.output = s.unit
	if t.name != "vision" {
		s.output = Mul(s.unit, n.logitScale(t, x.Graph()))
	}
	return s
}

// encodeClips is encode for [B, clips, ...]: the outputs of a sample's clips, each normalised and scaled,
// are averaged and not normalised again.
func (n *network) encodeClips(t *towerSpec, x *Node, clips int) stages {
	d := x.Shape().Dimensions
	s := n.encode(t, Reshape(x, append([]int{d[0] * clips}, d[2:]...)...), noise{})
	s.output = ReduceMean(Reshape(s.output, d[0], clips, n.config.Dim), 1)
	return s
}

// logitScale is exp of the stored logarithm, at most 100.
func (n *network) logitScale(t *towerSpec, g *Graph) *Node {
	return MinScalar(Exp(n.value(g, "%s", t.scaleName())), maxLogitScale)
}

// stem makes the trunk's tokens [B, T, width]: patches by a matrix product (a convolution whose kernel is
// its stride is one, and an overlapping one is one over slices), a class token before them, positions.
func (n *network) stem(t *towerSpec, x *Node) *Node {
	g, b := x.Graph(), x.Shape().Dimensions[0]
	c := t.config(n.config)
	pre := "modality_preprocessors." + t.name
	if t.stem == stemTokens {
		h := Gather(n.value(g, "%s.token_embedding.weight", pre), InsertAxes(x, -1))
		return n.narrow(Add(h, n.value(g, "%s.pos_embed", pre)))
	}
	rows, cols := t.grid(n.config)
	k, w := c.Kernel, c.Width
	var h *Node
	position := pre + ".pos_embedding_helper.pos_embed"
	switch t.stem {
	case stemVideo:
		kernel := n.value(g, "%s.%s.proj.1.weight", pre, t.stemKey) // [w, 3, 2, k, k]
		if x.Rank() == 4 {
			// A repeated image meets both time slices of the kernel: their sum does the same at half the cost.
			kernel = ReduceSum(kernel, 2)
			x = patches(x, rows, cols, k, k)
		} else {
			x = Reshape(x, b, 3, videoFrames, rows, k, cols, k)
			x = TransposeAllAxes(x, 0, 3, 5, 1, 2, 4, 6)
		}
		h = n.stemProduct(Reshape(x, b*rows*cols, -1), Reshape(kernel, w, -1))
	case stemPatch:
		kernel := Reshape(n.value(g, "%s.%s.proj.weight", pre, t.stemKey), w, k*k)
		h = n.stemProduct(Reshape(patches(x, rows, cols, k, c.Stride), b*rows*cols, k*k), kernel)
	case stemPieces:
		position = pre + ".pos_embed"
		x = TransposeAllAxes(Reshape(Slice(x, AxisRange(), AxisRange(), AxisRange(0, cols*k)), b, imuChannels, cols, k), 0, 2, 1, 3)
		h = n.stemProduct(Reshape(x, b*cols, imuChannels*k), n.value(g, "%s.%s.proj.weight", pre, t.stemKey))
	}
	h = n.widen(Reshape(h, b, rows*cols, w))
	if t.stem != stemVideo {
		h = n.layerNorm(h, pre+"."+t.stemKey+".norm_layer", stemEpsilon)
	}
	class := BroadcastToDims(n.value(g, "%s.cls_token", pre), b, 1, w)
	return n.narrow(Add(Concatenate([]*Node{class, h}, 1), n.value(g, "%s", position)))
}

// patches cuts [B,C,H,W] into [B, rows, cols, C, k, k] at the given stride; one that differs from k takes C = 1
// and leaves the axis of C out.
func patches(x *Node, rows, cols, k, stride int) *Node {
	d := x.Shape().Dimensions
	b, channels := d[0], d[1]
	if stride == k {
		if d[2] != rows*k || d[3] != cols*k {
			x = Slice(x, AxisRange(), AxisRange(), AxisRange(0, rows*k), AxisRange(0, cols*k))
		}
		return TransposeAllAxes(Reshape(x, b, channels, rows, k, cols, k), 0, 2, 4, 1, 3, 5)
	}
	bands := make([]*Node, rows)
	for i := range bands {
		bands[i] = Slice(x, AxisRange(), AxisRange(), AxisRange(i*stride, i*stride+k), AxisRange())
	}
	x = Concatenate(bands, 1) // [B, rows, k, W]
	tiles := make([]*Node, cols)
	for j := range tiles {
		tiles[j] = InsertAxes(Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(j*stride, j*stride+k)), 2)
	}
	return Concatenate(tiles, 2)
}

// block is a pre-norm transformer block over the rows [batch*T, width]: attention and a two-layer perceptron, each on
// a residual branch.
func (n *network) block(t *towerSpec, i int, h *Node, batch int, r noise) *Node {
	prefix := fmt.Sprintf("modality_trunks.%s.blocks.%d", t.name, i)
	branch := func(j int, y *Node, gamma string) {
		h = n.narrow(Add(n.widen(h), n.layerScale(n.dropPath(n.widen(y), batch, r, 2*i+j), prefix+gamma)))
	}
	y := n.attention(t, prefix+".attn", n.norm(h, prefix+".norm_1"), batch)
	branch(0, y, ".layer_scale_gamma1")
	y = n.perceptron(n.norm(h, prefix+".norm_2"), prefix+".mlp")
	branch(1, y, ".layer_scale_gamma2")
	return h
}

// perceptron is gelu(x W1' + b1) W2' + b2 of rows.
func (n *network) perceptron(x *Node, prefix string) *Node {
	y := n.product(x, n.matrix(x.Graph(), "%s.fc1.weight", prefix))
	y = n.product(n.gelu(y, prefix+".fc1.bias"), n.matrix(x.Graph(), "%s.fc2.weight", prefix))
	return n.biased(y, prefix+".fc2.bias")
}

// layerScale multiplies a residual branch by its gamma, [1,1,width] or [1,1,1], where the model has them
// (Touvron et al. 2021).
func (n *network) layerScale(y *Node, name string) *Node {
	if n.config.LayerScale == "none" {
		return y
	}
	gamma := n.value(y.Graph(), "%s", name)
	return Mul(y, Reshape(gamma, 1, gamma.Shape().Size()))
}

// dropPath scales the rows of a residual branch by their factor in the mask (Huang et al. 2016, stochastic depth).
func (n *network) dropPath(y *Node, batch int, r noise, branch int) *Node {
	if r.dropPath == nil {
		return y
	}
	rows := y.Shape().Dimensions[0]
	factor := InsertAxes(Reshape(Slice(r.dropPath, AxisElem(branch), AxisRange()), -1), 1) // of each sample
	if n.config.DropPath == "tokens" {
		factor = Reshape(factor, 1, -1) // of each position
	}
	return Mul(y, Reshape(BroadcastToDims(factor, batch, rows/batch), rows, 1))
}

// attention is multi-head self-attention with biases, softmax(q k' / sqrt(d)) v, as
// torch.nn.MultiheadAttention computes it, with add_bias_kv and a causal mask where the tower has them, over rows
// [batch*T, width].
func (n *network) attention(t *towerSpec, prefix string, x *Node, b int) *Node {
	g := x.Graph()
	length, w := x.Shape().Dimensions[0]/b, x.Shape().Dimensions[1]
	heads := t.config(n.config).Heads
	d := w / heads
	qkv := n.biased(n.product(x, n.matrix(g, "%s.in_proj_weight", prefix)), prefix+".in_proj_bias")
	part := func(i int) *Node { return Reshape(Slice(qkv, AxisRange(), AxisRange(i*w, (i+1)*w)), b, length, w) }
	// extra is a learned key or value of no token, the last.
	extra := func(name string) *Node { return n.narrow(BroadcastToDims(n.value(g, "%s.%s", prefix, name), b, 1, w)) }
	project := func(out *Node) *Node {
		return n.biased(n.product(Reshape(out, b*length, w), n.matrix(g, "%s.out_proj.weight", prefix)), prefix+".out_proj.bias")
	}
	if n.flash && flashFits(d) && (t.stem != stemTokens || n.causal) {
		q, k, v := part(0), part(1), part(2)
		if t.biasKV {
			// The kernels want as many queries as keys: one more, whose result nobody reads.
			q = Concatenate([]*Node{q, Zeros(g, shapes.Make(q.DType(), b, 1, w))}, 1)
			k = Concatenate([]*Node{k, extra("bias_k")}, 1)
			v = Concatenate([]*Node{v, extra("bias_v")}, 1)
		}
		byHead := func(x *Node) *Node { return Reshape(x, b, -1, heads, d) }
		out, _ := attention.Core(byHead(q), byHead(k), byHead(v), attention.LayoutBSHD, attention.CoreOptions{UseCausalMask: t.stem == stemTokens})
		return project(Slice(out, AxisRange(), AxisRange(0, length)))
	}
	q, k, v := n.narrow(MulScalar(n.widen(part(0)), 1/math.Sqrt(float64(d)))), part(1), part(2)
	keys := length
	if t.biasKV {
		k = Concatenate([]*Node{k, extra("bias_k")}, 1)
		v = Concatenate([]*Node{v, extra("bias_v")}, 1)
		keys++
	}
	var mask *Node
	if t.stem == stemTokens {
		mask = Reshape(n.value(g, textMask), 1, 1, length, keys)
	}
	var out *Node
	if heads == 1 { // no axis of heads, and so nothing to transpose
		if mask != nil {
			mask = Reshape(mask, 1, length, keys)
		}
		scores := contract(q, []int{2}, []int{0}, k, []int{2}, []int{0}) // [B, T, keys]
		out = contract(n.softmax(scores, mask), []int{2}, []int{0}, v, []int{1}, []int{0})
	} else {
		scores := contract(Reshape(q, b, length, heads, d), []int{3}, []int{0, 2}, Reshape(k, b, keys, heads, d), []int{3}, []int{0, 2}) // [B, heads, T, keys]
		out = contract(n.softmax(scores, mask), []int{3}, []int{0, 1}, Reshape(v, b, keys, heads, d), []int{1}, []int{0, 2})             // [B, heads, T, d]
		out = TransposeAllAxes(out, 0, 2, 1, 3)
	}
	return project(out)
}

// head reads one token, normalises and projects it to the joint space: the class token, or for text the
// position of the largest id, which is the end marker (the first one, where there are several).
func (n *network) head(t *towerSpec, h, x *Node, r noise) *Node {
	h = n.widen(h)
	g := h.Graph()
	b, w := h.Shape().Dimensions[0], h.Shape().Dimensions[2]
	if t.stem == stemTokens {
		// Larger ids first and, among equal ids, earlier positions: no two ranks are equal.
		place := Iota(g, shapes.Make(dtypes.Int32, 1, contextLength), 1)
		rank := Sub(MulScalar(ConvertDType(x, dtypes.Int32), contextLength), place)
		at := OneHot(ArgMax(rank, -1, dtypes.Int32), contextLength, h.DType()) // [B, 77]
		h = ReduceSum(Mul(h, InsertAxes(at, -1)), 1)
	} else {
		h = Reshape(Slice(h, AxisRange(), AxisElem(0), AxisRange()), b, w)
	}
	norm, proj := t.headNames()
	h = n.layerNorm(h, norm, blockEpsilon)
	if r.head != nil {
		h = Mul(h, r.head)
	}
	return product(h, n.value(g, "%s", proj))
}

// biased adds a bias to rows. It does so wide, so that the bias' gradient is summed wide.
func (n *network) biased(x *Node, name string) *Node { return n.narrow(n.plus(x, name)) }

// plus is biased with a wide result.
func (n *network) plus(x *Node, name string) *Node {
	return Add(n.widen(x), InsertAxes(n.value(x.Graph(), "%s", name), 0))
}

// product is the narrow product of values and a weight.
func (n *network) product(x, w *Node) *Node { return product(n.narrow(x), n.narrow(w)) }

// product is x W' for x [rows, in] and W [out, in].
func product(x, w *Node) *Node { return contract(x, []int{1}, nil, w, []int{1}, nil) }

// contract is the product over the contracted axes for each of the batch axes: [batch, a's rest, b's rest]. The type
// that it adds up in is left to the backend, which is float32 in all that prep runs on: named, it would be the type
// of both products of the gradient, at twice their memory and a fraction of their speed.
func contract(a *Node, aContracts, aBatch []int, b *Node, bContracts, bBatch []int) *Node {
	return Dot(a, b).WithAccumulatorDType(dtypes.InvalidDType).General(aContracts, aBatch, bContracts, bBatch)
}

// stemProduct is the product for the raw input of a tower, by far the largest matrix of a small one. With the weights
// on the left their gradient reads x as it lies; the other way around the Go backend transposes it first. XLA chooses
// for itself, and takes it as any other product.
func (n *network) stemProduct(x, w *Node) *Node {
	if !n.rowsRight {
		return n.product(x, w)
	}
	return Transpose(contract(n.narrow(w), []int{1}, nil, n.narrow(x), []int{1}, nil), 0, 1)
}

// norm is the LayerNorm between narrow values of a trunk.
func (n *network) norm(x *Node, prefix string) *Node {
	return n.again(x, func(x *Node) *Node { return n.narrow(n.layerNorm(x, prefix, blockEpsilon)) })
}

// layerNorm normalises the last axis, (x - mean) / sqrt(variance + epsilon), then scales and shifts. Its result is
// wide.
func (n *network) layerNorm(x *Node, prefix string, epsilon float64) *Node {
	x = n.widen(x)
	g := x.Graph()
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	deviation := Sqrt(AddScalar(ReduceAndKeep(Square(centred), ReduceMean, -1), epsilon))
	y := Div(centred, deviation)
	return Add(Mul(y, leftPad(n.value(g, "%s.weight", prefix), x.Rank())), leftPad(n.value(g, "%s.bias", prefix), x.Rank()))
}

// leftPad gives a vector leading axes of length 1 so that it broadcasts along the last axis.
func leftPad(v *Node, rank int) *Node {
	d := make([]int, rank)
	for i := range d {
		d[i] = 1
	}
	d[rank-1] = v.Shape().Dimensions[0]
	return Reshape(v, d...)
}

// gelu adds a bias to rows and takes the exact form, x times the normal distribution function.
func (n *network) gelu(x *Node, bias string) *Node {
	return n.again(x, func(x *Node) *Node {
		x = n.plus(x, bias)
		return n.narrow(Mul(x, MulScalar(AddScalar(Erf(MulScalar(x, 1/math.Sqrt2)), 1), 0.5)))
	})
}

// softmax over the last axis, of scores plus a mask where there is one. It is spelled out because the library's
// runs its fused form for the value and this form again for the gradient.
func (n *network) softmax(scores, mask *Node) *Node {
	return n.again(scores, func(x *Node) *Node {
		x = n.widen(x)
		if mask != nil {
			x = Add(x, mask)
		}
		e := Exp(Sub(x, StopGradient(ReduceAndKeep(x, ReduceMax, -1))))
		return n.narrow(Div(e, ReduceAndKeep(e, ReduceSum, -1)))
	})
}

// infoNCE is the symmetric contrastive loss (van den Oord et al. 2018, Radford et al. 2021) of a batch:
// hub are unit vectors [B, dim], other are scaled ones; row i of each belongs to the same sample. It is
// the mean of the cross entropies of the rows and of the columns.
func infoNCE(hub, other *Node) *Node {
	g, b := hub.Graph(), hub.Shape().Dimensions[0]
	logits := product(hub, other)
	diagonal := OneHot(Iota(g, shapes.Make(dtypes.Int32, b), 0), b, logits.DType())
	half := func(l *Node) *Node { return Neg(ReduceAllMean(ReduceSum(Mul(LogSoftmax(l, -1), diagonal), -1))) }
	return MulScalar(Add(half(logits), half(TransposeAllAxes(logits, 1, 0))), 0.5)
}

package trainer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/sample"
)

func pairingOf(t *testing.T, rows Rows, batch int) *pairing {
	t.Helper()
	c := small(t)
	c.Train.Batch = batch
	p, err := newPairing(rows, c.Train, c.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bare is samples with keys and something in the columns: enough for what never looks inside.
func bare(n int, modalities ...sample.Modality) memory {
	var out memory
	for i := range n {
		s := &sample.Sample{Key: fmt.Sprintf("item-%03d", i)}
		for _, m := range modalities {
			s.Tensors[m] = sample.Tensor{DType: sample.Uint8, Shape: []int{1}, Data: []byte{1}}
		}
		out = append(out, s)
	}
	return out
}

// Every training item of a pair is seen in each pass, batches have one shape, no item is twice in a batch,
// and held-out items are never trained on.
func TestEveryItemIsSeen(t *testing.T) {
	rows := bare(23, sample.Image, sample.Text, sample.Audio)
	for _, s := range rows[:8] {
		s.Tensors[sample.Audio] = sample.Tensor{}
	}
	for _, batch := range []int{2, 5, 7, 32} {
		p := pairingOf(t, rows, batch)
		for epoch := range 3 {
			seen := map[*pair]map[int]bool{}
			plan := p.epochPlan(epoch)
			if len(plan) != p.stepsIn(epoch) {
				t.Fatalf("%d batches, want %d", len(plan), p.stepsIn(epoch))
			}
			for _, b := range plan {
				pr := p.pairs[b.pair]
				in := map[int]bool{}
				for _, row := range p.rowsOf(pr, b.number) {
					if in[row] {
						t.Fatalf("batch %d of %s has row %d twice", b.number, pr.name, row)
					}
					if in[row] = true; slices.Contains(pr.held, row) {
						t.Fatalf("row %d of %s is held out", row, pr.name)
					}
					if seen[pr] == nil {
						seen[pr] = map[int]bool{}
					}
					seen[pr][row] = true
				}
				if len(in) != min(batch, len(pr.train)) {
					t.Fatalf("a batch of %d", len(in))
				}
			}
			for _, pr := range p.pairs {
				if len(seen[pr]) != len(pr.train) {
					t.Errorf("batch %d, epoch %d: %s saw %d of %d", batch, epoch, pr.name, len(seen[pr]), len(pr.train))
				}
			}
		}
	}
}

// Order, split, flips, clips and masks depend on keys, not on where rows lie: permuted rows give the same
// batches.
func TestBatchesDependOnKeysAlone(t *testing.T) {
	rows := synthetic(15, sample.Image, sample.Audio, sample.Depth)
	back := slices.Clone(rows)
	slices.Reverse(back)
	a, b := pairingOf(t, rows, 4), pairingOf(t, back, 4)
	for epoch := range 2 {
		pa, pb := a.epochPlan(epoch), b.epochPlan(epoch)
		for i := range pa {
			x := &batch{pair: a.pairs[pa[i].pair], epoch: epoch, rows: a.rowsOf(a.pairs[pa[i].pair], pa[i].number)}
			y := &batch{pair: b.pairs[pb[i].pair], epoch: epoch, rows: b.rowsOf(b.pairs[pb[i].pair], pb[i].number)}
			if err := a.assemble(x); err != nil {
				t.Fatal(err)
			}
			if err := b.assemble(y); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(x.keys) != fmt.Sprint(y.keys) || x.pair.name != y.pair.name {
				t.Fatalf("%v and %v", x.keys, y.keys)
			}
			for k := range x.parts {
				for j := range x.parts[k] {
					if !x.parts[k][j].x.Equal(y.parts[k][j].x) {
						t.Errorf("epoch %d, batch %d: %s differs", epoch, i, x.parts[k][j].modality)
					}
				}
			}
		}
	}
}

// A flipped picture is the mirrored one, its depth is flipped with it, and in evaluation nothing is.
func TestFlipsGoTogether(t *testing.T) {
	rows := synthetic(12, sample.Image, sample.Depth)
	p := pairingOf(t, rows, 4)
	flipped := 0
	for i := range rows {
		tensor := func(m sample.Modality, epoch int) []float32 {
			x, err := p.tensor(m, []int{i}, []string{rows[i].Key}, epoch)
			if err != nil {
				t.Fatal(err)
			}
			var out []float32
			if m == sample.Depth {
				for _, h := range tensors.MustCopyFlatData[float16.Float16](x) {
					out = append(out, h.Float32())
				}
				return out
			}
			for _, u := range tensors.MustCopyFlatData[uint8](x) {
				out = append(out, float32(u))
			}
			return out
		}
		was := false
		for k, m := range []sample.Modality{sample.Image, sample.Depth} {
			plain, drawn := tensor(m, evaluation), tensor(m, 0)
			mirrored := slices.Clone(plain)
			for row := range slices.Chunk(mirrored, imageSize) {
				slices.Reverse(row)
			}
			is := slices.Equal(drawn, mirrored)
			if !is && !slices.Equal(drawn, plain) {
				t.Fatalf("%s is neither itself nor its mirror", m)
			}
			if k == 1 && is != was {
				t.Errorf("%s: picture flipped %v, depth %v", rows[i].Key, was, is)
			}
			was = is
		}
		if was {
			flipped++
		}
	}
	if flipped == 0 || flipped == len(rows) {
		t.Errorf("%d of %d flipped", flipped, len(rows))
	}
}

// Noise has the deviation that is asked for, is the same in every run and another in every epoch, and is never
// there in evaluation.
func TestNoise(t *testing.T) {
	rows := synthetic(8, sample.Image, sample.Audio, sample.Depth, sample.Thermal, sample.IMU)
	plain := pairingOf(t, rows, 4)
	plain.train.Flip = false
	noisy := pairingOf(t, rows, 4)
	noisy.train.Flip = false
	noisy.train.Noise = configs.Noise{Image: 0.5, Audio: 0.25, Depth: 2, Thermal: 0.125, IMU: 3}
	values := func(p *pairing, m sample.Modality, epoch int) []float32 {
		t.Helper()
		x, err := p.tensor(m, []int{2, 5}, []string{rows[2].Key, rows[5].Key}, epoch)
		if err != nil {
			t.Fatal(err)
		}
		if m != sample.Image && m != sample.Thermal || p == noisy && epoch != evaluation {
			if x.DType() == dtypes.Float16 {
				var out []float32
				for _, h := range tensors.MustCopyFlatData[float16.Float16](x) {
					out = append(out, h.Float32())
				}
				return out
			}
			return tensors.MustCopyFlatData[float32](x)
		}
		levels := tensors.MustCopyFlatData[uint8](x)
		out := make([]float32, len(levels))
		n := len(levels) / 2
		for i := range 2 {
			normalisePixels(m, out[i*n:(i+1)*n], levels[i*n:(i+1)*n])
		}
		return out
	}
	for m, want := range map[sample.Modality]float64{sample.Image: 0.5, sample.Audio: 0.25, sample.Depth: 2 * depthStd, sample.Thermal: 0.125, sample.IMU: 3} {
		a, b := values(plain, m, 3), values(noisy, m, 3)
		square := 0.0
		for i := range a {
			d := float64(b[i] - a[i])
			square += d * d
		}
		if got := math.Sqrt(square / float64(len(a))); math.Abs(got-want) > 0.03*want {
			t.Errorf("%s: deviation %g, want %g", m, got, want)
		}
		if !slices.Equal(b, values(noisy, m, 3)) {
			t.Errorf("%s: two runs differ", m)
		}
		if slices.Equal(b, values(noisy, m, 4)) {
			t.Errorf("%s: two epochs have the same noise", m)
		}
		if !slices.Equal(values(plain, m, evaluation), values(noisy, m, evaluation)) {
			t.Errorf("%s: noise in evaluation", m)
		}
	}
}

// A picture among videos goes in as two equal frames.
func TestPictureAmongVideos(t *testing.T) {
	rows := append(synthetic(3, sample.Image, sample.Audio), synthetic(5, sample.Video, sample.Audio)[3:]...)
	p := pairingOf(t, rows, 5)
	if !p.pairs[0].frames || p.pairs[0].name != "image-audio" {
		t.Fatalf("%+v", p.pairs[0])
	}
	x, err := p.tensor(sample.Video, []int{0, 4}, []string{rows[0].Key, rows[4].Key}, evaluation)
	if err != nil {
		t.Fatal(err)
	}
	v := tensors.MustCopyFlatData[uint8](x)
	const plane = imageSize * imageSize
	for c := range 3 {
		for frame := range 2 {
			if !slices.Equal(v[(2*c+frame)*plane:(2*c+frame+1)*plane], rows[0].Tensors[sample.Image].Data[c*plane:(c+1)*plane]) {
				t.Errorf("channel %d, frame %d differs from the picture", c, frame)
			}
		}
	}
	if !slices.Equal(v[6*plane:], rows[4].Tensors[sample.Video].Data) {
		t.Error("the video differs from itself")
	}
}

// A video of several clips: training draws one, another in other epochs, and evaluation gives the tower all; what
// comes out is the mean of each by itself. A picture among them is itself in every clip.
func TestVideosOfSeveralClips(t *testing.T) {
	const clips = 3
	rows := append(synthetic(2, sample.Image, sample.Audio), synthetic(4, sample.Video, sample.Audio)[2:]...)
	alone := append(memory(nil), rows...)
	size := len(rows[2].Tensors[sample.Video].Data)
	for i := 2; i < 4; i++ {
		views := sample.Tensor{DType: sample.Uint8, Shape: append([]int{clips}, rows[i].Tensors[sample.Video].Shape...)}
		for c := range clips {
			for _, v := range rows[i].Tensors[sample.Video].Data {
				views.Data = append(views.Data, v+uint8(60*c))
			}
		}
		s := *rows[i]
		s.Tensors[sample.Video] = views
		rows[i] = &s
	}
	p := pairingOf(t, rows, 4)
	p.train.Flip = false
	some, keys := []int{0, 2, 3}, []string{rows[0].Key, rows[2].Key, rows[3].Key}
	tensor := func(p *pairing, epoch int) *tensors.Tensor {
		x, err := p.tensor(sample.Video, some, keys, epoch)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	drawn := map[int]bool{}
	for epoch := range 12 {
		x := tensor(p, epoch)
		if !slices.Equal(x.Shape().Dimensions, []int{3, 3, videoFrames, imageSize, imageSize}) {
			t.Fatalf("training gets %v", x.Shape())
		}
		got := tensors.MustCopyFlatData[uint8](x)[size : 2*size]
		for c := range clips {
			if slices.Equal(got, rows[2].Tensors[sample.Video].Data[c*size:(c+1)*size]) {
				drawn[c] = true
			}
		}
		if again := tensors.MustCopyFlatData[uint8](tensor(p, epoch)); !slices.Equal(again[size:2*size], got) {
			t.Error("two runs of an epoch differ")
		}
	}
	if len(drawn) != clips {
		t.Errorf("twelve epochs saw the clips %v", drawn)
	}
	x := tensor(p, evaluation)
	if !slices.Equal(x.Shape().Dimensions, []int{3, clips, 3, videoFrames, imageSize, imageSize}) {
		t.Fatalf("evaluation gets %v", x.Shape())
	}
	c := small(t)
	e, err := newEngine(c.Model, c.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	got, err := e.outputs(sample.Video, x)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, len(got))
	for c := range clips {
		one := append(memory(nil), alone...)
		for i := 2; i < 4; i++ {
			s := *alone[i]
			s.Tensors[sample.Video].Data = rows[i].Tensors[sample.Video].Data[c*size : (c+1)*size]
			one[i] = &s
		}
		out, err := e.outputs(sample.Video, tensor(pairingOf(t, one, 4), evaluation))
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range out {
			want[i] += v / clips
		}
	}
	for i := range got {
		if math.Abs(float64(got[i]-want[i])) > 1e-5 {
			t.Fatalf("value %d of the outputs is %g, the clips' mean %g", i, got[i], want[i])
		}
	}
	if n, err := p.atOnce(sample.Video, some, 32); err != nil || n != 10 {
		t.Errorf("%d at once, %v", n, err)
	}
	uneven := append(memory(nil), rows...)
	uneven[3] = alone[3]
	if _, err := pairingOf(t, uneven, 4).tensor(sample.Video, some, keys, evaluation); err == nil {
		t.Error("videos of three clips and of one in a batch")
	}
}

// Weights of pairs are passes for each epoch; a half shows each item every second epoch.
func TestPairWeights(t *testing.T) {
	c := small(t)
	c.Train.Batch, c.Train.HeldOut = 3, 0
	c.Train.Pairs.Text, c.Train.Pairs.Audio = 2, 0.5
	p, err := newPairing(bare(12, sample.Image, sample.Text, sample.Audio), c.Train, c.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]map[int]int{"image-text": {}, "image-audio": {}}
	for epoch := range 4 {
		for _, b := range p.epochPlan(epoch) {
			pr := p.pairs[b.pair]
			for _, row := range p.rowsOf(pr, b.number) {
				seen[pr.name][row]++
			}
		}
	}
	for row := range 12 {
		if seen["image-text"][row] != 8 || seen["image-audio"][row] != 2 {
			t.Errorf("row %d: %d and %d times in four epochs, want 8 and 2", row, seen["image-text"][row], seen["image-audio"][row])
		}
	}
}

// The held-out side of a sample does not change when others are added.
func TestSplitIsStable(t *testing.T) {
	few, many := pairingOf(t, bare(60, sample.Text, sample.Image), 4), pairingOf(t, bare(200, sample.Text, sample.Image), 4)
	var in []int
	for _, row := range many.pairs[0].held {
		if row < 60 {
			in = append(in, row)
		}
	}
	if !slices.Equal(few.pairs[0].held, in) {
		t.Errorf("%v of 60 are held out, %v of them among 200", few.pairs[0].held, in)
	}
	if n := len(many.pairs[0].held); n < 8 || n > 40 {
		t.Errorf("%d of 200 held out at a share of 0.1", n)
	}
}

// The streams have the moments that they should, and any two names give different ones.
func TestDraws(t *testing.T) {
	x := make([]float32, 20001)
	draw(1, "test", 2, "key").Normals(x, 3)
	mean, square := 0.0, 0.0
	for _, v := range x {
		mean += float64(v) / float64(len(x))
		square += float64(v) * float64(v) / float64(len(x))
	}
	if math.Abs(mean) > 0.1 || math.Abs(math.Sqrt(square)-3) > 0.1 {
		t.Errorf("mean %g, deviation %g", mean, math.Sqrt(square))
	}
	first := draw(1, "a", 2, "b").Uniform()
	for _, other := range []*stream{draw(2, "a", 2, "b"), draw(1, "b", 2, "b"), draw(1, "a", 3, "b"), draw(1, "a", 2, "c")} {
		if other.Uniform() == first {
			t.Error("two names give one stream")
		}
	}
	if draw(1, "a", 2, "b").Uniform() != first {
		t.Error("one name gives two streams")
	}
	// Pinned: other engines repeat these numbers, and a checkpoint's continuation depends on them.
	if got := fmt.Sprintf("%.15f", first); got != pinnedDraw {
		t.Errorf("draw(1, a, 2, b) is %s, was %s", got, pinnedDraw)
	}
}

// Two data sets of one run: each pair is of one of them, shows it as often as the mix says, and is named by it
// where both have the modality.
func TestMix(t *testing.T) {
	rows := two{append(bare(12, sample.Image, sample.Text), bare(9, sample.Image, sample.Text, sample.Thermal)...), 12}
	c := small(t)
	c.Train.Batch, c.Train.HeldOut, c.Train.Mix = 3, 0, []float64{1, 2}
	p, err := newPairing(rows, c.Train, c.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, pr := range p.pairs {
		got[pr.name] = pr.perEpoch
		for n := range pr.perEpoch {
			for _, row := range p.rowsOf(pr, n) {
				if (row < 12) != (pr.group == "one") {
					t.Errorf("%s has row %d", pr.name, row)
				}
			}
		}
	}
	if want := map[string]int{"image-text@one": 4, "image-text@two": 6, "image-thermal": 6}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c.Train.Mix = []float64{1}
	if _, err := newPairing(rows, c.Train, c.Model.Vocab); err == nil || !strings.Contains(err.Error(), "1 weights for 2 data sets") {
		t.Errorf("got %v", err)
	}
	c.Train.Mix = []float64{1, 0}
	if p, err := newPairing(rows, c.Train, c.Model.Vocab); err != nil || len(p.pairs) != 1 || p.pairs[0].name != "image-text" {
		t.Errorf("weight 0: %v %v", p, err)
	}
}

// two is a pair of data sets.
type two struct {
	memory
	split int
}

func (r two) Key(i int) string { return fmt.Sprintf("%v/%s", i < r.split, r.memory.Key(i)) }
func (r two) groups() []group {
	return []group{{"one", 0, r.split}, {"two", r.split, len(r.memory)}}
}

// A step of several batches shows each item once a pass, in no batch twice.
func TestAccumulatedStepsSeeEveryItem(t *testing.T) {
	c := small(t)
	c.Train.Batch, c.Train.Accumulate, c.Train.HeldOut = 4, 3, 0
	p, err := newPairing(bare(25, sample.Image, sample.Text), c.Train, c.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	pr := p.pairs[0]
	seen := map[int]bool{}
	for n := range pr.perEpoch {
		rows := p.rowsOf(pr, n)
		if in := slices.Compact(slices.Sorted(slices.Values(rows))); len(in) != 12 {
			t.Errorf("step %d has %d items", n, len(in))
		}
		for _, r := range rows {
			seen[r] = true
		}
	}
	if pr.perEpoch != 3 || len(seen) != 25 {
		t.Errorf("%d steps show %d items", pr.perEpoch, len(seen))
	}
}

// Mirrored bytes are those of the plain way.
func TestMirrorBytes(t *testing.T) {
	src := make([]byte, 3*imageSize)
	for i := range src {
		src[i] = byte(draw(3, "mirror", i, "").Below(256))
	}
	want := slices.Clone(src)
	for row := range slices.Chunk(want, imageSize) {
		slices.Reverse(row)
	}
	got := make([]byte, len(src))
	if fill(got, src, 1, true); !slices.Equal(got, want) {
		t.Error("differ")
	}
}

const pinnedDraw = "0.594159723595483"

func TestFlippedAtIngest(t *testing.T) {
	for config, want := range map[string]bool{
		`{"flip": {"when": "ingest", "seed": 3}, "else": [1]}`: true,
		`{"flip": {"when": "load"}}`:                           false,
		`{}`:                                                   false,
		`[]`:                                                   false,
	} {
		if got := flippedAtIngest([]byte(config)); got != want {
			t.Errorf("%s: %v", config, got)
		}
	}
}

// mirroredRows are of a data set whose pictures were mirrored at ingest, the even ones.
type mirroredRows struct{ memory }

func (mirroredRows) Mirrored(i int) bool { return i%2 == 0 }

// What ingest mirrored is not mirrored at load, in no epoch; of other data sets of the same run it still is.
func TestNoFlipOfWhatIngestMirrored(t *testing.T) {
	rows := synthetic(12, sample.Image, sample.Text)
	p := pairingOf(t, rows, 4)
	p.rows = mirroredRows{rows}
	flipped := [2]int{}
	for i := range rows {
		for epoch := range 6 {
			pixels := func(epoch int) []uint8 {
				x, err := p.tensor(sample.Image, []int{i}, []string{rows[i].Key}, epoch)
				if err != nil {
					t.Fatal(err)
				}
				return tensors.MustCopyFlatData[uint8](x)
			}
			if !slices.Equal(pixels(epoch), pixels(evaluation)) {
				flipped[i%2]++
			}
		}
	}
	if flipped[0] != 0 || flipped[1] == 0 {
		t.Errorf("%d pictures that ingest had mirrored were flipped, and %d of the others", flipped[0], flipped[1])
	}
}

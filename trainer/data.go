package trainer

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/random"
	"prep/internal/sample"
	"prep/shards"
)

// Rows is what training reads: rows with a key and tensors by column. It is safe for concurrent use.
type Rows interface {
	Len() int
	Key(i int) string
	Has(i int, column string) bool
	Tensor(i int, column string) (sample.Tensor, error)
}

// shardRows reads the rows of a shards folder.
type shardRows struct{ *shards.Dataset }

func (s shardRows) Tensor(i int, column string) (sample.Tensor, error) {
	r, err := s.Row(i)
	if err != nil {
		return sample.Tensor{}, err
	}
	return r.Tensor(column), nil
}

// columns says what each modality's column must hold; -1 is any number of clips. Audio and depth are float16
// or float32.
var columns = [sample.NumModalities]struct {
	dtypes []sample.DType
	shape  []int
}{
	sample.Image:   {[]sample.DType{sample.Uint8}, []int{3, imageSize, imageSize}},
	sample.Video:   {[]sample.DType{sample.Uint8}, []int{3, videoFrames, imageSize, imageSize}},
	sample.Audio:   {[]sample.DType{sample.Float16, sample.Float32}, []int{-1, 1, melBins, melFrames}},
	sample.Text:    {[]sample.DType{sample.Int32}, []int{contextLength}},
	sample.Depth:   {[]sample.DType{sample.Float16, sample.Float32}, []int{1, imageSize, imageSize}},
	sample.Thermal: {[]sample.DType{sample.Uint8}, []int{1, imageSize, imageSize}},
	sample.IMU:     {[]sample.DType{sample.Float32}, []int{imuChannels, imuSamples}},
}

// checkSchema refuses columns that bear a modality's name and hold something else.
func checkSchema(fields []sample.TensorField) error {
	for _, f := range fields {
		m, err := sample.ParseModality(f.Name)
		if err != nil {
			continue // a column of someone else's
		}
		if f.DType == sample.Null {
			continue // no sample has it
		}
		want := columns[m]
		ok := slices.Contains(want.dtypes, f.DType) && len(f.Shape) == len(want.shape)
		for i := 0; ok && i < len(want.shape); i++ {
			ok = f.Shape[i] == want.shape[i] || want.shape[i] == -1 && f.Shape[i] > 0
		}
		if !ok {
			return fault.Inputf("column %s holds %s%v; training reads %s%v", f.Name, f.DType, f.Shape, want.dtypes[0], want.shape)
		}
	}
	return nil
}

// partners are the modalities that the hub is paired with, with their weights.
func partners(p configs.Pairs) []struct {
	modality sample.Modality
	weight   float64
} {
	return []struct {
		modality sample.Modality
		weight   float64
	}{{sample.Text, p.Text}, {sample.Audio, p.Audio}, {sample.Depth, p.Depth}, {sample.Thermal, p.Thermal}, {sample.IMU, p.IMU}}
}

// A pair is the hub with one other modality, over the rows that have both.
type pair struct {
	other sample.Modality
	name  string // "image-text"; "video-..." when no row has a picture
	train []int  // rows
	held  []int  // rows kept to measure on

	batch    int  // items of a batch
	perPass  int  // batches that show every training row once; the last one wraps around
	perEpoch int  // batches of an epoch: perPass times the pair's weight
	frames   bool // whether a hub is a video: then every hub goes in as two frames

	pass  int   // the pass that order belongs to
	order []int // rows in the order of that pass, nil: not drawn yet
}

// pairing is how a data set is used: its pairs, in a fixed order.
type pairing struct {
	rows  Rows
	train configs.Train
	vocab int
	pairs []*pair
	notes []string // what a person should know about the choices
}

// leastForSplit is the number of rows of a pair below which nothing is held out: two of fewer rows would
// be too much to take from training.
const leastForSplit = 10

// newPairing finds the pairs and splits them by a hash of the keys: a sample is on the same side in every
// pair that is split, and stays there when the data grow (unless the share would hold out fewer than two
// items of a pair, which raises it until there are two).
func newPairing(rows Rows, t configs.Train, vocab int) (*pairing, error) {
	p := &pairing{rows: rows, train: t, vocab: vocab}
	if rows.Len() == 0 {
		return nil, fault.Inputf("the shards hold no sample to train on (after the selection, if there is one)")
	}
	hubs := 0
	for i := range rows.Len() {
		if rows.Has(i, "image") || rows.Has(i, "video") {
			hubs++
		}
	}
	if hubs == 0 {
		return nil, fault.Inputf("none of the %d samples has an image or a video, which every other modality is paired with", rows.Len())
	}
	type candidate struct {
		*pair
		weight float64
		all    []int
	}
	var found []candidate
	bound := t.HeldOut
	for _, partner := range partners(t.Pairs) {
		if partner.weight == 0 {
			continue
		}
		column := partner.modality.String()
		c := candidate{pair: &pair{other: partner.modality, name: "video-" + column}, weight: partner.weight}
		for i := range rows.Len() {
			if !rows.Has(i, column) {
				continue
			}
			switch {
			case rows.Has(i, "image"):
				c.name = "image-" + column
			case rows.Has(i, "video"):
				c.frames = true
			default:
				continue
			}
			c.all = append(c.all, i)
		}
		if len(c.all) == 0 {
			continue
		}
		if t.HeldOut > 0 && len(c.all) >= leastForSplit {
			bound = max(bound, p.secondPlace(c.all))
		}
		found = append(found, c)
	}
	for _, c := range found {
		pr := c.pair
		p.split(pr, c.all, bound)
		if len(pr.train) < 2 {
			p.notes = append(p.notes, fmt.Sprintf("%s: %d item is not enough to contrast, the pair is left out", pr.name, len(pr.train)))
			continue
		}
		pr.batch = min(t.Batch, len(pr.train))
		if pr.batch < t.Batch {
			p.notes = append(p.notes, fmt.Sprintf("%s: %d training items, so its batch is %d instead of %d", pr.name, len(pr.train), pr.batch, t.Batch))
		}
		pr.perPass = (len(pr.train) + pr.batch - 1) / pr.batch
		pr.perEpoch = max(1, int(math.Round(c.weight*float64(pr.perPass))))
		p.pairs = append(p.pairs, pr)
	}
	if len(p.pairs) == 0 {
		return nil, fault.Inputf("of %d samples with an image or a video, fewer than two have another modality (%s) beside it", hubs, wanted(t.Pairs))
	}
	return p, nil
}

func wanted(p configs.Pairs) string {
	var names []string
	for _, q := range partners(p) {
		if q.weight > 0 {
			names = append(names, q.modality.String())
		}
	}
	return strings.Join(names, ", ")
}

// place puts a key into [0, 1) by its hash.
func (p *pairing) place(row int) float64 {
	h, _ := hash(p.train.Seed, "held out", 0, p.rows.Key(row))
	return float64(h>>11) / (1 << 53)
}

// secondPlace is just above the second lowest place of the rows: a bound that holds out two of them.
func (p *pairing) secondPlace(rows []int) float64 {
	first, second := 1.0, 1.0
	for _, row := range rows {
		switch at := p.place(row); {
		case at < first:
			first, second = at, first
		case at < second:
			second = at
		}
	}
	return math.Nextafter(second, 1)
}

// split holds out the rows whose place is below the bound, of a pair that has enough of them.
func (p *pairing) split(pr *pair, all []int, bound float64) {
	if p.train.HeldOut > 0 && len(all) < leastForSplit {
		p.notes = append(p.notes, fmt.Sprintf("%s: with %d items nothing is held out; retrieval is measured on the training items", pr.name, len(all)))
		bound = 0
	}
	for _, row := range all {
		if p.place(row) < bound && len(pr.held) < len(all)-2 {
			pr.held = append(pr.held, row)
		} else {
			pr.train = append(pr.train, row)
		}
	}
}

// stepsPerEpoch is the number of batches of an epoch.
func (p *pairing) stepsPerEpoch() int {
	n := 0
	for _, pr := range p.pairs {
		n += pr.perEpoch
	}
	return n
}

// A batch is one step's work: the rows, by pair and cursor.
type batch struct {
	pair     *pair
	epoch    int
	position int // in the epoch
	rows     []int
	keys     []string
	feeds    []feed
}

// epochPlan is the order of an epoch's batches: for each position the pair and the number of its batch,
// counted over all epochs. Pairs are mixed by a hash, so that the plan is a function of seed and epoch.
func (p *pairing) epochPlan(epoch int) []planned {
	var plan []planned
	for i, pr := range p.pairs {
		for j := range pr.perEpoch {
			n := epoch*pr.perEpoch + j
			h, _ := hash(p.train.Seed, "batch "+pr.other.String(), n, "")
			plan = append(plan, planned{pair: i, number: n, at: h})
		}
	}
	slices.SortStableFunc(plan, func(a, b planned) int { return cmp.Compare(a.at, b.at) })
	return plan
}

type planned struct {
	pair   int
	number int
	at     uint64
}

// rowsOf returns the rows of a pair's batch by its number over all epochs. Each pass shows every training
// row once, in an order drawn for the pass; its last batch is filled up from the pass's beginning.
func (p *pairing) rowsOf(pr *pair, number int) []int {
	pass, index := number/pr.perPass, number%pr.perPass
	if pr.order == nil || pr.pass != pass {
		type drawn struct {
			at  uint64
			row int
		}
		d := make([]drawn, len(pr.train))
		for i, row := range pr.train {
			h, _ := hash(p.train.Seed, "order "+pr.other.String(), pass, p.rows.Key(row))
			d[i] = drawn{h, row}
		}
		slices.SortFunc(d, func(a, b drawn) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.row, b.row)) })
		pr.pass, pr.order = pass, make([]int, len(d))
		for i := range d {
			pr.order[i] = d[i].row
		}
	}
	rows := make([]int, pr.batch)
	for i := range rows {
		rows[i] = pr.order[(index*pr.batch+i)%len(pr.order)]
	}
	return rows
}

// assemble reads a batch: the hub's and the other modality's tensors, flipped and cut as the epoch says.
func (p *pairing) assemble(b *batch) error {
	b.keys = make([]string, len(b.rows))
	for i, row := range b.rows {
		b.keys[i] = p.rows.Key(row)
	}
	hub := sample.Image
	if b.pair.frames {
		hub = sample.Video
	}
	for _, m := range []sample.Modality{hub, b.pair.other} {
		x, err := p.tensor(m, b.rows, b.epoch)
		if err != nil {
			return err
		}
		b.feeds = append(b.feeds, feed{modality: m, x: x})
	}
	return nil
}

// evaluation stands for the epoch where nothing random happens: no flip, all clips.
const evaluation = -1

// tensor stacks one modality of the rows. A picture among videos is repeated to two frames. In an epoch of
// training, pictures (and what lies pixel for pixel over them: video, depth, thermal) are flipped by the
// same draw, of a sound's clips and of several captions one is drawn, and noise is added where the recipe has any;
// pixels with noise go in normalised, as float32. In evaluation nothing is drawn: all clips go in,
// [B, clips, 1, 128, 204], and the first caption.
func (p *pairing) tensor(m sample.Modality, rows []int, epoch int) (*tensors.Tensor, error) {
	var out *tensors.Tensor
	sigma := 0.0
	if epoch != evaluation {
		sigma = noiseOf(m, p.train.Noise)
	}
	for i, row := range rows {
		key := p.rows.Key(row)
		column := m
		if m == sample.Video && p.rows.Has(row, "image") {
			column = sample.Image
		}
		t, err := p.rows.Tensor(row, column.String())
		if err != nil {
			return nil, err
		}
		if m == sample.Text && epoch != evaluation && p.rows.Has(row, sample.ColumnTexts) {
			if t, err = p.drawCaption(row, epoch, key); err != nil {
				return nil, err
			}
		}
		if err := checkTensor(column, t, key, p.vocab); err != nil {
			return nil, err
		}
		if out == nil {
			kind := storedType(m)
			if sigma > 0 {
				kind = dtypes.Float32
			}
			out = tensors.FromShape(shapes.Make(kind, append([]int{len(rows)}, storedShape(m, t, epoch)...)...))
		}
		flip := epoch != evaluation && p.train.Flip && random.Flip(p.train.Seed, epoch, key)
		switch m {
		case sample.Image, sample.Video, sample.Thermal:
			n := out.Size() / len(rows)
			pixels := func(dst []uint8) {
				if m == sample.Video && column == sample.Image {
					const plane = imageSize * imageSize
					for c := range 3 {
						copy(dst[2*c*plane:], t.Data[c*plane:(c+1)*plane])
						copy(dst[(2*c+1)*plane:], t.Data[c*plane:(c+1)*plane])
					}
				} else {
					copy(dst, t.Data)
				}
				if flip {
					mirror(dst, imageSize)
				}
			}
			if sigma > 0 {
				plain := make([]uint8, n)
				pixels(plain)
				tensors.MustMutableFlatData(out, func(all []float32) {
					dst := all[i*n : (i+1)*n]
					normalisePixels(m, dst, plain)
					p.addNoise(dst, m, epoch, key, sigma)
				})
				continue
			}
			tensors.MustMutableFlatData(out, func(all []uint8) { pixels(all[i*n : (i+1)*n]) })
		case sample.Text:
			tensors.MustMutableFlatData(out, func(all []int32) {
				for j := range contextLength {
					all[i*contextLength+j] = int32(binary.LittleEndian.Uint32(t.Data[4*j:]))
				}
			})
		default:
			data := t.Data
			if m == sample.Audio && epoch != evaluation {
				clip := draw(p.train.Seed, "clip", epoch, key).Below(t.Shape[0])
				size := len(data) / t.Shape[0]
				data = data[clip*size : (clip+1)*size]
			}
			n := out.Size() / len(rows)
			if len(data) != n*t.DType.Size() {
				return nil, fault.Inputf("sample %s: %s holds %v, the samples before it another number of clips", key, m, t.Shape)
			}
			tensors.MustMutableFlatData(out, func(all []float32) {
				dst := all[i*n : (i+1)*n]
				floats(dst, data, t.DType)
				if flip && m == sample.Depth {
					mirror(dst, imageSize)
				}
				if sigma > 0 {
					p.addNoise(dst, m, epoch, key, sigma)
				}
			})
		}
	}
	return out, nil
}

// drawCaption gives the tokens of one of a sample's captions, drawn for the epoch. They are rows of the column
// texts, and behind the last of them there are zeros.
func (p *pairing) drawCaption(row, epoch int, key string) (sample.Tensor, error) {
	t, err := p.rows.Tensor(row, sample.ColumnTexts)
	if err != nil {
		return t, err
	}
	const width = 4 * contextLength
	if t.DType != sample.Int32 || len(t.Shape) != 2 || t.Shape[1] != contextLength || len(t.Data) != t.Shape[0]*width {
		return t, fault.Inputf("sample %s: texts holds %s%v in %d bytes; training reads int32[n,%d]", key, t.DType, t.Shape, len(t.Data), contextLength)
	}
	n := 0
	for n < t.Shape[0] && binary.LittleEndian.Uint32(t.Data[n*width:]) != 0 {
		n++
	}
	if n == 0 {
		return t, fault.Inputf("sample %s: texts holds no caption", key)
	}
	i := draw(p.train.Seed, "caption", epoch, key).Below(n)
	return sample.Tensor{DType: t.DType, Shape: []int{contextLength}, Data: t.Data[i*width : (i+1)*width]}, nil
}

// checkTensor holds one stored tensor to its modality; what the schema promised is checked again where it
// is cheap, because a wrong id or size would read beyond a table.
func checkTensor(m sample.Modality, t sample.Tensor, key string, vocab int) error {
	want := columns[m]
	if t.Absent() {
		return fault.Inputf("sample %s: no %s where the shard said there was one", key, m)
	}
	n := t.DType.Size()
	for _, d := range t.Shape {
		n *= d
	}
	if !slices.Contains(want.dtypes, t.DType) || len(t.Shape) != len(want.shape) || len(t.Data) != n {
		return fault.Inputf("sample %s: %s holds %s%v in %d bytes; training reads %s%v", key, m, t.DType, t.Shape, len(t.Data), want.dtypes[0], want.shape)
	}
	for i, d := range want.shape {
		if d != t.Shape[i] && (d != -1 || t.Shape[i] < 1) {
			return fault.Inputf("sample %s: %s has shape %v; training reads %v", key, m, t.Shape, want.shape)
		}
	}
	if m == sample.Text {
		for j := range contextLength {
			if id := binary.LittleEndian.Uint32(t.Data[4*j:]); id >= uint32(vocab) {
				return fault.Inputf("sample %s: token id %d at position %d; the model knows ids below %d (model.vocab)", key, int32(id), j, vocab)
			}
		}
	}
	return nil
}

// storedType is the type in which a modality goes to the device.
func storedType(m sample.Modality) dtypes.DType {
	switch m {
	case sample.Image, sample.Video, sample.Thermal:
		return dtypes.Uint8
	case sample.Text:
		return dtypes.Int32
	}
	return dtypes.Float32
}

// storedShape is the shape of one sample of a batch.
func storedShape(m sample.Modality, t sample.Tensor, epoch int) []int {
	switch m {
	case sample.Audio:
		if epoch == evaluation {
			return t.Shape
		}
		return t.Shape[1:]
	default:
		return columns[m].shape
	}
}

// mirror reverses every row of the given width in place.
func mirror[T any](x []T, width int) {
	for row := range slices.Chunk(x, width) {
		slices.Reverse(row)
	}
}

// floats converts little-endian float16 or float32 bytes.
func floats(dst []float32, data []byte, t sample.DType) {
	if t == sample.Float16 {
		for i := range dst {
			dst[i] = float16.FromBits(binary.LittleEndian.Uint16(data[2*i:])).Float32()
		}
		return
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
}

// noiseOf is the deviation of a modality's noise in the units in which it goes to the device.
func noiseOf(m sample.Modality, n configs.Noise) float64 {
	switch m {
	case sample.Image, sample.Video:
		return n.Image
	case sample.Audio:
		return n.Audio
	case sample.Depth:
		return n.Depth * depthStd // the graph divides by it
	case sample.Thermal:
		return n.Thermal
	case sample.IMU:
		return n.IMU
	}
	return 0
}

// addNoise adds an item's noise of an epoch: a function of its name, like every draw.
func (p *pairing) addNoise(dst []float32, m sample.Modality, epoch int, key string, sigma float64) {
	x := make([]float32, len(dst))
	draw(p.train.Seed, "noise "+m.String(), epoch, key).Normals(x, sigma)
	for i, v := range x {
		dst[i] += v
	}
}

// normalisePixels does to levels what the graph does to them: [3][...] planes of pictures, one plane of heat.
func normalisePixels(m sample.Modality, dst []float32, levels []uint8) {
	if m == sample.Thermal {
		for i, v := range levels {
			dst[i] = float32(v) / 255
		}
		return
	}
	plane := len(levels) / 3
	for c := range 3 {
		for i, v := range levels[c*plane : (c+1)*plane] {
			dst[c*plane+i] = (float32(v)/255 - imageMean[c]) / imageStd[c]
		}
	}
}

package trainer

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
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

// A group is one data set of a run, a stretch of its rows. Every pair is of one group, so that a batch holds
// items of one origin, which tell nothing by where they come from.
type group struct {
	name     string
	from, to int
}

// grouped are rows of several data sets.
type grouped interface{ groups() []group }

// labelled are rows with labels: the names of the classes that a row belongs to.
type labelled interface{ Labels(i int) []string }

func groupsOf(rows Rows) []group {
	if g, ok := rows.(grouped); ok {
		return g.groups()
	}
	return []group{{to: rows.Len()}}
}

func labelsOf(rows Rows, i int) []string {
	if l, ok := rows.(labelled); ok {
		return l.Labels(i)
	}
	return nil
}

// shardRows reads the rows of shards folders, one after the other. Where there are several, keys are told
// apart by the beginning of their manifest's digest.
type shardRows struct {
	sets     []*shards.Dataset
	all      []group
	mirrored []bool // the data sets whose pictures were mirrored at ingest
}

func newShardRows(sets []*shards.Dataset, names []string) *shardRows {
	r := &shardRows{sets: sets}
	at := 0
	for i, s := range sets {
		r.all = append(r.all, group{names[i], at, at + s.Len()})
		r.mirrored = append(r.mirrored, flippedAtIngest(s.Manifest().Config))
		at += s.Len()
	}
	return r
}

// set returns the place of a row's data set.
func (r *shardRows) set(i int) int {
	k := len(r.all) - 1
	for i < r.all[k].from {
		k--
	}
	return k
}

// at returns the data set of a row and the row's place in it.
func (r *shardRows) at(i int) (*shards.Dataset, int) {
	k := r.set(i)
	return r.sets[k], i - r.all[k].from
}

// Mirrored reports whether a row's pictures were mirrored for good.
func (r *shardRows) Mirrored(i int) bool { return r.mirrored[r.set(i)] }

// close unmaps the shards.
func (r *shardRows) close() {
	for _, d := range r.sets {
		d.Close()
	}
}

func (r *shardRows) Len() int        { return r.all[len(r.all)-1].to }
func (r *shardRows) groups() []group { return r.all }

func (r *shardRows) Key(i int) string {
	d, j := r.at(i)
	if len(r.sets) > 1 {
		return d.Manifest().Digest[:12] + "/" + d.Key(j)
	}
	return d.Key(j)
}

func (r *shardRows) Has(i int, column string) bool {
	d, j := r.at(i)
	return d.Has(j, column)
}

func (r *shardRows) Tensor(i int, column string) (sample.Tensor, error) {
	d, j := r.at(i)
	return d.Tensor(j, column), nil
}

func (r *shardRows) Labels(i int) []string {
	d, j := r.at(i)
	row, err := d.Row(j)
	if err != nil {
		return nil
	}
	return row.Labels
}

// columns says what each modality's column must hold; -1 is any number of clips. A video may have an axis of clips
// and crops before these. Audio and depth are float16 or float32.
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

// fits reports whether a shape is a modality's.
func fits(m sample.Modality, shape []int) bool {
	want := columns[m].shape
	if m == sample.Video && len(shape) == len(want)+1 && shape[0] > 0 {
		shape = shape[1:]
	}
	return slices.EqualFunc(shape, want, func(got, want int) bool { return got == want || want == -1 && got > 0 })
}

// clipsOf is how many clips (of a video, times crops) a tensor of a fitting shape holds, 0 where it has no axis
// for them.
func clipsOf(m sample.Modality, shape []int) int {
	if m == sample.Audio || m == sample.Video && len(shape) > len(columns[m].shape) {
		return shape[0]
	}
	return 0
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
		if !slices.Contains(want.dtypes, f.DType) || !fits(m, f.Shape) {
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

	group    string // the data set's name, where there are several
	batch    int    // items of a batch
	parts    int    // batches of a step, which are each other's negatives
	perPass  int    // steps that show every training row once; the last one wraps around
	perEpoch int    // steps of an epoch: perPass times the pair's weight and its data set's
	frames   bool   // whether a hub is a video: then every hub goes in as two frames

	rests []bool // the stages in which nothing of the pair moves, which pass it over; nil: none

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
	pool  pool
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
	groups := groupsOf(rows)
	if len(t.Mix) > 0 && len(t.Mix) != len(groups) {
		return nil, fault.Usagef("train.mix has %d weights for %d data sets", len(t.Mix), len(groups))
	}
	for _, partner := range partners(t.Pairs) {
		column := partner.modality.String()
		for k, g := range groups {
			weight := partner.weight
			if len(t.Mix) > 0 {
				weight *= t.Mix[k]
			}
			if weight == 0 {
				continue
			}
			c := candidate{pair: &pair{other: partner.modality, name: "video-" + column, group: g.name}, weight: weight}
			for i := g.from; i < g.to; i++ {
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
	}
	// A name is the modalities', and the data set's too where several have them.
	seen := map[string]int{}
	for _, c := range found {
		seen[c.name]++
	}
	for _, c := range found {
		if seen[c.name] > 1 {
			c.name += "@" + c.group
		}
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
		pr.parts = min(t.Accumulate, max(1, len(pr.train)/pr.batch))
		if pr.parts < t.Accumulate {
			p.notes = append(p.notes, fmt.Sprintf("%s: %d training items, so a step has %d batches instead of %d", pr.name, len(pr.train), pr.parts, t.Accumulate))
		}
		pr.perPass = (len(pr.train) + pr.rows() - 1) / pr.rows()
		pr.perEpoch = max(1, int(math.Round(c.weight*float64(pr.perPass))))
		p.pairs = append(p.pairs, pr)
	}
	if len(p.pairs) == 0 {
		return nil, fault.Inputf("of %d samples with an image or a video, fewer than two have another modality (%s) beside it", hubs, wanted(t.Pairs))
	}
	return p, nil
}

// rows is the number of items of a step.
func (pr *pair) rows() int { return pr.batch * pr.parts }

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

// stepsIn is the number of steps of an epoch.
func (p *pairing) stepsIn(epoch int) int {
	n := 0
	for _, pr := range p.in(epoch) {
		n += pr.perEpoch
	}
	return n
}

// stepsTo is the number of steps of the first epochs.
func (p *pairing) stepsTo(epochs int) int {
	n, per, last := 0, 0, -1
	for epoch := range epochs {
		if stage, _, _ := p.train.StageOf(epoch); stage != last {
			last, per = stage, p.stepsIn(epoch)
		}
		n += per
	}
	return n
}

// in lists the pairs that an epoch trains on.
func (p *pairing) in(epoch int) []*pair {
	stage, _, _ := p.train.StageOf(epoch)
	var out []*pair
	for _, pr := range p.pairs {
		if pr.rests == nil || !pr.rests[stage] {
			out = append(out, pr)
		}
	}
	return out
}

// A batch is one step's work: the rows, by pair and cursor.
type batch struct {
	pair     *pair
	epoch    int
	position int // in the epoch
	rows     []int
	keys     []string
	parts    [][]feed // what each batch of the step feeds
}

// epochPlan is the order of an epoch's steps: for each position the pair and the number of its step,
// counted over all epochs. Pairs are mixed by a hash, so that the plan is a function of seed and epoch.
func (p *pairing) epochPlan(epoch int) []planned {
	var plan []planned
	for _, pr := range p.in(epoch) {
		for j := range pr.perEpoch {
			n := epoch*pr.perEpoch + j
			h, _ := hash(p.train.Seed, "batch "+pr.stream(), n, "")
			plan = append(plan, planned{pair: slices.Index(p.pairs, pr), number: n, at: h})
		}
	}
	slices.SortStableFunc(plan, func(a, b planned) int { return cmp.Compare(a.at, b.at) })
	return plan
}

// stream names a pair in the streams of random numbers.
func (pr *pair) stream() string {
	if _, set, several := strings.Cut(pr.name, "@"); several {
		return pr.other.String() + "@" + set
	}
	return pr.other.String()
}

type planned struct {
	pair   int
	number int
	at     uint64
}

// rowsOf returns the rows of a pair's step by its number over all epochs. Each pass shows every training
// row once, in an order drawn for the pass; its last step is filled up from the pass's beginning.
func (p *pairing) rowsOf(pr *pair, number int) []int {
	pass, index := number/pr.perPass, number%pr.perPass
	if pr.order == nil || pr.pass != pass {
		type drawn struct {
			at  uint64
			row int
		}
		d := make([]drawn, len(pr.train))
		for i, row := range pr.train {
			h, _ := hash(p.train.Seed, "order "+pr.stream(), pass, p.rows.Key(row))
			d[i] = drawn{h, row}
		}
		slices.SortFunc(d, func(a, b drawn) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.row, b.row)) })
		pr.pass, pr.order = pass, make([]int, len(d))
		for i := range d {
			pr.order[i] = d[i].row
		}
	}
	rows := make([]int, pr.rows())
	for i := range rows {
		rows[i] = pr.order[(index*len(rows)+i)%len(pr.order)]
	}
	return rows
}

// keys are the keys of rows.
func (p *pairing) keys(rows []int) []string {
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = p.rows.Key(row)
	}
	return keys
}

// assemble reads a step's batches: the hub's and the other modality's tensors, flipped and cut as the epoch
// says.
func (p *pairing) assemble(b *batch) error {
	b.keys = p.keys(b.rows)
	hub := sample.Image
	if b.pair.frames {
		hub = sample.Video
	}
	for at := 0; at < len(b.rows); at += b.pair.batch {
		var feeds []feed
		for _, m := range []sample.Modality{hub, b.pair.other} {
			x, err := p.tensor(m, b.rows[at:at+b.pair.batch], b.keys[at:at+b.pair.batch], b.epoch)
			if err != nil {
				return err
			}
			feeds = append(feeds, feed{modality: m, x: x})
		}
		b.parts = append(b.parts, feeds)
	}
	return nil
}

// evaluation stands for the epoch where nothing random happens: no flip, no noise, all clips.
const evaluation = -1

// tensor stacks one modality of the rows, whose keys are given. A picture among videos is repeated to two
// frames. In an epoch of training, pictures (and what lies pixel for pixel over them: video, depth, thermal)
// are flipped by the same draw, of a sound's clips, a video's clips and crops and of several captions one is drawn,
// and noise is added where the recipe has any; what gets noise goes in as float32, pixels normalised. In evaluation
// nothing is drawn: all clips go in, [B, clips, 1, 128, 204] or [B, clips, 3, 2, 224, 224], and the first caption; a
// picture among videos of several clips is all of them. The tensor comes from the pool, to which free gives it back.
func (p *pairing) tensor(m sample.Modality, rows []int, keys []string, epoch int) (*tensors.Tensor, error) {
	var out *tensors.Tensor
	var err error
	var first sample.Tensor // the first row's, whose type all have
	sigma, clips := 0.0, 0
	if epoch != evaluation {
		sigma = noiseOf(m, p.train.Noise)
	} else if clips, err = p.clips(m, rows); err != nil {
		return nil, err
	}
	for i, row := range rows {
		key := keys[i]
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
			if out, err = p.pool.take(shapes.Make(fedType(t.DType, sigma > 0), append([]int{len(rows)}, fedShape(m, clips)...)...)); err != nil {
				return nil, err
			}
			first = t
		}
		n := clipsOf(column, t.Shape)
		if t.DType != first.DType || column == m && epoch == evaluation && n != clips {
			return nil, fault.Inputf("sample %s: %s holds %s%v, other samples %s%v", key, m, t.DType, t.Shape, first.DType, first.Shape)
		}
		data := t.Data
		if n > 0 && epoch != evaluation {
			clip := draw(p.train.Seed, "clip", epoch, key).Below(n)
			size := len(data) / n
			data = data[clip*size : (clip+1)*size]
		}
		overlaid := m == sample.Image || m == sample.Video || m == sample.Thermal || m == sample.Depth
		flip := overlaid && epoch != evaluation && p.flips(row) && random.Flip(p.train.Seed, epoch, key)
		into := func(dst []byte) {
			if m == sample.Video && column == sample.Image {
				const plane, planes = imageSize * imageSize, videoFrames * 3
				for i := range len(dst) / plane { // channels before frames, in each clip
					from := i % planes / videoFrames * plane
					fill(dst[i*plane:(i+1)*plane], data[from:from+plane], 1, flip)
				}
				return
			}
			fill(dst, data, t.DType.Size(), flip)
		}
		if sigma > 0 {
			n := out.Size() / len(rows)
			plain := make([]byte, n*t.DType.Size())
			into(plain)
			tensors.MustMutableFlatData(out, func(all []float32) {
				dst := all[i*n : (i+1)*n]
				if t.DType == sample.Uint8 {
					normalisePixels(m, dst, plain)
				} else {
					floats(dst, plain, t.DType)
				}
				p.addNoise(dst, m, epoch, key, sigma)
			})
			continue
		}
		if err := out.MutableBytes(func(all []byte) {
			n := len(all) / len(rows)
			into(all[i*n : (i+1)*n])
		}); err != nil {
			return nil, err
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

// flips reports whether a row's pictures may be mirrored: not where ingest has done it for good.
func (p *pairing) flips(row int) bool {
	if m, ok := p.rows.(interface{ Mirrored(i int) bool }); ok && m.Mirrored(row) {
		return false
	}
	return p.train.Flip
}

// fill copies pixels of so many bytes, mirrored in rows of the picture's width or not.
func fill(dst, src []byte, size int, flip bool) {
	switch {
	case !flip:
		copy(dst, src)
	case size == 1:
		mirrorBytes(dst, src)
	default:
		width := imageSize * size
		for y := 0; y < len(src); y += width {
			for x := 0; x < width; x += size {
				copy(dst[y+x:y+x+size], src[y+width-size-x:y+width-x])
			}
		}
	}
}

// mirrorBytes copies rows of imageSize bytes back to front, 32 bytes at a time: half of all pictures go this
// way, and byte by byte it would cost several times the plain copy. The lengths are spelled out for the compiler,
// which then checks no bounds inside.
func mirrorBytes(dst, src []byte) {
	const block = 32
	le := binary.LittleEndian
	for len(src) >= imageSize && len(dst) >= imageSize {
		d, s := (*[imageSize]byte)(dst), (*[imageSize]byte)(src)
		for x := 0; x < imageSize; x += block {
			to, from := (*[block]byte)(d[x:]), (*[block]byte)(s[imageSize-block-x:])
			a, b, c, e := le.Uint64(from[24:]), le.Uint64(from[16:]), le.Uint64(from[8:]), le.Uint64(from[:])
			le.PutUint64(to[:], bits.ReverseBytes64(a))
			le.PutUint64(to[8:], bits.ReverseBytes64(b))
			le.PutUint64(to[16:], bits.ReverseBytes64(c))
			le.PutUint64(to[24:], bits.ReverseBytes64(e))
		}
		dst, src = dst[imageSize:], src[imageSize:]
	}
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
	if !slices.Contains(want.dtypes, t.DType) || len(t.Data) != n {
		return fault.Inputf("sample %s: %s holds %s%v in %d bytes; training reads %s%v", key, m, t.DType, t.Shape, len(t.Data), want.dtypes[0], want.shape)
	}
	if !fits(m, t.Shape) {
		return fault.Inputf("sample %s: %s has shape %v; training reads %v", key, m, t.Shape, want.shape)
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

// fedType is the type in which a stored tensor goes to the device: as it is stored, which the graph converts;
// what gets noise on the host is float32.
func fedType(t sample.DType, noisy bool) dtypes.DType {
	switch {
	case noisy:
		return dtypes.Float32
	case t == sample.Uint8:
		return dtypes.Uint8
	case t == sample.Int32:
		return dtypes.Int32
	case t == sample.Float16:
		return dtypes.Float16
	}
	return dtypes.Float32
}

// fedShape is the shape of one sample of a batch; clips is 0 where there is no axis for them.
func fedShape(m sample.Modality, clips int) []int {
	shape := columns[m].shape
	if m == sample.Audio {
		shape = shape[1:]
	}
	if clips > 0 {
		return append([]int{clips}, shape...)
	}
	return shape
}

// clips is how many clips the rows' tensors of a modality have, as clipsOf counts. Pictures among videos have as
// many as the videos.
func (p *pairing) clips(m sample.Modality, rows []int) (int, error) {
	if m != sample.Audio && m != sample.Video {
		return 0, nil
	}
	for _, row := range rows {
		if m == sample.Video && p.rows.Has(row, "image") {
			continue
		}
		t, err := p.rows.Tensor(row, m.String())
		if err != nil {
			return 0, err
		}
		if !fits(m, t.Shape) {
			return 0, nil // for checkTensor to say
		}
		return clipsOf(m, t.Shape), nil
	}
	return 0, nil
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

// A pool keeps the tensors of batches that are through for the next ones: fresh memory of a batch's size
// costs more in page faults than filling it. It is safe for concurrent use.
type pool struct {
	mu      sync.Mutex
	backend compute.Backend // nil: tensors of the host
	idle    map[string][]*tensors.Tensor
}

// take returns a tensor of the shape whose content is anything.
func (p *pool) take(shape shapes.Shape) (*tensors.Tensor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := shape.String()
	if n := len(p.idle[key]); n > 0 {
		t := p.idle[key][n-1]
		p.idle[key] = p.idle[key][:n-1]
		return t, nil
	}
	return tensors.FromShapeForBackend(p.backend, 0, shape)
}

// give takes a tensor back that nobody uses any more.
func (p *pool) give(t *tensors.Tensor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle == nil {
		p.idle = map[string][]*tensors.Tensor{}
	}
	key := t.Shape().String()
	p.idle[key] = append(p.idle[key], t)
}

// close frees what is idle.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.idle {
		for _, t := range list {
			t.FinalizeAll()
		}
	}
	p.idle = nil
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

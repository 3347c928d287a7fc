package trainer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/gomlx/compute"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/sample"
	"prep/shards"
	"prep/trainer/device"
	"prep/trainer/element"
)

// EmbedOptions are what Embed is asked to do.
type EmbedOptions struct {
	Shards  string // folder of a finished ingest
	Weights string // as OpenWeights takes it
	Init    Init   // how strictly the weights must fit
	Model   configs.Model
	Device  string // as train.device, "" for cpu
	Plugin  string // as in Options
	// Precision is as train.precision, "" for float32.
	Precision string
	// Modalities are embedded one after the other; nil means all that the shards hold.
	Modalities []sample.Modality
	// Out ends in .parquet, or for a single modality in .npy.
	Out   string
	Batch int
	// Scaled multiplies the unit vectors by the modality's logit scale and averages the clips of a sound
	// without normalising again, which is what ImageBind's forward returns.
	Scaled          bool
	IgnoreSelection bool
	Log             func(string)
	// Progress, if set, is called after every batch with the number of vectors done and due.
	Progress func(done, all int)
}

// Embedded is what Embed wrote.
type Embedded struct {
	Out     string         `json:"out"`
	Vectors int            `json:"vectors"`
	Dim     int            `json:"dim"`
	By      map[string]int `json:"by_modality"`
}

// Embed takes every sample of the shards through the towers of its modalities and writes the vectors: rows of
// key, modality and vector, by modality and then in the order of the shards. Only the weights of one tower are
// in memory at a time.
func Embed(ctx context.Context, o EmbedOptions) (*Embedded, error) {
	if err := o.Model.Check(); err != nil {
		return nil, err
	}
	data, err := shards.Open(o.Shards, shards.OpenOptions{IgnoreSelection: o.IgnoreSelection})
	if err != nil {
		return nil, explainShards(o.Shards, err)
	}
	defer data.Close()
	if err := checkSchema(data.Schema().Tensors); err != nil {
		return nil, err
	}
	return embedRows(ctx, o, newShardRows([]*shards.Dataset{data}, []string{filepath.Base(o.Shards)}))
}

// embedRows is Embed over rows of any origin.
func embedRows(ctx context.Context, o EmbedOptions, rows Rows) (*Embedded, error) {
	byModality := map[sample.Modality][]int{}
	total := 0
	for m := range sample.NumModalities {
		if o.Modalities != nil && !slices.Contains(o.Modalities, m) {
			continue
		}
		for i := range rows.Len() {
			if rows.Has(i, m.String()) {
				byModality[m] = append(byModality[m], i)
				total++
			}
		}
	}
	if total == 0 {
		return nil, fault.Inputf("none of the %d samples has a modality to embed", rows.Len())
	}
	f, err := OpenWeights(o.Weights)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	backend, _, err := device.Open(ctx, device.Options{Name: cmp.Or(o.Device, "cpu"), Plugin: o.Plugin, TF32: o.Precision == "tf32", Log: o.Log})
	if err != nil {
		return nil, err
	}
	defer backend.Finalize()
	x := &Embedded{Out: o.Out, Dim: o.Model.Dim, By: map[string]int{}}
	embed := func(put func(key string, m sample.Modality, v []float32) error) error {
		p := &pairing{rows: rows, vocab: o.Model.Vocab}
		for m := range sample.NumModalities {
			if len(byModality[m]) == 0 {
				continue
			}
			err := p.embedModality(ctx, o, backend, f, m, byModality[m], func(key string, v []float32) error {
				x.Vectors++
				x.By[m.String()]++
				return put(key, m, v)
			}, func(done int) {
				if o.Progress != nil {
					o.Progress(done, total)
				}
			}, x)
			if err != nil {
				return err
			}
		}
		return nil
	}
	switch strings.ToLower(filepath.Ext(o.Out)) {
	case ".parquet":
		_, err = writeAside(o.Out, func(w io.Writer) error { return writeVectors(w, o.Model.Dim, embed) })
	case ".npy":
		if len(byModality) > 1 {
			return nil, fault.Usagef("%s: an array holds one modality; name it with --modality, or write .parquet", o.Out)
		}
		err = writeArray(o.Out, total, o.Model.Dim, embed)
	default:
		err = fault.Usagef("%s: the name of the output ends in .parquet or .npy", o.Out)
	}
	return x, err
}

// embedModality takes one modality of the rows through its tower, in batches of one shape: a batch that is
// not full is filled up with repetitions, whose vectors are dropped.
func (p *pairing) embedModality(ctx context.Context, o EmbedOptions, backend compute.Backend, f *WeightFile, m sample.Modality, rows []int, put func(string, []float32) error, progress func(int), x *Embedded) error {
	e, err := openEngine(o.Model, configs.Train{Precision: o.Precision}, engineOptions{backend: backend, shared: true, towers: []*towerSpec{towerOf(m)}, still: true, from: f, init: o.Init, log: o.Log})
	if err != nil {
		return err
	}
	defer e.close()
	p.pool.backend = e.backend
	defer p.pool.close()
	most := min(o.Batch, len(rows))
	for len(rows) > 0 {
		if ctx.Err() != nil {
			return context.Canceled
		}
		size, err := p.atOnce(m, rows, most)
		if err != nil {
			return err
		}
		n, err := p.sameShape(m, rows, size)
		if err != nil {
			return err
		}
		chunk := slices.Clone(rows[:n])
		for len(chunk) < size {
			chunk = append(chunk, chunk[n-1])
		}
		in, err := p.tensor(m, chunk, p.keys(chunk), evaluation)
		if err != nil {
			return err
		}
		v, err := e.outputs(m, in)
		if err == nil {
			err = p.checkVectors(m, in, v, chunk[:n])
		}
		p.pool.give(in)
		if err != nil {
			return err
		}
		if !o.Scaled {
			normaliseRows(v, o.Model.Dim)
		}
		for i, row := range rows[:n] {
			vector := v[i*o.Model.Dim : (i+1)*o.Model.Dim]
			if err := put(p.rows.Key(row), vector); err != nil {
				return err
			}
		}
		rows = rows[n:]
		progress(x.Vectors)
	}
	return nil
}

// atOnce is how many samples go through a tower together where a batch is of so many: to the tower each clip of a
// video is one. The first of the rows that is a video tells how many clips they have.
func (p *pairing) atOnce(m sample.Modality, rows []int, batch int) (int, error) {
	if m == sample.Video {
		clips, err := p.clips(m, rows)
		if err != nil {
			return 0, err
		}
		batch /= max(1, clips)
	}
	return max(1, batch), nil
}

// sameShape is how many of the first rows, at most size, have tensors of one shape: sounds and videos may differ
// in their number of clips.
func (p *pairing) sameShape(m sample.Modality, rows []int, size int) (int, error) {
	if m != sample.Audio && m != sample.Video {
		return min(size, len(rows)), nil
	}
	var first []int
	for i, row := range rows[:min(size, len(rows))] {
		t, err := p.rows.Tensor(row, m.String())
		if err != nil {
			return 0, err
		}
		if i == 0 {
			first = t.Shape
		} else if !slices.Equal(first, t.Shape) {
			return i, nil
		}
	}
	return min(size, len(rows)), nil
}

// vectorRows is the number of vectors in a row group.
const vectorRows = 4096

// writeVectors writes Parquet with the columns key, modality and vector, a list of dim float32.
func writeVectors(w io.Writer, dim int, embed func(func(string, sample.Modality, []float32) error) error) error {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "key", Type: arrow.BinaryTypes.String},
		{Name: "modality", Type: arrow.BinaryTypes.String},
		{Name: "vector", Type: arrow.FixedSizeListOfNonNullable(int32(dim), arrow.PrimitiveTypes.Float32)},
	}, nil)
	props := parquet.NewWriterProperties(
		parquet.WithCreatedBy("prep version 1.0.0"),
		parquet.WithVersion(parquet.V2_LATEST),
		parquet.WithDictionaryDefault(false), // vectors do not repeat
		parquet.WithDictionaryFor("modality", true),
	)
	fw, err := pqarrow.NewFileWriter(schema, struct{ io.Writer }{w}, props, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return err
	}
	b := array.NewRecordBuilder(arrowmemory.DefaultAllocator, schema)
	defer b.Release()
	keys, modalities := b.Field(0).(*array.StringBuilder), b.Field(1).(*array.StringBuilder)
	vectors := b.Field(2).(*array.FixedSizeListBuilder)
	values := vectors.ValueBuilder().(*array.Float32Builder)
	flush := func() error {
		if keys.Len() == 0 {
			return nil
		}
		rec := b.NewRecordBatch()
		defer rec.Release()
		return fw.Write(rec)
	}
	err = embed(func(key string, m sample.Modality, v []float32) error {
		keys.Append(key)
		modalities.Append(m.String())
		vectors.Append(true)
		values.AppendValues(v, nil)
		if keys.Len() < vectorRows {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return errors.Join(err, fw.Close())
}

// writeArray writes a NumPy array [n, dim] of float32 and, beside it, the keys of its rows, one a line.
func writeArray(path string, n, dim int, embed func(func(string, sample.Modality, []float32) error) error) error {
	var keys strings.Builder
	_, err := writeAside(path, func(w io.Writer) error {
		head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", n, dim)
		head += strings.Repeat(" ", (64-(10+len(head)+1)%64)%64) + "\n" // the values begin at a multiple of 64
		if _, err := fmt.Fprintf(w, "\x93NUMPY\x01\x00%c%c%s", len(head)&255, len(head)>>8, head); err != nil {
			return err
		}
		var b []byte
		return embed(func(key string, _ sample.Modality, v []float32) error {
			if strings.ContainsAny(key, "\r\n") {
				return fault.Inputf("the key %q has a line break, which a list of keys cannot hold; write .parquet", key)
			}
			keys.WriteString(key + "\n")
			b = element.F32.Append(b[:0], v)
			_, err := w.Write(b)
			return err
		})
	})
	if err != nil {
		return err
	}
	list := strings.TrimSuffix(path, filepath.Ext(path)) + ".keys.txt"
	if err := os.WriteFile(list, []byte(keys.String()), 0o666); err != nil {
		return explainDisk(list, err)
	}
	return nil
}

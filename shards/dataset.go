package shards

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sort"
	"sync"

	"prep/internal/sample"
)

// OpenOptions are a reader's settings.
type OpenOptions struct {
	// IgnoreSelection reads all rows even when there is a selection.
	IgnoreSelection bool
}

// Dataset gives random access to the rows of a finished folder: all of them, or those the selection
// keeps, numbered from 0 in the order of the input. It is safe for concurrent use, except that Close must
// come after the last use of anything it gave: tensors lie in the mapped files.
type Dataset struct {
	manifest  *Manifest
	selection *Selection
	shards    []*shard
	ends      []int     // number of kept rows up to and with each shard
	kept      [][]int32 // the kept rows of each shard; nil: all
	columns   map[string]int
}

// Open opens dir. It checks the manifest and the selection by their digests, and of every shard the size,
// the schema and the number of rows; content is not hashed, which is Verify's business. The batches are
// located now, at some microseconds each, so that a damaged shard is an error here and not in the
// middle of an epoch. No row is read.
//
// Errors: fs.ErrNotExist when there is no finished folder, fault.Corrupt for a damaged one. A file that is
// cut short while it is mapped cannot be guarded against: the system kills the process (SIGBUS) at the
// next touch. Finished shards are never written to, by this program or any other that means well.
func Open(dir string, o OpenOptions) (*Dataset, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	d := &Dataset{manifest: m, columns: map[string]int{}}
	for i, t := range m.Schema.Tensors {
		d.columns[t.Name] = i
	}
	if !o.IgnoreSelection {
		switch s, err := readSelection(dir, m); {
		case err == nil:
			d.selection = s
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	d.shards = make([]*shard, len(m.Tasks))
	errs := make([]error, len(m.Tasks))
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, t := range m.Tasks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d.shards[i], errs[i] = openShard(filepath.Join(dir, filepath.FromSlash(t.Shard.Name)), m.Schema, t.Shard.Bytes, t.Written)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			d.Close()
			return nil, err
		}
	}
	n := 0
	d.kept = make([][]int32, len(d.shards))
	for i, s := range d.shards {
		if d.selection == nil {
			n += int(s.rows)
		} else {
			bitmap := d.selection.Shards[i].Bitmap
			rows := make([]int32, 0, d.selection.Shards[i].Kept)
			for r := range s.rows {
				if bitmap.Has(r) {
					rows = append(rows, int32(r))
				}
			}
			d.kept[i] = rows
			n += len(rows)
		}
		d.ends = append(d.ends, n)
	}
	return d, nil
}

// Manifest is the folder's manifest. It must not be changed.
func (d *Dataset) Manifest() *Manifest { return d.manifest }

// Selection is the selection that is honoured, or nil. It must not be changed.
func (d *Dataset) Selection() *Selection { return d.selection }

// Schema is the schema of the rows.
func (d *Dataset) Schema() Schema { return d.manifest.Schema }

// Len is the number of rows.
func (d *Dataset) Len() int {
	if len(d.ends) == 0 {
		return 0
	}
	return d.ends[len(d.ends)-1]
}

// locate returns the shard and the row in it of row i.
func (d *Dataset) locate(i int) (int, int64) {
	if i < 0 || i >= d.Len() {
		panic(fmt.Sprintf("shards: row %d of %d", i, d.Len()))
	}
	k := sort.SearchInts(d.ends, i+1)
	if k > 0 {
		i -= d.ends[k-1]
	}
	if d.kept[k] != nil {
		return k, int64(d.kept[k][i])
	}
	return k, int64(i)
}

// Row returns row i, 0 <= i < Len (any other panics, as a slice would). Its tensors are not copied.
func (d *Dataset) Row(i int) (Row, error) {
	k, row := d.locate(i)
	r, err := d.shards[k].row(row)
	if err != nil {
		return Row{}, d.explain(k, row, err)
	}
	r.Task, r.Shard, r.Index, r.columns = k, d.manifest.Tasks[k].Shard.Name, row, d.columns
	return r, nil
}

// Key returns the key of row i, "" if the shard is damaged there (Row tells).
func (d *Dataset) Key(i int) string {
	k, row := d.locate(i)
	b, at := d.shards[k].find(row)
	key, _, err := b.key.at(at)
	if err != nil {
		return ""
	}
	return key
}

// Has reports whether row i has a tensor in the column.
func (d *Dataset) Has(i int, column string) bool {
	c, ok := d.columns[column]
	if !ok {
		return false
	}
	k, row := d.locate(i)
	b, at := d.shards[k].find(row)
	_, there := b.tensors[c].at(at)
	return there
}

// Tensor returns the tensor of row i in a column, without reading the rest of the row: absent when it is null
// or there is no such column. As with Row, its data lies in the mapped file.
func (d *Dataset) Tensor(i int, column string) sample.Tensor {
	c, ok := d.columns[column]
	if !ok {
		return sample.Tensor{}
	}
	k, row := d.locate(i)
	b, at := d.shards[k].find(row)
	data, there := b.tensors[c].at(at)
	if !there {
		return sample.Tensor{}
	}
	f := d.manifest.Schema.Tensors[c]
	return sample.Tensor{DType: f.DType, Shape: f.Shape, Data: data}
}

func (d *Dataset) explain(task int, row int64, err error) error {
	return corruptRow(d.manifest.Tasks[task].Shard.Name, row, err)
}

// Close unmaps the files. Tensors of rows must not be touched any more.
func (d *Dataset) Close() error {
	var errs []error
	for _, s := range d.shards {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

// Row is one stored sample.
type Row struct {
	Key, Caption string
	Labels       []string
	Captions     []string // all, Caption first; nil where the schema has no such column
	Task         int      // index in the manifest
	Shard        string   // file name
	Index        int64    // row in the shard

	shard   *shard
	batch   *batch
	index   int64 // row in the batch
	columns map[string]int
}

// Tensor returns the tensor of a column, absent when it is null or there is no such column. Its data lies
// in the mapped file: it must not be written to, and is gone after the data set is closed.
func (r Row) Tensor(column string) sample.Tensor {
	c, ok := r.columns[column]
	if !ok {
		return sample.Tensor{}
	}
	data, there := r.batch.tensors[c].at(r.index)
	if !there {
		return sample.Tensor{}
	}
	f := r.shard.schema.Tensors[c]
	return sample.Tensor{DType: f.DType, Shape: f.Shape, Data: data}
}

// Metrics returns the metrics that are there, a map of the caller's own. A damaged string is left out.
func (r Row) Metrics() sample.Metrics {
	m, err := r.batch.metricsAt(r.shard.schema, r.index)
	if err != nil {
		return nil
	}
	return m
}

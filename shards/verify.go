package shards

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	flatbuffers "github.com/google/flatbuffers/go"

	"prep/internal/fault"
	"prep/internal/sample"
)

// Problem is one thing that is wrong with a folder.
type Problem struct {
	File string `json:"file"` // relative to the folder
	What string `json:"what"`
}

// VerifyOptions are Verify's settings.
type VerifyOptions struct {
	// Progress is told the bytes read so far and in all, one call at a time.
	Progress func(done, total int64)
	// CheckRow judges the values of a tensor that is there and returns what is wrong with them, or "".
	// It is called from several goroutines at once, and must keep nothing of the tensor.
	CheckRow func(column string, t sample.Tensor) string
}

// Report is what Verify found.
type Report struct {
	Samples  int64 // written, as the manifest has it
	Problems []Problem
}

// maxProblems is how many problems of one file are told apart; the others are counted.
const maxProblems = 20

// Verify checks everything that can be known of a finished folder: every file that the manifest covers
// by size and hash, no shard or ledger beside them, the selection; then each shard against schema and
// ledger, row by row; and the counts per task and in total, and that no key occurs twice. Any changed
// byte of any file is found, and damage in a shard is located by bytes and rows.
//
// What is wrong with the folder is in the report; an error means that the folder could not be verified
// (no such folder: fault.Input; ctx ended: its error).
func Verify(ctx context.Context, dir string, o VerifyOptions) (*Report, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fault.Inputf("%s: no such folder", dir)
	}
	rep := &Report{Problems: []Problem{}}
	m, err := ReadManifest(dir)
	if err != nil {
		what := strings.TrimPrefix(err.Error(), filepath.Join(dir, ManifestName)+": ")
		if errors.Is(err, fs.ErrNotExist) {
			what = "missing: the folder was never finished, or the file was deleted"
		}
		rep.Problems = append(rep.Problems, Problem{ManifestName, what})
		return rep, nil
	}
	rep.Samples = m.Counts.Written
	v := &verifier{dir: dir, m: m, o: o}
	for _, t := range m.Tasks {
		v.total += t.Shard.Bytes + t.Ledger.Bytes
	}
	for _, f := range m.Files {
		v.total += f.Bytes
	}
	results := make([]taskResult, len(m.Tasks)+len(m.Files))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range results {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if i < len(m.Tasks) {
				results[i] = v.task(ctx, i)
			} else {
				_, results[i].problems = v.file(ctx, m.Files[i-len(m.Tasks)])
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := readSelection(dir, m); err != nil && !errors.Is(err, fs.ErrNotExist) {
		rep.Problems = append(rep.Problems, Problem{SelectionName, strings.TrimPrefix(err.Error(), filepath.Join(dir, SelectionName)+": ")})
	}
	reasons := map[string]int64{}
	var keys []keyRef
	whole := true
	for _, r := range results {
		rep.Problems = append(rep.Problems, r.problems...)
		for k, n := range r.reasons {
			reasons[k] += n
		}
		keys = append(keys, r.keys...)
		whole = whole && len(r.problems) == 0
	}
	rep.Problems = append(rep.Problems, v.duplicates(keys)...)
	rep.Problems = append(rep.Problems, v.extra()...)
	if whole { // else the difference only repeats what is said above
		for _, k := range sortedKeys(reasons, m.Reasons) {
			if reasons[k] != m.Reasons[k] {
				rep.Problems = append(rep.Problems, Problem{ManifestName, fmt.Sprintf("reason %s counts %d samples, the ledgers have %d", k, m.Reasons[k], reasons[k])})
			}
		}
	}
	return rep, nil
}

func sortedKeys(ms ...map[string]int64) []string {
	var keys []string
	for _, m := range ms {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

type verifier struct {
	dir string
	m   *Manifest
	o   VerifyOptions

	mu          sync.Mutex
	done, total int64
}

func (v *verifier) read(n int64) {
	if v.o.Progress == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done += n
	v.o.Progress(v.done, v.total)
}

func (v *verifier) path(name string) string { return filepath.Join(v.dir, filepath.FromSlash(name)) }

// taskResult is what the verification of one task gives to the whole.
type taskResult struct {
	problems []Problem
	reasons  map[string]int64
	keys     []keyRef
}

// keyRef is a key by its digest, 24 bytes for each sample of the data set, so that keys that occur twice
// are found without holding them all.
type keyRef struct {
	hi, lo uint64
	task   uint32
	row    uint32
}

func refKey(key string, task, row int) keyRef {
	sum := sha256.Sum256([]byte(key))
	return keyRef{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:]), uint32(task), uint32(row)}
}

// findings gathers the problems of one file.
type findings struct {
	file string
	list []Problem
	more int
}

func (f *findings) add(format string, args ...any) {
	if len(f.list) == maxProblems {
		f.more++
		return
	}
	f.list = append(f.list, Problem{f.file, fmt.Sprintf(format, args...)})
}

func (f *findings) problems() []Problem {
	if f.more > 0 {
		return append(f.list, Problem{f.file, fmt.Sprintf("and %d more like these", f.more)})
	}
	return f.list
}

// task verifies the shard and the ledger of a task, first each by its hash, then one against the other.
func (v *verifier) task(ctx context.Context, i int) (res taskResult) {
	t := v.m.Tasks[i]
	shardBad, p1 := v.file(ctx, t.Shard)
	ledgerBad, p2 := v.file(ctx, t.Ledger)
	res.problems = append(p1, p2...)
	if ctx.Err() != nil {
		return res
	}
	inShard, inLedger := &findings{file: t.Shard.Name}, &findings{file: t.Ledger.Name}
	defer func() {
		res.problems = append(res.problems, inShard.problems()...)
		res.problems = append(res.problems, inLedger.problems()...)
	}()

	var sh *shard
	if !shardBad {
		var err error
		if sh, err = openShard(v.path(t.Shard.Name), v.m.Schema, t.Shard.Bytes, t.Written); err != nil {
			inShard.add("%s", strings.TrimPrefix(err.Error(), v.path(t.Shard.Name)+": "))
			sh = nil
		} else {
			defer sh.close()
		}
	}
	var rows []LedgerRow
	if !ledgerBad {
		var err error
		var fields []sample.MetricField
		if rows, fields, err = readLedger(v.path(t.Ledger.Name), t.In); err != nil {
			inLedger.add("%s", strings.TrimPrefix(err.Error(), v.path(t.Ledger.Name)+": "))
			ledgerBad = true
		} else {
			checkLedgerFields(inLedger, fields, v.m.Schema.Metrics)
			res.reasons = checkLedgerCounts(inLedger, rows, t)
			for r := range rows {
				res.keys = append(res.keys, refKey(rows[r].Key, i, r))
			}
		}
	}
	if sh == nil {
		return res
	}
	err := guard(func() error {
		seen := make(Bitmap, (sh.rows+7)/8)
		for r := range rows {
			l := &rows[r]
			if l.Outcome != Written {
				continue
			}
			switch {
			case l.Shard != t.Shard.Name:
				inLedger.add("sample %s is said to be in %s, not in %s", l.Key, l.Shard, t.Shard.Name)
			case l.Row < 0 || l.Row >= sh.rows:
				inLedger.add("sample %s is said to be row %d of %d", l.Key, l.Row, sh.rows)
			case seen.Has(l.Row):
				inLedger.add("sample %s is said to be row %d, as another is", l.Key, l.Row)
			default:
				seen.set(l.Row)
				row, err := sh.row(l.Row)
				if err != nil {
					inShard.add("row %d: %v", l.Row, err)
					continue
				}
				if row.Key != l.Key {
					inLedger.add("sample %s is said to be row %d, which holds %s", l.Key, l.Row, row.Key)
					continue
				}
				b, at := sh.find(l.Row)
				metrics, err := b.metricsAt(sh.schema, at)
				if err != nil {
					inShard.add("row %d (%s): %v", l.Row, l.Key, err)
					continue
				}
				if name, ok := sameMetrics(v.m.Schema.Metrics, metrics, l.Metrics); !ok {
					inLedger.add("sample %s (row %d): %s is %v, in the shard %v", l.Key, l.Row, name, l.Metrics[name], metrics[name])
				}
			}
		}
		for r := range sh.rows {
			if !ledgerBad && !seen.Has(r) {
				inShard.add("row %d has no ledger row", r)
			}
			if v.o.CheckRow == nil {
				continue
			}
			if r%64 == 0 && ctx.Err() != nil {
				return nil
			}
			b, at := sh.find(r)
			for c, f := range sh.schema.Tensors {
				data, there := b.tensors[c].at(at)
				if !there {
					continue
				}
				if what := v.o.CheckRow(f.Name, sample.Tensor{DType: f.DType, Shape: f.Shape, Data: data}); what != "" {
					key, _, _ := b.key.at(at)
					inShard.add("row %d (%s), %s: %s", r, key, f.Name, what)
				}
			}
		}
		return nil
	})
	if err != nil {
		inShard.add("%v", err)
	}
	return res
}

func checkLedgerFields(f *findings, got, want []sample.MetricField) {
	for _, g := range got {
		if !slices.ContainsFunc(want, func(w sample.MetricField) bool { return w.Name == g.Name && w.Kind == g.Kind }) {
			f.add("column %s (%s) is not in the manifest's schema", g.Name, kindNames[g.Kind])
		}
	}
	if len(got) != len(want) {
		f.add("%d metrics, the manifest's schema has %d", len(got), len(want))
	}
}

// checkLedgerCounts counts outcomes and reasons and compares the former with the task's.
func checkLedgerCounts(f *findings, rows []LedgerRow, t TaskEntry) map[string]int64 {
	var c Counts
	reasons := map[string]int64{}
	for i := range rows {
		r := &rows[i]
		c.In++
		switch r.Outcome {
		case Written:
			c.Written++
			continue
		case Rejected:
			c.Rejected++
		case Failed:
			c.Failed++
		default:
			f.add("sample %s has outcome %q", r.Key, r.Outcome)
		}
		if r.Reason == "" {
			f.add("sample %s is %s without a reason", r.Key, r.Outcome)
		}
		if r.Shard != "" || r.Row >= 0 {
			f.add("sample %s is %s but names row %d of %s", r.Key, r.Outcome, r.Row, r.Shard)
		}
		reasons[r.Outcome+":"+r.Reason]++
	}
	if c != t.Counts {
		f.add("in %d, written %d, rejected %d, failed %d; the manifest says %d, %d, %d, %d",
			c.In, c.Written, c.Rejected, c.Failed, t.In, t.Written, t.Rejected, t.Failed)
	}
	return reasons
}

// sameMetrics compares bit by bit, so that a NaN equals itself.
func sameMetrics(fields []sample.MetricField, a, b sample.Metrics) (string, bool) {
	for _, f := range fields {
		x, y := a[f.Name], b[f.Name]
		if fx, ok := x.(float64); ok {
			x = math.Float64bits(fx)
		}
		if fy, ok := y.(float64); ok {
			y = math.Float64bits(fy)
		}
		if x != y {
			return f.Name, false
		}
	}
	return "", true
}

// duplicates reports keys that occur twice.
func (v *verifier) duplicates(keys []keyRef) []Problem {
	slices.SortFunc(keys, func(a, b keyRef) int {
		return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo), cmp.Compare(a.task, b.task), cmp.Compare(a.row, b.row))
	})
	var out []Problem
	more := 0
	for i := 1; i < len(keys); i++ {
		a, b := keys[i-1], keys[i]
		if a.hi != b.hi || a.lo != b.lo {
			continue
		}
		if len(out) == maxProblems {
			more++
			continue
		}
		name, key := v.m.Tasks[b.task].Ledger.Name, "?"
		if rows, err := ReadLedger(v.path(name)); err == nil && int(b.row) < len(rows) {
			key = rows[b.row].Key
		}
		out = append(out, Problem{name, fmt.Sprintf("key %s (row %d) occurs in %s (row %d) already", key, b.row, v.m.Tasks[a.task].Ledger.Name, a.row)})
	}
	if more > 0 {
		out = append(out, Problem{ManifestName, fmt.Sprintf("and %d more keys occur twice", more)})
	}
	return out
}

// extra reports shards and ledgers that the manifest does not list: readers that take files by pattern
// would read them.
func (v *verifier) extra() []Problem {
	listed := map[string]bool{}
	for _, t := range v.m.Tasks {
		listed[t.Shard.Name], listed[t.Ledger.Name] = true, true
	}
	for _, f := range v.m.Files {
		listed[f.Name] = true
	}
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return []Problem{{".", err.Error()}}
	}
	var out []Problem
	for _, e := range entries {
		n := e.Name()
		if !listed[n] && (strings.HasSuffix(n, ".arrow") || strings.HasPrefix(n, "ledger") && strings.HasSuffix(n, ".parquet")) {
			out = append(out, Problem{n, "not in the manifest: it does not belong here"})
		}
	}
	return out
}

// file reads a file once and compares it with what the manifest says. bad tells whether it differs.
func (v *verifier) file(ctx context.Context, want File) (bad bool, out []Problem) {
	problem := func(format string, args ...any) (bool, []Problem) {
		return true, append(out, Problem{want.Name, fmt.Sprintf(format, args...)})
	}
	f, err := os.Open(v.path(want.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return problem("missing")
	}
	if err != nil {
		return problem("cannot be read: %v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return problem("cannot be read: %v", err)
	}
	if !info.Mode().IsRegular() {
		return problem("no regular file")
	}
	if info.Size() != want.Bytes {
		how := "cut short"
		if info.Size() > want.Bytes {
			how = "longer than it was"
		}
		return problem("%s: %d bytes, the manifest says %d", how, info.Size(), want.Bytes)
	}
	sum := sha256.New()
	buf := make([]byte, min(BlockBytes, want.Bytes))
	var blocks []int
	for i, crc := range want.Blocks {
		if ctx.Err() != nil {
			return true, nil
		}
		part := buf[:min(BlockBytes, want.Bytes-int64(i)*BlockBytes)]
		if _, err := io.ReadFull(f, part); err != nil {
			return problem("cannot be read at byte %d: %v", int64(i)*BlockBytes, err)
		}
		sum.Write(part)
		if hex32(crc32.Checksum(part, castagnoli)) != crc {
			blocks = append(blocks, i)
		}
		v.read(int64(len(part)))
	}
	got := hex.EncodeToString(sum.Sum(nil))
	if got == want.SHA256 && len(blocks) == 0 {
		return false, nil
	}
	if len(blocks) == 0 {
		return problem("its sha256 is %s, the manifest says %s, though its block checksums agree: it was changed on purpose", got, want.SHA256)
	}
	if got == want.SHA256 {
		return problem("its sha256 is as the manifest says, its block checksums are not: the manifest was made wrongly")
	}
	c := &findings{file: want.Name}
	for len(blocks) > 0 { // runs of blocks
		n := 1
		for n < len(blocks) && blocks[n] == blocks[0]+n {
			n++
		}
		from, to := int64(blocks[0])*BlockBytes, min(int64(blocks[0]+n)*BlockBytes, want.Bytes)
		where := ""
		if strings.HasSuffix(want.Name, ".arrow") {
			where = v.rowsAt(f, want.Bytes, from, to)
		}
		name := fmt.Sprintf("block %d", blocks[0])
		if n > 1 {
			name = fmt.Sprintf("blocks %d to %d", blocks[0], blocks[0]+n-1)
		}
		c.add("changed in %s of 1 MiB (bytes %d to %d)%s", name, from, to-1, where)
		blocks = blocks[n:]
	}
	return true, c.problems()
}

// rowsAt says which rows of a damaged shard lie in the bytes [from, to), as far as what is left of its
// footer and batches tells: rows of a column, rows of a batch, or nothing.
func (v *verifier) rowsAt(f *os.File, size, from, to int64) (where string) {
	m, err := mapFile(f, size)
	if err != nil {
		return ""
	}
	defer m.close()
	var lines []string
	if sh, err := parseShard(m.data, v.m.Schema); err == nil {
		base := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
		for k, b := range sh.batches {
			for c, t := range sh.schema.Tensors {
				col := b.tensors[c]
				if col.width == 0 {
					continue
				}
				start := int64(uintptr(unsafe.Pointer(unsafe.SliceData(col.data))) - base)
				end := start + b.rows*int64(col.width)
				if start >= to || end <= from || start < 0 {
					continue
				}
				first := sh.starts[k] + max(0, from-start)/int64(col.width)
				last := sh.starts[k] + (min(end, to)-1-start)/int64(col.width)
				lines = append(lines, fmt.Sprintf("rows %d to %d of %s", first, last, t.Name))
			}
		}
	}
	if len(lines) == 0 {
		_ = guard(func() error {
			lines = batchesAt(m.data, from, to)
			return nil
		})
	}
	if len(lines) == 0 {
		return ""
	}
	return ": " + strings.Join(lines, ", ")
}

// batchesAt reads the footer's blocks: three int64 each, of which the second begins with an int32.
func batchesAt(data []byte, from, to int64) []string {
	const footerBatches, blockBytes = 10, 24
	const headerSlot, lengthSlot = 8, 4 // of Message and RecordBatch
	foot, _, err := footerOf(data)
	if err != nil {
		return nil
	}
	root := flatbuffers.Table{Bytes: foot, Pos: flatbuffers.GetUOffsetT(foot)}
	o := root.Offset(footerBatches)
	if o == 0 {
		return nil
	}
	n, at := root.VectorLen(flatbuffers.UOffsetT(o)), int(root.Vector(flatbuffers.UOffsetT(o)))
	var out []string
	row, known := int64(0), true
	for i := range n {
		blk := foot[at+i*blockBytes:][:blockBytes]
		offset := int64(binary.LittleEndian.Uint64(blk))
		meta := int64(int32(binary.LittleEndian.Uint32(blk[8:])))
		length := int64(binary.LittleEndian.Uint64(blk[16:]))
		rows := int64(-1)
		if err := guard(func() error {
			msg := data[offset : offset+meta][8:]
			t := flatbuffers.Table{Bytes: msg, Pos: flatbuffers.GetUOffsetT(msg)}
			var rb flatbuffers.Table
			t.Union(&rb, flatbuffers.UOffsetT(t.Offset(headerSlot)))
			rows = rb.GetInt64Slot(lengthSlot, -1)
			return nil
		}); err != nil || rows < 0 {
			known = false
		}
		if offset < to && offset+meta+length > from {
			if known {
				out = append(out, fmt.Sprintf("batch %d (rows %d to %d)", i, row, row+rows-1))
			} else {
				out = append(out, fmt.Sprintf("batch %d", i))
			}
		}
		row += rows
	}
	return out
}

// corruptRow words damage found in a row while reading.
func corruptRow(shard string, row int64, err error) error {
	return fault.Corruptf("shard", "%s, row %d: %w; run prep validate", shard, row, err)
}

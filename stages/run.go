package stages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"prep/filters"
	"prep/internal/fault"
	"prep/internal/sample"
	"prep/shards"
)

// Row is what a committed task left: the record that the first finished attempt linked into place.
type Row struct {
	Task    Task             `json:"task"`
	Shard   shards.File      `json:"shard"`
	Ledger  shards.File      `json:"ledger"`
	Counts  shards.Counts    `json:"counts"`
	Reasons map[string]int64 `json:"reasons"` // "rejected:low_snr"
	Flags   map[string]int64 `json:"flags,omitempty"`
}

// Event tells how far the work is.
type Event struct {
	Task                          Task
	Done                          bool // the task is committed (now or earlier)
	In, Written, Rejected, Failed int64
	Unknown                       int64  // written, with a rule that could not be decided
	Key, Reason, Detail           string // of a sample that was not written
	AlreadyCommitted              bool
}

// Runner does tasks of one plan in one output folder. Three kinds of goroutine, each started and ended by
// Run: one feeds samples in listing order, the workers take them through the processor, and Run itself
// puts the results back in order and writes. At most Ingest.Buffer samples are under way or waiting.
type Runner struct {
	Out       string
	Plan      *Plan
	Processor *Processor
	Workers   int         // 0: one for each core
	Progress  func(Event) // called from Run's goroutine; may be nil

	// Where tests make things fail; nil: the processor's Process, shards.CommitFile.
	process    func(context.Context, *sample.Sample) ([]filters.Verdict, error)
	commitFile func(dir string, fill func(io.Writer) error, name func(shards.File) string) (shards.File, error)
}

// slot carries one sample from the feeder through a worker to the committer.
type slot struct {
	s       sample.Sample
	err     error
	unknown bool
	notes   []string
	done    chan struct{}
}

// Run does the tasks that are not committed yet and calls each with every task's row, in order. It
// stops at the first error that is the machine's or at the end of ctx; what was committed stays.
func (r *Runner) Run(ctx context.Context, tasks []Task, each func(Row) error) error {
	var todo []Task
	rows := map[int]Row{}
	for _, t := range tasks {
		row, err := readRow(r.Out, t)
		if err == nil {
			rows[t.Index] = row
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		todo = append(todo, t)
	}

	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	workers := r.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	buffer := max(r.Processor.Config.Ingest.Buffer, workers)
	queue := make(chan *slot)
	ordered := make(chan *slot, buffer)
	feedErr := make(chan error, 1)
	wg.Go(func() { feedErr <- r.feed(ctx, todo, ordered, queue) })
	for range workers {
		wg.Go(func() {
			for sl := range queue {
				r.work(ctx, sl)
			}
		})
	}

	for _, t := range tasks {
		row, ok := rows[t.Index]
		if !ok {
			var err error
			if row, err = r.commit(ctx, t, ordered); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				select {
				case ferr := <-feedErr:
					if ferr != nil {
						return ferr
					}
				default:
				}
				return err
			}
		}
		r.tell(Event{Task: t, Done: true, AlreadyCommitted: ok, In: row.Counts.In, Written: row.Counts.Written, Rejected: row.Counts.Rejected, Failed: row.Counts.Failed})
		if err := each(row); err != nil {
			return err
		}
	}
	return nil
}

// feed hands out samples in listing order: to the committer, which keeps the order, and to the workers.
func (r *Runner) feed(ctx context.Context, tasks []Task, ordered, queue chan<- *slot) error {
	defer close(queue)
	defer close(ordered)
	for _, t := range tasks {
		list, err := t.Samples(r.Out)
		if err != nil {
			return err
		}
		for i := range list {
			sl := &slot{s: list[i], done: make(chan struct{})}
			select {
			case ordered <- sl:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case queue <- sl:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (r *Runner) work(ctx context.Context, sl *slot) {
	defer close(sl.done)
	process := r.process
	if process == nil {
		process = r.Processor.Process
	}
	verdicts, err := process(ctx, &sl.s)
	sl.err = err
	sl.notes = append(sl.notes, sl.s.Notes...)
	for _, v := range verdicts {
		if v.Unknown && !v.Drop {
			sl.unknown = true
			sl.notes = append(sl.notes, v.Detail)
		}
	}
	if e := sl.s.Metrics.Word("text_encoding"); err == nil && e != "" && e != "utf-8" && e != "utf-8-bom" {
		sl.notes = append(sl.notes, "caption read as "+e)
	}
}

// commit writes one task: its shard, its ledger, and last the row that names both.
func (r *Runner) commit(ctx context.Context, t Task, ordered <-chan *slot) (Row, error) {
	row := Row{Task: t, Reasons: map[string]int64{}}
	row.Task.Out = ""
	commitFile := r.commitFile
	if commitFile == nil {
		commitFile = shards.CommitFile
	}
	var ledger []shards.LedgerRow
	var err error
	row.Shard, err = commitFile(r.Out, func(w io.Writer) error {
		sw, err := shards.NewWriter(w, r.Plan.Schema, shards.WriterOptions{BatchRows: r.Plan.Config.Shards.BatchRows})
		if err != nil {
			return err
		}
		for range t.End - t.Start {
			sl, err := next(ctx, ordered)
			if err != nil {
				return err
			}
			lr, err := r.record(&row, t, sl, sw)
			if err != nil {
				return err
			}
			ledger = append(ledger, lr)
		}
		return sw.Close()
	}, shards.ShardName(t.Index))
	if err != nil {
		return Row{}, r.writeError(err)
	}
	for i := range ledger {
		if ledger[i].Outcome == "written" {
			ledger[i].Shard = row.Shard.Name
		}
	}
	row.Ledger, err = commitFile(r.Out, func(w io.Writer) error {
		return shards.WriteLedger(w, r.Plan.Schema.Metrics, ledger)
	}, shards.LedgerName(t.Index))
	if err != nil {
		return Row{}, r.writeError(err)
	}
	b, err := json.Marshal(row)
	if err != nil {
		return Row{}, err
	}
	err = shards.LinkFile(filepath.Join(r.Out, rowsDir), rowName(t), append(b, '\n'))
	if errors.Is(err, fs.ErrExist) { // another attempt was first: its row counts, and our files go
		won, err := readRow(r.Out, t)
		if err != nil {
			return Row{}, err
		}
		for _, f := range []struct{ mine, theirs string }{{row.Shard.Name, won.Shard.Name}, {row.Ledger.Name, won.Ledger.Name}} {
			if f.mine != f.theirs {
				if err := os.Remove(filepath.Join(r.Out, f.mine)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return Row{}, r.writeError(err)
				}
			}
		}
		return won, nil
	}
	if err != nil {
		return Row{}, r.writeError(err)
	}
	return row, nil
}

// next waits for the next sample in order.
func next(ctx context.Context, ordered <-chan *slot) (*slot, error) {
	var sl *slot
	var ok bool
	select {
	case sl, ok = <-ordered:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !ok {
		return nil, fmt.Errorf("the listing ended early")
	}
	select {
	case <-sl.done:
		return sl, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// record appends a sample to the shard, or not, and makes its ledger row.
func (r *Runner) record(row *Row, t Task, sl *slot, sw *shards.Writer) (shards.LedgerRow, error) {
	lr := shards.LedgerRow{Key: sl.s.Key, Source: sl.s.Paths(), Row: -1, Metrics: sl.s.Metrics, Detail: strings.Join(sl.notes, "; ")}
	row.Counts.In++
	switch kind := fault.KindOf(sl.err); {
	case sl.err == nil:
		lr.Outcome, lr.Row = "written", sw.Rows()
		if err := sw.Append(&sl.s); err != nil {
			return lr, err
		}
		if r.process == nil { // the shard has its copy
			r.Processor.Release(&sl.s)
		}
		row.Counts.Written++
	case errors.Is(sl.err, context.Canceled):
		return lr, sl.err
	case kind == fault.Rejected:
		lr.Outcome, lr.Reason, lr.Detail = "rejected", fault.ReasonOf(sl.err), sl.err.Error()
		row.Counts.Rejected++
	case kind == fault.Corrupt || kind == fault.Unsupported:
		lr.Outcome, lr.Reason, lr.Detail = "failed", fault.ReasonOf(sl.err), sl.err.Error()
		row.Counts.Failed++
	default:
		return lr, fmt.Errorf("sample %q: %w", sl.s.Key, sl.err)
	}
	if lr.Outcome != "written" {
		row.Reasons[lr.Outcome+":"+lr.Reason]++
	} else {
		for _, f := range flagsOf(lr.Metrics) {
			if row.Flags == nil {
				row.Flags = map[string]int64{}
			}
			row.Flags[f]++
		}
	}
	e := Event{Task: t, In: 1, Key: lr.Key, Reason: lr.Reason, Detail: lr.Detail}
	switch lr.Outcome {
	case "written":
		e.Written = 1
		if sl.unknown {
			e.Unknown = 1
		}
	case "rejected":
		e.Rejected = 1
	default:
		e.Failed = 1
	}
	r.tell(e)
	return lr, nil
}

func (r *Runner) tell(e Event) {
	if r.Progress != nil {
		r.Progress(e)
	}
}

// writeError tells a machine that refuses to store from a bug of ours.
func (r *Runner) writeError(err error) error {
	if fault.KindOf(err) == fault.Environment {
		return err // it says what to do
	}
	var pe *fs.PathError
	var le *os.LinkError
	if errors.As(err, &pe) || errors.As(err, &le) {
		return machineError("cannot write "+r.Out, err)
	}
	return err
}

func rowName(t Task) string { return t.Shard + ".json" }

// readRow reads a committed task's row; fs.ErrNotExist when it is not committed.
func readRow(out string, t Task) (Row, error) {
	path := filepath.Join(out, rowsDir, rowName(t))
	b, err := os.ReadFile(path)
	if err != nil {
		return Row{}, err
	}
	var row Row
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&row); err != nil {
		return Row{}, fault.Inputf("%s is damaged (%w); remove it to have the task done again", path, err)
	}
	if row.Task.ID != t.ID {
		return Row{}, fault.Inputf("%s belongs to another plan", path)
	}
	return row, nil
}

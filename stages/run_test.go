package stages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"prep/configs"
	"prep/filters"
	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
	"prep/shards"
)

const captions = 37

// work plans captions in small tasks into a new folder and returns a runner for it.
func work(t *testing.T) *Runner {
	t.Helper()
	src, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	for i := range captions {
		text := fmt.Sprintf("caption number %d", i)
		if i%9 == 4 {
			text = "no" // too short: rejected
		}
		if err := os.WriteFile(filepath.Join(src, fmt.Sprintf("%03d.txt", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return workOn(t, src, out)
}

func workOn(t *testing.T, src, out string) *Runner {
	t.Helper()
	cfg, err := configs.Load(configs.Layers{FileName: "test", File: []byte("shards: {samples: 5, batch_rows: 2}\ningest: {buffer: 4}")})
	if err != nil {
		t.Fatal(err)
	}
	tools := &media.Tools{}
	p, listing, err := MakePlan(t.Context(), src, cfg, tools, false)
	if err != nil {
		t.Fatal(err)
	}
	p.Root = "/source" // differs from test to test, and is in the plan
	if p, err = p.Adopt(out, listing); err != nil {
		t.Fatal(err)
	}
	proc, err := NewProcessor(p, src, cfg.Ingest, tools)
	if err != nil {
		t.Fatal(err)
	}
	return &Runner{Out: out, Plan: p, Processor: proc, Workers: 1}
}

// run does everything and returns the finished folder's files.
func (r *Runner) finish(t *testing.T) map[string]string {
	t.Helper()
	if err := r.Run(t.Context(), r.Plan.Tasks, func(Row) error { return nil }); err != nil {
		t.Fatal(err)
	}
	m, err := Finalize(t.Context(), r.Out, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Counts; c.In != captions || c.In != c.Written+c.Rejected+c.Failed || c.Rejected == 0 {
		t.Fatalf("counts %+v of %d samples", c, captions)
	}
	rep, err := shards.Verify(t.Context(), r.Out, shards.VerifyOptions{})
	if err != nil || len(rep.Problems) > 0 {
		t.Fatalf("%v %+v", err, rep)
	}
	return files(t, r.Out)
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// same fails unless two folders hold the same files.
func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s: %s differs", what, name)
			}
		}
		t.Fatalf("%s: %d files, want %d", what, len(got), len(want))
	}
}

// dawdle makes every sample take a time of its own, so that the workers finish out of order.
func (r *Runner) dawdle(seed uint64) {
	process := r.Processor.Process
	r.process = func(ctx context.Context, s *sample.Sample) ([]filters.Verdict, error) {
		rnd := rand.New(rand.NewPCG(seed, uint64(len(s.Key))+uint64(s.Key[2])))
		select {
		case <-time.After(time.Duration(rnd.IntN(1000)) * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return process(ctx, s)
	}
}

// Any number of workers, in any order of finishing, writes the same bytes.
func TestRunIsTheSameForAnyWorkers(t *testing.T) {
	first := work(t)
	want := first.finish(t)
	for _, workers := range []int{1, 2, 16, 100} {
		r := workOn(t, first.Processor.Root, filepath.Join(t.TempDir(), "out"))
		synctest.Test(t, func(t *testing.T) {
			r.Workers = workers
			r.dawdle(uint64(workers))
			same(t, fmt.Sprintf("%d workers", workers), r.finish(t), want)
		})
	}
}

// A disk that fails at any write ends the run with the machine's error and no goroutine left, and the same
// work goes on afterwards to the same bytes.
func TestRunSurvivesTheDisk(t *testing.T) {
	first := work(t)
	want := first.finish(t)
	tasks := len(first.Plan.Tasks)
	for at := range 2 * tasks { // a shard and a ledger each
		r := workOn(t, first.Processor.Root, filepath.Join(t.TempDir(), "out"))
		synctest.Test(t, func(t *testing.T) { // fails when a goroutine outlives it
			r.Workers = 3
			r.dawdle(uint64(at))
			n := 0
			r.commitFile = func(dir string, fill func(io.Writer) error, name func(shards.File) string) (shards.File, error) {
				if n++; n > at {
					err := fill(&limited{room: 100})
					if err == nil {
						t.Fatal("a full disk was not noticed")
					}
					return shards.File{}, fault.Environmentf("%s: no space left: %w", dir, err)
				}
				return shards.CommitFile(dir, fill, name)
			}
			err := r.Run(t.Context(), r.Plan.Tasks, func(Row) error { return nil })
			if !errors.Is(err, syscall.ENOSPC) || fault.KindOf(err) != fault.Environment {
				t.Fatalf("write %d failed, and the run ended with %v", at, err)
			}
			done := 0
			for _, task := range r.Plan.Tasks {
				if _, err := readRow(r.Out, task); err == nil {
					done++
				}
			}
			if done != at/2 {
				t.Fatalf("write %d failed and %d tasks are committed", at, done)
			}
			r.commitFile = nil
			same(t, fmt.Sprintf("after write %d failed", at), r.finish(t), want)
		})
	}
}

// limited is a disk with little room.
type limited struct{ room int }

func (w *limited) Write(b []byte) (int, error) {
	if len(b) > w.room {
		return 0, syscall.ENOSPC
	}
	w.room -= len(b)
	return len(b), nil
}

// An interrupt ends the run soon, wherever it comes, and nothing that was committed is done again.
func TestRunStopsWhenTold(t *testing.T) {
	first := work(t)
	want := first.finish(t)
	for after := time.Duration(0); after < 12*time.Second; after += 700 * time.Millisecond {
		r := workOn(t, first.Processor.Root, filepath.Join(t.TempDir(), "out"))
		synctest.Test(t, func(t *testing.T) {
			r.Workers = 2
			r.dawdle(3)
			ctx, cancel := context.WithTimeoutCause(t.Context(), after, context.Canceled)
			defer cancel()
			start := time.Now()
			err := r.Run(ctx, r.Plan.Tasks, func(Row) error { return nil })
			if took := time.Since(start); took > after {
				t.Fatalf("told to stop after %v, it took %v", after, took)
			}
			if err == nil {
				return // it was faster
			}
			again := 0
			r.Progress = func(e Event) {
				if e.AlreadyCommitted {
					again++
				}
			}
			committed := 0
			for _, task := range r.Plan.Tasks {
				if _, err := readRow(r.Out, task); err == nil {
					committed++
				}
			}
			same(t, fmt.Sprintf("stopped after %v", after), r.finish(t), want)
			if again != committed {
				t.Fatalf("%d tasks were committed, %d were taken as they were", committed, again)
			}
		})
	}
}

// Of workers that do the same tasks at once the first commit wins, and no file of the others stays.
func TestRunTwiceAtOnce(t *testing.T) {
	first := work(t)
	want := first.finish(t)
	out := filepath.Join(t.TempDir(), "out")
	synctest.Test(t, func(t *testing.T) {
		done := make(chan error)
		for i := range 3 {
			r := workOn(t, first.Processor.Root, out)
			r.Workers = 2
			r.dawdle(uint64(i))
			go func() { done <- r.Run(t.Context(), r.Plan.Tasks, func(Row) error { return nil }) }()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		same(t, "three at once", workOn(t, first.Processor.Root, out).finish(t), want)
	})
}

// A sample that cannot be read costs its row; a bug of ours costs the sample and names its place; what is
// neither ends the run.
func TestRunTellsFailuresApart(t *testing.T) {
	for _, c := range []struct {
		name    string
		fail    func() error
		outcome string // "" ends the run
		reason  string
	}{
		{"broken", func() error { return fault.Corruptf("truncated", "a.jpg: cut off") }, shards.Failed, "truncated"},
		{"unsupported", func() error { return fault.Unsupportedf("no_ffmpeg", "a.mp4: needs ffmpeg") }, shards.Failed, "no_ffmpeg"},
		{"rejected", func() error { return fault.Rejectedf("low_snr", "3 dB") }, shards.Rejected, "low_snr"},
		{"machine", func() error { return fault.Environmentf("no memory") }, "", ""},
		{"unknown", func() error { return errors.New("what is this") }, "", ""},
	} {
		r := work(t)
		process := r.Processor.Process
		r.process = func(ctx context.Context, s *sample.Sample) ([]filters.Verdict, error) {
			if s.Key == "007" {
				return nil, c.fail()
			}
			return process(ctx, s)
		}
		err := r.Run(t.Context(), r.Plan.Tasks, func(Row) error { return nil })
		if c.outcome == "" {
			if err == nil || !strings.Contains(err.Error(), `"007"`) {
				t.Errorf("%s: the run ended with %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		row, err := readRow(r.Out, r.Plan.Tasks[1])
		if err != nil {
			t.Fatal(err)
		}
		rows, err := shards.ReadLedger(filepath.Join(r.Out, row.Ledger.Name))
		if err != nil {
			t.Fatal(err)
		}
		if got := rows[2]; got.Key != "007" || got.Outcome != c.outcome || got.Reason != c.reason || got.Row != -1 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// A bug of ours that panics is a failed row that names the place, not the end of a night's run.
func TestProcessSurvivesPanics(t *testing.T) {
	p := work(t).Processor
	p.rules = []filters.Rule{{}} // its missing function panics when it is called
	_, err := p.Process(t.Context(), &sample.Sample{Key: "k", Parts: []sample.Part{{Modality: sample.Text, Text: "a caption"}}})
	if fault.ReasonOf(err) != "internal" || fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), ".go:") {
		t.Fatalf("%v", err)
	}
}

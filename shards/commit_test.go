package shards

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"prep/internal/fault"
)

func noTemp(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestCommitFile(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), BlockBytes/16*2+3)
	f, err := CommitFile(dir, func(w io.Writer) error {
		for p := data; len(p) > 0; { // in pieces that do not fit the blocks
			n := min(len(p), 70001)
			if _, err := w.Write(p[:n]); err != nil {
				return err
			}
			p = p[n:]
		}
		return nil
	}, func(f File) string { return "a-" + f.SHA256[:16] })
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, f.Name))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("content: %v", err)
	}
	again, err := DescribeFile(dir, f.Name)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(f) || len(f.Blocks) != 3 {
		t.Errorf("described as %v, committed as %v: %v", again, f, err)
	}
	if err := f.check(); err != nil {
		t.Error(err)
	}
	noTemp(t, dir)

	boom := errors.New("boom")
	if _, err := CommitFile(dir, func(io.Writer) error { return boom }, func(File) string { return "b" }); err != boom {
		t.Errorf("fill's error came as %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "b")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file that could not be filled is there")
	}
	for _, n := range []string{"../x", "", "/x", "a/../../x", "."} {
		if _, err := CommitFile(dir, func(io.Writer) error { return nil }, func(File) string { return n }); err == nil {
			t.Errorf("name %q taken", n)
		}
		if err := LinkFile(dir, n, nil); err == nil {
			t.Errorf("name %q linked", n)
		}
	}
	noTemp(t, dir)
	if _, err := CommitFile(filepath.Join(dir, "nosuch"), func(io.Writer) error { return nil }, func(File) string { return "b" }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such folder: %v", err)
	}
}

func TestLinkFileFirstWins(t *testing.T) {
	dir := t.TempDir()
	var won atomic.Int32
	var winner atomic.Value
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			text := fmt.Sprint("row of ", g)
			switch err := LinkFile(dir, "000000.json", []byte(text)); {
			case err == nil:
				won.Add(1)
				winner.Store(text)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := os.ReadFile(filepath.Join(dir, "000000.json"))
	if err != nil || won.Load() != 1 || string(got) != winner.Load() {
		t.Errorf("%d winners, file %q: %v", won.Load(), got, err)
	}
	noTemp(t, dir)
}

// fullDisk takes some bytes and then fails as a full disk does.
type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.left {
		n := d.left
		d.left = 0
		return n, &fs.PathError{Op: "write", Path: "shard", Err: syscall.ENOSPC}
	}
	d.left -= len(p)
	return len(p), nil
}

// A full disk can be told from other errors whatever library the error came through, at any point.
func TestFullDiskIsTold(t *testing.T) {
	s := testSchema()
	size := &countBytes{}
	write := func(w io.Writer) error {
		sw, err := NewWriter(w, s, WriterOptions{BatchRows: 4})
		if err != nil {
			return err
		}
		for i := range 20 {
			if err := sw.Append(testSample(s, i)); err != nil {
				return err
			}
		}
		return sw.Close()
	}
	if err := write(size); err != nil {
		t.Fatal(err)
	}
	for left := 0; left < size.n; left += 97 {
		if err := write(&fullDisk{left}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("full after %d bytes: %v", left, err)
		}
	}
	rows := []LedgerRow{{Key: "a", Outcome: Failed, Reason: "b", Row: -1}}
	size.n = 0
	if err := WriteLedger(size, s.Metrics, rows); err != nil {
		t.Fatal(err)
	}
	for left := 0; left < size.n; left += 13 {
		h := NewHashingWriter(&fullDisk{left})
		if err := WriteLedger(h, s.Metrics, rows); err == nil || !errors.Is(h.err, syscall.ENOSPC) {
			t.Fatalf("full after %d bytes: %v", left, err)
		}
	}
	err := explainWrite("out", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	if fault.KindOf(err) != fault.Environment || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("worded as %v", err)
	}
	for _, e := range []error{syscall.EROFS, syscall.EACCES, syscall.EDQUOT} {
		if err := explainWrite("out", &fs.PathError{Op: "open", Path: "x", Err: e}); fault.KindOf(err) != fault.Environment || !errors.Is(err, e) {
			t.Errorf("%v worded as %v", e, err)
		}
	}
}

type countBytes struct{ n int }

func (c *countBytes) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

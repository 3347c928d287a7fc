package stages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"prep/internal/fault"
	"prep/shards"
)

// Incomplete says which tasks are not done.
type Incomplete struct {
	Missing []Task
	Total   int
}

func (e *Incomplete) Error() string {
	return fmt.Sprintf("%d of %d tasks are not done", len(e.Missing), e.Total)
}

// Finalize verifies what the tasks left and writes the manifest; an *Incomplete error lists the tasks
// whose row or files are missing. It trusts the files, never what a scheduler reported. A file whose
// bytes are not what its row says is an input error that names it: only a person can tell why. Run it when no worker is left: files
// that no row names are removed.
func Finalize(ctx context.Context, out, tool string, progress func(done, total int)) (*shards.Manifest, error) {
	plan, err := ReadPlan(out)
	if err != nil {
		return nil, fault.Inputf("%s holds no plan (%w)", out, err)
	}
	m := &shards.Manifest{FormatVersion: shards.FormatVersion, Tool: tool, Pins: plan.Pins, Schema: plan.Schema, Reasons: map[string]int64{}, Flags: map[string]int64{}, Labels: map[string]int64{}}
	if m.Config, err = json.Marshal(plan.Config); err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	inc := &Incomplete{Total: len(plan.Tasks)}
	for i, t := range plan.Tasks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row, err := readRow(out, t)
		if err == nil {
			err = errors.Join(verify(out, row.Shard), verify(out, row.Ledger))
		}
		if errors.Is(err, fs.ErrNotExist) {
			inc.Missing = append(inc.Missing, t)
			continue
		}
		if err != nil {
			return nil, err
		}
		keep[row.Shard.Name], keep[row.Ledger.Name] = true, true
		m.Tasks = append(m.Tasks, shards.TaskEntry{ID: t.ID, Index: t.Index, Start: t.Start, End: t.End, Shard: row.Shard, Ledger: row.Ledger, Counts: row.Counts})
		m.Counts.In += row.Counts.In
		m.Counts.Written += row.Counts.Written
		m.Counts.Rejected += row.Counts.Rejected
		m.Counts.Failed += row.Counts.Failed
		for k, n := range row.Reasons {
			m.Reasons[k] += n
		}
		for k, n := range row.Flags {
			m.Flags[k] += n
		}
		if err := countLabels(out, t, m.Labels); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(i+1, len(plan.Tasks))
		}
	}
	if len(inc.Missing) > 0 {
		return nil, inc
	}
	if c := m.Counts; c.In != plan.Samples || c.In != c.Written+c.Rejected+c.Failed {
		return nil, fmt.Errorf("%d samples were planned and %d written + %d rejected + %d failed are accounted for", plan.Samples, c.Written, c.Rejected, c.Failed)
	}
	for _, name := range append([]string{planFile, listingFile}, rowFiles(plan)...) {
		f, err := shards.DescribeFile(out, name)
		if err != nil {
			return nil, machineError("cannot read "+name, err)
		}
		m.Files = append(m.Files, f)
	}
	if len(m.Labels) == maxLabels {
		m.Labels = nil
	}
	if err := removeLeftovers(out, keep); err != nil {
		return nil, err
	}
	if err := shards.WriteManifest(out, m); err != nil {
		return nil, machineError("cannot write the manifest", err)
	}
	return m, nil
}

// maxLabels bounds the label set: a data set whose samples have more labels between them has names or captions
// for labels, and no set to choose from.
const maxLabels = 1 << 16

// countLabels adds the labels of a task's samples, as far as the set is not full.
func countLabels(out string, t Task, labels map[string]int64) error {
	list, err := t.Samples(out)
	if err != nil {
		return err
	}
	for i := range list {
		for _, l := range list[i].Labels {
			if _, known := labels[l]; known || len(labels) < maxLabels {
				labels[l]++
			}
		}
	}
	return nil
}

func rowFiles(p *Plan) []string {
	var names []string
	for _, t := range p.Tasks {
		names = append(names, rowsDir+"/"+rowName(t))
	}
	return names
}

// removeLeftovers takes away what killed workers and losers of a race left.
func removeLeftovers(out string, keep map[string]bool) error {
	for _, dir := range []string{"", workDir, rowsDir} {
		entries, err := os.ReadDir(filepath.Join(out, dir))
		if err != nil {
			return machineError("cannot read "+out, err)
		}
		for _, e := range entries {
			name := e.Name()
			stray := dir == "" && !keep[name] &&
				(strings.HasPrefix(name, "shard-") && strings.HasSuffix(name, ".arrow") || strings.HasPrefix(name, "ledger-") && strings.HasSuffix(name, ".parquet"))
			if !stray && !strings.HasPrefix(name, ".tmp-") {
				continue
			}
			if err := os.Remove(filepath.Join(out, dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return machineError("cannot remove a leftover", err)
			}
		}
	}
	return nil
}

func verify(out string, f shards.File) error {
	r, err := os.Open(filepath.Join(out, f.Name))
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return machineError("cannot read "+f.Name, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.SHA256 || n != f.Bytes {
		return fault.Inputf("%s is damaged: its row says sha256 %s, the file has %s; remove its row and it to have the task done again", f.Name, f.SHA256, got)
	}
	return nil
}

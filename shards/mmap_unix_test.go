//go:build unix

package shards

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A shard that is cut short under its mapping faults when it is touched. Where the verifier touches it,
// that is a problem with the file and not the end of the process.
func TestCutShortUnderTheMapping(t *testing.T) {
	dir := t.TempDir()
	s := realSchema()
	m := buildDataset(t, dir, s, 1, 20, 4)
	path := filepath.Join(dir, m.Tasks[0].Shard.Name)
	sh, err := openShard(path, s, m.Tasks[0].Shard.Bytes, m.Tasks[0].Written)
	if err != nil {
		t.Fatal(err)
	}
	defer sh.close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	err = guard(func() error {
		for r := range sh.rows {
			if _, err := sh.row(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("reading beyond the end: %v", err)
	}
}

package shards

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"path/filepath"

	"prep/internal/fault"
	"prep/internal/sample"
)

// SelectionName is the selection's file name.
const SelectionName = "selection.json"

// Selection says which rows of a finished folder count, under which criteria. It is a sidecar: changing
// a threshold rewrites it and nothing else.
type Selection struct {
	FormatVersion int `json:"format_version"`
	// Manifest is the digest of the manifest that the rows belong to.
	Manifest string `json:"manifest"`
	// Criteria are the thresholds as the caller stated them.
	Criteria json.RawMessage `json:"criteria"`
	Samples  int64           `json:"samples"` // rows in the shards
	Kept     int64           `json:"kept"`
	// Removed counts the other rows by reason.
	Removed map[string]int64 `json:"removed"`
	// Shards has an entry for each task of the manifest, in its order.
	Shards []ShardSelection `json:"shards"`
	// Digest is the SHA-256 of the selection's bytes with the digest's 64 digits as zeros.
	Digest string `json:"digest"`
}

// ShardSelection says which rows of one shard are kept.
type ShardSelection struct {
	Shard string `json:"shard"`
	Rows  int64  `json:"rows"`
	Kept  int64  `json:"kept"`
	// Bitmap has bit r%8 of byte r/8 set when row r is kept, in (rows+7)/8 bytes; base64 in the file.
	Bitmap Bitmap `json:"bitmap"`
}

// Bitmap is a set of rows, the least significant bit first.
type Bitmap []byte

// Has reports whether row is in the set.
func (b Bitmap) Has(row int64) bool {
	return row >= 0 && row/8 < int64(len(b)) && b[row/8]>>(row%8)&1 == 1
}

func (b Bitmap) set(row int64) { b[row/8] |= 1 << (row % 8) }

// MarshalText writes standard base64.
func (b Bitmap) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads standard base64.
func (b *Bitmap) UnmarshalText(t []byte) (err error) {
	*b, err = base64.StdEncoding.AppendDecode(nil, t)
	return err
}

// Keeps reports whether the row of the task's shard is kept.
func (s *Selection) Keeps(task int, row int64) bool {
	return task >= 0 && task < len(s.Shards) && s.Shards[task].Bitmap.Has(row)
}

// check reports how s does not fit m or itself.
func (s *Selection) check(m *Manifest) error {
	if s.FormatVersion != FormatVersion {
		return fmt.Errorf("format version %d; this program reads %d", s.FormatVersion, FormatVersion)
	}
	if s.Manifest != m.Digest {
		return fmt.Errorf("it belongs to another manifest (%.16s..., here is %.16s...); run prep validate again", s.Manifest, m.Digest)
	}
	if len(s.Shards) != len(m.Tasks) {
		return fmt.Errorf("it has %d shards, the manifest %d", len(s.Shards), len(m.Tasks))
	}
	var rows, kept, removed int64
	for i, e := range s.Shards {
		t := m.Tasks[i]
		n := int64(0)
		for _, b := range e.Bitmap {
			n += int64(bits.OnesCount8(b))
		}
		if e.Shard != t.Shard.Name || e.Rows != t.Written || int64(len(e.Bitmap)) != (e.Rows+7)/8 || n != e.Kept {
			return fmt.Errorf("entry %d (%s, %d rows, %d kept, bitmap of %d bytes with %d set) does not fit %s with %d rows",
				i, e.Shard, e.Rows, e.Kept, len(e.Bitmap), n, t.Shard.Name, t.Written)
		}
		if e.Rows%8 != 0 && e.Bitmap[len(e.Bitmap)-1]>>(e.Rows%8) != 0 {
			return fmt.Errorf("entry %d keeps rows beyond the last", i)
		}
		rows += e.Rows
		kept += e.Kept
	}
	for r, n := range s.Removed {
		if n < 0 || n > rows {
			return fmt.Errorf("reason %s has count %d", r, n)
		}
		removed += n
	}
	if rows != s.Samples || kept != s.Kept || kept+removed != rows {
		return fmt.Errorf("%d samples, %d kept and %d removed; its shards have %d and keep %d", s.Samples, s.Kept, removed, rows, kept)
	}
	return nil
}

// Select judges every written row of dir by the metrics in its ledgers. judge returns the reason for a
// row that is not kept. Nothing is written.
func Select(dir string, m *Manifest, criteria json.RawMessage, judge func(sample.Metrics) (keep bool, reason string)) (*Selection, error) {
	s := &Selection{FormatVersion: FormatVersion, Manifest: m.Digest, Criteria: criteria, Removed: map[string]int64{}, Shards: []ShardSelection{}}
	if s.Criteria == nil {
		s.Criteria = json.RawMessage("{}")
	}
	for _, t := range m.Tasks {
		path := filepath.Join(dir, filepath.FromSlash(t.Ledger.Name))
		rows, _, err := readLedger(path, t.In)
		if err != nil {
			return nil, err
		}
		e := ShardSelection{Shard: t.Shard.Name, Rows: t.Written, Bitmap: make(Bitmap, (t.Written+7)/8)}
		seen := make(Bitmap, len(e.Bitmap))
		n := int64(0)
		for _, r := range rows {
			if r.Outcome != Written {
				continue
			}
			if r.Shard != t.Shard.Name || r.Row < 0 || r.Row >= t.Written || seen.Has(r.Row) {
				return nil, fault.Corruptf("ledger", "%s: sample %s is said to be row %d of %s, which has %d rows; run prep validate", path, r.Key, r.Row, r.Shard, t.Written)
			}
			seen.set(r.Row)
			n++
			if keep, reason := judge(r.Metrics); keep {
				e.Bitmap.set(r.Row)
				e.Kept++
			} else {
				s.Removed[reason]++
			}
		}
		if n != t.Written {
			return nil, fault.Corruptf("ledger", "%s: %d rows written, the manifest says %d; run prep validate", path, n, t.Written)
		}
		s.Samples += e.Rows
		s.Kept += e.Kept
		s.Shards = append(s.Shards, e)
	}
	return s, nil
}

// WriteSelection puts s in place as dir/selection.json and sets its Digest. It replaces one that is there.
func WriteSelection(dir string, s *Selection) error {
	if s.Manifest == "" {
		return errors.New("selection: it belongs to no manifest")
	}
	s.FormatVersion = FormatVersion
	s.Digest = blankDigest
	data, digest, err := seal(s)
	if err != nil {
		return err
	}
	if _, err := CommitFile(dir, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}, func(File) string { return SelectionName }); err != nil {
		return err
	}
	s.Digest = digest
	return nil
}

// ReadSelection reads dir/selection.json and checks it against dir's manifest. Without one the error is
// fs.ErrNotExist; one that was changed or belongs to another manifest is a fault.Corrupt error.
func ReadSelection(dir string) (*Selection, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	return readSelection(dir, m)
}

func readSelection(dir string, m *Manifest) (*Selection, error) {
	path := filepath.Join(dir, SelectionName)
	s := new(Selection)
	if err := unseal(path, s); err != nil {
		return nil, err
	}
	if err := s.check(m); err != nil {
		return nil, fault.Corruptf("selection", "%s: %w", path, err)
	}
	return s, nil
}

package shards

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"prep/internal/fault"
)

// ManifestName is the manifest's file name. It is written last: a folder without one is not finished.
const ManifestName = "manifest.json"

// maxSidecar bounds manifest and selection in bytes.
const maxSidecar = 1 << 30

// Counts are numbers of samples; In is the sum of the others.
type Counts struct {
	In       int64 `json:"in"`
	Written  int64 `json:"written"`
	Rejected int64 `json:"rejected"`
	Failed   int64 `json:"failed"`
}

// Add adds d to c.
func (c *Counts) Add(d Counts) {
	c.In += d.In
	c.Written += d.Written
	c.Rejected += d.Rejected
	c.Failed += d.Failed
}

func (c Counts) check() error {
	// each is at most 2^53, so that the sum does not overflow and JSON holds them exactly
	for _, n := range []int64{c.In, c.Written, c.Rejected, c.Failed} {
		if n < 0 || n > 1<<53 {
			return fmt.Errorf("%d is no count", n)
		}
	}
	if c.In != c.Written+c.Rejected+c.Failed {
		return fmt.Errorf("in %d is not written %d + rejected %d + failed %d", c.In, c.Written, c.Rejected, c.Failed)
	}
	return nil
}

// TaskEntry says what one shard task gave. It covers the samples [Start, End) of the listing.
type TaskEntry struct {
	ID     string `json:"id"`
	Index  int    `json:"index"`
	Start  int64  `json:"start"`
	End    int64  `json:"end"`
	Shard  File   `json:"shard"`
	Ledger File   `json:"ledger"`
	Counts
}

// Manifest seals a finished folder: it lists every file with its size and hashes, and its digest covers
// itself.
type Manifest struct {
	FormatVersion int             `json:"format_version"`
	Tool          string          `json:"tool"`   // what wrote it, with its version
	Config        json.RawMessage `json:"config"` // the effective configuration
	// Pins are what else decides bytes and was settled with the plan: decoders, kernel variants.
	Pins   map[string]string `json:"pins"`
	Schema Schema            `json:"schema"`
	Counts Counts            `json:"counts"`
	// Reasons counts the ledgers' rows that were not written by "outcome:reason", as "rejected:low_snr".
	Reasons map[string]int64 `json:"reasons"`
	// Flags counts written samples of which something should be known, as "truncated_caption".
	Flags map[string]int64 `json:"flags,omitempty"`
	// Labels is the label set with the number of samples of the listing that have each: what zero-shot
	// evaluation chooses from. Nil where there is none, or 65,536 or more.
	Labels map[string]int64 `json:"labels,omitempty"`
	Tasks  []TaskEntry      `json:"tasks"`
	// Files are all others that the manifest covers, such as ".prep/plan.json".
	Files []File `json:"files"`
	// Digest is the SHA-256 of the manifest's bytes with the digest's 64 digits as zeros.
	Digest string `json:"digest"`
}

// ShardName names the shard of task index after its content: shard-000000-<first 16 digits of SHA-256>.arrow.
func ShardName(index int) func(File) string {
	return func(f File) string { return fmt.Sprintf("shard-%06d-%s.arrow", index, f.SHA256[:16]) }
}

// LedgerName names the ledger of task index after its content: ledger-000000-<...>.parquet.
func LedgerName(index int) func(File) string {
	return func(f File) string { return fmt.Sprintf("ledger-%06d-%s.parquet", index, f.SHA256[:16]) }
}

var (
	hex64 = regexp.MustCompile(`^[0-9a-f]{64}$`)
	hex8  = regexp.MustCompile(`^[0-9a-f]{8}$`)
)

func (f File) check() error {
	switch {
	case !localName(f.Name):
		return fmt.Errorf("file name %q leaves the folder", f.Name)
	case f.Bytes < 0 || !hex64.MatchString(f.SHA256):
		return fmt.Errorf("%s: %d bytes, sha256 %q", f.Name, f.Bytes, f.SHA256)
	case int64(len(f.Blocks)) != f.Bytes/BlockBytes+min(1, f.Bytes%BlockBytes):
		return fmt.Errorf("%s: %d block checksums for %d bytes", f.Name, len(f.Blocks), f.Bytes)
	}
	for _, b := range f.Blocks {
		if !hex8.MatchString(b) {
			return fmt.Errorf("%s: %q is no block checksum", f.Name, b)
		}
	}
	return nil
}

// check reports what contradicts itself in m.
func (m *Manifest) check() error {
	if m.FormatVersion != FormatVersion {
		return fmt.Errorf("format version %d; this program reads %d", m.FormatVersion, FormatVersion)
	}
	if err := m.Schema.Check(); err != nil {
		return err
	}
	if err := m.Counts.check(); err != nil {
		return fmt.Errorf("in total: %w", err)
	}
	seen := map[string]bool{ManifestName: true, SelectionName: true}
	file := func(f File) error {
		if seen[f.Name] {
			return fmt.Errorf("file %s is listed twice or may not be listed", f.Name)
		}
		seen[f.Name] = true
		return f.check()
	}
	var sum Counts
	at := int64(0)
	for i, t := range m.Tasks {
		err := errors.Join(t.check(), file(t.Shard), file(t.Ledger))
		switch {
		case err != nil:
		case t.Index != i || t.Start != at || t.End < t.Start:
			err = fmt.Errorf("it has index %d and samples %d to %d after %d", t.Index, t.Start, t.End, at)
		case t.In != t.End-t.Start:
			err = fmt.Errorf("in %d is not the %d samples from %d to %d", t.In, t.End-t.Start, t.Start, t.End)
		case t.In > maxLedgerRows:
			err = fmt.Errorf("%d samples, a task has at most %d", t.In, maxLedgerRows)
		case strings.Contains(t.Shard.Name, "/") || !strings.HasSuffix(t.Shard.Name, ".arrow"):
			err = fmt.Errorf("%s is no shard's name", t.Shard.Name)
		case strings.Contains(t.Ledger.Name, "/") || !strings.HasPrefix(t.Ledger.Name, "ledger") || !strings.HasSuffix(t.Ledger.Name, ".parquet"):
			err = fmt.Errorf("%s is no ledger's name", t.Ledger.Name)
		}
		if err != nil {
			return fmt.Errorf("task %d: %w", i, err)
		}
		at = t.End
		sum.Add(t.Counts)
	}
	if sum != m.Counts {
		return fmt.Errorf("the counts %+v are not the tasks' sum %+v", m.Counts, sum)
	}
	for _, f := range m.Files {
		if err := file(f); err != nil {
			return err
		}
	}
	for _, counts := range []map[string]int64{m.Flags, m.Labels} {
		for name, n := range counts {
			if n < 0 || n > 1<<53 {
				return fmt.Errorf("%q has count %d", name, n)
			}
		}
	}
	var reasons int64
	for r, n := range m.Reasons {
		if n < 0 || n > 1<<53 {
			return fmt.Errorf("reason %s has count %d", r, n)
		}
		reasons += n
	}
	if reasons != m.Counts.Rejected+m.Counts.Failed {
		return fmt.Errorf("the reasons count %d samples, rejected and failed are %d", reasons, m.Counts.Rejected+m.Counts.Failed)
	}
	return nil
}

// WriteManifest puts m in place as dir/manifest.json, and sets its FormatVersion and Digest. The files it
// lists are not looked at; that they are there is the caller's business, and Verify's.
func WriteManifest(dir string, m *Manifest) error {
	m.FormatVersion = FormatVersion
	m.Digest = blankDigest
	if m.Config == nil {
		m.Config = json.RawMessage("{}")
	}
	if err := m.check(); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	data, digest, err := seal(m)
	if err != nil {
		return err
	}
	if _, err := CommitFile(dir, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}, func(File) string { return ManifestName }); err != nil {
		return err
	}
	m.Digest = digest
	return nil
}

// ReadManifest reads and checks dir/manifest.json. It returns an error that errors.Is(err,
// fs.ErrNotExist) when there is none, and a fault.Corrupt one when any byte of it was changed.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestName)
	m := new(Manifest)
	if err := unseal(path, m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, fault.Corruptf("manifest", "%s: %w", path, err)
	}
	return m, nil
}

// A sealed file is indented JSON whose last member is its digest: the SHA-256 of the file itself, with
// zeros where the digest is. Its place is known from the end of the file, so that no JSON need be parsed
// to check it and every byte is covered, white space too.
const (
	blankDigest = "0000000000000000000000000000000000000000000000000000000000000000"
	sealBefore  = "\"digest\": \""
	sealAfter   = "\"\n}\n"
)

// seal writes v, whose last member is a blank digest, and returns the bytes and the digest.
func seal(v any) ([]byte, string, error) {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, "", err
	}
	data = append(data, '\n')
	if !bytes.HasSuffix(data, []byte(sealBefore+blankDigest+sealAfter)) {
		return nil, "", errors.New("the digest is not the last member")
	}
	if len(data) > maxSidecar {
		return nil, "", fmt.Errorf("%d MiB of JSON, at most %d", len(data)>>20, maxSidecar>>20)
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	copy(data[len(data)-len(sealAfter)-len(digest):], digest)
	return data, digest, nil
}

// unseal checks the digest of the file at path and reads it into v.
func unseal(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSidecar+1))
	if err != nil {
		return err
	}
	return unsealBytes(path, data, v)
}

func unsealBytes(path string, data []byte, v any) error {
	start := len(data) - len(sealAfter) - len(blankDigest)
	if len(data) > maxSidecar || start < len(sealBefore) ||
		string(data[start-len(sealBefore):start]) != sealBefore || string(data[start+len(blankDigest):]) != sealAfter {
		return fault.Corruptf("seal", "%s: does not end with its digest: it is damaged, cut short or not prep's", path)
	}
	var blank [sha256.Size]byte
	h := sha256.New()
	h.Write(data[:start])
	h.Write([]byte(blankDigest))
	h.Write(data[start+len(blankDigest):])
	h.Sum(blank[:0])
	if got := hex.EncodeToString(blank[:]); got != string(data[start:start+len(blankDigest)]) {
		return fault.Corruptf("seal", "%s: its digest is %s, its content has %s: it was changed", path, data[start:start+len(blankDigest)], got)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(v); err != nil {
		return fault.Corruptf("seal", "%s: %w", path, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fault.Corruptf("seal", "%s: something follows the JSON", path)
	}
	return nil
}

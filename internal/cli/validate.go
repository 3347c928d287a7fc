package cli

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"prep/bpe"
	"prep/configs"
	"prep/filters"
	"prep/internal/fault"
	"prep/internal/half"
	"prep/internal/sample"
	"prep/shards"
)

type validateSummary struct {
	Command  string           `json:"command"`
	OK       bool             `json:"ok"`
	Samples  int              `json:"samples"`
	Kept     int              `json:"kept"`
	Removed  map[string]int64 `json:"removed"`
	Flags    map[string]int64 `json:"flags,omitempty"`
	Problems []shards.Problem `json:"problems"`
	// Duplicates are the pictures that occur earlier in the listing, whether or not they were removed.
	Duplicates struct {
		Exact int64 `json:"exact"`
		Near  int64 `json:"near"`
	} `json:"duplicates"`
}

func (s *session) validateCommand() *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check every byte of a data set, re-apply thresholds, write the selection",
		UsageText: "prep validate [SHARDS] [--snr DB|off] [--min-text N|off] [--max-sync S|off] [--unknown keep|drop] [--duplicates keep|exact|drop] [--report FILE]",
		Description: "Checks hashes, schema, counts, ledger and value ranges; then applies the thresholds to the stored metrics and\n" +
			"writes selection.json, which train honours. Nothing is rewritten. Thresholds that are not given are those of ingest.\n" +
			"What ingest rejected is not in the shards: a looser threshold needs a new ingest. Exit 1 when integrity fails.",
		Flags: append(thresholdFlags(), jsonFlag,
			&cli.StringFlag{Name: "duplicates", Usage: "pictures that occur earlier in the set: `keep`, exact drops those that are equal, drop also those that look the same"},
			&cli.StringFlag{Name: "report", Usage: "write a self-contained HTML page to `FILE`"},
		),
		OnUsageError: usageError,
		Action:       s.validate,
	}
}

func (s *session) validate(c *cli.Context) error {
	dir, err := oneArg(c, "shards")
	if err != nil {
		return err
	}
	sum := validateSummary{Command: "validate", Removed: map[string]int64{}, Problems: []shards.Problem{}}
	overrides, err := thresholdOverrides(c)
	if err != nil {
		return err
	}
	if c.IsSet("duplicates") {
		overrides = append(overrides, configs.Override{Key: "filters.duplicates.images", Value: c.String("duplicates"), Flag: "duplicates"})
	}
	if err := mustBeShards(dir); err != nil {
		return err
	}
	w := s.results(c)
	var bar *progress
	rep, err := shards.Verify(c.Context, dir, shards.VerifyOptions{
		CheckRow: checkTensor,
		Progress: func(done, total int64) {
			if bar == nil {
				bar = s.newProgress("validate", "bytes", total, 10)
			}
			bar.add(done - bar.done)
		},
	})
	if bar != nil {
		bar.finish()
	}
	if err != nil {
		return err
	}
	sum.Samples = int(rep.Samples)
	sum.Problems = append(sum.Problems, rep.Problems...)
	for i, p := range rep.Problems {
		if i == 20 {
			fmt.Fprintf(w, "... and %d more problems (--json has all)\n", len(rep.Problems)-i)
			break
		}
		fmt.Fprintf(w, "%s: %s\n", p.File, p.What)
	}
	if len(rep.Problems) > 0 {
		fmt.Fprintf(w, "%d problems in %s; no selection was written\n", len(rep.Problems), dir)
		if err := s.summary(c, sum); err != nil {
			return err
		}
		return errChecksFailed
	}

	m, err := shards.ReadManifest(dir)
	if err != nil {
		return err
	}
	cfg, err := effectiveFilters(m, overrides)
	if err != nil {
		return err
	}
	rules := filters.Rules(cfg)
	criteria, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	duplicates := filters.NewDuplicates(cfg.Duplicates)
	sel, err := shards.Select(dir, m, criteria, func(x sample.Metrics) (bool, string) {
		for _, v := range filters.Judge(rules, x) {
			if v.Drop {
				return false, v.Reason
			}
		}
		if v := duplicates.Judge(x); v.Drop { // only among those that stay
			return false, v.Reason
		}
		return true, ""
	})
	if err != nil {
		return err
	}
	if err := shards.WriteSelection(dir, sel); err != nil {
		return fault.Environmentf("cannot write the selection: %w", err)
	}
	sum.OK, sum.Kept, sum.Removed, sum.Flags = true, int(sel.Kept), sel.Removed, m.Flags
	sum.Duplicates.Exact, sum.Duplicates.Near = duplicates.Exact, duplicates.Near
	printSelection(w, m, sel)
	if n := duplicates.Exact + duplicates.Near; n > 0 {
		what := "kept; --duplicates drop removes them"
		if cfg.Duplicates.Images != "keep" {
			what = "--duplicates " + cfg.Duplicates.Images
		}
		fmt.Fprintf(w, "pictures that occur earlier: %d the same, %d that look the same (%s)\n", duplicates.Exact, duplicates.Near, what)
	}
	if name := c.String("report"); name != "" {
		if err := s.writeReport(c, dir, name, m, sel, cfg); err != nil {
			return err
		}
		fmt.Fprintf(w, "report: %s\n", name)
	}
	return s.summary(c, sum)
}

// effectiveFilters are the thresholds of ingest with the flags over them.
func effectiveFilters(m *shards.Manifest, overrides []configs.Override) (configs.Filters, error) {
	var stored struct {
		Filters map[string]json.RawMessage `json:"filters"`
	}
	if err := json.Unmarshal(m.Config, &stored); err != nil {
		return configs.Filters{}, fault.Inputf("the manifest's configuration: %w", err)
	}
	// A rule that the program of then did not have is as it is by default.
	defaults, err := configs.Load(configs.Layers{})
	if err != nil {
		return configs.Filters{}, err
	}
	b, err := json.Marshal(defaults.Filters)
	if err != nil {
		return configs.Filters{}, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return configs.Filters{}, err
	}
	maps.Copy(all, stored.Filters)
	if b, err = json.Marshal(all); err != nil {
		return configs.Filters{}, err
	}
	var made configs.Filters
	if err := json.Unmarshal(b, &made); err != nil {
		return configs.Filters{}, fault.Inputf("the manifest's configuration: %w", err)
	}
	return made.With(overrides)
}

// mustBeShards refuses a folder that no ingest finished.
func mustBeShards(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fault.Inputf("%s: no such folder of shards; %s makes one", dir, commandLine("prep", "ingest", "SRC", "--out", dir))
	case !info.IsDir():
		return fault.Inputf("%s is a file; want the folder that prep ingest wrote", dir)
	}
	if _, err := os.Stat(dir + "/manifest.json"); err == nil {
		return nil
	}
	if _, err := os.Stat(dir + "/.prep/plan.json"); err == nil {
		return fault.Inputf("%s is not finished: it has a plan and no manifest; run prep ingest again, or prep finalize", dir)
	}
	return fault.Inputf("%s holds no manifest.json; it is no output of prep ingest", dir)
}

// checkTensor holds the value ranges that a hash cannot know of.
func checkTensor(column string, t sample.Tensor) string {
	switch {
	case column == sample.Text.String():
		return checkTokens(t)
	case column == sample.ColumnTexts:
		return checkTexts(t)
	case t.DType == sample.Float16:
		for i := 0; i+1 < len(t.Data); i += 2 {
			if v := float64(half.ToFloat32(binary.LittleEndian.Uint16(t.Data[i:]))); math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Sprintf("element %d is %v", i/2, v)
			}
		}
	case t.DType == sample.Float32:
		for i := 0; i+3 < len(t.Data); i += 4 {
			if v := float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Data[i:]))); math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Sprintf("element %d is %v", i/4, v)
			}
		}
	}
	return ""
}

// checkTexts holds the captions of [n,77], behind the last of which there are zeros.
func checkTexts(t sample.Tensor) string {
	const width = 4 * bpe.ContextLength
	ended := false
	for i := range len(t.Data) / width {
		row := t.Data[i*width : (i+1)*width]
		switch used := binary.LittleEndian.Uint32(row) != 0; {
		case !used && i == 0:
			return "no caption"
		case !used:
			ended = true
		case ended:
			return fmt.Sprintf("caption %d stands behind an empty one", i+1)
		default:
			if problem := checkTokens(sample.Tensor{Data: row}); problem != "" {
				return fmt.Sprintf("caption %d: %s", i+1, problem)
			}
		}
	}
	return ""
}

func checkTokens(t sample.Tensor) string {
	starts, ends := 0, 0
	for i := 0; i+3 < len(t.Data); i += 4 {
		switch id := int32(binary.LittleEndian.Uint32(t.Data[i:])); {
		case id < 0 || id >= bpe.VocabSize:
			return fmt.Sprintf("token %d at place %d is outside 0 to %d", id, i/4, bpe.VocabSize-1)
		case id == bpe.StartID && i == 0:
			starts++
		case id == bpe.EndID:
			ends++
		}
	}
	if starts != 1 || ends < 1 {
		return fmt.Sprintf("the tokens have %d start markers at their beginning and %d end markers", starts, ends)
	}
	return ""
}

func printSelection(w io.Writer, m *shards.Manifest, sel *shards.Selection) {
	c := m.Counts
	fmt.Fprintln(w, "integrity: every byte is as it was written")
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tsamples\t")
	fmt.Fprintf(tw, "ingest read\t%d\t\n", c.In)
	fmt.Fprintf(tw, "before (written)\t%d\t\n", c.Written)
	for _, k := range sortedKeys(sel.Removed) {
		fmt.Fprintf(tw, "removed: %s\t%d\t\n", k, sel.Removed[k])
	}
	fmt.Fprintf(tw, "after (kept)\t%d\t\n", sel.Kept)
	tw.Flush()
	printFlags(w, m.Flags)
	if c.Rejected+c.Failed > 0 {
		fmt.Fprintln(w, "not in the shards since ingest:")
		printReasons(w, m.Reasons)
	}
}

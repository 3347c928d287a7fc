package shards

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/sample"
)

func TestLedgerRoundTrip(t *testing.T) {
	fields := testSchema().Metrics
	// enough rows for several pages, with nulls, empty lists and repeated values
	var rows []LedgerRow
	for i := range 30000 {
		r := LedgerRow{Key: fmt.Sprint("key ", i), Row: -1}
		switch r.Outcome, r.Reason = testOutcome(i); r.Outcome {
		case Written:
			r.Shard, r.Row = "shard-000000-0123456789abcdef.arrow", int64(i)
		default:
			r.Detail = fmt.Sprint("detail ", i%5)
		}
		for k := range i % 4 {
			r.Source = append(r.Source, fmt.Sprintf("%d/%d.wav", k, i))
		}
		if i%3 != 0 {
			r.Metrics = sample.Metrics{"audio_snr_db": float64(i) / 3, "audio_snr_method": "floor"}
		}
		if i%10 == 0 {
			r.Metrics = sample.Metrics{"text_chars": int64(-i), "audio_snr_db": math.Inf(-1), "audio_snr_method": ""}
		}
		rows = append(rows, r)
	}
	for _, n := range []int{0, 1, 2, 1023, 1025, len(rows)} {
		var a, b bytes.Buffer
		if err := errors.Join(WriteLedger(&a, fields, rows[:n]), WriteLedger(&b, fields, rows[:n])); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatal("the same rows gave other bytes")
		}
		got, gotFields, err := parseLedger(a.Bytes(), maxLedgerRows)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != n || len(gotFields) != len(fields) {
			t.Fatalf("%d rows of %d metrics, want %d of %d", len(got), len(gotFields), n, len(fields))
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], rows[i]) {
				t.Fatalf("row %d is %+v, want %+v", i, got[i], rows[i])
			}
		}
	}
}

func TestLedgerNamesThatAreNotUTF8(t *testing.T) {
	var b bytes.Buffer
	rows := []LedgerRow{{Key: "a", Outcome: Failed, Reason: "wav", Detail: "caf\xe9.wav: broken", Source: []string{"caf\xe9.wav", "ü\xff"}, Row: -1}}
	if err := WriteLedger(&b, nil, rows); err != nil {
		t.Fatal(err)
	}
	got, _, err := parseLedger(b.Bytes(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Source[0] != `caf\xe9.wav` || got[0].Source[1] != `ü\xff` || !strings.HasPrefix(got[0].Detail, `caf\xe9.wav`) {
		t.Errorf("%+v", got[0])
	}
}

func TestLedgerRefuses(t *testing.T) {
	fields := testSchema().Metrics
	for name, r := range map[string]LedgerRow{
		"no key":             {Outcome: Failed, Reason: "x", Row: -1},
		"no outcome":         {Key: "a", Row: -1, Reason: "x"},
		"no reason":          {Key: "a", Outcome: Failed, Row: -1},
		"written nowhere":    {Key: "a", Outcome: Written, Row: -1},
		"failed somewhere":   {Key: "a", Outcome: Failed, Reason: "x", Row: 3},
		"unknown metric":     {Key: "a", Outcome: Failed, Reason: "x", Row: -1, Metrics: sample.Metrics{"new": 1.0}},
		"metric's type":      {Key: "a", Outcome: Failed, Reason: "x", Row: -1, Metrics: sample.Metrics{"text_chars": 1.0}},
		"key is not UTF-8":   {Key: "\xff", Outcome: Failed, Reason: "x", Row: -1},
		"too many sources":   {Key: "a", Outcome: Failed, Reason: "x", Row: -1, Source: make([]string, maxSources+1)},
		"metric is no UTF-8": {Key: "a", Outcome: Failed, Reason: "x", Row: -1, Metrics: sample.Metrics{"audio_snr_method": "\xff"}},
	} {
		if err := WriteLedger(io.Discard, fields, []LedgerRow{r}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	dir := t.TempDir()
	if _, err := ReadLedger(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
	bad := filepath.Join(dir, "bad.parquet")
	if err := os.WriteFile(bad, []byte("PAR1 this is no Parquet file PAR1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLedger(bad); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("no Parquet: %v", err)
	}
}

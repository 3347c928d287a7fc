package shards

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"prep/internal/sample"
)

// testSchema has every element type and every kind of metric, in shapes that keep a data set small.
func testSchema() Schema {
	return Schema{
		Captions: true,
		Tensors: []sample.TensorField{
			{Name: "image", DType: sample.Uint8, Shape: []int{3, 8, 8}},
			{Name: "audio", DType: sample.Float16, Shape: []int{3, 1, 4, 5}},
			{Name: "text", DType: sample.Int32, Shape: []int{7}},
			{Name: "depth", DType: sample.Null, Shape: []int{}},
			{Name: "imu", DType: sample.Float32, Shape: []int{6, 10}},
			{Name: "texts", DType: sample.Int32, Shape: []int{3, 7}},
		},
		Metrics: []sample.MetricField{
			{Name: "audio_snr_db", Kind: sample.Number, Unit: "dB", Doc: "signal to noise"},
			{Name: "text_chars", Kind: sample.Count},
			{Name: "audio_snr_method", Kind: sample.Word},
		},
	}
}

// testSample is a pure function of i: every third sample lacks its picture, every fifth its sound, and so on.
func testSample(s Schema, i int) *sample.Sample {
	r := rand.New(rand.NewPCG(uint64(i), 7))
	out := &sample.Sample{Key: fmt.Sprintf("clip/%04d-ü", i), Metrics: sample.Metrics{}}
	for k := range i % 3 {
		out.Labels = append(out.Labels, fmt.Sprintf("label %d", k))
	}
	if i%4 != 0 {
		out.Caption = fmt.Sprintf("a caption of %d", i)
		if s.Captions {
			out.Captions = append(out.Captions, out.Caption)
			for k := range i % 3 {
				out.Captions = append(out.Captions, fmt.Sprintf("caption %d of %d", k+2, i))
			}
		}
	}
	for c, f := range s.Tensors {
		if (i+c)%(3+c) == 0 || f.DType == sample.Null {
			continue
		}
		data := make([]byte, f.Bytes())
		for k := 0; k < len(data); k += 4 {
			binary.LittleEndian.PutUint32(data[k:], math.Float32bits(r.Float32()))
		}
		x := sample.Tensor{DType: f.DType, Shape: f.Shape, Data: data}
		if m, err := sample.ParseModality(f.Name); err == nil {
			out.Tensors[m] = x
		} else {
			out.Texts = x
		}
	}
	if i%6 != 1 {
		out.Metrics["audio_snr_db"] = r.NormFloat64() * 20
		out.Metrics["audio_snr_method"] = "floor"
	}
	if i%5 != 2 {
		out.Metrics["text_chars"] = int64(i)
	}
	return out
}

// testOutcome rejects every seventh sample and fails every eleventh.
func testOutcome(i int) (outcome, reason string) {
	switch {
	case i%7 == 3:
		return Rejected, "low_snr"
	case i%11 == 5:
		return Failed, "jpeg"
	}
	return Written, ""
}

// buildDataset writes a finished folder of tasks with per samples each.
func buildDataset(t testing.TB, dir string, s Schema, tasks, per, batchRows int) *Manifest {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, ".prep"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := &Manifest{Tool: "prep test", Schema: s, Reasons: map[string]int64{}, Config: json.RawMessage(`{"a":1}`), Pins: map[string]string{"jpeg": "go"}}
	for k := range tasks {
		e := TaskEntry{ID: fmt.Sprint("task", k), Index: k, Start: int64(k * per), End: int64((k + 1) * per)}
		var rows []LedgerRow
		shard, err := CommitFile(dir, func(w io.Writer) error {
			sw, err := NewWriter(w, s, WriterOptions{BatchRows: batchRows, Metadata: map[string]string{"b": "2", "a": "1"}})
			if err != nil {
				return err
			}
			for i := k * per; i < (k+1)*per; i++ {
				x := testSample(s, i)
				l := LedgerRow{Key: x.Key, Source: []string{fmt.Sprintf("audio/%d.wav", i), "img.jpg"}[:1+i%2], Row: -1, Metrics: x.Metrics}
				e.In++
				switch l.Outcome, l.Reason = testOutcome(i); l.Outcome {
				case Written:
					l.Row = sw.Rows()
					if err := sw.Append(x); err != nil {
						return err
					}
					e.Written++
				case Rejected:
					l.Detail = "too noisy"
					e.Rejected++
				case Failed:
					l.Detail = "bad marker"
					e.Failed++
				}
				if l.Outcome != Written {
					m.Reasons[l.Outcome+":"+l.Reason]++
				}
				rows = append(rows, l)
			}
			return sw.Close()
		}, ShardName(k))
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if rows[i].Row >= 0 {
				rows[i].Shard = shard.Name
			}
		}
		ledger, err := CommitFile(dir, func(w io.Writer) error { return WriteLedger(w, s.Metrics, rows) }, LedgerName(k))
		if err != nil {
			t.Fatal(err)
		}
		e.Shard, e.Ledger = shard, ledger
		m.Counts.Add(e.Counts)
		m.Tasks = append(m.Tasks, e)
	}
	plan, err := CommitFile(dir, func(w io.Writer) error {
		_, err := io.WriteString(w, "{\"tasks\": 3}\n")
		return err
	}, func(File) string { return ".prep/plan.json" })
	if err != nil {
		t.Fatal(err)
	}
	m.Files = append(m.Files, plan)
	if err := WriteManifest(dir, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// selectLoud keeps the rows with an SNR of 0 dB or more.
func selectLoud(t testing.TB, dir string, m *Manifest) *Selection {
	t.Helper()
	s, err := Select(dir, m, json.RawMessage(`{"snr":0}`), func(x sample.Metrics) (bool, string) {
		v, ok := x.Number("audio_snr_db")
		if !ok {
			return false, "unknown_snr"
		}
		return v >= 0, "low_snr"
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteSelection(dir, s); err != nil {
		t.Fatal(err)
	}
	return s
}

package trainer

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"testing"

	"github.com/gomlx/compute/dtypes/float16"

	"prep/configs"
	"prep/internal/sample"
	"prep/shards"
)

// synthetic makes n samples with pictures of a few soft shapes, sounds of a few bands and captions of a few
// words, each drawn from its own stream: items that differ as real ones do, without meaning.
func synthetic(n int, modalities ...sample.Modality) memory {
	var out memory
	for i := range n {
		s := &sample.Sample{Key: fmt.Sprintf("item-%03d", i)}
		for _, m := range modalities {
			s.Tensors[m] = syntheticTensor(m, draw(7, "synthetic "+m.String(), 0, s.Key))
		}
		out = append(out, s)
	}
	return out
}

// field is a smooth random function on a height by width grid, about -1 to 1: a level, as pictures differ in
// colour and sounds in loudness, and three plane waves.
func field(s *stream, height, width int) []float64 {
	v := make([]float64, height*width)
	level := 1.2*s.Uniform() - 0.6
	for i := range v {
		v[i] = level
	}
	for range 3 {
		a, b, p := 14*s.Uniform()-7, 14*s.Uniform()-7, 2*math.Pi*s.Uniform()
		for y := range height {
			for x := range width {
				v[y*width+x] += math.Sin(a*float64(x)/float64(width)+b*float64(y)/float64(height)+p) / 3
			}
		}
	}
	return v
}

func syntheticTensor(m sample.Modality, s *stream) sample.Tensor {
	bytesOf := func(v []float64) []byte {
		b := make([]byte, len(v))
		for i, x := range v {
			b[i] = uint8(min(255, max(0, 128+100*x)))
		}
		return b
	}
	halves := func(v []float64, scale float64) []byte {
		b := make([]byte, 0, 2*len(v))
		for _, x := range v {
			b = binary.LittleEndian.AppendUint16(b, uint16(float16.FromFloat32(float32(x*scale))))
		}
		return b
	}
	var data []byte
	switch m {
	case sample.Image:
		for range 3 {
			data = append(data, bytesOf(field(s, imageSize, imageSize))...)
		}
		return sample.Tensor{DType: sample.Uint8, Shape: []int{3, imageSize, imageSize}, Data: data}
	case sample.Video:
		for range 3 * videoFrames {
			data = append(data, bytesOf(field(s, imageSize, imageSize))...)
		}
		return sample.Tensor{DType: sample.Uint8, Shape: []int{3, videoFrames, imageSize, imageSize}, Data: data}
	case sample.Audio:
		v := make([]float64, melBins*melFrames)
		for i := range v {
			v[i] = -0.6 // about silence after the normalisation
		}
		for range 4 { // tones: a band of bins from one frame to another
			bin, from, to := s.Below(melBins-6), s.Below(melFrames/2), melFrames/2+s.Below(melFrames/2)
			for y := bin; y < bin+6; y++ {
				for x := from; x < to; x++ {
					v[y*melFrames+x] += 1.2
				}
			}
		}
		one := halves(v, 1)
		for range 3 {
			data = append(data, one...)
		}
		return sample.Tensor{DType: sample.Float16, Shape: []int{3, 1, melBins, melFrames}, Data: data}
	case sample.Text:
		ids := make([]uint32, contextLength)
		words := 4 + s.Below(6)
		ids[0], ids[words+1] = 49406, 49407
		for i := range words {
			ids[1+i] = uint32(300 + s.Below(20000))
		}
		for _, id := range ids {
			data = binary.LittleEndian.AppendUint32(data, id)
		}
		return sample.Tensor{DType: sample.Int32, Shape: []int{contextLength}, Data: data}
	case sample.Depth:
		return sample.Tensor{DType: sample.Float16, Shape: []int{1, imageSize, imageSize}, Data: halves(field(s, imageSize, imageSize), 0.03)}
	case sample.Thermal:
		return sample.Tensor{DType: sample.Uint8, Shape: []int{1, imageSize, imageSize}, Data: bytesOf(field(s, imageSize, imageSize))}
	}
	for _, x := range field(s, imuChannels, imuSamples) {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
	}
	return sample.Tensor{DType: sample.Float32, Shape: []int{imuChannels, imuSamples}, Data: data}
}

// memory is Rows over samples in memory.
type memory []*sample.Sample

func (m memory) Len() int         { return len(m) }
func (m memory) Key(i int) string { return m[i].Key }
func (m memory) Has(i int, column string) bool {
	t, err := m.Tensor(i, column)
	return err == nil && !t.Absent()
}
func (m memory) Tensor(i int, column string) (sample.Tensor, error) {
	k, err := sample.ParseModality(column)
	if err != nil {
		return sample.Tensor{}, err
	}
	return m[i].Tensors[k], nil
}

// writeShards makes a finished folder of the samples, two tasks of it.
func writeShards(t testing.TB, dir string, all memory) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var schema shards.Schema
	for m := range sample.NumModalities {
		for _, s := range all {
			if x := s.Tensors[m]; !x.Absent() {
				schema.Tensors = append(schema.Tensors, sample.TensorField{Name: m.String(), DType: x.DType, Shape: x.Shape})
				break
			}
		}
	}
	m := &shards.Manifest{Tool: "test", Config: json.RawMessage(`{}`), Pins: map[string]string{}, Schema: schema, Reasons: map[string]int64{}}
	half := len(all) / 2
	for i, part := range []memory{all[:half], all[half:]} {
		var rows []shards.LedgerRow
		shard, err := shards.CommitFile(dir, func(w io.Writer) error {
			sw, err := shards.NewWriter(w, schema, shards.WriterOptions{BatchRows: 8})
			if err != nil {
				return err
			}
			for _, s := range part {
				if err := sw.Append(s); err != nil {
					return err
				}
			}
			return sw.Close()
		}, shards.ShardName(i))
		if err != nil {
			t.Fatal(err)
		}
		for j, s := range part {
			rows = append(rows, shards.LedgerRow{Key: s.Key, Outcome: "written", Source: []string{s.Key}, Shard: shard.Name, Row: int64(j)})
		}
		ledger, err := shards.CommitFile(dir, func(w io.Writer) error { return shards.WriteLedger(w, nil, rows) }, shards.LedgerName(i))
		if err != nil {
			t.Fatal(err)
		}
		c := shards.Counts{In: int64(len(part)), Written: int64(len(part))}
		m.Tasks = append(m.Tasks, shards.TaskEntry{ID: fmt.Sprintf("task-%d", i), Index: i, Start: int64(i * half), End: int64(i*half + len(part)), Shard: shard, Ledger: ledger, Counts: c})
		m.Counts.Add(c)
	}
	if err := shards.WriteManifest(dir, m); err != nil {
		t.Fatal(err)
	}
}

// preset is the tiny preset.
func preset(t testing.TB) configs.Config {
	t.Helper()
	c, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// small shrinks the tiny preset so that a step takes milliseconds.
func small(t testing.TB) configs.Config {
	t.Helper()
	c := preset(t)
	c.Model.Dim, c.Model.MLPRatio = 16, 2
	for _, tw := range towers {
		w := tw.config(&c.Model)
		w.Width, w.Heads, w.Blocks = 8, 2, 2
		if tw.stem == stemVideo || tw.stem == stemPatch && tw.name != "audio" {
			w.Kernel, w.Stride = 112, 112
		}
	}
	c.Model.Audio.Kernel, c.Model.Audio.Stride = 64, 64
	c.Model.IMU.Kernel, c.Model.IMU.Stride = 200, 200
	c.Train.Batch, c.Train.Epochs = 6, 3
	return c
}

package shards

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"prep/internal/sample"
)

// realSchema has picture, sound and tokens in the sizes of a data set: 307 kB a row.
func realSchema() Schema {
	return Schema{Tensors: []sample.TensorField{
		{Name: "image", DType: sample.Uint8, Shape: []int{3, 224, 224}},
		{Name: "audio", DType: sample.Float16, Shape: []int{3, 1, 128, 204}},
		{Name: "text", DType: sample.Int32, Shape: []int{77}},
	}, Metrics: testSchema().Metrics}
}

func benchSamples(s Schema, n int) []*sample.Sample {
	out := make([]*sample.Sample, n)
	for i := range out {
		out[i] = &sample.Sample{Key: fmt.Sprintf("clip/%06d", i), Labels: []string{"Speech"}, Caption: "a dog barks", Metrics: sample.Metrics{"audio_snr_db": float64(i)}}
		for _, f := range s.Tensors {
			m, _ := sample.ParseModality(f.Name)
			data := make([]byte, f.Bytes())
			r := rand.New(rand.NewPCG(uint64(i), uint64(m)))
			for k := range data {
				data[k] = byte(r.Uint32())
			}
			out[i].Tensors[m] = sample.Tensor{DType: f.DType, Shape: f.Shape, Data: data}
		}
	}
	return out
}

// BenchmarkWrite compares a shard of 512 rows with a plain write of the same tensors, without and with
// the hashing and flushing that a commit adds.
func BenchmarkWrite(b *testing.B) {
	const rows = 512
	s := realSchema()
	samples := benchSamples(s, 64)
	path := filepath.Join(b.TempDir(), "f")
	create := func() *os.File {
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	plain := func(w io.Writer) error {
		for i := range rows {
			for _, t := range samples[i%64].Tensors {
				if _, err := w.Write(t.Data); err != nil {
					return err
				}
			}
		}
		return nil
	}
	shard := func(w io.Writer) error {
		sw, err := NewWriter(w, s, WriterOptions{})
		if err != nil {
			return err
		}
		for i := range rows {
			if err := sw.Append(samples[i%64]); err != nil {
				return err
			}
		}
		return sw.Close()
	}
	for name, fill := range map[string]func(io.Writer) error{"plain": plain, "shard": shard} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(rows * s.rowBytes()))
			for b.Loop() {
				f := create()
				if err := fill(f); err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
		b.Run(name+"-hashed", func(b *testing.B) {
			b.SetBytes(int64(rows * s.rowBytes()))
			for b.Loop() {
				f := create()
				if err := fill(NewHashingWriter(f)); err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}

// BenchmarkRandomRow reads rows of a warm data set in shuffled order: found only, and with every byte
// copied out as a batch builder does.
func BenchmarkRandomRow(b *testing.B) {
	dir := b.TempDir()
	s := realSchema()
	buildDataset(b, dir, s, 2, 400, 0)
	d, err := Open(dir, OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	perm := rand.New(rand.NewPCG(1, 1)).Perm(d.Len())
	dst := make([]byte, s.rowBytes())
	for _, touch := range []bool{false, true} {
		b.Run(map[bool]string{false: "locate", true: "copy"}[touch], func(b *testing.B) {
			i := 0
			for b.Loop() {
				r, err := d.Row(perm[i%len(perm)])
				if err != nil {
					b.Fatal(err)
				}
				i++
				at := 0
				for _, f := range s.Tensors {
					if t := r.Tensor(f.Name); touch {
						at += copy(dst[at:], t.Data)
					}
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	buildDataset(b, dir, realSchema(), 4, 200, 0)
	for b.Loop() {
		d, err := Open(dir, OpenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}

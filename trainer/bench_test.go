//go:build unix

package trainer

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"

	"prep/internal/sample"
	"prep/shards"
)

// benchSamples are enough for a shuffled epoch to leave every cache of the processor.
const benchSamples = 1024

// BenchmarkLoader assembles batches of 64 from a shuffled epoch of 203 KB samples (a picture, a clip of sound in
// float16, a caption) in the page cache: CPU time a sample, with flips and without, beside a bare copy of as
// many bytes. One item of b.N is a sample.
func BenchmarkLoader(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "shards")
	all := synthetic(8, sample.Image, sample.Audio, sample.Text)
	for _, s := range all {
		x := &s.Tensors[sample.Audio]
		x.Shape, x.Data = []int{1, 1, melBins, melFrames}, x.Data[:len(x.Data)/3]
	}
	var many memory
	for i := range benchSamples {
		s := *all[i%len(all)]
		s.Key = s.Key + "-" + string(rune('a'+i/26%26)) + string(rune('a'+i%26)) + string(rune('a'+i/676))
		many = append(many, &s)
	}
	writeShards(b, dir, many)
	data, err := shards.Open(dir, shards.OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer data.Close()
	rows := newShardRows([]*shards.Dataset{data}, []string{"bench"})
	bytes := int64(0)
	for _, m := range []sample.Modality{sample.Image, sample.Audio, sample.Text} {
		bytes += int64(len(many[0].Tensors[m].Data))
	}
	c := preset(b)
	c.Train.Batch, c.Train.HeldOut = 64, 0
	for _, flip := range []bool{true, false} {
		name := map[bool]string{true: "flips", false: "plain"}[flip]
		b.Run(name, func(b *testing.B) {
			c.Train.Flip = flip
			p, err := newPairing(rows, c.Train, c.Model.Vocab)
			if err != nil {
				b.Fatal(err)
			}
			pr := p.pairs[0]
			b.SetBytes(bytes)
			began, n, number := cpuTime(b), 0, 0
			for b.Loop() {
				if n%64 == 0 { // the three modalities of one batch
					at := p.rowsOf(pr, number)
					number++
					keys := p.keys(at)
					for _, m := range []sample.Modality{sample.Image, sample.Audio, sample.Text} {
						x, err := p.tensor(m, at, keys, number)
						if err != nil {
							b.Fatal(err)
						}
						p.pool.give(x)
					}
				}
				n++
			}
			b.ReportMetric((cpuTime(b)-began)*1e6/float64((n+63)/64*64), "cpu-us/sample")
		})
	}
	b.Run("copy", func(b *testing.B) {
		src := make([]byte, benchSamples*bytes)
		for i := range src {
			src[i] = byte(i)
		}
		dst := make([]byte, 64*bytes)
		b.SetBytes(bytes)
		began, n := cpuTime(b), 0
		for b.Loop() {
			at := draw(0, "copy", n, "").Below(benchSamples)
			copy(dst[n%64*int(bytes):][:bytes], src[at*int(bytes):])
			n++
		}
		b.ReportMetric((cpuTime(b)-began)*1e6/float64(n), "cpu-us/sample")
	})
}

// BenchmarkStep is a step of the whole program's loop beside the bare step of the engine on the same batch, to
// see what the program adds: data, records, schedule.
func BenchmarkStep(b *testing.B) {
	c := preset(b)
	c.Train.Epochs, c.Train.HeldOut, c.Train.EvalEpochs, c.Train.CheckpointEpochs = 1<<19, 0, 1<<19, 1<<19
	rows := synthetic(32, sample.Image, sample.Text)
	b.Run("bare", func(b *testing.B) {
		p, err := newPairing(rows, c.Train, c.Model.Vocab)
		if err != nil {
			b.Fatal(err)
		}
		e, err := newEngine(c.Model, c.Train)
		if err != nil {
			b.Fatal(err)
		}
		defer e.close()
		x := &batch{pair: p.pairs[0], rows: p.rowsOf(p.pairs[0], 0)}
		if err := p.assemble(x); err != nil {
			b.Fatal(err)
		}
		step := func() {
			if _, err := e.stepAll(x.parts, 1e-4, []int{1, 1}); err != nil {
				b.Fatal(err)
			}
		}
		step() // compiles
		began, n := cpuTime(b), 0
		for b.Loop() {
			step()
			n++
		}
		b.ReportMetric((cpuTime(b)-began)*1e3/float64(n), "cpu-ms/step")
	})
	b.Run("program", func(b *testing.B) {
		o := options(filepath.Join(b.TempDir(), "run"), false)
		stepped, next := make(chan struct{}), make(chan bool)
		o.Progress = func(Event) { stepped <- struct{}{}; <-next }
		ctx, stop := context.WithCancel(b.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = run(ctx, o, c, rows, testData)
		}()
		<-stepped // compiled
		began, n := cpuTime(b), 0
		for b.Loop() {
			next <- true
			<-stepped
			n++
		}
		b.ReportMetric((cpuTime(b)-began)*1e3/float64(n), "cpu-ms/step")
		stop()
		next <- true
		<-done
	})
}

// cpuTime is the processor time of this process so far, in seconds.
func cpuTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

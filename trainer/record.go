package trainer

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/trainer/tfevents"
)

// openBoard begins an event file of this process for TensorBoard. Steps beyond the given one, which a killed
// process may have written of, are made again and count anew.
func (d *runDir) openBoard(step int64) error {
	folder := filepath.Join(d.path, boardDir)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return explainDisk(folder, err)
	}
	// TensorBoard reads the files in the order of their names; the host's name, usual there, says nothing here.
	path := filepath.Join(folder, fmt.Sprintf("events.out.tfevents.%010d.prep.%d", time.Now().Unix(), os.Getpid()))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return explainDisk(path, err)
	}
	d.events = f
	d.board, err = tfevents.NewWriter(f, step+1, time.Now)
	return explainDisk(path, err)
}

// scalars writes figures of a step for TensorBoard.
func (d *runDir) scalars(step int, values ...any) error {
	for i := 0; i < len(values); i += 2 {
		if err := d.board.Scalar(int64(step), values[i].(string), values[i+1].(float64)); err != nil {
			return explainDisk(d.events.Name(), err)
		}
	}
	return nil
}

// step records a step.
func (d *runDir) step(m stepMetric) error {
	if err := d.metric(m); err != nil {
		return err
	}
	if m.LossScale > 0 {
		if err := d.scalars(m.Step, "loss_scale", m.LossScale, "skipped_steps", float64(m.SkippedSteps)); err != nil {
			return err
		}
	}
	return d.scalars(m.Step, "loss/"+m.Pair, m.Loss, "learning_rate", m.LearningRate, "grad_norm/"+m.Pair, m.GradNorm,
		"logit_scale/"+m.Pair, m.Scale, "samples_per_second", m.SamplesPerSecond, "data_wait", m.Wait)
}

// epoch records an epoch that has ended.
func (d *runDir) epoch(e *engine, ev Event) error {
	squares := map[string]float64{} // of the towers that moved, or were never measured
	for i := range e.weights {
		w := &e.weights[i]
		if _, known := d.norms[w.Tower]; w.Buffer || known && !e.moved[w.Tower] {
			continue
		}
		tensors.MustConstFlatData(e.store.GetVariable(variablePath(w.Name)).MustValue(), func(v []float32) {
			s := 0.0
			for _, x := range v {
				s += float64(x) * float64(x)
			}
			squares[w.Tower] += s
		})
	}
	clear(e.moved)
	for tower, sum := range squares {
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return e.overflow()
		}
		d.norms[tower] = math.Sqrt(sum)
	}
	m := epochMetric{Kind: "epoch", Epoch: ev.Epoch, Step: ev.Step, Losses: ev.Losses, ParameterNorm: maps.Clone(d.norms), LogitScale: map[string]float64{}, MemoryBytes: memoryInUse()}
	if err := d.scalars(ev.Step, "memory_bytes", float64(m.MemoryBytes)); err != nil {
		return err
	}
	for _, t := range towers {
		if err := d.scalars(ev.Step, "parameter_norm/"+t.name, m.ParameterNorm[t.name]); err != nil {
			return err
		}
		if t.name != "vision" {
			m.LogitScale[t.name] = e.logitScale(t)
		}
	}
	return d.metric(m)
}

// memoryInUse is the memory that the program has of the system, mapped files apart.
func memoryInUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// evaluation records an evaluation: figures, pictures, and the projector's files of the newest one.
func (d *runDir) evaluation(ev *Evaluation) error {
	if err := d.metric(evalMetric{"eval", ev}); err != nil {
		return err
	}
	for name, m := range ev.Pairs {
		for side, r := range map[string]Retrieval{"forward": m.Forward, "back": m.Back} {
			if err := d.scalars(ev.Step, "r1/"+name+"/"+side, r.R1, "r5/"+name+"/"+side, r.R5, "r10/"+name+"/"+side, r.R10, "median_rank/"+name+"/"+side, r.MedianRank); err != nil {
				return err
			}
		}
		if err := d.scalars(ev.Step, "diagonal_contrast/"+name, m.Contrast, "alignment/"+name, m.Alignment, "uniformity/"+name+"/hub", m.UniformityHub, "uniformity/"+name+"/other", m.UniformityOther); err != nil {
			return err
		}
	}
	for name, c := range ev.Classes {
		if err := d.scalars(ev.Step, "within_class_cosine/"+name, c.Within, "between_class_cosine/"+name, c.Between, "zero_shot_top1/"+name, c.Top1, "zero_shot_top5/"+name, c.Top5); err != nil {
			return err
		}
	}
	folder := filepath.Join(d.path, picturesDir)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return explainDisk(folder, err)
	}
	for name, picture := range ev.Pictures {
		size, err := png.DecodeConfig(bytes.NewReader(picture))
		if err != nil {
			return err
		}
		if err := d.board.Image(int64(ev.Step), strings.Replace(name, " ", "/", 1), size.Width, size.Height, picture); err != nil {
			return explainDisk(d.events.Name(), err)
		}
		if err := d.replace(filepath.Join(folder, strings.Replace(name, " ", "-", 1)+".png"), picture); err != nil {
			return err
		}
	}
	return d.projector(ev.Points)
}

// projector writes TensorBoard's embedding projector: vectors and metadata as tab-separated tables, and the
// configuration that names them.
func (d *runDir) projector(points []Point) error {
	if len(points) == 0 {
		return nil
	}
	var vectors, metadata bytes.Buffer
	metadata.WriteString("key\tmodality\tlabel\n")
	clean := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace
	for _, p := range points {
		for i, x := range p.Vector {
			if i > 0 {
				vectors.WriteByte('\t')
			}
			fmt.Fprintf(&vectors, "%.6g", x)
		}
		vectors.WriteByte('\n')
		fmt.Fprintf(&metadata, "%s\t%s\t%s\n", clean(p.Key), p.Modality, clean(p.Label))
	}
	for name, b := range map[string][]byte{
		"vectors.tsv": vectors.Bytes(), "metadata.tsv": metadata.Bytes(),
		"projector_config.pbtxt": []byte("embeddings {\n  tensor_name: \"joint space\"\n  tensor_path: \"vectors.tsv\"\n  metadata_path: \"metadata.tsv\"\n}\n"),
	} {
		if err := d.replace(filepath.Join(d.path, boardDir, name), b); err != nil {
			return err
		}
	}
	return nil
}

// replace puts a small file in place at once.
func (d *runDir) replace(path string, b []byte) error {
	aside := filepath.Join(filepath.Dir(path), asidePrefix+filepath.Base(path))
	if err := d.write(aside, func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
		return err
	}
	return explainDisk(path, os.Rename(aside, path))
}

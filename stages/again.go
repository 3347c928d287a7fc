package stages

import (
	"context"
	"path/filepath"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// again finds a sample of a finished folder in the listing of its task and prepares to read it from the
// source, as it was read at ingest.
func again(out string, task int, key string, tools *media.Tools) (*Processor, *sample.Sample, error) {
	plan, err := ReadPlan(out)
	if err != nil {
		return nil, nil, fault.Inputf("%s: %w", filepath.Join(out, planFile), err)
	}
	ingest := plan.Config.Ingest
	ingest.FFmpegSeconds, ingest.FFmpegMB, ingest.MaxFileMB, ingest.Buffer = 60, 4096, 256, 1
	proc, err := NewProcessor(plan, "", ingest, tools)
	if err != nil {
		return nil, nil, err
	}
	if task < 0 || task >= len(plan.Tasks) {
		return nil, nil, fault.Inputf("%s has no task %d", out, task)
	}
	list, err := plan.Tasks[task].Samples(out)
	if err != nil {
		return nil, nil, err
	}
	for i := range list {
		if list[i].Key == key {
			return proc, &list[i], nil
		}
	}
	return nil, nil, fault.Inputf("%s lists no sample %q in task %d", out, key, task)
}

// Wave decodes a sample's sound from its source once more and returns what the log-mel was made of: 16
// kHz, one channel.
func Wave(ctx context.Context, out string, task int, key string, tools *media.Tools) ([]float32, error) {
	proc, s, err := again(out, task, key, tools)
	if err != nil {
		return nil, err
	}
	part := s.Part(sample.Audio)
	if part == nil {
		return nil, fault.Inputf("%q has no sound", key)
	}
	d, err := readSound(ctx, proc, s, part)
	if err != nil {
		return nil, err
	}
	return d.(*sound).wave[0], nil
}

// Preview makes the tensors of a sample whatever its rules said: what a report shows of a rejected one.
// Modalities that cannot be read stay absent.
func Preview(ctx context.Context, out string, task int, key string, tools *media.Tools) (*sample.Sample, error) {
	proc, s, err := again(out, task, key, tools)
	if err != nil {
		return nil, err
	}
	s.Metrics = sample.Metrics{}
	for _, sense := range senses {
		part := s.Part(sense.modality)
		if part == nil {
			continue
		}
		d, err := sense.read(ctx, proc, s, part)
		if err != nil || d == nil {
			continue
		}
		d.measure(proc, s)
		if t, err := d.tensor(proc); err == nil {
			s.Tensors[sense.modality] = t
		}
	}
	return s, nil
}

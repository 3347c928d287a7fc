package trainer

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/lock"
	"prep/internal/sample"
	"prep/trainer/safetensors"
)

var testData = dataID{Manifest: strings.Repeat("ab", 32), Samples: 14}

func sixSenses() memory {
	return synthetic(14, sample.Image, sample.Text, sample.Audio, sample.Depth, sample.Thermal, sample.IMU)
}

func options(dir string, resume bool) Options {
	return Options{RunDir: dir, Resume: resume, Progress: func(Event) {}, Log: func(string) {}}
}

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sameCheckpoint holds the files of two checkpoints to each other, byte for byte.
func sameCheckpoint(t *testing.T, a, b string) {
	t.Helper()
	for _, f := range []string{weightsFile, optimizerFile, adaptersFile, averagesFile} {
		if _, err := os.Stat(filepath.Join(a, f)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if readFile(t, a, f) != readFile(t, b, f) {
			t.Errorf("%s differs between %s and %s", f, a, b)
		}
	}
}

// A run of all six senses, with every kind of noise on, ends with the same bytes whether it goes straight
// through or is stopped at every single step and resumed.
func TestResumeIsExact(t *testing.T) {
	c := small(t)
	for _, tw := range towers {
		tw.config(&c.Model).DropPath = 0.3
	}
	resumesExactly(t, c, sixSenses(), 5)
}

// So does one with everything that the recipe can add: stages, LoRA, a moving average, several batches a
// step, recomputation, noise, auto-tuning, measurements in between.
func TestResumeIsExactWithEverything(t *testing.T) {
	c := small(t)
	c.Train.Epochs, c.Train.Batch, c.Train.Accumulate, c.Train.Recompute = 4, 3, 2, true
	c.Train.EMA, c.Train.Noise.Audio, c.Train.Noise.Image, c.Train.LogitScale, c.Train.EvalEpochs = 0.9, 0.1, 0.1, "auto", 1
	c.Train.LoRA = configs.LoRA{Rank: 2, Alpha: 4, Towers: []string{"audio"}, Blocks: []int{1}, Layers: []string{"in_proj", "fc2"}}
	c.Train.Stages = []configs.Stage{{Epochs: 2, Freeze: []string{"vision", "text"}, Rate: 1}, {Rate: 0.5}}
	c.Train.AutoTune, c.Train.Schedule.WarmupEpochs = true, 1
	run := resumesExactly(t, c, synthetic(14, sample.Image, sample.Text, sample.Audio), 2)
	for _, f := range []string{adaptersFile, averagesFile} {
		if _, err := os.Stat(filepath.Join(run.Checkpoint, f)); err != nil {
			t.Error(err)
		}
	}
	if said := readFile(t, run.RunDir, metricsFile); !strings.Contains(said, `"kind":"advice"`) || !strings.Contains(said, `"applied":true`) {
		t.Error("no advice was applied, so this test does not show that changes are resumed")
	}
}

func resumesExactly(t *testing.T, c configs.Config, rows memory, pairs int) *Summary {
	t.Helper()
	straight := filepath.Join(t.TempDir(), "run")
	want, err := run(t.Context(), options(straight, false), c, rows, testData)
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Pairs) != pairs || want.Epochs != c.Train.Epochs {
		t.Fatalf("got %+v", want)
	}
	for name, p := range want.Pairs {
		if !(p.Loss > 0) || !(p.TrainR1 >= 0 && p.TrainR1 <= 1) || p.TrainItems < 2 {
			t.Errorf("%s: %+v", name, p)
		}
	}

	stopped := filepath.Join(t.TempDir(), "run")
	var got *Summary
	stops := 0
	for resume := false; ; resume = true {
		ctx, cancel := context.WithCancel(t.Context())
		o := options(stopped, resume)
		steps := 0
		o.Progress = func(e Event) {
			if steps++; steps == 3+stops%3 { // at different places of the epochs
				cancel()
			}
		}
		got, err = run(ctx, o, c, rows, testData)
		cancel()
		if !errors.Is(err, context.Canceled) {
			break
		}
		if got == nil || got.Checkpoint == "" {
			t.Fatalf("cancelled without a checkpoint: %+v", got)
		}
		stops++
	}
	if err != nil {
		t.Fatal(err)
	}
	if stops < 3 {
		t.Errorf("stopped only %d times", stops)
	}
	sameCheckpoint(t, want.Checkpoint, got.Checkpoint)
	for name, p := range want.Pairs {
		if got.Pairs[name] != p {
			t.Errorf("%s: %+v, straight through %+v", name, got.Pairs[name], p)
		}
	}
	// The metrics have each step once, in order.
	if a, b := strings.Count(readFile(t, straight, metricsFile), "\n"), strings.Count(readFile(t, stopped, metricsFile), "\n"); a != b {
		t.Errorf("%d lines of metrics, straight through %d", b, a)
	}
	return want
}

// TestKilledChild is the child of TestKilled: a training that is killed from outside.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv("PREP_TEST_RUN")
	if dir == "" {
		return // only ever started by TestKilled
	}
	c := small(t)
	c.Train.CheckpointEpochs = 1
	o := options(dir, os.Getenv("PREP_TEST_RESUME") != "")
	o.Progress = func(e Event) { os.Stderr.WriteString("step\n") }
	if _, err := run(t.Context(), o, c, synthetic(12, sample.Image, sample.Text), testData); err != nil {
		t.Fatal(err)
	}
}

// SIGKILL at any moment leaves a run that resumes to the same bytes.
func TestKilled(t *testing.T) {
	c := small(t)
	c.Train.CheckpointEpochs = 1
	want, err := run(t.Context(), options(filepath.Join(t.TempDir(), "run"), false), c, synthetic(12, sample.Image, sample.Text), testData)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	begun := false
	for kill := 0; ; kill++ {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$")
		cmd.Env = append(os.Environ(), "PREP_TEST_RUN="+dir)
		if begun {
			cmd.Env = append(cmd.Env, "PREP_TEST_RESUME=1")
		}
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 5)
		steps := 0
		for {
			if _, err := io.ReadFull(out, buf); err != nil {
				break
			}
			if steps++; steps == kill+2 && kill < 3 {
				cmd.Process.Signal(syscall.SIGKILL)
			}
		}
		err = cmd.Wait()
		if _, statErr := os.Stat(filepath.Join(dir, configFile)); statErr == nil {
			begun = true
		}
		if err == nil {
			break
		}
		if kill > 10 {
			t.Fatal(err)
		}
	}
	sameCheckpoint(t, want.Checkpoint, filepath.Join(dir, checkpointsDir, filepath.Base(want.Checkpoint)))
}

// What a person can get wrong with a run directory gets one sentence, and nothing is lost.
func TestRunDirectoryRefusals(t *testing.T) {
	c := small(t)
	c.Train.Epochs = 1
	rows := synthetic(6, sample.Image, sample.Text)
	dir := filepath.Join(t.TempDir(), "run")
	refused := func(want string, kind fault.Kind, o Options, c configs.Config, id dataID) {
		t.Helper()
		_, err := run(t.Context(), o, c, rows, id)
		if err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != kind {
			t.Errorf("got %v (%v), want %q", err, fault.KindOf(err), want)
		}
	}
	refused("holds no run to resume", fault.Input, options(dir, true), c, testData)
	if _, err := run(t.Context(), options(dir, false), c, rows, testData); err != nil {
		t.Fatal(err)
	}
	refused("holds a run already", fault.Usage, options(dir, false), c, testData)
	other := c
	other.Train.LearningRate, other.Model.Vision.Blocks = 0.5, 3
	refused("model.vision.blocks: 2 there, 3 now; train.learning_rate", fault.Usage, options(dir, true), other, testData)
	refused("other shards", fault.Usage, options(dir, true), c, dataID{Manifest: strings.Repeat("cd", 32)})
	refused("another selection (none there, efef", fault.Usage, options(dir, true), c, dataID{Manifest: testData.Manifest, Selection: strings.Repeat("ef", 32)})
	unlock, err := lock.Try(filepath.Join(dir, lockFile), false)
	if err != nil {
		t.Fatal(err)
	}
	refused("another prep is training in "+dir, fault.Environment, options(dir, true), c, testData)
	unlock()
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("dear"), 0o666); err != nil {
		t.Fatal(err)
	}
	refused("is not empty (letter.txt)", fault.Usage, options(foreign, false), c, testData)
	refused("there is no config.yaml", fault.Input, options(foreign, true), c, testData)

	// More epochs are not another run.
	c.Train.Epochs = 2
	second, err := run(t.Context(), options(dir, true), c, rows, testData)
	if err != nil || second.Epochs != 2 {
		t.Fatalf("%+v %v", second, err)
	}
	straight, err := run(t.Context(), options(filepath.Join(t.TempDir(), "run"), false), c, rows, testData)
	if err != nil {
		t.Fatal(err)
	}
	sameCheckpoint(t, second.Checkpoint, straight.Checkpoint)
	if y, err := RunConfig(dir); err != nil || !strings.Contains(string(y), "learning_rate: ") {
		t.Errorf("%v: %s", err, y)
	} else if back, err := configs.Load(configs.Layers{FileName: "run", File: y}); err != nil || configs.Diff(back, small(t), "model", "train") == nil {
		t.Errorf("config.yaml does not load as what it was written from: %v", err)
	} else if back.Train.Epochs != 1 || back.Model != small(t).Model {
		t.Errorf("config.yaml holds %+v", back)
	}
}

// Any damaged byte of the newest checkpoint is found; training falls back to the one before and says so.
func TestDamagedCheckpointFallsBack(t *testing.T) {
	c := small(t)
	c.Train.Epochs, c.Train.CheckpointEpochs, c.Train.Keep = 3, 1, 5
	rows := synthetic(6, sample.Image, sample.Text)
	dir := filepath.Join(t.TempDir(), "run")
	want, err := run(t.Context(), options(dir, false), c, rows, testData)
	if err != nil {
		t.Fatal(err)
	}
	weights := readFile(t, want.Checkpoint, weightsFile)
	for _, damage := range []struct {
		file string
		do   func(b []byte) []byte
	}{
		{weightsFile, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{optimizerFile, func(b []byte) []byte { return b[:len(b)-4] }},
		{stateFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"epoch": 3`, `"epoch": 4`, 1))
		}},
		{stateFile, func(b []byte) []byte { return nil }},
	} {
		path := filepath.Join(want.Checkpoint, damage.file)
		if err := os.WriteFile(path, damage.do([]byte(readFile(t, path))), 0o666); err != nil {
			t.Fatal(err)
		}
		o := options(dir, true)
		var log []string
		o.Log = func(s string) { log = append(log, s) }
		got, err := run(t.Context(), o, c, rows, testData)
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(log, "\n"); !strings.Contains(said, "is damaged ("+damage.file) || !strings.Contains(said, "epoch 3, step 2") {
			t.Errorf("%s: said %s", damage.file, said)
		}
		if got.Checkpoint != want.Checkpoint || readFile(t, got.Checkpoint, weightsFile) != weights {
			t.Errorf("%s: the checkpoint made again differs", damage.file)
		}
	}
	// Each is left to be looked at, the later ones beside the first.
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(want.Checkpoint), damagedPrefix+filepath.Base(want.Checkpoint)+"*")); len(left) != 4 {
		t.Errorf("set aside: %v", left)
	}
}

// full is a disk with room for so many bytes.
type full struct {
	syncWriter
	room *int
}

func (f full) Write(b []byte) (int, error) {
	if *f.room -= len(b); *f.room < 0 {
		return 0, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	}
	return f.syncWriter.Write(b)
}

// A run that does not come to its first step leaves nothing behind, so that the next try finds room: neither in a
// folder that it made nor in one that was there.
func TestFailedStartLeavesNothing(t *testing.T) {
	base := t.TempDir()
	there := filepath.Join(base, "there")
	if err := os.Mkdir(there, 0o777); err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(base, "wrong.pth")
	if err := os.WriteFile(weights, []byte("no weights"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{there, filepath.Join(base, "runs", "one")} {
		c := small(t)
		c.Train.Init = weights
		o := options(dir, false)
		if _, err := run(t.Context(), o, c, synthetic(8, sample.Image, sample.Text), testData); fault.KindOf(err) != fault.Input {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(base)
		inside, _ := os.ReadDir(there)
		if err != nil || len(entries) != 2 || len(inside) != 0 {
			t.Fatalf("%v beside the weights and the folder, %v in it", entries, inside)
		}
	}
}

// A disk that fills up within a checkpoint costs that checkpoint, with one clear sentence, and no other.
func TestFullDisk(t *testing.T) {
	c := small(t)
	e, err := newEngine(c.Model, c.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	dir, err := openRun(filepath.Join(t.TempDir(), "run"), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.begin(c); err != nil {
		t.Fatal(err)
	}
	defer dir.close()
	if err := dir.openMetrics(0); err != nil {
		t.Fatal(err)
	}
	st := newState(c, testData)
	first, err := dir.save(e, st, 3)
	if err != nil {
		t.Fatal(err)
	}
	room := 100_000
	dir.create = func(path string) (syncWriter, error) {
		f, err := os.Create(path)
		return full{f, &room}, err
	}
	st.Step++
	_, err = dir.save(e, st, 3)
	if fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "earlier ones are whole") {
		t.Errorf("got %v", err)
	}
	if _, path, err := dir.latest(func(s string) { t.Error(s) }); err != nil || path != first {
		t.Errorf("latest is %s, %v", path, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir.path, checkpointsDir, ".tmp-*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// What cannot be trained on is refused in one sentence that names it.
func TestBadInput(t *testing.T) {
	broken := func(m sample.Modality, change func(*sample.Tensor)) memory {
		s := synthetic(6, sample.Image, sample.Text, sample.Audio)
		change(&s[3].Tensors[m])
		return s
	}
	nan := func(x *sample.Tensor) {
		for i := 0; i < len(x.Data); i += 2 {
			x.Data[i], x.Data[i+1] = 0, 0x7e // float16 NaN, in every clip
		}
	}
	for name, bad := range map[string]struct {
		rows memory
		want string
	}{
		"nothing":       {nil, "no sample to train on"},
		"no hub":        {synthetic(4, sample.Text, sample.Audio), "has an image or a video"},
		"hub alone":     {synthetic(4, sample.Image), "fewer than two have another modality (text, audio, depth, thermal, imu)"},
		"one pair":      {append(synthetic(1, sample.Image, sample.Text), synthetic(9, sample.Image)[1:]...), "fewer than two"},
		"NaN":           {broken(sample.Audio, nan), "item-003: its audio holds a value that is not finite"},
		"token id":      {broken(sample.Text, func(x *sample.Tensor) { x.Data[6] = 9 }), "item-003: token id"},
		"negative id":   {broken(sample.Text, func(x *sample.Tensor) { x.Data[7] = 255 }), "item-003: token id"},
		"short data":    {broken(sample.Image, func(x *sample.Tensor) { x.Data = x.Data[1:] }), "item-003: image holds uint8"},
		"another shape": {broken(sample.Audio, func(x *sample.Tensor) { x.Shape = []int{3, 1, 204, 128} }), "item-003: audio has shape"},
		"another dtype": {broken(sample.Image, func(x *sample.Tensor) { x.DType = sample.Float16 }), "item-003: image holds float16"},
	} {
		t.Run(name, func(t *testing.T) {
			c := small(t)
			c.Train.Epochs = 1
			_, err := run(t.Context(), options(filepath.Join(t.TempDir(), "run"), false), c, bad.rows, testData)
			if fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("got %v, want %q", err, bad.want)
			}
		})
	}
}

// A training that runs away ends with the keys of its batch, and the checkpoint before it stays the newest.
func TestDivergenceNamesTheBatch(t *testing.T) {
	c := small(t)
	path := filepath.Join(t.TempDir(), "run")
	dir, err := openRun(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.begin(c); err != nil {
		t.Fatal(err)
	}
	e, err := newEngine(c.Model, c.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	tensors.MustMutableFlatData(e.store.GetVariable(variablePath("modality_heads.vision.0.bias")).MustValue(), func(v []float32) {
		v[3] = float32(math.Inf(1))
	})
	saved := ""
	if err = dir.openMetrics(0); err == nil {
		saved, err = dir.save(e, newState(c, testData), 3)
	}
	if err := errors.Join(err, dir.close()); err != nil {
		t.Fatal(err)
	}
	_, err = run(t.Context(), options(path, true), c, synthetic(6, sample.Image, sample.Text), testData)
	if err == nil {
		t.Fatal("an infinite weight went unnoticed")
	}
	for _, want := range []string{"epoch 1, batch 1 of image-text", "training diverged", "--init " + saved, "item-000", "item-005"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(saved), "epoch-*")); len(left) != 1 {
		t.Errorf("%v", left)
	}
	if keys := readFile(t, path, divergedFile); !strings.Contains(keys, "item-000") || !strings.Contains(keys, `"pair": "image-text"`) {
		t.Errorf("%s holds %s", divergedFile, keys)
	}
}

// A measurement names the sample that holds no numbers, which no batch of the training has to have shown.
func TestBrokenHeldOutSample(t *testing.T) {
	c := small(t)
	c.Train.Epochs, c.Train.HeldOut = 1, 0.3
	rows := synthetic(20, sample.Image, sample.Audio)
	p, err := newPairing(rows, c.Train, c.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	row := p.pairs[0].held[1]
	x := &rows[row].Tensors[sample.Audio]
	x.Data = slices.Clone(x.Data)
	x.Data[0], x.Data[1] = 0, 0x7c // float16 infinity
	_, err = run(t.Context(), options(filepath.Join(t.TempDir(), "run"), false), c, rows, testData)
	if want := rows.Key(row) + ": its audio holds a value that is not finite"; fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// Weights that no loss tells of are found, too: those that no item reaches, before they are written, and those of the
// last step, when they are measured.
func TestDivergenceBesideTheLoss(t *testing.T) {
	rows := synthetic(8, sample.Image, sample.Text)
	begin := func(name string, at int, value float32) configs.Config {
		c := small(t)
		c.Train.Epochs = 1
		e, err := newEngine(c.Model, c.Train)
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		tensors.MustMutableFlatData(e.store.GetVariable(variablePath(name)).MustValue(), func(v []float32) { v[at] = value })
		c.Train.Init = filepath.Join(t.TempDir(), "weights.safetensors")
		if _, err := writeAside(c.Train.Init, func(w io.Writer) error { return safetensors.Write(w, e.weightTensors(), nil) }); err != nil {
			t.Fatal(err)
		}
		return c
	}
	const tokens, head = "modality_preprocessors.text.token_embedding.weight", "modality_heads.text.proj.1.weight"
	unused := begin(tokens, 10*8+3, 3e38) // no caption has token 10; decay alone moves it
	unused.Train.LearningRate, unused.Train.WeightDecay, unused.Train.Only = 10, 10, []string{tokens}
	unused.Train.Schedule.WarmupEpochs = 0
	dir := filepath.Join(t.TempDir(), "run")
	_, err := run(t.Context(), options(dir, false), unused, rows, testData)
	for _, want := range []string{tokens + " is not finite at element 83", "training diverged", "train.learning_rate", "no checkpoint"} {
		if err == nil || fault.KindOf(err) != fault.Internal || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, checkpointsDir, "*")); len(left) > 0 {
		t.Errorf("weights that are no numbers were written: %v", left)
	}

	huge := begin(head, 0, 3e38)
	p, err := newPairing(rows, huge.Train, huge.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	e, err := startEngine(t.Context(), huge, "", "", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	p.pool.backend = e.backend
	defer p.pool.close()
	if _, err := newMeasurer(p, e, nil).evaluate(t.Context(), true); !errors.Is(err, errOverflow) || fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "its text holds numbers and embeds to none") {
		t.Errorf("got %v", err)
	}
}

// The whole way from shards on disk: schema and selection are read, and the summary counts.
func TestRunFromShards(t *testing.T) {
	dir := t.TempDir()
	all := synthetic(12, sample.Image, sample.Text)
	for _, s := range synthetic(4, sample.Video, sample.Audio) { // some with a video as the hub
		s.Key = "video-" + s.Key
		all = append(all, s)
	}
	writeShards(t, filepath.Join(dir, "shards"), all)
	c := small(t)
	c.Train.Epochs = 1
	var events []Event
	sum, err := Run(t.Context(), Options{Shards: []string{filepath.Join(dir, "shards")}, RunDir: filepath.Join(dir, "runs", "1"), Epochs: 2, Config: c,
		Progress: func(e Event) { events = append(events, e) }})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Samples != 16 || sum.Epochs != 2 || sum.Pairs["image-text"].Items < 2 || sum.Pairs["video-audio"].Items != 0 || sum.Pairs["video-audio"].TrainItems != 4 {
		t.Errorf("%+v", sum)
	}
	last := events[len(events)-1]
	if len(events) != sum.Steps || last.Step != last.Steps || last.Checkpoint != sum.Checkpoint || len(last.Losses) != 2 || math.IsNaN(sum.Loss) {
		t.Errorf("%+v", last)
	}
	if _, err := Run(t.Context(), Options{Shards: []string{dir}, RunDir: filepath.Join(dir, "runs", "2"), Config: c}); fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "no finished shards folder") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "runs", "2")); err == nil {
		t.Error("a refused run left a folder")
	}
	c.Train.Batch = 0
	if _, err := Run(t.Context(), Options{Shards: []string{filepath.Join(dir, "shards")}, RunDir: filepath.Join(dir, "runs", "2"), Config: c}); fault.KindOf(err) != fault.Usage {
		t.Errorf("got %v", err)
	}
}

// An estimate counts what a recipe spares: the gradient through what rests, and the steps that a stage passes over.
func TestDryRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shards")
	writeShards(t, dir, synthetic(12, sample.Image, sample.Text, sample.Audio))
	estimate := func(change func(c *configs.Train)) (*Estimate, configs.Config) {
		t.Helper()
		c := small(t)
		change(&c.Train)
		est, err := DryRun(Options{Shards: []string{dir}, Config: c})
		if err != nil {
			t.Fatal(err)
		}
		return est, c
	}
	passes := func(est *Estimate, tower string) float64 {
		return est.Towers[tower].SecondsPerBatch * est.GFLOPS / est.Towers[tower].ForwardGFLOP
	}
	full, _ := estimate(func(*configs.Train) {})
	probe, _ := estimate(func(c *configs.Train) { c.Freeze = []string{"modality_preprocessors.*", "modality_trunks.*"} })
	lora, _ := estimate(func(c *configs.Train) {
		c.LoRA = configs.LoRA{Rank: 1, Alpha: 1, Towers: []string{"audio"}, Blocks: []int{1}, Layers: []string{"out_proj"}}
	})
	recomputed, _ := estimate(func(c *configs.Train) { c.Recompute = true })
	for _, tc := range []struct {
		what     string
		got      float64
		from, to float64
	}{
		{"everything", passes(full, "audio"), 3, 3},
		{"a probe", passes(probe, "audio"), 1, 1},
		{"LoRA of the last of two blocks", passes(lora, "audio"), 1.5, 1.6},
		{"a tower beside LoRA's", passes(lora, "vision"), 3, 3},
		{"recomputation", passes(recomputed, "audio"), 4, 4},
	} {
		if tc.got < tc.from-1e-9 || tc.got > tc.to+1e-9 {
			t.Errorf("%s takes %g passes forward, want %g to %g", tc.what, tc.got, tc.from, tc.to)
		}
	}
	a, b, c := probe.Towers["audio"], lora.Towers["audio"], full.Towers["audio"]
	if !(a.ActivationBytes < b.ActivationBytes && b.ActivationBytes < c.ActivationBytes) || !(a.OptimizerBytes < c.OptimizerBytes) || !(probe.MemoryBytes < full.MemoryBytes) {
		t.Errorf("a probe keeps %d bytes, LoRA %d, everything %d", a.ActivationBytes, b.ActivationBytes, c.ActivationBytes)
	}
	// What a step holds: all weights, two moments of what the pairs' towers train, and one pair's gradients and activations.
	held, largest := int64(0), int64(0)
	for name, tw := range full.Towers {
		held += tw.WeightBytes
		if name == "vision" || name == "text" || name == "audio" {
			held += 8 * int64(tw.Trained)
		}
		if name == "text" || name == "audio" {
			largest = max(largest, tw.ActivationBytes+4*int64(tw.Trained))
		}
	}
	held += largest + full.Towers["vision"].ActivationBytes + 4*int64(full.Towers["vision"].Trained)
	if full.MemoryBytes != held {
		t.Errorf("a step holds %d bytes, want %d", full.MemoryBytes, held)
	}
	for engine, r := range full.ResidentBytes {
		if r[0] < held/2 || r[1] < 2*held || len(full.ResidentBytes) != 2 {
			t.Errorf("on %s the process takes %d", engine, r)
		}
	}
	staged, config := estimate(func(c *configs.Train) {
		c.Stages = []configs.Stage{{Epochs: 2, Freeze: []string{"vision", "text"}, Rate: 1}, {Rate: 1}}
	})
	sum, err := Run(t.Context(), Options{Shards: []string{dir}, RunDir: filepath.Join(t.TempDir(), "run"), Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if staged.Steps != sum.Steps || staged.Steps >= full.Steps {
		t.Errorf("%d steps were estimated, %d made; without stages %d", staged.Steps, sum.Steps, full.Steps)
	}
}

// What is tuned alone is all that changes: the logit scale of a pair that no stage trains is the loaded one, too.
func TestOnlyOneModality(t *testing.T) {
	rows := synthetic(8, sample.Image, sample.Text, sample.Audio)
	c := small(t)
	c.Train.Epochs = 1
	first, err := run(t.Context(), options(filepath.Join(t.TempDir(), "run"), false), c, rows, testData)
	if err != nil {
		t.Fatal(err)
	}
	c.Train.Init, c.Train.Only, c.Train.LogitScale = first.Checkpoint, []string{"audio"}, "auto"
	second, err := run(t.Context(), options(filepath.Join(t.TempDir(), "run"), false), c, rows, testData)
	if err != nil {
		t.Fatal(err)
	}
	values := func(dir string) map[string][]float32 {
		c := small(t)
		c.Train.Init = dir
		e, err := startEngine(t.Context(), c, "", "", func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		out := map[string][]float32{}
		for i := range e.weights {
			if w := &e.weights[i]; !w.Buffer {
				out[w.Name] = tensors.MustCopyFlatData[float32](e.store.GetVariable(variablePath(w.Name)).MustValue())
			}
		}
		return out
	}
	changed := 0
	before, after := values(first.Checkpoint), values(second.Checkpoint)
	for name, v := range before {
		if slices.Equal(v, after[name]) {
			continue
		}
		if changed++; !strings.Contains(name, ".audio.") {
			t.Errorf("%s changed from %v to %v", name, v[:1], after[name][:1])
		}
	}
	if changed < 10 {
		t.Errorf("%d weights changed", changed)
	}
}

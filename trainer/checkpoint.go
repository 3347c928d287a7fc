package trainer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/lock"
	"prep/shards"
	"prep/trainer/element"
	"prep/trainer/safetensors"
	"prep/trainer/tfevents"
)

// The files of a checkpoint.
const (
	weightsFile   = "weights.safetensors"
	optimizerFile = "optimizer.safetensors"
	adaptersFile  = "lora.safetensors" // only with LoRA
	averagesFile  = "ema.safetensors"  // only with a moving average
	stateFile     = "state.json"
)

// checkpointVersion is the version of state.json.
const checkpointVersion = 2

// maxState bounds state.json, in bytes.
const maxState = 16 << 20

// dataID says which data a run is trained on.
type dataID struct {
	Manifest  string `json:"manifest"`  // the manifest's digest
	Selection string `json:"selection"` // the selection's digest, "" for none
	Samples   int    `json:"samples"`
}

// state is all that a run needs to go on, beside weights and moments. There is no generator's state: what
// is random is drawn anew from the seed, the epoch and the sample's key.
type state struct {
	FormatVersion int `json:"format_version"`
	// The cursor: epochs finished, batches of the current epoch done, steps in all.
	Epoch    int    `json:"epoch"`
	Position int    `json:"position"`
	Step     int    `json:"step"`
	Seed     uint64 `json:"seed"`
	// TowerSteps counts the updates of each tower, AdamW's t.
	TowerSteps map[string]int `json:"tower_steps"`
	// Sums are the losses of the current epoch by pair; First and Last their means over the first and the
	// last finished epoch.
	Sums  map[string]lossSum `json:"sums"`
	First map[string]float64 `json:"first_losses"`
	Last  map[string]float64 `json:"last_losses"`
	// MetricsBytes is the length of metrics.jsonl at this point; what a resumed run finds beyond it is of
	// steps that it makes again.
	MetricsBytes int64 `json:"metrics_bytes"`
	// History are the means of the latest epochs' losses by pair, which advice looks back on.
	History map[string][]float64 `json:"history"`
	// Tuned are the changes that auto-tuning has made to the configuration.
	Tuned []Change `json:"tuned"`
	// LossScale is the factor of the loss, in float16 only.
	LossScale *lossScale `json:"loss_scale,omitempty"`
	// Advised holds the epoch in which each piece of advice was last given.
	Advised map[string]int `json:"advised"`
	// Best is the best checkpoint so far, "" while none was measured.
	Best      string         `json:"best"`
	BestScore float64        `json:"best_score"`
	Data      []dataID       `json:"data"`
	Config    configSections `json:"config"`
	Files     []fileSum      `json:"files"`
	// Digest is the SHA-256 of the file's bytes with these 64 digits as zeros.
	Digest string `json:"digest"`
}

// configSections are the parts of the configuration that decide a run.
type configSections struct {
	Train configs.Train `json:"train"`
	Model configs.Model `json:"model"`
}

type lossSum struct {
	Sum   float64 `json:"sum"`
	Steps int     `json:"steps"`
}

type fileSum struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func newState(c configs.Config, ids ...dataID) *state {
	return &state{FormatVersion: checkpointVersion, Seed: c.Train.Seed, TowerSteps: map[string]int{}, Sums: map[string]lossSum{},
		First: map[string]float64{}, Last: map[string]float64{}, History: map[string][]float64{}, Tuned: []Change{}, Advised: map[string]int{},
		Data: ids, Config: configSections{c.Train, c.Model}}
}

// advance counts a step and returns the number of updates of each feed's tower, this one included; a tower
// that rests has none.
func (s *state) advance(e *engine, feeds []feed) []int {
	s.Step++
	out := make([]int, len(feeds))
	for i, f := range feeds {
		t := towerOf(f.modality)
		if !e.rests(t) {
			s.TowerSteps[t.name]++
		}
		out[i] = s.TowerSteps[t.name]
	}
	return out
}

// withdraw takes the tower's updates of a skipped step back, which is counted as a step all the same.
func (s *state) withdraw(e *engine, feeds []feed) {
	for _, f := range feeds {
		if t := towerOf(f.modality); !e.rests(t) {
			s.TowerSteps[t.name]--
		}
	}
}

func (s *state) count(pair string, loss float64) {
	t := s.Sums[pair]
	s.Sums[pair] = lossSum{t.Sum + loss, t.Steps + 1}
}

// means are the losses of the epoch so far.
func (s *state) means() map[string]float64 {
	m := map[string]float64{}
	for k, v := range s.Sums {
		m[k] = v.Sum / float64(v.Steps)
	}
	return m
}

func (s *state) endEpoch() {
	for k, v := range s.means() {
		if _, ok := s.First[k]; !ok {
			s.First[k] = v
		}
		s.Last[k] = v
		h := append(s.History[k], v)
		s.History[k] = h[max(0, len(h)-historyEpochs):]
	}
	s.Epoch, s.Position, s.Sums = s.Epoch+1, 0, map[string]lossSum{}
}

// freeKeys may differ between a run and its resumption: they decide when it stops and what it keeps, not
// what it computes.
var freeKeys = []string{"train.epochs", "train.checkpoint_epochs", "train.keep", "train.recompute", "train.prompts", "train.device", "train.devices"}

// sameRun reports how the settings and data of s differ from those that a checkpoint was made with.
func (s *state) sameRun(old *state) error {
	whole := func(c configSections) configs.Config { return configs.Config{Train: c.Train, Model: c.Model} }
	diff := slices.DeleteFunc(configs.Diff(whole(old.Config), whole(s.Config), "train", "model"), func(d string) bool {
		key, _, _ := strings.Cut(d, ":")
		return slices.Contains(freeKeys, key)
	})
	if len(diff) > 0 {
		return fault.Usagef("the run was begun with other settings: %s; resume with the same, or begin another run", strings.Join(diff, "; "))
	}
	if len(old.Data) != len(s.Data) {
		return fault.Usagef("the run was begun on %d data sets, now there are %d; resume on the same, in the same order, or begin another run", len(old.Data), len(s.Data))
	}
	for i, was := range old.Data {
		now := s.Data[i]
		if was.Manifest != now.Manifest {
			return fault.Usagef("the run was begun on other shards (manifest digest %.12s there, %.12s now); resume on the same, or begin another run", was.Manifest, now.Manifest)
		}
		if was.Selection != now.Selection {
			return fault.Usagef("the run was begun with another selection (%s there, %s now); prep validate with the same thresholds makes it again, or begin another run", orNone(was.Selection), orNone(now.Selection))
		}
	}
	return nil
}

func orNone(digest string) string {
	if digest == "" {
		return "none"
	}
	return digest[:min(12, len(digest))]
}

// A runDir is a run's folder, locked for as long as it is open.
type runDir struct {
	path    string
	begun   bool   // it holds a run
	made    string // the topmost folder that was made for it
	unlock  func() error
	metrics *os.File
	events  *os.File         // TensorBoard's
	board   *tfevents.Writer // into events
	// norms are the towers' parameter norms as they were last measured: reading a large one from a GPU takes a second.
	norms map[string]float64
	// create opens a file of a checkpoint for writing; tests put a full disk here.
	create func(path string) (syncWriter, error)
}

type syncWriter interface {
	io.WriteCloser
	Sync() error
}

const (
	configFile     = "config.yaml"
	metricsFile    = "metrics.jsonl"
	lockFile       = ".lock"
	checkpointsDir = "checkpoints"
	asidePrefix    = ".tmp-"    // a checkpoint that is being written
	trashPrefix    = ".old-"    // one that is being deleted
	damagedPrefix  = "damaged-" // one that failed its hashes, left for a person to look at
	bestLink       = "best"     // links in the folder of checkpoints
	lastLink       = "last"
	boardDir       = "tensorboard"
	picturesDir    = "pictures"
	divergedFile   = "diverged.json"
)

// openRun makes or opens a run's folder and locks it. A new run wants a folder that is not there, empty, or only
// locked once, and becomes one by begin; a resumed one wants a run.
func openRun(path string, resume bool) (*runDir, error) {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, explainDisk(path, err)
	}
	isRun, foreign := false, ""
	for _, e := range entries {
		switch e.Name() {
		case configFile:
			isRun = true
		case lockFile, checkpointsDir, metricsFile:
		default:
			if foreign == "" && !strings.HasPrefix(e.Name(), asidePrefix) {
				foreign = e.Name()
			}
		}
	}
	switch {
	case resume && len(entries) == 0:
		return nil, fault.Inputf("%s holds no run to resume", path)
	case resume && !isRun:
		return nil, fault.Inputf("%s holds no run to resume: there is no %s in it", path, configFile)
	case !resume && isRun:
		return nil, fault.Usagef("%s holds a run already; --resume goes on with it, --run names another folder", path)
	case !resume && foreign != "":
		return nil, fault.Usagef("%s is not empty (%s); a run needs a folder of its own, name another with --run", path, foreign)
	}
	made := firstMissing(path)
	if err := os.MkdirAll(filepath.Join(path, checkpointsDir), 0o777); err != nil {
		return nil, explainDisk(path, err)
	}
	unlock, err := lock.Try(filepath.Join(path, lockFile), false)
	if errors.Is(err, lock.ErrHeld) {
		return nil, fault.Environmentf("another prep is training in %s; wait for it or stop it", path)
	}
	if err != nil {
		return nil, explainDisk(path, err)
	}
	d := &runDir{path: path, begun: resume, made: made, unlock: unlock, norms: map[string]float64{}, create: func(path string) (syncWriter, error) { return os.Create(path) }}
	if err := d.clear(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// firstMissing is the topmost folder on a path that is not there, "" when all are.
func firstMissing(path string) string {
	missing := ""
	for path = filepath.Clean(path); ; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return missing
		}
		missing = path
	}
}

// withdraw takes away the folders of a run that never began, as far as they were made for it.
func (d *runDir) withdraw() {
	_ = os.Remove(filepath.Join(d.path, lockFile))
	_ = os.Remove(filepath.Join(d.path, checkpointsDir))
	for path := filepath.Clean(d.path); d.made != ""; path = filepath.Dir(path) {
		if os.Remove(path) != nil || path == d.made {
			return
		}
	}
}

// clear removes what a killed run left half written.
func (d *runDir) clear() error {
	for _, dir := range []string{d.path, filepath.Join(d.path, checkpointsDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return explainDisk(dir, err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), asidePrefix) || strings.HasPrefix(e.Name(), trashPrefix) {
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					return explainDisk(dir, err)
				}
			}
		}
	}
	return nil
}

// begin makes a new run of the folder: it writes its configuration. What could go wrong before the first step has
// to be behind it, so that a wrong option leaves nothing that the next try would be refused for.
func (d *runDir) begin(c configs.Config) error {
	var b bytes.Buffer
	b.WriteString("# The effective configuration of this run.\n")
	if err := encodeYAML(&b, c); err != nil {
		return err
	}
	aside := filepath.Join(d.path, asidePrefix+configFile)
	if err := d.write(aside, func(w io.Writer) error { _, err := w.Write(b.Bytes()); return err }); err != nil {
		return err
	}
	if err := os.Rename(aside, filepath.Join(d.path, configFile)); err != nil {
		return explainDisk(d.path, err)
	}
	d.begun = true
	return syncFolder(d.path)
}

// write fills a file and flushes it to the disk.
func (d *runDir) write(path string, fill func(io.Writer) error) error {
	f, err := d.create(path)
	if err != nil {
		return explainDisk(path, err)
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return explainDisk(path, err)
}

// openMetrics opens metrics.jsonl at the length that the cursor belongs to.
func (d *runDir) openMetrics(length int64) error {
	path := filepath.Join(d.path, metricsFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return explainDisk(path, err)
	}
	d.metrics = f
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return explainDisk(path, err)
	}
	if end > length { // lines of steps that will be made again
		if err := f.Truncate(length); err != nil {
			return explainDisk(path, err)
		}
		_, err = f.Seek(length, io.SeekStart)
	}
	return explainDisk(path, err)
}

// stepMetric and epochMetric are the lines of metrics.jsonl.
type stepMetric struct {
	Kind         string  `json:"kind"`
	Epoch        int     `json:"epoch"`
	Step         int     `json:"step"`
	Pair         string  `json:"pair"`
	Loss         float64 `json:"loss"`
	LearningRate float64 `json:"learning_rate"`
	GradNorm     float64 `json:"grad_norm"`   // 0 where the step was skipped
	Scale        float64 `json:"logit_scale"` // of the modality beside the hub
	// In float16 the factor of the loss in this step, and the number of steps skipped so far.
	LossScale        float64 `json:"loss_scale,omitempty"`
	SkippedSteps     int     `json:"skipped_steps,omitempty"`
	SamplesPerSecond float64 `json:"samples_per_second"`
	Wait             float64 `json:"data_wait"`
}

type epochMetric struct {
	Kind   string             `json:"kind"`
	Epoch  int                `json:"epoch"`
	Step   int                `json:"step"`
	Losses map[string]float64 `json:"losses"`
	// By tower: the Euclidean norm of all its values, and its logit scale.
	ParameterNorm map[string]float64 `json:"parameter_norm"`
	LogitScale    map[string]float64 `json:"logit_scale"`
	MemoryBytes   uint64             `json:"memory_bytes"` // that the program holds, mapped shards apart
}

type evalMetric struct {
	Kind string `json:"kind"`
	*Evaluation
}

type adviceMetric struct {
	Kind string `json:"kind"`
	Advice
}

func (d *runDir) metric(line any) error {
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = d.metrics.Write(append(b, '\n'))
	return explainDisk(d.metrics.Name(), err)
}

// checkpointName is the name that a checkpoint of the state has.
func (s *state) checkpointName() string {
	return fmt.Sprintf("epoch-%06d-step-%09d", s.Epoch, s.Step)
}

// save commits a checkpoint of the state and returns its path, points the links at it, then deletes all but
// the newest ones and the best.
func (d *runDir) save(e *engine, st *state, keep int) (string, error) {
	parent := filepath.Join(d.path, checkpointsDir)
	name := st.checkpointName()
	final := filepath.Join(parent, name)
	if _, err := os.Stat(final); err == nil {
		return final, nil // this very step was saved, or loaded from here
	}
	if err := d.metrics.Sync(); err != nil {
		return "", explainDisk(d.path, err)
	}
	var err error
	if st.MetricsBytes, err = d.metrics.Seek(0, io.SeekCurrent); err != nil {
		return "", explainDisk(d.path, err)
	}
	aside := filepath.Join(parent, asidePrefix+name)
	if err := d.fill(aside, e, st); err != nil {
		os.RemoveAll(aside) // make room; the next start would do it too
		return "", fmt.Errorf("checkpoint %s was not written, earlier ones are whole: %w", name, err)
	}
	if err := os.Rename(aside, final); err != nil {
		return "", explainDisk(final, err)
	}
	d.link(st, name)
	if err := syncFolder(parent); err != nil {
		return "", explainDisk(parent, err)
	}
	names, err := d.checkpoints()
	if err != nil {
		return "", err
	}
	for _, old := range names[:max(0, len(names)-keep)] {
		if old == st.Best {
			continue
		}
		// Out of sight first, so that no half-deleted checkpoint bears a checkpoint's name.
		trash := filepath.Join(parent, trashPrefix+old)
		if err := os.Rename(filepath.Join(parent, old), trash); err != nil {
			return "", explainDisk(parent, err)
		}
		if err := os.RemoveAll(trash); err != nil {
			return "", explainDisk(parent, err)
		}
	}
	return final, nil
}

// link points "last" and "best" at checkpoints. The links are for people; a file system that has none costs
// nothing but them.
func (d *runDir) link(st *state, last string) {
	parent := filepath.Join(d.path, checkpointsDir)
	for link, name := range map[string]string{lastLink: last, bestLink: st.Best} {
		if name == "" {
			continue
		}
		aside := filepath.Join(parent, asidePrefix+link)
		_ = os.Remove(aside)
		if err := os.Symlink(name, aside); err == nil {
			_ = os.Rename(aside, filepath.Join(parent, link))
		}
	}
}

// fill writes the files of a checkpoint into a new folder.
func (d *runDir) fill(dir string, e *engine, st *state) error {
	if err := os.RemoveAll(dir); err != nil {
		return explainDisk(dir, err)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return explainDisk(dir, err)
	}
	out := *st
	out.Files = nil
	type file struct {
		name    string
		tensors []element.Source
	}
	files := []file{{weightsFile, e.weightTensors()}, {optimizerFile, e.momentTensors()}}
	if len(e.adapters) > 0 {
		files = append(files, file{adaptersFile, e.adapterTensors()})
	}
	if e.hasAverages() {
		files = append(files, file{averagesFile, e.averageTensors()})
	}
	for _, f := range files {
		sum, n := sha256.New(), new(counter)
		err := d.write(filepath.Join(dir, f.name), func(w io.Writer) error {
			return safetensors.Write(io.MultiWriter(w, sum, n), f.tensors, map[string]string{"format": "pt"})
		})
		if err != nil {
			return err
		}
		out.Files = append(out.Files, fileSum{f.name, int64(*n), hex.EncodeToString(sum.Sum(nil))})
	}
	b, err := sealState(&out)
	if err != nil {
		return err
	}
	if err := d.write(filepath.Join(dir, stateFile), func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
		return err
	}
	return explainDisk(dir, syncFolder(dir))
}

type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

var noDigest = strings.Repeat("0", 64)

// sealState writes the state with its digest in place.
func sealState(st *state) ([]byte, error) {
	st.Digest = noDigest
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	sum := sha256.Sum256(b)
	st.Digest = hex.EncodeToString(sum[:])
	return replaceLast(b, noDigest, st.Digest), nil
}

// replaceLast puts new in the place of the last old.
func replaceLast(b []byte, old, new string) []byte {
	i := bytes.LastIndex(b, []byte(old))
	if i < 0 {
		return b
	}
	return slices.Concat(b[:i], []byte(new), b[i+len(old):])
}

// readState reads and checks a checkpoint's state.json.
func readState(path string) (*state, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, err
	}
	return parseState(b)
}

func parseState(b []byte) (*state, error) {
	if len(b) > maxState {
		return nil, fmt.Errorf("more than %d bytes", maxState)
	}
	st := new(state)
	if err := json.Unmarshal(b, st); err != nil {
		return nil, err
	}
	if len(st.Digest) != 64 {
		return nil, errors.New("no digest")
	}
	sum := sha256.Sum256(replaceLast(b, st.Digest, noDigest))
	if hex.EncodeToString(sum[:]) != st.Digest {
		return nil, errors.New("its digest does not fit its content")
	}
	if st.FormatVersion != checkpointVersion {
		return nil, fmt.Errorf("format version %d, this program reads %d", st.FormatVersion, checkpointVersion)
	}
	if st.Epoch < 0 || st.Position < 0 || st.Step < 0 || st.MetricsBytes < 0 {
		return nil, errors.New("a count is negative")
	}
	if st.TowerSteps == nil || st.Sums == nil || st.First == nil || st.Last == nil || st.History == nil || st.Advised == nil {
		return nil, errors.New("a field is missing")
	}
	if !st.LossScale.check() {
		return nil, errors.New("the factor of the loss is out of range")
	}
	if st.Config.Train.Precision == "" { // written before there was a choice
		st.Config.Train.Precision = "float32"
	}
	if st.Config.Train.Attention == "" {
		st.Config.Train.Attention = "auto"
	}
	return st, nil
}

// checkpoints lists the committed checkpoints, the oldest first.
func (d *runDir) checkpoints() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.path, checkpointsDir))
	if err != nil {
		return nil, explainDisk(d.path, err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "epoch-") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names) // by epoch and step, which are padded
	return names, nil
}

// latest returns the newest checkpoint whose hashes fit, and its path. A damaged one is set aside under
// another name and told of. Nil when there never was one.
func (d *runDir) latest(log func(string)) (*state, string, error) {
	names, err := d.checkpoints()
	if err != nil {
		return nil, "", err
	}
	parent := filepath.Join(d.path, checkpointsDir)
	for _, name := range slices.Backward(names) {
		path := filepath.Join(parent, name)
		st, err := verifyCheckpoint(path)
		if err == nil {
			return st, path, nil
		}
		aside := damagedPrefix + name
		for n := 2; ; n++ { // the same step's may have been damaged before, and stays to be looked at
			if _, err := os.Lstat(filepath.Join(parent, aside)); err != nil {
				break
			}
			aside = fmt.Sprintf("%s%s-%d", damagedPrefix, name, n)
		}
		log(fmt.Sprintf("checkpoint %s is damaged (%v); set aside as %s, falling back to the one before", path, err, aside))
		if err := os.Rename(path, filepath.Join(parent, aside)); err != nil {
			return nil, "", explainDisk(path, err)
		}
	}
	if len(names) > 0 {
		return nil, "", fault.Inputf("%s: none of %d checkpoints is whole", d.path, len(names))
	}
	return nil, "", nil
}

// verifyCheckpoint checks every file of a checkpoint against its hash.
func verifyCheckpoint(dir string) (*state, error) {
	st, err := readState(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	want := []string{weightsFile, optimizerFile}
	for i, f := range st.Files {
		if i < len(want) && f.Name != want[i] || i >= len(want) && f.Name != adaptersFile && f.Name != averagesFile {
			return nil, fmt.Errorf("%s names %q", stateFile, f.Name)
		}
		if err := verifyFile(filepath.Join(dir, f.Name), f); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if len(st.Files) < len(want) {
		return nil, fmt.Errorf("%s names %d files", stateFile, len(st.Files))
	}
	return st, nil
}

func verifyFile(path string, want fileSum) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if n != want.Bytes {
		return fmt.Errorf("%d bytes, %d were written", n, want.Bytes)
	}
	if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return errors.New("its hash does not fit its content")
	}
	return nil
}

// restore loads what a checkpoint has beside the weights: the moments, LoRA's matrices, moving averages.
func restore(e *engine, dir string) error {
	for _, l := range []struct {
		name string
		load func(*WeightFile) error
	}{{optimizerFile, e.loadMoments}, {adaptersFile, e.loadAdapters}, {averagesFile, e.loadAverages}} {
		f, err := OpenWeights(filepath.Join(dir, l.name))
		if err != nil {
			if _, there := os.Stat(filepath.Join(dir, l.name)); errors.Is(there, fs.ErrNotExist) && l.name != optimizerFile {
				continue
			}
			return err
		}
		if err := errors.Join(l.load(f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (d *runDir) close() error {
	var err error
	if d.metrics != nil {
		err = d.metrics.Close()
	}
	if d.events != nil {
		err = errors.Join(err, d.events.Close())
	}
	if !d.begun {
		d.withdraw() // still locked
	}
	return errors.Join(err, d.unlock())
}

// explainDisk turns the machine's refusals into sentences that say what to do.
func explainDisk(path string, err error) error {
	var known *fault.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Environmentf("%s: no space left; free some and go on with --resume: %w", path, err)
	case errors.Is(err, syscall.EROFS):
		return fault.Environmentf("%s: the file system is read-only; choose another folder with --run: %w", path, err)
	case errors.Is(err, fs.ErrPermission):
		return fault.Environmentf("%s: no permission to write here: %w", path, err)
	}
	return fmt.Errorf("run directory: %w", err)
}

// syncFolder makes a rename in dir survive a power cut.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	// Some systems and network file systems cannot flush a folder, and say so.
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// explainShards says what is wrong with the input folder.
func explainShards(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		if _, there := os.Stat(filepath.Join(dir, shards.ManifestName)); there == nil {
			return fault.Inputf("%s cannot be trained on, since a file that its manifest lists is gone: %w; prep validate lists all that are", dir, err)
		}
		return fault.Inputf("%s is no finished shards folder: %w; prep ingest makes one", dir, err)
	}
	var known *fault.Error
	if errors.As(err, &known) && (known.Kind == fault.Corrupt || known.Kind == fault.Unsupported) {
		return fault.Inputf("%s cannot be trained on: %w; prep validate says more", dir, err)
	}
	return err
}

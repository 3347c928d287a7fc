package trainer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/trainer/element"
	"prep/trainer/safetensors"
	"prep/trainer/torchfile"
)

// A WeightFile is an open file of weights: safetensors, or what torch.save wrote. Values are read from the
// file when they are asked for, in small chunks, so that an open file takes next to no memory.
type WeightFile struct {
	Path    string
	Format  string // safetensors or torch
	Tensors []element.Tensor
	Notes   []string // what a person should know about how the file was read

	byName map[string]int
	floats func(name string, use func([]float32) error) error
	file   *os.File
}

// OpenWeights opens a file of weights in either format, or the weights of a checkpoint's folder after a check
// of its hashes, or those of a run's newest whole checkpoint. Errors are fault.Input where there is no such
// file or it is none of weights that are read here, and fault.Corrupt where it is damaged.
func OpenWeights(path string) (*WeightFile, error) {
	info, err := statWeights(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		dir, err := checkpointIn(path)
		if err != nil {
			return nil, err
		}
		return OpenWeights(filepath.Join(dir, weightsFile))
	}
	if !info.Mode().IsRegular() {
		return nil, fault.Inputf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Inputf("weights: %w", err)
	}
	w, err := readWeights(f, info.Size())
	if err != nil {
		f.Close()
		if fault.KindOf(err) == fault.Unsupported { // nothing that the machine lacks
			return nil, fault.Inputf("%s: %w", path, err)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	w.Path, w.file = path, f
	return w, nil
}

// statWeights looks at what should be weights, through links: caches keep them behind such.
func statWeights(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil {
		return info, nil
	}
	if to, e := os.Readlink(path); e == nil && errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Inputf("%s is a link to %s, which is not there", path, to)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Inputf("%s: no such run, checkpoint or file of weights", path)
	}
	return nil, fault.Inputf("weights: %w", err)
}

// readWeights finds out the format and reads the description of the tensors.
func readWeights(r io.ReaderAt, size int64) (*WeightFile, error) {
	head := make([]byte, min(size, 512))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	w := &WeightFile{byName: map[string]int{}}
	switch {
	case safetensors.Sniff(head):
		f, err := safetensors.Open(r, size)
		if err != nil {
			return nil, err
		}
		w.Format, w.floats = "safetensors", f.Floats
		for _, t := range f.Tensors {
			w.Tensors = append(w.Tensors, t.Tensor)
		}
	case torchfile.Sniff(head):
		f, err := torchfile.Open(r, size)
		if err != nil {
			return nil, err
		}
		w.Format, w.floats, w.Notes = "torch", f.Floats, f.Notes
		for _, t := range f.Tensors {
			w.Tensors = append(w.Tensors, t.Tensor)
		}
	default:
		return nil, fault.Unsupportedf("weights", "it is neither a safetensors file nor one that torch.save wrote%s", looksLike(head))
	}
	for i, t := range w.Tensors {
		w.byName[t.Name] = i
	}
	return w, nil
}

// looksLike names what people take for weights by accident.
func looksLike(head []byte) string {
	for _, k := range []struct{ magic, what string }{
		{"version https://git-lfs", "; it is a Git LFS pointer: git lfs pull fetches the file itself"},
		{"<", "; it looks like a web page, as a refused download leaves"},
		{"{", "; it looks like JSON: name the weights, not their index"},
		{"\x1f\x8b", "; it is compressed with gzip: unpack it first"},
		{"\x93NUMPY", "; it is a NumPy array"},
		{"\x89HDF", "; it is HDF5"},
		{"GGUF", "; it is GGUF"},
	} {
		if bytes.HasPrefix(bytes.TrimLeft(head, " \r\n\t"), []byte(k.magic)) {
			return k.what
		}
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		return "; it is a tar archive"
	}
	if len(head) == 0 {
		return "; it is empty"
	}
	return ""
}

// checkpointIn finds the folder of whole weights in a checkpoint's folder or a run's.
func checkpointIn(dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, stateFile)); err == nil {
		if _, err := verifyCheckpoint(dir); err != nil {
			return "", fault.Corruptf("checkpoint", "checkpoint %s is damaged: %w", dir, err)
		}
		return dir, nil
	}
	parent := filepath.Join(dir, checkpointsDir)
	names, err := (&runDir{path: dir}).checkpoints()
	if err != nil || len(names) == 0 {
		return "", fault.Inputf("%s is neither a run with a checkpoint nor a checkpoint", dir)
	}
	for _, name := range slices.Backward(names) {
		if _, err = verifyCheckpoint(filepath.Join(parent, name)); err == nil {
			return filepath.Join(parent, name), nil
		}
	}
	return "", fault.Corruptf("checkpoint", "%s: none of its %d checkpoints is whole: %w", dir, len(names), err)
}

// Close closes the file.
func (f *WeightFile) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// Lookup returns the tensor of that name.
func (f *WeightFile) Lookup(name string) (element.Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return element.Tensor{}, false
	}
	return f.Tensors[i], true
}

// Floats hands a tensor's values to use, in order and in chunks.
func (f *WeightFile) Floats(name string, use func([]float32) error) error {
	if err := f.floats(name, use); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	return nil
}

// read fills dst with a tensor's values. With check, NaN and infinities are errors: no training wants either,
// and both are found late otherwise.
func (f *WeightFile) read(name string, dst []float32, check bool) error {
	at := 0
	err := f.Floats(name, func(v []float32) error {
		if at+len(v) > len(dst) {
			return fmt.Errorf("%s has more values than its shape", name)
		}
		at += copy(dst[at:], v)
		return nil
	})
	if err != nil {
		return err
	}
	if at != len(dst) {
		return fmt.Errorf("%s: %s has %d values, %d are due", f.Path, name, at, len(dst))
	}
	if !check {
		return nil
	}
	return f.finite(name, dst, 0)
}

// finite reports the first value that is no number or infinite. first is the place of v[0] in the tensor.
func (f *WeightFile) finite(name string, v []float32, first int) error {
	for i, x := range v {
		if x-x != 0 {
			return fault.Corruptf("weights", "%s: %s holds %g at element %d: weights must be finite", f.Path, name, x, first+i)
		}
	}
	return nil
}

// Init says which weights a model begins with.
type Init struct {
	Path string // as OpenWeights takes it
	// AllowMissing and AllowUnexpected are patterns of names, in which * stands for any characters, that the
	// file may lack (they keep the values that the seed draws) or have beside the model's.
	AllowMissing, AllowUnexpected []string
}

// NewInit reads the patterns from lists with commas between.
func NewInit(path, allowMissing, allowUnexpected string) Init {
	split := func(list string) []string {
		return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	}
	return Init{path, split(allowMissing), split(allowUnexpected)}
}

// matches reports whether a name fits one of the patterns.
func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); err == nil && ok {
			return true
		}
	}
	return false
}

func (in Init) check() error {
	for _, p := range slices.Concat(in.AllowMissing, in.AllowUnexpected) {
		if _, err := path.Match(p, ""); err != nil {
			return fault.Usagef("pattern %q: %w", p, err)
		}
	}
	return nil
}

// A fit says how a file's tensors become a model's weights.
type fit struct {
	file    *WeightFile
	absent  map[string]bool // drawn, because the file may lack them
	regrid  map[string]regrid
	notes   []string
	weights int  // that come from the file
	any     bool // values need not be finite: those of a checkpoint, whose hashes fit, are what they were
}

// fitWeights compares a file with the weights that are needed. all are the model's: what the file has beside
// them is unexpected. Everything that does not fit is listed in one error.
func fitWeights(f *WeightFile, m *configs.Model, needed, all []Weight, in Init) (*fit, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	out := &fit{file: f, absent: map[string]bool{}, regrid: map[string]regrid{}}
	var missing, unexpected, shaped, typed, drawn []string
	for _, w := range needed {
		t, ok := f.Lookup(w.Name)
		switch {
		case !ok && matches(in.AllowMissing, w.Name):
			out.absent[w.Name] = true
			drawn = append(drawn, w.Name)
			continue
		case !ok:
			missing = append(missing, w.Name)
			continue
		case !t.Type.Floating():
			typed = append(typed, fmt.Sprintf("%s (%s)", w.Name, t.Type))
		case !slices.Equal(t.Shape, w.Shape):
			r, ok := positionsFit(f, m, &w, t)
			if !ok {
				shaped = append(shaped, fmt.Sprintf("%s %v, the model has %v", w.Name, t.Shape, w.Shape))
				continue
			}
			out.regrid[w.Name] = r
			out.notes = append(out.notes, fmt.Sprintf("%s: positions of a grid of %s are interpolated (bicubic) to %s", w.Name, r.from, r.to))
		}
		out.weights++
	}
	known := map[string]bool{}
	for _, w := range all {
		known[w.Name] = true
	}
	for _, t := range f.Tensors {
		if !known[t.Name] && !matches(in.AllowUnexpected, t.Name) {
			unexpected = append(unexpected, t.Name)
		}
	}
	var wrong []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"of another shape", shaped}, {"not floating point", typed}, {"missing (--init-allow-missing PATTERN lets them begin as drawn)", missing}, {"unexpected (--init-allow-unexpected PATTERN leaves them out)", unexpected}} {
		if n := len(p.names); n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s: %s", n, p.what, some(p.names)))
		}
	}
	if len(wrong) > 0 {
		return nil, fault.Inputf("%s does not fit the model (%d of its %d tensors do): %s", f.Path, out.weights, len(f.Tensors), strings.Join(wrong, "; "))
	}
	if out.weights == 0 {
		return nil, fault.Inputf("%s has no tensor under a name of the model", f.Path)
	}
	if len(drawn) > 0 {
		out.notes = append(out.notes, fmt.Sprintf("%d weights are not in the file and begin as the seed draws them: %s", len(drawn), some(drawn)))
	}
	return out, nil
}

// some lists the first names.
func some(names []string) string {
	const most = 20
	if n := len(names); n > most {
		names = append(names[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(names, ", ")
}

// value makes a weight's value: from the file, or drawn.
func (ft *fit) value(w *Weight, seed uint64) (*tensors.Tensor, error) {
	if ft == nil || ft.absent[w.Name] {
		return tensors.FromFlatDataAndDimensions(w.values(seed), w.Shape...), nil
	}
	if r, ok := ft.regrid[w.Name]; ok {
		t, _ := ft.file.Lookup(w.Name)
		v := make([]float32, t.Elements())
		if err := ft.file.read(w.Name, v, !ft.any); err != nil {
			return nil, err
		}
		return tensors.FromFlatDataAndDimensions(r.interpolate(v, w.Shape[2]), w.Shape...), nil
	}
	return readTensor(ft.file, w.Name, w.Shape, !ft.any && w.start != initCausal)
}

// readTensor reads a tensor into memory of its own, without another copy on the way.
func readTensor(f *WeightFile, name string, shape []int, check bool) (*tensors.Tensor, error) {
	t := tensors.FromShape(shapes.Make(dtypes.Float32, shape...))
	var err error
	if e := tensors.MutableFlatData(t, func(dst []float32) { err = f.read(name, dst, check) }); e != nil {
		return nil, e
	}
	return t, err
}

// set fills one variable, which may be new.
func (e *engine) set(path string, t *tensors.Tensor) error {
	if v := e.store.GetVariable(path); v != nil {
		return v.SetValue(t)
	}
	v, err := e.store.CreateVariable(path, t)
	if err != nil {
		return err
	}
	v.SetTrainable(false)
	return nil
}

// weightTensors are the model's values as they are written: the whole state_dict in its order.
func (e *engine) weightTensors() []element.Source { return e.stateTensors(variablePath) }

// stateTensors is the state_dict with the values at path(name), LoRA's sums made.
func (e *engine) stateTensors(path func(string) string) []element.Source {
	var out []element.Source
	for _, w := range e.weights {
		if a := e.net.adapters[w.Name]; a != nil {
			out = append(out, element.Source{Tensor: element.Tensor{Name: w.Name, Type: element.F32, Shape: w.Shape}, Values: func(use func([]float32) error) error {
				sum, err := e.merged(a, path)
				if err != nil {
					return fmt.Errorf("%s: %w", w.Name, err)
				}
				return use(sum)
			}})
			continue
		}
		out = append(out, e.tensor(w.Name, path(w.Name), w.Shape))
	}
	return out
}

// The names of the moments in a file: these prefixes before the weight's own.
const (
	firstMoment  = "exp_avg."
	secondMoment = "exp_avg_sq."
)

// momentTensors are the optimiser's moments of all weights that have any.
func (e *engine) momentTensors() []element.Source {
	var out []element.Source
	for _, w := range e.moving() {
		if e.store.GetVariable(firstMomentPath(w.Name)) == nil {
			continue
		}
		out = append(out,
			e.tensor(firstMoment+w.Name, firstMomentPath(w.Name), w.Shape),
			e.tensor(secondMoment+w.Name, secondMomentPath(w.Name), w.Shape))
	}
	return out
}

// loadMoments is the inverse of momentTensors.
func (e *engine) loadMoments(f *WeightFile) error {
	n := 0
	for _, w := range e.moving() {
		for prefix, path := range map[string]string{firstMoment: firstMomentPath(w.Name), secondMoment: secondMomentPath(w.Name)} {
			t, ok := f.Lookup(prefix + w.Name)
			if !ok {
				continue
			}
			if !slices.Equal(t.Shape, w.Shape) {
				return fault.Inputf("%s: %s has shape %v, the weight %v", f.Path, t.Name, t.Shape, w.Shape)
			}
			v, err := readTensor(f, t.Name, w.Shape, false)
			if err != nil {
				return err
			}
			if err := e.set(path, v); err != nil {
				return fmt.Errorf("%s: %w", f.Path, err)
			}
			n++
		}
	}
	if n != len(f.Tensors) {
		return fault.Inputf("%s: %d of its %d tensors belong to no weight of the model", f.Path, len(f.Tensors)-n, len(f.Tensors))
	}
	return nil
}

func (e *engine) tensor(name, path string, shape []int) element.Source {
	return element.Source{Tensor: element.Tensor{Name: name, Type: element.F32, Shape: shape}, Values: func(use func([]float32) error) error {
		v, err := e.store.GetVariable(path).Value()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return useTensor(v, use)
	}}
}

// useTensor hands a tensor's values over where they lie.
func useTensor(t *tensors.Tensor, use func([]float32) error) error {
	var failed error
	if err := tensors.ConstFlatData(t, func(flat []float32) { failed = use(flat) }); err != nil {
		return err
	}
	return failed
}

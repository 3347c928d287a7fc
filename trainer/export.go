package trainer

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"prep/configs"
	"prep/internal/fault"
	"prep/trainer/element"
	"prep/trainer/safetensors"
	"prep/trainer/torchfile"
)

// ExportOptions are what Export is asked to do.
type ExportOptions struct {
	From string // as OpenWeights takes it
	Out  string // ends in .safetensors, .pth, .pt or .bin
	// Model is what the weights must fit, nil for any; a file that fits is written in the order of PyTorch's
	// state_dict.
	Model *configs.Model
	Init  Init
	// Type is the type of the values in the file; "" keeps what they have.
	Type element.Type
	Log  func(string)
}

// Exported is what Export wrote.
type Exported struct {
	Out        string `json:"out"`
	Format     string `json:"format"`
	Tensors    int    `json:"tensors"`
	Parameters int    `json:"parameters"` // values, buffers included
	Bytes      int64  `json:"bytes"`
}

// exportFormat tells the format from a file's name.
func exportFormat(path string) (string, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".safetensors":
		return "safetensors", nil
	case ".pth", ".pt", ".bin":
		return "torch", nil
	}
	return "", fault.Usagef("%s: the name of an export ends in .safetensors or .pth", path)
}

// Export writes weights under ImageBind's names, as safetensors or as torch.save writes a state dict. Values
// pass through in chunks, whatever the size of the model. Nothing bears the final name before it is whole.
func Export(o ExportOptions) (*Exported, error) {
	format, err := exportFormat(o.Out)
	if err != nil {
		return nil, err
	}
	f, err := OpenWeights(o.From)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, n := range f.Notes {
		o.Log(n)
	}
	list, err := exportList(f, o)
	if err != nil {
		return nil, err
	}
	x := &Exported{Out: o.Out, Format: format, Tensors: len(list)}
	for _, s := range list {
		x.Parameters += s.Elements()
	}
	x.Bytes, err = writeAside(o.Out, func(w io.Writer) error {
		if format == "safetensors" {
			return safetensors.Write(w, list, map[string]string{"format": "pt"})
		}
		return torchfile.Write(w, list)
	})
	return x, err
}

// exportList says what is written, in which order and from where.
func exportList(f *WeightFile, o ExportOptions) ([]element.Source, error) {
	var list []element.Source
	add := func(name string, shape []int, ty element.Type, check bool, values func(func([]float32) error) error) {
		if o.Type != "" {
			ty = o.Type
		}
		list = append(list, element.Source{Tensor: element.Tensor{Name: name, Type: ty, Shape: shape}, Values: func(use func([]float32) error) error {
			first := 0
			return values(func(v []float32) error {
				if check {
					if err := f.finite(name, v, first); err != nil {
						return err
					}
				}
				if i := ty.Overflow(v); i >= 0 {
					return fault.Inputf("%s: %s holds %g at element %d, which %s cannot hold; export it as float32 or bfloat16", f.Path, name, v[i], first+i, ty)
				}
				first += len(v)
				return use(v)
			})
		}})
	}
	if o.Model == nil {
		for _, t := range f.Tensors {
			if !t.Type.Floating() {
				return nil, fault.Unsupportedf("weights", "%s: %s holds %s; only floating point is exported", f.Path, t.Name, t.Type)
			}
			// Without a model nobody knows which buffers are masks, whose infinities are meant.
			add(t.Name, t.Shape, t.Type, false, func(use func([]float32) error) error { return f.Floats(t.Name, use) })
		}
		return list, nil
	}
	weights := StateDict(o.Model)
	ft, err := fitWeights(f, o.Model, weights, weights, o.Init)
	if err != nil {
		return nil, err
	}
	for _, n := range ft.notes {
		o.Log(n)
	}
	for _, w := range weights {
		t, inFile := f.Lookup(w.Name)
		_, changed := ft.regrid[w.Name]
		if !inFile {
			t.Type = element.F32
		}
		add(w.Name, w.Shape, t.Type, w.start != initCausal, func(use func([]float32) error) error {
			if inFile && !changed {
				return f.Floats(w.Name, use)
			}
			v, err := ft.value(&w, 0)
			if err != nil {
				return err
			}
			return useTensor(v, use)
		})
	}
	return list, nil
}

// writeAside fills a file that gets its name when it is whole and on the disk, and returns its length.
func writeAside(path string, fill func(io.Writer) error) (int64, error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, asidePrefix+filepath.Base(path)+"-")
	if err != nil {
		return 0, explainDisk(path, err)
	}
	n := new(counter)
	bw := bufio.NewWriterSize(io.MultiWriter(f, n), 1<<20)
	err = fill(bw)
	if err == nil {
		err = bw.Flush()
	}
	if err == nil {
		err = f.Chmod(0o644) // as any new file; CreateTemp's is private
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil {
		os.Remove(f.Name())
		return 0, explainDisk(path, err)
	}
	return int64(*n), nil
}

// RunModel is the model that a run or a checkpoint was trained as, nil for a file of weights, which does not
// say.
func RunModel(path string) (*configs.Model, error) {
	info, err := statWeights(path)
	if err != nil || !info.IsDir() {
		return nil, err
	}
	dir, err := checkpointIn(path)
	if err != nil {
		return nil, err
	}
	st, err := readState(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, fault.Corruptf("checkpoint", "checkpoint %s: %s: %w", dir, stateFile, err)
	}
	return &st.Config.Model, nil
}

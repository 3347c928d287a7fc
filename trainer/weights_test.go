package trainer

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/sample"
	"prep/trainer/element"
	"prep/trainer/safetensors"
	"prep/trainer/torchfile"
)

// modelSources are a small model's first weights as a file would hold them.
func modelSources(m *configs.Model) []element.Source {
	var out []element.Source
	for _, w := range StateDict(m) {
		out = append(out, element.Source{Tensor: element.Tensor{Name: w.Name, Type: element.F32, Shape: w.Shape}, Values: func(use func([]float32) error) error { return use(w.values(7)) }})
	}
	return out
}

// writeWeights writes a file of the format that its name says.
func writeWeights(t *testing.T, name string, s []element.Source) string {
	t.Helper()
	var b bytes.Buffer
	var err error
	if strings.HasSuffix(name, ".pth") {
		err = torchfile.Write(&b, s)
	} else {
		err = safetensors.Write(&b, s, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// fitFile opens a file and makes every weight of the model from it.
func fitFile(m *configs.Model, path string, in Init) ([]string, map[string][]float32, error) {
	f, err := OpenWeights(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	all := StateDict(m)
	ft, err := fitWeights(f, m, all, all, in)
	if err != nil {
		return nil, nil, err
	}
	values := map[string][]float32{}
	for _, w := range all {
		v, err := ft.value(&w, 0)
		if err != nil {
			return nil, nil, err
		}
		if err := useTensor(v, func(x []float32) error { values[w.Name] = slices.Clone(x); return nil }); err != nil {
			return nil, nil, err
		}
	}
	return ft.notes, values, nil
}

func TestInitReadsEveryWeight(t *testing.T) {
	m := small(t).Model
	for _, name := range []string{"w.safetensors", "w.pth"} {
		_, values, err := fitFile(&m, writeWeights(t, name, modelSources(&m)), Init{})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range StateDict(&m) {
			if !slices.Equal(values[w.Name], w.values(7)) {
				t.Errorf("%s: %s differs", name, w.Name)
			}
		}
	}
}

// What does not fit is listed by kind, all of it at once; patterns let it pass.
func TestInitListsWhatDoesNotFit(t *testing.T) {
	m := small(t).Model
	s := modelSources(&m)
	gone, odd := s[3].Name, s[5].Name
	s[5].Shape = append([]int{1}, s[5].Shape...)
	s[7].Name = "modality_extra.weight"
	s = slices.Delete(s, 3, 4)
	path := writeWeights(t, "w.safetensors", s)
	_, _, err := fitFile(&m, path, Init{})
	for _, want := range []string{path, "1 of another shape: " + odd, "2 missing", gone, "1 unexpected", "modality_extra.weight"} {
		if fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	s = modelSources(&m)
	s = slices.DeleteFunc(s, func(x element.Source) bool { return strings.Contains(x.Name, ".imu") })
	extra := s[0]
	extra.Name = "ema.decay"
	path = writeWeights(t, "w.pth", append(s, extra))
	notes, values, err := fitFile(&m, path, NewInit("", "*.imu.*, no_such_*", "ema.*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "begin as the seed draws them") {
		t.Errorf("notes %q", notes)
	}
	for _, w := range StateDict(&m) {
		seed := uint64(7)
		if w.Tower == "imu" {
			seed = 0
		}
		if !slices.Equal(values[w.Name], w.values(seed)) {
			t.Errorf("%s: not the value of seed %d", w.Name, seed)
		}
	}
	if _, _, err := fitFile(&m, path, NewInit("", "[", "")); fault.KindOf(err) != fault.Usage {
		t.Errorf("a broken pattern: %v", err)
	}
}

// A model that cuts its input into other patches takes the positions over.
func TestInitInterpolatesPositions(t *testing.T) {
	c, err := configs.Load(configs.Layers{ModelPreset: "tiny", FileName: "t", File: []byte("model: {vocab: 512, audio: {kernel: 16, stride: 10}}")})
	if err != nil {
		t.Fatal(err)
	}
	path := writeWeights(t, "w.pth", modelSources(&c.Model))
	wider := c.Model
	wider.Audio.Stride = 16
	notes, values, err := fitFile(&wider, path, Init{})
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "grid of 12 x 19 are interpolated (bicubic) to 8 x 12") {
		t.Errorf("notes %q", notes)
	}
	const name = "modality_preprocessors.audio.pos_embedding_helper.pos_embed"
	if n := len(values[name]); n != (1+8*12)*wider.Audio.Width {
		t.Errorf("%d values", n)
	}
}

// What damaged and hostile files get. Formats' own cases are in their packages.
func TestDamagedWeights(t *testing.T) {
	m := small(t).Model
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := read(writeWeights(t, "w.safetensors", modelSources(&m)))
	torch := read(writeWeights(t, "w.pth", modelSources(&m)))
	with := func(name string, change func(*element.Source)) string {
		s := modelSources(&m)
		change(&s[slices.IndexFunc(s, func(x element.Source) bool { return strings.HasSuffix(x.Name, "norm_1.weight") })])
		return writeWeights(t, name, s)
	}
	value := func(x float32) func(*element.Source) {
		return func(s *element.Source) {
			v := make([]float32, s.Elements())
			v[2] = x
			s.Values = func(use func([]float32) error) error { return use(v) }
		}
	}
	bent := bytes.Clone(torch)
	bent[len(bent)/2] ^= 1
	link := filepath.Join(dir, "link.pth")
	if err := os.Symlink("/no/such/weights.pth", link); err != nil {
		t.Fatal(err)
	}
	device := filepath.Join(dir, "zero.pth")
	if err := os.Symlink("/dev/zero", device); err != nil {
		t.Fatal(err)
	}
	integers := bytes.Replace(good, []byte(`"modality_trunks.vision.blocks.0.norm_1.weight":{"dtype":"F32"`), []byte(`"modality_trunks.vision.blocks.0.norm_1.weight":{"dtype":"I32"`), 1)
	for name, c := range map[string]struct {
		path, want string
		kind       fault.Kind
	}{
		"not there":             {filepath.Join(dir, "no.pth"), "no such run, checkpoint or file of weights", fault.Input},
		"link to nowhere":       {link, "is a link to /no/such/weights.pth, which is not there", fault.Input},
		"link to a device":      {device, "not a regular file", fault.Input},
		"a folder":              {dir, "neither a run with a checkpoint nor a checkpoint", fault.Input},
		"empty":                 {write("empty.pth", nil), "it is empty", fault.Input},
		"a web page":            {write("page.pth", []byte("<!DOCTYPE html><html>")), "web page", fault.Input},
		"a Git LFS pointer":     {write("lfs.pth", []byte("version https://git-lfs.github.com/spec/v1\n")), "git lfs pull", fault.Input},
		"an index":              {write("index.json", []byte(`{"weight_map": {}}`)), "JSON", fault.Input},
		"gzip":                  {write("w.gz", []byte("\x1f\x8b\x08\x00")), "gzip", fault.Input},
		"cut safetensors":       {write("cut.safetensors", good[:len(good)-5]), "cut short", fault.Corrupt},
		"cut torch":             {write("cut.pth", torch[:len(torch)-5]), "cut short", fault.Corrupt},
		"header beyond":         {write("head.safetensors", append([]byte{0xff, 0xff, 0xff, 2, 0, 0, 0, 0}, good[8:]...)), "header of 50331647 bytes", fault.Corrupt},
		"bent torch":            {write("bent.pth", bent), "CRC-32", fault.Corrupt},
		"NaN in safetensors":    {with("nan.safetensors", value(float32(math.NaN()))), "holds NaN at element 2", fault.Corrupt},
		"infinity in torch":     {with("inf.pth", value(float32(math.Inf(1)))), "holds +Inf at element 2", fault.Corrupt},
		"integers for weights":  {write("int.safetensors", integers), "1 not floating point: modality_trunks.vision.blocks.0.norm_1.weight (int32)", fault.Input},
		"a pickle with a shell": {write("shell.pth", []byte("\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")), `names "os.system"`, fault.Corrupt},
	} {
		_, _, err := fitFile(&m, c.path, Init{})
		if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v (%v), want %q (%v)", name, err, fault.KindOf(err), c.want, c.kind)
		}
	}
}

// An export holds what it came from, in either format, and begins a model again.
func TestExport(t *testing.T) {
	m := small(t).Model
	from := writeWeights(t, "w.safetensors", modelSources(&m))
	dir := t.TempDir()
	said := []string{}
	o := ExportOptions{From: from, Model: &m, Log: func(s string) { said = append(said, s) }}
	for _, name := range []string{"a.pth", "b.safetensors"} {
		o.Out = filepath.Join(dir, name)
		x, err := Export(o)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(o.Out); err != nil || info.Size() != x.Bytes || x.Tensors != len(StateDict(&m)) {
			t.Errorf("%+v: %v", x, err)
		}
		_, values, err := fitFile(&m, o.Out, Init{})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range StateDict(&m) {
			if !slices.Equal(values[w.Name], w.values(7)) {
				t.Errorf("%s: %s differs", name, w.Name)
			}
		}
		o.From = o.Out // the next one from this one
	}
	o.Type, o.Out = element.F16, filepath.Join(dir, "half.pth")
	if _, err := Export(o); err != nil {
		t.Fatal(err)
	}
	_, values, err := fitFile(&m, o.Out, Init{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range StateDict(&m) {
		for i, v := range w.values(7) {
			if d := math.Abs(float64(v - values[w.Name][i])); d > math.Abs(float64(v))/2048+1e-7 {
				t.Fatalf("%s[%d]: %g for %g", w.Name, i, values[w.Name][i], v)
			}
		}
	}
	s := modelSources(&m)
	s[0].Values = func(use func([]float32) error) error { return use(slices.Repeat([]float32{1e6}, s[0].Elements())) }
	o.From = writeWeights(t, "w.pth", s)
	if _, err := Export(o); fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "which float16 cannot hold") {
		t.Errorf("overflow: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	o.Out = filepath.Join(dir, "w.onnx")
	if _, err := Export(o); fault.KindOf(err) != fault.Usage {
		t.Errorf("an unknown ending: %v", err)
	}
}

// Gammas of 1 change nothing and others do; they have shapes, names and first values of their own.
func TestLayerScale(t *testing.T) {
	embed := func(m configs.Model, ids []int32) []float32 {
		backend, err := newBackend()
		if err != nil {
			t.Fatal(err)
		}
		e, err := openEngine(m, configs.Train{Seed: 3}, engineOptions{backend: backend, towers: []*towerSpec{towerOf(sample.Text)}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		v, err := e.embed(sample.Text, tensors.FromFlatDataAndDimensions(ids, 1, contextLength))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	ids := make([]int32, contextLength)
	ids[0], ids[1], ids[2] = 5, 9, 11
	m := small(t).Model
	plain := embed(m, ids)
	for _, kind := range []string{"channel", "scalar"} {
		m.LayerScale, m.Text.LayerScale = kind, 1
		if d := maxDiff(embed(m, ids), plain); d != 0 {
			t.Errorf("%s: gammas of 1 change the embedding by %g", kind, d)
		}
		m.Text.LayerScale = 0.25
		if d := maxDiff(embed(m, ids), plain); d < 1e-3 {
			t.Errorf("%s: gammas of 1/4 change the embedding by %g only", kind, d)
		}
	}
	for _, kind := range []string{"channel", "scalar"} {
		m := small(t).Model
		plain := len(StateDict(&m))
		m.LayerScale = kind
		all := StateDict(&m)
		blocks := 0
		for _, tw := range towers {
			blocks += tw.config(&m).Blocks
		}
		if len(all) != plain+2*blocks {
			t.Errorf("%s: %d entries beside %d", kind, len(all), plain)
		}
		for _, w := range all {
			if strings.Contains(w.Name, "layer_scale_gamma") {
				tw := towers[slices.IndexFunc(towers, func(t *towerSpec) bool { return t.name == w.Tower })].config(&m)
				want := []int{1, 1, map[string]int{"channel": tw.Width, "scalar": 1}[kind]}
				if !slices.Equal(w.Shape, want) || w.Buffer || w.decays() || w.values(0)[0] != float32(tw.LayerScale) {
					t.Errorf("%s: %+v begins with %g", kind, w, w.values(0)[0])
				}
			}
		}
	}
}

// Package configs owns prep's configuration: the typed form, the embedded presets with the reason for
// every default, and the layering of file and flags over them. A key that it does not know is an error
// naming the nearest key that it does.
//
// The YAML presets are the documentation: `prep config --show` prints them with their comments. The
// layers, later ones winning, are default.yaml, a data preset (imagebind.yaml), a model preset
// (model_*.yaml), a recipe (recipe_*.yaml), the user's file, and flags.
package configs

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"prep/internal/fault"
)

//go:embed *.yaml
var presets embed.FS

// Config is the whole configuration.
type Config struct {
	Source  Source  `yaml:"source" json:"source"`
	Audio   Audio   `yaml:"audio" json:"audio"`
	Image   Image   `yaml:"image" json:"image"`
	Video   Video   `yaml:"video" json:"video"`
	Text    Text    `yaml:"text" json:"text"`
	Depth   Depth   `yaml:"depth" json:"depth"`
	Thermal Thermal `yaml:"thermal" json:"thermal"`
	IMU     IMU     `yaml:"imu" json:"imu"`
	Flip    Flip    `yaml:"flip" json:"flip"`
	Filters Filters `yaml:"filters" json:"filters"`
	Shards  Shards  `yaml:"shards" json:"shards"`
	Ingest  Ingest  `yaml:"ingest" json:"ingest"`
	Train   Train   `yaml:"train" json:"train"`
	Model   Model   `yaml:"model" json:"model"`
}

// DataPresets and ModelPresets name what --preset of ingest and of train take; the first is the default.
var (
	DataPresets  = []string{"default", "imagebind"}
	ModelPresets = []string{"tiny", "base", "imagebind_huge", "scenes"}
	// Recipes name what --recipe of train takes: parts of the training recipe, laid over the model preset.
	Recipes = []string{"published", "staged", "probe", "lora"}
)

// Layers says what is laid over the embedded defaults.
type Layers struct {
	DataPreset  string // "" means default
	ModelPreset string // "" means tiny
	Recipe      string // "" means the model preset's own
	BaseName    string // for messages
	Base        []byte // the YAML of a run that goes on, laid below the user's; may be nil
	FileName    string // for messages
	File        []byte // the user's YAML, may be nil
	Flags       []Override
}

// Override sets one key, by its dotted path, to a YAML scalar: what a flag does.
type Override struct{ Key, Value, Flag string }

// Load lays the layers over each other and checks the result. Errors are usage errors that name the
// file, the line and the key.
func Load(l Layers) (Config, error) {
	doc, err := merged(l)
	if err != nil {
		return Config{}, err
	}
	var c Config
	if err := doc.Decode(&c); err != nil {
		return Config{}, fault.Usagef("configuration: %w", err)
	}
	return c, c.validate()
}

// Show writes the effective configuration as YAML, each key under the comment that documents it.
func Show(w io.Writer, l Layers) error {
	if _, err := Load(l); err != nil {
		return err
	}
	doc, err := merged(l)
	if err != nil {
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return err
	}
	return enc.Close()
}

func merged(l Layers) (*yaml.Node, error) {
	if l.DataPreset == "" {
		l.DataPreset = DataPresets[0]
	}
	if l.ModelPreset == "" {
		l.ModelPreset = ModelPresets[0]
	}
	if !slices.Contains(DataPresets, l.DataPreset) {
		return nil, fault.Usagef("no data preset %q (have %s)", l.DataPreset, strings.Join(DataPresets, ", "))
	}
	if !slices.Contains(ModelPresets, l.ModelPreset) {
		return nil, fault.Usagef("no model preset %q (have %s)", l.ModelPreset, strings.Join(ModelPresets, ", "))
	}
	names := []string{"default.yaml", "model_tiny.yaml"}
	if l.ModelPreset != "tiny" {
		names = append(names, "model_"+l.ModelPreset+".yaml")
	}
	if l.DataPreset != "default" {
		names = append(names, l.DataPreset+".yaml")
	}
	if l.Recipe != "" {
		if !slices.Contains(Recipes, l.Recipe) {
			return nil, fault.Usagef("no recipe %q (have %s)", l.Recipe, strings.Join(Recipes, ", "))
		}
		names = append(names, "recipe_"+l.Recipe+".yaml")
	}
	base := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range names {
		b, err := presets.ReadFile(name)
		if err != nil {
			return nil, err
		}
		n, err := parse(name, b)
		if err != nil {
			return nil, fmt.Errorf("embedded %w", err)
		}
		overlay(base, n)
	}
	for _, f := range []struct {
		name string
		yaml []byte
	}{{l.BaseName, l.Base}, {l.FileName, l.File}} {
		if len(bytes.TrimSpace(f.yaml)) == 0 {
			continue
		}
		n, err := parse(f.name, f.yaml)
		if err != nil {
			return nil, err
		}
		overlay(base, n)
	}
	for _, o := range l.Flags {
		n, err := o.node()
		if err != nil {
			return nil, err
		}
		overlay(base, n)
	}
	return base, nil
}

// parse reads one layer and checks its keys and types; nil for an empty document.
func parse(name string, b []byte) (*yaml.Node, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return &yaml.Node{Kind: yaml.MappingNode}, nil
		}
		return nil, fault.Usagef("%s: %w", name, err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fault.Usagef("%s: holds more than one YAML document", name)
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	}
	root.HeadComment = doc.HeadComment // a comment above the first key followed by an empty line
	if err := checkKeys(name, "", root, reflect.TypeFor[Config]()); err != nil {
		return nil, err
	}
	var c Config
	if err := root.Decode(&c); err != nil {
		return nil, fault.Usagef("%s: %w", name, err)
	}
	return root, nil
}

// placeIn names a node by file and line; what a flag says has no line.
func placeIn(file string, n *yaml.Node) string {
	if n.Line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, n.Line)
}

// checkKeys walks a layer along the Go type and refuses keys that the type does not have.
func checkKeys(file, path string, n *yaml.Node, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Map:
		if n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if err := checkKeys(file, path+n.Content[i].Value+".", n.Content[i+1], t.Elem()); err != nil {
					return err
				}
			}
		}
		return nil
	case reflect.Slice:
		if n.Kind == yaml.SequenceNode {
			for i, e := range n.Content {
				if err := checkKeys(file, fmt.Sprintf("%s[%d].", strings.TrimSuffix(path, "."), i), e, t.Elem()); err != nil {
					return err
				}
			}
		}
		return nil
	case reflect.Struct:
	default:
		return nil
	}
	if n.Kind != yaml.MappingNode {
		if path == "" {
			return fault.Usagef("%s: want keys and values (%s)", placeIn(file, n), strings.Join(keysOf(t), ", "))
		}
		return fault.Usagef("%s: %s holds keys of its own (%s), not a single value",
			placeIn(file, n), strings.TrimSuffix(path, "."), strings.Join(keysOf(t), ", "))
	}
	fields := fieldsOf(t)
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		ft, ok := fields[k.Value]
		if !ok {
			return fault.Usagef("%s: unknown key %s%s; did you mean %s?", placeIn(file, k), path, k.Value, nearest(path, k.Value, t))
		}
		if seen[k.Value] {
			return fault.Usagef("%s: key %s%s is given twice", placeIn(file, k), path, k.Value)
		}
		seen[k.Value] = true
		if err := checkKeys(file, path+k.Value+".", n.Content[i+1], ft); err != nil {
			return err
		}
	}
	return nil
}

// overlay lays the mapping b over the mapping a. Comments of a stay where b brings none.
func overlay(a, b *yaml.Node) {
	for i := 0; i+1 < len(b.Content); i += 2 {
		key, value := b.Content[i], b.Content[i+1]
		j := slices.IndexFunc(a.Content, func(n *yaml.Node) bool { return n.Value == key.Value })
		for j >= 0 && j%2 == 1 { // a value that happens to read like the key
			k := slices.IndexFunc(a.Content[j+1:], func(n *yaml.Node) bool { return n.Value == key.Value })
			if k < 0 {
				j = -1
				break
			}
			j += 1 + k
		}
		if j < 0 {
			a.Content = append(a.Content, key, value)
			continue
		}
		if key.HeadComment != "" {
			a.Content[j].HeadComment = key.HeadComment
		}
		if a.Content[j+1].Kind == yaml.MappingNode && value.Kind == yaml.MappingNode {
			overlay(a.Content[j+1], value)
		} else {
			a.Content[j+1] = value
		}
	}
}

// node builds the layer {a: {b: value}} for the key a.b.
func (o Override) node() (*yaml.Node, error) {
	var value yaml.Node
	if err := yaml.Unmarshal([]byte(o.Value), &value); err != nil || len(value.Content) != 1 {
		return nil, fault.Usagef("--%s: bad value %q", o.Flag, o.Value)
	}
	n := value.Content[0]
	parts := strings.Split(o.Key, ".")
	for _, p := range slices.Backward(parts) {
		n = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: p}, n}}
	}
	if err := checkKeys("--"+o.Flag, "", n, reflect.TypeFor[Config]()); err != nil {
		return nil, err
	}
	var c Config
	if err := n.Decode(&c); err != nil {
		return nil, fault.Usagef("--%s: bad value %q", o.Flag, o.Value)
	}
	return n, nil
}

// fieldsOf maps the YAML keys of a struct to their types, inlined structs included.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opt, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(opt, "inline"):
			for k, v := range fieldsOf(f.Type) {
				m[k] = v
			}
		case name != "" && name != "-":
			m[name] = f.Type
		}
	}
	return m
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for k := range fieldsOf(t) {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// nearest names the known key that is closest to an unknown one: among the keys beside it, or, when one
// of the same name stands elsewhere, that one by its full path.
func nearest(path, key string, t reflect.Type) string {
	best, dist := "", 1<<30
	for _, k := range keysOf(t) {
		if d := editDistance(key, k); d < dist {
			best, dist = path+k, d
		}
	}
	if dist > 2 {
		for _, full := range allKeys("", reflect.TypeFor[Config]()) {
			last := full[strings.LastIndexByte(full, '.')+1:]
			if d := editDistance(key, last); d < dist {
				best, dist = full, d
			}
		}
	}
	return best
}

// allKeys lists the dotted paths of all sections and keys.
func allKeys(path string, t reflect.Type) []string {
	var out []string
	fields := fieldsOf(t)
	for _, k := range keysOf(t) {
		ft := fields[k]
		for ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		out = append(out, path+k)
		if ft.Kind() == reflect.Struct {
			out = append(out, allKeys(path+k+".", ft)...)
		}
	}
	return out
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Diff names the keys, by dotted path, in which two configurations differ, with both values. Only the
// named sections are compared.
func Diff(a, b Config, sections ...string) []string {
	var out []string
	flat := func(c Config) map[string]string {
		m := map[string]string{}
		raw, err := json.Marshal(c)
		if err != nil {
			panic(err) // plain data always marshals
		}
		var v map[string]any
		if err := json.Unmarshal(raw, &v); err != nil {
			panic(err)
		}
		for _, s := range sections {
			flatten(s, v[s], m)
		}
		return m
	}
	ma, mb := flat(a), flat(b)
	keys := map[string]bool{}
	for k := range ma {
		keys[k] = true
	}
	for k := range mb {
		keys[k] = true
	}
	for k := range keys {
		if ma[k] != mb[k] {
			out = append(out, fmt.Sprintf("%s: %s there, %s now", k, orNone(ma[k]), orNone(mb[k])))
		}
	}
	slices.Sort(out)
	return out
}

func orNone(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}

func flatten(path string, v any, out map[string]string) {
	if m, ok := v.(map[string]any); ok {
		for k, e := range m {
			flatten(path+"."+k, e, out)
		}
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	out[path] = string(b)
}

// Package sample holds the one value that flows through prep: a sample with its key, its parts by
// modality, what was measured of it and, in the end, its tensors. It is plain data. How parts are found
// is internal/source's business, how they are read internal/media's, what is stored shards'.
package sample

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Modality names one of the six senses of the joint embedding; image and video share a tower but are
// stored apart, so there are seven.
type Modality uint8

// The modalities, in the order of the shards' columns.
const (
	Image Modality = iota
	Video
	Audio
	Text
	Depth
	Thermal
	IMU
	NumModalities
)

var modalityNames = [NumModalities]string{"image", "video", "audio", "text", "depth", "thermal", "imu"}

// String returns the lower-case name, which is also the column's name in a shard.
func (m Modality) String() string {
	if m < NumModalities {
		return modalityNames[m]
	}
	return fmt.Sprintf("modality(%d)", uint8(m))
}

// ParseModality is the inverse of String.
func ParseModality(s string) (Modality, error) {
	for i, n := range modalityNames {
		if n == s {
			return Modality(i), nil
		}
	}
	return 0, fmt.Errorf("no modality %q (want %s)", s, strings.Join(modalityNames[:], ", "))
}

// MarshalText writes the name.
func (m Modality) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the name.
func (m *Modality) UnmarshalText(b []byte) (err error) {
	*m, err = ParseModality(string(b))
	return err
}

// Part says where the raw material of one modality lies: a file, or a text given inline.
type Part struct {
	Modality Modality `json:"modality"`
	// Path is slash-separated and relative to the source's root; absolute only where the user allowed
	// files outside it. Empty for an inline text.
	Path string `json:"path,omitempty"`
	// Size is the file's size in bytes when the listing was made; a reader that finds another refuses.
	Size int64 `json:"size,omitempty"`
	// Text is the inline text; it counts when Path is empty.
	Text string `json:"text,omitempty"`
	// Texts are further inline texts of the sample, each as good as Text.
	Texts []string `json:"texts,omitempty"`
	// Start and End cut the medium, in seconds from its beginning. End 0 means up to the end.
	Start float64 `json:"start,omitempty"`
	End   float64 `json:"end,omitempty"`
	// Focal and Baseline are the depth camera's focal length in pixels and the distance of its two eyes in
	// metres, Encoding what its file's numbers are (a word of depth.encoding). Zero and empty: as configured.
	Focal    float64 `json:"focal_px,omitempty"`
	Baseline float64 `json:"baseline_m,omitempty"`
	Encoding string  `json:"encoding,omitempty"`
	// Gyro and GyroSize are the gyroscope's file where a recording's two sensors have a file each; Path and Size are
	// then the accelerometer's.
	Gyro     string `json:"gyro,omitempty"`
	GyroSize int64  `json:"gyro_size,omitempty"`
}

// Sample is one item of a data set. The exported JSON is its listing form: what is known before any
// file is opened. Reading and transforming fill the rest.
type Sample struct {
	Key    string   `json:"key"`
	Labels []string `json:"labels,omitempty"`
	// Parts has at most one entry for each modality, in the order of the modalities.
	Parts []Part `json:"parts,omitempty"`
	// SyncOffset is audio start minus video start in seconds as a manifest states it; nil if it does not.
	SyncOffset *float64 `json:"sync_offset_s,omitempty"`
	// Problem, when set, says why this listed sample cannot be read (for example "missing"): it becomes
	// a failed ledger row with that reason. ProblemDetail is the sentence for a person.
	Problem       string `json:"problem,omitempty"`
	ProblemDetail string `json:"problem_detail,omitempty"`

	Caption string `json:"-"` // decoded, cleaned of surrounding white space
	// Captions are all captions, Caption first, where the data set's rows have several; nil elsewhere.
	Captions []string `json:"-"`
	Metrics  Metrics  `json:"-"`
	// Notes say what was odd about the sample and did not cost it: the ledger's detail.
	Notes   []string              `json:"-"`
	Tensors [NumModalities]Tensor `json:"-"` // zero value: absent
	// Texts is the column of that name: the tokens of Captions, [n,77].
	Texts Tensor `json:"-"`
}

// ColumnTexts is the tensor column that is no modality's: the tokens of several captions.
const ColumnTexts = "texts"

// Tensor returns the tensor of a column, absent where the sample has none.
func (s *Sample) Tensor(column string) Tensor {
	if column == ColumnTexts {
		return s.Texts
	}
	m, err := ParseModality(column)
	if err != nil {
		return Tensor{}
	}
	return s.Tensors[m]
}

// AllTensors gives the tensors that are there, by column.
func (s *Sample) AllTensors() iter.Seq2[string, Tensor] {
	return func(yield func(string, Tensor) bool) {
		for m, t := range s.Tensors {
			if !t.Absent() && !yield(Modality(m).String(), t) {
				return
			}
		}
		if !s.Texts.Absent() {
			yield(ColumnTexts, s.Texts)
		}
	}
}

// Part returns the part of modality m, or nil.
func (s *Sample) Part(m Modality) *Part {
	for i := range s.Parts {
		if s.Parts[i].Modality == m {
			return &s.Parts[i]
		}
	}
	return nil
}

// Paths lists the files of the sample in the order of its parts, without repeats (a video's picture and
// sound are one file).
func (s *Sample) Paths() []string {
	var out []string
	for _, p := range s.Parts {
		for _, name := range []string{p.Path, p.Gyro} {
			if name != "" && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

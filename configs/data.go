package configs

import "go.yaml.in/yaml/v3"

// Source says where samples come from and how labels become text.
type Source struct {
	Kind         string    `yaml:"kind" json:"kind"`
	Template     Templates `yaml:"template" json:"template"`
	AllowOutside bool      `yaml:"allow_outside" json:"allow_outside"`
	TextLines    int       `yaml:"text_lines" json:"text_lines"`
	// What follows is of single layouts.
	SceneTemplate string `yaml:"scene_template" json:"scene_template"`
	SUNDepth      string `yaml:"sun_depth" json:"sun_depth"`
}

// Templates is one text or a list of them.
type Templates []string

// UnmarshalYAML takes a text as a list of one.
func (t *Templates) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*t = Templates{""}
		return n.Decode(&(*t)[0])
	}
	return n.Decode((*[]string)(t))
}

// Audio says how sound becomes the tensor [clips,1,128,204].
type Audio struct {
	Clips      int     `yaml:"clips" json:"clips"`
	Channel    string  `yaml:"channel" json:"channel"`
	Mean       string  `yaml:"mean" json:"mean"`
	DType      string  `yaml:"dtype" json:"dtype"`
	MaxSeconds float64 `yaml:"max_seconds" json:"max_seconds"`
	MP3        string  `yaml:"mp3" json:"mp3"`
}

// Image says how pictures become the tensor [3,224,224].
type Image struct {
	Orientation    string `yaml:"orientation" json:"orientation"`
	Alpha          string `yaml:"alpha" json:"alpha"`
	Depth16        string `yaml:"depth16" json:"depth16"`
	JPEG           string `yaml:"jpeg" json:"jpeg"`
	MaxPixels      int64  `yaml:"max_pixels" json:"max_pixels"`
	AllowTruncated bool   `yaml:"allow_truncated" json:"allow_truncated"`
	Scaled         bool   `yaml:"scaled" json:"scaled"`
}

// Video says how moving pictures become the tensor [3,2,224,224], or [clips*crops,3,2,224,224].
type Video struct {
	Frames      bool   `yaml:"frames" json:"frames"`
	Clips       int    `yaml:"clips" json:"clips"`
	Crops       int    `yaml:"crops" json:"crops"`
	OneTrack    string `yaml:"one_track" json:"one_track"`
	ContentSync bool   `yaml:"content_sync" json:"content_sync"`
}

// Text says how a caption becomes 77 token ids.
type Text struct {
	SpecialTokens string `yaml:"special_tokens" json:"special_tokens"`
	Captions      int    `yaml:"captions" json:"captions"`
}

// Depth says how depth maps become disparity, [1,224,224].
type Depth struct {
	Encoding      string  `yaml:"encoding" json:"encoding"`
	UnitsPerMetre float64 `yaml:"units_per_metre" json:"units_per_metre"`
	FocalPx       float64 `yaml:"focal_px" json:"focal_px"`
	BaselineM     float64 `yaml:"baseline_m" json:"baseline_m"`
	MinM          float64 `yaml:"min_m" json:"min_m"`
	MaxM          float64 `yaml:"max_m" json:"max_m"`
	Missing       string  `yaml:"missing" json:"missing"`
	MaxDisparity  float64 `yaml:"max_disparity" json:"max_disparity"`
}

// DepthEncodings are the words of depth.encoding.
var DepthEncodings = []string{"auto", "mm", "m", "units", "sunrgbd", "nyu", "disparity"}

// Thermal says how heat pictures become the tensor [1,224,224]: the range of the files whose samples are not
// 8-bit levels, none when Max is not above Min.
type Thermal struct {
	Min float64 `yaml:"min" json:"min"`
	Max float64 `yaml:"max" json:"max"`
}

// IMU says how recordings of inertial sensors become the tensor [6,2000].
type IMU struct {
	Columns      string  `yaml:"columns" json:"columns"`
	AccelColumns string  `yaml:"accel_columns" json:"accel_columns"`
	GyroColumns  string  `yaml:"gyro_columns" json:"gyro_columns"`
	TimeUnit     string  `yaml:"time_unit" json:"time_unit"`
	Rate         float64 `yaml:"rate" json:"rate"`
	AccelUnit    string  `yaml:"accel_unit" json:"accel_unit"`
	GyroUnit     string  `yaml:"gyro_unit" json:"gyro_unit"`
	PadSeconds   float64 `yaml:"pad_seconds" json:"pad_seconds"`
}

// Flip says when pictures are mirrored: at load, by the trainer, or at ingest, for good.
type Flip struct {
	When string `yaml:"when" json:"when"`
	Seed uint64 `yaml:"seed" json:"seed"`
}

// Rule is one filter: a bound on one metric. A nil bound does not apply; Off switches the whole rule
// off. Unknown says what becomes of a sample whose value could not be determined: keep or drop. A
// sample that has nothing to measure (no sound, say) is always kept.
type Rule struct {
	Off     bool     `yaml:"off" json:"off"`
	Min     *float64 `yaml:"min,omitempty" json:"min,omitempty"`
	Max     *float64 `yaml:"max,omitempty" json:"max,omitempty"`
	Unknown string   `yaml:"unknown,omitempty" json:"unknown"`
}

// SNRRule is the rule on the signal-to-noise ratio, with the estimator that measures it.
type SNRRule struct {
	Rule   `yaml:",inline"`
	Method string `yaml:"method" json:"method"`
}

// Duplicates says what validation does with pictures that occur again.
type Duplicates struct {
	Images   string `yaml:"images" json:"images"`
	Distance int    `yaml:"distance" json:"distance"`
}

// TextRule is the rule on the length of captions, with the unit that it counts.
type TextRule struct {
	Rule `yaml:",inline"`
	Unit string `yaml:"unit" json:"unit"`
}

// Filters holds the rules. Values are measured and stored also where a rule is off.
type Filters struct {
	SNR     SNRRule  `yaml:"snr" json:"snr"`
	MinText TextRule `yaml:"min_text" json:"min_text"`
	MaxSync Rule     `yaml:"max_sync" json:"max_sync"`

	ImageSide    Rule       `yaml:"image_side" json:"image_side"`
	ImageAspect  Rule       `yaml:"image_aspect" json:"image_aspect"`
	ImageBlur    Rule       `yaml:"image_blur" json:"image_blur"`
	ImageEntropy Rule       `yaml:"image_entropy" json:"image_entropy"`
	ImageSpread  Rule       `yaml:"image_spread" json:"image_spread"`
	Duplicates   Duplicates `yaml:"duplicates" json:"duplicates"`

	DepthValid    Rule `yaml:"depth_valid" json:"depth_valid"`
	ThermalSpread Rule `yaml:"thermal_spread" json:"thermal_spread"`
	IMUGravity    Rule `yaml:"imu_gravity" json:"imu_gravity"`
	IMUGap        Rule `yaml:"imu_gap" json:"imu_gap"`
}

// Shards says how the output is cut.
type Shards struct {
	Samples   int `yaml:"samples" json:"samples"`
	BatchRows int `yaml:"batch_rows" json:"batch_rows"`
}

// Ingest holds what decides speed and memory but no byte of the output.
type Ingest struct {
	Workers         int     `yaml:"workers" json:"workers"`
	Buffer          int     `yaml:"buffer" json:"buffer"`
	FFmpegSeconds   float64 `yaml:"ffmpeg_seconds" json:"ffmpeg_seconds"`
	FFmpegMB        int64   `yaml:"ffmpeg_mb" json:"ffmpeg_mb"`
	MaxFileMB       int64   `yaml:"max_file_mb" json:"max_file_mb"`
	ProgressSeconds float64 `yaml:"progress_seconds" json:"progress_seconds"`
	IMUCacheMB      int64   `yaml:"imu_cache_mb" json:"imu_cache_mb"`
}

// With returns the filters with overrides of keys below "filters." applied.
func (f Filters) With(overrides []Override) (Filters, error) {
	b, err := yaml.Marshal(struct {
		Filters Filters `yaml:"filters"`
	}{f})
	if err != nil {
		return f, err
	}
	c, err := Load(Layers{FileName: "filters", File: b, Flags: overrides})
	return c.Filters, err
}

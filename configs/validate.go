package configs

import (
	"math"
	"slices"
	"strings"

	"prep/internal/fault"
)

// SNRMethods are the estimators of the signal-to-noise ratio that filters.snr.method names (package
// filters).
var SNRMethods = []string{"learned-4", "tf-floor-1", "wada", "nist-stnr"}

// validate checks what the types cannot: words from a fixed list, and ranges.
func (c *Config) validate() error {
	words := []struct {
		key, value string
		known      []string
	}{
		{"source.kind", c.Source.Kind, []string{"auto", "audioset", "pairs", "manifest", "sunrgbd", "llvip", "ego4d"}},
		{"audio.channel", c.Audio.Channel, []string{"mean", "first"}},
		{"audio.mean", c.Audio.Mean, []string{"clip", "imagebind"}},
		{"audio.dtype", c.Audio.DType, []string{"float16", "float32"}},
		{"image.orientation", c.Image.Orientation, []string{"apply", "ignore"}},
		{"image.alpha", c.Image.Alpha, []string{"white", "black", "drop"}},
		{"image.depth16", c.Image.Depth16, []string{"scale", "clip"}},
		{"audio.mp3", c.Audio.MP3, []string{"auto", "libmpg123", "go"}},
		{"image.jpeg", c.Image.JPEG, []string{"auto", "turbo", "go"}},
		{"source.sun_depth", c.Source.SUNDepth, []string{"depth_bfx", "depth"}},
		{"depth.encoding", c.Depth.Encoding, DepthEncodings},
		{"depth.missing", c.Depth.Missing, []string{"far", "near"}},
		{"imu.time_unit", c.IMU.TimeUnit, []string{"auto", "s", "ms", "us", "ns"}},
		{"imu.accel_unit", c.IMU.AccelUnit, []string{"auto", "m/s2", "g"}},
		{"imu.gyro_unit", c.IMU.GyroUnit, []string{"auto", "rad/s", "deg/s"}},
		{"flip.when", c.Flip.When, []string{"load", "ingest"}},
		{"video.one_track", c.Video.OneTrack, []string{"keep", "fail"}},
		{"text.special_tokens", c.Text.SpecialTokens, []string{"inert", "imagebind"}},
		{"filters.snr.method", c.Filters.SNR.Method, SNRMethods},
		{"filters.snr.unknown", c.Filters.SNR.Unknown, []string{"keep", "drop"}},
		{"filters.min_text.unknown", c.Filters.MinText.Unknown, []string{"keep", "drop"}},
		{"filters.min_text.unit", c.Filters.MinText.Unit, []string{"characters", "words", "tokens", "code_points"}},
		{"filters.max_sync.unknown", c.Filters.MaxSync.Unknown, []string{"keep", "drop"}},
		{"filters.image_side.unknown", c.Filters.ImageSide.Unknown, []string{"keep", "drop"}},
		{"filters.image_aspect.unknown", c.Filters.ImageAspect.Unknown, []string{"keep", "drop"}},
		{"filters.image_blur.unknown", c.Filters.ImageBlur.Unknown, []string{"keep", "drop"}},
		{"filters.image_entropy.unknown", c.Filters.ImageEntropy.Unknown, []string{"keep", "drop"}},
		{"filters.image_spread.unknown", c.Filters.ImageSpread.Unknown, []string{"keep", "drop"}},
		{"filters.duplicates.images", c.Filters.Duplicates.Images, []string{"keep", "exact", "drop"}},
		{"filters.depth_valid.unknown", c.Filters.DepthValid.Unknown, []string{"keep", "drop"}},
		{"filters.thermal_spread.unknown", c.Filters.ThermalSpread.Unknown, []string{"keep", "drop"}},
		{"filters.imu_gravity.unknown", c.Filters.IMUGravity.Unknown, []string{"keep", "drop"}},
		{"filters.imu_gap.unknown", c.Filters.IMUGap.Unknown, []string{"keep", "drop"}},
	}
	for _, w := range words {
		if !slices.Contains(w.known, w.value) {
			return fault.Usagef("%s: %q is not one of %s", w.key, w.value, strings.Join(w.known, ", "))
		}
	}
	ranges := []struct {
		key           string
		value, lo, hi float64
	}{
		{"audio.clips", float64(c.Audio.Clips), 1, 64},
		{"audio.max_seconds", c.Audio.MaxSeconds, 2, 36000},
		{"image.max_pixels", float64(c.Image.MaxPixels), 1, 1 << 32},
		{"filters.duplicates.distance", float64(c.Filters.Duplicates.Distance), 0, 3},
		{"source.text_lines", float64(c.Source.TextLines), 0, 1000},
		{"text.captions", float64(c.Text.Captions), 0, 64},
		{"depth.units_per_metre", c.Depth.UnitsPerMetre, 1e-6, 1e9},
		{"depth.focal_px", c.Depth.FocalPx, 1, 1e6},
		{"depth.baseline_m", c.Depth.BaselineM, 1e-4, 100},
		{"depth.min_m", c.Depth.MinM, 1e-4, 1e6},
		{"depth.max_m", c.Depth.MaxM, c.Depth.MinM, 1e6},
		{"depth.max_disparity", c.Depth.MaxDisparity, 0, 1e6},
		{"thermal.min", c.Thermal.Min, -1e9, 1e9},
		{"thermal.max", c.Thermal.Max, -1e9, 1e9},
		{"imu.rate", c.IMU.Rate, 1, 1e6},
		{"imu.pad_seconds", c.IMU.PadSeconds, 0, 5},
		{"ingest.imu_cache_mb", float64(c.Ingest.IMUCacheMB), 1, 1 << 20},
		{"shards.samples", float64(c.Shards.Samples), 1, 1 << 20},
		{"shards.batch_rows", float64(c.Shards.BatchRows), 1, 1 << 16},
		{"ingest.workers", float64(c.Ingest.Workers), 0, 4096},
		{"ingest.buffer", float64(c.Ingest.Buffer), 1, 65536},
		{"ingest.ffmpeg_seconds", c.Ingest.FFmpegSeconds, 1, 86400},
		{"video.clips", float64(c.Video.Clips), 1, 16},
		{"video.crops", float64(c.Video.Crops), 1, 3},
		{"ingest.ffmpeg_mb", float64(c.Ingest.FFmpegMB), 512, 1 << 20},
		{"ingest.max_file_mb", float64(c.Ingest.MaxFileMB), 1, 65536},
		{"ingest.progress_seconds", c.Ingest.ProgressSeconds, 0.1, 3600},
	}
	for _, r := range ranges {
		if math.IsNaN(r.value) || r.value < r.lo || r.value > r.hi {
			return fault.Usagef("%s: %g is outside %g to %g", r.key, r.value, r.lo, r.hi)
		}
	}
	if c.Video.Crops == 2 {
		return fault.Usagef("video.crops: 2 is not one of 1 (the centre), 3 (the centre and both ends)")
	}
	for key, r := range map[string]Rule{"filters.snr": c.Filters.SNR.Rule, "filters.min_text": c.Filters.MinText.Rule, "filters.max_sync": c.Filters.MaxSync,
		"filters.image_side": c.Filters.ImageSide, "filters.image_aspect": c.Filters.ImageAspect, "filters.image_blur": c.Filters.ImageBlur,
		"filters.image_entropy": c.Filters.ImageEntropy, "filters.image_spread": c.Filters.ImageSpread,
		"filters.depth_valid": c.Filters.DepthValid, "filters.thermal_spread": c.Filters.ThermalSpread, "filters.imu_gravity": c.Filters.IMUGravity, "filters.imu_gap": c.Filters.IMUGap} {
		for _, b := range []*float64{r.Min, r.Max} {
			if b != nil && (math.IsNaN(*b) || math.IsInf(*b, 0)) {
				return fault.Usagef("%s: a bound must be a finite number", key)
			}
		}
	}
	if n := len(c.IMU.ColumnNames()); n != 0 && n != 6 && n != 7 {
		return fault.Usagef("imu.columns: %d names; want six (accelerometer x, y, z, gyroscope x, y, z), or seven with the time before them", n)
	}
	for key, names := range map[string][]string{"imu.accel_columns": c.IMU.AccelColumnNames(), "imu.gyro_columns": c.IMU.GyroColumnNames()} {
		if n := len(names); n != 0 && n != 3 && n != 4 {
			return fault.Usagef("%s: %d names; want three (x, y, z), or four with the time before them", key, n)
		}
	}
	if !strings.Contains(c.Source.SceneTemplate, "{labels}") && !strings.Contains(c.Source.SceneTemplate, "{label}") {
		return fault.Usagef("source.scene_template: %q has no {label}", c.Source.SceneTemplate)
	}
	for _, t := range c.Source.Template {
		if !strings.Contains(t, "{labels}") && !strings.Contains(t, "{label}") {
			return fault.Usagef("source.template: %q has no {labels} (all of them) or {label} (each by itself)", t)
		}
	}
	if err := c.Train.Check(); err != nil {
		return err
	}
	return c.Model.Check()
}

// ColumnNames splits Columns at its commas.
func (c IMU) ColumnNames() []string { return commaList(c.Columns) }

// AccelColumnNames splits AccelColumns at its commas.
func (c IMU) AccelColumnNames() []string { return commaList(c.AccelColumns) }

// GyroColumnNames splits GyroColumns at its commas.
func (c IMU) GyroColumnNames() []string { return commaList(c.GyroColumns) }

// commaList splits a list at its commas; nothing is no list.
func commaList(s string) []string {
	if s == "" {
		return nil
	}
	names := strings.Split(s, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// Package filters measures the quality of samples and holds the rules over what was measured. Measuring
// and judging are apart: every value is stored for every sample, kept or not, and a rule sees only stored
// values, so that a threshold can be changed later without touching the media. How media are decoded is
// left to internal/media, what a rule costs a sample to the caller.
package filters

import (
	"prep/configs"
	"prep/internal/sample"
)

// Fields lists the metric columns in their fixed order.
func Fields() []sample.MetricField {
	return append([]sample.MetricField{
		{Name: "audio_duration_s", Kind: sample.Number, Unit: "s", Doc: "length of the decoded sound"},
		{Name: "audio_snr_db", Kind: sample.Number, Unit: "dB", Doc: "signal over noise, blind: active level over the mean noise, -15 to 60"},
		{Name: "audio_snr_method", Kind: sample.Word, Doc: "the estimator: learned-4, tf-floor-1 (noise floor in time and frequency), wada or nist-stnr"},
		{Name: "audio_snr_status", Kind: sample.Word, Doc: "ok, unknown (no blind method can tell at this limit) or invalid (not finite)"},
		{Name: "audio_snr_reason", Kind: sample.Word, Doc: "why unknown or invalid: silent, too_short, too_quiet, one_peak, ambiguous_floor, noise_like, gated, non_finite"},
		{Name: "audio_snr_low_db", Kind: sample.Number, Unit: "dB", Doc: "learned-4: lower end of the range that holds the truth in four of five cases; tf-floor-1: least of its three floors' values"},
		{Name: "audio_snr_high_db", Kind: sample.Number, Unit: "dB", Doc: "learned-4: upper end of that range; tf-floor-1: greatest of its three floors' values"},
		{Name: "audio_snr_optimistic_db", Kind: sample.Number, Unit: "dB", Doc: "value over the floor at quantile 0.05"},
		{Name: "audio_noise_odds", Kind: sample.Number, Doc: "learned-4's log odds that the sound is noise alone, and 0.6 of its score: above -2.2 a sound below the limit is unknown"},
		{Name: "audio_texture_db", Kind: sample.Number, Unit: "dB", Doc: "spread of band levels that loudness does not explain; white noise has 0.75"},
		{Name: "audio_tonal_ratio", Kind: sample.Number, Doc: "share of lasting power in narrow peaks"},
		{Name: "audio_zero_ratio", Kind: sample.Number, Doc: "share of frames of digital silence inside the sound"},
		{Name: "audio_padding_ratio", Kind: sample.Number, Doc: "share of samples in constant runs of 20 ms or more at the ends"},
		{Name: "audio_peak_db", Kind: sample.Number, Unit: "dBFS", Doc: "largest absolute sample of the decoded file, any channel"},
		{Name: "audio_dc", Kind: sample.Number, Doc: "mean of the decoded samples, full scale 1, of the channel where it is largest"},
		{Name: "audio_clipped_ratio", Kind: sample.Number, Doc: "share of decoded samples at 0.999 of full scale or in flat tops below it"},
		{Name: "audio_zero_run_s", Kind: sample.Number, Unit: "s", Doc: "longest run of zeros in all channels; runs below 2.7 ms may be missed"},
		{Name: "audio_zero_runs", Kind: sample.Count, Doc: "runs of zeros of 10 ms or more inside the sound, not at its ends"},
		{Name: "audio_loudness_lufs", Kind: sample.Number, Unit: "LUFS", Doc: "integrated loudness of the decoded file, all channels (EBU R 128, ITU-R BS.1770-4)"},
		{Name: "audio_bandwidth_hz", Kind: sample.Number, Unit: "Hz", Doc: "highest frequency that holds sound in the loudest channel; 4000 for upsampled telephone sound"},
		{Name: "audio_silence_ratio", Kind: sample.Number, Doc: "share of 20 ms frames below -60 dBFS"},
		{Name: "text_chars", Kind: sample.Count, Doc: "user-perceived characters of the trimmed caption (Unicode UAX 29)"},
		{Name: "text_words", Kind: sample.Count, Doc: "words of the caption: those of Unicode UAX 29 with a letter or number"},
		{Name: "text_code_points", Kind: sample.Count, Doc: "code points of the trimmed caption"},
		{Name: "text_boilerplate", Kind: sample.Word, Doc: "what the caption is instead of one: file_name, url, placeholder, credit"},
		{Name: "sync_offset_s", Kind: sample.Number, Unit: "s", Doc: "sound start minus picture start"},
		{Name: "sync_method", Kind: sample.Word, Doc: "where the offset is from: the reader of the container (container-mp4, ...), ffprobe, or the manifest"},
		{Name: "sync_length_diff_s", Kind: sample.Number, Unit: "s", Doc: "length of the sound minus length of the pictures, of the whole container"},
		{Name: "sync_drift_s", Kind: sample.Number, Unit: "s", Doc: "length of the decoded sound minus its length on the container's clock: gaps, or clocks that ran apart; within 0.05 s it is rounding"},
		{Name: "sync_content_offset_s", Kind: sample.Number, Unit: "s", Doc: "sound of an event minus its picture on the container's clock, by correlation; only with video.content_sync"},
		{Name: "sync_content_confidence", Kind: sample.Number, Doc: "how far the correlation at that offset stands above any other, 0 to 1"},
		{Name: "sync_content_status", Kind: sample.Word, Doc: "ok, or unknown below a confidence of 0.4"},
		{Name: "sync_content_reason", Kind: sample.Word, Doc: "why unknown: too_short, still, silent or weak"},
	}, append(pictureFields(), sensorFields()...)...)
}

// MeasureAudio measures mono sound at 16 kHz, as the model hears it; MeasureSource measures the file. The length in
// seconds is the caller's to store: it knows the file's own rate.
func MeasureAudio(mono []float32, cfg configs.Filters) sample.Metrics {
	m := sample.Metrics{}
	var levels blockLevels
	levels.measure(mono)
	e := estimateSNR(mono, &levels, cfg.SNR.Method)
	limit := defaultLimit
	if cfg.SNR.Min != nil {
		limit = *cfg.SNR.Min
	}
	status, reason := e.Decide(limit)
	m["audio_snr_method"], m["audio_snr_status"] = e.Method, status
	if reason != "" {
		m["audio_snr_reason"] = reason
	}
	if e.Unmeasured != "non_finite" && len(mono) > 0 {
		m["audio_silence_ratio"] = silenceRatio(mono, &levels)
	}
	if e.hasFloor() && e.Unmeasured != "non_finite" {
		m["audio_padding_ratio"] = e.Padded
	}
	if !e.Measured {
		return m
	}
	m["audio_snr_db"] = e.SNR
	if e.Method == LearnedMethod {
		m["audio_noise_odds"] = e.NoiseOdds
	}
	if e.hasFloor() {
		m["audio_snr_low_db"], m["audio_snr_high_db"], m["audio_snr_optimistic_db"] = e.Low, e.High, e.Optimistic
		m["audio_texture_db"], m["audio_tonal_ratio"], m["audio_zero_ratio"] = e.Texture, e.Tonal, e.Zero
	}
	return m
}

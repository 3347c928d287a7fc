package filters

import (
	"fmt"
	"math"

	"prep/configs"
	"prep/internal/sample"
)

// A Rule is one bound on what was measured.
type Rule struct {
	Name   string // as in the configuration: snr, min_text, max_sync
	Metric string // the column it looks at
	cfg    configs.Rule
	judge  func(cfg configs.Rule, m sample.Metrics) Verdict
}

// Verdict is what a rule says of a sample.
type Verdict struct {
	Rule    string
	Drop    bool   // the sample is to be rejected
	Unknown bool   // the value could not be determined; whether that drops is the rule's setting
	Reason  string // low_snr, short_text, sync_offset, unknown_snr, invalid_audio
	Detail  string // a sentence with the figures
}

// Rules lists the rules that are on, in the order in which they give the reason: the registry.
func Rules(cfg configs.Filters) []Rule {
	all := []Rule{
		{"snr", "audio_snr_db", cfg.SNR.Rule, judgeSNR},
		{"min_text", textUnits[cfg.MinText.Unit].metric, cfg.MinText.Rule, judgeText(textUnits[cfg.MinText.Unit])},
		{"max_sync", "sync_offset_s", cfg.MaxSync, judgeSync},
	}
	all = append(all, pictureRules(cfg)...)
	all = append(all, sensorRules(cfg)...)
	var on []Rule
	for _, r := range all {
		if !r.cfg.Off {
			on = append(on, r)
		}
	}
	return on
}

// Judge returns what every rule has to say against a sample: it drops, or could not decide. It looks only
// at stored metrics, so that ingest and a later validation agree. The first verdict that drops gives the
// sample's reason.
func Judge(rules []Rule, m sample.Metrics) []Verdict {
	var out []Verdict
	for _, r := range rules {
		v := r.judge(r.cfg, m)
		if v.Unknown && r.cfg.Unknown == "drop" {
			v.Drop = true
		}
		if v.Drop || v.Unknown {
			v.Rule = r.Name
			out = append(out, v)
		}
	}
	return out
}

// judgeSNR decides anew, at its own limit, whether the stored estimate can be held against it.
func judgeSNR(cfg configs.Rule, m sample.Metrics) Verdict {
	if m.Word("audio_snr_status") == "" {
		return Verdict{} // no sound
	}
	value, measured := m.Number("audio_snr_db")
	e := SNR{Method: m.Word("audio_snr_method"), Measured: measured, SNR: value}
	if !measured {
		e.Unmeasured = m.Word("audio_snr_reason")
	}
	e.Optimistic, _ = m.Number("audio_snr_optimistic_db")
	e.NoiseOdds, _ = m.Number("audio_noise_odds")
	e.Texture, _ = m.Number("audio_texture_db")
	e.Tonal, _ = m.Number("audio_tonal_ratio")
	e.Zero, _ = m.Number("audio_zero_ratio")
	limit := math.Inf(-1)
	if cfg.Min != nil {
		limit = *cfg.Min
	}
	status, reason := e.Decide(limit)
	switch {
	case status == "invalid":
		return Verdict{Drop: true, Reason: "invalid_audio", Detail: "the sound holds samples that are no finite numbers"}
	case status == "unknown":
		v := Verdict{Unknown: true, Reason: "unknown_snr", Detail: fmt.Sprintf("SNR unknown: %s", reason)}
		if measured {
			v.Detail = fmt.Sprintf("SNR unknown: %s (the value is %.1f dB)", reason, value)
		}
		return v
	case value < limit:
		return Verdict{Drop: true, Reason: "low_snr", Detail: fmt.Sprintf("SNR %.1f dB is below %g dB", value, limit)}
	case cfg.Max != nil && value >= *cfg.Max:
		return Verdict{Drop: true, Reason: "high_snr", Detail: fmt.Sprintf("SNR %.1f dB is not below %g dB", value, *cfg.Max)}
	}
	return Verdict{}
}

func judgeSync(cfg configs.Rule, m sample.Metrics) Verdict {
	v, ok := m.Number("sync_offset_s")
	switch {
	case !ok && m.Word("sync_method") != "":
		return Verdict{Unknown: true, Reason: "unknown_sync", Detail: "the offset between sound and picture could not be determined"}
	case !ok:
		return Verdict{} // no common clock: nothing to be in step with
	case cfg.Max != nil && math.Abs(v) >= *cfg.Max:
		return Verdict{Drop: true, Reason: "sync_offset", Detail: fmt.Sprintf("sound and picture are %.3f s apart; %g s or more is too far", v, *cfg.Max)}
	}
	return Verdict{}
}

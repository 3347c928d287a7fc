package filters

import (
	"fmt"
	"math"
	"slices"

	"prep/configs"
	"prep/internal/sample"
)

// sensorFields are the columns of depth, thermal and inertial sensors.
func sensorFields() []sample.MetricField {
	return []sample.MetricField{
		{Name: "depth_valid_ratio", Kind: sample.Number, Doc: "share of the depth map's pixels that have depth"},
		{Name: "depth_min_m", Kind: sample.Number, Unit: "m", Doc: "nearest depth of the map, before it is cut"},
		{Name: "depth_max_m", Kind: sample.Number, Unit: "m", Doc: "farthest depth of the map, before it is cut"},
		{Name: "depth_mean_m", Kind: sample.Number, Unit: "m", Doc: "mean of the pixels that have depth, before they are cut"},
		{Name: "depth_focal_px", Kind: sample.Number, Unit: "px", Doc: "focal length that made disparity of depth"},
		{Name: "thermal_spread", Kind: sample.Number, Doc: "levels (of 255) between the darkest and the brightest hundredth of the heat picture"},
		{Name: "imu_rate_hz", Kind: sample.Number, Unit: "Hz", Doc: "median rate of the recording within the window; of two files the lower"},
		{Name: "imu_gravity", Kind: sample.Number, Unit: "m/s2", Doc: "median magnitude of acceleration in the window; at rest 9.81"},
		{Name: "imu_gyro_peak", Kind: sample.Number, Unit: "rad/s", Doc: "largest turn about one axis in the window; gyroscopes end at 35 (2000 degrees a second)"},
		{Name: "imu_gap_s", Kind: sample.Number, Unit: "s", Doc: "longest time without a sample in the window"},
		{Name: "imu_missing_ratio", Kind: sample.Number, Doc: "share of the window's values that are empty or not finite"},
		{Name: "imu_saturated_ratio", Kind: sample.Number, Doc: "share of the window's samples that stand at their sensor's end: three or more equal largest values in a row, at 2 g or 250 degrees a second or more"},
		{Name: "imu_offset_s", Kind: sample.Number, Unit: "s", Doc: "middle of the window minus the moment that the listing asked for"},
	}
}

// MeasureThermal measures levels, in 0 to 255, of a heat picture.
func MeasureThermal(levels []uint8) sample.Metrics {
	var count [256]int
	for _, v := range levels {
		count[v]++
	}
	at := func(share float64) float64 {
		left := int(share * float64(len(levels)-1))
		for v, n := range count {
			if left -= n; left < 0 {
				return float64(v)
			}
		}
		return 255
	}
	return sample.Metrics{"thermal_spread": at(0.99) - at(0.01)}
}

// Ends of the smallest ranges that sensors are sold with, less two hundredths: what is below is no saturation.
const (
	leastAccelEnd = 0.98 * 2 * 9.80665
	leastGyroEnd  = 0.98 * 250 * math.Pi / 180
)

// MotionRows are rows of one table of a recording, on the recording's clock.
type MotionRows struct {
	Time []float64 // in seconds, rising
	// Values are accelerometer x, y, z in m/s2 and gyroscope x, y, z in rad/s, NaN where missing; nil for a sensor
	// whose table this is not.
	Values [6][]float32
}

// MeasureMotion measures the rows that lie within a window [from, to) of a recording's clock: one table, or one for
// each of its two sensors. Of two tables the longer gap and the lower rate count.
func MeasureMotion(from, to float64, tables ...MotionRows) sample.Metrics {
	m := sample.Metrics{}
	longest, rate, peak := 0.0, math.Inf(1), 0.0
	missing, saturated, values := 0, 0, 0
	var magnitudes []float64
	for _, table := range tables {
		gap, last := 0.0, from
		steps := make([]float64, 0, len(table.Time))
		accel := table.Values[0] != nil
		for i, at := range table.Time {
			square, whole, any := 0.0, accel, false
			for c, column := range table.Values {
				if column == nil {
					continue
				}
				values++
				v := float64(column[i])
				if v-v != 0 {
					missing++
					whole = whole && c > 2
					continue
				}
				any = true
				if c < 3 {
					square += float64(v * v)
				} else {
					peak = math.Max(peak, math.Abs(v))
				}
			}
			if whole {
				magnitudes = append(magnitudes, math.Sqrt(square))
			}
			if i > 0 {
				steps = append(steps, at-table.Time[i-1])
			}
			if any {
				gap, last = math.Max(gap, at-last), at
			}
		}
		longest = math.Max(longest, math.Max(gap, to-last))
		for c, column := range table.Values {
			least := leastAccelEnd
			if c > 2 {
				least = leastGyroEnd
			}
			saturated += saturatedRuns(column, least)
		}
		if len(steps) > 0 {
			slices.Sort(steps)
			rate = math.Min(rate, 1/steps[len(steps)/2])
		}
	}
	m["imu_gap_s"] = longest
	if values == 0 {
		return m
	}
	m["imu_missing_ratio"] = float64(missing) / float64(values)
	m["imu_saturated_ratio"] = float64(saturated) / float64(values)
	m["imu_gyro_peak"] = peak
	if len(magnitudes) > 0 {
		slices.Sort(magnitudes)
		m["imu_gravity"] = magnitudes[len(magnitudes)/2]
	}
	if !math.IsInf(rate, 1) {
		m["imu_rate_hz"] = rate
	}
	return m
}

// saturatedRuns counts the samples in runs of three or more at the largest magnitude of the axis, either sign.
func saturatedRuns(x []float32, least float64) int {
	var end float32
	for _, v := range x {
		if a := float32(math.Abs(float64(v))); a > end {
			end = a
		}
	}
	if float64(end) < least {
		return 0
	}
	n, run := 0, 0
	for i, v := range x {
		if v != end && v != -end {
			run = 0
			continue
		}
		if run > 0 && v != x[i-1] {
			run = 0
		}
		switch run++; {
		case run == 3:
			n += 3
		case run > 3:
			n++
		}
	}
	return n
}

// bounds is a rule on one number: below Min for one reason, at Max or above for another.
func bounds(metric, low, high, what, unit string) func(configs.Rule, sample.Metrics) Verdict {
	if unit != "" {
		unit = " " + unit
	}
	return func(cfg configs.Rule, m sample.Metrics) Verdict {
		v, ok := m.Number(metric)
		switch {
		case !ok:
			return Verdict{} // the sample has no such sensor
		case cfg.Min != nil && v < *cfg.Min:
			return Verdict{Drop: true, Reason: low, Detail: fmt.Sprintf("%s %.3g%s is below %g%s", what, v, unit, *cfg.Min, unit)}
		case cfg.Max != nil && v >= *cfg.Max:
			return Verdict{Drop: true, Reason: high, Detail: fmt.Sprintf("%s %.3g%s is not below %g%s", what, v, unit, *cfg.Max, unit)}
		}
		return Verdict{}
	}
}

// sensorRules are the rules on sensors.
func sensorRules(cfg configs.Filters) []Rule {
	return []Rule{
		{"depth_valid", "depth_valid_ratio", cfg.DepthValid, bounds("depth_valid_ratio", "no_depth", "full_depth", "the share of pixels with depth", "")},
		{"thermal_spread", "thermal_spread", cfg.ThermalSpread, bounds("thermal_spread", "flat_thermal", "wide_thermal", "the spread of the heat picture", "levels (state thermal.min and thermal.max for radiometric files)")},
		{"imu_gravity", "imu_gravity", cfg.IMUGravity, bounds("imu_gravity", "weak_gravity", "strong_gravity", "the median acceleration", "m/s2 (are the units right? imu.accel_unit)")},
		{"imu_gap", "imu_gap_s", cfg.IMUGap, bounds("imu_gap_s", "short_gap", "imu_gap", "the longest gap of the recording", "s")},
		{"max_sync", "imu_offset_s", cfg.MaxSync, judgeMotionSync},
	}
}

// judgeMotionSync holds a window of motion to the bound of sound and picture: the frames that it goes with must
// lie in its middle.
func judgeMotionSync(cfg configs.Rule, m sample.Metrics) Verdict {
	v, ok := m.Number("imu_offset_s")
	if ok && cfg.Max != nil && math.Abs(v) >= *cfg.Max {
		return Verdict{Drop: true, Reason: "imu_offset", Detail: fmt.Sprintf("the window of motion lies %.3f s off the frames; %g s or more is too far", v, *cfg.Max)}
	}
	return Verdict{}
}

package filters

import (
	"math"
	"testing"

	"prep/configs"
	"prep/internal/sample"
)

// recording is n samples at rate of what f says.
func recording(n int, rate float64, f func(i int) [6]float64) (t []float64, v [6][]float32) {
	for i := range n {
		t = append(t, float64(i)/rate)
		for c, x := range f(i) {
			v[c] = append(v[c], float32(x))
		}
	}
	return t, v
}

func TestMeasureMotion(t *testing.T) {
	still := func(int) [6]float64 { return [6]float64{0, 0, 9.81, 0.1, -0.2, 0} }
	ts, v := recording(1000, 200, still)
	m := MeasureMotion(0, 5, MotionRows{ts, v})
	for name, want := range map[string]float64{"imu_rate_hz": 200, "imu_gravity": 9.81, "imu_gyro_peak": 0.2, "imu_gap_s": 0.005, "imu_missing_ratio": 0, "imu_saturated_ratio": 0} {
		if got, ok := m.Number(name); !ok || math.Abs(got-want) > 1e-6 {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
	// A second without samples, in the middle and at the end.
	m = MeasureMotion(0, 5.5, MotionRows{append(ts[:400:400], ts[600:800]...), [6][]float32{
		append(v[0][:400:400], v[0][600:800]...), append(v[1][:400:400], v[1][600:800]...), append(v[2][:400:400], v[2][600:800]...),
		append(v[3][:400:400], v[3][600:800]...), append(v[4][:400:400], v[4][600:800]...), append(v[5][:400:400], v[5][600:800]...)}})
	if got, _ := m.Number("imu_gap_s"); math.Abs(got-1.505) > 1e-6 {
		t.Errorf("the gap is %g s, want 1.505", got)
	}
	// Rows that are there and empty are a gap too.
	for c := range v {
		for i := 100; i < 300; i++ {
			v[c][i] = float32(math.NaN())
		}
	}
	m = MeasureMotion(0, 5, MotionRows{ts, v})
	if got, _ := m.Number("imu_gap_s"); math.Abs(got-1.005) > 1e-6 {
		t.Errorf("the gap is %g s, want 1.005", got)
	}
	if got, _ := m.Number("imu_missing_ratio"); math.Abs(got-0.2) > 1e-9 {
		t.Errorf("missing %g, want 0.2", got)
	}
	// Nothing at all.
	m = MeasureMotion(2, 7, MotionRows{})
	if got, _ := m.Number("imu_gap_s"); got != 5 || len(m) != 1 {
		t.Errorf("nothing measures %v", m)
	}
}

func TestSaturation(t *testing.T) {
	// An accelerometer of 4 g that hits its end for 20 samples on one axis, and a gyroscope that only peaks.
	_, v := recording(100, 100, func(i int) [6]float64 {
		x := math.Min(4*9.80665, 100*math.Sin(float64(i)*math.Pi/100))
		return [6]float64{x, 3, 9.8, 6 * math.Sin(float64(i)/5), 0, 0}
	})
	n := 0
	for _, x := range v[0] {
		if x == float32(4*9.80665) {
			n++
		}
	}
	if got := saturatedRuns(v[0], leastAccelEnd); got != n || n < 20 {
		t.Errorf("%d saturated, want %d", got, n)
	}
	if got := saturatedRuns(v[3], leastGyroEnd); got != 0 {
		t.Errorf("a peak counts %d", got)
	}
	if got := saturatedRuns(v[1], leastAccelEnd); got != 0 {
		t.Errorf("a constant counts %d", got)
	}
}

func TestSensorRules(t *testing.T) {
	c, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.Filters
	for _, c := range []struct {
		metrics sample.Metrics
		reason  string
	}{
		{sample.Metrics{}, ""},
		{sample.Metrics{"depth_valid_ratio": 0.5, "thermal_spread": 60.0, "imu_gravity": 9.8, "imu_gap_s": 0.005, "imu_offset_s": 0.1}, ""},
		{sample.Metrics{"depth_valid_ratio": 0.05}, "no_depth"},
		{sample.Metrics{"thermal_spread": 3.0}, "flat_thermal"},
		{sample.Metrics{"imu_gravity": 1.01}, "weak_gravity"},
		{sample.Metrics{"imu_gravity": 981.0}, "strong_gravity"},
		{sample.Metrics{"imu_gap_s": 0.5}, "imu_gap"},
		{sample.Metrics{"imu_offset_s": -0.5}, "imu_offset"},
	} {
		v := Judge(Rules(cfg), c.metrics)
		if got := reasonOf(v); got != c.reason {
			t.Errorf("%v: %q (%+v), want %q", c.metrics, got, v, c.reason)
		}
	}
}

func reasonOf(v []Verdict) string {
	for _, x := range v {
		if x.Drop {
			return x.Reason
		}
	}
	return ""
}

func TestMeasureThermal(t *testing.T) {
	levels := make([]uint8, 1000)
	for i := range levels {
		levels[i] = uint8(40 + i/10)
	}
	levels[0], levels[999] = 0, 255 // a dead and a hot pixel
	if got, _ := MeasureThermal(levels).Number("thermal_spread"); got < 96 || got > 99 {
		t.Errorf("the spread is %g", got)
	}
}

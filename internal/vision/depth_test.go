package vision

import (
	"math"
	"testing"
)

// A few pixels of SUN RGB-D by hand: the rotation, the cut at 8 m, and the published handling of nothing.
func TestDisparityOfSUN(t *testing.T) {
	rotated := func(mm uint16) float32 { return float32(mm<<3 | mm>>13) }
	r := DepthRule{Encoding: "sunrgbd", Far: 8, Focal: 529.5, Baseline: 0.075, Min: 0.01, Max: 50}
	in := []float32{rotated(1000), rotated(2500), rotated(7999), rotated(9000), rotated(60000), 0}
	bf := float32(0.075 * 529.5)
	want := []float32{bf / 1, bf / 2.5, bf / float32(7.999), bf / 8, bf / 8, 0}
	got, stats, err := Disparity(in, r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("pixel %d is %g, want %g", i, got[i], want[i])
		}
	}
	if stats.Valid != 5 || stats.Near != 1 || stats.Far != 60 {
		t.Errorf("%+v", stats)
	}
	r.MissingNear = true
	if got, _, _ = Disparity(in, r); got[5] != bf/0.01 {
		t.Errorf("a missing pixel near is %g, want %g", got[5], bf/0.01)
	}
	r.MaxDisparity = 75
	if got, _, _ = Disparity(in, r); got[5] != 1 || got[0] != bf/75 {
		t.Errorf("divided by 75: %g and %g, want 1 and %g", got[5], got[0], bf/75)
	}
}

// One scene in every encoding is one disparity.
func TestDepthEncodingsAgree(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	base := DepthRule{Focal: 600, Baseline: 0.1, Min: 0.01, Max: 50, UnitsPerMetre: 5000}
	for _, c := range []struct {
		encoding string
		values   []float32
	}{
		{"m", []float32{0.5, 4, 0, nan, -1, inf, 100}},
		{"mm", []float32{500, 4000, 0, nan, -1000, inf, 100000}},
		{"units", []float32{2500, 20000, 0, nan, -5000, inf, 500000}},
		{"disparity", []float32{120, 15, 0, nan, -1, 0, 0.6}},
	} {
		r := base
		r.Encoding = c.encoding
		got, stats, err := Disparity(c.values, r)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []float32{120, 15, 0, 0, 0, 0, 1.2} {
			if math.Abs(float64(got[i]-want)) > 1e-4 {
				t.Errorf("%s: pixel %d is %g, want %g", c.encoding, i, got[i], want)
			}
		}
		if stats.Valid != 3 || math.Abs(stats.Near-0.5) > 1e-6 || math.Abs(stats.Far-100) > 1e-4 {
			t.Errorf("%s: %+v", c.encoding, stats)
		}
	}
	if _, _, err := Disparity(nil, DepthRule{Encoding: "feet"}); err == nil {
		t.Error("feet pass")
	}
}

package filters

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// noise is the sequence of the estimator's test vectors: an integer generator, so that any language makes
// the same samples.
func noise(n int) []float64 {
	x := make([]float64, n)
	s := uint32(12345)
	for i := range x {
		s = (1103515245*s + 12345) & (1<<31 - 1)
		x[i] = float64(s)/(1<<30) - 1
	}
	return x
}

func tone(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = math.Sin(2 * math.Pi * 440 * float64(i) / 16000)
	}
	return x
}

// mix is a times x plus b times y plus c, as float32.
func mix(a float64, x []float64, b float64, y []float64, c float64) []float32 {
	z := make([]float32, len(x))
	for i := range z {
		z[i] = float32(a*x[i] + b*y[i] + c)
	}
	return z
}

// The vectors A to J of the estimator's specification, computed with numpy in float64.
func TestFloorVectors(t *testing.T) {
	gated := tone(16000)
	for i := range gated {
		gated[i] *= float64(i / 4000 % 2)
	}
	n1, n2, t2 := noise(16000), noise(32000), tone(32000)
	a := mix(0.1, gated, 0.05, n1, 0)
	loud := make([]float32, len(a))
	for i := range a {
		loud[i] = min(max(20*a[i], -1), 1)
	}
	scaled := func(x []float32, by float32) []float32 {
		y := slices.Clone(x)
		for i := range y {
			y[i] *= by
		}
		return y
	}
	constant := make([]float32, 16000)
	for i := range constant {
		constant[i] = 0.1
	}
	for _, c := range []struct {
		name                           string
		x                              []float32
		status, reason                 string
		snr, low, high, texture, tonal float64
		padded                         bool
	}{
		{"A", a, "ok", "", 6.7492, 6.1513, 7.0487, 3.0926, 0.7432, false},
		{"B tone only", mix(0.3, t2, 0, t2, 0), "ok", "", 54.755, 52.7459, 57.7224, 0.2892, 1, false},
		{"C noise only", mix(0, n2, 0.05, n2, 0), "unknown", "noise_like", -15, -15, -15, 0.7478, 0, false},
		{"D tone in noise", mix(0.1, t2, 0.05, n2, 0), "ok", "", 7.6428, 7.3796, 7.8163, 0.6939, 0.8705, false},
		{"E padded", append(slices.Clone(a), make([]float32, 16000)...), "ok", "", 6.7492, 6.1513, 7.0487, 3.0926, 0.7432, true},
		{"F zeros", make([]float32, 16000), "unknown", "silent", 0, 0, 0, 0, 0, true},
		{"F constant", constant, "unknown", "silent", 0, 0, 0, 0, 0, true},
		{"G short", a[:7999], "unknown", "too_short", 0, 0, 0, 0, 0, false},
		{"H quiet", scaled(a, 1e-5), "unknown", "silent", 0, 0, 0, 0, 0, true},
		{"I offset", mix(0.1, gated, 0.05, n1, 0.2), "ok", "", 6.7492, 6.1513, 7.0487, 3.0926, 0.7432, false},
		{"J clipped", loud, "ok", "", 4.183, 2.9132, 4.183, 3.2044, 0.6386, false},
	} {
		e := EstimateSNR(c.x, FloorMethod)
		status, reason := e.Decide(10)
		if status != c.status || reason != c.reason || e.Measured != (c.reason == "" || c.reason == "noise_like") || e.Padded > 0 != c.padded {
			t.Errorf("%s: %s %s, measured %v, padded %v", c.name, status, reason, e.Measured, e.Padded)
		}
		for _, f := range []struct {
			name      string
			got, want float64
		}{{"snr", e.SNR, c.snr}, {"low", e.Low, c.low}, {"high", e.High, c.high}, {"texture", e.Texture, c.texture}, {"tonal", e.Tonal, c.tonal}, {"zero", e.Zero, 0}} {
			// 0.02 dB for spectra in float32.
			if !(math.Abs(f.got-f.want) <= 0.02) {
				t.Errorf("%s: %s is %.4f, want %.4f", c.name, f.name, f.got, f.want)
			}
		}
	}
}

// The steps of vector A.
func TestFloorSteps(t *testing.T) {
	x := designInput()
	var c clipFigures
	c.levels.measure(x)
	c.centre(x, &c.levels)
	zero := c.spectra(&c.levels)
	n, stride, power := c.frames, c.stride, c.power
	if n != 30 || len(power) < bins*stride || zero != 0 {
		t.Fatalf("%d frames, %d values, silent %g", n, len(power), zero)
	}
	check := func(name string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-4*want) {
			t.Errorf("%s is %.6e, want %.6e", name, got, want)
		}
	}
	at := func(frame, bin int) float64 { return float64(power[(bin-firstBin)*stride+frame]) }
	check("S[0][1]", at(0, 1), 4.288071e-07)
	check("S[0][28]", at(0, 28), 2.032360e-06)
	check("S[10][28]", at(10, 28), 3.483123e-03)
	check("S[10][200]", at(10, 200), 9.346231e-07)
	var p0, p10 float64
	for f := firstBin; f < endBin; f++ {
		p0 += at(0, f)
		p10 += at(10, f)
	}
	check("P[0]", p0, 8.120300e-04)
	check("P[10]", p10, 6.169428e-03)
	for _, v := range []struct{ q, t28, m28, t200, m200, m1, m5, sum float64 }{
		{0.05, 1.083374e-06, 5.871912e-07, 3.072345e-07, 5.465394e-07, 7.998888e-07, 7.998888e-07, 2.897598e-04},
		{0.15, 1.744948e-06, 7.988761e-07, 7.580413e-07, 7.512722e-07, 9.778248e-07, 1.057586e-06, 4.055891e-04},
		{0.50, 1.319062e-03, 1.632651e-06, 1.197458e-06, 1.365103e-06, 1.453313e-06, 1.572494e-06, 2.994418e-03},
	} {
		var q, m [bins]float64
		var sum float64
		for f := range bins {
			order := make([]uint32, n-2)
			for i := range order {
				row := power[f*stride:]
				order[i] = math.Float32bits((row[i] + row[i+1] + row[i+2]) / 3)
			}
			q[f], _ = quantile(order, make([]uint32, len(order)), len(order), v.q)
			sum += q[f]
		}
		runningMedian(&m, &q)
		name := fmt.Sprintf("q %.2f: ", v.q)
		check(name+"T[28]", q[27], v.t28)
		check(name+"M[28]", m[27], v.m28)
		check(name+"T[200]", q[199], v.t200)
		check(name+"M[200]", m[199], v.m200)
		check(name+"M[1]", m[0], v.m1)
		check(name+"M[5]", m[4], v.m5)
		check(name+"sum of T", sum, v.sum)
	}
}

// A selection of order statistics is what sorting gives.
func TestQuantileIsThatOfSorted(t *testing.T) {
	u := noise(5000)
	for n := 2; n < 400; n += 7 {
		v := make([]float64, n)
		bits := make([]uint32, n)
		for i := range v {
			v[i] = float64(float32(math.Abs(u[(i*31+n)%len(u)])))
			if i%5 == 0 {
				v[i] = v[0] // ties
			}
			bits[i] = math.Float32bits(float32(v[i]))
		}
		slices.Sort(v)
		end := n
		for _, q := range []float64{0.5, 0.15, 0.05, 0} {
			var got float64
			got, end = quantile(bits, make([]uint32, n), max(end, 2), q)
			p := q * float64(n-1)
			i := int(p)
			want := v[i] + (p-float64(i))*(v[min(i+1, n-1)]-v[i])
			if math.Abs(got-want) > 1e-12 {
				t.Fatalf("quantile %g of %d is %g, want %g", q, n, got, want)
			}
		}
	}
}

func TestRunningMedianIsThatOfSorted(t *testing.T) {
	var in, out [bins]float64
	copy(in[:], noise(bins))
	for i := 0; i < bins; i += 9 {
		in[i] = in[0]
	}
	runningMedian(&out, &in)
	for i := range in {
		h := min(halfWidth, i, bins-1-i)
		w := slices.Clone(in[i-h : i+h+1])
		slices.Sort(w)
		if out[i] != w[h] {
			t.Fatalf("median %d is %g, want %g", i, out[i], w[h])
		}
	}
}

// What the number means: it does not change with loudness, with an offset, with padding, or when the sound
// is played backwards.
func TestFloorIgnoresWhatIsNotNoise(t *testing.T) {
	x := designInput()
	want := EstimateSNR(x, FloorMethod).SNR
	for name, change := range map[string]func(i int) float32{
		"half as loud": func(i int) float32 { return x[i] / 2 },
		"inverted":     func(i int) float32 { return -x[i] },
		"backwards":    func(i int) float32 { return x[len(x)-1-i] },
	} {
		y := make([]float32, len(x))
		for i := range y {
			y[i] = change(i)
		}
		// Backwards, the frames begin elsewhere: there are only 30.
		tolerance := 1e-3
		if name == "backwards" {
			tolerance = 0.5
		}
		if got := EstimateSNR(y, FloorMethod).SNR; math.Abs(got-want) > tolerance {
			t.Errorf("%s: %.3f dB, want %.3f", name, got, want)
		}
	}
}

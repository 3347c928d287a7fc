package vorbis

import (
	"math"
	"os"
	"slices"
	"testing"

	jfreymuth "github.com/jfreymuth/vorbis"
)

// packets takes the packets out of an Ogg file of one stream, whose checksums are not looked at.
func packets(t testing.TB, path string) (all [][]byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var packet []byte
	for len(b) >= 27 {
		lacing := b[27 : 27+int(b[26])]
		b = b[27+len(lacing):]
		for _, n := range lacing {
			packet = append(packet, b[:n]...)
			if b = b[n:]; n < 255 {
				all = append(all, packet)
				packet = nil
			}
		}
	}
	return all
}

const tone = "../testdata/sound/tone_stereo_22k05.ogg"

// TestDecode compares with github.com/jfreymuth/vorbis, whose window is rounded to float32 on the way.
func TestDecode(t *testing.T) {
	p := packets(t, tone)
	d, err := New(p[0], p[2])
	if err != nil {
		t.Fatal(err)
	}
	var other jfreymuth.Decoder
	for _, h := range p[:3] {
		if err := other.ReadHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	blocks := 0
	for i, packet := range p[3:] {
		if i == len(p)/2 { // as after going to another place
			d.Restart()
			other.Clear()
		}
		got, err := d.Decode(packet)
		if err != nil {
			t.Fatal(i, err)
		}
		want, err := other.Decode(packet)
		if err != nil {
			t.Fatal(i, err)
		}
		if len(got) != len(want) {
			t.Fatalf("packet %d: %d samples, want %d", i, len(got), len(want))
		}
		for k, v := range want {
			if math.Abs(float64(got[k]-v)) > 1e-6 {
				t.Fatalf("packet %d, sample %d: %v, want %v", i, k, got[k], v)
			}
		}
		if len(want) > 0 {
			blocks++
		}
	}
	if blocks < 10 {
		t.Errorf("only %d blocks", blocks)
	}
	if _, err := d.Decode(p[0]); err == nil {
		t.Error("a header was decoded")
	}
}

func TestDecibels(t *testing.T) {
	for i, want := range map[int]float32{0: 1.0649863e-07, 1: 1.1341951e-07, 16: 2.9163793e-07, 255: 1} {
		if got := decibels[i]; math.Abs(float64(got/want-1)) > 1.5e-7 {
			t.Errorf("%d: %v, want %v", i, got, want)
		}
	}
}

// TestTransform compares every size with the formula.
func TestTransform(t *testing.T) {
	for n := 32; n <= 4096; n *= 2 {
		x, y := noise(n), make([]float32, n)
		newTransform(n).run(y, x)
		for m := 0; m < n; m += 1 + n/50 {
			want := 0.0
			for k, v := range x {
				want += float64(v) * math.Cos(math.Pi/float64(n)*(float64(m)+0.5)*(float64(k)+0.5))
			}
			if math.Abs(float64(y[m])-want) > 2e-6*math.Sqrt(float64(n)) {
				t.Fatalf("%d lines, value %d: %v, want %v", n, m, y[m], want)
			}
		}
	}
}

// noise is n values from -1 to 1, the same every time.
func noise(n int) []float32 {
	x, state := make([]float32, n), uint32(n)
	for i := range x {
		state = state*1664525 + 1013904223
		x[i] = float32(int32(state)) / (1 << 31)
	}
	return x
}

// TestBitEqual: kernels give their plain twins' bits.
func TestBitEqual(t *testing.T) {
	same := func(name string, n int, kernel, plain func(out [][]float32), outs ...int) {
		t.Helper()
		memory := func() (m [][]float32) {
			for _, k := range outs {
				m = append(m, make([]float32, k))
			}
			return m
		}
		got, want := memory(), memory()
		kernel(got)
		plain(want)
		for i := range want {
			if !slices.EqualFunc(got[i], want[i], func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Errorf("%s of %d: result %d differs from the plain twin", name, n, i)
			}
		}
	}
	for n := 32; n <= 4096; n *= 2 {
		half := n / 2
		tr := newTransform(n)
		x, re, im := noise(n), noise(half), noise(half + 1)[1:]
		same("rotateIn", n, func(o [][]float32) { rotateIn(o[0], o[1], x, tr.cos, tr.sin) },
			func(o [][]float32) { plainRotateIn(o[0], o[1], x, tr.cos, tr.sin) }, half, half)
		same("firstPass", n, func(o [][]float32) { firstPass(o[0], o[1], re, im, tr.passes[0]) },
			func(o [][]float32) { plainFirstPass(o[0], o[1], re, im, tr.passes[0]) }, half, half)
		for i, factors := range tr.passes[1:] {
			m, s := len(factors)/24, 4<<(2*i)
			same("pass", n, func(o [][]float32) { pass(o[0], o[1], re, im, factors, m, s) },
				func(o [][]float32) { plainPass(o[0], o[1], re, im, factors, m, s) }, half, half)
		}
		same("lastPass4", n, func(o [][]float32) { lastPass4(o[0], o[1], re, im) },
			func(o [][]float32) { plainLastPass4(o[0], o[1], re, im) }, half, half)
		same("lastPass2", n, func(o [][]float32) { lastPass2(o[0], o[1], re, im) },
			func(o [][]float32) { plainLastPass2(o[0], o[1], re, im) }, half, half)
		same("rotateOut", n, func(o [][]float32) { rotateOut(o[0], re, im, tr.cos, tr.sin) },
			func(o [][]float32) { plainRotateOut(o[0], re, im, tr.cos, tr.sin) }, n)
		same("lap", n, func(o [][]float32) { lap(o[0], re, im, x) }, func(o [][]float32) { plainLap(o[0], re, im, x) }, n)
	}
}

func TestUncouple(t *testing.T) {
	zero := math.Float32frombits(1 << 31)
	for _, c := range [][4]float32{ // magnitude, angle, and what the specification makes of them
		{3, 1, 3, 2}, {3, -1, 2, 3}, {-3, 1, -3, -2}, {-3, -1, -2, -3},
		{3, 0, 3, 3}, {0, 1, 0, 1}, {0, -1, 1, 0}, {zero, 1, 0, 1}, {zero, -1, 1, 0}, {3, zero, 3, 3}, {-3, 0, -3, -3},
	} {
		m, a := []float32{c[0]}, []float32{c[1]}
		uncouple(m, a)
		if m[0] != c[2] || a[0] != c[3] {
			t.Errorf("%v, %v: %v, %v; want %v, %v", c[0], c[1], m[0], a[0], c[2], c[3])
		}
	}
}

// FuzzDecode: whatever headers and packets hold, they cost at most themselves.
func FuzzDecode(f *testing.F) {
	p := packets(f, tone)
	f.Add(uint8(1), p[2], p[5])
	f.Fuzz(func(t *testing.T, channels uint8, setup, packet []byte) {
		id := slices.Clone(p[0])
		id[11] = channels%8 + 1
		d, err := New(id, setup)
		if err != nil {
			return
		}
		for range 3 {
			if x, err := d.Decode(packet); err == nil && len(x)%d.channels != 0 {
				t.Fatalf("%d samples of %d channels", len(x), d.channels)
			}
		}
	})
}

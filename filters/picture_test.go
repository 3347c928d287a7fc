package filters

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"testing"

	"prep/configs"
	"prep/internal/sample"
)

const side = 224

// paint makes planes by a function of place and channel.
func paint(at func(x, y, c int) float64) []uint8 {
	p := make([]uint8, 3*side*side)
	for c := range 3 {
		for y := range side {
			for x := range side {
				p[(c*side+y)*side+x] = uint8(min(max(at(x, y, c), 0), 255))
			}
		}
	}
	return p
}

// scene is a picture with large shapes and some texture.
func scene(x, y, c int) float64 {
	fx, fy := float64(x), float64(y)
	v := 120 + 60*math.Sin(fx/31+float64(c))*math.Cos(fy/23) + 25*math.Sin(fx/3)*math.Sin(fy/4)
	if x > 60 && x < 130 && y > 90 && y < 200 {
		v += 50
	}
	return v
}

func TestPictureMetricsOfKnownPictures(t *testing.T) {
	number := func(m sample.Metrics, name string) float64 {
		v, ok := m.Number(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		return v
	}
	plain := MeasurePicture(paint(func(int, int, int) float64 { return 77 }), side)
	for _, name := range []string{"image_laplacian_var", "image_entropy_bits", "image_spread"} {
		if v := number(plain, name); v != 0 {
			t.Errorf("%s of one colour is %g", name, v)
		}
	}
	if plain.Word("image_phash") != "" {
		t.Error("a single colour has a perceptual hash")
	}
	// A chessboard of single pixels: every Laplacian is 4*200 up or down; two levels, each half of the time.
	board := MeasurePicture(paint(func(x, y, _ int) float64 { return float64(20 + 200*((x+y)%2)) }), side)
	if v := number(board, "image_laplacian_var"); v != 640000 {
		t.Errorf("Laplacian variance of a chessboard is %g, want 800^2", v)
	}
	if v := number(board, "image_entropy_bits"); v != 1 {
		t.Errorf("entropy of two levels is %g", v)
	}
	if v := number(board, "image_spread"); v != 100 {
		t.Errorf("spread of 20 and 220 is %g", v)
	}
	// All 256 levels equally often.
	if v := number(MeasurePicture(paint(func(x, y, _ int) float64 { return float64((x*side + y) % 256) }), side), "image_entropy_bits"); v != 8 {
		t.Errorf("entropy of 256 levels is %g", v)
	}
	p := paint(scene)
	sum := sha256.Sum256(p)
	if got := MeasurePicture(p, side).Word("image_sha256"); got != hex.EncodeToString(sum[:]) {
		t.Errorf("image_sha256 is %s", got)
	}
}

func blurred(p []uint8, r int) []uint8 {
	out := make([]uint8, len(p))
	for c := range 3 {
		for y := range side {
			for x := range side {
				sum, n := 0, 0
				for v := max(y-r, 0); v <= min(y+r, side-1); v++ {
					for u := max(x-r, 0); u <= min(x+r, side-1); u++ {
						sum += int(p[(c*side+v)*side+u])
						n++
					}
				}
				out[(c*side+y)*side+x] = uint8(sum / n)
			}
		}
	}
	return out
}

func TestBlurLowersTheLaplacian(t *testing.T) {
	p := paint(scene)
	last := math.Inf(1)
	for r := range 4 {
		v, _ := MeasurePicture(blurred(p, r), side).Number("image_laplacian_var")
		if v >= last {
			t.Errorf("blur of %d pixels: %g, not below %g", r, v, last)
		}
		last = v
	}
}

// The hash stays near under what re-encoding does, and is far for another picture.
func TestPerceptualHash(t *testing.T) {
	hash := func(p []uint8) uint64 {
		h, err := strconv.ParseUint(MeasurePicture(p, side).Word("image_phash"), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	p := paint(scene)
	base := hash(p)
	r := rand.New(rand.NewPCG(1, 2))
	noisy, brighter := make([]uint8, len(p)), make([]uint8, len(p))
	for i, v := range p {
		noisy[i] = uint8(min(max(int(v)+r.IntN(9)-4, 0), 255))
		brighter[i] = uint8(min(int(v)+12, 255))
	}
	for name, q := range map[string][]uint8{"noise": noisy, "brighter": brighter, "blurred": blurred(p, 1)} {
		if d := bits.OnesCount64(base ^ hash(q)); d > 3 {
			t.Errorf("%s: %d bits differ", name, d)
		}
	}
	other := hash(paint(func(x, y, c int) float64 { return scene(y, side-1-x, c) }))
	if d := bits.OnesCount64(base ^ other); d < 12 {
		t.Errorf("another picture differs in %d bits only", d)
	}
}

func TestPictureRules(t *testing.T) {
	cfg, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	f := cfg.Filters
	for _, r := range []*configs.Rule{&f.ImageSide, &f.ImageAspect, &f.ImageBlur, &f.ImageEntropy, &f.ImageSpread} {
		if !r.Off {
			t.Error("a rule over pictures is on by default")
		}
		r.Off = false
	}
	good := func() sample.Metrics {
		m := MeasurePicture(paint(scene), side)
		m["image_width"], m["image_height"], m["image_aspect"] = int64(640), int64(480), 640.0/480
		return m
	}
	for reason, change := range map[string]func(m sample.Metrics){
		"":                   func(sample.Metrics) {},
		"small_image":        func(m sample.Metrics) { m["image_height"] = int64(63) },
		"wide_image":         func(m sample.Metrics) { m["image_aspect"] = 3.0 },
		"blurred_image":      func(m sample.Metrics) { m["image_laplacian_var"] = 19.9 },
		"low_entropy_image":  func(m sample.Metrics) { m["image_entropy_bits"] = 1.5 },
		"single_color_image": func(m sample.Metrics) { m["image_spread"] = 3.9 },
	} {
		m := good()
		change(m)
		got := ""
		for _, v := range Judge(Rules(f), m) {
			if v.Drop && got == "" {
				got = v.Reason
			}
		}
		if got != reason {
			t.Errorf("reason %q, want %q", got, reason)
		}
	}
	if v := Judge(Rules(f), sample.Metrics{}); len(v) != 0 {
		t.Errorf("a sample without a picture: %+v", v)
	}
}

func TestDuplicates(t *testing.T) {
	picture := func(sha byte, phash string) sample.Metrics {
		m := sample.Metrics{"image_sha256": hex.EncodeToString([]byte{sha, 31: 0})}
		if phash != "" {
			m["image_phash"] = phash
		}
		return m
	}
	set := []sample.Metrics{
		picture(1, "00000000000000ff"),
		picture(2, "f000f000f000f0ff"),
		picture(1, "00000000000000ff"), // equal to the first
		picture(3, "80010000000000fe"), // 3 bits from the first, one in each of three bands
		picture(4, "80010001000000fe"), // 4 bits
		picture(5, ""),                 // plain: has no hash
		picture(6, ""),
		{}, // no picture
	}
	for mode, want := range map[string][]string{
		"keep":  {"", "", "", "", "", "", "", ""},
		"exact": {"", "", "duplicate_image", "", "", "", "", ""},
		"drop":  {"", "", "duplicate_image", "near_duplicate_image", "", "", "", ""},
	} {
		d := NewDuplicates(configs.Duplicates{Images: mode, Distance: 3})
		for i, m := range set {
			got := ""
			if v := d.Judge(m); v.Drop {
				got = v.Reason
			}
			if got != want[i] {
				t.Errorf("%s, sample %d: %q, want %q", mode, i, got, want[i])
			}
		}
		if d.Exact != 1 || d.Near != 1 {
			t.Errorf("%s: %d exact and %d near", mode, d.Exact, d.Near)
		}
	}
}

// The four tables find what comparing with every earlier hash finds.
func TestDuplicatesFindAllThatAreNear(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	d := NewDuplicates(configs.Duplicates{Images: "drop", Distance: 3})
	var kept []uint64
	for i := range 3000 {
		h := r.Uint64()
		if len(kept) > 0 && i%2 == 0 {
			h = kept[r.IntN(len(kept))]
			for range r.IntN(6) {
				h ^= 1 << r.IntN(64)
			}
		}
		near := false
		for _, k := range kept {
			near = near || bits.OnesCount64(h^k) <= 3
		}
		m := sample.Metrics{"image_sha256": hex.EncodeToString(append([]byte{byte(i), byte(i >> 8)}, make([]byte, 30)...)), "image_phash": strconv.FormatUint(h, 16)}
		if v := d.Judge(m); v.Drop != near {
			t.Fatalf("hash %d: dropped %v, want %v", i, v.Drop, near)
		}
		if !near {
			kept = append(kept, h)
		}
	}
}

// What eight and sixteen pixels at a time give is what one at a time does, at every length and for the extremes.
func TestPictureSums(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	fills := map[string]func() uint8{
		"any":      func() uint8 { return uint8(r.Uint32()) },
		"extremes": func() uint8 { return uint8(255 * (r.Uint32() & 1)) },
		"white":    func() uint8 { return 255 },
	}
	for name, fill := range fills {
		for _, n := range []int{0, 1, 7, 8, 15, 16, 17, 40, 224, 65535, 65536, 65552, 140003} {
			chw := make([]uint8, 3*n)
			for i := range chw {
				chw[i] = fill()
			}
			luma := make([]uint8, n)
			lumaOf(luma, chw)
			var wantSum, wantSquares uint64
			for i, l := range luma {
				want := (19595*uint32(chw[i]) + 38470*uint32(chw[n+i]) + 7471*uint32(chw[2*n+i]) + 1<<15) >> 16
				if uint32(l) != want {
					t.Fatalf("%s: luma %d of %d is %d, not %d", name, i, n, l, want)
				}
				wantSum += uint64(chw[i])
				wantSquares += uint64(chw[i]) * uint64(chw[i])
			}
			if sum, squares := sumSquares(chw[:n]); sum != wantSum || squares != wantSquares {
				t.Errorf("%s: the sums of %d are %d and %d, not %d and %d", name, n, sum, squares, wantSum, wantSquares)
			}
		}
		for size := 3; size < 300; size += 1 + size/20 {
			luma := make([]uint8, size*size)
			for i := range luma {
				luma[i] = fill()
			}
			at := func(x, y int) float64 { return float64(luma[y*size+x]) }
			sum, squares, n := 0.0, 0.0, float64((size-2)*(size-2))
			for y := 1; y < size-1; y++ {
				for x := 1; x < size-1; x++ {
					v := at(x-1, y) + at(x+1, y) + at(x, y-1) + at(x, y+1) - 4*at(x, y)
					sum += v
					squares += v * v
				}
			}
			if got, want := laplacianVariance(luma, size), (n*squares-sum*sum)/(n*n); math.Abs(got-want) > 1e-9*want {
				t.Errorf("%s: the variance of %d x %d is %v, not %v", name, size, size, got, want)
			}
		}
	}
}

func TestCellSums(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, size := range []int{32, 63, 64, 224, 255, 1300} {
		luma := make([]uint8, size*size)
		for i := range luma {
			luma[i] = uint8(255 - r.IntN(100)*r.IntN(3))
		}
		var want [hashSide][hashSide]int64
		cell := size / hashSide
		for y := range hashSide * cell {
			for x := range hashSide * cell {
				want[y/cell][x/cell] += int64(luma[y*size+x])
			}
		}
		if got := cellSums(luma, size); got != want {
			t.Errorf("side %d: %v, want %v", size, got, want)
		}
	}
}

func BenchmarkMeasurePicture(b *testing.B) {
	p := paint(scene)
	for b.Loop() {
		MeasurePicture(p, side)
	}
}

package jpeg

import (
	"bytes"
	"errors"
	stdjpeg "image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// The pictures and the pixels that Pillow gives for them are internal/media's tests; the same files are
// this package's seeds.
func pictures(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("../testdata/pictures/*.jpg")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d pictures, %v", len(names), err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		if out[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Grey pictures have no chroma to differ in: the standard library's decoder is an independent opinion on
// everything else.
func TestGreyAgainstStandardLibrary(t *testing.T) {
	for _, name := range []string{"grey.jpg", "progressive_grey.jpg"} {
		data := pictures(t)[name]
		got, err := Decode(data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := stdjpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got.Pix {
			r, _, _, _ := want.At(i%got.Width, i/got.Width).RGBA()
			if d := int(v) - int(r>>8); d < -2 || d > 2 {
				t.Fatalf("%s: sample %d is %d, image/jpeg has %d", name, i, v, r>>8)
			}
		}
	}
}

// The integer transform against the definition (A.3.3) in doubles: never more than one level off, and on
// average far less (IEEE 1180 asks for a mean square error of 0.02).
func TestInverseDCTAgainstDefinition(t *testing.T) {
	var quant [64]int32
	for i := range quant {
		quant[i] = 1
	}
	r := rand.New(rand.NewPCG(1, 2))
	square, n := 0.0, 0
	for range 200 {
		var block [64]int16
		for range 1 + r.IntN(64) {
			block[r.IntN(64)] = int16(r.IntN(301) - 150)
		}
		flat := true
		for _, v := range block[1:] {
			flat = flat && v == 0
		}
		var got [64]uint8
		inverseDCT(got[:], 8, &block, &quant, flat)
		for y := range 8 {
			for x := range 8 {
				s := 0.0
				for v := range 8 {
					for u := range 8 {
						c := 0.25
						if u == 0 {
							c *= math.Sqrt2 / 2
						}
						if v == 0 {
							c *= math.Sqrt2 / 2
						}
						s += c * float64(block[8*v+u]) * math.Cos(float64(2*x+1)*float64(u)*math.Pi/16) * math.Cos(float64(2*y+1)*float64(v)*math.Pi/16)
					}
				}
				want := math.Min(math.Max(s+128, 0), 255)
				d := float64(got[8*y+x]) - want
				if math.Abs(d) > 1 {
					t.Fatalf("sample %d, %d is %d, want %.2f", x, y, got[8*y+x], want)
				}
				d = float64(got[8*y+x]) - math.Round(want)
				square += d * d
				n++
			}
		}
	}
	if square/float64(n) > 0.02 {
		t.Errorf("mean square error %.4f", square/float64(n))
	}
}

// Only the header's size may be allocated, and the cap is held against it first.
func TestMaxPixels(t *testing.T) {
	data := pictures(t)["s2x2.jpg"]
	if _, err := Decode(data, Options{MaxPixels: 67 * 45}); err != nil {
		t.Error(err)
	}
	var unsupported *UnsupportedError
	if _, err := Decode(data, Options{MaxPixels: 67*45 - 1}); !errors.As(err, &unsupported) {
		t.Errorf("one pixel more than allowed: %v", err)
	}
}

// A file cut anywhere is an error of this package, and with AllowDamage a picture once a scan has begun.
func TestCutAnywhere(t *testing.T) {
	for _, name := range []string{"restart.jpg", "progressive.jpg", "cmyk_420.jpg", "noninterleaved.jpg"} {
		data := pictures(t)[name]
		scan := bytes.Index(data, []byte("\xff\xda"))
		for n := range len(data) {
			if n > scan && n%7 != 0 {
				continue
			}
			_, err := Decode(data[:n], Options{})
			var truncated *TruncatedError
			var format *FormatError
			if !errors.As(err, &truncated) && (n >= 2 || !errors.As(err, &format)) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
			img, err := Decode(data[:n], Options{AllowDamage: true})
			if n > scan+20 && (err != nil || img.Damage == nil) {
				t.Fatalf("%s cut to %d bytes and allowed: %v", name, n, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range pictures(f) {
		f.Add(data, false)
		f.Add(data[:len(data)*3/4], true)
	}
	f.Fuzz(func(t *testing.T, data []byte, allow bool) {
		const most = 1 << 18
		img, err := Decode(data, Options{AllowDamage: allow, MaxPixels: most})
		rows, rowsErr := DecodeRows(data, Options{MaxPixels: most}, Span{})
		if rows != nil {
			row := make([]uint8, 3*rows.d.width)
			for y := range rows.d.height {
				rows.Row(row, y, 0, rows.d.width)
				if err == nil && img.Damage == nil && !bytes.Equal(row, img.Pix[len(row)*y:][:len(row)]) {
					t.Fatalf("row %d differs", y)
				}
			}
			rowsErr = rows.Close()
		}
		if whole := err == nil && img.Damage == nil; whole != (rowsErr == nil) {
			t.Fatalf("the picture: %v; its rows: %v", err, rowsErr)
		}
		if err != nil {
			var truncated *TruncatedError
			var format *FormatError
			var unsupported *UnsupportedError
			if !errors.As(err, &truncated) && !errors.As(err, &format) && !errors.As(err, &unsupported) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if img.Width*img.Height > most || len(img.Pix) != img.Width*img.Height*img.Components {
			t.Fatalf("%d x %d x %d with %d bytes", img.Width, img.Height, img.Components, len(img.Pix))
		}
		if img.Damage != nil && !allow {
			t.Fatal("damage that was not allowed")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := pictures(b)["quality100.jpg"]
	for b.Loop() {
		if _, err := Decode(data, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

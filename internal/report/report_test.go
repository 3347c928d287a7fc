package report

import (
	"bytes"
	"image/png"
	"strings"
	"testing"
)

func TestPageEscapesAndShows(t *testing.T) {
	limit := 10.0
	var b bytes.Buffer
	err := Write(&b, Input{
		Title:      "shards",
		Counts:     []Count{{Name: "in", N: 7}},
		Histograms: []Histogram{{Name: "audio_snr_db", Values: []float64{1, 12, 30}, Threshold: &limit}, {Name: "same", Values: []float64{2, 2}}, {Name: "none"}},
		Examples: []Example{
			{Key: "<script>alert(1)</script>", Reason: "rejected: low_snr", Caption: "a & b", Picture: make([]uint8, 3*4), Side: 2},
			{Key: "k2", Reason: "kept", Mel: make([]float32, 128*204), Bins: 128, Frames: 204},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := b.String()
	if strings.Contains(s, "<script>") {
		t.Error("a key got into the page as markup")
	}
	for _, want := range []string{"&lt;script&gt;", "a &amp; b", "data:image/jpeg;base64,", "data:image/png;base64,", "<svg", "rejected: low_snr", "in</td>"} {
		if !strings.Contains(s, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(s, "http") {
		t.Error("the page reaches outside")
	}
}

func TestMelPNG(t *testing.T) {
	var b bytes.Buffer
	if err := MelPNG(&b, []float32{0, 1, 2, 3, 4, 5, 6, 7}, 2, 2, 2); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds().Dx() != 2 || img.Bounds().Dy() != 8 {
		t.Errorf("got %v", img.Bounds())
	}
	if r, g, _, _ := img.At(0, 1).RGBA(); r != 0 || g != 0 {
		t.Error("the lowest value of the lowest bin belongs bottom left, dark")
	}
	if MelPNG(&b, make([]float32, 3), 2, 2, 2) == nil {
		t.Error("a wrong size passed")
	}
}

package jpeg

import (
	"bytes"
	"testing"
)

// A part's rows, decoded while they are asked for or before, are those of the whole picture; at every scale. What is
// wrong behind the part is told by Close.
func TestRowsAreTheWholePictures(t *testing.T) {
	streamed := 0
	for name, data := range pictures(t) {
		for _, eighths := range []int{8, 4, 2, 1} {
			o := Options{Eighths: eighths}
			want, err := Decode(data, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			w, h := want.Width, want.Height
			for _, part := range []Span{{}, {0, 0, w, h}, {w / 5, 0, w - w/4, h}, {w / 3, h / 3, w/3 + 1, h/3 + 1}, {0, h - 1, w, h}, {w - 1, h / 2, w, h}} {
				rows, err := DecodeRows(data, o, part)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if rows == nil {
					break // not YCbCr
				}
				if rows.d.streaming {
					streamed++
				}
				if part == (Span{}) {
					part = Span{0, 0, w, h}
				}
				got := make([]uint8, 3*(part.Right-part.Left))
				for y := part.Top; y < part.Bottom; y++ {
					rows.Row(got, y, part.Left, part.Right)
					if !bytes.Equal(got, want.Pix[3*(y*w+part.Left):][:len(got)]) {
						t.Fatalf("%s at %d/8: row %d of %v differs", name, eighths, y, part)
					}
				}
				if err := rows.Close(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
	if streamed < 100 {
		t.Errorf("only %d pictures were streamed", streamed)
	}
}

func TestRowsTellWhatIsWrongBehindThem(t *testing.T) {
	for _, name := range []string{"s2x2.jpg", "restart.jpg", "noninterleaved.jpg", "progressive.jpg"} {
		data := pictures(t)[name]
		for _, n := range []int{len(data) - 2, len(data) - 40} {
			rows, err := DecodeRows(data[:n], Options{}, Span{0, 0, 8, 2})
			if err == nil {
				rows.Row(make([]uint8, 24), 0, 0, 8)
				err = rows.Close()
			}
			if err == nil {
				t.Errorf("%s cut to %d bytes is whole", name, n)
			}
		}
	}
}

package trainer

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"slices"
	"strings"
)

func fillPrompt(prompt, label string) string { return strings.ReplaceAll(prompt, "{label}", label) }

// The sizes of the pictures of an evaluation: items in the similarity matrix and pixels of each, items in the
// strip of retrieved pictures and the divisor of their sides.
const (
	matrixItems = 64
	matrixPixel = 4
	stripItems  = 8
	stripShrink = 2
)

// similarityPicture draws the cosines of the first items' hubs (rows) and others (columns): -1 is blue, 0
// white, 1 red. Where training has worked the diagonal stands out.
func similarityPicture(hub, other [][]float32) []byte {
	n := min(len(hub), matrixItems)
	img := image.NewNRGBA(image.Rect(0, 0, n*matrixPixel, n*matrixPixel))
	for y := range n {
		for x := range n {
			s := min(max(inner(hub[y], other[x]), -1), 1)
			c := color.NRGBA{255, uint8(255 * (1 - max(s, -s))), uint8(255 * (1 - max(s, -s))), 255}
			if s < 0 {
				c.R, c.B = c.B, 255
			}
			for dy := range matrixPixel {
				for dx := range matrixPixel {
					img.SetNRGBA(x*matrixPixel+dx, y*matrixPixel+dy, c)
				}
			}
		}
	}
	return encodePNG(img)
}

// retrievedPicture shows, for the first items, the item's own picture above the one that its other modality
// finds. Nil where items have no picture.
func (m *measurer) retrievedPicture(pr *pair, rows []int, hub, other [][]float32) []byte {
	n := min(len(rows), stripItems)
	const side = imageSize / stripShrink
	img := image.NewNRGBA(image.Rect(0, 0, n*side, 2*side))
	for i := range n {
		best := 0
		for j := range hub {
			if inner(other[i], hub[j]) > inner(other[i], hub[best]) {
				best = j
			}
		}
		for y, row := range []int{rows[i], rows[best]} {
			column := m.hub(row)
			t, err := m.p.rows.Tensor(row, column.String())
			if err != nil || t.Absent() || !slices.Equal(t.Shape, columns[column].shape) {
				return nil
			}
			plane := len(t.Data) / 3 // a video shows its first frame
			for py := range side {
				for px := range side {
					at := py*stripShrink*imageSize + px*stripShrink
					img.SetNRGBA(i*side+px, y*side+py, color.NRGBA{t.Data[at], t.Data[plane+at], t.Data[2*plane+at], 255})
				}
			}
		}
	}
	return encodePNG(img)
}

func encodePNG(img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil // only for pictures without a size
	}
	return b.Bytes()
}

package picture

import (
	"encoding/binary"
	"math"

	"prep/internal/half"
)

// decodeTIFFGrid reads the first picture of a TIFF or BigTIFF file of one channel: whole numbers of 8, 16 or 32
// bits or floating point of 16 to 64, in strips or tiles, uncompressed or by PackBits, LZW, Deflate or Zstandard,
// with either predictor.
func decodeTIFFGrid(data []byte, maxPixels int64) (*Grid, error) {
	t, err := openTIFF(data, "grid", func(width, height int64) error { return admitGrid("TIFF", width, height, maxPixels) })
	if err != nil {
		return nil, err
	}
	switch {
	case t.samples != 1:
		return nil, t.unsupported("%d samples a pixel, and one channel is wanted", t.samples)
	case t.photometric != tiffBlackIsZero && t.photometric != tiffWhiteIsZero:
		return nil, t.unsupported("the samples are no grey (photometric interpretation %d)", t.photometric)
	case t.photometric == tiffWhiteIsZero && t.kind != tiffUnsigned:
		return nil, t.unsupported("white is zero, of signed or floating-point samples")
	case t.bits < 8:
		return nil, t.unsupported("samples of %d bits", t.bits)
	}
	g := &Grid{Width: int(t.width), Height: int(t.height), Format: "TIFF", Bits: int(t.bits), Float: t.kind == tiffFloat, Values: make([]float32, t.width*t.height)}
	size := t.bits / 8
	err = t.eachBlock(func(pix []byte, left, y, n, _ int64) {
		out := g.Values[y*t.width+left:][:n]
		for x := range out {
			out[x] = t.sample(pix[int64(x)*size:], size)
		}
	})
	if err != nil {
		return nil, err
	}
	if t.photometric == tiffWhiteIsZero {
		white := float32(uint64(1)<<t.bits - 1)
		for i, v := range g.Values {
			g.Values[i] = white - v
		}
	}
	return g, nil
}

// sample is a sample of whole bytes as a number.
func (t *tiffFile) sample(b []byte, size int64) float32 {
	order, kind := t.order, t.kind
	if t.predictor == 3 {
		order = binary.BigEndian
	}
	switch {
	case kind == 3 && size == 2:
		return half.ToFloat32(order.Uint16(b))
	case kind == 3 && size == 4:
		return math.Float32frombits(order.Uint32(b))
	case kind == 3:
		return float32(math.Float64frombits(order.Uint64(b)))
	case kind == 2 && size == 1:
		return float32(int8(b[0]))
	case kind == 2 && size == 2:
		return float32(int16(order.Uint16(b)))
	case kind == 2:
		return float32(int32(order.Uint32(b)))
	case size == 1:
		return float32(b[0])
	case size == 2:
		return float32(order.Uint16(b))
	}
	return float32(order.Uint32(b))
}

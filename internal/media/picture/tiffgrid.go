package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"math"

	"golang.org/x/image/tiff/lzw"

	"prep/internal/fault"
	"prep/internal/half"
	"prep/internal/vision"
)

// Tags of a TIFF directory that say how a map is stored (TIFF 6.0; Adobe Photoshop TIFF Technical Note 3
// for the floating-point predictor).
const (
	tiffWidth        = 256
	tiffHeight       = 257
	tiffBits         = 258
	tiffCompression  = 259
	tiffPhotometric  = 262
	tiffStripOffsets = 273
	tiffSamples      = 277
	tiffRowsPerStrip = 278
	tiffStripBytes   = 279
	tiffPredictor    = 317
	tiffTileWidth    = 322
	tiffTileLength   = 323
	tiffTileOffsets  = 324
	tiffTileBytes    = 325
	tiffSampleFormat = 339
)

// tiffGrid is the first directory of a file.
type tiffGrid struct {
	data  []byte
	order binary.ByteOrder
	tags  map[uint16][]int64
}

// decodeTIFFGrid reads the first picture of a TIFF file of one channel: whole numbers of 8, 16 or 32 bits or
// floating point of 16 to 64, in strips or tiles, uncompressed or by PackBits, LZW or Deflate, with either
// predictor. golang.org/x/image/tiff reads no floating point.
func decodeTIFFGrid(data []byte, maxPixels int64) (*Grid, error) {
	const format = "TIFF"
	t := &tiffGrid{data: data, order: binary.LittleEndian, tags: map[uint16][]int64{}}
	if data[0] == 'M' {
		t.order = binary.BigEndian
	}
	if err := t.read(); err != nil {
		return nil, err
	}
	width, height := t.tag(tiffWidth, 0), t.tag(tiffHeight, 0)
	if err := admitGrid(format, width, height, maxPixels); err != nil {
		return nil, err
	}
	bits, kind, photometric := t.tag(tiffBits, 1), t.tag(tiffSampleFormat, 1), t.tag(tiffPhotometric, 1)
	compression, predictor := t.tag(tiffCompression, 1), t.tag(tiffPredictor, 1)
	unsupported := func(format string, args ...any) error { return fault.Unsupportedf("unsupported_grid", format, args...) }
	switch {
	case t.tag(tiffSamples, 1) != 1:
		return nil, unsupported("TIFF: %d samples a pixel, and one channel is wanted", t.tag(tiffSamples, 1))
	case photometric != 1 && photometric != 0:
		return nil, unsupported("TIFF: the samples are no grey (photometric interpretation %d)", photometric)
	case photometric == 0 && kind != 1:
		return nil, unsupported("TIFF: white is zero, of signed or floating-point samples")
	case kind < 1 || kind > 3:
		return nil, unsupported("TIFF: samples of format %d are not read; want whole or floating-point numbers", kind)
	case kind == 3 && bits != 16 && bits != 32 && bits != 64, kind != 3 && bits != 8 && bits != 16 && bits != 32:
		return nil, unsupported("TIFF: samples of %d bits are not read", bits)
	case compression == 7 || compression == 6:
		return nil, unsupported("TIFF: compressed by JPEG, which is not read for maps")
	case compression != 1 && compression != 5 && compression != 8 && compression != 32946 && compression != 32773:
		return nil, unsupported("TIFF: compression %d is not read; save it with Deflate, LZW, PackBits or none", compression)
	case predictor < 1 || predictor > 3 || predictor == 3 && kind != 3 || predictor == 2 && kind == 3:
		return nil, unsupported("TIFF: predictor %d with samples of format %d is not read", predictor, kind)
	}
	size := bits / 8
	// Strips are tiles of the full width.
	tileWidth, tileHeight := width, min(t.tag(tiffRowsPerStrip, height), height)
	offsets, counts := t.tags[tiffStripOffsets], t.tags[tiffStripBytes]
	if t.tags[tiffTileOffsets] != nil {
		tileWidth, tileHeight = t.tag(tiffTileWidth, 0), t.tag(tiffTileLength, 0)
		offsets, counts = t.tags[tiffTileOffsets], t.tags[tiffTileBytes]
	}
	if tileWidth < 1 || tileHeight < 1 || tileWidth > vision.MaxSide || tileHeight > vision.MaxSide {
		return nil, fault.Corruptf("corrupt_grid", "TIFF: strips or tiles of %d x %d", tileWidth, tileHeight)
	}
	across, down := (width+tileWidth-1)/tileWidth, (height+tileHeight-1)/tileHeight
	// Tiles reach beyond the edges, but not by many times the picture.
	if beyond := float64(tileWidth) * float64(across) * float64(tileHeight) * float64(down); beyond > float64(4*width*height+1<<20) {
		return nil, fault.Corruptf("corrupt_grid", "TIFF: tiles of %d x %d for %d x %d pixels", tileWidth, tileHeight, width, height)
	}
	if int64(len(offsets)) < across*down || int64(len(counts)) < across*down {
		return nil, fault.Corruptf("corrupt_grid", "TIFF: %d strips or tiles are listed, and %d are needed", min(len(offsets), len(counts)), across*down)
	}
	best := int64(1032) // deflate's
	switch compression {
	case 1:
		best = 1
	case 5:
		best = 4096 // a code of 9 bits can stand for a string of that length
	}
	if need := width * height * size; need > best*int64(len(data)) {
		return nil, shortGrid(format, need, int64(len(data)))
	}
	g := &Grid{Width: int(width), Height: int(height), Format: format, Bits: int(bits), Float: kind == 3, Values: make([]float32, width*height)}
	for i := range across * down {
		left, top := i%across*tileWidth, i/across*tileHeight
		rows := min(tileHeight, height-top)
		pix, err := t.block(i, offsets[i], counts[i], compression, tileWidth*size*rows)
		if err != nil {
			return nil, err
		}
		for y := range rows {
			row := pix[y*tileWidth*size:][:tileWidth*size]
			t.undo(row, predictor, size, tileWidth)
			out := g.Values[(top+y)*width+left:][:min(tileWidth, width-left)]
			for x := range out {
				out[x] = t.sample(row[int64(x)*size:], kind, size, predictor)
			}
		}
	}
	if photometric == 0 {
		white := float32(uint64(1)<<bits - 1)
		for i, v := range g.Values {
			g.Values[i] = white - v
		}
	}
	return g, nil
}

// tag returns the first value of a tag, or what the format says when it is not there.
func (t *tiffGrid) tag(tag uint16, missing int64) int64 {
	if v := t.tags[tag]; len(v) > 0 {
		return v[0]
	}
	return missing
}

// read reads the first directory. Only whole numbers are of interest.
func (t *tiffGrid) read() error {
	if len(t.data) < 8 {
		return fault.Corruptf("truncated", "TIFF: the file is cut off after %d bytes", len(t.data))
	}
	at := int64(t.order.Uint32(t.data[4:]))
	if at < 8 || at > int64(len(t.data)-2) {
		return fault.Corruptf("truncated", "TIFF: the directory lies at byte %d of %d; fetch the file again", at, len(t.data))
	}
	n := int64(t.order.Uint16(t.data[at:]))
	if at+2+12*n > int64(len(t.data)) {
		return fault.Corruptf("truncated", "TIFF: the directory at byte %d is cut off; fetch the file again", at)
	}
	for i := range n {
		entry := t.data[at+2+12*i:][:12]
		tag, kind, count := t.order.Uint16(entry), t.order.Uint16(entry[2:]), int64(t.order.Uint32(entry[4:]))
		size := map[uint16]int64{1: 1, 3: 2, 4: 4}[kind]
		if size == 0 || tag < tiffWidth || tag > tiffSampleFormat {
			continue
		}
		value := entry[8:]
		if count*size > 4 {
			from := int64(t.order.Uint32(value))
			if from > int64(len(t.data)) || count*size > int64(len(t.data))-from {
				return fault.Corruptf("truncated", "TIFF: the values of tag %d lie beyond the end of the file; fetch it again", tag)
			}
			value = t.data[from:]
		}
		out := make([]int64, count)
		for j := range out {
			switch size {
			case 1:
				out[j] = int64(value[j])
			case 2:
				out[j] = int64(t.order.Uint16(value[2*j:]))
			default:
				out[j] = int64(t.order.Uint32(value[4*j:]))
			}
		}
		t.tags[tag] = out
	}
	return nil
}

// block unpacks strip or tile i to want bytes. The slice is its own: predictors work in place.
func (t *tiffGrid) block(i, offset, count, compression, want int64) ([]byte, error) {
	if offset > int64(len(t.data)) || count > int64(len(t.data))-offset {
		return nil, fault.Corruptf("truncated", "TIFF: strip or tile %d (bytes %d to %d) lies beyond the file's %d bytes; fetch it again", i, offset, offset+count, len(t.data))
	}
	b := t.data[offset : offset+count]
	var out []byte
	var err error
	switch compression {
	case 1:
		out = bytes.Clone(b[:min(want, count)])
	case 5:
		r := lzw.NewReader(bytes.NewReader(b), lzw.MSB, 8)
		defer r.Close()
		out, err = readUpTo(r, want)
	case 8, 32946:
		var r io.ReadCloser
		if r, err = zlib.NewReader(bytes.NewReader(b)); err == nil {
			defer r.Close()
			out, err = readUpTo(r, want)
		}
	case 32773:
		out = packBits(b, want)
	}
	if int64(len(out)) < want {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, fault.Corruptf("corrupt_grid", "TIFF: strip or tile %d at byte %d gives %d of %d bytes: %w", i, offset, len(out), want, err)
	}
	return out, nil
}

// readUpTo reads n bytes, growing with what comes.
func readUpTo(r io.Reader, n int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := io.Copy(&b, io.LimitReader(r, n))
	return b.Bytes(), err
}

// packBits: a count n from 0 to 127 is followed by n+1 bytes, one from -127 to -1 by a byte to repeat -n+1
// times; -128 is nothing.
func packBits(b []byte, want int64) []byte {
	out := make([]byte, 0, min(want, int64(128*len(b))))
	for len(b) > 1 && int64(len(out)) < want {
		n := int(int8(b[0]))
		b = b[1:]
		switch {
		case n >= 0:
			n = min(n+1, len(b))
			out = append(out, b[:n]...)
			b = b[n:]
		case n > -128:
			for range 1 - n {
				out = append(out, b[0])
			}
			b = b[1:]
		}
	}
	return out[:min(int64(len(out)), want)]
}

// undo takes back what the predictor did to a row.
func (t *tiffGrid) undo(row []byte, predictor, size, width int64) {
	switch predictor {
	case 2: // each sample is the difference to the one before
		for x := size; x < int64(len(row)); x += size {
			switch size {
			case 1:
				row[x] += row[x-1]
			case 2:
				t.order.PutUint16(row[x:], t.order.Uint16(row[x:])+t.order.Uint16(row[x-2:]))
			default:
				t.order.PutUint32(row[x:], t.order.Uint32(row[x:])+t.order.Uint32(row[x-4:]))
			}
		}
	case 3: // planes of bytes, the most significant first, then differences of bytes
		for x := 1; x < len(row); x++ {
			row[x] += row[x-1]
		}
		planes := bytes.Clone(row)
		for x := range width {
			for b := range size {
				row[x*size+b] = planes[b*width+x]
			}
		}
	}
}

func (t *tiffGrid) sample(b []byte, kind, size, predictor int64) float32 {
	order := t.order
	if predictor == 3 {
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

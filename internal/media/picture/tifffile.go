package picture

import (
	"bytes"
	stdlzw "compress/lzw"
	"compress/zlib"
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/image/tiff/lzw"

	"prep/internal/fault"
	"prep/internal/vision"
)

// Tags of a TIFF directory that say how samples are stored (TIFF 6.0; Adobe Photoshop TIFF Technical Notes 2 for
// JPEG and 3 for the floating-point predictor).
const (
	tiffWidth         = 256
	tiffHeight        = 257
	tiffBits          = 258
	tiffCompression   = 259
	tiffPhotometric   = 262
	tiffFillOrder     = 266
	tiffStripOffsets  = 273
	tiffOrientation   = 274
	tiffSamples       = 277
	tiffRowsPerStrip  = 278
	tiffStripBytes    = 279
	tiffPlanar        = 284
	tiffT4Options     = 292
	tiffPredictor     = 317
	tiffColourMap     = 320
	tiffTileWidth     = 322
	tiffTileLength    = 323
	tiffTileOffsets   = 324
	tiffTileBytes     = 325
	tiffExtraSamples  = 338
	tiffSampleFormat  = 339
	tiffJPEGTables    = 347
	tiffSubsampling   = 530
	tiffLastOfTheTags = 532

	tiffYCbCrCoefficients   = 529
	tiffReferenceBlackWhite = 532
)

// What the tags' numbers mean.
const (
	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffPalette     = 3
	tiffCMYK        = 5
	tiffYCbCr       = 6
	tiffLab         = 8
	tiffICCLab      = 9

	tiffUnsigned = 1
	tiffSigned   = 2
	tiffFloat    = 3

	tiffNone       = 1
	tiffFaxRuns    = 2
	tiffFaxT4      = 3
	tiffFaxT6      = 4
	tiffLZW        = 5
	tiffOldJPEG    = 6
	tiffJPEG       = 7
	tiffDeflate    = 8
	tiffZstd       = 50000
	tiffOldDeflate = 32946
	tiffFaxWords   = 32771 // runs, each row beginning with a word of 16 bits
	tiffPackBits   = 32773
	tiffLZMA       = 34925
)

// tiffFile is the first directory of a TIFF or BigTIFF file, for pictures and for maps.
type tiffFile struct {
	data  []byte
	order binary.ByteOrder
	noun  string // of the reasons of errors: picture or grid
	tags  map[uint16][]int64
	raw   []byte // of JPEGTables
	// The tags of fractions that are of interest.
	fractions map[uint16][]float64

	width, height     int64
	samples           int64 // of a pixel
	bits, kind        int64 // of a sample; unsigned, signed or floating
	photometric       int64
	compression       int64
	predictor         int64
	planar            bool // samples lie in planes of their own
	tileWidth         int64
	tileHeight        int64
	across, down      int64
	offsets, lengths  []int64
	samplesOfOneBlock int64 // of a pixel
}

// isTIFF reports the magic of TIFF or BigTIFF.
func isTIFF(data []byte) bool {
	if len(data) < 4 {
		return false
	}
	switch string(data[:4]) {
	case "II*\x00", "MM\x00*", "II+\x00", "MM\x00+":
		return true
	}
	return false
}

// openTIFF reads the directory, holds its size against the cap, and refuses what is not read in words that are
// the same for pictures and maps.
func openTIFF(data []byte, noun string, admit func(width, height int64) error) (*tiffFile, error) {
	t := &tiffFile{data: data, order: binary.LittleEndian, noun: noun, tags: map[uint16][]int64{}, fractions: map[uint16][]float64{}}
	if data[0] == 'M' {
		t.order = binary.BigEndian
	}
	if err := t.read(); err != nil {
		return nil, err
	}
	t.width, t.height = t.tag(tiffWidth, 0), t.tag(tiffHeight, 0)
	if err := admit(t.width, t.height); err != nil {
		return nil, err
	}
	t.bits, t.kind, t.samples = t.tag(tiffBits, 1), t.tag(tiffSampleFormat, tiffUnsigned), t.tag(tiffSamples, 1)
	t.photometric, t.compression, t.predictor = t.tag(tiffPhotometric, 1), t.tag(tiffCompression, tiffNone), t.tag(tiffPredictor, 1)
	t.planar = t.tag(tiffPlanar, 1) == 2 && t.samples > 1
	for _, b := range t.tags[tiffBits] {
		if b != t.bits {
			return nil, t.unsupported("samples of %d and of %d bits", t.bits, b)
		}
	}
	for _, k := range t.tags[tiffSampleFormat] {
		if k != t.kind && (t.photometric != tiffLab || k > tiffSigned) { // of Lab lightness may be called unsigned and the others signed
			return nil, t.unsupported("whole and floating-point samples in one pixel")
		}
	}
	switch {
	case t.samples < 1 || t.samples > 64:
		return nil, t.unsupported("%d samples a pixel", t.samples)
	case t.kind < tiffUnsigned || t.kind > tiffFloat:
		return nil, t.unsupported("samples of format %d; want whole or floating-point numbers", t.kind)
	case t.kind == tiffFloat && t.bits != 16 && t.bits != 32 && t.bits != 64,
		t.kind == tiffSigned && t.bits != 8 && t.bits != 16 && t.bits != 32,
		t.kind == tiffUnsigned && t.bits != 1 && t.bits != 2 && t.bits != 4 && t.bits != 8 && t.bits != 16 && t.bits != 32 && (t.bits != 12 || noun != "picture"):
		return nil, t.unsupported("samples of %d bits", t.bits)
	case t.compression == tiffOldJPEG:
		return nil, t.unsupported("compressed by JPEG as in 1992 (compression 6)")
	case t.compression == tiffJPEG && (noun != "picture" || t.bits != 8 || t.kind != tiffUnsigned):
		return nil, t.unsupported("compressed by JPEG, with samples of %d bits", t.bits)
	}
	switch t.compression {
	case tiffNone, tiffLZW, tiffJPEG, tiffDeflate, tiffOldDeflate, tiffPackBits, tiffZstd, tiffLZMA:
	case tiffFaxRuns, tiffFaxWords, tiffFaxT4, tiffFaxT6:
		if t.bits != 1 || t.samples != 1 {
			return nil, t.unsupported("a fax code (compression %d) for %d samples of %d bits", t.compression, t.samples, t.bits)
		}
	case 33003, 33004, 33005, 34712:
		return nil, t.unsupported("compressed by JPEG 2000")
	case 50001, 50002:
		return nil, t.unsupported("compressed by WebP or JPEG XL (compression %d)", t.compression)
	case 34887:
		return nil, t.unsupported("compressed by LERC")
	default:
		return nil, t.unsupported("compression %d", t.compression)
	}
	if p := t.predictor; p < 1 || p > 3 || p == 3 && t.kind != tiffFloat || p == 2 && (t.kind == tiffFloat || t.bits%8 != 0) {
		return nil, t.unsupported("predictor %d with samples of format %d and %d bits", p, t.kind, t.bits)
	}
	if err := t.checkColours(); err != nil {
		return nil, err
	}
	return t, t.layOut()
}

// layOut finds the strips or tiles.
func (t *tiffFile) layOut() error {
	// Strips are tiles of the full width.
	t.tileWidth, t.tileHeight = t.width, min(t.tag(tiffRowsPerStrip, t.height), t.height)
	t.offsets, t.lengths = t.tags[tiffStripOffsets], t.tags[tiffStripBytes]
	if t.tags[tiffTileOffsets] != nil {
		t.tileWidth, t.tileHeight = t.tag(tiffTileWidth, 0), t.tag(tiffTileLength, 0)
		t.offsets, t.lengths = t.tags[tiffTileOffsets], t.tags[tiffTileBytes]
	}
	if t.tileWidth < 1 || t.tileHeight < 1 || t.tileWidth > vision.MaxSide || t.tileHeight > vision.MaxSide {
		return t.corrupt("strips or tiles of %d x %d", t.tileWidth, t.tileHeight)
	}
	t.across, t.down = (t.width+t.tileWidth-1)/t.tileWidth, (t.height+t.tileHeight-1)/t.tileHeight
	// Tiles reach beyond the edges, but not by many times the picture.
	if beyond := float64(t.tileWidth) * float64(t.across) * float64(t.tileHeight) * float64(t.down); beyond > float64(4*t.width*t.height+1<<20) {
		return t.corrupt("tiles of %d x %d for %d x %d pixels", t.tileWidth, t.tileHeight, t.width, t.height)
	}
	planes := int64(1)
	t.samplesOfOneBlock = t.samples
	if t.planar {
		planes, t.samplesOfOneBlock = t.samples, 1
	}
	if len(t.lengths) == 0 && t.compression == tiffNone && len(t.offsets) == 1 { // some writers leave it out
		t.lengths = []int64{t.rowBytes() * t.tileHeight}
		if across, down := t.subsampling(); across*down > 1 {
			t.lengths[0] = t.unitBytes(t.tileHeight)
		}
	}
	if need := t.across * t.down * planes; int64(len(t.offsets)) < need || int64(len(t.lengths)) < need {
		return t.corrupt("%d strips or tiles are listed, and %d are needed", min(len(t.offsets), len(t.lengths)), need)
	}
	best := int64(1032) // deflate's
	switch t.compression {
	case tiffNone:
		best = 1
	case tiffLZW:
		best = 4096 // a code of 9 bits can stand for a string of that length
	case tiffZstd:
		best = 128 << 10 // a block of one byte, repeated
	case tiffLZMA:
		best = 16 << 10 // strings of 273 bytes for a seventh of a bit
	case tiffFaxRuns, tiffFaxWords, tiffFaxT4, tiffFaxT6:
		best = max(t.width, 1) // a row of one bit
	case tiffJPEG:
		best = 1 << 10 // a block of 64 pixels in few bits, subsampled colours included
	}
	need := (t.width*t.samples*t.bits + 7) / 8 * t.height
	if across, down := t.subsampling(); across*down > 1 {
		need = t.width * t.height // and chroma
	}
	if need/best > int64(len(t.data)) {
		return fault.Corruptf("truncated", "TIFF: the pixels take %d bytes and %d are there; fetch the file again", need, len(t.data))
	}
	return nil
}

// rowBytes is the length of a row of a strip or tile.
func (t *tiffFile) rowBytes() int64 { return (t.tileWidth*t.samplesOfOneBlock*t.bits + 7) / 8 }

func (t *tiffFile) corrupt(format string, args ...any) error {
	return fault.Corruptf("corrupt_"+t.noun, "TIFF: "+format, args...)
}

func (t *tiffFile) unsupported(format string, args ...any) error {
	return fault.Unsupportedf("unsupported_"+t.noun, "TIFF: "+format+": not read; save it again as 8 or 16 bits with Deflate, LZW or none (tiffcp -c zip IN OUT changes the compression alone, magick IN OUT.png the samples too)", args...)
}

// eachBlock unpacks strips and tiles and gives their rows, without a predictor any more, and where they lie: the
// first pixel, how many pixels of the row lie within the picture, and the first sample of each (0, or its plane).
func (t *tiffFile) eachBlock(row func(pix []byte, left, y, n, plane int64)) error {
	planes := t.samples / t.samplesOfOneBlock
	bytes := t.rowBytes()
	for i := range t.across * t.down * planes {
		plane, place := i/(t.across*t.down), i%(t.across*t.down)
		left, top := place%t.across*t.tileWidth, place/t.across*t.tileHeight
		rows := min(t.tileHeight, t.height-top)
		var pix []byte
		var err error
		if across, down := t.subsampling(); across*down > 1 {
			if pix, err = t.block(i, t.offsets[i], t.lengths[i], t.compression, t.unitBytes(rows)); err == nil {
				pix = t.spread(pix, rows)
			}
		} else if t.compression == tiffJPEG {
			pix, err = t.jpegBlock(i, rows)
		} else {
			pix, err = t.block(i, t.offsets[i], t.lengths[i], t.compression, bytes*rows)
		}
		if err != nil {
			return err
		}
		for y := range rows {
			b := pix[y*bytes:][:bytes]
			t.undo(b)
			row(b, left, top+y, min(t.tileWidth, t.width-left), plane)
		}
	}
	return nil
}

// tag returns the first value of a tag, or what the format says when it is not there.
func (t *tiffFile) tag(tag uint16, missing int64) int64 {
	if v := t.tags[tag]; len(v) > 0 {
		return v[0]
	}
	return missing
}

// read reads the first directory. Only whole numbers are of interest, of each tag the first.
func (t *tiffFile) read() error {
	big := len(t.data) >= 4 && (t.data[2] == 43 || t.data[3] == 43)
	head, count, entrySize, room := int64(8), int64(2), int64(12), int64(4)
	if big {
		head, count, entrySize, room = 16, 8, 20, 8
	}
	size := int64(len(t.data))
	if size < head {
		return fault.Corruptf("truncated", "TIFF: the file is cut off after %d bytes", size)
	}
	at, n := int64(0), int64(0)
	if big {
		if t.order.Uint16(t.data[4:]) != 8 {
			return t.corrupt("offsets of %d bytes", t.order.Uint16(t.data[4:]))
		}
		at = int64(t.order.Uint64(t.data[8:]) & (1<<63 - 1))
	} else {
		at = int64(t.order.Uint32(t.data[4:]))
	}
	if at < head || at > size-count {
		return fault.Corruptf("truncated", "TIFF: the directory lies at byte %d of %d; fetch the file again", at, size)
	}
	if big {
		n = int64(t.order.Uint64(t.data[at:]) & (1<<63 - 1))
	} else {
		n = int64(t.order.Uint16(t.data[at:]))
	}
	if n > (size-at-count)/entrySize {
		return fault.Corruptf("truncated", "TIFF: the directory at byte %d is cut off; fetch the file again", at)
	}
	for i := range n {
		entry := t.data[at+count+entrySize*i:][:entrySize]
		tag, kind := t.order.Uint16(entry), t.order.Uint16(entry[2:])
		value := entry[4+room:]
		number := int64(t.order.Uint32(entry[4:]))
		if big {
			number = int64(t.order.Uint64(entry[4:]) & (1<<63 - 1))
		}
		width := map[uint16]int64{1: 1, 3: 2, 4: 4, 5: 8, 7: 1, 16: 8}[kind]
		fraction := tag == tiffYCbCrCoefficients || tag == tiffReferenceBlackWhite
		if width == 0 || fraction != (kind == 5) || fraction && (number > 6 || t.fractions[tag] != nil) || tag < tiffWidth || tag > tiffLastOfTheTags || kind == 7 && tag != tiffJPEGTables || t.tags[tag] != nil {
			continue
		}
		if number > room/width {
			from := int64(t.order.Uint32(value))
			if big {
				from = int64(t.order.Uint64(value) & (1<<63 - 1))
			}
			if from > size || number > (size-from)/width {
				return fault.Corruptf("truncated", "TIFF: the values of tag %d lie beyond the end of the file; fetch it again", tag)
			}
			value = t.data[from:]
		}
		if tag == tiffJPEGTables {
			if width == 1 {
				t.raw = value[:number]
			}
			continue
		}
		if fraction {
			for j := range number {
				n, d := t.order.Uint32(value[8*j:]), t.order.Uint32(value[8*j+4:])
				t.fractions[tag] = append(t.fractions[tag], float64(n)/float64(d))
			}
			continue
		}
		out := make([]int64, number)
		for j := range out {
			switch width {
			case 1:
				out[j] = int64(value[j])
			case 2:
				out[j] = int64(t.order.Uint16(value[2*j:]))
			case 4:
				out[j] = int64(t.order.Uint32(value[4*j:]))
			default:
				out[j] = int64(t.order.Uint64(value[8*j:]) & (1<<63 - 1))
			}
		}
		t.tags[tag] = out
	}
	return nil
}

// block unpacks strip or tile i to want bytes. The slice is its own: predictors work in place.
func (t *tiffFile) block(i, offset, count, compression, want int64) ([]byte, error) {
	if offset > int64(len(t.data)) || count > int64(len(t.data))-offset {
		return nil, fault.Corruptf("truncated", "TIFF: strip or tile %d (bytes %d to %d) lies beyond the file's %d bytes; fetch it again", i, offset, offset+count, len(t.data))
	}
	b := t.data[offset : offset+count]
	if t.tag(tiffFillOrder, 1) == 2 { // the first pixel in the lowest bit
		b = bytes.Clone(b)
		for k, v := range b {
			b[k] = bits.Reverse8(v)
		}
	}
	var out []byte
	var err error
	switch compression {
	case tiffNone:
		out = bytes.Clone(b[:min(want, count)])
	case tiffLZW:
		var r io.ReadCloser
		if len(b) > 1 && b[0] == 0 && b[1]&1 != 0 {
			// libtiff before 1992 packed codes from the lowest bit up and widened them a code later, as GIF does. The
			// first code, 256, tells; libtiff still looks for it.
			r = stdlzw.NewReader(bytes.NewReader(b), stdlzw.LSB, 8)
		} else {
			r = lzw.NewReader(bytes.NewReader(b), lzw.MSB, 8)
		}
		defer r.Close()
		out, err = readUpTo(r, want)
	case tiffLZMA:
		out, err = unxz(b, want)
	case tiffFaxRuns, tiffFaxWords, tiffFaxT4, tiffFaxT6:
		rowBytes := t.rowBytes()
		out, err = faxRows(b, compression, t.tag(tiffT4Options, 0), int(t.tileWidth), int(want/rowBytes), int(rowBytes))
	case tiffDeflate, tiffOldDeflate:
		var r io.ReadCloser
		if r, err = zlib.NewReader(bytes.NewReader(b)); err == nil {
			defer r.Close()
			out, err = readUpTo(r, want)
		}
	case tiffZstd:
		var r *zstd.Decoder
		if r, err = zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20), zstd.WithDecoderLowmem(true)); err == nil {
			defer r.Close()
			out, err = readUpTo(r, want)
		}
	case tiffPackBits:
		out = packBits(b, want)
	}
	if int64(len(out)) < want {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if compression == tiffNone {
			return nil, fault.Corruptf("truncated", "TIFF: strip or tile %d at byte %d has %d of %d bytes; fetch the file again", i, offset, len(out), want)
		}
		return nil, t.corrupt("strip or tile %d at byte %d gives %d of %d bytes: %w", i, offset, len(out), want, err)
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

// undo takes back what the predictor did to a row of a strip or tile.
func (t *tiffFile) undo(row []byte) {
	size, step := t.bits/8, t.samplesOfOneBlock
	switch t.predictor {
	case 2: // each sample is the difference to the one of the pixel before
		before := size * step
		for x := before; x < int64(len(row)); x += size {
			switch size {
			case 1:
				row[x] += row[x-before]
			case 2:
				t.order.PutUint16(row[x:], t.order.Uint16(row[x:])+t.order.Uint16(row[x-before:]))
			default:
				t.order.PutUint32(row[x:], t.order.Uint32(row[x:])+t.order.Uint32(row[x-before:]))
			}
		}
	case 3: // planes of bytes, the most significant first, then differences of bytes
		for x := step; x < int64(len(row)); x++ {
			row[x] += row[x-step]
		}
		planes := bytes.Clone(row)
		n := int64(len(row)) / size
		for x := range n {
			for b := range size {
				row[x*size+b] = planes[b*n+x]
			}
		}
	}
}

package picture

import (
	"bytes"
	"encoding/binary"
)

// tiffTags are the entries of a TIFF file's first directory that are one number of 16 or 32 bits, by tag.
type tiffTags struct {
	order binary.ByteOrder
	value [1024]uint32
	place [1024]uint32 // of the value in the file, 0 where there is none
	long  [1024]bool
}

// readTIFFTags reads what there is of the first directory, and says whether it is whole.
func readTIFFTags(data []byte) (t tiffTags, whole bool) {
	if len(data) < 8 {
		return t, false
	}
	t.order = binary.LittleEndian
	if data[0] == 'M' {
		t.order = binary.BigEndian
	}
	at := int64(t.order.Uint32(data[4:]))
	if at+2 > int64(len(data)) {
		return t, false
	}
	for i := range int64(t.order.Uint16(data[at:])) {
		e := at + 2 + 12*i
		if e+12 > int64(len(data)) {
			return t, false
		}
		tag, kind := t.order.Uint16(data[e:]), t.order.Uint16(data[e+2:])
		if int(tag) >= len(t.value) || t.order.Uint32(data[e+4:]) != 1 {
			continue
		}
		t.place[tag] = uint32(e + 8)
		switch kind {
		case 3:
			t.value[tag] = uint32(t.order.Uint16(data[e+8:]))
		case 4:
			t.value[tag], t.long[tag] = t.order.Uint32(data[e+8:]), true
		}
	}
	return t, true
}

// invertedFax reports that golang.org/x/image/tiff gives the file's negative: it takes the white runs of a fax
// code for white, whatever they stand for. A run that is called white is of zeros, and zero may be black.
func invertedFax(data []byte) bool {
	t, _ := readTIFFTags(data)
	const group3, group4, blackIsZero = 3, 4, 1
	c := t.value[tiffCompression]
	return (c == group3 || c == group4) && t.value[tiffPhotometric] == blackIsZero
}

// wholeTiles returns a TIFF file whose width and height are rounded up to whole tiles, and whether anything had
// to change: golang.org/x/image/tiff takes the padding of the last tile of a row for pixels in all modes but
// 8-bit RGB and palettes, and gives a wrong picture without an error. The caller cuts off what is too much.
func wholeTiles(data []byte) ([]byte, bool) {
	t, whole := readTIFFTags(data)
	if !whole {
		return data, false
	}
	out, changed := data, false
	for _, axis := range [2][2]int{{tiffWidth, tiffTileWidth}, {tiffHeight, tiffTileLength}} {
		n, tile := int64(t.value[axis[0]]), int64(t.value[axis[1]])
		if n == 0 || tile == 0 || n%tile == 0 {
			continue
		}
		n = (n + tile - 1) / tile * tile
		if n > 1<<24 || !t.long[axis[0]] && n > 0xffff {
			return data, false
		}
		if !changed {
			out, changed = bytes.Clone(data), true
		}
		if p := t.place[axis[0]]; t.long[axis[0]] {
			t.order.PutUint32(out[p:], uint32(n))
		} else {
			t.order.PutUint16(out[p:], uint16(n))
		}
	}
	return out, changed
}

package media

import (
	"bytes"
	"encoding/binary"
)

// wholeTiles returns a TIFF file whose width and height are rounded up to whole tiles, and whether anything had
// to change: golang.org/x/image/tiff takes the padding of the last tile of a row for pixels in all modes but
// 8-bit RGB and palettes, and gives a wrong picture without an error. The caller cuts off what is too much.
func wholeTiles(data []byte) ([]byte, bool) {
	if len(data) < 8 {
		return data, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(data[4:]))
	if at+2 > int64(len(data)) {
		return data, false
	}
	const width, height, tileWidth, tileHeight = 256, 257, 322, 323
	var value, place [1024]uint32 // by tag
	var long [1024]bool
	for i := range int64(order.Uint16(data[at:])) {
		e := at + 2 + 12*i
		if e+12 > int64(len(data)) {
			return data, false
		}
		tag, kind := order.Uint16(data[e:]), order.Uint16(data[e+2:])
		if int(tag) >= len(value) || order.Uint32(data[e+4:]) != 1 {
			continue
		}
		place[tag] = uint32(e + 8)
		switch kind {
		case 3:
			value[tag] = uint32(order.Uint16(data[e+8:]))
		case 4:
			value[tag], long[tag] = order.Uint32(data[e+8:]), true
		}
	}
	out, changed := data, false
	for _, axis := range [2][2]int{{width, tileWidth}, {height, tileHeight}} {
		n, tile := int64(value[axis[0]]), int64(value[axis[1]])
		if n == 0 || tile == 0 || n%tile == 0 {
			continue
		}
		n = (n + tile - 1) / tile * tile
		if n > 1<<24 || !long[axis[0]] && n > 0xffff {
			return data, false
		}
		if !changed {
			out, changed = bytes.Clone(data), true
		}
		if p := place[axis[0]]; long[axis[0]] {
			order.PutUint32(out[p:], uint32(n))
		} else {
			order.PutUint16(out[p:], uint16(n))
		}
	}
	return out, changed
}

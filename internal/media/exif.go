package media

import (
	"bytes"
	"encoding/binary"
)

// exifOrientation returns the orientation (1 to 8) that an EXIF block states, 0 when it states none. The
// block is a TIFF structure (CIPA DC-008, TIFF 6.0), with or without "Exif\0\0" before it; tag 0x0112 of
// the first directory, type SHORT. Anything out of order counts as no statement: a picture is not lost
// over its metadata.
func exifOrientation(b []byte) int {
	b = bytes.TrimPrefix(b, []byte("Exif\x00\x00"))
	if len(b) < 8 {
		return 0
	}
	var order binary.ByteOrder
	switch string(b[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	at := int64(order.Uint32(b[4:]))
	if at < 8 || at+2 > int64(len(b)) {
		return 0
	}
	dir := b[at:]
	entries := int(order.Uint16(dir))
	for i := range entries {
		if 2+12*(i+1) > len(dir) {
			return 0
		}
		e := dir[2+12*i:]
		if order.Uint16(e) != 0x0112 {
			continue
		}
		const short = 3
		if order.Uint16(e[2:]) != short || order.Uint32(e[4:]) != 1 {
			return 0
		}
		if v := int(order.Uint16(e[8:])); v >= 1 && v <= 8 {
			return v
		}
		return 0
	}
	return 0
}

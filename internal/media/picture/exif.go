package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
)

// exifOrientation returns the orientation (1 to 8) that an EXIF block states, 0 when it states none. The
// block is a TIFF structure (CIPA DC-008, TIFF 6.0), with or without "Exif\0\0" before it; tag 0x0112 of
// the first directory. Anything out of order counts as no statement: a picture is not lost
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
		if order.Uint32(e[4:]) != 1 {
			return 0
		}
		v := uint32(0)
		switch order.Uint16(e[2:]) {
		case 1: // BYTE, as a few programs write it
			v = uint32(e[8])
		case 3: // SHORT, the standard's
			v = uint32(order.Uint16(e[8:]))
		case 4, 9: // LONG, and SLONG as some cameras write it
			v = order.Uint32(e[8:])
		}
		if v >= 1 && v <= 8 {
			return int(v)
		}
		return 0
	}
	return 0
}

var xmpTag = regexp.MustCompile(`tiff:Orientation(?:="|>)([1-8])\b`)

// xmpOrientation returns the orientation that an XMP packet states, 0 when it states none. It counts where
// EXIF states none, as in Pillow's exif_transpose.
func xmpOrientation(b []byte) int {
	if m := xmpTag.FindSubmatch(b); m != nil {
		return int(m[1][0] - '0')
	}
	return 0
}

// pngOrientation looks for the orientation of a PNG file where programs put it: the eXIf chunk, the text
// "Raw profile type exif" of ImageMagick, and XMP.
func pngOrientation(data []byte) int {
	if v := exifOrientation(pngChunk(data, "eXIf", "")); v != 0 {
		return v
	}
	// KEYWORD 0, of zTXt a method, then "\nexif\n    LENGTH\nHEX HEX ...".
	const profile = "Raw profile type exif\x00"
	text := []byte(nil)
	if b := pngChunk(data, "zTXt", profile); len(b) > 0 {
		text = inflateText(b[1:])
	} else {
		text = pngChunk(data, "tEXt", profile)
	}
	if lines := bytes.SplitN(text, []byte("\n"), 4); len(lines) == 4 {
		raw := bytes.Join(bytes.Fields(lines[3]), nil)
		block := make([]byte, hex.DecodedLen(len(raw)))
		if n, err := hex.Decode(block, raw); err == nil {
			if v := exifOrientation(block[:n]); v != 0 {
				return v
			}
		}
	}
	// KEYWORD 0, compressed or not, method, language 0, translated keyword 0, text.
	if b := pngChunk(data, "iTXt", "XML:com.adobe.xmp\x00"); len(b) > 2 {
		compressed := b[0] == 1
		parts := bytes.SplitN(b[2:], []byte{0}, 3)
		text := parts[len(parts)-1]
		if compressed {
			text = inflateText(text)
		}
		return xmpOrientation(text)
	}
	return 0
}

// inflateText inflates metadata, as much of it as can matter: the rest may be a bomb.
func inflateText(b []byte) []byte {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(r, 1<<20)) // what there is before an error counts
	return text
}

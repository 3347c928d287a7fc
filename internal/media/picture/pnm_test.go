package picture_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
)

// greys decodes a grey picture and returns one byte a pixel.
func greys(t *testing.T, name string, data []byte, o picture.Options) (got []byte) {
	t.Helper()
	p, _, err := new(picture.Decoder).DecodePicture(data, o)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	for i := 0; i < len(p.Pix); i += 3 {
		got = append(got, p.Pix[i])
	}
	return got
}

func TestPNM(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"PBM in text", "P1\n# two rows\n3 2\n010\n1 0 1", "\xff\x00\xff\x00\xff\x00"},
		{"PBM", "P4 10 2\n\x80\x40\x7f\x80", "\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00\xff"},
		{"PGM in text", "P2 3 1 10\n0 5 10\n", "\x00\x80\xff"},
		{"PGM", "P5\n#x\n2 2\n255\n\x00\x01\x80\xff", "\x00\x01\x80\xff"},
		{"PGM of 15 levels", "P5 2 1 15\n\x01\x0f", "\x11\xff"},
		{"PGM of 16 bits", "P5 2 1 65535\n\x80\x00\xff\xff", "\x80\xff"},
		{"PGM of 12 bits", "P5 2 1 4095\n\x0f\xff\x00\x10", "\xff\x01"},
	} {
		if got := greys(t, c.name, []byte(c.data), picture.Options{}); string(got) != c.want {
			t.Errorf("%s: % x, want % x", c.name, got, c.want)
		}
	}
	if got := greys(t, "clipped", []byte("P5 2 1 65535\n\x00\x07\x01\x00"), picture.Options{Depth16: "clip"}); string(got) != "\x07\xff" {
		t.Errorf("clipped: % x", got)
	}
	for _, data := range []string{"P6 1 2 255\n\x01\x02\x03\x04\x05\x06", "P3 1 2 255 1 2 3 4 5 6", "P6 1 2 65535\n\x01\x01\x02\x02\x03\x03\x04\x04\x05\x05\x06\x06"} {
		p, info, err := new(picture.Decoder).DecodePicture([]byte(data), picture.Options{})
		if err != nil || string(p.Pix) != "\x01\x02\x03\x04\x05\x06" || info.Format != "PPM" || info.Width != 1 || info.Height != 2 {
			t.Errorf("%q: %v, %+v, %v", data, p, info, err)
		}
	}
	for data, reason := range map[string]string{
		"P6 2 2 255\n123": "truncated", "P1 2 2\n111": "truncated", "P2 2 2 9\n1 2 3      ": "truncated", "P2 1 1 9\n  x ": "corrupt_picture",
		"P5 0 1 9\n ": "corrupt_picture", "P5 1 1 65536\n  ": "corrupt_picture", "P5 1": "corrupt_picture", "P6 99999999 99999999 255\n ": "too_large",
		"P4 99999999999999999999 1\n ": "corrupt_picture",
	} {
		if _, _, err := new(picture.Decoder).DecodePicture([]byte(data), picture.Options{}); fault.ReasonOf(err) != reason {
			t.Errorf("%q: %v, want %s", data, err, reason)
		}
	}
}

// tiffOf builds a TIFF of one uncompressed strip.
func tiffOf(width, height, bits, fillOrder uint16, strip string) []byte {
	le := binary.LittleEndian
	b := append([]byte("II*\x00\x08\x00\x00\x00"), 8, 0)
	for _, tag := range [][2]uint16{{256, width}, {257, height}, {258, bits}, {262, 1}, {266, fillOrder}, {273, 8 + 2 + 8*12 + 4}, {277, 1}, {279, uint16(len(strip))}} {
		b = le.AppendUint16(le.AppendUint16(b, tag[0]), 3)
		b = le.AppendUint32(le.AppendUint32(b, 1), uint32(tag[1]))
	}
	return append(append(b, 0, 0, 0, 0), strip...)
}

func TestTIFFBits(t *testing.T) {
	for _, c := range []struct {
		name        string
		bits, order uint16
		strip, want string
	}{
		{"4 bits", 4, 1, "\x1f\x80", "\x11\xff\x88"},
		{"4 bits, the lowest first", 4, 2, "\xf8\x01", "\x11\xff\x88"},
		{"8 bits, the lowest first", 8, 2, "\x80\x01\xf0", "\x01\x80\x0f"},
		{"16 bits, the lowest first", 16, 2, "\x00\x80\x00\x01\xff\xff", "\x01\x80\xff"},
		{"12 bits", 12, 1, "\x80\x0f\xff\x01\x00", "\x80\xff\x01"},
	} {
		if got := greys(t, c.name, tiffOf(3, 1, c.bits, c.order, c.strip), picture.Options{}); string(got) != c.want {
			t.Errorf("%s: % x, want % x", c.name, got, c.want)
		}
	}
	if got := greys(t, "12 bits, clipped", tiffOf(2, 1, 12, 1, "\x00\x71\x00"), picture.Options{Depth16: "clip"}); string(got) != "\x07\xff" {
		t.Errorf("clipped: % x", got)
	}
}

// TestBMPForgottenPalette: an offset of the pixels that points to the palette.
func TestBMPForgottenPalette(t *testing.T) {
	b := bytes.Clone(readPicture(t, "palette8.bmp"))
	want := greys(t, "palette8.bmp", b, picture.Options{})
	binary.LittleEndian.PutUint32(b[10:], 14+binary.LittleEndian.Uint32(b[14:]))
	if got := greys(t, "forgotten", b, picture.Options{}); !bytes.Equal(got, want) {
		t.Error("other pixels")
	}
}

package picture_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
)

// zeros is 64 MiB of nothing, compressed to 64 KiB.
func zeros(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range 64 {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withChunk puts a chunk behind the header of a PNG.
func withChunk(png []byte, kind string, body []byte) []byte {
	const header = 8 + 25
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	chunk = append(append(chunk, kind...), body...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return append(append(bytes.Clone(png[:header]), chunk...), png[header:]...)
}

// Files that promise or unpack to far more than they are worth: each costs its row and little memory.
func TestBombsCostLittleMemory(t *testing.T) {
	png, gif, bmp, tif := readPicture(t, "rgb.png"), readPicture(t, "plain.gif"), readPicture(t, "rgb24.bmp"), readPicture(t, "lzw.tif")
	jpg, lossless, rle := readPicture(t, "s2x2.jpg"), readPicture(t, "lossless.webp"), readPicture(t, "rle8.bmp")
	frame := bytes.IndexByte(gif[13+3<<(gif[10]&7+1):], 0x2c) + 13 + 3<<(gif[10]&7+1)
	sof := bytes.Index(jpg, []byte("\xff\xc0"))
	bomb := zeros(t)
	idat := append(append([]byte(nil), pngHeader(30000, 5900, 8, 2)[:33]...), withChunk(make([]byte, 33), "IDAT", bomb)[33:]...)
	for _, c := range []struct {
		name string
		data []byte
		fine bool
		most uint64 // bytes allocated
	}{
		{"PNG: a text that unpacks to 64 MiB", withChunk(png, "zTXt", append([]byte("Raw profile type exif\x00\x00"), bomb...)), true, 12 << 20},
		{"PNG: XMP that unpacks to 64 MiB", withChunk(png, "iTXt", append([]byte("XML:com.adobe.xmp\x00\x01\x00\x00\x00"), bomb...)), true, 12 << 20},
		{"PNG: a colour profile that unpacks to 64 MiB", withChunk(png, "iCCP", append([]byte("bomb\x00\x00"), bomb...)), true, 4 << 20},
		{"PNG: a comment that unpacks to 64 MiB", withChunk(png, "zTXt", append([]byte("Comment\x00\x00"), bomb...)), true, 4 << 20},
		{"PNG: pixels that unpack to 64 MiB", idat, false, 1 << 20},
		{"PNG: a header of 2^40 pixels", pngHeader(1<<20, 1<<20, 16, 6), false, 1 << 20},
		{"PNG: a header of 177 million pixels", pngHeader(30000, 5900, 16, 6), false, 1 << 20},
		{"GIF: a frame of 2^32 pixels", splice(gif, frame+5, "\xff\xff\xff\xff"), false, 1 << 20},
		{"GIF: a frame of 100 million pixels", splice(gif, frame+5, "\x10\x27\x10\x27"), false, 1 << 20},
		{"BMP: a header of 2^48 pixels", splice(bmp, 18, "\xff\xff\xff\x00\xff\xff\xff\x00"), false, 1 << 20},
		{"BMP: 100 million pixels", splice(bmp, 18, "\x10\x27\x00\x00\x10\x27\x00\x00"), false, 1 << 20},
		{"BMP: 100 million run-length coded pixels", splice(rle, 18, "\x10\x27\x00\x00\x10\x27\x00\x00"), false, 1 << 20},
		{"WebP: 268 million pixels", splice(lossless, 21, "\xff\xff\xff\x0f"), false, 1 << 20},
		{"JPEG: 2^32 pixels", splice(jpg, sof+5, "\xff\xff\xff\xff"), false, 1 << 20},
		{"JPEG: 100 million pixels", splice(jpg, sof+5, "\x27\x10\x27\x10"), false, 1 << 20},
		{"TIFF: cut", tif[:len(tif)/2], false, 4 << 20},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := new(picture.Decoder).DecodeCrop(c.data, picture.Options{ApplyOrientation: true}, 224)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > c.most {
			t.Errorf("%s: %d bytes allocated, want at most %d", c.name, n, c.most)
		}
		if c.fine != (err == nil) || err != nil && fault.KindOf(err) != fault.Corrupt && fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

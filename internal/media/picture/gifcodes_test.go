package picture

import (
	"bytes"
	"compress/lzw"
	"io"
	"testing"
)

// Whatever the codes: what compress/lzw makes of them, whole or up to the same place.
func FuzzGIFCodes(f *testing.F) {
	for size := 2; size <= 8; size++ {
		var b bytes.Buffer
		w := lzw.NewWriter(&b, lzw.LSB, size)
		for i := range 5000 {
			if _, err := w.Write([]byte{byte(i*i/7) & (1<<size - 1)}); err != nil {
				f.Fatal(err)
			}
		}
		w.Close()
		f.Add(b.Bytes(), byte(size), uint16(5000))
		f.Add(b.Bytes()[:b.Len()/2], byte(size), uint16(5000))
		f.Add(b.Bytes(), byte(size), uint16(4000))
	}
	f.Add([]byte{0, 8, 4, 200, 100, 50, 25}, byte(11), uint16(9))
	f.Fuzz(func(t *testing.T, data []byte, kind byte, pixels uint16) {
		size := 2 + int(kind)%10
		out := make([]uint8, pixels)
		n, err := gifCodes(out, bytes.NewReader(data), size)
		if n > len(out) || (err == nil) != (n == len(out)) {
			t.Fatalf("%d of %d indices, %v", n, len(out), err)
		}
		if size > 8 {
			return
		}
		want := make([]uint8, pixels)
		m, wrong := io.ReadFull(lzw.NewReader(bytes.NewReader(data), lzw.LSB, size), want)
		if n != m || (err == nil) != (wrong == nil) || !bytes.Equal(out[:n], want[:m]) {
			t.Fatalf("size %d: %d indices (%v), compress/lzw %d (%v)", size, n, err, m, wrong)
		}
	})
}

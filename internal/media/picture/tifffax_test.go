package picture

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/image/ccitt"
)

// faxStrip is the only strip of a file of testdata/tiff.
func faxStrip(t testing.TB, name string) (data []byte, width, rows int) {
	t.Helper()
	b, err := os.ReadFile("testdata/tiff/" + name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := openTIFF(b, "picture", func(w, h int64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return b[f.offsets[0]:][:f.lengths[0]], int(f.tileWidth), int(f.tileHeight)
}

// Codes that end early, that there are none of, and that go beyond the row.
func TestMalformedFax(t *testing.T) {
	t6, width, rows := faxStrip(t, "fax_t6.tif")
	t4, t4Width, _ := faxStrip(t, "fax_t4.tif")
	bits := func(s string) []byte {
		s = strings.ReplaceAll(s, " ", "")
		s += strings.Repeat("0", -len(s)&7)
		var b []byte
		for ; s != ""; s = s[8:] {
			v := byte(0)
			for _, c := range s[:8] {
				v = v<<1 | byte(c-'0')
			}
			b = append(b, v)
		}
		return b
	}
	const endOfLine = "000000000001"
	for _, c := range []struct {
		name                 string
		data                 []byte
		compression, options int64
		width, rows          int
		words                string
	}{
		{"T.6: nothing", nil, 4, 0, 10, 1, "end early"},
		{"T.6: cut", t6[:len(t6)/2], 4, 0, width, rows, ": the codes end early"},
		{"T.6: the end before the last row", bits("1 000000000001 000000000001"), 4, 0, 10, 2, "row 1: no code at bit 1"},
		{"T.6: bare bits", bits("0000001111 0101"), 4, 0, 10, 1, "uncompressed mode"},
		{"T.6: two runs beyond the row", bits("001 00111 10 11011 10"), 4, 0, 10, 1, "beyond the row"},
		{"T.6: a change before the row", bits("000010 1"), 4, 0, 1, 1, "at pixel -1 of 1"},
		{"T.6: a change beyond the row", bits("011 1"), 4, 0, 10, 1, "at pixel 11 of 10"},
		{"T.4: no mark", bits("00111 00111 00111"), 3, 0, 10, 1, "end early"},
		{"T.4: a mark and nothing", bits(endOfLine), 3, 0, 10, 1, "end early"},
		{"T.4: no such run", bits(endOfLine + "00000000 1111 1111 1111"), 3, 0, 10, 1, "row 0: no code at bit 12"},
		{"T.4: cut", t4[:9], 3, 0, t4Width, 7, "end early"},
		{"T.4: make-up codes without end", bits(endOfLine + strings.Repeat("11011", 100)), 3, 0, 1000, 1, "beyond the row"},
		{"runs: too long a run", bits("00110100"), 2, 0, 10, 1, "beyond the row"},
		{"runs: a second row that is not there", bits("00111 000 00000000"), 2, 0, 10, 2, "row 1: the codes end early"},
	} {
		out, err := faxRows(c.data, c.compression, c.options, c.width, c.rows, (c.width+7)/8)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q (%x)", c.name, err, c.words, out)
		}
	}
	// The last row needs no end, and no bit more than its codes have.
	for _, c := range []struct {
		codes       string
		compression int64
		want        string
	}{
		{endOfLine + "0111 11 0111 011", 3, "\x33\xc0"},
		{"0111 11 0111 011", 2, "\x33\xc0"},
		{"001 0111 11 1", 4, "\x30\x00"},
	} {
		out, err := faxRows(bits(c.codes), c.compression, 0, 10, 1, 2)
		if err != nil || string(out) != c.want {
			t.Errorf("%s: %x, want %x (%v)", c.codes, out, c.want, err)
		}
	}
}

// Whatever the codes: no more than the rows that were asked for, and where golang.org/x/image/ccitt reads them too, the
// same.
func FuzzFax(f *testing.F) {
	for _, name := range []string{"fax_runs.tif", "fax_t4.tif", "fax_t4_2d.tif", "fax_t6.tif", "fax_t6_strips.tif"} {
		data, width, rows := faxStrip(f, name)
		for compression := range byte(3) {
			f.Add(data, uint16(width), uint8(min(rows, 40)), compression)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, w uint16, h, kind uint8) {
		width, rows := int(w)%6000+1, int(h)+1
		compression, options := int64(kind%3)+2, int64(kind/3%2)
		rowBytes := (width + 7) / 8
		out, err := faxRows(data, compression, options, width, rows, rowBytes)
		if err != nil {
			return
		}
		if len(out) != rows*rowBytes {
			t.Fatalf("%d bytes", len(out))
		}
		for y := range rows {
			if last := out[(y+1)*rowBytes-1]; width%8 != 0 && last<<(width%8) != 0 {
				t.Fatalf("row %d of %d pixels ends in %08b", y, width, last)
			}
		}
		sub := map[int64]ccitt.SubFormat{3: ccitt.Group3, 4: ccitt.Group4}
		format, ok := sub[compression]
		if !ok || options != 0 {
			return
		}
		want, err := io.ReadAll(ccitt.NewReader(bytes.NewReader(data), ccitt.MSB, format, width, rows, &ccitt.Options{Invert: false}))
		if err == nil && len(want) == len(out) {
			for i := range want {
				want[i] = ^want[i]
			}
			for y := range rows { // what fills the last byte is the package's own
				if width%8 != 0 {
					want[(y+1)*rowBytes-1] &^= 0xff >> (width % 8)
				}
			}
			if !bytes.Equal(want, out) {
				t.Fatalf("%d rows of %d pixels:\n%x\nx/image: %x", rows, width, out, want)
			}
		}
	})
}

// The tables have every run once.
func TestFaxCodes(t *testing.T) {
	for colour, codes := range faxCodes() {
		runs := map[int]int{}
		for _, e := range codes {
			if e != 0 {
				runs[int(e>>4)]++
			}
		}
		for run := 0; run <= 2560; run++ {
			if want := run < 64 || run%64 == 0; (runs[run] > 0) != want {
				t.Errorf("colour %d: run %d has %d places", colour, run, runs[run])
			}
		}
	}
}

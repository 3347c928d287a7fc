package picture_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
)

const gridHeight, gridWidth = 37, 53 // as in testdata/grids/make.py

func readGrid(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "grids", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every way in which a format can hold a map, written by NumPy, Pillow, tifffile and OpenEXR's own library.
func TestDecodeGrid(t *testing.T) {
	whole := func(x, y int) float32 { return float32((x*4099 + y*977) % 65536) }
	real := func(x, y int) float32 { return float32(x)*0.25 - float32(y)*0.5 + 3 }
	high := func(x, y int) float32 { return float32(int(whole(x, y)) >> 8) }
	for _, c := range []struct {
		name  string
		want  func(x, y int) float32
		bits  int
		float bool
	}{
		{"u16.png", whole, 16, false}, {"u8.png", high, 8, false},
		{"u16_none.tif", whole, 16, false}, {"u16_big.tif", whole, 16, false}, {"u16_lzw.tif", whole, 16, false},
		{"u16_packbits.tif", whole, 16, false}, {"u16_tiles.tif", whole, 16, false},
		{"i16.tif", func(x, y int) float32 { return whole(x, y) - 32768 }, 16, false},
		{"u32.tif", whole, 32, false}, {"f32_none.tif", real, 32, true}, {"f32_deflate.tif", real, 32, true},
		{"f32_tiles.tif", real, 32, true}, {"f64.tif", real, 64, true}, {"f16.tif", real, 16, true},
		{"f32.npy", real, 32, true}, {"f16.npy", real, 16, true}, {"f64_fortran.npy", real, 64, true},
		{"u16_chw.npy", whole, 16, false}, {"u16_hwc.npy", whole, 16, false}, {"i32_big.npy", whole, 32, false},
		{"f32_zip.exr", real, 32, true}, {"f16_zips.exr", real, 16, true}, {"f32_rle.exr", real, 32, true},
		{"f32_none.exr", real, 32, true}, {"u32_rgbz.exr", whole, 32, false}, {"f32_piz.exr", real, 32, true},
		{"f32_pxr24.exr", real, 32, true}, {"f32_b44.exr", real, 32, true}, {"f16_piz_tiles.exr", real, 16, true}, {"f32_parts.exr", real, 32, true},
		{"dwaa.exr", real, 32, true}, {"dwab_tiles.exr", real, 32, true},
		{"u16.pgm", whole, 16, false}, {"little.pfm", real, 32, true}, {"big.pfm", real, 32, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := new(picture.Decoder).DecodeGrid(readGrid(t, c.name), 0)
			if err != nil {
				t.Fatal(err)
			}
			if g.Width != gridWidth || g.Height != gridHeight || g.Bits != c.bits || g.Float != c.float {
				t.Fatalf("got %d x %d, %d bits, float %v", g.Width, g.Height, g.Bits, g.Float)
			}
			for i, v := range g.Values {
				if x, y := i%gridWidth, i/gridWidth; v != c.want(x, y) {
					t.Fatalf("(%d,%d) is %g, want %g", x, y, v, c.want(x, y))
				}
			}
		})
	}
}

// What formula has no exact stand-in for: samples that B44 rounds, as OpenEXR's own library reads them, and PIZ of
// more values than 14 bits can number.
func TestDecodeEXR(t *testing.T) {
	decode := func(name string) *picture.Grid {
		t.Helper()
		g, err := new(picture.Decoder).DecodeGrid(readGrid(t, name), 0)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	if got, want := decode("b44_half.exr"), decode("b44_half.exr.npy"); !slices.Equal(got.Values, want.Values) {
		t.Errorf("B44 is not what OpenEXR reads:\n%v\n%v", got.Values[:8], want.Values[:8])
	}
	wide := decode("piz_wide.exr")
	for i, v := range wide.Values {
		if v != float32(3*i) {
			t.Fatalf("PIZ: pixel %d of %d x %d is %g", i, wide.Width, wide.Height, v)
		}
	}
	// A renderer that was stopped leaves blocks whose places were never written.
	stopped := readGrid(t, "f32_zip.exr")
	table := bytes.Index(stopped, []byte("dataWindow\x00box2i\x00"))
	for table < len(stopped)-8 && binary.LittleEndian.Uint64(stopped[table:]) != uint64(table+24) { // three blocks, the first behind the table
		table++
	}
	clear(stopped[table+16 : table+24])
	_, err := new(picture.Decoder).DecodeGrid(stopped, 0)
	if err == nil || fault.ReasonOf(err) != "truncated" || !strings.Contains(err.Error(), "block 2 of 3 was never written") {
		t.Errorf("a block that was never written: %v", err)
	}
}

// npyHead is an NPY file of a header and nothing behind it.
func npyHead(header string) []byte {
	b := []byte("\x93NUMPY\x01\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	return append(b, header...)
}

// Broken, foreign and hostile maps, and the error that each gets.
func TestMalformedGrids(t *testing.T) {
	png, tif, npy, exr := readGrid(t, "u16.png"), readGrid(t, "u16_none.tif"), readGrid(t, "f32.npy"), readGrid(t, "f32_zip.exr")
	tiles, lzw, none, pgm, pfm := readGrid(t, "f32_tiles.tif"), readGrid(t, "u16_lzw.tif"), readGrid(t, "f32_none.exr"), readGrid(t, "u16.pgm"), readGrid(t, "little.pfm")
	piz, pxr := readGrid(t, "f32_piz.exr"), readGrid(t, "f32_pxr24.exr")
	dwa := readGrid(t, "dwaa.exr")
	dwaBlock := bytes.Index(dwa, []byte("\x02\x00\x00\x00\x00\x00\x00\x00"+"\x80\x1a")) // version 2, and the 6784 bytes of its 32 lines
	window := bytes.Index(exr, []byte("dataWindow\x00box2i\x00")) + len("dataWindow\x00box2i\x00") + 4
	// The offset of a tag's value in a little-endian TIFF file.
	tag := func(data []byte, tag uint16) int {
		dir := int(binary.LittleEndian.Uint32(data[4:]))
		for i := range int(binary.LittleEndian.Uint16(data[dir:])) {
			if at := dir + 2 + 12*i; binary.LittleEndian.Uint16(data[at:]) == tag {
				return at + 8
			}
		}
		t.Fatalf("no tag %d", tag)
		return 0
	}
	const corrupt, unsupported = fault.Corrupt, fault.Unsupported
	for _, c := range []struct {
		name   string
		data   []byte
		kind   fault.Kind
		reason string
		words  string
	}{
		{"nothing", nil, corrupt, "empty_file", "0 bytes"},
		{"two bytes", []byte{1, 2}, corrupt, "truncated", "2 bytes"},
		{"zeros", make([]byte, 4096), corrupt, "not_grid", "00 00"},
		{"text", []byte("depth map of the kitchen"), corrupt, "not_grid", "PNG, TIFF, NPY"},
		{"a NumPy archive", []byte("PK\x03\x04........"), unsupported, "unsupported_grid", "NPZ"},
		{"a MATLAB file", []byte("MATLAB 5.0 MAT-file"), unsupported, "unsupported_grid", "loadmat"},
		{"NYU's labelled set as published", []byte("MATLAB 7.3 MAT-file"), unsupported, "unsupported_grid", "h5py"},
		{"NYU's labelled set", []byte("\x89HDF\r\n\x1a\n........"), unsupported, "unsupported_grid", "HDF5"},
		{"BigTIFF: header alone", []byte("II+\x00\x08\x00\x00\x00"), corrupt, "truncated", "8 bytes"},
		{"a colour PPM", []byte("P6\n2 2\n255\n............"), unsupported, "unsupported_grid", "three channels"},

		{"PNG: cut off", png[:len(png)/2], corrupt, "truncated", "cut off"},
		{"PNG: colour", readPicture(t, "rgb.png"), unsupported, "unsupported_grid", "taken back to numbers"},
		{"PNG: a bomb", pngHeader(100000, 100000, 16, 0), unsupported, "too_large", "image.max_pixels"},
		{"PNG: promises more than its bytes", pngHeader(5000, 5000, 16, 0), corrupt, "truncated", "cannot hold them"},
		{"PNG: damaged", splice(png, len(png)-30, "\xff\xff\xff"), corrupt, "corrupt_grid", "damaged"},
		{"JPEG: colour", readPicture(t, "s2x2.jpg"), unsupported, "unsupported_grid", "colour"},
		{"JPEG: cut off", readPicture(t, "grey.jpg")[:200], corrupt, "truncated", "JPEG"},

		{"TIFF: header only", tif[:8], corrupt, "truncated", "directory"},
		{"TIFF: colour", readPicture(t, "lzw.tif"), unsupported, "unsupported_grid", "samples a pixel"},
		{"TIFF: no width", splice(tif, tag(tif, 256), "\x00\x00\x00\x00"), corrupt, "corrupt_grid", "0 x 37"},
		{"TIFF: a bomb", splice(splice(tif, tag(tif, 256), "\x00\x00\xff\x00"), tag(tif, 256)-6, "\x04\x00"), unsupported, "too_large", "limit"},
		{"TIFF: by JPEG", splice(tif, tag(tif, 259), "\x07"), unsupported, "unsupported_grid", "JPEG"},
		{"TIFF: unknown compression", splice(tif, tag(tif, 259), "\xe8\x03"), unsupported, "unsupported_grid", "1000"},
		{"TIFF: 12 bits", splice(tif, tag(tif, 258), "\x0c"), unsupported, "unsupported_grid", "12 bits"},
		{"TIFF: a strip beyond the end", tif[:len(tif)-60], corrupt, "truncated", "strip or tile"},
		{"TIFF: tiles of nothing", splice(tiles, tag(tiles, 322), "\x00\x00"), corrupt, "corrupt_grid", "0 x 16"},
		{"TIFF: damaged LZW", splice(lzw, int(binary.LittleEndian.Uint32(lzw[tag(lzw, 273):]))%len(lzw), "\xff\xff\xff\xff"), corrupt, "", "TIFF"},
		{"TIFF: the float predictor on whole numbers", splice(lzw, tag(lzw, 317), "\x03"), unsupported, "unsupported_grid", "predictor 3"},

		{"NPY: header cut off", npy[:20], corrupt, "truncated", "header"},
		{"NPY: data cut off", npy[:len(npy)-1], corrupt, "truncated", "more than"},
		{"NPY: version 9", splice(npy, 6, "\x09"), unsupported, "unsupported_grid", "version 9"},
		{"NPY: pickled objects", npyHead("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }"), unsupported, "unsupported_grid", "|O"},
		{"NPY: complex numbers", npyHead("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2), }"), unsupported, "unsupported_grid", "<c8"},
		{"NPY: three channels", npyHead("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 3, 1), }"), corrupt, "truncated", "more than"},
		{"NPY: code in the header", npyHead("{'descr': __import__('os'), 'fortran_order': False, 'shape': (2, 2), }"), corrupt, "corrupt_grid", "not understood"},
		{"NPY: an endless shape", npyHead("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }"), corrupt, "corrupt_grid", "shape"},
		{"NPY: no shape", npyHead("{'descr': '<f4', 'fortran_order': False, }"), corrupt, "corrupt_grid", "expected"},
		{"NPY: a vector", append(npyHead("{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }"), 1, 2, 3, 4), unsupported, "unsupported_grid", "[height, width]"},
		{"NPY: named fields", append(npyHead("{'descr': [('a', '|u1'), ('b', '|u1')], 'fortran_order': False, 'shape': (1, 2), }"), 1, 2, 3, 4), unsupported, "unsupported_grid", "named fields"},

		{"EXR: DWA with loss", readGrid(t, "dwaa_lossy.exr"), unsupported, "unsupported_grid", "the channel Y is kept as a picture's"},
		{"EXR: DWA of another version", splice(dwa, dwaBlock, "\x03"), unsupported, "unsupported_grid", "version 3 of DWA"},
		{"EXR: DWA with rules that end early", splice(dwa, dwaBlock+88, "\xff\xff"), corrupt, "corrupt_grid", "rules for channels"},
		{"EXR: DWA with a rule without an end", splice(splice(dwa, dwaBlock+88, "\x06"), dwaBlock+90, "RRRR"), corrupt, "corrupt_grid", "rules for channels"},
		{"EXR: DWA of another size", splice(dwa, dwaBlock+8, "\x01\x02"), corrupt, "corrupt_grid", "another size"},
		{"EXR: DWA packed beyond its block", splice(dwa, dwaBlock+16, "\xff\xff\xff"), corrupt, "corrupt_grid", "another size"},
		{"EXR: an unknown compression", splice(exr, bytes.Index(exr, []byte("compression\x00compression\x00"))+28, "\x0a"), unsupported, "unsupported_grid", "unknown kind (10)"},
		{"EXR: PIZ cut short", splice(piz, len(piz)-1400, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), corrupt, "corrupt_grid", "block"},
		{"EXR: PXR24 damaged", splice(pxr, len(pxr)-40, "\xff\xff\xff\xff\xff\xff"), corrupt, "corrupt_grid", "block"},
		{"EXR: a part without its number of blocks", bytes.ReplaceAll(readGrid(t, "f32_parts.exr"), []byte("chunkCount"), []byte("chunkcount")), corrupt, "corrupt_grid", "chunkCount"},
		{"EXR: which channel", readGrid(t, "rgba.exr"), unsupported, "unsupported_grid", "A, B, G"},
		{"EXR: tiles of no size", splice(exr, 5, "\x02"), corrupt, "corrupt_grid", "tiles of 0 x 0"},
		{"EXR: deep", splice(exr, 5, "\x08"), unsupported, "unsupported_grid", "deep"},
		{"EXR: header cut off", exr[:60], corrupt, "", "OpenEXR"},
		{"EXR: a bomb", splice(exr, window+8, "\x00\x00\x10\x00\x00\x00\x10\x00"), unsupported, "too_large", "limit"},
		{"EXR: a window inside out", splice(exr, window+8, "\xff\xff\xff\xff"), corrupt, "corrupt_grid", "0 x 37"},
		{"EXR: data cut off", exr[:len(exr)-100], corrupt, "truncated", "cut off"},
		{"EXR: promises more than its bytes", splice(none, bytes.Index(none, []byte("dataWindow\x00box2i\x00"))+21+8, "\xff\x0f\x00\x00\xff\x0f\x00\x00"), corrupt, "truncated", "bytes"},
		{"EXR: damaged block", splice(exr, len(exr)-40, "\xff\xff\xff\xff\xff\xff"), corrupt, "corrupt_grid", "block"},

		{"PGM: header of words", []byte("P5 wide high deep "), corrupt, "corrupt_grid", "width, height"},
		{"PGM: cut off", pgm[:len(pgm)-1], corrupt, "truncated", "take"},
		{"PGM: no largest value", []byte("P5 2 2 0\n...."), corrupt, "corrupt_grid", "largest"},
		{"PFM: no scale", []byte("Pf\n2 2\n0\n................"), corrupt, "corrupt_grid", "scale"},
		{"PFM: cut off", pfm[:len(pfm)-4], corrupt, "truncated", "take"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := new(picture.Decoder).DecodeGrid(c.data, 0)
			if err == nil {
				t.Fatal("no error")
			}
			if k, r := fault.KindOf(err), fault.ReasonOf(err); k != c.kind || c.reason != "" && r != c.reason || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v %s: %v; want %v %s with %q", k, r, err, c.kind, c.reason, c.words)
			}
		})
	}
}

func FuzzDecodeGrid(f *testing.F) {
	names, err := filepath.Glob("testdata/grids/*.*")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		if filepath.Ext(name) != ".py" {
			f.Add(readGrid(f, filepath.Base(name)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := new(picture.Decoder).DecodeGrid(data, 1<<18)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported {
				t.Fatalf("%v: %v", k, err)
			}
			return
		}
		if g.Width < 1 || g.Height < 1 || len(g.Values) != g.Width*g.Height || len(g.Values) > 1<<18 {
			t.Fatalf("%d x %d with %d values", g.Width, g.Height, len(g.Values))
		}
	})
}

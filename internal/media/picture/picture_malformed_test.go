package picture_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/picture"
)

// splice returns a copy of data with the bytes at an offset replaced.
func splice(data []byte, at int, b string) []byte {
	out := bytes.Clone(data)
	copy(out[at:], b)
	return out
}

// pngHeader is a PNG of one size and nothing in it.
func pngHeader(width, height uint32, bits, kind byte) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	b = binary.BigEndian.AppendUint32(b, width)
	b = binary.BigEndian.AppendUint32(b, height)
	b = append(b, bits, kind, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[12:]))
	return append(b, "\x00\x00\x00\x00IEND\xae\x42\x60\x82"...)
}

// taggedTIFF replaces the value of a 16-bit tag in a little-endian file's first directory.
func taggedTIFF(data []byte, tag, value uint16) []byte {
	out := bytes.Clone(data)
	at := int(binary.LittleEndian.Uint32(out[4:]))
	for e := out[at+2:]; len(e) >= 12; e = e[12:] {
		if binary.LittleEndian.Uint16(e) == tag {
			binary.LittleEndian.PutUint16(e[8:], value)
			break
		}
	}
	return out
}

// Broken, foreign and hostile pictures, and the error that each gets, by both decoders of JPEG where it is
// one: kind, reason, and words of the sentence for a person.
func TestMalformedPictures(t *testing.T) {
	jpg, grey := readPicture(t, "s2x2.jpg"), readPicture(t, "grey.jpg")
	progressive, restart := readPicture(t, "progressive.jpg"), readPicture(t, "restart.jpg")
	png, gif, bmp := readPicture(t, "rgb.png"), readPicture(t, "plain.gif"), readPicture(t, "rgb24.bmp")
	tif, lossy, lossless := readPicture(t, "lzw.tif"), readPicture(t, "lossy_alpha.webp"), readPicture(t, "lossless.webp")
	sof := func(data []byte, marker string) int { return bytes.Index(data, []byte("\xff"+marker)) }
	s, sg := sof(jpg, "\xc0"), sof(grey, "\xc0")
	sos := bytes.Index(jpg, []byte("\xff\xda"))
	dht := bytes.Index(jpg, []byte("\xff\xc4"))
	dqt := bytes.Index(jpg, []byte("\xff\xdb"))
	rst := bytes.Index(restart, []byte("\xff\xd3"))
	idat := bytes.Index(png, []byte("IDAT"))
	vp8 := bytes.Index(lossy, []byte("VP8 "))
	vp8x := bytes.Index(lossy, []byte("VP8X"))
	gifFrame := bytes.IndexByte(gif[13+3<<(gif[10]&7+1):], 0x2c) + 13 + 3<<(gif[10]&7+1)
	rle, moving := readPicture(t, "rle8.bmp"), readPicture(t, "animated.webp")
	anmf := bytes.Index(moving, []byte("ANMF"))

	library := (&picture.Decoder{Turbo: picture.OpenTurboJPEG()}).Turbo

	const corrupt, unsupported = fault.Corrupt, fault.Unsupported
	for _, c := range []struct {
		name   string
		data   []byte
		kind   fault.Kind
		reason string
		words  string
	}{
		{"nothing", nil, corrupt, "empty_file", "0 bytes"},
		{"one byte", []byte{0xff}, corrupt, "not_picture", "ff"},
		{"zeros", make([]byte, 4096), corrupt, "not_picture", "00 00"},
		{"text", []byte("Bring me a picture of a cat."), corrupt, "not_picture", "Bring me"},
		{"prose that begins with BM", []byte("BMW makes cars, and here is a long sentence about them."), corrupt, "not_picture", "BMW"},
		{"an HTML page", []byte("\n<!DOCTYPE html><html><title>404</title>"), corrupt, "not_picture", "HTML page"},
		{"an MP4", []byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2"), corrupt, "not_picture", "MP4"},
		{"a Matroska file", []byte("\x1a\x45\xdf\xa3\x01\x00\x00\x00"), corrupt, "not_picture", "Matroska"},
		{"AVIF", []byte("\x00\x00\x00\x20ftypavif\x00\x00\x00\x00"), unsupported, "needs_ffmpeg", "by ffmpeg"},
		{"HEIC", []byte("\x00\x00\x00\x20ftypheic\x00\x00\x00\x00"), unsupported, "needs_ffmpeg", "by ffmpeg"},
		{"JPEG XL", []byte("\xff\x0a\xfa\x1f"), unsupported, "unsupported_picture", "djxl"},
		{"JPEG 2000", []byte("\x00\x00\x00\x0cjP  \r\n\x87\n"), unsupported, "unsupported_picture", "JPEG 2000"},
		{"SVG", []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`), unsupported, "unsupported_picture", "SVG"},
		{"Photoshop", []byte("8BPS\x00\x01"), unsupported, "unsupported_picture", "Photoshop"},
		{"BigTIFF: header alone", []byte("II+\x00\x08\x00\x00\x00"), corrupt, "truncated", "8 bytes"},

		{"JPEG: two bytes", jpg[:2], corrupt, "truncated", "2 bytes"},
		{"JPEG: three bytes", jpg[:3], corrupt, "truncated", "JPEG"},
		{"JPEG: cut in the header", jpg[:s+4], corrupt, "truncated", "header"},
		{"JPEG: cut before the scan", jpg[:sos], corrupt, "truncated", "no end marker"},
		{"JPEG: cut in the scan", jpg[:(sos+len(jpg))/2], corrupt, "truncated", "no end marker"},
		{"JPEG: no end marker", jpg[:len(jpg)-2], corrupt, "truncated", "no end marker"},
		{"JPEG: half the scan, then an end marker", append(bytes.Clone(jpg[:(sos+len(jpg))/2]), 0xff, 0xd9), corrupt, "truncated", "ends early"},
		{"JPEG: header and end", append(bytes.Clone(jpg[:sos]), 0xff, 0xd9), corrupt, "corrupt_picture", "without a picture"},
		{"JPEG: only markers", []byte("\xff\xd8\xff\xd9"), corrupt, "corrupt_picture", "no frame header"},
		{"JPEG: 12 bits", splice(jpg, s+4, "\x0c"), unsupported, "unsupported_picture", "12 bits a sample"},
		{"JPEG: lossless", splice(jpg, s+1, "\xc3"), unsupported, "unsupported_picture", "lossless"},
		{"JPEG: JPEG-LS", splice(jpg, s+1, "\xf7"), unsupported, "unsupported_picture", "JPEG-LS"},
		{"JPEG: hierarchical", splice(jpg, s+1, "\xc5"), unsupported, "unsupported_picture", "SOF5"},
		{"JPEG: two components", splice(jpg, s+9, "\x02"), unsupported, "unsupported_picture", "2 components"},
		{"JPEG: height 0", splice(jpg, s+5, "\x00\x00"), unsupported, "unsupported_picture", "DNL"},
		{"JPEG: width 0", splice(jpg, s+7, "\x00\x00"), corrupt, "corrupt_picture", "0 x 45"},
		{"JPEG: a bomb of a header", splice(jpg, s+5, "\xff\xff\xff\xff"), unsupported, "too_large", "65535 x 65535"},
		{"JPEG: a promise that the file cannot hold", splice(grey, sg+5, "\x20\x00\x20\x00"), corrupt, "truncated", "cannot hold"},
		{"JPEG: sampling factor 0", splice(jpg, s+11, "\x02"), corrupt, "corrupt_picture", "JPEG: damaged"},
		{"JPEG: an unknown quantisation table", splice(jpg, s+12, "\x03"), corrupt, "corrupt_picture", "uantization table|uantisation table"},
		{"JPEG: a Huffman code that is none", splice(jpg, dht+5, strings.Repeat("\xff", 16)), corrupt, "corrupt_picture", "JPEG: damaged"},
		{"JPEG: a quantisation table number", splice(jpg, dqt+4, "\x0f"), corrupt, "corrupt_picture", "JPEG: damaged"},
		{"JPEG: a segment of length 1", splice(jpg, dqt+2, "\x00\x01"), corrupt, "corrupt_picture", "length 1"},
		{"JPEG: a scan of an unknown component", splice(jpg, sos+5, "\x09"), corrupt, "corrupt_picture", "JPEG: damaged"},
		{"JPEG: damage in the scan", splice(jpg, sos+40, strings.Repeat("\xff\x00", 30)), corrupt, "corrupt_picture", "JPEG: damaged"},
		{"JPEG: a wrong restart marker", splice(restart, rst, "\xff\xd7"), corrupt, "corrupt_picture", "JPEG: damaged"},
		{"JPEG: two frame headers", append(bytes.Clone(jpg[:sos]), jpg[s:]...), corrupt, "corrupt_picture", "second frame header"},
		{"JPEG: a thousand scans", append(bytes.Clone(progressive[:len(progressive)-2]), append(bytes.Repeat([]byte("\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"), 1000), 0xff, 0xd9)...), corrupt, "corrupt_picture", "scans"},

		{"PNG: eight bytes", png[:8], corrupt, "truncated", "PNG"},
		{"PNG: cut in the data", png[:len(png)/2], corrupt, "truncated", "PNG: the file is cut off"},
		{"PNG: no end chunk", png[:len(png)-12], corrupt, "truncated", "--allow-truncated"},
		{"PNG: a damaged byte", splice(png, idat+300, "\x00\x00\x00"), corrupt, "corrupt_picture", "PNG: damaged before byte"},
		{"PNG: a wrong checksum of the header", splice(png, 30, "\x00\x00"), corrupt, "corrupt_picture", "PNG"},
		{"PNG: no pixel", pngHeader(0, 10, 8, 2), corrupt, "corrupt_picture", "PNG"},
		{"PNG: a bomb of a header", pngHeader(1<<20, 1<<20, 8, 2), unsupported, "too_large", "1048576 x 1048576"},
		{"PNG: a promise that the file cannot hold", pngHeader(12000, 12000, 16, 6), corrupt, "truncated", "cannot hold"},
		{"PNG: header and end", pngHeader(9, 9, 8, 2), corrupt, "corrupt_picture", "PNG"},
		{"PNG: 3 bits", pngHeader(9, 9, 3, 2), unsupported, "unsupported_picture", "PNG"},

		{"GIF: header alone", gif[:6], corrupt, "truncated", "GIF"},
		{"GIF: cut in the data", gif[:len(gif)*2/3], corrupt, "truncated", "GIF"},
		{"GIF: a screen of no pixel", splice(splice(gif, 6, "\x00\x00\x00\x00"), gifFrame+5, "\x00\x00\x00\x00"), corrupt, "corrupt_picture", "0 x 0"},
		{"GIF: a bomb of a frame", splice(gif, gifFrame+5, "\xff\xff\xff\xff"), unsupported, "too_large", "65535 x 65535"},
		{"GIF: a promise that the file cannot hold", splice(gif, gifFrame+5, "\x00\x20\x00\x30"), corrupt, "truncated", "cannot hold"},
		{"GIF: codes of 12 bits", splice(gif, gifFrame+10, "\x0c"), corrupt, "corrupt_picture", "12 bits"},
		{"GIF: codes of another size", splice(gif, gifFrame+10, "\x03"), corrupt, "corrupt_picture", "are known"},
		{"GIF: an end without a picture", append(bytes.Clone(gif[:gifFrame]), ';'), corrupt, "corrupt_picture", "without a picture"},
		{"GIF: an unknown block", append(bytes.Clone(gif[:gifFrame]), 'x'), corrupt, "corrupt_picture", "block 0x78"},
		{"GIF: cut in its palette", gif[:20], corrupt, "truncated", "GIF"},
		{"BMP: header alone", bmp[:54], corrupt, "truncated", "BMP"},
		{"BMP: cut in the data", bmp[:len(bmp)/2], corrupt, "truncated", "67 x 45"},
		{"BMP: 48 bits", splice(bmp, 28, "\x30\x00"), unsupported, "unsupported_picture", "48 bits"},
		{"BMP: a PNG within", splice(bmp, 30, "\x05\x00\x00\x00"), unsupported, "unsupported_picture", "compression 5"},
		{"BMP: an unknown header", splice(bmp, 14, "\x18\x00\x00\x00"), unsupported, "unsupported_picture", "24 bytes"},
		{"BMP: width 0", splice(bmp, 18, "\x00\x00\x00\x00"), corrupt, "corrupt_picture", "0 x 45"},
		{"BMP: a negative width", splice(bmp, 18, "\xff\xff\xff\xff"), corrupt, "corrupt_picture", "-1 x 45"},
		{"BMP: a bomb of a header", splice(bmp, 18, "\xff\xff\xff\x00\xff\xff\xff\x00"), unsupported, "too_large", "16777215 x 16777215"},
		{"BMP: run-length codes that end early", rle[:len(rle)-40], corrupt, "truncated", "row"},
		{"BMP: run-length codes that cannot be so many pixels", splice(rle, 18, "\x00\x20\x00\x00\x00\x20\x00\x00"), corrupt, "truncated", "cannot be"},
		{"BMP: a palette beyond the end", rle[:100], corrupt, "truncated", "palette"},
		{"BMP: run-length coded", splice(bmp, 30, "\x01\x00\x00\x00"), unsupported, "unsupported_picture", "BMP"},
		{"TIFF: header alone", tif[:8], corrupt, "truncated", "TIFF"},
		{"TIFF: cut in the data", tif[:len(tif)/2], corrupt, "truncated", "TIFF"},
		{"TIFF: a directory beyond the end", splice(tif, 4, "\xff\xff\xff\x7f"), corrupt, "truncated", "TIFF"},
		{"TIFF: Lab of a fax", taggedTIFF(readTIFF(t, "grey.tif"), 262, 8), corrupt, "corrupt_picture", "1 samples a pixel, and 3 colours"},
		{"TIFF: ITU Lab", taggedTIFF(readTIFF(t, "rgb.tif"), 262, 10), unsupported, "unsupported_picture", "photometric interpretation 10"},
		{"TIFF: Lab of floats", taggedTIFF(readTIFF(t, "f32_rgb_unit.tif"), 262, 8), unsupported, "unsupported_picture", "Lab with samples of 32 bits"},
		{"TIFF: YCbCr of 16 bits", taggedTIFF(readTIFF(t, "zstd16.tif"), 262, 6), unsupported, "unsupported_picture", "YCbCr with samples of 16 bits"},
		{"TIFF: chroma for three pixels", splice(readTIFF(t, "ycbcr_22.tif"), bytes.LastIndex(readTIFF(t, "ycbcr_22.tif"), []byte("\x02\x00\x02\x00")), "\x03"), corrupt, "corrupt_picture", "chroma for 3 x 2"},
		{"TIFF: subsampled YCbCr cut", readTIFF(t, "ycbcr_22.tif")[:3000], corrupt, "truncated", "TIFF"},
		{"TIFF: levels by no number", splice(readTIFF(t, "ycbcr_42_levels.tif"), len(readTIFF(t, "ycbcr_42_levels.tif"))-72, strings.Repeat("\x00", 24)), corrupt, "corrupt_picture", "coefficients [NaN"},
		{"TIFF: cut in LZMA", readTIFF(t, "lzma.tif")[:600], corrupt, "truncated", "TIFF"},
		{"TIFF: LZMA that is none", splice(readTIFF(t, "lzma.tif"), 8, "\x00"), corrupt, "corrupt_picture", "no xz file"},
		{"TIFF: LZMA with a damaged header", splice(readTIFF(t, "lzma.tif"), 22, "\x09"), corrupt, "corrupt_picture", "a damaged block header"},
		{"TIFF: LZMA damaged", splice(readTIFF(t, "lzma.tif"), 400, strings.Repeat("\xff", 300)), corrupt, "corrupt_picture", "strip or tile 0"},
		{"TIFF: floating-point levels", readTIFF(t, "f32.tif"), unsupported, "unsupported_picture", "of which only 0 to 1"},
		{"TIFF: cut in a JPEG", readTIFF(t, "jpeg.tif")[:2000], corrupt, "", "TIFF"},
		{"TIFF: cut in Zstandard", readTIFF(t, "zstd.tif")[:600], corrupt, "truncated", "TIFF"},
		{"TIFF: signed samples", readTIFF(t, "s16.tif"), unsupported, "unsupported_picture", "thermal.min"},
		{"TIFF: cut in old LZW", readTIFF(t, "lzw_old.tif")[:3000], corrupt, "truncated", "TIFF"},
		{"TIFF: old LZW damaged", splice(readTIFF(t, "lzw_old.tif"), 600, strings.Repeat("\xff", 3000)), corrupt, "corrupt_picture", "strip or tile 0"},
		{"TIFF: inks in a JPEG that is cut", readTIFF(t, "jpeg_cmyk.tif")[:2000], corrupt, "", "TIFF"},
		{"TIFF: a plane in a JPEG of another size", splice(readTIFF(t, "jpeg_planar.tif"), bytes.Index(readTIFF(t, "jpeg_planar.tif"), []byte("\xff\xc0"))+5, "\x00\x10"), corrupt, "corrupt_picture", "67 x 16"},
		{"TIFF: a fax code damaged", splice(readTIFF(t, "fax_t6.tif"), 3000, strings.Repeat("\x00", 200)), corrupt, "corrupt_picture", "no code at bit"},
		{"TIFF: a fax code of eight bits", taggedTIFF(readTIFF(t, "grey.tif"), 259, 4), unsupported, "unsupported_picture", "fax code (compression 4) for 1 samples of 8 bits"},
		{"BigTIFF: a directory beyond the end", splice(readTIFF(t, "big.tif"), 8, "\xff\xff\xff\xff\xff\xff\xff\xff"), corrupt, "truncated", "directory"},
		{"BigTIFF: as many entries as there are numbers", splice(readTIFF(t, "big.tif"), 16, "\xff\xff\xff\xff\xff\xff\xff\xff"), corrupt, "truncated", "directory"},
		{"BigTIFF: offsets of 16 bytes", splice(readTIFF(t, "big.tif"), 4, "\x10"), corrupt, "corrupt_picture", "offsets of 16"},
		{"WebP: header alone", lossy[:12], corrupt, "truncated", "WebP"},
		{"WebP: cut in the data", lossless[:len(lossless)/2], corrupt, "truncated", "WebP"},
		{"WebP: an animation without a frame", splice(lossy, vp8x+8, "\x02"), corrupt, "corrupt_picture", "WebP"},
		{"WebP: an animation whose frame is cut off", moving[:anmf+40], corrupt, "truncated", "WebP"},
		{"WebP: a frame beyond the canvas", splice(moving, anmf+8, "\x10"), corrupt, "corrupt_picture", "beyond the canvas"},
		{"WebP: a frame of another size", splice(moving, anmf+14, "\x01"), corrupt, "corrupt_picture", "first frame"},
		{"WebP: another canvas", splice(lossy, vp8x+12, "\xff"), corrupt, "corrupt_picture", "canvas is 256 x 45"},
		{"WebP: no key frame", splice(lossy, vp8+8, "\x31"), corrupt, "corrupt_picture", "key frame"},
		{"WebP: damaged VP8L", splice(lossless, 25, strings.Repeat("\xff", 60)), corrupt, "", "WebP"},
	} {
		for _, decoder := range []string{"go", "turbo"} {
			tools := new(picture.Decoder)
			if decoder == "turbo" {
				if tools.Turbo = library; library == nil || !strings.HasPrefix(c.name, "JPEG:") {
					continue
				}
			}
			p, _, err := tools.DecodePicture(c.data, picture.Options{Decoder: decoder})
			if err == nil {
				t.Errorf("%s (%s): decoded to %d x %d", c.name, decoder, p.Width, p.Height)
				continue
			}
			said := false
			for w := range strings.SplitSeq(c.words, "|") {
				said = said || strings.Contains(err.Error(), w)
			}
			if fault.KindOf(err) != c.kind || fault.ReasonOf(err) != c.reason && c.reason != "" || !said {
				t.Errorf("%s (%s): %v, reason %s: %q, want %v, %s: ...%s...", c.name, decoder, fault.KindOf(err), fault.ReasonOf(err), err, c.kind, c.reason, c.words)
			}
		}
	}
}

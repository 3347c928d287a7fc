// Package picture decodes still pictures to 8-bit RGB (JPEG, PNG, WebP, GIF, BMP, TIFF, PNM; of AVIF
// and HEIC all but the coded pictures within, which are ffmpeg's) and maps of one channel
// to numbers (PNG, TIFF, NPY, OpenEXR, PGM, PFM): what depth and thermal cameras write. Pixels equal Pillow's.
// Nothing here resizes or judges: that is left to internal/vision and filters.
//
// Sizes in headers are capped before anything is allocated, and a panic of a third-party decoder costs one
// picture.
package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image/png"
	"io"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/image/webp"

	"prep/internal/fault"
	"prep/internal/media/magic"
	"prep/internal/vision"
)

// DefaultMaxPixels is the largest picture that is decoded when Options sets no other limit: what
// Pillow refuses as a decompression bomb, twice a quarter of a gigabyte of RGB.
const DefaultMaxPixels = 178956970

// Options says how a picture file becomes 8-bit RGB. The zero value is the default of every field.
type Options struct {
	// ApplyOrientation turns the picture as the EXIF orientation of its JPEG, PNG, WebP or TIFF file says.
	// ImageBind's own loader ignores it.
	ApplyOrientation bool
	// Alpha is the background under transparent pixels: "white" (also ""), "black", or "drop", which
	// forgets alpha and keeps the stored colours, as Pillow's convert("RGB") does.
	Alpha string
	// Depth16 says what becomes of 16-bit samples: "scale" (also "") rounds v*255/65535; "clip" does what
	// Pillow does: grey is cut at 255, colour and grey with alpha keep the high byte.
	Depth16 string
	// Decoder of JPEG files: "go" (also ""), or "turbo", libjpeg-turbo in Decoder.Turbo. Both give Pillow's
	// pixels; the library is faster. All other formats are decoded in Go.
	Decoder string
	// ScaledFor lets JPEG files be decoded at 1/2, 1/4 or 1/8 of their size, the smallest at which the
	// shorter side is not below it; 0 decodes them whole. Both decoders give the same pixels, those of Pillow's
	// draft mode; ordinary sequential files are decoded in Go by either, which is the faster.
	ScaledFor int
	// MaxPixels bounds width times height, 0: DefaultMaxPixels. It is held against the header before
	// anything is allocated.
	MaxPixels int64
	// AllowTruncated keeps a PNG that has all its pixels and no end chunk, as Pillow does, and
	// a JPEG whose file ends early or whose data is damaged, its missing part grey or
	// blurred. The other formats have nothing to show for a missing part and fail.
	AllowTruncated bool
}

// Info is what the file said of itself.
type Info struct {
	Format        string // the registry's name: "JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "PNM"
	Width, Height int    // as stored, before any turning
	Orientation   int    // EXIF, 1 to 8; 0 when the file has none
	Bits          int    // of a stored sample
	HadAlpha      bool   // some pixel is not opaque
	Decoder       string // "go" or "turbo"
}

// Decoder decodes pictures and maps. Its zero value does all in Go. It may be used from many goroutines.
type Decoder struct {
	Turbo *TurboJPEG // libjpeg-turbo for JPEG files, nil when there is none
}

// DecodePicture decodes a still picture to 8-bit RGB (always three channels; [vision.Gray] makes Pillow's
// grey of it). The format is told by the content, not by a name. Of an animation the first frame is taken.
// ICC profiles are ignored: samples are taken for sRGB as they stand.
//
// Errors name the format and where in it the trouble is. Their kind and reason:
//
//	Corrupt      empty_file, not_picture, truncated, corrupt_picture
//	Unsupported  unsupported_picture (JPEG XL, 12-bit JPEG, ...), too_large (more than MaxPixels), needs_ffmpeg
//	             (AVIF and HEIC, which are read here as far as [ReadHEIF] and decoded by package media)
//	Usage        an option with an unknown value
//	Environment  Decoder "turbo" where Decoder.Turbo is nil
//
// It may be called from many goroutines.
func (d *Decoder) DecodePicture(data []byte, o Options) (pix *vision.Picture, info Info, err error) {
	if err := o.check(); err != nil {
		return nil, info, err
	}
	if len(data) == 0 {
		return nil, info, fault.Corruptf("empty_file", "the picture file is empty (0 bytes)")
	}
	format, err := sniffPicture(data)
	if err != nil {
		return nil, info, err
	}
	info = Info{Format: format.name, Decoder: "go"}
	defer func() {
		// Decoders of other people on hostile input: an index out of range in there costs this picture,
		// not the run. A runtime error is all that is expected; anything else is a bug worth its trace.
		if r := recover(); r != nil {
			if _, ok := r.(runtime.Error); !ok {
				panic(r)
			}
			pix, err = nil, fault.Corruptf("corrupt_picture", "%s: the data is damaged: its decoder gave up (%v)", info.Format, r)
		}
	}()
	pix, err = format.decode(d, data, o, &info)
	if err != nil {
		return nil, info, err
	}
	if o.ApplyOrientation {
		pix = vision.Orient(pix, info.Orientation)
	}
	return pix, info, nil
}

// DecodeCrop is DecodePicture and [vision.ResizeCrop] in one: planes [3][size][size]. An ordinary JPEG takes a
// shorter way to the same bits, in which only what survives the crop is brought to full size and to RGB.
func (d *Decoder) DecodeCrop(data []byte, o Options, size int) ([]uint8, Info, error) {
	if chw, info := d.cropJPEG(data, o, size); chw != nil {
		return chw, info, nil
	}
	pix, info, err := d.DecodePicture(data, o)
	if err != nil {
		return nil, info, err
	}
	chw, err := vision.ResizeCrop(pix, size)
	if err != nil {
		return nil, info, fault.Corruptf("corrupt_picture", "%s: %w", info.Format, err)
	}
	return chw, info, nil
}

// cropJPEG is the shorter way; nil when it cannot be taken, for whatever reason.
func (d *Decoder) cropJPEG(data []byte, o Options, size int) (chw []uint8, info Info) {
	if o.check() != nil || !bytes.HasPrefix(data, []byte("\xff\xd8\xff")) {
		return nil, info
	}
	info = Info{Format: "JPEG", Decoder: "go"}
	h, err := admitJPEG(data, o, &info)
	if err != nil || o.ApplyOrientation && info.Orientation > 1 {
		return nil, info
	}
	h = h.scaled(o.ScaledFor)
	rows, done := d.jpegRows(data, h, o, size)
	if rows == nil {
		return nil, info
	}
	if o.Decoder == "turbo" && o.ScaledFor == 0 {
		info.Decoder = "turbo"
	}
	chw, err = vision.ResizeCropRows(h.width, h.height, rows.Row, size)
	if whole := done(); err != nil || !whole {
		vision.Release(chw)
		return nil, info
	}
	return chw, info
}

func (o Options) check() error {
	for _, c := range []struct {
		name, value string
		allowed     []string
	}{
		{"alpha", o.Alpha, []string{"white", "black", "drop"}},
		{"depth16", o.Depth16, []string{"scale", "clip"}},
		{"JPEG decoder", o.Decoder, []string{"go", "turbo"}},
	} {
		if c.value != "" && !slices.Contains(c.allowed, c.value) {
			return fault.Usagef("%s %q for pictures, want one of %s", c.name, c.value, strings.Join(c.allowed, ", "))
		}
	}
	if o.ScaledFor < 0 {
		return fault.Usagef("scaled decoding for %d pixels, want 0 (none) or more", o.ScaledFor)
	}
	if o.MaxPixels < 0 {
		return fault.Usagef("max_pixels %d for pictures, want 0 (the default) or more", o.MaxPixels)
	}
	return nil
}

// admit holds a header's size against the cap.
func (o Options) admit(format string, width, height int) error {
	limit := o.MaxPixels
	if limit == 0 {
		limit = DefaultMaxPixels
	}
	switch {
	case width < 1 || height < 1:
		return fault.Corruptf("corrupt_picture", "%s: the header says %d x %d pixels", format, width, height)
	case width > vision.MaxSide || height > vision.MaxSide || int64(width) > limit/int64(height):
		return fault.Unsupportedf("too_large", "%s: the header says %d x %d pixels, more than the limit of %d; raise image.max_pixels if the file can be trusted", format, width, height, limit)
	}
	return nil
}

// pictureFormat is a format that is read here.
type pictureFormat struct {
	name   string
	decode func(d *Decoder, data []byte, o Options, info *Info) (*vision.Picture, error)
}

// sniffPicture tells the format by the first bytes.
func sniffPicture(data []byte) (pictureFormat, error) {
	at := func(i int, magic string) bool {
		return len(data) >= i+len(magic) && string(data[i:i+len(magic)]) == magic
	}
	switch {
	case at(0, "\xff\xd8\xff"):
		return pictureFormat{"JPEG", (*Decoder).decodeJPEG}, nil
	case at(0, "\x89PNG\r\n\x1a\n"):
		return pictureFormat{"PNG", decodePNG}, nil
	case at(0, "GIF87a"), at(0, "GIF89a"):
		return pictureFormat{"GIF", decodeGIF}, nil
	case at(0, "RIFF") && at(8, "WEBP"):
		return pictureFormat{"WebP", decodeWebP}, nil
	case isTIFF(data):
		return pictureFormat{"TIFF", decodeTIFF}, nil
	case len(data) >= 3 && data[0] == 'P' && data[1] >= '1' && data[1] <= '6' && (data[2] <= ' ' || data[2] == '#'):
		return pictureFormat{"PNM", decodePNM}, nil
	case at(0, "BM") && len(data) >= 18 && binary.LittleEndian.Uint32(data[14:]) <= 124: // a header size, not prose
		return pictureFormat{"BMP", decodeBMP}, nil
	}
	if IsHEIF(data) {
		return pictureFormat{}, fault.Unsupportedf("needs_ffmpeg", "AVIF and HEIC pictures are decoded by ffmpeg, and there is none here")
	}
	for _, f := range foreignPictures {
		if at(f.at, f.magic) {
			return pictureFormat{}, fault.Unsupportedf("unsupported_picture", "%s pictures are not read; convert the file to PNG or JPEG first, for example with %s", f.name, f.reader)
		}
	}
	head := bytes.ToLower(bytes.TrimLeft(data[:min(len(data), 512)], "\xef\xbb\xbf \t\r\n"))
	switch {
	case bytes.HasPrefix(head, []byte("<!doctype html")), bytes.HasPrefix(head, []byte("<html")):
		return pictureFormat{}, fault.Corruptf("not_picture", "an HTML page, not a picture: was an error message saved in its place?")
	case bytes.HasPrefix(head, []byte("<svg")), bytes.HasPrefix(head, []byte("<?xml")) && bytes.Contains(head, []byte("<svg")):
		return pictureFormat{}, fault.Unsupportedf("unsupported_picture", "SVG drawings are not read; convert the file to PNG first, for example with rsvg-convert")
	}
	// The start of a format that is read, cut off within its magic number.
	for _, m := range []string{"\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF89a", "GIF87a"} {
		if len(data) >= 2 && strings.HasPrefix(m, string(data)) {
			return pictureFormat{}, fault.Corruptf("truncated", "the picture file is cut off after %d bytes", len(data))
		}
	}
	if name := magic.Foreign(data[:min(len(data), 4096)]); name != "" {
		return pictureFormat{}, fault.Corruptf("not_picture", "a file of sound or video (%s), not a picture", name)
	}
	return pictureFormat{}, fault.Corruptf("not_picture", "not a picture of a kind that is known here (it begins with %s)", magic.Quote(data))
}

// foreignPictures are formats told apart only to say what would read them.
var foreignPictures = []struct {
	at                  int
	magic, name, reader string
}{
	{0, "\xff\x0a", "JPEG XL", "djxl"},
	{4, "JXL \r\n\x87\n", "JPEG XL", "djxl"},
	{4, "jP  \r\n\x87\n", "JPEG 2000", "opj_decompress or ffmpeg"},
	{0, "\xff\x4f\xff\x51", "JPEG 2000", "opj_decompress or ffmpeg"},
	{0, "8BPS", "Photoshop", "ImageMagick"},
	{0, "%PDF", "PDF", "pdftoppm"},
	{0, "\x76\x2f\x31\x01", "OpenEXR", "ffmpeg"},
	{0, "#?RADIANCE", "Radiance HDR", "ffmpeg"},
	{0, "\x00\x00\x01\x00", "ICO", "ImageMagick"},
	{0, "qoif", "QOI", "ffmpeg"},
	{0, "DDS ", "DDS", "ImageMagick"},
}

// pictureReader counts for pictureError how far a decoder came.
type pictureReader struct {
	*bytes.Reader
	size int
}

func newPictureReader(data []byte) *pictureReader {
	return &pictureReader{bytes.NewReader(data), len(data)}
}

// at is the offset of the next byte. Decoders buffer: it is where they had read to, not always where the
// trouble is.
func (r *pictureReader) at() int { return r.size - r.Len() }

// pictureError sorts a Go decoder's error by what it costs.
func pictureError(format string, r *pictureReader, err error) error {
	// The packages say "png: invalid format: ..." and the like; the format is named by us.
	what := err.Error()
	for _, prefix := range []string{"png: ", "webp: ", "vp8: ", "vp8l: ", "riff: ", "invalid format: "} {
		what = strings.TrimPrefix(what, prefix)
	}
	var pngUnsupported png.UnsupportedError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), strings.HasSuffix(what, "unexpected EOF"),
		strings.Contains(what, "not enough pixel data"), strings.Contains(what, "not enough image data"), strings.Contains(what, "short chunk data"):
		return fault.Corruptf("truncated", "%s: the file is cut off: its data ends at byte %d of what should be more (%s); fetch it again", format, r.size, what)
	case errors.As(err, &pngUnsupported):
		return fault.Unsupportedf("unsupported_picture", "%s: a variant of the format that is not read (%s); convert the file to PNG first", format, what)
	}
	return fault.Corruptf("corrupt_picture", "%s: damaged before byte %d of %d: %s", format, r.at(), r.size, what)
}

func decodePNG(_ *Decoder, data []byte, o Options, info *Info) (*vision.Picture, error) {
	r := newPictureReader(data)
	config, err := png.DecodeConfig(r)
	if err != nil {
		return nil, pictureError(info.Format, r, err)
	}
	// DecodeConfig has checked IHDR, which is the first chunk: bit depth at 24, colour type at 25.
	bits, kind := int(data[24]), data[25]
	info.Width, info.Height, info.Bits = config.Width, config.Height, bits
	if err := o.admit(info.Format, info.Width, info.Height); err != nil {
		return nil, err
	}
	// Deflate cannot give more than 1032 bytes for one: a header that promises more than that is not
	// worth allocating for.
	perPixel := map[byte]int64{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind] * int64(bits)
	if int64(info.Width)*int64(info.Height)*perPixel/8 > 1032*int64(len(data)) {
		return nil, fault.Corruptf("truncated", "PNG: the header says %d x %d pixels, and %d bytes cannot hold them; fetch the file again", info.Width, info.Height, len(data))
	}
	info.Orientation = pngOrientation(data)
	r = newPictureReader(data)
	img, err := png.Decode(r)
	if err != nil {
		if ended := endPNG(data); ended != nil {
			whole, again := png.Decode(bytes.NewReader(ended))
			switch {
			case again != nil:
			case !o.AllowTruncated:
				return nil, fault.Corruptf("truncated", "%s: the file ends at byte %d without its end chunk (IEND): all pixels are there, and text or times may be missing; fetch it again, or keep it by image.allow_truncated (--allow-truncated)", info.Format, len(data))
			default:
				img, err = whole, nil
			}
		}
		if err != nil {
			return nil, pictureError(info.Format, r, err)
		}
	}
	return flatten(img, o, kind == 0 && bits == 16, info)
}

// endPNG puts an end chunk behind the whole chunks of a file that has none; nil where that is not what it lacks.
func endPNG(data []byte) []byte {
	at := 8
	for at+12 <= len(data) {
		n := int64(binary.BigEndian.Uint32(data[at:]))
		if string(data[at+4:at+8]) == "IEND" {
			return nil
		}
		if n > int64(len(data)-at-12) {
			break
		}
		at += 12 + int(n)
	}
	return append(bytes.Clone(data[:at]), "\x00\x00\x00\x00IEND\xae\x42\x60\x82"...)
}

// pngChunk returns what follows a prefix in the first chunk of a kind that has it, nil when there is none.
func pngChunk(data []byte, kind, prefix string) []byte {
	for at := 8; at+12 <= len(data); {
		n := int64(binary.BigEndian.Uint32(data[at:]))
		if n > int64(len(data)-at-12) {
			return nil
		}
		if string(data[at+4:at+8]) == kind {
			if body, ok := bytes.CutPrefix(data[at+8:at+8+int(n)], []byte(prefix)); ok {
				return body
			}
		}
		at += 12 + int(n)
	}
	return nil
}

func decodeWebP(_ *Decoder, data []byte, o Options, info *Info) (*vision.Picture, error) {
	w, err := webpHeader(data)
	if err != nil {
		return nil, err
	}
	info.Width, info.Height, info.Bits, info.Orientation = w.width, w.height, 8, exifOrientation(w.exif)
	if info.Orientation == 0 {
		info.Orientation = xmpOrientation(w.xmp)
	}
	if err := o.admit(info.Format, info.Width, info.Height); err != nil {
		return nil, err
	}
	if w.frame != nil {
		return w.decodeFrame(o, info)
	}
	r := newPictureReader(data)
	img, err := webp.Decode(r)
	if err != nil {
		return nil, pictureError(info.Format, r, err)
	}
	if b := img.Bounds(); b.Dx() != w.width || b.Dy() != w.height {
		return nil, fault.Corruptf("corrupt_picture", "WebP: the canvas is %d x %d pixels and the picture on it %d x %d", w.width, w.height, b.Dx(), b.Dy())
	}
	return flatten(img, o, false, info)
}

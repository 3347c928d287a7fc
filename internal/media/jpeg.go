package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"prep/internal/fault"
	"prep/internal/media/jpeg"
	"prep/internal/vision"
)

// maxScans bounds the scans of a progressive JPEG: a real one has about ten, and each of a hostile one
// goes over the whole picture. It is libjpeg-turbo's own limit.
const maxScans = 500

// jpegHeader is what the markers of a JPEG say (ITU-T T.81, annex B).
type jpegHeader struct {
	width, height int
	components    int
	arithmetic    bool
	scans         int
	end           int // offset of EOI, -1 when the file ends before it
	exif, xmp     []byte
}

// readJPEGHeader walks all markers up to EOI, the entropy-coded data between them included, and refuses
// processes that no decoder here has: so that both decoders refuse the same files in the same words, and
// a file that was cut off is known before anything is decoded.
func readJPEGHeader(data []byte) (jpegHeader, error) {
	h := jpegHeader{end: -1}
	for at := 2; ; {
		// A marker is 0xff, any number of fill bytes 0xff, and a byte that is neither 0 nor 0xff. What
		// is between segments and is no marker is passed over, as libjpeg does.
		i := bytes.IndexByte(data[min(at, len(data)):], 0xff)
		if i < 0 {
			break
		}
		at += i
		start := at
		for at < len(data) && data[at] == 0xff {
			at++
		}
		if at >= len(data) {
			break
		}
		marker := data[at]
		at++
		if marker == 0 || marker == 0x01 || marker >= 0xd0 && marker <= 0xd8 { // stuffing, TEM, RSTn, SOI
			continue
		}
		if marker == 0xd9 {
			h.end = start
			break
		}
		if at+2 > len(data) {
			break
		}
		n := int(binary.BigEndian.Uint16(data[at:]))
		if n < 2 {
			return h, fault.Corruptf("corrupt_picture", "JPEG: a segment of length %d at byte %d", n, start)
		}
		whole := at+n <= len(data)
		body := data[at+2 : min(at+n, len(data))]
		switch {
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc: // SOFn
			if err := h.frame(marker, body, start); err != nil {
				return h, err
			}
		case marker == 0xf7:
			return h, fault.Unsupportedf("unsupported_picture", "JPEG: the JPEG-LS variant is not read; convert the file to PNG first")
		case marker == 0xda:
			h.scans++
			if h.scans > maxScans {
				return h, fault.Corruptf("corrupt_picture", "JPEG: more than %d scans", maxScans)
			}
		case marker == 0xe1 && h.exif == nil && bytes.HasPrefix(body, []byte("Exif\x00\x00")):
			h.exif = body
		case marker == 0xe1 && h.xmp == nil && bytes.HasPrefix(body, []byte("http://ns.adobe.com/xap/1.0/\x00")):
			h.xmp = body
		}
		if !whole {
			break
		}
		at += n
	}
	if h.width == 0 && h.end >= 0 {
		return h, fault.Corruptf("corrupt_picture", "JPEG: no frame header before the end marker at byte %d", h.end)
	}
	return h, nil
}

// frame reads a SOF segment.
func (h *jpegHeader) frame(marker byte, body []byte, at int) error {
	if len(body) < 6 {
		return nil // cut off there: h.end stays -1
	}
	if h.width != 0 {
		return fault.Corruptf("corrupt_picture", "JPEG: a second frame header at byte %d", at)
	}
	bits := int(body[0])
	height, width := int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	h.components = int(body[5])
	unsupported := func(what string) error {
		return fault.Unsupportedf("unsupported_picture", "JPEG: %s is not read; convert the file to PNG first", what)
	}
	switch marker {
	case 0xc0, 0xc1, 0xc2:
	case 0xc9, 0xca:
		h.arithmetic = true
	case 0xc3, 0xcb:
		return unsupported("the lossless process")
	default:
		return unsupported(fmt.Sprintf("a hierarchical process (SOF%d)", marker-0xc0))
	}
	switch {
	case bits != 8:
		return unsupported(fmt.Sprintf("%d bits a sample", bits))
	case height == 0 && width > 0:
		return unsupported("a height that comes after the picture (DNL)")
	case width == 0:
		return fault.Corruptf("corrupt_picture", "JPEG: the header says %d x %d pixels", width, height)
	case h.components != 1 && h.components != 3 && h.components != 4:
		return unsupported(fmt.Sprintf("a picture of %d components", h.components))
	}
	h.width, h.height = width, height
	return nil
}

func (t *Tools) decodeJPEG(data []byte, o PictureOptions, info *PictureInfo) (*vision.Picture, error) {
	h, err := readJPEGHeader(data)
	if err != nil {
		return nil, err
	}
	if h.width == 0 {
		return nil, fault.Corruptf("truncated", "JPEG: the file is cut off within its header, after %d bytes; fetch it again", len(data))
	}
	info.Width, info.Height, info.Bits, info.Orientation = h.width, h.height, 8, exifOrientation(h.exif)
	if info.Orientation == 0 {
		info.Orientation = xmpOrientation(h.xmp)
	}
	if err := o.admit(info.Format, h.width, h.height); err != nil {
		return nil, err
	}
	// Every block of 8 x 8 takes one bit at the least: a header that promises more than the file can hold
	// is not worth allocating for.
	if blocks := int64(h.width+7) / 8 * (int64(h.height+7) / 8); blocks > 8*int64(len(data)) {
		return nil, fault.Corruptf("truncated", "JPEG: the header says %d x %d pixels, and %d bytes cannot hold them; fetch the file again", h.width, h.height, len(data))
	}
	if h.end < 0 && !o.AllowTruncated {
		return nil, fault.Corruptf("truncated", "JPEG: the file is cut off: no end marker in its %d bytes; fetch it again, or set image.allow_truncated", len(data))
	}
	if h.scans == 0 {
		return nil, fault.Corruptf("corrupt_picture", "JPEG: a header without a picture, in %d bytes", len(data))
	}
	if o.Decoder == "turbo" {
		if t == nil || t.Turbo == nil {
			return nil, fault.Environmentf("JPEG files are to be decoded by libjpeg-turbo, which this machine lacks (Debian: libturbojpeg0)")
		}
		info.Decoder = "turbo"
		return t.Turbo.picture(data, h, o)
	}
	return goJPEG(data, h, o)
}

// picture decodes with libjpeg-turbo.
func (t *TurboJPEG) picture(data []byte, h jpegHeader, o PictureOptions) (*vision.Picture, error) {
	n := h.width * h.height
	format, size := int32(tjRGB), 3
	if h.components == 4 {
		format, size = tjCMYK, 4
	}
	pix := make([]byte, size*n)
	warning, failure := t.decode(data, pix, h.width, h.height, format)
	if failure != "" {
		return nil, fault.Corruptf("corrupt_picture", "JPEG: damaged somewhere in its %d bytes: %s (libjpeg-turbo)", len(data), failure)
	}
	// libjpeg goes on after damage and warns. Bytes between segments harm nothing; anything else means
	// that pixels are made up. Only the first warning is known.
	if warning != "" && !strings.Contains(warning, "extraneous bytes") && !o.AllowTruncated {
		if strings.Contains(strings.ToLower(warning), "premature end") {
			return nil, fault.Corruptf("truncated", "JPEG: the picture's data ends early, in a file of %d bytes (%s); fetch it again, or set image.allow_truncated", len(data), warning)
		}
		return nil, fault.Corruptf("corrupt_picture", "JPEG: damaged somewhere in its %d bytes: %s (libjpeg-turbo); image.allow_truncated keeps such pictures", len(data), warning)
	}
	if format == tjCMYK {
		pix = adobeRGB(pix)
	}
	return &vision.Picture{Width: h.width, Height: h.height, Channels: 3, Pix: pix}, nil
}

// adobeRGB turns CMYK into RGB in place, as Pillow: every CMYK JPEG is taken for Adobe's, whose samples
// are inverted.
func adobeRGB(pix []uint8) []uint8 {
	n := len(pix) / 4
	for i := range n {
		s, d := pix[4*i:4*i+4:4*i+4], pix[3*i:3*i+3:3*i+3]
		d[0], d[1], d[2] = cmykRGB(^s[0], ^s[1], ^s[2], ^s[3])
	}
	return pix[: 3*n : 3*n]
}

// goJPEG decodes without a library of the system.
func goJPEG(data []byte, h jpegHeader, o PictureOptions) (*vision.Picture, error) {
	if h.arithmetic {
		return nil, fault.Unsupportedf("unsupported_picture", "JPEG: arithmetic coding is not read by the Go decoder; libjpeg-turbo reads it (image.jpeg: turbo)")
	}
	img, err := jpeg.Decode(data, jpeg.Options{AllowDamage: o.AllowTruncated})
	if err != nil {
		var truncated *jpeg.TruncatedError
		var unsupported *jpeg.UnsupportedError
		switch {
		case errors.As(err, &truncated):
			return nil, fault.Corruptf("truncated", "JPEG: the picture's data ends early, at byte %d of %d; fetch it again, or set image.allow_truncated", truncated.Offset, len(data))
		case errors.As(err, &unsupported):
			return nil, fault.Unsupportedf("unsupported_picture", "JPEG: %s is not read by the Go decoder; libjpeg-turbo may read it (image.jpeg: turbo)", unsupported.What)
		}
		return nil, fault.Corruptf("corrupt_picture", "JPEG: damaged in its %d bytes: %v; image.allow_truncated keeps such pictures", len(data), err)
	}
	pix := img.Pix
	if img.Components == 4 {
		pix = adobeRGB(pix)
	}
	return vision.RGB(&vision.Picture{Width: img.Width, Height: img.Height, Channels: len(pix) / (img.Width * img.Height), Pix: pix}), nil
}

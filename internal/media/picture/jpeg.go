package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"prep/internal/fault"
	"prep/internal/media/picture/jpeg"
	"prep/internal/vision"
)

// maxScans bounds the scans of a progressive JPEG: a real one has about ten, and each of a hostile one
// goes over the whole picture. It is libjpeg-turbo's own limit.
const maxScans = 500

// jpegHeader is what the markers of a JPEG say (ITU-T T.81, annex B).
type jpegHeader struct {
	width, height int
	components    int
	sampling      [4]byte // of each component, H<<4 | V
	ycc           bool    // three components that are YCbCr, by libjpeg's rules
	arithmetic    bool
	progressive   bool
	eighths       int // the size at which it is decoded, see scaled: 8, 4, 2 or 1
	scans         int
	end           int // offset of EOI, -1 when the file ends before it
	exif, xmp     []byte
}

// readJPEGHeader walks all markers up to EOI, the entropy-coded data between them included, and refuses
// processes that no decoder here has: so that both decoders refuse the same files in the same words, and
// a file that was cut off is known before anything is decoded.
func readJPEGHeader(data []byte) (jpegHeader, error) {
	h := jpegHeader{end: -1, eighths: 8}
	jfif, transform := false, -1
	var ids [4]byte
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
			for i := range h.components {
				if 6+3*i+1 < len(body) {
					ids[i], h.sampling[i] = body[6+3*i], body[6+3*i+1]
				}
			}
		case marker == 0xe0:
			jfif = jfif || len(body) >= 14 && string(body[:5]) == "JFIF\x00"
		case marker == 0xee && len(body) >= 12 && string(body[:5]) == "Adobe":
			transform = int(body[11])
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
	h.ycc = h.components == 3 && (jfif || transform > 0 || transform < 0 && string(ids[:3]) != "RGB")
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
	case 0xc0, 0xc1:
	case 0xc2:
		h.progressive = true
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

// admitJPEG reads the header and refuses what is not to be decoded.
func admitJPEG(data []byte, o Options, info *Info) (jpegHeader, error) {
	h, err := readJPEGHeader(data)
	if err != nil {
		return h, err
	}
	if h.width == 0 {
		return h, fault.Corruptf("truncated", "JPEG: the file is cut off within its header, after %d bytes; fetch it again", len(data))
	}
	info.Width, info.Height, info.Bits, info.Orientation = h.width, h.height, 8, exifOrientation(h.exif)
	if info.Orientation == 0 {
		info.Orientation = xmpOrientation(h.xmp)
	}
	if err := o.admit(info.Format, h.width, h.height); err != nil {
		return h, err
	}
	// Every block of 8 x 8 takes one bit at the least: a header that promises more than the file can hold
	// is not worth allocating for.
	if blocks := int64(h.width+7) / 8 * (int64(h.height+7) / 8); blocks > 8*int64(len(data)) {
		return h, fault.Corruptf("truncated", "JPEG: the header says %d x %d pixels, and %d bytes cannot hold them; fetch the file again", h.width, h.height, len(data))
	}
	if h.end < 0 && !o.AllowTruncated {
		return h, fault.Corruptf("truncated", "JPEG: the file is cut off: no end marker in its %d bytes; fetch it again, or set image.allow_truncated", len(data))
	}
	if h.scans == 0 {
		return h, fault.Corruptf("corrupt_picture", "JPEG: a header without a picture, in %d bytes", len(data))
	}
	return h, nil
}

func (d *Decoder) decodeJPEG(data []byte, o Options, info *Info) (*vision.Picture, error) {
	h, err := admitJPEG(data, o, info)
	if err != nil {
		return nil, err
	}
	if o.Decoder == "turbo" {
		if d == nil || d.Turbo == nil {
			return nil, fault.Environmentf("JPEG files are to be decoded by libjpeg-turbo, which this machine lacks (Debian: libturbojpeg0)")
		}
		info.Decoder = "turbo"
		return d.Turbo.picture(data, h, o)
	}
	return goJPEG(data, h, o)
}

// scaled gives the header's size at the smallest of 1, 1/2, 1/4 and 1/8 at which the shorter side is not below
// least; libjpeg rounds sizes up.
func (h jpegHeader) scaled(least int) jpegHeader {
	if least <= 0 {
		return h
	}
	for _, n := range []int{8, 4, 2} {
		if w, t := (h.width+n-1)/n, (h.height+n-1)/n; min(w, t) >= least {
			h.width, h.height, h.eighths = w, t, 8/n
			break
		}
	}
	return h
}

// picture decodes with libjpeg-turbo.
func (t *TurboJPEG) picture(data []byte, h jpegHeader, o Options) (*vision.Picture, error) {
	h = h.scaled(o.ScaledFor)
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
func goJPEG(data []byte, h jpegHeader, o Options) (*vision.Picture, error) {
	if h.arithmetic {
		return nil, fault.Unsupportedf("unsupported_picture", "JPEG: arithmetic coding is not read by the Go decoder; libjpeg-turbo reads it (image.jpeg: turbo)")
	}
	img, err := jpeg.Decode(data, jpeg.Options{AllowDamage: o.AllowTruncated, Eighths: h.scaled(o.ScaledFor).eighths})
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

// jpegRows decodes an ordinary picture, three components in YCbCr and whole, to rows that are converted when
// they are asked for: a crop to size x size needs not all of them, and what it needs never leaves the cache. done says
// that nothing will be asked any more, and whether all was well. It returns nil where the general way has to be taken,
// which also finds the words for what is wrong.
func (d *Decoder) jpegRows(data []byte, h jpegHeader, o Options, size int) (rows *jpeg.Rows, done func() bool) {
	if !h.ycc || o.AllowTruncated {
		return nil, nil
	}
	// Of a scaled picture little more is made than its codes are read, and Go reads those of a sequential one sooner.
	if o.Decoder != "turbo" || o.ScaledFor > 0 {
		if h.arithmetic || h.progressive && o.Decoder == "turbo" {
			return nil, nil
		}
		var part jpeg.Span
		part.Left, part.Top, part.Right, part.Bottom = vision.Needed(h.width, h.height, size)
		rows, err := jpeg.DecodeRows(data, jpeg.Options{Eighths: h.eighths}, part)
		if err != nil || rows == nil {
			return nil, nil
		}
		return rows, func() bool { return rows.Close() == nil }
	}
	luma := h.sampling[0]
	if d == nil || d.Turbo == nil || h.sampling[1] != 0x11 || h.sampling[2] != 0x11 || luma != 0x11 && luma != 0x21 && luma != 0x22 {
		return nil, nil
	}
	hmax, vmax := int(luma>>4), int(luma&15)
	wide, high := (h.width+hmax-1)/hmax, (h.height+vmax-1)/vmax // of chroma
	buffer, _ := planeBuffers.Get().(*[]uint8)
	if buffer == nil {
		buffer = new([]uint8)
	}
	n := wide * high * (hmax*vmax + 2)
	if cap(*buffer) < n {
		*buffer = make([]uint8, n)
	}
	b := (*buffer)[:n]
	first := wide * high * hmax * vmax
	planes := [3]jpeg.Plane{
		{Pix: b[:first], Stride: wide * hmax, H: hmax, V: vmax},
		{Pix: b[first : first+wide*high], Stride: wide, H: 1, V: 1},
		{Pix: b[first+wide*high:], Stride: wide, H: 1, V: 1},
	}
	if !d.Turbo.planes(data, planes, h.width, h.height) {
		planeBuffers.Put(buffer)
		return nil, nil
	}
	return jpeg.NewRows(h.width, h.height, planes), func() bool { planeBuffers.Put(buffer); return true }
}

// planeBuffers keeps the memory of planes for the next picture: the system takes longer to give and clear
// new pages than the colours of a picture take.
var planeBuffers sync.Pool

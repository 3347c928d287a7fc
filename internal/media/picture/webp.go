package picture

import (
	"encoding/binary"
	"image"

	"golang.org/x/image/webp"

	"prep/internal/fault"
	"prep/internal/vision"
)

// webpInfo is what the chunks of a WebP file say (RFC 9649).
type webpInfo struct {
	width, height int
	exif, xmp     []byte
	frame         []byte // an animation's first frame, without which the picture is a still: the body of ANMF
}

// webpHeader walks the chunks up to the picture, and after it for EXIF and XMP. It refuses an extended file
// whose canvas is not the size of its picture: the decoder would allocate for either.
func webpHeader(data []byte) (webpInfo, error) {
	var w webpInfo
	canvasWidth, canvasHeight := 0, 0
	animated := false
	truncated := func(at int) error {
		return fault.Corruptf("truncated", "WebP: the file is cut off: a chunk at byte %d goes beyond its %d bytes; fetch it again", at, len(data))
	}
	for at := 12; at+8 <= len(data); {
		id, n := string(data[at:at+4]), int64(binary.LittleEndian.Uint32(data[at+4:]))
		body := data[at+8:]
		whole := n <= int64(len(body))
		body = body[:min(n, int64(len(body)))]
		picture := false
		switch {
		case id == "VP8X" && len(body) >= 10:
			animated = body[0]&0x02 != 0
			canvasWidth = int(body[4]) | int(body[5])<<8 | int(body[6])<<16 + 1
			canvasHeight = int(body[7]) | int(body[8])<<8 | int(body[9])<<16 + 1
		case id == "VP8 " && len(body) >= 10 && w.width == 0:
			picture = true
			if body[0]&1 != 0 || string(body[3:6]) != "\x9d\x01\x2a" {
				return w, fault.Corruptf("corrupt_picture", "WebP: no key frame in the VP8 chunk at byte %d", at)
			}
			w.width = int(binary.LittleEndian.Uint16(body[6:])) & 0x3fff
			w.height = int(binary.LittleEndian.Uint16(body[8:])) & 0x3fff
		case id == "VP8L" && len(body) >= 5 && w.width == 0:
			picture = true
			if body[0] != 0x2f {
				return w, fault.Corruptf("corrupt_picture", "WebP: no VP8L signature in the chunk at byte %d", at)
			}
			bits := binary.LittleEndian.Uint32(body[1:])
			w.width, w.height = int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1
		case id == "ANMF" && animated && w.frame == nil && canvasWidth != 0:
			if !whole || len(body) < 16 {
				return w, truncated(at)
			}
			w.width, w.height, w.frame = canvasWidth, canvasHeight, body
		case id == "EXIF":
			w.exif = body
		case id == "XMP ":
			w.xmp = body
		}
		if picture && canvasWidth != 0 && (canvasWidth != w.width || canvasHeight != w.height) {
			return w, fault.Corruptf("corrupt_picture", "WebP: the canvas is %d x %d pixels and the picture on it %d x %d", canvasWidth, canvasHeight, w.width, w.height)
		}
		if !whole {
			if w.width != 0 && !picture {
				return w, nil // the picture itself is there
			}
			return w, truncated(at)
		}
		at += 8 + int(n+n&1)
	}
	if w.width == 0 {
		return w, truncated(len(data))
	}
	return w, nil
}

// decodeFrame decodes an animation's first frame on its canvas, transparent where the frame is not, as
// libwebp's WebPAnimDecoder gives it to Pillow. The frame is made a file of its own for the decoder.
func (w *webpInfo) decodeFrame(o Options, info *Info) (*vision.Picture, error) {
	f := w.frame
	u24 := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	x, y, width, height := 2*u24(f), 2*u24(f[3:]), u24(f[6:])+1, u24(f[9:])+1
	if x+width > w.width || y+height > w.height {
		return nil, fault.Corruptf("corrupt_picture", "WebP: the first frame, %d x %d pixels at %d, %d, goes beyond the canvas of %d x %d", width, height, x, y, w.width, w.height)
	}
	file := append([]byte("RIFF\x00\x00\x00\x00WEBP"), f[16:]...)
	if len(f) >= 24 && string(f[16:20]) == "ALPH" {
		const alpha = 0x10
		size := []byte{alpha, 0, 0, 0, f[6], f[7], f[8], f[9], f[10], f[11]}
		file = append(append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00"), size...), f[16:]...)
	}
	binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-8))
	still, err := webpHeader(file)
	if err != nil {
		return nil, err
	}
	if still.width != width || still.height != height || still.frame != nil {
		return nil, fault.Corruptf("corrupt_picture", "WebP: the first frame is said to be %d x %d pixels and is %d x %d", width, height, still.width, still.height)
	}
	r := newPictureReader(file)
	img, err := webp.Decode(r)
	if err != nil {
		return nil, pictureError(info.Format, r, err)
	}
	if b := img.Bounds(); b.Dx() != width || b.Dy() != height {
		return nil, fault.Corruptf("corrupt_picture", "WebP: the first frame is said to be %d x %d pixels and is %d x %d", width, height, b.Dx(), b.Dy())
	}
	row, err := rowReader(img, o, false)
	if err != nil {
		return nil, err
	}
	canvas := image.NewNRGBA(image.Rect(0, 0, w.width, w.height))
	for i := range height {
		row(i, canvas.Pix[canvas.PixOffset(x, y+i):][:4*width])
	}
	return flatten(canvas, o, false, info)
}

// vp8Rows converts VP8's planes to RGBA rows as libwebp (and with it Pillow) does: chroma interpolated
// between its four neighbours with weights 9, 3, 3, 1, and BT.601 in studio range. The planes are
// image.YCbCr, but not in its full-range meaning. alpha may be nil.
func vp8Rows(m *image.YCbCr, alpha []uint8, alphaStride int) func(y int, rgba []uint8) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	us, vs := make([]uint8, 2*cw), make([]uint8, 2*cw)
	return func(y int, rgba []uint8) {
		near := y / 2
		far := min(max(near-1+y%2*2, 0), ch-1)
		plane := func(p []uint8, row int) []uint8 { return p[row*m.CStride:][:cw] }
		vp8Upsample(us, plane(m.Cb, near), plane(m.Cb, far))
		vp8Upsample(vs, plane(m.Cr, near), plane(m.Cr, far))
		for x, l := range m.Y[y*m.YStride:][:w] {
			d := rgba[4*x : 4*x+4 : 4*x+4]
			luma, u, v := 19077*int32(l)>>8, int32(us[x]), int32(vs[x])
			d[0] = vp8Clip(luma + 26149*v>>8 - 14234)
			d[1] = vp8Clip(luma - 6419*u>>8 - 13320*v>>8 + 8708)
			d[2] = vp8Clip(luma + 33050*u>>8 - 17685)
			d[3] = 255
		}
		if alpha != nil {
			for x, a := range alpha[y*alphaStride:][:w] {
				rgba[4*x+3] = a
			}
		}
	}
}

// vp8Clip drops the 6 bits of libwebp's fixed point and cuts to 0..255.
func vp8Clip(v int32) uint8 { return uint8(min(max(v>>6, 0), 255)) }

// vp8Upsample writes one row of chroma at full width, from the chroma row it lies nearer to and the one
// beyond.
func vp8Upsample(dst, near, far []uint8) {
	n0, f0 := uint32(near[0]), uint32(far[0])
	dst[0] = uint8((3*n0 + f0 + 2) >> 2)
	for x := 1; x < len(near); x++ {
		n1, f1 := uint32(near[x]), uint32(far[x])
		sum := n0 + n1 + f0 + f1 + 8
		cross, main := (sum+2*(n1+f0))>>3, (sum+2*(n0+f1))>>3
		dst[2*x-1] = uint8((cross + n0) >> 1)
		dst[2*x] = uint8((main + n1) >> 1)
		n0, f0 = n1, f1
	}
	dst[2*len(near)-1] = uint8((3*n0 + f0 + 2) >> 2)
}

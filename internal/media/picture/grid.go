package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math"
	"runtime"
	"strconv"

	"prep/internal/fault"
	"prep/internal/media/magic"
	"prep/internal/media/npy"
	"prep/internal/vision"
)

// Grid is a decoded map of one sensor: a number for each pixel, as the file stores it, before any unit is
// given to it. Depth maps and radiometric pictures are read as grids; their meaning is the caller's.
type Grid struct {
	Width, Height int
	Format        string // "PNG", "TIFF", "NPY", "OpenEXR", "PGM", "PFM" or "JPEG"
	// Bits and Float are the sample type of the file: 8, 16, 32 or 64 bits, whole numbers or floating point.
	Bits  int
	Float bool
	// Values are [Height][Width], rows from the top. Whole numbers up to 2^24 are exact.
	Values []float32
}

// DecodeGrid decodes a file of one channel: PNG (8 or 16-bit grey), TIFF (grey, 8 to 64 bits, whole or
// floating), NPY (two dimensions, or three of which one is 1), OpenEXR (a channel Z, Y, R or the only one),
// PGM and PFM, and 8-bit grey JPEG. The format is told by the content, not by a name. Sizes are held against
// maxPixels (0: DefaultMaxPixels) and against the bytes that are there before anything is allocated.
//
// Errors name the format and the place. Their kind and reason:
//
//	Corrupt      empty_file, not_grid, truncated, corrupt_grid
//	Unsupported  unsupported_grid (colour, a compression that is not read), too_large
//
// It may be called from many goroutines.
func (d *Decoder) DecodeGrid(data []byte, maxPixels int64) (g *Grid, err error) {
	if maxPixels == 0 {
		maxPixels = DefaultMaxPixels
	}
	at := func(magic string) bool { return bytes.HasPrefix(data, []byte(magic)) }
	format := ""
	defer func() {
		// Decoders of other people on hostile input: a runtime error in there costs this file, not the run.
		if r := recover(); r != nil {
			if _, ok := r.(runtime.Error); !ok {
				panic(r)
			}
			g, err = nil, fault.Corruptf("corrupt_grid", "%s: the data is damaged: its decoder gave up (%v)", format, r)
		}
	}()
	switch {
	case len(data) == 0:
		return nil, fault.Corruptf("empty_file", "the file is empty (0 bytes)")
	case at("\x89PNG\r\n\x1a\n"):
		format = "PNG"
		return decodePNGGrid(data, maxPixels)
	case isTIFF(data):
		format = "TIFF"
		return decodeTIFFGrid(data, maxPixels)
	case at("\x93NUMPY"):
		format = "NPY"
		return decodeNPYGrid(data, maxPixels)
	case at("\x76\x2f\x31\x01"):
		format = "OpenEXR"
		return decodeEXR(data, maxPixels)
	case at("P5"), at("Pf"):
		format = "PGM"
		return decodePNMGrid(data, maxPixels)
	case at("PF"), at("P6"), at("P3"):
		return nil, fault.Unsupportedf("unsupported_grid", "a picture of three channels (%s), and one channel is wanted", data[:2])
	case at("\xff\xd8\xff"):
		format = "JPEG"
		return d.decodeJPEGGrid(data, maxPixels)
	case at("\x89HDF\r\n\x1a\n"), at("MATLAB 7.3"): // which is HDF5 behind a line of text
		return nil, fault.Unsupportedf("unsupported_grid", "HDF5 (also MATLAB 7.3, as NYU's labelled set) is not read; save each map as NPY: numpy.save(\"0000.npy\", h5py.File(\"FILE\")[\"dataset\"][:]) does it in Python, docs/modalities.md has NYU's")
	case at("MATLAB 5.0"):
		return nil, fault.Unsupportedf("unsupported_grid", "MATLAB files are not read; save the map as NPY: numpy.save(\"0000.npy\", scipy.io.loadmat(\"FILE\")[\"depth\"]) does it in Python")
	case at("PK\x03\x04"):
		return nil, fault.Unsupportedf("unsupported_grid", "a ZIP archive (NPZ?) is not read; save the one array as NPY: numpy.save(\"0000.npy\", numpy.load(\"FILE\")[\"depth\"]) does it in Python")
	case len(data) < 8:
		return nil, fault.Corruptf("truncated", "the file is cut off after %d bytes", len(data))
	}
	return nil, fault.Corruptf("not_grid", "no map of a kind that is known here (it begins with %s); PNG, TIFF, NPY, OpenEXR, PGM and PFM are read", magic.Quote(data))
}

// admitGrid holds a header's size against the cap, and against the bytes that are there when each pixel
// takes at least perPixel of them.
func admitGrid(format string, width, height, maxPixels int64) error {
	switch {
	case width < 1 || height < 1:
		return fault.Corruptf("corrupt_grid", "%s: the header says %d x %d pixels", format, width, height)
	case width > vision.MaxSide || height > vision.MaxSide || width > maxPixels/height:
		return fault.Unsupportedf("too_large", "%s: the header says %d x %d pixels, more than the limit of %d; raise image.max_pixels if the file can be trusted", format, width, height, maxPixels)
	}
	return nil
}

func shortGrid(format string, want, have int64) error {
	return fault.Corruptf("truncated", "%s: the pixels take %d bytes and %d are there; fetch the file again", format, want, have)
}

func decodePNGGrid(data []byte, maxPixels int64) (*Grid, error) {
	r := newPictureReader(data)
	config, err := png.DecodeConfig(r)
	if err != nil {
		return nil, gridError("PNG", r, err)
	}
	bits, kind := int64(data[24]), data[25] // as in decodePNG
	if kind != 0 {
		names := map[byte]string{2: "colour", 3: "a palette", 4: "grey with alpha", 6: "colour with alpha"}
		return nil, fault.Unsupportedf("unsupported_grid", "PNG: the samples are %s, and one channel of grey is wanted; a map drawn in colours cannot be taken back to numbers", names[kind])
	}
	if err := admitGrid("PNG", int64(config.Width), int64(config.Height), maxPixels); err != nil {
		return nil, err
	}
	if need := int64(config.Width) * int64(config.Height) * bits / 8; need > 1032*int64(len(data)) { // deflate's best
		return nil, fault.Corruptf("truncated", "PNG: the header says %d x %d pixels, and %d bytes cannot hold them; fetch the file again", config.Width, config.Height, len(data))
	}
	r = newPictureReader(data)
	img, err := png.Decode(r)
	if err != nil {
		return nil, gridError("PNG", r, err)
	}
	g := &Grid{Width: config.Width, Height: config.Height, Format: "PNG", Bits: 8, Values: make([]float32, config.Width*config.Height)}
	switch m := img.(type) {
	case *image.Gray16:
		g.Bits = 16
		for y := range g.Height {
			row := m.Pix[y*m.Stride:][:2*g.Width]
			out := g.Values[y*g.Width:][:g.Width]
			for x := range out {
				out[x] = float32(uint16(row[2*x])<<8 | uint16(row[2*x+1]))
			}
		}
	case *image.Gray:
		for y := range g.Height {
			out := g.Values[y*g.Width:][:g.Width]
			for x, v := range m.Pix[y*m.Stride:][:g.Width] {
				out[x] = float32(v)
			}
		}
	default: // grey with one transparent level comes with alpha: its levels are what counts
		g.Bits = int(max(bits, 8))
		for y := range g.Height {
			for x := range g.Width {
				if bits == 16 {
					g.Values[y*g.Width+x] = float32(color.NRGBA64Model.Convert(img.At(x, y)).(color.NRGBA64).R)
				} else {
					g.Values[y*g.Width+x] = float32(color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA).R)
				}
			}
		}
	}
	return g, nil
}

// gridError sorts a picture decoder's error as pictureError does, under the reasons of grids.
func gridError(format string, r *pictureReader, err error) error {
	return ofGrid(pictureError(format, r, err))
}

// ofGrid puts a picture's error under the reasons of grids.
func ofGrid(err error) error {
	switch fault.ReasonOf(err) {
	case "corrupt_picture":
		return fault.Corruptf("corrupt_grid", "%w", err)
	case "unsupported_picture":
		return fault.Unsupportedf("unsupported_grid", "%w", err)
	}
	return err
}

// decodeJPEGGrid takes an 8-bit grey JPEG's levels. A JPEG of three channels is no map of numbers.
func (d *Decoder) decodeJPEGGrid(data []byte, maxPixels int64) (*Grid, error) {
	info := Info{Format: "JPEG"}
	p, err := d.decodeJPEG(data, Options{MaxPixels: maxPixels}, &info)
	if err != nil {
		return nil, ofGrid(err)
	}
	g := &Grid{Width: p.Width, Height: p.Height, Format: "JPEG", Bits: 8, Values: make([]float32, p.Width*p.Height)}
	for i := range g.Values {
		px := p.Pix[i*p.Channels:]
		if p.Channels == 3 && (px[0] != px[1] || px[1] != px[2]) {
			return nil, fault.Unsupportedf("unsupported_grid", "JPEG: the samples are colour, and one channel of grey is wanted; a map drawn in colours cannot be taken back to numbers")
		}
		g.Values[i] = float32(px[0])
	}
	return g, nil
}

// decodePNMGrid reads binary PGM (netpbm, 8 or 16-bit, big-endian as the format says) and PFM of one channel,
// whose rows go from the bottom up and whose scale's sign is the byte order (Debevec's format, as the
// Middlebury stereo sets use it).
func decodePNMGrid(data []byte, maxPixels int64) (*Grid, error) {
	pfm := data[1] == 'f'
	format := "PGM"
	if pfm {
		format = "PFM"
	}
	h := pnmFields{data, 2, !pfm}
	width, err1 := strconv.ParseInt(h.next(), 10, 64)
	height, err2 := strconv.ParseInt(h.next(), 10, 64)
	scale, err3 := strconv.ParseFloat(h.next(), 64)
	at := h.at
	if err1 != nil || err2 != nil || err3 != nil || at >= len(data) || data[at] > ' ' {
		return nil, fault.Corruptf("corrupt_grid", "%s: the header is no width, height and largest value", format)
	}
	at++ // one white space before the samples
	if err := admitGrid(format, width, height, maxPixels); err != nil {
		return nil, err
	}
	size := int64(1)
	switch {
	case pfm:
		if scale == 0 || math.IsNaN(scale) || math.IsInf(scale, 0) {
			return nil, fault.Corruptf("corrupt_grid", "PFM: the scale is %g; its sign says the byte order", scale)
		}
		size = 4
	case scale < 1 || scale > 65535 || scale != math.Trunc(scale):
		return nil, fault.Corruptf("corrupt_grid", "PGM: the largest value is %g, want 1 to 65535", scale)
	case scale > 255:
		size = 2
	}
	if want := width * height * size; want > int64(len(data)-at) {
		return nil, shortGrid(format, want, int64(len(data)-at))
	}
	g := &Grid{Width: int(width), Height: int(height), Format: format, Bits: int(8 * size), Float: pfm, Values: make([]float32, width*height)}
	pix := data[at:]
	var order binary.ByteOrder = binary.BigEndian
	if scale < 0 {
		order = binary.LittleEndian
	}
	for y := range g.Height {
		out := g.Values[y*g.Width:][:g.Width]
		if pfm {
			out = g.Values[(g.Height-1-y)*g.Width:][:g.Width]
		}
		row := pix[int64(y)*width*size:]
		for x := range out {
			switch size {
			case 1:
				out[x] = float32(row[x])
			case 2:
				out[x] = float32(binary.BigEndian.Uint16(row[2*x:]))
			default:
				out[x] = math.Float32frombits(order.Uint32(row[4*x:]))
			}
		}
	}
	return g, nil
}

// decodeNPYGrid takes an array [H,W], or one of three dimensions that has one of length 1 at its front or back.
func decodeNPYGrid(data []byte, maxPixels int64) (*Grid, error) {
	a, err := npy.Read(data)
	if err != nil {
		return nil, err
	}
	if !a.Plain() {
		return nil, fault.Unsupportedf("unsupported_grid", "NPY: the items have named fields, and a map of plain numbers is wanted")
	}
	shape := a.Shape
	if len(shape) == 3 && shape[0] == 1 {
		shape = shape[1:]
	} else if len(shape) == 3 && shape[2] == 1 {
		shape = shape[:2]
	}
	if len(shape) != 2 {
		return nil, fault.Unsupportedf("unsupported_grid", "NPY: the shape is %v, and a map [height, width] is wanted", a.Shape)
	}
	if err := admitGrid("NPY", shape[1], shape[0], maxPixels); err != nil {
		return nil, err
	}
	f := &a.Fields[0]
	g := &Grid{Width: int(shape[1]), Height: int(shape[0]), Format: "NPY", Bits: 8 * f.Size, Float: f.Kind == 'f', Values: make([]float32, a.Items)}
	for i := range g.Values {
		at := int64(i)
		if a.Fortran {
			at = int64(i%g.Width)*shape[0] + int64(i/g.Width)
		}
		g.Values[i] = float32(a.Number(at, f, 0))
	}
	return g, nil
}

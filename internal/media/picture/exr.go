package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"

	"prep/internal/fault"
	"prep/internal/half"
)

// exrHeaderMax bounds the attributes of an OpenEXR header; previews and long comments fit.
const exrHeaderMax = 16 << 20

// exrChannel is one channel of the file; a scan line holds them one after the other, in this order.
type exrChannel struct {
	name string
	kind uint32 // 0 uint32, 1 half, 2 float
}

func (c exrChannel) bytes() int64 {
	if c.kind == 1 {
		return 2
	}
	return 4
}

// exrCompression names the compressions by their number and says how many lines a block of each has; 0
// lines are those that are not read.
var exrCompression = []struct {
	name  string
	lines int64
}{
	{"none", 1}, {"RLE", 1}, {"ZIPS", 1}, {"ZIP", 16},
	{"PIZ", 0}, {"PXR24", 0}, {"B44", 0}, {"B44A", 0}, {"DWAA", 0}, {"DWAB", 0},
}

// decodeEXR reads one channel of a single-part scan-line OpenEXR file (openexr.com, "OpenEXR File Layout"),
// of half or float samples, uncompressed or by RLE, ZIPS or ZIP: what depth comes in. Of several channels
// it takes Z, depth, Y, V, R, or one whose last part has such a name (View Layer.Depth.Z), in that order;
// otherwise there must be only one. Lines outside the display window are kept: the data window is the map.
func decodeEXR(data []byte, maxPixels int64) (*Grid, error) {
	const format = "OpenEXR"
	if len(data) < 8 {
		return nil, fault.Corruptf("truncated", "OpenEXR: the file is cut off after %d bytes", len(data))
	}
	version := binary.LittleEndian.Uint32(data[4:])
	switch {
	case version&0xff != 2:
		return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: file version %d is not known", version&0xff)
	case version&0x200 != 0:
		return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: tiled files are not read; save it with scan lines")
	case version&0x1800 != 0:
		return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: deep or multi-part files are not read; save the depth as one part")
	}
	h := exrHeader{data: data, at: 8}
	if err := h.read(); err != nil {
		return nil, err
	}
	width, height := h.window[2]-h.window[0]+1, h.window[3]-h.window[1]+1
	if err := admitGrid(format, width, height, maxPixels); err != nil {
		return nil, err
	}
	if h.compression >= len(exrCompression) || exrCompression[h.compression].lines == 0 {
		name := "an unknown kind"
		if h.compression < len(exrCompression) {
			name = exrCompression[h.compression].name
		}
		return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: compression by %s is not read; save it with ZIP, RLE or none", name)
	}
	chosen, err := h.choose()
	if err != nil {
		return nil, err
	}
	// Bytes of a line, and where in it the chosen channel is.
	var line, from int64
	for i, c := range h.channels {
		if i == chosen {
			from = line
		}
		line += c.bytes() * width
	}
	per := exrCompression[h.compression].lines
	blocks := (height + per - 1) / per
	if blocks*16 > int64(len(data)-h.at) { // its place in the table, and its head
		return nil, shortGrid(format, blocks*16, int64(len(data)-h.at))
	}
	g := &Grid{Width: int(width), Height: int(height), Format: format, Float: h.channels[chosen].kind != 0, Bits: int(8 * h.channels[chosen].bytes())}
	if h.compression == 0 && line*height > int64(len(data)-h.at) {
		return nil, shortGrid(format, line*height, int64(len(data)-h.at))
	}
	// The best of the compressions gives 1032 bytes for one.
	if line*height > 1032*int64(len(data)) {
		return nil, fault.Corruptf("truncated", "OpenEXR: the header says %d x %d pixels, and %d bytes cannot hold them; fetch the file again", width, height, len(data))
	}
	g.Values = make([]float32, width*height)
	seen := make([]bool, blocks)
	for b := range blocks {
		offset := binary.LittleEndian.Uint64(data[h.at+int(8*b):])
		if offset > uint64(len(data)-8) {
			return nil, fault.Corruptf("truncated", "OpenEXR: block %d of %d lies at byte %d of %d; fetch the file again", b, blocks, offset, len(data))
		}
		head := data[offset:]
		y := int64(int32(binary.LittleEndian.Uint32(head))) - h.window[1]
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		switch {
		case y < 0 || y >= height || y%per != 0 || seen[y/per]:
			return nil, fault.Corruptf("corrupt_grid", "OpenEXR: block %d says it begins at line %d", b, y)
		case size > int64(len(head)-8):
			return nil, fault.Corruptf("truncated", "OpenEXR: block %d of %d is cut off; fetch the file again", b, blocks)
		}
		seen[y/per] = true
		lines := min(per, height-y)
		pix, err := h.unpack(head[8:8+size], line*lines)
		if err != nil {
			return nil, fault.Corruptf("corrupt_grid", "OpenEXR: block %d at byte %d: %w", b, offset, err)
		}
		for i := range lines {
			src := pix[i*line+from:]
			out := g.Values[(y+i)*width:][:width]
			for x := range out {
				switch h.channels[chosen].kind {
				case 0:
					out[x] = float32(binary.LittleEndian.Uint32(src[4*x:]))
				case 1:
					out[x] = half.ToFloat32(binary.LittleEndian.Uint16(src[2*x:]))
				default:
					out[x] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*x:]))
				}
			}
		}
	}
	return g, nil
}

// exrHeader is what a file says of itself.
type exrHeader struct {
	data        []byte
	at          int // where the block table begins, after read
	channels    []exrChannel
	compression int
	window      [4]int64 // data window: first column, first line, last column, last line
}

// name reads a string that ends with a zero byte, of at most 255.
func (h *exrHeader) name() (string, error) {
	rest := h.data[h.at:min(len(h.data), h.at+256)]
	end := bytes.IndexByte(rest, 0)
	if end < 0 {
		return "", fault.Corruptf("corrupt_grid", "OpenEXR: no name of an attribute at byte %d", h.at)
	}
	h.at += end + 1
	return string(rest[:end]), nil
}

func (h *exrHeader) read() error {
	var have int
	for {
		if h.at > exrHeaderMax {
			return fault.Corruptf("corrupt_grid", "OpenEXR: a header of more than %d bytes", exrHeaderMax)
		}
		name, err := h.name()
		if err != nil {
			return err
		}
		if name == "" {
			break
		}
		if _, err := h.name(); err != nil { // its type
			return err
		}
		if len(h.data)-h.at < 4 {
			return fault.Corruptf("truncated", "OpenEXR: the file is cut off within its header")
		}
		size := int64(binary.LittleEndian.Uint32(h.data[h.at:]))
		h.at += 4
		if size > int64(len(h.data)-h.at) {
			return fault.Corruptf("truncated", "OpenEXR: the file is cut off within its header (attribute %q)", name)
		}
		value := h.data[h.at : h.at+int(size)]
		h.at += int(size)
		switch {
		case name == "channels":
			have |= 1
			if err := h.readChannels(value); err != nil {
				return err
			}
		case name == "compression" && size == 1:
			have |= 2
			h.compression = int(value[0])
		case name == "dataWindow" && size == 16:
			have |= 4
			for i := range h.window {
				h.window[i] = int64(int32(binary.LittleEndian.Uint32(value[4*i:])))
			}
		}
	}
	if have != 7 {
		return fault.Corruptf("corrupt_grid", "OpenEXR: the header lacks channels, compression or dataWindow")
	}
	return nil
}

func (h *exrHeader) readChannels(value []byte) error {
	in := exrHeader{data: value}
	for {
		name, err := in.name()
		if err != nil {
			return err
		}
		if name == "" {
			return nil
		}
		if len(value)-in.at < 16 {
			return fault.Corruptf("corrupt_grid", "OpenEXR: the channel %q is cut off", name)
		}
		kind := binary.LittleEndian.Uint32(value[in.at:])
		sampling := [2]uint32{binary.LittleEndian.Uint32(value[in.at+8:]), binary.LittleEndian.Uint32(value[in.at+12:])}
		in.at += 16
		switch {
		case kind > 2:
			return fault.Corruptf("corrupt_grid", "OpenEXR: the channel %q has the unknown type %d", name, kind)
		case sampling != [2]uint32{1, 1}:
			return fault.Unsupportedf("unsupported_grid", "OpenEXR: the channel %q is subsampled, which is not read", name)
		case len(h.channels) == 64:
			return fault.Unsupportedf("unsupported_grid", "OpenEXR: more than 64 channels")
		}
		h.channels = append(h.channels, exrChannel{name, kind})
	}
}

// choose finds the channel that is the map.
func (h *exrHeader) choose() (int, error) {
	if len(h.channels) == 1 {
		return 0, nil
	}
	var names []string
	for _, want := range []string{"z", "depth", "y", "v", "r"} {
		for i, c := range h.channels {
			last := strings.ToLower(c.name[strings.LastIndexByte(c.name, '.')+1:])
			if last == want {
				return i, nil
			}
		}
	}
	for _, c := range h.channels {
		names = append(names, c.name)
	}
	return 0, fault.Unsupportedf("unsupported_grid", "OpenEXR: which of the channels %s is the map? want one called Z, depth, Y or R, or a single one", strings.Join(names, ", "))
}

var errEXRSize = errors.New("it unpacks to another size than its lines have")

// unpack undoes a block's compression. A block that would not get smaller is stored as it is.
func (h *exrHeader) unpack(b []byte, want int64) ([]byte, error) {
	if int64(len(b)) == want {
		return b, nil
	}
	var raw []byte
	switch h.compression {
	case 1:
		var err error
		if raw, err = exrRLE(b, want); err != nil {
			return nil, err
		}
	case 2, 3:
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		var out bytes.Buffer // grows with what is there, not with what the header says
		if _, err := io.Copy(&out, io.LimitReader(z, want+1)); err != nil {
			return nil, err
		}
		raw = out.Bytes()
	}
	if int64(len(raw)) != want {
		return nil, errEXRSize
	}
	// Bytes are differences to the one before, and the even ones come before the odd ones.
	for i := 1; i < len(raw); i++ {
		raw[i] += raw[i-1] - 128
	}
	out := make([]byte, len(raw))
	middle := (len(raw) + 1) / 2
	for i := range out {
		out[i] = raw[i/2+i%2*middle]
	}
	return out, nil
}

// exrRLE: a count n from 0 to 127 repeats the next byte n+1 times, a negative one is followed by -n bytes.
func exrRLE(b []byte, want int64) ([]byte, error) {
	out := make([]byte, 0, min(want, int64(64*len(b))))
	for len(b) > 1 {
		n := int(int8(b[0]))
		if n >= 0 {
			for range n + 1 {
				out = append(out, b[1])
			}
			b = b[2:]
		} else {
			if -n > len(b)-1 {
				return nil, errEXRSize
			}
			out = append(out, b[1:1-n]...)
			b = b[1-n:]
		}
		if int64(len(out)) > want {
			return nil, errEXRSize
		}
	}
	return out, nil
}

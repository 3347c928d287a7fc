package picture

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"

	"prep/internal/fault"
	"prep/internal/half"
)

// exrHeaderMax bounds the attributes of an OpenEXR header; previews and long comments fit.
const exrHeaderMax = 16 << 20

// exrChannel is one channel of the file; a scan line holds them one after the other, in this order.
type exrChannel struct {
	name   string
	kind   uint32 // 0 uint32, 1 half, 2 float
	linear bool   // B44 keeps its logarithms
}

func (c exrChannel) bytes() int64 {
	if c.kind == 1 {
		return 2
	}
	return 4
}

// exrCompression names the compressions by their number and says how many lines a block of each has.
var exrCompression = []struct {
	name  string
	lines int64
}{
	{"none", 1}, {"RLE", 1}, {"ZIPS", 1}, {"ZIP", 16},
	{"PIZ", 32}, {"PXR24", 16}, {"B44", 32}, {"B44A", 32}, {"DWAA", 32}, {"DWAB", 256},
}

// exrPartsMax bounds the parts of a file: a rendering with a part for each of its layers has dozens.
const exrPartsMax = 256

// decodeEXR reads one channel of an OpenEXR file (openexr.com, "OpenEXR File Layout"), of scan lines or tiles,
// of one part or several, uncompressed or by any compression (of DWA the channels that it keeps without loss, as Z):
// what depth comes in. Of several channels it takes Z, depth, Y, V, R, or one whose last part has such a name (View Layer.Depth.Z), in that order and of
// the first part that has it; otherwise there must be only one. Of a file with levels it takes the full size.
// Lines outside the display window are kept: the data window is the map.
func decodeEXR(data []byte, maxPixels int64) (*Grid, error) {
	if len(data) < 8 {
		return nil, fault.Corruptf("truncated", "OpenEXR: the file is cut off after %d bytes", len(data))
	}
	version := binary.LittleEndian.Uint32(data[4:])
	if version&0xff != 2 {
		return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: file version %d is not known", version&0xff)
	}
	several := version&0x1000 != 0
	if version&0x800 != 0 && !several {
		return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: deep samples are not read; save the depth as a flat picture")
	}
	at := 8
	var parts []*exrHeader
	for {
		if several && at < len(data) && data[at] == 0 && len(parts) > 0 {
			at++
			break
		}
		h := &exrHeader{data: data, at: at, several: several, part: len(parts)}
		if err := h.read(); err != nil {
			return nil, err
		}
		if !several {
			h.kind = "scanlineimage"
			if version&0x200 != 0 {
				h.kind = "tiledimage"
			}
		}
		at = h.at
		parts = append(parts, h)
		if !several {
			break
		}
		if len(parts) > exrPartsMax {
			return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: more than %d parts", exrPartsMax)
		}
	}
	h, chosen, err := chooseEXR(parts)
	if err != nil {
		return nil, err
	}
	table := int64(at) // tables of the parts follow the headers
	for _, p := range parts[:h.part] {
		table += 8 * p.chunks
	}
	h.at = int(min(table, int64(len(data))))
	return h.decode(chosen, maxPixels)
}

// chooseEXR finds the part and the channel that are the map.
func chooseEXR(parts []*exrHeader) (h *exrHeader, channel int, err error) {
	deep := 0
	for _, want := range []string{"z", "depth", "y", "v", "r"} {
		for _, h := range parts {
			for i, c := range h.channels {
				last := strings.ToLower(c.name[strings.LastIndexByte(c.name, '.')+1:])
				if last == want && !strings.HasPrefix(h.kind, "deep") {
					return h, i, nil
				}
			}
		}
	}
	var names []string
	for _, p := range parts {
		if strings.HasPrefix(p.kind, "deep") {
			deep++
			continue
		}
		for _, c := range p.channels {
			h, names = p, append(names, c.name)
		}
	}
	switch {
	case deep == len(parts):
		return nil, 0, fault.Unsupportedf("unsupported_grid", "OpenEXR: deep samples are not read; save the depth as a flat picture")
	case len(names) != 1:
		return nil, 0, fault.Unsupportedf("unsupported_grid", "OpenEXR: which of the channels %s is the map? want one called Z, depth, Y or R, or a single one", shownChannels(names))
	}
	return h, 0, nil
}

func shownChannels(names []string) string {
	s := strings.Join(names[:min(len(names), 20)], ", ")
	if len(names) > 20 {
		s += ", …"
	}
	return s
}

// rectangle is a block of a part: scan lines from side to side, or a tile, in pixels from the data window's corner.
type rectangle struct{ x, y, width, height int64 }

// decode reads the chosen channel; h.at is where the table of the part's blocks begins.
func (h *exrHeader) decode(chosen int, maxPixels int64) (*Grid, error) {
	const format = "OpenEXR"
	data := h.data
	width, height := h.window[2]-h.window[0]+1, h.window[3]-h.window[1]+1
	if err := admitGrid(format, width, height, maxPixels); err != nil {
		return nil, err
	}
	if h.compression >= len(exrCompression) {
		return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: compression by an unknown kind (%d) is not read; save it with ZIP, PIZ or none", h.compression)
	}
	tiled := h.kind == "tiledimage"
	size := [2]int64{width, exrCompression[h.compression].lines} // of a block
	if tiled {
		if h.tile[0] < 1 || h.tile[1] < 1 {
			return nil, fault.Corruptf("corrupt_grid", "OpenEXR: tiles of %d x %d pixels", h.tile[0], h.tile[1])
		}
		size = h.tile
	}
	// Of a file with levels the full size comes first.
	across, down := (width+size[0]-1)/size[0], (height+size[1]-1)/size[1]
	blocks := across * down
	if blocks*16 > int64(len(data)-h.at) { // its place in the table, and its head
		return nil, shortGrid(format, blocks*16, int64(len(data)-h.at))
	}
	var pixel int64 // bytes of all channels
	for _, c := range h.channels {
		pixel += c.bytes()
	}
	g := &Grid{Width: int(width), Height: int(height), Format: format, Float: h.channels[chosen].kind != 0, Bits: int(8 * h.channels[chosen].bytes())}
	whole := pixel * width * height
	if h.compression == 0 && whole > int64(len(data)-h.at) {
		return nil, shortGrid(format, whole, int64(len(data)-h.at))
	}
	// The best of the compressions, deflate of which PXR24 makes four bytes of three, gives 1376 bytes for one.
	if whole > 1376*int64(len(data)) {
		return nil, fault.Corruptf("truncated", "OpenEXR: the header says %d x %d pixels, and %d bytes cannot hold them; fetch the file again", width, height, len(data))
	}
	g.Values = make([]float32, width*height)
	seen := make([]bool, blocks)
	for b := range blocks {
		offset := binary.LittleEndian.Uint64(data[h.at+int(8*b):])
		switch {
		case offset == 0:
			return nil, fault.Corruptf("truncated", "OpenEXR: block %d of %d was never written: was the program stopped that made the file? make it again", b, blocks)
		case offset > uint64(len(data)):
			return nil, fault.Corruptf("truncated", "OpenEXR: block %d of %d lies at byte %d of %d; fetch the file again", b, blocks, offset, len(data))
		}
		r, packed, err := h.block(data[offset:], tiled, size, width, height)
		if err != nil {
			return nil, fault.Corruptf(fault.ReasonOf(err), "OpenEXR: block %d of %d at byte %d: %w", b, blocks, offset, err)
		}
		if at := r.y/size[1]*across + r.x/size[0]; seen[at] {
			return nil, fault.Corruptf("corrupt_grid", "OpenEXR: block %d of %d at byte %d: another one is of the same place (%d, %d)", b, blocks, offset, r.x, r.y)
		} else {
			seen[at] = true
		}
		lines, err := h.unpack(packed, chosen, r)
		if fault.KindOf(err) == fault.Unsupported {
			return nil, fault.Unsupportedf("unsupported_grid", "OpenEXR: %w", err)
		}
		if err != nil {
			return nil, fault.Corruptf("corrupt_grid", "OpenEXR: block %d of %d at byte %d: %w", b, blocks, offset, err)
		}
		for i := range r.height {
			src := lines.pix[i*lines.stride+lines.from:]
			out := g.Values[(r.y+i)*width+r.x:][:r.width]
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

// block reads the head of the block that b begins with: which pixels it has, and its bytes.
func (h *exrHeader) block(b []byte, tiled bool, size [2]int64, width, height int64) (r rectangle, packed []byte, err error) {
	fields := 2
	if tiled {
		fields = 5
	}
	if h.several {
		fields++
	}
	if len(b) < 4*fields {
		return r, nil, fault.Corruptf("truncated", "it is cut off; fetch the file again")
	}
	var v [6]int64
	for i := range fields {
		v[i] = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
	}
	head := v[:fields]
	if h.several {
		if head[0] != int64(h.part) {
			return r, nil, fault.Corruptf("corrupt_grid", "it says it is of part %d, and the table of part %d names it", head[0], h.part)
		}
		head = head[1:]
	}
	if tiled {
		if head[2] != 0 || head[3] != 0 {
			return r, nil, fault.Corruptf("corrupt_grid", "it says it is of level %d, %d", head[2], head[3])
		}
		r.x, r.y = head[0]*size[0], head[1]*size[1]
	} else {
		r.y = head[0] - h.window[1]
	}
	if r.x < 0 || r.y < 0 || r.x >= width || r.y >= height || r.y%size[1] != 0 {
		return r, nil, fault.Corruptf("corrupt_grid", "it says it begins at line %d, column %d", r.y, r.x)
	}
	r.width, r.height = min(size[0], width-r.x), min(size[1], height-r.y)
	n := head[len(head)-1]
	if n < 0 || n > int64(len(b)-4*fields) {
		return r, nil, fault.Corruptf("truncated", "it is cut off; fetch the file again")
	}
	return r, b[4*fields:][:n], nil
}

// exrHeader is what one part of a file says of itself.
type exrHeader struct {
	data        []byte
	at          int // where the header ends, after read
	several     bool
	part        int
	kind        string // scanlineimage, tiledimage, deepscanline or deeptile
	chunks      int64  // entries of the part's table, in files of several parts
	tile        [2]int64
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
		case name == "tiles" && size == 9:
			h.tile = [2]int64{int64(binary.LittleEndian.Uint32(value)), int64(binary.LittleEndian.Uint32(value[4:]))}
		case name == "type" && size < 32:
			h.kind = string(value)
		case name == "chunkCount" && size == 4:
			h.chunks = int64(int32(binary.LittleEndian.Uint32(value)))
		}
	}
	if have != 7 {
		return fault.Corruptf("corrupt_grid", "OpenEXR: the header lacks channels, compression or dataWindow")
	}
	if h.several && h.chunks < 1 {
		return fault.Corruptf("corrupt_grid", "OpenEXR: part %d does not say how many blocks it has (chunkCount)", h.part)
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
		h.channels = append(h.channels, exrChannel{name, kind, value[in.at-12] != 0})
	}
}

package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"math"
	"slices"

	"prep/internal/fault"
	"prep/internal/vision"
)

// HEIF is the picture of an AVIF or HEIC file (ISO/IEC 23008-12, 23000-22; AV1 Image File Format 1.1): what
// its boxes say, read in Go, and the coded pictures within, which a decoder of HEVC or AV1 has to decode.
// Read so, a picture that is cut into tiles (every telephone's) is put together here and not left to what
// some version of some program makes of it.
type HEIF struct {
	Info   Info
	Colour *HEIFStream
	Alpha  *HEIFStream // nil where the picture is opaque

	// Layers are the pictures that an overlay is made of, Colour then being nil.
	Layers []HEIFLayer
	fill   [3]uint8 // below them

	width, height int // as coded, before the steps
	premultiplied bool
	crop          image.Rectangle // of the coded picture, empty for all of it
}

// HEIFLayer is a picture that lies on an overlay's canvas, with its left upper corner there.
type HEIFLayer struct {
	*HEIF
	left, top int
}

// HEIFStream is a coded picture as a stream that can be decoded by itself: one frame for each tile, row by
// row.
type HEIFStream struct {
	// Codec is "hevc", the stream then in the byte-stream format of H.265 Annex B, or "av1", then in IVF.
	Codec                 string
	Data                  []byte
	Tiles                 int
	TileWidth, TileHeight int
	// Matrix and FullRange are the file's word on how its YCbCr becomes RGB (ITU-T H.273), which outranks the
	// stream's own; of AV1 the stream's where the file says nothing. -1: what the stream says of HEVC.
	Matrix, FullRange int
	// Grey has no chroma. Of AV1 ChromaX and ChromaY are 2 where chroma has half the columns and half the rows,
	// and Bits are those of a sample.
	Grey                   bool
	ChromaX, ChromaY, Bits int

	columns int
	placed  int
}

// Real files have a few hundred items, a telephone's picture of 48 megapixels 190, and a handful of properties.
const (
	maxHEIFItems      = 1 << 16
	maxHEIFProperties = 256 // of one item
)

// IsHEIF reports that the file's first box says AVIF or HEIF.
func IsHEIF(data []byte) bool {
	if len(data) < 16 || string(data[4:8]) != "ftyp" {
		return false
	}
	size := int(min(int64(binary.BigEndian.Uint32(data)), int64(len(data)), 256))
	if size < 16 {
		return false
	}
	// The major brand, and where that is a camera's own the compatible ones.
	if slices.Contains(heifBrands, string(data[8:12])) {
		return true
	}
	for at := 16; at+4 <= size; at += 4 {
		switch string(data[at : at+4]) {
		case "mif1", "avif", "heic", "heix":
			return true
		}
	}
	return false
}

var heifBrands = []string{"avif", "avis", "heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "mif2", "msf1", "miaf"}

// heifItem is a thing that the file holds: a coded picture, a grid of them, or metadata.
type heifItem struct {
	kind       string
	protected  bool
	method     int // 0: at offsets of the file, 1: in the box idat, 2: in another item
	extents    [][2]uint64
	properties []heifProperty
	known      bool // listed in iinf
}

type heifProperty struct {
	kind      string
	body      []byte
	essential bool
}

type heifFile struct {
	data, idat []byte
	format     string
	primary    uint32
	items      map[uint32]*heifItem
	references map[string]map[uint32][]uint32 // by kind, from, to
}

// ReadHEIF reads the boxes of an AVIF or HEIC file. The size that they state is held against o.MaxPixels before
// anything is allocated. Errors are those of [Decoder.DecodePicture].
func ReadHEIF(data []byte, o Options) (*HEIF, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	f := &heifFile{data: data, format: "HEIC", items: map[uint32]*heifItem{}, references: map[string]map[uint32][]uint32{}}
	if len(data) >= 12 && (string(data[8:12]) == "avif" || string(data[8:12]) == "avis") {
		f.format = "AVIF"
	}
	if err := f.read(); err != nil {
		return nil, err
	}
	primary := f.items[f.primary]
	if primary == nil || !primary.known {
		return nil, f.corrupt("it names picture %d as its own, and has none of that number", f.primary)
	}
	return f.picture(f.primary, o, true)
}

// picture reads the item of a picture, which may be an overlay of others where overlay says so.
func (f *heifFile) picture(id uint32, o Options, overlay bool) (*HEIF, error) {
	h := &HEIF{Info: Info{Format: f.format, Decoder: "ffmpeg", Bits: 8}}
	size, err := f.size(id)
	if err != nil {
		return nil, err
	}
	h.width, h.height = size.X, size.Y
	if overlay && f.items[id].kind == "iovl" {
		if err := f.overlay(id, h, o); err != nil {
			return nil, err
		}
	} else {
		if h.Colour, err = f.stream(id, o); err != nil {
			return nil, err
		}
		if h.Colour.Codec == "av1" {
			f.format = "AVIF"
		} else {
			f.format = "HEIC"
		}
	}
	h.Info.Format = f.format
	if err := f.describe(h, f.items[id]); err != nil {
		return nil, err
	}
	for _, from := range sortedKeys(f.references["auxl"]) {
		if !slices.Contains(f.references["auxl"][from], id) || !f.isAlpha(from) {
			continue
		}
		if h.Alpha, err = f.stream(from, o); err != nil {
			return nil, err
		}
		if alpha, err := f.size(from); err != nil || alpha != size {
			return nil, f.unsupported("its opacity has another size than its colours (%v and %v)", alpha, size)
		}
		h.premultiplied = slices.Contains(f.references["prem"][id], from)
		break
	}
	return h, nil
}

// maxHEIFLayers bounds the pictures of an overlay, each of which is decoded by itself.
const maxHEIFLayers = 16

// overlay reads the item that says how pictures lie on a canvas (ISO/IEC 23008-12, 6.6.2.2).
func (f *heifFile) overlay(id uint32, h *HEIF, o Options) error {
	if err := o.admit(f.format, h.width, h.height); err != nil {
		return err
	}
	if err := f.essentials(id); err != nil {
		return err
	}
	b, err := f.content(id)
	if err != nil {
		return err
	}
	r := heifReader{b: b}
	r.uint(1)
	bytes := 2
	if r.uint(1)&1 != 0 {
		bytes = 4
	}
	for i := range 4 { // the fourth is its opacity, which libheif does not take either
		if v := r.uint(2); i < 3 {
			h.fill[i] = uint8(v >> 8)
		}
	}
	width, height := r.uint(bytes), r.uint(bytes)
	layers := f.references["dimg"][id]
	if len(layers) > maxHEIFLayers {
		return f.unsupported("%d pictures laid over each other, more than %d", len(layers), maxHEIFLayers)
	}
	offset := func() int {
		v := r.uint(bytes)
		if bytes == 2 {
			return int(int16(v))
		}
		return int(int32(v))
	}
	for i, layer := range layers {
		left, top := offset(), offset()
		if err := r.err(f, "iovl"); err != nil {
			return err
		}
		it := f.items[layer]
		if it == nil || !it.known {
			return f.corrupt("picture %d of its overlay is not there", i)
		}
		p, err := f.picture(layer, o, false)
		if err != nil {
			return err
		}
		h.Layers = append(h.Layers, HEIFLayer{p, left, top})
	}
	switch err := r.err(f, "iovl"); {
	case err != nil:
		return err
	case len(layers) == 0:
		return f.corrupt("an overlay of no pictures")
	case width != uint64(h.width) || height != uint64(h.height):
		return f.corrupt("the overlay is %d x %d pixels and the picture %d x %d", width, height, h.width, h.height)
	}
	return nil
}

// Background is the canvas of an overlay before anything lies on it.
func (h *HEIF) Background() *vision.Picture {
	p := h.Canvas(3)
	for i := 0; i < len(p.Pix); i += 3 {
		p.Pix[i], p.Pix[i+1], p.Pix[i+2] = h.fill[0], h.fill[1], h.fill[2]
	}
	return p
}

// Lay puts a layer, cropped and turned as it is to be, on canvas, as far as that reaches. alpha is nil for none; colours
// are mixed by it as libheif does.
func (l HEIFLayer) Lay(canvas, colour, alpha *vision.Picture) error {
	colour, alpha, err := l.parts(colour, alpha)
	if err != nil {
		return err
	}
	colour = vision.Orient(colour, l.Info.Orientation)
	if alpha != nil {
		alpha = vision.Orient(alpha, l.Info.Orientation)
	}
	inside := image.Rect(0, 0, canvas.Width, canvas.Height).Intersect(image.Rect(l.left, l.top, l.left+colour.Width, l.top+colour.Height))
	for y := inside.Min.Y; y < inside.Max.Y; y++ {
		from := (y-l.top)*colour.Width + inside.Min.X - l.left
		dst, src := canvas.Pix[3*(y*canvas.Width+inside.Min.X):][:3*inside.Dx()], colour.Pix[3*from:][:3*inside.Dx()]
		if alpha == nil {
			copy(dst, src)
			continue
		}
		for i, v := range src {
			a := int(alpha.Pix[from+i/3])
			dst[i] = uint8((int(v)*a + int(dst[i])*(255-a)) / 255)
		}
	}
	return nil
}

func sortedKeys(m map[uint32][]uint32) []uint32 {
	keys := make([]uint32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (f *heifFile) corrupt(format string, args ...any) error {
	return fault.Corruptf("corrupt_picture", "%s: %s", f.format, fmt.Sprintf(format, args...))
}

func (f *heifFile) truncated(format string, args ...any) error {
	return fault.Corruptf("truncated", "%s: %s; fetch the file again", f.format, fmt.Sprintf(format, args...))
}

func (f *heifFile) unsupported(format string, args ...any) error {
	return fault.Unsupportedf("unsupported_picture", "%s: %s; convert the file to PNG first, for example with heif-convert or avifdec", f.format, fmt.Sprintf(format, args...))
}

// heifBoxes calls each for the boxes in b, until one of them fails; false when a box reaches beyond the end.
func heifBoxes(b []byte, each func(kind string, body []byte) error) (whole bool, err error) {
	for len(b) >= 8 {
		size, head := uint64(binary.BigEndian.Uint32(b)), 8
		switch {
		case size == 0: // to the end
			size = uint64(len(b))
		case size == 1 && len(b) >= 16:
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < uint64(head) || size > uint64(len(b)) {
			return false, nil
		}
		if err := each(string(b[4:8]), b[head:size]); err != nil {
			return true, err
		}
		b = b[size:]
	}
	return len(b) == 0, nil
}

// full takes version and flags off a box.
func (f *heifFile) full(kind string, b []byte) (version uint8, flags uint32, body []byte, err error) {
	if len(b) < 4 {
		return 0, 0, nil, f.corrupt("the box %s is too short", kind)
	}
	return b[0], binary.BigEndian.Uint32(b) & 0xffffff, b[4:], nil
}

func (f *heifFile) read() error {
	found, sequence := false, false
	whole, err := heifBoxes(f.data, func(kind string, body []byte) error {
		sequence = sequence || kind == "moov"
		if kind != "meta" || found {
			return nil
		}
		found = true
		_, _, body, err := f.full(kind, body)
		if err != nil {
			return err
		}
		return f.meta(body)
	})
	switch {
	case err != nil:
		return err
	case found: // what is cut off after it shows where it is needed
		return nil
	case !whole || !sequence:
		return f.truncated("the file is cut off before its description (the box meta) ends, at byte %d", len(f.data))
	}
	return f.unsupported("it holds no still picture (a sequence alone?)")
}

func (f *heifFile) meta(b []byte) error {
	var properties []heifProperty
	var associations []byte // box ipma, one after the other
	whole, err := heifBoxes(b, func(kind string, body []byte) error {
		switch kind {
		case "idat":
			f.idat = body
		case "pitm":
			version, _, body, err := f.full(kind, body)
			if err != nil {
				return err
			}
			r := heifReader{b: body}
			f.primary = r.id(version > 0)
			return r.err(f, kind)
		case "iinf":
			return f.readItems(body)
		case "iloc":
			return f.readLocations(body)
		case "iref":
			return f.readReferences(body)
		case "iprp":
			whole, err := heifBoxes(body, func(kind string, body []byte) error {
				switch kind {
				case "ipco":
					whole, _ := heifBoxes(body, func(kind string, body []byte) error {
						properties = append(properties, heifProperty{kind: kind, body: body})
						return nil
					})
					if !whole {
						return f.corrupt("the box ipco is damaged")
					}
				case "ipma":
					if associations != nil {
						return f.unsupported("two boxes ipma")
					}
					associations = body
				}
				return nil
			})
			if err == nil && !whole {
				err = f.corrupt("the box iprp is damaged")
			}
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !whole {
		return f.corrupt("its description (the box meta) is damaged")
	}
	return f.associate(associations, properties)
}

// heifReader reads numbers of a box; over says that they went beyond its end.
type heifReader struct {
	b    []byte
	over bool
}

func (r *heifReader) uint(bytes int) (v uint64) {
	if len(r.b) < bytes {
		r.over, r.b = true, nil
		return 0
	}
	for _, c := range r.b[:bytes] {
		v = v<<8 | uint64(c)
	}
	r.b = r.b[bytes:]
	return v
}

func (r *heifReader) id(long bool) uint32 {
	if long {
		return uint32(r.uint(4))
	}
	return uint32(r.uint(2))
}

func (r *heifReader) err(f *heifFile, kind string) error {
	if r.over {
		return f.corrupt("the box %s is too short", kind)
	}
	return nil
}

func (f *heifFile) item(id uint32) (*heifItem, error) {
	it := f.items[id]
	if it == nil {
		if len(f.items) >= maxHEIFItems {
			return nil, f.unsupported("more than %d items", maxHEIFItems)
		}
		it = &heifItem{}
		f.items[id] = it
	}
	return it, nil
}

func (f *heifFile) readItems(b []byte) error {
	version, _, b, err := f.full("iinf", b)
	if err != nil {
		return err
	}
	r := heifReader{b: b}
	r.id(version > 0)
	if err := r.err(f, "iinf"); err != nil {
		return err
	}
	whole, err := heifBoxes(r.b, func(kind string, body []byte) error {
		if kind != "infe" {
			return nil
		}
		version, _, body, err := f.full(kind, body)
		if err != nil {
			return err
		}
		if version < 2 {
			return nil // no kinds of items: nothing of ours
		}
		r := heifReader{b: body}
		id := r.id(version > 2)
		protection := r.uint(2)
		if len(r.b) < 4 || r.over {
			return f.corrupt("the box infe is too short")
		}
		it, err := f.item(id)
		if err != nil {
			return err
		}
		it.kind, it.protected, it.known = string(r.b[:4]), protection != 0, true
		return nil
	})
	if err == nil && !whole {
		err = f.corrupt("the box iinf is damaged")
	}
	return err
}

func (f *heifFile) readLocations(b []byte) error {
	version, _, b, err := f.full("iloc", b)
	if err != nil {
		return err
	}
	r := heifReader{b: b}
	sizes := r.uint(2)
	offset, length, base, index := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	if version == 0 {
		index = 0
	}
	for _, n := range []int{offset, length, base, index} {
		if n != 0 && n != 4 && n != 8 {
			return f.corrupt("the box iloc has numbers of %d bytes", n)
		}
	}
	for n := r.id(version > 1); n > 0 && !r.over; n-- {
		it, err := f.item(r.id(version > 1))
		if err != nil {
			return err
		}
		if version > 0 {
			it.method = int(r.uint(2) & 15)
		}
		if elsewhere := r.uint(2); elsewhere != 0 {
			it.method = 3 // another file
		}
		from := r.uint(base)
		count := r.uint(2)
		if count > 1 && offset+length == 0 {
			return f.corrupt("the box iloc has %d parts without a place", count)
		}
		it.extents = nil
		for ; count > 0 && !r.over; count-- {
			r.uint(index)
			at, size := r.uint(offset), r.uint(length)
			if at > math.MaxInt64 || from > math.MaxInt64 || size > math.MaxInt64 {
				return f.corrupt("the box iloc points nowhere")
			}
			it.extents = append(it.extents, [2]uint64{from + at, size})
		}
	}
	return r.err(f, "iloc")
}

func (f *heifFile) readReferences(b []byte) error {
	version, _, b, err := f.full("iref", b)
	if err != nil {
		return err
	}
	whole, err := heifBoxes(b, func(kind string, body []byte) error {
		r := heifReader{b: body}
		from, n := r.id(version > 0), r.uint(2)
		var to []uint32
		for ; n > 0 && !r.over; n-- {
			to = append(to, r.id(version > 0))
		}
		if f.references[kind] == nil {
			f.references[kind] = map[uint32][]uint32{}
		}
		f.references[kind][from] = append(f.references[kind][from], to...)
		return r.err(f, "iref")
	})
	if err == nil && !whole {
		err = f.corrupt("the box iref is damaged")
	}
	return err
}

func (f *heifFile) associate(b []byte, properties []heifProperty) error {
	if b == nil {
		return f.corrupt("its pictures are not described (no box ipma)")
	}
	version, flags, b, err := f.full("ipma", b)
	if err != nil {
		return err
	}
	r := heifReader{b: b}
	for n := r.uint(4); n > 0 && !r.over; n-- {
		it, err := f.item(r.id(version > 0))
		if err != nil {
			return err
		}
		for k := r.uint(1); k > 0 && !r.over; k-- {
			var index uint64
			var essential bool
			if flags&1 != 0 {
				index = r.uint(2)
				essential, index = index&0x8000 != 0, index&0x7fff
			} else {
				index = r.uint(1)
				essential, index = index&0x80 != 0, index&0x7f
			}
			if index == 0 {
				continue
			}
			if index > uint64(len(properties)) {
				return f.corrupt("a picture has property %d of %d", index, len(properties))
			}
			if len(it.properties) >= maxHEIFProperties {
				return f.corrupt("more than %d properties of one picture", maxHEIFProperties)
			}
			p := properties[index-1]
			p.essential = essential
			it.properties = append(it.properties, p)
		}
	}
	return r.err(f, "ipma")
}

// property is the body of an item's property, nil when it has none of the kind.
func (it *heifItem) property(kind string) []byte {
	for _, p := range it.properties {
		if p.kind == kind {
			return p.body
		}
	}
	return nil
}

// size is what an item's ispe says.
func (f *heifFile) size(id uint32) (image.Point, error) {
	b := f.items[id].property("ispe")
	if len(b) < 12 {
		return image.Point{}, f.corrupt("picture %d does not say its size", id)
	}
	w, h := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	return image.Pt(int(min(w, math.MaxInt32)), int(min(h, math.MaxInt32))), nil
}

// content are the bytes of an item, all parts one after the other.
func (f *heifFile) content(id uint32) ([]byte, error) {
	it := f.items[id]
	in := f.data
	switch it.method {
	case 0:
	case 1:
		in = f.idat
	default:
		return nil, f.unsupported("picture %d is kept in another item or file", id)
	}
	if len(it.extents) == 0 {
		return nil, f.corrupt("picture %d is nowhere", id)
	}
	var out []byte
	for _, e := range it.extents {
		at, size := e[0], e[1]
		if size == 0 && at <= uint64(len(in)) {
			size = uint64(len(in)) - at
		}
		if at > uint64(len(in)) || size > uint64(len(in))-at {
			return nil, f.truncated("picture %d lies at bytes %d to %d of %d", id, at, at+size, len(in))
		}
		if uint64(len(out))+size > uint64(len(f.data)) {
			return nil, f.corrupt("the parts of picture %d are more than the file", id)
		}
		part := in[at : at+size]
		if len(it.extents) == 1 {
			return part, nil
		}
		out = append(out, part...)
	}
	return out, nil
}

// stream makes the stream of an item, a coded picture or a grid of them.
func (f *heifFile) stream(id uint32, o Options) (*HEIFStream, error) {
	it := f.items[id]
	size, err := f.size(id)
	if err != nil {
		return nil, err
	}
	if err := o.admit(f.format, size.X, size.Y); err != nil {
		return nil, err
	}
	tiles := []uint32{id}
	s := &HEIFStream{Tiles: 1, columns: 1, TileWidth: size.X, TileHeight: size.Y, Matrix: -1, FullRange: -1}
	if it.kind == "grid" {
		if tiles, err = f.grid(id, s, size); err != nil {
			return nil, err
		}
	}
	var body, configuration []byte
	for i, tile := range tiles {
		part := f.items[tile]
		if part == nil || !part.known {
			return nil, f.corrupt("tile %d of picture %d is not there", i, id)
		}
		if err := f.readable(tile); err != nil {
			return nil, err
		}
		tileSize, err := f.size(tile)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			s.TileWidth, s.TileHeight = tileSize.X, tileSize.Y
			if err := f.checkTiles(s, size, o); err != nil {
				return nil, err
			}
		}
		if tileSize.X != s.TileWidth || tileSize.Y != s.TileHeight {
			return nil, f.corrupt("tiles of %d x %d and of %d x %d pixels", s.TileWidth, s.TileHeight, tileSize.X, tileSize.Y)
		}
		b, err := f.content(tile)
		if err != nil {
			return nil, err
		}
		// A hostile file can have the same bytes be every tile.
		if len(body)+len(b) > 4*len(f.data)+1<<20 {
			return nil, f.corrupt("its tiles are more than the file")
		}
		codec := map[string]string{"hvc1": "hevc", "hev1": "hevc", "av01": "av1"}[part.kind]
		if s.Codec == "" {
			s.Codec = codec
		}
		if codec != s.Codec {
			return nil, f.unsupported("tiles of different codecs")
		}
		if codec == "hevc" {
			hvcC := part.property("hvcC")
			body, err = f.appendHEVC(body, hvcC, !bytes.Equal(hvcC, configuration), b)
			configuration = hvcC
		} else {
			body = binary.LittleEndian.AppendUint32(body, uint32(len(b)))
			body = binary.LittleEndian.AppendUint64(body, uint64(i))
			body = append(body, b...)
		}
		if err != nil {
			return nil, err
		}
	}
	s.Data = body
	if s.Codec == "av1" {
		head := []byte("DKIF\x00\x00\x20\x00AV01")
		head = binary.LittleEndian.AppendUint16(head, uint16(min(s.TileWidth, math.MaxUint16)))
		head = binary.LittleEndian.AppendUint16(head, uint16(min(s.TileHeight, math.MaxUint16)))
		head = binary.LittleEndian.AppendUint32(head, 25) // frames
		head = binary.LittleEndian.AppendUint32(head, 1)  // a second
		head = binary.LittleEndian.AppendUint32(head, uint32(s.Tiles))
		head = append(head, 0, 0, 0, 0)
		s.Data = append(head, body...)
	}
	if err := f.colours(s, it, f.items[tiles[0]]); err != nil {
		return nil, err
	}
	return s, f.samples(s, tiles[0])
}

// checkTiles holds tiles against the picture that they cover.
func (f *heifFile) checkTiles(s *HEIFStream, size image.Point, o Options) error {
	if err := o.admit(f.format, s.TileWidth, s.TileHeight); err != nil {
		return err
	}
	rows := s.Tiles / s.columns
	covers := func(n, tile, whole int) bool {
		return int64(n)*int64(tile) >= int64(whole) && int64(n-1)*int64(tile) < int64(whole)
	}
	if s.Tiles > 1 && (!covers(s.columns, s.TileWidth, size.X) || !covers(rows, s.TileHeight, size.Y)) {
		return f.corrupt("%d x %d tiles of %d x %d for a picture of %d x %d pixels", s.columns, rows, s.TileWidth, s.TileHeight, size.X, size.Y)
	}
	if s.Tiles == 1 && (s.TileWidth < size.X || s.TileHeight < size.Y) {
		return f.corrupt("one tile of %d x %d for a picture of %d x %d pixels", s.TileWidth, s.TileHeight, size.X, size.Y)
	}
	return nil
}

// grid reads the item that says how tiles lie (ISO/IEC 23008-12, 6.6.2.3).
func (f *heifFile) grid(id uint32, s *HEIFStream, size image.Point) ([]uint32, error) {
	b, err := f.content(id)
	if err != nil {
		return nil, err
	}
	r := heifReader{b: b}
	r.uint(1)
	bytes := 2
	if r.uint(1)&1 != 0 {
		bytes = 4
	}
	rows, columns := int(r.uint(1))+1, int(r.uint(1))+1
	width, height := r.uint(bytes), r.uint(bytes)
	if err := r.err(f, "grid"); err != nil {
		return nil, err
	}
	if width != uint64(size.X) || height != uint64(size.Y) {
		return nil, f.corrupt("the grid is %d x %d pixels and the picture %d x %d", width, height, size.X, size.Y)
	}
	tiles := f.references["dimg"][id]
	if len(tiles) != rows*columns {
		return nil, f.corrupt("%d tiles for %d x %d places", len(tiles), columns, rows)
	}
	s.Tiles, s.columns = rows*columns, columns
	if err := f.transparent(id); err != nil {
		return nil, err
	}
	// The steps of a tile would apply before it is laid.
	for _, tile := range slices.Compact(slices.Sorted(slices.Values(tiles))) {
		if it := f.items[tile]; it != nil && (it.property("irot") != nil || it.property("imir") != nil || it.property("clap") != nil) {
			return nil, f.unsupported("tiles that are turned or cropped one by one")
		}
	}
	return tiles, f.essentials(id)
}

// transparent refuses opacity that is kept tile by tile, which is read by nobody else either.
func (f *heifFile) transparent(id uint32) error {
	tiles := map[uint32]bool{}
	for _, tile := range f.references["dimg"][id] {
		tiles[tile] = tile != id
	}
	for _, from := range sortedKeys(f.references["auxl"]) {
		for _, to := range f.references["auxl"][from] {
			if tiles[to] && f.isAlpha(from) {
				return f.unsupported("opacity that is kept tile by tile")
			}
		}
	}
	return nil
}

// readable refuses items that cannot be decoded as one frame.
func (f *heifFile) readable(id uint32) error {
	it := f.items[id]
	switch {
	case it.protected:
		return f.unsupported("the picture is encrypted")
	case it.kind == "grid":
		return f.unsupported("a grid of grids")
	case it.kind == "iovl":
		return f.unsupported("an overlay (iovl) within another picture")
	case it.kind == "iden":
		return f.unsupported("a picture derived from another (iden)")
	case it.kind != "hvc1" && it.kind != "hev1" && it.kind != "av01":
		return f.unsupported("a picture of the kind %q", it.kind)
	}
	return f.essentials(id)
}

// essentials refuses properties that a reader has to know and this one does not.
func (f *heifFile) essentials(id uint32) error {
	for _, p := range f.items[id].properties {
		switch p.kind {
		case "hvcC", "av1C", "ispe", "pixi", "colr", "pasp", "clap", "irot", "imir", "auxC":
		default:
			if p.essential {
				return f.unsupported("the property %q has to be understood, and is not", p.kind)
			}
		}
	}
	return nil
}

func (f *heifFile) isAlpha(id uint32) bool {
	it := f.items[id]
	if it == nil {
		return false
	}
	b := it.property("auxC")
	if len(b) < 4 {
		return false
	}
	urn, _, _ := bytes.Cut(b[4:], []byte{0})
	switch string(urn) {
	case "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:avc:2015:auxid:1":
		return true
	}
	return false
}

// appendHEVC appends a picture in the byte-stream format: the parameter sets of its configuration where they are
// new, its own units, and the end of a sequence, so that a decoder keeps nothing back and carries nothing over.
func (f *heifFile) appendHEVC(out, hvcC []byte, isNew bool, b []byte) ([]byte, error) {
	const start = "\x00\x00\x00\x01"
	r := heifReader{b: hvcC}
	if len(r.b) < 23 {
		return nil, f.corrupt("a picture without its decoder's configuration (hvcC)")
	}
	lengthSize := int(r.b[21]&3) + 1
	r.b = r.b[22:]
	for n := r.uint(1); n > 0 && !r.over; n-- {
		r.uint(1)
		for k := r.uint(2); k > 0 && !r.over; k-- {
			size := int(r.uint(2))
			if size > len(r.b) {
				return nil, f.corrupt("the box hvcC is too short")
			}
			if isNew {
				out = append(append(out, start...), r.b[:size]...)
			}
			r.b = r.b[size:]
		}
	}
	if err := r.err(f, "hvcC"); err != nil {
		return nil, err
	}
	r = heifReader{b: b}
	for len(r.b) > 0 {
		size := r.uint(lengthSize)
		if r.over || size > uint64(len(r.b)) {
			return nil, f.corrupt("a unit of %d bytes where %d are left of the picture", size, len(r.b))
		}
		out = append(append(out, start...), r.b[:size]...)
		r.b = r.b[size:]
	}
	return append(out, "\x00\x00\x00\x01\x48\x01"...), nil
}

// colours reads how YCbCr becomes RGB, from the picture or, for a grid that does not say, from its tiles.
func (f *heifFile) colours(s *HEIFStream, picture, tile *heifItem) error {
	for _, it := range []*heifItem{picture, tile} {
		for _, p := range it.properties {
			if p.kind != "colr" || len(p.body) < 11 || string(p.body[:4]) != "nclx" {
				continue
			}
			s.Matrix = int(binary.BigEndian.Uint16(p.body[8:]))
			s.FullRange = int(p.body[10] >> 7)
			switch s.Matrix {
			case 0, 1, 2, 4, 5, 6, 7, 9:
			default:
				return f.unsupported("matrix coefficients %d (ITU-T H.273)", s.Matrix)
			}
			return nil
		}
	}
	return nil
}

// samples reads what a tile's configuration says of its samples.
func (f *heifFile) samples(s *HEIFStream, tile uint32) error {
	it := f.items[tile]
	if b := it.property("hvcC"); s.Codec == "hevc" && len(b) > 16 {
		s.Grey = b[16]&3 == 0
	}
	b := it.property("av1C")
	if s.Codec != "av1" || len(b) < 4 {
		return nil
	}
	s.Bits = 8
	if b[2]&0x40 != 0 {
		s.Bits = 10 + int(b[2]>>5&1)*2
	}
	s.Grey, s.ChromaX, s.ChromaY = b[2]&0x10 != 0, 1+int(b[2]>>3&1), 1+int(b[2]>>2&1)
	if s.FullRange >= 0 {
		return nil
	}
	colours, ok := readAV1Colours(b[4:])
	if !ok { // the configuration may leave the header to the picture
		content, err := f.content(tile)
		if err != nil {
			return err
		}
		colours, ok = readAV1Colours(content)
	}
	if ok {
		s.FullRange = colours.fullRange
		switch colours.matrix {
		case 1, 4, 5, 6, 7, 9:
			s.Matrix = colours.matrix
		}
	}
	return nil
}

// describe reads the bits of a sample, the crop and the turns that belong to the picture.
func (f *heifFile) describe(h *HEIF, it *heifItem) error {
	if b := it.property("pixi"); len(b) > 5 {
		h.Info.Bits = int(b[5])
	}
	h.Info.Width, h.Info.Height = h.width, h.height
	for _, p := range it.properties {
		var step int
		switch p.kind {
		case "clap":
			if h.Info.Orientation != 0 || !h.crop.Empty() {
				return f.unsupported("it is cropped twice, or after it is turned")
			}
			var err error
			if h.crop, err = f.aperture(p.body, h.width, h.height); err != nil {
				return err
			}
			h.Info.Width, h.Info.Height = h.crop.Dx(), h.crop.Dy()
			continue
		case "irot":
			if len(p.body) < 1 {
				return f.corrupt("the box irot is too short")
			}
			step = [4]int{1, 8, 3, 6}[p.body[0]&3] // quarters against the clock
		case "imir":
			if len(p.body) < 1 {
				return f.corrupt("the box imir is too short")
			}
			step = [2]int{4, 2}[p.body[0]&1] // top for bottom, left for right
		default:
			continue
		}
		h.Info.Orientation = compose(h.Info.Orientation, step)
	}
	return nil
}

// compose is the one orientation that does what two do, one after the other.
func compose(first, second int) int {
	p := &vision.Picture{Width: 3, Height: 2, Channels: 1, Pix: []uint8{0, 1, 2, 3, 4, 5}}
	want := vision.Orient(vision.Orient(p, first), second)
	for o := 1; o <= 8; o++ {
		if got := vision.Orient(p, o); got.Width == want.Width && bytes.Equal(got.Pix, want.Pix) {
			return o
		}
	}
	return 1 // not reached: the eight are a group
}

// aperture reads a crop: size and offset of the centres as fractions (ISO/IEC 14496-12, 12.1.4). An edge between
// two pixels goes to the left or upwards, as in libheif.
func (f *heifFile) aperture(b []byte, width, height int) (image.Rectangle, error) {
	var v [4]float64
	if len(b) < 32 {
		return image.Rectangle{}, f.corrupt("the box clap is too short")
	}
	for i := range v {
		n, d := int32(binary.BigEndian.Uint32(b[8*i:])), int32(binary.BigEndian.Uint32(b[8*i+4:]))
		if d <= 0 {
			return image.Rectangle{}, f.corrupt("the box clap has a fraction of %d / %d", n, d)
		}
		v[i] = float64(n) / float64(d)
	}
	w, h := math.Round(v[0]), math.Round(v[1])
	left, top := math.Floor(v[2]+float64((float64(width)-w)/2)), math.Floor(v[3]+float64((float64(height)-h)/2))
	if !(w >= 1 && h >= 1 && left >= 0 && top >= 0 && left+w <= float64(width) && top+h <= float64(height)) {
		return image.Rectangle{}, f.corrupt("the crop %g x %g at %g, %g lies outside the picture of %d x %d", w, h, left, top, width, height)
	}
	return image.Rect(int(left), int(top), int(left+w), int(top+h)), nil
}

// Place lays the next tile of a stream, [TileHeight][TileWidth] pixels of some channels, where it belongs in
// canvas, which has as many channels and the size of Canvas.
func (h *HEIF) Place(s *HEIFStream, canvas, tile *vision.Picture) error {
	switch {
	case s.placed >= s.Tiles:
		return h.tooMany(s)
	case tile.Width != s.TileWidth || tile.Height != s.TileHeight || tile.Channels != canvas.Channels:
		return fault.Corruptf("corrupt_picture", "%s: the file says %d x %d pixels and the coded picture has %d x %d", h.Info.Format, s.TileWidth, s.TileHeight, tile.Width, tile.Height)
	}
	lay(canvas, tile, s.placed%s.columns, s.placed/s.columns)
	s.placed++
	return nil
}

func (h *HEIF) tooMany(s *HEIFStream) error {
	return fault.Corruptf("corrupt_picture", "%s: more than %d frames came of its %d tiles", h.Info.Format, s.Tiles, s.Tiles)
}

// lay puts a tile into its column and row of canvas, as far as that reaches.
func lay(canvas, tile *vision.Picture, column, row int) {
	c := canvas.Channels
	left, top := column*tile.Width, row*tile.Height
	n := c * min(tile.Width, canvas.Width-left)
	for y := range min(tile.Height, canvas.Height-top) {
		copy(canvas.Pix[c*((top+y)*canvas.Width+left):][:n], tile.Pix[c*y*tile.Width:])
	}
}

// Canvas is an empty picture of the coded size.
func (h *HEIF) Canvas(channels int) *vision.Picture {
	return &vision.Picture{Width: h.width, Height: h.height, Channels: channels, Pix: make([]uint8, channels*h.width*h.height)}
}

// Finish makes the picture of its whole colours (RGB) and opacity (one channel, nil for none): crop, background,
// and the turns. As Pillow and pillow-heif do, a HEIC file is turned whoever reads it, and an AVIF file as
// ApplyOrientation says. EXIF's orientation counts in neither: the standard says that it is advice.
func (h *HEIF) Finish(colour, alpha *vision.Picture, o Options) (*vision.Picture, Info, error) {
	info := h.Info
	colour, alpha, err := h.parts(colour, alpha)
	if err != nil {
		return nil, info, err
	}
	if alpha != nil {
		img := image.NewNRGBA(image.Rect(0, 0, colour.Width, colour.Height))
		for i, a := range alpha.Pix {
			d := img.Pix[4*i : 4*i+4 : 4*i+4]
			d[0], d[1], d[2], d[3] = colour.Pix[3*i], colour.Pix[3*i+1], colour.Pix[3*i+2], a
		}
		switch {
		case h.premultiplied && info.Format == "AVIF":
			unattenuate(img.Pix)
		case h.premultiplied:
			unmultiply(img.Pix)
		}
		if colour, err = flatten(img, o, false, &info); err != nil {
			return nil, info, err
		}
	}
	if info.Format == "HEIC" {
		colour, info.Orientation = vision.Orient(colour, info.Orientation), 0
	} else if o.ApplyOrientation {
		colour = vision.Orient(colour, info.Orientation)
	}
	return colour, info, nil
}

// parts are the whole colours and opacity as cropped.
func (h *HEIF) parts(colour, alpha *vision.Picture) (*vision.Picture, *vision.Picture, error) {
	for _, s := range []*HEIFStream{h.Colour, h.Alpha} {
		if s != nil && s.placed != s.Tiles {
			return nil, nil, fault.Corruptf("corrupt_picture", "%s: %d frames came of its %d tiles", h.Info.Format, s.placed, s.Tiles)
		}
	}
	if !h.crop.Empty() {
		colour, alpha = cropped(colour, h.crop), cropped(alpha, h.crop)
	}
	return colour, alpha, nil
}

func cropped(p *vision.Picture, r image.Rectangle) *vision.Picture {
	if p == nil {
		return nil
	}
	c := p.Channels
	out := &vision.Picture{Width: r.Dx(), Height: r.Dy(), Channels: c, Pix: make([]uint8, 0, c*r.Dx()*r.Dy())}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		out.Pix = append(out.Pix, p.Pix[c*(y*p.Width+r.Min.X):c*(y*p.Width+r.Max.X)]...)
	}
	return out
}

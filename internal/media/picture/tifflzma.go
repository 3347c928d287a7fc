package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// unxz unpacks what TIFF calls LZMA: an xz file (The .xz File Format, version 1.2.1) whose blocks are LZMA2, behind a
// delta filter where libtiff wrote it, which the module of LZMA2 does not have. It gives want bytes at most. Checksums
// of headers are held against them; those of the data, which libtiff leaves out, are not.
func unxz(b []byte, want int64) ([]byte, error) {
	if len(b) < 12 || string(b[:6]) != "\xfd7zXZ\x00" || crc32.ChecksumIEEE(b[6:8]) != binary.LittleEndian.Uint32(b[8:]) {
		return nil, fmt.Errorf("no xz file")
	}
	check := [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[b[7]&15]
	b = b[12:]
	var out []byte
	for int64(len(out)) < want {
		if len(b) == 0 {
			return out, io.ErrUnexpectedEOF
		}
		if b[0] == 0 { // the index, behind the last block
			return out, nil
		}
		size := 4 * (int(b[0]) + 1)
		if len(b) < size || crc32.ChecksumIEEE(b[:size-4]) != binary.LittleEndian.Uint32(b[size-4:]) {
			return out, fmt.Errorf("a damaged block header")
		}
		distance, dictionary, err := xzFilters(b[1 : size-4])
		if err != nil {
			return out, err
		}
		b = b[size:]
		left := want - int64(len(out))
		in := bytes.NewReader(b)
		r, err := lzma.Reader2Config{DictCap: int(min(dictionary, max(left, lzma.MinDictCap)))}.NewReader2(in)
		if err != nil {
			return out, err
		}
		block, err := readUpTo(r, left)
		for i := distance; i < len(block); i++ {
			block[i] += block[i-distance]
		}
		out = append(out, block...)
		if err != nil || int64(len(out)) >= want {
			return out, err
		}
		used := (len(b)-in.Len()+3)&^3 + check
		b = b[min(used, len(b)):]
	}
	return out, nil
}

// xzFilters reads the flags of a block and its filters: the distance of delta, a number beyond any block for none, and
// the size of LZMA2's dictionary.
func xzFilters(b []byte) (distance int, dictionary int64, err error) {
	over := false
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			over, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	const far = 1 << 62
	distance = far
	flags := b[0]
	b = b[1:]
	for range flags >> 6 & 1 {
		number() // packed
	}
	for range flags >> 7 {
		number() // unpacked
	}
	for i := range flags&3 + 1 {
		id, size := number(), number()
		if over || size != 1 || len(b) < 1 {
			return 0, 0, fmt.Errorf("a damaged block header")
		}
		property := b[0]
		b = b[1:]
		switch last := i == flags&3; {
		case id == 3 && !last && distance == far:
			distance = int(property) + 1
		case id == 0x21 && last && property <= 40:
			if dictionary = 1<<32 - 1; property < 40 {
				dictionary = int64(2|property&1) << (property/2 + 11)
			}
			return distance, dictionary, nil
		default:
			return 0, 0, fmt.Errorf("filter %#x of xz, which is not read here", id)
		}
	}
	return 0, 0, fmt.Errorf("blocks of xz without LZMA2")
}

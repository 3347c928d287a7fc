package picture

import (
	"fmt"
	"io"
)

// gifTable is how many codes there can be: of 12 bits.
const gifTable = 1 << 12

// gifCodes unpacks the LZW codes of a GIF file (GIF89a, appendix F) to out: the number of indices that came, and why not
// all did. size is the code size that the file states, the bits of an index. The specification has 2 to 8; encoders
// also wrote 1, for two colours, and up to 11, and whoever does not insist reads them, Pillow among them: of an index
// of more than eight bits the lowest eight count. compress/lzw, which insists, is the second opinion of the tests.
func gifCodes(out []uint8, r io.ByteReader, size int) (n int, err error) {
	var prefix [gifTable]uint16
	var suffix, first [gifTable]uint8
	clearCode := 1 << size
	for i := range clearCode {
		suffix[i], first[i] = uint8(i), uint8(i)
	}
	next, width, last := clearCode+2, size+1, -1
	held, bits := uint32(0), 0
	for n < len(out) {
		for bits < width {
			b, err := r.ReadByte()
			if err != nil {
				return n, err
			}
			held |= uint32(b) << bits
			bits += 8
		}
		code := int(held & (1<<width - 1))
		held >>= width
		bits -= width
		switch {
		case code == clearCode:
			next, width, last = clearCode+2, size+1, -1
			continue
		case code == clearCode+1:
			return n, io.EOF
		case last < 0 && code > clearCode, code > next, code == next && next == gifTable:
			return n, fmt.Errorf("code %d where %d are known", code, next)
		}
		if last >= 0 && next < gifTable {
			// The string before, and the first index of this one: which is the string before itself where the code is
			// the one that is made here.
			prefix[next], first[next] = uint16(last), first[last]
			suffix[next] = first[code]
			if code == next {
				suffix[next] = first[last]
			}
			if next++; next == 1<<width && width < 12 {
				width++
			}
		}
		last = code
		// The string lies in the table backwards.
		length := 1
		for c := code; c >= clearCode; c = int(prefix[c]) {
			length++
		}
		for c, at := code, n+length-1; ; c, at = int(prefix[c]), at-1 {
			if at < len(out) {
				out[at] = suffix[c]
			}
			if c < clearCode {
				break
			}
		}
		n = min(n+length, len(out))
	}
	return n, nil
}

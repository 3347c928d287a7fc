package picture

import (
	"fmt"
	"strings"
	"sync"
)

// The fax codes: runs of white and black by ITU-T T.4 (modified Huffman, and two-dimensional) and T.6, as TIFF 6.0 and
// Technote 3 of its supplement keep them. golang.org/x/image/ccitt, which reads two of the five ways, is the second
// opinion of the tests.

// faxTwoDimensional, in the tag T4Options, says that rows may refer to the row before.
const faxTwoDimensional = 1

// faxCode is a prefix code of runs: by 13 bits of data, run<<4 | length of the code; 0 where there is none.
type faxCode [1 << faxBits]uint16

const faxBits = 13

// faxWords are the codes of T.4, tables 2 and 3: of the runs 0 to 63, then of 64, 128, … 1728, in white and black, and of
// 1792, 1856, … 2560 in both.
var faxWords = [3]string{
	"00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101 101010 101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 00000011 00011010 00011011 00010010 00010011 00010100 00010101 00010110 00010111 00101000 00101001 00101010 00101011 00101100 00101101 00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101 00100100 00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010 00110011 00110100 " +
		"11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 011010010 011010011 011010100 011010101 011010110 011010111 011011000 011011001 011011010 011011011 010011000 010011001 010011010 011000 010011011",
	"0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 000011000 0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 00000011000 000011001010 000011001011 000011001100 000011001101 000001101000 000001101001 000001101010 000001101011 000011010010 000011010011 000011010100 000011010101 000011010110 000011010111 000001101100 000001101101 000011011010 000011011011 000001010100 000001010101 000001010110 000001010111 000001100100 000001100101 000001010010 000001010011 000000100100 000000110111 000000111000 000000100111 000000101000 000001011000 000001011001 000000101011 000000101100 000001011010 000001100110 000001100111 " +
		"0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 0000001101101 0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 0000001110100 0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 0000001010101 0000001011010 0000001011011 0000001100100 0000001100101",
	"00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 000000010111 000000011100 000000011101 000000011110 000000011111",
}

// faxCodes are white's and black's.
var faxCodes = sync.OnceValue(func() *[2]faxCode {
	var codes [2]faxCode
	for c := range codes {
		for i, word := range strings.Fields(faxWords[c] + " " + faxWords[2]) {
			run := i
			if i >= 64 {
				run = 64 * (i - 63)
			}
			code := 0
			for _, bit := range word {
				code = code<<1 | int(bit-'0')
			}
			free := faxBits - len(word)
			for k := range 1 << free {
				codes[c][code<<free|k] = uint16(run)<<4 | uint16(len(word))
			}
		}
	}
	return &codes
})

// faxReader takes codes out of a strip.
type faxReader struct {
	data  []byte
	at    int // bit
	width int
	codes *[2]faxCode
}

// peek shows the next n bits, up to 16; beyond the end are zeros.
func (r *faxReader) peek(n int) int {
	var v uint32
	first := r.at / 8
	for i := range 3 {
		v <<= 8
		if first+i < len(r.data) {
			v |= uint32(r.data[first+i])
		}
	}
	return int(v>>(24-r.at%8-n)) & (1<<n - 1)
}

// over reports that more was taken than there is.
func (r *faxReader) over() bool { return r.at > 8*len(r.data) }

var errFaxShort = fmt.Errorf("the codes end early")

// run reads a run of a colour: make-up codes, and the one that ends it.
func (r *faxReader) run(colour int) (int, error) {
	total := 0
	for {
		e := int(r.codes[colour][r.peek(faxBits)])
		if e == 0 {
			return 0, r.noCode()
		}
		r.at += e & 15
		if total += e >> 4; total > r.width {
			return 0, fmt.Errorf("a run goes beyond the row at bit %d", r.at)
		}
		if r.over() {
			return 0, errFaxShort
		}
		if e>>4 < 64 {
			return total, nil
		}
	}
}

func (r *faxReader) noCode() error {
	if r.at+faxBits > 8*len(r.data) {
		return errFaxShort
	}
	return fmt.Errorf("no code at bit %d", r.at)
}

// A row is where its colour changes: to black, to white, and so on, rising; the first pixel is thought to follow white.

// change appends where a colour ends. Two changes in one place are none.
func change(row []int, at int) []int {
	if n := len(row); n > 0 && row[n-1] == at {
		return row[:n-1]
	}
	return append(row, at)
}

// row1 reads a row of runs.
func (r *faxReader) row1(row []int) ([]int, error) {
	at, colour := 0, 0
	for at < r.width {
		n, err := r.run(colour)
		if err != nil {
			return nil, err
		}
		if at += n; at > r.width {
			return nil, fmt.Errorf("the runs go beyond the row at bit %d", r.at)
		}
		if at < r.width {
			row = change(row, at)
		}
		colour ^= 1
	}
	return row, nil
}

// row2 reads a row that refers to the changes of the row before (T.4, 4.2.1.3; T.6, 2.2).
func (r *faxReader) row2(row, before []int) ([]int, error) {
	a0, colour, next := -1, 0, 0
	for a0 < r.width {
		// b1 is the first change of the row before to the right of a0 that begins the other colour than a0's, b2 the
		// next one.
		for next > 0 && before[next-1] > a0 {
			next--
		}
		for next < len(before) && (before[next] <= a0 || next%2 != colour) {
			next++
		}
		b1, b2 := r.width, r.width
		if next < len(before) {
			b1 = before[next]
		}
		if next+1 < len(before) {
			b2 = before[next+1]
		}
		code := r.peek(7)
		delta := 0
		switch {
		case code>>6 == 1:
			r.at++
		case code>>4 == 0b011:
			r.at, delta = r.at+3, 1
		case code>>4 == 0b010:
			r.at, delta = r.at+3, -1
		case code>>4 == 0b001: // two runs
			r.at += 3
			if a0 < 0 {
				a0 = 0
			}
			for k := range 2 {
				n, err := r.run(colour ^ k)
				if err != nil {
					return nil, err
				}
				if a0 += n; a0 > r.width {
					return nil, fmt.Errorf("the runs go beyond the row at bit %d", r.at)
				}
				if a0 < r.width {
					row = change(row, a0)
				}
			}
			continue
		case code>>3 == 0b0001: // pass
			r.at += 4
			a0 = b2
			continue
		case code>>1 == 0b000011:
			r.at, delta = r.at+6, 2
		case code>>1 == 0b000010:
			r.at, delta = r.at+6, -2
		case code == 0b0000011:
			r.at, delta = r.at+7, 3
		case code == 0b0000010:
			r.at, delta = r.at+7, -3
		case code == 1:
			return nil, fmt.Errorf("stretches without a code (uncompressed mode) at bit %d are not read", r.at)
		default:
			return nil, r.noCode()
		}
		if r.over() {
			return nil, errFaxShort
		}
		a1 := b1 + delta
		if a1 < max(a0, 0) || a1 > r.width {
			return nil, fmt.Errorf("a change at pixel %d of %d, before bit %d", a1, r.width, r.at)
		}
		a0 = a1
		if a0 < r.width {
			row = change(row, a0)
		}
		colour ^= 1
	}
	return row, nil
}

// endOfLine goes behind the next mark of eleven zeros or more and a one. There may be filling, and what is left of a
// row's last byte, before it.
func (r *faxReader) endOfLine() error {
	zeros := 0
	for ; r.at < 8*len(r.data); r.at++ {
		if r.data[r.at/8]>>(7-r.at%8)&1 == 0 {
			zeros++
			continue
		}
		if zeros >= 11 {
			r.at++
			return nil
		}
		zeros = 0
	}
	return errFaxShort
}

// faxRows unpacks rows of a strip, each rowBytes long, white as 0: compression 2 (runs, each row beginning with a byte),
// 32771 (the same, with a word of two bytes), 3 (T.4, rows behind marks) or 4 (T.6).
func faxRows(data []byte, compression, options int64, width, rows, rowBytes int) ([]byte, error) {
	r := &faxReader{data: data, width: width, codes: faxCodes()}
	out := make([]byte, rows*rowBytes)
	var row, before []int
	for y := range rows {
		row, before = before[:0], row
		var err error
		twoDimensional := compression == 4
		switch compression {
		case 2:
			r.at = (r.at + 7) &^ 7
		case tiffFaxWords:
			r.at = (r.at + 15) &^ 15
		case 3:
			if err = r.endOfLine(); err == nil && options&faxTwoDimensional != 0 {
				twoDimensional = r.peek(1) == 0
				r.at++
			}
		}
		switch {
		case err != nil:
		case twoDimensional:
			row, err = r.row2(row, before)
		default:
			row, err = r.row1(row)
		}
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", y, err)
		}
		for i := 0; i < len(row); i += 2 {
			end := width
			if i+1 < len(row) {
				end = row[i+1]
			}
			blacken(out[y*rowBytes:][:rowBytes], row[i], end)
		}
	}
	return out, nil
}

// blacken sets the bits from to end of a row, the first being the highest of its byte.
func blacken(row []byte, from, end int) {
	if from >= end {
		return
	}
	first, last := from/8, (end-1)/8
	head, tail := byte(0xff)>>(from%8), byte(0xff)<<(7-(end-1)%8)
	if first == last {
		row[first] |= head & tail
		return
	}
	row[first] |= head
	for i := first + 1; i < last; i++ {
		row[i] = 0xff
	}
	row[last] |= tail
}

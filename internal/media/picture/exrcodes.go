package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
)

var errEXRSize = errors.New("it unpacks to another size than its pixels have")

// exrLines is where an unpacked block has the lines of one channel: line i begins at pix[i*stride+from].
type exrLines struct {
	pix          []byte
	stride, from int64
}

// unpack undoes a block's compression, of one channel alone where the others need not be known. A block that
// would not get smaller is stored as it is: line for line, and in a line channel for channel.
func (h *exrHeader) unpack(b []byte, channel int, r rectangle) (exrLines, error) {
	var stride, from int64
	for i, c := range h.channels {
		if i == channel {
			from = stride
		}
		stride += c.bytes() * r.width
	}
	want := stride * r.height
	lines := exrLines{b, stride, from}
	if int64(len(b)) == want {
		return lines, nil
	}
	// A channel's plane by itself, which the compressions below give.
	plane := exrLines{stride: h.channels[channel].bytes() * r.width}
	var err error
	switch h.compression {
	case 1:
		if lines.pix, err = exrRLE(b, want); err != nil {
			return lines, err
		}
		lines.pix, err = undoPredictor(lines.pix, want)
		return lines, err
	case 2, 3:
		if lines.pix, err = exrInflate(b, want); err != nil {
			return lines, err
		}
		lines.pix, err = undoPredictor(lines.pix, want)
		return lines, err
	case 4:
		plane.pix, err = exrPIZ(b, h.channels, channel, r)
	case 5:
		plane.pix, err = exrPXR24(b, h.channels, channel, r)
	case 6, 7:
		plane.pix, err = exrB44(b, h.channels, channel, r)
	case 8, 9:
		plane.pix, err = exrDWA(b, h.channels, channel, r)
	default:
		err = errEXRSize
	}
	return plane, err
}

// exrInflate unpacks at most one byte more than wanted: what the header says is not allocated before it is there.
func exrInflate(b []byte, want int64) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var out bytes.Buffer
	if _, err := io.Copy(&out, io.LimitReader(z, want+1)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// undoPredictor: bytes are differences to the one before, and the even ones come before the odd ones.
func undoPredictor(raw []byte, want int64) ([]byte, error) {
	if int64(len(raw)) != want {
		return nil, errEXRSize
	}
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

// exrPXR24: each line of a channel is differences to the pixel before, their bytes in planes from the highest
// on, of floats without the lowest (which is rounded off); all of it deflated.
func exrPXR24(b []byte, channels []exrChannel, channel int, r rectangle) ([]byte, error) {
	var line, from int64
	for i, c := range channels {
		if i == channel {
			from = line
		}
		line += c.stored() * r.width
	}
	raw, err := exrInflate(b, line*r.height)
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) != line*r.height {
		return nil, errEXRSize
	}
	c := channels[channel]
	planes := c.stored()
	out := make([]byte, 0, c.bytes()*r.width*r.height)
	for y := range r.height {
		src := raw[y*line+from:][:planes*r.width]
		var v uint32
		for x := range r.width {
			var d uint32
			for p := range planes {
				d |= uint32(src[p*r.width+x]) << (8 * (c.bytes() - 1 - p))
			}
			v += d
			if c.kind == 1 {
				out = binary.LittleEndian.AppendUint16(out, uint16(v))
			} else {
				out = binary.LittleEndian.AppendUint32(out, v)
			}
		}
	}
	return out, nil
}

// stored is how many bytes PXR24 keeps of a sample.
func (c exrChannel) stored() int64 {
	return [3]int64{4, 2, 3}[c.kind]
}

// exrB44: one channel after the other; half samples in blocks of 4 x 4 pixels, the rest as it is.
func exrB44(b []byte, channels []exrChannel, channel int, r rectangle) ([]byte, error) {
	for i, c := range channels {
		if c.kind != 1 {
			n := c.bytes() * r.width * r.height
			if n > int64(len(b)) {
				return nil, errEXRSize
			}
			if i == channel {
				return b[:n], nil
			}
			b = b[n:]
			continue
		}
		out := make([]byte, 2*r.width*r.height)
		for y := int64(0); y < r.height; y += 4 {
			for x := int64(0); x < r.width; x += 4 {
				v, n := exrB44Block(b)
				if n == 0 {
					return nil, errEXRSize
				}
				b = b[n:]
				if i != channel {
					continue
				}
				for j := range min(4, r.height-y) {
					for k := range min(4, r.width-x) {
						binary.LittleEndian.PutUint16(out[2*((y+j)*r.width+x+k):], v[4*j+k])
					}
				}
			}
		}
		if i == channel {
			if c.linear {
				return nil, errors.New("its channel is marked as perceptually linear, which B44 stores as logarithms; save it with ZIP")
			}
			return out, nil
		}
	}
	return nil, errEXRSize
}

// exrB44Block unpacks 16 half samples, row by row, and returns how many bytes they took; 0 when there are too few.
// The first sample has 16 bits. Then come six of a shift, and six for each other sample: its difference, 32
// for none, to the one above in the first column and to the one at its left in the others, column by column. A
// shift of 13 or more says that all samples are the first. Bits are turned so that the numbers' order is theirs.
func exrB44Block(b []byte) (v [16]uint16, n int) {
	if len(b) < 3 {
		return v, 0
	}
	v[0] = binary.BigEndian.Uint16(b)
	if b[2] >= 13<<2 {
		for i := range v {
			v[i] = v[0]
		}
		n = 3
	} else {
		if len(b) < 14 {
			return v, 0
		}
		bits := 22 // that were taken
		shift := b[2] >> 2
		for k := 1; k < 16; k++ {
			d := (uint16(b[bits/8])<<8 | uint16(b[min(bits/8+1, 13)])) >> (10 - bits%8) & 0x3f
			bits += 6
			i, before := k%4*4+k/4, k%4*4+k/4-1
			if k < 4 {
				before = i - 4
			}
			v[i] = v[before] + d<<shift - 32<<shift
		}
		n = 14
	}
	for i, x := range v {
		if x&0x8000 != 0 {
			v[i] = x & 0x7fff
		} else {
			v[i] = ^x
		}
	}
	return v, n
}

package media

import (
	"math"
	"math/rand/v2"
	"testing"
)

// bitWriter writes the least significant bit of a byte first.
type bitWriter struct {
	b    []byte
	free int // bits of the last byte
}

func (w *bitWriter) put(v uint64, n int) {
	for range n {
		if w.free == 0 {
			w.b, w.free = append(w.b, 0), 8
		}
		w.b[len(w.b)-1] |= byte(v&1) << (8 - w.free)
		w.free--
		v >>= 1
	}
}

// book writes a codebook of 2^width entries of one length, with vectors on a grid of the given values
// (in sixteenths from -4 on) if there are any.
func (w *bitWriter) book(dimensions, width int, sum bool, values ...uint64) {
	w.put(0x564342, 24)
	w.put(uint64(dimensions), 16)
	w.put(1<<width, 24)
	w.put(0, 2) // not in order, not sparse
	for range 1 << width {
		w.put(uint64(width-1), 5)
	}
	if len(values) == 0 {
		w.put(0, 4)
		return
	}
	w.put(1, 4)
	w.put(1<<31|788<<21|4, 32) // -4
	w.put((788-4)<<21|1, 32)   // a sixteenth
	w.put(7, 4)
	w.put(map[bool]uint64{true: 1}[sum], 1)
	for _, v := range values {
		w.put(v, 8)
	}
}

// oddVorbis is a stream that no encoder of today writes: floors by line spectral pairs, residues of the given kind,
// packets of noise in blocks of both sizes in any order.
func oddVorbis(kind uint64, order int, rng *rand.Rand) []byte {
	id := bitWriter{b: []byte("\x01vorbis")}
	id.put(0, 32)
	id.put(2, 8) // channels
	id.put(22050, 32)
	id.put(0, 64)
	id.put(0, 32)
	id.put(0xa8, 8) // 256 and 1024
	id.put(1, 8)

	w := bitWriter{b: []byte("\x05vorbis")}
	w.put(3-1, 8)
	w.book(2, 4, false)                 // classes: two of four in a word
	w.book(4, 8, false, 56, 64, 72, 68) // -0.5, 0, 0.5, 0.25
	w.book(4, 4, true, 33, 35)          // differences of 0.125 and 0.375 from pair to pair
	w.put(0, 6+16)                      // no transform in time
	w.put(0, 6)                         // a floor
	w.put(0, 16)                        // of kind 0
	w.put(uint64(order), 8)
	w.put(22050, 16)
	w.put(64, 16)
	w.put(6, 6) // bits of an amplitude
	w.put(6, 8) // dB
	w.put(0, 4)
	w.put(2, 8) // its book
	w.put(0, 6) // a residue
	w.put(kind, 16)
	w.put(8, 24)
	w.put(200, 24)
	w.put(16-1, 24)
	w.put(4-1, 6)
	w.put(0, 8)
	for _, cascade := range []uint64{0, 1, 2, 3} {
		w.put(cascade, 4) // 3 bits, and no more
	}
	for range 4 { // one for each bit of a cascade
		w.put(1, 8)
	}
	w.put(0, 6+16) // a mapping
	w.put(0, 1)    // of one submap
	w.put(1, 1)
	w.put(0, 8) // a coupling
	w.put(0, 1)
	w.put(1, 1)
	w.put(0, 2+8+8+8)
	w.put(2-1, 6)
	for long := range uint64(2) {
		w.put(long, 1)
		w.put(0, 32+8)
	}
	w.put(1, 1)

	packets := [][]byte{id.b, append([]byte("\x03vorbis"), 0, 0, 0, 0, 0, 0, 0, 0, 1), w.b}
	granules := []int64{0, -1, 0}
	var long [42]uint64
	for i := range long {
		long[i] = rng.Uint64() >> 62 & 1
	}
	at := int64(0)
	for i := 1; i < 41; i++ {
		var p bitWriter
		p.put(0, 1)
		p.put(long[i], 1)
		if long[i] == 1 {
			p.put(long[i-1], 1)
			p.put(long[i+1], 1)
		}
		for range 2 {
			if amplitude := rng.Uint64() >> 58; i%7 == 0 || amplitude == 0 {
				p.put(0, 6) // silence
			} else {
				p.put(amplitude, 6)
				p.put(0, 1)
				p.put(rng.Uint64(), (order+3)/4*4)
			}
		}
		for range 300 {
			p.put(rng.Uint64(), 8)
		}
		if i > 1 {
			at += int64(64<<(2*long[i-1]) + 64<<(2*long[i]))
		}
		packets, granules = append(packets, p.b), append(granules, at)
	}
	return oggOf(3, packets, granules)
}

// TestOddVorbis compares with libvorbis 1.3.7 (by soundfile) what today's encoders do not write: the largest sample,
// and the samples at every seventh of the length, left and right in turn. ffmpeg 5.1 decodes these streams otherwise.
func TestOddVorbis(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		kind    uint64
		order   int
		frames  int
		loudest float64
		at      [6]float64
	}{
		{0, 8, 9600, 19.5711, [6]float64{0, 1.75534, 0, 0, -1.60186, 2.29084}},
		{0, 9, 11904, 287042, [6]float64{-0.605822, 14.2312, -5118.03, 51329.6, 0.385585, -441.891}},
		{1, 8, 10752, 589.392, [6]float64{-9.38267, -1.0823, -0.621793, -3.51471, -1.40084, -2.83781}},
		{1, 9, 11712, 5904.62, [6]float64{5.18423, -5.10565, -0.777768, -3.4833, 2.11062, -41.0116}},
		{2, 8, 12864, 28.2377, [6]float64{1.24182, 0.610441, 0.221036, -15.6112, -0.0687956, 0.330986}},
		{2, 9, 13440, 200.754, [6]float64{-2.12637, 2.34336, 0.503445, -14.2859, -1.74131, -0.676807}},
	} {
		s := decode(t, write(t, "x.ogg", oddVorbis(c.kind, c.order, rng)), Segment{})
		if s.NumFrames() != c.frames {
			t.Fatalf("residue %d, order %d: %d frames, want %d", c.kind, c.order, s.NumFrames(), c.frames)
		}
		loudest := 0.0
		for _, v := range s.Data {
			loudest = max(loudest, math.Abs(float64(v)))
		}
		if math.Abs(loudest-c.loudest) > 3e-4*c.loudest {
			t.Errorf("residue %d, order %d: the largest sample is %g, want %g", c.kind, c.order, loudest, c.loudest)
		}
		for i, want := range c.at {
			k := i + 1
			got := float64(s.Data[2*(c.frames*k/7)+k%2])
			if math.Abs(got-want) > 1e-3*math.Abs(want)+1e-6*c.loudest {
				t.Errorf("residue %d, order %d: sample at %d/7 is %g, want %g", c.kind, c.order, k, got, want)
			}
		}
	}
}

package media

import (
	"encoding/binary"
	"math"
	"testing"

	"prep/internal/media/stereo"
)

// TestDecode16: every value, and every length and place of the vectors' ends.
func TestDecode16(t *testing.T) {
	var src []byte
	var want []float32
	for v := range 1 << 16 {
		src = binary.LittleEndian.AppendUint16(src, uint16(v))
		want = append(want, float32(int16(v))/(1<<15))
	}
	got := make([]float32, len(want))
	decode16(got, src)
	equal(t, got, want)
	clear(got)
	plain16(got, src)
	equal(t, got, want)
	for n := range 40 {
		for from := range 9 {
			got := make([]float32, n+1)
			got[n] = 9
			decode16(got[:n], src[2*from:2*(from+n)])
			equal(t, got[:n], want[from:from+n])
			if got[n] != 9 {
				t.Fatalf("%d samples: one more was written", n)
			}
		}
	}
}

// TestDecodePairs16: every value on both sides, every length, and nothing beyond it.
func TestDecodePairs16(t *testing.T) {
	var src []byte
	for v := range 1 << 16 {
		src = binary.LittleEndian.AppendUint16(src, uint16(v))
		src = binary.LittleEndian.AppendUint16(src, uint16(7*v+3))
	}
	check := func(pairs []byte) {
		n := len(pairs) / 4
		want := make([]float32, 2*n)
		plain16(want, pairs)
		l, r, pl, pr := make([]float32, n+1), make([]float32, n+1), make([]float32, n+1), make([]float32, n+1)
		decodePairs16(l[:n], r[:n], pairs)
		plainPairs16(pl[:n], pr[:n], pairs)
		equal(t, l, pl)
		equal(t, r, pr)
		for i := range n {
			if l[i] != want[2*i] || r[i] != want[2*i+1] {
				t.Fatalf("pair %d of %d is %v, %v, want %v", i, n, l[i], r[i], want[2*i:2*i+2])
			}
		}
	}
	check(src)
	for n := range 40 {
		for from := range 9 {
			check(src[3*from : 3*from+4*n])
		}
	}
}

// TestPlainPairs16: every value in both channels, and lengths that are no whole number of blocks.
func TestPlainPairs16(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 200, 1 << 16} {
		src := make([]byte, 0, 4*n)
		for i := range n {
			src = binary.LittleEndian.AppendUint16(src, uint16(i))
			src = binary.LittleEndian.AppendUint16(src, uint16(3*i+1))
		}
		l, r := make([]float32, n+1), make([]float32, n+1)
		pl, pr, pairs := make([]float32, n+1), make([]float32, n+1), make([]float32, 2*n)
		plainPairs16(l[:n], r[:n], src)
		plain16(pairs, src)
		stereo.Separate(pl[:n], pr[:n], pairs)
		equal(t, l, pl)
		equal(t, r, pr)
	}
}

// TestMixDown: every length of two channels, and other numbers of them.
func TestMixDown(t *testing.T) {
	for _, channels := range []int{1, 2, 3, 6} {
		for n := range 40 {
			planes, want := newPlanes(channels, int64(n)), make([]float32, n)
			for i := range n {
				for c := range planes {
					planes[c][i] = float32(i*c) - 0.25*float32(i)
					want[i] += planes[c][i]
				}
				want[i] *= 1 / float32(channels)
			}
			equal(t, MixDown(planes), want)
		}
	}
}

// TestDecodeChannels: the channels are those of Decode, over the ends of blocks and in segments, and so are the errors.
func TestDecodeChannels(t *testing.T) {
	for _, channels := range []int{1, 2, 3, 7} {
		for _, form := range []struct {
			tag  int
			bits int
		}{{1, 8}, {1, 16}, {1, 24}, {3, 32}} {
			frames := 3*pcmBlock/channels + 11
			data := make([]byte, frames*channels*form.bits/8)
			for i := range data {
				data[i] = byte(i * i >> 3)
			}
			if form.tag == 3 {
				for i := range frames * channels {
					binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(float32(i)/1e6))
				}
			}
			path := write(t, "x.wav", wavOf{tag: form.tag, bits: form.bits, channels: channels, rate: 16000, data: data}.build())
			for _, seg := range []Segment{{}, {0.1, 0.2}, {0.3, 60}} {
				file, err := (&Tools{}).OpenSound(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				whole, err := file.Decode(seg)
				if err != nil {
					t.Fatal(err)
				}
				apart, err := file.DecodeChannels(seg)
				if err != nil {
					t.Fatal(err)
				}
				if apart.Seconds() != whole.Seconds() || apart.Seconds() == 0 || apart.MissingSeconds != whole.MissingSeconds {
					t.Errorf("%v s and %v s missing, not %v and %v", apart.Seconds(), apart.MissingSeconds, whole.Seconds(), whole.MissingSeconds)
				}
				for c, plane := range apart.Channels() {
					equal(t, plane, whole.Channels()[c])
				}
				apart.Release()
				whole.Release()
				file.Close()
			}
			if form.tag == 3 {
				binary.LittleEndian.PutUint32(data[4*(5*channels+channels-1):], 0x7fc00000)
				path := write(t, "nan.wav", wavOf{tag: form.tag, bits: form.bits, channels: channels, rate: 16000, data: data}.build())
				file, err := (&Tools{}).OpenSound(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				_, err = file.Decode(Segment{})
				_, other := file.DecodeChannels(Segment{})
				if err == nil || other == nil || err.Error() != other.Error() {
					t.Errorf("%v, and %v", err, other)
				}
			}
		}
	}
}

// TestSampleMemory: what is asked for fits its class and no smaller one, and what is released is used again for
// what fits.
func TestSampleMemory(t *testing.T) {
	for k := range sampleMemory {
		for _, n := range []int64{sizeOfClass(k), sizeOfClass(k) + 1} {
			c := classOf(n)
			if c != k+int(n-sizeOfClass(k)) || sizeOfClass(c) < n {
				t.Errorf("%d samples are of class %d, whose size is %d", n, c, sizeOfClass(c))
			}
		}
	}
	for _, n := range []int64{0, 1, 3, 4, 5, 1000, 123457} {
		x := newSamples(n)
		if int64(len(x)) != n || classOf(int64(cap(x))) != classOf(n) {
			t.Errorf("%d samples wanted: %d of %d", n, len(x), cap(x))
		}
		releaseSamples(x)
	}
	releaseSamples(nil)
	releaseSamples(make([]float32, 10, 11)) // not ours
	if x := newSamples(11); cap(x) < 12 {
		t.Errorf("memory of another size was taken: %d", cap(x))
	}
}

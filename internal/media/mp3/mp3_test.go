package mp3

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestCodebooks(t *testing.T) {
	for i, b := range codebooks {
		kraft, n := 0.0, 0
		seen := map[uint32]bool{}
		b.each(func(symbol, code uint32, length uint) {
			kraft += math.Exp2(-float64(length))
			n++
			if seen[symbol] || code>>length != 0 {
				t.Errorf("book %d: symbol %02x, code %b of %d bits", i, symbol, code, length)
			}
			seen[symbol] = true
		})
		if kraft != 1 {
			t.Errorf("book %d: %d codes fill %v of the code space", i, n, kraft)
		}
		// Every code word, followed by anything, is found again.
		table := lookups()[i]
		b.each(func(symbol, code uint32, length uint) {
			for _, rest := range []uint64{0, math.MaxUint64} {
				w := uint64(code)<<(64-length) | rest>>length
				e := table[w>>(64-rootLog)]
				used := uint32(0)
				if e&entryMore != 0 {
					used = rootLog
					w <<= rootLog
					e = table[e>>8+uint32(w>>(64-e&entryLength))]
				}
				if e>>8 != symbol || used+e&entryLength != uint32(length) {
					t.Errorf("book %d: %02x of %d bits is decoded to %02x of %d", i, symbol, length, e>>8, used+e&entryLength)
				}
			}
		})
	}
}

func TestBands(t *testing.T) {
	for i, e := range bandTables {
		if e.long[22] != lines || e.short[13]*3 != lines {
			t.Errorf("%d: %v", i, e)
		}
	}
}

func random(rng *rand.Rand, x []float32) {
	for i := range x {
		x[i] = rng.Float32()*2 - 1
	}
}

// imdct is the formula of 2.4.3.4.10.2 for n outputs.
func imdct(x []float32, n int) []float64 {
	y := make([]float64, n)
	for i := range y {
		for k, v := range x {
			y[i] += float64(v) * math.Cos(math.Pi/float64(2*n)*float64(2*i+1+n/2)*float64(2*k+1))
		}
	}
	return y
}

// TestIMDCT compares the fast transforms with the formula.
func TestIMDCT(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, window := range []int{0, 1, 2, 3} {
		var in, overlap, out [18]float32
		random(rng, in[:])
		random(rng, overlap[:])
		var want [36]float64
		for i, v := range overlap {
			want[i] = float64(v)
		}
		if window == 2 {
			for w := range 3 {
				var x [6]float32
				for k := range x {
					x[k] = in[3*k+w]
				}
				for i, v := range imdct(x[:], 12) {
					want[6+6*w+i] += v * float64(windows[2][i])
				}
			}
			imdct12x3(&in, &overlap, &out)
		} else {
			for i, v := range imdct(in[:], 36) {
				want[i] += v * float64(windows[window][i])
			}
			imdct36(&in, &overlap, &out, &windows[window])
		}
		for i := range 18 {
			if math.Abs(float64(out[i])-want[i]) > 3e-6 || math.Abs(float64(overlap[i])-want[18+i]) > 3e-6 {
				t.Fatalf("window %d, sample %d: %v, %v; want %v, %v", window, i, out[i], overlap[i], want[i], want[18+i])
			}
		}
	}
}

// TestSynthesis compares the polyphase synthesis of two granules with the standard's flow chart.
func TestSynthesis(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var fifo [1024]float64
	var v vectors
	for range 2 {
		var subband [32][times]float32
		for k := range subband {
			random(rng, subband[k][:])
		}
		copy(v[(spare+18)*64:], v[spare*64:])
		matrix(&subband, &v)
		var out [lines]float32
		window(&v, &out)
		for step := range 18 {
			copy(fifo[64:], fifo[:960])
			for i := range 64 {
				fifo[i] = 0
				for k := range subband {
					fifo[i] += float64(subband[k][step]) * math.Cos(float64((16+i)*(2*k+1))*math.Pi/64)
				}
			}
			for j := range 32 {
				want := 0.0
				for i := range 8 {
					want += fifo[128*i+j]*float64(synthesisWindow[2*i][j]) + fifo[128*i+96+j]*float64(synthesisWindow[2*i+1][j])
				}
				if got := out[32*step+j]; math.Abs(float64(got)-want) > 5e-6 {
					t.Fatalf("step %d, sample %d: %v, want %v", step, j, got, want)
				}
			}
		}
	}
}

// TestBitEqual: kernels give their plain twins' bits.
func TestBitEqual(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var v, w vectors
	for range 20 {
		var subband [32][times]float32
		for k := range subband {
			random(rng, subband[k][:])
		}
		copy(v[(spare+18)*64:], v[spare*64:])
		w = v
		matrix(&subband, &v)
		plainMatrix(&subband, &w)
		same(t, "matrix", v[spare*64:], w[spare*64:])
		var left, right [lines]float32
		window(&v, &left)
		plainWindow(&w, &right)
		same(t, "window", left[:], right[:])
	}
}

func same(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i, v := range want {
		if math.Float32bits(got[i]) != math.Float32bits(v) {
			t.Fatalf("%s: value %d is %v, and by its plain twin %v", name, i, got[i], v)
		}
	}
}

// FuzzDecode: whatever a frame holds, it costs at most itself.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0xff, 0xfb, 0x90, 0x64}, []byte("rest"))
	f.Add([]byte{0xff, 0xf3, 0x40, 0xc4}, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{0xff, 0xe3, 0x18, 0x70}, make([]byte, 300))
	f.Fuzz(func(t *testing.T, header, body []byte) {
		h, ok := ParseHeader(header)
		if !ok || h.Layer != 3 {
			return
		}
		if h.Size > MaxFrameSize {
			t.Fatalf("%+v", h)
		}
		var d Decoder
		out := make([]float32, 2*1152)
		frame := append(header[:4:4], body...)
		for range 3 {
			n, err := d.Decode(frame, out)
			if n != h.Samples && err == nil {
				t.Fatalf("%d samples", n)
			}
		}
	})
}

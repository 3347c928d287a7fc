//go:build goexperiment.simd && amd64

package vision

import "simd/archsimd"

// vector is nil on processors without AVX2.
var vector = func() *passes {
	if !archsimd.X86.AVX2() {
		return nil
	}
	return &passes{name: "avx2", spread: spreadRGB, horizontal: horizontalLanes, vertical: verticalLanes}
}()

const lanes = 8

// Bytes 0..5 and 6..11 of a load, as r g b 0 r g b 0.
var firstTwo, nextTwo = [16]int8{0, 1, 2, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1},
	[16]int8{6, 7, 8, -1, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1}

// spreadRGB gives the weights each three times and a zero, those of an output sample filled up with zeros to a
// multiple of four taps.
func spreadRGB(w *weights) []int32 {
	quads := (w.stride + 3) / 4
	spread := make([]int32, 16*quads*len(w.first))
	for i := range w.first {
		for k, v := range w.of(i) {
			d := spread[16*quads*i+4*k:][:3:3]
			d[0], d[1], d[2] = v, v, v
		}
	}
	return spread
}

// horizontalLanes is horizontal for RGB with two pixels in the lanes: r g b 0 r g b 0. A load takes 16
// bytes and uses 12 of them, so that the last outputs of a picture's last row are left to the plain twin.
func horizontalLanes(dst, src []uint8, channels int, w *weights) {
	if channels != 3 {
		horizontal(dst, src, channels, w)
		return
	}
	spread := w.spread
	quads := (w.stride + 3) / 4
	first, next := archsimd.LoadInt8x16(&firstTwo), archsimd.LoadInt8x16(&nextTwo)
	for i, at := range w.first {
		n := (int(w.count[i]) + 3) / 4
		if 3*int(at)+12*(n-1)+16 > len(src) {
			one := weights{first: w.first[i : i+1], count: w.count[i : i+1], fixed: w.fixed[i*w.stride:], stride: w.stride}
			horizontal(dst[3*i:], src, channels, &one)
			continue
		}
		px, taps := src[3*at:], spread[16*quads*i:][:16*n]
		even, odd := archsimd.BroadcastInt32x8(0), archsimd.BroadcastInt32x8(0)
		for len(taps) >= 16 && len(px) >= 16 {
			v := archsimd.LoadUint8x16((*[16]uint8)(px))
			a := v.PermuteOrZero(first).ExtendLo8ToUint32().AsInt32x8()
			b := v.PermuteOrZero(next).ExtendLo8ToUint32().AsInt32x8()
			even = even.Add(a.Mul(archsimd.LoadInt32x8((*[lanes]int32)(taps))))
			odd = odd.Add(b.Mul(archsimd.LoadInt32x8((*[lanes]int32)(taps[lanes:]))))
			taps = taps[16:]
			if len(px) < 28 {
				break
			}
			px = px[12:]
		}
		sum := even.Add(odd)
		s := sum.GetLo().Add(sum.GetHi())
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0], d[1], d[2] = clip8(s.GetElem(0)+half), clip8(s.GetElem(1)+half), clip8(s.GetElem(2)+half)
	}
	archsimd.ClearAVXUpperBits()
}

// verticalLanes is vertical with eight samples of a row in the lanes, 32 at a time.
func verticalLanes(acc []int32, rows [][]uint8, taps []int32) {
	rows = rows[:len(taps)]
	x := 0
	for ; x+4*lanes <= len(acc); x += 4 * lanes {
		a := archsimd.BroadcastInt32x8(half)
		b, c, d := a, a, a
		for k, row := range rows {
			t := archsimd.BroadcastInt32x8(taps[k])
			px := (*[4*lanes + 8]uint8)(row[x:])
			a = a.Add(t.Mul(extend((*[16]uint8)(px[0:]))))
			b = b.Add(t.Mul(extend((*[16]uint8)(px[8:]))))
			c = c.Add(t.Mul(extend((*[16]uint8)(px[16:]))))
			d = d.Add(t.Mul(extend((*[16]uint8)(px[24:]))))
		}
		out := (*[4 * lanes]int32)(acc[x:])
		a.Store((*[lanes]int32)(out[0:]))
		b.Store((*[lanes]int32)(out[8:]))
		c.Store((*[lanes]int32)(out[16:]))
		d.Store((*[lanes]int32)(out[24:]))
	}
	archsimd.ClearAVXUpperBits()
	if x == len(acc) {
		return
	}
	rest := make([][]uint8, len(rows))
	for k, row := range rows {
		rest[k] = row[x:]
	}
	vertical(acc[x:], rest, taps)
}

// extend widens the first eight of sixteen samples.
func extend(p *[16]uint8) archsimd.Int32x8 {
	return archsimd.LoadUint8x16(p).ExtendLo8ToUint32().AsInt32x8()
}

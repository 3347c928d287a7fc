//go:build !amd64 || scalar

package jpeg

func transform(dst []uint8, stride int, block *[64]int16, quant *[64]int32, flat bool) {
	inverseDCT(dst, stride, block, quant, flat)
}

func transform4(dst []uint8, stride int, block *[64]int16, quant *[64]int32) {
	inverseDCT4(dst, stride, block, quant)
}

func transform2(dst []uint8, stride int, block *[64]int16, quant *[64]int32) {
	inverseDCT2(dst, stride, block, quant)
}

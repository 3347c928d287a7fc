//go:build !scalar

#include "textflag.h"

// func sumTaps(sums, in *[side]float32, kernel *float32, at *tapsAt, outputs, taps int)
//
// AVX2. Two outputs at a time, in four sums each; products are rounded before they are added.
TEXT ·sumTaps(SB), NOSPLIT, $0-48
	MOVQ sums+0(FP), DI
	MOVQ in+8(FP), SI
	MOVQ kernel+16(FP), DX
	MOVQ at+24(FP), BX
	MOVQ outputs+32(FP), CX

pair:
	MOVLQSX 0(BX), R8
	MOVLQSX 4(BX), R9
	MOVLQSX 8(BX), R10
	MOVLQSX 12(BX), R11
	ADDQ SI, R8
	ADDQ DX, R9
	ADDQ SI, R10
	ADDQ DX, R11
	MOVQ taps+40(FP), AX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7

tap:
	VBROADCASTSS (R9), Y8
	VMULPS 0(R8), Y8, Y9
	VMULPS 32(R8), Y8, Y10
	VMULPS 64(R8), Y8, Y11
	VMULPS 96(R8), Y8, Y8
	VADDPS Y9, Y0, Y0
	VADDPS Y10, Y1, Y1
	VADDPS Y11, Y2, Y2
	VADDPS Y8, Y3, Y3
	VBROADCASTSS (R11), Y12
	VMULPS 0(R10), Y12, Y13
	VMULPS 32(R10), Y12, Y14
	VMULPS 64(R10), Y12, Y15
	VMULPS 96(R10), Y12, Y12
	VADDPS Y13, Y4, Y4
	VADDPS Y14, Y5, Y5
	VADDPS Y15, Y6, Y6
	VADDPS Y12, Y7, Y7
	ADDQ $128, R8
	ADDQ $128, R10
	ADDQ $4, R9
	ADDQ $4, R11
	DECQ AX
	JNZ tap

	VMOVUPS Y0, 0(DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	VMOVUPS Y4, 128(DI)
	VMOVUPS Y5, 160(DI)
	VMOVUPS Y6, 192(DI)
	VMOVUPS Y7, 224(DI)
	ADDQ $256, DI
	ADDQ $16, BX
	SUBQ $2, CX
	JNZ pair
	VZEROUPPER
	RET

// TURN4 writes the columns of eight rows of four, x0 to x7, as the rows y0 to y3 of eight.
#define TURN4(x0, x1, x2, x3, x4, x5, x6, x7, y0, y1, y2, y3) \
	VMOVUPS x0, X0; \
	VINSERTF128 $1, x4, Y0, Y0; \
	VMOVUPS x1, X1; \
	VINSERTF128 $1, x5, Y1, Y1; \
	VMOVUPS x2, X2; \
	VINSERTF128 $1, x6, Y2, Y2; \
	VMOVUPS x3, X3; \
	VINSERTF128 $1, x7, Y3, Y3; \
	VUNPCKLPS Y1, Y0, Y4; \
	VUNPCKHPS Y1, Y0, Y5; \
	VUNPCKLPS Y3, Y2, Y6; \
	VUNPCKHPS Y3, Y2, Y7; \
	VUNPCKLPD Y6, Y4, Y8; \
	VUNPCKHPD Y6, Y4, Y9; \
	VUNPCKLPD Y7, Y5, Y10; \
	VUNPCKHPD Y7, Y5, Y11; \
	VMOVUPS Y8, y0; \
	VMOVUPS Y9, y1; \
	VMOVUPS Y10, y2; \
	VMOVUPS Y11, y3

// LANES loads the eight pointers at SI.
#define LANES \
	MOVQ 0(SI), R8; \
	MOVQ 8(SI), R9; \
	MOVQ 16(SI), R10; \
	MOVQ 24(SI), R11; \
	MOVQ 32(SI), R12; \
	MOVQ 40(SI), R13; \
	MOVQ 48(SI), AX; \
	MOVQ 56(SI), DX

// func turnIn(rows *[side]float32, lane int, from *[8]*float32, eights int)
TEXT ·turnIn(SB), NOSPLIT, $0-32
	MOVQ rows+0(FP), DI
	MOVQ lane+8(FP), BX
	LEAQ (DI)(BX*4), DI
	MOVQ from+16(FP), SI
	MOVQ eights+24(FP), CX
	LANES
	XORQ BX, BX

in:
	TURN4(0(R8)(BX*1), 0(R9)(BX*1), 0(R10)(BX*1), 0(R11)(BX*1), 0(R12)(BX*1), 0(R13)(BX*1), 0(AX)(BX*1), 0(DX)(BX*1), 0(DI), 128(DI), 256(DI), 384(DI))
	TURN4(16(R8)(BX*1), 16(R9)(BX*1), 16(R10)(BX*1), 16(R11)(BX*1), 16(R12)(BX*1), 16(R13)(BX*1), 16(AX)(BX*1), 16(DX)(BX*1), 512(DI), 640(DI), 768(DI), 896(DI))
	ADDQ $32, BX
	ADDQ $1024, DI
	DECQ CX
	JNZ in
	VZEROUPPER
	RET

// func turnOut(to *[8]*float32, rows *[side]float32, lane int, eights int)
TEXT ·turnOut(SB), NOSPLIT, $0-32
	MOVQ to+0(FP), SI
	MOVQ rows+8(FP), DI
	MOVQ lane+16(FP), BX
	LEAQ (DI)(BX*4), DI
	MOVQ eights+24(FP), CX
	LANES
	XORQ BX, BX

out:
	TURN4(0(DI), 128(DI), 256(DI), 384(DI), 512(DI), 640(DI), 768(DI), 896(DI), 0(R8)(BX*1), 0(R9)(BX*1), 0(R10)(BX*1), 0(R11)(BX*1))
	TURN4(16(DI), 144(DI), 272(DI), 400(DI), 528(DI), 656(DI), 784(DI), 912(DI), 0(R12)(BX*1), 0(R13)(BX*1), 0(AX)(BX*1), 0(DX)(BX*1))
	ADDQ $32, BX
	ADDQ $1024, DI
	DECQ CX
	JNZ out
	VZEROUPPER
	RET

//go:build !scalar

#include "textflag.h"

// Of four pixels r g b: the four r, the four g, the four b.
DATA quadOrder<>+0(SB)/8, $0x0a07040109060300
DATA quadOrder<>+8(SB)/8, $0x808080800b080502
GLOBL quadOrder<>(SB), RODATA|NOPTR, $16

// Of four times r g b -: the four r, the four g, the four b.
DATA planeOrder<>+0(SB)/8, $0x0d0905010c080400
DATA planeOrder<>+8(SB)/8, $0x0f0b07030e0a0602
GLOBL planeOrder<>(SB), RODATA|NOPTR, $16

// The planes of four times four columns together: 0 4 8 12, 1 5 9 13, 2 6 10 14, 3 7 11 15.
DATA gather<>+0(SB)/8, $0x0000000400000000
DATA gather<>+8(SB)/8, $0x0000000c00000008
DATA gather<>+16(SB)/8, $0x0000000500000001
DATA gather<>+24(SB)/8, $0x0000000d00000009
DATA gather<>+32(SB)/8, $0x0000000600000002
DATA gather<>+40(SB)/8, $0x0000000e0000000a
DATA gather<>+48(SB)/8, $0x0000000700000003
DATA gather<>+56(SB)/8, $0x0000000f0000000b
GLOBL gather<>(SB), RODATA|NOPTR, $64

// half is 1 << 21, which makes the shift by 22 round to the nearest.
DATA half<>+0(SB)/4, $0x00200000
GLOBL half<>(SB), RODATA|NOPTR, $4

// func order8(dst unsafe.Pointer, rows *[8]unsafe.Pointer, quads int)
TEXT ·order8(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ quads+16(FP), CX
	MOVQ 0(SI), R8
	MOVQ 8(SI), R9
	MOVQ 16(SI), R10
	MOVQ 24(SI), R11
	MOVQ 32(SI), R12
	MOVQ 40(SI), R13
	MOVQ 48(SI), BX
	MOVQ 56(SI), DX
	XORQ AX, AX
	VBROADCASTI32X4 quadOrder<>(SB), Z31

orderLoop:
	VMOVDQU (R8)(AX*1), X0
	VMOVDQU (R12)(AX*1), X1
	VINSERTI32X4 $1, (R9)(AX*1), Z0, Z0
	VINSERTI32X4 $1, (R13)(AX*1), Z1, Z1
	VINSERTI32X4 $2, (R10)(AX*1), Z0, Z0
	VINSERTI32X4 $2, (BX)(AX*1), Z1, Z1
	VINSERTI32X4 $3, (R11)(AX*1), Z0, Z0
	VINSERTI32X4 $3, (DX)(AX*1), Z1, Z1
	VPSHUFB Z31, Z0, Z0
	VPSHUFB Z31, Z1, Z1
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 64(DI)
	ADDQ $128, DI
	ADDQ $12, AX
	DECQ CX
	JNZ orderLoop
	VZEROUPPER
	RET

// FINISH puts the sums of three digits together, a + b<<8 + c<<16, rounds, and cuts what is below zero; what is
// beyond 255 is left to the saturation of VPMOVUSDB.
#define FINISH(a, b, c) \
	VPSLLD $8, b, b \
	VPSLLD $16, c, c \
	VPADDD Z30, a, a \
	VPADDD c, b, b \
	VPADDD b, a, a \
	VPSRAD $22, a, a \
	VPMAXSD Z29, a, a

// func across8(upper, lower, quads unsafe.Pointer, start, count *int32, digits unsafe.Pointer, stride, columns int)
TEXT ·across8(SB), NOSPLIT, $0-64
	MOVQ upper+0(FP), DI
	MOVQ lower+8(FP), SI
	MOVQ quads+16(FP), BX
	MOVQ start+24(FP), R8
	MOVQ count+32(FP), R9
	MOVQ digits+40(FP), R10
	MOVQ stride+48(FP), R11
	MOVQ columns+56(FP), R12
	VMOVDQU64 planeOrder<>(SB), X31
	VPBROADCASTD half<>(SB), Z30
	VPXORD Z29, Z29, Z29

acrossColumn:
	MOVLQSX (R8), AX
	MOVLQSX (R9), CX
	SHLQ $7, AX
	ADDQ BX, AX
	MOVQ R10, DX
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5

acrossQuad:
	VMOVDQU64 (AX), Z6
	VMOVDQU64 64(AX), Z7
	VPDPBUSD.BCST (DX), Z6, Z0
	VPDPBUSD.BCST (DX), Z7, Z3
	VPDPBUSD.BCST 4(DX), Z6, Z1
	VPDPBUSD.BCST 4(DX), Z7, Z4
	VPDPBUSD.BCST 8(DX), Z6, Z2
	VPDPBUSD.BCST 8(DX), Z7, Z5
	ADDQ $128, AX
	ADDQ $12, DX
	DECQ CX
	JNZ acrossQuad

	FINISH(Z0, Z1, Z2)
	FINISH(Z3, Z4, Z5)
	VPMOVUSDB Z0, X0
	VPMOVUSDB Z3, X3
	VPSHUFB X31, X0, X0
	VPSHUFB X31, X3, X3
	VMOVDQU X0, (DI)
	VMOVDQU X3, (SI)
	ADDQ $16, DI
	ADDQ $16, SI
	ADDQ $4, R8
	ADDQ $4, R9
	ADDQ R11, R10
	DECQ R12
	JNZ acrossColumn
	VZEROUPPER
	RET

// func down16(red, green, blue unsafe.Pointer, places *unsafe.Pointer, n int, digits unsafe.Pointer, blocks int)
TEXT ·down16(SB), NOSPLIT, $0-56
	MOVQ red+0(FP), DI
	MOVQ green+8(FP), SI
	MOVQ blue+16(FP), BX
	MOVQ places+24(FP), R8
	MOVQ n+32(FP), R9
	MOVQ digits+40(FP), R10
	MOVQ blocks+48(FP), R11
	VBROADCASTI32X4 planeOrder<>(SB), Z31
	VPBROADCASTD half<>(SB), Z30
	VPXORD Z29, Z29, Z29
	VMOVDQU64 gather<>(SB), Z28
	XORQ R12, R12

downBlock:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	MOVQ R10, DX
	XORQ CX, CX

downGroup:
	MOVQ (R8)(CX*8), AX
	VMOVDQU64 (AX)(R12*1), Z12
	VMOVDQU64 64(AX)(R12*1), Z13
	VMOVDQU64 128(AX)(R12*1), Z14
	VMOVDQU64 192(AX)(R12*1), Z15
	VPBROADCASTD (DX), Z16
	VPBROADCASTD 4(DX), Z17
	VPBROADCASTD 8(DX), Z18
	VPDPBUSD Z16, Z12, Z0
	VPDPBUSD Z16, Z13, Z3
	VPDPBUSD Z16, Z14, Z6
	VPDPBUSD Z16, Z15, Z9
	VPDPBUSD Z17, Z12, Z1
	VPDPBUSD Z17, Z13, Z4
	VPDPBUSD Z17, Z14, Z7
	VPDPBUSD Z17, Z15, Z10
	VPDPBUSD Z18, Z12, Z2
	VPDPBUSD Z18, Z13, Z5
	VPDPBUSD Z18, Z14, Z8
	VPDPBUSD Z18, Z15, Z11
	ADDQ $12, DX
	INCQ CX
	CMPQ CX, R9
	JLT downGroup

	FINISH(Z0, Z1, Z2)
	FINISH(Z3, Z4, Z5)
	FINISH(Z6, Z7, Z8)
	FINISH(Z9, Z10, Z11)
	VPMOVUSDB Z0, X0
	VPMOVUSDB Z3, X3
	VPMOVUSDB Z6, X6
	VPMOVUSDB Z9, X9
	VINSERTI32X4 $1, X3, Z0, Z0
	VINSERTI32X4 $2, X6, Z0, Z0
	VINSERTI32X4 $3, X9, Z0, Z0
	VPSHUFB Z31, Z0, Z0
	VPERMD Z0, Z28, Z0
	VMOVDQU X0, (DI)
	VEXTRACTI32X4 $1, Z0, (SI)
	VEXTRACTI32X4 $2, Z0, (BX)
	ADDQ $16, DI
	ADDQ $16, SI
	ADDQ $16, BX
	ADDQ $256, R12
	DECQ R11
	JNZ downBlock
	VZEROUPPER
	RET

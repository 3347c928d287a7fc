//go:build !scalar

#include "textflag.h"

// Of four pixels r g b: the pairs of pixels 0 and 1 in 16 bits, r r g g b b - -.
DATA firstPair<>+0(SB)/8, $0x8004800180038000
DATA firstPair<>+8(SB)/8, $0x8080808080058002
GLOBL firstPair<>(SB), RODATA|NOPTR, $16

// The same of pixels 2 and 3.
DATA nextPair<>+0(SB)/8, $0x800a800780098006
DATA nextPair<>+8(SB)/8, $0x80808080800b8008
GLOBL nextPair<>(SB), RODATA|NOPTR, $16

// Of a column of a group: the pairs of rows 0 and 1.
DATA upperRows<>+0(SB)/8, $0x8005800180048000
DATA upperRows<>+8(SB)/8, $0x8080808080068002
GLOBL upperRows<>(SB), RODATA|NOPTR, $16

// The same of rows 2 and 3.
DATA lowerRows<>+0(SB)/8, $0x800d8009800c8008
DATA lowerRows<>+8(SB)/8, $0x80808080800e800a
GLOBL lowerRows<>(SB), RODATA|NOPTR, $16

// Of four columns r g b -: the four r, the four g, the four b.
DATA planesOf4<>+0(SB)/8, $0x0d0905010c080400
DATA planesOf4<>+8(SB)/8, $0x808080800e0a0602
GLOBL planesOf4<>(SB), RODATA|NOPTR, $16

// 1 << 21, which makes the shift by 22 round to the nearest.
DATA rounding<>+0(SB)/4, $0x00200000
GLOBL rounding<>(SB), RODATA|NOPTR, $4

// func order4(dst unsafe.Pointer, rows *[8]unsafe.Pointer, quads int)
TEXT ·order4(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ quads+16(FP), CX
	MOVQ 0(SI), R8
	MOVQ 8(SI), R9
	MOVQ 16(SI), R10
	MOVQ 24(SI), R11
	XORQ AX, AX
	VBROADCASTI128 firstPair<>(SB), Y14
	VBROADCASTI128 nextPair<>(SB), Y15

orderLoop:
	VMOVDQU (R8)(AX*1), X0
	VMOVDQU (R9)(AX*1), X1
	VINSERTI128 $1, (R10)(AX*1), Y0, Y0
	VINSERTI128 $1, (R11)(AX*1), Y1, Y1
	VPSHUFB Y14, Y0, Y2
	VPSHUFB Y14, Y1, Y3
	VPSHUFB Y15, Y0, Y0
	VPSHUFB Y15, Y1, Y1
	VMOVDQU Y2, (DI)
	VMOVDQU Y3, 32(DI)
	VMOVDQU Y0, 64(DI)
	VMOVDQU Y1, 96(DI)
	ADDQ $128, DI
	ADDQ $12, AX
	DECQ CX
	JNZ orderLoop
	VZEROUPPER
	RET

// FINISH puts the sums of two digits together, high<<11 + low, and rounds.
#define FINISH(high, low) \
	VPSLLD $11, high, high \
	VPADDD Y15, low, low \
	VPADDD low, high, high \
	VPSRAD $22, high, high

// func across4(dst, quads unsafe.Pointer, start, count *int32, digits unsafe.Pointer, stride, columns int)
TEXT ·across4(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ quads+8(FP), BX
	MOVQ start+16(FP), R8
	MOVQ count+24(FP), R9
	MOVQ digits+32(FP), R10
	MOVQ stride+40(FP), R11
	MOVQ columns+48(FP), R12
	VPBROADCASTD rounding<>(SB), Y15

acrossColumn:
	MOVLQSX (R8), AX
	MOVLQSX (R9), CX
	SHLQ $7, AX
	ADDQ BX, AX
	MOVQ R10, DX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3

acrossQuad:
	VMOVDQU 0(AX), Y4
	VMOVDQU 32(AX), Y5
	VPBROADCASTD 0(DX), Y6
	VPBROADCASTD 4(DX), Y7
	VPMADDWD Y6, Y4, Y8
	VPMADDWD Y7, Y4, Y4
	VPMADDWD Y6, Y5, Y9
	VPMADDWD Y7, Y5, Y5
	VPADDD Y8, Y0, Y0
	VPADDD Y4, Y1, Y1
	VPADDD Y9, Y2, Y2
	VPADDD Y5, Y3, Y3
	VMOVDQU 64(AX), Y10
	VMOVDQU 96(AX), Y11
	VPBROADCASTD 8(DX), Y12
	VPBROADCASTD 12(DX), Y13
	VPMADDWD Y12, Y10, Y8
	VPMADDWD Y13, Y10, Y10
	VPMADDWD Y12, Y11, Y9
	VPMADDWD Y13, Y11, Y11
	VPADDD Y8, Y0, Y0
	VPADDD Y10, Y1, Y1
	VPADDD Y9, Y2, Y2
	VPADDD Y11, Y3, Y3
	ADDQ $128, AX
	ADDQ $16, DX
	DECQ CX
	JNZ acrossQuad

	FINISH(Y0, Y1)
	FINISH(Y2, Y3)
	// Sums are at most 9 bits after the shift; VPACKUSDW takes the negative ones to 0, VPACKUSWB the others to 255.
	VPACKUSDW Y2, Y0, Y0
	VPACKUSWB Y0, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPUNPCKLQDQ X1, X0, X0
	VMOVDQU X0, (DI)
	ADDQ $16, DI
	ADDQ $4, R8
	ADDQ $4, R9
	ADDQ R11, R10
	DECQ R12
	JNZ acrossColumn
	VZEROUPPER
	RET

// DOWN adds two columns of a group to their sums.
#define DOWN(at, high, low) \
	VMOVDQU at(AX)(R12*1), Y12 \
	VPSHUFB Y14, Y12, Y13 \
	VPSHUFB lowers-32(SP), Y12, Y12 \
	VPMADDWD Y8, Y13, Y15 \
	VPMADDWD Y9, Y13, Y13 \
	VPADDD Y15, high, high \
	VPADDD Y13, low, low \
	VPMADDWD Y10, Y12, Y15 \
	VPMADDWD Y11, Y12, Y12 \
	VPADDD Y15, high, high \
	VPADDD Y12, low, low

// func down8(red, green, blue unsafe.Pointer, places *unsafe.Pointer, n int, digits unsafe.Pointer, blocks int)
TEXT ·down8(SB), NOSPLIT, $32-56
	MOVQ red+0(FP), DI
	MOVQ green+8(FP), SI
	MOVQ blue+16(FP), BX
	MOVQ places+24(FP), R8
	MOVQ n+32(FP), R9
	MOVQ digits+40(FP), R10
	MOVQ blocks+48(FP), R11
	VBROADCASTI128 lowerRows<>(SB), Y15
	VMOVDQU Y15, lowers-32(SP)
	VBROADCASTI128 upperRows<>(SB), Y14
	XORQ R12, R12

downBlock:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	MOVQ R10, DX
	XORQ CX, CX

downGroup:
	MOVQ (R8)(CX*8), AX
	VPBROADCASTD 0(DX), Y8
	VPBROADCASTD 4(DX), Y9
	VPBROADCASTD 8(DX), Y10
	VPBROADCASTD 12(DX), Y11
	DOWN(0, Y0, Y1)
	DOWN(32, Y2, Y3)
	DOWN(64, Y4, Y5)
	DOWN(96, Y6, Y7)
	ADDQ $16, DX
	INCQ CX
	CMPQ CX, R9
	JLT downGroup

	VPBROADCASTD rounding<>(SB), Y15
	FINISH(Y0, Y1)
	FINISH(Y2, Y3)
	FINISH(Y4, Y5)
	FINISH(Y6, Y7)
	VPACKUSDW Y2, Y0, Y0 // columns 0 and 2, 1 and 3
	VPACKUSDW Y6, Y4, Y4 // columns 4 and 6, 5 and 7
	VPACKUSWB Y4, Y0, Y0
	VBROADCASTI128 planesOf4<>(SB), Y1
	VPSHUFB Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPUNPCKLBW X1, X0, X2
	VPUNPCKHBW X1, X0, X0
	VMOVQ X2, (DI)
	VPEXTRQ $1, X2, (SI)
	VMOVQ X0, (BX)
	ADDQ $8, DI
	ADDQ $8, SI
	ADDQ $8, BX
	ADDQ $128, R12
	DECQ R11
	JNZ downBlock
	VZEROUPPER
	RET

//go:build !scalar

#include "textflag.h"

// Coefficients of L = (19595 R + 38470 G + 7471 B + 32768) >> 16 as pairs of signed 16-bit words. 38470 is none of
// them: G goes in as 65536 G - 27066 G, the first of which is G itself after the shift.
DATA redGreen<>+0(SB)/8, $0x96464c8b96464c8b
DATA redGreen<>+8(SB)/8, $0x96464c8b96464c8b
GLOBL redGreen<>(SB), RODATA|NOPTR, $16

// 7471 times blue, and 16384 times 2 to round.
DATA blueHalf<>+0(SB)/8, $0x40001d2f40001d2f
DATA blueHalf<>+8(SB)/8, $0x40001d2f40001d2f
GLOBL blueHalf<>(SB), RODATA|NOPTR, $16

DATA twos<>+0(SB)/8, $0x0002000200020002
DATA twos<>+8(SB)/8, $0x0002000200020002
GLOBL twos<>(SB), RODATA|NOPTR, $16

DATA ones<>+0(SB)/8, $0x0001000100010001
DATA ones<>+8(SB)/8, $0x0001000100010001
GLOBL ones<>(SB), RODATA|NOPTR, $16

// func luma8(luma, red, green, blue *uint8, n int)
TEXT ·luma8(SB), NOSPLIT, $0-40
	MOVQ luma+0(FP), DI
	MOVQ red+8(FP), SI
	MOVQ green+16(FP), DX
	MOVQ blue+24(FP), BX
	MOVQ n+32(FP), CX
	PXOR X8, X8
	MOVOU redGreen<>(SB), X9
	MOVOU blueHalf<>(SB), X10
	MOVOU twos<>(SB), X11

pixels:
	MOVQ (SI), X0
	MOVQ (DX), X2
	MOVQ (BX), X4
	PUNPCKLBW X8, X0
	PUNPCKLBW X8, X2
	PUNPCKLBW X8, X4
	MOVO X0, X1
	MOVO X4, X5
	PUNPCKLWL X2, X0 // red and green of four pixels
	PUNPCKHWL X2, X1
	PUNPCKLWL X11, X4 // blue and 2
	PUNPCKHWL X11, X5
	PMADDWL X9, X0
	PMADDWL X9, X1
	PMADDWL X10, X4
	PMADDWL X10, X5
	PADDL X4, X0
	PADDL X5, X1
	PSRAL $16, X0
	PSRAL $16, X1
	PACKSSLW X1, X0
	PADDW X2, X0
	PACKUSWB X0, X0
	MOVQ X0, (DI)
	ADDQ $8, SI
	ADDQ $8, DX
	ADDQ $8, BX
	ADDQ $8, DI
	SUBQ $8, CX
	JNZ pixels
	RET

// func squares16(x *uint8, n int) (sum, squares uint64)
//
// The squares are summed in four lanes of 32 bits, unsigned: 4096 times four squares of 255 at most.
TEXT ·squares16(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	PXOR X8, X8
	PXOR X4, X4
	PXOR X5, X5

samples:
	MOVOU (SI), X0
	MOVO X0, X1
	MOVO X0, X2
	PSADBW X8, X0
	PADDQ X0, X4
	PUNPCKLBW X8, X1
	PUNPCKHBW X8, X2
	PMADDWL X1, X1
	PMADDWL X2, X2
	PADDL X1, X5
	PADDL X2, X5
	ADDQ $16, SI
	SUBQ $16, CX
	JNZ samples
	MOVO X4, X0
	PSRLDQ $8, X0
	PADDQ X0, X4
	MOVQ X4, sum+16(FP)
	MOVO X5, X0
	PUNPCKLLQ X8, X0
	PUNPCKHLQ X8, X5
	PADDQ X0, X5
	MOVO X5, X0
	PSRLDQ $8, X0
	PADDQ X0, X5
	MOVQ X5, squares+24(FP)
	RET

// func laplacian8(up, row, down *uint8, n int) (sum, squares int64)
//
// A value is within 1020 of 0: two squares and 1024 times of them fit 32 bits, unsigned.
TEXT ·laplacian8(SB), NOSPLIT, $0-48
	MOVQ up+0(FP), SI
	MOVQ row+8(FP), DX
	MOVQ down+16(FP), BX
	MOVQ n+24(FP), CX
	PXOR X8, X8
	PXOR X9, X9
	PXOR X10, X10
	MOVOU ones<>(SB), X11

along:
	MOVQ (SI), X0
	MOVQ (BX), X1
	MOVQ -1(DX), X2
	MOVQ 1(DX), X3
	MOVQ (DX), X4
	PUNPCKLBW X8, X0
	PUNPCKLBW X8, X1
	PUNPCKLBW X8, X2
	PUNPCKLBW X8, X3
	PUNPCKLBW X8, X4
	PADDW X1, X0
	PADDW X3, X2
	PSLLW $2, X4
	PADDW X2, X0
	PSUBW X4, X0
	MOVO X0, X1
	PMADDWL X11, X0
	PMADDWL X1, X1
	PADDL X0, X9
	PADDL X1, X10
	ADDQ $8, SI
	ADDQ $8, DX
	ADDQ $8, BX
	SUBQ $8, CX
	JNZ along

	// The sums carry a sign, the squares none.
	MOVO X9, X0
	PSRAL $31, X0
	MOVO X9, X1
	PUNPCKLLQ X0, X9
	PUNPCKHLQ X0, X1
	PADDQ X1, X9
	MOVO X9, X0
	PSRLDQ $8, X0
	PADDQ X0, X9
	MOVQ X9, sum+32(FP)
	MOVO X10, X0
	PUNPCKLLQ X8, X0
	PUNPCKHLQ X8, X10
	PADDQ X0, X10
	MOVO X10, X0
	PSRLDQ $8, X0
	PADDQ X0, X10
	MOVQ X10, squares+40(FP)
	RET

//go:build !scalar

#include "textflag.h"

// Four neighbouring values in lanes, SSE2 only, which every amd64 processor has. Each kernel does the steps of
// its plain twin in the same order.

// func pass4(re, im, factors *float32, m int)
TEXT ·pass4(SB), NOSPLIT, $0-32
	MOVQ re+0(FP), R8
	MOVQ im+8(FP), R9
	MOVQ factors+16(FP), R10
	MOVQ m+24(FP), CX
	SHLQ $2, CX            // bytes between the points of a butterfly
	LEAQ (CX)(CX*2), DX
	MOVQ $1024, BX         // bytes that are left of 256 points

block:
	MOVQ R10, R11
	MOVQ CX, AX

butterfly:
	MOVUPS (R8), X0        // ar
	MOVUPS (R8)(CX*1), X1  // br
	MOVUPS (R8)(CX*2), X2  // cr
	MOVUPS (R8)(DX*1), X3  // dr
	MOVUPS (R9), X4        // ai
	MOVUPS (R9)(CX*1), X5  // bi
	MOVUPS (R9)(CX*2), X6  // ci
	MOVUPS (R9)(DX*1), X7  // di
	MOVAPS X0, X8
	ADDPS X2, X8           // sr
	SUBPS X2, X0           // er
	MOVAPS X4, X9
	ADDPS X6, X9           // si
	SUBPS X6, X4           // ei
	MOVAPS X1, X10
	ADDPS X3, X10          // tr
	SUBPS X3, X1           // fr
	MOVAPS X5, X11
	ADDPS X7, X11          // ti
	SUBPS X7, X5           // fi

	MOVAPS X8, X12
	ADDPS X10, X12
	MOVUPS X12, (R8)
	MOVAPS X9, X13
	ADDPS X11, X13
	MOVUPS X13, (R9)

	SUBPS X10, X8          // s - t, times the second factor
	SUBPS X11, X9
	MOVUPS 32(R11), X2
	MOVUPS 48(R11), X3
	MOVAPS X8, X6
	MULPS X2, X6
	MOVAPS X9, X7
	MULPS X3, X7
	SUBPS X7, X6
	MULPS X3, X8
	MULPS X2, X9
	ADDPS X9, X8
	MOVUPS X6, (R8)(CX*2)
	MOVUPS X8, (R9)(CX*2)

	MOVAPS X0, X8          // e - i f, times the first
	ADDPS X5, X8
	MOVAPS X4, X9
	SUBPS X1, X9
	MOVUPS (R11), X2
	MOVUPS 16(R11), X3
	MOVAPS X8, X6
	MULPS X2, X6
	MOVAPS X9, X7
	MULPS X3, X7
	SUBPS X7, X6
	MULPS X3, X8
	MULPS X2, X9
	ADDPS X9, X8
	MOVUPS X6, (R8)(CX*1)
	MOVUPS X8, (R9)(CX*1)

	SUBPS X5, X0           // e + i f, times the third
	ADDPS X1, X4
	MOVUPS 64(R11), X2
	MOVUPS 80(R11), X3
	MOVAPS X0, X6
	MULPS X2, X6
	MOVAPS X4, X7
	MULPS X3, X7
	SUBPS X7, X6
	MULPS X3, X0
	MULPS X2, X4
	ADDPS X4, X0
	MOVUPS X6, (R8)(DX*1)
	MOVUPS X0, (R9)(DX*1)

	ADDQ $16, R8
	ADDQ $16, R9
	ADDQ $96, R11
	SUBQ $16, AX
	JNZ butterfly
	ADDQ DX, R8
	ADDQ DX, R9
	SUBQ DX, BX
	SUBQ CX, BX
	JNZ block
	RET

// func radix4last16(re, im *float32)
TEXT ·radix4last16(SB), NOSPLIT, $0-16
	MOVQ re+0(FP), R8
	MOVQ im+8(FP), R9
	MOVQ $16, CX           // times 16 points

last:
	MOVUPS (R8), X0
	MOVUPS 16(R8), X1
	MOVUPS 32(R8), X2
	MOVUPS 48(R8), X3
	MOVAPS X0, X4
	UNPCKLPS X1, X0        // a0 a1 b0 b1
	UNPCKHPS X1, X4        // c0 c1 d0 d1
	MOVAPS X2, X5
	UNPCKLPS X3, X2        // a2 a3 b2 b3
	UNPCKHPS X3, X5        // c2 c3 d2 d3
	MOVAPS X0, X1
	MOVLHPS X2, X0         // ar
	MOVHLPS X1, X2         // br
	MOVAPS X4, X3
	MOVLHPS X5, X4         // cr
	MOVHLPS X3, X5         // dr

	MOVUPS (R9), X6
	MOVUPS 16(R9), X7
	MOVUPS 32(R9), X8
	MOVUPS 48(R9), X9
	MOVAPS X6, X10
	UNPCKLPS X7, X6
	UNPCKHPS X7, X10
	MOVAPS X8, X11
	UNPCKLPS X9, X8
	UNPCKHPS X9, X11
	MOVAPS X6, X7
	MOVLHPS X8, X6         // ai
	MOVHLPS X7, X8         // bi
	MOVAPS X10, X9
	MOVLHPS X11, X10       // ci
	MOVHLPS X9, X11        // di

	MOVAPS X0, X1
	ADDPS X4, X1           // sr
	SUBPS X4, X0           // er
	MOVAPS X6, X3
	ADDPS X10, X3          // si
	SUBPS X10, X6          // ei
	MOVAPS X2, X7
	ADDPS X5, X7           // tr
	SUBPS X5, X2           // fr
	MOVAPS X8, X9
	ADDPS X11, X9          // ti
	SUBPS X11, X8          // fi

	MOVAPS X1, X12
	ADDPS X7, X12
	MOVUPS X12, (R8)
	MOVAPS X3, X13
	ADDPS X9, X13
	MOVUPS X13, (R9)
	MOVAPS X0, X12
	ADDPS X8, X12
	MOVUPS X12, 16(R8)
	MOVAPS X6, X13
	SUBPS X2, X13
	MOVUPS X13, 16(R9)
	SUBPS X7, X1
	MOVUPS X1, 32(R8)
	SUBPS X9, X3
	MOVUPS X3, 32(R9)
	SUBPS X8, X0
	MOVUPS X0, 48(R8)
	ADDPS X2, X6
	MOVUPS X6, 48(R9)

	ADDQ $64, R8
	ADDQ $64, R9
	SUBQ $1, CX
	JNZ last
	RET

// func windowed(re, im, x, window *float32, mean, coefficient float32)
TEXT ·windowed(SB), NOSPLIT, $0-40
	MOVQ re+0(FP), R8
	MOVQ im+8(FP), R9
	MOVQ x+16(FP), SI
	MOVQ window+24(FP), DI
	MOVSS mean+32(FP), X14
	SHUFPS $0, X14, X14
	MOVSS coefficient+36(FP), X15
	SHUFPS $0, X15, X15
	MOVQ $50, CX           // times 8 samples
	MOVUPS (SI), X0
	MOVAPS X0, X1
	SHUFPS $0x90, X1, X1   // the first sample is its own predecessor
	JMP have

window:
	MOVUPS (SI), X0
	MOVUPS -4(SI), X1

have:
	MOVUPS 16(SI), X2
	MOVUPS 12(SI), X3
	SUBPS X14, X0
	SUBPS X14, X1
	SUBPS X14, X2
	SUBPS X14, X3
	MULPS X15, X1
	MULPS X15, X3
	SUBPS X1, X0
	SUBPS X3, X2
	MOVUPS (DI), X4
	MOVUPS 16(DI), X5
	MULPS X4, X0
	MULPS X5, X2
	MOVAPS X0, X4
	SHUFPS $0x88, X2, X0   // even samples
	SHUFPS $0xdd, X2, X4   // odd ones
	MOVUPS X0, (R8)
	MOVUPS X4, (R9)
	ADDQ $32, SI
	ADDQ $32, DI
	ADDQ $16, R8
	ADDQ $16, R9
	SUBQ $1, CX
	JNZ window
	RET

// func sumBlocks(sums, wave *float32, blocks int)
TEXT ·sumBlocks(SB), NOSPLIT, $0-24
	MOVQ sums+0(FP), DI
	MOVQ wave+8(FP), SI
	MOVQ blocks+16(FP), CX

sum:
	XORPS X0, X0
	XORPS X1, X1
	MOVQ $10, AX

strand:
	MOVUPS (SI), X2
	MOVUPS 16(SI), X3
	ADDPS X2, X0
	ADDPS X3, X1
	ADDQ $32, SI
	SUBQ $1, AX
	JNZ strand
	MOVAPS X0, X2
	SHUFPS $0x88, X1, X0   // s0 s2 s4 s6
	SHUFPS $0xdd, X1, X2   // s1 s3 s5 s7
	ADDPS X2, X0
	MOVAPS X0, X2
	SHUFPS $0x88, X0, X0
	SHUFPS $0xdd, X2, X2
	ADDPS X2, X0
	MOVAPS X0, X2
	SHUFPS $0x55, X2, X2
	ADDSS X2, X0
	MOVSS X0, (DI)
	ADDQ $4, DI
	SUBQ $1, CX
	JNZ sum
	RET

// func logarithms4(values, constants *float32, n int, mean, std float32)
TEXT ·logarithms4(SB), NOSPLIT, $0-32
	MOVQ values+0(FP), DI
	MOVQ constants+8(FP), SI
	MOVQ n+16(FP), CX
	MOVSS mean+24(FP), X12
	SHUFPS $0, X12, X12
	MOVSS std+28(FP), X13
	SHUFPS $0, X13, X13
	MOVUPS (SI), X14       // halfSqrt2Bits
	MOVUPS 16(SI), X15     // 0x7fffff
	MOVUPS 32(SI), X11     // 1
	MOVUPS 48(SI), X10     // the floor
	MOVUPS 64(SI), X9      // ln2Low
	MOVUPS 80(SI), X8      // ln2High
	MOVUPS 96(SI), X7      // -0.5

log:
	MOVUPS (DI), X1
	MOVAPS X10, X0
	MAXPS X1, X0           // the second operand wins where one is not a number
	MOVAPS X0, X1
	PSUBL X14, X1
	MOVO X1, X2
	PSRAL $23, X2
	CVTPL2PS X2, X2        // exponent
	PAND X15, X1
	PADDL X14, X1
	SUBPS X11, X1          // m
	MOVAPS X1, X3
	MULPS X1, X3           // z
	MOVUPS 112(SI), X4     // logP0
	MULPS X1, X4
	MOVUPS 128(SI), X5
	ADDPS X5, X4
	MULPS X1, X4
	MOVUPS 144(SI), X6
	ADDPS X6, X4
	MULPS X1, X4
	MOVUPS 160(SI), X5
	ADDPS X5, X4
	MULPS X1, X4
	MOVUPS 176(SI), X6
	ADDPS X6, X4
	MULPS X1, X4
	MOVUPS 192(SI), X5
	ADDPS X5, X4
	MULPS X1, X4
	MOVUPS 208(SI), X6
	ADDPS X6, X4
	MULPS X1, X4
	MOVUPS 224(SI), X5
	ADDPS X5, X4
	MULPS X1, X4
	MOVUPS 240(SI), X6     // logP8
	ADDPS X6, X4
	MULPS X1, X4
	MULPS X3, X4
	MOVAPS X2, X5
	MULPS X9, X5
	ADDPS X5, X4
	MULPS X7, X3
	ADDPS X3, X4
	ADDPS X4, X1
	MULPS X8, X2
	ADDPS X1, X2
	MOVAPS X0, X5
	SUBPS X0, X5           // what is not finite stays so
	ADDPS X5, X2
	SUBPS X12, X2
	DIVPS X13, X2
	MOVUPS X2, (DI)
	ADDQ $16, DI
	SUBQ $4, CX
	JNZ log
	RET

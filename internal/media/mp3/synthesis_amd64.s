//go:build !scalar

#include "textflag.h"

// Four values in lanes, SSE2 only, which every amd64 processor has. Each kernel takes the steps of its plain twin in
// the same order, so that the bits are the same.

// BROADCAST fills a register with the factor n of the table at DX.
#define BROADCAST(n, to) \
	MOVSS (4*(n))(DX), to; \
	SHUFPS $0, to, to

// HALVE makes of two values, a and b, their sum in a and their difference times a factor in b; t is spoiled.
#define HALVE(a, b, factor, t) \
	MOVAPS a, t; \
	ADDPS b, a; \
	SUBPS b, t; \
	MULPS factor, t; \
	MOVAPS t, b

// DCT4 is dct4 of a, b, c, d, to c0 in a, c1 in d, c2 in b, c3 in c; X12 to X14 hold its three factors. t is spoiled.
#define DCT4(a, b, c, d, t) \
	HALVE(a, d, X12, t); \
	HALVE(b, c, X13, t); \
	HALVE(a, b, X14, t); \
	MOVAPS d, t; \
	SUBPS c, t; \
	MULPS X14, t; \
	ADDPS c, d; \
	ADDPS t, d; \
	MOVAPS t, c

// func matrix4(subband, v, cosines, scratch *float32)
//
// The scratch holds 32 values of four lanes, and 32 more from byte 512 on.
TEXT ·matrix4(SB), NOSPLIT, $0-32
	MOVQ subband+0(FP), SI
	MOVQ v+8(FP), DI
	MOVQ cosines+16(FP), DX
	MOVQ scratch+24(FP), R12

	// x to c: sums and differences of 32
	LEAQ 2480(SI), R8 // the last subband
	LEAQ 0(R12), R9
	MOVQ DX, R10
	MOVQ $16, CX

first:
	MOVUPS (SI), X0
	MOVUPS (R8), X1
	MOVSS (R10), X2
	SHUFPS $0, X2, X2
	HALVE(X0, X1, X2, X3)
	MOVUPS X0, (R9)
	MOVUPS X1, 256(R9)
	ADDQ $80, SI
	SUBQ $80, R8
	ADDQ $16, R9
	ADDQ $4, R10
	DECQ CX
	JNZ first

	// of 16, and back to x, at 512(R12)
	LEAQ 0(R12), SI
	LEAQ 240(R12), R8
	LEAQ 512(R12), R9
	MOVQ $8, CX

second:
	MOVUPS (SI), X0
	MOVUPS (R8), X1
	MOVSS (R10), X2
	SHUFPS $0, X2, X2
	HALVE(X0, X1, X2, X3)
	MOVUPS X0, (R9)
	MOVUPS X1, 128(R9)
	MOVUPS 256(SI), X0
	MOVUPS 256(R8), X1
	HALVE(X0, X1, X2, X3)
	MOVUPS X0, 256(R9)
	MOVUPS X1, 384(R9)
	ADDQ $16, SI
	SUBQ $16, R8
	ADDQ $16, R9
	ADDQ $4, R10
	DECQ CX
	JNZ second

	// of 8 and of 4, in registers
	LEAQ 512(R12), R9
	MOVQ $4, CX
	BROADCAST(28, X12)
	BROADCAST(29, X13)
	BROADCAST(30, X14)

third:
	MOVUPS (R9), X0
	MOVUPS 112(R9), X7
	BROADCAST(24, X8)
	HALVE(X0, X7, X8, X9)
	MOVUPS 16(R9), X1
	MOVUPS 96(R9), X6
	BROADCAST(25, X8)
	HALVE(X1, X6, X8, X9)
	MOVUPS 32(R9), X2
	MOVUPS 80(R9), X5
	BROADCAST(26, X8)
	HALVE(X2, X5, X8, X9)
	MOVUPS 48(R9), X3
	MOVUPS 64(R9), X4
	BROADCAST(27, X8)
	HALVE(X3, X4, X8, X9)
	DCT4(X0, X1, X2, X3, X9) // s0 X0, s1 X3, s2 X1, s3 X2
	DCT4(X7, X6, X5, X4, X9) // g0 X7, g1 X4, g2 X6, g3 X5
	MOVUPS X0, (R9)
	MOVUPS X3, 32(R9)
	MOVUPS X1, 64(R9)
	MOVUPS X2, 96(R9)
	ADDPS X4, X7
	MOVUPS X7, 16(R9)
	ADDPS X6, X4
	MOVUPS X4, 48(R9)
	ADDPS X5, X6
	MOVUPS X6, 80(R9)
	MOVUPS X5, 112(R9)
	ADDQ $128, R9
	DECQ CX
	JNZ third

	// back to 16, at 0(R12): even ones as they are, odd ones the sum of neighbours
	LEAQ 512(R12), SI
	LEAQ 0(R12), R9
	MOVQ $2, BX

fourth:
	MOVQ $7, CX
	MOVUPS 128(SI), X1

pairs:
	MOVUPS (SI), X0
	MOVUPS 144(SI), X2
	ADDPS X2, X1
	MOVUPS X0, (R9)
	MOVUPS X1, 16(R9)
	MOVAPS X2, X1
	ADDQ $16, SI
	ADDQ $32, R9
	DECQ CX
	JNZ pairs
	MOVUPS (SI), X0
	MOVUPS X0, (R9)
	MOVUPS X1, 16(R9)
	ADDQ $144, SI
	ADDQ $32, R9
	DECQ BX
	JNZ fourth

	// and to 32, at 512(R12)
	LEAQ 0(R12), SI
	LEAQ 512(R12), R9
	MOVQ $15, CX
	MOVUPS 256(SI), X1

last:
	MOVUPS (SI), X0
	MOVUPS 272(SI), X2
	ADDPS X2, X1
	MOVUPS X0, (R9)
	MOVUPS X1, 16(R9)
	MOVAPS X2, X1
	ADDQ $16, SI
	ADDQ $32, R9
	DECQ CX
	JNZ last
	MOVUPS (SI), X0
	MOVUPS X0, (R9)
	MOVUPS X1, 16(R9)

	// From four lanes of each value to four values of each time, and to where its symmetries have it: value m at
	// 48-m with the other sign, and at 48+m, too, with the other sign for m < 16, at m-16 as it is otherwise.
	LEAQ 512(R12), SI
	LEAQ 180(DI), R8 // 45
	LEAQ 192(DI), R9 // 48
	XORQ R11, R11
	MOVL $0x80000000, AX
	MOVL AX, X15
	SHUFPS $0, X15, X15
	MOVAPS X15, X14  // the sign of what goes forward
	MOVQ $8, CX

spread:
	MOVUPS (SI), X0
	MOVUPS 16(SI), X1
	MOVUPS 32(SI), X2
	MOVUPS 48(SI), X3
	MOVAPS X0, X4
	UNPCKLPS X1, X4
	UNPCKHPS X1, X0
	MOVAPS X2, X5
	UNPCKLPS X3, X5
	UNPCKHPS X3, X2
	MOVAPS X4, X6
	MOVLHPS X5, X6   // the first time
	MOVHLPS X4, X5   // the second
	MOVAPS X0, X7
	MOVLHPS X2, X7   // the third
	MOVHLPS X0, X2   // the fourth
	MOVAPS X6, X8
	XORPS X14, X6
	MOVUPS X6, (R9)
	XORPS X15, X8
	SHUFPS $0x1b, X8, X8
	MOVUPS X8, (R8)
	MOVAPS X5, X8
	XORPS X14, X5
	MOVUPS X5, -256(R9)
	XORPS X15, X8
	SHUFPS $0x1b, X8, X8
	MOVUPS X8, -256(R8)
	MOVAPS X7, X8
	XORPS X14, X7
	MOVUPS X7, -512(R9)
	XORPS X15, X8
	SHUFPS $0x1b, X8, X8
	MOVUPS X8, -512(R8)
	MOVAPS X2, X8
	XORPS X14, X2
	MOVUPS X2, -768(R9)
	XORPS X15, X8
	SHUFPS $0x1b, X8, X8
	MOVUPS X8, -768(R8)
	ADDQ $64, SI
	SUBQ $16, R8
	ADDQ $16, R9
	CMPQ CX, $5
	JNE forward
	MOVQ DI, R9      // from the 16th value on
	XORPS X14, X14

forward:
	DECQ CX
	JNZ spread
	MOVL R11, 64(DI)
	MOVL R11, -192(DI)
	MOVL R11, -448(DI)
	MOVL R11, -704(DI)
	RET

// TAP multiplies the values from n on of v by the window's row i.
#define TAP(n, i, to, t) \
	MOVUPS (4*(n))(SI), to; \
	MOVUPS (128*(i))(DX), t; \
	MULPS t, to

// TAPS puts the sum of four products in to.
#define TAPS(n, i, to) \
	TAP(n, i, to, X5); \
	TAP(n+96, i+1, X2, X6); \
	TAP(n+128, i+2, X3, X7); \
	TAP(n+224, i+3, X4, X8); \
	ADDPS X2, to; \
	ADDPS X3, to; \
	ADDPS X4, to

// func window4(out, v, d *float32)
TEXT ·window4(SB), NOSPLIT, $0-24
	MOVQ out+0(FP), DI
	MOVQ v+8(FP), R8
	MOVQ d+16(FP), R9
	MOVQ $18, CX

time:
	MOVQ R8, SI
	MOVQ R9, DX
	MOVQ $8, BX

samples:
	TAPS(0, 0, X0)
	TAPS(256, 4, X1)
	ADDPS X1, X0
	TAPS(512, 8, X1)
	ADDPS X1, X0
	TAPS(768, 12, X1)
	ADDPS X1, X0
	MOVUPS X0, (DI)
	ADDQ $16, DI
	ADDQ $16, SI
	ADDQ $16, DX
	DECQ BX
	JNZ samples
	SUBQ $256, R8
	DECQ CX
	JNZ time
	RET

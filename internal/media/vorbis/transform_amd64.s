//go:build !scalar

#include "textflag.h"

// Four neighbouring values in lanes, SSE2 only, which every amd64 processor has. Each kernel takes the steps of its
// plain twin in the same order, so that the bits are the same.

// TURN multiplies the complex (re, im) by (c, s): re becomes im', to becomes re'; im and t are spoiled.
//   to = re c - im s, re = re s + im c
#define TURN(re, im, c, s, to, t) \
	MOVAPS re, to; \
	MULPS c, to; \
	MOVAPS im, t; \
	MULPS s, t; \
	SUBPS t, to; \
	MULPS s, re; \
	MULPS c, im; \
	ADDPS im, re

// LOAD reads four points of four lanes each: real parts to X0 to X3, imaginary ones to X4 to X7. BX and R13 are the
// distances to the second and the fourth.
#define LOAD \
	MOVUPS (R8), X0; \
	MOVUPS (R8)(BX*1), X1; \
	MOVUPS (R8)(BX*2), X2; \
	MOVUPS (R8)(R13*1), X3; \
	MOVUPS (R9), X4; \
	MOVUPS (R9)(BX*1), X5; \
	MOVUPS (R9)(BX*2), X6; \
	MOVUPS (R9)(R13*1), X7

// SUMS makes of the points a, b, c, d: s = a + c in X8, X9, e = a - c in X0, X4, t = b + d in X10, X11 and f = b - d in
// X1, X5.
#define SUMS \
	MOVAPS X0, X8; \
	ADDPS X2, X8; \
	SUBPS X2, X0; \
	MOVAPS X4, X9; \
	ADDPS X6, X9; \
	SUBPS X6, X4; \
	MOVAPS X1, X10; \
	ADDPS X3, X10; \
	SUBPS X3, X1; \
	MOVAPS X5, X11; \
	ADDPS X7, X11; \
	SUBPS X7, X5

// BUTTERFLY goes on to the four results, times the factors at R12: X12, X13; X6, X3; X2, X8; X7, X0.
#define BUTTERFLY \
	MOVAPS X8, X12; \
	ADDPS X10, X12; \
	MOVAPS X9, X13; \
	ADDPS X11, X13; \
	SUBPS X10, X8; \
	SUBPS X11, X9; \
	MOVUPS 32(R12), X14; \
	MOVUPS 48(R12), X15; \
	TURN(X8, X9, X14, X15, X2, X3); \
	MOVAPS X0, X3; \
	ADDPS X5, X3; \
	MOVAPS X4, X9; \
	SUBPS X1, X9; \
	MOVUPS (R12), X14; \
	MOVUPS 16(R12), X15; \
	TURN(X3, X9, X14, X15, X6, X7); \
	SUBPS X5, X0; \
	ADDPS X1, X4; \
	MOVUPS 64(R12), X14; \
	MOVUPS 80(R12), X15; \
	TURN(X0, X4, X14, X15, X7, X9)

// TRANSPOSE stores four results of four lanes at to, lane after lane; a and c are spoiled, and X1, X4, X5, X9.
#define TRANSPOSE(a, b, c, d, to) \
	MOVAPS a, X1; \
	UNPCKLPS b, X1; \
	UNPCKHPS b, a; \
	MOVAPS c, X4; \
	UNPCKLPS d, X4; \
	UNPCKHPS d, c; \
	MOVAPS X1, X5; \
	MOVLHPS X4, X5; \
	MOVHLPS X1, X4; \
	MOVAPS a, X9; \
	MOVLHPS c, X9; \
	MOVHLPS a, c; \
	MOVUPS X5, (to); \
	MOVUPS X4, 16(to); \
	MOVUPS X9, 32(to); \
	MOVUPS c, 48(to)

// func firstPass4(yr, yi, xr, xi, factors *float32, m int)
TEXT ·firstPass4(SB), NOSPLIT, $0-48
	MOVQ yr+0(FP), R10
	MOVQ yi+8(FP), R11
	MOVQ xr+16(FP), R8
	MOVQ xi+24(FP), R9
	MOVQ factors+32(FP), R12
	MOVQ m+40(FP), CX
	MOVQ CX, BX
	SHLQ $2, BX
	LEAQ (BX)(BX*2), R13

points:
	LOAD
	SUMS
	BUTTERFLY
	TRANSPOSE(X12, X6, X2, X7, R10)
	TRANSPOSE(X13, X3, X8, X0, R11)
	ADDQ $16, R8
	ADDQ $16, R9
	ADDQ $64, R10
	ADDQ $64, R11
	ADDQ $96, R12
	SUBQ $4, CX
	JNZ points
	RET

// func pass4(yr, yi, xr, xi, factors *float32, m, s int)
TEXT ·pass4(SB), NOSPLIT, $0-56
	MOVQ yr+0(FP), R10
	MOVQ yi+8(FP), R11
	MOVQ xr+16(FP), R8
	MOVQ xi+24(FP), R9
	MOVQ factors+32(FP), R12
	MOVQ m+40(FP), CX
	MOVQ s+48(FP), DX
	MOVQ CX, BX
	IMULQ DX, BX
	SHLQ $2, BX
	LEAQ (BX)(BX*2), R13
	SHLQ $2, DX
	LEAQ (DX)(DX*2), SI

group:
	MOVQ DX, AX

neighbours:
	LOAD
	SUMS
	BUTTERFLY
	MOVUPS X12, (R10)
	MOVUPS X13, (R11)
	MOVUPS X6, (R10)(DX*1)
	MOVUPS X3, (R11)(DX*1)
	MOVUPS X2, (R10)(DX*2)
	MOVUPS X8, (R11)(DX*2)
	MOVUPS X7, (R10)(SI*1)
	MOVUPS X0, (R11)(SI*1)
	ADDQ $16, R8
	ADDQ $16, R9
	ADDQ $16, R10
	ADDQ $16, R11
	SUBQ $16, AX
	JNZ neighbours
	ADDQ SI, R10
	ADDQ SI, R11
	ADDQ $96, R12
	DECQ CX
	JNZ group
	RET

// func lastPass4x4(yr, yi, xr, xi *float32, s int)
TEXT ·lastPass4x4(SB), NOSPLIT, $0-40
	MOVQ yr+0(FP), R10
	MOVQ yi+8(FP), R11
	MOVQ xr+16(FP), R8
	MOVQ xi+24(FP), R9
	MOVQ s+32(FP), BX
	SHLQ $2, BX
	LEAQ (BX)(BX*2), R13
	MOVQ BX, AX

last4:
	LOAD
	SUMS
	MOVAPS X8, X12
	ADDPS X10, X12
	SUBPS X10, X8
	MOVAPS X9, X13
	ADDPS X11, X13
	SUBPS X11, X9
	MOVAPS X0, X2
	ADDPS X5, X2
	SUBPS X5, X0
	MOVAPS X4, X3
	SUBPS X1, X3
	ADDPS X1, X4
	MOVUPS X12, (R10)
	MOVUPS X13, (R11)
	MOVUPS X2, (R10)(BX*1)
	MOVUPS X3, (R11)(BX*1)
	MOVUPS X8, (R10)(BX*2)
	MOVUPS X9, (R11)(BX*2)
	MOVUPS X0, (R10)(R13*1)
	MOVUPS X4, (R11)(R13*1)
	ADDQ $16, R8
	ADDQ $16, R9
	ADDQ $16, R10
	ADDQ $16, R11
	SUBQ $16, AX
	JNZ last4
	RET

// func lastPass2x4(yr, yi, xr, xi *float32, s int)
TEXT ·lastPass2x4(SB), NOSPLIT, $0-40
	MOVQ yr+0(FP), R10
	MOVQ yi+8(FP), R11
	MOVQ xr+16(FP), R8
	MOVQ xi+24(FP), R9
	MOVQ s+32(FP), BX
	SHLQ $2, BX
	MOVQ BX, AX

last2:
	MOVUPS (R8), X0
	MOVUPS (R8)(BX*1), X1
	MOVUPS (R9), X4
	MOVUPS (R9)(BX*1), X5
	MOVAPS X0, X2
	ADDPS X1, X2
	SUBPS X1, X0
	MOVAPS X4, X3
	ADDPS X5, X3
	SUBPS X5, X4
	MOVUPS X2, (R10)
	MOVUPS X3, (R11)
	MOVUPS X0, (R10)(BX*1)
	MOVUPS X4, (R11)(BX*1)
	ADDQ $16, R8
	ADDQ $16, R9
	ADDQ $16, R10
	ADDQ $16, R11
	SUBQ $16, AX
	JNZ last2
	RET

// func rotateIn4(re, im, x, cos, sin *float32, n int)
TEXT ·rotateIn4(SB), NOSPLIT, $0-48
	MOVQ re+0(FP), R10
	MOVQ im+8(FP), R11
	MOVQ x+16(FP), R8
	MOVQ cos+24(FP), R12
	MOVQ sin+32(FP), R13
	MOVQ n+40(FP), CX
	LEAQ -32(R8)(CX*4), R9 // the last eight

in:
	MOVUPS (R8), X0
	MOVUPS 16(R8), X1
	SHUFPS $0x88, X1, X0   // the even ones
	MOVUPS (R9), X2
	MOVUPS 16(R9), X1
	SHUFPS $0x77, X2, X1   // the odd ones, from the end
	MOVUPS (R12), X4
	MOVUPS (R13), X5
	TURN(X0, X1, X4, X5, X2, X3)
	MOVUPS X2, (R10)
	MOVUPS X0, (R11)
	ADDQ $32, R8
	SUBQ $32, R9
	ADDQ $16, R10
	ADDQ $16, R11
	ADDQ $16, R12
	ADDQ $16, R13
	SUBQ $8, CX
	JNZ in
	RET

// func rotateOut4(y, re, im, cos, sin *float32, n int)
//
// From both ends at once: the values of each end that go to even places lie beside those of the other that go to odd
// ones.
TEXT ·rotateOut4(SB), NOSPLIT, $0-48
	MOVQ y+0(FP), R8
	MOVQ re+8(FP), R10
	MOVQ im+16(FP), R11
	MOVQ cos+24(FP), R12
	MOVQ sin+32(FP), R13
	MOVQ n+40(FP), CX
	LEAQ -32(R8)(CX*4), R9
	LEAQ -16(CX*2), AX     // bytes to the last four
	XORQ BX, BX
	MOVL $0x80000000, DX
	MOVL DX, X15
	SHUFPS $0, X15, X15

out:
	MOVUPS (R10)(BX*1), X0
	MOVUPS (R11)(BX*1), X1
	MOVUPS (R12)(BX*1), X4
	MOVUPS (R13)(BX*1), X5
	TURN(X0, X1, X4, X5, X2, X3)  // X2 to even places of the front, X0 to odd ones of the back
	MOVUPS (R10)(AX*1), X6
	MOVUPS (R11)(AX*1), X1
	MOVUPS (R12)(AX*1), X4
	MOVUPS (R13)(AX*1), X5
	TURN(X6, X1, X4, X5, X7, X3)  // X7 to even places of the back, X6 to odd ones of the front
	XORPS X15, X0
	XORPS X15, X6
	SHUFPS $0x1b, X0, X0
	SHUFPS $0x1b, X6, X6
	MOVAPS X2, X3
	UNPCKLPS X6, X2
	UNPCKHPS X6, X3
	MOVUPS X2, (R8)
	MOVUPS X3, 16(R8)
	MOVAPS X7, X3
	UNPCKLPS X0, X7
	UNPCKHPS X0, X3
	MOVUPS X7, (R9)
	MOVUPS X3, 16(R9)
	ADDQ $32, R8
	SUBQ $32, R9
	ADDQ $16, BX
	SUBQ $16, AX
	CMPQ BX, AX
	JL out
	RET

// func lap4(out, a, b, window *float32, n int)
TEXT ·lap4(SB), NOSPLIT, $0-40
	MOVQ out+0(FP), R8
	MOVQ a+8(FP), R10
	MOVQ b+16(FP), R11
	MOVQ window+24(FP), R12
	MOVQ n+32(FP), CX
	LEAQ -16(R8)(CX*4), R9
	LEAQ -16(R12)(CX*4), R13
	LEAQ -16(R10)(CX*2), R10
	MOVL $0x80000000, DX
	MOVL DX, X15
	SHUFPS $0, X15, X15

laps:
	MOVUPS (R10), X0       // a, from its end
	SHUFPS $0x1b, X0, X0
	MOVUPS (R11), X1       // b
	MOVUPS (R12), X2       // up
	MOVUPS (R13), X3       // down
	SHUFPS $0x1b, X3, X3
	MOVAPS X1, X4
	MULPS X2, X4
	MOVAPS X0, X5
	MULPS X3, X5
	SUBPS X5, X4
	MOVUPS X4, (R8)
	MULPS X3, X1
	MULPS X2, X0
	ADDPS X0, X1
	XORPS X15, X1
	SHUFPS $0x1b, X1, X1
	MOVUPS X1, (R9)
	ADDQ $16, R8
	SUBQ $16, R9
	SUBQ $16, R10
	ADDQ $16, R11
	ADDQ $16, R12
	SUBQ $16, R13
	SUBQ $8, CX
	JNZ laps
	RET

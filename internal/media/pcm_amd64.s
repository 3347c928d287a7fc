//go:build !scalar

#include "textflag.h"

// func convert8x16(dst *float32, src *byte, n int)
//
// SSE2 only, which every amd64 processor has.
TEXT ·convert8x16(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVL $0x38000000, AX // 2^-15
	MOVL AX, X4
	SHUFPS $0, X4, X4

loop:
	// Each 16-bit value twice makes a 32-bit one, whose upper half is shifted down with its sign.
	MOVOU (SI), X0
	MOVO X0, X1
	PUNPCKLWL X0, X0
	PUNPCKHWL X1, X1
	PSRAL $16, X0
	PSRAL $16, X1
	CVTPL2PS X0, X0
	CVTPL2PS X1, X1
	MULPS X4, X0
	MULPS X4, X1
	MOVUPS X0, (DI)
	MOVUPS X1, 16(DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loop
	RET

// func separate8x16(left, right *float32, src *byte, n int)
//
// SSE2 only.
TEXT ·separate8x16(SB), NOSPLIT, $0-32
	MOVQ left+0(FP), DI
	MOVQ right+8(FP), DX
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	MOVL $0x38000000, AX // 2^-15
	MOVL AX, X4
	SHUFPS $0, X4, X4

stereo:
	// A pair is 32 bits, the left one in the lower half.
	MOVOU (SI), X0
	MOVOU 16(SI), X1
	MOVO X0, X2
	MOVO X1, X3
	PSLLL $16, X0
	PSLLL $16, X1
	PSRAL $16, X0
	PSRAL $16, X1
	PSRAL $16, X2
	PSRAL $16, X3
	CVTPL2PS X0, X0
	CVTPL2PS X1, X1
	CVTPL2PS X2, X2
	CVTPL2PS X3, X3
	MULPS X4, X0
	MULPS X4, X1
	MULPS X4, X2
	MULPS X4, X3
	MOVUPS X0, (DI)
	MOVUPS X1, 16(DI)
	MOVUPS X2, (DX)
	MOVUPS X3, 16(DX)
	ADDQ $32, SI
	ADDQ $32, DI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ stereo
	RET

// func average8(left, right *float32, n int)
//
// SSE2 only.
TEXT ·average8(SB), NOSPLIT, $0-24
	MOVQ left+0(FP), DI
	MOVQ right+8(FP), SI
	MOVQ n+16(FP), CX
	MOVL $0x3f000000, AX // 0.5
	MOVL AX, X4
	SHUFPS $0, X4, X4

means:
	MOVUPS (DI), X0
	MOVUPS 16(DI), X1
	MOVUPS (SI), X2
	MOVUPS 16(SI), X3
	ADDPS X2, X0
	ADDPS X3, X1
	MULPS X4, X0
	MULPS X4, X1
	MOVUPS X0, (DI)
	MOVUPS X1, 16(DI)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ means
	RET

//go:build !scalar

#include "textflag.h"

// func separate8(left, right, pairs *float32, n int)
//
// SSE2 only.
TEXT ·separate8(SB), NOSPLIT, $0-32
	MOVQ left+0(FP), DI
	MOVQ right+8(FP), DX
	MOVQ pairs+16(FP), SI
	MOVQ n+24(FP), CX

pairs:
	MOVUPS (SI), X0
	MOVUPS 16(SI), X1
	MOVUPS 32(SI), X2
	MOVUPS 48(SI), X3
	MOVAPS X0, X4
	MOVAPS X2, X5
	SHUFPS $0x88, X1, X0 // the even ones of both
	SHUFPS $0xdd, X1, X4 // the odd ones
	SHUFPS $0x88, X3, X2
	SHUFPS $0xdd, X3, X5
	MOVUPS X0, (DI)
	MOVUPS X2, 16(DI)
	MOVUPS X4, (DX)
	MOVUPS X5, 16(DX)
	ADDQ $64, SI
	ADDQ $32, DI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ pairs
	RET

// func interleave4(pairs, left, right *float32, n int)
//
// SSE2 only.
TEXT ·interleave4(SB), NOSPLIT, $0-32
	MOVQ pairs+0(FP), DI
	MOVQ left+8(FP), SI
	MOVQ right+16(FP), DX
	MOVQ n+24(FP), CX

together:
	MOVUPS (SI), X0
	MOVUPS (DX), X1
	MOVAPS X0, X2
	UNPCKLPS X1, X0
	UNPCKHPS X1, X2
	MOVUPS X0, (DI)
	MOVUPS X2, 16(DI)
	ADDQ $32, DI
	ADDQ $16, SI
	ADDQ $16, DX
	SUBQ $4, CX
	JNZ together
	RET

//go:build !scalar

#include "textflag.h"

// What is done to the two channels of a frame when they have been decoded, four samples at a time. SSE2 only,
// which every amd64 processor has. n is a positive multiple of 4.

// func interleave4(out *float32, l, r *int32, n int, scale float32)
TEXT ·interleave4(SB), NOSPLIT, $0-36
	MOVQ out+0(FP), DI
	MOVQ l+8(FP), SI
	MOVQ r+16(FP), DX
	MOVQ n+24(FP), CX
	MOVSS scale+32(FP), X4
	SHUFPS $0, X4, X4

floats:
	MOVOU (SI), X0
	MOVOU (DX), X1
	CVTPL2PS X0, X0
	CVTPL2PS X1, X1
	MULPS X4, X0
	MULPS X4, X1
	MOVAPS X0, X2
	UNPCKLPS X1, X0
	UNPCKHPS X1, X2
	MOVUPS X0, (DI)
	MOVUPS X2, 16(DI)
	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $32, DI
	SUBQ $4, CX
	JNZ floats
	RET

// func pack4(out *byte, l, r *int32, n int)
TEXT ·pack4(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ l+8(FP), SI
	MOVQ r+16(FP), DX
	MOVQ n+24(FP), CX
	PCMPEQL X4, X4
	PSRLL $16, X4

halves:
	MOVOU (SI), X0
	MOVOU (DX), X1
	PAND X4, X0
	PSLLL $16, X1
	POR X1, X0
	MOVOU X0, (DI)
	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $16, DI
	SUBQ $4, CX
	JNZ halves
	RET

// func joinMiddle4(l, r *int32, n int)
TEXT ·joinMiddle4(SB), NOSPLIT, $0-24
	MOVQ l+0(FP), SI
	MOVQ r+8(FP), DX
	MOVQ n+16(FP), CX
	PCMPEQL X4, X4
	PSRLL $31, X4

middle:
	MOVOU (SI), X0
	MOVOU (DX), X1
	PSLLL $1, X0
	MOVO X1, X2
	PAND X4, X2
	POR X2, X0
	MOVO X0, X2
	PADDL X1, X0
	PSUBL X1, X2
	PSRAL $1, X0
	PSRAL $1, X2
	MOVOU X0, (SI)
	MOVOU X2, (DX)
	ADDQ $16, SI
	ADDQ $16, DX
	SUBQ $4, CX
	JNZ middle
	RET

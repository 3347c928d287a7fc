//go:build !scalar

#include "textflag.h"

// func addFours(sums *[4]float64, x *float32, n int)
//
// SSE2 only, which every amd64 processor has.
TEXT ·addFours(SB), NOSPLIT, $0-24
	MOVQ sums+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	MOVUPD 0(DI), X0
	MOVUPD 16(DI), X1

four:
	CVTPS2PD 0(SI), X2
	CVTPS2PD 8(SI), X3
	ADDPD X2, X0
	ADDPD X3, X1
	ADDQ $16, SI
	SUBQ $4, CX
	JNZ four
	MOVUPD X0, 0(DI)
	MOVUPD X1, 16(DI)
	RET

// func subtract8(dst, x *float32, n int, m float32)
//
// SSE2 only.
TEXT ·subtract8(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	MOVSS m+24(FP), X2
	SHUFPS $0, X2, X2

eight:
	MOVUPS 0(SI), X0
	MOVUPS 16(SI), X1
	SUBPS X2, X0
	SUBPS X2, X1
	MOVUPS X0, 0(DI)
	MOVUPS X1, 16(DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ eight
	RET

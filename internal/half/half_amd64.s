//go:build !scalar

#include "textflag.h"

// func round8(dst *byte, src *float32, n int) (nan bool)
//
// AVX and F16C.
TEXT ·round8(SB), NOSPLIT, $0-25
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VXORPS Y2, Y2, Y2

eight:
	VMOVUPS (SI), Y0
	VCMPPS $3, Y0, Y0, Y1 // unordered
	VORPS Y1, Y2, Y2
	VCVTPS2PH $0, Y0, X0 // to the nearest, ties to even
	VMOVUPS X0, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	SUBQ $8, CX
	JNZ eight
	VMOVMSKPS Y2, AX
	VZEROUPPER
	TESTL AX, AX
	SETNE nan+24(FP)
	RET

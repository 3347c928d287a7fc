#include "textflag.h"

// Every constant eight times.

DATA expFit0<>+0(SB)/8, $0x3efffffe3efffffe
DATA expFit0<>+8(SB)/8, $0x3efffffe3efffffe
DATA expFit0<>+16(SB)/8, $0x3efffffe3efffffe
DATA expFit0<>+24(SB)/8, $0x3efffffe3efffffe
GLOBL expFit0<>(SB), RODATA|NOPTR, $32

DATA expFit1<>+0(SB)/8, $0x3e2aaa493e2aaa49
DATA expFit1<>+8(SB)/8, $0x3e2aaa493e2aaa49
DATA expFit1<>+16(SB)/8, $0x3e2aaa493e2aaa49
DATA expFit1<>+24(SB)/8, $0x3e2aaa493e2aaa49
GLOBL expFit1<>(SB), RODATA|NOPTR, $32

DATA expFit2<>+0(SB)/8, $0x3d2aac793d2aac79
DATA expFit2<>+8(SB)/8, $0x3d2aac793d2aac79
DATA expFit2<>+16(SB)/8, $0x3d2aac793d2aac79
DATA expFit2<>+24(SB)/8, $0x3d2aac793d2aac79
GLOBL expFit2<>(SB), RODATA|NOPTR, $32

DATA expFit3<>+0(SB)/8, $0x3c091cf13c091cf1
DATA expFit3<>+8(SB)/8, $0x3c091cf13c091cf1
DATA expFit3<>+16(SB)/8, $0x3c091cf13c091cf1
DATA expFit3<>+24(SB)/8, $0x3c091cf13c091cf1
GLOBL expFit3<>(SB), RODATA|NOPTR, $32

DATA expFit4<>+0(SB)/8, $0x3ab5121a3ab5121a
DATA expFit4<>+8(SB)/8, $0x3ab5121a3ab5121a
DATA expFit4<>+16(SB)/8, $0x3ab5121a3ab5121a
DATA expFit4<>+24(SB)/8, $0x3ab5121a3ab5121a
GLOBL expFit4<>(SB), RODATA|NOPTR, $32

DATA nearFit0<>+0(SB)/8, $0x3e0375d43e0375d4
DATA nearFit0<>+8(SB)/8, $0x3e0375d43e0375d4
DATA nearFit0<>+16(SB)/8, $0x3e0375d43e0375d4
DATA nearFit0<>+24(SB)/8, $0x3e0375d43e0375d4
GLOBL nearFit0<>(SB), RODATA|NOPTR, $32

DATA nearFit1<>+0(SB)/8, $0xbec0939fbec0939f
DATA nearFit1<>+8(SB)/8, $0xbec0939fbec0939f
DATA nearFit1<>+16(SB)/8, $0xbec0939fbec0939f
DATA nearFit1<>+24(SB)/8, $0xbec0939fbec0939f
GLOBL nearFit1<>(SB), RODATA|NOPTR, $32

DATA nearFit2<>+0(SB)/8, $0x3de7167c3de7167c
DATA nearFit2<>+8(SB)/8, $0x3de7167c3de7167c
DATA nearFit2<>+16(SB)/8, $0x3de7167c3de7167c
DATA nearFit2<>+24(SB)/8, $0x3de7167c3de7167c
GLOBL nearFit2<>(SB), RODATA|NOPTR, $32

DATA nearFit3<>+0(SB)/8, $0xbcdbfc87bcdbfc87
DATA nearFit3<>+8(SB)/8, $0xbcdbfc87bcdbfc87
DATA nearFit3<>+16(SB)/8, $0xbcdbfc87bcdbfc87
DATA nearFit3<>+24(SB)/8, $0xbcdbfc87bcdbfc87
GLOBL nearFit3<>(SB), RODATA|NOPTR, $32

DATA nearFit4<>+0(SB)/8, $0x3baa02d93baa02d9
DATA nearFit4<>+8(SB)/8, $0x3baa02d93baa02d9
DATA nearFit4<>+16(SB)/8, $0x3baa02d93baa02d9
DATA nearFit4<>+24(SB)/8, $0x3baa02d93baa02d9
GLOBL nearFit4<>(SB), RODATA|NOPTR, $32

DATA nearFit5<>+0(SB)/8, $0xba51fb80ba51fb80
DATA nearFit5<>+8(SB)/8, $0xba51fb80ba51fb80
DATA nearFit5<>+16(SB)/8, $0xba51fb80ba51fb80
DATA nearFit5<>+24(SB)/8, $0xba51fb80ba51fb80
GLOBL nearFit5<>(SB), RODATA|NOPTR, $32

DATA nearFit6<>+0(SB)/8, $0x38a4b51938a4b519
DATA nearFit6<>+8(SB)/8, $0x38a4b51938a4b519
DATA nearFit6<>+16(SB)/8, $0x38a4b51938a4b519
DATA nearFit6<>+24(SB)/8, $0x38a4b51938a4b519
GLOBL nearFit6<>(SB), RODATA|NOPTR, $32

DATA farFit0<>+0(SB)/8, $0x39b9736d39b9736d
DATA farFit0<>+8(SB)/8, $0x39b9736d39b9736d
DATA farFit0<>+16(SB)/8, $0x39b9736d39b9736d
DATA farFit0<>+24(SB)/8, $0x39b9736d39b9736d
GLOBL farFit0<>(SB), RODATA|NOPTR, $32

DATA farFit1<>+0(SB)/8, $0x3f9042d93f9042d9
DATA farFit1<>+8(SB)/8, $0x3f9042d93f9042d9
DATA farFit1<>+16(SB)/8, $0x3f9042d93f9042d9
DATA farFit1<>+24(SB)/8, $0x3f9042d93f9042d9
GLOBL farFit1<>(SB), RODATA|NOPTR, $32

DATA farFit2<>+0(SB)/8, $0x3f2362c23f2362c2
DATA farFit2<>+8(SB)/8, $0x3f2362c23f2362c2
DATA farFit2<>+16(SB)/8, $0x3f2362c23f2362c2
DATA farFit2<>+24(SB)/8, $0x3f2362c23f2362c2
GLOBL farFit2<>(SB), RODATA|NOPTR, $32

DATA farFit3<>+0(SB)/8, $0x3dd305423dd30542
DATA farFit3<>+8(SB)/8, $0x3dd305423dd30542
DATA farFit3<>+16(SB)/8, $0x3dd305423dd30542
DATA farFit3<>+24(SB)/8, $0x3dd305423dd30542
GLOBL farFit3<>(SB), RODATA|NOPTR, $32

DATA farFit4<>+0(SB)/8, $0xbcb2a111bcb2a111
DATA farFit4<>+8(SB)/8, $0xbcb2a111bcb2a111
DATA farFit4<>+16(SB)/8, $0xbcb2a111bcb2a111
DATA farFit4<>+24(SB)/8, $0xbcb2a111bcb2a111
GLOBL farFit4<>(SB), RODATA|NOPTR, $32

DATA farFit5<>+0(SB)/8, $0x3b40a66d3b40a66d
DATA farFit5<>+8(SB)/8, $0x3b40a66d3b40a66d
DATA farFit5<>+16(SB)/8, $0x3b40a66d3b40a66d
DATA farFit5<>+24(SB)/8, $0x3b40a66d3b40a66d
GLOBL farFit5<>(SB), RODATA|NOPTR, $32

DATA farFit6<>+0(SB)/8, $0xb94296a5b94296a5
DATA farFit6<>+8(SB)/8, $0xb94296a5b94296a5
DATA farFit6<>+16(SB)/8, $0xb94296a5b94296a5
DATA farFit6<>+24(SB)/8, $0xb94296a5b94296a5
GLOBL farFit6<>(SB), RODATA|NOPTR, $32

DATA one<>+0(SB)/8, $0x3f8000003f800000
DATA one<>+8(SB)/8, $0x3f8000003f800000
DATA one<>+16(SB)/8, $0x3f8000003f800000
DATA one<>+24(SB)/8, $0x3f8000003f800000
GLOBL one<>(SB), RODATA|NOPTR, $32

DATA log2e<>+0(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+8(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+16(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+24(SB)/8, $0x3fb8aa3b3fb8aa3b
GLOBL log2e<>(SB), RODATA|NOPTR, $32

DATA log2High<>+0(SB)/8, $0x3f3180003f318000
DATA log2High<>+8(SB)/8, $0x3f3180003f318000
DATA log2High<>+16(SB)/8, $0x3f3180003f318000
DATA log2High<>+24(SB)/8, $0x3f3180003f318000
GLOBL log2High<>(SB), RODATA|NOPTR, $32

DATA log2Low<>+0(SB)/8, $0xb95e8083b95e8083
DATA log2Low<>+8(SB)/8, $0xb95e8083b95e8083
DATA log2Low<>+16(SB)/8, $0xb95e8083b95e8083
DATA log2Low<>+24(SB)/8, $0xb95e8083b95e8083
GLOBL log2Low<>(SB), RODATA|NOPTR, $32

DATA expMost<>+0(SB)/8, $0x42b2000042b20000
DATA expMost<>+8(SB)/8, $0x42b2000042b20000
DATA expMost<>+16(SB)/8, $0x42b2000042b20000
DATA expMost<>+24(SB)/8, $0x42b2000042b20000
GLOBL expMost<>(SB), RODATA|NOPTR, $32

DATA expLeast<>+0(SB)/8, $0xc2d20000c2d20000
DATA expLeast<>+8(SB)/8, $0xc2d20000c2d20000
DATA expLeast<>+16(SB)/8, $0xc2d20000c2d20000
DATA expLeast<>+24(SB)/8, $0xc2d20000c2d20000
GLOBL expLeast<>(SB), RODATA|NOPTR, $32

DATA farMost<>+0(SB)/8, $0x4080000040800000
DATA farMost<>+8(SB)/8, $0x4080000040800000
DATA farMost<>+16(SB)/8, $0x4080000040800000
DATA farMost<>+24(SB)/8, $0x4080000040800000
GLOBL farMost<>(SB), RODATA|NOPTR, $32

DATA sign<>+0(SB)/8, $0x8000000080000000
DATA sign<>+8(SB)/8, $0x8000000080000000
DATA sign<>+16(SB)/8, $0x8000000080000000
DATA sign<>+24(SB)/8, $0x8000000080000000
GLOBL sign<>(SB), RODATA|NOPTR, $32

DATA bias<>+0(SB)/8, $0x0000007f0000007f
DATA bias<>+8(SB)/8, $0x0000007f0000007f
DATA bias<>+16(SB)/8, $0x0000007f0000007f
DATA bias<>+24(SB)/8, $0x0000007f0000007f
GLOBL bias<>(SB), RODATA|NOPTR, $32

DATA lowest<>+0(SB)/8, $0xff800000ff800000
DATA lowest<>+8(SB)/8, $0xff800000ff800000
DATA lowest<>+16(SB)/8, $0xff800000ff800000
DATA lowest<>+24(SB)/8, $0xff800000ff800000
GLOBL lowest<>(SB), RODATA|NOPTR, $32

// func addVectors(out, a, b *float32, n int)
TEXT ·addVectors(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	SUBQ $32, CX
	JL restaddVectors

loopaddVectors:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VADDPS (DX), Y0, Y0
	VADDPS 32(DX), Y1, Y1
	VADDPS 64(DX), Y2, Y2
	VADDPS 96(DX), Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	ADDQ $128, DX
	SUBQ $32, CX
	JGE loopaddVectors

restaddVectors:
	ADDQ $32, CX
	JZ doneaddVectors

eightaddVectors:
	VMOVUPS (SI), Y0
	VADDPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ eightaddVectors

doneaddVectors:
	VZEROUPPER
	RET

// func addNumber(out, a, b *float32, n int)
TEXT ·addNumber(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS (DX), Y15
	SUBQ $32, CX
	JL restaddNumber

loopaddNumber:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VADDPS Y15, Y0, Y0
	VADDPS Y15, Y1, Y1
	VADDPS Y15, Y2, Y2
	VADDPS Y15, Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, CX
	JGE loopaddNumber

restaddNumber:
	ADDQ $32, CX
	JZ doneaddNumber

eightaddNumber:
	VMOVUPS (SI), Y0
	VADDPS Y15, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ eightaddNumber

doneaddNumber:
	VZEROUPPER
	RET

// func subVectors(out, a, b *float32, n int)
TEXT ·subVectors(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	SUBQ $32, CX
	JL restsubVectors

loopsubVectors:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VSUBPS (DX), Y0, Y0
	VSUBPS 32(DX), Y1, Y1
	VSUBPS 64(DX), Y2, Y2
	VSUBPS 96(DX), Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	ADDQ $128, DX
	SUBQ $32, CX
	JGE loopsubVectors

restsubVectors:
	ADDQ $32, CX
	JZ donesubVectors

eightsubVectors:
	VMOVUPS (SI), Y0
	VSUBPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ eightsubVectors

donesubVectors:
	VZEROUPPER
	RET

// func subNumber(out, a, b *float32, n int)
TEXT ·subNumber(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS (DX), Y15
	SUBQ $32, CX
	JL restsubNumber

loopsubNumber:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VSUBPS Y15, Y0, Y0
	VSUBPS Y15, Y1, Y1
	VSUBPS Y15, Y2, Y2
	VSUBPS Y15, Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, CX
	JGE loopsubNumber

restsubNumber:
	ADDQ $32, CX
	JZ donesubNumber

eightsubNumber:
	VMOVUPS (SI), Y0
	VSUBPS Y15, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ eightsubNumber

donesubNumber:
	VZEROUPPER
	RET

// func subFromNumber(out, a, b *float32, n int)
TEXT ·subFromNumber(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS (SI), Y15
	SUBQ $32, CX
	JL restsubFromNumber

loopsubFromNumber:
	VMOVUPS (DX), Y0
	VMOVUPS 32(DX), Y1
	VMOVUPS 64(DX), Y2
	VMOVUPS 96(DX), Y3
	VSUBPS Y0, Y15, Y0
	VSUBPS Y1, Y15, Y1
	VSUBPS Y2, Y15, Y2
	VSUBPS Y3, Y15, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, DX
	SUBQ $32, CX
	JGE loopsubFromNumber

restsubFromNumber:
	ADDQ $32, CX
	JZ donesubFromNumber

eightsubFromNumber:
	VMOVUPS (DX), Y0
	VSUBPS Y0, Y15, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ eightsubFromNumber

donesubFromNumber:
	VZEROUPPER
	RET

// func mulVectors(out, a, b *float32, n int)
TEXT ·mulVectors(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	SUBQ $32, CX
	JL restmulVectors

loopmulVectors:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VMULPS (DX), Y0, Y0
	VMULPS 32(DX), Y1, Y1
	VMULPS 64(DX), Y2, Y2
	VMULPS 96(DX), Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	ADDQ $128, DX
	SUBQ $32, CX
	JGE loopmulVectors

restmulVectors:
	ADDQ $32, CX
	JZ donemulVectors

eightmulVectors:
	VMOVUPS (SI), Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ eightmulVectors

donemulVectors:
	VZEROUPPER
	RET

// func mulNumber(out, a, b *float32, n int)
TEXT ·mulNumber(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS (DX), Y15
	SUBQ $32, CX
	JL restmulNumber

loopmulNumber:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VMULPS Y15, Y0, Y0
	VMULPS Y15, Y1, Y1
	VMULPS Y15, Y2, Y2
	VMULPS Y15, Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, CX
	JGE loopmulNumber

restmulNumber:
	ADDQ $32, CX
	JZ donemulNumber

eightmulNumber:
	VMOVUPS (SI), Y0
	VMULPS Y15, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ eightmulNumber

donemulNumber:
	VZEROUPPER
	RET

// func divVectors(out, a, b *float32, n int)
TEXT ·divVectors(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	SUBQ $32, CX
	JL restdivVectors

loopdivVectors:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VDIVPS (DX), Y0, Y0
	VDIVPS 32(DX), Y1, Y1
	VDIVPS 64(DX), Y2, Y2
	VDIVPS 96(DX), Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	ADDQ $128, DX
	SUBQ $32, CX
	JGE loopdivVectors

restdivVectors:
	ADDQ $32, CX
	JZ donedivVectors

eightdivVectors:
	VMOVUPS (SI), Y0
	VDIVPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ eightdivVectors

donedivVectors:
	VZEROUPPER
	RET

// func divNumber(out, a, b *float32, n int)
TEXT ·divNumber(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS (DX), Y15
	SUBQ $32, CX
	JL restdivNumber

loopdivNumber:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VDIVPS Y15, Y0, Y0
	VDIVPS Y15, Y1, Y1
	VDIVPS Y15, Y2, Y2
	VDIVPS Y15, Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, CX
	JGE loopdivNumber

restdivNumber:
	ADDQ $32, CX
	JZ donedivNumber

eightdivNumber:
	VMOVUPS (SI), Y0
	VDIVPS Y15, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ eightdivNumber

donedivNumber:
	VZEROUPPER
	RET

// func divNumberBy(out, a, b *float32, n int)
TEXT ·divNumberBy(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS (SI), Y15
	SUBQ $32, CX
	JL restdivNumberBy

loopdivNumberBy:
	VMOVUPS (DX), Y0
	VMOVUPS 32(DX), Y1
	VMOVUPS 64(DX), Y2
	VMOVUPS 96(DX), Y3
	VDIVPS Y0, Y15, Y0
	VDIVPS Y1, Y15, Y1
	VDIVPS Y2, Y15, Y2
	VDIVPS Y3, Y15, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, DX
	SUBQ $32, CX
	JGE loopdivNumberBy

restdivNumberBy:
	ADDQ $32, CX
	JZ donedivNumberBy

eightdivNumberBy:
	VMOVUPS (DX), Y0
	VDIVPS Y0, Y15, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ eightdivNumberBy

donedivNumberBy:
	VZEROUPPER
	RET

// func expLanes(out, x *float32, n int)
TEXT ·expLanes(SB), NOSPLIT, $0-24
	MOVQ out+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX

loopExp:
	VMOVUPS expMost<>(SB), Y1
	VMOVUPS expLeast<>(SB), Y2
	VMOVUPS (SI), Y0
	VMINPS Y0, Y1, Y0 // of a NaN and a number the first operand
	VMAXPS Y0, Y2, Y0
	VMULPS log2e<>(SB), Y0, Y1
	VROUNDPS $0, Y1, Y1
	VMOVUPS Y0, Y2
	VFNMADD231PS log2High<>(SB), Y1, Y2
	VFNMADD231PS log2Low<>(SB), Y1, Y2
	VMOVUPS expFit4<>(SB), Y3
	VFMADD213PS expFit3<>(SB), Y2, Y3
	VFMADD213PS expFit2<>(SB), Y2, Y3
	VFMADD213PS expFit1<>(SB), Y2, Y3
	VFMADD213PS expFit0<>(SB), Y2, Y3
	VMULPS Y2, Y2, Y4
	VFMADD213PS Y2, Y4, Y3
	VADDPS one<>(SB), Y3, Y3
	VCVTPS2DQ Y1, Y1
	VPSRAD $1, Y1, Y4
	VPSUBD Y4, Y1, Y1
	VPADDD bias<>(SB), Y4, Y4
	VPSLLD $23, Y4, Y4
	VMULPS Y4, Y3, Y3
	VPADDD bias<>(SB), Y1, Y1
	VPSLLD $23, Y1, Y1
	VMULPS Y1, Y3, Y3
	VMOVUPS Y3, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loopExp
	VZEROUPPER
	RET

// func erfLanes(out, x *float32, n int)
TEXT ·erfLanes(SB), NOSPLIT, $0-24
	MOVQ out+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVUPS sign<>(SB), Y15
	VMOVUPS one<>(SB), Y14
	VMOVUPS farMost<>(SB), Y13

loopErf:
	VMOVUPS (SI), Y5
	VANDNPS Y5, Y15, Y6 // the absolute value
	VANDPS Y5, Y15, Y7 // the sign
	VMINPS Y6, Y13, Y8
	VMOVUPS farFit6<>(SB), Y0
	VFMADD213PS farFit5<>(SB), Y8, Y0
	VFMADD213PS farFit4<>(SB), Y8, Y0
	VFMADD213PS farFit3<>(SB), Y8, Y0
	VFMADD213PS farFit2<>(SB), Y8, Y0
	VFMADD213PS farFit1<>(SB), Y8, Y0
	VFMADD213PS farFit0<>(SB), Y8, Y0
	VXORPS Y15, Y0, Y0
	VMULPS log2e<>(SB), Y0, Y1
	VROUNDPS $0, Y1, Y1
	VMOVUPS Y0, Y2
	VFNMADD231PS log2High<>(SB), Y1, Y2
	VFNMADD231PS log2Low<>(SB), Y1, Y2
	VMOVUPS expFit4<>(SB), Y3
	VFMADD213PS expFit3<>(SB), Y2, Y3
	VFMADD213PS expFit2<>(SB), Y2, Y3
	VFMADD213PS expFit1<>(SB), Y2, Y3
	VFMADD213PS expFit0<>(SB), Y2, Y3
	VMULPS Y2, Y2, Y4
	VFMADD213PS Y2, Y4, Y3
	VADDPS one<>(SB), Y3, Y3
	VCVTPS2DQ Y1, Y1
	VPSRAD $1, Y1, Y4
	VPSUBD Y4, Y1, Y1
	VPADDD bias<>(SB), Y4, Y4
	VPSLLD $23, Y4, Y4
	VMULPS Y4, Y3, Y3
	VPADDD bias<>(SB), Y1, Y1
	VPSLLD $23, Y1, Y1
	VMULPS Y1, Y3, Y3
	VMOVUPS Y3, Y0
	VSUBPS Y0, Y14, Y0
	VMULPS Y6, Y6, Y9
	VMOVUPS nearFit6<>(SB), Y10
	VFMADD213PS nearFit5<>(SB), Y9, Y10
	VFMADD213PS nearFit4<>(SB), Y9, Y10
	VFMADD213PS nearFit3<>(SB), Y9, Y10
	VFMADD213PS nearFit2<>(SB), Y9, Y10
	VFMADD213PS nearFit1<>(SB), Y9, Y10
	VFMADD213PS nearFit0<>(SB), Y9, Y10
	VFMADD213PS Y6, Y6, Y10
	VCMPPS $17, Y14, Y6, Y11 // below 1
	VBLENDVPS Y11, Y10, Y0, Y0
	VORPS Y7, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loopErf
	VZEROUPPER
	RET

// func sqrtLanes(out, x *float32, n int)
TEXT ·sqrtLanes(SB), NOSPLIT, $0-24
	MOVQ out+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX

loopsqrt:
	VSQRTPS (SI), Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loopsqrt
	VZEROUPPER
	RET

// func negLanes(out, x *float32, n int)
TEXT ·negLanes(SB), NOSPLIT, $0-24
	MOVQ out+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVUPS sign<>(SB), Y15

loopneg:
	VXORPS (SI), Y15, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loopneg
	VZEROUPPER
	RET

// func sumLanes(at *[lanes]float32, x *float32, n int)
TEXT ·sumLanes(SB), NOSPLIT, $0-24
	MOVQ at+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVUPS 0(DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3

loopSum:
	VADDPS 0(SI), Y0, Y0
	VADDPS 32(SI), Y1, Y1
	VADDPS 64(SI), Y2, Y2
	VADDPS 96(SI), Y3, Y3
	ADDQ $128, SI
	SUBQ $32, CX
	JNZ loopSum
	VMOVUPS Y0, 0(DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	VZEROUPPER
	RET

// func maxLanes(at *[lanes]float32, x *float32, n int) (nan bool)
TEXT ·maxLanes(SB), NOSPLIT, $0-25
	MOVQ at+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVUPS lowest<>(SB), Y0
	VMOVUPS lowest<>(SB), Y1
	VMOVUPS lowest<>(SB), Y2
	VMOVUPS lowest<>(SB), Y3
	VXORPS Y8, Y8, Y8

loopMax:
	VMOVUPS 0(SI), Y4
	VMAXPS Y0, Y4, Y0
	VCMPPS $3, Y4, Y4, Y4
	VORPS Y4, Y8, Y8
	VMOVUPS 32(SI), Y5
	VMAXPS Y1, Y5, Y1
	VCMPPS $3, Y5, Y5, Y5
	VORPS Y5, Y8, Y8
	VMOVUPS 64(SI), Y6
	VMAXPS Y2, Y6, Y2
	VCMPPS $3, Y6, Y6, Y6
	VORPS Y6, Y8, Y8
	VMOVUPS 96(SI), Y7
	VMAXPS Y3, Y7, Y3
	VCMPPS $3, Y7, Y7, Y7
	VORPS Y7, Y8, Y8
	ADDQ $128, SI
	SUBQ $32, CX
	JNZ loopMax
	VMOVUPS Y0, 0(DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	VMOVMSKPS Y8, AX
	TESTL AX, AX
	SETNE nan+24(FP)
	VZEROUPPER
	RET

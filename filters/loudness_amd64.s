//go:build !scalar

#include "textflag.h"

// The frame of both functions: each coefficient eight times, restless, and eight samples of each segment, turned.
#define B1 0
#define B2 32
#define A1 64
#define A2 96
#define C 128
#define D 160
#define TURNED 192

DATA restless<>+0(SB)/4, $0x26901d7d // 1e-15
GLOBL restless<>(SB), RODATA|NOPTR, $4

// The fields of a weighing.
#define S1 0
#define S2 64
#define T 128
#define U 192
#define SUM 256

// COEFFICIENTS fills the frame, in place of the filter in DX the frame from its first multiple of 32.
#define COEFFICIENTS \
	LEAQ 31(SP), AX; \
	ANDQ $~31, AX; \
	VBROADCASTSS 0(DX), Y0; VMOVAPS Y0, B1(AX); \
	VBROADCASTSS 4(DX), Y0; VMOVAPS Y0, B2(AX); \
	VBROADCASTSS 8(DX), Y0; VMOVAPS Y0, A1(AX); \
	VBROADCASTSS 12(DX), Y0; VMOVAPS Y0, A2(AX); \
	VBROADCASTSS 16(DX), Y0; VMOVAPS Y0, C(AX); \
	VBROADCASTSS 20(DX), Y0; VMOVAPS Y0, D(AX); \
	VBROADCASTSS restless<>(SB), Y15; \
	MOVQ AX, DX

#define LOAD(STATE) \
	VMOVUPS S1(STATE), Y0; VMOVUPS S1+32(STATE), Y5; \
	VMOVUPS S2(STATE), Y1; VMOVUPS S2+32(STATE), Y6; \
	VMOVUPS T(STATE), Y2; VMOVUPS T+32(STATE), Y7; \
	VMOVUPS U(STATE), Y3; VMOVUPS U+32(STATE), Y8; \
	VMOVUPS SUM(STATE), Y4; VMOVUPS SUM+32(STATE), Y9

#define STORE(STATE) \
	VMOVUPS Y0, S1(STATE); VMOVUPS Y5, S1+32(STATE); \
	VMOVUPS Y1, S2(STATE); VMOVUPS Y6, S2+32(STATE); \
	VMOVUPS Y2, T(STATE); VMOVUPS Y7, T+32(STATE); \
	VMOVUPS Y3, U(STATE); VMOVUPS Y8, U+32(STATE); \
	VMOVUPS Y4, SUM(STATE); VMOVUPS Y9, SUM+32(STATE)

// STEP filters a sample of eight segments. The operations and their order are those of kWeight.plain.
#define STEP(X, s1, s2, t, u, sum) \
	VADDPS X, Y15, Y10; \
	VADDPS s1, Y10, Y11; \
	VMULPS B1(DX), Y10, Y12; \
	VADDPS s2, Y12, Y12; \
	VMULPS A1(DX), Y11, Y13; \
	VSUBPS Y13, Y12, s1; \
	VMULPS B2(DX), Y10, Y10; \
	VMULPS A2(DX), Y11, Y13; \
	VSUBPS Y13, Y10, s2; \
	VSUBPS t, Y11, Y11; \
	VMULPS D(DX), u, Y12; \
	VADDPS Y12, t, t; \
	VMULPS C(DX), Y11, Y13; \
	VADDPS Y13, t, t; \
	VADDPS Y11, u, u; \
	VADDPS Y15, Y11, Y11; \
	VMULPS Y11, Y11, Y11; \
	VADDPS Y11, sum, sum

#define STEPS(AT) \
	STEP(TURNED+AT(DX), Y0, Y1, Y2, Y3, Y4); \
	STEP(TURNED+AT+32(DX), Y5, Y6, Y7, Y8, Y9)

// TURN4 turns four samples of eight segments: those at R8 to R11 go to the lower halves of registers, those at R12, R13,
// AX and R15 to the upper ones.
#define TURN4(AT, TO) \
	VMOVUPS AT(R8), X10; \
	VINSERTF128 $1, AT(R12), Y10, Y10; \
	VMOVUPS AT(R9), X11; \
	VINSERTF128 $1, AT(R13), Y11, Y11; \
	VMOVUPS AT(R10), X12; \
	VINSERTF128 $1, AT(AX), Y12, Y12; \
	VMOVUPS AT(R11), X13; \
	VINSERTF128 $1, AT(R15), Y13, Y13; \
	VUNPCKLPS Y11, Y10, Y14; \
	VUNPCKHPS Y11, Y10, Y10; \
	VUNPCKLPS Y13, Y12, Y11; \
	VUNPCKHPS Y13, Y12, Y12; \
	VUNPCKLPD Y11, Y14, Y13; \
	VMOVUPS Y13, TURNED+TO(DX); \
	VUNPCKHPD Y11, Y14, Y13; \
	VMOVUPS Y13, TURNED+TO+64(DX); \
	VUNPCKLPD Y12, Y10, Y13; \
	VMOVUPS Y13, TURNED+TO+128(DX); \
	VUNPCKHPD Y12, Y10, Y13; \
	VMOVUPS Y13, TURNED+TO+192(DX)

// TURN8 turns eight samples of eight segments. BX is the sample, in bytes.
#define TURN8(LIST, TO) \
	MOVQ LIST+0(SI), R8; \
	MOVQ LIST+8(SI), R9; \
	MOVQ LIST+16(SI), R10; \
	MOVQ LIST+24(SI), R11; \
	MOVQ LIST+32(SI), R12; \
	MOVQ LIST+40(SI), R13; \
	MOVQ LIST+48(SI), AX; \
	MOVQ LIST+56(SI), R15; \
	ADDQ BX, R8; \
	ADDQ BX, R9; \
	ADDQ BX, R10; \
	ADDQ BX, R11; \
	ADDQ BX, R12; \
	ADDQ BX, R13; \
	ADDQ BX, AX; \
	ADDQ BX, R15; \
	TURN4(0, TO); \
	TURN4(16, TO+256)

// func weighEights(w *kWeight, pieces *[segments]*float32, n int, state *weighing)
TEXT ·weighEights(SB), NOSPLIT, $736-32
	MOVQ w+0(FP), DX
	MOVQ pieces+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ state+24(FP), DI
	COEFFICIENTS
	LOAD(DI)
	XORQ BX, BX
	SHLQ $2, CX

eight:
	TURN8(0, 0)
	TURN8(64, 32)
	STEPS(0)
	STEPS(64)
	STEPS(128)
	STEPS(192)
	STEPS(256)
	STEPS(320)
	STEPS(384)
	STEPS(448)
	ADDQ $32, BX
	CMPQ BX, CX
	JLT eight
	STORE(DI)
	VZEROUPPER
	RET

// func weighTurned(w *kWeight, turned *[8][segments]float32, n int, state *weighing)
TEXT ·weighTurned(SB), NOSPLIT, $224-32
	MOVQ w+0(FP), DX
	MOVQ turned+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ state+24(FP), DI
	COEFFICIENTS
	LOAD(DI)

one:
	STEP(0(SI), Y0, Y1, Y2, Y3, Y4)
	STEP(32(SI), Y5, Y6, Y7, Y8, Y9)
	ADDQ $64, SI
	DECQ CX
	JNZ one
	STORE(DI)
	VZEROUPPER
	RET

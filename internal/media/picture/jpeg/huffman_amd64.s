//go:build !scalar

#include "go_asm.h"
#include "textflag.h"

// FILL makes 32 bits of AX good, if they are not: BX are, and SI is where the next ones stand.
#define FILL(enough) \
	CMPQ BX, $32 \
	JGE enough \
	MOVQ (SI), R13 \
	BSWAPQ R13 \
	MOVQ BX, CX \
	SHRQ CX, R13 \
	ORQ R13, AX \
	XORQ $63, CX \
	SHRQ $3, CX \
	ADDQ CX, SI \
	ORQ $56, BX

// TAKE looks a code up and takes it with its value from the bits.
#define TAKE(table, none) \
	MOVQ AX, R13 \
	SHRQ $(64-const_quickBits), R13 \
	MOVL (table)(R13*4), DX \
	TESTL DX, DX \
	JZ none \
	MOVL DX, CX \
	SHLQ CX, AX \
	ANDL $63, CX \
	SUBQ CX, BX

// func coefficientsAMD64(r *bits, dc, ac *[1 << quickBits]uint32, block *[64]int16)
TEXT ·coefficientsAMD64(SB), NOSPLIT, $0-32
	MOVQ r+0(FP), DI
	MOVQ ac+16(FP), R8
	LEAQ ·natural(SB), R9
	MOVQ block+24(FP), R10
	MOVQ bits_k(DI), R11
	MOVQ bits_last(DI), R12
	MOVQ bits_acc(DI), AX
	MOVQ bits_n(DI), BX
	MOVQ bits_buf(DI), SI
	ADDQ bits_pos(DI), SI
	TESTQ R11, R11
	JNZ check
	MOVQ dc+8(FP), R15
	FILL(first)

first:
	TAKE(R15, done)
	MOVLQSX DX, DX
	SARQ $16, DX
	MOVQ DX, bits_diff(DI)
	INCQ R11

check:
	CMPQ R11, $64
	JGE done

next:
	FILL(filled)

filled:
	TAKE(R8, done)
	MOVL DX, R13
	SHRL $8, R13
	ANDL $127, R13
	ADDQ R13, R11
	SHRL $16, DX
	CMPQ R11, $63
	JGT past
	MOVBLZX (R9)(R11*1), R13
	MOVW DX, (R10)(R13*2)
	MOVQ R11, R12
	INCQ R11
	CMPQ R11, $64
	JLT next
	JMP done

past:
	TESTL DX, DX
	JZ done
	MOVQ $const_tooMany, R11

done:
	MOVQ AX, bits_acc(DI)
	MOVQ BX, bits_n(DI)
	SUBQ bits_buf(DI), SI
	MOVQ SI, bits_pos(DI)
	MOVQ R11, bits_k(DI)
	MOVQ R12, bits_last(DI)
	RET

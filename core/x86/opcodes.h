/* SPDX-License-Identifier: MIT */
/*
 * The decoder's opcode tables. Private to core/x86/.
 *
 * Operands are written as in the SDM's opcode maps (vol. 2, appendix A): a letter for where the
 * operand is and a letter for its size.
 */
#ifndef ENTRESOL_CORE_X86_OPCODES_H
#define ENTRESOL_CORE_X86_OPCODES_H

#include "core/x86/x86_decode.h"

/* What an instruction does. The ALU and shift operations are in the order of ModRM.reg. */
enum x86_operation {
	X86_OP_INVALID,
	X86_OP_OTHER, /* decoded, never emulated */
	X86_OP_ADD,
	X86_OP_OR,
	X86_OP_ADC,
	X86_OP_SBB,
	X86_OP_AND,
	X86_OP_SUB,
	X86_OP_XOR,
	X86_OP_CMP,
	X86_OP_ROL,
	X86_OP_ROR,
	X86_OP_RCL,
	X86_OP_RCR,
	X86_OP_SHL,
	X86_OP_SHR,
	X86_OP_SAL,
	X86_OP_SAR,
	X86_OP_TEST,
	X86_OP_NOT,
	X86_OP_NEG,
	X86_OP_MUL,
	X86_OP_IMUL_WIDE, /* rDX:rAX = rAX * operand */
	X86_OP_DIV,
	X86_OP_IDIV,
	X86_OP_INC,
	X86_OP_DEC,
	X86_OP_IMUL,
	X86_OP_SHLD,
	X86_OP_SHRD,
	X86_OP_MOV,
	X86_OP_MOVSX,
	X86_OP_MOVZX,
	X86_OP_MOVBE,
	X86_OP_BSWAP,
	X86_OP_LEA,
	X86_OP_XCHG,
	X86_OP_XADD,
	X86_OP_CMPXCHG,
	X86_OP_CMPXCHG8B,
	X86_OP_BT,
	X86_OP_BTS,
	X86_OP_BTR,
	X86_OP_BTC,
	X86_OP_BSF, /* TZCNT with F3 */
	X86_OP_BSR, /* LZCNT with F3 */
	X86_OP_POPCNT,
	X86_OP_SETCC,
	X86_OP_CMOVCC,
	X86_OP_CBW,
	X86_OP_CWD,
	X86_OP_XLAT,
	X86_OP_PUSH,
	X86_OP_POP,
	X86_OP_PUSHF,
	X86_OP_LEAVE,
	X86_OP_JCC,
	X86_OP_JMP,
	X86_OP_CALL,
	X86_OP_RET,
	X86_OP_LOOP, /* LOOPNE, LOOPE, LOOP, JCXZ by the low bits of the opcode */
	X86_OP_LAHF,
	X86_OP_SAHF,
	X86_OP_FLAG, /* CMC, CLC, STC, CLD, STD */
	X86_OP_NOP,
	X86_OP_MOVS,
	X86_OP_CMPS,
	X86_OP_STOS,
	X86_OP_LODS,
	X86_OP_SCAS,
	X86_OP_INS,
	X86_OP_OUTS,
	X86_OP_IN,
	X86_OP_OUT,
	X86_OP_VECTOR, /* MMX, SSE, AVX: see x86_vector_form() */
	/* Not emulated, but with memory operands of their own. */
	X86_OP_CALL_FAR,
	X86_OP_RET_FAR,
	X86_OP_IRET,
	X86_OP_PUSHA,
	X86_OP_POPA,
	X86_OP_POPF,
	X86_OP_POP_SEGMENT,
	X86_OP_ENTER,
	X86_OP_MOVDIR64B,
	X86_OP_COUNT,
};

enum x86_operand_kind {
	X86_KIND_NONE,
	X86_KIND_E, /* ModRM.rm: general register or memory */
	X86_KIND_M, /* ModRM.rm: memory only */
	X86_KIND_R, /* ModRM.rm: register only */
	X86_KIND_G, /* ModRM.reg: general register */
	X86_KIND_S, /* ModRM.reg: segment register */
	X86_KIND_B, /* VEX.vvvv: general register */
	X86_KIND_Z, /* the opcode's low three bits: general register */
	X86_KIND_I, /* immediate, sign-extended */
	X86_KIND_J, /* immediate, relative to the next instruction */
	X86_KIND_P, /* immediate far pointer */
	X86_KIND_O, /* memory at an offset in the instruction */
	X86_KIND_A, /* accumulator */
	X86_KIND_C, /* CL */
	X86_KIND_D, /* DX */
	X86_KIND_1, /* the constant one */
};

enum x86_size {
	X86_SIZE_NONE,    /* address only, or unknown */
	X86_SIZE_B,       /* 1 */
	X86_SIZE_W,       /* 2 */
	X86_SIZE_D,       /* 4 */
	X86_SIZE_Q,       /* 8 */
	X86_SIZE_T,       /* 10 */
	X86_SIZE_DQ,      /* 16 */
	X86_SIZE_QQ,      /* 32 */
	X86_SIZE_V,       /* operand size */
	X86_SIZE_Z,       /* operand size, at most 4 */
	X86_SIZE_Y,       /* 4, or 8 with REX.W */
	X86_SIZE_YY,      /* twice Y */
	X86_SIZE_VV,      /* twice V */
	X86_SIZE_P,       /* far pointer: operand size and a selector */
	X86_SIZE_S,       /* descriptor table register: 6, or 10 in 64-bit mode */
	X86_SIZE_X,       /* vector length */
	X86_SIZE_XH,      /* half of it */
	X86_SIZE_XQ,      /* a quarter of it */
	X86_SIZE_XE,      /* an eighth of it */
	X86_SIZE_DUP,     /* MOVDDUP: 8 of 16, else the whole vector */
	X86_SIZE_FPU_ENV, /* 14 or 28 */
	X86_SIZE_FPU_ALL, /* 94 or 108 */
	X86_SIZE_512,
	X86_SIZE_64,
	X86_SIZE_K, /* opmask move: 2, 1 (66), 8 (W), 4 (66, W) */
};

/* How .next is indexed. */
enum x86_select {
	X86_SELECT_NONE,
	X86_SELECT_REG,    /* [8] by ModRM.reg */
	X86_SELECT_MOD,    /* [2] memory, register */
	X86_SELECT_MODE,   /* [2] other modes, 64-bit mode */
	X86_SELECT_PREFIX, /* [4] by enum x86_simd_prefix */
};

#define X86_FLAG_LOCK      0x0001 /* LOCK allowed with a memory destination */
#define X86_FLAG_NOT_64    0x0002 /* #UD in 64-bit mode */
#define X86_FLAG_DEFAULT64 0x0004 /* operand size 8 in 64-bit mode, or 2 with 66 */
#define X86_FLAG_FORCE64   0x0008 /* operand size 8 in 64-bit mode */
#define X86_FLAG_MODRM     0x0010 /* a ModRM byte though no operand tells so */

struct x86_operand_spec {
	uint8_t kind;
	uint8_t size;
};

struct x86_opcode {
	const struct x86_opcode *next;
	uint8_t select;
	uint8_t operation;
	uint8_t access; /* to the memory operand */
	uint8_t flags;
	struct x86_operand_spec operand[3];
};

/* The entry for an opcode byte of the one-byte, 0F, 0F38 and 0F3A maps, never NULL. */
const struct x86_opcode *x86_opcode_lookup(enum x86_opcode_map map, uint8_t opcode);

/* One of an MMX, SSE or AVX opcode's (up to) four instructions. */
struct x86_vector_form {
	uint8_t size;   /* enum x86_size, of the memory operand */
	uint8_t access; /* X86_ACCESS_READ, _WRITE; 0: no such instruction */
	uint8_t flags;
};

#define X86_VECTOR_REGISTER 0x01 /* has no memory form */
#define X86_VECTOR_MEMORY   0x02 /* has no register form */
#define X86_VECTOR_LEGACY   0x04 /* has no VEX form */
#define X86_VECTOR_VEX      0x08 /* has no legacy form */
#define X86_VECTOR_VSIB     0x10
#define X86_VECTOR_SCALAR_W 0x20 /* size is 4, or 8 with VEX.W */
#define X86_VECTOR_EVEX     0x40 /* EVEX has the same here (in the 0F map without saying so) */
#define X86_VECTOR_NO_MODRM 0x80

/* NULL when the map has no vector instruction there; access 0 when it has none with prefix. */
const struct x86_vector_form *x86_vector_form(enum x86_opcode_map map, uint8_t opcode, bool vex,
					      enum x86_simd_prefix prefix);

/* Offset of the ModRM or moffs operand in its segment, cut to the address size. */
uint64_t x86_effective_offset(const struct x86_insn *insn, const struct x86_cpu *cpu);

/* The same with the register bit offset of BT, BTS, BTR and BTC added. */
uint64_t x86_memory_offset(const struct x86_insn *insn, const struct x86_cpu *cpu);

/* The bytes that size stands for in this instruction. */
unsigned int x86_size_in_bytes(const struct x86_insn *insn, const struct x86_cpu_mode *mode,
			       enum x86_size size);

/* Cuts a value to 1, 2, 4 or 8 bytes. */
static inline uint64_t x86_truncate(uint64_t value, unsigned int size)
{
	return size >= 8 ? value : value & ((1UL << (8 * size)) - 1);
}

/* Sign-extends a value of 1, 2, 4 or 8 bytes. */
static inline int64_t x86_sign_extend(uint64_t value, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (int64_t)(value << shift) >> shift;
}

#endif

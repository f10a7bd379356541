/* SPDX-License-Identifier: MIT */
/*
 * x86 instruction decoder: bytes to struct x86_insn, and struct x86_insn with the registers to
 * the memory that the instruction reads and writes.
 *
 * The decoder knows the whole of the general-purpose, x87, MMX, SSE and AVX/AVX2/FMA/BMI maps well
 * enough for lengths and memory operands; the emulator (x86_emulate.h) executes some of them.
 */
#ifndef ENTRESOL_CORE_X86_X86_DECODE_H
#define ENTRESOL_CORE_X86_X86_DECODE_H

#include "core/x86/x86.h"

#include <stddef.h>

#define X86_INSN_MAX_LENGTH 15

enum x86_encoding {
	X86_ENCODING_LEGACY,
	X86_ENCODING_VEX,
	X86_ENCODING_EVEX,
};

enum x86_opcode_map {
	X86_MAP_ONE_BYTE,
	X86_MAP_0F,
	X86_MAP_0F38,
	X86_MAP_0F3A,
	/* Larger values: EVEX maps that are not decoded beyond the length. */
};

/* The prefix that selects among SSE instructions (VEX.pp has the same values). */
enum x86_simd_prefix {
	X86_SIMD_NONE,
	X86_SIMD_66,
	X86_SIMD_F3,
	X86_SIMD_F2,
};

/* Values of x86_address.base and .index beside the general-purpose registers. */
#define X86_ADDRESS_NO_REG 0xff
#define X86_ADDRESS_RIP    0xfe /* base: RIP of the next instruction */

/* The memory form of ModRM, or a moffs: segment:[base + index * scale + displacement]. */
struct x86_address {
	int64_t displacement;
	uint8_t segment; /* enum x86_segment_reg, override applied */
	uint8_t base;
	uint8_t index;
	uint8_t scale;     /* 1, 2, 4 or 8 */
	bool vector_index; /* VSIB: index is a vector register (gathers and scatters) */
};

struct x86_opcode;

struct x86_insn {
	const struct x86_opcode *opcode_info; /* of the decoder and the emulator only */
	struct x86_address address;           /* if has_memory */
	int64_t immediate;                    /* sign-extended where the instruction does that */
	uint32_t immediate2;                  /* ENTER's second, the selector of a far pointer */
	uint8_t length;                       /* in bytes, 1 to 15 */
	uint8_t encoding;                     /* enum x86_encoding */
	uint8_t map;                          /* enum x86_opcode_map */
	uint8_t opcode;                       /* the opcode byte in that map */
	uint8_t simd_prefix;                  /* enum x86_simd_prefix */
	uint8_t operand_size;                 /* effective, in bytes: 2, 4 or 8 */
	uint8_t address_size;                 /* effective, in bytes: 2, 4 or 8 */
	uint8_t vector_length;                /* in bytes: 16, 32 or 64 */
	uint8_t modrm;                        /* if has_modrm */
	uint8_t reg;                          /* ModRM.reg with REX.R */
	uint8_t rm;                           /* ModRM.rm or the opcode's register, with REX.B */
	uint8_t vvvv;                         /* the VEX register operand */
	uint16_t memory_size;  /* in bytes, of the ModRM or moffs operand; 0: see below */
	uint8_t memory_access; /* X86_ACCESS_READ and/or _WRITE; 0: address only */
	bool has_modrm;
	bool has_memory; /* ModRM addresses memory, or there is a moffs */
	bool rex;        /* a REX prefix is present: byte registers 4-7 are SPL to DIL */
	bool rex_w;      /* REX.W or VEX.W */
	bool lock;
	bool rep;   /* F3 */
	bool repne; /* F2 */
};

/*
 * Decodes the instruction at bytes[0]; reads at most the first min(len, 15) bytes and modifies
 * nothing but *insn.
 *
 * Returns 0; -ENODATA when the instruction goes on after the len bytes; -EINVAL when the bytes are
 * no instruction in this mode (#UD); -E2BIG when it would be longer than 15 bytes (#GP(0));
 * -EOPNOTSUPP when it is one that the decoder does not know the operands of.
 * With -EOPNOTSUPP, insn->length is set nevertheless.
 */
int x86_decode(struct x86_insn *insn, const struct x86_cpu_mode *mode, const uint8_t *bytes,
	       size_t len);

/* What one instruction can access at most (beside gathers and scatters, which are not listed). */
#define X86_MEMORY_OPERANDS_MAX 4

struct x86_memory_operand {
	uint64_t linear; /* of the lowest byte */
	uint32_t size;   /* of one element, in bytes; 0: large and not known here (XSAVE family) */
	uint32_t access; /* X86_ACCESS_READ, _WRITE, _LOCKED, _USER */
	uint64_t count;  /* elements left: 1, or for a REP string instruction RCX, possibly 0 */
	bool backward;   /* the following elements lie below this one (RFLAGS.DF) */
	bool stack;      /* implicit stack operand */
	uint8_t fault;   /* 0, or the vector that segment or canonical checks raise */
};

/*
 * Lists the memory operands of an instruction that is about to execute with the registers of cpu,
 * in the order in which the processor accesses them. cpu->rip is the instruction's own address.
 * Implicit accesses to system structures (descriptor tables, TSS, page tables) are not listed.
 *
 * Returns their number (0 to X86_MEMORY_OPERANDS_MAX), or -EOPNOTSUPP for gathers and scatters,
 * whose addresses are in vector registers.
 */
int x86_memory_operands(const struct x86_insn *insn, const struct x86_cpu *cpu,
			struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * State of an x86 processor as the instruction decoder and emulator see it, the mode that follows
 * from it, and the step from segment and offset to a linear address.
 *
 * Section numbers: "SDM" is Intel's Software Developer's Manual, "APM" AMD's Architecture
 * Programmer's Manual.
 *
 * Nothing here keeps state or takes locks: any thread may call any function on its own data.
 */
#ifndef ENTRESOL_CORE_X86_X86_H
#define ENTRESOL_CORE_X86_X86_H

#include <stdbool.h>
#include <stdint.h>

/* General-purpose registers, in the order of their encoding (SDM 2.1.5, table 2-2). */
enum x86_reg {
	X86_RAX,
	X86_RCX,
	X86_RDX,
	X86_RBX,
	X86_RSP,
	X86_RBP,
	X86_RSI,
	X86_RDI,
	X86_R8,
	X86_R9,
	X86_R10,
	X86_R11,
	X86_R12,
	X86_R13,
	X86_R14,
	X86_R15,
	X86_GPR_COUNT,
};

/* Segment registers, in the order of their encoding in ModRM.reg. */
enum x86_segment_reg {
	X86_ES,
	X86_CS,
	X86_SS,
	X86_DS,
	X86_FS,
	X86_GS,
	X86_SEGMENT_COUNT,
};

enum x86_vector {
	X86_VECTOR_DE = 0,
	X86_VECTOR_DB = 1,
	X86_VECTOR_BR = 5,
	X86_VECTOR_UD = 6,
	X86_VECTOR_NM = 7,
	X86_VECTOR_SS = 12,
	X86_VECTOR_GP = 13,
	X86_VECTOR_PF = 14,
	X86_VECTOR_AC = 17,
};

#define X86_RFLAGS_CF    (1UL << 0)
#define X86_RFLAGS_FIXED (1UL << 1)
#define X86_RFLAGS_PF    (1UL << 2)
#define X86_RFLAGS_AF    (1UL << 4)
#define X86_RFLAGS_ZF    (1UL << 6)
#define X86_RFLAGS_SF    (1UL << 7)
#define X86_RFLAGS_TF    (1UL << 8)
#define X86_RFLAGS_IF    (1UL << 9)
#define X86_RFLAGS_DF    (1UL << 10)
#define X86_RFLAGS_OF    (1UL << 11)
#define X86_RFLAGS_IOPL  (3UL << 12)
#define X86_RFLAGS_NT    (1UL << 14)
#define X86_RFLAGS_RF    (1UL << 16)
#define X86_RFLAGS_VM    (1UL << 17)
#define X86_RFLAGS_AC    (1UL << 18)
#define X86_RFLAGS_STATUS                                                                \
	(X86_RFLAGS_CF | X86_RFLAGS_PF | X86_RFLAGS_AF | X86_RFLAGS_ZF | X86_RFLAGS_SF | \
	 X86_RFLAGS_OF)

#define X86_CR0_PE      (1UL << 0)
#define X86_CR0_EM      (1UL << 2)
#define X86_CR0_TS      (1UL << 3)
#define X86_CR0_AM      (1UL << 18)
#define X86_CR0_PG      (1UL << 31)
#define X86_CR4_OSFXSR  (1UL << 9)
#define X86_CR4_LA57    (1UL << 12)
#define X86_CR4_OSXSAVE (1UL << 18)
#define X86_EFER_LMA    (1UL << 10)

/* Access rights as Hyper-V's HV_X64_SEGMENT_REGISTER and VMX keep them (TLFS, SDM 25.4.1). */
#define X86_SEGMENT_TYPE        0x000f
#define X86_SEGMENT_CODE        0x0008 /* in TYPE: executable */
#define X86_SEGMENT_EXPAND_DOWN 0x0004 /* in TYPE, data segments */
#define X86_SEGMENT_WRITABLE    0x0002 /* in TYPE, data segments */
#define X86_SEGMENT_READABLE    0x0002 /* in TYPE, code segments */
#define X86_SEGMENT_NONSYSTEM   0x0010
#define X86_SEGMENT_DPL_SHIFT   5
#define X86_SEGMENT_PRESENT     0x0080
#define X86_SEGMENT_LONG        0x2000
#define X86_SEGMENT_DEFAULT     0x4000 /* D/B: 32-bit code or stack */
#define X86_SEGMENT_GRANULARITY 0x8000

struct x86_segment {
	uint64_t base;
	uint32_t limit; /* in bytes, granularity applied; the last valid offset */
	uint16_t selector;
	uint16_t attributes;
};

struct x86_cpu {
	uint64_t gpr[X86_GPR_COUNT];
	uint64_t rip;
	uint64_t rflags;
	uint64_t cr0;
	uint64_t cr4;
	uint64_t efer;
	struct x86_segment segment[X86_SEGMENT_COUNT];
};

/* What decoding and address arithmetic need to know of the processor. */
struct x86_cpu_mode {
	uint8_t code_bits;   /* default operand/address size: 16, 32 or 64 */
	uint8_t stack_bits;  /* width of the stack pointer: 16, 32 or 64 */
	uint8_t linear_bits; /* canonical width in 64-bit mode: 48 or 57 */
	uint8_t cpl;
	bool real;      /* real-address mode */
	bool vm86;      /* virtual-8086 mode */
	bool long_mode; /* EFER.LMA: 64-bit or compatibility mode */
};

/* Derives the mode from CR0, CR4, EFER, RFLAGS, CS and SS (SDM vol. 3, 2.2). CPL is SS.DPL. */
void x86_cpu_mode(struct x86_cpu_mode *mode, const struct x86_cpu *cpu);

/* Kind of a memory access, as a mask: a read-modify-write operand is READ | WRITE. */
#define X86_ACCESS_READ   0x1
#define X86_ACCESS_WRITE  0x2
#define X86_ACCESS_FETCH  0x4  /* of instruction bytes */
#define X86_ACCESS_USER   0x8  /* at CPL 3, for page protection */
#define X86_ACCESS_LOCKED 0x10 /* part of a locked read-modify-write */

/*
 * Turns an offset (already cut to the address size) into a linear address for an access of size
 * bytes (at least 1). access is a mask of X86_ACCESS_READ, _WRITE and _FETCH.
 *
 * Returns 0, or the vector of the fault that the processor raises instead, with error code 0:
 * X86_VECTOR_GP or, for the stack segment, X86_VECTOR_SS. *linear is set in either case.
 * SDM vol. 3, 5.3 (limits), 5.3.1 (64-bit mode), vol. 1, 3.3.7.1 (canonical addresses).
 */
int x86_linear_address(const struct x86_cpu *cpu, const struct x86_cpu_mode *mode,
		       enum x86_segment_reg segment, uint64_t offset, uint32_t size,
		       uint32_t access, uint64_t *linear);

#endif

#ifndef PARAVISOR_BOOT_BOOT_STATE_H
#define PARAVISOR_BOOT_BOOT_STATE_H

#include <stdint.h>

/*
 * The state in which VTL0's first VP starts. A plain description: it knows nothing of the
 * hypervisor that will be asked to set it.
 */

/* attributes: TLFS 7.9.2 (HV_X64_SEGMENT_REGISTER); the low byte is a descriptor's access byte. */
#define BOOT_SEGMENT_TYPE(x)   ((x)&0xf)
#define BOOT_SEGMENT_CODE_DATA (1u << 4)
#define BOOT_SEGMENT_PRESENT   (1u << 7)
#define BOOT_SEGMENT_LONG      (1u << 13)
#define BOOT_SEGMENT_DEFAULT   (1u << 14) /* 32-bit operands */
#define BOOT_SEGMENT_GRANULAR  (1u << 15) /* the descriptor counts pages; limit is in bytes here */

struct boot_segment {
	uint64_t base;
	uint32_t limit; /* in bytes, granularity already applied */
	uint16_t selector;
	uint16_t attributes;
};

struct boot_table_register {
	uint64_t base;
	uint16_t limit;
};

/* x86 numbering, as in ModRM and as in Hyper-V's register names. */
enum boot_gpr {
	BOOT_RAX,
	BOOT_RCX,
	BOOT_RDX,
	BOOT_RBX,
	BOOT_RSP,
	BOOT_RBP,
	BOOT_RSI,
	BOOT_RDI
};
#define BOOT_GPR_COUNT 16

struct boot_vp_state {
	uint64_t gpr[BOOT_GPR_COUNT]; /* RSP among them */
	uint64_t rip, rflags;
	uint64_t cr0, cr3, cr4;
	uint64_t efer;
	uint64_t pat;           /* IA32_PAT */
	uint64_t mtrr_def_type; /* IA32_MTRR_DEF_TYPE; the variable and fixed MTRRs stay zero */
	struct boot_segment cs, ds, es, fs, gs, ss, tr, ldtr;
	struct boot_table_register gdtr, idtr;
};

#endif

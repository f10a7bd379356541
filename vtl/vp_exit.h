#ifndef VTL_VP_EXIT_H
#define VTL_VP_EXIT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/hv_register.h"

/*
 * Why a virtual processor of VTL0 stopped running, in one form for every way of running VTL0. What
 * is here has been checked for form (lengths, sizes, kinds); what it says is still the guest's.
 */

enum vp_exit_kind {
	VP_EXIT_PIO,
	VP_EXIT_MEMORY, /* access to an address without backing, or against its protection */
	VP_EXIT_MSR,
	VP_EXIT_CPUID,
	VP_EXIT_HYPERCALL,
	VP_EXIT_HALT,
	VP_EXIT_EOI,           /* of a level-triggered interrupt */
	VP_EXIT_INTERRUPTIBLE, /* an external interrupt can be delivered now */
	VP_EXIT_SLOT_FREE,     /* a message can be posted now */
	VP_EXIT_CRASH,         /* triple fault */
	VP_EXIT_WAKE,          /* nothing of VTL0's: the event loop has work, or a signal came */
	VP_EXIT_UNKNOWN,
	VP_EXIT_KIND_COUNT
};

/* Values of hv_intercept_access_type. */
struct vp_exit_pio {
	uint16_t port;
	uint8_t size; /* 1, 2 or 4 */
	bool write;
	bool string;    /* INS or OUTS: the instruction is to be emulated */
	uint32_t value; /* written, when not a string; unused bytes zero */
};

struct vp_exit_memory {
	uint64_t gpa;
	uint64_t gva;
	uint8_t access;  /* enum hv_intercept_access_type */
	bool gva_valid;  /* gva is the linear address that led to gpa */
	bool protection; /* there is memory, but VTL0 may not access it so */
};

struct vp_exit_msr {
	uint32_t index;
	bool write;
	uint64_t value; /* written */
};

struct vp_exit_cpuid {
	uint32_t leaf, subleaf;
	uint32_t eax, ebx, ecx, edx; /* what the hypervisor would answer */
};

struct vp_exit_hypercall {
	union {
		uint64_t control; /* union hv_hypercall_control */
		uint16_t call_code;
	};
	uint64_t input[2]; /* fast: the input itself; else GPAs of input and output */
};

struct vp_exit {
	enum vp_exit_kind kind;
	uint32_t message_type;          /* hv_message_type, for diagnosis */
	uint64_t rip;                   /* of the instruction */
	uint8_t instruction_length;     /* 0: not known */
	uint8_t instruction_byte_count; /* 0 to 15: what is known of the instruction */
	uint8_t instruction_bytes[16];
	uint8_t cpl;
	bool interrupt_shadow;
	bool long_mode; /* 64-bit code */
	union {
		struct vp_exit_pio pio;
		struct vp_exit_memory memory;
		struct vp_exit_msr msr;
		struct vp_exit_cpuid cpuid;
		struct vp_exit_hypercall hypercall;
		uint8_t eoi_vector;
		uint16_t free_sints; /* a bit each */
	};
};

#endif

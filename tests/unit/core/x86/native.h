/* SPDX-License-Identifier: MIT */
/* Runs single instructions on the processor of this machine, in 64-bit user mode. */
#ifndef ENTRESOL_TESTS_UNIT_CORE_X86_NATIVE_H
#define ENTRESOL_TESTS_UNIT_CORE_X86_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATIVE_DATA_SIZE 8192
/* Around it, where accesses fault. */
#define NATIVE_GUARD_SIZE 65536UL
/* Branches may target this many bytes after the end of the instruction. */
#define NATIVE_TAKEN_DISTANCE 64

struct native_state {
	uint64_t gpr[16];
	uint64_t rflags;
	uint8_t ymm[16][32];
};

enum native_outcome {
	NATIVE_NEXT,  /* went on after the instruction */
	NATIVE_TAKEN, /* went on NATIVE_TAKEN_DISTANCE after its end */
	NATIVE_FAULT, /* see native_signal */
};

/* Memory below 2 GiB that instructions may access, and where they lie. */
extern uint8_t *native_data;
extern uint8_t *native_code;
extern bool native_has_avx;
extern int native_signal;

/* The GS base during native_run(). */
#define NATIVE_GS_BASE 0x1000UL

void native_setup(void);

/* To be called in each test, as cmocka sets handlers of its own before. */
void native_catch_signals(void);

/* Runs the len bytes at insn, copied to native_code, with the registers of *state. */
enum native_outcome native_run(struct native_state *state, const uint8_t *insn, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Runs single instructions on the processor of this machine, in user mode: in 64-bit code, in
 * 32-bit code with flat segments, and in 16-bit code with segments of its own.
 */
#ifndef ENTRESOL_TESTS_UNIT_CORE_X86_NATIVE_H
#define ENTRESOL_TESTS_UNIT_CORE_X86_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATIVE_DATA_SIZE 8192
/* Around it, where accesses fault. */
#define NATIVE_GUARD_SIZE 65536UL
#define NATIVE_CODE_SIZE  4096
/* Branches may target this many bytes after the end of the instruction. */
#define NATIVE_TAKEN_DISTANCE 64

struct native_state {
	uint64_t gpr[16]; /* the upper eight in 64-bit code only */
	uint64_t rflags;
	uint8_t ymm[16][32];
};

enum native_outcome {
	NATIVE_NEXT,  /* went on after the instruction */
	NATIVE_TAKEN, /* went on NATIVE_TAKEN_DISTANCE after its end */
	NATIVE_FAULT, /* see native_signal */
};

/* The segments of the mode that is set. */
struct native_mode {
	unsigned int bits;
	uint16_t cs;
	uint16_t ds; /* ES and SS, too */
	uint64_t code_base;
	uint64_t data_base;
	uint32_t code_limit;
	uint32_t data_limit;
};

/* Memory below 2 GiB that instructions may access, and where they lie. */
extern uint8_t *native_data;
extern uint8_t *native_code;
extern bool native_has_avx;
extern int native_signal;
/* Of the last fault: the exception's vector, error code and CR2, where it has them. */
extern uint8_t native_vector;
extern uint32_t native_error_code;
extern uint64_t native_fault_address;
extern struct native_mode native_mode;

/* The GS base during native_run() in 64-bit code. */
#define NATIVE_GS_BASE 0x1000UL

void native_setup(void);

/* Lets the buffer fault, or not. */
void native_protect_data(bool inaccessible);

/* For native_run(): bits is 64, 32 or 16. False when the kernel does not let us. */
bool native_set_mode(unsigned int bits);

/* To be called in each test, as cmocka sets handlers of its own before. */
void native_catch_signals(void);

/* Runs the len bytes at insn, copied to native_code, with the registers of *state. */
enum native_outcome native_run(struct native_state *state, const uint8_t *insn, size_t len);

#endif

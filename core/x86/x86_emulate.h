/* SPDX-License-Identifier: MIT */
/*
 * x86 instruction emulator: executes one instruction on a copy of the registers, with memory, I/O
 * and vector registers behind the caller's operations.
 */
#ifndef ENTRESOL_CORE_X86_X86_EMULATE_H
#define ENTRESOL_CORE_X86_X86_EMULATE_H

#include "core/x86/x86.h"
#include "core/x86/x86_decode.h"

#include <stddef.h>

struct x86_exception {
	uint8_t vector;
	bool has_error_code;
	uint32_t error_code;
	uint64_t address; /* CR2, for a page fault */
};

/*
 * What the emulator asks of its surroundings. Every operation returns 0; -EFAULT after filling in
 * *exception, which the instruction then raises; or another -errno, which ends the emulation and
 * is returned by x86_emulate() unchanged.
 *
 * Linear addresses are canonical, and segment limits have been checked. An access can cross a page
 * boundary: the operation must find out about both pages before it changes either. The access
 * mask tells about user mode (page protection) and, on the read of a read-modify-write
 * instruction, that a write follows (so that a read-only page faults before anything is read).
 *
 * Any of them may be NULL, which is the same as returning -EOPNOTSUPP.
 */
struct x86_emulator_ops {
	/* len is 1 to 64 bytes. */
	int (*read_memory)(void *ctx, uint64_t linear, void *data, size_t len, uint32_t access,
			   struct x86_exception *exception);
	int (*write_memory)(void *ctx, uint64_t linear, const void *data, size_t len,
			    uint32_t access, struct x86_exception *exception);
	/* Instruction bytes; never crosses a page boundary. */
	int (*fetch)(void *ctx, uint64_t linear, void *data, size_t len,
		     struct x86_exception *exception);
	/*
	 * For locked instructions (and XCHG): if the len bytes (1, 2, 4, 8 or 16) at linear are
	 * equal to expected, replaces them by desired, else stores what is there in expected, in one
	 * atomic step; -EAGAIN tells the latter. On memory-mapped I/O a plain read and write do.
	 * NULL: the emulator uses read_memory and write_memory.
	 */
	int (*cmpxchg_memory)(void *ctx, uint64_t linear, void *expected, const void *desired,
			      size_t len, uint32_t access, struct x86_exception *exception);
	/* Port I/O of 1, 2 or 4 bytes. The caller has checked IOPL and the I/O bitmap. */
	int (*read_io)(void *ctx, uint16_t port, void *data, size_t len,
		       struct x86_exception *exception);
	int (*write_io)(void *ctx, uint16_t port, const void *data, size_t len,
			struct x86_exception *exception);
	/* The low len (16 or 32) bytes of XMM/YMM register reg (0 to 15). */
	int (*get_vector)(void *ctx, uint8_t reg, void *data, size_t len);
	/* zero_upper: bits above len become 0 (VEX encodings), else they stay (SSE encodings). */
	int (*set_vector)(void *ctx, uint8_t reg, const void *data, size_t len, bool zero_upper);
};

enum x86_emulate_result {
	/* The instruction retired: registers are updated, RIP points to the next one. */
	X86_EMULATE_DONE = 0,
	/* emulator->exception is to be injected; registers are as the processor leaves them. */
	X86_EMULATE_EXCEPTION = 1,
	/* A REP instruction did some of its iterations; RIP still points to it: run it again. */
	X86_EMULATE_MORE = 2,
};

/*
 * The caller fills in cpu, bytes and byte_count (what it already has of the instruction, 0 to 15
 * bytes; more are fetched when needed) and max_iterations (for REP; 0 means a default), and reads
 * cpu, exception, single_step and insn afterwards.
 */
struct x86_emulator {
	struct x86_cpu cpu;
	struct x86_insn insn;
	struct x86_exception exception;
	uint32_t max_iterations;
	uint8_t byte_count;
	uint8_t bytes[X86_INSN_MAX_LENGTH];
	bool single_step;      /* out: RFLAGS.TF was set, so a #DB trap with DR6.BS is due */
	bool interrupt_shadow; /* out: interrupts stay blocked for one instruction (MOV SS) */
};

/*
 * Executes the instruction at cpu.cs:rip, or up to max_iterations of its REP iterations.
 *
 * Returns enum x86_emulate_result; -EOPNOTSUPP for an instruction that is not emulated; or the
 * error of an operation; -EAGAIN for a locked instruction that lost every race for its operand and
 * may simply be run again. Registers change only by what has completed: after an error or an
 * exception they are those of before the instruction, or of the last completed iteration.
 * An operation that fails after earlier ones of the same instruction succeeded leaves their effects
 * (a register of a device that was read, say), as hardware does.
 */
int x86_emulate(struct x86_emulator *emulator, const struct x86_emulator_ops *ops, void *ctx);

#endif

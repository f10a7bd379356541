/* SPDX-License-Identifier: MIT */
/*
 * One instruction in execution: working copies, operands, and the handlers' tools.
 * Private to core/x86/.
 *
 * Functions that return int return 0, X86_EMULATE_EXCEPTION with emulator->exception filled in, or
 * an -errno, and are to be left with that at once.
 */
#ifndef ENTRESOL_CORE_X86_EXECUTION_H
#define ENTRESOL_CORE_X86_EXECUTION_H

#include "core/x86/opcodes.h"
#include "core/x86/x86_emulate.h"

enum x86_operand_place {
	X86_PLACE_NONE,
	X86_PLACE_REGISTER,
	X86_PLACE_SEGMENT,
	X86_PLACE_MEMORY,
	X86_PLACE_VALUE, /* immediates and the constant one */
};

struct x86_operand {
	uint8_t place;
	uint8_t size; /* in bytes */
	uint8_t reg;
	bool high_byte; /* AH, CH, DH, BH: the second byte of reg */
	uint64_t value;
};

/* The vector register write that takes place when the instruction retires. */
struct x86_vector_write {
	bool pending;
	bool zero_upper;
	uint8_t reg;
	uint8_t len;
	uint8_t data[32];
};

struct x86_execution {
	struct x86_emulator *emulator;
	const struct x86_emulator_ops *ops;
	void *ctx;
	const struct x86_insn *insn;
	enum x86_operation operation;
	struct x86_cpu_mode mode;
	struct x86_cpu cpu; /* becomes the emulator's when the instruction retires */
	uint64_t next_rip;
	uint32_t iterations; /* of a REP instruction, still allowed now */
	struct x86_operand operand[3];
	struct x86_vector_write vector_write;
};

/* Vectors that have an error code get 0. */
int x86_raise(struct x86_execution *x, uint8_t vector);

/* Memory at segment:offset, with segment, alignment and user checks; access as for the ops. */
int x86_load(struct x86_execution *x, uint8_t segment, uint64_t offset, void *data, size_t len,
	     uint32_t access);
int x86_store(struct x86_execution *x, uint8_t segment, uint64_t offset, const void *data,
	      size_t len);

/* General registers: 4-byte writes clear the upper half, smaller ones keep the rest. */
uint64_t x86_get_gpr(const struct x86_cpu *cpu, enum x86_reg reg, unsigned int size);
void x86_set_gpr(struct x86_cpu *cpu, enum x86_reg reg, unsigned int size, uint64_t value);

/* Operand i of the instruction. access: X86_ACCESS_READ, with _WRITE when a write follows. */
void x86_operands_resolve(struct x86_execution *x);
int x86_operand_read(struct x86_execution *x, unsigned int i, uint32_t access, uint64_t *value);
int x86_operand_write(struct x86_execution *x, unsigned int i, uint64_t value);

/*
 * Replaces operand i, *old, by value; in memory with LOCK atomically. -EAGAIN: it had changed, *old
 * is what it is now, and nothing was written.
 */
int x86_operand_replace(struct x86_execution *x, unsigned int i, uint64_t *old, uint64_t value);

/*
 * Read-modify-write of operand 0: compute() gets the old value and returns the new one, and sets
 * *rflags; it can be called several times.
 */
int x86_operand_modify(struct x86_execution *x,
		       uint64_t (*compute)(struct x86_execution *x, uint64_t old,
					   uint64_t *rflags));

/* Compares and replaces len bytes (up to 16) at segment:offset, for LOCK; as x86_operand_replace. */
int x86_memory_replace(struct x86_execution *x, uint8_t segment, uint64_t offset, void *expected,
		       const void *desired, size_t len);

/* Tries before a contended locked instruction is given up with -EAGAIN, to be run again. */
#define X86_LOCK_TRIES 100

int x86_push(struct x86_execution *x, uint64_t value);
int x86_pop(struct x86_execution *x, uint64_t *value);

/* Sets next_rip to a target of operand-size bytes, checking it against CS or for canonicity. */
int x86_branch(struct x86_execution *x, uint64_t target);

/* The handlers of an operation: NULL when it is not emulated. */
typedef int x86_handler_fn(struct x86_execution *x);

x86_handler_fn x86_emulate_alu, x86_emulate_unary, x86_emulate_shift, x86_emulate_shift_double,
	x86_emulate_test, x86_emulate_multiply, x86_emulate_imul, x86_emulate_divide,
	x86_emulate_bit, x86_emulate_bit_scan, x86_emulate_popcnt, x86_emulate_sign_extend_a;

x86_handler_fn x86_emulate_mov, x86_emulate_movsx, x86_emulate_movbe, x86_emulate_bswap,
	x86_emulate_lea, x86_emulate_xchg, x86_emulate_xadd, x86_emulate_cmpxchg,
	x86_emulate_cmpxchg8b, x86_emulate_setcc, x86_emulate_cmovcc, x86_emulate_xlat,
	x86_emulate_nop, x86_emulate_in, x86_emulate_out, x86_emulate_flag, x86_emulate_lahf,
	x86_emulate_sahf;

x86_handler_fn x86_emulate_push, x86_emulate_pop, x86_emulate_pushf, x86_emulate_leave,
	x86_emulate_jcc, x86_emulate_jmp, x86_emulate_call, x86_emulate_ret, x86_emulate_loop;

x86_handler_fn x86_emulate_string, x86_emulate_vector;

#endif

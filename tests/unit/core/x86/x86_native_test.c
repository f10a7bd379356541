// SPDX-License-Identifier: MIT
/*
 * Differential test: instructions with random operands run on the processor of this machine and in
 * the emulator; registers, flags and memory must agree.
 *
 * Every opcode that the emulator executes is tried with all its prefixes and operand forms. The
 * generator knows the bytes' layout but not the decoder's tables; it asks the decoder only which
 * registers address memory, to point them at the buffer, and whether the instruction is one
 * to run here (port I/O and segment loads are not).
 *
 * ENTRESOL_X86_ROUNDS multiplies the number of cases; ENTRESOL_X86_SEED varies them.
 */
#include "core/x86/opcodes.h"
#include "core/x86/x86_emulate.h"
#include "tests/unit/core/x86/generate.h"
#include "tests/unit/core/x86/native.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct world {
	uint8_t *memory; /* what the emulator has instead of native_data */
	uint8_t ymm[16][32];
	bool elsewhere; /* something was accessed of which it is not known what is there natively */
};

static unsigned int failures;
static unsigned long compared;

/* Where `len` bytes are in the data; false: not all of them are. */
static bool find_data(uint64_t linear, size_t len, uint64_t *at)
{
	uint64_t base = (uintptr_t)native_data;

	*at = linear - base;
	return linear >= base && len <= NATIVE_DATA_SIZE && *at <= NATIVE_DATA_SIZE - len;
}

/* --- the emulator's side --- */

static int access_memory(struct world *world, uint64_t linear, size_t len, uint8_t **at,
			 struct x86_exception *exception)
{
	uint64_t base = (uintptr_t)native_data, offset;

	if (linear - (base - NATIVE_GUARD_SIZE) > NATIVE_DATA_SIZE + 2 * NATIVE_GUARD_SIZE - len)
		world->elsewhere = true;
	if (!find_data(linear, len, &offset)) {
		*exception = (struct x86_exception){
			.vector = X86_VECTOR_PF,
			.has_error_code = true,
			.address = linear,
		};
		return -EFAULT;
	}
	*at = world->memory + offset;
	return 0;
}

static int read_memory(void *ctx, uint64_t linear, void *data, size_t len, uint32_t access,
		       struct x86_exception *exception)
{
	uint8_t *at;
	int ret = access_memory(ctx, linear, len, &at, exception);

	assert_true(access & X86_ACCESS_USER);
	if (!ret)
		memcpy(data, at, len);
	return ret;
}

static int write_memory(void *ctx, uint64_t linear, const void *data, size_t len, uint32_t access,
			struct x86_exception *exception)
{
	uint8_t *at;
	int ret = access_memory(ctx, linear, len, &at, exception);

	assert_true(access & X86_ACCESS_WRITE);
	assert_false(access & X86_ACCESS_LOCKED);
	if (!ret)
		memcpy(at, data, len);
	return ret;
}

static int cmpxchg_memory(void *ctx, uint64_t linear, void *expected, const void *desired,
			  size_t len, uint32_t access, struct x86_exception *exception)
{
	uint8_t *at;
	int ret = access_memory(ctx, linear, len, &at, exception);

	assert_true(access & X86_ACCESS_LOCKED);
	if (ret)
		return ret;
	/* Now and then somebody else was faster and put back what was there: try again. */
	if (memcmp(at, expected, len) || random_below(8) == 0) {
		memcpy(expected, at, len);
		return -EAGAIN;
	}
	memcpy(at, desired, len);
	return 0;
}

static int get_vector(void *ctx, uint8_t reg, void *data, size_t len)
{
	struct world *world = ctx;

	memcpy(data, world->ymm[reg], len);
	return 0;
}

static int set_vector(void *ctx, uint8_t reg, const void *data, size_t len, bool zero_upper)
{
	struct world *world = ctx;

	memcpy(world->ymm[reg], data, len);
	if (zero_upper)
		memset(world->ymm[reg] + len, 0, 32 - len);
	return 0;
}

static const struct x86_emulator_ops ops = {
	.read_memory = read_memory,
	.write_memory = write_memory,
	.cmpxchg_memory = cmpxchg_memory,
	.get_vector = get_vector,
	.set_vector = set_vector,
};

/* Where the memory operand shall be, before divisions round it by some bytes. */
static uint64_t pick_target(const struct encoded *e)
{
	uint64_t target = native_data_offset(2048 + random_below(4096));

	/* Aligned ones must be reached, too. */
	if (random_below(2))
		target &= ~31UL;
	if (e->insn.address.segment == X86_GS)
		target -= NATIVE_GS_BASE;
	return target;
}

static bool is_string(const struct x86_insn *insn)
{
	uint8_t operation = insn->opcode_info->operation;

	return operation >= X86_OP_MOVS && operation <= X86_OP_SCAS;
}

static void aim_string(struct native_state *state)
{
	state->gpr[X86_RSI] = native_data_offset(2048 + random_below(2048));
	state->gpr[X86_RDI] = native_data_offset(2048 + random_below(2048));
	/* Now and then both are near, so that they overlap; now and then at the edge: a fault. */
	if (random_below(4) == 0)
		state->gpr[X86_RDI] = state->gpr[X86_RSI] + random_below(16) - 8;
	if (random_below(16) == 0)
		state->gpr[X86_RDI] = native_data_offset(NATIVE_DATA_SIZE - random_below(64));
	state->gpr[X86_RCX] = random_below(24);
}

static void randomise_memory(uint8_t *memory)
{
	for (unsigned int i = 0; i < NATIVE_DATA_SIZE; i += 8) {
		uint64_t value = random_value();

		memcpy(memory + i, &value, 8);
	}
}

/* --- what may differ --- */

static unsigned int shift_count(const struct x86_insn *insn, const struct native_state *before)
{
	unsigned int count = insn->immediate;

	switch (insn->opcode) {
	case 0xd0:
	case 0xd1:
		count = 1;
		break;
	case 0xd2:
	case 0xd3:
	case 0xa5:
	case 0xad:
		count = before->gpr[X86_RCX];
		break;
	}
	return count & (insn->operand_size == 8 ? 63 : 31);
}

static uint64_t undefined_of_shift(const struct x86_insn *insn, const struct native_state *before)
{
	uint8_t operation = insn->opcode_info->operation;
	unsigned int count = shift_count(insn, before);
	unsigned int bits =
		insn->opcode_info->operand[0].size == X86_SIZE_B ? 8 : 8 * insn->operand_size;
	uint64_t undefined = 0;

	/* REX.W counts up to 63 for words only. */
	if (bits == 8)
		count &= 31;
	if (!count)
		return 0;
	if (count > 1)
		undefined |= X86_RFLAGS_OF;
	if (operation >= X86_OP_SHL)
		undefined |= X86_RFLAGS_AF;
	if ((operation == X86_OP_SHL || operation == X86_OP_SAL || operation == X86_OP_SHR) &&
	    count >= bits)
		undefined |= X86_RFLAGS_CF;
	if ((operation == X86_OP_SHLD || operation == X86_OP_SHRD) && count > bits)
		undefined |= X86_RFLAGS_STATUS;
	return undefined;
}

/* SDM vol. 1, appendix A, and the pages of the instructions. */
static uint64_t undefined_flags(const struct x86_insn *insn, const struct native_state *before)
{
	const uint64_t all_but_cf_of =
		X86_RFLAGS_SF | X86_RFLAGS_ZF | X86_RFLAGS_AF | X86_RFLAGS_PF;

	switch (insn->opcode_info->operation) {
	case X86_OP_AND:
	case X86_OP_OR:
	case X86_OP_XOR:
	case X86_OP_TEST:
		return X86_RFLAGS_AF;
	case X86_OP_ROL ... X86_OP_SAR:
	case X86_OP_SHLD:
	case X86_OP_SHRD:
		return undefined_of_shift(insn, before);
	case X86_OP_MUL:
	case X86_OP_IMUL_WIDE:
	case X86_OP_IMUL:
		return all_but_cf_of;
	case X86_OP_DIV:
	case X86_OP_IDIV:
		return X86_RFLAGS_STATUS;
	case X86_OP_BT ... X86_OP_BTC:
		return X86_RFLAGS_STATUS & ~(X86_RFLAGS_CF | X86_RFLAGS_ZF);
	case X86_OP_BSF:
	case X86_OP_BSR:
		return X86_RFLAGS_STATUS & ~(X86_RFLAGS_ZF | (insn->rep ? X86_RFLAGS_CF : 0));
	default:
		return 0;
	}
}

/* Including BSF and BSR of zero, whose destination keeps its value on AMD's and most others. */
static bool undefined_result(const struct x86_insn *insn, const struct native_state *before,
			     const struct native_state *after)
{
	uint8_t operation = insn->opcode_info->operation;

	if (operation == X86_OP_SHLD || operation == X86_OP_SHRD)
		return shift_count(insn, before) > 8u * insn->operand_size;
	if (operation == X86_OP_BSF || operation == X86_OP_BSR)
		return !insn->rep && (after->rflags & X86_RFLAGS_ZF);
	return operation == X86_OP_BSWAP && insn->operand_size == 2;
}

/* --- comparing --- */

struct run {
	struct native_state before, native;
	uint8_t memory_before[NATIVE_DATA_SIZE];
	uint8_t memory[NATIVE_DATA_SIZE];
	enum native_outcome outcome;
	struct x86_emulator emulator;
	struct world world;
	int result;
};

static void report(const struct encoded *e, const struct run *run, const char *what)
{
	if (failures++ > 20)
		return;
	fprintf(stderr, "%s differs:", what);
	for (unsigned int i = 0; i < e->insn.length; i++)
		fprintf(stderr, " %02x", e->bytes[i]);
	fprintf(stderr, " (native outcome %d, signal %d; emulator %d, vector %d)\n", run->outcome,
		native_signal, run->result, run->emulator.exception.vector);
	for (unsigned int i = 0; i < 16; i++) {
		if (run->native.gpr[i] != run->emulator.cpu.gpr[i])
			fprintf(stderr, "  gpr %u: before %016lx, native %016lx, emulator %016lx\n",
				i, run->before.gpr[i], run->native.gpr[i],
				run->emulator.cpu.gpr[i]);
	}
	fprintf(stderr, "  rflags: before %06lx, native %06lx, emulator %06lx\n",
		run->before.rflags, run->native.rflags, run->emulator.cpu.rflags);
	for (unsigned int i = 0; i < NATIVE_DATA_SIZE; i++) {
		if (run->memory[i] != native_data[i]) {
			fprintf(stderr, "  memory at %u: before %02x, native %02x, emulator %02x\n",
				i, run->memory_before[i], native_data[i], run->memory[i]);
			break;
		}
	}
}

static int signal_of(uint8_t vector)
{
	switch (vector) {
	case X86_VECTOR_DE:
		return SIGFPE;
	case X86_VECTOR_UD:
		return SIGILL;
	case X86_VECTOR_SS:
		return SIGBUS;
	default:
		return SIGSEGV;
	}
}

/* At one of the two places where there is code. */
static bool goes_on(const struct run *run)
{
	uint64_t next = (uintptr_t)native_code - native_mode.code_base + run->emulator.insn.length;
	uint64_t rip = run->emulator.cpu.rip;

	return rip == next || rip == next + NATIVE_TAKEN_DISTANCE;
}

/*
 * Where a segment ends at 4 GiB, an access that goes on behind its end may be refused by the limit or go on at 0, and vary
 * from one execution to the next (SDM vol. 3, 5.3).
 */
static bool goes_round(const struct run *run)
{
	uint8_t vector = run->emulator.exception.vector;

	return native_mode.bits == 32 && (vector == X86_VECTOR_SS || vector == X86_VECTOR_GP) &&
	       native_vector == X86_VECTOR_PF &&
	       (uint32_t)(native_fault_address + X86_INSN_MAX_LENGTH) < 2 * X86_INSN_MAX_LENGTH;
}

static bool outcomes_agree(const struct run *run)
{
	uint64_t rip = run->emulator.cpu.rip;
	uint64_t start = (uintptr_t)native_code - native_mode.code_base;
	uint64_t next = start + run->emulator.insn.length;

	if (run->outcome == NATIVE_FAULT)
		return run->result == X86_EMULATE_EXCEPTION && rip == start &&
		       (signal_of(run->emulator.exception.vector) == native_signal ||
			goes_round(run));
	if (run->result != X86_EMULATE_DONE)
		return false;
	return rip == next + (run->outcome == NATIVE_TAKEN ? NATIVE_TAKEN_DISTANCE : 0);
}

static bool pushes_segment(const struct x86_insn *insn)
{
	if (insn->opcode_info->operation != X86_OP_PUSH)
		return false;
	return insn->map == X86_MAP_ONE_BYTE ? (insn->opcode & 0xe7) == 0x06
					     : (insn->opcode & 0xf7) == 0xa0;
}

/*
 * What the processor's model decides about. A segment register that is pushed as four bytes is written as four,
 * zero-extended, or as two (SDM vol. 2, PUSH). A call that faults for its target may have written the return address, below
 * a stack pointer that stays.
 */
static void excuse_stack(const struct x86_insn *insn, struct run *run)
{
	uint64_t mask = native_mode.bits == 64 ? ~0ull : 0xffffffff;
	uint64_t stack = native_mode.data_base + (run->emulator.cpu.gpr[X86_RSP] & mask);
	size_t size = insn->operand_size;
	uint64_t at;

	if (pushes_segment(insn) && size == 4 && find_data(stack + 2, 2, &at) && !run->memory[at] &&
	    !run->memory[at + 1] && !memcmp(native_data + at, run->memory_before + at, 2))
		memcpy(run->memory + at, native_data + at, 2);
	if (insn->opcode_info->operation == X86_OP_CALL && run->outcome == NATIVE_FAULT &&
	    find_data(stack - size, size, &at))
		memcpy(run->memory + at, native_data + at, size);
}

static void compare(const struct encoded *e, struct run *run)
{
	/* RF is set in the flags that a fault pushes. */
	uint64_t mask = (NATIVE_RANDOM_FLAGS & ~undefined_flags(&e->insn, &run->before));

	compared++;
	excuse_stack(&e->insn, run);
	if (!outcomes_agree(run))
		report(e, run, "outcome");
	else if (undefined_result(&e->insn, &run->before, &run->native))
		return;
	else if (memcmp(run->native.gpr, run->emulator.cpu.gpr, sizeof(run->native.gpr)))
		report(e, run, "register");
	else if (run->outcome != NATIVE_FAULT &&
		 (run->native.rflags ^ run->emulator.cpu.rflags) & mask)
		report(e, run, "flags");
	else if (memcmp(native_data, run->memory, NATIVE_DATA_SIZE))
		report(e, run, "memory");
	for (unsigned int i = 0; i < 16; i++) {
		if (memcmp(run->native.ymm[i], run->world.ymm[i], native_has_avx ? 32 : 16))
			report(e, run, "vector register");
	}
}

static void run_native(const struct encoded *e, struct run *run)
{
	memcpy(native_data, run->memory_before, NATIVE_DATA_SIZE);
	run->native = run->before;
	run->outcome = native_run(&run->native, e->bytes, e->insn.length);
}

static void run_emulator(const struct encoded *e, struct run *run)
{
	memcpy(run->memory, run->memory_before, NATIVE_DATA_SIZE);
	run->world.memory = run->memory;
	run->world.elsewhere = false;
	memcpy(run->world.ymm, run->before.ymm, sizeof(run->world.ymm));
	memset(&run->emulator, 0, sizeof(run->emulator));
	native_cpu(&run->emulator.cpu, &run->before);
	memcpy(run->emulator.bytes, e->bytes, X86_INSN_MAX_LENGTH);
	run->emulator.byte_count = X86_INSN_MAX_LENGTH;
	/* In several steps, if the instruction has several. */
	run->emulator.max_iterations = 1 + random_below(30);
	do {
		run->result = x86_emulate(&run->emulator, &ops, &run->world);
	} while (run->result == X86_EMULATE_MORE || run->result == -EAGAIN);
}

static bool is_branch(const struct x86_insn *insn)
{
	return insn->opcode_info->operation >= X86_OP_JCC &&
	       insn->opcode_info->operation <= X86_OP_LOOP;
}

static bool run_here(const struct encoded *e)
{
	const struct x86_insn *insn = &e->insn;
	uint8_t operation = insn->opcode_info->operation;

	if (operation == X86_OP_INVALID || operation == X86_OP_OTHER)
		return false;
	/* Ports are the kernel's. */
	if (operation >= X86_OP_INS && operation <= X86_OP_OUT)
		return false;
	/* What a loaded segment register holds is so, too. */
	if (insn->opcode_info->operand[0].kind == X86_KIND_S)
		return false;
	/* A target cut to 16 bits is elsewhere; AMD and Intel differ about it in 64-bit mode. */
	if (is_branch(insn) && e->operand_prefix)
		return false;
	/* AMD's LOOPNE and LOOPE take their condition from a REP prefix, as the 8086 did. */
	if (operation == X86_OP_LOOP && (insn->rep || insn->repne))
		return false;
	/* Intel's take F3 90 for PAUSE whatever REX says, AMD's exchange with R8. */
	if (insn->rep && insn->map == X86_MAP_ONE_BYTE && insn->opcode == 0x90)
		return false;
	/* CLFLUSH checks an address, at which the emulator does not look. */
	if (operation == X86_OP_NOP && insn->has_memory && insn->opcode == 0xae)
		return false;
	if (insn->encoding == X86_ENCODING_VEX && !native_has_avx)
		return false;
	return operation <= X86_OP_VECTOR;
}

static uint64_t taken_target(const struct encoded *e)
{
	return (uintptr_t)native_code - native_mode.code_base + e->insn.length +
	       NATIVE_TAKEN_DISTANCE;
}

/* A relative distance is the last thing in the instruction. */
static void aim_relative(struct encoded *e)
{
	bool byte = e->insn.opcode_info->operand[0].size == X86_SIZE_B;
	unsigned int len = byte ? 1 : e->insn.operand_size == 2 ? 2 : 4;
	uint32_t distance = NATIVE_TAKEN_DISTANCE;

	memcpy(e->bytes + e->insn.length - len, &distance, len);
}

/* Where the branch goes to is in a register, at the operand's address or on the stack. */
static void aim_branch(struct encoded *e, struct run *run)
{
	struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX];
	uint64_t target = taken_target(e);
	struct x86_cpu cpu;
	uint64_t at;

	if (e->insn.opcode_info->operand[0].kind == X86_KIND_J) {
		aim_relative(e);
		return;
	}
	if (e->insn.opcode_info->operand[0].kind == X86_KIND_E && !e->insn.has_memory) {
		run->before.gpr[e->insn.rm] = target;
		return;
	}
	native_cpu(&cpu, &run->before);
	assert_true(x86_memory_operands(&e->insn, &cpu, operands) > 0);
	at = operands[0].linear - (uintptr_t)native_data;
	if (at <= NATIVE_DATA_SIZE - sizeof(target))
		memcpy(run->memory_before + at, &target, e->insn.operand_size);
}

static bool prepare(struct encoded *e, struct run *run)
{
	native_randomise(&run->before);
	run->before.gpr[X86_RSP] = native_data_offset(4096 + 8 * random_below(64));
	if (random_below(2))
		run->before.gpr[X86_RBP] = native_data_offset(1024 + random_below(64));
	if (e->insn.opcode_info->operation == X86_OP_XLAT)
		run->before.gpr[X86_RBX] = native_data_offset(random_below(4096));
	if (e->insn.opcode_info->operation == X86_OP_LOOP && random_below(2))
		run->before.gpr[X86_RCX] = random_below(3);
	randomise_memory(run->memory_before);
	if (is_string(&e->insn))
		aim_string(&run->before);
	else if (!generate_aim(e, &run->before, pick_target(e)))
		return false;
	if (is_branch(&e->insn))
		aim_branch(e, run);
	return true;
}

/* One instruction with random operands, if it is one that can run here. */
static void try(struct encoded *e)
{
	struct x86_cpu_mode mode = {
		.code_bits = native_mode.bits,
		.stack_bits = native_mode.bits == 64 ? 64 : 32,
		.linear_bits = 48,
		.cpl = 3,
		.long_mode = true,
	};
	static struct run run;

	if (x86_decode(&e->insn, &mode, e->bytes, e->len) || !run_here(e))
		return;
	if (!prepare(e, &run))
		return;
	run_emulator(e, &run);
	if (run.result == -EOPNOTSUPP || run.world.elsewhere)
		return;
	/* A branch to elsewhere, by bytes that were changed by its own push. */
	if (is_branch(&e->insn) && run.result == X86_EMULATE_DONE && !goes_on(&run))
		return;
	run_native(e, &run);
	compare(e, &run);
}

static unsigned int rounds(void)
{
	const char *text = getenv("ENTRESOL_X86_ROUNDS");

	return text ? strtoul(text, NULL, 10) : 1;
}

static bool start(unsigned int bits)
{
	native_catch_signals();
	compared = failures = 0;
	return native_set_mode(bits);
}

/* A test that compared next to nothing has not tested. */
static void finish(unsigned long at_least)
{
	print_message("%lu instructions compared\n", compared);
	assert_int_equal(failures, 0);
	assert_true(compared >= at_least);
}

static bool is_prefix(uint8_t byte)
{
	if (native_mode.bits == 64 && (byte & 0xf0) == 0x40)
		return true;
	return byte == 0x0f || (byte & 0xe7) == 0x26 || (byte >= 0x64 && byte <= 0x67) ||
	       byte == 0xf0 || byte == 0xf2 || byte == 0xf3;
}

static void test_map(unsigned int bits, unsigned int map, unsigned int cases)
{
	struct encoded e;

	if (!start(bits))
		skip();
	for (unsigned int i = 0; i < cases * rounds(); i++) {
		for (unsigned int opcode = 0; opcode < 256; opcode++) {
			if (map == X86_MAP_ONE_BYTE && is_prefix(opcode))
				continue;
			generate_legacy(&e, map, opcode);
			try(&e);
		}
	}
	finish(cases * 10);
}

static void test_one_byte_64(void **state)
{
	(void)state;
	test_map(64, X86_MAP_ONE_BYTE, 400);
}

static void test_0f_64(void **state)
{
	(void)state;
	test_map(64, X86_MAP_0F, 400);
}

static void test_one_byte_32(void **state)
{
	(void)state;
	test_map(32, X86_MAP_ONE_BYTE, 200);
}

static void test_0f_32(void **state)
{
	(void)state;
	test_map(32, X86_MAP_0F, 200);
}

static void test_one_byte_16(void **state)
{
	(void)state;
	test_map(16, X86_MAP_ONE_BYTE, 200);
}

static void test_0f_16(void **state)
{
	(void)state;
	test_map(16, X86_MAP_0F, 200);
}

static void test_0f38(void **state)
{
	static const uint8_t opcodes[] = { 0x2a, 0xf0, 0xf1 };
	static const unsigned int modes[] = { 64, 32, 16 };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		if (!start(modes[i]))
			continue;
		for (unsigned int j = 0; j < 3000 * rounds(); j++) {
			struct encoded e;

			generate_legacy(&e, X86_MAP_0F38, opcodes[j % sizeof(opcodes)]);
			try(&e);
		}
		finish(500);
	}
}

static void test_vex(void **state)
{
	static const uint8_t opcodes[] = { 0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2b,
					   0x6e, 0x6f, 0x7e, 0x7f, 0xd6, 0xe7, 0xf0, 0x2a };
	struct encoded e;

	(void)state;
	if (!native_has_avx || !start(64))
		skip();
	for (unsigned int i = 0; i < 20000 * rounds(); i++) {
		uint8_t opcode = opcodes[i % sizeof(opcodes)];

		generate_vex(&e, opcode == 0x2a ? X86_MAP_0F38 : X86_MAP_0F, opcode);
		try(&e);
	}
	finish(1000);
}

static int setup(void **state)
{
	const char *seed = getenv("ENTRESOL_X86_SEED");

	(void)state;
	if (seed)
		random_seed(strtoul(seed, NULL, 0));
	native_setup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_byte_64), cmocka_unit_test(test_0f_64),
		cmocka_unit_test(test_one_byte_32), cmocka_unit_test(test_0f_32),
		cmocka_unit_test(test_one_byte_16), cmocka_unit_test(test_0f_16),
		cmocka_unit_test(test_0f38),        cmocka_unit_test(test_vex),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * x86_memory_operands() against the page faults of the processor of this machine: of instructions
 * of all kinds, emulated or not.
 *
 * With the memory inaccessible, an instruction must fault within one of the operands that were
 * listed for it. With a vector operand's last byte in front of an inaccessible page it must not fault,
 * with its last byte in that page it must: so the sizes are right, too.
 */
#include "core/x86/opcodes.h"
#include "core/x86/x86_decode.h"
#include "tests/unit/core/x86/generate.h"

#include <cpuid.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Of the legacy region, FXSAVE's, which is there without XSAVE, too. */
#define FXSAVE_SIZE 512

static unsigned int failures;
static unsigned int checked;

struct trial {
	struct encoded e;
	struct native_state state;
	struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX];
	int count;
	enum native_outcome outcome;
};

typedef void generator_fn(struct encoded *e, unsigned int map, uint8_t opcode);

static void report(const struct trial *t, const char *what)
{
	if (failures++ > 20)
		return;
	fprintf(stderr, "%s:", what);
	for (unsigned int i = 0; i < t->e.insn.length; i++)
		fprintf(stderr, " %02x", t->e.bytes[i]);
	fprintf(stderr, ": outcome %d, vector %u, address %lx, error code %x\n", t->outcome,
		native_vector, native_fault_address, native_error_code);
	for (int i = 0; i < t->count; i++)
		fprintf(stderr, "  operand at %lx, size %u, access %x\n", t->operands[i].linear,
			t->operands[i].size, t->operands[i].access);
}

static bool decode(struct trial *t)
{
	const struct x86_cpu_mode mode = {
		.code_bits = 64,
		.stack_bits = 64,
		.linear_bits = 48,
		.cpl = 3,
		.long_mode = true,
	};

	return !x86_decode(&t->e.insn, &mode, t->e.bytes, t->e.len);
}

/* Registers that address memory without ModRM point into the buffer. */
static bool prepare(struct trial *t, unsigned int at)
{
	struct x86_cpu cpu;

	native_randomise(&t->state);
	t->state.gpr[X86_RSP] = native_data_offset(4096);
	t->state.gpr[X86_RBP] = native_data_offset(4096 + 512);
	t->state.gpr[X86_RSI] = native_data_offset(1024);
	t->state.gpr[X86_RDI] = native_data_offset(2048);
	t->state.gpr[X86_RBX] = native_data_offset(3072);
	if (!t->e.insn.has_memory)
		t->state.gpr[X86_RAX] = native_data_offset(3072);
	t->state.gpr[X86_RCX] = 3;
	if (!generate_aim(&t->e, &t->state, native_data_offset(at)))
		return false;
	/* FS is the thread's, and its base not told. */
	if (t->e.insn.address.segment == X86_FS)
		return false;
	native_cpu(&cpu, &t->state);
	t->count = x86_memory_operands(&t->e.insn, &cpu, t->operands);
	return true;
}

static void run(struct trial *t)
{
	t->outcome = native_run(&t->state, t->e.bytes, t->e.insn.length);
}

static bool is_masked_move(const struct x86_insn *insn)
{
	if (insn->opcode_info->operation != X86_OP_VECTOR)
		return false;
	if (insn->map == X86_MAP_0F)
		return insn->opcode == 0xf7;
	return insn->map == X86_MAP_0F38 && ((insn->opcode >= 0x2c && insn->opcode <= 0x2f) ||
					     insn->opcode == 0x8c || insn->opcode == 0x8e);
}

/* Of the XSAVE family's operand, whose size is not listed: with AMX it is 11 KiB (SDM vol. 1, 13.4). */
static uint32_t unknown_size(void)
{
	uint32_t a, b, c, d;

	return __get_cpuid_count(0xd, 0, &a, &b, &c, &d) && b > FXSAVE_SIZE ? b : FXSAVE_SIZE;
}

static bool explains(const struct x86_memory_operand *operand, uint64_t address, bool write)
{
	uint32_t size = operand->size ? operand->size : unknown_size();

	if (write && !(operand->access & X86_ACCESS_WRITE))
		return false;
	return address - operand->linear < size;
}

/* That of a read-modify-write operand may be reported as either. */
static bool explained(const struct trial *t)
{
	for (int i = 0; i < t->count; i++) {
		if (explains(&t->operands[i], native_fault_address, native_error_code & 2))
			return true;
	}
	return false;
}

/* Those all of whose operands are in the buffer cannot do anything but fault, or be refused. */
static bool all_in_buffer(const struct trial *t)
{
	for (int i = 0; i < t->count; i++) {
		uint64_t at = t->operands[i].linear - (uintptr_t)native_data;

		if (t->operands[i].fault || at >= NATIVE_DATA_SIZE)
			return false;
	}
	return t->count > 0;
}

static void try_fault(struct trial *t)
{
	/* Bit offsets and the like in registers make some go elsewhere. */
	if (!decode(t) || !prepare(t, 1024 + 64 * random_below(32)) || !all_in_buffer(t))
		return;
	run(t);
	if (t->outcome != NATIVE_FAULT) {
		if (!is_masked_move(&t->e.insn))
			report(t, "no fault");
	} else if (native_vector == X86_VECTOR_PF) {
		checked++;
		if (!explained(t))
			report(t, "fault elsewhere");
	}
}

static bool moves_vector(const struct trial *t)
{
	/* VLDMXCSR is one of them, but would change how the others work. */
	return t->e.insn.opcode_info->operation == X86_OP_VECTOR && t->e.insn.has_memory &&
	       !(t->e.insn.map == X86_MAP_0F && t->e.insn.opcode == 0xae) &&
	       !is_masked_move(&t->e.insn);
}

static bool page_fault_in_guard(const struct trial *t)
{
	return t->outcome == NATIVE_FAULT && native_vector == X86_VECTOR_PF &&
	       native_fault_address - ((uintptr_t)native_data + NATIVE_DATA_SIZE) < 64;
}

static void try_size(struct trial *t)
{
	unsigned int first, size;

	if (!decode(t) || !moves_vector(t))
		return;
	size = t->e.insn.memory_size;
	first = NATIVE_DATA_SIZE - size;
	/* A scaled index alone does not reach every address. */
	if (!prepare(t, first) || t->count != 1 ||
	    t->operands[0].linear != (uintptr_t)native_data + first)
		return;
	run(t);
	if (t->outcome == NATIVE_FAULT && native_vector != X86_VECTOR_PF)
		return; /* unknown to this processor, or not aligned */
	checked++;
	if (t->outcome == NATIVE_FAULT)
		report(t, "larger than listed");
	if (!prepare(t, first + 1) || t->operands[0].linear != (uintptr_t)native_data + first + 1)
		return;
	run(t);
	if (t->outcome != NATIVE_FAULT)
		report(t, "smaller than listed");
	else if (native_vector == X86_VECTOR_PF && !page_fault_in_guard(t))
		report(t, "fault elsewhere");
}

static unsigned int factor(void)
{
	const char *text = getenv("ENTRESOL_X86_ROUNDS");

	return text ? strtoul(text, NULL, 10) : 1;
}

static void for_each_opcode(void (*trial)(struct trial *t), generator_fn *generate,
			    unsigned int first_map, unsigned int rounds)
{
	static struct trial t;

	for (unsigned int i = 0; i < rounds * factor(); i++) {
		for (unsigned int map = first_map; map <= X86_MAP_0F3A; map++) {
			for (unsigned int opcode = 0; opcode < 256; opcode++) {
				generate(&t.e, map, opcode);
				trial(&t);
			}
		}
	}
}

static void start(bool inaccessible)
{
	failures = checked = 0;
	native_catch_signals();
	assert_true(native_set_mode(64));
	native_protect_data(inaccessible);
}

static void finish(unsigned int at_least)
{
	native_protect_data(false);
	print_message("%u checked\n", checked);
	assert_int_equal(failures, 0);
	assert_true(checked >= at_least);
}

static void test_faults_legacy(void **state)
{
	(void)state;
	start(true);
	for_each_opcode(try_fault, generate_legacy, X86_MAP_ONE_BYTE, 40);
	finish(4000);
}

static void test_faults_vex(void **state)
{
	(void)state;
	if (!native_has_avx)
		skip();
	start(true);
	for_each_opcode(try_fault, generate_vex, X86_MAP_0F, 60);
	finish(1000);
}

static void test_sizes_legacy(void **state)
{
	(void)state;
	start(false);
	for_each_opcode(try_size, generate_legacy, X86_MAP_0F, 60);
	finish(1000);
}

static void test_sizes_vex(void **state)
{
	(void)state;
	if (!native_has_avx)
		skip();
	start(false);
	for_each_opcode(try_size, generate_vex, X86_MAP_0F, 100);
	finish(1000);
}

/* Including the unit of 8-bit displacements. */
static void test_evex(void **state)
{
	(void)state;
	if (!__builtin_cpu_supports("avx512f"))
		skip();
	start(true);
	for_each_opcode(try_fault, generate_evex, X86_MAP_0F, 60);
	finish(500);
	start(false);
	for_each_opcode(try_size, generate_evex, X86_MAP_0F, 100);
	finish(500);
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
		cmocka_unit_test(test_faults_legacy), cmocka_unit_test(test_faults_vex),
		cmocka_unit_test(test_sizes_legacy),  cmocka_unit_test(test_sizes_vex),
		cmocka_unit_test(test_evex),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

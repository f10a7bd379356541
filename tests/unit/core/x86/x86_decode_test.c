// SPDX-License-Identifier: MIT
/* The decoder's answers about chosen instructions, and the memory operands found from them. */
#include "core/x86/x86_decode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define R  X86_ACCESS_READ
#define W  X86_ACCESS_WRITE
#define RW (X86_ACCESS_READ | X86_ACCESS_WRITE)
#define NO X86_ADDRESS_NO_REG

struct expectation {
	unsigned int bits;
	const char *bytes; /* hexadecimal */
	int ret;
	unsigned int size;
	unsigned int access;
	struct x86_address address;
};

static size_t from_hex(const char *hex, uint8_t *bytes)
{
	size_t len = 0;
	unsigned int byte;
	int used;

	while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
		bytes[len++] = byte;
		hex += used;
	}
	return len;
}

static struct x86_cpu_mode mode_of(unsigned int bits)
{
	return (struct x86_cpu_mode){
		.code_bits = bits,
		.stack_bits = bits,
		.linear_bits = 48,
		.long_mode = bits == 64,
	};
}

static void check(const struct expectation *e)
{
	struct x86_cpu_mode mode = mode_of(e->bits);
	struct x86_insn insn;
	uint8_t bytes[32];
	size_t len = from_hex(e->bytes, bytes);
	int ret = x86_decode(&insn, &mode, bytes, len);

	if (ret != e->ret)
		fail_msg("%s: returned %d", e->bytes, ret);
	if (ret)
		return;
	if (insn.length != len)
		fail_msg("%s: %u bytes", e->bytes, insn.length);
	if (insn.memory_size != e->size || insn.memory_access != e->access)
		fail_msg("%s: size %u, access %u", e->bytes, insn.memory_size, insn.memory_access);
	if (!e->address.scale)
		return;
	if (insn.address.displacement != e->address.displacement ||
	    insn.address.segment != e->address.segment || insn.address.base != e->address.base ||
	    insn.address.index != e->address.index || insn.address.scale != e->address.scale)
		fail_msg("%s: segment %u, base %u, index %u, scale %u, displacement %ld", e->bytes,
			 insn.address.segment, insn.address.base, insn.address.index,
			 insn.address.scale, insn.address.displacement);
}

#define CHECK_ALL(table)                                                        \
	do {                                                                    \
		for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++) \
			check(&(table)[i]);                                     \
	} while (0)

static void test_addresses(void **state)
{
	static const struct expectation table[] = {
		/* 16-bit forms: SDM vol. 2, table 2-1. */
		{ 16, "8a 00", 0, 1, R, { 0, X86_DS, X86_RBX, X86_RSI, 1, false } },
		{ 16, "8a 01", 0, 1, R, { 0, X86_DS, X86_RBX, X86_RDI, 1, false } },
		{ 16, "8a 02", 0, 1, R, { 0, X86_SS, X86_RBP, X86_RSI, 1, false } },
		{ 16, "8a 03", 0, 1, R, { 0, X86_SS, X86_RBP, X86_RDI, 1, false } },
		{ 16, "8a 04", 0, 1, R, { 0, X86_DS, X86_RSI, NO, 1, false } },
		{ 16, "8a 05", 0, 1, R, { 0, X86_DS, X86_RDI, NO, 1, false } },
		{ 16, "8a 06 34 82", 0, 1, R, { -0x7dcc, X86_DS, NO, NO, 1, false } },
		{ 16, "8a 07", 0, 1, R, { 0, X86_DS, X86_RBX, NO, 1, false } },
		{ 16, "8a 46 fe", 0, 1, R, { -2, X86_SS, X86_RBP, NO, 1, false } },
		{ 16, "8a 87 34 12", 0, 1, R, { 0x1234, X86_DS, X86_RBX, NO, 1, false } },
		{ 16, "26 8a 02", 0, 1, R, { 0, X86_ES, X86_RBP, X86_RSI, 1, false } },
		{ 32, "67 8b 07", 0, 4, R, { 0, X86_DS, X86_RBX, NO, 1, false } },
		/* 32-bit forms: tables 2-2 and 2-3. */
		{ 32, "8b 05 78 56 34 12", 0, 4, R, { 0x12345678, X86_DS, NO, NO, 1, false } },
		{ 32, "8b 45 08", 0, 4, R, { 8, X86_SS, X86_RBP, NO, 1, false } },
		{ 32, "8b 04 24", 0, 4, R, { 0, X86_SS, X86_RSP, NO, 1, false } },
		{ 32,
		  "8b 04 8d 00 00 00 e0",
		  0,
		  4,
		  R,
		  { -0x20000000, X86_DS, NO, X86_RCX, 4, false } },
		{ 16, "66 67 8b 04 48", 0, 4, R, { 0, X86_DS, X86_RAX, X86_RCX, 2, false } },
		{ 32, "65 a1 10 00 00 00", 0, 4, R, { 0x10, X86_GS, NO, NO, 1, false } },
		/* 64-bit forms. */
		{ 64,
		  "8b 05 10 00 00 00",
		  0,
		  4,
		  R,
		  { 0x10, X86_DS, X86_ADDRESS_RIP, NO, 1, false } },
		{ 64, "8b 04 25 00 00 e0 fe", 0, 4, R, { -0x1200000, X86_DS, NO, NO, 1, false } },
		{ 64, "43 8b 04 a5 00 00 00 00", 0, 4, R, { 0, X86_DS, NO, X86_R12, 4, false } },
		{ 64, "43 8b 44 e5 00", 0, 4, R, { 0, X86_DS, X86_R13, X86_R12, 8, false } },
		{ 64, "41 8b 04 24", 0, 4, R, { 0, X86_DS, X86_R12, NO, 1, false } },
		{ 64, "41 8b 45 00", 0, 4, R, { 0, X86_DS, X86_R13, NO, 1, false } },
		{ 64, "65 48 8b 04 25 28 00 00 00", 0, 8, R, { 0x28, X86_GS, NO, NO, 1, false } },
		{ 64,
		  "48 a1 00 00 e0 fe ff ff ff ff",
		  0,
		  8,
		  R,
		  { -0x1200000, X86_DS, NO, NO, 1, false } },
		{ 64, "67 a0 00 00 e0 fe", 0, 1, R, { -0x1200000, X86_DS, NO, NO, 1, false } },
		{ 64, "64 3e 8b 00", 0, 4, R, { 0, X86_FS, X86_RAX, NO, 1, false } },
		/* An EVEX 8-bit displacement counts in operands. */
		{ 64, "62 f1 7c 48 10 40 02", 0, 64, R, { 128, X86_DS, X86_RAX, NO, 1, false } },
		{ 64, "62 f1 7c 58 58 40 ff", 0, 4, R, { -4, X86_DS, X86_RAX, NO, 1, false } },
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_operands(void **state)
{
	static const struct expectation table[] = {
		{ 64, "88 07", 0, 1, W, {} },
		{ 64, "66 89 07", 0, 2, W, {} },
		{ 64, "48 89 07", 0, 8, W, {} },
		{ 64, "66 48 89 07", 0, 8, W, {} },
		/* REX must be last to count. */
		{ 64, "48 66 89 07", 0, 2, W, {} },
		{ 64, "48 8d 07", 0, 0, 0, {} },
		{ 64, "f0 0f c7 0f", 0, 8, RW, {} },
		{ 64, "f0 48 0f c7 0f", 0, 16, RW, {} },
		{ 64, "0f b6 07", 0, 1, R, {} },
		{ 64, "0f bf 07", 0, 2, R, {} },
		{ 64, "48 63 07", 0, 4, R, {} },
		{ 64, "8c 07", 0, 2, W, {} },
		{ 64, "8e 07", 0, 2, R, {} },
		{ 64, "ff 37", 0, 8, R, {} },
		{ 64, "66 ff 37", 0, 2, R, {} },
		{ 64, "8f 07", 0, 8, W, {} },
		{ 64, "ff 17", 0, 8, R, {} },
		{ 32, "ff 1f", 0, 6, R, {} },
		{ 64, "0f ae 07", 0, 512, W, {} },
		{ 64, "0f ae 0f", 0, 512, R, {} },
		{ 64, "0f ae 27", 0, 0, W, {} },
		{ 64, "0f ae 3f", 0, 1, R, {} },
		{ 64, "66 0f ae 37", 0, 1, R, {} },
		{ 64, "0f 18 07", 0, 0, 0, {} },
		{ 64, "0f 01 17", 0, 10, R, {} },
		{ 32, "0f 01 17", 0, 6, R, {} },
		{ 64, "db 2f", 0, 10, R, {} },
		{ 64, "dd 07", 0, 8, R, {} },
		{ 64, "d9 37", 0, 28, W, {} },
		{ 32, "66 d9 37", 0, 14, W, {} },
		{ 64, "0f 10 07", 0, 16, R, {} },
		{ 64, "f3 0f 10 07", 0, 4, R, {} },
		{ 64, "f2 0f 11 07", 0, 8, W, {} },
		{ 64, "66 0f e7 07", 0, 16, W, {} },
		{ 64, "66 0f 38 20 07", 0, 8, R, {} },
		{ 64, "66 0f 3a 14 07 00", 0, 1, W, {} },
		{ 64, "c5 fe 6f 07", 0, 32, R, {} },
		{ 64, "c5 fb 12 07", 0, 8, R, {} },
		{ 64, "c5 ff 12 07", 0, 32, R, {} },
		{ 64, "c4 e2 7d 18 07", 0, 4, R, {} },
		{ 64, "c4 e2 f9 99 07", 0, 8, R, {} },
		{ 64, "c4 e2 79 99 07", 0, 4, R, {} },
		{ 64, "c4 e2 7d 8e 07", 0, 32, W, {} },
		{ 64, "c5 f8 ae 1f", 0, 4, W, {} },
		{ 64, "62 f1 fe 48 7f 07", 0, 64, W, {} },
		{ 64, "66 0f 38 f1 07", 0, 2, W, {} },
		{ 64, "0f 38 f0 07", 0, 4, R, {} },
		{ 64, "f2 0f 38 f1 07", 0, 4, R, {} },
		{ 64, "0f c3 07", 0, 4, W, {} },
		{ 64, "0f a3 07", 0, 4, R, {} },
		{ 64, "f0 0f ab 07", 0, 4, RW, {} },
		{ 64, "f6 07 01", 0, 1, R, {} },
		{ 64, "f6 17", 0, 1, RW, {} },
		{ 64, "69 07 01 02 03 04", 0, 4, R, {} },
		{ 64, "66 69 07 01 02", 0, 2, R, {} },
		{ 64, "c8 10 00 01", 0, 0, 0, {} },
		{ 32, "9a 01 02 03 04 05 06", 0, 0, 0, {} },
		{ 32, "c5 07", 0, 6, R, {} },
		{ 32, "40", 0, 0, 0, {} },
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_no_instructions(void **state)
{
	static const struct expectation table[] = {
		{ 64, "0f 0b", -EINVAL, 0, 0, {} },
		{ 64, "06", -EINVAL, 0, 0, {} }, /* PUSH ES */
		{ 64, "9a 01 02 03 04 05 06", -EINVAL, 0, 0, {} },
		{ 64, "82 00 00", -EINVAL, 0, 0, {} },
		{ 64, "8d c0", -EINVAL, 0, 0, {} },    /* LEA of a register */
		{ 64, "8e c8", -EINVAL, 0, 0, {} },    /* MOV CS */
		{ 64, "8e f0", -EINVAL, 0, 0, {} },    /* no such segment register */
		{ 64, "f0 89 07", -EINVAL, 0, 0, {} }, /* LOCK MOV */
		{ 64, "f0 01 c0", -EINVAL, 0, 0, {} }, /* LOCK with a register */
		{ 64, "f0 39 07", -EINVAL, 0, 0, {} }, /* LOCK CMP */
		{ 64, "f0 03 07", -EINVAL, 0, 0, {} }, /* LOCK, memory is the source */
		{ 64, "ff 3f", -EINVAL, 0, 0, {} },
		{ 64, "fe 17", -EINVAL, 0, 0, {} },
		{ 64, "0f c7 c8", -EINVAL, 0, 0, {} },              /* CMPXCHG8B of a register */
		{ 64, "66 c5 f8 10 07", -EINVAL, 0, 0, {} },        /* 66 before VEX */
		{ 64, "c4 e4 78 10 07", -EINVAL, 0, 0, {} },        /* VEX map 4 */
		{ 64, "c5 f8 6f 07", -EINVAL, 0, 0, {} },           /* MMX has no VEX form */
		{ 64, "62 f9 7c 48 10 07", -EINVAL, 0, 0, {} },     /* reserved EVEX bit */
		{ 64, "62 f2 7d 48 8a 07", -EOPNOTSUPP, 0, 0, {} }, /* VCOMPRESSPD */
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_lengths(void **state)
{
	struct x86_cpu_mode mode = mode_of(64);
	uint8_t bytes[16];
	struct x86_insn insn;

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	/* 14 prefixes and a NOP are as long as can be; 15 prefixes are too many. */
	for (size_t len = 0; len <= 14; len++)
		assert_int_equal(x86_decode(&insn, &mode, bytes, len), -ENODATA);
	assert_int_equal(x86_decode(&insn, &mode, bytes, 15), -E2BIG);
	assert_int_equal(x86_decode(&insn, &mode, bytes, 16), -E2BIG);
	bytes[14] = 0x90;
	assert_int_equal(x86_decode(&insn, &mode, bytes, 15), 0);
	assert_int_equal(insn.length, 15);
	/* One more byte would be in the sixteenth place. */
	bytes[14] = 0x8b;
	assert_int_equal(x86_decode(&insn, &mode, bytes, 16), -E2BIG);
}

/* Every prefix of an instruction is incomplete, never something else. */
static void test_incomplete(void **state)
{
	static const char *const whole[] = {
		"66 0f 3a 0f 84 c8 01 02 03 04 05",
		"48 b8 01 02 03 04 05 06 07 08",
		"c4 e3 f9 22 44 88 10 01",
		"62 f1 7c 48 10 84 88 01 02 03 04",
		"f0 48 81 84 c8 01 02 03 04 05 06 07 08",
		"c8 01 02 03",
	};
	struct x86_cpu_mode mode = mode_of(64);

	(void)state;
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		struct x86_insn insn;
		uint8_t bytes[16];
		size_t len = from_hex(whole[i], bytes);

		assert_int_equal(x86_decode(&insn, &mode, bytes, len), 0);
		assert_int_equal(insn.length, len);
		while (len--)
			assert_int_equal(x86_decode(&insn, &mode, bytes, len), -ENODATA);
	}
}

/* --- memory operands --- */

static void set_cpu(struct x86_cpu *cpu, unsigned int bits)
{
	memset(cpu, 0, sizeof(*cpu));
	for (unsigned int i = 0; i < X86_GPR_COUNT; i++)
		cpu->gpr[i] = 0x1000 * (i + 1);
	cpu->rip = 0x100;
	cpu->cr0 = X86_CR0_PE;
	cpu->efer = bits == 64 ? X86_EFER_LMA : 0;
	for (unsigned int i = 0; i < X86_SEGMENT_COUNT; i++) {
		cpu->segment[i].base = bits == 64 && i < X86_FS ? 0 : 0x100000 * i;
		cpu->segment[i].limit = UINT32_MAX;
		cpu->segment[i].attributes = 0xc093;
	}
	cpu->segment[X86_CS].attributes = bits == 64 ? 0xa09b : bits == 32 ? 0xc09b : 0x9b;
	if (bits == 16)
		cpu->segment[X86_SS].attributes = 0x93;
}

static int operands_of(const struct x86_cpu *cpu, const char *hex,
		       struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX])
{
	struct x86_cpu_mode mode;
	struct x86_insn insn;
	uint8_t bytes[16];

	x86_cpu_mode(&mode, cpu);
	assert_int_equal(x86_decode(&insn, &mode, bytes, from_hex(hex, bytes)), 0);
	return x86_memory_operands(&insn, cpu, operands);
}

struct access {
	uint64_t linear;
	uint32_t size;
	uint32_t access;
};

static void check_accesses(const struct x86_cpu *cpu, const char *hex, int count,
			   const struct access *accesses)
{
	struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX];
	int found = operands_of(cpu, hex, operands);

	if (found != count)
		fail_msg("%s: %d operands", hex, found);
	for (int i = 0; i < count; i++) {
		if (operands[i].linear != accesses[i].linear ||
		    operands[i].size != accesses[i].size ||
		    operands[i].access != accesses[i].access || operands[i].fault)
			fail_msg("%s: operand %d: linear %lx, size %u, access %x, fault %u", hex, i,
				 operands[i].linear, operands[i].size, operands[i].access,
				 operands[i].fault);
	}
}

#define ACCESSES(cpu, hex, count, ...) \
	check_accesses(cpu, hex, count, (const struct access[]){ __VA_ARGS__ })

static void test_accesses_64(void **state)
{
	struct x86_cpu cpu;

	(void)state;
	set_cpu(&cpu, 64);
	ACCESSES(&cpu, "8b 07", 1, { 0x8000, 4, R });
	ACCESSES(&cpu, "8b 05 10 00 00 00", 1, { 0x116, 4, R });
	ACCESSES(&cpu, "48 8b 44 c8 08", 1, { 0x1000 + 0x2000 * 8 + 8, 8, R });
	ACCESSES(&cpu, "65 8b 07", 1, { 0x508000, 4, R });
	ACCESSES(&cpu, "f0 01 07", 1, { 0x8000, 4, RW | X86_ACCESS_LOCKED });
	ACCESSES(&cpu, "87 07", 1, { 0x8000, 4, RW | X86_ACCESS_LOCKED });
	ACCESSES(&cpu, "48 8d 07", 0, { 0 });
	ACCESSES(&cpu, "0f 18 07", 0, { 0 });
	ACCESSES(&cpu, "90", 0, { 0 });
	/* The stack. */
	ACCESSES(&cpu, "50", 1, { 0x5000 - 8, 8, W });
	ACCESSES(&cpu, "ff 37", 2, { 0x8000, 8, R }, { 0x5000 - 8, 8, W });
	ACCESSES(&cpu, "8f 07", 2, { 0x5000, 8, R }, { 0x8000, 8, W });
	ACCESSES(&cpu, "8f 04 24", 2, { 0x5000, 8, R }, { 0x5008, 8, W });
	ACCESSES(&cpu, "e8 00 00 00 00", 1, { 0x5000 - 8, 8, W });
	ACCESSES(&cpu, "ff 17", 2, { 0x8000, 8, R }, { 0x5000 - 8, 8, W });
	ACCESSES(&cpu, "c3", 1, { 0x5000, 8, R });
	ACCESSES(&cpu, "c9", 1, { 0x6000, 8, R });
	ACCESSES(&cpu, "48 cf", 1, { 0x5000, 40, R });
	/* Strings. */
	ACCESSES(&cpu, "a4", 2, { 0x7000, 1, R }, { 0x8000, 1, W });
	ACCESSES(&cpu, "65 48 a5", 2, { 0x507000, 8, R }, { 0x8000, 8, W });
	ACCESSES(&cpu, "66 a7", 2, { 0x7000, 2, R }, { 0x8000, 2, R });
	ACCESSES(&cpu, "ab", 1, { 0x8000, 4, W });
	ACCESSES(&cpu, "ae", 1, { 0x8000, 1, R });
	ACCESSES(&cpu, "6d", 1, { 0x8000, 4, W });
	ACCESSES(&cpu, "66 6f", 1, { 0x7000, 2, R });
	/* Others with addresses of their own. */
	ACCESSES(&cpu, "d7", 1, { 0x4000, 1, R });
	ACCESSES(&cpu, "66 0f f7 c1", 1, { 0x8000, 16, W });
	ACCESSES(&cpu, "66 0f 38 f8 07", 2, { 0x8000, 64, R }, { 0x1000, 64, W });
	ACCESSES(&cpu, "0f ae 3f", 1, { 0x8000, 1, R });
	cpu.gpr[X86_RAX] = 0x1fff;
	ACCESSES(&cpu, "0f 01 fc", 1, { 0x1fc0, 64, W });
	ACCESSES(&cpu, "0f ae 27", 1, { 0x8000, 0, W });
	ACCESSES(&cpu, "c5 fe 7f 07", 1, { 0x8000, 32, W });
	/* Bit strings reach as far as the register says, in both directions. */
	cpu.gpr[X86_RAX] = 0x12345;
	ACCESSES(&cpu, "0f a3 07", 1, { 0x8000 + 0x12345 / 32 * 4, 4, R });
	cpu.gpr[X86_RAX] = -1UL;
	ACCESSES(&cpu, "48 0f ab 07", 1, { 0x8000 - 8, 8, RW });
	ACCESSES(&cpu, "0f ba 2f ff", 1, { 0x8000, 4, RW });
	/* In user mode. */
	cpu.segment[X86_SS].attributes |= 3 << X86_SEGMENT_DPL_SHIFT;
	ACCESSES(&cpu, "8b 07", 1, { 0x8000, 4, R | X86_ACCESS_USER });
}

static void test_accesses_other_modes(void **state)
{
	struct x86_cpu cpu;

	(void)state;
	set_cpu(&cpu, 32);
	ACCESSES(&cpu, "8b 07", 1, { 0x308000, 4, R });
	ACCESSES(&cpu, "8b 45 00", 1, { 0x206000, 4, R });
	ACCESSES(&cpu, "60", 1, { 0x205000 - 32, 32, W });
	ACCESSES(&cpu, "61", 1, { 0x205000, 32, R });
	ACCESSES(&cpu, "2e a4", 2, { 0x107000, 1, R }, { 0x8000, 1, W });
	ACCESSES(&cpu, "c8 10 00 00", 1, { 0x205000 - 4, 4, W });
	ACCESSES(&cpu, "c8 10 00 02", 2, { 0x206000 - 4, 4, R }, { 0x205000 - 12, 12, W });
	set_cpu(&cpu, 16);
	cpu.gpr[X86_RBX] = 0x1fff0;
	cpu.gpr[X86_RSI] = 0x20;
	ACCESSES(&cpu, "8a 00", 1, { 0x300010, 1, R }); /* wraps at 64 KiB */
	cpu.gpr[X86_RSP] = 0x70000;
	ACCESSES(&cpu, "50", 1, { 0x20fffe, 2, W });
}

static void test_repetition(void **state)
{
	struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX];
	struct x86_cpu cpu;

	(void)state;
	set_cpu(&cpu, 64);
	cpu.gpr[X86_RCX] = 0x100000005;
	cpu.rflags = X86_RFLAGS_DF;
	assert_int_equal(operands_of(&cpu, "f3 a4", operands), 2);
	assert_int_equal(operands[0].count, 0x100000005);
	assert_true(operands[0].backward && operands[1].backward);
	assert_int_equal(operands_of(&cpu, "67 f3 a4", operands), 2);
	assert_int_equal(operands[1].count, 5);
	assert_int_equal(operands_of(&cpu, "a4", operands), 2);
	assert_int_equal(operands[1].count, 1);
	/* VSIB addresses are in vector registers. */
	assert_int_equal(operands_of(&cpu, "c4 e2 69 90 04 08", operands), -EOPNOTSUPP);
}

static void check_fault(const struct x86_cpu *cpu, const char *hex, uint8_t fault)
{
	struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX];

	assert_int_equal(operands_of(cpu, hex, operands), 1);
	if (operands[0].fault != fault)
		fail_msg("%s: fault %u", hex, operands[0].fault);
}

static void test_faults(void **state)
{
	struct x86_cpu cpu;

	(void)state;
	set_cpu(&cpu, 64);
	cpu.gpr[X86_RDI] = 0x00007ffffffffffc;
	check_fault(&cpu, "8b 07", 0);
	check_fault(&cpu, "48 8b 07", X86_VECTOR_GP); /* its end is not canonical */
	cpu.gpr[X86_RDI] = 0x0000800000000000;
	check_fault(&cpu, "8b 07", X86_VECTOR_GP);
	cpu.cr4 = X86_CR4_LA57;
	check_fault(&cpu, "8b 07", 0);
	cpu.cr4 = 0;
	cpu.gpr[X86_RBP] = 0x8000000000000000;
	check_fault(&cpu, "8b 45 00", X86_VECTOR_SS);
	cpu.gpr[X86_RSP] = 0x8000000000000000;
	check_fault(&cpu, "58", X86_VECTOR_SS);

	set_cpu(&cpu, 32);
	cpu.segment[X86_DS].limit = 0x8003;
	check_fault(&cpu, "8b 07", 0);
	cpu.gpr[X86_RDI]++;
	check_fault(&cpu, "8b 07", X86_VECTOR_GP);
	check_fault(&cpu, "8a 07", 0);
	cpu.segment[X86_DS].attributes = 0xc091; /* read-only */
	check_fault(&cpu, "8a 07", 0);
	check_fault(&cpu, "88 07", X86_VECTOR_GP);
	check_fault(&cpu, "2e 88 07", X86_VECTOR_GP); /* code is never written */
	check_fault(&cpu, "2e 8a 07", 0);
	cpu.segment[X86_CS].attributes = 0xc099; /* execute-only */
	check_fault(&cpu, "2e 8a 07", X86_VECTOR_GP);
	cpu.segment[X86_DS].attributes = 0; /* a null selector */
	check_fault(&cpu, "8a 07", X86_VECTOR_GP);
	cpu.segment[X86_DS].attributes = 0xc097; /* expand down */
	cpu.segment[X86_DS].limit = 0x7fff;
	check_fault(&cpu, "8a 07", 0);
	cpu.segment[X86_DS].limit = 0x8001;
	check_fault(&cpu, "8a 07", X86_VECTOR_GP);
	cpu.segment[X86_SS].limit = 0x100;
	check_fault(&cpu, "50", X86_VECTOR_SS);

	set_cpu(&cpu, 16);
	cpu.cr0 = 0;
	cpu.segment[X86_DS].limit = 0xffff;
	cpu.gpr[X86_RDI] = 0xffff;
	check_fault(&cpu, "8a 05", 0);
	check_fault(&cpu, "8b 05", X86_VECTOR_GP);
	/* In real mode code segments can be written. */
	check_fault(&cpu, "2e 88 05", 0);
}

static void test_modes(void **state)
{
	struct x86_cpu cpu;
	struct x86_cpu_mode mode;

	(void)state;
	set_cpu(&cpu, 64);
	cpu.segment[X86_SS].attributes = 0xc0f3;
	x86_cpu_mode(&mode, &cpu);
	assert_true(mode.long_mode && mode.code_bits == 64 && mode.stack_bits == 64);
	assert_true(mode.cpl == 3 && mode.linear_bits == 48 && !mode.real && !mode.vm86);
	cpu.segment[X86_CS].attributes = 0xc0fb; /* compatibility mode */
	x86_cpu_mode(&mode, &cpu);
	assert_true(mode.long_mode && mode.code_bits == 32 && mode.stack_bits == 32);
	cpu.efer = 0;
	cpu.rflags = X86_RFLAGS_VM;
	x86_cpu_mode(&mode, &cpu);
	assert_true(mode.vm86 && mode.code_bits == 16 && mode.cpl == 3);
	cpu.cr0 = 0;
	cpu.rflags = 0;
	cpu.segment[X86_CS].attributes = 0x9b;
	x86_cpu_mode(&mode, &cpu);
	assert_true(mode.real && mode.code_bits == 16 && mode.cpl == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_no_instructions),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_accesses_64),
		cmocka_unit_test(test_accesses_other_modes),
		cmocka_unit_test(test_repetition),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

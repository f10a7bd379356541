// SPDX-License-Identifier: MIT
/*
 * Lengths and memory operand sizes of random instructions, compared with those of binutils'
 * objdump, which shares nothing with our decoder. Skipped where objdump is not installed.
 *
 * Each instruction stands in a slot of its own, the rest of which is NOPs, so that a
 * disagreement about one does not spread to the next.
 */
#include "core/x86/x86_decode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SLOT  32
#define SLOTS 20000

struct slot {
	uint8_t bytes[SLOT];
	struct x86_insn insn;
	int ret;
};

static struct slot slots[SLOTS];
static uint64_t random_state = 0x2545f4914f6cdd1d;

static uint32_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 16;
}

/* VEX and EVEX payloads start with register bits that make them LES, LDS or BOUND if clear. */
static uint8_t payload(unsigned int bits)
{
	return bits == 64 ? random_number() & 0xe0 : 0xc0;
}

static unsigned int put_vector_prefix(uint8_t *at, unsigned int bits)
{
	switch (random_number() % 3) {
	case 0:
		at[0] = 0xc5;
		at[1] = payload(bits) | (random_number() & 0x1f);
		return 2;
	case 1:
		at[0] = 0xc4;
		at[1] = payload(bits) | (1 + random_number() % 3);
		at[2] = random_number();
		return 3;
	default:
		at[0] = 0x62;
		at[1] = payload(bits) | 0x10 | (1 + random_number() % 3);
		at[2] = random_number() | 4;
		at[3] = random_number();
		return 4;
	}
}

static unsigned int put_prefixes(uint8_t *at, unsigned int bits)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x64 };
	unsigned int count = random_number() % 2 ? 0 : random_number() % 3;
	unsigned int len = 0;

	while (count--)
		at[len++] = prefixes[random_number() % sizeof(prefixes)];
	if (bits == 64 && random_number() % 2)
		at[len++] = 0x40 | random_number() % 16;
	return len;
}

static void generate(uint8_t *bytes, unsigned int bits)
{
	static const uint8_t escapes[] = { 0, 0x0f, 0x38, 0x3a };
	unsigned int escape = random_number() % 5;
	unsigned int len;

	for (unsigned int i = 0; i < X86_INSN_MAX_LENGTH; i++)
		bytes[i] = random_number();
	if (escape == 4) {
		put_vector_prefix(bytes, bits);
		return;
	}
	len = put_prefixes(bytes, bits);
	if (escape)
		bytes[len++] = 0x0f;
	if (escape > 1)
		bytes[len++] = escapes[escape];
}

static void fill_slot(struct slot *slot, const struct x86_cpu_mode *mode)
{
	size_t keep = X86_INSN_MAX_LENGTH;

	generate(slot->bytes, mode->code_bits);
	slot->ret = x86_decode(&slot->insn, mode, slot->bytes, X86_INSN_MAX_LENGTH);
	if (!slot->ret || slot->ret == -EOPNOTSUPP)
		keep = slot->insn.length;
	memset(slot->bytes + keep, 0x90, SLOT - keep);
}

static FILE *disassemble(unsigned int bits, const char *path)
{
	static const char *const options[] = { "i8086", "i386", "i386:x86-64 -M intel64" };
	char command[256];

	snprintf(command, sizeof(command),
		 "objdump -D -w -z -b binary --insn-width=15 -M intel -m %s %s 2>/dev/null",
		 options[bits / 32], path);
	return popen(command, "r");
}

/* What objdump prints of one instruction. */
struct line {
	unsigned long address;
	unsigned int len;
	char text[200];
};

static bool parse(const char *input, struct line *line)
{
	char hex[80];
	unsigned int at = 0;

	if (sscanf(input, " %lx:\t%79[^\t]\t%199[^\n]", &line->address, hex, line->text) != 3)
		return false;
	line->len = 0;
	for (const char *p = hex; sscanf(p, "%*2x%n", &at) == 0 && at; p += at, at = 0)
		line->len++;
	return true;
}

/* The size that objdump gives the memory operand, or 0. */
static unsigned int operand_size(const char *text)
{
	static const struct {
		const char *name;
		unsigned int size;
	} sizes[] = {
		{ "FWORD PTR", 6 },    { "ZMMWORD PTR", 64 }, { "YMMWORD PTR", 32 },
		{ "XMMWORD PTR", 16 }, { "OWORD PTR", 16 },   { "TBYTE PTR", 10 },
		{ "QWORD", 8 },        { "DWORD", 4 },        { "WORD PTR", 2 },
		{ "BYTE PTR", 1 },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (strstr(text, sizes[i].name))
			return sizes[i].size;
	}
	return 0;
}

static bool contains_any(const char *text, const char *const words[])
{
	for (; *words; words++) {
		if (strstr(text, *words))
			return true;
	}
	return false;
}

/* Where objdump says less or other than the manuals. */
static bool incomparable(const struct slot *slot, const struct line *line)
{
	static const char *const words[] = {
		"(bad)",  "{bad}", "-bad}", "lock", "rex", "bnd", /* objdump marks what it doubts */
		"movsxd", /* with 66 and REX.W it forgets the latter */
		NULL,
	};
	size_t len = strlen(line->text);

	/* A prefix alone on a line: it went wrong before the instruction. */
	if (len && strchr(" ", line->text[len - 1]) && line->len < 3)
		return true;
	/* Far pointers with REX.W have ten bytes. */
	if (slot->insn.rex_w && strstr(line->text, "FWORD"))
		return true;
	return contains_any(line->text, words) || slot->ret == -EINVAL;
}

static bool check(const struct slot *slot, const struct line *line)
{
	unsigned int size = operand_size(line->text);

	if (line->len == slot->insn.length &&
	    (slot->ret || !slot->insn.has_memory || !slot->insn.memory_access || !size ||
	     size == slot->insn.memory_size))
		return true;
	fprintf(stderr, "%s: objdump has %u bytes, memory %u; we have %u and %u\n", line->text,
		line->len, size, slot->insn.length, slot->insn.memory_size);
	return false;
}

static void write_slots(const char *path, int fd)
{
	FILE *file = fdopen(fd, "wb");

	if (!file)
		fail_msg("cannot write %s", path);
	for (unsigned int i = 0; i < SLOTS; i++)
		assert_int_equal(fwrite(slots[i].bytes, SLOT, 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

static void compare(FILE *disassembly, unsigned int *checked, unsigned int *rejected,
		    unsigned int *wrong)
{
	char text[400];
	struct line line;

	while (fgets(text, sizeof(text), disassembly)) {
		const struct slot *slot;

		if (!parse(text, &line) || line.address % SLOT || line.address / SLOT >= SLOTS)
			continue;
		slot = &slots[line.address / SLOT];
		if (slot->ret == -EINVAL && !strstr(line.text, "bad") && !strstr(line.text, "rex"))
			(*rejected)++;
		if (incomparable(slot, &line))
			continue;
		(*checked)++;
		*wrong += !check(slot, &line);
	}
}

static void test_mode(unsigned int bits)
{
	const struct x86_cpu_mode mode = {
		.code_bits = bits,
		.stack_bits = bits,
		.linear_bits = 48,
		.long_mode = bits == 64,
	};
	unsigned int checked = 0, rejected = 0, wrong = 0;
	char path[] = "/tmp/x86-objdump-XXXXXX";
	FILE *disassembly;
	int fd;

	if (system("objdump --version > /dev/null 2>&1"))
		skip();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	for (unsigned int i = 0; i < SLOTS; i++)
		fill_slot(&slots[i], &mode);
	write_slots(path, fd);
	disassembly = disassemble(bits, path);
	assert_non_null(disassembly);
	compare(disassembly, &checked, &rejected, &wrong);
	pclose(disassembly);
	unlink(path);
	print_message("%u-bit: %u compared, %u that objdump knows are no instructions to us\n",
		      bits, checked, rejected);
	assert_int_equal(wrong, 0);
	assert_true(checked > SLOTS / 6);
	/* Key Locker, PadLock, XOP's rest, VEX after a legacy prefix. */
	assert_true(rejected < checked / 20);
}

static void test_16(void **state)
{
	(void)state;
	test_mode(16);
}

static void test_32(void **state)
{
	(void)state;
	test_mode(32);
}

static void test_64(void **state)
{
	(void)state;
	test_mode(64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_16),
		cmocka_unit_test(test_32),
		cmocka_unit_test(test_64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Input: one byte of mode, 16 of register seed, then instruction bytes. The decoder must stay
 * within them, and find the same instruction whether or not more bytes follow; cut short it must
 * ask for more.
 */
#include "core/x86/x86_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void set_cpu(struct x86_cpu *cpu, uint8_t mode, const uint8_t seed[16])
{
	static const uint16_t code[4] = { 0x9b, 0xc09b, 0xa09b, 0x409b };

	memset(cpu, 0, sizeof(*cpu));
	for (unsigned int i = 0; i < X86_GPR_COUNT; i++)
		memcpy(&cpu->gpr[i], &seed[i % 9], 8);
	cpu->cr0 = mode & 4 ? 0 : X86_CR0_PE;
	cpu->efer = mode & 2 ? X86_EFER_LMA : 0;
	cpu->rflags = mode & 8 ? X86_RFLAGS_VM | X86_RFLAGS_DF : 0;
	for (unsigned int i = 0; i < X86_SEGMENT_COUNT; i++) {
		cpu->segment[i].base = seed[i];
		cpu->segment[i].limit = mode & 16 ? 0xffff : UINT32_MAX;
		cpu->segment[i].attributes = mode & 32 ? seed[i + 8] : 0xc093;
	}
	cpu->segment[X86_CS].attributes = code[mode & 3];
}

/* In memory of just that size, so that a read past it is caught. */
static int decode(struct x86_insn *insn, const struct x86_cpu_mode *mode, const uint8_t *bytes,
		  size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int ret;

	CHECK(copy);
	memcpy(copy, bytes, len);
	ret = x86_decode(insn, mode, len ? copy : copy + 1, len);
	free(copy);
	return ret;
}

static void check_operands(const struct x86_insn *insn, const struct x86_cpu *cpu)
{
	struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX];
	int count = x86_memory_operands(insn, cpu, operands);

	CHECK(count == -EOPNOTSUPP || (count >= 0 && count <= X86_MEMORY_OPERANDS_MAX));
	for (int i = 0; i < count; i++) {
		CHECK(operands[i].access & (X86_ACCESS_READ | X86_ACCESS_WRITE));
		CHECK(operands[i].fault == 0 || operands[i].fault == X86_VECTOR_GP ||
		      operands[i].fault == X86_VECTOR_SS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x86_insn insn, again;
	struct x86_cpu_mode mode;
	struct x86_cpu cpu;
	int ret;

	if (size < 17)
		return 0;
	set_cpu(&cpu, data[0], data + 1);
	x86_cpu_mode(&mode, &cpu);
	data += 17;
	size -= 17;
	ret = decode(&insn, &mode, data, size);
	CHECK(ret == 0 || ret == -ENODATA || ret == -EINVAL || ret == -E2BIG || ret == -EOPNOTSUPP);
	CHECK(ret != -ENODATA || size < X86_INSN_MAX_LENGTH);
	if (ret)
		return 0;
	CHECK(insn.length >= 1 && insn.length <= X86_INSN_MAX_LENGTH && insn.length <= size);
	CHECK(decode(&again, &mode, data, insn.length) == 0 && again.length == insn.length);
	for (size_t len = 0; len < insn.length; len++)
		CHECK(decode(&again, &mode, data, len) == -ENODATA);
	check_operands(&insn, &cpu);
	return 0;
}

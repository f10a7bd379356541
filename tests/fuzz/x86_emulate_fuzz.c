// SPDX-License-Identifier: MIT
/*
 * Input: struct header, then instruction bytes and what memory and ports answer. The emulator must
 * keep to its operations' contracts, and must not change registers when an instruction that does
 * not repeat fails.
 */
#include "core/x86/x86_emulate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

struct header {
	uint8_t mode;
	uint8_t byte_count; /* handed over at the start; the others are fetched */
	uint8_t iterations;
	uint8_t fail_after; /* operations; what they return is in fail_with */
	uint8_t fail_with;
	uint8_t missing; /* mask of operations that are NULL */
	uint16_t attributes;
	uint32_t limit;
	uint32_t rflags;
	uint64_t rip;
	uint64_t gpr[4];
};

struct input {
	const uint8_t *data;
	size_t size;
	size_t at;
	const uint8_t *insn;
	size_t insn_size;
	uint64_t insn_linear;
	uint8_t fail_after;
	uint8_t fail_with;
	bool faulted;
};

/* 0, or what the operation is to return. */
static int operate(struct input *input, struct x86_exception *exception)
{
	static const int errors[] = { -EFAULT, -EIO, -EAGAIN, -EOPNOTSUPP };
	int error = errors[input->fail_with % 4];

	if (input->fail_after--)
		return 0;
	input->fail_after = 0;
	if (error == -EFAULT && !exception)
		error = -EIO;
	if (error == -EFAULT) {
		input->faulted = true;
		*exception = (struct x86_exception){ .vector = X86_VECTOR_PF };
	}
	return error;
}

static void take(struct input *input, void *data, size_t len)
{
	uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		bytes[i] = input->size ? input->data[input->at++ % input->size] : 0;
}

static int read_memory(void *ctx, uint64_t linear, void *data, size_t len, uint32_t access,
		       struct x86_exception *exception)
{
	int ret = operate(ctx, exception);

	(void)linear;
	CHECK(len >= 1 && len <= 64 && (access & X86_ACCESS_READ));
	if (!ret)
		take(ctx, data, len);
	return ret;
}

static int write_memory(void *ctx, uint64_t linear, const void *data, size_t len, uint32_t access,
			struct x86_exception *exception)
{
	uint8_t copy[64];

	(void)linear;
	CHECK(len >= 1 && len <= 64 && (access & X86_ACCESS_WRITE));
	memcpy(copy, data, len);
	return operate(ctx, exception);
}

static int cmpxchg_memory(void *ctx, uint64_t linear, void *expected, const void *desired,
			  size_t len, uint32_t access, struct x86_exception *exception)
{
	uint8_t copy[16];
	int ret = operate(ctx, exception);

	(void)linear;
	CHECK(len <= 16 && (access & X86_ACCESS_LOCKED));
	memcpy(copy, desired, len);
	if (ret == -EAGAIN)
		take(ctx, expected, len);
	return ret;
}

static int fetch(void *ctx, uint64_t linear, void *data, size_t len,
		 struct x86_exception *exception)
{
	struct input *input = ctx;
	uint8_t *bytes = data;
	int ret = operate(ctx, exception);

	CHECK(len >= 1 && len <= X86_INSN_MAX_LENGTH);
	CHECK(linear / 4096 == (linear + len - 1) / 4096);
	for (size_t i = 0; i < len; i++) {
		uint64_t at = linear + i - input->insn_linear;

		bytes[i] = at < input->insn_size ? input->insn[at] : 0x90;
	}
	return ret;
}

static int read_io(void *ctx, uint16_t port, void *data, size_t len,
		   struct x86_exception *exception)
{
	int ret = operate(ctx, exception);

	(void)port;
	CHECK(len == 1 || len == 2 || len == 4);
	if (!ret)
		take(ctx, data, len);
	return ret;
}

static int write_io(void *ctx, uint16_t port, const void *data, size_t len,
		    struct x86_exception *exception)
{
	(void)port;
	(void)data;
	CHECK(len == 1 || len == 2 || len == 4);
	return operate(ctx, exception);
}

static int get_vector(void *ctx, uint8_t reg, void *data, size_t len)
{
	CHECK(reg < 16 && (len == 16 || len == 32));
	take(ctx, data, len);
	return operate(ctx, NULL);
}

static int set_vector(void *ctx, uint8_t reg, const void *data, size_t len, bool zero_upper)
{
	uint8_t copy[32];

	(void)zero_upper;
	CHECK(reg < 16 && (len == 16 || len == 32));
	memcpy(copy, data, len);
	return operate(ctx, NULL);
}

static void set_cpu(struct x86_cpu *cpu, const struct header *header)
{
	static const uint16_t code[4] = { 0x9b, 0xc09b, 0xa09b, 0x409b };

	memset(cpu, 0, sizeof(*cpu));
	for (unsigned int i = 0; i < X86_GPR_COUNT; i++)
		cpu->gpr[i] = header->gpr[i % 4] * (i < 8 ? 1 : 0x9e3779b97f4a7c15);
	cpu->rip = header->rip;
	cpu->rflags = header->rflags;
	cpu->cr0 = (header->mode & 4 ? 0 : X86_CR0_PE) | (header->mode & 64 ? X86_CR0_AM : 0);
	cpu->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXSAVE;
	cpu->efer = header->mode & 2 ? X86_EFER_LMA : 0;
	for (unsigned int i = 0; i < X86_SEGMENT_COUNT; i++) {
		cpu->segment[i].base = header->mode & 8 ? 0 : header->gpr[i % 4];
		cpu->segment[i].limit = header->mode & 16 ? header->limit : UINT32_MAX;
		cpu->segment[i].attributes = header->mode & 32 ? header->attributes : 0xc0f3;
	}
	cpu->segment[X86_CS].attributes = code[header->mode & 3];
	cpu->segment[X86_CS].limit = UINT32_MAX;
}

static void set_ops(struct x86_emulator_ops *ops, uint8_t missing)
{
	*ops = (struct x86_emulator_ops){
		.read_memory = missing & 1 ? NULL : read_memory,
		.write_memory = missing & 2 ? NULL : write_memory,
		.fetch = missing & 4 ? NULL : fetch,
		.cmpxchg_memory = missing & 8 ? NULL : cmpxchg_memory,
		.read_io = missing & 16 ? NULL : read_io,
		.write_io = missing & 32 ? NULL : write_io,
		.get_vector = missing & 64 ? NULL : get_vector,
		.set_vector = missing & 128 ? NULL : set_vector,
	};
}

static void check(const struct x86_emulator *emulator, const struct x86_cpu *before, int ret,
		  const struct input *input)
{
	const struct x86_cpu *after = &emulator->cpu;

	CHECK(ret <= X86_EMULATE_MORE);
	CHECK(emulator->byte_count <= X86_INSN_MAX_LENGTH);
	if (ret == X86_EMULATE_EXCEPTION)
		CHECK(input->faulted || emulator->exception.vector != X86_VECTOR_PF);
	if (ret != X86_EMULATE_DONE)
		CHECK(after->rip == before->rip);
	if (ret == X86_EMULATE_MORE)
		CHECK(emulator->insn.rep || emulator->insn.repne);
	if (ret == X86_EMULATE_DONE || ret == X86_EMULATE_MORE)
		return;
	if (!emulator->insn.rep && !emulator->insn.repne)
		CHECK(!memcmp(before, after, sizeof(*before)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x86_emulator emulator = { 0 };
	struct x86_emulator_ops ops;
	struct header header;
	struct input input;
	struct x86_cpu before;
	size_t given;
	int ret;

	if (size < sizeof(header) + 1)
		return 0;
	memcpy(&header, data, sizeof(header));
	set_cpu(&emulator.cpu, &header);
	before = emulator.cpu;
	input = (struct input){
		.data = data + sizeof(header),
		.size = size - sizeof(header),
		.insn = data + sizeof(header),
		.insn_size = size - sizeof(header),
		.fail_after = header.fail_after,
		.fail_with = header.fail_with,
	};
	if ((header.mode & 3) == 2 && !(header.mode & 4))
		input.insn_linear = before.rip;
	else
		input.insn_linear = (uint32_t)(before.segment[X86_CS].base + before.rip);
	given = header.byte_count % (X86_INSN_MAX_LENGTH + 1);
	if (given > input.insn_size)
		given = input.insn_size;
	memcpy(emulator.bytes, input.insn, given);
	emulator.byte_count = given;
	emulator.max_iterations = header.iterations;
	set_ops(&ops, header.missing);
	ret = x86_emulate(&emulator, &ops, &input);
	check(&emulator, &before, ret, &input);
	return 0;
}

// SPDX-License-Identifier: MIT
#include "core/x86/execution.h"

#include <errno.h>
#include <string.h>

int x86_raise(struct x86_execution *x, uint8_t vector)
{
	struct x86_exception *exception = &x->emulator->exception;

	*exception = (struct x86_exception){
		.vector = vector,
		.has_error_code = vector == X86_VECTOR_SS || vector == X86_VECTOR_GP ||
				  vector == X86_VECTOR_AC,
	};
	return X86_EMULATE_EXCEPTION;
}

/* What an operation's return value means to the instruction. */
static int op_result(int ret)
{
	return ret == -EFAULT ? X86_EMULATE_EXCEPTION : ret;
}

/* SDM vol. 3, 6.15, interrupt 17. */
static bool misaligned(const struct x86_execution *x, uint64_t linear, size_t len)
{
	if (x->mode.cpl != 3 || !(x->cpu.cr0 & X86_CR0_AM) || !(x->cpu.rflags & X86_RFLAGS_AC))
		return false;
	return linear & ((len > 8 ? 8 : len) - 1);
}

/* Checks an access and completes its mask with what the mode and the prefixes tell. */
static int prepare_access(struct x86_execution *x, uint8_t segment, uint64_t offset, size_t len,
			  uint32_t *access, uint64_t *linear)
{
	int vector = x86_linear_address(&x->cpu, &x->mode, segment, offset, len, *access, linear);

	if (vector)
		return x86_raise(x, vector);
	if (misaligned(x, *linear, len))
		return x86_raise(x, X86_VECTOR_AC);
	if (x->mode.cpl == 3)
		*access |= X86_ACCESS_USER;
	if (x->insn->lock || x->operation == X86_OP_XCHG)
		*access |= X86_ACCESS_LOCKED;
	return 0;
}

int x86_load(struct x86_execution *x, uint8_t segment, uint64_t offset, void *data, size_t len,
	     uint32_t access)
{
	uint64_t linear;
	int ret = prepare_access(x, segment, offset, len, &access, &linear);

	if (ret)
		return ret;
	if (!x->ops->read_memory)
		return -EOPNOTSUPP;
	return op_result(
		x->ops->read_memory(x->ctx, linear, data, len, access, &x->emulator->exception));
}

int x86_store(struct x86_execution *x, uint8_t segment, uint64_t offset, const void *data,
	      size_t len)
{
	uint32_t access = X86_ACCESS_WRITE;
	uint64_t linear;
	int ret = prepare_access(x, segment, offset, len, &access, &linear);

	if (ret)
		return ret;
	if (!x->ops->write_memory)
		return -EOPNOTSUPP;
	return op_result(
		x->ops->write_memory(x->ctx, linear, data, len, access, &x->emulator->exception));
}

int x86_memory_replace(struct x86_execution *x, uint8_t segment, uint64_t offset, void *expected,
		       const void *desired, size_t len)
{
	uint32_t access = X86_ACCESS_READ | X86_ACCESS_WRITE;
	uint64_t linear;
	int ret = prepare_access(x, segment, offset, len, &access, &linear);

	if (ret)
		return ret;
	if (!(access & X86_ACCESS_LOCKED) || !x->ops->cmpxchg_memory)
		return x86_store(x, segment, offset, desired, len);
	return op_result(x->ops->cmpxchg_memory(x->ctx, linear, expected, desired, len, access,
						&x->emulator->exception));
}

uint64_t x86_get_gpr(const struct x86_cpu *cpu, enum x86_reg reg, unsigned int size)
{
	return x86_truncate(cpu->gpr[reg], size);
}

void x86_set_gpr(struct x86_cpu *cpu, enum x86_reg reg, unsigned int size, uint64_t value)
{
	uint64_t keep = size >= 4 ? 0 : cpu->gpr[reg] & ~x86_truncate(UINT64_MAX, size);

	cpu->gpr[reg] = keep | x86_truncate(value, size);
}

/* Without REX, byte registers 4 to 7 are the second bytes of the first four. */
static void place_register(struct x86_execution *x, struct x86_operand *operand, uint8_t reg)
{
	operand->place = X86_PLACE_REGISTER;
	operand->reg = reg;
	operand->high_byte = operand->size == 1 && reg >= 4 && !x->insn->rex &&
			     x->insn->encoding == X86_ENCODING_LEGACY;
	if (operand->high_byte)
		operand->reg -= 4;
}

static void place_value(struct x86_operand *operand, uint64_t value)
{
	operand->place = X86_PLACE_VALUE;
	operand->value = value;
}

static void resolve(struct x86_execution *x, const struct x86_operand_spec *spec,
		    struct x86_operand *operand)
{
	const struct x86_insn *insn = x->insn;

	operand->size = x86_size_in_bytes(insn, &x->mode, spec->size);
	switch (spec->kind) {
	case X86_KIND_E:
	case X86_KIND_M:
	case X86_KIND_R:
	case X86_KIND_O:
		if (insn->has_memory)
			operand->place = X86_PLACE_MEMORY;
		else
			place_register(x, operand, insn->rm);
		break;
	case X86_KIND_G:
		place_register(x, operand, insn->reg);
		break;
	case X86_KIND_Z:
		place_register(x, operand, insn->rm);
		break;
	case X86_KIND_A:
		place_register(x, operand, X86_RAX);
		break;
	case X86_KIND_C:
		place_register(x, operand, X86_RCX);
		break;
	case X86_KIND_D:
		place_register(x, operand, X86_RDX);
		break;
	case X86_KIND_S:
		operand->place = X86_PLACE_SEGMENT;
		operand->reg = insn->reg & 7;
		break;
	case X86_KIND_I:
	case X86_KIND_J:
		place_value(operand, insn->immediate);
		break;
	case X86_KIND_1:
		place_value(operand, 1);
		break;
	default:
		break;
	}
}

void x86_operands_resolve(struct x86_execution *x)
{
	for (unsigned int i = 0; i < 3; i++)
		resolve(x, &x->insn->opcode_info->operand[i], &x->operand[i]);
}

int x86_operand_read(struct x86_execution *x, unsigned int i, uint32_t access, uint64_t *value)
{
	const struct x86_operand *operand = &x->operand[i];

	switch (operand->place) {
	case X86_PLACE_REGISTER:
		*value = x86_get_gpr(&x->cpu, operand->reg, 8) >> (operand->high_byte ? 8 : 0);
		*value = x86_truncate(*value, operand->size);
		return 0;
	case X86_PLACE_SEGMENT:
		*value = x->cpu.segment[operand->reg].selector;
		return 0;
	case X86_PLACE_MEMORY:
		*value = 0; /* of which the low bytes are loaded */
		return x86_load(x, x->insn->address.segment, x86_memory_offset(x->insn, &x->cpu),
				value, operand->size, access);
	default:
		*value = operand->value;
		return 0;
	}
}

/* Only where loading a selector needs no descriptor (SDM vol. 3, 21.1.1). */
static int write_segment(struct x86_execution *x, uint8_t reg, uint16_t selector)
{
	if (!x->mode.real && !x->mode.vm86)
		return -EOPNOTSUPP;
	x->cpu.segment[reg].selector = selector;
	x->cpu.segment[reg].base = (uint64_t)selector << 4;
	if (reg == X86_SS)
		x->emulator->interrupt_shadow = true;
	return 0;
}

int x86_operand_write(struct x86_execution *x, unsigned int i, uint64_t value)
{
	const struct x86_operand *operand = &x->operand[i];
	uint64_t *gpr;

	switch (operand->place) {
	case X86_PLACE_REGISTER:
		gpr = &x->cpu.gpr[operand->reg];
		if (operand->high_byte)
			*gpr = (*gpr & ~0xff00UL) | (value & 0xff) << 8;
		else
			x86_set_gpr(&x->cpu, operand->reg, operand->size, value);
		return 0;
	case X86_PLACE_SEGMENT:
		return write_segment(x, operand->reg, value);
	case X86_PLACE_MEMORY:
		return x86_store(x, x->insn->address.segment, x86_memory_offset(x->insn, &x->cpu),
				 &value, operand->size);
	default:
		return -EOPNOTSUPP;
	}
}

int x86_operand_replace(struct x86_execution *x, unsigned int i, uint64_t *old, uint64_t value)
{
	if (x->operand[i].place != X86_PLACE_MEMORY)
		return x86_operand_write(x, i, value);
	return x86_memory_replace(x, x->insn->address.segment, x86_memory_offset(x->insn, &x->cpu),
				  old, &value, x->operand[i].size);
}

int x86_operand_modify(struct x86_execution *x,
		       uint64_t (*compute)(struct x86_execution *x, uint64_t old, uint64_t *rflags))
{
	uint64_t before = x->cpu.rflags;
	uint64_t old;
	int ret = x86_operand_read(x, 0, X86_ACCESS_READ | X86_ACCESS_WRITE, &old);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < X86_LOCK_TRIES; i++) {
		uint64_t rflags = before;
		uint64_t value = compute(x, old, &rflags);

		ret = x86_operand_replace(x, 0, &old, value);
		if (!ret)
			x->cpu.rflags = rflags;
		if (ret != -EAGAIN)
			return ret;
	}
	return -EAGAIN;
}

static uint64_t stack_pointer(const struct x86_execution *x, int64_t displacement)
{
	return x86_truncate(x->cpu.gpr[X86_RSP] + displacement, x->mode.stack_bits / 8);
}

static void move_stack_pointer(struct x86_execution *x, int64_t displacement)
{
	x86_set_gpr(&x->cpu, X86_RSP, x->mode.stack_bits / 8, x->cpu.gpr[X86_RSP] + displacement);
}

int x86_push(struct x86_execution *x, uint64_t value)
{
	unsigned int size = x->insn->operand_size;
	int ret = x86_store(x, X86_SS, stack_pointer(x, -(int64_t)size), &value, size);

	if (!ret)
		move_stack_pointer(x, -(int64_t)size);
	return ret;
}

int x86_pop(struct x86_execution *x, uint64_t *value)
{
	unsigned int size = x->insn->operand_size;
	int ret;

	*value = 0;
	ret = x86_load(x, X86_SS, stack_pointer(x, 0), value, size, X86_ACCESS_READ);
	if (!ret)
		move_stack_pointer(x, size);
	return ret;
}

int x86_branch(struct x86_execution *x, uint64_t target)
{
	uint64_t linear;

	target = x86_truncate(target, x->insn->operand_size);
	if (x86_linear_address(&x->cpu, &x->mode, X86_CS, target, 1, X86_ACCESS_FETCH, &linear))
		return x86_raise(x, X86_VECTOR_GP);
	x->next_rip = target;
	return 0;
}

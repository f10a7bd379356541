// SPDX-License-Identifier: MIT
/* The stack and near branches. */
#include "core/x86/alu.h"
#include "core/x86/execution.h"

#include <errno.h>

/* The selector that the one-byte and 0F pushes of segment registers push. */
static uint16_t pushed_selector(const struct x86_execution *x)
{
	return x->cpu.segment[(x->insn->opcode >> 3) & 7].selector;
}

int x86_emulate_push(struct x86_execution *x)
{
	uint64_t value;
	int ret;

	if (x->operand[0].place == X86_PLACE_NONE)
		return x86_push(x, pushed_selector(x));
	ret = x86_operand_read(x, 0, X86_ACCESS_READ, &value);
	return ret ? ret : x86_push(x, value);
}

/* A destination in memory is addressed, and RSP written, with the stack pointer already raised. */
int x86_emulate_pop(struct x86_execution *x)
{
	uint64_t value;
	int ret = x86_pop(x, &value);

	return ret ? ret : x86_operand_write(x, 0, value);
}

int x86_emulate_pushf(struct x86_execution *x)
{
	if (x->mode.vm86)
		return -EOPNOTSUPP;
	return x86_push(x, x->cpu.rflags & ~(X86_RFLAGS_RF | X86_RFLAGS_VM));
}

int x86_emulate_leave(struct x86_execution *x)
{
	uint64_t frame;
	int ret;

	x86_set_gpr(&x->cpu, X86_RSP, x->mode.stack_bits / 8, x->cpu.gpr[X86_RBP]);
	ret = x86_pop(x, &frame);
	if (!ret)
		x86_set_gpr(&x->cpu, X86_RBP, x->insn->operand_size, frame);
	return ret;
}

/* Targets are relative to the next instruction, or values. */
static int branch_target(struct x86_execution *x, uint64_t *target)
{
	int ret = x86_operand_read(x, 0, X86_ACCESS_READ, target);

	if (!ret && x->operand[0].place == X86_PLACE_VALUE)
		*target += x->next_rip;
	return ret;
}

static int branch_if(struct x86_execution *x, bool condition)
{
	return condition ? x86_branch(x, x->next_rip + x->operand[0].value) : 0;
}

int x86_emulate_jcc(struct x86_execution *x)
{
	return branch_if(x, x86_alu_condition(x->insn->opcode, x->cpu.rflags));
}

int x86_emulate_jmp(struct x86_execution *x)
{
	uint64_t target;
	int ret = branch_target(x, &target);

	return ret ? ret : x86_branch(x, target);
}

int x86_emulate_call(struct x86_execution *x)
{
	uint64_t return_address = x->next_rip;
	uint64_t target;
	int ret = branch_target(x, &target);

	if (!ret)
		ret = x86_branch(x, target);
	return ret ? ret : x86_push(x, return_address);
}

int x86_emulate_ret(struct x86_execution *x)
{
	uint16_t release = x->operand[0].place == X86_PLACE_VALUE ? x->operand[0].value : 0;
	uint64_t target;
	int ret = x86_pop(x, &target);

	if (!ret)
		ret = x86_branch(x, target);
	if (!ret)
		x86_set_gpr(&x->cpu, X86_RSP, x->mode.stack_bits / 8,
			    x->cpu.gpr[X86_RSP] + release);
	return ret;
}

/* LOOPNE, LOOPE, LOOP and JCXZ, whose counter has the address size. */
int x86_emulate_loop(struct x86_execution *x)
{
	unsigned int size = x->insn->address_size;
	bool zero = x->cpu.rflags & X86_RFLAGS_ZF;
	uint64_t count = x86_get_gpr(&x->cpu, X86_RCX, size);

	if (x->insn->opcode == 0xe3)
		return branch_if(x, count == 0);
	x86_set_gpr(&x->cpu, X86_RCX, size, count - 1);
	if (x->insn->opcode == 0xe0)
		return branch_if(x, count != 1 && !zero);
	if (x->insn->opcode == 0xe1)
		return branch_if(x, count != 1 && zero);
	return branch_if(x, count != 1);
}

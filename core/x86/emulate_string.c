// SPDX-License-Identifier: MIT
/* String instructions and their REP prefixes: SDM vol. 1, 7.3.9; vol. 2, REP. */
#include "core/x86/alu.h"
#include "core/x86/execution.h"

#include <errno.h>

/* A REP prefix counts on every string instruction, and REPNE is REP on those that do not compare. */
static bool repeats(const struct x86_insn *insn)
{
	return insn->rep || insn->repne;
}

static uint64_t string_offset(const struct x86_execution *x, enum x86_reg reg)
{
	return x86_get_gpr(&x->cpu, reg, x->insn->address_size);
}

static int load_source(struct x86_execution *x, uint64_t *value)
{
	*value = 0;
	return x86_load(x, x->insn->address.segment, string_offset(x, X86_RSI), value,
			x->operand[0].size, X86_ACCESS_READ);
}

static int load_destination(struct x86_execution *x, uint64_t *value)
{
	*value = 0;
	return x86_load(x, X86_ES, string_offset(x, X86_RDI), value, x->operand[0].size,
			X86_ACCESS_READ);
}

static int store_destination(struct x86_execution *x, uint64_t value)
{
	return x86_store(x, X86_ES, string_offset(x, X86_RDI), &value, x->operand[0].size);
}

static void advance(struct x86_execution *x, enum x86_reg reg)
{
	int64_t step = x->cpu.rflags & X86_RFLAGS_DF ? -(int64_t)x->operand[0].size
						     : (int64_t)x->operand[0].size;

	x86_set_gpr(&x->cpu, reg, x->insn->address_size, x->cpu.gpr[reg] + step);
}

static int movs(struct x86_execution *x)
{
	uint64_t value;
	int ret = load_source(x, &value);

	if (!ret)
		ret = store_destination(x, value);
	if (ret)
		return ret;
	advance(x, X86_RSI);
	advance(x, X86_RDI);
	return 0;
}

static int cmps(struct x86_execution *x)
{
	uint64_t a, b;
	int ret = load_source(x, &a);

	if (!ret)
		ret = load_destination(x, &b);
	if (ret)
		return ret;
	x86_alu(X86_OP_CMP, x->operand[0].size, a, b, &x->cpu.rflags);
	advance(x, X86_RSI);
	advance(x, X86_RDI);
	return 0;
}

static int stos(struct x86_execution *x)
{
	int ret = store_destination(x, x->cpu.gpr[X86_RAX]);

	if (!ret)
		advance(x, X86_RDI);
	return ret;
}

static int lods(struct x86_execution *x)
{
	uint64_t value;
	int ret = load_source(x, &value);

	if (ret)
		return ret;
	x86_set_gpr(&x->cpu, X86_RAX, x->operand[0].size, value);
	advance(x, X86_RSI);
	return 0;
}

static int scas(struct x86_execution *x)
{
	unsigned int size = x->operand[0].size;
	uint64_t value;
	int ret = load_destination(x, &value);

	if (ret)
		return ret;
	x86_alu(X86_OP_CMP, size, x86_get_gpr(&x->cpu, X86_RAX, size), value, &x->cpu.rflags);
	advance(x, X86_RDI);
	return 0;
}

static int ins(struct x86_execution *x)
{
	uint16_t port = x->cpu.gpr[X86_RDX];
	uint64_t value = 0;
	int ret;

	if (!x->ops->read_io)
		return -EOPNOTSUPP;
	ret = x->ops->read_io(x->ctx, port, &value, x->operand[0].size, &x->emulator->exception);
	if (ret)
		return ret == -EFAULT ? X86_EMULATE_EXCEPTION : ret;
	ret = store_destination(x, value);
	if (!ret)
		advance(x, X86_RDI);
	return ret;
}

static int outs(struct x86_execution *x)
{
	uint16_t port = x->cpu.gpr[X86_RDX];
	uint64_t value;
	int ret = load_source(x, &value);

	if (ret)
		return ret;
	if (!x->ops->write_io)
		return -EOPNOTSUPP;
	ret = x->ops->write_io(x->ctx, port, &value, x->operand[0].size, &x->emulator->exception);
	if (ret)
		return ret == -EFAULT ? X86_EMULATE_EXCEPTION : ret;
	advance(x, X86_RSI);
	return 0;
}

static int one_element(struct x86_execution *x)
{
	switch (x->operation) {
	case X86_OP_MOVS:
		return movs(x);
	case X86_OP_CMPS:
		return cmps(x);
	case X86_OP_STOS:
		return stos(x);
	case X86_OP_LODS:
		return lods(x);
	case X86_OP_SCAS:
		return scas(x);
	case X86_OP_INS:
		return ins(x);
	default:
		return outs(x);
	}
}

/* REPE and REPNE end on the comparison's result. */
static bool comparison_ends(const struct x86_execution *x)
{
	bool zero = x->cpu.rflags & X86_RFLAGS_ZF;

	if (x->operation != X86_OP_CMPS && x->operation != X86_OP_SCAS)
		return false;
	return x->insn->rep ? !zero : zero;
}

int x86_emulate_string(struct x86_execution *x)
{
	unsigned int size = x->insn->address_size;
	uint64_t count;
	int ret;

	if (!repeats(x->insn))
		return one_element(x);
	count = x86_get_gpr(&x->cpu, X86_RCX, size);
	if (!count)
		return X86_EMULATE_DONE;
	for (;;) {
		ret = one_element(x);
		if (ret)
			return ret;
		x86_set_gpr(&x->cpu, X86_RCX, size, --count);
		if (!count || comparison_ends(x))
			return X86_EMULATE_DONE;
		if (!--x->iterations)
			return X86_EMULATE_MORE;
		/* What is done stays done, even if the next iteration faults. */
		x->emulator->cpu = x->cpu;
	}
}

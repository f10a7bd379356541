// SPDX-License-Identifier: MIT
#include "core/x86/alu.h"
#include "core/x86/execution.h"

#include <errno.h>

/* The second operand is read first, so that compute functions find it in x->operand[1].value. */
static int read_source(struct x86_execution *x)
{
	return x86_operand_read(x, 1, X86_ACCESS_READ, &x->operand[1].value);
}

static uint64_t compute_alu(struct x86_execution *x, uint64_t old, uint64_t *rflags)
{
	unsigned int size = x->operand[0].size;

	return x86_alu(x->operation, size, old, x86_truncate(x->operand[1].value, size), rflags);
}

int x86_emulate_alu(struct x86_execution *x)
{
	uint64_t old;
	int ret = read_source(x);

	if (ret)
		return ret;
	if (x->operation != X86_OP_CMP)
		return x86_operand_modify(x, compute_alu);
	ret = x86_operand_read(x, 0, X86_ACCESS_READ, &old);
	if (!ret)
		compute_alu(x, old, &x->cpu.rflags);
	return ret;
}

int x86_emulate_test(struct x86_execution *x)
{
	unsigned int size = x->operand[0].size;
	uint64_t value;
	int ret = read_source(x);

	if (!ret)
		ret = x86_operand_read(x, 0, X86_ACCESS_READ, &value);
	if (!ret)
		x86_alu(X86_OP_AND, size, value, x86_truncate(x->operand[1].value, size),
			&x->cpu.rflags);
	return ret;
}

static uint64_t compute_unary(struct x86_execution *x, uint64_t old, uint64_t *rflags)
{
	return x86_alu_unary(x->operation, x->operand[0].size, old, rflags);
}

int x86_emulate_unary(struct x86_execution *x)
{
	return x86_operand_modify(x, compute_unary);
}

static uint64_t compute_shift(struct x86_execution *x, uint64_t old, uint64_t *rflags)
{
	return x86_alu_shift(x->operation, x->operand[0].size, old, x->operand[1].value & 0xff,
			     rflags);
}

int x86_emulate_shift(struct x86_execution *x)
{
	int ret = read_source(x);

	return ret ? ret : x86_operand_modify(x, compute_shift);
}

static uint64_t compute_shift_double(struct x86_execution *x, uint64_t old, uint64_t *rflags)
{
	bool left = x->operation == X86_OP_SHLD;

	return x86_alu_shift_double(left, x->operand[0].size, old, x->operand[1].value,
				    x->operand[2].value & 0xff, rflags);
}

int x86_emulate_shift_double(struct x86_execution *x)
{
	int ret = read_source(x);

	if (!ret)
		ret = x86_operand_read(x, 2, X86_ACCESS_READ, &x->operand[2].value);
	return ret ? ret : x86_operand_modify(x, compute_shift_double);
}

/* The double-width accumulator: AX for bytes, else rDX:rAX. */
static void set_wide(struct x86_execution *x, unsigned int size, uint64_t low, uint64_t high)
{
	if (size == 1) {
		x86_set_gpr(&x->cpu, X86_RAX, 2, high << 8 | low);
		return;
	}
	x86_set_gpr(&x->cpu, X86_RAX, size, low);
	x86_set_gpr(&x->cpu, X86_RDX, size, high);
}

static void get_wide(const struct x86_execution *x, unsigned int size, uint64_t *low,
		     uint64_t *high)
{
	*low = x86_get_gpr(&x->cpu, X86_RAX, size);
	if (size == 1)
		*high = x86_get_gpr(&x->cpu, X86_RAX, 2) >> 8;
	else
		*high = x86_get_gpr(&x->cpu, X86_RDX, size);
}

int x86_emulate_multiply(struct x86_execution *x)
{
	unsigned int size = x->operand[0].size;
	uint64_t factor, low, high;
	int ret = x86_operand_read(x, 0, X86_ACCESS_READ, &factor);

	if (ret)
		return ret;
	x86_alu_multiply(x->operation == X86_OP_IMUL_WIDE, size,
			 x86_get_gpr(&x->cpu, X86_RAX, size), factor, &low, &high, &x->cpu.rflags);
	set_wide(x, size, low, high);
	return 0;
}

/* IMUL of two operands, or of three with an immediate. */
int x86_emulate_imul(struct x86_execution *x)
{
	unsigned int size = x->operand[0].size;
	unsigned int other = x->operand[2].place == X86_PLACE_NONE ? 0 : 2;
	uint64_t a, b, low, high;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &a);

	if (!ret)
		ret = x86_operand_read(x, other, X86_ACCESS_READ, &b);
	if (ret)
		return ret;
	x86_alu_multiply(true, size, a, x86_truncate(b, size), &low, &high, &x->cpu.rflags);
	return x86_operand_write(x, 0, low);
}

int x86_emulate_divide(struct x86_execution *x)
{
	unsigned int size = x->operand[0].size;
	uint64_t divisor, low, high;
	int ret = x86_operand_read(x, 0, X86_ACCESS_READ, &divisor);

	if (ret)
		return ret;
	get_wide(x, size, &low, &high);
	if (!x86_alu_divide(x->operation == X86_OP_IDIV, size, &low, &high, divisor))
		return x86_raise(x, X86_VECTOR_DE);
	set_wide(x, size, low, high);
	return 0;
}

static uint64_t compute_bit(struct x86_execution *x, uint64_t old, uint64_t *rflags)
{
	uint64_t mask = 1UL << (x->operand[1].value & (8 * x->operand[0].size - 1));

	*rflags = (*rflags & ~X86_RFLAGS_CF) | (old & mask ? X86_RFLAGS_CF : 0);
	switch (x->operation) {
	case X86_OP_BTS:
		return old | mask;
	case X86_OP_BTR:
		return old & ~mask;
	case X86_OP_BTC:
		return old ^ mask;
	default:
		return old;
	}
}

int x86_emulate_bit(struct x86_execution *x)
{
	uint64_t old;
	int ret = read_source(x);

	if (ret)
		return ret;
	if (x->operation != X86_OP_BT)
		return x86_operand_modify(x, compute_bit);
	ret = x86_operand_read(x, 0, X86_ACCESS_READ, &old);
	if (!ret)
		compute_bit(x, old, &x->cpu.rflags);
	return ret;
}

static void set_flag(struct x86_execution *x, uint64_t flag, bool value)
{
	x->cpu.rflags = value ? x->cpu.rflags | flag : x->cpu.rflags & ~flag;
}

/* TZCNT and LZCNT: they know what to answer to zero, and tell of it in CF. */
static int count_zeros(struct x86_execution *x, uint64_t source)
{
	unsigned int bits = 8 * x->operand[0].size;
	uint64_t result = bits;

	if (source && x->operation == X86_OP_BSF)
		result = __builtin_ctzl(source);
	else if (source)
		result = __builtin_clzl(source) - (64 - bits);
	set_flag(x, X86_RFLAGS_CF, !source);
	set_flag(x, X86_RFLAGS_ZF, !result);
	return x86_operand_write(x, 0, result);
}

int x86_emulate_bit_scan(struct x86_execution *x)
{
	uint64_t source;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &source);

	if (ret)
		return ret;
	if (x->insn->rep)
		return count_zeros(x, source);
	set_flag(x, X86_RFLAGS_ZF, !source);
	if (!source)
		return 0; /* the destination stays as it is */
	return x86_operand_write(x, 0,
				 x->operation == X86_OP_BSF ? __builtin_ctzl(source)
							    : 63 - __builtin_clzl(source));
}

int x86_emulate_popcnt(struct x86_execution *x)
{
	uint64_t source;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &source);

	if (ret)
		return ret;
	set_flag(x, X86_RFLAGS_STATUS, false);
	set_flag(x, X86_RFLAGS_ZF, !source);
	return x86_operand_write(x, 0, __builtin_popcountl(source));
}

/* CBW, CWDE, CDQE; CWD, CDQ, CQO. */
int x86_emulate_sign_extend_a(struct x86_execution *x)
{
	unsigned int size = x->insn->operand_size;
	int64_t value;

	if (x->operation == X86_OP_CBW) {
		value = x86_sign_extend(x->cpu.gpr[X86_RAX], size / 2);
		x86_set_gpr(&x->cpu, X86_RAX, size, value);
	} else {
		value = x86_sign_extend(x->cpu.gpr[X86_RAX], size);
		x86_set_gpr(&x->cpu, X86_RDX, size, value < 0 ? UINT64_MAX : 0);
	}
	return 0;
}

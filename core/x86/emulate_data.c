// SPDX-License-Identifier: MIT
/* Moves, exchanges, port I/O and flags. */
#include "core/x86/alu.h"
#include "core/x86/execution.h"

#include <errno.h>
#include <string.h>

/* MOV and MOVZX: operands are zero-extended when read. */
int x86_emulate_mov(struct x86_execution *x)
{
	uint64_t value;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &value);

	return ret ? ret : x86_operand_write(x, 0, value);
}

int x86_emulate_movsx(struct x86_execution *x)
{
	uint64_t value;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &value);

	return ret ? ret : x86_operand_write(x, 0, x86_sign_extend(value, x->operand[1].size));
}

static uint64_t swap_bytes(uint64_t value, unsigned int size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

int x86_emulate_movbe(struct x86_execution *x)
{
	uint64_t value;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &value);

	return ret ? ret : x86_operand_write(x, 0, swap_bytes(value, x->operand[1].size));
}

/* With 16 bits the result is undefined; processors give zero. */
int x86_emulate_bswap(struct x86_execution *x)
{
	unsigned int size = x->operand[0].size;
	uint64_t value;
	int ret = x86_operand_read(x, 0, X86_ACCESS_READ, &value);

	return ret ? ret : x86_operand_write(x, 0, size == 2 ? 0 : swap_bytes(value, size));
}

int x86_emulate_lea(struct x86_execution *x)
{
	return x86_operand_write(x, 0, x86_effective_offset(x->insn, &x->cpu));
}

static bool is_nop(const struct x86_insn *insn)
{
	return insn->map == X86_MAP_ONE_BYTE && insn->opcode == 0x90 && insn->rm == X86_RAX;
}

static uint64_t compute_source(struct x86_execution *x, uint64_t old, uint64_t *rflags)
{
	(void)rflags;
	x->operand[2].value = old;
	return x->operand[1].value;
}

int x86_emulate_xchg(struct x86_execution *x)
{
	int ret;

	if (is_nop(x->insn))
		return 0;
	ret = x86_operand_read(x, 1, X86_ACCESS_READ, &x->operand[1].value);
	if (!ret)
		ret = x86_operand_modify(x, compute_source);
	return ret ? ret : x86_operand_write(x, 1, x->operand[2].value);
}

static uint64_t compute_sum(struct x86_execution *x, uint64_t old, uint64_t *rflags)
{
	x->operand[2].value = old;
	return x86_alu(X86_OP_ADD, x->operand[0].size, old, x->operand[1].value, rflags);
}

/* The source register is written first: when both are the same one, the sum stays in it. */
int x86_emulate_xadd(struct x86_execution *x)
{
	struct x86_operand destination = x->operand[0];
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &x->operand[1].value);

	if (!ret)
		ret = x86_operand_modify(x, compute_sum);
	if (ret)
		return ret;
	if (destination.place == X86_PLACE_REGISTER && destination.reg == x->operand[1].reg &&
	    destination.high_byte == x->operand[1].high_byte)
		return 0;
	return x86_operand_write(x, 1, x->operand[2].value);
}

int x86_emulate_cmpxchg(struct x86_execution *x)
{
	unsigned int size = x->operand[0].size;
	uint64_t accumulator = x86_get_gpr(&x->cpu, X86_RAX, size);
	uint64_t old, source;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &source);

	if (!ret)
		ret = x86_operand_read(x, 0, X86_ACCESS_READ | X86_ACCESS_WRITE, &old);
	if (ret)
		return ret;
	if (old == accumulator)
		ret = x86_operand_replace(x, 0, &old, source);
	/* -EAGAIN: old is what it has changed to; if to the same again, let the guest try again. */
	if (ret && (ret != -EAGAIN || old == accumulator))
		return ret;
	x86_alu(X86_OP_CMP, size, accumulator, old, &x->cpu.rflags);
	if (old != accumulator)
		x86_set_gpr(&x->cpu, X86_RAX, size, old);
	return 0;
}

/* The two halves of CMPXCHG8B's registers, as they lie in memory. */
static void get_pair(const struct x86_cpu *cpu, enum x86_reg low, enum x86_reg high,
		     unsigned int half, uint8_t data[16])
{
	memcpy(data, &cpu->gpr[low], half);
	memcpy(data + half, &cpu->gpr[high], half);
}

static void set_pair(struct x86_cpu *cpu, unsigned int half, const uint8_t data[16])
{
	uint64_t low = 0, high = 0;

	memcpy(&low, data, half);
	memcpy(&high, data + half, half);
	x86_set_gpr(cpu, X86_RAX, half, low);
	x86_set_gpr(cpu, X86_RDX, half, high);
}

/* CMPXCHG16B faults when not aligned (SDM vol. 2). */
static int check_aligned(struct x86_execution *x, uint64_t offset, unsigned int size)
{
	uint64_t linear;
	int vector = x86_linear_address(&x->cpu, &x->mode, x->insn->address.segment, offset, size,
					X86_ACCESS_READ | X86_ACCESS_WRITE, &linear);

	if (vector)
		return x86_raise(x, vector);
	return linear % size ? x86_raise(x, X86_VECTOR_GP) : 0;
}

int x86_emulate_cmpxchg8b(struct x86_execution *x)
{
	unsigned int size = x->operand[0].size;
	uint64_t offset = x86_effective_offset(x->insn, &x->cpu);
	uint8_t old[16], expected[16], desired[16];
	int ret = size == 16 ? check_aligned(x, offset, size) : 0;

	if (!ret)
		ret = x86_load(x, x->insn->address.segment, offset, old, size,
			       X86_ACCESS_READ | X86_ACCESS_WRITE);
	if (ret)
		return ret;
	get_pair(&x->cpu, X86_RAX, X86_RDX, size / 2, expected);
	get_pair(&x->cpu, X86_RBX, X86_RCX, size / 2, desired);
	if (!memcmp(old, expected, size))
		ret = x86_memory_replace(x, x->insn->address.segment, offset, old, desired, size);
	/* -EAGAIN: old is what it has changed to. */
	if (ret && (ret != -EAGAIN || !memcmp(old, expected, size)))
		return ret;
	if (!memcmp(old, expected, size)) {
		x->cpu.rflags |= X86_RFLAGS_ZF;
	} else {
		x->cpu.rflags &= ~X86_RFLAGS_ZF;
		set_pair(&x->cpu, size / 2, old);
	}
	return 0;
}

int x86_emulate_setcc(struct x86_execution *x)
{
	return x86_operand_write(x, 0, x86_alu_condition(x->insn->opcode, x->cpu.rflags));
}

/* The source is read, and a 32-bit destination's upper half cleared, in either case. */
int x86_emulate_cmovcc(struct x86_execution *x)
{
	bool condition = x86_alu_condition(x->insn->opcode, x->cpu.rflags);
	uint64_t source, old;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &source);

	if (!ret)
		ret = x86_operand_read(x, 0, X86_ACCESS_READ, &old);
	return ret ? ret : x86_operand_write(x, 0, condition ? source : old);
}

int x86_emulate_xlat(struct x86_execution *x)
{
	uint64_t offset = x->cpu.gpr[X86_RBX] + (x->cpu.gpr[X86_RAX] & 0xff);
	uint8_t value;
	int ret = x86_load(x, x->insn->address.segment, x86_truncate(offset, x->insn->address_size),
			   &value, 1, X86_ACCESS_READ);

	if (!ret)
		x86_set_gpr(&x->cpu, X86_RAX, 1, value);
	return ret;
}

int x86_emulate_nop(struct x86_execution *x)
{
	(void)x;
	return 0;
}

/* A port is an 8-bit immediate or DX. */
static uint16_t port_number(const struct x86_operand *operand, uint64_t value)
{
	return operand->place == X86_PLACE_VALUE ? value & 0xff : value;
}

int x86_emulate_in(struct x86_execution *x)
{
	uint64_t value = 0, port;
	int ret = x86_operand_read(x, 1, X86_ACCESS_READ, &port);

	if (ret)
		return ret;
	if (!x->ops->read_io)
		return -EOPNOTSUPP;
	ret = x->ops->read_io(x->ctx, port_number(&x->operand[1], port), &value, x->operand[0].size,
			      &x->emulator->exception);
	if (ret)
		return ret == -EFAULT ? X86_EMULATE_EXCEPTION : ret;
	return x86_operand_write(x, 0, value);
}

int x86_emulate_out(struct x86_execution *x)
{
	uint64_t value, port;
	int ret = x86_operand_read(x, 0, X86_ACCESS_READ, &port);

	if (!ret)
		ret = x86_operand_read(x, 1, X86_ACCESS_READ, &value);
	if (ret)
		return ret;
	if (!x->ops->write_io)
		return -EOPNOTSUPP;
	ret = x->ops->write_io(x->ctx, port_number(&x->operand[0], port), &value,
			       x->operand[1].size, &x->emulator->exception);
	return ret == -EFAULT ? X86_EMULATE_EXCEPTION : ret;
}

int x86_emulate_flag(struct x86_execution *x)
{
	switch (x->insn->opcode) {
	case 0xf5:
		x->cpu.rflags ^= X86_RFLAGS_CF;
		break;
	case 0xf8:
		x->cpu.rflags &= ~X86_RFLAGS_CF;
		break;
	case 0xf9:
		x->cpu.rflags |= X86_RFLAGS_CF;
		break;
	case 0xfc:
		x->cpu.rflags &= ~X86_RFLAGS_DF;
		break;
	default:
		x->cpu.rflags |= X86_RFLAGS_DF;
	}
	return 0;
}

#define AH_FLAGS (X86_RFLAGS_STATUS & ~X86_RFLAGS_OF)

int x86_emulate_lahf(struct x86_execution *x)
{
	uint64_t flags = (x->cpu.rflags & AH_FLAGS) | X86_RFLAGS_FIXED;

	x->cpu.gpr[X86_RAX] = (x->cpu.gpr[X86_RAX] & ~0xff00UL) | flags << 8;
	return 0;
}

int x86_emulate_sahf(struct x86_execution *x)
{
	uint64_t flags = x->cpu.gpr[X86_RAX] >> 8;

	x->cpu.rflags = (x->cpu.rflags & ~AH_FLAGS) | (flags & AH_FLAGS);
	return 0;
}

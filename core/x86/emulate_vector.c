// SPDX-License-Identifier: MIT
/* SSE moves and their 128 and 256-bit VEX encodings. */
#include "core/x86/execution.h"

#include <errno.h>
#include <string.h>

enum move_kind {
	MOVE_NONE,
	MOVE_LOAD,       /* memory, zero-extended, or register to register */
	MOVE_STORE,      /* register to memory or register */
	MOVE_LOAD_LOW,   /* memory to the low quadword; register: high to low */
	MOVE_LOAD_HIGH,  /* memory to the high quadword; register: low to high */
	MOVE_STORE_LOW,  /* low quadword to memory */
	MOVE_STORE_HIGH, /* high quadword to memory */
	MOVE_FROM_GPR,   /* MOVD, MOVQ: general register or memory to vector register */
	MOVE_TO_GPR,
};

struct move {
	uint8_t map;
	uint8_t opcode;
	uint8_t prefix;
	uint8_t kind;
	bool aligned; /* #GP unless aligned to the operand's size */
	bool scalar;  /* register to register merges instead of copying */
};

#define MOVE(map_, opcode_, prefix_, kind_, ...)                                          \
	{                                                                                 \
		.map = X86_MAP_##map_, .opcode = (opcode_), .prefix = X86_SIMD_##prefix_, \
		.kind = MOVE_##kind_, __VA_ARGS__                                         \
	}

static const struct move moves[] = {
	MOVE(0F, 0x10, NONE, LOAD),
	MOVE(0F, 0x10, 66, LOAD),
	MOVE(0F, 0x10, F3, LOAD, .scalar = true),
	MOVE(0F, 0x10, F2, LOAD, .scalar = true),
	MOVE(0F, 0x11, NONE, STORE),
	MOVE(0F, 0x11, 66, STORE),
	MOVE(0F, 0x11, F3, STORE, .scalar = true),
	MOVE(0F, 0x11, F2, STORE, .scalar = true),
	MOVE(0F, 0x12, NONE, LOAD_LOW),
	MOVE(0F, 0x12, 66, LOAD_LOW),
	MOVE(0F, 0x13, NONE, STORE_LOW),
	MOVE(0F, 0x13, 66, STORE_LOW),
	MOVE(0F, 0x16, NONE, LOAD_HIGH),
	MOVE(0F, 0x16, 66, LOAD_HIGH),
	MOVE(0F, 0x17, NONE, STORE_HIGH),
	MOVE(0F, 0x17, 66, STORE_HIGH),
	MOVE(0F, 0x28, NONE, LOAD, .aligned = true),
	MOVE(0F, 0x28, 66, LOAD, .aligned = true),
	MOVE(0F, 0x29, NONE, STORE, .aligned = true),
	MOVE(0F, 0x29, 66, STORE, .aligned = true),
	MOVE(0F, 0x2b, NONE, STORE, .aligned = true),
	MOVE(0F, 0x2b, 66, STORE, .aligned = true),
	MOVE(0F, 0x6e, 66, FROM_GPR),
	MOVE(0F, 0x6f, 66, LOAD, .aligned = true),
	MOVE(0F, 0x6f, F3, LOAD),
	MOVE(0F, 0x7e, 66, TO_GPR),
	MOVE(0F, 0x7e, F3, LOAD),
	MOVE(0F, 0x7f, 66, STORE, .aligned = true),
	MOVE(0F, 0x7f, F3, STORE),
	MOVE(0F, 0xd6, 66, STORE),
	MOVE(0F, 0xe7, 66, STORE, .aligned = true),
	MOVE(0F, 0xf0, F2, LOAD),
	MOVE(0F38, 0x2a, 66, LOAD, .aligned = true),
};

static const struct move *find_move(const struct x86_insn *insn)
{
	if (insn->encoding == X86_ENCODING_EVEX)
		return NULL;
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		if (moves[i].map == insn->map && moves[i].opcode == insn->opcode &&
		    moves[i].prefix == insn->simd_prefix)
			return &moves[i];
	}
	return NULL;
}

static bool is_vex(const struct x86_execution *x)
{
	return x->insn->encoding == X86_ENCODING_VEX;
}

/* SDM vol. 2, 2.5 (SSE) and 2.4, exception types; vol. 3, 2.5. */
static int check_enabled(struct x86_execution *x)
{
	if (is_vex(x)) {
		if (!(x->cpu.cr4 & X86_CR4_OSXSAVE))
			return x86_raise(x, X86_VECTOR_UD);
	} else if ((x->cpu.cr0 & X86_CR0_EM) || !(x->cpu.cr4 & X86_CR4_OSFXSR)) {
		return x86_raise(x, X86_VECTOR_UD);
	}
	return x->cpu.cr0 & X86_CR0_TS ? x86_raise(x, X86_VECTOR_NM) : 0;
}

/* VEX forms of two-operand moves must not name a third register. */
static bool uses_vvvv(const struct x86_execution *x, const struct move *move)
{
	if (move->kind == MOVE_LOAD_LOW || move->kind == MOVE_LOAD_HIGH)
		return true;
	return move->scalar && !x->insn->has_memory;
}

/* Half of the vector instructions have no 256-bit form (SDM vol. 2, VEX.L of each). */
static bool has_256(const struct x86_execution *x, const struct move *move)
{
	if (x->insn->vector_length == 16 || move->scalar)
		return true;
	return (move->kind == MOVE_LOAD || move->kind == MOVE_STORE) && x->insn->opcode != 0x7e &&
	       x->insn->opcode != 0xd6;
}

static int get_vector(struct x86_execution *x, uint8_t reg, void *data, size_t len)
{
	return x->ops->get_vector ? x->ops->get_vector(x->ctx, reg, data, len) : -EOPNOTSUPP;
}

/* Takes place when the instruction retires. len is 16 or 32. */
static void set_vector(struct x86_execution *x, uint8_t reg, const void *data, size_t len)
{
	struct x86_vector_write *write = &x->vector_write;

	write->pending = true;
	write->zero_upper = is_vex(x);
	write->reg = reg;
	write->len = len;
	memcpy(write->data, data, len);
}

static int memory_offset(struct x86_execution *x, const struct move *move, uint64_t *offset)
{
	const struct x86_insn *insn = x->insn;
	uint64_t linear;
	int vector;

	*offset = x86_effective_offset(insn, &x->cpu);
	vector = x86_linear_address(&x->cpu, &x->mode, insn->address.segment, *offset,
				    insn->memory_size, insn->memory_access, &linear);
	if (vector)
		return x86_raise(x, vector);
	if (move->aligned && linear % insn->memory_size)
		return x86_raise(x, X86_VECTOR_GP);
	return 0;
}

static int load_memory(struct x86_execution *x, const struct move *move, void *data)
{
	uint64_t offset;
	int ret = memory_offset(x, move, &offset);

	return ret ? ret
		   : x86_load(x, x->insn->address.segment, offset, data, x->insn->memory_size,
			      X86_ACCESS_READ);
}

static int store_memory(struct x86_execution *x, const struct move *move, const void *data)
{
	uint64_t offset;
	int ret = memory_offset(x, move, &offset);

	return ret ? ret
		   : x86_store(x, x->insn->address.segment, offset, data, x->insn->memory_size);
}

/* Scalars move 4 or 8 bytes, MOVQ 8 with the rest cleared, all others the whole vector. */
static int copy_register(struct x86_execution *x, const struct move *move, uint8_t to, uint8_t from)
{
	const struct x86_insn *insn = x->insn;
	size_t len = move->scalar ? 16 : insn->vector_length;
	uint8_t source[32], data[32] = { 0 };
	int ret = get_vector(x, from, source, len);

	if (!ret && move->scalar)
		ret = get_vector(x, is_vex(x) ? insn->vvvv : to, data, len);
	if (ret)
		return ret;
	if (move->scalar)
		memcpy(data, source, insn->simd_prefix == X86_SIMD_F3 ? 4 : 8);
	else if (insn->opcode == 0x7e || insn->opcode == 0xd6)
		memcpy(data, source, 8);
	else
		memcpy(data, source, len);
	set_vector(x, to, data, len);
	return 0;
}

static int load(struct x86_execution *x, const struct move *move)
{
	const struct x86_insn *insn = x->insn;
	uint8_t data[32] = { 0 };
	int ret;

	if (!insn->has_memory)
		return copy_register(x, move, insn->reg, insn->rm);
	ret = load_memory(x, move, data);
	if (!ret)
		set_vector(x, insn->reg, data, insn->memory_size == 32 ? 32 : 16);
	return ret;
}

static int store(struct x86_execution *x, const struct move *move)
{
	const struct x86_insn *insn = x->insn;
	uint8_t data[32];
	int ret;

	if (!insn->has_memory)
		return copy_register(x, move, insn->rm, insn->reg);
	ret = get_vector(x, insn->reg, data, insn->memory_size == 32 ? 32 : 16);
	return ret ? ret : store_memory(x, move, data);
}

/* One quadword changes; the other comes from the destination, or with VEX from vvvv. */
static int load_half(struct x86_execution *x, const struct move *move)
{
	const struct x86_insn *insn = x->insn;
	bool high = move->kind == MOVE_LOAD_HIGH;
	uint8_t data[16], source[16];
	int ret = get_vector(x, is_vex(x) ? insn->vvvv : insn->reg, data, 16);

	if (ret)
		return ret;
	if (insn->has_memory) {
		ret = load_memory(x, move, data + (high ? 8 : 0));
	} else {
		ret = get_vector(x, insn->rm, source, 16);
		if (!ret)
			memcpy(data + (high ? 8 : 0), source + (high ? 0 : 8), 8);
	}
	if (!ret)
		set_vector(x, insn->reg, data, 16);
	return ret;
}

static int store_half(struct x86_execution *x, const struct move *move)
{
	uint8_t data[16];
	int ret = get_vector(x, x->insn->reg, data, 16);

	return ret ? ret : store_memory(x, move, data + (move->kind == MOVE_STORE_HIGH ? 8 : 0));
}

static unsigned int gpr_size(const struct x86_execution *x)
{
	return x86_size_in_bytes(x->insn, &x->mode, X86_SIZE_Y);
}

static int move_from_gpr(struct x86_execution *x, const struct move *move)
{
	const struct x86_insn *insn = x->insn;
	uint64_t data[2] = { 0 };
	int ret = 0;

	if (insn->has_memory)
		ret = load_memory(x, move, data);
	else
		data[0] = x86_get_gpr(&x->cpu, insn->rm, gpr_size(x));
	if (!ret)
		set_vector(x, insn->reg, data, sizeof(data));
	return ret;
}

static int move_to_gpr(struct x86_execution *x, const struct move *move)
{
	const struct x86_insn *insn = x->insn;
	uint64_t data[2];
	int ret = get_vector(x, insn->reg, data, sizeof(data));

	if (ret)
		return ret;
	if (insn->has_memory)
		return store_memory(x, move, data);
	x86_set_gpr(&x->cpu, insn->rm, gpr_size(x), data[0]);
	return 0;
}

static int execute(struct x86_execution *x, const struct move *move)
{
	switch (move->kind) {
	case MOVE_LOAD:
		return load(x, move);
	case MOVE_STORE:
		return store(x, move);
	case MOVE_LOAD_LOW:
	case MOVE_LOAD_HIGH:
		return load_half(x, move);
	case MOVE_STORE_LOW:
	case MOVE_STORE_HIGH:
		return store_half(x, move);
	case MOVE_FROM_GPR:
		return move_from_gpr(x, move);
	default:
		return move_to_gpr(x, move);
	}
}

int x86_emulate_vector(struct x86_execution *x)
{
	const struct move *move = find_move(x->insn);
	int ret;

	if (!move)
		return -EOPNOTSUPP;
	if (is_vex(x) && ((x->insn->vvvv && !uses_vvvv(x, move)) || !has_256(x, move)))
		return x86_raise(x, X86_VECTOR_UD);
	ret = check_enabled(x);
	return ret ? ret : execute(x, move);
}

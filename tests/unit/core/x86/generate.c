// SPDX-License-Identifier: MIT
#include "tests/unit/core/x86/generate.h"

#include <string.h>

static uint64_t random_state = 88172645463325252UL;

void random_seed(uint64_t seed)
{
	random_state += seed;
}

uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 2685821657736338717UL;
}

unsigned int random_below(unsigned int limit)
{
	return (random_number() >> 33) % limit;
}

/* Values at which carries and overflows turn up more often than in purely random ones. */
uint64_t random_value(void)
{
	static const uint64_t corners[] = {
		0,
		1,
		2,
		0x7f,
		0x80,
		0xff,
		0x7fff,
		0x8000,
		0xffff,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x7fffffffffffffff,
		0x8000000000000000,
		0xffffffffffffffff,
	};
	unsigned int kind = random_below(8);

	if (kind == 0)
		return corners[random_below(sizeof(corners) / sizeof(corners[0]))];
	if (kind == 1)
		return random_below(70);
	return random_number();
}

static void set_segments(struct x86_cpu *cpu)
{
	for (unsigned int i = 0; i < X86_SEGMENT_COUNT; i++) {
		struct x86_segment *segment = &cpu->segment[i];

		if (i >= X86_FS)
			continue; /* null selectors */
		segment->selector = i == X86_CS ? native_mode.cs : native_mode.ds;
		segment->base = i == X86_CS ? native_mode.code_base : native_mode.data_base;
		segment->limit = i == X86_CS ? native_mode.code_limit : native_mode.data_limit;
		segment->attributes = 0xc0f3;
	}
	cpu->segment[X86_CS].attributes = native_mode.bits == 64   ? 0xa0fb
					  : native_mode.bits == 32 ? 0xc0fb
								   : 0x00fb;
	if (native_mode.bits == 64) {
		/* Not those with which the process started, but those that the trampoline loads. */
		cpu->segment[X86_SS].selector = 0x2b;
		cpu->segment[X86_GS].base = NATIVE_GS_BASE;
	}
}

void native_cpu(struct x86_cpu *cpu, const struct native_state *state)
{
	memset(cpu, 0, sizeof(*cpu));
	memcpy(cpu->gpr, state->gpr, sizeof(cpu->gpr));
	cpu->rip = (uintptr_t)native_code - native_mode.code_base;
	cpu->rflags = state->rflags;
	cpu->cr0 = X86_CR0_PE | X86_CR0_PG;
	cpu->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXSAVE;
	cpu->efer = X86_EFER_LMA;
	set_segments(cpu);
}

static void put(struct encoded *e, uint8_t byte)
{
	e->bytes[e->len++] = byte;
}

static void put_displacement(struct encoded *e, unsigned int len, bool alone)
{
	if (alone) {
		e->displacement_at = e->len;
		e->displacement_len = len;
	}
	while (len--)
		put(e, random_number() >> 40);
}

static void put_modrm_16(struct encoded *e, uint8_t modrm)
{
	bool alone = (modrm & 0xc7) == 0x06;

	put_displacement(e, alone ? 2 : modrm >> 6, alone);
}

static void put_modrm_32(struct encoded *e, uint8_t modrm)
{
	static const uint8_t lengths[] = { 0, 1, 4 };
	uint8_t sib = random_number() >> 40;
	bool has_sib = (modrm & 7) == 4;
	bool no_base = modrm < 0x40 && ((has_sib ? sib : modrm) & 7) == 5;
	bool no_index = !has_sib || ((sib >> 3) & 7) == 4;

	if (has_sib)
		put(e, sib);
	/* Without a base, the displacement is aimed, unless an index register is. */
	put_displacement(e, no_base ? 4 : lengths[modrm >> 6], no_base && no_index);
}

static void put_modrm(struct encoded *e)
{
	uint8_t modrm = random_number() >> 40;

	put(e, modrm);
	if (modrm >= 0xc0)
		return;
	if ((native_mode.bits == 16) != e->address_prefix && native_mode.bits != 64)
		put_modrm_16(e, modrm);
	else
		put_modrm_32(e, modrm);
}

/* FS and GS are null selectors, useless but in 64-bit mode. */
static void put_prefixes(struct encoded *e)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x3e, 0xf0, 0x26, 0x65 };
	unsigned int kinds = native_mode.bits == 64 ? sizeof(prefixes) : sizeof(prefixes) - 1;
	unsigned int count = random_below(2) ? 0 : random_below(4);

	while (count--) {
		put(e, prefixes[random_below(kinds)]);
		e->operand_prefix |= e->bytes[e->len - 1] == 0x66;
		e->address_prefix |= e->bytes[e->len - 1] == 0x67;
	}
	if (native_mode.bits == 64 && random_below(2))
		put(e, 0x40 | random_below(16));
}

static unsigned int moffs_size(const struct encoded *e)
{
	if (native_mode.bits == 64)
		return e->address_prefix ? 4 : 8;
	return (native_mode.bits == 16) != e->address_prefix ? 2 : 4;
}

static void fill(struct encoded *e)
{
	while (e->len < X86_INSN_MAX_LENGTH)
		put(e, random_number() >> 40);
}

/* An instruction with this opcode; what follows the ModRM forms is random. */
void generate_legacy(struct encoded *e, unsigned int map, uint8_t opcode)
{
	memset(e, 0, sizeof(*e));
	put_prefixes(e);
	if (map != X86_MAP_ONE_BYTE)
		put(e, 0x0f);
	if (map == X86_MAP_0F38)
		put(e, 0x38);
	put(e, opcode);
	if (map == X86_MAP_ONE_BYTE && opcode >= 0xa0 && opcode <= 0xa3)
		put_displacement(e, moffs_size(e), true);
	else
		put_modrm(e);
	fill(e);
}

void generate_vex(struct encoded *e, unsigned int map, uint8_t opcode)
{
	bool three = map != X86_MAP_0F || random_below(2);
	uint8_t vvvv = random_below(3) ? 0x78 : random_below(16) << 3;

	memset(e, 0, sizeof(*e));
	put(e, three ? 0xc4 : 0xc5);
	if (three)
		put(e, (random_number() & 0xe0) | map);
	put(e, (random_number() & 0x87) | vvvv);
	put(e, opcode);
	put_modrm(e);
	fill(e);
}

/* Unmasked: with a mask, elements would be left out. */
void generate_evex(struct encoded *e, unsigned int map, uint8_t opcode)
{
	memset(e, 0, sizeof(*e));
	put(e, 0x62);
	put(e, (random_number() & 0xf0) | map);
	put(e, (random_number() & 0x83) | (random_below(3) ? 0x7c : random_below(16) << 3 | 4));
	put(e, (random_number() & 0x70) | 8);
	put(e, opcode);
	put_modrm(e);
	fill(e);
}

/* An offset in the data segment that is in the buffer. */
uint64_t native_data_offset(unsigned int at)
{
	return (uintptr_t)native_data - native_mode.data_base + at;
}

/* Sets the address registers, or the displacement, so that the operand lies in the buffer. */
bool generate_aim(struct encoded *e, struct native_state *state, uint64_t target)
{
	const struct x86_address *address = &e->insn.address;
	uint64_t rest = target - address->displacement;

	if (!e->insn.has_memory)
		return true;
	/* The decoder took the bytes for another opcode than was generated: VEX, a longer map. */
	if ((address->base >= X86_ADDRESS_RIP && address->index == X86_ADDRESS_NO_REG) !=
	    !!e->displacement_at)
		return false;
	if (address->base == X86_ADDRESS_RIP) {
		rest = target - (uintptr_t)native_code - e->insn.length;
		memcpy(e->bytes + e->displacement_at, &rest, 4);
	} else if (address->base == X86_ADDRESS_NO_REG && address->index == X86_ADDRESS_NO_REG) {
		memcpy(e->bytes + e->displacement_at, &target, e->displacement_len);
	} else if (address->base == X86_ADDRESS_NO_REG) {
		state->gpr[address->index] = (rest & UINT32_MAX) / address->scale;
		if (e->insn.address_size == 8)
			state->gpr[address->index] = (int64_t)rest / address->scale;
	} else if (address->base == address->index) {
		if (e->insn.address_size != 8)
			rest = (uint32_t)rest;
		state->gpr[address->base] = (int64_t)rest / (1 + address->scale);
	} else {
		if (address->index != X86_ADDRESS_NO_REG)
			rest -= state->gpr[address->index] * address->scale;
		state->gpr[address->base] = rest;
	}
	if (native_mode.bits != 64) {
		for (unsigned int i = 0; i < 8; i++)
			state->gpr[i] = (uint32_t)state->gpr[i];
	}
	return true;
}

void native_randomise(struct native_state *state)
{
	for (unsigned int i = 0; i < 16; i++)
		state->gpr[i] = native_mode.bits == 64 ? random_value() : (uint32_t)random_value();
	state->rflags = (random_number() & NATIVE_RANDOM_FLAGS) | X86_RFLAGS_FIXED | X86_RFLAGS_IF;
	for (unsigned int i = 0; i < 16; i++) {
		for (unsigned int j = 0; j < 32; j++)
			state->ymm[i][j] = random_number() >> 40;
	}
}

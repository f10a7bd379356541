// SPDX-License-Identifier: MIT
/* Sizes, ModRM and SIB: SDM vol. 2, 2.1.3 to 2.1.5. */
#include "core/x86/decoder.h"

#include <errno.h>

/* SDM vol. 1, 3.6; vol. 2, 2.2.1.7 for the instructions that default to 64 bits. */
uint8_t x86_decoder_operand_size(const struct decoder *d, uint8_t flags)
{
	if (d->mode->code_bits == 64) {
		if (d->insn->rex_w || (flags & X86_FLAG_FORCE64))
			return 8;
		if (d->operand_prefix)
			return 2;
		return flags & X86_FLAG_DEFAULT64 ? 8 : 4;
	}
	return (d->mode->code_bits == 32) != d->operand_prefix ? 4 : 2;
}

uint8_t x86_decoder_address_size(const struct decoder *d)
{
	if (d->mode->code_bits == 64)
		return d->address_prefix ? 4 : 8;
	return (d->mode->code_bits == 32) != d->address_prefix ? 4 : 2;
}

static uint16_t opmask_size(const struct x86_insn *insn)
{
	if (insn->rex_w)
		return insn->simd_prefix == X86_SIMD_66 ? 4 : 8;
	return insn->simd_prefix == X86_SIMD_66 ? 1 : 2;
}

unsigned int x86_size_in_bytes(const struct x86_insn *insn, const struct x86_cpu_mode *mode,
			       enum x86_size size)
{
	static const uint16_t fixed[] = {
		[X86_SIZE_B] = 1,   [X86_SIZE_W] = 2,     [X86_SIZE_D] = 4,
		[X86_SIZE_Q] = 8,   [X86_SIZE_T] = 10,    [X86_SIZE_DQ] = 16,
		[X86_SIZE_QQ] = 32, [X86_SIZE_512] = 512, [X86_SIZE_64] = 64,
	};
	uint16_t vector = insn->vector_length;
	bool wide = insn->rex_w && mode->code_bits == 64;

	switch (size) {
	case X86_SIZE_V:
		return insn->operand_size;
	case X86_SIZE_Z:
		return insn->operand_size == 2 ? 2 : 4;
	case X86_SIZE_Y:
		return wide ? 8 : 4;
	case X86_SIZE_YY:
		return wide ? 16 : 8;
	case X86_SIZE_VV:
		return 2 * insn->operand_size;
	case X86_SIZE_P:
		return 2 + insn->operand_size;
	case X86_SIZE_S:
		return mode->code_bits == 64 ? 10 : 6;
	case X86_SIZE_X:
		return vector;
	case X86_SIZE_XH:
		return vector / 2;
	case X86_SIZE_XQ:
		return vector / 4;
	case X86_SIZE_XE:
		return vector / 8;
	case X86_SIZE_DUP:
		return vector == 16 ? 8 : vector;
	case X86_SIZE_FPU_ENV:
		return insn->operand_size == 2 ? 14 : 28;
	case X86_SIZE_FPU_ALL:
		return insn->operand_size == 2 ? 94 : 108;
	case X86_SIZE_K:
		return opmask_size(insn);
	default:
		return fixed[size];
	}
}

void x86_decoder_segment(struct decoder *d, uint8_t segment)
{
	d->insn->address.segment = d->segment != X86_SEGMENT_COUNT ? d->segment : segment;
}

/* SDM vol. 2, table 2-1. */
static int decode_address_16(struct decoder *d)
{
	static const uint8_t bases[8] = { X86_RBX, X86_RBX, X86_RBP, X86_RBP,
					  X86_RSI, X86_RDI, X86_RBP, X86_RBX };
	static const uint8_t indexes[4] = { X86_RSI, X86_RDI, X86_RSI, X86_RDI };
	struct x86_address *address = &d->insn->address;
	uint8_t mod = d->insn->modrm >> 6;
	uint8_t rm = MODRM_RM(d->insn->modrm);
	unsigned int displacement = mod;

	address->base = bases[rm];
	if (rm < 4)
		address->index = indexes[rm];
	if (mod == 0 && rm == 6) {
		address->base = X86_ADDRESS_NO_REG;
		displacement = 2;
	}
	x86_decoder_segment(d, address->base == X86_RBP ? X86_SS : X86_DS);
	return x86_decoder_number(d, displacement, &address->displacement);
}

/* The SIB byte: SDM vol. 2, table 2-3. */
static int decode_sib(struct decoder *d, uint8_t mod, bool *displacement_only)
{
	struct x86_address *address = &d->insn->address;
	uint8_t sib;
	int ret = x86_decoder_byte(d, &sib);

	if (ret)
		return ret;
	address->scale = 1 << (sib >> 6);
	address->index = ((sib >> 3) & 7) | (d->rex & REX_X ? 8 : 0);
	if (address->index == X86_RSP && !address->vector_index)
		address->index = X86_ADDRESS_NO_REG;
	address->base = (sib & 7) | (d->rex & REX_B ? 8 : 0);
	*displacement_only = mod == 0 && (sib & 7) == X86_RBP;
	if (*displacement_only)
		address->base = X86_ADDRESS_NO_REG;
	return 0;
}

/* 32 and 64-bit addressing: SDM vol. 2, table 2-2, 2.2.1.6 (RIP-relative). */
static int decode_address_32(struct decoder *d)
{
	struct x86_address *address = &d->insn->address;
	uint8_t mod = d->insn->modrm >> 6;
	uint8_t rm = MODRM_RM(d->insn->modrm);
	bool displacement_32 = mod == 2;
	int ret = 0;

	address->base = d->insn->rm;
	if (rm == X86_RSP) {
		bool displacement_only;

		ret = decode_sib(d, mod, &displacement_only);
		displacement_32 = displacement_32 || (!ret && displacement_only);
	} else if (address->vector_index) {
		return -EINVAL;
	} else if (mod == 0 && rm == X86_RBP) {
		displacement_32 = true;
		address->base = d->mode->code_bits == 64 ? X86_ADDRESS_RIP : X86_ADDRESS_NO_REG;
	}
	if (ret)
		return ret;
	x86_decoder_segment(d,
			    address->base == X86_RSP || address->base == X86_RBP ? X86_SS : X86_DS);
	return x86_decoder_number(d, displacement_32 ? 4 : mod, &address->displacement);
}

int x86_decoder_address(struct decoder *d)
{
	d->insn->has_memory = true;
	if (d->insn->address_size == 2)
		return d->insn->address.vector_index ? -EINVAL : decode_address_16(d);
	return decode_address_32(d);
}

int x86_decoder_moffs(struct decoder *d)
{
	d->insn->has_memory = true;
	x86_decoder_segment(d, X86_DS);
	return x86_decoder_number(d, d->insn->address_size, &d->insn->address.displacement);
}

// SPDX-License-Identifier: MIT
/* Instruction format: SDM vol. 2, chapter 2. */
#include "core/x86/decoder.h"

#include <errno.h>
#include <string.h>

static bool spec_has_modrm(const struct x86_operand_spec *spec)
{
	switch (spec->kind) {
	case X86_KIND_E:
	case X86_KIND_M:
	case X86_KIND_R:
	case X86_KIND_G:
	case X86_KIND_S:
		return true;
	default:
		return false;
	}
}

static bool info_has_modrm(const struct x86_opcode *info)
{
	return (info->flags & X86_FLAG_MODRM) || spec_has_modrm(&info->operand[0]) ||
	       spec_has_modrm(&info->operand[1]);
}

/* Follows the tables through groups to the one entry that describes the instruction. */
static int resolve_info(struct decoder *d, const struct x86_opcode **info)
{
	const struct x86_opcode *entry = x86_opcode_lookup(d->insn->map, d->insn->opcode);
	int ret;

	while (entry->next) {
		if (entry->select == X86_SELECT_MODE) {
			entry = &entry->next[d->mode->code_bits == 64];
			continue;
		}
		if (entry->select == X86_SELECT_PREFIX) {
			entry = &entry->next[d->insn->simd_prefix];
			continue;
		}
		ret = x86_decoder_modrm(d);
		if (ret)
			return ret;
		if (entry->select == X86_SELECT_REG)
			entry = &entry->next[MODRM_REG(d->insn->modrm)];
		else
			entry = &entry->next[MODRM_IS_REGISTER(d->insn->modrm)];
	}
	*info = entry;
	if (entry->operation == X86_OP_INVALID)
		return -EINVAL;
	if ((entry->flags & X86_FLAG_NOT_64) && d->mode->code_bits == 64)
		return -EINVAL;
	return info_has_modrm(entry) ? x86_decoder_modrm(d) : 0;
}

static int decode_immediate(struct decoder *d, const struct x86_operand_spec *spec, bool first)
{
	int64_t value;
	int ret;

	if (spec->kind == X86_KIND_P) {
		ret = x86_decoder_number(d, d->insn->operand_size, &d->insn->immediate);
		if (!ret)
			ret = x86_decoder_number(d, 2, &value);
		if (!ret)
			d->insn->immediate2 = (uint16_t)value;
		return ret;
	}
	ret = x86_decoder_number(d, x86_size_in_bytes(d->insn, d->mode, spec->size), &value);
	if (ret)
		return ret;
	if (first)
		d->insn->immediate = value;
	else
		d->insn->immediate2 = (uint32_t)value;
	return 0;
}

static bool is_immediate(const struct x86_operand_spec *spec)
{
	return spec->kind == X86_KIND_I || spec->kind == X86_KIND_J || spec->kind == X86_KIND_P;
}

static int decode_immediates(struct decoder *d, const struct x86_opcode *info)
{
	bool first = true;
	int ret;

	for (unsigned int i = 0; i < 3; i++) {
		if (!is_immediate(&info->operand[i]))
			continue;
		ret = decode_immediate(d, &info->operand[i], first);
		if (ret)
			return ret;
		first = false;
	}
	return 0;
}

/* Registers and encodings that only some of an operand's values are valid for. */
static int check_operand(const struct decoder *d, const struct x86_operand_spec *spec,
			 bool destination)
{
	bool is_register = MODRM_IS_REGISTER(d->insn->modrm);
	uint8_t segment = MODRM_REG(d->insn->modrm);

	switch (spec->kind) {
	case X86_KIND_M:
		return is_register ? -EINVAL : 0;
	case X86_KIND_R:
		return is_register ? 0 : -EINVAL;
	case X86_KIND_S:
		if (segment >= X86_SEGMENT_COUNT || (destination && segment == X86_CS))
			return -EINVAL;
		return 0;
	default:
		return 0;
	}
}

/* Where the operand is; sets the size of the one in memory. */
static int decode_operand(struct decoder *d, const struct x86_opcode *info, unsigned int i)
{
	const struct x86_operand_spec *spec = &info->operand[i];
	int ret = check_operand(d, spec, i == 0);

	if (ret)
		return ret;
	if (spec->kind == X86_KIND_O)
		ret = x86_decoder_moffs(d);
	else if ((spec->kind == X86_KIND_E || spec->kind == X86_KIND_M) &&
		 !MODRM_IS_REGISTER(d->insn->modrm))
		ret = x86_decoder_address(d);
	else
		return 0;
	d->insn->memory_size = x86_size_in_bytes(d->insn, d->mode, spec->size);
	d->insn->memory_access = info->access;
	return ret;
}

static int decode_general(struct decoder *d, const struct x86_opcode *info)
{
	struct x86_insn *insn = d->insn;
	int ret;

	insn->operand_size = x86_decoder_operand_size(d, info->flags);
	if (!insn->has_modrm)
		insn->rm = (insn->opcode & 7) | (d->rex & REX_B ? 8 : 0);
	for (unsigned int i = 0; i < 3; i++) {
		ret = decode_operand(d, info, i);
		if (ret)
			return ret;
	}
	ret = decode_immediates(d, info);
	if (ret)
		return ret;
	/* LOCK on anything but a read-modify-write of memory is undefined (SDM vol. 2, LOCK). */
	if (insn->lock && (!(info->flags & X86_FLAG_LOCK) || !insn->has_memory))
		return -EINVAL;
	return 0;
}

static int decode_body(struct decoder *d)
{
	static const struct x86_opcode vector = { .operation = X86_OP_VECTOR };
	const struct x86_opcode *info = &vector;
	int ret;

	if (d->insn->encoding == X86_ENCODING_LEGACY) {
		ret = resolve_info(d, &info);
		if (ret)
			return ret;
	}
	d->insn->opcode_info = info;
	return info->operation == X86_OP_VECTOR ? x86_decoder_vector(d) : decode_general(d, info);
}

int x86_decode(struct x86_insn *insn, const struct x86_cpu_mode *mode, const uint8_t *bytes,
	       size_t len)
{
	struct decoder d = {
		.insn = insn,
		.mode = mode,
		.bytes = bytes,
		.len = len,
		.segment = X86_SEGMENT_COUNT,
	};
	int ret;

	memset(insn, 0, sizeof(*insn));
	insn->vector_length = 16;
	insn->address.base = X86_ADDRESS_NO_REG;
	insn->address.index = X86_ADDRESS_NO_REG;
	insn->address.scale = 1;

	ret = x86_decoder_opcode(&d);
	if (ret)
		return ret;
	insn->address_size = x86_decoder_address_size(&d);
	x86_decoder_segment(&d, X86_DS);
	ret = decode_body(&d);
	insn->length = d.position;
	return ret;
}

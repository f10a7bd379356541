// SPDX-License-Identifier: MIT
/* Instructions of which only the memory operand is looked at: see vector.c. */
#include "core/x86/decoder.h"

#include <errno.h>

static bool vector_has_immediate(const struct x86_insn *insn)
{
	if (insn->map == X86_MAP_0F3A)
		return true;
	if (insn->map != X86_MAP_0F)
		return false;
	return (insn->opcode >= 0x70 && insn->opcode <= 0x73) || insn->opcode == 0xc2 ||
	       (insn->opcode >= 0xc4 && insn->opcode <= 0xc6);
}

/* The form of a vector opcode in the encoding at hand; -EINVAL when there is none. */
static int find_form(const struct decoder *d, struct x86_vector_form *form)
{
	const struct x86_insn *insn = d->insn;
	bool vex = insn->encoding == X86_ENCODING_VEX;
	enum x86_simd_prefix prefix = insn->simd_prefix;
	const struct x86_vector_form *found;

	/* VMOVDQU8 and VMOVDQU16 stand where VEX has nothing. */
	if (insn->encoding == X86_ENCODING_EVEX && insn->map == X86_MAP_0F &&
	    (insn->opcode == 0x6f || insn->opcode == 0x7f) && prefix == X86_SIMD_F2)
		prefix = X86_SIMD_F3;
	found = x86_vector_form(insn->map, insn->opcode, vex, prefix);
	if (!found || !found->access)
		return -EINVAL;
	*form = *found;
	if (insn->encoding == X86_ENCODING_LEGACY)
		return form->flags & X86_VECTOR_VEX ? -EINVAL : 0;
	if (form->flags & X86_VECTOR_LEGACY)
		return -EINVAL;
	if (!vex && insn->map != X86_MAP_0F && !(form->flags & X86_VECTOR_EVEX))
		return -EINVAL;
	/* VCVTQQ2PD, unlike VCVTDQ2PD, converts as many bytes as it makes. */
	if (!vex && insn->map == X86_MAP_0F && insn->opcode == 0xe6 && prefix == X86_SIMD_F3 &&
	    insn->rex_w)
		form->size = X86_SIZE_X;
	return 0;
}

/* VLDMXCSR and VSTMXCSR share an opcode. */
static int fix_mxcsr(const struct x86_insn *insn, struct x86_vector_form *form)
{
	if (insn->map != X86_MAP_0F || insn->opcode != 0xae)
		return 0;
	if (MODRM_REG(insn->modrm) == 3)
		form->access = X86_ACCESS_WRITE;
	return MODRM_REG(insn->modrm) == 2 || MODRM_REG(insn->modrm) == 3 ? 0 : -EINVAL;
}

static uint16_t vector_memory_size(const struct decoder *d, const struct x86_vector_form *form)
{
	const struct x86_insn *insn = d->insn;

	if (d->broadcast || (form->flags & X86_VECTOR_SCALAR_W))
		return insn->rex_w ? 8 : 4;
	return x86_size_in_bytes(d->insn, d->mode, form->size);
}

static int decode_vector_memory(struct decoder *d, const struct x86_vector_form *form)
{
	struct x86_insn *insn = d->insn;
	uint8_t mod = insn->modrm >> 6;
	int ret;

	if (form->flags & X86_VECTOR_REGISTER)
		return -EINVAL;
	insn->address.vector_index = form->flags & X86_VECTOR_VSIB;
	insn->memory_size = vector_memory_size(d, form);
	insn->memory_access = form->access;
	ret = x86_decoder_address(d);
	/* An 8-bit displacement counts in units of the operand (SDM vol. 2, 2.7.5). */
	if (!ret && insn->encoding == X86_ENCODING_EVEX && mod == 1)
		insn->address.displacement *= insn->memory_size;
	return ret;
}

static int decode_form(struct decoder *d)
{
	struct x86_vector_form form;
	int ret = find_form(d, &form);

	if (ret)
		return ret;
	d->insn->operand_size = x86_decoder_operand_size(d, 0);
	if (form.flags & X86_VECTOR_NO_MODRM)
		return 0;
	ret = x86_decoder_modrm(d);
	if (!ret)
		ret = fix_mxcsr(d->insn, &form);
	if (ret)
		return ret;
	if (!MODRM_IS_REGISTER(d->insn->modrm))
		ret = decode_vector_memory(d, &form);
	else if (form.flags & X86_VECTOR_MEMORY)
		ret = -EINVAL;
	if (ret || !vector_has_immediate(d->insn))
		return ret;
	return x86_decoder_number(d, 1, &d->insn->immediate);
}

/* EVEX instructions that the tables lack have a ModRM byte, and an immediate in the 0F3A map. */
static int skip_evex(struct decoder *d)
{
	int ret = 0;

	d->insn->opcode_info = NULL; /* has_memory, but of a size not known */
	if (!MODRM_IS_REGISTER(d->insn->modrm))
		ret = x86_decoder_address(d);
	if (!ret && vector_has_immediate(d->insn))
		ret = x86_decoder_number(d, 1, &d->insn->immediate);
	return ret ? ret : -EOPNOTSUPP;
}

/* Some opcodes that have only registers in VEX have a memory form in EVEX. */
static bool evex_known(const struct decoder *d)
{
	struct x86_vector_form form;

	if (d->insn->vector_length > 64 || find_form(d, &form))
		return false;
	return MODRM_IS_REGISTER(d->insn->modrm) ||
	       !(form.flags & (X86_VECTOR_REGISTER | X86_VECTOR_VSIB));
}

int x86_decoder_vector(struct decoder *d)
{
	int ret;

	if (d->insn->lock)
		return -EINVAL;
	if (d->insn->encoding == X86_ENCODING_EVEX) {
		ret = x86_decoder_modrm(d);
		if (ret)
			return ret;
		if (!evex_known(d))
			return skip_evex(d);
	}
	return decode_form(d);
}

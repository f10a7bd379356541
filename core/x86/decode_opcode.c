// SPDX-License-Identifier: MIT
/* Prefixes and opcode: SDM vol. 2, 2.1 and 2.2; VEX 2.3; EVEX 2.7. */
#include "core/x86/decoder.h"

#include <errno.h>

/* Bytes are consumed one by one, so that an end of the input is always told from a bad encoding. */
int x86_decoder_byte(struct decoder *d, uint8_t *byte)
{
	if (d->position == X86_INSN_MAX_LENGTH)
		return -E2BIG;
	if (d->position >= d->len)
		return -ENODATA;
	*byte = d->bytes[d->position++];
	return 0;
}

static int peek_byte(struct decoder *d, uint8_t *byte)
{
	int ret = x86_decoder_byte(d, byte);

	if (!ret)
		d->position--;
	return ret;
}

/* A little-endian number of size bytes (0 to 8), sign-extended. */
int x86_decoder_number(struct decoder *d, unsigned int size, int64_t *value)
{
	uint64_t number = 0;
	uint8_t byte;
	int ret;

	for (unsigned int i = 0; i < size; i++) {
		ret = x86_decoder_byte(d, &byte);
		if (ret)
			return ret;
		number |= (uint64_t)byte << (8 * i);
	}
	*value = size ? x86_sign_extend(number, size) : 0;
	return 0;
}

static uint8_t segment_of_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26:
		return X86_ES;
	case 0x2e:
		return X86_CS;
	case 0x36:
		return X86_SS;
	case 0x3e:
		return X86_DS;
	case 0x64:
		return X86_FS;
	case 0x65:
		return X86_GS;
	default:
		return X86_SEGMENT_COUNT;
	}
}

/* Takes one legacy or REX prefix; false when byte is the opcode. SDM vol. 2, 2.1.1, 2.2.1. */
static bool take_prefix(struct decoder *d, uint8_t byte)
{
	uint8_t segment = segment_of_prefix(byte);

	if (d->mode->code_bits == 64 && (byte & 0xf0) == 0x40) {
		d->rex = byte;
		return true;
	}
	if (segment != X86_SEGMENT_COUNT) {
		/* In 64-bit mode the four flat segments' overrides do nothing (2.1.1). */
		if (d->mode->code_bits != 64 || segment >= X86_FS)
			d->segment = segment;
	} else if (byte == 0x66) {
		d->operand_prefix = true;
	} else if (byte == 0x67) {
		d->address_prefix = true;
	} else if (byte == 0xf0) {
		d->insn->lock = true;
	} else if (byte == 0xf2 || byte == 0xf3) {
		d->repeat = byte;
	} else {
		return false;
	}
	/* A REX prefix counts only right before the opcode. */
	d->rex = 0;
	return true;
}

static int decode_prefixes(struct decoder *d, uint8_t *opcode)
{
	int ret;

	do {
		ret = x86_decoder_byte(d, opcode);
		if (ret)
			return ret;
	} while (take_prefix(d, *opcode));

	d->insn->rep = d->repeat == 0xf3;
	d->insn->repne = d->repeat == 0xf2;
	d->insn->rex = d->rex != 0;
	d->insn->rex_w = d->rex & REX_W;
	if (d->repeat)
		d->insn->simd_prefix = d->insn->rep ? X86_SIMD_F3 : X86_SIMD_F2;
	else
		d->insn->simd_prefix = d->operand_prefix ? X86_SIMD_66 : X86_SIMD_NONE;
	return 0;
}

/*
 * C4, C5 and 62 are LES, LDS and BOUND in the old modes, which need a memory operand: the
 * encodings with a register start VEX and EVEX there.
 */
static int starts_vector_prefix(struct decoder *d, uint8_t opcode)
{
	uint8_t byte;
	int ret;

	if (opcode != 0xc4 && opcode != 0xc5 && opcode != 0x62)
		return 0;
	if (d->mode->code_bits == 64)
		return 1;
	if (d->mode->real || d->mode->vm86)
		return 0;
	ret = peek_byte(d, &byte);
	return ret ? ret : MODRM_IS_REGISTER(byte);
}

/* The inverted R, X and B of a VEX or EVEX payload byte; they are ignored outside 64-bit mode. */
static void set_inverted_rex(struct decoder *d, uint8_t payload)
{
	if (d->mode->code_bits == 64)
		d->rex = (~payload >> 5) & (REX_R | REX_X | REX_B);
}

/* The W, vvvv and pp of the VEX and EVEX payload byte that has them. */
static void set_vvvv(struct decoder *d, uint8_t payload)
{
	d->insn->rex_w = payload & 0x80;
	d->insn->vvvv = (~payload >> 3) & (d->mode->code_bits == 64 ? 15 : 7);
	d->insn->simd_prefix = payload & 3;
}

static int decode_vex2(struct decoder *d)
{
	uint8_t payload;
	int ret = x86_decoder_byte(d, &payload);

	if (ret)
		return ret;
	set_vvvv(d, payload & 0x7f);
	if (d->mode->code_bits == 64)
		d->rex = payload & 0x80 ? 0 : REX_R;
	d->insn->vector_length = payload & 4 ? 32 : 16;
	d->insn->map = X86_MAP_0F;
	return 0;
}

static int decode_vex3(struct decoder *d)
{
	uint8_t payload[2];
	uint8_t map;
	int ret = x86_decoder_byte(d, &payload[0]);

	if (!ret)
		ret = x86_decoder_byte(d, &payload[1]);
	if (ret)
		return ret;
	map = payload[0] & 0x1f;
	if (map < X86_MAP_0F || map > X86_MAP_0F3A)
		return -EINVAL;
	set_inverted_rex(d, payload[0]);
	set_vvvv(d, payload[1]);
	d->insn->vector_length = payload[1] & 4 ? 32 : 16;
	d->insn->map = map;
	return 0;
}

static int decode_evex(struct decoder *d)
{
	uint8_t payload[3];
	int ret = 0;

	for (unsigned int i = 0; i < sizeof(payload) && !ret; i++)
		ret = x86_decoder_byte(d, &payload[i]);
	if (ret)
		return ret;
	d->insn->map = payload[0] & 7;
	if (!d->insn->map || (payload[0] & 8) || !(payload[1] & 4))
		return -EINVAL;
	set_inverted_rex(d, payload[0]);
	set_vvvv(d, payload[1]);
	d->broadcast = payload[2] & 0x10;
	/* 3 is reserved, or a rounding mode of a register form; no memory operand has it. */
	d->insn->vector_length = 16 << ((payload[2] >> 5) & 3);
	return 0;
}

static int decode_vector_prefix(struct decoder *d, uint8_t opcode)
{
	int ret;

	if (d->rex || d->operand_prefix || d->repeat || d->insn->lock)
		return -EINVAL;
	if (opcode == 0x62) {
		d->insn->encoding = X86_ENCODING_EVEX;
		ret = decode_evex(d);
	} else {
		d->insn->encoding = X86_ENCODING_VEX;
		ret = opcode == 0xc5 ? decode_vex2(d) : decode_vex3(d);
	}
	return ret ? ret : x86_decoder_byte(d, &d->insn->opcode);
}

/* Finds map and opcode byte. */
int x86_decoder_opcode(struct decoder *d)
{
	uint8_t opcode;
	int ret = decode_prefixes(d, &opcode);

	if (ret)
		return ret;
	ret = starts_vector_prefix(d, opcode);
	if (ret)
		return ret < 0 ? ret : decode_vector_prefix(d, opcode);

	d->insn->map = X86_MAP_ONE_BYTE;
	if (opcode == 0x0f) {
		d->insn->map = X86_MAP_0F;
		ret = x86_decoder_byte(d, &opcode);
		if (!ret && (opcode == 0x38 || opcode == 0x3a)) {
			d->insn->map = opcode == 0x38 ? X86_MAP_0F38 : X86_MAP_0F3A;
			ret = x86_decoder_byte(d, &opcode);
		}
	}
	d->insn->opcode = opcode;
	return ret;
}

int x86_decoder_modrm(struct decoder *d)
{
	int ret;

	if (d->insn->has_modrm)
		return 0;
	ret = x86_decoder_byte(d, &d->insn->modrm);
	if (ret)
		return ret;
	d->insn->has_modrm = true;
	d->insn->reg = MODRM_REG(d->insn->modrm) | (d->rex & REX_R ? 8 : 0);
	d->insn->rm = MODRM_RM(d->insn->modrm) | (d->rex & REX_B ? 8 : 0);
	return 0;
}

// SPDX-License-Identifier: MIT
/* Instruction format: SDM vol. 2, chapter 2; VEX 2.3, EVEX 2.7. */
#include "core/x86/opcodes.h"

#include <errno.h>
#include <string.h>

#define REX_B 0x1
#define REX_X 0x2
#define REX_R 0x4
#define REX_W 0x8

#define MODRM_REG(modrm)         (((modrm) >> 3) & 7)
#define MODRM_RM(modrm)          ((modrm)&7)
#define MODRM_IS_REGISTER(modrm) ((modrm) >= 0xc0)

struct decoder {
	struct x86_insn *insn;
	const struct x86_cpu_mode *mode;
	const uint8_t *bytes;
	size_t len;
	uint8_t position;
	uint8_t rex;
	uint8_t repeat;      /* the last of F2 and F3, or 0 */
	bool operand_prefix; /* 66 */
	bool address_prefix; /* 67 */
	bool broadcast;      /* EVEX.b */
	uint8_t segment;     /* override, or X86_SEGMENT_COUNT */
};

/* Bytes are consumed one by one, so that an end of the input is always told from a bad encoding. */
static int next_byte(struct decoder *d, uint8_t *byte)
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
	int ret = next_byte(d, byte);

	if (!ret)
		d->position--;
	return ret;
}

/* A little-endian number of size bytes (0 to 8), sign-extended. */
static int next_number(struct decoder *d, unsigned int size, int64_t *value)
{
	uint64_t number = 0;
	uint8_t byte;
	int ret;

	for (unsigned int i = 0; i < size; i++) {
		ret = next_byte(d, &byte);
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
		ret = next_byte(d, opcode);
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
	int ret = next_byte(d, &payload);

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
	int ret = next_byte(d, &payload[0]);

	if (!ret)
		ret = next_byte(d, &payload[1]);
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
		ret = next_byte(d, &payload[i]);
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
	return ret ? ret : next_byte(d, &d->insn->opcode);
}

/* Finds map and opcode byte. */
static int decode_opcode(struct decoder *d)
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
		ret = next_byte(d, &opcode);
		if (!ret && (opcode == 0x38 || opcode == 0x3a)) {
			d->insn->map = opcode == 0x38 ? X86_MAP_0F38 : X86_MAP_0F3A;
			ret = next_byte(d, &opcode);
		}
	}
	d->insn->opcode = opcode;
	return ret;
}

static int need_modrm(struct decoder *d)
{
	int ret;

	if (d->insn->has_modrm)
		return 0;
	ret = next_byte(d, &d->insn->modrm);
	if (ret)
		return ret;
	d->insn->has_modrm = true;
	d->insn->reg = MODRM_REG(d->insn->modrm) | (d->rex & REX_R ? 8 : 0);
	d->insn->rm = MODRM_RM(d->insn->modrm) | (d->rex & REX_B ? 8 : 0);
	return 0;
}

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
		ret = need_modrm(d);
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
	return info_has_modrm(entry) ? need_modrm(d) : 0;
}

/* SDM vol. 1, 3.6; vol. 2, 2.2.1.7 for the instructions that default to 64 bits. */
static uint8_t operand_size(const struct decoder *d, uint8_t flags)
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

static uint8_t address_size(const struct decoder *d)
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

static uint16_t size_in_bytes(const struct decoder *d, enum x86_size size)
{
	return x86_size_in_bytes(d->insn, d->mode, size);
}

static void set_default_segment(struct decoder *d, uint8_t segment)
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
	set_default_segment(d, address->base == X86_RBP ? X86_SS : X86_DS);
	return next_number(d, displacement, &address->displacement);
}

/* The SIB byte: SDM vol. 2, table 2-3. */
static int decode_sib(struct decoder *d, uint8_t mod, bool *displacement_only)
{
	struct x86_address *address = &d->insn->address;
	uint8_t sib;
	int ret = next_byte(d, &sib);

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
	set_default_segment(d,
			    address->base == X86_RSP || address->base == X86_RBP ? X86_SS : X86_DS);
	return next_number(d, displacement_32 ? 4 : mod, &address->displacement);
}

static int decode_address(struct decoder *d)
{
	d->insn->has_memory = true;
	if (d->insn->address_size == 2)
		return d->insn->address.vector_index ? -EINVAL : decode_address_16(d);
	return decode_address_32(d);
}

static int decode_moffs(struct decoder *d)
{
	d->insn->has_memory = true;
	set_default_segment(d, X86_DS);
	return next_number(d, d->insn->address_size, &d->insn->address.displacement);
}

static int decode_immediate(struct decoder *d, const struct x86_operand_spec *spec, bool first)
{
	int64_t value;
	int ret;

	if (spec->kind == X86_KIND_P) {
		ret = next_number(d, d->insn->operand_size, &d->insn->immediate);
		if (!ret)
			ret = next_number(d, 2, &value);
		if (!ret)
			d->insn->immediate2 = (uint16_t)value;
		return ret;
	}
	ret = next_number(d, size_in_bytes(d, spec->size), &value);
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
		ret = decode_moffs(d);
	else if ((spec->kind == X86_KIND_E || spec->kind == X86_KIND_M) &&
		 !MODRM_IS_REGISTER(d->insn->modrm))
		ret = decode_address(d);
	else
		return 0;
	d->insn->memory_size = size_in_bytes(d, spec->size);
	d->insn->memory_access = info->access;
	return ret;
}

static int decode_general(struct decoder *d, const struct x86_opcode *info)
{
	struct x86_insn *insn = d->insn;
	int ret;

	insn->operand_size = operand_size(d, info->flags);
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
	return size_in_bytes(d, form->size);
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
	ret = decode_address(d);
	/* An 8-bit displacement counts in units of the operand (SDM vol. 2, 2.7.5). */
	if (!ret && insn->encoding == X86_ENCODING_EVEX && mod == 1)
		insn->address.displacement *= insn->memory_size;
	return ret;
}

static int decode_vector(struct decoder *d)
{
	struct x86_vector_form form;
	int ret = find_form(d, &form);

	if (ret)
		return ret;
	d->insn->operand_size = operand_size(d, 0);
	if (form.flags & X86_VECTOR_NO_MODRM)
		return 0;
	ret = need_modrm(d);
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
	return next_number(d, 1, &d->insn->immediate);
}

/* EVEX instructions that the tables lack have a ModRM byte, and an immediate in the 0F3A map. */
static int skip_evex(struct decoder *d)
{
	int ret = 0;

	if (!MODRM_IS_REGISTER(d->insn->modrm))
		ret = decode_address(d);
	if (!ret && vector_has_immediate(d->insn))
		ret = next_number(d, 1, &d->insn->immediate);
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

static int decode_body(struct decoder *d)
{
	static const struct x86_opcode vector = { .operation = X86_OP_VECTOR };
	const struct x86_opcode *info = &vector;
	int ret = 0;

	if (d->insn->encoding == X86_ENCODING_LEGACY)
		ret = resolve_info(d, &info);
	else if (d->insn->encoding == X86_ENCODING_EVEX)
		ret = need_modrm(d);
	if (ret)
		return ret;
	if (d->insn->encoding == X86_ENCODING_EVEX && !evex_known(d))
		return skip_evex(d);
	d->insn->opcode_info = info;
	if (info->operation != X86_OP_VECTOR)
		return decode_general(d, info);
	if (d->insn->lock)
		return -EINVAL;
	return decode_vector(d);
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

	ret = decode_opcode(&d);
	if (ret)
		return ret;
	insn->address_size = address_size(&d);
	set_default_segment(&d, X86_DS);
	ret = decode_body(&d);
	insn->length = d.position;
	return ret;
}

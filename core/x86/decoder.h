/* SPDX-License-Identifier: MIT */
/*
 * The state of one decoding, and what the decoder's parts offer each other. Private to core/x86/.
 *
 * Functions that return int return 0 or an -errno as x86_decode() does, and are to be left with it
 * at once.
 */
#ifndef ENTRESOL_CORE_X86_DECODER_H
#define ENTRESOL_CORE_X86_DECODER_H

#include "core/x86/opcodes.h"

#define REX_B                    0x1
#define REX_X                    0x2
#define REX_R                    0x4
#define REX_W                    0x8
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

/* The next byte, or little-endian number of size (0 to 8) bytes, sign-extended. */
int x86_decoder_byte(struct decoder *d, uint8_t *byte);
int x86_decoder_number(struct decoder *d, unsigned int size, int64_t *value);

/* Prefixes, map and opcode byte, of any encoding. */
int x86_decoder_opcode(struct decoder *d);

/* Reads the ModRM byte if that has not been done. */
int x86_decoder_modrm(struct decoder *d);

/* Effective sizes in bytes; flags are those of struct x86_opcode. */
uint8_t x86_decoder_operand_size(const struct decoder *d, uint8_t flags);
uint8_t x86_decoder_address_size(const struct decoder *d);

/* Sets the memory operand's segment to the override, or to the one given. */
void x86_decoder_segment(struct decoder *d, uint8_t segment);

/* The memory operand of ModRM, with SIB and displacement, or that of MOV with an offset. */
int x86_decoder_address(struct decoder *d);
int x86_decoder_moffs(struct decoder *d);

/* What follows the opcode byte of an MMX, SSE, AVX or other VEX or EVEX instruction. */
int x86_decoder_vector(struct decoder *d);

#endif

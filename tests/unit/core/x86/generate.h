/* SPDX-License-Identifier: MIT */
/*
 * Random instructions and registers for native_run(), in the mode that native_set_mode() has set.
 */
#ifndef ENTRESOL_TESTS_UNIT_CORE_X86_GENERATE_H
#define ENTRESOL_TESTS_UNIT_CORE_X86_GENERATE_H

#include "core/x86/x86_decode.h"
#include "tests/unit/core/x86/native.h"

struct encoded {
	uint8_t bytes[X86_INSN_MAX_LENGTH + 16];
	unsigned int len;
	unsigned int displacement_at; /* of a disp32 or moffs without registers; 0: none */
	unsigned int displacement_len;
	bool operand_prefix, address_prefix;
	struct x86_insn insn;
};

/* The flags that are random before an instruction. */
#define NATIVE_RANDOM_FLAGS (X86_RFLAGS_STATUS | X86_RFLAGS_DF)

void random_seed(uint64_t seed);
uint64_t random_number(void);
unsigned int random_below(unsigned int limit);

/* With more of the values at which carries and overflows turn up than purely random ones. */
uint64_t random_value(void);

/* An offset in the data segment of the mode, at bytes into native_data. */
uint64_t native_data_offset(unsigned int at);

/* Random registers and flags. */
void native_randomise(struct native_state *state);

/* The registers of *state and the mode's segments, about to execute native_code. */
void native_cpu(struct x86_cpu *cpu, const struct native_state *state);

/*
 * An instruction with this opcode; prefixes, ModRM forms and what follows are random. It is not
 * decoded yet.
 */
void generate_legacy(struct encoded *e, unsigned int map, uint8_t opcode);
void generate_vex(struct encoded *e, unsigned int map, uint8_t opcode);
void generate_evex(struct encoded *e, unsigned int map, uint8_t opcode);

/*
 * Sets the address registers, or the displacement, so that the memory operand of the decoded
 * instruction, if any, lies at the segment offset target or some bytes below, where an index is scaled. False when the
 * decoder took the bytes for another opcode than was generated.
 */
bool generate_aim(struct encoded *e, struct native_state *state, uint64_t target);

#endif

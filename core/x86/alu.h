/* SPDX-License-Identifier: MIT */
/*
 * Integer arithmetic with RFLAGS: values in, value out. Private to core/x86/.
 *
 * Values are size (1, 2, 4 or 8) bytes wide, zero-extended. rflags is updated in the status flags
 * that the operation defines; where a flag is undefined it gets what common processors give it, or
 * stays.
 */
#ifndef ENTRESOL_CORE_X86_ALU_H
#define ENTRESOL_CORE_X86_ALU_H

#include "core/x86/opcodes.h"

/* X86_OP_ADD to X86_OP_CMP (whose result is that of SUB). */
uint64_t x86_alu(enum x86_operation operation, unsigned int size, uint64_t a, uint64_t b,
		 uint64_t *rflags);

/* X86_OP_INC, X86_OP_DEC, X86_OP_NOT, X86_OP_NEG. */
uint64_t x86_alu_unary(enum x86_operation operation, unsigned int size, uint64_t a,
		       uint64_t *rflags);

/* X86_OP_ROL to X86_OP_SAR; count is masked here. */
uint64_t x86_alu_shift(enum x86_operation operation, unsigned int size, uint64_t a,
		       unsigned int count, uint64_t *rflags);

/* SHLD (left) or SHRD of a, filled with the bits of fill. */
uint64_t x86_alu_shift_double(bool left, unsigned int size, uint64_t a, uint64_t fill,
			      unsigned int count, uint64_t *rflags);

/* The double-width product; CF and OF tell that it does not fit. */
void x86_alu_multiply(bool is_signed, unsigned int size, uint64_t a, uint64_t b, uint64_t *low,
		      uint64_t *high, uint64_t *rflags);

/* *high:*low / divisor, to quotient (*low) and remainder (*high); false means #DE. */
bool x86_alu_divide(bool is_signed, unsigned int size, uint64_t *low, uint64_t *high,
		    uint64_t divisor);

/* SF, ZF and PF from a result. */
void x86_alu_set_result_flags(unsigned int size, uint64_t result, uint64_t *rflags);

/* The condition in the low four bits of Jcc, SETcc and CMOVcc (SDM vol. 1, appendix B). */
bool x86_alu_condition(unsigned int code, uint64_t rflags);

#endif

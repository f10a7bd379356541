// SPDX-License-Identifier: MIT
/* Flags: SDM vol. 1, 3.4.3.1 and appendix A; the instructions' own pages in vol. 2. */
#include "core/x86/alu.h"

static uint64_t top_bit(unsigned int size)
{
	return 1UL << (8 * size - 1);
}

static void set_flag(uint64_t *rflags, uint64_t flag, bool value)
{
	*rflags = value ? *rflags | flag : *rflags & ~flag;
}

void x86_alu_set_result_flags(unsigned int size, uint64_t result, uint64_t *rflags)
{
	set_flag(rflags, X86_RFLAGS_SF, result & top_bit(size));
	set_flag(rflags, X86_RFLAGS_ZF, x86_truncate(result, size) == 0);
	set_flag(rflags, X86_RFLAGS_PF, !__builtin_parity(result & 0xff));
}

static uint64_t add(unsigned int size, uint64_t a, uint64_t b, bool carry, uint64_t *rflags)
{
	uint64_t result = x86_truncate(a + b + carry, size);
	uint64_t carries = (a & b) | ((a | b) & ~result);

	set_flag(rflags, X86_RFLAGS_CF, carries & top_bit(size));
	set_flag(rflags, X86_RFLAGS_AF, carries & 8);
	set_flag(rflags, X86_RFLAGS_OF, (a ^ result) & (b ^ result) & top_bit(size));
	x86_alu_set_result_flags(size, result, rflags);
	return result;
}

static uint64_t subtract(unsigned int size, uint64_t a, uint64_t b, bool borrow, uint64_t *rflags)
{
	uint64_t result = x86_truncate(a - b - borrow, size);
	uint64_t borrows = (~a & b) | ((~a | b) & result);

	set_flag(rflags, X86_RFLAGS_CF, borrows & top_bit(size));
	set_flag(rflags, X86_RFLAGS_AF, borrows & 8);
	set_flag(rflags, X86_RFLAGS_OF, (a ^ b) & (a ^ result) & top_bit(size));
	x86_alu_set_result_flags(size, result, rflags);
	return result;
}

static uint64_t logic(unsigned int size, uint64_t result, uint64_t *rflags)
{
	*rflags &= ~(X86_RFLAGS_CF | X86_RFLAGS_OF | X86_RFLAGS_AF);
	x86_alu_set_result_flags(size, result, rflags);
	return result;
}

uint64_t x86_alu(enum x86_operation operation, unsigned int size, uint64_t a, uint64_t b,
		 uint64_t *rflags)
{
	bool carry = *rflags & X86_RFLAGS_CF;

	switch (operation) {
	case X86_OP_ADD:
		return add(size, a, b, false, rflags);
	case X86_OP_ADC:
		return add(size, a, b, carry, rflags);
	case X86_OP_SBB:
		return subtract(size, a, b, carry, rflags);
	case X86_OP_OR:
		return logic(size, a | b, rflags);
	case X86_OP_AND:
		return logic(size, a & b, rflags);
	case X86_OP_XOR:
		return logic(size, a ^ b, rflags);
	default:
		return subtract(size, a, b, false, rflags);
	}
}

uint64_t x86_alu_unary(enum x86_operation operation, unsigned int size, uint64_t a,
		       uint64_t *rflags)
{
	uint64_t carry = *rflags & X86_RFLAGS_CF;
	uint64_t result;

	switch (operation) {
	case X86_OP_NOT:
		return x86_truncate(~a, size);
	case X86_OP_NEG:
		return subtract(size, 0, a, false, rflags);
	case X86_OP_INC:
		result = add(size, a, 1, false, rflags);
		break;
	default:
		result = subtract(size, a, 1, false, rflags);
	}
	/* INC and DEC leave CF alone. */
	*rflags = (*rflags & ~X86_RFLAGS_CF) | carry;
	return result;
}

static uint64_t rotate_left(unsigned int bits, uint64_t a, unsigned int count)
{
	count %= bits;
	return count ? (a << count) | (a >> (bits - count)) : a;
}

/* Rotates a with the carry as its bit number bits, one step at a time. */
static uint64_t rotate_carry(bool left, unsigned int size, uint64_t a, unsigned int count,
			     uint64_t *rflags)
{
	bool carry = *rflags & X86_RFLAGS_CF;
	uint64_t top = top_bit(size);

	for (count %= 8 * size + 1; count; count--) {
		bool out = left ? a & top : a & 1;

		if (left)
			a = x86_truncate(a << 1, size) | carry;
		else
			a = (a >> 1) | (carry ? top : 0);
		carry = out;
	}
	set_flag(rflags, X86_RFLAGS_CF, carry);
	return a;
}

static uint64_t rotate(enum x86_operation operation, unsigned int size, uint64_t a,
		       unsigned int count, uint64_t *rflags)
{
	bool left = operation == X86_OP_ROL || operation == X86_OP_RCL;
	unsigned int bits = 8 * size;
	uint64_t result;
	bool top;

	if (operation == X86_OP_RCL || operation == X86_OP_RCR) {
		result = rotate_carry(left, size, a, count, rflags);
	} else {
		result = rotate_left(bits, a, left ? count : bits - count % bits);
		result = x86_truncate(result, size);
		set_flag(rflags, X86_RFLAGS_CF, left ? result & 1 : result & top_bit(size));
	}
	/* Defined for a count of one only. */
	top = result & top_bit(size);
	if (left)
		set_flag(rflags, X86_RFLAGS_OF, top != !!(*rflags & X86_RFLAGS_CF));
	else
		set_flag(rflags, X86_RFLAGS_OF, top != !!(result & (top_bit(size) >> 1)));
	return result;
}

static uint64_t shift_left(unsigned int size, uint64_t a, unsigned int count, uint64_t *rflags)
{
	unsigned int bits = 8 * size;
	uint64_t result = x86_truncate(a << count, size);
	bool out = count <= bits && ((a >> (bits - count)) & 1);

	set_flag(rflags, X86_RFLAGS_CF, out);
	set_flag(rflags, X86_RFLAGS_OF, out != !!(result & top_bit(size)));
	return result;
}

static uint64_t shift_right(bool arithmetic, unsigned int size, uint64_t a, unsigned int count,
			    uint64_t *rflags)
{
	int64_t value = arithmetic ? x86_sign_extend(a, size) : (int64_t)a;
	uint64_t result = arithmetic ? (uint64_t)(value >> count) : a >> count;

	set_flag(rflags, X86_RFLAGS_CF,
		 arithmetic ? (value >> (count - 1)) & 1 : (a >> (count - 1)) & 1);
	set_flag(rflags, X86_RFLAGS_OF, !arithmetic && (a & top_bit(size)));
	return x86_truncate(result, size);
}

uint64_t x86_alu_shift(enum x86_operation operation, unsigned int size, uint64_t a,
		       unsigned int count, uint64_t *rflags)
{
	uint64_t result;

	count &= size == 8 ? 63 : 31;
	if (!count)
		return a;
	if (operation <= X86_OP_RCR)
		return rotate(operation, size, a, count, rflags);
	if (operation == X86_OP_SHR || operation == X86_OP_SAR)
		result = shift_right(operation == X86_OP_SAR, size, a, count, rflags);
	else
		result = shift_left(size, a, count, rflags);
	x86_alu_set_result_flags(size, result, rflags);
	return result;
}

uint64_t x86_alu_shift_double(bool left, unsigned int size, uint64_t a, uint64_t fill,
			      unsigned int count, uint64_t *rflags)
{
	unsigned int bits = 8 * size;
	unsigned __int128 joined;
	uint64_t result;

	count &= size == 8 ? 63 : 31;
	if (!count)
		return a;
	/* A 16-bit shift by more than 16 is undefined. */
	if (count > bits)
		count -= bits;
	if (left) {
		joined = ((unsigned __int128)a << bits | fill) << count;
		result = x86_truncate(joined >> bits, size);
		set_flag(rflags, X86_RFLAGS_CF, (a >> (bits - count)) & 1);
	} else {
		joined = ((unsigned __int128)fill << bits | a) >> count;
		result = x86_truncate(joined, size);
		set_flag(rflags, X86_RFLAGS_CF, (a >> (count - 1)) & 1);
	}
	set_flag(rflags, X86_RFLAGS_OF, (a ^ result) & top_bit(size));
	x86_alu_set_result_flags(size, result, rflags);
	return result;
}

void x86_alu_multiply(bool is_signed, unsigned int size, uint64_t a, uint64_t b, uint64_t *low,
		      uint64_t *high, uint64_t *rflags)
{
	unsigned __int128 product;
	bool overflow;

	if (is_signed)
		product = (unsigned __int128)((__int128)x86_sign_extend(a, size) *
					      x86_sign_extend(b, size));
	else
		product = (unsigned __int128)a * b;
	*low = x86_truncate(product, size);
	*high = x86_truncate(product >> (8 * size), size);
	if (is_signed)
		overflow = *high != x86_truncate(*low & top_bit(size) ? UINT64_MAX : 0, size);
	else
		overflow = *high != 0;
	set_flag(rflags, X86_RFLAGS_CF | X86_RFLAGS_OF, overflow);
}

static bool divide_unsigned(unsigned int size, uint64_t *low, uint64_t *high, uint64_t divisor)
{
	unsigned __int128 dividend = (unsigned __int128)*high << (8 * size) | *low;

	if (!divisor || dividend / divisor > x86_truncate(UINT64_MAX, size))
		return false;
	*low = dividend / divisor;
	*high = dividend % divisor;
	return true;
}

/* Divides the magnitudes, so that no intermediate result can overflow. */
static bool divide_signed(unsigned int size, uint64_t *low, uint64_t *high, uint64_t divisor)
{
	bool negative = *high & top_bit(size);
	bool divisor_negative = divisor & top_bit(size);
	uint64_t magnitude = x86_truncate(divisor_negative ? -divisor : divisor, size);
	bool quotient_negative = negative != divisor_negative;

	if (negative) {
		*high = x86_truncate(~*high + (*low == 0), size);
		*low = x86_truncate(-*low, size);
	}
	if (!divide_unsigned(size, low, high, magnitude))
		return false;
	if (*low > top_bit(size) - !quotient_negative)
		return false;
	*low = x86_truncate(quotient_negative ? -*low : *low, size);
	*high = x86_truncate(negative ? -*high : *high, size);
	return true;
}

bool x86_alu_divide(bool is_signed, unsigned int size, uint64_t *low, uint64_t *high,
		    uint64_t divisor)
{
	return is_signed ? divide_signed(size, low, high, divisor)
			 : divide_unsigned(size, low, high, divisor);
}

bool x86_alu_condition(unsigned int code, uint64_t rflags)
{
	bool sign = rflags & X86_RFLAGS_SF;
	bool overflow = rflags & X86_RFLAGS_OF;
	bool zero = rflags & X86_RFLAGS_ZF;
	bool value[8] = {
		overflow,
		rflags & X86_RFLAGS_CF,
		zero,
		zero || (rflags & X86_RFLAGS_CF),
		sign,
		rflags & X86_RFLAGS_PF,
		sign != overflow,
		zero || sign != overflow,
	};

	return value[(code >> 1) & 7] != (code & 1);
}

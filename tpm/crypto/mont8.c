// SPDX-License-Identifier: MIT
/*
 * Montgomery multiplication of eight numbers at once, one in each 64-bit lane of an AVX-512 register, in digits of 52
 * bits, which is what IFMA multiplies. R has at least eight bits more than n: products of numbers below 4n stay below
 * 4n, so that nothing is subtracted in between, and what is computed depends on no secret.
 */
#include <immintrin.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/crypto/mont8.h"

#define DIGIT      52
#define DIGIT_MASK ((1ull << DIGIT) - 1)
#define MAX_DIGITS (FERMAT_MAX_LIMBS * 5 / 4)

#define IFMA __attribute__((target("avx512f,avx512ifma")))

struct modulus {
	__m512i n[MAX_DIGITS];
	__m512i n0;              /* -1/n mod 2^52 */
	__m512i one[MAX_DIGITS]; /* R mod n */
	unsigned int digits;
};

bool mont8_available(unsigned int limbs)
{
	return limbs % 8 == 0 && limbs <= FERMAT_MAX_LIMBS && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512ifma");
}

/* Sums of the low and of the high halves of products, two of each to have four independent chains. */
struct sums {
	__m512i low[2], high[2];
};

/* Adds a[i] * b[k - i] for i from first up to last. */
IFMA static inline void add_products(struct sums *s, const __m512i *a, const __m512i *b,
				     unsigned int first, unsigned int last, unsigned int k)
{
	unsigned int i;

	for (i = first; i + 1 < last; i += 2) {
		s->low[0] = _mm512_madd52lo_epu64(s->low[0], a[i], b[k - i]);
		s->high[0] = _mm512_madd52hi_epu64(s->high[0], a[i], b[k - i]);
		s->low[1] = _mm512_madd52lo_epu64(s->low[1], a[i + 1], b[k - i - 1]);
		s->high[1] = _mm512_madd52hi_epu64(s->high[1], a[i + 1], b[k - i - 1]);
	}
	if (i < last) {
		s->low[0] = _mm512_madd52lo_epu64(s->low[0], a[i], b[k - i]);
		s->high[0] = _mm512_madd52hi_epu64(s->high[0], a[i], b[k - i]);
	}
}

IFMA static inline void double_sums(struct sums *s)
{
	for (int i = 0; i < 2; i++) {
		s->low[i] = _mm512_slli_epi64(s->low[i], 1);
		s->high[i] = _mm512_slli_epi64(s->high[i], 1);
	}
}

/* Column k of a * b: products of digits whose numbers add up to k. */
IFMA static inline void add_column(struct sums *s, const __m512i *a, const __m512i *b,
				   unsigned int first, unsigned int last, unsigned int k)
{
	if (a != b) {
		add_products(s, a, b, first, last, k);
		return;
	}
	/* A square has each product of two different digits twice. */
	add_products(s, a, a, first, (k + 1) / 2, k);
	double_sums(s);
	if (k % 2 == 0)
		add_products(s, a, a, k / 2, k / 2 + 1, k);
}

/*
 * out = a * b / R mod n, and twice that in the lanes where `twice` is all ones; column by column, each with the
 * multiples of n that clear it. A column is a sum of less than 4 * MAX_DIGITS halves below 2^52. out may be a or b.
 */
IFMA static inline __attribute__((always_inline)) void multiply(const struct modulus *m,
								__m512i *out, const __m512i *a,
								const __m512i *b, __m512i twice)
{
	const __m512i mask = _mm512_set1_epi64(DIGIT_MASK), zero = _mm512_setzero_si512();
	__m512i q[MAX_DIGITS], carry = zero, above = zero;

	for (unsigned int k = 0; k < 2 * m->digits; k++) {
		bool lower = k < m->digits;
		unsigned int first = lower ? 0 : k - m->digits + 1;
		unsigned int last = lower ? k + 1 : m->digits;
		struct sums s = { { zero, zero }, { zero, zero } };
		__m512i column;

		add_column(&s, a, b, first, last, k);
		add_products(&s, q, m->n, first, lower ? k : last, k);
		column = _mm512_add_epi64(above, _mm512_add_epi64(s.low[0], s.low[1]));
		above = _mm512_add_epi64(s.high[0], s.high[1]);
		if (k <= m->digits) {
			column = _mm512_add_epi64(column, carry);
			carry = zero;
		}
		if (lower) {
			q[k] = _mm512_madd52lo_epu64(zero, column, m->n0);
			column = _mm512_madd52lo_epu64(column, q[k], m->n[0]);
			above = _mm512_madd52hi_epu64(above, q[k], m->n[0]);
		} else {
			column = _mm512_add_epi64(column, _mm512_and_si512(column, twice));
			column = _mm512_add_epi64(column, carry);
			out[k - m->digits] = _mm512_and_si512(column, mask);
		}
		carry = _mm512_srli_epi64(column, DIGIT);
	}
}

IFMA static __attribute__((noinline)) void square(const struct modulus *m, __m512i *x,
						  __m512i twice)
{
	multiply(m, x, x, x, twice);
}

IFMA static __attribute__((noinline)) void product(const struct modulus *m, __m512i *out,
						   const __m512i *a, const __m512i *b)
{
	multiply(m, out, a, b, _mm512_setzero_si512());
}

/* --- numbers into lanes --- */

static uint64_t digit_of(const uint64_t *x, unsigned int limbs, unsigned int i)
{
	unsigned int at = i * DIGIT / 64, shift = i * DIGIT % 64;
	uint64_t v = at < limbs ? x[at] >> shift : 0;

	if (shift && at + 1 < limbs)
		v |= x[at + 1] << (64 - shift);
	return v & DIGIT_MASK;
}

IFMA static void load(__m512i *out, const struct mont8_numbers *x, unsigned int limbs)
{
	uint64_t lanes[MONT8_LANES];

	for (unsigned int i = 0; i < limbs * 5 / 4; i++) {
		for (unsigned int l = 0; l < MONT8_LANES; l++)
			lanes[l] = digit_of(x->x[l], limbs, i);
		out[i] = _mm512_loadu_si512(lanes);
	}
	mbedtls_platform_zeroize(lanes, sizeof(lanes));
}

IFMA static void set_modulus(struct modulus *m, const struct mont8_numbers *n, unsigned int limbs)
{
	uint64_t n0[MONT8_LANES];
	struct mont8_numbers one;

	m->digits = limbs * 5 / 4;
	for (unsigned int l = 0; l < MONT8_LANES; l++) {
		n0[l] = fermat_neg_inverse(n->x[l][0]) & DIGIT_MASK;
		fermat_power_of_two(one.x[l], m->digits * DIGIT, n->x[l], limbs);
	}
	load(m->n, n, limbs);
	load(m->one, &one, limbs);
	m->n0 = _mm512_loadu_si512(n0);
	mbedtls_platform_zeroize(&one, sizeof(one));
	mbedtls_platform_zeroize(n0, sizeof(n0));
}

/* Lanes in which x is y. */
IFMA static unsigned int equal(const __m512i *x, const __m512i *y, unsigned int digits)
{
	__m512i diff = _mm512_setzero_si512();

	for (unsigned int i = 0; i < digits; i++)
		diff = _mm512_or_si512(diff, _mm512_xor_si512(x[i], y[i]));
	return _mm512_cmpeq_epi64_mask(diff, _mm512_setzero_si512());
}

/* out = x / R mod n, fully reduced: of what is below 4n, at most n remains, and n only of a multiple of n. */
IFMA static void reduced(const struct modulus *m, __m512i *out, const __m512i *x)
{
	__m512i plain_one[MAX_DIGITS] = { _mm512_set1_epi64(1) };

	product(m, out, x, plain_one);
}

/* --- tests --- */

/* All ones in the lanes where this bit of the lane's number is set. */
IFMA static __m512i bit_mask(const struct mont8_numbers *x, unsigned int bit)
{
	uint64_t lanes[MONT8_LANES];

	for (unsigned int l = 0; l < MONT8_LANES; l++)
		lanes[l] = -(x->x[l][bit / 64] >> (bit % 64) & 1);
	return _mm512_loadu_si512(lanes);
}

IFMA unsigned int mont8_fermat_base2(const struct mont8_numbers *n, unsigned int limbs)
{
	__m512i x[MAX_DIGITS], plain_one[MAX_DIGITS] = { _mm512_set1_epi64(1) };
	struct modulus m;
	unsigned int passed;

	set_modulus(&m, n, limbs);
	memcpy(x, m.one, sizeof(x));
	/* The exponent is n - 1, of which only the lowest bit, n being odd, is not n's. */
	for (unsigned int bit = limbs * 64; bit-- > 1;)
		square(&m, x, bit_mask(n, bit));
	square(&m, x, _mm512_setzero_si512());
	reduced(&m, x, x);
	passed = equal(x, plain_one, m.digits);
	mbedtls_platform_zeroize(x, sizeof(x));
	mbedtls_platform_zeroize(&m, sizeof(m));
	return passed;
}

/* x = R * R mod n: two to the power of R's bits, in Montgomery's form. */
IFMA static void radix_squared(const struct modulus *m, __m512i *x)
{
	memcpy(x, m->one, sizeof(m->one));
	for (unsigned int bit = 16; bit-- > 0;)
		square(m, x, _mm512_set1_epi64(-(long long)(m->digits * DIGIT >> bit & 1)));
}

/* x = base^(n >> shift), in Montgomery's form. Multiplies at each bit, by one where it is 0. */
IFMA static void power(const struct modulus *m, __m512i *x, const __m512i *base, const uint64_t *n,
		       unsigned int shift, unsigned int limbs)
{
	const __m512i none = _mm512_setzero_si512();
	__m512i factor[MAX_DIGITS];

	memcpy(x, m->one, sizeof(m->one));
	for (unsigned int bit = limbs * 64; bit-- > shift;) {
		__mmask8 set = (__mmask8) - (n[bit / 64] >> (bit % 64) & 1);

		for (unsigned int i = 0; i < m->digits; i++)
			factor[i] = _mm512_mask_blend_epi64(set, m->one[i], base[i]);
		square(m, x, none);
		product(m, x, x, factor);
	}
	mbedtls_platform_zeroize(factor, sizeof(factor));
}

/* How often two divides n - 1. */
static unsigned int twos(const uint64_t *n)
{
	unsigned int s = 1;

	while (!(n[s / 64] >> (s % 64) & 1))
		s++;
	return s;
}

IFMA bool mont8_miller_rabin(const uint64_t *n, const struct mont8_numbers *bases,
			     unsigned int limbs)
{
	__m512i x[MAX_DIGITS], y[MAX_DIGITS], minus_one[MAX_DIGITS],
		plain_one[MAX_DIGITS] = { _mm512_set1_epi64(1) };
	struct mont8_numbers all;
	unsigned int passed, s = twos(n);
	struct modulus m;

	for (unsigned int l = 0; l < MONT8_LANES; l++)
		memcpy(all.x[l], n, limbs * sizeof(*n));
	set_modulus(&m, &all, limbs);
	memcpy(minus_one, m.n, sizeof(minus_one));
	minus_one[0] = _mm512_sub_epi64(minus_one[0], plain_one[0]);
	load(y, bases, limbs);
	radix_squared(&m, x);
	product(&m, y, y, x);
	power(&m, x, y, n, s, limbs);
	reduced(&m, y, x);
	passed = equal(y, plain_one, m.digits) | equal(y, minus_one, m.digits);
	for (unsigned int i = 1; i < s; i++) {
		square(&m, x, _mm512_setzero_si512());
		reduced(&m, y, x);
		passed |= equal(y, minus_one, m.digits);
	}
	mbedtls_platform_zeroize(&all, sizeof(all));
	mbedtls_platform_zeroize(x, sizeof(x));
	mbedtls_platform_zeroize(y, sizeof(y));
	mbedtls_platform_zeroize(minus_one, sizeof(minus_one));
	mbedtls_platform_zeroize(&m, sizeof(m));
	return passed == 0xFF;
}

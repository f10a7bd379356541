// SPDX-License-Identifier: MIT
/*
 * Montgomery squaring on 64-bit limbs. mbedTLS's modular exponentiation spends three times as long on a candidate,
 * and candidates are what making an RSA key costs.
 */
#include <cpuid.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/crypto/fermat.h"

__extension__ typedef unsigned __int128 wide;

/* By Newton's iteration; each step doubles the number of right bits. */
uint64_t fermat_neg_inverse(uint64_t n)
{
	uint64_t x = n;

	for (int i = 0; i < 6; i++)
		x *= 2 - n * x;
	return -x;
}

/* out -= n where mask is all ones, unchanged where it is 0. Returns the borrow of the subtraction. */
static uint64_t sub_masked(uint64_t *out, const uint64_t *n, uint64_t mask, unsigned int limbs)
{
	uint64_t borrow = 0;

	for (unsigned int i = 0; i < limbs; i++) {
		wide d = (wide)out[i] - (n[i] & mask) - borrow;

		out[i] = (uint64_t)d;
		borrow = (uint64_t)(d >> 64) & 1;
	}
	return borrow;
}

/* Brings carry:x, which is below 2n, below n. */
static void reduce_once(uint64_t *x, uint64_t carry, const uint64_t *n, unsigned int limbs)
{
	uint64_t borrow = 0;

	for (unsigned int i = 0; i < limbs; i++) {
		wide d = (wide)x[i] - n[i] - borrow;

		borrow = (uint64_t)(d >> 64) & 1;
	}
	sub_masked(x, n, -(uint64_t)(carry | !borrow), limbs);
}

/* t[0 to limbs) += m * n; returns what is carried out of it. */
static uint64_t add_row(uint64_t *t, const uint64_t *n, uint64_t m, unsigned int limbs)
{
	uint64_t carry = 0;

	for (unsigned int j = 0; j < limbs; j++) {
		wide v = (wide)m * n[j] + t[j] + carry;

		t[j] = (uint64_t)v;
		carry = (uint64_t)(v >> 64);
	}
	return carry;
}

/*
 * Eight limbs of the same, with a carry in, by MULX and the two carry chains of ADCX and ADOX: twice
 * as fast as what compilers make of the loop above. No flag is left over at the end: the product of
 * two limbs, a carry and a limb fit in two.
 */
#define ROW_STEP(i, carry_in, carry_out)                 \
	"mulx 8*" #i "(%[n]), %[low], " carry_out "\n\t" \
	"adcx " carry_in ", %[low]\n\t"                  \
	"adox 8*" #i "(%[t]), %[low]\n\t"                \
	"mov %[low], 8*" #i "(%[t])\n\t"

static uint64_t add_eight(uint64_t *t, const uint64_t *n, uint64_t m, uint64_t carry)
{
	uint64_t low, other;

	__asm__("xor %k[low], %k[low]\n\t" /* clears both carry flags */
		ROW_STEP(0, "%[carry]", "%[other]") ROW_STEP(1, "%[other]", "%[carry]") ROW_STEP(
			2, "%[carry]", "%[other]") ROW_STEP(3, "%[other]", "%[carry]")
			ROW_STEP(4, "%[carry]", "%[other]") ROW_STEP(5, "%[other]", "%[carry]")
				ROW_STEP(6, "%[carry]", "%[other]") ROW_STEP(
					7, "%[other]", "%[carry]") "mov $0, %k[low]\n\t"
								   "adcx %[low], %[carry]\n\t"
								   "adox %[low], %[carry]\n\t"
		: [low] "=&r"(low), [other] "=&r"(other), [carry] "+&r"(carry),
		  "+m"(*(uint64_t(*)[8])t)
		: [n] "r"(n), [t] "r"(t), "d"(m), "m"(*(const uint64_t(*)[8])n)
		: "cc");
	return carry;
}

static uint64_t add_row_adx(uint64_t *t, const uint64_t *n, uint64_t m, unsigned int limbs)
{
	uint64_t carry = 0;

	for (unsigned int j = 0; j < limbs; j += 8)
		carry = add_eight(t + j, n + j, m, carry);
	return carry;
}

static bool has_adx(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & bit_BMI2) &&
	       (ebx & bit_ADX);
}

/* The same as square() below, by whole rows. */
static void square_adx(uint64_t *t, const uint64_t *x, unsigned int limbs)
{
	memset(t, 0, 2 * limbs * sizeof(*t));
	for (unsigned int i = 0; i < limbs; i++)
		t[i + limbs] = add_row_adx(t + i, x, x[i], limbs);
}

/* t = x * x, 2 * limbs wide: the products above the diagonal once, doubled, and the squares. */
static void square(uint64_t *t, const uint64_t *x, unsigned int limbs)
{
	uint64_t carry, top = 0;

	memset(t, 0, 2 * limbs * sizeof(*t));
	for (unsigned int i = 0; i + 1 < limbs; i++) {
		carry = 0;
		for (unsigned int j = i + 1; j < limbs; j++) {
			wide v = (wide)x[i] * x[j] + t[i + j] + carry;

			t[i + j] = (uint64_t)v;
			carry = (uint64_t)(v >> 64);
		}
		t[i + limbs] = carry;
	}
	carry = 0;
	for (unsigned int i = 0; i < limbs; i++) {
		wide sq = (wide)x[i] * x[i];
		uint64_t lo = t[2 * i], hi = t[2 * i + 1];
		wide v = (wide)(lo << 1 | top) + (uint64_t)sq + carry;

		t[2 * i] = (uint64_t)v;
		v = (wide)(hi << 1 | lo >> 63) + (uint64_t)(sq >> 64) + (uint64_t)(v >> 64);
		t[2 * i + 1] = (uint64_t)v;
		carry = (uint64_t)(v >> 64);
		top = hi >> 63;
	}
}

/* x = 2x mod n where mask is all ones. */
static void double_masked(uint64_t *x, const uint64_t *n, uint64_t mask, unsigned int limbs)
{
	uint64_t twice[FERMAT_MAX_LIMBS], carry = 0;

	for (unsigned int i = 0; i < limbs; i++) {
		twice[i] = x[i] << 1 | carry;
		carry = x[i] >> 63;
	}
	reduce_once(twice, carry, n, limbs);
	for (unsigned int i = 0; i < limbs; i++)
		x[i] = (x[i] & ~mask) | (twice[i] & mask);
}

void fermat_power_of_two(uint64_t *x, unsigned int exponent, const uint64_t *n, unsigned int limbs)
{
	/* 2^(64 * limbs) mod n: n has its top bit set, so one subtraction does. */
	memset(x, 0, limbs * sizeof(*x));
	sub_masked(x, n, ~0ull, limbs);
	for (unsigned int i = limbs * 64; i < exponent; i++)
		double_masked(x, n, ~0ull, limbs);
}

static uint64_t row(uint64_t *t, const uint64_t *n, uint64_t m, unsigned int limbs, bool adx)
{
	return adx ? add_row_adx(t, n, m, limbs) : add_row(t, n, m, limbs);
}

/*
 * x = x * x / R mod n, R = 2^(64 * limbs). In between, x is only kept below R: n is more than half of that, so taking n
 * off where there is a carry is enough.
 */
static void mont_square(uint64_t *x, const uint64_t *n, uint64_t n0, unsigned int limbs, bool adx)
{
	uint64_t t[2 * FERMAT_MAX_LIMBS], extra = 0;

	if (adx)
		square_adx(t, x, limbs);
	else
		square(t, x, limbs);
	for (unsigned int i = 0; i < limbs; i++) {
		uint64_t carry = row(t + i, n, t[i] * n0, limbs, adx);
		wide v = (wide)t[i + limbs] + carry + extra;

		t[i + limbs] = (uint64_t)v;
		extra = (uint64_t)(v >> 64);
	}
	memcpy(x, t + limbs, limbs * sizeof(*x));
	sub_masked(x, n, -extra, limbs);
}

/* x = x * 2^(shift - 64) mod n, shift being below 64: a shift, and one limb of Montgomery's reduction. */
static void mont_shift(uint64_t *x, unsigned int shift, const uint64_t *n, uint64_t n0,
		       unsigned int limbs, bool adx)
{
	uint64_t t[FERMAT_MAX_LIMBS + 1], below = 0;
	wide v;

	for (unsigned int i = 0; i < limbs; i++) {
		v = (wide)x[i] << shift;
		t[i] = (uint64_t)v | below;
		below = (uint64_t)(v >> 64);
	}
	v = (wide)below + row(t, n, t[0] * n0, limbs, adx);
	t[limbs] = (uint64_t)v;
	memcpy(x, t + 1, limbs * sizeof(*x));
	sub_masked(x, n, -(uint64_t)(v >> 64), limbs);
}

#define WINDOW 6

/* n - 1 + 64 + 64^2 + ... + 64^count: its digits to the base 64 are those of n - 1, each 64 too large. */
static void exponent_digits(const uint64_t *n, unsigned int limbs, unsigned int count,
			    uint64_t *digits)
{
	uint64_t carry = 0;

	memcpy(digits, n, limbs * sizeof(*n));
	digits[limbs] = digits[limbs + 1] = 0;
	digits[0] -= 1; /* n is odd */
	for (unsigned int i = 0; i < limbs + 2; i++) {
		uint64_t ones = 0;
		wide v;

		for (unsigned int bit = 0; bit < 64; bit++) {
			unsigned int at = i * 64 + bit;

			if (at && at % WINDOW == 0 && at / WINDOW <= count)
				ones |= 1ull << bit;
		}
		v = (wide)digits[i] + ones + carry;
		digits[i] = (uint64_t)v;
		carry = (uint64_t)(v >> 64);
	}
}

static unsigned int digit(const uint64_t *digits, unsigned int i)
{
	unsigned int at = i * WINDOW;
	wide two = digits[at / 64] | (wide)digits[at / 64 + 1] << 64;

	return (unsigned int)(two >> (at % 64)) & ((1u << WINDOW) - 1);
}

/*
 * 2^(n - 1) mod n: six squarings, then a shift by the exponent's next digit, which divides by 2^64 as well; the digits
 * are 64 too large for that. Which is why the base is 2: no multiplications.
 */
bool fermat_base2_with(const uint64_t *n, unsigned int limbs, bool adx)
{
	uint64_t one[FERMAT_MAX_LIMBS], x[FERMAT_MAX_LIMBS], digits[FERMAT_MAX_LIMBS + 3];
	unsigned int count = (limbs * 64 + WINDOW - 1) / WINDOW;
	uint64_t n0 = fermat_neg_inverse(n[0]), diff = 0;

	fermat_power_of_two(one, limbs * 64, n, limbs); /* R mod n, Montgomery's one */
	memcpy(x, one, limbs * sizeof(*x));
	exponent_digits(n, limbs, count, digits);
	digits[limbs + 2] = 0;
	/* What the sum carries out of them is 1 or 2. */
	double_masked(x, n, -(uint64_t)(digit(digits, count) >= 1), limbs);
	double_masked(x, n, -(uint64_t)(digit(digits, count) >= 2), limbs);
	for (unsigned int i = count; i-- > 0;) {
		for (int j = 0; j < WINDOW; j++)
			mont_square(x, n, n0, limbs, adx);
		mont_shift(x, digit(digits, i), n, n0, limbs, adx);
	}
	reduce_once(x, 0, n, limbs);
	for (unsigned int i = 0; i < limbs; i++)
		diff |= x[i] ^ one[i];
	mbedtls_platform_zeroize(x, sizeof(x));
	mbedtls_platform_zeroize(one, sizeof(one));
	mbedtls_platform_zeroize(digits, sizeof(digits));
	return !diff;
}

bool fermat_has_adx(unsigned int limbs)
{
	return limbs % 8 == 0 && has_adx();
}

bool fermat_base2(const uint64_t *n, unsigned int limbs)
{
	return fermat_base2_with(n, limbs, fermat_has_adx(limbs));
}
